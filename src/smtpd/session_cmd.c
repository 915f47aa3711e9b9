/* Commands: syntax (lib/format/smtp), permission (the table) and effect. */
#include <assert.h>
#include <string.h>

#include "base/xalloc.h"
#include "session_int.h"

#define ANY (IN(START) | IN(READY) | IN(MAIL) | IN(RCPT))

/* LOGIN is read, for the log, and not offered: a front could let anybody send
 * as anybody by it, and a login here is a matter between client and authd. */
#define XCLIENT_OFFER "NAME ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME"

typedef void run_fn(struct smtp_session *, const struct smtp_command *);

/* Keywords in the order of RFC 5321, 4.1.1.1; RFC 1870, 3207, 8689, 4954,
 * 2034, 6152, 9422, 6531 */
static void
run_ehlo(struct smtp_session *s, const struct smtp_command *c)
{
	const struct smtp_options *o = s->opt;
	struct buf b;

	buf_clear(&s->helo);
	buf_put(&s->helo, c->name);
	s->is_esmtp = true;
	session_reset_mail(s);
	session_enter(s, ST_READY);
	buf_init(&b, 4096);
	buf_put(&b, o->hostname);
	buf_printf(&b, "\nPIPELINING\nSIZE %llu",
	    (unsigned long long)o->limits.max_size);
	if (s->is_tls) /* RFC 8689, 2 */
		buf_puts(&b, "\nREQUIRETLS");
	else if (o->has_starttls)
		buf_puts(&b, "\nSTARTTLS");
	session_put_mechanisms(s, &b);
	buf_printf(&b,
	    "\nENHANCEDSTATUSCODES\n8BITMIME\nLIMITS RCPTMAX=%zu\nSMTPUTF8",
	    o->limits.max_rcpts);
	if (o->trusts_xclient)
		buf_puts(&b, "\nXCLIENT " XCLIENT_OFFER);
	session_reply(s, 250, NULL, buf_str(&b));
	buf_release(&b);
}

static void
run_helo(struct smtp_session *s, const struct smtp_command *c)
{
	buf_clear(&s->helo);
	buf_put(&s->helo, c->name);
	s->is_esmtp = false;
	session_reset_mail(s);
	s->want = WANT_HELO;
	if (!s->opt->checks_helo)
		smtp_session_helo_is(s, NULL);
}

/* Those who still say HELO are mostly not mail servers. */
void
smtp_session_helo_is(struct smtp_session *s, const struct smtp_verdict *v)
{
	assert(s->want == WANT_HELO);
	s->want = WANT_INPUT;
	if (v != NULL && v->code != 250) {
		buf_clear(&s->helo);
		session_enter(s, ST_START);
		session_error(s, v->code, v->enhanced, v->text);
		return;
	}
	session_enter(s, ST_READY);
	session_reply(s, 250, NULL, s->opt->hostname);
}

static void
run_starttls(struct smtp_session *s, const struct smtp_command *c)
{
	if (s->is_tls)
		session_error(s, 503, "5.5.1", STR("already speaking TLS"));
	else if (!s->opt->has_starttls)
		session_error(s, 502, "5.5.1", STR("TLS not available"));
	else {
		session_reply(s, 220, "2.0.0", STR("go ahead"));
		s->want = WANT_STARTTLS;
	}
}

/* Postfix's XCLIENT_README */
static void
run_xclient(struct smtp_session *s, const struct smtp_command *c)
{
	const char *why;

	if (!s->opt->trusts_xclient)
		session_error(s, 550, "5.7.0",
		    STR("you may not speak for other clients"));
	else if (!xclient_parse(&s->line_arena, c->argument, &s->xclient, &why))
		session_error(s, 501, "5.5.4", str_from(why));
	else
		s->want = WANT_XCLIENT;
}

/*
 * As if that client had connected just now. A name of HELO stands until it
 * is said again, as if it had been said by PROTO's command.
 */
void
smtp_session_xclient_is(struct smtp_session *s, const struct smtp_verdict *v)
{
	const struct xclient_value *helo = &s->xclient.v[XCLIENT_HELO];
	const struct xclient_value *proto = &s->xclient.v[XCLIENT_PROTO];

	assert(s->want == WANT_XCLIENT);
	s->want = WANT_INPUT;
	if (v != NULL && v->code != 250) {
		smtp_session_refuse(s, v->code, v->enhanced, v->text);
		return;
	}
	session_forget(s);
	s->n_errors = s->n_auth_failed = s->n_failed_data = s->n_good_data = 0;
	s->is_slow = false;
	smtp_session_greet(s);
	if (helo->state != XCLIENT_GIVEN)
		return;
	buf_put(&s->helo, helo->text);
	s->is_esmtp =
	    proto->state == XCLIENT_GIVEN && str_eq(proto->text, STR("ESMTP"));
	session_enter(s, ST_READY);
}

/* Say it after a time the client does not like (localserve). */
static void
test_error(
    struct smtp_session *s, const struct smtp_verdict *v, bool is_timeout)
{
	if (!is_timeout) {
		session_say(s, v);
		return;
	}
	s->delay_ms = s->opt->limits.test_delay_ms;
	session_later(s, WANT_DELAY, v);
}

/* Does localserve make an error here? The part behind the prefix says which. */
static bool
is_test_error(struct smtp_session *s, struct str local, struct str prefix)
{
	struct smtp_verdict v;
	bool is_timeout;

	if (!s->opt->is_localserve || !str_starts(local, prefix))
		return false;
	v = session_test_error(local, &is_timeout);
	if (v.code != 0)
		test_error(s, &v, is_timeout);
	return v.code != 0;
}

/* Whose mail it is, for the log of what refuses it too. */
static void
take_sender(struct smtp_session *s, const struct smtp_command *c)
{
	session_reset_mail(s);
	s->params = *c;
	s->params.name = s->params.argument = STR("");
	s->params.path.route = STR("");
	s->params.path.addr.local =
	    arena_str(&s->mail_arena, c->path.addr.local);
	s->params.path.addr.domain =
	    arena_str(&s->mail_arena, c->path.addr.domain);
	s->params.auth =
	    arena_str(&s->mail_arena, c->has_auth ? c->auth : STR(""));
	s->mail.reverse_path = s->params.path;
}

/* false: refused, or will be after a while. */
static bool
may_mail(struct smtp_session *s, const struct smtp_command *c)
{
	const struct smtp_limits *l = &s->opt->limits;

	if (s->opt->kind == SMTP_SUBMISSION && !s->is_authed) {
		session_error(s, 530, "5.7.0", STR("authentication required"));
		return false;
	}
	if (l->max_failed_data > 0 && s->n_failed_data > l->max_failed_data &&
	    s->n_good_data == 0) {
		session_reply(s, 550, "5.1.0", STR("too many failures"));
		session_enter(s, ST_CLOSING);
		return false;
	}
	if (c->has_size && c->size > l->max_size) {
		session_reply(s, 552, smtp_too_large(l->max_size),
		    STR("message too large"));
		return false;
	}
	if (c->is_requiretls && !s->is_tls) {
		session_error(s, 523, "5.7.10", STR("REQUIRETLS needs TLS"));
		return false;
	}
	return !is_test_error(s, c->path.addr.local, STR("mailfrom"));
}

static void
run_mail(struct smtp_session *s, const struct smtp_command *c)
{
	take_sender(s, c);
	if (may_mail(s, c))
		s->want = WANT_MAIL;
	else if (s->want == WANT_INPUT)
		session_reset_mail(s);
}

void
smtp_session_mail_is(struct smtp_session *s, const struct smtp_verdict *v)
{
	assert(s->want == WANT_MAIL);
	s->want = WANT_INPUT;
	if (v != NULL && v->code != 250) {
		session_say(s, v);
		session_reset_mail(s);
		return;
	}
	session_enter(s, ST_MAIL);
	session_reply(s, 250, "2.1.0", STR("sender ok"));
}

static void
run_rcpt(struct smtp_session *s, const struct smtp_command *c)
{
	if (s->mail.n_rcpts >= s->opt->limits.max_rcpts) {
		session_reply(s, 452, "4.5.3", STR("too many recipients"));
		return;
	}
	/* a bounce answers one message */
	if (s->mail.reverse_path.kind == ADDR_PATH_NULL &&
	    s->mail.n_rcpts > 0 && s->opt->kind != SMTP_LMTP) {
		session_reply(s, 452, "4.5.3",
		    STR("only one recipient for a null sender"));
		return;
	}
	if (is_test_error(s, c->path.addr.local, STR("rcptto")))
		return;
	s->rcpt = (struct smtp_rcpt){ .addr = c->path.addr,
		.is_postmaster = c->path.kind == ADDR_PATH_POSTMASTER,
		.result = { .code = 250 } };
	s->want = WANT_RCPT;
}

/* The same address again is one delivery; LMTP owes a reply for each. */
static bool
has_rcpt(const struct smtp_session *s)
{
	const struct smtp_mail *m = &s->mail;
	size_t i;

	for (i = 0; i < m->n_rcpts && s->opt->kind != SMTP_LMTP; i++)
		if (str_eq(m->rcpts[i].addr.local, s->rcpt.addr.local) &&
		    str_eq_nocase(m->rcpts[i].addr.domain, s->rcpt.addr.domain))
			return true;
	return false;
}

static void
add_rcpt(struct smtp_session *s)
{
	struct smtp_mail *m = &s->mail;

	if (has_rcpt(s)) {
		session_reply(s, 250, "2.1.5", STR("recipient ok"));
		return;
	}
	if (m->n_rcpts == s->cap_rcpts) {
		s->cap_rcpts = s->cap_rcpts == 0 ? 4 : s->cap_rcpts * 2;
		m->rcpts =
		    xreallocarray(m->rcpts, s->cap_rcpts, sizeof(*m->rcpts));
	}
	/* up to here its strings were those of the line */
	s->rcpt.addr.local = arena_str(&s->mail_arena, s->rcpt.addr.local);
	s->rcpt.addr.domain = arena_str(&s->mail_arena, s->rcpt.addr.domain);
	m->rcpts[m->n_rcpts++] = s->rcpt;
	session_enter(s, ST_RCPT);
	session_reply(s, 250, "2.1.5", STR("recipient ok"));
}

/*
 * On the MX port a local part that does not exist is taken and refused only
 * after DATA, so that nobody can find out addresses by asking; our own users
 * and neighbours are told at once.
 */
void
smtp_session_rcpt_is(struct smtp_session *s, enum smtp_rcpt_verdict is,
    const struct smtp_verdict *v)
{
	bool is_mx = s->opt->kind == SMTP_MX;

	assert(s->want == WANT_RCPT);
	s->want = WANT_INPUT;
	switch (is) {
	case RCPT_LOCAL:
		add_rcpt(s);
		return;
	case RCPT_UNKNOWN:
		s->rcpt.is_unknown = true;
		s->rcpt.result =
		    (struct smtp_verdict){ 550, "5.1.1", STR("no such user") };
		if (is_mx)
			add_rcpt(s);
		else
			session_reply(s, 550, "5.1.1", STR("no such user"));
		return;
	case RCPT_FOREIGN:
		if (s->opt->kind == SMTP_SUBMISSION)
			add_rcpt(s);
		else
			session_error(s, 550, "5.1.1",
			    STR("not a domain of this server"));
		return;
	case RCPT_REFUSED:
		session_say(s, v);
		return;
	}
}

static void
run_data(struct smtp_session *s, const struct smtp_command *c)
{
	s->want = WANT_DATA;
}

void
smtp_session_data_is(struct smtp_session *s, const struct smtp_verdict *v)
{
	assert(s->want == WANT_DATA);
	s->want = WANT_INPUT;
	if (v != NULL && v->code != 250) {
		session_say(s, v);
		session_reset_mail(s);
		return;
	}
	session_reply(s, 354, NULL, STR("go ahead"));
	session_data_begin(s);
}

static void
run_rset(struct smtp_session *s, const struct smtp_command *c)
{
	session_reset_mail(s);
	session_reply(s, 250, "2.0.0", STR("all forgotten"));
}

/* RFC 5321, 3.5.3: 252 says neither yes nor no */
static void
run_vrfy(struct smtp_session *s, const struct smtp_command *c)
{
	session_reply(s, 252, "2.5.0",
	    STR("cannot verify, but will take messages and try"));
}

static void
run_help(struct smtp_session *s, const struct smtp_command *c)
{
	session_reply(s, 214, "2.0.0", STR("see RFC 5321"));
}

static void
run_noop(struct smtp_session *s, const struct smtp_command *c)
{
	session_reply(s, 250, "2.0.0", STR("ok"));
}

static void
run_quit(struct smtp_session *s, const struct smtp_command *c)
{
	session_reply(s, 221, "2.0.0", STR("bye"));
	session_enter(s, ST_CLOSING);
}

#define ON(kind) (1u << SMTP_##kind)
#define SMTPS	 (ON(MX) | ON(SUBMISSION))

static const struct row {
	enum smtp_verb verb;
	unsigned on; /* kinds that have it */
	unsigned in; /* states that allow it */
	run_fn *run;
	const char *not_now; /* 503 in another state */
} rows[] = {
	{ SMTP_EHLO, SMTPS, ANY, run_ehlo, NULL },
	{ SMTP_HELO, SMTPS, ANY, run_helo, NULL },
	{ SMTP_LHLO, ON(LMTP), ANY, run_ehlo, NULL }, /* RFC 2033, 4.1 */
	{ SMTP_STARTTLS, SMTPS | ON(LMTP), ANY, run_starttls, NULL },
	{ SMTP_AUTH, SMTPS, IN(READY), session_run_auth,
	    "not before EHLO nor within a transaction" },
	{ SMTP_MAIL, SMTPS | ON(LMTP), IN(READY), run_mail,
	    "say EHLO first, and only one MAIL at a time" },
	{ SMTP_RCPT, SMTPS | ON(LMTP), IN(MAIL) | IN(RCPT), run_rcpt,
	    "MAIL first" },
	{ SMTP_DATA, SMTPS | ON(LMTP), IN(RCPT), run_data,
	    "MAIL and RCPT first" },
	{ SMTP_RSET, SMTPS | ON(LMTP), ANY, run_rset, NULL },
	{ SMTP_VRFY, SMTPS | ON(LMTP), ANY, run_vrfy, NULL },
	{ SMTP_EXPN, SMTPS | ON(LMTP), ANY, run_vrfy, NULL },
	{ SMTP_HELP, SMTPS | ON(LMTP), ANY, run_help, NULL },
	{ SMTP_NOOP, SMTPS | ON(LMTP), ANY, run_noop, NULL },
	{ SMTP_QUIT, SMTPS | ON(LMTP), ANY, run_quit, NULL },
	{ SMTP_XCLIENT, SMTPS, IN(START) | IN(READY), run_xclient,
	    "a transaction is under way" },
};

static const struct row *
find(const struct smtp_session *s, enum smtp_verb verb)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].verb == verb && rows[i].on & 1u << s->opt->kind)
			return &rows[i];
	return NULL;
}

/* What the client sent is shown only to those who logged in: a stranger's
 * octets in our replies serve attacks on others (features.md 1.3.3). */
static void
syntax_error(struct smtp_session *s, const struct smtp_error *e)
{
	struct buf b;

	buf_init(&b, 512);
	buf_puts(&b, e->text);
	if (s->is_authed && e->rest.n > 0) {
		buf_puts(&b, " at \"");
		buf_put(&b, str_sub(e->rest, 0, 200));
		buf_puts(&b, "\"");
	}
	session_error(s, e->code, e->enhanced, buf_str(&b));
	buf_release(&b);
}

void
session_command(struct smtp_session *s, struct str line)
{
	const struct row *row;
	struct smtp_command c;
	struct smtp_error e;
	unsigned flags = SMTP_WITH_REQUIRETLS;
	bool is_first = s->is_first;

	s->is_first = false;
	s->verb = smtp_verb_of(line);
	row = find(s, s->verb);
	if (s->verb == SMTP_UNKNOWN && is_first) {
		/* HTTP and the like: better not to read on */
		session_reply(
		    s, 500, "5.5.2", STR("please try again speaking smtp"));
		session_enter(s, ST_CLOSING);
		return;
	}
	if (row == NULL) {
		session_error(s, 500, "5.5.1", STR("unknown command"));
		return;
	}
	if (!(row->in & 1u << s->state)) {
		if (s->verb == SMTP_DATA && s->state == ST_MAIL)
			session_error(
			    s, 554, "5.5.1", STR("no valid recipients"));
		else
			session_error(s, 503, "5.5.1", str_from(row->not_now));
		return;
	}
	if (s->params.is_smtputf8 && s->state != ST_READY)
		flags |= SMTP_UTF8_PATHS;
	if (smtp_command_parse(&s->line_arena, line, flags, &c, &e))
		row->run(s, &c);
	else
		syntax_error(s, &e);
}
