#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "format/forged/forged.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
#define T10  "xxxxxxxxxx"
#define T60  T10 T10 T10 T10 T10 T10

static const struct forged_names names = { STR_INIT("mx.test"),
	STR_INIT("host.test"), STR_INIT("me@here.test") };
static struct buf out;
static bool is_loop;

static void
setup(void)
{
	buf_init(&out, 1 << 20);
}

static void
teardown(void)
{
	buf_release(&out);
}

/* in pieces of n octets */
static unsigned
filter(struct str in, size_t n)
{
	struct forged f;
	unsigned removed;

	buf_clear(&out);
	forged_init(&f, &names);
	for (; in.n > 0; in = str_sub(in, n, in.n))
		forged_push(&f, str_sub(in, 0, n), &out);
	forged_finish(&f, &out);
	removed = f.n;
	is_loop = f.is_loop;
	forged_release(&f);
	return removed;
}

#define AR  "Authentication-Results: "
#define END "\r\nbody\r\n"

/* want NULL: passes as it is */
static const struct {
	const char *in, *want;
	unsigned removed;
} cases[] = {
	{ "Subject: a\r\n b\r\n" END },
	{ "" },
	{ "\r\nX-Quire-Reason: in the body\r\n" },
	{ "\nX-Quire-Reason: in the body\n" },
	{ "X-Quire-Reason: x\r\n" END, END, 1 },
	{ "x-quire-anything: x\r\n\tfolded\r\nSubject: s\r\n" END,
	    "Subject: s\r\n" END, 1 },
	{ "X-Quirefoo: x\r\n" END },
	{ "Return-Path: <a@b>\r\nDELIVERED-TO : me@x\r\nTo: t\r\n" END,
	    "To: t\r\n" END, 2 },
	{ "Return-Path-Of: x\r\n" END },
	/* RFC 8601, 5: ours go, those of others stay */
	{ AR "mx.test; spf=pass\r\n" END, END, 1 },
	{ AR "MX.Test.; spf=pass\r\n" END, END, 1 },
	{ AR "(c) \"mx.test\" 1;\r\n\tspf=pass\r\nTo: t\r\n" END,
	    "To: t\r\n" END, 1 },
	{ AR "\r\n\tmx.test; dkim=pass\r\n" END, END, 1 },
	{ AR "mx.test.example; spf=pass\r\n" END },
	{ AR "other.test;\r\n\tspf=pass smtp.mailfrom=mx.test\r\n" END },
	/* what we cannot read somebody else may */
	{ AR "(\r\n" END, END, 1 },
	{ AR "\r\n" END, END, 1 },
	{ "Authentication-Results" T60 ": mx.test; x\r\n" END },
	/* white space before the colon, more than is looked at */
	{ "Authentication-Results \t : mx.test; spf=pass\r\n" END, END, 1 },
	{ "Authentication-Results                                          "
	  "                                       : mx.test; spf=pass\r\n" END,
	    END, 1 },
	{ "X-Quire-" T60 T60 ": x\r\n" END, END, 1 },
	{ T60 T60 ": x\r\n" END },
	/* ARC has its own rules */
	{ "ARC-Authentication-Results: i=1; mx.test; spf=pass\r\n" END },
	/* lines that are no fields end nothing */
	{ "From me Mon\r\njunk\r\nX-Quire-A: b\r\n" END,
	    "From me Mon\r\njunk\r\n" END, 1 },
	{ "X-Quire-A: b\r\njunk\r\n" END, "junk\r\n" END, 1 },
	{ "Authentication-Results junk\r\nX-Quire- junk\r\n" END },
	/* nothing after the header */
	{ "X-Quire-A: b", "", 1 },
	{ AR "mx.test; spf=pass", "", 1 },
	{ AR "other.test; spf=pass" },
	{ "To: t\r\nX-Quire", "To: t\r\nX-Quire" },
	{ AR "mx.test; none\r\n" AR "a.test; none\r\n" AR
	     "mx.test; none\r\n" END,
	    AR "a.test; none\r\n" END, 2 },
};

START_TEST(table)
{
	struct str in = str_from(cases[_i].in);
	const char *want =
	    cases[_i].want == NULL ? cases[_i].in : cases[_i].want;
	size_t n;

	for (n = 1; n <= in.n + 1; n++) {
		ck_assert_uint_eq(filter(in, n), cases[_i].removed);
		ck_assert_msg(str_eq(buf_str(&out), str_from(want)),
		    "by %zu: got '%s' want '%s'", n, buf_cstr(&out), want);
	}
}
END_TEST

/* One longer than is held back goes, whoever it claims to be of. */
START_TEST(too_long)
{
	struct buf b;
	size_t i;

	buf_init(&b, 1 << 20);
	buf_puts(&b, AR "other.test;\r\n\tspf=pass reason=\"");
	for (i = 0; i < FORGED_MAX_FIELD; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"\r\n" END);
	ck_assert_uint_eq(filter(buf_str(&b), 1000), 1);
	ck_assert_str_eq(buf_cstr(&out), END);
	buf_release(&b);
}
END_TEST

static const struct {
	const char *in;
	bool is_loop;
} loops[] = {
	{ "Delivered-To: me@here.test\r\n" END, true },
	{ "delivered-to:\r\n\tME@here.TEST \r\n" END, true },
	{ "Delivered-To: me@here.test", true },
	{ "Delivered-To: you@here.test\r\n" END, false },
	{ "Delivered-To: me@here.test.example\r\n" END, false },
	{ "\r\nDelivered-To: me@here.test\r\n", false },
	{ "X: Delivered-To: me@here.test\r\n" END, false },
};

/* Received fields of the value, so many of them. */
static const struct {
	const char *value;
	int n;
	bool is_loop;
} hops[] = {
	{ "from a\r\n\tby host.test ([192.0.2.1]) via tcp; x", 10, true },
	{ "from a\r\n\tby host.test ([192.0.2.1]) via tcp; x", 9, false },
	{ "from a BY HOST.TEST; x", 10, true },
	{ "from by.test by other.test (host.test); x", 10, false },
	{ "from host.test by host.test.example; x", 10, false },
	{ "by", 10, false },
	{ "", 10, false },
};

START_TEST(hop)
{
	struct buf b;
	int i;

	buf_init(&b, 1 << 16);
	for (i = 0; i < hops[_i].n; i++)
		buf_printf(&b, "Received: %s\r\n", hops[_i].value);
	buf_puts(&b, END);
	ck_assert_uint_eq(filter(buf_str(&b), 1), 0);
	ck_assert_msg(is_loop == hops[_i].is_loop, "%s", hops[_i].value);
	ck_assert(str_eq(buf_str(&b), buf_str(&out)));
	filter(buf_str(&b), b.n);
	ck_assert(is_loop == hops[_i].is_loop);
	ck_assert(str_eq(buf_str(&b), buf_str(&out)));
	buf_release(&b);
}
END_TEST

/* A Received longer than is held back passes all the same. */
START_TEST(long_received)
{
	struct buf b;
	size_t i, step;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "Received: from a\r\n\t");
	for (i = 0; i < FORGED_MAX_FIELD; i++)
		buf_putc(&b, i % 70 == 69 ? '\n' : i % 70 == 0 ? ' ' : 'x');
	buf_puts(&b, " by host.test\r\nSubject: s\r\n" END);
	for (step = 1; step < b.n; step = step * 7 + 1) {
		ck_assert_uint_eq(filter(buf_str(&b), step), 0);
		ck_assert(str_eq(buf_str(&b), buf_str(&out)));
	}
	buf_release(&b);
}
END_TEST

START_TEST(loop)
{
	filter(str_from(loops[_i].in), 1);
	ck_assert_msg(is_loop == loops[_i].is_loop, "%s", loops[_i].in);
	filter(str_from(loops[_i].in), 1000);
	ck_assert(is_loop == loops[_i].is_loop);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("forged");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, table, 0, N(cases));
	tcase_add_test(t, too_long);
	tcase_add_loop_test(t, loop, 0, N(loops));
	tcase_add_loop_test(t, hop, 0, N(hops));
	tcase_add_test(t, long_received);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
