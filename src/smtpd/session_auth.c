/* The AUTH dialogue (RFC 4954). */
#include <assert.h>

#include "base/b64.h"
#include "session_int.h"

static const struct {
	struct str name;
	bool needs_binding;
} mechanisms[] = {
	{ STR_INIT("SCRAM-SHA-256-PLUS"), true },
	{ STR_INIT("SCRAM-SHA-256"), false },
	{ STR_INIT("PLAIN"), false },
	{ STR_INIT("LOGIN"), false },
};

static bool
has_auth(const struct smtp_session *s)
{
	return s->opt->offers_auth || s->opt->kind == SMTP_SUBMISSION;
}

static bool
is_offered(const struct smtp_session *s, size_t i)
{
	return !mechanisms[i].needs_binding || s->has_binding;
}

void
session_put_mechanisms(const struct smtp_session *s, struct buf *b)
{
	size_t i;

	if (!has_auth(s) || (!s->is_tls && !s->opt->auth_without_tls))
		return;
	buf_puts(b, "\nAUTH");
	for (i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (is_offered(s, i)) {
			buf_putc(b, ' ');
			buf_put(b, mechanisms[i].name);
		}
}

static bool
known(const struct smtp_session *s, struct str name, struct str *found)
{
	size_t i;

	for (i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (str_eq(name, mechanisms[i].name) && is_offered(s, i)) {
			*found = mechanisms[i].name;
			return true;
		}
	return false;
}

/* From then on replies are slow. */
static bool
is_guessing(const struct smtp_session *s)
{
	return s->opt->limits.slow_after > 0 &&
	       s->n_auth_failed >= s->opt->limits.slow_after;
}

/* Each attempt longer than the one before. */
static unsigned
login_delay(const struct smtp_session *s)
{
	const struct smtp_limits *l = &s->opt->limits;

	return is_guessing(s) ?
		   (s->n_auth_failed - l->slow_after) * l->login_wait_ms :
		   0;
}

/* "AUTH" SP sasl-mech [SP initial-response]  RFC 4954, 4 */
void
session_run_auth(struct smtp_session *s, const struct smtp_command *c)
{
	struct smtp_verdict none = { 0 };

	if (!has_auth(s)) {
		session_error(s, 502, "5.5.1", STR("AUTH not available"));
		return;
	}
	if (s->is_authed) {
		session_error(s, 503, "5.5.1", STR("already authenticated"));
		return;
	}
	if (!s->is_tls && !s->opt->auth_without_tls) {
		session_error(s, 538, "5.7.11", STR("STARTTLS first"));
		return;
	}
	if (!known(s, c->mechanism, &s->auth.mechanism)) {
		session_error(s, 504, "5.5.4", STR("unknown mechanism"));
		return;
	}
	s->auth.is_first = true;
	s->auth.has_response = c->has_initial;
	s->auth.response = c->has_initial ? c->initial : STR("");
	s->want = WANT_AUTH;
	if (login_delay(s) > 0) {
		s->delay_ms = login_delay(s);
		session_later(s, WANT_DELAY, &none);
		s->want_later = WANT_AUTH;
	}
}

static void
failed(struct smtp_session *s, int code, const char *enhanced, struct str text)
{
	session_enter(s, ST_READY);
	s->n_auth_failed++;
	if (is_guessing(s))
		s->is_slow = true;
	session_reply(s, code, enhanced, text);
	if (s->n_auth_failed >= s->opt->limits.max_auth_failures)
		session_reply(s, 421, "4.7.0", STR("too many failures"));
}

/* The exchange is over. */
static void
conclude(struct smtp_session *s, enum smtp_auth_verdict v)
{
	switch (v) {
	case SMTP_AUTH_CHALLENGE:
		return;
	case SMTP_AUTH_OK:
		s->is_authed = true;
		s->is_slow = false;
		session_enter(s, ST_READY);
		session_reply(s, 235, "2.7.0", STR("welcome"));
		return;
	case SMTP_AUTH_BAD:
		failed(s, 535, "5.7.8", STR("bad user name or password"));
		return;
	case SMTP_AUTH_BINDING:
		failed(s, 535, "5.7.7", STR("channel binding mismatch"));
		return;
	case SMTP_AUTH_DISABLED:
		failed(s, 525, "5.7.13", STR("login not allowed"));
		return;
	case SMTP_AUTH_SYNTAX:
		failed(s, 501, "5.5.2", STR("malformed SASL message"));
		return;
	case SMTP_AUTH_TEMP:
		session_enter(s, ST_READY);
		session_say(
		    s, &(struct smtp_verdict){ 454, "4.7.0",
			   STR("authentication not possible now"), true });
		return;
	case SMTP_AUTH_LIMITED:
		session_enter(s, ST_READY);
		session_error(s, 454, "4.7.0",
		    STR("too many failed logins from your network, try again "
			"later"));
		return;
	}
}

/* continue-req = "334" SP [base64] CRLF */
static void
challenge(struct smtp_session *s, struct str data)
{
	buf_puts(&s->out, "334 ");
	b64_encode(&s->out, data);
	buf_puts(&s->out, "\r\n");
}

/*
 * SMTP has no room for data with a success or failure: the last word of a
 * mechanism goes as a challenge, and one more line of the client is read
 * (RFC 4954, 4; RFC 5802, 3: the client answers an error with "*").
 */
void
smtp_session_auth_is(struct smtp_session *s, enum smtp_auth_verdict v,
    struct str data, struct str account)
{
	assert(s->want == WANT_AUTH);
	s->want = WANT_INPUT;
	if (v == SMTP_AUTH_OK) {
		buf_clear(&s->account);
		buf_put(&s->account, account);
	}
	if (v == SMTP_AUTH_CHALLENGE) {
		session_enter(s, ST_AUTH);
		challenge(s, data);
	} else if (data.n > 0) {
		s->auth_last = v;
		session_enter(s, ST_AUTH_LAST);
		challenge(s, data);
	} else
		conclude(s, v);
}

static void
cancel(struct smtp_session *s, const char *enhanced, struct str text)
{
	struct smtp_verdict v = { 501, enhanced, text };

	session_later(s, WANT_AUTH_CANCEL, &v);
}

void
smtp_session_auth_cancelled(struct smtp_session *s)
{
	assert(s->want == WANT_AUTH_CANCEL);
	s->want = WANT_INPUT;
	session_enter(s, ST_READY);
	session_error(s, s->later.code, s->later.enhanced, s->later.text);
	s->later.code = 0;
}

/* A line after the last word: empty if all is well. */
static void
last_line(struct smtp_session *s, struct str line)
{
	if (s->auth_last != SMTP_AUTH_OK || line.n == 0) {
		conclude(s, s->auth_last);
		return;
	}
	session_enter(s, ST_READY);
	session_error(s, 501, "5.7.0", STR("authentication aborted"));
}

/* A response: base64, or "*" to give up */
void
session_auth_line(struct smtp_session *s, struct str line)
{
	struct buf b;

	if (s->state == ST_AUTH_LAST) {
		last_line(s, line);
		return;
	}
	if (str_eq(line, STR("*"))) {
		cancel(s, "5.7.0", STR("authentication aborted"));
		return;
	}
	buf_init(&b, line.n + 1);
	if (b64_decode(&b, line)) {
		s->auth.is_first = false;
		s->auth.has_response = true;
		s->auth.response = arena_str(&s->line_arena, buf_str(&b));
		s->want = WANT_AUTH;
	} else
		cancel(s, "5.5.2", STR("bad base64"));
	buf_release(&b);
}
