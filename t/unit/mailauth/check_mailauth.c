/* What results mean. The results themselves: t/flow/receive.t, with a name
 * server. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "service/mailauth/mailauth.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *what;
	enum dmarc_status dmarc;
	enum dmarc_policy policy;
	bool is_sampled_out;
	enum dnsbl_status dnsbl[2];
	int code;
	const char *enhanced, *reason;
} cases[] = {
	{ "nothing known", DMARC_NONE, DMARC_POLICY_NONE, false, { 0 }, 250,
	    NULL, "no-bad-signals" },
	{ "pass", DMARC_PASS, DMARC_POLICY_NONE, false, { 0 }, 250, NULL,
	    "no-bad-signals" },
	{ "reject", DMARC_FAIL, DMARC_REJECT, false, { 0 }, 550, "5.7.26",
	    "dmarc-policy" },
	/* quarantine is treated as reject */
	{ "quarantine", DMARC_FAIL, DMARC_QUARANTINE, false, { 0 }, 550,
	    "5.7.26", "dmarc-policy" },
	{ "fail that asks for nothing", DMARC_FAIL, DMARC_POLICY_NONE, false,
	    { 0 }, 250, NULL, "no-bad-signals" },
	/* the weaker policy that is left of reject */
	{ "outside of pct", DMARC_FAIL, DMARC_QUARANTINE, true, { 0 }, 250,
	    NULL, "no-bad-signals" },
	/* RFC 7489, 6.6.2: it might have passed */
	{ "temperror", DMARC_TEMPERROR, DMARC_POLICY_NONE, false, { 0 }, 451,
	    "4.4.3", "dmarc-temperror" },
	{ "temperror of a listed one", DMARC_TEMPERROR, DMARC_POLICY_NONE,
	    false, { DNSBL_LISTED }, 451, "4.4.3", "dmarc-temperror" },
	{ "permerror", DMARC_PERMERROR, DMARC_POLICY_NONE, false, { 0 }, 250,
	    NULL, "no-bad-signals" },
	{ "listed", DMARC_PASS, DMARC_POLICY_NONE, false,
	    { DNSBL_CLEAR, DNSBL_LISTED }, 451, "4.3.0", "dns-blocklisted" },
	{ "a list in trouble", DMARC_NONE, DMARC_POLICY_NONE, false,
	    { DNSBL_TEMPERROR, DNSBL_SICK }, 250, NULL, "no-bad-signals" },
	{ "the first step decides", DMARC_FAIL, DMARC_REJECT, false,
	    { DNSBL_LISTED }, 550, "5.7.26", "dmarc-policy" },
};

START_TEST(decisions)
{
	struct mailauth_result r = { .n_dnsbl = 2 };
	struct mailauth_decision d;

	r.dmarc.status = cases[_i].dmarc;
	r.dmarc.disposition = cases[_i].policy;
	r.dmarc.is_sampled_out = cases[_i].is_sampled_out;
	r.dnsbl[0].status = cases[_i].dnsbl[0];
	r.dnsbl[1].status = cases[_i].dnsbl[1];
	mailauth_decide(&r, &d);
	ck_assert_msg(
	    d.code == cases[_i].code && strcmp(d.reason, cases[_i].reason) == 0,
	    "%s: %d %s", cases[_i].what, d.code, d.reason);
	ck_assert_pstr_eq(d.enhanced, cases[_i].enhanced);
}
END_TEST

/* When DNS does not answer: what is known decides, what is not waits. */
static const struct {
	enum dmarc_status policy; /* DMARC_PASS: there is one */
	enum dmarc_policy p;
	bool spf, dkim, is_temporary;
	int code;
} open_cases[] = {
	{ DMARC_TEMPERROR, DMARC_POLICY_NONE, false, false, false, 451 },
	{ DMARC_TEMPERROR, DMARC_POLICY_NONE, false, false, true, 451 },
	/* whatever the policy is, it would be content */
	{ DMARC_TEMPERROR, DMARC_POLICY_NONE, true, false, false, 250 },
	{ DMARC_TEMPERROR, DMARC_POLICY_NONE, false, true, true, 250 },
	/* the policy is there, a key is not */
	{ DMARC_PASS, DMARC_REJECT, false, false, true, 451 },
	{ DMARC_PASS, DMARC_QUARANTINE, false, false, true, 451 },
	{ DMARC_PASS, DMARC_POLICY_NONE, false, false, true, 250 },
};

START_TEST(open_policies)
{
	struct dmarc_found policy = { .status = open_cases[_i].policy };
	struct mailauth_result r = { .policy = &policy };
	struct mailauth_decision d;

	r.dmarc = (struct dmarc_result){ .status = DMARC_TEMPERROR,
		.policy = open_cases[_i].p,
		.spf_aligned = open_cases[_i].spf,
		.dkim_aligned = open_cases[_i].dkim,
		.is_temporary = open_cases[_i].is_temporary };
	mailauth_decide(&r, &d);
	ck_assert_int_eq(d.code, open_cases[_i].code);
	ck_assert(d.is_trouble == (d.code != 250));
}
END_TEST

static const struct {
	const char *text;
	bool is_ip, is_ipv6;
	uint8_t first;
} ips[] = {
	{ "192.0.2.1", true, false, 192 },
	{ "2001:db8::1", true, true, 0x20 },
	{ "::ffff:192.0.2.1", true, false, 192 },
	{ "::1", true, true, 0 },
	{ "192.0.2", false },
	{ "", false },
	{ "1111:2222:3333:4444:5555:6666:7777:8888:9999", false },
};

START_TEST(addresses)
{
	struct mailauth_client c = { 0 };

	ck_assert(
	    mailauth_client_ip(&c, str_from(ips[_i].text)) == ips[_i].is_ip);
	if (!ips[_i].is_ip)
		return;
	ck_assert(c.is_ipv6 == ips[_i].is_ipv6);
	ck_assert_int_eq(c.ip[0], ips[_i].first);
}
END_TEST

static const struct {
	bool spf, dkim, is_temporary;
	enum dmarc_status dmarc;
	enum mailauth_alignment is;
} aligned[] = {
	{ true, false, false, DMARC_NONE, MAILAUTH_ALIGNED },
	{ false, true, true, DMARC_TEMPERROR, MAILAUTH_ALIGNED },
	{ false, false, false, DMARC_NONE, MAILAUTH_NOT_ALIGNED },
	{ false, false, false, DMARC_FAIL, MAILAUTH_NOT_ALIGNED },
	{ false, false, false, DMARC_PERMERROR, MAILAUTH_NOT_ALIGNED },
	{ false, false, true, DMARC_NONE, MAILAUTH_UNKNOWN },
	{ false, false, false, DMARC_TEMPERROR, MAILAUTH_UNKNOWN },
};

START_TEST(alignment)
{
	struct mailauth_result r = { 0 };

	r.dmarc.status = aligned[_i].dmarc;
	r.dmarc.spf_aligned = aligned[_i].spf;
	r.dmarc.dkim_aligned = aligned[_i].dkim;
	r.dmarc.is_temporary = aligned[_i].is_temporary;
	ck_assert_int_eq(mailauth_alignment(&r), aligned[_i].is);
}
END_TEST

/* Whose mail it is: the same for all that differs in form only. */
static const struct {
	const char *header, *author;
} authors[] = {
	{ "From: a@example.org\r\n", "a@example.org" },
	{ "To: x@y.example\r\nfrom : Ann <A.b@EXAMPLE.org> (x)\r\n",
	    "a.b@example.org" },
	{ "From: \"a b\"@example.org\r\n", "\"a b\"@example.org" },
	{ "From: \"ab\"@example.org\r\n", "ab@example.org" },
	{ "From: a@xn--mnchen-3ya.example\r\n", "a@m\xc3\xbcnchen.example" },
	{ "From: a@M\xc3\x9cNCHEN.example\r\n", "a@m\xc3\xbcnchen.example" },
	{ "From: \xc3\x84@example.org\r\n", "\xc3\xa4@example.org" },
	{ "From: A\xcc\x88@example.org\r\n", "\xc3\xa4@example.org" },
	{ "From: a@[192.0.2.1]\r\n", "a@[192.0.2.1]" },
	{ "From: a@[IPv6:2001:DB8::1]\r\n", "a@[ipv6:2001:db8::1]" },
	{ "From: a@\r\n b.example\r\n", "a@b.example" },
	/* nobody, or not one */
	{ "Subject: x\r\n", "" },
	{ "From:\r\n", "" },
	{ "From: undisclosed:;\r\n", "" },
	{ "From: a\r\n", "" },
	{ "From: a@-\r\n", "" },
	{ "From: a@example.org, b@example.org\r\n", "" },
	{ "From: g: a@example.org;\r\n", "" },
	{ "From: a@example.org\r\nFrom: a@example.org\r\n", "" },
};

START_TEST(author)
{
	struct arena a;
	struct str is;

	arena_init(&a, 1 << 20);
	is = mailauth_author(&a, str_from(authors[_i].header));
	ck_assert_msg(str_eq(is, str_from(authors[_i].author)), "%s: %.*s",
	    authors[_i].header, STR_ARG(is));
	arena_release(&a);
}
END_TEST

/* Of any length, and then nobody's. */
START_TEST(long_author)
{
	struct arena a;
	struct buf b;
	size_t n;

	for (n = 1; n < 1 << 18; n *= 2) {
		size_t i;

		arena_init(&a, 8 << 20);
		buf_init(&b, 1 << 20);
		buf_puts(&b, "From: ");
		for (i = 0; i < n; i++)
			buf_putc(&b, 'a');
		buf_puts(&b, "@example.org\r\n");
		ck_assert_uint_eq(mailauth_author(&a, buf_str(&b)).n,
		    n + 12 <= 1024 ? n + 12 : 0);
		buf_release(&b);
		arena_release(&a);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mailauth");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, decisions, 0, N(cases));
	tcase_add_loop_test(t, open_policies, 0, N(open_cases));
	tcase_add_loop_test(t, alignment, 0, N(aligned));
	tcase_add_loop_test(t, addresses, 0, N(ips));
	tcase_add_loop_test(t, author, 0, N(authors));
	tcase_add_test(t, long_author);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
