#include <check.h>
#include <stdlib.h>

#include "format/psl/psl.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* after the test data of publicsuffix.org, which is in the public domain */
static const struct {
	const char *name, *org; /* NULL: it is a suffix, or no name */
} orgs[] = {
	{ "com", NULL },
	{ "example.com", "example.com" },
	{ "a.B.Example.COM.", "example.com" },
	{ "co.uk", NULL },
	{ "b.example.co.uk", "example.co.uk" },
	{ "ck", NULL },
	{ "test.ck", NULL },
	{ "b.test.ck", "b.test.ck" },
	{ "www.ck", "www.ck" }, /* an exception of *.ck */
	{ "www.www.ck", "www.ck" },
	{ "github.io", NULL }, /* the private section */
	{ "me.github.io", "me.github.io" },
	{ "x.me.github.io", "me.github.io" },
	{ "xn--85x722f.com.cn", "xn--85x722f.com.cn" },
	{ "x.example.nosuchtld", "example.nosuchtld" },
	{ "", NULL },
	{ ".", NULL },
	{ "..", NULL },
	{ ".com", NULL },
	{ "a..com", NULL },
};

START_TEST(org_table)
{
	struct psl *list = psl_load();
	struct str name = str_from(orgs[_i].name);
	struct buf b;
	bool found;

	ck_assert_ptr_nonnull(list);
	buf_init(&b, 256);
	found = psl_org_domain(list, name, &b);
	ck_assert_msg(found == (orgs[_i].org != NULL), "%s: %s", orgs[_i].name,
	    buf_cstr(&b));
	if (found) {
		ck_assert_str_eq(buf_cstr(&b), orgs[_i].org);
		ck_assert(!psl_is_suffix(list, name));
	}
	buf_release(&b);
	psl_unload(&list);
	ck_assert_ptr_null(list);
}
END_TEST

START_TEST(suffixes)
{
	struct psl *list = psl_load();

	ck_assert(psl_is_suffix(list, STR("co.uk")));
	ck_assert(psl_is_suffix(list, STR("github.io")));
	ck_assert(!psl_is_suffix(list, STR("example.com")));
	psl_unload(&list);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("psl");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, org_table, 0, N(orgs));
	tcase_add_test(t, suffixes);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
