#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "format/addr/addr.h"
#include "format/psl/psl.h"
#include "service/mailauth/mailauth.h"
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
	if (addr_domain_ascii(&name, tool_domain(argv[1])) &&
	    psl_org_domain(psl, buf_str(&name), &org))
		tool_put(&t, "org", buf_str(&org));
	else
		tool_put(&t, "org", STR("none"));
	buf_release(&name);
	buf_release(&org);
	psl_unload(&psl);
	return tool_end(&t, 0);
}

static void
setup_of(const struct tool *t, struct mailauth_setup *s)
{
	*s = (struct mailauth_setup){ .dns = t->dns,
		.limit_ms = t->dns_timeout_ms != 0 ? t->dns_timeout_ms :
						     MAILAUTH_LIMIT_MS };
}

int
cmd_iprev(struct quire *q, int argc, char **argv)
{
	struct mailauth_client c;
	struct mailauth_setup s;
	struct iprev_result r;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 &&
	    (argc != 2 || !mailauth_client_ip(&c, str_from(argv[1]))))
		rc = quire_fail(EX_USAGE, "usage: quire iprev IP");
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	setup_of(&t, &s);
	iprev_check(&t.arena, &s, &c, &r);
	tool_put(&t, "result", str_from(iprev_status_name(r.status)));
	if (r.name.n > 0)
		tool_put(&t, "name", r.name);
	tool_put_bool(&t, "authentic", r.is_secure);
	if (r.insecure_at.n > 0)
		tool_put(&t, "insecure_at", r.insecure_at);
	return tool_end(&t, 0);
}

static void
put_check(struct tool *t, struct str zone, const struct mailauth_client *c)
{
	struct mailauth_setup s;
	struct dnsbl_result r;

	setup_of(t, &s);
	dnsbl_check(&t->arena, &s, c, zone, &r);
	tool_put(t, "result", str_from(dnsbl_status_name(r.status)));
	if (r.reason.n > 0)
		tool_put(t, "reason", r.reason);
}

static void
put_health(struct tool *t, struct str zone)
{
	enum dnsbl_status yes, no;
	struct mailauth_setup s;
	bool healthy;

	setup_of(t, &s);
	healthy = dnsbl_health(&t->arena, &s, zone, &yes, &no);
	tool_put(t, "health", healthy ? STR("ok") : STR("bad"));
	if (!healthy) {
		tool_put(t, "127.0.0.2", str_from(dnsbl_status_name(yes)));
		tool_put(t, "127.0.0.1", str_from(dnsbl_status_name(no)));
	}
}

int
cmd_dnsbl(struct quire *q, int argc, char **argv)
{
	struct mailauth_client c;
	bool is_check, is_health;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	is_check = argc == 4 && strcmp(argv[1], "check") == 0 &&
		   mailauth_client_ip(&c, str_from(argv[3]));
	is_health = argc == 3 && strcmp(argv[1], "health") == 0;
	if (rc == 0 && !is_check && !is_health)
		rc = quire_fail(
		    EX_USAGE, "usage: quire dnsbl check ZONE IP | health ZONE");
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	if (is_check)
		put_check(&t, str_from(argv[2]), &c);
	else
		put_health(&t, str_from(argv[2]));
	return tool_end(&t, 0);
}
