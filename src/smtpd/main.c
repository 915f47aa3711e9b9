#include <stdlib.h>

#include "profile.h"
#include "smtpd.h"
#include "system/log/log.h"

static void
auth_said(void *user, struct ipc_msg *m)
{
	auth_message(user, m);
}

static void
auth_gone(void *user, int fd)
{
	struct smtpd *f = user;

	daemon_peer_lost(&f->base.d, fd);
	auth_lost(f);
}

static void
check_said(void *user, struct ipc_msg *m)
{
	check_answered(user, m);
}

static void
check_gone(void *user, int fd)
{
	struct smtpd *f = user;

	daemon_peer_lost(&f->base.d, fd);
	check_lost(f);
}

static void
watch_peers(struct smtpd *f)
{
	link_use(&f->auth, daemon_peer_fd(&f->base.d, PROG_AUTHD, 0));
	link_use(&f->check, daemon_peer_fd(&f->base.d, PROG_CHECK, 0));
}

static void
peers(struct front *base)
{
	watch_peers((struct smtpd *)base);
}

static void
message(struct front *base, struct ipc_msg *m)
{
	if (m->type == MSG_MDA)
		mda_started((struct smtpd *)base, m);
}

/* Who waits for a verdict gets it; the others are told to come back, also
 * those whose verdict is due when they have waited. */
static void
stop(struct front *base)
{
	struct client *cl;
	uint32_t at = 0;

	while ((cl = idtable_each(&base->clients, &at)) != NULL)
		if ((cl->wait != WAIT_DELIVER || first_is_on(cl)) &&
		    cl->wait != WAIT_TLS)
			client_end(cl, "4.3.2", "server is going down");
}

static const struct front_ops ops = {
	.prog = "quire-smtpd",
	.profile = &smtpd_profile,
	/* on port 25 some large senders fail with tickets (features 1.1.3) */
	.has_tickets = false,
	.keeps_configs = true,
	.busy = "421 4.3.2 too many connections, try again later\r\n",
	.crowded = "421 4.7.0 too many connections from your network, try "
		   "again later\r\n",
	.start = client_start,
	.is_trusted = xclient_is_front,
	.peers = peers,
	.message = message,
	.stop = stop,
};

int
main(void)
{
	struct smtpd *f = calloc(1, sizeof(*f));
	struct confine_dir spool = { .write = true };
	int status;

	if (f == NULL)
		return 71;
	if ((status = front_init(&f->base, &ops)) != 0)
		return status;
	link_init(
	    &f->auth, f->base.loop, "quire-authd", auth_said, auth_gone, f);
	link_init(
	    &f->check, f->base.loop, "quire-check", check_said, check_gone, f);
	spool.fd = f->base.d.spool_dir;
	spool_sweep(f);
	front_run(&f->base, &spool, 1);
	return 0;
}
