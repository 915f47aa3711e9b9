#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/authres/authres.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const struct {
	const char *rfc, *in;
	const char *shown; /* id|method=result(reason) type.prop=value|..; NULL: refused */
} parses[] = {
	/* RFC 8601, appendix B */
	{ "B.2", "example.org 1; none", "example.org" },
	{ "B.3", "example.com;\r\n spf=pass smtp.mailfrom=example.net",
	    "example.com|spf=pass smtp.mailfrom=example.net" },
	{ "B.4", "example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
	    " spf=pass smtp.mailfrom=example.net",
	    "example.com|auth=pass smtp.auth=sender@example.net"
	    "|spf=pass smtp.mailfrom=example.net" },
	{ "B.6", "example.com;\r\n dkim=pass reason=\"good signature\"\r\n"
	    " header.i=@mail-router.example.net;\r\n dkim=fail reason=\"bad signature\"\r\n"
	    " header.i=@newyork.example.com",
	    "example.com|dkim=pass(good signature) header.i=@mail-router.example.net"
	    "|dkim=fail(bad signature) header.i=@newyork.example.com" },
	{ "B.7", "foo.example.net (foobar) 1 (baz);\r\n"
	    "    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
	    "      policy (A dot can go here) . (like that) expired\r\n"
	    "      (this surprised me) = (as I wasn't expecting it) 1362471462",
	    "foo.example.net|dkim=fail policy.expired=1362471462" },
	{ "2.2", "\"a b\"; x=y", "a b|x=y" },
	{ "2.2", "a; dkim=pass header.b=ab/c+d== header.d=x;",
	    "a|dkim=pass header.b=ab/c+d== header.d=x" },
	{ "2.2", "a; NONE", "a" },
	{ "2.2", "a; none=pass", "a|none=pass" },
	{ "2.2", "a", NULL },
	{ "2.2", "", NULL },
	{ "2.2", "a;", NULL },
	{ "2.2", "a; spf", NULL },
	{ "2.2", "a; spf=", NULL },
	{ "2.2", "a; spf=pass x", NULL },
	{ "2.2", "a; spf=pass x.=y", NULL },
	{ "2.2", "a 2; none", NULL },
	{ "2.2", "a; spf=pass (", NULL },
	{ "2.2", "a; spf=pass reason=\"x", NULL },
};

static const struct {
	const char *value;
	bool claims;
} claims[] = {
	{ "mx.test; none", true },
	{ " MX.Test; spf=pass", true },
	{ " (hi (there)) mx.test(x); broken", true },
	{ "\"mx.test\"; none", true },
	{ "\"mx\\.test\" 1; none", true },
	{ "mx.test.; none", true },
	{ "mx.test", true },
	{ "", true },
	{ "(never ends mx.other", true },
	{ "mx.other; mx.test", false },
	{ "xmx.test; none", false },
	{ "me@mx.test; none", false },
	{ "mx.test/1; none", true },
	{ "mx.test,other; none", true },
	{ "mx.test=1; none", true },
	{ "mx.tester; none", false },
};
/* clang-format on */

static struct arena arena;
static struct buf out;

static void
setup(void)
{
	arena_init(&arena, 1 << 20);
	buf_init(&out, 65536);
}

static void
teardown(void)
{
	arena_release(&arena);
	buf_release(&out);
}

static void
show(const struct authres *r)
{
	const struct authres_method *m;
	size_t i, j;

	buf_clear(&out);
	buf_put(&out, r->authserv_id);
	for (j = 0; j < r->n; j++) {
		m = &r->v[j];
		buf_printf(
		    &out, "|%.*s=%.*s", STR_ARG(m->method), STR_ARG(m->result));
		if (m->reason.n > 0)
			buf_printf(&out, "(%.*s)", STR_ARG(m->reason));
		for (i = 0; i < m->n_props; i++)
			buf_printf(&out, " %.*s.%.*s=%.*s",
			    STR_ARG(m->props[i].ptype),
			    STR_ARG(m->props[i].property),
			    STR_ARG(m->props[i].value));
	}
}

START_TEST(parse_table)
{
	struct str in = str_from(parses[_i].in);
	struct authres r;
	struct buf printed;
	const char *why = "";

	if (!authres_parse(&arena, in, &r, &why)) {
		ck_assert_msg(
		    parses[_i].shown == NULL, "%s: %s", parses[_i].in, why);
		return;
	}
	show(&r);
	ck_assert_ptr_nonnull(parses[_i].shown);
	ck_assert_str_eq(buf_cstr(&out), parses[_i].shown);
	/* and what is printed reads the same */
	buf_init(&printed, 65536);
	authres_print(&printed, &r);
	ck_assert_msg(authres_parse(&arena, buf_str(&printed), &r, &why), "%s",
	    buf_cstr(&printed));
	show(&r);
	ck_assert_str_eq(buf_cstr(&out), parses[_i].shown);
	buf_release(&printed);
}
END_TEST

START_TEST(claims_table)
{
	ck_assert_msg(authres_claims(str_from(claims[_i].value),
			  STR("mx.test")) == claims[_i].claims,
	    "%s", claims[_i].value);
}
END_TEST

START_TEST(prints_hostile)
{
	struct authres_method m = { .method = STR("dkim"),
		.result = STR("fail"),
		.comment = STR("a)\r\nX: (b"),
		.reason = STR("say \"no\""),
		.props = { { STR("header"), STR("d"), STR("a;b\r\nc") } },
		.n_props = 1 };
	struct authres r = { STR("mx.test"), &m, 1 };

	authres_print(&out, &r);
	ck_assert_str_eq(buf_cstr(&out),
	    "mx.test;\r\n\tdkim=fail (a\\)??X: \\(b) reason=\"say \\\"no\\\"\""
	    "\r\n\theader.d=\"a;b??c\"");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("authres");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, parse_table, 0, N(parses));
	tcase_add_loop_test(t, claims_table, 0, N(claims));
	tcase_add_test(t, prints_hostile);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
