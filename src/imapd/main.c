#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imapd.h"
#include "profile.h"
#include "system/log/log.h"

static void
session_message(struct imapd *f, struct ipc_msg *m)
{
	struct client *cl = idtable_get(&f->base.clients, m->id);
	struct msg_session s;

	if (cl == NULL || !msg_unpack_session(m, &s) ||
	    (cl->state != CLIENT_AUTH && cl->state != CLIENT_STARTING))
		return; /* its descriptor is closed by the caller: the session
			 * sees the end of its stream */
	log_set_sid(str_from(cl->cid));
	if (s.ok && m->nfds == 1) {
		LOG_INFO("login", F_STR("account", s.account),
		    F_STR("login", s.login), F_CSTR("remote", cl->remote),
		    F_INT("tls", conn_is_tls(cl->conn)));
		relay_start(cl, ipc_take_fd(m, 0));
	} else {
		struct buf b;

		buf_init(&b, 256);
		buf_printf(&b,
		    "[UNAVAILABLE] your mailbox cannot be opened now; the "
		    "administrator's log says why (cid %s)",
		    cl->cid);
		client_refuse(cl, METRICS_NO, buf_cstr(&b));
		buf_release(&b);
		cl->state = CLIENT_GREETED;
		conn_pause(cl->conn, false);
		login_pump(cl);
	}
	log_set_sid(STR(""));
}

static void
message(struct front *base, struct ipc_msg *m)
{
	if (m->type == MSG_SESSION)
		session_message((struct imapd *)base, m);
}

static void
stop(struct front *base)
{
	struct client *cl;
	uint32_t at = 0;

	while ((cl = idtable_each(&base->clients, &at)) != NULL) {
		if (cl->state == CLIENT_GREETED)
			client_bye(cl, "server is going down, come back");
		else if (cl->session != NULL)
			conn_finish(cl->session);
	}
}

static const struct front_ops ops = {
	.prog = "quire-imapd",
	.profile = &imapd_profile,
	.has_tickets = true,
	.busy = "* BYE [UNAVAILABLE] too many connections, try later\r\n",
	.crowded = "* BYE [LIMIT] too many connections from your network, try "
		   "later\r\n",
	.start = client_start,
	.message = message,
	.stop = stop,
};

int
main(void)
{
	struct imapd *f = calloc(1, sizeof(*f));
	int status;

	if (f == NULL)
		return 71;
	if ((status = front_init(&f->base, &ops)) != 0)
		return status;
	front_link_init(
	    &f->auth, &f->base, PROG_AUTHD, auth_message, auth_lost);
	front_run(&f->base, NULL, 0);
	return 0;
}
