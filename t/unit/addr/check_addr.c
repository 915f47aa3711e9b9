#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/addr/addr.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

#define LONG63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG64 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG256 LONG64 LONG64 LONG64 LONG64
#define JOERG	"j\xc3\xb6rg"
#define BUECHER     \
	"b\xc3\xbc" \
	"cher.example"

static const struct {
	const char *in;
	unsigned flags;
	const char *local, *domain; /* NULL: refused */
	const char *printed;	    /* NULL: as it came */
} addrs[] = {
	/* RFC 5321, 4.1.2 */
	{ "a@b", 0, "a", "b", NULL },
	{ "john.doe+list@Sub.Example.COM", 0, "john.doe+list",
	    "Sub.Example.COM", NULL },
	{ "!#$%&'*+-/=?^_`{|}~@x", 0, "!#$%&'*+-/=?^_`{|}~", "x", NULL },
	{ "\"\"@x", 0, "", "x", NULL },
	{ "\"a b\"@x", 0, "a b", "x", NULL },
	{ "\"a\"@x", 0, "a", "x", "a@x" },
	{ "\"a.b\"@x", 0, "a.b", "x", "a.b@x" },
	{ "\"a\\\"b\\\\\"@x", 0, "a\"b\\", "x", NULL },
	{ "\"\\a\"@x", 0, "a", "x", "a@x" },
	{ "\"a@b\"@x", 0, "a@b", "x", NULL },
	{ "a%b@x", 0, "a%b", "x", NULL },
	{ "\".a\"@x", 0, ".a", "x", NULL },
	{ "\"a..b\"@x", 0, "a..b", "x", NULL },
	{ LONG256 "@x", 0, LONG256, "x", NULL },
	{ "a@1.2.3.4", 0, "a", "1.2.3.4", NULL },
	{ "a@x-y.z-1", 0, "a", "x-y.z-1", NULL },
	{ "a@x--y", 0, "a", "x--y", NULL },
	/* RFC 5321, 4.1.3 */
	{ "a@[192.0.2.1]", 0, "a", "[192.0.2.1]", NULL },
	{ "a@[IPv6:2001:db8::1]", 0, "a", "[IPv6:2001:db8::1]", NULL },
	{ "a@[ipv6:::ffff:192.0.2.1]", 0, "a", "[ipv6:::ffff:192.0.2.1]",
	    NULL },
	/* RFC 6531, 3.3 */
	{ JOERG "@" BUECHER, ADDR_UTF8, JOERG, BUECHER, NULL },
	{ "\"" JOERG " x\"@x", ADDR_UTF8, JOERG " x", "x", NULL },
	{ JOERG "@x", 0, NULL, NULL, NULL },
	{ "a@" BUECHER, 0, NULL, NULL, NULL },
	{ "a\xff@x", ADDR_UTF8, NULL, NULL, NULL },
	{ "a@\xff", ADDR_UTF8, NULL, NULL, NULL },
	{ "", 0, NULL, NULL, NULL },
	{ "@", 0, NULL, NULL, NULL },
	{ "a", 0, NULL, NULL, NULL },
	{ "a@", 0, NULL, NULL, NULL },
	{ "@x", 0, NULL, NULL, NULL },
	{ ".a@x", 0, NULL, NULL, NULL },
	{ "a.@x", 0, NULL, NULL, NULL },
	{ "a..b@x", 0, NULL, NULL, NULL },
	{ "a b@x", 0, NULL, NULL, NULL },
	{ "\"a@x", 0, NULL, NULL, NULL },
	{ "\"a\\", 0, NULL, NULL, NULL },
	{ "\"a\r\n\"@x", 0, NULL, NULL, NULL },
	{ "\"a\"b@x", 0, NULL, NULL, NULL },
	{ "a@x.", 0, NULL, NULL, NULL },
	{ "a@.x", 0, NULL, NULL, NULL },
	{ "a@x..y", 0, NULL, NULL, NULL },
	{ "a@-x", 0, NULL, NULL, NULL },
	{ "a@x-", 0, NULL, NULL, NULL },
	{ "a@x-.y", 0, NULL, NULL, NULL },
	{ "a@x_y", 0, NULL, NULL, NULL },
	{ "a@x y", 0, NULL, NULL, NULL },
	{ "a@[192.0.2.1", 0, NULL, NULL, NULL },
	{ "a@[192.0.2.256]", 0, NULL, NULL, NULL },
	{ "a@[192.0.2]", 0, NULL, NULL, NULL },
	{ "a@[2001:db8::1]", 0, NULL, NULL, NULL },
	{ "a@[IPv6:192.0.2.1]", 0, NULL, NULL, NULL },
	{ "a@[x:y]", 0, NULL, NULL, NULL },
	{ "a@[]", 0, NULL, NULL, NULL },
	{ LONG256 "a@x", 0, NULL, NULL, NULL },
	/* RFC 1035, 2.3.4 */
	{ "a@" LONG63 ".b", 0, "a", LONG63 ".b", NULL },
	{ "a@" LONG64 ".b", 0, NULL, NULL, NULL },
	{ "a@b." LONG64, 0, NULL, NULL, NULL },
	{ "a@" LONG64 "." LONG64 "." LONG64 "." LONG64, 0, NULL, NULL, NULL },
};

START_TEST(mailboxes)
{
	struct str in = str_from(addrs[_i].in);
	struct addr got, again;
	struct arena a;
	struct buf b;
	size_t cut;

	arena_init(&a, 1 << 20);
	buf_init(&b, 4096);
	if (addrs[_i].local == NULL)
		ck_assert(!addr_from_str(&a, in, addrs[_i].flags, &got));
	else {
		ck_assert(addr_from_str(&a, in, addrs[_i].flags, &got));
		eq(got.local, str_from(addrs[_i].local));
		eq(got.domain, str_from(addrs[_i].domain));
		addr_print(&b, &got);
		eq(buf_str(&b),
		    addrs[_i].printed ? str_from(addrs[_i].printed) : in);
		ck_assert(
		    addr_from_str(&a, buf_str(&b), addrs[_i].flags, &again));
		eq(again.local, got.local);
		eq(again.domain, got.domain);
	}
	for (cut = 0; cut < in.n; cut++) /* no prefix reads too far */
		addr_from_str(&a, arena_str(&a, str_sub(in, 0, cut)),
		    addrs[_i].flags, &got);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

static const struct {
	const char *in;
	int kind; /* -1: refused */
	const char *route, *printed;
} paths[] = {
	{ "<>", ADDR_PATH_NULL, "", "<>" },
	{ "<a@b>", ADDR_PATH, "", "<a@b>" },
	{ "<Postmaster>", ADDR_PATH_POSTMASTER, "", "<postmaster>" },
	{ "<POSTMASTER>", ADDR_PATH_POSTMASTER, "", "<postmaster>" },
	{ "<postmaster@b>", ADDR_PATH, "", "<postmaster@b>" },
	{ "<@a.example,@b.example:c@d>", ADDR_PATH, "@a.example,@b.example",
	    "<c@d>" },
	{ "<@a:>", -1, NULL, NULL },
	{ "<@a>", -1, NULL, NULL },
	{ "<@a,b:c@d>", -1, NULL, NULL },
	{ "a@b", -1, NULL, NULL },
	{ "<a@b", -1, NULL, NULL },
	{ "<a>", -1, NULL, NULL },
	{ "< a@b>", -1, NULL, NULL },
	{ "<a@b >", -1, NULL, NULL },
	{ "", -1, NULL, NULL },
};

START_TEST(path_forms)
{
	struct addr_path p;
	struct arena a;
	struct buf b;
	struct cur c;

	arena_init(&a, 1 << 20);
	buf_init(&b, 4096);
	cur_init(&c, str_from(paths[_i].in));
	if (paths[_i].kind == -1) {
		ck_assert(!addr_parse_path(&a, &c, 0, &p));
		ck_assert_ptr_nonnull(c.why);
	} else {
		ck_assert(addr_parse_path(&a, &c, 0, &p) && cur_done(&c));
		ck_assert_int_eq((int)p.kind, paths[_i].kind);
		eq(p.route, str_from(paths[_i].route));
		addr_print_path(&b, &p);
		eq(buf_str(&b), str_from(paths[_i].printed));
	}
	buf_release(&b);
	arena_release(&a);
}
END_TEST

static const struct {
	const char *in, *ascii, *unicode; /* NULL: not a name */
} domains[] = {
	{ "Example.COM", "example.com", "example.com" },
	{ "b\xc3\xbc"
	  "cher.example",
	    "xn--bcher-kva.example",
	    "b\xc3\xbc"
	    "cher.example" },
	{ "bu\xcc\x88"
	  "cher.example",
	    "xn--bcher-kva.example",
	    "b\xc3\xbc"
	    "cher.example" },
	{ "B\xc3\x9c"
	  "CHER.example",
	    "xn--bcher-kva.example",
	    "b\xc3\xbc"
	    "cher.example" },
	{ "XN--bcher-KVA.example", "xn--bcher-kva.example",
	    "b\xc3\xbc"
	    "cher.example" },
	{ "fa\xc3\x9f.example", "xn--fa-hia.example", "fa\xc3\x9f.example" },
	{ "a\xe3\x80\x82"
	  "b\xc3\xbc",
	    "a.xn--b-eha", "a.b\xc3\xbc" },
	{ "\xe2\x98\x83.example", NULL, NULL },
	{ "a_b.example", NULL, NULL },
	{ "xn--a.example", NULL, NULL },
	{ "", NULL, NULL },
	{ "a..b", NULL, NULL },
	{ "-a.b\xc3\xbc", NULL, NULL },
};

START_TEST(domain_forms)
{
	struct str in = str_from(domains[_i].in);
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(addr_domain_ascii(&b, in) == (domains[_i].ascii != NULL));
	eq(buf_str(&b), str_from(domains[_i].ascii));
	buf_clear(&b);
	ck_assert(addr_domain_unicode(&b, in) == (domains[_i].unicode != NULL));
	eq(buf_str(&b), str_from(domains[_i].unicode));
	buf_release(&b);
}
END_TEST

static const struct {
	const char *in;
	bool fold;
	const char *want;
} normals[] = {
	{ "A.b@EXAMPLE.org", false, "A.b@example.org" },
	{ "A.b@EXAMPLE.org", true, "a.b@example.org" },
	{ "\"a\"@x", false, "a@x" },
	{ "caf\xc3\xa9@x", false, "caf\xc3\xa9@x" }, /* A48 */
	{ "cafe\xcc\x81@x", false, "caf\xc3\xa9@x" },
	{ "CAFE\xcc\x81@x", true, "caf\xc3\xa9@x" },
	{ "a@xn--bcher-kva.example", false,
	    "a@b\xc3\xbc"
	    "cher.example" },
	{ "a@[IPv6:2001:DB8::1]", false, "a@[ipv6:2001:db8::1]" },
	{ "\"\"@x", false, "\"\"@x" },
};

START_TEST(normal_forms)
{
	struct addr addr, n;
	struct arena a;
	struct buf b;

	arena_init(&a, 1 << 20);
	buf_init(&b, 4096);
	ck_assert(
	    addr_from_str(&a, str_from(normals[_i].in), ADDR_UTF8, &addr));
	ck_assert(addr_normalize(&a, &addr, normals[_i].fold, &n));
	addr_print(&b, &n);
	eq(buf_str(&b), str_from(normals[_i].want));
	buf_release(&b);
	arena_release(&a);
}
END_TEST

START_TEST(separators)
{
	eq(addr_base_local(STR("me+list"), STR("+")), STR("me"));
	eq(addr_base_local(STR("me+a-b"), STR("-+")), STR("me"));
	eq(addr_base_local(STR("me-a+b"), STR("-+")), STR("me"));
	eq(addr_base_local(STR("me+"), STR("+")), STR("me"));
	eq(addr_base_local(STR("+me"), STR("+")), STR("+me"));
	eq(addr_base_local(STR("me"), STR("+")), STR("me"));
	eq(addr_base_local(STR("me+x"), STR("")), STR("me+x"));
	eq(addr_base_local(STR(""), STR("+")), STR(""));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, mailboxes, 0, N(addrs));
	tcase_add_loop_test(t, path_forms, 0, N(paths));
	tcase_add_loop_test(t, domain_forms, 0, N(domains));
	tcase_add_loop_test(t, normal_forms, 0, N(normals));
	tcase_add_test(t, separators);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
