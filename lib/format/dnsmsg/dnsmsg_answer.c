#include "format/dnsmsg/dnsmsg.h"

#include <string.h>

/* Without an SOA a denial has no time of its own; RFC 2308, 5, keeps it out
 * of caches, a moment saves the repetitions of one transaction. */
#define TTL_DENIAL_BARE 5
#define TTL_DENIAL_MAX	10800 /* RFC 2308, 5 */

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {
	{ DNS_A, "A" },
	{ DNS_NS, "NS" },
	{ DNS_CNAME, "CNAME" },
	{ DNS_SOA, "SOA" },
	{ DNS_PTR, "PTR" },
	{ DNS_MX, "MX" },
	{ DNS_TXT, "TXT" },
	{ DNS_AAAA, "AAAA" },
	{ DNS_SRV, "SRV" },
	{ DNS_TLSA, "TLSA" },
	{ DNS_CAA, "CAA" },
};

const char *
dns_type_name(enum dns_type type)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

bool
dns_type_from(struct str s, enum dns_type *out)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq_nocase(str_from(types[i].name), s)) {
			*out = types[i].type;
			return true;
		}
	return false;
}

const char *
dns_status_name(enum dns_status s)
{
	switch (s) {
	case DNS_OK:
		return "ok";
	case DNS_NODATA:
		return "nodata";
	case DNS_NXDOMAIN:
		return "nxdomain";
	case DNS_TEMPFAIL:
		return "tempfail";
	case DNS_BOGUS:
		return "bogus";
	}
	return "?";
}

bool
dns_is_void(const struct dns_answer *an)
{
	return an->status == DNS_NODATA || an->status == DNS_NXDOMAIN;
}

bool
dns_failed(const struct dns_answer *an)
{
	return an->status == DNS_TEMPFAIL || an->status == DNS_BOGUS;
}

struct str
dns_insecure_at(const struct dns_answer *an)
{
	if (an->is_secure || an->n_secure == 0)
		return STR("");
	return an->n_secure < an->n_chain ? an->chain[an->n_secure].owner :
					    an->chain[an->n_chain - 1].name;
}

static size_t
text_size(const struct dns_record *r)
{
	switch (r->type) {
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return r->owner.n + r->name.n;
	case DNS_TXT:
		return r->owner.n + r->text.n;
	case DNS_MX:
		return r->owner.n + r->mx.exchange.n;
	case DNS_SRV:
		return r->owner.n + r->srv.target.n;
	case DNS_TLSA:
		return r->owner.n + r->tlsa.data.n;
	case DNS_CAA:
		return r->owner.n + r->caa.tag.n + r->caa.value.n;
	case DNS_SOA:
		return r->owner.n + r->soa.mname.n + r->soa.rname.n;
	case DNS_A:
	case DNS_AAAA:
	case DNS_OPT:
		break;
	}
	return r->owner.n;
}

size_t
dns_answer_size(const struct dns_answer *an)
{
	size_t size = an->ede_text.n, i;

	for (i = 0; i < an->n; i++)
		size += sizeof(*an->v) + text_size(&an->v[i]);
	for (i = 0; i < an->n_chain; i++)
		size += sizeof(*an->chain) + text_size(&an->chain[i]);
	return size;
}

static struct dns_record *
copy_records(struct arena *a, const struct dns_record *v, size_t n)
{
	struct dns_record *out, *r;

	if (n == 0)
		return NULL;
	out = arena_alloc(a, n * sizeof(*out));
	memcpy(out, v, n * sizeof(*out));
	for (r = out; r < out + n; r++) {
		r->owner = arena_str(a, r->owner);
		switch (r->type) {
		case DNS_NS:
		case DNS_CNAME:
		case DNS_PTR:
			r->name = arena_str(a, r->name);
			break;
		case DNS_TXT:
			r->text = arena_str(a, r->text);
			break;
		case DNS_MX:
			r->mx.exchange = arena_str(a, r->mx.exchange);
			break;
		case DNS_SRV:
			r->srv.target = arena_str(a, r->srv.target);
			break;
		case DNS_TLSA:
			r->tlsa.data = arena_str(a, r->tlsa.data);
			break;
		case DNS_CAA:
			r->caa.tag = arena_str(a, r->caa.tag);
			r->caa.value = arena_str(a, r->caa.value);
			break;
		case DNS_SOA:
			r->soa.mname = arena_str(a, r->soa.mname);
			r->soa.rname = arena_str(a, r->soa.rname);
			break;
		case DNS_A:
		case DNS_AAAA:
		case DNS_OPT:
			break;
		}
	}
	return out;
}

struct dns_answer *
dns_answer_copy(struct arena *a, const struct dns_answer *an)
{
	struct dns_answer *out = arena_alloc(a, sizeof(*out));

	*out = *an;
	out->v = copy_records(a, an->v, an->n);
	out->chain = copy_records(a, an->chain, an->n_chain);
	out->ede_text = arena_str(a, an->ede_text);
	return out;
}

bool
dnsmsg_answers(
    const struct dnsmsg *m, uint16_t id, const struct dns_question *q)
{
	return m->is_response && m->id == id && m->has_question &&
	       m->question.type == q->type &&
	       dns_name_eq(m->question.name, q->name);
}

/* RFC 8914, 4: 1, 2 and 5 to 12 tell of a validation that failed */
static bool
ede_is_bogus(int ede)
{
	return ede == 1 || ede == 2 || (ede >= 5 && ede <= 12);
}

static void
keep_ttl(struct dns_answer *out, uint32_t ttl)
{
	if (ttl < out->ttl)
		out->ttl = ttl;
}

/* Follow the CNAMEs from the name asked for; false: too long or a loop. */
static bool
follow(struct arena *a, const struct dnsmsg *m, struct str *name,
    struct dns_answer *out)
{
	const struct dns_record *r;
	size_t i;

	out->chain = arena_alloc(a, DNSMSG_MAX_CHAIN * sizeof(*out->chain));
	for (i = 0; i < m->n_answer;) {
		r = &m->answer[i++];
		if (r->type != DNS_CNAME || !dns_name_eq(r->owner, *name))
			continue;
		if (out->n_chain == DNSMSG_MAX_CHAIN)
			return false;
		out->chain[out->n_chain++] = *r;
		keep_ttl(out, r->ttl);
		*name = r->name;
		i = 0; /* the records may stand in any order */
	}
	return true;
}

/* The time of a denial: of the SOA and its minimum, RFC 2308, 5 */
static void
denial_ttl(const struct dnsmsg *m, struct dns_answer *out)
{
	uint32_t ttl = TTL_DENIAL_BARE;
	size_t i;

	for (i = 0; i < m->n_authority; i++)
		if (m->authority[i].type == DNS_SOA) {
			ttl = m->authority[i].ttl;
			if (m->authority[i].soa.minimum < ttl)
				ttl = m->authority[i].soa.minimum;
			break;
		}
	keep_ttl(out, ttl > TTL_DENIAL_MAX ? TTL_DENIAL_MAX : ttl);
}

static void
collect(struct arena *a, const struct dnsmsg *m, struct str name,
    enum dns_type type, struct dns_answer *out)
{
	size_t i;

	out->v = arena_alloc(a, (m->n_answer + 1) * sizeof(*out->v));
	for (i = 0; i < m->n_answer; i++)
		if (m->answer[i].type == type &&
		    dns_name_eq(m->answer[i].owner, name)) {
			out->v[out->n++] = m->answer[i];
			keep_ttl(out, m->answer[i].ttl);
		}
}

void
dnsmsg_result(struct arena *a, const struct dnsmsg *m,
    const struct dns_question *q, bool trust_ad, struct dns_answer *out)
{
	struct str name = q->name;

	*out = (struct dns_answer){ .status = DNS_TEMPFAIL,
		.ttl = INT32_MAX,
		.ede = m->ede,
		.ede_text = m->ede_text };
	if (m->rcode != DNS_NOERROR && m->rcode != DNS_NAMEERROR) {
		out->ttl = 0;
		if (m->rcode == DNS_SERVFAIL && trust_ad &&
		    ede_is_bogus(m->ede))
			out->status = DNS_BOGUS;
		return;
	}
	if (q->type != DNS_CNAME && !follow(a, m, &name, out)) {
		out->ttl = 0;
		return;
	}
	out->is_secure = trust_ad && m->is_authentic;
	out->n_secure = out->is_secure ? out->n_chain : 0;
	collect(a, m, name, q->type, out);
	/* NXDOMAIN is about the end of the chain (RFC 2308, 2.1) */
	if (m->rcode == DNS_NAMEERROR && out->n == 0)
		out->status = DNS_NXDOMAIN;
	else
		out->status = out->n > 0 ? DNS_OK : DNS_NODATA;
	if (out->status != DNS_OK)
		denial_ttl(m, out);
}
