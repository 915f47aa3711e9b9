/*
 * A policy and what is aligned with it, by tree walks (RFC 9989, 4.10):
 *
 *	POLICY: From's walk --> [EXISTS: A, AAAA, MX] --> ALIGN: a walk of each
 *	identifier below From's organization --> END
 *
 * Two names have one organization only if both are below it, so nobody asks
 * about the others. A name that was asked for is not asked for again.
 */
#include "format/dmarc/dmarc_int.h"

#define MAX_SEEN ((1 + DMARC_MAX_IDENTIFIERS) * DMARC_MAX_WALK)

/* RFC 9989, 4.7: there is no such domain if none of these is there. */
static const enum dns_type exists_types[] = { DNS_A, DNS_AAAA, DNS_MX };
#define N_EXISTS (sizeof(exists_types) / sizeof(exists_types[0]))

static void tree_next(struct dmarc *);

/* --- walking --- */

static const struct walk_step *
find_seen(const struct dmarc_tree *t, struct str domain)
{
	size_t i;

	for (i = 0; i < t->n_seen; i++)
		if (dns_name_eq(t->seen[i].domain, domain))
			return &t->seen[i];
	return NULL;
}

/* As far as it goes without a question; true: it is at its end. */
static bool
walk_on(struct dmarc *d)
{
	struct dmarc_tree *t = d->tree;
	const struct walk_step *s;
	struct str target;

	while (walk_target(&t->walk, &target)) {
		s = find_seen(t, target);
		if (s == NULL && dmarc_ask(d, target))
			return false;
		if (s == NULL) /* too long with its "_dmarc." */
			walk_add(
			    &t->walk, &(struct walk_step){ .domain = target });
		else
			walk_add(&t->walk, s);
	}
	return true;
}

/* Several records of one name are none. */
static struct walk_step
step_of(const struct dmarc *d, const struct dns_answer *an)
{
	struct walk_step s = { .text = { NULL, 0 } };
	size_t i, n = 0;

	(void)walk_target(&d->tree->walk, &s.domain);
	for (i = 0; i < an->n; i++)
		if (dmarc_is_record(an->v[i].text)) {
			s.text = an->v[i].text;
			n++;
		}
	if (n != 1) {
		s.text = (struct str){ NULL, 0 };
		return s;
	}
	s.text = arena_str(d->arena, s.text);
	s.psd = dmarc_record_psd(s.text);
	return s;
}

/* --- what follows from a walk --- */

static void
begin_align(struct dmarc *d)
{
	d->tree->state = TREE_ALIGN;
	d->tree->at = 0;
	tree_next(d);
}

static void
policy_known(struct dmarc *d)
{
	struct dmarc_tree *t = d->tree;
	const struct walk_step *s = walk_policy(&t->walk);

	d->found.org = d->org = walk_org(&t->walk);
	if (s == NULL)
		dmarc_settle(d, DMARC_NONE, "no record");
	else {
		d->found.domain = s->domain;
		d->found.is_org = !dns_name_eq(s->domain, d->options.from);
		dmarc_read(d, s->text);
	}
	if (d->found.is_org && d->found.record.has_np) {
		t->state = TREE_EXISTS;
		tree_next(d);
	} else
		begin_align(d);
}

static void
align_known(struct dmarc *d, struct str org)
{
	d->tree->orgs[d->tree->at++] = org;
	tree_next(d);
}

static void
next_identifier(struct dmarc *d)
{
	struct dmarc_tree *t = d->tree;
	struct str name;

	for (; t->at < t->n; t->at++) {
		name = d->options.identifiers[t->at];
		t->orgs[t->at] = STR("");
		if (name.n > 0 && dns_name_valid(name) &&
		    !dns_name_eq(name, d->options.from) &&
		    dns_name_within(name, d->org))
			break;
	}
	if (t->at == t->n) {
		t->state = TREE_END;
		return;
	}
	walk_begin(&t->walk, name);
	if (walk_on(d))
		align_known(d, walk_org(&t->walk));
}

/* The next question, if there is one. */
static void
tree_next(struct dmarc *d)
{
	struct dmarc_tree *t = d->tree;

	d->is_asking = false;
	switch (t->state) {
	case TREE_POLICY:
		if (walk_on(d))
			policy_known(d);
		break;
	case TREE_EXISTS:
		d->question = (struct dns_question){ exists_types[t->exists_at],
			d->options.from };
		d->is_asking = true;
		break;
	case TREE_ALIGN:
		next_identifier(d);
		break;
	case TREE_END:
		break;
	}
}

void
tree_begin(struct dmarc *d)
{
	struct dmarc_tree *t = arena_zalloc(d->arena, sizeof(*t));

	d->tree = t;
	t->n = d->options.n_identifiers < DMARC_MAX_IDENTIFIERS ?
		   d->options.n_identifiers :
		   DMARC_MAX_IDENTIFIERS;
	t->seen = arena_alloc(d->arena, MAX_SEEN * sizeof(*t->seen));
	d->found.domain = d->options.from;
	if (!dns_name_valid(d->options.from)) {
		dmarc_settle(d, DMARC_NONE, "not a domain to look up");
		t->state = TREE_END;
		return;
	}
	walk_begin(&t->walk, d->options.from);
	tree_next(d);
}

/* --- answers --- */

static void
exists_answer(struct dmarc *d, const struct dns_answer *an)
{
	struct dmarc_tree *t = d->tree;

	/* in doubt it is there: sp= is what holds then */
	d->found.is_absent =
	    an->status == DNS_NXDOMAIN ||
	    (an->status == DNS_NODATA && t->exists_at + 1 == N_EXISTS);
	if (an->status == DNS_NODATA && ++t->exists_at < N_EXISTS)
		tree_next(d);
	else
		begin_align(d);
}

static void
no_answer(struct dmarc *d)
{
	struct dmarc_tree *t = d->tree;

	if (t->state == TREE_POLICY) {
		dmarc_settle(d, DMARC_TEMPERROR, "no answer for the policy");
		d->org = d->options.from;
		t->state = TREE_END;
		return;
	}
	t->is_unknown[t->at] = true;
	align_known(d, STR(""));
}

void
tree_answer(struct dmarc *d, const struct dns_answer *an)
{
	struct dmarc_tree *t = d->tree;
	struct walk_step s;

	if (t->state == TREE_EXISTS) {
		exists_answer(d, an);
		return;
	}
	if (dns_failed(an)) {
		no_answer(d);
		return;
	}
	s = step_of(d, an);
	t->seen[t->n_seen++] = s;
	walk_add(&t->walk, &s);
	if (t->state == TREE_POLICY)
		tree_next(d);
	else if (walk_on(d))
		align_known(d, walk_org(&t->walk));
}

enum tree_aligned
tree_is_aligned(const struct dmarc *d, struct str domain)
{
	const struct dmarc_tree *t = d->tree;
	size_t i;

	for (i = 0; i < t->at; i++)
		if (dns_name_eq(d->options.identifiers[i], domain)) {
			if (t->is_unknown[i])
				return TREE_UNKNOWN;
			return t->orgs[i].n > 0 &&
				       dns_name_eq(t->orgs[i], d->org) ?
				   TREE_ALIGNED :
				   TREE_OTHER;
		}
	return TREE_OTHER;
}
