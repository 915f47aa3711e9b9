/* Results as fields for the top of the message. */
#include "format/authres/authres.h"
#include "service/mailauth/mailauth_int.h"

#define MAX_VALUE 320 /* octets shown of what strangers wrote */
#define SHOWN_B	  12  /* of b=, enough to tell signatures apart */

struct printing {
	struct arena *arena;
	struct authres_method v[AUTHRES_MAX_METHODS];
	size_t n;
};

static struct authres_method *
method(struct printing *p, const char *name, const char *result)
{
	struct authres_method *m = &p->v[p->n++];

	*m = (struct authres_method){ .method = str_from(name),
		.result = str_from(result),
		.reason = STR(""),
		.comment = STR("") };
	return m;
}

static void
prop(struct authres_method *m, const char *ptype, const char *property,
    struct str value)
{
	if (value.n > 0)
		m->props[m->n_props++] = (struct authres_prop){ str_from(ptype),
			str_from(property), str_sub(value, 0, MAX_VALUE) };
}

static const char *
dnssec(bool is_secure)
{
	return is_secure ? "with dnssec" : "without dnssec";
}

/* "WHAT, dnssec as far as NAME, without dnssec"; the first two may be missing:
 * the name is where the chain of names leaves what is signed */
static void
comment_far(struct printing *p, struct authres_method *m, const char *what,
    struct str far, bool secure)
{
	struct buf b;

	buf_init(&b, 4096);
	if (what != NULL)
		buf_printf(&b, "%s, ", what);
	if (far.n > 0)
		buf_printf(&b, "dnssec as far as %.*s, ",
		    STR_ARG(str_sub(far, 0, MAX_VALUE)));
	buf_puts(&b, dnssec(secure));
	m->comment = arena_str(p->arena, buf_str(&b));
	buf_release(&b);
}

static void
comment(
    struct printing *p, struct authres_method *m, const char *what, bool secure)
{
	comment_far(p, m, what, STR(""), secure);
}

static void
put_iprev(struct printing *p, const struct mailauth *ma)
{
	const struct iprev_result *r = &ma->result.iprev;
	struct authres_method *m =
	    method(p, "iprev", iprev_status_name(r->status));

	comment_far(p, m, NULL, r->insecure_at, r->is_secure);
	prop(m, "policy", "iprev", ma->client.remote);
}

/* "2048 bit rsa, weak" */
static void
put_dkim(struct printing *p, const struct dkim_result *r)
{
	struct authres_method *m =
	    method(p, "dkim", dkim_status_name(r->status));
	struct buf b;

	buf_init(&b, 1024);
	if (r->status != DKIM_PASS)
		buf_puts(&b, r->why == NULL ? "no reason" : r->why);
	else if (r->bits > 0)
		buf_printf(&b, "%u bits", r->bits);
	else
		buf_puts(&b, "good");
	if (r->n_unsigned > 0)
		buf_printf(&b, ", %llu octets of the body are not signed",
		    (unsigned long long)r->n_unsigned);
	comment_far(p, m, buf_cstr(&b), r->insecure_at, r->is_secure);
	buf_release(&b);
	prop(m, "header", "d", r->sig->domain);
	prop(m, "header", "s", r->sig->selector);
	prop(
	    m, "header", "a", str_from(dkim_algorithm_name(r->sig->algorithm)));
	prop(m, "header", "b", str_sub(r->sig->b_text, 0, SHOWN_B));
}

static void
put_spf(
    struct printing *p, const struct mailauth *ma, const struct spf_result *r)
{
	const struct addr_path *path = &ma->client.reverse_path;
	struct authres_method *m =
	    method(p, "spf", spf_verdict_name(r->verdict));
	struct buf b;

	comment(p, m, r->problem, r->is_secure && r->n_questions > 0);
	if (r->identity == SPF_HELO) {
		prop(m, "smtp", "helo", ma->client.helo);
		return;
	}
	buf_init(&b, 1024);
	addr_print(&b, &path->addr);
	prop(m, "smtp", "mailfrom", arena_str(p->arena, buf_str(&b)));
	buf_release(&b);
}

/* "p=reject, with dnssec" */
static void
put_dmarc(struct printing *p, const struct mailauth_result *r)
{
	struct authres_method *m =
	    method(p, "dmarc", dmarc_status_name(r->dmarc.status));
	struct buf b;

	buf_init(&b, 1024);
	if (r->policy == NULL)
		buf_puts(&b, "From does not name one domain");
	else if (r->policy->status != DMARC_PASS)
		buf_puts(&b, r->policy->why);
	else
		buf_printf(&b, "%s=%s%s",
		    r->policy->is_absent ? "np" :
		    r->policy->is_org	 ? "sp" :
					   "p",
		    dmarc_policy_name(r->dmarc.policy),
		    !r->dmarc.is_sampled_out  ? "" :
		    r->policy->record.is_test ? ", a test" :
						", outside of pct");
	comment_far(p, m, buf_cstr(&b),
	    r->policy == NULL ? STR("") : r->policy->insecure_at,
	    r->policy != NULL && r->policy->is_secure);
	buf_release(&b);
	prop(m, "header", "from", r->from);
}

static void
put_arc(struct printing *p, const struct mailauth *ma)
{
	const struct arc_result *r = ma->result.arc;
	struct authres_method *m = method(p, "arc", arc_cv_name(r->cv));

	if (r->cv == ARC_NONE)
		return;
	comment(p, m, r->why, r->is_secure);
	prop(m, "header", "d", r->sealer);
	prop(m, "smtp", "remote-ip", ma->client.remote); /* RFC 8617, 6.1 */
}

void
mailauth_print(
    struct buf *out, const struct mailauth *m, struct str authserv_id)
{
	const struct mailauth_result *r = &m->result;
	struct printing p = { .arena = m->asker.arena };
	struct authres ar = { .authserv_id = authserv_id, .v = p.v };
	size_t i;

	put_iprev(&p, m);
	for (i = 0; i < r->n_dkim; i++)
		put_dkim(&p, &r->dkim[i]);
	if (r->n_dkim == 0)
		(void)method(&p, "dkim", "none");
	put_spf(&p, m, r->spf);
	if (r->spf_helo != NULL)
		put_spf(&p, m, r->spf_helo);
	put_dmarc(&p, r);
	put_arc(&p, m);
	ar.n = p.n;
	buf_puts(out, "Authentication-Results: ");
	authres_print(out, &ar);
	buf_puts(out, "\r\n");
	spf_print_received(out, m->spf.spf);
}
