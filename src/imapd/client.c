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
	if (cl->is_slow)
		slow_put(&cl->slow, cl->conn, buf_str(&b));
	else
		conn_write(cl->conn, buf_str(&b));
	buf_release(&b);
}

void
client_refuse(struct client *cl, enum metrics_imap how, const char *text)
{
	metric_count(&cl->front->base.metrics->imap_errors[cl->verb][how]);
	client_say(cl, "%s %s %s", cl->tag[0] == '\0' ? "*" : cl->tag,
	    how == METRICS_NO ? "NO" : "BAD", text);
}

/* Goodbye with a reason; the client struct is gone afterwards. */
void
client_bye(struct client *cl, const char *text)
{
	struct conn *c = cl->conn;

	client_say(cl, "* BYE %s", text);
	slow_flush(&cl->slow);
	cl->conn = NULL;
	client_free(cl);
	conn_close(c);
}

/* Frees the struct; a conn that is still there is cut. */
void
client_free(struct client *cl)
{
	struct imapd *f = cl->front;

	idtable_drop(&f->base.clients, cl->id);
	if (cl->is_counted)
		door_leave(&f->base.door, &cl->addr);
	ev_timer_stop(f->base.loop, &cl->login);
	auth_release(cl);
	slow_release(&cl->slow);
	if (cl->conn != NULL)
		conn_abort(cl->conn);
	if (cl->session != NULL)
		conn_abort(cl->session);
	imap_reader_free(&cl->reader);
	arena_release(&cl->arena);
	free(cl);
	front_left(&f->base);
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
		ev_timer_again(cl->front->base.loop, &cl->login);
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
			login_read(cl);
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

void
client_start(struct front *base, const struct front_peer *p)
{
	struct imapd *f = (struct imapd *)base;
	struct client *cl = xcalloc(1, sizeof(*cl));

	cl->front = f;
	cl->listener = p->listener;
	cl->is_first = true;
	cl->verb = IMAP_VERBS;
	cl->number = ++f->base.counter;
	arena_init(&cl->arena, IMAP_ARENA_MAX);
	str_copy(str_from(p->remote), cl->remote, sizeof(cl->remote));
	if (p->counted != NULL) {
		cl->addr = *p->counted;
		cl->is_counted = true;
	}
	cid_make(buf_str(&f->base.d.cid_key), cl->number, cl->cid);
	cl->id = idtable_put(&f->base.clients, cl);
	cl->reader = imap_reader_new(&(struct imap_reader_opts){ 0 });
	log_set_sid(str_from(cl->cid));
	LOG_INFO("connect", F_CSTR("remote", p->remote),
	    F_CSTR("service", service_names[p->listener->service]),
	    F_INT("cid", cl->number));
	auth_init(cl);
	slow_init(&cl->slow, &f->base, login_go_on, cl);
	ev_init(&cl->login, login_cb);
	cl->login.repeat = (double)f->base.config->limits.imap_login_ms / 1e3;
	cl->login.data = cl;
	ev_timer_again(f->base.loop, &cl->login);
	cl->conn =
	    conn_new(f->base.loop, p->fd, &f->base.timeouts, on_conn, cl);
	if (p->listener->service == SERVICE_IMAPS) {
		cl->state = CLIENT_TLS;
		conn_start_tls(cl->conn, front_tls(&f->base, cl->listener));
	} else {
		cl->state = CLIENT_GREETED;
		login_greet(cl);
	}
	log_set_sid(STR(""));
}
