/*
 * Sets of messages: from what the client wrote to what the mailbox has.
 */
#include "imap.h"

/* A span in UIDs or numbers, ordered; "*" is `last` (RFC 9051, 9: "n:*" is
 * last:n when n is larger). */
static struct range
order(const struct imap_span *v, uint32_t last)
{
	uint32_t a = v->from == IMAP_STAR ? last : v->from;
	uint32_t b = v->to == IMAP_STAR ? last : v->to;

	return a <= b ? (struct range){ a, b } : (struct range){ b, a };
}

static void
add_uids(struct session *s, struct range r, struct ranges *seqs)
{
	uint32_t lo = mailbox_seq_at_least(s->mbox, r.lo), hi;

	hi = r.hi == UINT32_MAX ? mailbox_count(s->mbox) + 1 :
				  mailbox_seq_at_least(s->mbox, r.hi + 1);
	if (lo < hi)
		ranges_add(seqs, lo, hi - 1);
}

static void
add_saved(struct session *s, struct ranges *seqs)
{
	size_t i;

	for (i = 0; i < s->saved.n; i++)
		add_uids(s, s->saved.v[i], seqs);
}

static bool
add_seqs(const struct imap_span *v, struct range r, uint32_t count,
    struct ranges *seqs)
{
	bool has_star = v->from == IMAP_STAR || v->to == IMAP_STAR;

	if (count == 0)
		return false;
	if (r.hi > count) {
		/* "9:*" of four messages is the last one; 9 is an error */
		if (!has_star)
			return false;
		r.hi = count;
	}
	ranges_add(seqs, r.lo, r.hi);
	return true;
}

bool
set_resolve(struct session *s, const struct imap_set *set, bool is_uid,
    struct ranges *seqs)
{
	uint32_t count = mailbox_count(s->mbox), last = count;
	struct message m;
	bool ok = true;
	size_t i;

	ranges_init(seqs, SET_MAX);
	if (set->is_saved) {
		add_saved(s, seqs);
		return true;
	}
	if (is_uid && count > 0) {
		mailbox_get(s->mbox, count, &m);
		last = m.uid;
	}
	for (i = 0; i < set->n; i++) {
		struct range r = order(&set->v[i], last);

		if (!is_uid)
			ok = add_seqs(&set->v[i], r, count, seqs) && ok;
		else if (count > 0)
			add_uids(s, r, seqs);
	}
	return ok;
}

void
set_uids(struct session *s, const struct imap_set *set, struct ranges *uids)
{
	uint32_t count = mailbox_count(s->mbox), last = 1;
	struct message m;
	struct range r;
	size_t i;

	ranges_init(uids, SET_MAX);
	if (count > 0) {
		mailbox_get(s->mbox, count, &m);
		last = m.uid;
	}
	for (i = 0; set->is_saved && i < s->saved.n; i++)
		ranges_add(uids, s->saved.v[i].lo, s->saved.v[i].hi);
	for (i = 0; i < set->n; i++) {
		r = order(&set->v[i], last);
		ranges_add(uids, r.lo, r.hi);
	}
}

void
set_to_uids(struct session *s, const struct ranges *seqs, struct ranges *uids)
{
	struct message m;
	uint32_t lo;
	size_t i;

	ranges_init(uids, SET_MAX);
	for (i = 0; i < seqs->n; i++) {
		mailbox_get(s->mbox, seqs->v[i].lo, &m);
		lo = m.uid;
		mailbox_get(s->mbox, seqs->v[i].hi, &m);
		ranges_add(uids, lo, m.uid);
	}
}

bool
set_has_ghost(struct session *s, const struct ranges *seqs)
{
	struct message m;
	uint32_t seq;
	size_t i;

	for (i = 0; i < seqs->n; i++)
		for (seq = seqs->v[i].lo; seq <= seqs->v[i].hi; seq++) {
			mailbox_get(s->mbox, seq, &m);
			if (m.is_expunged)
				return true;
		}
	return false;
}
