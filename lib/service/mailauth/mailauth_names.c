/* What the client's address is called and where it is listed. */
#include <string.h>

#include "service/mailauth/mailauth_int.h"

const char *
iprev_status_name(enum iprev_status s)
{
	static const char *const names[] = { "pass", "fail", "temperror",
		"permerror" };

	return names[s];
}

const char *
dnsbl_status_name(enum dnsbl_status s)
{
	static const char *const names[] = { "clear", "listed", "temperror",
		"sick" };

	return names[s];
}

/* --- iprev: a name that points back (RFC 8601, 2.7.3) --- */

static bool
ask_back(struct asker *k, struct iprev_task *t)
{
	const struct dns_answer *ptr = t->ptr.answer;
	size_t i;

	t->result.status = dns_failed(ptr)	       ? IPREV_TEMPERROR :
			   ptr->status == DNS_NXDOMAIN ? IPREV_PERMERROR :
							 IPREV_FAIL;
	t->n = ptr->n < IPREV_MAX ? ptr->n : IPREV_MAX;
	for (i = 0; i < t->n; i++)
		look_up(k, &t->back[i], t->client->is_ipv6 ? DNS_AAAA : DNS_A,
		    ptr->v[i].name);
	return t->n > 0;
}

static bool
points_back(const struct iprev_task *t, const struct dns_answer *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (memcmp(a->v[i].ip, t->client->ip,
			t->client->is_ipv6 ? 16 : 4) == 0)
			return true;
	return false;
}

static void
pass(struct iprev_task *t, const struct lookup *back)
{
	const struct dns_answer *ptr = t->ptr.answer, *address = back->answer;
	struct str at = dns_insecure_at(ptr);

	t->result = (struct iprev_result){ .status = IPREV_PASS,
		.name = back->q.name,
		.is_secure = ptr->is_secure && address->is_secure,
		.insecure_at = at.n > 0 ? at : dns_insecure_at(address) };
}

bool
iprev_run(struct asker *k, void *state)
{
	struct iprev_task *t = state;
	size_t i;

	if (t->step == 0) {
		t->result.name = STR("");
		look_up(k, &t->ptr, DNS_PTR,
		    dns_name_reverse(
			k->arena, t->client->ip, t->client->is_ipv6));
		t->step++;
	}
	if (t->step == 1) {
		if (t->ptr.answer == NULL)
			return false;
		if (!ask_back(k, t))
			return true;
		t->step++;
	}
	/* all of them: which one is the name does not depend on who answers
	 * first */
	for (i = 0; i < t->n; i++)
		if (t->back[i].answer == NULL)
			return false;
	for (i = 0; i < t->n; i++) {
		if (dns_failed(t->back[i].answer))
			t->result.status = IPREV_TEMPERROR;
		if (!points_back(t, t->back[i].answer))
			continue;
		pass(t, &t->back[i]);
		return true;
	}
	return true;
}

void
iprev_check(struct arena *a, const struct mailauth_setup *setup,
    const struct mailauth_client *client, struct iprev_result *out)
{
	struct iprev_task t = { .client = client };
	struct task task = { iprev_run, &t, false };
	struct asker k;

	asker_init(&k, a, setup);
	tasks_run(&k, &task, 1);
	*out = t.result;
}

/* --- block lists --- */

/* A zone's name for an address (RFC 5782, 2.1, 2.4). */
static struct str
list_name(struct arena *a, const uint8_t *ip, bool is_ipv6, struct str zone)
{
	struct str r = dns_name_reverse(a, ip, is_ipv6), name;
	struct buf b;

	r.n -= is_ipv6 ? sizeof(".ip6.arpa") - 1 : sizeof(".in-addr.arpa") - 1;
	buf_init(&b, 1024);
	buf_printf(&b, "%.*s.%.*s", STR_ARG(r), STR_ARG(zone));
	name = arena_str(a, buf_str(&b));
	buf_release(&b);
	return name;
}

/* Listed: an A record below 127.0.0.0/8; others are a parked domain's. */
static bool
is_listed(const struct dns_answer *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (a->v[i].ip[0] == 127)
			return true;
	return false;
}

/* Below 127.255.255.0/24 lists tell those who ask that they may not, as by a
 * public resolver or too often: it is about us, not about the client. */
static bool
is_error(const struct dns_answer *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (memcmp(a->v[i].ip, "\177\377\377", 3) == 0)
			return true;
	return false;
}

static enum dnsbl_status
status_of(const struct dns_answer *a)
{
	if (dns_failed(a))
		return DNSBL_TEMPERROR;
	if (is_error(a))
		return DNSBL_SICK;
	return is_listed(a) ? DNSBL_LISTED : DNSBL_CLEAR;
}

/* RFC 5782, 5: a zone lists 127.0.0.2 and never 127.0.0.1. */
static enum dnsbl_status
judge(const struct dnsbl_task *t)
{
	enum dnsbl_status listed = status_of(t->listed.answer);
	enum dnsbl_status yes = status_of(t->yes.answer);
	enum dnsbl_status no = status_of(t->no.answer);

	if (listed == DNSBL_TEMPERROR || yes == DNSBL_TEMPERROR ||
	    no == DNSBL_TEMPERROR)
		return DNSBL_TEMPERROR;
	return yes == DNSBL_LISTED && no == DNSBL_CLEAR ? listed : DNSBL_SICK;
}

/* The zone's health is asked for each time with the rest: the resolver has
 * it, and an answer that is hours old could be wrong for all mail. */
static void
ask_health(struct asker *k, struct dnsbl_task *t)
{
	static const uint8_t yes[16] = { 127, 0, 0, 2 };
	static const uint8_t no[16] = { 127, 0, 0, 1 };
	struct str zone = t->result.zone;

	look_up(k, &t->yes, DNS_A, list_name(k->arena, yes, false, zone));
	look_up(k, &t->no, DNS_A, list_name(k->arena, no, false, zone));
}

static void
ask_list(struct asker *k, struct dnsbl_task *t)
{
	t->result.reason = STR("");
	look_up(k, &t->listed, DNS_A,
	    list_name(
		k->arena, t->client->ip, t->client->is_ipv6, t->result.zone));
	ask_health(k, t);
}

bool
dnsbl_run(struct asker *k, void *state)
{
	struct dnsbl_task *t = state;

	if (t->step == 0) {
		ask_list(k, t);
		t->step++;
	}
	if (t->step == 1) {
		if (t->listed.answer == NULL || t->yes.answer == NULL ||
		    t->no.answer == NULL)
			return false;
		t->result.status = judge(t);
		if (t->result.status != DNSBL_LISTED)
			return true;
		look_up(k, &t->text, DNS_TXT, t->listed.q.name);
		t->step++;
	}
	if (t->text.answer == NULL)
		return false;
	if (t->text.answer->status == DNS_OK)
		t->result.reason = t->text.answer->v[0].text;
	return true;
}

void
dnsbl_check(struct arena *a, const struct mailauth_setup *setup,
    const struct mailauth_client *client, struct str zone,
    struct dnsbl_result *out)
{
	struct dnsbl_task t = { .client = client, .result = { .zone = zone } };
	struct task task = { dnsbl_run, &t, false };
	struct asker k;

	asker_init(&k, a, setup);
	tasks_run(&k, &task, 1);
	*out = t.result;
}

static bool
health_run(struct asker *k, void *state)
{
	struct dnsbl_task *t = state;

	if (t->step++ == 0)
		ask_health(k, t);
	return t->yes.answer != NULL && t->no.answer != NULL;
}

bool
dnsbl_health(struct arena *a, const struct mailauth_setup *setup,
    struct str zone, enum dnsbl_status *yes, enum dnsbl_status *no)
{
	struct dnsbl_task t = { .result = { .zone = zone } };
	struct task task = { health_run, &t, false };
	struct asker k;

	asker_init(&k, a, setup);
	tasks_run(&k, &task, 1);
	*yes = status_of(t.yes.answer);
	*no = status_of(t.no.answer);
	return *yes == DNSBL_LISTED && *no == DNSBL_CLEAR;
}
