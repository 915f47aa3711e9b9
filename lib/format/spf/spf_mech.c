/*
 * The mechanisms (RFC 7208, 5): does one match the client? Each look-up may
 * end the run (spf.c) to have its question answered.
 */
#include "format/spf/spf_int.h"

#include <string.h>

static enum spf_match
problem(struct spf *s, enum spf_match m, const char *why)
{
	s->result.problem = why;
	return m;
}

/* More answers without records than are allowed? RFC 7208, 4.6.4 */
static bool
too_void(struct spf *s, const struct dns_answer *an)
{
	return dns_is_void(an) && ++s->result.n_void > SPF_MAX_VOID;
}

static bool
in_prefix(const uint8_t *a, const uint8_t *b, uint64_t bits)
{
	uint64_t whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 &&
	       (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static enum dns_type
address_type(const struct spf *s)
{
	return s->client.is_ipv6 ? DNS_AAAA : DNS_A;
}

static bool
has_client(const struct spf *s, const struct dns_answer *an,
    const struct spf_cidr *cidr)
{
	uint64_t bits = s->client.is_ipv6 ? cidr->v6 : cidr->v4;
	size_t i;

	for (i = 0; i < an->n; i++)
		if (in_prefix(an->v[i].ip, s->client.ip, bits))
			return true;
	return false;
}

/* Are the client's addresses among those of the host? */
static enum spf_match
match_host(struct spf *s, struct str host, const struct spf_cidr *cidr)
{
	const struct dns_answer *an = spf_look_up(s, address_type(s), host);

	if (an == NULL)
		return SPF_MATCH_NEED_DNS;
	if (dns_failed(an))
		return problem(
		    s, SPF_MATCH_TEMPERROR, "no answer for an address");
	if (too_void(s, an))
		return problem(s, SPF_MATCH_PERMERROR, "too many void lookups");
	return has_client(s, an, cidr) ? SPF_MATCH : SPF_NO_MATCH;
}

/* RFC 7208, 5.4 */
static enum spf_match
match_mx(struct spf *s, struct str domain, const struct spf_cidr *cidr)
{
	const struct dns_answer *an = spf_look_up(s, DNS_MX, domain);
	enum spf_match m;
	size_t i;

	if (an == NULL)
		return SPF_MATCH_NEED_DNS;
	if (dns_failed(an))
		return problem(s, SPF_MATCH_TEMPERROR, "no answer for MX");
	if (too_void(s, an))
		return problem(s, SPF_MATCH_PERMERROR, "too many void lookups");
	if (an->n > SPF_MAX_ADDRESSES)
		return problem(s, SPF_MATCH_PERMERROR, "too many MX records");
	for (i = 0; i < an->n; i++) {
		if (str_eq(an->v[i].mx.exchange, STR("."))) /* RFC 7505, 3 */
			continue;
		m = match_host(s, an->v[i].mx.exchange, cidr);
		if (m != SPF_NO_MATCH)
			return m;
	}
	return SPF_NO_MATCH;
}

static const struct dns_answer *
look_up_ptr(struct spf *s)
{
	return spf_look_up(s, DNS_PTR,
	    dns_name_reverse(s->arena, s->client.ip, s->client.is_ipv6));
}

bool
spf_validated_names(struct spf *s, bool is_counted, struct spf_names *out)
{
	static const struct spf_cidr whole = { 32, 128 };
	const struct dns_answer *ptr, *an;
	size_t i;

	out->n = 0;
	if (is_counted && !s->has_counted_p) {
		s->has_counted_p = true;
		s->result.n_lookups++;
	}
	if ((ptr = look_up_ptr(s)) == NULL)
		return false;
	for (i = 0; i < ptr->n && i < SPF_MAX_ADDRESSES; i++) {
		an = spf_look_up(s, address_type(s), ptr->v[i].name);
		if (an == NULL)
			return false;
		/* RFC 7208, 5.5: a failed one is passed over */
		if (has_client(s, an, &whole))
			out->v[out->n++] = ptr->v[i].name;
	}
	return true;
}

/* RFC 7208, 5.5 */
static enum spf_match
match_ptr(struct spf *s, struct str domain)
{
	const struct dns_answer *ptr;
	struct spf_names names;
	size_t i;

	if ((ptr = look_up_ptr(s)) == NULL)
		return SPF_MATCH_NEED_DNS;
	if (too_void(s, ptr))
		return problem(s, SPF_MATCH_PERMERROR, "too many void lookups");
	if (!spf_validated_names(s, false, &names))
		return SPF_MATCH_NEED_DNS;
	for (i = 0; i < names.n; i++)
		if (dns_name_within(names.v[i], domain))
			return SPF_MATCH;
	return SPF_NO_MATCH;
}

/* RFC 7208, 5.7: always A, whatever the client's family */
static enum spf_match
match_exists(struct spf *s, struct str domain)
{
	const struct dns_answer *an = spf_look_up(s, DNS_A, domain);

	if (an == NULL)
		return SPF_MATCH_NEED_DNS;
	if (dns_failed(an))
		return problem(s, SPF_MATCH_TEMPERROR, "no answer for exists");
	if (too_void(s, an))
		return problem(s, SPF_MATCH_PERMERROR, "too many void lookups");
	return an->n > 0 ? SPF_MATCH : SPF_NO_MATCH;
}

/* RFC 7208, 5.2 */
static enum spf_match
match_include(struct spf *s, struct str domain)
{
	switch (spf_check_host(s, domain, true)) {
	case SPF_NEED_DNS:
		return SPF_MATCH_NEED_DNS;
	case SPF_PASS:
		return SPF_MATCH;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_NEUTRAL:
		return SPF_NO_MATCH;
	case SPF_TEMPERROR:
		return SPF_MATCH_TEMPERROR;
	case SPF_PERMERROR:
		return SPF_MATCH_PERMERROR;
	case SPF_NONE:
		return problem(
		    s, SPF_MATCH_PERMERROR, "included domain has no record");
	}
	return SPF_MATCH_PERMERROR;
}

static bool
does_look_up(enum spf_mech mech)
{
	return mech != SPF_ALL && mech != SPF_IP4 && mech != SPF_IP6;
}

enum spf_match
spf_match_term(struct spf *s, const struct spf_term *t, struct str domain)
{
	struct str target = domain;

	if (does_look_up(t->mech) && ++s->result.n_lookups > SPF_MAX_LOOKUPS)
		return problem(s, SPF_MATCH_PERMERROR, "too many DNS lookups");
	if (t->domain.p != NULL &&
	    !spf_expand_domain(s, t->domain, domain, &target))
		return SPF_MATCH_NEED_DNS;
	if (s->result.n_lookups > SPF_MAX_LOOKUPS) /* %{p} looked up */
		return problem(s, SPF_MATCH_PERMERROR, "too many DNS lookups");
	switch (t->mech) {
	case SPF_ALL:
		return SPF_MATCH;
	case SPF_INCLUDE:
		return match_include(s, target);
	case SPF_A:
		return match_host(s, target, &t->cidr);
	case SPF_MX:
		return match_mx(s, target, &t->cidr);
	case SPF_PTR:
		return match_ptr(s, target);
	case SPF_EXISTS:
		return match_exists(s, target);
	case SPF_IP4:
		return !s->client.is_ipv6 &&
			       in_prefix(t->ip, s->client.ip, t->cidr.v4) ?
			   SPF_MATCH :
			   SPF_NO_MATCH;
	case SPF_IP6:
		return s->client.is_ipv6 &&
			       in_prefix(t->ip, s->client.ip, t->cidr.v6) ?
			   SPF_MATCH :
			   SPF_NO_MATCH;
	}
	return SPF_NO_MATCH;
}
