/* Decisions: what the results mean for the message and its sender. */
#include "service/mailauth/mailauth_int.h"

static const struct mailauth_decision fine = { 250, NULL, "", "no-bad-signals",
	false };

/* --- a message --- */

/*
 * The owner of the From domain asks for it. Outside of the sample that pct=
 * wants nothing is asked for: we have no weaker place to put the message
 * (RFC 7489, 6.6.4).
 */
static bool
dmarc_refuses(const struct mailauth_result *r)
{
	return r->dmarc.status == DMARC_FAIL && !r->dmarc.is_sampled_out &&
	       r->dmarc.disposition != DMARC_POLICY_NONE;
}

/*
 * A temperror is no fail, so it never refuses for good; but if the owner may
 * ask for that, and nothing stands for From, nobody can say yet whether the
 * message is his (RFC 7489, 6.6.2): who keeps his name servers from answering
 * shall not be able to write in his name meanwhile.
 */
static bool
dmarc_is_open(const struct mailauth_result *r)
{
	return r->dmarc.status == DMARC_TEMPERROR &&
	       mailauth_alignment(r) == MAILAUTH_UNKNOWN &&
	       (r->policy == NULL || r->policy->status != DMARC_PASS ||
		   r->dmarc.policy != DMARC_POLICY_NONE);
}

static bool
is_listed(const struct mailauth_result *r)
{
	size_t i;

	for (i = 0; i < r->n_dnsbl; i++)
		if (r->dnsbl[i].status == DNSBL_LISTED)
			return true;
	return false;
}

static const struct step {
	bool (*applies)(const struct mailauth_result *);
	struct mailauth_decision decision;
} steps[] = {
	{ dmarc_refuses,
	    { 550, "5.7.26",
		"refused, as the DMARC policy of the domain in From asks",
		"dmarc-policy", false } },
	{ dmarc_is_open,
	    { 451, "4.4.3",
		"DNS does not tell now what the domain in From asks for, try "
		"again later",
		"dmarc-temperror", true } },
	/* vague: who is listed need not learn where to ask */
	{ is_listed,
	    { 451, "4.3.0", "error processing", "dns-blocklisted", false } },
};

void
mailauth_decide(const struct mailauth_result *r, struct mailauth_decision *d)
{
	size_t i;

	*d = fine;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].applies(r)) {
			*d = steps[i].decision;
			return;
		}
}

enum mailauth_alignment
mailauth_alignment(const struct mailauth_result *r)
{
	if (r->dmarc.spf_aligned || r->dmarc.dkim_aligned)
		return MAILAUTH_ALIGNED;
	if (r->dmarc.is_temporary || r->dmarc.status == DMARC_TEMPERROR)
		return MAILAUTH_UNKNOWN;
	return MAILAUTH_NOT_ALIGNED;
}

/* --- MAIL FROM and HELO --- */

struct host_task {
	struct str name;
	bool wants_mx;
	bool has_begun;
	struct lookup mx, a, aaaa;
	struct mailauth_decision decision;
};

static const struct mailauth_decision no_such_sender = { 550, "5.7.27",
	"the domain of the sender address has neither MX nor address records",
	"sender-domain", false };
static const struct mailauth_decision null_mx = { 550, "5.7.27",
	"the domain of the sender address accepts no mail (null MX)",
	"sender-domain", false };
static const struct mailauth_decision no_such_host = { 550, "5.5.0",
	"there is no host of that name in DNS", "helo-name", false };
static const struct mailauth_decision no_dns = { 451, "4.4.0",
	"the domain of the sender address cannot be looked up now",
	"sender-domain", false };

/* RFC 7505, 3: a single MX of "." */
static bool
is_null_mx(const struct dns_answer *mx)
{
	return mx->n == 1 && (mx->v[0].mx.exchange.n == 0 ||
				 str_eq(mx->v[0].mx.exchange, STR(".")));
}

static struct mailauth_decision
decide_host(const struct host_task *t)
{
	const struct dns_answer *mx = t->mx.answer;
	bool failed = dns_failed(t->a.answer) || dns_failed(t->aaaa.answer) ||
		      (t->wants_mx && dns_failed(mx));

	if (t->wants_mx && mx->n > 0)
		return is_null_mx(mx) ? null_mx : fine;
	if (t->a.answer->n > 0 || t->aaaa.answer->n > 0)
		return fine;
	if (!t->wants_mx) /* in doubt a host may call itself so */
		return failed ? fine : no_such_host;
	return failed ? no_dns : no_such_sender;
}

static bool
host_run(struct asker *k, void *state)
{
	struct host_task *t = state;

	if (!t->has_begun) {
		if (t->wants_mx)
			look_up(k, &t->mx, DNS_MX, t->name);
		look_up(k, &t->a, DNS_A, t->name);
		look_up(k, &t->aaaa, DNS_AAAA, t->name);
		t->has_begun = true;
	}
	if (t->a.answer == NULL || t->aaaa.answer == NULL ||
	    (t->wants_mx && t->mx.answer == NULL))
		return false;
	t->decision = decide_host(t);
	return true;
}

static void
ask_host(struct arena *a, const struct mailauth_setup *setup, struct str name,
    bool wants_mx, struct mailauth_decision *d)
{
	struct host_task t = { .name = mailauth_ascii(a, name),
		.wants_mx = wants_mx };
	struct task task = { host_run, &t, false };
	struct asker k;

	asker_init(&k, a, setup);
	tasks_run(&k, &task, 1);
	*d = t.decision;
}

void
mailauth_sender(struct arena *a, const struct mailauth_setup *setup,
    const struct addr_path *path, struct mailauth_decision *d)
{
	static const struct mailauth_decision literal = { 550, "5.7.27",
		"an address literal is no domain for a sender address",
		"sender-domain", false };

	*d = fine;
	if (path->kind != ADDR_PATH)
		return;
	if (path->addr.kind != ADDR_NAME)
		*d = literal;
	else
		ask_host(a, setup, path->addr.domain, true, d);
}

void
mailauth_helo(struct arena *a, const struct mailauth_setup *setup,
    struct str helo, struct mailauth_decision *d)
{
	*d = fine;
	if (helo.n > 0 && helo.p[0] != '[')
		ask_host(a, setup, helo, false, d);
}
