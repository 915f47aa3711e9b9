/*
 * spf-filter - SPF for Postfix, with Quire's protocol library.
 *
 * A policy server (Postfix's SMTPD_POLICY_README): reads requests of lines
 * "name=value", each ended by an empty line, from standard input and answers
 * "action=..." and an empty line. In master.cf and main.cf:
 *
 *	spf  unix  -  n  n  -  0  spawn user=nobody
 *argv=/usr/local/bin/spf-filter
 *
 *	smtpd_recipient_restrictions = ... reject_unauth_destination,
 *	    check_policy_service unix:private/spf
 *
 * Build it against an installed Quire:
 *
 *	cc -o spf-filter spf-filter.c $(pkg-config --cflags --libs libquire)
 *
 * usage: spf-filter [-r IP:PORT] [-v]
 *	-r	this resolver instead of those in resolv.conf
 *	-v	log every answer of DNS; metrics at the end
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hooks.h"
#include "format/addr/addr.h"
#include "format/spf/spf.h"
#include "service/dns/dns.h"

#define MAX_LINE 2048

/* --- the library's log and metrics, in this program's way --- */

struct metrics {
	bool is_verbose;
	unsigned long answers, verdicts[SPF_PERMERROR + 1];
	long long dns_ms;
};

static void
on_log(void *arg, enum hook_level level, const char *event, const char *text)
{
	const struct metrics *m = arg;

	if (m->is_verbose || level <= HOOK_WARN)
		fprintf(stderr, "spf-filter: %s: %s\n", event, text);
}

static void
on_count(void *arg, const char *metric, const char *label)
{
	((struct metrics *)arg)->answers++;
}

static void
on_took(void *arg, const char *metric, const char *label, int64_t ms)
{
	((struct metrics *)arg)->dns_ms += ms;
}

static void
print_metrics(const struct metrics *m)
{
	int v;

	fprintf(stderr, "spf-filter: %lu answers of DNS, %lld ms\n", m->answers,
	    m->dns_ms);
	for (v = SPF_NONE; v <= SPF_PERMERROR; v++)
		if (m->verdicts[v] > 0)
			fprintf(stderr, "spf-filter: %s %lu\n",
			    spf_verdict_name((enum spf_verdict)v),
			    m->verdicts[v]);
}

/* --- requests --- */

struct request {
	char address[64], helo[512], sender[512];
};

/* One request; false at the end of input. */
static bool
read_request(struct request *r)
{
	static const struct {
		const char *name;
		size_t at, size;
	} fields[] = {
		{ "client_address=", offsetof(struct request, address), 64 },
		{ "helo_name=", offsetof(struct request, helo), 512 },
		{ "sender=", offsetof(struct request, sender), 512 },
	};
	char line[MAX_LINE];
	size_t i;

	memset(r, 0, sizeof(*r));
	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct str s = str_trim(str_from(line));

		if (s.n == 0)
			return true;
		for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			struct str name = str_from(fields[i].name);

			/* what does not fit stays empty */
			if (str_starts(s, name))
				(void)str_copy(str_sub(s, name.n, s.n),
				    (char *)r + fields[i].at, fields[i].size);
		}
	}
	return false;
}

/* false: nothing that SPF could judge. */
static bool
client_of(struct arena *a, const struct request *r, struct spf_client *c)
{
	struct addr sender;
	struct buf ascii;

	*c = (struct spf_client){ .helo = str_from(r->helo),
		.identity = SPF_HELO, /* of the null sender */
		.now = time(NULL) };
	c->is_ipv6 = inet_pton(AF_INET6, r->address, c->ip) == 1;
	if (!c->is_ipv6 && inet_pton(AF_INET, r->address, c->ip) != 1)
		return false;
	if (r->sender[0] == '\0')
		return true;
	if (!addr_from_str(a, str_from(r->sender), ADDR_UTF8, &sender))
		return false;
	buf_init(&ascii, 1024);
	c->identity = SPF_MAILFROM;
	c->local = sender.local;
	c->domain = addr_domain_ascii(&ascii, sender.domain) ?
			arena_str(a, buf_str(&ascii)) :
			sender.domain;
	buf_release(&ascii);
	return true;
}

/* RFC 7208, 8, and 8.4 and 8.6 with their reply codes */
static void
print_action(const struct spf *s)
{
	const struct spf_result *r = spf_result(s);
	struct str line, all;
	struct buf b;

	if (r->verdict == SPF_FAIL)
		printf("action=550 5.7.23 SPF of %.*s refuses this address\n\n",
		    STR_ARG(r->domain));
	else if (r->verdict == SPF_TEMPERROR)
		printf("action=DEFER_IF_PERMIT 4.4.3 SPF of %.*s cannot be "
		       "looked up\n\n",
		    STR_ARG(r->domain));
	else {
		/* on one line, as the protocol wants it */
		buf_init(&b, 8192);
		spf_print_received(&b, s);
		printf("action=PREPEND ");
		all = buf_str(&b);
		while (all.n > 0) {
			str_cut(&all, '\n', &line);
			line = str_trim(line);
			printf("%.*s%s", STR_ARG(line), all.n > 0 ? " " : "");
		}
		printf("\n\n");
		buf_release(&b);
	}
	fflush(stdout);
}

static void
answer(struct dns *dns, struct metrics *m, const struct request *r)
{
	struct spf_client client;
	enum spf_verdict v;
	struct arena a;
	struct spf *s;

	arena_init(&a, SPF_ARENA_MAX);
	if (!client_of(&a, r, &client)) {
		printf("action=DUNNO\n\n");
		fflush(stdout);
	} else {
		s = spf_begin(&a, &client);
		while ((v = spf_next(s)) == SPF_NEED_DNS)
			spf_answer(s, dns_lookup(dns, &a, spf_question(s)));
		m->verdicts[v]++;
		print_action(s);
	}
	arena_release(&a);
}

int
main(int argc, char **argv)
{
	struct metrics m = { 0 };
	const struct hooks hooks = { &m, on_log, on_count, on_took };
	struct dns_opts opts = { .hooks = &hooks };
	struct request r;
	struct dns *dns;
	struct err e;
	int c;

	while ((c = getopt(argc, argv, "r:v")) != -1)
		if (c == 'r')
			opts.servers = optarg;
		else if (c == 'v')
			m.is_verbose = true;
		else
			return 64;
	if (dns_new(&dns, &opts, &e) == -1) {
		fprintf(stderr, "spf-filter: %s\n", e.text);
		return 75;
	}
	while (read_request(&r))
		answer(dns, &m, &r);
	dns_free(&dns);
	if (m.is_verbose)
		print_metrics(&m);
	return 0;
}
