/* A message: reading it, judging what the dialogue can judge, results. */
#include <assert.h>

#include "session_int.h"

#define STEP	 32768	 /* octets handed to the host at a time */
#define MAX_TEXT 1048576 /* a reply with a line for each recipient */

void
session_data_begin(struct smtp_session *s)
{
	smtp_data_init(&s->data, s->opt->limits.max_size);
	session_enter(s, ST_DATA);
}

/*
 * localserve: the end of a local part says how mail to it fails, so that
 * clients and applications can be tried (features.md 1.13).
 */
struct smtp_verdict
session_test_error(struct str local, bool *is_timeout)
{
	uint64_t code;

	*is_timeout = str_ends(local, STR("timeout"));
	if (*is_timeout || str_ends(local, STR("temperror")))
		return (struct smtp_verdict){ 451, "4.0.0",
			STR("temporary error asked for by the address") };
	if (str_ends(local, STR("permerror")))
		return (struct smtp_verdict){ 550, "5.0.0",
			STR("permanent error asked for by the address") };
	if (local.n >= 3 &&
	    str_uint(str_sub(local, local.n - 3, 3), 599, &code) && code >= 400)
		return (struct smtp_verdict){ (int)code,
			code < 500 ? "4.0.0" : "5.0.0",
			STR("error asked for by the address") };
	return (struct smtp_verdict){ 0 };
}

/* What of the transaction itself is wrong, before anybody analyses it. */
static struct smtp_verdict
judge(const struct smtp_session *s)
{
	const struct smtp_data *d = &s->data;

	if (s->has_store_error)
		return s->store_error;
	if (d->is_smuggled)
		return (struct smtp_verdict){ 500, "5.5.2",
			STR("bare CR, or bare LF around a dot: refused as an "
			    "attempt at SMTP smuggling") };
	if (d->is_over)
		return (struct smtp_verdict){ 552,
			smtp_too_large(s->opt->limits.max_size),
			STR("message too large") };
	if (d->n_received > s->opt->limits.max_received)
		return (struct smtp_verdict){ 550, "5.4.6",
			STR("too many Received fields: a mail loop") };
	if (s->opt->kind == SMTP_SUBMISSION && !d->has_blank)
		return (struct smtp_verdict){ 554, "5.6.0",
			STR("message without a body") };
	return (struct smtp_verdict){ .code = 250 };
}

/* Put in the errors localserve makes; true if one of them wants a wait. */
static bool
test_errors(struct smtp_session *s)
{
	struct smtp_verdict v;
	bool is_timeout, any_timeout = false;
	size_t i;

	for (i = 0; i < s->mail.n_rcpts; i++) {
		struct smtp_rcpt *r = &s->mail.rcpts[i];

		v = session_test_error(r->addr.local, &is_timeout);
		if (r->is_unknown || v.code == 0 ||
		    str_starts(r->addr.local, STR("rcptto")))
			continue;
		r->is_unknown = true;
		r->result = v;
		any_timeout = any_timeout || is_timeout;
	}
	return any_timeout;
}

static bool
is_all_refused(const struct smtp_session *s)
{
	size_t i;

	for (i = 0; i < s->mail.n_rcpts; i++)
		if (!s->mail.rcpts[i].is_unknown)
			return false;
	return true;
}

/* All recipients failed with different codes: one line for each. */
static struct smtp_verdict
several(struct smtp_session *s, struct buf *text)
{
	struct smtp_verdict v = { 554, "5.0.0", STR("") };
	bool is_trouble = false;
	size_t i;

	buf_puts(text, "all recipients failed");
	for (i = 0; i < s->mail.n_rcpts; i++) {
		const struct smtp_rcpt *r = &s->mail.rcpts[i];

		if (r->result.code < 500)
			v = (struct smtp_verdict){ 451, "4.0.0", STR("") };
		is_trouble = is_trouble || r->result.is_trouble;
		buf_putc(text, '\n');
		addr_print(text, &r->addr);
		buf_printf(text, ": %d %s ", r->result.code,
		    r->result.enhanced == NULL ? "" : r->result.enhanced);
		buf_put(text, r->result.text);
	}
	v.text = buf_str(text);
	v.is_trouble = is_trouble;
	return v;
}

/* One good copy makes the message ours (the others are the host's to
 * report); otherwise the common reply, or a list. */
static struct smtp_verdict
combine(struct smtp_session *s, struct buf *text)
{
	const struct smtp_rcpt *v = s->mail.rcpts;
	bool is_same = true;
	size_t i;

	for (i = 0; i < s->mail.n_rcpts; i++) {
		if (v[i].result.code == 250)
			return (struct smtp_verdict){ 250, "2.6.0",
				STR("message accepted") };
		is_same = is_same && v[i].result.code == v[0].result.code &&
			  str_eq(v[i].result.text, v[0].result.text);
	}
	return is_same ? v[0].result : several(s, text);
}

static void
count(struct smtp_session *s, int code)
{
	if (code == 250)
		s->n_good_data++;
	else
		s->n_failed_data++;
}

/* RFC 2033, 4.2: a reply for each recipient, in order */
static void
say_lmtp(struct smtp_session *s, const struct smtp_verdict *all)
{
	size_t i;

	for (i = 0; i < s->mail.n_rcpts; i++) {
		struct smtp_verdict v =
		    all != NULL ? *all : s->mail.rcpts[i].result;

		if (v.code == 250)
			v.text = STR("delivered");
		session_say(s, &v);
	}
}

static void
say_results(struct smtp_session *s)
{
	struct smtp_verdict v;
	struct buf text;

	buf_init(&text, MAX_TEXT);
	v = combine(s, &text);
	count(s, v.code);
	if (s->opt->kind == SMTP_LMTP)
		say_lmtp(s, NULL);
	else
		session_say(s, &v);
	buf_release(&text);
}

/* Everything is refused: the host throws the message away, then (perhaps
 * after a wait) the reply. */
static void
refuse(struct smtp_session *s, const struct smtp_verdict *v, unsigned delay)
{
	count(s, v->code);
	session_later(s, WANT_DISCARD, v);
	if (delay > 0) {
		s->delay_ms = delay;
		s->want_later = WANT_DELAY;
	}
}

/* The same by LMTP, which has a reply for each recipient. */
static void
refuse_lmtp(struct smtp_session *s, const struct smtp_verdict *all)
{
	struct smtp_verdict none = { 0 };

	say_lmtp(s, all);
	refuse(s, &none, 0);
}

static void
data_end(struct smtp_session *s)
{
	struct smtp_verdict v = judge(s);
	struct buf text;
	unsigned delay = s->opt->limits.unknown_delay_ms;

	s->mail.size = s->data.size;
	s->mail.is_8bit = s->data.is_8bit;
	if (v.code != 250) {
		if (s->opt->kind == SMTP_LMTP)
			refuse_lmtp(s, &v);
		else
			refuse(s, &v, 0);
		return;
	}
	if (s->opt->is_localserve) {
		delay = 0;
		if (test_errors(s))
			delay = s->opt->limits.test_delay_ms;
	}
	if (!is_all_refused(s)) {
		s->want = WANT_DELIVER;
		return;
	}
	if (s->opt->kind == SMTP_LMTP) {
		refuse_lmtp(s, NULL);
		return;
	}
	buf_init(&text, MAX_TEXT);
	v = combine(s, &text);
	v = session_keep(s, &v);
	buf_release(&text);
	refuse(s, &v, delay);
}

void
session_data_input(struct smtp_session *s, struct str *in)
{
	struct str piece = str_sub(*in, 0, STEP);
	size_t n = piece.n;
	bool is_done = smtp_data_push(&s->data, &piece, &s->chunk);
	bool is_bad =
	    s->data.is_smuggled || s->data.is_over || s->has_store_error;

	*in = str_sub(*in, n - piece.n, SIZE_MAX);
	if (is_bad)
		buf_clear(&s->chunk);
	if (s->chunk.n > 0)
		s->want = WANT_CHUNK;
	else if (is_done)
		data_end(s);
}

void
smtp_session_chunk_is(struct smtp_session *s, const struct smtp_verdict *v)
{
	assert(s->want == WANT_CHUNK);
	s->want = WANT_INPUT;
	buf_clear(&s->chunk);
	if (v != NULL && v->code != 250 && !s->has_store_error) {
		s->has_store_error = true;
		s->store_error = session_keep(s, v);
	}
	if (s->data.is_done)
		data_end(s);
}

void
smtp_session_result(
    struct smtp_session *s, size_t rcpt, const struct smtp_verdict *v)
{
	assert(s->want == WANT_DELIVER && rcpt < s->mail.n_rcpts);
	if (!s->mail.rcpts[rcpt].is_unknown)
		s->mail.rcpts[rcpt].result =
		    v == NULL ? (struct smtp_verdict){ 250, NULL, STR("") } :
				session_keep(s, v);
}

void
smtp_session_refuse_rcpt(struct smtp_session *s, size_t rcpt,
    const struct smtp_verdict *v, struct str reason)
{
	struct smtp_rcpt *r = &s->mail.rcpts[rcpt];

	assert(s->want == WANT_DELIVER && rcpt < s->mail.n_rcpts);
	if (r->is_unknown)
		return;
	r->result = session_keep(s, v);
	r->reason = arena_str(&s->mail_arena, str_sub(reason, 0, 64));
	r->is_unknown = true;
}

void
smtp_session_delivered(struct smtp_session *s)
{
	assert(s->want == WANT_DELIVER);
	s->want = WANT_INPUT;
	say_results(s);
	session_reset_mail(s);
}
