#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "format/arc/arc.h"
#include "format/mime/mime.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct arena arena;
static struct buf mail, key_text;
static EVP_PKEY *key;

static void
setup(void)
{
	struct err e;

	arena_init(&arena, 64 << 20);
	buf_init(&mail, 4 << 20);
	buf_init(&key_text, 4096);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	dkim_print_key(&key_text, key, &e);
	buf_puts(&mail,
	    "DKIM-Signature: v=1; x=y\r\nFrom: a@a.test\r\nSubject: s  s\r\n"
	    "\r\nbody\r\n");
}

static void
teardown(void)
{
	arena_release(&arena);
	buf_release(&mail);
	buf_release(&key_text);
	EVP_PKEY_free(key);
}

/* `status` of the first n + 1 keys, those of the chain; `former` of others. */
static struct arc_result
verify_all(struct str m, bool wants, size_t n, enum dns_status status,
    enum dns_status former)
{
	const struct arc_options o = { .now = 1000,
		.wants_oldest_pass = wants };
	struct dns_record record = { .type = DNS_TXT,
		.text = buf_str(&key_text) };
	struct dns_answer an = { .v = &record, .is_secure = true };
	size_t split = mime_header_length(m), i;
	struct arc_verify *v;
	struct arc_result r;

	v = arc_verify_begin(&arena, str_sub(m, 0, split), &o);
	for (i = split; i < m.n; i += 2)
		arc_verify_body(v, str_sub(m, i, 2));
	for (i = 0; arc_verify_question(v, i) != NULL; i++) {
		ck_assert(str_eq(arc_verify_question(v, i)->name,
		    STR("sel._domainkey.seal.test")));
		an.status = i <= n ? status : former;
		an.n = an.status == DNS_OK;
		arc_verify_answer(v, i, &an);
	}
	ck_assert_uint_le(i, ARC_MAX_QUESTIONS);
	r = *arc_verify_finish(v);
	ck_assert(
	    r.cv != ARC_PASS || i == (wants ? 2 * r.n_sets : r.n_sets + 1u));
	arc_verify_free(&v);
	return r;
}

static struct arc_result
verify(struct str m, enum dns_status status)
{
	return verify_all(m, false, ARC_MAX_SETS, status, status);
}

static int
seal_as(enum arc_cv cv, struct err *e)
{
	const struct arc_sealer by = { .key = key,
		.domain = STR("seal.test"),
		.selector = STR("sel"),
		.header_canon = DKIM_RELAXED,
		.body_canon = DKIM_RELAXED,
		.now = 900,
		.cv = cv,
		.authres = STR("mx.test; spf=pass smtp.mailfrom=a.test") };
	size_t split = mime_header_length(buf_str(&mail));
	struct arc_seal *s;
	struct buf out;
	int rc;

	buf_init(&out, 4 << 20);
	s = arc_seal_begin(&arena, str_sub(buf_str(&mail), 0, split), &by);
	arc_seal_body(s, str_sub(buf_str(&mail), split, mail.n));
	rc = arc_seal_finish(&s, &out, e);
	buf_put(&out, buf_str(&mail));
	if (rc == 0) {
		buf_clear(&mail);
		buf_put(&mail, buf_str(&out));
	}
	buf_release(&out);
	return rc;
}

static void
seal(enum arc_cv cv)
{
	struct err e;

	ck_assert_msg(seal_as(cv, &e) == 0, "%s", e.text);
}

/* Replace the first occurrence. */
static void
edit(const char *from, const char *to)
{
	size_t at = str_search(buf_str(&mail), str_from(from));
	struct buf out;

	ck_assert_msg(at < mail.n, "%s", from);
	buf_init(&out, 4 << 20);
	buf_put(&out, str_sub(buf_str(&mail), 0, at));
	buf_puts(&out, to);
	buf_put(&out, str_sub(buf_str(&mail), at + strlen(from), mail.n));
	buf_clear(&mail);
	buf_put(&mail, buf_str(&out));
	buf_release(&out);
}

START_TEST(round_trip)
{
	struct arc_result r = verify(buf_str(&mail), DNS_OK);
	unsigned i;

	ck_assert(r.cv == ARC_NONE && r.n_sets == 0);
	seal(ARC_NONE);
	for (i = 1; i <= 4; i++) {
		r = verify(buf_str(&mail), DNS_OK);
		ck_assert_msg(
		    r.cv == ARC_PASS, "%u: %s\n%s", i, r.why, buf_cstr(&mail));
		ck_assert(r.n_sets == i && r.is_secure);
		ck_assert(str_eq(r.sealer, STR("seal.test")));
		ck_assert(str_eq(str_trim(r.authres),
		    STR("mx.test; spf=pass smtp.mailfrom=a.test")));
		seal(ARC_PASS);
	}
}
END_TEST

/* RFC 8617, 5.2: what breaks a chain of two */
static const struct {
	const char *rfc, *from, *to, *why;
} breaks[] = {
	{ "5.2, 4", "body\r\n", "hody\r\n", "body hash does not match" },
	{ "5.2, 4", "s  s", "t  s", "signature does not verify" },
	{ "5.2, 4", "s  s", "s s", NULL }, /* relaxed */
	{ "5.2, 6", "spf=pass", "spf=fail", "signature does not verify" },
	{ "5.2, 3", "ARC-Seal: i=2", "X-Seal: i=2", "set is not complete" },
	{ "5.2, 3", "ARC-Seal: i=1", "X-Seal: i=1", "set is not complete" },
	{ "5.2, 3", "ARC-Authentication-Results: i=2", "X: y",
	    "set is not complete" },
	{ "5.2, 3", "ARC-Seal: i=2", "ARC-Seal: i=1",
	    "a field twice in a set" },
	{ "4.2.1", "ARC-Seal: i=2", "ARC-Seal: i=0", "bad instance" },
	{ "4.2.1", "ARC-Seal: i=2", "ARC-Seal: i=51", "bad instance" },
	{ "5.2, 3", "cv=pass", "cv=none", "cv= does not fit" },
	{ "5.2, 3", "cv=none", "cv=pass", "cv= does not fit" },
	{ "5.2, 2", "cv=pass", "cv=fail", "chain is marked as failed" },
	{ "5.2, 3", "cv=pass", "cv=x", "cv= does not fit" },
	{ "4.1.3", "cv=pass", "h=from; cv=pass", "h= in a seal" },
	{ "4.1.2", "\th=", "\th=ARC-Seal:", "message signature covers a seal" },
	{ "4.1.3", "a=ed25519-sha256", "a=rsa-sha1", "rsa-sha1 is historic" },
	{ "4.1.1", "\nFrom:", "\nX-New: field\r\nFrom:", NULL },
};

START_TEST(break_table)
{
	struct arc_result r;

	seal(ARC_NONE);
	seal(ARC_PASS);
	edit(breaks[_i].from, breaks[_i].to);
	r = verify(buf_str(&mail), DNS_OK);
	if (breaks[_i].why == NULL) {
		ck_assert_msg(r.cv == ARC_PASS, "%s", r.why);
		return;
	}
	ck_assert_msg(r.cv == ARC_FAIL, "%s", breaks[_i].to);
	ck_assert_str_eq(r.why, breaks[_i].why);
	ck_assert(!r.is_temporary);
}
END_TEST

/* RFC 8617, 5.2, step 5: four sets, a change before one of them */
static const struct {
	unsigned before;
	const char *from, *to;
	int oldest_pass;
} changes[] = {
	{ 1, "body\r\n", "hody\r\n", 0 },
	{ 2, "body\r\n", "hody\r\n", 2 },
	{ 3, "s  s", "t  s", 3 },
	{ 4, "body\r\n", "hody\r\n", 4 },
	/* relaxed */
	{ 3, "s  s", "s s", 0 },
	{ 3, "\nFrom:", "\nX-New: field\r\nFrom:", 0 },
	{ 3, "\nSubject:", "\nX-Subject:", 3 },
};

START_TEST(oldest_pass)
{
	struct arc_result r;
	unsigned i;

	for (i = 1; i <= 4; i++) {
		if (i == changes[_i].before)
			edit(changes[_i].from, changes[_i].to);
		seal(i == 1 ? ARC_NONE : ARC_PASS);
	}
	r = verify_all(buf_str(&mail), true, 4, DNS_OK, DNS_OK);
	ck_assert_msg(r.cv == ARC_PASS, "%s", r.why);
	ck_assert_int_eq(r.oldest_pass, changes[_i].oldest_pass);
	/* the keys of former signatures are no matter of the chain */
	r = verify_all(buf_str(&mail), true, 4, DNS_OK, DNS_TEMPFAIL);
	ck_assert(r.cv == ARC_PASS && !r.is_temporary);
	ck_assert_int_eq(r.oldest_pass, ARC_NOT_KNOWN);
	r = verify_all(buf_str(&mail), true, 4, DNS_OK, DNS_NXDOMAIN);
	ck_assert_int_eq(r.cv, ARC_PASS);
	ck_assert_int_eq(r.oldest_pass, 4);
	r = verify(buf_str(&mail), DNS_OK);
	ck_assert_int_eq(r.oldest_pass, ARC_NOT_KNOWN);
}
END_TEST

/* RFC 8617, 5.2.1 */
START_TEST(dns_trouble)
{
	struct arc_result r;

	seal(ARC_NONE);
	r = verify(buf_str(&mail), DNS_TEMPFAIL);
	ck_assert(r.cv == ARC_FAIL && r.is_temporary);
	r = verify(buf_str(&mail), DNS_NXDOMAIN);
	ck_assert(r.cv == ARC_FAIL && !r.is_temporary);
}
END_TEST

/* RFC 8617, 5.1 and 5.1.2 */
START_TEST(failed_and_full)
{
	struct err e;
	int i;

	ck_assert_int_eq(seal_as(ARC_PASS, &e), -1); /* there is no chain */
	seal(ARC_NONE);
	ck_assert_int_eq(seal_as(ARC_NONE, &e), -1);
	edit("body\r\n", "broken\r\n");
	seal(ARC_FAIL);
	ck_assert_uint_lt(str_search(buf_str(&mail), STR("cv=fail")), mail.n);
	ck_assert(verify(buf_str(&mail), DNS_OK).cv == ARC_FAIL);
	ck_assert_int_eq(seal_as(ARC_FAIL, &e), -1);
	buf_clear(&mail);
	buf_puts(&mail, "From: a@a.test\r\n\r\n");
	seal(ARC_NONE);
	for (i = 2; i <= ARC_MAX_SETS; i++)
		seal(ARC_PASS);
	ck_assert(verify(buf_str(&mail), DNS_OK).cv == ARC_PASS);
	ck_assert_int_eq(seal_as(ARC_PASS, &e), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("arc");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, round_trip);
	tcase_add_loop_test(t, break_table, 0, N(breaks));
	tcase_add_loop_test(t, oldest_pass, 0, N(changes));
	tcase_add_test(t, dns_trouble);
	tcase_add_test(t, failed_and_full);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
