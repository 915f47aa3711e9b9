#include <string.h>

#include <sodium.h>

#include "base/b64.h"
#include "imapd.h"
#include "system/io/tls.h"
#include "system/log/log.h"

/*
 * What may be said before login (RFC 9051, 6.1, 6.2). Verdicts about a
 * password are authd's; this only carries the exchange.
 */

#define MAX_FAILURES 10 /* then BYE */

static bool
is_tls(const struct client *cl)
{
	return cl->conn != NULL && conn_is_tls(cl->conn);
}

/* Passwords and SASL only where nobody can listen. */
static bool
may_login(const struct client *cl)
{
	return is_tls(cl) || cl->listener->plain_login;
}

static void
put_capabilities(struct client *cl, struct buf *b)
{
	buf_puts(b, "CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL+ SASL-IR ENABLE "
		    "ID");
	if (cl->front->base.tls != NULL && !is_tls(cl))
		buf_puts(b, " STARTTLS");
	if (!may_login(cl)) {
		buf_puts(b, " LOGINDISABLED");
		return;
	}
	if (is_tls(cl))
		buf_puts(b, " AUTH=SCRAM-SHA-256-PLUS");
	buf_puts(b, " AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN");
}

void
login_greet(struct client *cl)
{
	struct buf b;

	buf_init(&b, 1024);
	put_capabilities(cl, &b);
	client_say(cl, "* OK [%s] %.*s Quire", buf_cstr(&b),
	    STR_ARG(cl->front->base.config->hostname));
	buf_release(&b);
}

static void
send_auth(struct client *cl, struct buf *out)
{
	if (!link_send(&cl->front->auth.link, out))
		login_result(cl, &(struct msg_auth_result){ AUTH_TEMP });
}

/* A password was in it. */
static void
drop_held(struct client *cl)
{
	ev_timer_stop(cl->front->base.loop, &cl->wait);
	if (cl->held.p != NULL)
		sodium_memzero(cl->held.p, cl->held.n);
	buf_clear(&cl->held);
}

static void
wait_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;
	struct buf out;

	buf_init(&out, IPC_MAX);
	buf_put(&out, buf_str(&cl->held));
	drop_held(cl);
	log_set_sid(str_from(cl->cid));
	send_auth(cl, &out);
	log_set_sid(STR(""));
	sodium_memzero(out.p, out.n);
	buf_release(&out);
}

static void slow_is_over(void *);

void
login_init(struct client *cl)
{
	buf_init(&cl->held, IPC_MAX);
	ev_init(&cl->wait, wait_cb);
	cl->wait.data = cl;
	slow_init(&cl->slow, &cl->front->base, slow_is_over, cl);
}

void
login_release(struct client *cl)
{
	drop_held(cl);
	buf_release(&cl->held);
	slow_release(&cl->slow);
}

/* Features 1.5.2 */
static bool
is_guessing(const struct client *cl)
{
	const struct config_limits *l = &cl->front->base.config->limits;

	return l->slow_after > 0 && cl->failures >= l->slow_after &&
	       !cl->listener->no_limits && slow_can(&cl->slow);
}

/* Each attempt longer than the one before: features 1.5.3 */
static double
wait_s(const struct client *cl)
{
	const struct config_limits *l = &cl->front->base.config->limits;

	if (cl->listener->no_limits || l->slow_after == 0 ||
	    cl->failures <= l->slow_after)
		return 0.;
	return (double)((cl->failures - l->slow_after) * l->login_wait_ms) /
	       1e3;
}

/* Who guesses waits; nobody else does. */
static void
send_or_hold(struct client *cl, struct buf *out)
{
	double wait = wait_s(cl);

	if (wait <= 0.) {
		send_auth(cl, out);
		return;
	}
	buf_put(&cl->held, buf_str(out));
	ev_timer_set(&cl->wait, wait, 0.);
	ev_timer_start(cl->front->base.loop, &cl->wait);
}

static void
start_auth(struct client *cl, struct msg_auth_start *m)
{
	struct buf out, exporter, end_point;
	SSL *ssl = conn_ssl(cl->conn);

	buf_init(&out, IPC_MAX);
	buf_init(&exporter, 64);
	buf_init(&end_point, 128);
	m->is_tls = is_tls(cl);
	m->plus_advertised = m->is_tls;
	m->no_limits = cl->listener->no_limits;
	m->remote = str_from(cl->remote);
	m->service = STR("imap");
	if (ssl != NULL) {
		(void)tls_exporter(ssl, &exporter);
		(void)tls_server_end_point(ssl, &end_point);
	}
	m->exporter = buf_str(&exporter);
	m->end_point = buf_str(&end_point);
	msg_pack_auth_start(&out, cl->id, m);
	cl->state = CLIENT_AUTH;
	conn_pause(cl->conn, true);
	if (out.full)
		login_result(cl, &(struct msg_auth_result){ AUTH_SYNTAX });
	else
		send_or_hold(cl, &out);
	if (out.p != NULL)
		sodium_memzero(out.p, out.n);
	buf_release(&out);
	buf_release(&exporter);
	buf_release(&end_point);
}

static void
run_login(struct client *cl, const struct imap_command *cmd)
{
	struct msg_auth_start m = { .mechanism = STR("PLAIN"),
		.has_initial = true };
	struct buf b;

	if (!may_login(cl)) {
		client_say(
		    cl, "%s NO [PRIVACYREQUIRED] use STARTTLS first", cl->tag);
		return;
	}
	buf_init(&b, 8192);
	buf_putc(&b, '\0');
	buf_put(&b, cmd->u.login.user);
	buf_putc(&b, '\0');
	buf_put(&b, cmd->u.login.password);
	m.initial = buf_str(&b);
	if (b.full || str_has(cmd->u.login.user, '\0') ||
	    str_has(cmd->u.login.password, '\0'))
		client_say(cl,
		    "%s NO [AUTHENTICATIONFAILED] name or password "
		    "too long",
		    cl->tag);
	else
		start_auth(cl, &m);
	if (b.p != NULL)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
}

static void
run_authenticate(struct client *cl, const struct imap_command *cmd)
{
	struct msg_auth_start m = {
		.mechanism = cmd->u.authenticate.mechanism,
		.has_initial = cmd->u.authenticate.has_initial,
	};
	struct str in = cmd->u.authenticate.initial;
	struct buf b;

	if (!may_login(cl)) {
		client_say(
		    cl, "%s NO [PRIVACYREQUIRED] use STARTTLS first", cl->tag);
		return;
	}
	buf_init(&b, 16384);
	/* "=" is an empty initial response (RFC 4959, 3) */
	if (m.has_initial && !str_eq(in, STR("=")) && !b64_decode(&b, in))
		client_say(
		    cl, "%s BAD the initial response is not base64", cl->tag);
	else {
		m.initial = buf_str(&b);
		start_auth(cl, &m);
	}
	buf_release(&b);
}

static void
run_starttls(struct client *cl)
{
	struct conn *c = cl->conn;

	if (cl->front->base.tls == NULL || is_tls(cl)) {
		client_say(cl, "%s BAD STARTTLS is not possible %s", cl->tag,
		    is_tls(cl) ? "twice" : "here");
		return;
	}
	if (imap_reader_rest(cl->reader).n > 0) {
		/* commands sent in the clear behind STARTTLS must never be
		 * carried out as if they had come under TLS */
		client_bye(cl, "plain text after STARTTLS");
		return;
	}
	client_say(cl, "%s OK begin TLS now", cl->tag);
	slow_flush(&cl->slow);
	imap_reader_free(&cl->reader);
	cl->reader = imap_reader_new(&(struct imap_reader_opts){ 0 });
	conn_consume(c, conn_input(c).n);
	cl->state = CLIENT_STARTTLS;
	conn_start_tls(c, cl->front->base.tls);
}

static void
run_capability(struct client *cl)
{
	struct buf b;

	buf_init(&b, 1024);
	put_capabilities(cl, &b);
	client_say(cl, "* %s", buf_cstr(&b));
	client_say(cl, "%s OK CAPABILITY completed", cl->tag);
	buf_release(&b);
}

/* false: the client struct is gone */
static bool
run(struct client *cl, const struct imap_command *cmd)
{
	switch (cmd->verb) {
	case IMAP_CAPABILITY:
		run_capability(cl);
		break;
	case IMAP_NOOP:
		client_say(cl, "%s OK NOOP completed", cl->tag);
		break;
	case IMAP_ID:
		/* the version is told after login only (features 4.2) */
		client_say(cl, "* ID (\"name\" \"Quire\")");
		client_say(cl, "%s OK ID completed", cl->tag);
		break;
	case IMAP_LOGOUT: {
		struct conn *c = cl->conn;

		client_say(cl, "* BYE goodbye");
		client_say(cl, "%s OK LOGOUT completed", cl->tag);
		slow_flush(&cl->slow);
		cl->conn = NULL;
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why", "logout"));
		client_free(cl);
		conn_close(c);
		return false;
	}
	case IMAP_STARTTLS: {
		uint32_t id = cl->id;
		struct imapd *f = cl->front;

		run_starttls(cl);
		return idtable_get(&f->base.clients, id) != NULL;
	}
	case IMAP_LOGIN:
		run_login(cl, cmd);
		break;
	case IMAP_AUTHENTICATE:
		run_authenticate(cl, cmd);
		break;
	default:
		client_say(cl, "%s BAD log in first", cl->tag);
	}
	return true;
}

static bool
command(struct client *cl, struct str text)
{
	const struct imap_parse_opts opts = { .state = IMAP_IN_NONAUTH };
	struct imap_parse_error why = { 0 };
	struct imap_command cmd = { 0 };
	enum imap_parse_result rc;
	bool alive = true;

	client_progress(cl);
	arena_clear(&cl->arena);
	rc = imap_parse(&cl->arena, text, &opts, &cmd, &why);
	str_copy(cmd.tag, cl->tag, sizeof(cl->tag));
	if (rc != IMAP_PARSED && cl->is_first && rc != IMAP_WRONG_STATE) {
		/* a stranger that does not speak IMAP (features 1.3.2) */
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why", "first command is not IMAP"));
		client_bye(cl, "please try again speaking imap");
		return false;
	}
	if (rc == IMAP_PARSED || rc == IMAP_WRONG_STATE)
		cl->is_first = false;
	if (rc == IMAP_PARSED) {
		LOG_TRACE(
		    "imap.in", F_STR("command", imap_verb_name(cmd.verb)));
		alive = run(cl, &cmd);
	} else
		client_say(cl, "%s BAD %s", cl->tag[0] == '\0' ? "*" : cl->tag,
		    rc == IMAP_WRONG_STATE ? "log in first" : why.why);
	return alive;
}

/* The client's answer to a challenge. */
static void
sasl_line(struct client *cl, struct str line)
{
	struct buf b, out;

	buf_init(&b, 16384);
	buf_init(&out, IPC_MAX);
	line = str_trim(line);
	client_progress(cl);
	cl->state = CLIENT_AUTH;
	conn_pause(cl->conn, true);
	if (str_eq(line, STR("*")) || !b64_decode(&b, line)) {
		msg_pack_plain(&out, MSG_AUTH_CANCEL, cl->id);
		(void)link_send(&cl->front->auth.link, &out);
		cl->state = CLIENT_GREETED;
		conn_pause(cl->conn, false);
		client_say(cl, "%s BAD authentication %s", cl->tag,
		    str_eq(line, STR("*")) ? "cancelled" :
					     "answer is not base64");
	} else {
		msg_pack_blob(&out, MSG_AUTH_STEP, cl->id, buf_str(&b));
		if (!link_send(&cl->front->auth.link, &out))
			login_result(
			    cl, &(struct msg_auth_result){ AUTH_TEMP });
	}
	if (b.p != NULL)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
	buf_release(&out);
}

/* Events until the bytes are used up or somebody else must answer first. */
static void
pump(struct client *cl)
{
	struct imapd *f = cl->front;
	uint32_t id = cl->id;
	struct imap_event ev;

	while (cl->state == CLIENT_GREETED || cl->state == CLIENT_AUTH_LINE) {
		if (slow_is_pending(&cl->slow)) {
			conn_pause(cl->conn, true); /* slow_is_over() goes on */
			return;
		}
		switch (imap_reader_next(cl->reader, &ev)) {
		case IMAP_NEED_MORE:
			conn_consume(cl->conn, conn_input(cl->conn).n);
			return;
		case IMAP_CONTINUE:
			client_say(cl, "+ go ahead");
			break;
		case IMAP_COMMAND:
			if (!command(cl, ev.text))
				return;
			break;
		case IMAP_LINE:
			sasl_line(cl, ev.text);
			break;
		case IMAP_BAD:
			if (ev.is_fatal || cl->is_first) {
				client_bye(cl, cl->is_first ?
						   "please try again speaking "
						   "imap" :
						   ev.why);
				return;
			}
			client_say(cl, "%.*s BAD %s%s",
			    STR_ARG(imap_reader_tag(cl->reader).n == 0 ?
					STR("*") :
					imap_reader_tag(cl->reader)),
			    ev.is_toobig ? "[TOOBIG] " : "", ev.why);
			break;
		default: /* APPEND is not streamed before login */
			client_bye(cl, "unexpected literal");
			return;
		}
		if (idtable_get(&f->base.clients, id) == NULL)
			return;
	}
}

void
login_input(struct client *cl)
{
	struct str in = conn_input(cl->conn);

	imap_reader_push(cl->reader, in);
	pump(cl);
}

void
login_read(struct client *cl)
{
	if (!cl->is_slow) {
		login_input(cl);
		return;
	}
	cl->is_ticking = true;
	slow_read(&cl->slow, cl->conn);
}

/* The reply is said, or the tick before a read is over. */
static void
slow_is_over(void *user)
{
	struct client *cl = user;
	bool is_read = cl->is_ticking;

	cl->is_ticking = false;
	/* otherwise authd has it, and its answer goes on */
	if (cl->state != CLIENT_GREETED && cl->state != CLIENT_AUTH_LINE)
		return;
	log_set_sid(str_from(cl->cid));
	client_progress(cl);
	conn_pause(cl->conn, false);
	if (is_read)
		login_input(cl);
	else
		pump(cl);
	log_set_sid(STR(""));
}

void
login_challenge(struct client *cl, struct str data)
{
	struct buf b;

	if (cl->state != CLIENT_AUTH)
		return;
	buf_init(&b, 16384);
	b64_encode(&b, data);
	client_say(cl, "+ %s", buf_cstr(&b));
	buf_release(&b);
	cl->state = CLIENT_AUTH_LINE;
	imap_reader_want_line(cl->reader);
	conn_pause(cl->conn, false);
	pump(cl);
}

void
login_result(struct client *cl, const struct msg_auth_result *r)
{
	static const char *const texts[] = {
		[AUTH_BAD] = "NO [AUTHENTICATIONFAILED] wrong name or password",
		[AUTH_MECHANISM] = "NO [CANNOT] no such mechanism here",
		[AUTH_BINDING] = "NO [AUTHENTICATIONFAILED] channel binding "
				 "does not match",
		[AUTH_SYNTAX] = "BAD malformed authentication exchange",
		[AUTH_TEMP] = "NO [UNAVAILABLE] cannot check passwords now, "
			      "try later",
		/* RFC 5530, 3 */
		[AUTH_LIMITED] = "NO [LIMIT] too many failed logins from your "
				 "network, try later",
	};

	if (cl->state != CLIENT_AUTH)
		return;
	if (r->verdict == AUTH_OK) {
		/* quired's session may be here before or after this */
		cl->state = CLIENT_STARTING;
		cl->is_slow = false;
		slow_flush(&cl->slow);
		return;
	}
	drop_held(cl);
	if (r->verdict != AUTH_TEMP && r->verdict != AUTH_LIMITED)
		cl->failures++;
	cl->is_slow = is_guessing(cl);
	client_say(cl, "%s %s", cl->tag, texts[r->verdict]);
	if (cl->failures >= MAX_FAILURES) {
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why", "too many failed logins"));
		client_bye(cl, "too many failed logins");
		return;
	}
	cl->state = CLIENT_GREETED;
	conn_pause(cl->conn, false);
	pump(cl);
}
