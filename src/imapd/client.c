#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "imapd.h"
#include "system/log/log.h"

void
client_say(struct client *cl, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 16384);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_puts(&b, "\r\n");
	LOG_TRACE("imap.out", F_STR("line", str_trim(buf_str(&b))));
	conn_write(cl->conn, buf_str(&b));
	buf_release(&b);
}

/* Goodbye with a reason; the client struct is gone afterwards. */
void
client_bye(struct client *cl, const char *text)
{
	struct conn *c = cl->conn;

	client_say(cl, "* BYE %s", text);
	cl->conn = NULL;
	client_free(cl);
	conn_close(c);
}

/* Frees the struct; a conn that is still there is cut. */
void
client_free(struct client *cl)
{
	struct imapd *f = cl->front;

	idtable_drop(&f->clients, cl->id);
	if (cl->is_counted)
		door_leave(&f->door, &cl->addr);
	ev_timer_stop(f->loop, &cl->login);
	login_release(cl);
	if (cl->conn != NULL)
		conn_abort(cl->conn);
	if (cl->session != NULL)
		conn_abort(cl->session);
	imap_reader_free(&cl->reader);
	arena_release(&cl->arena);
	free(cl);
	if (f->stopping && f->clients.live == 0)
		ev_break(f->loop, EVBREAK_ALL);
}

static void
login_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;

	/* while authd or quired has it, it is not the client who is slow */
	if (cl->state == CLIENT_AUTH || cl->state == CLIENT_STARTING) {
		ev_timer_again(loop, w);
		return;
	}
	log_set_sid(str_from(cl->cid));
	LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
	    F_CSTR("why", "timed out before login"));
	if (cl->state == CLIENT_TLS || cl->state == CLIENT_STARTTLS)
		client_free(cl);
	else
		client_bye(cl, "timed out waiting for you to log in");
	log_set_sid(STR(""));
}

void
client_progress(struct client *cl)
{
	if (cl->session == NULL)
		ev_timer_again(cl->front->loop, &cl->login);
}

static void
on_conn(struct conn *c, enum conn_event ev, void *user)
{
	struct client *cl = user;

	log_set_sid(str_from(cl->cid));
	switch (ev) {
	case CONN_TLS_UP:
		LOG_DEBUG(
		    "tls.up", F_CSTR("version", SSL_get_version(conn_ssl(c))));
		if (cl->state == CLIENT_TLS)
			login_greet(cl);
		cl->state = CLIENT_GREETED;
		break;
	case CONN_INPUT:
		if (cl->state == CLIENT_GREETED ||
		    cl->state == CLIENT_AUTH_LINE)
			login_input(cl);
		else
			conn_pause(c, true);
		break;
	case CONN_DRAINED:
		break;
	case CONN_EOF:
	case CONN_CLOSED:
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why",
			ev == CONN_EOF ? "closed by client" : conn_why(c)));
		if (ev == CONN_CLOSED)
			cl->conn = NULL;
		client_free(cl);
		break;
	}
	log_set_sid(STR(""));
}

static void
start(struct imapd *f, const struct daemon_listener *l, int fd,
    const char *remote, const struct limit_addr *counted)
{
	struct client *cl = xcalloc(1, sizeof(*cl));

	cl->front = f;
	cl->listener = l;
	cl->is_first = true;
	cl->number = ++f->counter;
	arena_init(&cl->arena, IMAP_ARENA_MAX);
	str_copy(str_from(remote), cl->remote, sizeof(cl->remote));
	if (counted != NULL) {
		cl->addr = *counted;
		cl->is_counted = true;
	}
	cid_make(buf_str(&f->d.cid_key), cl->number, cl->cid);
	cl->id = idtable_put(&f->clients, cl);
	cl->reader = imap_reader_new(&(struct imap_reader_opts){ 0 });
	log_set_sid(str_from(cl->cid));
	LOG_INFO("connect", F_CSTR("remote", remote),
	    F_CSTR("service", service_names[l->service]),
	    F_INT("cid", cl->number));
	login_init(cl);
	ev_init(&cl->login, login_cb);
	cl->login.repeat = (double)f->config->limits.imap_login_ms / 1e3;
	cl->login.data = cl;
	ev_timer_again(f->loop, &cl->login);
	cl->conn = conn_new(f->loop, fd, &f->timeouts, on_conn, cl);
	if (l->service == SERVICE_IMAPS) {
		cl->state = CLIENT_TLS;
		conn_start_tls(cl->conn, f->tls);
	} else {
		cl->state = CLIENT_GREETED;
		login_greet(cl);
	}
	log_set_sid(STR(""));
}

static void
refuse(const struct daemon_listener *l, int fd, const char *remote,
    const char *setting, const char *line)
{
	LOG_INFO("limited", F_CSTR("remote", remote),
	    F_CSTR("service", service_names[l->service]),
	    F_CSTR("limit", setting));
	accept_refuse(fd, line);
}

/* One more connection, if all limits allow it. */
static void
enter(struct imapd *f, const struct daemon_listener *l, int fd,
    const char *remote)
{
	const struct config_limits *max = &f->config->limits;
	enum door_verdict v;
	struct limit_addr a;

	if (f->clients.live >= max->connections) {
		refuse(l, fd, remote, "connections",
		    "* BYE [UNAVAILABLE] too many connections, try later\r\n");
		return;
	}
	if (l->no_limits || !limit_addr_parse(&a, str_from(remote))) {
		start(f, l, fd, remote, NULL);
		return;
	}
	v = door_enter(&f->door, max, &a, date_now());
	if (v == DOOR_OPEN)
		start(f, l, fd, remote, &a);
	else
		refuse(l, fd, remote, door_settings[v],
		    "* BYE [LIMIT] too many connections from your network, try "
		    "later\r\n");
}

/* What the header's callback has to know. */
struct passed {
	struct imapd *front;
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
		enter(p.front, p.listener, fd, remote);
	else
		enter(p.front, p.listener, fd, h->source);
}

static void
receive(struct imapd *f, const struct daemon_listener *l, int fd,
    const char *remote)
{
	const struct config_listener *c =
	    config_listener(f->config, str_from(l->name));
	struct passed *p;

	if (c == NULL || !c->has_proxy) {
		enter(f, l, fd, remote);
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
client_accept(struct imapd *f, const struct daemon_listener *l)
{
	char remote[ADDR_TEXT];
	int rounds = ACCEPT_BURST, fd;

	while (rounds-- > 0 && (fd = accept_next(l->fd, remote)) != -1)
		receive(f, l, fd, remote);
}
