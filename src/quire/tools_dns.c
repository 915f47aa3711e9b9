#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "format/addr/addr.h"
#include "format/psl/psl.h"
#include "tools.h"

/* quire psl D, quire iprev IP, quire dnsbl check ZONE IP | health ZONE */

int
cmd_psl(struct quire *q, int argc, char **argv)
{
	struct buf name, org;
	struct psl *psl;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && argc != 2)
		rc = quire_fail(EX_USAGE, "usage: quire psl DOMAIN");
	if (rc != 0)
		return tool_end(&t, rc);
	psl = psl_load();
	if (psl == NULL)
		return tool_end(
		    &t, quire_fail(EX_UNAVAILABLE,
			    "no public suffix list: install publicsuffix"));
	buf_init(&name, 1024);
	buf_init(&org, 1024);
	if (addr_domain_ascii(&name, str_from(argv[1])) &&
	    psl_org_domain(psl, buf_str(&name), &org))
		tool_put(&t, "org", buf_str(&org));
	else
		tool_put(&t, "org", STR("none"));
	buf_release(&name);
	buf_release(&org);
	psl_unload(&psl);
	return tool_end(&t, 0);
}

static bool
parse_ip(const char *arg, uint8_t ip[16], bool *is_ipv6)
{
	*is_ipv6 = inet_pton(AF_INET6, arg, ip) == 1;
	return *is_ipv6 || inet_pton(AF_INET, arg, ip) == 1;
}

#define IPREV_MAX 10 /* names tried, as RFC 7208, 4.6.4, allows a ptr */

/*
 * The first name the address points to that points back to it (RFC 8601,
 * 2.7.3); all are asked for at once.
 */
static enum dns_status
iprev(struct tool *t, const uint8_t ip[16], bool is_ipv6, struct str *name,
    bool *is_secure)
{
	struct dns_question q = { DNS_PTR,
		dns_name_reverse(&t->arena, ip, is_ipv6) };
	const struct dns_answer *ptr = dns_lookup(t->dns, &t->arena, &q);
	struct dns_question back[IPREV_MAX];
	struct dns_answer *out[IPREV_MAX];
	size_t n, i, k;
	bool failed = false;

	if (ptr->status != DNS_OK)
		return ptr->status;
	n = ptr->n < IPREV_MAX ? ptr->n : IPREV_MAX;
	for (i = 0; i < n; i++)
		back[i] = (struct dns_question){ is_ipv6 ? DNS_AAAA : DNS_A,
			ptr->v[i].name };
	dns_ask(t->dns, &t->arena, back, n, out);
	for (i = 0; i < n; i++) {
		failed = failed || dns_failed(out[i]);
		for (k = 0; k < out[i]->n; k++)
			if (memcmp(out[i]->v[k].ip, ip, is_ipv6 ? 16 : 4) ==
			    0) {
				*name = back[i].name;
				*is_secure =
				    ptr->is_secure && out[i]->is_secure;
				return DNS_OK;
			}
	}
	return failed ? DNS_TEMPFAIL : DNS_NODATA;
}

int
cmd_iprev(struct quire *q, int argc, char **argv)
{
	static const char *const results[] = { [DNS_OK] = "pass",
		[DNS_NODATA] = "fail",
		[DNS_NXDOMAIN] = "permerror", /* no reverse name at all */
		[DNS_TEMPFAIL] = "temperror",
		[DNS_BOGUS] = "temperror" };
	struct str name = STR("");
	enum dns_status status;
	bool is_ipv6, is_secure = false;
	uint8_t ip[16];
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && (argc != 2 || !parse_ip(argv[1], ip, &is_ipv6)))
		rc = quire_fail(EX_USAGE, "usage: quire iprev IP");
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	status = iprev(&t, ip, is_ipv6, &name, &is_secure);
	tool_put(&t, "result", str_from(results[status]));
	if (name.n > 0)
		tool_put(&t, "name", name);
	tool_put_bool(&t, "authentic", is_secure);
	return tool_end(&t, 0);
}

/* A zone's name for an address (RFC 5782, 2.1, 2.4). */
static struct str
dnsbl_name(struct tool *t, const uint8_t ip[16], bool is_ipv6, struct str zone)
{
	struct str r = dns_name_reverse(&t->arena, ip, is_ipv6), name;
	struct buf b;

	r.n -= is_ipv6 ? sizeof(".ip6.arpa") - 1 : sizeof(".in-addr.arpa") - 1;
	buf_init(&b, 1024);
	buf_printf(&b, "%.*s.%.*s", STR_ARG(r), STR_ARG(zone));
	name = arena_str(&t->arena, buf_str(&b));
	buf_release(&b);
	return name;
}

/* Listed: an A record below 127.0.0.0/8; others are a parked domain's. */
static const char *
listed(struct tool *t, struct str name)
{
	struct dns_question q = { DNS_A, name };
	const struct dns_answer *r = dns_lookup(t->dns, &t->arena, &q);
	size_t i;

	if (dns_failed(r))
		return "temperror";
	for (i = 0; i < r->n; i++)
		if (r->v[i].ip[0] == 127)
			return "listed";
	return "clear";
}

static void
dnsbl_check(struct tool *t, struct str zone, const uint8_t ip[16], bool is_ipv6)
{
	struct str name = dnsbl_name(t, ip, is_ipv6, zone);
	struct dns_question q = { DNS_TXT, name };
	const struct dns_answer *r;
	const char *result = listed(t, name);

	tool_put(t, "result", str_from(result));
	if (strcmp(result, "listed") != 0)
		return;
	r = dns_lookup(t->dns, &t->arena, &q);
	if (r->status == DNS_OK)
		tool_put(t, "reason", r->v[0].text);
}

/* RFC 5782, 5: a zone lists 127.0.0.2 and never 127.0.0.1. */
static void
dnsbl_health(struct tool *t, struct str zone)
{
	static const uint8_t yes[16] = { 127, 0, 0, 2 },
			     no[16] = { 127, 0, 0, 1 };
	const char *y = listed(t, dnsbl_name(t, yes, false, zone));
	const char *n = listed(t, dnsbl_name(t, no, false, zone));
	bool healthy = strcmp(y, "listed") == 0 && strcmp(n, "clear") == 0;

	tool_put(t, "health", healthy ? STR("ok") : STR("bad"));
	if (!healthy) {
		tool_put(t, "127.0.0.2", str_from(y));
		tool_put(t, "127.0.0.1", str_from(n));
	}
}

int
cmd_dnsbl(struct quire *q, int argc, char **argv)
{
	bool is_check, is_health, is_ipv6 = false;
	uint8_t ip[16];
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	is_check = argc == 4 && strcmp(argv[1], "check") == 0 &&
		   parse_ip(argv[3], ip, &is_ipv6);
	is_health = argc == 3 && strcmp(argv[1], "health") == 0;
	if (rc == 0 && !is_check && !is_health)
		rc = quire_fail(
		    EX_USAGE, "usage: quire dnsbl check ZONE IP | health ZONE");
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	if (is_check)
		dnsbl_check(&t, str_from(argv[2]), ip, is_ipv6);
	else
		dnsbl_health(&t, str_from(argv[2]));
	return tool_end(&t, 0);
}
