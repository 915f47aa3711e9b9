#include <stdlib.h>

#include "profile.h"
#include "smtpd.h"

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
	/* on port 25 some large senders fail with tickets */
	.has_tickets = false,
	.keeps_configs = true,
	.busy = "421 4.3.2 too many connections, try again later\r\n",
	.crowded = "421 4.7.0 too many connections from your network, try "
		   "again later\r\n",
	.start = client_start,
	.is_trusted = xclient_is_front,
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
	front_link_init(
	    &f->auth, &f->base, PROG_AUTHD, auth_message, auth_lost);
	front_link_init(
	    &f->check, &f->base, PROG_CHECK, check_answered, check_lost);
	spool.fd = f->base.d.spool_dir;
	spool_sweep(f);
	front_run(&f->base, &spool, 1);
	return 0;
}
