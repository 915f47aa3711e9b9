#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/utf8.h"
#include "format/addr/addr.h"
#include "tools.h"

/* quire address check A, quire idna D, quire dns lookup TYPE NAME */

/* RFC 5321, 4.5.3.1; smtpd takes longer local parts, which some mailers
 * make */
#define MAX_LOCAL   64
#define MAX_MAILBOX 254 /* a path of 256 without its brackets */

/* Mailbox, RFC 5321, 4.1.2, with its sizes; NULL, or what is wrong. */
static const char *
check_mailbox(struct tool *t, struct str s, struct addr *a)
{
	struct buf ascii;
	struct cur c;
	bool ok;

	cur_init(&c, s);
	if (!addr_parse(&t->arena, &c, ADDR_UTF8, a))
		return c.why;
	if (!cur_done(&c))
		return "something behind the domain";
	if (a->local.n > MAX_LOCAL)
		return "local part of more than 64 octets";
	if (s.n > MAX_MAILBOX)
		return "more than 254 octets";
	if (utf8_is_ascii(a->domain))
		return NULL;
	buf_init(&ascii, 1024);
	ok = addr_domain_ascii(&ascii, a->domain);
	buf_release(&ascii);
	return ok ? NULL : "no international domain name";
}

int
cmd_address(struct quire *q, int argc, char **argv)
{
	const char *why;
	struct tool t;
	struct addr a;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && (argc != 3 || strcmp(argv[1], "check") != 0))
		rc = quire_fail(EX_USAGE, "usage: quire address check ADDRESS");
	if (rc != 0)
		return tool_end(&t, rc);
	why = check_mailbox(&t, str_from(argv[2]), &a);
	tool_put_bool(&t, "valid", why == NULL);
	if (why != NULL && t.json)
		tool_put(&t, "why", str_from(why));
	if (why == NULL && t.json) {
		tool_put(&t, "local", a.local);
		tool_put(&t, "domain", a.domain);
		tool_put_bool(&t, "ascii", addr_is_ascii(&a));
	}
	return tool_end(&t, 0);
}

int
cmd_idna(struct quire *q, int argc, char **argv)
{
	struct buf ascii, unicode;
	struct str name;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && argc != 2)
		rc = quire_fail(EX_USAGE, "usage: quire idna DOMAIN");
	if (rc != 0)
		return tool_end(&t, rc);
	buf_init(&ascii, 1024);
	buf_init(&unicode, 1024);
	name = tool_domain(argv[1]);
	if (!addr_domain_ascii(&ascii, name))
		tool_put(&t, "ascii", STR("error"));
	else {
		tool_put(&t, "ascii", buf_str(&ascii));
		if (t.json && addr_domain_unicode(&unicode, name))
			tool_put(&t, "unicode", buf_str(&unicode));
	}
	buf_release(&ascii);
	buf_release(&unicode);
	return tool_end(&t, 0);
}

/* The record as a zone file has it. */
static void
put_record(struct buf *b, const struct dns_record *r)
{
	char ip[INET6_ADDRSTRLEN];

	switch (r->type) {
	case DNS_A:
		buf_puts(b, inet_ntop(AF_INET, r->ip, ip, sizeof(ip)));
		break;
	case DNS_AAAA:
		buf_puts(b, inet_ntop(AF_INET6, r->ip, ip, sizeof(ip)));
		break;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		buf_put(b, r->name);
		break;
	case DNS_TXT:
		buf_put(b, r->text);
		break;
	case DNS_MX:
		buf_printf(
		    b, "%u %.*s", r->mx.preference, STR_ARG(r->mx.exchange));
		break;
	case DNS_SRV:
		buf_printf(b, "%u %u %u %.*s", r->srv.priority, r->srv.weight,
		    r->srv.port, STR_ARG(r->srv.target));
		break;
	case DNS_TLSA:
		buf_printf(b, "%u %u %u ", r->tlsa.usage, r->tlsa.selector,
		    r->tlsa.matching);
		buf_put_hex(b, r->tlsa.data.p, r->tlsa.data.n);
		break;
	case DNS_CAA:
		buf_printf(b, "%u %.*s %.*s", r->caa.flags, STR_ARG(r->caa.tag),
		    STR_ARG(r->caa.value));
		break;
	case DNS_SOA:
		buf_printf(b, "%.*s %.*s %u", STR_ARG(r->soa.mname),
		    STR_ARG(r->soa.rname), r->soa.serial);
		break;
	case DNS_OPT:
		break;
	}
}

static void
put_records(
    struct tool *t, const char *key, const struct dns_record *r, size_t n)
{
	struct str *v = arena_alloc(&t->arena, n * sizeof(*v));
	struct buf b;
	size_t i;

	for (i = 0; i < n; i++) {
		buf_init(&b, 1 << 20);
		put_record(&b, &r[i]);
		v[i] = arena_str(&t->arena, buf_str(&b));
		buf_release(&b);
	}
	tool_put_list(t, key, v, n);
}

static void
put_answer(struct tool *t, const struct dns_answer *r)
{
	tool_put(t, "status", str_from(dns_status_name(r->status)));
	tool_put_bool(t, "authentic", r->is_secure);
	if (dns_insecure_at(r).n > 0)
		tool_put(t, "insecure_at", dns_insecure_at(r));
	if (r->ede != -1) {
		tool_put_int(t, "ede", r->ede);
		if (r->ede_text.n > 0)
			tool_put(t, "ede_text", r->ede_text);
	}
	if (r->n > 0)
		put_records(t, "records", r->v, r->n);
	if (!t->json || dns_failed(r))
		return;
	if (r->n_chain > 0)
		put_records(t, "cname", r->chain, r->n_chain);
	tool_put_int(t, "ttl", r->ttl);
}

int
cmd_dns(struct quire *q, int argc, char **argv)
{
	struct dns_question question;
	struct buf name;
	struct tool t;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && (argc != 4 || strcmp(argv[1], "lookup") != 0))
		rc = quire_fail(EX_USAGE, "usage: quire dns lookup TYPE NAME");
	if (rc == 0 && !dns_type_from(str_from(argv[2]), &question.type))
		rc = quire_fail(EX_USAGE,
		    "type %s: A AAAA CAA CNAME MX NS PTR SOA SRV TLSA TXT",
		    argv[2]);
	if (rc != 0 || (rc = tool_dns(&t)) != 0)
		return tool_end(&t, rc);
	buf_init(&name, 1024);
	question.name = str_from(argv[3]);
	/* an international name; others, _25._tcp and the like, as they are */
	if (!dns_name_valid(question.name) &&
	    addr_domain_ascii(&name, question.name))
		question.name = buf_str(&name);
	put_answer(&t, dns_lookup(t.dns, &t.arena, &question));
	buf_release(&name);
	return tool_end(&t, 0);
}
