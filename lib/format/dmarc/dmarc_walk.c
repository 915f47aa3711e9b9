#include "format/dmarc/dmarc_int.h"

#include <assert.h>

void
walk_begin(struct dmarc_walk *w, struct str domain)
{
	w->start = domain;
	w->n = 0;
}

static bool
has_record(const struct walk_step *s)
{
	return s->text.p != NULL;
}

/* RFC 9989, 4.10: a record that says whether it is of a public suffix ends
 * it. Of long names those in the middle are left out. */
bool
walk_target(const struct dmarc_walk *w, struct str *domain)
{
	const struct walk_step *last;
	unsigned labels;

	if (w->n == 0) {
		*domain = w->start;
		return true;
	}
	last = &w->v[w->n - 1];
	if (w->n == DMARC_MAX_WALK ||
	    (has_record(last) && last->psd != DMARC_PSD_UNKNOWN))
		return false;
	labels = dns_name_labels(last->domain);
	if (labels <= 1)
		return false;
	if (labels > DMARC_MAX_WALK)
		labels = DMARC_MAX_WALK;
	*domain = dns_name_last(last->domain, labels - 1);
	return true;
}

void
walk_add(struct dmarc_walk *w, const struct walk_step *s)
{
	assert(w->n < DMARC_MAX_WALK);
	w->v[w->n++] = *s;
}

/* RFC 9989, 4.10.2 */
struct str
walk_org(const struct dmarc_walk *w)
{
	struct str org = w->start;
	size_t i;

	for (i = 0; i < w->n; i++) {
		const struct walk_step *s = &w->v[i];

		if (!has_record(s))
			continue;
		if (s->psd == DMARC_PSD_YES && i > 0)
			return dns_name_last(
			    w->start, dns_name_labels(s->domain) + 1);
		org = s->domain; /* the one with the fewest labels */
	}
	return org;
}

static const struct walk_step *
find(const struct dmarc_walk *w, struct str domain)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (has_record(&w->v[i]) && dns_name_eq(w->v[i].domain, domain))
			return &w->v[i];
	return NULL;
}

/* RFC 9989, 4.10.1: of the domain, of its organization, of the public suffix
 * above that. */
const struct walk_step *
walk_policy(const struct dmarc_walk *w)
{
	const struct walk_step *s = find(w, w->start);

	if (s == NULL)
		s = find(w, walk_org(w));
	if (s == NULL && w->n > 0 && has_record(&w->v[w->n - 1]) &&
	    w->v[w->n - 1].psd == DMARC_PSD_YES)
		s = &w->v[w->n - 1];
	return s;
}
