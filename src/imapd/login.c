/*
 * login - what may be said before login (RFC 9051, 6.1, 6.2). Names and
 * passwords go to authd (auth.c).
 */
#include <string.h>

#include "base/b64.h"
#include "imapd.h"
#include "system/log/log.h"

#define NOT_IMAP "please try again speaking imap"

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
run_login(struct client *cl, const struct imap_command *cmd)
{
	struct msg_auth_start m = { .mechanism = STR("PLAIN"),
		.has_initial = true };
	struct buf b;

	if (!may_login(cl)) {
		client_refuse(
		    cl, METRICS_NO, "[PRIVACYREQUIRED] use STARTTLS first");
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
		client_refuse(cl, METRICS_NO,
		    "[AUTHENTICATIONFAILED] name or password too long");
	else
		auth_start(cl, &m);
	front_release_secret(&b);
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
		client_refuse(
		    cl, METRICS_NO, "[PRIVACYREQUIRED] use STARTTLS first");
		return;
	}
	buf_init(&b, 16384);
	/* "=" is an empty initial response (RFC 4959, 3) */
	if (m.has_initial && !str_eq(in, STR("=")) && !b64_decode(&b, in))
		client_refuse(
		    cl, METRICS_BAD, "the initial response is not base64");
	else {
		m.initial = buf_str(&b);
		auth_start(cl, &m);
	}
	front_release_secret(&b);
}

static void
run_starttls(struct client *cl)
{
	struct conn *c = cl->conn;

	if (cl->front->base.tls == NULL || is_tls(cl)) {
		client_refuse(cl, METRICS_BAD,
		    is_tls(cl) ? "STARTTLS is not possible twice" :
				 "STARTTLS is not possible here");
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
	conn_start_tls(c, front_tls(&cl->front->base, cl->listener));
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

/* The client may be gone afterwards. */
static void
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
		/* the version is told after login only */
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
		break;
	}
	case IMAP_STARTTLS:
		run_starttls(cl);
		break;
	case IMAP_LOGIN:
		run_login(cl, cmd);
		break;
	case IMAP_AUTHENTICATE:
		run_authenticate(cl, cmd);
		break;
	default:
		client_refuse(cl, METRICS_BAD, "log in first");
	}
}

static void
count_bye(struct client *cl)
{
	metric_count(
	    &cl->front->base.metrics->imap_errors[IMAP_VERBS][METRICS_BYE]);
}

static void
command(struct client *cl, struct str text)
{
	const struct imap_parse_opts opts = { .state = IMAP_IN_NONAUTH };
	struct imap_parse_error why = { 0 };
	struct imap_command cmd = { 0 };
	enum imap_parse_result rc;

	client_progress(cl);
	arena_clear(&cl->arena);
	rc = imap_parse(&cl->arena, text, &opts, &cmd, &why);
	str_copy(cmd.tag, cl->tag, sizeof(cl->tag));
	cl->verb = rc == IMAP_PARSED ? cmd.verb : IMAP_VERBS;
	if (rc != IMAP_PARSED && cl->is_first && rc != IMAP_WRONG_STATE) {
		/* a stranger that does not speak IMAP */
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why", "first command is not IMAP"));
		count_bye(cl);
		client_bye(cl, NOT_IMAP);
		return;
	}
	if (rc == IMAP_PARSED || rc == IMAP_WRONG_STATE)
		cl->is_first = false;
	if (rc == IMAP_PARSED) {
		LOG_TRACE(
		    "imap.in", F_STR("command", imap_verb_name(cmd.verb)));
		run(cl, &cmd);
	} else
		client_refuse(cl, METRICS_BAD,
		    rc == IMAP_WRONG_STATE ? "log in first" : why.why);
}

/* It never became a command. */
static void
bad_line(struct client *cl, const struct imap_event *ev)
{
	struct buf b;

	if (!str_copy(imap_reader_tag(cl->reader), cl->tag, sizeof(cl->tag)))
		cl->tag[0] = '\0';
	buf_init(&b, 1024);
	buf_printf(&b, "%s%s", ev->is_toobig ? "[TOOBIG] " : "", ev->why);
	client_refuse(cl, METRICS_BAD, buf_cstr(&b));
	buf_release(&b);
}

/* The client may be gone afterwards. false: there is nothing more now. */
static bool
next_event(struct client *cl)
{
	struct imap_event ev;

	switch (imap_reader_next(cl->reader, &ev)) {
	case IMAP_NEED_MORE:
		conn_consume(cl->conn, conn_input(cl->conn).n);
		return false;
	case IMAP_CONTINUE:
		client_say(cl, "+ go ahead");
		return true;
	case IMAP_COMMAND:
		command(cl, ev.text);
		return true;
	case IMAP_LINE:
		auth_line(cl, ev.text);
		return true;
	case IMAP_BAD:
		cl->verb = IMAP_VERBS;
		if (cl->is_first || ev.is_fatal) {
			count_bye(cl);
			client_bye(cl, cl->is_first ? NOT_IMAP : ev.why);
			return false;
		}
		bad_line(cl, &ev);
		return true;
	default: /* APPEND is not streamed before login */
		client_bye(cl, "unexpected literal");
		return false;
	}
}

/* Events until the bytes are used up or somebody else must answer first. */
void
login_pump(struct client *cl)
{
	struct imapd *f = cl->front;
	uint32_t id = cl->id;
	bool more = true;

	if (cl->is_pumping)
		return; /* an answer came at once: the loop below goes on */
	cl->is_pumping = true;
	while (more &&
	       (cl->state == CLIENT_GREETED || cl->state == CLIENT_AUTH_LINE)) {
		if (slow_is_pending(&cl->slow)) {
			conn_pause(cl->conn, true); /* login_go_on() will */
			break;
		}
		more = next_event(cl);
		if (idtable_get(&f->base.clients, id) == NULL)
			return;
	}
	cl->is_pumping = false;
}

void
login_input(struct client *cl)
{
	struct str in = conn_input(cl->conn);

	imap_reader_push(cl->reader, in);
	login_pump(cl);
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
void
login_go_on(void *user)
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
		login_pump(cl);
	log_set_sid(STR(""));
}
