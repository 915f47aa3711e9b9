#include "format/dmarc/dmarc.h"

#include "format/mime/mime.h"

struct dmarc {
	struct arena *arena;
	struct dmarc_options options;
	struct str org; /* From's organizational domain; empty: none */
	struct dns_question question;
	bool is_asking;
	struct dmarc_found found;
};

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

static void
settle(struct dmarc *d, enum dmarc_status status, const char *why)
{
	d->is_asking = false;
	d->found.status = status;
	d->found.why = why;
}

/* "_dmarc." domain, RFC 7489, 6.1 */
static void
ask(struct dmarc *d, struct str domain)
{
	struct buf b;

	buf_init(&b, domain.n + 16);
	buf_puts(&b, "_dmarc.");
	buf_put(&b, domain);
	d->question =
	    (struct dns_question){ DNS_TXT, arena_str(d->arena, buf_str(&b)) };
	buf_release(&b);
	d->found.domain = domain;
	d->is_asking = true;
	if (!dns_name_valid(d->question.name))
		settle(d, DMARC_NONE, "not a domain to look up");
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
	d->org = org_of(d, a, d->options.from);
	ask(d, d->options.from);
	return d;
}

const struct dns_question *
dmarc_question(const struct dmarc *d)
{
	return d->is_asking ? &d->question : NULL;
}

/* RFC 7489, 6.6.3 */
void
dmarc_answer(struct dmarc *d, const struct dns_answer *an)
{
	struct str text = { NULL, 0 };
	const char *why = NULL;
	size_t i;

	d->found.is_secure &= an->is_secure;
	if (dns_failed(an)) {
		settle(d, DMARC_TEMPERROR, "no answer for the policy");
		return;
	}
	for (i = 0; i < an->n; i++) {
		if (!dmarc_is_record(an->v[i].text))
			continue;
		if (text.p != NULL) {
			settle(d, DMARC_PERMERROR, "more than one record");
			return;
		}
		text = an->v[i].text;
	}
	if (text.p == NULL) {
		if (d->found.is_org || d->org.n == 0 ||
		    dns_name_eq(d->org, d->options.from)) {
			settle(d, DMARC_NONE, "no record");
			return;
		}
		d->found.is_org = true;
		ask(d, d->org);
		return;
	}
	text = arena_str(d->arena, text);
	if (dmarc_record_parse(text, &d->found.record, &why))
		settle(d, DMARC_PASS, NULL);
	else
		settle(d, DMARC_PERMERROR, why);
}

const struct dmarc_found *
dmarc_found(const struct dmarc *d)
{
	return &d->found;
}

/* RFC 7489, 3.1 */
static bool
is_aligned(const struct dmarc *d, struct str domain, bool is_strict)
{
	struct arena scratch;
	bool aligned;

	if (domain.n == 0)
		return false;
	if (dns_name_eq(domain, d->options.from))
		return true;
	if (is_strict || d->org.n == 0)
		return false;
	arena_init(&scratch, 4096);
	aligned = dns_name_eq(org_of(d, &scratch, domain), d->org);
	arena_release(&scratch);
	return aligned;
}

/* RFC 7489, 6.6.4: outside of the sample the next weaker policy holds */
static enum dmarc_policy
disposition(
    const struct dmarc_record *r, unsigned draw, struct dmarc_result *out)
{
	if (draw < r->pct || out->policy == DMARC_POLICY_NONE)
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
	bool is_temporary = false;
	size_t i;

	*out = (struct dmarc_result){ .status = f->status };
	if (f->status != DMARC_PASS)
		return;
	out->policy = f->is_org ? r->sp : r->p;
	if (is_aligned(d, in->spf_domain, r->is_strict_spf)) {
		out->spf_aligned = in->spf == SPF_PASS;
		is_temporary = in->spf == SPF_TEMPERROR;
	}
	for (i = in->n_dkim; i-- > 0;) {
		if ((in->dkim[i].status != DKIM_PASS &&
			in->dkim[i].status != DKIM_TEMPERROR) ||
		    !is_aligned(d, in->dkim[i].domain, r->is_strict_dkim))
			continue;
		if (in->dkim[i].status == DKIM_TEMPERROR) {
			is_temporary = true;
			continue;
		}
		out->dkim_aligned = true;
		out->dkim = i;
	}
	if (out->spf_aligned || out->dkim_aligned)
		out->status = DMARC_PASS;
	else if (is_temporary) /* it might have passed; RFC 7489, 6.6.2 */
		out->status = DMARC_TEMPERROR;
	else {
		out->status = DMARC_FAIL;
		out->disposition = disposition(r, in->draw, out);
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
