#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/dmarc/dmarc.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const struct {
	const char *rfc, *in, *out; /* NULL: refused */
} records[] = {
	{ "6.3", "v=DMARC1; p=none", "v=DMARC1; p=none" },
	{ "6.3", "v=DMARC1;p=reject;", "v=DMARC1; p=reject" },
	{ "6.4", "v = DMARC1 ; p = Quarantine ; sp=reject", "v=DMARC1; p=quarantine; sp=reject" },
	{ "6.3", "v=DMARC1; p=none; adkim=s; aspf=r; pct=25; ri=3600; fo=1:d:x",
	    "v=DMARC1; p=none; adkim=s; pct=25; ri=3600; fo=1:d" },
	{ "6.2", "v=DMARC1; p=none; rua=mailto:a@b.test!10m, mailto:c@d.test,junk,mailto:; ruf=mailto:e@f.test",
	    "v=DMARC1; p=none; rua=mailto:a@b.test!10485760,mailto:c@d.test; ruf=mailto:e@f.test" },
	{ "6.3", "v=DMARC1; p=none; pct=101; ri=x; fo=9; other=1; =; junk;; aspf=s",
	    "v=DMARC1; p=none; aspf=s" },
	{ "6.3", "v=DMARC1; pct=5; p=reject", "v=DMARC1; p=reject; pct=5" },
	{ "6.3", "v=DMARC1; p=reject; p=none", "v=DMARC1; p=reject" },
	{ "6.6.3", "v=DMARC1; p=nonsense; rua=mailto:a@b.test", "v=DMARC1; p=none; rua=mailto:a@b.test" },
	{ "6.6.3", "v=DMARC1; p=reject; sp=x; rua=mailto:a@b.test", "v=DMARC1; p=none; rua=mailto:a@b.test" },
	{ "6.6.3", "v=DMARC1; p=reject; sp=x", NULL },
	{ "6.6.3", "v=DMARC1; p=nonsense", NULL },
	/* RFC 9989, 4.7 */
	{ "4.7", "v=DMARC1; p=none; np=reject; psd=y; t=y", "v=DMARC1; p=none; np=reject; psd=y; t=y" },
	{ "4.7", "v=DMARC1; p=none; np=x; psd=u; t=n", "v=DMARC1; p=none" },
	{ "6.6.3", "v=DMARC1", NULL },
	{ "6.4", "v=DMARC2; p=none", NULL },
	{ "6.4", "v=dmarc1; p=none", NULL },
	{ "6.4", "p=none; v=DMARC1", NULL },
	{ "6.4", "", NULL },
};

/* _dmarc names; "!" gives no answer */
static const struct {
	const char *name, *text;
} dns[] = {
	{ "_dmarc.a.test", "v=DMARC1; p=reject; sp=quarantine" },
	{ "_dmarc.own.a.test", "v=DMARC1; p=none" },
	{ "_dmarc.strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s" },
	{ "_dmarc.pct.test", "v=DMARC1; p=reject; pct=20" },
	{ "_dmarc.pct0.test", "v=DMARC1; p=quarantine; pct=0" },
	{ "_dmarc.two.test", "v=DMARC1; p=none" },
	{ "_dmarc.two.test", "v=DMARC1; p=reject" },
	{ "_dmarc.other.test", "v=spf1 -all" },
	{ "_dmarc.other.test", "v=DMARC1; p=reject" },
	{ "_dmarc.bad.test", "v=DMARC1; p=x" },
	{ "_dmarc.fail.test", "!" },
	/* for the tree walk */
	{ "_dmarc.org.suffix", "v=DMARC1; p=reject; sp=quarantine" },
	{ "_dmarc.mid.org.suffix", "v=DMARC1; p=none" },
	{ "_dmarc.unit.org.suffix", "v=DMARC1; p=quarantine; psd=n" },
	{ "_dmarc.psd", "v=DMARC1; p=none; sp=reject; psd=y" },
	{ "_dmarc.has.psd", "v=DMARC1; p=quarantine" },
	{ "_dmarc.np.suffix", "v=DMARC1; p=none; sp=none; np=reject" },
	{ "there.np.suffix", "" },
	{ "_dmarc.try.suffix", "v=DMARC1; p=reject; t=y; pct=0" },
	{ "_dmarc.s.suffix", "v=DMARC1; p=reject; aspf=s; adkim=s" },
	{ "_dmarc.2.suffix", "v=DMARC1; p=reject" },
	{ "_dmarc.2.suffix", "v=DMARC1; p=none" },
	{ "_dmarc.no.answer.suffix", "!" },
	{ "_dmarc.part.suffix", "v=DMARC1; p=reject" },
	{ "_dmarc.x.part.suffix", "!" },
	{ "_dmarc.c.d.e.f.g.h.i", "v=DMARC1; p=reject; psd=y" },
};

/* RFC 9989, 4.10 */
static const struct {
	const char *what, *from, *spf_domain, *dkim_domain; /* both pass */
	const char *domain, *org; /* NULL: no policy; the organization */
	enum dmarc_status status;
	enum dmarc_policy policy, disposition;
	int asked;
	unsigned draw;
} walks[] = {
	{ "its own record; the walk goes on for the organization", "org.suffix", "x.test", "", "org.suffix", "org.suffix",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 2, 0 },
	{ "the record with the fewest labels, not the nearest", "a.mid.org.suffix", "", "", "org.suffix", "org.suffix",
	    DMARC_FAIL, DMARC_QUARANTINE, DMARC_QUARANTINE, 4, 0 },
	{ "unless it is From's own", "mid.org.suffix", "", "", "mid.org.suffix", "org.suffix",
	    DMARC_FAIL, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 3, 0 },
	{ "siblings", "a.org.suffix", "b.org.suffix", "", "org.suffix", "org.suffix",
	    DMARC_PASS, DMARC_QUARANTINE, DMARC_POLICY_NONE, 4, 0 },
	{ "the organization signs", "a.org.suffix", "", "org.suffix", "org.suffix", "org.suffix",
	    DMARC_PASS, DMARC_QUARANTINE, DMARC_POLICY_NONE, 3, 0 },
	{ "psd=n is an organization", "a.unit.org.suffix", "", "", "unit.org.suffix", "unit.org.suffix",
	    DMARC_FAIL, DMARC_QUARANTINE, DMARC_QUARANTINE, 2, 0 },
	{ "the one above is another", "unit.org.suffix", "org.suffix", "", "unit.org.suffix", "unit.org.suffix",
	    DMARC_FAIL, DMARC_QUARANTINE, DMARC_QUARANTINE, 1, 0 },
	{ "nor does the one below stand for it", "org.suffix", "a.unit.org.suffix", "", "org.suffix", "org.suffix",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 4, 0 },
	{ "psd=y: the organization is one label below", "a.has.psd", "has.psd", "", "has.psd", "has.psd",
	    DMARC_PASS, DMARC_QUARANTINE, DMARC_POLICY_NONE, 3, 0 },
	{ "without a record: the suffix's policy", "a.not.psd", "", "b.not.psd", "psd", "not.psd",
	    DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE, 4, 0 },
	{ "other organizations below it do not align", "a.not.psd", "has.psd", "x.psd", "psd", "not.psd",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 3, 0 },
	{ "mail of the suffix itself", "psd", "", "psd", "psd", "psd",
	    DMARC_PASS, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 1, 0 },
	{ "no record at all", "a.b.nothing", "b.nothing", "", NULL, "a.b.nothing",
	    DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 3, 0 },
	{ "two records are none", "2.suffix", "2.suffix", "", NULL, "2.suffix",
	    DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 2, 0 },
	{ "np: there is no such name", "gone.np.suffix", "", "", "np.suffix", "np.suffix",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 4, 0 },
	{ "np: there is", "there.np.suffix", "", "", "np.suffix", "np.suffix",
	    DMARC_FAIL, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 4, 0 },
	{ "t=y, and no pct", "try.suffix", "", "", "try.suffix", "try.suffix",
	    DMARC_FAIL, DMARC_REJECT, DMARC_QUARANTINE, 2, 99 },
	{ "strict", "s.suffix", "a.s.suffix", "a.s.suffix", "s.suffix", "s.suffix",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 3, 0 },
	{ "no answer", "a.no.answer.suffix", "a.no.answer.suffix", "", NULL, NULL,
	    DMARC_TEMPERROR, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 2, 0 },
	{ "no answer for an identifier", "part.suffix", "x.part.suffix", "", "part.suffix", "part.suffix",
	    DMARC_TEMPERROR, DMARC_REJECT, DMARC_POLICY_NONE, 3, 0 },
	{ "eight labels: eight questions", "1.2.3.4.5.6.7.8", "", "", NULL, "1.2.3.4.5.6.7.8",
	    DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 8, 0 },
	{ "more labels: no more", "a.b.c.d.e.f.g.h.j", "", "", NULL, "a.b.c.d.e.f.g.h.j",
	    DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 8, 0 },
	{ "those in the middle are left out", "1.2.3.a.b.c.d.e.f.g.h.i", "", "", "c.d.e.f.g.h.i", "b.c.d.e.f.g.h.i",
	    DMARC_FAIL, DMARC_REJECT, DMARC_REJECT, 2, 0 },
	{ "no name", "", "", "", NULL, NULL, DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE, 0, 0 },
};

static const struct {
	const char *rfc, *from;
	const char *spf_domain; enum spf_verdict spf;
	const char *dkim_domain; enum dkim_status dkim;
	unsigned draw;
	enum dmarc_status status;
	enum dmarc_policy policy, disposition;
} cases[] = {
	/* 3.1.1, 3.1.2: alignment */
	{ "3.1.2", "a.test", "a.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "3.1.2", "A.TEST", "b.a.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "3.1.2", "a.test", "xa.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "3.1.2", "a.test", "a.test", SPF_SOFTFAIL, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "3.1.1", "a.test", "", SPF_NONE, "a.test", DKIM_PASS, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "3.1.1", "b.a.test", "", SPF_NONE, "c.a.test", DKIM_PASS, 0, DMARC_PASS, DMARC_QUARANTINE, DMARC_POLICY_NONE },
	{ "3.1.1", "a.test", "", SPF_NONE, "a.test", DKIM_FAIL, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "3.1.1", "a.test", "", SPF_NONE, "test", DKIM_PASS, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "3.1.1", "strict.test", "x.strict.test", SPF_PASS, "x.strict.test", DKIM_PASS, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "3.1.1", "strict.test", "", SPF_NONE, "strict.test", DKIM_PASS, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "3.1.2", "strict.test", "strict.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	/* 6.6.3: which record */
	{ "6.6.3", "b.a.test", "x.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_QUARANTINE, DMARC_QUARANTINE },
	{ "6.6.3", "own.a.test", "x.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "none.test", "none.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "two.test", "two.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PERMERROR, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "x.two.test", "two.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PERMERROR, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "other.test", "", SPF_NONE, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "6.6.3", "bad.test", "bad.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_PERMERROR, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "fail.test", "fail.test", SPF_PASS, "", DKIM_NONE, 0, DMARC_TEMPERROR, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.3", "test", "test", SPF_PASS, "", DKIM_NONE, 0, DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	{ "6.6.1", "", "", SPF_NONE, "", DKIM_NONE, 0, DMARC_NONE, DMARC_POLICY_NONE, DMARC_POLICY_NONE },
	/* 6.6.2: temporary trouble of what could have passed */
	{ "6.6.2", "a.test", "a.test", SPF_TEMPERROR, "", DKIM_NONE, 0, DMARC_TEMPERROR, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "6.6.2", "a.test", "x.test", SPF_TEMPERROR, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "6.6.2", "a.test", "", SPF_NONE, "a.test", DKIM_TEMPERROR, 0, DMARC_TEMPERROR, DMARC_REJECT, DMARC_POLICY_NONE },
	{ "6.6.2", "a.test", "a.test", SPF_PASS, "a.test", DKIM_TEMPERROR, 0, DMARC_PASS, DMARC_REJECT, DMARC_POLICY_NONE },
	/* 6.6.4: sampling */
	{ "6.6.4", "pct.test", "", SPF_NONE, "", DKIM_NONE, 19, DMARC_FAIL, DMARC_REJECT, DMARC_REJECT },
	{ "6.6.4", "pct.test", "", SPF_NONE, "", DKIM_NONE, 20, DMARC_FAIL, DMARC_REJECT, DMARC_QUARANTINE },
	{ "6.6.4", "pct0.test", "", SPF_NONE, "", DKIM_NONE, 0, DMARC_FAIL, DMARC_QUARANTINE, DMARC_POLICY_NONE },
};

static const struct {
	const char *header, *domain; /* NULL: there is no one domain */
} froms[] = {
	{ "From: a@B.test\r\n", "B.test" },
	{ "To: x@y.test\r\nFROM : \"a@evil.test\" <a@b.test>\r\n\r\n", "b.test" },
	{ "From: a@b.test, c@b.test\r\n", "b.test" },
	{ "From: a@b.test, c@d.test\r\n", NULL },
	{ "From: a@b.test\r\nFrom: a@b.test\r\n", NULL },
	{ "From: \r\n", NULL },
	{ "To: a@b.test\r\n", NULL },
	{ "From: a\r\n", NULL },
	{ "From: group: a@b.test;\r\n", "b.test" },
};
/* clang-format on */

static struct arena arena;

static void
setup(void)
{
	arena_init(&arena, 4 << 20);
}

static void
teardown(void)
{
	arena_release(&arena);
}

/* "test" is a suffix, all else below it */
static bool
org(const void *arg, struct str name, struct buf *out)
{
	size_t i, dots = 0;

	for (i = name.n; i > 0; i--)
		if (name.p[i - 1] == '.' && ++dots == 2)
			break;
	if (dots == 0 || name.n == 0)
		return false;
	for (; i < name.n; i++)
		buf_putc(out, ascii_lower(name.p[i]));
	return true;
}

static void
t_dns(const struct dns_question *q, struct dns_answer *an)
{
	static struct dns_record v[4];
	int i;

	*an = (struct dns_answer){ .status = DNS_NXDOMAIN, .v = v };
	for (i = 0; i < N(dns); i++) {
		if (!dns_name_eq(q->name, str_from(dns[i].name)))
			continue;
		if (dns[i].text[0] == '!') {
			an->status = DNS_TEMPFAIL;
			return;
		}
		an->status = DNS_OK;
		v[an->n++] = (struct dns_record){ .type = DNS_TXT,
			.text = str_from(dns[i].text) };
	}
}

START_TEST(record_table)
{
	struct dmarc_record r;
	const char *why = NULL;
	struct buf b;

	buf_init(&b, 4096);
	if (!dmarc_record_parse(str_from(records[_i].in), &r, &why)) {
		ck_assert_msg(
		    records[_i].out == NULL, "%s: %s", records[_i].in, why);
		ck_assert_ptr_nonnull(why);
		return;
	}
	dmarc_record_print(&b, &r);
	ck_assert_str_eq(buf_cstr(&b), records[_i].out);
	ck_assert(dmarc_record_parse(buf_str(&b), &r, &why));
	buf_release(&b);
}
END_TEST

START_TEST(case_table)
{
	const struct dmarc_options o = { .from = str_from(cases[_i].from),
		.org = org };
	const struct dmarc_dkim dkim = { str_from(cases[_i].dkim_domain),
		cases[_i].dkim };
	const struct dmarc_input in = {
		.spf_domain = str_from(cases[_i].spf_domain),
		.spf = cases[_i].spf,
		.dkim = &dkim,
		.n_dkim = dkim.domain.n > 0,
		.draw = cases[_i].draw,
	};
	const struct dns_question *q;
	struct dmarc_result r;
	struct dns_answer an;
	struct dmarc *d;
	int asked = 0;

	d = dmarc_begin(&arena, &o);
	while ((q = dmarc_question(d)) != NULL) {
		ck_assert_int_lt(asked++, 2);
		t_dns(q, &an);
		dmarc_answer(d, &an);
	}
	dmarc_evaluate(d, &in, &r);
	ck_assert_msg(r.status == cases[_i].status, "%s: %s", cases[_i].from,
	    dmarc_status_name(r.status));
	ck_assert_int_eq(r.policy, cases[_i].policy);
	ck_assert_int_eq(r.disposition, cases[_i].disposition);
	ck_assert((dmarc_found(d)->why == NULL) ==
		  (dmarc_found(d)->status == DMARC_PASS));
}
END_TEST

START_TEST(walk_table)
{
	const struct str identifiers[] = { str_from(walks[_i].spf_domain),
		str_from(walks[_i].dkim_domain) };
	const struct dmarc_options o = { .from = str_from(walks[_i].from),
		.is_tree_walk = true,
		.identifiers = identifiers,
		.n_identifiers = 2 };
	const struct dmarc_dkim dkim = { identifiers[1], DKIM_PASS };
	const struct dmarc_input in = { .spf_domain = identifiers[0],
		.spf = identifiers[0].n > 0 ? SPF_PASS : SPF_NONE,
		.dkim = &dkim,
		.n_dkim = identifiers[1].n > 0,
		.draw = walks[_i].draw };
	struct dmarc *d = dmarc_begin(&arena, &o);
	const struct dmarc_found *f = dmarc_found(d);
	const struct dns_question *q;
	struct dmarc_result r;
	struct dns_answer an;
	int asked = 0;

	while ((q = dmarc_question(d)) != NULL) {
		ck_assert_msg(++asked < 40, "%s", walks[_i].what);
		t_dns(q, &an);
		dmarc_answer(d, &an);
	}
	dmarc_evaluate(d, &in, &r);
	ck_assert_msg(r.status == walks[_i].status, "%s: %s", walks[_i].what,
	    dmarc_status_name(r.status));
	ck_assert_msg(r.policy == walks[_i].policy &&
			  r.disposition == walks[_i].disposition,
	    "%s", walks[_i].what);
	ck_assert_msg(
	    asked == walks[_i].asked, "%s: %d", walks[_i].what, asked);
	if (walks[_i].domain != NULL)
		ck_assert_msg(str_eq(f->domain, str_from(walks[_i].domain)),
		    "%s: %.*s", walks[_i].what, STR_ARG(f->domain));
	else
		ck_assert(f->status != DMARC_PASS);
	if (walks[_i].org != NULL)
		ck_assert_msg(str_eq(f->org, str_from(walks[_i].org)),
		    "%s: %.*s", walks[_i].what, STR_ARG(f->org));
}
END_TEST

START_TEST(from_table)
{
	struct str domain;
	bool ok =
	    dmarc_from_domain(&arena, str_from(froms[_i].header), &domain);

	ck_assert_msg(ok == (froms[_i].domain != NULL), "%s", froms[_i].header);
	if (ok)
		ck_assert(str_eq(domain, str_from(froms[_i].domain)));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dmarc");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, record_table, 0, N(records));
	tcase_add_loop_test(t, case_table, 0, N(cases));
	tcase_add_loop_test(t, walk_table, 0, N(walks));
	tcase_add_loop_test(t, from_table, 0, N(froms));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
