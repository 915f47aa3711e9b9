#include "service/mailauth/mailauth.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/date.h"
#include "service/mailauth/mailauth_int.h"

bool
mailauth_client_ip(struct mailauth_client *c, struct str remote)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	c->remote = remote;
	c->is_ipv6 = false;
	if (!str_copy(remote, text, sizeof(text)))
		return false;
	if (inet_pton(AF_INET, text, c->ip) == 1)
		return true;
	if (inet_pton(AF_INET6, text, c->ip) != 1)
		return false;
	c->is_ipv6 = memcmp(c->ip, mapped, sizeof(mapped)) != 0;
	if (!c->is_ipv6)
		memmove(c->ip, c->ip + 12, 4);
	return true;
}

struct str
mailauth_ascii(struct arena *a, struct str name)
{
	struct buf b;

	buf_init(&b, 1024);
	if (addr_domain_ascii(&b, name))
		name = arena_str(a, buf_str(&b));
	buf_release(&b);
	return name;
}

void
asker_init(struct asker *k, struct arena *a, const struct mailauth_setup *setup)
{
	*k = (struct asker){ .dns = setup->dns,
		.arena = a,
		.deadline = date_mono_ms() + setup->limit_ms };
}

void
look_up(struct asker *k, struct lookup *l, enum dns_type type, struct str name)
{
	l->q = (struct dns_question){ type, name };
	l->answer = NULL;
	if (!k->is_late) {
		k->n++;
		dns_send(k->dns, k->arena, &l->q, &l->answer);
		return;
	}
	l->answer = arena_zalloc(k->arena, sizeof(*l->answer));
	l->answer->status = DNS_TEMPFAIL;
	l->answer->ede = -1;
}

bool
tasks_step(struct asker *k, struct task *v, size_t n)
{
	bool all = true;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!v[i].is_done)
			v[i].is_done = v[i].run(k, v[i].state);
		all = all && v[i].is_done;
	}
	return all;
}

void
tasks_run(struct asker *k, struct task *v, size_t n)
{
	while (!tasks_step(k, v, n)) {
		dns_wait(k->dns, k->deadline);
		if (date_mono_ms() < k->deadline)
			continue;
		k->is_late = true;
		dns_cancel(k->dns);
	}
}

void
spf_task_init(struct asker *k, struct spf_task *t,
    const struct mailauth_setup *setup, const struct mailauth_client *c,
    enum spf_identity identity)
{
	const struct addr_path *path = &c->reverse_path;
	struct spf_client client = { .is_ipv6 = c->is_ipv6,
		.helo = mailauth_ascii(k->arena, c->helo),
		.identity = identity,
		.receiver = setup->hostname,
		.local = STR(""),
		.domain = STR(""),
		.now = c->now };

	memcpy(client.ip, c->ip, sizeof(client.ip));
	if (identity == SPF_MAILFROM && path->kind == ADDR_PATH) {
		client.local = path->addr.local;
		client.domain = mailauth_ascii(k->arena, path->addr.domain);
	} else
		client.identity = SPF_HELO;
	*t = (struct spf_task){ .spf = spf_begin(k->arena, &client) };
}

bool
spf_run(struct asker *k, void *state)
{
	struct spf_task *t = state;

	for (;;) {
		if (t->is_waiting && t->lookup.answer == NULL)
			return false;
		if (t->is_waiting)
			spf_answer(t->spf, t->lookup.answer);
		t->is_waiting = spf_next(t->spf) == SPF_NEED_DNS;
		if (!t->is_waiting)
			return true;
		look_up(k, &t->lookup, spf_question(t->spf)->type,
		    spf_question(t->spf)->name);
	}
}

bool
dkim_run(struct asker *k, void *state)
{
	struct dkim_task *t = state;
	size_t n, skipped, i;
	const struct dkim_result *r =
	    dkim_verify_results(t->verify, &n, &skipped);
	bool all = true;

	for (i = 0; i < n && !t->has_begun; i++)
		if (r[i].question != NULL) {
			t->is_asked[i] = true;
			look_up(k, &t->lookup[i], r[i].question->type,
			    r[i].question->name);
		}
	t->has_begun = true;
	for (i = 0; i < n; i++) {
		if (!t->is_asked[i])
			continue;
		t->is_asked[i] = t->lookup[i].answer == NULL;
		if (t->is_asked[i])
			all = false;
		else
			dkim_verify_answer(t->verify, i, t->lookup[i].answer);
	}
	return all;
}

bool
arc_run(struct asker *k, void *state)
{
	struct arc_task *t = state;
	const struct dns_question *q;
	size_t i;

	while (!t->has_begun &&
	       (q = arc_verify_question(t->verify, t->n)) != NULL) {
		look_up(k, &t->lookup[t->n], q->type, q->name);
		t->n++;
	}
	t->has_begun = true;
	for (i = 0; i < t->n; i++)
		if (t->lookup[i].answer == NULL)
			return false;
	for (i = 0; i < t->n; i++)
		arc_verify_answer(t->verify, i, t->lookup[i].answer);
	return true;
}

bool
dmarc_run(struct asker *k, void *state)
{
	struct dmarc_task *t = state;
	const struct dns_question *q;

	for (;;) {
		if (t->is_waiting && t->lookup.answer == NULL)
			return false;
		if (t->is_waiting)
			dmarc_answer(t->dmarc, t->lookup.answer);
		q = t->dmarc == NULL ? NULL : dmarc_question(t->dmarc);
		t->is_waiting = q != NULL;
		if (q == NULL)
			return true;
		look_up(k, &t->lookup, q->type, q->name);
	}
}

static bool
is_suffix(void *psl, struct str domain)
{
	return psl_is_suffix(psl, domain);
}

static bool
org_of(const void *psl, struct str name, struct buf *out)
{
	return psl_org_domain(psl, name, out);
}

static void
add(struct mailauth *m, bool (*run)(struct asker *, void *), void *state)
{
	m->tasks[m->n_tasks++] = (struct task){ run, state, false };
}

/* Whatever DMARC may bring together with From: SPF's domain, and d= of each
 * signature. */
static void
identifiers(struct mailauth *m, struct dmarc_options *o)
{
	const struct addr_path *path = &m->client.reverse_path;
	struct arena *a = m->asker.arena;
	struct str *v = arena_alloc(a, (DKIM_MAX_SIGNATURES + 1) * sizeof(*v));
	size_t n, skipped, i;
	const struct dkim_result *r =
	    dkim_verify_results(m->dkim.verify, &n, &skipped);

	v[0] = mailauth_ascii(
	    a, path->kind == ADDR_PATH ? path->addr.domain : m->client.helo);
	for (i = 0; i < n; i++)
		v[1 + i] = r[i].sig->domain;
	o->identifiers = v;
	o->n_identifiers = 1 + n;
}

static void
begin_header(struct mailauth *m, struct str header)
{
	struct arena *a = m->asker.arena;
	const struct dkim_options dkim = { .now = m->client.now,
		.is_public_suffix = is_suffix,
		.arg = (void *)(uintptr_t)m->setup->psl,
		.keys = m->setup->keys };
	const struct arc_options arc = { .now = m->client.now,
		.keys = m->setup->keys,
		.wants_oldest_pass = m->setup->wants_oldest_pass };
	struct dmarc_options dmarc = { .org = org_of,
		.arg = m->setup->psl,
		.is_tree_walk = m->setup->is_tree_walk };

	m->dkim.verify = dkim_verify_begin(a, header, &dkim);
	m->arc.verify = arc_verify_begin(a, header, &arc);
	add(m, dkim_run, &m->dkim);
	add(m, arc_run, &m->arc);
	m->result.from = STR("");
	m->result.author = mailauth_author(a, header);
	if (dmarc_from_domain(a, header, &dmarc.from)) {
		dmarc.from = mailauth_ascii(a, dmarc.from);
		m->result.from = dmarc.from;
		identifiers(m, &dmarc);
		m->dmarc.dmarc = dmarc_begin(a, &dmarc);
		add(m, dmarc_run, &m->dmarc);
	}
}

struct mailauth *
mailauth_begin(struct arena *a, const struct mailauth_setup *setup,
    const struct mailauth_client *client, struct str header)
{
	struct mailauth *m = arena_zalloc(a, sizeof(*m));
	size_t i;

	m->setup = setup;
	m->client = *client;
	m->begun = date_mono_ms();
	asker_init(&m->asker, a, setup);
	m->iprev.client = &m->client;
	add(m, iprev_run, &m->iprev);
	spf_task_init(&m->asker, &m->spf, setup, client, SPF_MAILFROM);
	add(m, spf_run, &m->spf);
	if (client->reverse_path.kind == ADDR_PATH) {
		spf_task_init(&m->asker, &m->spf_helo, setup, client, SPF_HELO);
		add(m, spf_run, &m->spf_helo);
	}
	begin_header(m, header);
	for (i = 0; i < setup->n_dnsbl && i < MAILAUTH_MAX_DNSBL; i++) {
		m->dnsbl[i].client = &m->client;
		m->dnsbl[i].result.zone = setup->dnsbl[i];
		add(m, dnsbl_run, &m->dnsbl[i]);
	}
	m->result.n_dnsbl = i;
	(void)tasks_step(&m->asker, m->tasks, m->n_tasks);
	return m;
}

void
mailauth_body(struct mailauth *m, struct str s)
{
	dkim_verify_body(m->dkim.verify, s);
	arc_verify_body(m->arc.verify, s);
}

static void
evaluate_dmarc(struct mailauth *m)
{
	struct mailauth_result *r = &m->result;
	struct dmarc_dkim dkim[DKIM_MAX_SIGNATURES];
	struct dmarc_input in = { .spf_domain = r->spf->domain,
		.spf = r->spf->verdict,
		.dkim = dkim,
		.draw = m->client.draw };
	size_t i;

	if (m->dmarc.dmarc == NULL)
		return; /* DMARC_NONE: nobody to speak for (RFC 7489, 11.2) */
	for (i = 0; i < r->n_dkim; i++)
		dkim[in.n_dkim++] = (struct dmarc_dkim){ r->dkim[i].sig->domain,
			r->dkim[i].status };
	r->policy = dmarc_found(m->dmarc.dmarc);
	dmarc_evaluate(m->dmarc.dmarc, &in, &r->dmarc);
}

static void
tell(const struct mailauth *m)
{
	const struct mailauth_result *r = &m->result;
	const struct hooks *h = m->setup->hooks;
	size_t i;

	hook_count(h, "mailauth_iprev", iprev_status_name(r->iprev.status));
	hook_count(h, "mailauth_spf", spf_verdict_name(r->spf->verdict));
	for (i = 0; i < r->n_dkim; i++)
		hook_count(
		    h, "mailauth_dkim", dkim_status_name(r->dkim[i].status));
	hook_count(h, "mailauth_arc", arc_cv_name(r->arc->cv));
	hook_count(h, "mailauth_dmarc", dmarc_status_name(r->dmarc.status));
	hook_took(
	    h, "mailauth_ms", r->is_late ? "late" : "in time", r->elapsed_ms);
	hook_log(h, HOOK_INFO, "mailauth",
	    "%.*s spf=%s dkim=%zu dmarc=%s from=%.*s questions=%u ms=%lld",
	    STR_ARG(m->client.remote), spf_verdict_name(r->spf->verdict),
	    r->n_dkim, dmarc_status_name(r->dmarc.status), STR_ARG(r->from),
	    r->n_questions, (long long)r->elapsed_ms);
}

const struct mailauth_result *
mailauth_finish(struct mailauth *m)
{
	struct mailauth_result *r = &m->result;
	size_t i;

	tasks_run(&m->asker, m->tasks, m->n_tasks);
	dkim_verify_finish(m->dkim.verify);
	r->iprev = m->iprev.result;
	r->spf = spf_result(m->spf.spf);
	if (m->spf_helo.spf != NULL)
		r->spf_helo = spf_result(m->spf_helo.spf);
	r->dkim =
	    dkim_verify_results(m->dkim.verify, &r->n_dkim, &r->n_dkim_skipped);
	r->arc = arc_verify_finish(m->arc.verify);
	for (i = 0; i < r->n_dnsbl; i++)
		r->dnsbl[i] = m->dnsbl[i].result;
	evaluate_dmarc(m);
	r->is_late = m->asker.is_late;
	r->n_questions = m->asker.n;
	r->elapsed_ms = date_mono_ms() - m->begun;
	tell(m);
	return r;
}

void
mailauth_free(struct mailauth **mp)
{
	struct mailauth *m = *mp;

	if (m == NULL)
		return;
	*mp = NULL;
	dns_cancel(m->asker.dns);
	dkim_verify_free(&m->dkim.verify);
	arc_verify_free(&m->arc.verify);
}

enum spf_verdict
mailauth_spf(struct arena *a, const struct mailauth_setup *setup,
    const struct mailauth_client *client)
{
	struct spf_task t;
	struct task task = { spf_run, &t, false };
	struct asker k;

	asker_init(&k, a, setup);
	spf_task_init(&k, &t, setup, client, SPF_MAILFROM);
	tasks_run(&k, &task, 1);
	return spf_result(t.spf)->verdict;
}
