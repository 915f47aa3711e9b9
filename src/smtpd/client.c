/*
 * client - a connection's life: its session is run on what the peer says, and
 * what the session wants is served (wants.c) until it has to wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "smtpd.h"
#include "system/log/log.h"

/* Frees the struct; a conn that is still there is cut. */
static void
client_free(struct client *cl)
{
	struct smtpd *f = cl->front;

	idtable_drop(&f->base.clients, cl->id);
	if (cl->is_counted)
		door_leave(&f->base.door, &cl->addr);
	ev_timer_stop(f->base.loop, &cl->delay);
	ev_timer_stop(f->base.loop, &cl->idle);
	ev_timer_stop(f->base.loop, &cl->data);
	slow_release(&cl->slow);
	if (cl->wait == WAIT_AUTH)
		auth_cancel(cl);
	check_release(cl);
	deliver_forget(cl);
	spool_close(f, &cl->spool);
	smtp_session_free(&cl->session);
	if (cl->conn != NULL)
		conn_abort(cl->conn);
	free(cl);
	front_left(&f->base);
}

static bool
is_slow(const struct client *cl)
{
	return !cl->listener->no_limits && slow_can(&cl->slow) &&
	       smtp_session_is_slow(cl->session);
}

/* The replies are said, or the tick before a read is over. */
static void
slow_is_over(void *user)
{
	struct client *cl = user;

	/* otherwise it waits for something else, and goes on after that */
	if (cl->wait == WAIT_SLOW) {
		cl->wait = WAIT_INPUT;
		client_run(cl);
	}
}

void
client_flush(struct client *cl)
{
	struct buf *out = smtp_session_out(cl->session);

	if (out->n == 0)
		return;
	cl->has_progress = true;
	LOG_TRACE("smtp.out", F_STR("lines", str_trim(buf_str(out))));
	if (is_slow(cl))
		slow_put(&cl->slow, cl->conn, buf_str(out));
	else {
		slow_flush(&cl->slow); /* it was slow until now */
		conn_write(cl->conn, buf_str(out));
	}
	buf_clear(out);
}

void
client_close(struct client *cl)
{
	struct conn *c = cl->conn;

	LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
	    F_CSTR("why", "quit or refused"));
	slow_flush(&cl->slow);
	cl->conn = NULL;
	client_free(cl);
	conn_close(c);
}

/* Shutdown or time-out: 421, then the end. */
void
client_end(struct client *cl, const char *enhanced, const char *text)
{
	struct str none = STR("");

	smtp_session_end(cl->session, enhanced, str_from(text));
	(void)smtp_session_run(cl->session, &none);
	client_flush(cl);
	client_close(cl);
}

void
client_run(struct client *cl)
{
	struct smtpd *f = cl->front;
	uint32_t id = cl->id;
	bool more = true;

	if (cl->is_running)
		return; /* an answer came at once: the loop below goes on */
	cl->is_running = true;
	log_set_sid(str_from(cl->cid));
	while (more) {
		struct str in = conn_input(cl->conn);
		size_t before = in.n;
		enum smtp_want want = smtp_session_run(cl->session, &in);

		conn_consume(cl->conn, before - in.n);
		more = client_serve(cl, want);
		if (idtable_get(&f->base.clients, id) == NULL) {
			log_set_sid(STR(""));
			return;
		}
	}
	cl->is_running = false;
	/* a byte now and then is not a command: the clock goes on until one
	 * was answered, or message data came */
	if (cl->has_progress)
		ev_timer_again(f->base.loop, &cl->idle);
	cl->has_progress = false;
	conn_pause(cl->conn, cl->wait != WAIT_INPUT);
	log_set_sid(STR(""));
}

static void
delay_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;

	smtp_session_delayed(cl->session);
	cl->wait = WAIT_INPUT;
	client_run(cl);
}

static void
idle_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;

	if (cl->wait != WAIT_INPUT && cl->wait != WAIT_DRAIN) {
		ev_timer_again(loop, w); /* it is we who keep it waiting */
		return;
	}
	client_end(cl, "4.4.2", "timed out waiting for you");
}

static void
data_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	client_end(w->data, "4.4.2", "the message took too long");
}

static void
tls_is_up(struct client *cl)
{
	SSL *ssl = conn_ssl(cl->conn);

	snprintf(cl->tls, sizeof(cl->tls), "%s %s", SSL_get_version(ssl),
	    SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
	cl->wait = WAIT_INPUT;
	if (cl->listener->service == SERVICE_SUBMISSIONS) {
		smtp_session_set_tls(cl->session, str_from(cl->tls), true);
		smtp_session_greet(cl->session);
	} else
		smtp_session_tls_is_up(cl->session, str_from(cl->tls), true);
	client_run(cl);
}

static void
on_conn(struct conn *c, enum conn_event ev, void *user)
{
	struct client *cl = user;

	switch (ev) {
	case CONN_TLS_UP:
		tls_is_up(cl);
		break;
	case CONN_INPUT:
		if (cl->wait == WAIT_INPUT && is_slow(cl)) {
			cl->wait = WAIT_SLOW;
			slow_read(&cl->slow, c);
		} else if (cl->wait == WAIT_INPUT)
			client_run(cl);
		else if (!first_is_on(cl))
			conn_pause(c, true);
		break;
	case CONN_DRAINED:
		if (cl->wait == WAIT_DRAIN) {
			cl->wait = WAIT_INPUT;
			client_run(cl);
		}
		break;
	case CONN_EOF:
		/* who has no time for us does not get its mail filed */
		if (first_is_on(cl)) {
			client_end(cl, "4.4.2",
			    "you left before the message was filed");
			break;
		}
		/* a half-closed client still gets its answer */
		if (cl->wait != WAIT_INPUT)
			break;
		/* FALLTHROUGH */
	case CONN_CLOSED:
		log_set_sid(str_from(cl->cid));
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why",
			ev == CONN_EOF ? "closed by client" : conn_why(c)));
		log_set_sid(STR(""));
		if (ev == CONN_CLOSED)
			cl->conn = NULL;
		client_free(cl);
		break;
	}
}

static bool
has_sender(const struct smtp_mail *mail)
{
	const struct addr_path *p = &mail->reverse_path;

	return p->kind != ADDR_PATH || p->addr.domain.n > 0;
}

/*
 * Refusals are counted, and are events: with the sender, so that one can tell
 * whose mail it was. Most are the client's doing and no news; what is ours is
 * a warning, beside the line of whoever met the cause.
 */
static void
on_reply(void *arg, enum smtp_verb verb, const struct smtp_verdict *v)
{
	struct client *cl = arg;
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	struct buf from;

	if (v->code < 400)
		return;
	metric_count(
	    &cl->front->base.metrics->smtp_errors[verb][metrics_code(v->code)]);
	buf_init(&from, 1024);
	if (has_sender(mail))
		addr_print_path(&from, &mail->reverse_path);
	LOG_AT(v->is_trouble ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "smtp.reject",
	    F_CSTR("command", smtp_verb_name(verb)), F_INT("code", v->code),
	    F_CSTR("enhanced", v->enhanced), F_STR("text", v->text),
	    F_STR("msgfrom", buf_str(&from)), F_CSTR("remote", cl->remote));
	buf_release(&from);
}

static void
init_timers(struct client *cl)
{
	ev_init(&cl->delay, delay_cb);
	ev_init(&cl->data, data_cb);
	ev_init(&cl->idle, idle_cb);
	cl->idle.repeat =
	    (double)cl->front->base.config->limits.smtp_read_ms / 1e3;
	cl->delay.data = cl->data.data = cl->idle.data = cl;
	check_init(cl);
	slow_init(&cl->slow, &cl->front->base, slow_is_over, cl);
	first_init(cl);
}

static void
take_limits(struct smtp_limits *out, const struct config_limits *c)
{
	out->max_size = c->message_size;
	out->max_rcpts = c->recipients;
	out->max_failed_data = (unsigned)c->failed_messages;
	out->slow_after = (unsigned)c->slow_after;
	out->login_wait_ms = (unsigned)c->login_wait_ms;
	out->unknown_delay_ms = (unsigned)c->unknown_rcpts_ms;
}

static struct smtp_session *
new_session(struct client *cl)
{
	const struct config *c = cl->front->base.config;
	const struct daemon_listener *l = cl->listener;

	/* borrowed by the session for its life */
	cl->options = (struct smtp_options){
		.kind = l->service == SERVICE_SMTP ? SMTP_MX : SMTP_SUBMISSION,
		.hostname = c->hostname,
		.local_ip = str_from(cl->local),
		.peer_ip = str_from(cl->remote),
		.cid = str_from(cl->cid),
		.has_starttls = cl->front->base.tls != NULL,
		.auth_without_tls = l->plain_login,
		.is_localserve = c->error_localparts,
		.trusts_xclient =
		    xclient_is_front(&cl->front->base, l, cl->remote),
		.checks_helo =
		    l->service == SERVICE_SMTP && config_has_checks(c),
		.limits = smtp_limits_default,
		.on_reply = on_reply,
		.arg = cl,
	};

	take_limits(&cl->options.limits, &c->limits);
	return smtp_session_new(&cl->options);
}

void
client_start(struct front *base, const struct front_peer *p)
{
	struct smtpd *f = (struct smtpd *)base;
	struct client *cl = xcalloc(1, sizeof(*cl));

	cl->front = f;
	cl->listener = p->listener;
	cl->spool.fd = cl->spool.reader = -1;
	TAILQ_INIT(&cl->jobs);
	cl->number = ++f->base.counter;
	str_copy(str_from(p->remote), cl->remote, sizeof(cl->remote));
	if (p->counted != NULL) {
		cl->addr = *p->counted;
		cl->is_counted = true;
	}
	if (p->local != NULL)
		str_copy(str_from(p->local), cl->local, sizeof(cl->local));
	else
		accept_local_address(p->fd, cl->local);
	cid_make(buf_str(&f->base.d.cid_key), cl->number, cl->cid);
	cl->id = idtable_put(&f->base.clients, cl);
	init_timers(cl);
	log_set_sid(str_from(cl->cid));
	LOG_INFO("connect", F_CSTR("remote", p->remote),
	    F_CSTR("service", service_names[p->listener->service]),
	    F_INT("cid", cl->number));
	log_set_sid(STR(""));
	cl->session = new_session(cl);
	cl->conn =
	    conn_new(f->base.loop, p->fd, &f->base.timeouts, on_conn, cl);
	if (p->listener->service == SERVICE_SUBMISSIONS) {
		cl->wait = WAIT_TLS;
		conn_start_tls(cl->conn, front_tls(&f->base, cl->listener));
		return;
	}
	smtp_session_greet(cl->session);
	client_run(cl);
}
