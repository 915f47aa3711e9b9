#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "profile.h"
#include "smtpd.h"
#include "system/io/tls.h"
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

	daemon_peer_lost(&f->d, fd);
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

	daemon_peer_lost(&f->d, fd);
	check_lost(f);
}

static void
watch_peers(struct smtpd *f)
{
	link_use(&f->auth, daemon_peer_fd(&f->d, PROG_AUTHD, 0));
	link_use(&f->check, daemon_peer_fd(&f->d, PROG_CHECK, 0));
}

static void
configure(struct smtpd *f)
{
	struct conf_errors errors;
	struct config *c;
	struct err e;

	conf_errors_init(&errors);
	c = config_parse(buf_str(&f->d.config), &errors);
	if (c != NULL) {
		/* sessions borrow the host name of the one they began with:
		 * the old one is kept until the process ends */
		f->config = c;
		f->timeouts = (struct conn_timeouts){
			.read_ms = 0, /* the session's own clock, with 421 */
			.write_ms = (unsigned)c->limits.write_ms,
			.handshake_ms = (unsigned)c->limits.handshake_ms,
		};
	} else
		LOG_ERROR("config", F_STR("err", buf_str(&errors.text)));
	conf_errors_release(&errors);
	if (f->d.key.n > 0) {
		/* no tickets on port 25: some large senders fail with them
		 * (features 1.1.3) */
		SSL_CTX *tls = tls_server_ctx(
		    buf_str(&f->d.cert), buf_str(&f->d.key), false, &e);

		if (tls == NULL)
			LOG_ERROR("tls.config", F_ERR(&e));
		else {
			SSL_CTX_free(f->tls);
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
stop(struct smtpd *f)
{
	struct client *cl;
	uint32_t at = 0;
	unsigned i;

	f->stopping = true;
	for (i = 0; i < f->d.nlisteners; i++)
		ev_io_stop(f->loop, &f->listeners[i]);
	/* who waits for a verdict gets it; the others are told to come back */
	while ((cl = idtable_each(&f->clients, &at)) != NULL)
		if (cl->wait != WAIT_DELIVER && cl->wait != WAIT_TLS)
			client_end(cl, "4.3.2", "server is going down");
	ev_timer_init(&f->stop_timer, stop_cb, 3., 0.);
	ev_timer_start(f->loop, &f->stop_timer);
	if (f->clients.live == 0)
		ev_break(f->loop, EVBREAK_ALL);
}

static void
ctl_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct smtpd *f = w->data;
	struct ipc_msg m;

	switch (daemon_receive(&f->d, &m)) {
	case DAEMON_NONE:
		break;
	case DAEMON_CONFIG:
		configure(f);
		break;
	case DAEMON_PEER:
		watch_peers(f);
		break;
	case DAEMON_STOP:
	case DAEMON_LOST:
		ev_io_stop(loop, w);
		stop(f);
		break;
	case DAEMON_MESSAGE:
		if (m.type == MSG_MDA)
			mda_started(f, &m);
		ipc_close_fds(&m);
		break;
	}
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct smtpd *f = w->data;

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
	struct smtpd *f = calloc(1, sizeof(*f));
	struct confine_dir spool = { .write = true };
	unsigned i;

	if (f == NULL || sodium_init() == -1)
		return 71;
	daemon_init(&f->d, "quire-smtpd");
	f->loop = ev_default_loop(EVBACKEND_EPOLL);
	link_init(&f->auth, f->loop, "quire-authd", auth_said, auth_gone, f);
	link_init(&f->check, f->loop, "quire-check", check_said, check_gone, f);
	door_init(&f->door, seed());
	configure(f);
	if (f->config == NULL)
		return 78;
	spool.fd = f->d.spool_dir;
	spool_sweep(f);
	daemon_confine(&f->d, &smtpd_profile, &spool, 1);
	ev_io_init(&f->ctl, ctl_cb, f->d.ctl, EV_READ);
	f->ctl.data = f;
	ev_io_start(f->loop, &f->ctl);
	watch_peers(f);
	for (i = 0; i < f->d.nlisteners; i++) {
		ev_io_init(
		    &f->listeners[i], accept_cb, f->d.listeners[i].fd, EV_READ);
		f->listeners[i].data = f;
		ev_io_start(f->loop, &f->listeners[i]);
	}
	ev_run(f->loop, 0);
	return 0;
}
