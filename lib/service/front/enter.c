#include <stdlib.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/front/front.h"
#include "system/log/log.h"

static void
limited(struct front *f, const struct daemon_listener *l, const char *remote,
    const char *setting)
{
	metric_count(&f->metrics->refused[l->service]);
	LOG_INFO("limited", F_CSTR("remote", remote),
	    F_CSTR("service", service_names[l->service]),
	    F_CSTR("limit", setting));
}

/* One more connection, if all limits allow it. */
static void
enter(struct front *f, const struct daemon_listener *l, int fd,
    const char *remote, const char *local)
{
	const struct config_limits *max = &f->config->limits;
	struct front_peer p = {
		.listener = l, .fd = fd, .remote = remote, .local = local
	};
	enum door_verdict v = DOOR_OPEN;
	struct limit_addr a;

	metric_count(&f->metrics->connections[l->service]);
	if (f->clients.live >= max->connections) {
		limited(f, l, remote, "connections");
		accept_refuse(fd, f->ops->busy);
		return;
	}
	if (!l->no_limits && limit_addr_parse(&a, str_from(remote)) &&
	    (f->ops->is_trusted == NULL || !f->ops->is_trusted(f, l, remote))) {
		v = door_enter(&f->door, max, &a, date_now());
		p.counted = &a;
	}
	if (v == DOOR_OPEN) {
		f->ops->start(f, &p);
		return;
	}
	limited(f, l, remote, door_settings[v]);
	accept_refuse(fd, f->ops->crowded);
}

enum door_verdict
front_enter_again(struct front *f, const struct daemon_listener *l,
    const char *remote, struct limit_addr *a, bool *is_counted)
{
	enum door_verdict v;

	if (*is_counted)
		door_leave(&f->door, a);
	*is_counted = false;
	if (l->no_limits || !limit_addr_parse(a, str_from(remote)))
		return DOOR_OPEN;
	v = door_enter(&f->door, &f->config->limits, a, date_now());
	*is_counted = v == DOOR_OPEN;
	if (v != DOOR_OPEN)
		limited(f, l, remote, door_settings[v]);
	return v;
}

/* What the header's callback has to know. */
struct passed {
	struct front *front;
	const struct daemon_listener *listener;
};

static void
passed_on(void *user, int fd, const char *remote, const struct proxy_header *h,
    const char *why)
{
	struct passed p = *(struct passed *)user;

	free(user);
	if (fd == -1)
		LOG_INFO("proxy.refused", F_CSTR("remote", remote),
		    F_CSTR("why", why));
	else if (p.front->stopping)
		close(fd);
	else if (h->is_local)
		enter(p.front, p.listener, fd, remote, NULL);
	else
		enter(p.front, p.listener, fd, h->source, h->destination);
}

static void
receive(struct front *f, const struct daemon_listener *l, int fd,
    const char *remote)
{
	const struct config_listener *c =
	    config_listener(f->config, str_from(l->name));
	struct passed *p;

	if (c == NULL || !c->has_proxy) {
		enter(f, l, fd, remote, NULL);
		return;
	}
	if (!door_trusts(&c->proxy_from, remote)) {
		LOG_INFO("proxy.refused", F_CSTR("remote", remote),
		    F_CSTR("why", "not in proxy-from"));
		close(fd);
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->front = f;
	p->listener = l;
	if (!proxied_start(
		f->loop, fd, remote, f->timeouts.handshake_ms, passed_on, p)) {
		LOG_WARN("proxy.refused", F_CSTR("remote", remote),
		    F_CSTR("why", "too many wait for their header"));
		free(p);
	}
}

bool
front_accept(struct front *f, const struct daemon_listener *l)
{
	char remote[ADDR_TEXT];
	int rounds = ACCEPT_BURST, fd = ACCEPT_NONE;

	while (rounds-- > 0 && (fd = accept_next(l->fd, remote)) >= 0)
		receive(f, l, fd, remote);
	return fd != ACCEPT_CLOSED;
}
