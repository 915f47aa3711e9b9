/*
 * check_host() asks DNS in the middle of its recursion. Instead of a state
 * machine for that, it is written as in RFC 7208 and run again from the start
 * after each answer, with all answers so far at hand: spf_look_up() either
 * has the answer or ends the run. Records are parsed once; a run over a few
 * short records costs less than one packet.
 *
 * So a run must depend on nothing but the client and the known answers, and
 * what it counts starts from zero. Mechanisms are in spf_mech.c.
 */
#include "format/spf/spf.h"

#include "format/spf/spf_int.h"

#include <arpa/inet.h>
#include <string.h>

struct str
spf_ip_text(struct arena *a, const struct spf_client *cl)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(cl->is_ipv6 ? AF_INET6 : AF_INET, cl->ip, text, sizeof(text));
	return arena_str(a, str_from(text));
}

static struct str
copied(struct arena *a, struct str s)
{
	return s.n == 0 ? STR("") : arena_str(a, str_sub(s, 0, SPF_MAX_INPUT));
}

struct spf *
spf_begin(struct arena *a, const struct spf_client *client)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct spf *s = arena_zalloc(a, sizeof(*s));
	struct spf_client *cl = &s->client;
	struct buf b;

	s->arena = a;
	*cl = *client;
	if (cl->is_ipv6 && memcmp(cl->ip, mapped, sizeof(mapped)) == 0) {
		memmove(cl->ip, cl->ip + 12, 4);
		cl->is_ipv6 = false;
	}
	cl->helo = copied(a, client->helo);
	cl->receiver = copied(a, client->receiver);
	if (cl->domain.n == 0) /* RFC 7208, 2.4 */
		cl->identity = SPF_HELO;
	if (cl->identity == SPF_HELO) {
		cl->domain = cl->helo;
		cl->local = STR("");
	}
	cl->domain = copied(a, cl->domain);
	/* RFC 7208, 4.3 */
	cl->local = cl->local.n > 0 ? copied(a, cl->local) : STR("postmaster");
	buf_init(&b, 2 * SPF_MAX_INPUT + 1);
	buf_put(&b, cl->local);
	buf_putc(&b, '@');
	buf_put(&b, cl->domain);
	s->sender = arena_str(a, buf_str(&b));
	buf_release(&b);
	s->result.identity = cl->identity;
	s->result.domain = cl->domain;
	return s;
}

/* --- answers --- */

static struct spf_known *
find_known(struct spf *s, enum dns_type type, struct str name)
{
	struct spf_known *k;

	for (k = s->known; k != NULL; k = k->next)
		if (k->question.type == type &&
		    dns_name_eq(k->question.name, name))
			return k;
	return NULL;
}

const struct dns_answer *
spf_look_up(struct spf *s, enum dns_type type, struct str name)
{
	static const struct dns_answer no_name = { .status = DNS_NXDOMAIN },
				       too_many = { .status = DNS_TEMPFAIL };
	const struct spf_known *k;

	if (!dns_name_valid(name))
		return &no_name; /* and nothing is asked */
	if ((k = find_known(s, type, name)) != NULL) {
		s->result.is_secure &= k->answer->is_secure;
		return k->answer;
	}
	if (s->result.n_questions == SPF_MAX_QUESTIONS)
		return &too_many;
	s->question = (struct dns_question){ type, name };
	s->is_asking = true;
	return NULL;
}

const struct dns_question *
spf_question(const struct spf *s)
{
	return s->is_asking ? &s->question : NULL;
}

/*
 * What is used of an answer. Hostile ones are large: names grow when they
 * are decompressed, so owners and chains are left, and of the hosts only as
 * many are kept as show that there are too many.
 */
static const struct dns_answer *
kept(struct arena *a, const struct dns_answer *an, enum dns_type type)
{
	struct dns_answer *out = arena_zalloc(a, sizeof(*out));
	struct dns_record *r;
	size_t i;

	out->status = an->status;
	out->is_secure = an->is_secure;
	out->n = an->n;
	if ((type == DNS_MX || type == DNS_PTR) && out->n > SPF_MAX_ADDRESSES)
		out->n = SPF_MAX_ADDRESSES + 1;
	if (out->n == 0)
		return out;
	out->v = arena_alloc(a, out->n * sizeof(*out->v));
	for (i = 0; i < out->n; i++) {
		r = &out->v[i];
		*r = an->v[i];
		r->owner = STR("");
		if (type == DNS_MX)
			r->mx.exchange = arena_str(a, r->mx.exchange);
		else if (type == DNS_PTR)
			r->name = arena_str(a, r->name);
		else if (type == DNS_TXT)
			r->text = arena_str(a, r->text);
	}
	return out;
}

void
spf_answer(struct spf *s, const struct dns_answer *answer)
{
	struct spf_known *k = arena_zalloc(s->arena, sizeof(*k));

	k->question = s->question;
	k->answer = kept(s->arena, answer, s->question.type);
	k->next = s->known;
	s->known = k;
	s->is_asking = false;
	s->result.n_questions++;
}

/* --- check_host (RFC 7208, 4) --- */

static enum spf_verdict
verdict_of(char qualifier)
{
	switch (qualifier) {
	case '-':
		return SPF_FAIL;
	case '~':
		return SPF_SOFTFAIL;
	case '?':
		return SPF_NEUTRAL;
	}
	return SPF_PASS;
}

/* RFC 7208, 4.3: DNS can carry it, and it has more than one label */
static bool
is_checkable(struct str domain)
{
	size_t dot = str_find(domain, '.');

	return dns_name_valid(domain) && domain.p[0] != '[' &&
	       dot + 1 < domain.n;
}

/* RFC 7208, 4.4 and 4.5. Other results than SPF_PASS are check_host()'s. */
static enum spf_verdict
find_record(struct spf *s, struct str domain, const struct spf_record **out)
{
	const struct dns_answer *an;
	struct str text = { NULL, 0 };
	struct spf_known *k;
	size_t i;

	if ((an = spf_look_up(s, DNS_TXT, domain)) == NULL)
		return SPF_NEED_DNS;
	if (dns_failed(an)) {
		s->result.problem = "no answer for the record";
		return SPF_TEMPERROR;
	}
	for (i = 0; i < an->n; i++) {
		if (!spf_is_record(an->v[i].text))
			continue;
		if (text.p != NULL) {
			s->result.problem = "more than one record";
			return SPF_PERMERROR;
		}
		text = an->v[i].text;
	}
	if (text.p == NULL) {
		s->result.problem = "no record";
		return SPF_NONE;
	}
	k = find_known(s, DNS_TXT, domain);
	if (k->record == NULL) {
		k->record = arena_alloc(s->arena, sizeof(*k->record));
		spf_record_parse(s->arena, text, k->record);
	}
	*out = k->record;
	if (k->record->why != NULL) { /* RFC 7208, 4.6 */
		s->result.problem = k->record->why;
		return SPF_PERMERROR;
	}
	return SPF_PASS;
}

/* RFC 7208, 6.1 */
static enum spf_verdict
redirected(
    struct spf *s, const struct spf_record *r, struct str domain, bool is_sub)
{
	enum spf_verdict v;
	struct str target;

	if (++s->result.n_lookups > SPF_MAX_LOOKUPS) {
		s->result.problem = "too many DNS lookups";
		return SPF_PERMERROR;
	}
	if (!spf_expand_domain(s, r->redirect, domain, &target))
		return SPF_NEED_DNS;
	v = spf_check_host(s, target, is_sub);
	if (v != SPF_NONE)
		return v;
	s->result.problem = "redirect to a domain without record";
	return SPF_PERMERROR;
}

/* RFC 7208, 4.6 */
enum spf_verdict
spf_check_host(struct spf *s, struct str domain, bool is_sub)
{
	const struct spf_record *r = NULL;
	const struct spf_term *t;
	enum spf_verdict v;

	if (!is_checkable(domain)) {
		s->result.problem = "not a domain to look up";
		return SPF_NONE;
	}
	if ((v = find_record(s, domain, &r)) != SPF_PASS)
		return v;
	for (t = r->terms; t < r->terms + r->n; t++) {
		if (!is_sub)
			s->result.mechanism = t->text;
		switch (spf_match_term(s, t, domain)) {
		case SPF_NO_MATCH:
			continue;
		case SPF_MATCH_NEED_DNS:
			return SPF_NEED_DNS;
		case SPF_MATCH_TEMPERROR:
			return SPF_TEMPERROR;
		case SPF_MATCH_PERMERROR:
			return SPF_PERMERROR;
		case SPF_MATCH:
			if (!is_sub) {
				s->exp = r->exp;
				s->exp_domain = domain;
			}
			return verdict_of(t->qualifier);
		}
	}
	if (!is_sub)
		s->result.mechanism = STR("default"); /* RFC 7208, 4.7 */
	if (r->redirect.p != NULL)
		return redirected(s, r, domain, is_sub);
	return SPF_NEUTRAL;
}

/* RFC 7208, 6.2. Trouble means that there is none; false: DNS is needed. */
static bool
explain(struct spf *s)
{
	const struct dns_answer *an;
	struct str name;

	if (s->exp.p == NULL)
		return true;
	if (!spf_expand_domain(s, s->exp, s->exp_domain, &name))
		return false;
	if ((an = spf_look_up(s, DNS_TXT, name)) == NULL)
		return false;
	if (an->n != 1)
		return true;
	return spf_expand_text(
	    s, an->v[0].text, s->exp_domain, &s->result.explanation);
}

enum spf_verdict
spf_next(struct spf *s)
{
	struct spf_result *r = &s->result;
	bool is_secure;

	if (r->verdict != SPF_NEED_DNS || s->is_asking)
		return r->verdict;
	r->n_lookups = r->n_void = 0;
	r->mechanism = r->explanation = STR("");
	r->problem = NULL;
	r->is_secure = true;
	s->has_counted_p = false;
	s->exp = (struct str){ NULL, 0 };
	r->verdict = spf_check_host(s, s->client.domain, false);
	if (r->verdict == SPF_NEED_DNS)
		return r->verdict;
	is_secure = r->is_secure; /* the explanation is no part of it */
	if (r->verdict == SPF_FAIL && !explain(s))
		r->verdict = SPF_NEED_DNS;
	r->is_secure = is_secure;
	/* an include that did not match may have left a problem */
	if (r->verdict != SPF_NONE && r->verdict != SPF_TEMPERROR &&
	    r->verdict != SPF_PERMERROR)
		r->problem = NULL;
	return r->verdict;
}

const struct spf_result *
spf_result(const struct spf *s)
{
	return &s->result;
}
