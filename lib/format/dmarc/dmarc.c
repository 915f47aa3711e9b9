#include "format/dmarc/dmarc_int.h"
#include "format/mime/mime.h"

const char *
dmarc_status_name(enum dmarc_status s)
{
	switch (s) {
	case DMARC_NONE:
		return "none";
	case DMARC_PASS:
		return "pass";
	case DMARC_FAIL:
		return "fail";
	case DMARC_TEMPERROR:
		return "temperror";
	case DMARC_PERMERROR:
		return "permerror";
	}
	return "?";
}

void
dmarc_settle(struct dmarc *d, enum dmarc_status status, const char *why)
{
	d->is_asking = false;
	d->found.status = status;
	d->found.why = why;
}

/* RFC 7489, 6.1 */
bool
dmarc_ask(struct dmarc *d, struct str domain)
{
	struct buf b;

	buf_init(&b, domain.n + 16);
	buf_puts(&b, "_dmarc.");
	buf_put(&b, domain);
	d->question =
	    (struct dns_question){ DNS_TXT, arena_str(d->arena, buf_str(&b)) };
	buf_release(&b);
	d->is_asking = dns_name_valid(d->question.name);
	return d->is_asking;
}

static void
ask(struct dmarc *d, struct str domain)
{
	d->found.domain = domain;
	if (!dmarc_ask(d, domain))
		dmarc_settle(d, DMARC_NONE, "not a domain to look up");
}

static struct str
org_of(const struct dmarc *d, struct arena *a, struct str name)
{
	struct str out = STR("");
	struct buf b;

	buf_init(&b, DNS_MAX_NAME);
	if (d->options.org(d->options.arg, name, &b) && !b.full)
		out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

struct dmarc *
dmarc_begin(struct arena *a, const struct dmarc_options *options)
{
	struct dmarc *d = arena_zalloc(a, sizeof(*d));

	d->arena = a;
	d->options = *options;
	d->options.from =
	    options->from.n == 0 ? STR("") : arena_str(a, options->from);
	d->found.is_secure = true;
	if (options->is_tree_walk) {
		tree_begin(d);
		return d;
	}
	d->found.org = d->org = org_of(d, a, d->options.from);
	ask(d, d->options.from);
	return d;
}

const struct dns_question *
dmarc_question(const struct dmarc *d)
{
	return d->is_asking ? &d->question : NULL;
}

void
dmarc_read(struct dmarc *d, struct str text)
{
	const char *why = NULL;

	if (dmarc_record_parse(
		arena_str(d->arena, text), &d->found.record, &why))
		dmarc_settle(d, DMARC_PASS, NULL);
	else
		dmarc_settle(d, DMARC_PERMERROR, why);
}

/* RFC 7489, 6.6.3 */
static void
list_answer(struct dmarc *d, const struct dns_answer *an)
{
	struct str text = { NULL, 0 };
	size_t i;

	if (dns_failed(an)) {
		dmarc_settle(d, DMARC_TEMPERROR, "no answer for the policy");
		return;
	}
	for (i = 0; i < an->n; i++) {
		if (!dmarc_is_record(an->v[i].text))
			continue;
		if (text.p != NULL) {
			dmarc_settle(
			    d, DMARC_PERMERROR, "more than one record");
			return;
		}
		text = an->v[i].text;
	}
	if (text.p == NULL) {
		if (d->found.is_org || d->org.n == 0 ||
		    dns_name_eq(d->org, d->options.from)) {
			dmarc_settle(d, DMARC_NONE, "no record");
			return;
		}
		d->found.is_org = true;
		ask(d, d->org);
		return;
	}
	dmarc_read(d, text);
}

void
dmarc_answer(struct dmarc *d, const struct dns_answer *an)
{
	d->found.is_secure &= an->is_secure;
	if (dns_insecure_at(an).n > 0)
		d->found.insecure_at = arena_str(d->arena, dns_insecure_at(an));
	if (d->tree != NULL)
		tree_answer(d, an);
	else
		list_answer(d, an);
}

const struct dmarc_found *
dmarc_found(const struct dmarc *d)
{
	return &d->found;
}

/* RFC 7489, 3.1 */
static bool
list_is_aligned(const struct dmarc *d, struct str domain)
{
	struct arena scratch;
	bool aligned;

	if (d->org.n == 0)
		return false;
	arena_init(&scratch, 4096);
	aligned = dns_name_eq(org_of(d, &scratch, domain), d->org);
	arena_release(&scratch);
	return aligned;
}

static enum tree_aligned
is_aligned(const struct dmarc *d, struct str domain, bool is_strict)
{
	if (domain.n == 0)
		return TREE_OTHER;
	if (dns_name_eq(domain, d->options.from))
		return TREE_ALIGNED;
	if (is_strict)
		return TREE_OTHER;
	if (d->tree != NULL)
		return tree_is_aligned(d, domain);
	return list_is_aligned(d, domain) ? TREE_ALIGNED : TREE_OTHER;
}

/* An identifier that passed, or may another time. */
static bool
counts(struct dmarc_result *out, enum tree_aligned aligned, bool passed)
{
	if (aligned == TREE_ALIGNED && passed)
		return true;
	if (aligned != TREE_OTHER)
		out->is_temporary = true;
	return false;
}

static void
align(const struct dmarc *d, const struct dmarc_input *in,
    struct dmarc_result *out)
{
	const struct dmarc_record *r = &d->found.record;
	size_t i;

	if (in->spf == SPF_PASS || in->spf == SPF_TEMPERROR)
		out->spf_aligned =
		    counts(out, is_aligned(d, in->spf_domain, r->is_strict_spf),
			in->spf == SPF_PASS);
	for (i = in->n_dkim; i-- > 0;) {
		const struct dmarc_dkim *k = &in->dkim[i];

		if ((k->status != DKIM_PASS && k->status != DKIM_TEMPERROR) ||
		    !counts(out, is_aligned(d, k->domain, r->is_strict_dkim),
			k->status == DKIM_PASS))
			continue;
		out->dkim_aligned = true;
		out->dkim = i;
	}
}

/*
 * The policy of a fail, or the next weaker one: outside of the sample
 * (RFC 7489, 6.6.4), or if the owner only tries it out (RFC 9989, 4.7, which
 * has no samples).
 */
static enum dmarc_policy
disposition(const struct dmarc *d, unsigned draw, struct dmarc_result *out)
{
	const struct dmarc_record *r = &d->found.record;

	if (out->policy == DMARC_POLICY_NONE ||
	    (d->tree != NULL ? !r->is_test : draw < r->pct))
		return out->policy;
	out->is_sampled_out = true;
	return out->policy == DMARC_REJECT ? DMARC_QUARANTINE :
					     DMARC_POLICY_NONE;
}

void
dmarc_evaluate(const struct dmarc *d, const struct dmarc_input *in,
    struct dmarc_result *out)
{
	const struct dmarc_found *f = &d->found;
	const struct dmarc_record *r = &f->record;

	*out = (struct dmarc_result){ .status = f->status };
	align(d, in, out);
	if (f->status != DMARC_PASS)
		return;
	out->policy = f->is_absent ? r->np : f->is_org ? r->sp : r->p;
	if (out->spf_aligned || out->dkim_aligned)
		out->status = DMARC_PASS;
	else if (out->is_temporary) /* RFC 7489, 6.6.2 */
		out->status = DMARC_TEMPERROR;
	else {
		out->status = DMARC_FAIL;
		out->disposition = disposition(d, in->draw, out);
	}
}

bool
dmarc_from_domain(struct arena *a, struct str header, struct str *domain)
{
	struct mime_addrs addrs;
	struct mime_field f;
	size_t n = 0, i;

	*domain = STR("");
	while (mime_field_next(&header, &f)) {
		if (!str_eq_nocase(str_trim(f.name), STR("From")))
			continue;
		if (++n > 1)
			return false;
		mime_addrs_parse(a, f.value, &addrs);
		for (i = 0; i < addrs.n; i++) {
			if (addrs.v[i].kind != MIME_ADDR)
				continue;
			if (domain->n > 0 &&
			    !dns_name_eq(*domain, addrs.v[i].host))
				return false;
			*domain = addrs.v[i].host;
			if (domain->n == 0)
				return false;
		}
	}
	return domain->n > 0;
}
