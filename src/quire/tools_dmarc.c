#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "format/addr/addr.h"
#include "format/dmarc/dmarc.h"
#include "format/psl/psl.h"
#include "tools.h"

/* quire dmarc check --from D --spf RESULT:D --dkim RESULT:D[,..]
 * quire dmarc lookup D
 * with --tree-walk: RFC 9989 instead of the public suffix list */

#define MAX_DKIM (DMARC_MAX_IDENTIFIERS - 1)

static const char usage[] =
    "usage: quire dmarc check --from DOMAIN [--spf RESULT:DOMAIN] [--dkim "
    "RESULT:DOMAIN[,...]] [--tree-walk]\n"
    "       quire dmarc lookup [--tree-walk] DOMAIN";

static bool
org_of(const void *psl, struct str name, struct buf *out)
{
	return psl_org_domain(psl, name, out);
}

static struct str
to_ascii(struct tool *t, struct str name)
{
	struct buf b;

	buf_init(&b, 1024);
	if (addr_domain_ascii(&b, name))
		name = arena_str(&t->arena, buf_str(&b));
	buf_release(&b);
	return name;
}

/* "pass:example.org" */
static bool
take_spf(struct tool *t, const char *arg, struct dmarc_input *in)
{
	struct str rest = str_from(arg), word;

	if (!str_cut(&rest, ':', &word) || !spf_verdict_from(word, &in->spf))
		return false;
	in->spf_domain = to_ascii(t, rest);
	return true;
}

static bool
take_dkim(struct tool *t, const char *arg, struct dmarc_dkim *v, size_t *n)
{
	struct str all = str_from(arg), one, word;

	while (all.n > 0) {
		str_cut(&all, ',', &one);
		if (*n == MAX_DKIM || !str_cut(&one, ':', &word) ||
		    !dkim_status_from(word, &v[*n].status))
			return false;
		v[(*n)++].domain = to_ascii(t, one);
	}
	return true;
}

static const struct dmarc_found *
find_policy(struct tool *t, struct dmarc *d)
{
	const struct dns_question *q;

	while ((q = dmarc_question(d)) != NULL)
		dmarc_answer(d, dns_lookup(t->dns, &t->arena, q));
	return dmarc_found(d);
}

static void
put_found(struct tool *t, const struct dmarc_found *f)
{
	struct buf b;

	if (f->domain.n > 0)
		tool_put(t, "record_domain", f->domain);
	if (f->org.n > 0)
		tool_put(t, "org", f->org);
	tool_put_bool(t, "authentic", f->is_secure);
	if (f->insecure_at.n > 0)
		tool_put(t, "insecure_at", f->insecure_at);
	if (f->why != NULL)
		tool_put(t, "why", str_from(f->why));
	if (f->status != DMARC_PASS)
		return;
	buf_init(&b, 65536);
	dmarc_record_print(&b, &f->record);
	tool_put(t, "record", buf_str(&b));
	buf_release(&b);
}

static int
check_args(struct tool *t, int argc, char **argv, struct dmarc_options *o,
    struct dmarc_input *in, struct dmarc_dkim *dkim)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "spf", required_argument, NULL, 's' },
		{ "dkim", required_argument, NULL, 'd' },
		{ "tree-walk", no_argument, NULL, 't' },
		{ 0 },
	};
	int ch;

	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (ch) {
		case 'f':
			o->from = to_ascii(t, str_from(optarg));
			break;
		case 's':
			if (!take_spf(t, optarg, in))
				return quire_fail(EX_USAGE,
				    "--spf %s: like pass:example.org", optarg);
			break;
		case 'd':
			if (!take_dkim(t, optarg, dkim, &in->n_dkim))
				return quire_fail(EX_USAGE,
				    "--dkim %s: like "
				    "pass:example.org,fail:other.org",
				    optarg);
			break;
		case 't':
			o->is_tree_walk = true;
			break;
		default:
			return quire_fail(EX_USAGE, "%s", usage);
		}
	if (optind != argc || o->from.n == 0)
		return quire_fail(EX_USAGE, "%s", usage);
	return 0;
}

static int
check(struct tool *t, const struct psl *psl, int argc, char **argv)
{
	struct str identifiers[1 + MAX_DKIM];
	struct dmarc_dkim dkim[MAX_DKIM];
	struct dmarc_input in = {
		.spf = SPF_NONE, .spf_domain = STR(""), .dkim = dkim
	};
	struct dmarc_options o = { .org = org_of, .arg = psl };
	const struct dmarc_found *f;
	struct dmarc_result r;
	struct dmarc *d;
	int rc = check_args(t, argc, argv, &o, &in, dkim);
	size_t i;

	if (rc != 0 || (rc = tool_dns(t)) != 0)
		return rc;
	identifiers[0] = in.spf_domain;
	for (i = 0; i < in.n_dkim; i++)
		identifiers[1 + i] = dkim[i].domain;
	o.identifiers = identifiers;
	o.n_identifiers = 1 + in.n_dkim;
	d = dmarc_begin(&t->arena, &o);
	f = find_policy(t, d);
	dmarc_evaluate(d, &in, &r);
	tool_put(t, "result", str_from(dmarc_status_name(r.status)));
	tool_put(t, "policy", str_from(dmarc_policy_name(r.policy)));
	if (t->json)
		put_found(t, f);
	return 0;
}

static int
lookup(struct tool *t, const struct psl *psl, int argc, char **argv)
{
	struct dmarc_options o = { .org = org_of, .arg = psl };
	const struct dmarc_found *f;
	int rc, i = 1;

	if (argc > 1 && strcmp(argv[1], "--tree-walk") == 0) {
		o.is_tree_walk = true;
		i++;
	}
	if (argc != i + 1)
		return quire_fail(EX_USAGE, "%s", usage);
	if ((rc = tool_dns(t)) != 0)
		return rc;
	o.from = to_ascii(t, str_from(argv[i]));
	f = find_policy(t, dmarc_begin(&t->arena, &o));
	tool_put(t, "status",
	    f->status == DMARC_PASS ? STR("found") :
				      str_from(dmarc_status_name(f->status)));
	put_found(t, f);
	return 0;
}

int
cmd_dmarc(struct quire *q, int argc, char **argv)
{
	struct psl *psl;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc != 0)
		return tool_end(&t, rc);
	psl = psl_load();
	if (psl == NULL)
		rc = quire_fail(EX_UNAVAILABLE,
		    "no public suffix list: install publicsuffix");
	else if (argc > 1 && strcmp(argv[1], "check") == 0)
		rc = check(&t, psl, argc - 1, argv + 1);
	else if (argc > 1 && strcmp(argv[1], "lookup") == 0)
		rc = lookup(&t, psl, argc - 1, argv + 1);
	else
		rc = quire_fail(EX_USAGE, "%s", usage);
	psl_unload(&psl);
	return tool_end(&t, rc);
}
