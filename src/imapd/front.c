#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "imapd.h"
#include "profile.h"
#include "system/io/tls.h"
#include "system/log/log.h"

/* Those who wait for an authd that is gone get their answer now. */
static void
auth_gone(void *user, int fd)
{
	struct imapd *f = user;
	const struct msg_auth_result temp = { .verdict = AUTH_TEMP };
	struct client *cl;
	uint32_t at = 0;

	daemon_peer_lost(&f->d, fd);
	while ((cl = idtable_each(&f->clients, &at)) != NULL)
		if (cl->state == CLIENT_AUTH)
			login_result(cl, &temp);
}

static void
auth_said(void *user, struct ipc_msg *m)
{
	struct imapd *f = user;
	struct client *cl = idtable_get(&f->clients, m->id);
	struct msg_auth_result r;
	struct str data;

	if (cl == NULL)
		return; /* hung up meanwhile */
	log_set_sid(str_from(cl->cid));
	if (m->type == MSG_AUTH_CHALLENGE && msg_unpack_blob(m, &data))
		login_challenge(cl, data);
	else if (m->type == MSG_AUTH_RESULT && msg_unpack_auth_result(m, &r))
		login_result(cl, &r);
	else
		LOG_ERROR("auth.message", F_INT("type", m->type));
	log_set_sid(STR(""));
}

static void
watch_auth(struct imapd *f)
{
	link_use(&f->auth, daemon_peer_fd(&f->d, PROG_AUTHD, 0));
}

static void
session_message(struct imapd *f, struct ipc_msg *m)
{
	struct client *cl = idtable_get(&f->clients, m->id);
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
		client_say(cl,
		    "%s NO [UNAVAILABLE] your mailbox cannot be opened now; "
		    "the administrator's log says why (cid %s)",
		    cl->tag, cl->cid);
		cl->state = CLIENT_GREETED;
		conn_pause(cl->conn, false);
		conn_kick(cl->conn);
	}
	log_set_sid(STR(""));
}

static void
configure(struct imapd *f)
{
	struct conf_errors errors;
	struct config *c;
	struct err e;

	conf_errors_init(&errors);
	c = config_parse(buf_str(&f->d.config), &errors);
	if (c != NULL) {
		config_free(&f->config);
		f->config = c;
		f->timeouts = (struct conn_timeouts){
			.read_ms = 0, /* client->login keeps the time */
			.write_ms = (unsigned)c->limits.write_ms,
			.handshake_ms = (unsigned)c->limits.handshake_ms,
		};
	} else
		LOG_ERROR("config", F_STR("err", buf_str(&errors.text)));
	conf_errors_release(&errors);
	if (f->d.key.n > 0) {
		SSL_CTX *tls = tls_server_ctx(
		    buf_str(&f->d.cert), buf_str(&f->d.key), true, &e);

		if (tls == NULL)
			LOG_ERROR("tls.config", F_ERR(&e));
		else {
			SSL_CTX_free(f->tls); /* live sessions hold theirs */
			f->tls = tls;
		}
	}
}

static void
stop_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static void
stop(struct imapd *f)
{
	struct client *cl;
	uint32_t at = 0;
	unsigned i;

	f->stopping = true;
	for (i = 0; i < f->d.nlisteners; i++)
		ev_io_stop(f->loop, &f->listeners[i]);
	while ((cl = idtable_each(&f->clients, &at)) != NULL) {
		if (cl->state == CLIENT_GREETED)
			client_bye(cl, "server is going down, come back");
		else if (cl->session != NULL)
			conn_finish(cl->session);
	}
	ev_timer_init(&f->stop_timer, stop_cb, 3., 0.);
	ev_timer_start(f->loop, &f->stop_timer);
	if (f->clients.live == 0)
		ev_break(f->loop, EVBREAK_ALL);
}

static void
ctl_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct imapd *f = w->data;
	struct ipc_msg m;

	switch (daemon_receive(&f->d, &m)) {
	case DAEMON_NONE:
		break;
	case DAEMON_CONFIG:
		configure(f);
		break;
	case DAEMON_PEER:
		watch_auth(f);
		break;
	case DAEMON_STOP:
	case DAEMON_LOST:
		stop(f);
		if (f->d.ctl != -1 && f->stopping)
			ev_io_stop(loop, w);
		break;
	case DAEMON_MESSAGE:
		if (m.type == MSG_SESSION)
			session_message(f, &m);
		ipc_close_fds(&m);
		break;
	}
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct imapd *f = w->data;

	client_accept(f, &f->d.listeners[w - f->listeners]);
}

static uint64_t
seed(void)
{
	uint64_t v;

	randombytes_buf(&v, sizeof(v));
	return v;
}

int
main(void)
{
	struct imapd *f = calloc(1, sizeof(*f));
	unsigned i;

	if (f == NULL || sodium_init() == -1)
		return 71;
	daemon_init(&f->d, "quire-imapd");
	f->loop = ev_default_loop(EVBACKEND_EPOLL);
	link_init(&f->auth, f->loop, "quire-authd", auth_said, auth_gone, f);
	door_init(&f->door, seed());
	configure(f);
	if (f->config == NULL)
		return 78;
	daemon_confine(&f->d, &imapd_profile, NULL, 0);
	ev_io_init(&f->ctl, ctl_cb, f->d.ctl, EV_READ);
	f->ctl.data = f;
	ev_io_start(f->loop, &f->ctl);
	watch_auth(f);
	for (i = 0; i < f->d.nlisteners; i++) {
		ev_io_init(
		    &f->listeners[i], accept_cb, f->d.listeners[i].fd, EV_READ);
		f->listeners[i].data = f;
		ev_io_start(f->loop, &f->listeners[i]);
	}
	ev_run(f->loop, 0);
	return 0;
}
