#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/xclient/xclient.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
#define X63  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X252 X63 X63 X63 X63

/* out: as printed; NULL: it is refused, and why */
static const struct {
	const char *in, *out, *why;
} rows[] = {
	/* the examples of XCLIENT_README */
	{ "NAME=spike.porcupine.org ADDR=168.100.189.2 PROTO=ESMTP",
	    "NAME=spike.porcupine.org ADDR=168.100.189.2 PROTO=ESMTP", NULL },
	{ "NAME=[UNAVAILABLE] ADDR=168.100.189.2",
	    "NAME=[UNAVAILABLE] ADDR=168.100.189.2", NULL },
	{ "name=[tempunavail]", "NAME=[TEMPUNAVAIL]", NULL },
	{ "ADDR=IPV6:2001:DB8:0:0::1", "ADDR=IPV6:2001:db8::1", NULL },
	{ "ADDR=ipv6:::1 DESTADDR=IPV6:::2", "ADDR=IPV6:::1 DESTADDR=IPV6:::2",
	    NULL },
	{ "PORT=0 DESTPORT=65535", "PORT=0 DESTPORT=65535", NULL },
	{ "PROTO=smtp", "PROTO=SMTP", NULL },
	{ "HELO=[192.0.2.1]", "HELO=[192.0.2.1]", NULL },
	{ "REVERSE_NAME=x.example", "REVERSE_NAME=x.example", NULL },
	/* xtext: RFC 3461, 4 */
	{ "LOGIN=a+20b+3Dc+2B@x", "LOGIN=a+20b+3Dc+2B@x", NULL },
	{ "LOGIN=+C3+A4", "LOGIN=+C3+A4", NULL },
	{ "HELO=+5BUNAVAILABLE]", "HELO=[UNAVAILABLE]", NULL },
	{ "  HELO=x  PORT=1 ", "PORT=1 HELO=x", NULL },
	{ "NAME=" X252 "xxx", "NAME=" X252 "xxx", NULL },
	{ "NAME=" X252 "xxxx", NULL, "bad attribute value" },
	{ "", NULL, "attribute=value expected" },
	{ "   ", NULL, "attribute=value expected" },
	{ "NAME", NULL, "attribute=value expected" },
	{ "FOO=bar", NULL, "unknown attribute" },
	{ "=bar", NULL, "unknown attribute" },
	{ "NAME=a ADDR=1.2.3.4 NAME=b", NULL, "attribute given twice" },
	{ "NAME=", NULL, "bad attribute value" },
	{ "NAME=a+2", NULL, "bad attribute value" },
	{ "NAME=a+0Ab", NULL, "bad attribute value" },
	{ "NAME=a+20b", NULL, "bad attribute value" },
	{ "NAME=a=b", NULL, "bad attribute value" },
	{ "NAME=+FF", NULL, "bad attribute value" },
	{ "LOGIN=a+00", NULL, "bad attribute value" },
	{ "ADDR=2001:db8::1", NULL, "bad attribute value" },
	{ "ADDR=IPV6:192.0.2.1", NULL, "bad attribute value" },
	{ "ADDR=[192.0.2.1]", NULL, "bad attribute value" },
	{ "ADDR=192.0.2.1+00x", NULL, "bad attribute value" },
	{ "ADDR=unknown", NULL, "bad attribute value" },
	{ "PORT=65536", NULL, "bad attribute value" },
	{ "PORT=-1", NULL, "bad attribute value" },
	{ "PROTO=LMTP", NULL, "bad attribute value" },
	{ "PROTO=[UNAVAILABLE]", NULL, "bad attribute value" },
};

START_TEST(table)
{
	struct xclient x;
	const char *why;
	struct arena a;
	struct buf b;
	bool ok;

	arena_init(&a, 1 << 16);
	buf_init(&b, 4096);
	ok = xclient_parse(&a, str_from(rows[_i].in), &x, &why);
	ck_assert_msg(ok == (rows[_i].out != NULL), "%s", rows[_i].in);
	if (ok) {
		xclient_print(&b, &x);
		ck_assert_str_eq(buf_cstr(&b), rows[_i].out);
	} else
		ck_assert_str_eq(why, rows[_i].why);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* What is not said is told apart from what is said to be missing. */
START_TEST(states)
{
	struct xclient x;
	const char *why;
	struct arena a;

	arena_init(&a, 1 << 16);
	ck_assert(xclient_parse(&a,
	    STR("ADDR=192.0.2.1 NAME=[UNAVAILABLE] REVERSE_NAME=[TEMPUNAVAIL]"),
	    &x, &why));
	ck_assert_int_eq(x.v[XCLIENT_ADDR].state, XCLIENT_GIVEN);
	ck_assert(str_eq(x.v[XCLIENT_ADDR].text, STR("192.0.2.1")));
	ck_assert_int_eq(x.v[XCLIENT_NAME].state, XCLIENT_UNAVAILABLE);
	ck_assert_int_eq(x.v[XCLIENT_REVERSE_NAME].state, XCLIENT_TEMPUNAVAIL);
	ck_assert_int_eq(x.v[XCLIENT_HELO].state, XCLIENT_ABSENT);
	arena_release(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("xclient");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, table, 0, N(rows));
	tcase_add_test(t, states);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
