#include "service/front/front.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/log/log.h"

#define STOP_S 3. /* clients have so long to go */

/* ---- configuration and certificates ---- */

/* false: the one before stays */
static bool
renew_tls(
    SSL_CTX **at, const struct tls_cert *v, size_t n, const struct tls_opts *o)
{
	struct err e;
	SSL_CTX *tls = tls_server_ctx(v, n, o, &e);

	if (tls == NULL) {
		LOG_ERROR("tls.config", F_ERR(&e));
		return false;
	}
	SSL_CTX_free(*at); /* live sessions hold theirs */
	*at = tls;
	return true;
}

static void
configure_tls(struct front *f)
{
	struct tls_opts o = {
		.minimum = f->config->tls_minimum == TLS_MINIMUM_1_3 ?
			       TLS1_3_VERSION :
			       TLS1_2_VERSION,
		.has_tickets = f->ops->has_tickets,
		.is_strict = true,
	};
	struct tls_cert *v = xcalloc(CONFIG_MAX_TLS_HOSTS + 1, sizeof(*v));
	size_t n =
	    tls_certs_unpack(buf_str(&f->d.tls), v, CONFIG_MAX_TLS_HOSTS + 1);

	if (n == 0)
		LOG_ERROR(
		    "tls.config", F_CSTR("err", "malformed certificates"));
	else if (renew_tls(&f->tls, v, n, &o)) {
		o.is_strict = false;
		(void)renew_tls(&f->tls_any_name, v, n, &o);
	}
	free(v);
}

/* Who has begun with it goes on. */
static void
drop_tls(struct front *f)
{
	SSL_CTX_free(f->tls);
	SSL_CTX_free(f->tls_any_name);
	f->tls = f->tls_any_name = NULL;
}

static void
configure(struct front *f)
{
	struct config *c = config_snapshot(buf_str(&f->d.config));

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
	if (f->d.tls.n == 0)
		drop_tls(f);
	else if (f->config != NULL)
		configure_tls(f);
}

/* Mail is better taken under another name's certificate than in the clear,
 * which is what a sender does whose handshake failed (RFC 7435). */
SSL_CTX *
front_tls(const struct front *f, const struct daemon_listener *l)
{
	return l->service == SERVICE_SMTP ? f->tls_any_name : f->tls;
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
	for (i = 0; i < DAEMON_MAX_LISTENERS; i++)
		ev_io_stop(f->loop, &f->accepts[i].io);
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

/* quired shuts a listener down that a reload has removed, and says so; what it
 * says may be late, or lost where the channel is full. */
static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct front_accept *a =
	    (struct front_accept *)w; /* its first member */
	struct daemon_listener *l = a->listener;

	if (front_accept(w->data, l))
		return;
	LOG_INFO("listener.closed", F_STR("listener", str_from(l->name)),
	    F_STR("address", str_from(l->address)),
	    F_CSTR("service", service_names[l->service]));
	ev_io_stop(loop, w);
	l->is_gone = true;
}

/* Those that are new, and no more those that are gone. */
static void
listen_on(struct front *f)
{
	unsigned i;

	for (i = 0; i < DAEMON_MAX_LISTENERS; i++) {
		struct daemon_listener *l = f->d.listeners[i];
		struct front_accept *a = &f->accepts[i];

		if (l == NULL)
			continue;
		if (l->is_gone) {
			ev_io_stop(f->loop, &a->io);
			close(l->fd);
			f->d.listeners[i] = NULL;
		} else if (!ev_is_active(&a->io) && !f->stopping) {
			ev_io_init(&a->io, accept_cb, l->fd, EV_READ);
			a->io.data = f;
			a->listener = l;
			ev_io_start(f->loop, &a->io);
		}
	}
}

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
		listen_on(f);
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
	daemon_confine(&f->d, f->ops->profile, dirs, n);
	ev_io_init(&f->ctl, ctl_cb, f->d.ctl, EV_READ);
	f->ctl.data = f;
	ev_io_start(f->loop, &f->ctl);
	use_peers(f);
	listen_on(f);
	ev_run(f->loop, 0);
}
