#include "service/front/front.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "system/log/log.h"

#define STOP_S 3. /* clients have so long to go */

static void
configure(struct front *f)
{
	struct config *c = config_snapshot(buf_str(&f->d.config));
	struct err e;
	SSL_CTX *tls;

	if (c != NULL) {
		if (!f->ops->keeps_configs)
			config_free(&f->config);
		f->config = c;
		f->timeouts = (struct conn_timeouts){
			.read_ms = 0, /* the protocol's own clock */
			.write_ms = (unsigned)c->limits.write_ms,
			.handshake_ms = (unsigned)c->limits.handshake_ms,
		};
	}
	if (f->d.key.n == 0)
		return;
	tls = tls_server_ctx(
	    buf_str(&f->d.cert), buf_str(&f->d.key), f->ops->has_tickets, &e);
	if (tls == NULL) {
		LOG_ERROR("tls.config", F_ERR(&e));
		return;
	}
	SSL_CTX_free(f->tls); /* live sessions hold theirs */
	f->tls = tls;
}

static void
stop_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static void
stop(struct front *f)
{
	unsigned i;

	f->stopping = true;
	for (i = 0; i < f->d.nlisteners; i++)
		ev_io_stop(f->loop, &f->listeners[i]);
	f->ops->stop(f);
	ev_timer_init(&f->stop_timer, stop_cb, STOP_S, 0.);
	ev_timer_start(f->loop, &f->stop_timer);
	front_left(f);
}

void
front_left(struct front *f)
{
	if (f->stopping && f->clients.live == 0)
		ev_break(f->loop, EVBREAK_ALL);
}

/* ---- channels to other programs ---- */

static void
link_said(void *user, struct ipc_msg *m)
{
	struct front_link *l = user;

	l->said(l->front, m);
}

static void
link_lost(void *user, int fd)
{
	struct front_link *l = user;

	daemon_peer_lost(&l->front->d, fd);
	l->lost(l->front);
}

void
front_link_init(struct front_link *l, struct front *f, enum prog prog,
    void (*said)(struct front *, struct ipc_msg *),
    void (*lost)(struct front *))
{
	link_init(&l->link, f->loop, prog_names[prog], link_said, link_lost, l);
	l->front = f;
	l->prog = prog;
	l->said = said;
	l->lost = lost;
	l->next = f->links;
	f->links = l;
}

static void
use_peers(struct front *f)
{
	struct front_link *l;

	for (l = f->links; l != NULL; l = l->next)
		link_use(&l->link, daemon_peer_fd(&f->d, l->prog, 0));
}

/* ---- serving ---- */

static void
ctl_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct front *f = w->data;
	struct ipc_msg m;

	switch (daemon_receive(&f->d, &m)) {
	case DAEMON_NONE:
		break;
	case DAEMON_CONFIG:
		configure(f);
		break;
	case DAEMON_PEER:
		use_peers(f);
		break;
	case DAEMON_STOP:
	case DAEMON_LOST:
		ev_io_stop(loop, w);
		stop(f);
		break;
	case DAEMON_MESSAGE:
		f->ops->message(f, &m);
		ipc_close_fds(&m);
		break;
	}
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct front *f = w->data;

	front_accept(f, &f->d.listeners[w - f->listeners]);
}

/* Before it is confined: the page stays mapped. */
static int
open_metrics(struct front *f)
{
	struct err e;

	f->metrics = metrics_map(f->d.metrics, true, &e);
	if (f->metrics == NULL) {
		LOG_ERROR("metrics", F_ERR(&e));
		return -1;
	}
	close(f->d.metrics);
	f->d.metrics = -1;
	return 0;
}

int
front_init(struct front *f, const struct front_ops *ops)
{
	uint64_t seed;

	if (sodium_init() == -1)
		return 71;
	f->ops = ops;
	daemon_init(&f->d, ops->prog);
	f->loop = ev_default_loop(EVBACKEND_EPOLL);
	randombytes_buf(&seed, sizeof(seed));
	door_init(&f->door, seed);
	configure(f);
	if (f->config == NULL)
		return 78;
	return open_metrics(f) == -1 ? 71 : 0;
}

void
front_run(struct front *f, const struct confine_dir *dirs, size_t n)
{
	unsigned i;

	daemon_confine(&f->d, f->ops->profile, dirs, n);
	ev_io_init(&f->ctl, ctl_cb, f->d.ctl, EV_READ);
	f->ctl.data = f;
	ev_io_start(f->loop, &f->ctl);
	use_peers(f);
	for (i = 0; i < f->d.nlisteners; i++) {
		ev_io_init(
		    &f->listeners[i], accept_cb, f->d.listeners[i].fd, EV_READ);
		f->listeners[i].data = f;
		ev_io_start(f->loop, &f->listeners[i]);
	}
	ev_run(f->loop, 0);
}
