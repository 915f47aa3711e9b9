#include "session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "session_int.h"

/* A recipient's strings and their alignment, doubled; and MAIL's. */
#define MAIL_ARENA(rcpts) (((rcpts) + 2) * 2048)
#define LINE_ARENA	  65536 /* a line's parts, decoded */

const struct smtp_limits smtp_limits_default = {
	.max_line = 2048,
	.max_auth_line = 12288, /* RFC 4954, 4 */
	.max_rcpts = 1000,	/* RFC 5321, 4.5.3.1.8: at least 100 */
	.max_out = 65536,
	.max_size = SMTP_USUAL_SIZE,
	.max_errors = 20,
	.max_auth_failures = 10,
	.max_failed_data = 10,
	.max_received = 100, /* RFC 5321, 6.3 */
	.slow_after = 3,
	.login_wait_ms = 1000,
	.unknown_delay_ms = 5000,
	.test_delay_ms = 3600000,
};

/* Once it closes it does, whatever answers still come. */
void
session_enter(struct smtp_session *s, enum session_state state)
{
	if (s->state != ST_CLOSING)
		s->state = state;
}

void
session_say(struct smtp_session *s, const struct smtp_verdict *v)
{
	/* errors, and STARTTLS: who then fails the handshake can say which
	 * connection it was */
	bool has_cid =
	    v->code >= 400 || (v->code == 220 && s->verb == SMTP_STARTTLS);

	if (s->state == ST_CLOSING)
		return;
	smtp_reply_put(&s->out, v->code, v->enhanced, v->text,
	    has_cid ? s->opt->cid : STR(""));
	if (s->opt->on_reply != NULL)
		s->opt->on_reply(s->opt->arg, s->verb, v);
	if (v->code == 421)
		session_enter(s, ST_CLOSING);
}

void
session_reply(
    struct smtp_session *s, int code, const char *enhanced, struct str text)
{
	const struct smtp_verdict v = {
		.code = code, .enhanced = enhanced, .text = text
	};

	session_say(s, &v);
}

void
session_error(
    struct smtp_session *s, int code, const char *enhanced, struct str text)
{
	session_reply(s, code, enhanced, text);
	if (++s->n_errors > s->opt->limits.max_errors)
		session_reply(s, 421, "4.7.0", STR("too many errors"));
}

struct smtp_verdict
session_keep(struct smtp_session *s, const struct smtp_verdict *v)
{
	struct smtp_verdict kept = *v;

	kept.text = arena_str(&s->mail_arena, str_sub(v->text, 0, 512));
	kept.enhanced = v->enhanced == NULL ?
			    NULL :
			    arena_cstr(&s->mail_arena,
				str_sub(str_from(v->enhanced), 0, 11));
	return kept;
}

void
session_later(
    struct smtp_session *s, enum smtp_want want, const struct smtp_verdict *v)
{
	s->want = want;
	s->later = *v;
	s->want_later = WANT_INPUT;
}

void
session_reset_mail(struct smtp_session *s)
{
	free(s->mail.rcpts);
	s->params = (struct smtp_command){ .verb = SMTP_MAIL };
	s->mail = (struct smtp_mail){ .params = &s->params };
	s->cap_rcpts = 0;
	s->has_store_error = false;
	arena_clear(&s->mail_arena);
	buf_clear(&s->chunk);
	buf_shrink(&s->chunk);
	if (s->state != ST_START)
		session_enter(s, ST_READY);
}

struct smtp_session *
smtp_session_new(const struct smtp_options *opt)
{
	struct smtp_session *s = xcalloc(1, sizeof(*s));

	s->opt = opt;
	s->is_first = true;
	/* room for what one command may answer with, over the limit */
	buf_init(
	    &s->out, opt->limits.max_out + MAIL_ARENA(opt->limits.max_rcpts));
	buf_init(&s->tls, 256);
	buf_init(&s->helo, ADDR_MAX_DOMAIN);
	buf_init(&s->account, 1024);
	buf_init(&s->chunk, 1 << 17);
	arena_init(&s->line_arena, LINE_ARENA);
	arena_init(&s->mail_arena, MAIL_ARENA(opt->limits.max_rcpts));
	session_reset_mail(s);
	return s;
}

void
smtp_session_free(struct smtp_session **ps)
{
	struct smtp_session *s = *ps;

	if (s == NULL)
		return;
	free(s->mail.rcpts);
	buf_release(&s->out);
	buf_release(&s->tls);
	buf_release(&s->helo);
	buf_release(&s->account);
	buf_release(&s->chunk);
	arena_release(&s->line_arena);
	arena_release(&s->mail_arena);
	free(s);
	*ps = NULL;
}

void
smtp_session_greet(struct smtp_session *s)
{
	struct buf b;

	buf_init(&b, 512);
	buf_put(&b, s->opt->hostname);
	buf_puts(
	    &b, s->opt->kind == SMTP_LMTP ? " LMTP Quire" : " ESMTP Quire");
	session_reply(s, 220, NULL, buf_str(&b));
	buf_release(&b);
}

void
smtp_session_refuse(
    struct smtp_session *s, int code, const char *enhanced, struct str text)
{
	session_reply(s, code, enhanced, text);
	session_enter(s, ST_CLOSING);
}

void
smtp_session_set_tls(struct smtp_session *s, struct str tls, bool has_binding)
{
	s->is_tls = true;
	s->has_binding = has_binding;
	buf_clear(&s->tls);
	buf_put(&s->tls, tls);
}

void
session_forget(struct smtp_session *s)
{
	session_enter(s, ST_START);
	session_reset_mail(s);
	s->is_esmtp = s->is_authed = false;
	buf_clear(&s->helo);
	buf_clear(&s->account);
}

/* RFC 3207, 4.2: what was said before TLS is forgotten. */
void
smtp_session_tls_is_up(struct smtp_session *s, struct str tls, bool has_binding)
{
	assert(s->want == WANT_STARTTLS);
	s->want = WANT_INPUT;
	smtp_session_set_tls(s, tls, has_binding);
	session_forget(s);
}

/* Commands end in CRLF; a lone LF is taken too, which harms nobody here. */
static bool
take_line(struct smtp_session *s, struct str *in, struct str *line)
{
	size_t max = s->state == ST_AUTH || s->state == ST_AUTH_LAST ?
			 s->opt->limits.max_auth_line :
			 s->opt->limits.max_line;
	size_t lf = str_find(str_sub(*in, 0, max), '\n');

	if (lf == max) {
		session_reply(s, 500, "5.5.0", STR("line too long"));
		session_enter(s, ST_CLOSING);
		return false;
	}
	if (lf == in->n)
		return false;
	*line = str_sub(*in, 0, lf);
	if (str_ends(*line, STR("\r")))
		line->n--;
	*in = str_sub(*in, lf + 1, SIZE_MAX);
	return true;
}

static void
run_line(struct smtp_session *s, struct str line)
{
	arena_clear(&s->line_arena); /* of the command before */
	if (s->state == ST_AUTH || s->state == ST_AUTH_LAST)
		session_auth_line(s, line);
	else
		session_command(s, line);
}

enum smtp_want
smtp_session_run(struct smtp_session *s, struct str *in)
{
	struct str line;

	for (;;) {
		if (s->state == ST_CLOSING)
			return WANT_CLOSE;
		if (s->want != WANT_INPUT)
			return s->want;
		if (s->out.n >= s->opt->limits.max_out)
			return WANT_FLUSH;
		if (in->n == 0)
			return WANT_INPUT;
		if (s->state == ST_DATA)
			session_data_input(s, in);
		else if (take_line(s, in, &line))
			run_line(s, line);
		else if (s->state != ST_CLOSING)
			return WANT_INPUT;
	}
}

static void
say_later(struct smtp_session *s)
{
	struct smtp_verdict v = s->later;

	s->later.code = 0;
	s->want = s->want_later;
	s->want_later = WANT_INPUT;
	if (v.code != 0)
		session_say(s, &v);
}

void
smtp_session_delayed(struct smtp_session *s)
{
	assert(s->want == WANT_DELAY);
	say_later(s);
	if (s->want == WANT_INPUT &&
	    (s->state == ST_DATA || s->state == ST_READY))
		session_reset_mail(s);
}

void
smtp_session_discarded(struct smtp_session *s)
{
	assert(s->want == WANT_DISCARD);
	if (s->want_later == WANT_DELAY) {
		s->want = WANT_DELAY; /* what is to be said is said after it */
		s->want_later = WANT_INPUT;
		return;
	}
	say_later(s);
	session_reset_mail(s);
}

void
smtp_session_end(struct smtp_session *s, const char *enhanced, struct str text)
{
	session_reply(s, 421, enhanced, text);
}

struct buf *
smtp_session_out(struct smtp_session *s)
{
	return &s->out;
}

unsigned
smtp_session_delay(const struct smtp_session *s)
{
	return s->delay_ms;
}

const struct smtp_auth_step *
smtp_session_auth(const struct smtp_session *s)
{
	return &s->auth;
}

const struct smtp_mail *
smtp_session_mail(const struct smtp_session *s)
{
	return &s->mail;
}

const struct smtp_rcpt *
smtp_session_rcpt(const struct smtp_session *s)
{
	return &s->rcpt;
}

struct str
smtp_session_chunk(const struct smtp_session *s)
{
	return buf_str(&s->chunk);
}

const struct xclient *
smtp_session_xclient(const struct smtp_session *s)
{
	return &s->xclient;
}

bool
smtp_session_is_slow(const struct smtp_session *s)
{
	return s->is_slow;
}

void
smtp_session_set_slow(struct smtp_session *s)
{
	s->is_slow = true;
}

bool
smtp_session_is_authenticated(const struct smtp_session *s)
{
	return s->is_authed;
}

bool
smtp_session_is_tls(const struct smtp_session *s)
{
	return s->is_tls;
}

struct str
smtp_session_account(const struct smtp_session *s)
{
	return buf_str(&s->account);
}

struct str
smtp_session_helo(const struct smtp_session *s)
{
	return buf_str(&s->helo);
}

void
smtp_session_trace(const struct smtp_session *s, struct smtp_trace *t)
{
	*t = (struct smtp_trace){
		.helo = buf_str(&s->helo),
		.peer_name = STR(""),
		.peer_ip = s->opt->peer_ip,
		.local_host = s->opt->hostname,
		.local_ip = s->opt->local_ip,
		.is_esmtp = s->is_esmtp,
		.is_lmtp = s->opt->kind == SMTP_LMTP,
		.is_smtputf8 = s->params.is_smtputf8,
		.is_tls = s->is_tls,
		.is_auth = s->is_authed,
		.is_requiretls = s->params.is_requiretls,
		.hide_peer = s->opt->kind == SMTP_SUBMISSION,
		.tls = buf_str(&s->tls),
		.cid = s->opt->cid,
	};
}
