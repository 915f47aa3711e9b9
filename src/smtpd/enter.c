#include <stdlib.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "smtpd.h"
#include "system/log/log.h"

#define TOO_MANY "too many connections from your network, try again later"

/*
 * From accept() to a client: listener --> [header of a proxy] --> limits -->
 * client_start(); and a client whose front says that it is another one.
 */

static void
refuse(const struct daemon_listener *l, int fd, const char *remote,
    const char *setting, const char *line)
{
	LOG_INFO("limited", F_CSTR("remote", remote),
	    F_CSTR("service", service_names[l->service]),
	    F_CSTR("limit", setting));
	accept_refuse(fd, line);
}

bool
enter_is_front(
    const struct smtpd *f, const struct daemon_listener *l, const char *remote)
{
	const struct config_listener *c =
	    config_listener(f->config, str_from(l->name));

	return c != NULL && door_trusts(&c->xclient_from, remote);
}

/* One more connection, if all limits allow it; local: as a proxy says. A
 * front's own address is not counted, those it speaks for are. */
static void
enter(struct smtpd *f, const struct daemon_listener *l, int fd,
    const char *remote, const char *local)
{
	const struct config_limits *max = &f->config->limits;
	enum door_verdict v;
	struct limit_addr a;

	if (f->clients.live >= max->connections) {
		refuse(l, fd, remote, "connections",
		    "421 4.3.2 too many connections, try again later\r\n");
		return;
	}
	if (l->no_limits || enter_is_front(f, l, remote) ||
	    !limit_addr_parse(&a, str_from(remote))) {
		client_start(f, l, fd, remote, local, NULL);
		return;
	}
	v = door_enter(&f->door, max, &a, date_now());
	if (v == DOOR_OPEN)
		client_start(f, l, fd, remote, local, &a);
	else
		refuse(l, fd, remote, door_settings[v],
		    "421 4.7.0 " TOO_MANY "\r\n");
}

/* Let in by the limits of its address now, whatever it was before? */
static bool
enter_again(struct client *cl)
{
	struct smtpd *f = cl->front;
	enum door_verdict v;

	if (cl->is_counted)
		door_leave(&f->door, &cl->addr);
	cl->is_counted = false;
	if (cl->listener->no_limits ||
	    !limit_addr_parse(&cl->addr, str_from(cl->remote)))
		return true;
	v = door_enter(&f->door, &f->config->limits, &cl->addr, date_now());
	cl->is_counted = v == DOOR_OPEN;
	if (v != DOOR_OPEN)
		LOG_INFO("limited", F_CSTR("remote", cl->remote),
		    F_CSTR("service", service_names[cl->listener->service]),
		    F_CSTR("limit", door_settings[v]));
	return v == DOOR_OPEN;
}

/* An address that the front does not know leaves the one that we know. */
void
enter_xclient(struct client *cl)
{
	static const struct smtp_verdict too_many = { 421, "4.7.0",
		STR_INIT(TOO_MANY) };
	const struct xclient_value *v = smtp_session_xclient(cl->session)->v;
	bool may = true;

	LOG_INFO("xclient", F_CSTR("front", cl->remote),
	    F_STR("remote", v[XCLIENT_ADDR].text),
	    F_STR("name", v[XCLIENT_NAME].text),
	    F_STR("login", v[XCLIENT_LOGIN].text));
	if (v[XCLIENT_DESTADDR].state == XCLIENT_GIVEN)
		str_copy(
		    v[XCLIENT_DESTADDR].text, cl->local, sizeof(cl->local));
	if (v[XCLIENT_ADDR].state == XCLIENT_GIVEN) {
		str_copy(v[XCLIENT_ADDR].text, cl->remote, sizeof(cl->remote));
		may = enter_again(cl);
	}
	cl->options.local_ip = str_from(cl->local);
	cl->options.peer_ip = str_from(cl->remote);
	smtp_session_xclient_is(cl->session, may ? NULL : &too_many);
}

/* What the header's callback has to know. */
struct passed {
	struct smtpd *front;
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
receive(struct smtpd *f, const struct daemon_listener *l, int fd,
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

void
client_accept(struct smtpd *f, const struct daemon_listener *l)
{
	char remote[ADDR_TEXT];
	int rounds = ACCEPT_BURST, fd;

	while (rounds-- > 0 && (fd = accept_next(l->fd, remote)) != -1)
		receive(f, l, fd, remote);
}
