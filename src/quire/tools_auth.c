#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/date.h"
#include "format/addr/addr.h"
#include "format/spf/spf.h"
#include "tools.h"

/* quire spf check --ip IP --helo H --from ADDR */

static const char usage[] =
    "usage: quire spf check --ip IP --helo NAME --from ADDRESS";

static bool
parse_ip(const char *arg, struct spf_client *c)
{
	if (inet_pton(AF_INET, arg, c->ip) == 1)
		return true;
	c->is_ipv6 = true;
	return inet_pton(AF_INET6, arg, c->ip) == 1;
}

/* The reverse path; "" and "<>" are the null one: then the HELO identity. */
static bool
parse_from(struct tool *t, const char *arg, struct spf_client *c)
{
	struct addr a;
	struct buf domain;
	struct str s = str_from(arg);

	if (s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = str_sub(s, 1, s.n - 2);
	if (s.n == 0) {
		c->identity = SPF_HELO;
		return true;
	}
	if (!addr_from_str(&t->arena, s, ADDR_UTF8, &a))
		return false;
	buf_init(&domain, 1024);
	if (a.kind == ADDR_NAME && addr_domain_ascii(&domain, a.domain))
		a.domain = arena_str(&t->arena, buf_str(&domain));
	buf_release(&domain);
	c->local = a.local;
	c->domain = a.domain;
	return true;
}

static int
spf_args(struct tool *t, int argc, char **argv, struct spf_client *c)
{
	static const struct option options[] = {
		{ "ip", required_argument, NULL, 'i' },
		{ "helo", required_argument, NULL, 'h' },
		{ "from", required_argument, NULL, 'f' },
		{ 0 },
	};
	bool has_ip = false, has_from = false;
	int ch;

	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (ch) {
		case 'i':
			if (!parse_ip(optarg, c))
				return quire_fail(EX_USAGE,
				    "--ip %s is not an IP address", optarg);
			has_ip = true;
			break;
		case 'h':
			c->helo = str_from(optarg);
			break;
		case 'f':
			if (!parse_from(t, optarg, c))
				return quire_fail(EX_USAGE,
				    "--from %s is not an address", optarg);
			has_from = true;
			break;
		default:
			return quire_fail(EX_USAGE, "%s", usage);
		}
	if (optind != argc || !has_ip || !has_from)
		return quire_fail(EX_USAGE, "%s", usage);
	return 0;
}

static void
put_details(struct tool *t, const struct spf_result *r)
{
	if (!t->json)
		return;
	tool_put(t, "domain", r->domain);
	tool_put(t, "mechanism", r->mechanism);
	tool_put_bool(t, "authentic", r->is_secure);
	tool_put_int(t, "lookups", r->n_lookups);
	tool_put_int(t, "void_lookups", r->n_void);
	if (r->problem != NULL)
		tool_put(t, "problem", str_from(r->problem));
	if (r->explanation.n > 0)
		tool_put(t, "explanation", r->explanation);
}

int
cmd_spf(struct quire *q, int argc, char **argv)
{
	struct spf_client c = { .now = date_now() };
	const struct spf_result *r;
	enum spf_verdict v;
	struct tool t;
	struct spf *s;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && (argc < 2 || strcmp(argv[1], "check") != 0))
		rc = quire_fail(EX_USAGE, "%s", usage);
	if (rc == 0)
		rc = spf_args(&t, argc - 1, argv + 1, &c);
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	c.receiver = str_from(q->hostname);
	s = spf_begin(&t.arena, &c);
	while ((v = spf_next(s)) == SPF_NEED_DNS)
		spf_answer(s, dns_lookup(t.dns, &t.arena, spf_question(s)));
	r = spf_result(s);
	tool_put(&t, "result", str_from(spf_verdict_name(v)));
	put_details(&t, r);
	if (!t.json && r->explanation.n > 0) {
		buf_putc(&t.out, '\n');
		t.n_out = 0; /* a line of its own */
		tool_put(&t, "explanation", r->explanation);
	}
	return tool_end(&t, 0);
}
