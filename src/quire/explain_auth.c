/* What DNS says about the message, one line for each result. */
#include <stdio.h>

#include "explain.h"

static const char *
dnssec(bool is_secure)
{
	return is_secure ? "with dnssec" : "without dnssec";
}

static void
explain_spf(struct explain *x, const struct spf_result *r)
{
	explain_step(x, r->identity == SPF_HELO ? "spf-helo" : "spf",
	    spf_verdict_name(r->verdict), "%.*s: %s%.*s%s%s, %u look-ups, %s",
	    STR_ARG(r->domain), r->mechanism.n > 0 ? "by " : "",
	    STR_ARG(r->mechanism), r->mechanism.n > 0 ? ", " : "",
	    r->problem == NULL ? "no problem" : r->problem, r->n_lookups,
	    dnssec(r->is_secure && r->n_questions > 0));
	if (r->explanation.n > 0)
		explain_step(
		    x, "spf-says", "fail", "%.*s", STR_ARG(r->explanation));
}

static void
explain_dkim(struct explain *x, const struct mailauth_result *r)
{
	size_t i;

	if (r->n_dkim == 0)
		explain_step(x, "dkim", "none", "not signed");
	for (i = 0; i < r->n_dkim; i++) {
		const struct dkim_result *d = &r->dkim[i];

		explain_step(x, "dkim", dkim_status_name(d->status),
		    "d=%.*s s=%.*s a=%s%s%s, %s", STR_ARG(d->sig->domain),
		    STR_ARG(d->sig->selector),
		    dkim_algorithm_name(d->sig->algorithm),
		    d->why == NULL ? "" : ": ", d->why == NULL ? "" : d->why,
		    dnssec(d->is_secure));
	}
	if (r->n_dkim_skipped > 0)
		explain_step(x, "dkim", "neutral",
		    "%zu more signatures were not looked at",
		    r->n_dkim_skipped);
}

static void
explain_arc(struct explain *x, const struct arc_result *r)
{
	char since[64] = "";

	if (r->cv == ARC_NONE) {
		explain_step(x, "arc", "none", "no chain of forwarders");
		return;
	}
	if (r->oldest_pass != ARC_NOT_KNOWN)
		snprintf(since, sizeof(since), ", unchanged since set %d",
		    r->oldest_pass == 0 ? 1 : r->oldest_pass);
	explain_step(x, "arc", arc_cv_name(r->cv),
	    "%u sets, sealed by %.*s%s%s%s, %s; decides nothing", r->n_sets,
	    STR_ARG(r->sealer), since, r->why == NULL ? "" : ": ",
	    r->why == NULL ? "" : r->why, dnssec(r->is_secure));
}

static void
explain_alignment(struct explain *x, const struct mailauth_result *r)
{
	const struct dmarc_result *d = &r->dmarc;

	if (d->dkim_aligned)
		explain_step(x, "aligned", "dkim", "%.*s signs for %.*s",
		    STR_ARG(r->dkim[d->dkim].sig->domain), STR_ARG(r->from));
	if (d->spf_aligned)
		explain_step(x, "aligned", "spf", "%.*s sends for %.*s",
		    STR_ARG(r->spf->domain), STR_ARG(r->from));
	if (!d->dkim_aligned && !d->spf_aligned)
		explain_step(x, "aligned", "no",
		    "no signature and no sender that passes speaks for %.*s",
		    STR_ARG(r->from));
}

static void
explain_dmarc(struct explain *x, const struct mailauth_result *r)
{
	const struct dmarc_found *f = r->policy;
	struct buf b;

	if (f == NULL) {
		explain_step(x, "dmarc", "none",
		    "From does not name one domain: no credit");
		return;
	}
	if (f->status != DMARC_PASS) {
		explain_step(x, "dmarc", dmarc_status_name(r->dmarc.status),
		    "%.*s: %s", STR_ARG(r->from), f->why);
		return;
	}
	buf_init(&b, 4096);
	dmarc_record_print(&b, &f->record);
	explain_step(x, "policy", dmarc_policy_name(r->dmarc.policy),
	    "%.*s at %.*s, %s", STR_ARG(buf_str(&b)), STR_ARG(f->domain),
	    dnssec(f->is_secure));
	buf_release(&b);
	explain_alignment(x, r);
	explain_step(x, "dmarc", dmarc_status_name(r->dmarc.status),
	    "%.*s, asks for %s%s", STR_ARG(r->from),
	    dmarc_policy_name(r->dmarc.disposition),
	    r->dmarc.is_sampled_out ? " (outside of pct=: not followed)" : "");
}

static void
explain_dnsbl(struct explain *x, const struct mailauth_result *r)
{
	size_t i;

	for (i = 0; i < r->n_dnsbl; i++)
		explain_step(x, "dnsbl", dnsbl_status_name(r->dnsbl[i].status),
		    "%.*s %.*s", STR_ARG(r->dnsbl[i].zone),
		    STR_ARG(r->dnsbl[i].reason));
}

/* The fields that would be put on top, each line a step of its own. */
static void
explain_header(struct explain *x, const struct mailauth *m)
{
	struct str all, line;
	struct buf b;

	buf_init(&b, 65536);
	mailauth_print(&b, m,
	    x->config == NULL ? x->setup.hostname :
				config_authserv_id(x->config));
	all = buf_str(&b);
	while (all.n > 0) {
		str_cut(&all, '\n', &line);
		if (str_ends(line, STR("\r")))
			line.n--;
		if (str_starts(line, STR("\t")))
			explain_step(x, "header", "", "    %.*s",
			    STR_ARG(str_sub(line, 1, line.n)));
		else
			explain_step(x, "header", "", "%.*s", STR_ARG(line));
	}
	buf_release(&b);
}

/* Who wants more of From than its owner does. */
static void
explain_required(struct explain *x, enum mailauth_alignment is)
{
	const struct config_account *a;
	struct config_rules rules;
	size_t i, n = 0;

	for (i = 0; i < x->n_rcpts && x->config != NULL; i++) {
		const struct addr *r = &x->rcpt[i];

		if (config_find(x->config, r->local, r->domain, &a) != RCPT_OK)
			continue;
		config_rules(x->config, r->local, r->domain, a, &rules);
		if (!rules.requires_alignment)
			continue;
		n += is != MAILAUTH_ALIGNED;
		explain_step(x, "required",
		    is == MAILAUTH_ALIGNED     ? "ok" :
		    is == MAILAUTH_NOT_ALIGNED ? "refused" :
						 "put off",
		    "%.*s wants From to be confirmed by SPF or DKIM",
		    STR_ARG(a->name));
	}
	if (n == 0 || n < x->n_rcpts)
		return;
	if (is == MAILAUTH_UNKNOWN)
		explain_refuse(x, 451, "4.7.26",
		    "the domain in From cannot be confirmed now",
		    "msg-auth-required");
	else
		explain_refuse(x, 550, "5.7.26",
		    "neither SPF nor DKIM confirms the domain in From",
		    "msg-auth-required");
}

void
explain_auth(struct explain *x)
{
	const struct mailauth_result *r;
	struct mailauth_decision d;
	struct mailauth *m;

	m = mailauth_begin(&x->t.arena, &x->setup, &x->client, x->header);
	mailauth_body(m, x->body);
	r = mailauth_finish(m);
	explain_step(x, "iprev", iprev_status_name(r->iprev.status),
	    "%.*s %s%.*s, %s", STR_ARG(x->client.remote),
	    r->iprev.status == IPREV_PASS      ? "is " :
	    r->iprev.status == IPREV_TEMPERROR ? "got no answer" :
						 "has no name that points back",
	    STR_ARG(r->iprev.name), dnssec(r->iprev.is_secure));
	if (r->spf_helo != NULL)
		explain_spf(x, r->spf_helo);
	explain_spf(x, r->spf);
	explain_dkim(x, r);
	explain_arc(x, r->arc);
	explain_dmarc(x, r);
	explain_dnsbl(x, r);
	explain_step(x, "dns", r->is_late ? "late" : "ok",
	    "%u questions in %lld ms", r->n_questions,
	    (long long)r->elapsed_ms);
	explain_header(x, m);
	mailauth_decide(r, &d);
	if (d.code != 250)
		explain_refuse(x, d.code, d.enhanced, d.text, d.reason);
	explain_required(x, mailauth_alignment(r));
	explain_first(x, r);
	mailauth_free(&m);
}
