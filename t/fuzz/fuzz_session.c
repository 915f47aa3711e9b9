/*
 * The SMTP dialogue with a host that answers at random: the first octets
 * choose the kind of session and seed the answers.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct smtp_verdict bad = { 450, "4.0.0", STR_INIT("not\nnow") };

static void
answer_delivery(struct smtp_session *s, unsigned r)
{
	const struct smtp_mail *m = smtp_session_mail(s);
	struct smtp_trace t;
	struct buf b;
	size_t i;

	buf_init(&b, 8192);
	smtp_session_trace(s, &t);
	for (i = 0; i < m->n_rcpts; i++) {
		t.rcpt = &m->rcpts[i].addr;
		smtp_session_result(s, i, r >> i & 1 ? NULL : &bad);
	}
	smtp_received_put(&b, &t);
	smtp_session_delivered(s);
	buf_release(&b);
}

static void
answer(struct smtp_session *s, enum smtp_want want, unsigned r)
{
	switch (want) {
	case WANT_INPUT:
	case WANT_FLUSH:
	case WANT_CLOSE:
		return;
	case WANT_DELAY:
		smtp_session_delayed(s);
		return;
	case WANT_STARTTLS:
		smtp_session_tls_is_up(s, STR("TLS"), r & 1);
		return;
	case WANT_AUTH:
		smtp_session_auth_is(s, (enum smtp_auth_verdict)(r % 7),
		    r & 8 ? STR("data") : STR(""), STR("account"));
		return;
	case WANT_AUTH_CANCEL:
		smtp_session_auth_cancelled(s);
		return;
	case WANT_XCLIENT:
		smtp_session_xclient_is(s, r % 4 ? NULL : &bad);
		return;
	case WANT_HELO:
		smtp_session_helo_is(s, r % 4 ? NULL : &bad);
		return;
	case WANT_MAIL:
		smtp_session_mail_is(s, r % 4 ? NULL : &bad);
		return;
	case WANT_RCPT:
		smtp_session_rcpt_is(s,
		    r % 8 < 5 ? RCPT_LOCAL : (enum smtp_rcpt_verdict)(r % 4),
		    &bad);
		return;
	case WANT_DATA:
		smtp_session_data_is(s, r % 5 ? NULL : &bad);
		return;
	case WANT_CHUNK:
		smtp_session_chunk_is(s, r % 9 ? NULL : &bad);
		return;
	case WANT_DISCARD:
		smtp_session_discarded(s);
		return;
	case WANT_DELIVER:
		answer_delivery(s, r);
		return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct smtp_options o = { .hostname = STR("here.example"),
		.cid = STR("xyz"),
		.limits = smtp_limits_default };
	struct smtp_session *s;
	struct str in;
	enum smtp_want want = WANT_INPUT;
	uint32_t r;
	size_t at = 4, end = 4;

	if (n < 4)
		return 0;
	o.kind = (enum smtp_kind)(p[0] % 3);
	o.has_starttls = p[1] & 1;
	o.auth_without_tls = p[1] & 2;
	o.offers_auth = p[1] & 4;
	o.is_localserve = p[1] & 8;
	o.trusts_xclient = p[0] & 128;
	o.limits.max_size = 200;
	o.limits.max_rcpts = 4;
	o.limits.max_line = 300;
	r = p[2] | (uint32_t)p[3] << 8;
	s = smtp_session_new(&o);
	smtp_session_greet(s);
	while (want != WANT_CLOSE && (at < n || want != WANT_INPUT)) {
		if (want == WANT_INPUT && end == n && at + 300 > n)
			break; /* a line without end */
		if (want == WANT_INPUT)
			end =
			    n - end < 1u + p[1] / 16 ? n : end + 1 + p[1] / 16;
		in = str_make((const char *)p + at, end - at);
		want = smtp_session_run(s, &in);
		at = end - in.n;
		buf_clear(smtp_session_out(s));
		r = r * 1103515245u + 12345u;
		if ((r >> 16) % 97 == 0)
			smtp_session_end(s, "4.3.2", STR("end"));
		answer(s, want, r >> 16);
	}
	smtp_session_free(&s);
	return 0;
}
