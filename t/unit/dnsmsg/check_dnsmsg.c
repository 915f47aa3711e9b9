#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/dnsmsg/dnsmsg.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
/* a message of bytes written out */
#define WIRE(lit)                    \
	{                            \
		lit, sizeof(lit) - 1 \
	}

static struct arena arena;
static struct buf out;

static void
setup(void)
{
	arena_init(&arena, DNSMSG_ARENA_MAX);
	buf_init(&out, 70000);
}

static void
teardown(void)
{
	arena_release(&arena);
	buf_release(&out);
}

static void
eq(struct str got, const char *want)
{
	ck_assert_msg(str_eq(got, str_from(want)), "got '%.*s' want '%s'",
	    STR_ARG(got), want);
}

/* header: id 0x1234, flags, counts; then the question "a.test" of that type */
#define HEAD(flags, an, ns, ar) \
	"\x12\x34" flags "\x00\x01\x00" an "\x00" ns "\x00" ar
#define QUESTION(type) \
	"\x01"         \
	"a\x04"        \
	"test\x00\x00" type "\x00\x01"
#define TTL60 "\x00\x00\x00\x3c"
/* owner by pointer to the question's name */
#define RR(type, n) "\xc0\x0c\x00" type "\x00\x01" TTL60 "\x00" n

/* clang-format off */
static const struct {
	const char *label;
	enum dns_type type;
	struct { const char *p; size_t n; } wire;
	bool trust;
	enum dns_status status;
	bool is_secure;
	size_t n;
	const char *shown; /* of the first record */
	uint32_t ttl;
} results[] = {
	{ "A", DNS_A, WIRE(HEAD("\x81\xa0", "\x02", "\x00", "\x00")
	    QUESTION("\x01") RR("\x01", "\x04") "\xc0\x00\x02\x01"
	    RR("\x01", "\x04") "\xc0\x00\x02\x02"),
	    true, DNS_OK, true, 2, "192.0.2.1", 60 },
	{ "AD of a resolver that is not trusted", DNS_A,
	    WIRE(HEAD("\x81\xa0", "\x01", "\x00", "\x00")
	    QUESTION("\x01") RR("\x01", "\x04") "\xc0\x00\x02\x01"),
	    false, DNS_OK, false, 1, "192.0.2.1", 60 },
	{ "MX, compressed exchange", DNS_MX,
	    WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x0f") RR("\x0f", "\x07") "\x00\x0a\x02" "mx\xc0\x0c"),
	    true, DNS_OK, false, 1, "10 mx.a.test", 60 },
	{ "null MX (RFC 7505)", DNS_MX,
	    WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x0f") RR("\x0f", "\x03") "\x00\x00\x00"),
	    true, DNS_OK, false, 1, "0 .", 60 },
	{ "TXT strings are joined", DNS_TXT,
	    WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x10") RR("\x10", "\x08") "\x03" "v=s\x00\x02" "pf"),
	    true, DNS_OK, false, 1, "v=spf", 60 },
	{ "TLSA", 52, WIRE(HEAD("\x81\xa0", "\x01", "\x00", "\x00")
	    QUESTION("\x34") RR("\x34", "\x05") "\x03\x01\x01" "ab"),
	    true, DNS_OK, true, 1, "3 1 1 2", 60 },
	{ "SRV", DNS_SRV, WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x21") RR("\x21", "\x08") "\x00\x01\x00\x02\x03\xe1\xc0\x0c"),
	    true, DNS_OK, false, 1, "1 2 993 a.test", 60 },
	{ "CNAME, then A of its target", DNS_A,
	    WIRE(HEAD("\x81\x80", "\x02", "\x00", "\x00") QUESTION("\x01")
	    "\x01" "b\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01"
	    RR("\x05", "\x04") "\x01" "b\xc0\x0e"),
	    true, DNS_OK, false, 1, "127.0.0.1", 5 },
	{ "CNAME that points at itself", DNS_A,
	    WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00") QUESTION("\x01")
	    RR("\x05", "\x02") "\xc0\x0c"),
	    true, DNS_TEMPFAIL, false, 0, NULL, 0 },
	{ "NXDOMAIN with SOA (RFC 2308, 5)", DNS_A,
	    WIRE(HEAD("\x81\xa3", "\x00", "\x01", "\x00") QUESTION("\x01")
	    "\xc0\x0e\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x16"
	    "\x00\x00" "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"
	    "\x00\x00\x00\x04\x00\x00\x00\x1e"),
	    true, DNS_NXDOMAIN, true, 0, NULL, 30 },
	{ "NODATA without SOA", DNS_A,
	    WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x00") QUESTION("\x01")),
	    true, DNS_NODATA, false, 0, NULL, 5 },
	{ "NXDOMAIN for the target of a CNAME", DNS_A,
	    WIRE(HEAD("\x81\x83", "\x01", "\x00", "\x00") QUESTION("\x01")
	    RR("\x05", "\x04") "\x01" "b\xc0\x0e"),
	    true, DNS_NXDOMAIN, false, 0, NULL, 5 },
	{ "SERVFAIL", DNS_A,
	    WIRE(HEAD("\x81\x82", "\x00", "\x00", "\x00") QUESTION("\x01")),
	    true, DNS_TEMPFAIL, false, 0, NULL, 0 },
	{ "SERVFAIL with EDE 6, DNSSEC bogus (RFC 8914, 4.7)", DNS_A,
	    WIRE(HEAD("\x81\x82", "\x00", "\x00", "\x01") QUESTION("\x01")
	    "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x09\x00\x0f\x00\x05\x00\x06"
	    "bad"),
	    true, DNS_BOGUS, false, 0, NULL, 0 },
	{ "BADVERS: extended rcode 16", DNS_A,
	    WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x01") QUESTION("\x01")
	    "\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00"),
	    true, DNS_TEMPFAIL, false, 0, NULL, 0 },
	{ "another class and type are passed over", DNS_A,
	    WIRE(HEAD("\x81\x80", "\x02", "\x00", "\x00") QUESTION("\x01")
	    "\xc0\x0c\x00\x01\x00\x03" TTL60 "\x00\x01z"
	    "\xc0\x0c\x00\x63\x00\x01" TTL60 "\x00\x01z"),
	    true, DNS_NODATA, false, 0, NULL, 5 },
};

static const struct {
	const char *label;
	struct { const char *p; size_t n; } wire;
} refused[] = {
	{ "empty", WIRE("") },
	{ "pointer to itself", WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x00")
	    "\xc0\x0c\x00\x01\x00\x01") },
	{ "pointer forward", WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x00")
	    "\xc0\x0e\x01" "a\x00\x00\x01\x00\x01") },
	{ "label and pointer in a ring", WIRE(
	    HEAD("\x81\x80", "\x00", "\x00", "\x00")
	    "\x01" "a\xc0\x0c\x00\x01\x00\x01") },
	{ "label type 01", WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x00")
	    "\x41" "a\x00\x00\x01\x00\x01") },
	{ "RDLENGTH past the end", WIRE(
	    HEAD("\x81\x80", "\x01", "\x00", "\x00") QUESTION("\x01")
	    RR("\x01", "\x05") "\x01\x02\x03\x04") },
	{ "A of five octets", WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x01") RR("\x01", "\x05") "\x01\x02\x03\x04\x05") },
	{ "A of three octets", WIRE(HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x01") RR("\x01", "\x03") "\x01\x02\x03") },
	{ "TXT string longer than its record", WIRE(
	    HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x10") RR("\x10", "\x03") "\x05" "ab" "cdef") },
	{ "TXT without a string", WIRE(
	    HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x10") RR("\x10", "\x00")) },
	{ "MX name runs out of its record", WIRE(
	    HEAD("\x81\x80", "\x01", "\x00", "\x00")
	    QUESTION("\x0f") RR("\x0f", "\x04") "\x00\x01\x03" "abc\x00") },
	{ "more records counted than there are", WIRE(
	    HEAD("\x81\x80", "\x02", "\x00", "\x00")
	    QUESTION("\x01") RR("\x01", "\x04") "\x01\x02\x03\x04") },
	{ "two questions", WIRE("\x12\x34\x81\x80\x00\x02\x00\x00\x00\x00\x00\x00"
	    QUESTION("\x01") QUESTION("\x01")) },
	{ "65535 records", WIRE("\x12\x34\x81\x80\x00\x00\xff\xff\x00\x00\x00\x00") },
	{ "two OPTs", WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x02")
	    QUESTION("\x01") "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	    "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00") },
	{ "option longer than OPT", WIRE(
	    HEAD("\x81\x80", "\x00", "\x00", "\x01") QUESTION("\x01")
	    "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0f\x00\x05") },
	{ "junk at the end", WIRE(HEAD("\x81\x80", "\x00", "\x00", "\x00")
	    QUESTION("\x01") "x") },
};

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const struct {
	const char *name;
	bool ok;
	const char *back; /* NULL: as it was */
} names[] = {
	{ ".", true, NULL },
	{ "a", true, NULL },
	{ "A.b.C", true, NULL },
	{ "a.b.", true, "a.b" },
	{ "_25._tcp.mx.test", true, NULL },
	{ "a\\.b.c", true, NULL },
	{ "a\\\\.c", true, NULL },
	{ "\\097.c", true, "a.c" },
	{ "\\000\\255 x", true, "\\000\\255\\032x" },
	{ "", false, NULL },
	{ "..", false, NULL },
	{ ".a", false, NULL },
	{ "a..b", false, NULL },
	{ "a\\", false, NULL },
	{ "a\\25", false, NULL },
	{ "a\\256", false, NULL },
	{ "a\\2x5", false, NULL },
	{ L63 ".test", true, NULL },
	{ L63 "a.test", false, NULL },
	/* RFC 1035, 2.3.4: 255 octets on the wire */
	{ L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb"
	    "aaaaaaaaaabbbbbbbbbbc", true, NULL },
	{ L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb"
	    "aaaaaaaaaabbbbbbbbbbcd", false, NULL },
};

static const struct {
	const char *name, *parent;
	bool within;
} withins[] = {
	{ "a.test", "test", true },
	{ "A.TEST.", "a.test", true },
	{ "aa.test", "a.test", false },
	{ "x\\.test", "test", false },
	{ "test", "a.test", false },
	{ "a", ".", true },
	{ "x\\.a.test", "a.test", false },
	{ "x\\\\.a.test", "a.test", true },
	{ "y.x\\.a.test", "X\\046a.test.", true },
	{ "y.x\\046a.test", "x.a.test", false },
	{ "b.a\\032c", "A c", true },
	{ "a.test", "", false },
	{ "", "a.test", false },
	{ "", ".", true },
	{ ".", ".", true },
};
/* clang-format on */

static void
show(const struct dns_record *r)
{
	buf_clear(&out);
	switch ((int)r->type) {
	case DNS_A:
		buf_printf(&out, "%u.%u.%u.%u", r->ip[0], r->ip[1], r->ip[2],
		    r->ip[3]);
		break;
	case DNS_MX:
		buf_printf(
		    &out, "%u %.*s", r->mx.preference, STR_ARG(r->mx.exchange));
		break;
	case DNS_TXT:
		buf_put(&out, r->text);
		break;
	case DNS_TLSA:
		buf_printf(&out, "%u %u %u %zu", r->tlsa.usage,
		    r->tlsa.selector, r->tlsa.matching, r->tlsa.data.n);
		break;
	case DNS_SRV:
		buf_printf(&out, "%u %u %u %.*s", r->srv.priority,
		    r->srv.weight, r->srv.port, STR_ARG(r->srv.target));
		break;
	}
}

START_TEST(result_table)
{
	const struct dns_question q = { results[_i].type, STR("A.test") };
	struct str wire = { results[_i].wire.p, results[_i].wire.n };
	const char *why = "";
	struct dns_answer an, *copy;
	struct dnsmsg m;
	size_t n;

	ck_assert_msg(dnsmsg_parse(&arena, wire, &m, &why), "%s: %s",
	    results[_i].label, why);
	ck_assert(dnsmsg_answers(&m, 0x1234, &q));
	ck_assert(!dnsmsg_answers(&m, 0x1235, &q));
	dnsmsg_result(&arena, &m, &q, results[_i].trust, &an);
	copy = dns_answer_copy(&arena, &an);
	ck_assert_msg(an.status == results[_i].status, "%s: %s",
	    results[_i].label, dns_status_name(an.status));
	ck_assert_msg(
	    an.is_secure == results[_i].is_secure, "%s", results[_i].label);
	ck_assert_uint_eq(copy->n, results[_i].n);
	ck_assert_uint_eq(copy->ttl, results[_i].ttl);
	if (copy->n > 0) {
		show(copy->v);
		eq(buf_str(&out), results[_i].shown);
	}
	/* no prefix is a message */
	for (n = 0; n < wire.n; n++) {
		char *cut = malloc(n + 1);

		memcpy(cut, wire.p, n);
		ck_assert_msg(!dnsmsg_parse(&arena, str_make(cut, n), &m, NULL),
		    "%s cut at %zu", results[_i].label, n);
		free(cut);
	}
}
END_TEST

START_TEST(refused_table)
{
	struct str wire = { refused[_i].wire.p, refused[_i].wire.n };
	const char *why = NULL;
	struct dnsmsg m;

	ck_assert_msg(
	    !dnsmsg_parse(&arena, wire, &m, &why), "%s", refused[_i].label);
	ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(name_table)
{
	const struct dns_question q = { DNS_A, str_from(names[_i].name) };
	const char *back = names[_i].back, *why = "";
	struct dnsmsg m;

	ck_assert_msg(
	    dnsmsg_query(&out, 7, &q, 0) == names[_i].ok, "%s", names[_i].name);
	ck_assert(dns_name_valid(q.name) == names[_i].ok);
	if (!names[_i].ok) {
		ck_assert_uint_eq(out.n, 0);
		return;
	}
	ck_assert_msg(dnsmsg_parse(&arena, buf_str(&out), &m, &why), "%s", why);
	eq(m.question.name, back == NULL ? names[_i].name : back);
	ck_assert_uint_eq(m.udp_size, DNS_UDP_SIZE);
	ck_assert(!m.is_response && m.is_authentic && m.has_opt);
}
END_TEST

START_TEST(within_table)
{
	ck_assert_msg(dns_name_within(str_from(withins[_i].name),
			  str_from(withins[_i].parent)) == withins[_i].within,
	    "%s in %s", withins[_i].name, withins[_i].parent);
}
END_TEST

START_TEST(labels)
{
	ck_assert_uint_eq(dns_name_labels(STR("a.b.test.")), 3);
	ck_assert_uint_eq(dns_name_labels(STR("a\\.b.test")), 2);
	ck_assert_uint_eq(dns_name_labels(STR("a\\\\.b.test")), 3);
	ck_assert_uint_eq(dns_name_labels(STR("a\\04")), 1);
	ck_assert_uint_eq(dns_name_labels(STR(".")), 0);
	ck_assert_uint_eq(dns_name_labels(STR("")), 0);
	eq(dns_name_last(STR("a.b.test"), 2), "b.test");
	eq(dns_name_last(STR("a\\.b.test"), 2), "a\\.b.test");
	eq(dns_name_last(STR("a.b.test."), 1), "test.");
	eq(dns_name_last(STR("a"), 5), "a");
	eq(dns_name_last(STR("a"), 0), "");
}
END_TEST

/* as the client wrote it, as the answer is read */
START_TEST(escapes_are_equal)
{
	ck_assert(dns_name_eq(STR("a b.Test"), STR("A\\032b.test.")));
	ck_assert(dns_name_eq(STR("a\\.b.test"), STR("a\\046b.test")));
	ck_assert(!dns_name_eq(STR("a\\.b.test"), STR("a.b.test")));
	ck_assert(!dns_name_eq(STR("a\\300.test"), STR("a\\301.test")));
}
END_TEST

/* c-ares cuts 11 octets off a query */
START_TEST(query_ends_in_opt)
{
	static const char opt[] = "\0\0\x29\x04\xd0\0\0\0\0\0";
	const struct dns_question q = { DNS_MX, STR("x.test") };

	ck_assert(dnsmsg_query(&out, 1, &q, 0));
	ck_assert(memcmp(out.p + out.n - 11, opt, 11) == 0);
	ck_assert_uint_eq(out.n, 12 + 8 + 4 + 11);
}
END_TEST

START_TEST(reverse_names)
{
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xcb };
	static const uint8_t v4[4] = { 192, 0, 2, 1 };

	eq(dns_name_reverse(&arena, v4, false), "1.2.0.192.in-addr.arpa");
	eq(dns_name_reverse(&arena, v6, true),
	    "b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
	    ".ip6.arpa");
}
END_TEST

/* 1000 names of 250 octets by pointer: refused or bounded, not slow */
START_TEST(many_pointers)
{
	struct dns_answer an;
	struct dnsmsg m;
	int i;

	buf_put(&out, str_make("\x12\x34\x81\x80\0\1\x03\xe8\0\0\0\0", 12));
	for (i = 0; i < 3; i++)
		buf_printf(&out, "\x3f%063d", i);
	buf_put(&out, str_make("\0\0\x02\0\1", 5));
	for (i = 0; i < 1000; i++)
		buf_put(&out,
		    str_make("\xc0\x0c\0\x02\0\1\0\0\0\x3c\0\2\xc0\x0c", 14));
	ck_assert(dnsmsg_parse(&arena, buf_str(&out), &m, NULL));
	dnsmsg_result(&arena, &m, &m.question, true, &an);
	ck_assert_uint_eq(an.n, 1000);
	dns_answer_copy(&arena, &an);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dnsmsg");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, result_table, 0, N(results));
	tcase_add_loop_test(t, refused_table, 0, N(refused));
	tcase_add_loop_test(t, name_table, 0, N(names));
	tcase_add_loop_test(t, within_table, 0, N(withins));
	tcase_add_test(t, labels);
	tcase_add_test(t, escapes_are_equal);
	tcase_add_test(t, query_ends_in_opt);
	tcase_add_test(t, reverse_names);
	tcase_add_test(t, many_pointers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
