/*
 * QRESYNC (RFC 7162, 3.2): what a client that was away has missed.
 *
 * Where the store's history does not reach back far enough, every UID asked
 * for that is not there is reported as vanished, as 3.2.6 wants it; the
 * client's sequence match data shorten that.
 */
#include "imap.h"

/* A response line is kept shorter than this. */
#define MAX_LINE 4000

struct vanished {
	struct session *s;
	bool is_earlier;
	size_t line; /* where the open line begins in the buffer */
	bool is_open;
};

static void
end_line(struct vanished *v)
{
	if (v->is_open)
		out_puts(&v->s->out, "\r\n");
	v->is_open = false;
	out_check(&v->s->out);
}

static void
put_range(struct vanished *v, uint32_t lo, uint32_t hi)
{
	struct out *o = &v->s->out;

	if (v->is_open && o->b.n - v->line > MAX_LINE)
		end_line(v);
	if (v->is_open)
		out_puts(o, ",");
	else {
		v->line = o->b.n;
		v->is_open = true;
		out_puts(
		    o, v->is_earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
	}
	out_uint(o, lo);
	if (hi != lo) {
		out_puts(o, ":");
		out_uint(o, hi);
	}
}

/* The expunges of a sync; their UIDs ascend. */
void
put_vanished_changes(struct session *s)
{
	struct vanished v = { .s = s };
	uint32_t lo = 0, hi = 0;
	size_t i;

	for (i = 0; i < s->changes.n; i++) {
		const struct mailbox_change *c = &s->changes.v[i];

		if (c->kind != CHANGE_EXPUNGED)
			continue;
		if (lo != 0 && c->uid == hi + 1) {
			hi++;
			continue;
		}
		if (lo != 0)
			put_range(&v, lo, hi);
		lo = hi = c->uid;
	}
	if (lo != 0)
		put_range(&v, lo, hi);
	end_line(&v);
}

/* lo..hi without what is in the view. */
static void
put_gaps(struct vanished *v, uint32_t lo, uint32_t hi)
{
	struct mailbox *mbox = v->s->mbox;
	uint32_t count = mailbox_count(mbox), seq;
	struct message m;

	for (seq = mailbox_seq_at_least(mbox, lo); seq <= count; seq++) {
		mailbox_get(mbox, seq, &m);
		if (m.uid > hi)
			break;
		if (m.uid > lo)
			put_range(v, lo, m.uid - 1);
		if (m.uid == hi)
			return;
		lo = m.uid + 1;
	}
	if (lo <= hi)
		put_range(v, lo, hi);
}

/* What is in both. */
static void
put_common(struct vanished *v, const struct ranges *a, const struct ranges *b)
{
	size_t i = 0, j = 0;

	while (i < a->n && j < b->n) {
		uint32_t lo = a->v[i].lo, hi = a->v[i].hi;

		if (lo < b->v[j].lo)
			lo = b->v[j].lo;
		if (hi > b->v[j].hi)
			hi = b->v[j].hi;
		if (lo <= hi)
			put_range(v, lo, hi);
		if (a->v[i].hi < b->v[j].hi)
			i++;
		else
			j++;
	}
}

void
put_vanished_earlier(
    struct session *s, const struct ranges *uids, uint64_t since)
{
	const struct mailbox_counts *c = mailbox_counts(s->mbox);
	struct vanished v = { .s = s, .is_earlier = true };
	struct ranges gone;
	size_t i;

	if (since >= c->highestmodseq)
		return;
	ranges_init(&gone, SET_MAX);
	if (mailbox_vanished(s->mbox, since, &gone)) {
		put_common(&v, uids, &gone);
		ranges_release(&gone);
		end_line(&v);
		return;
	}
	ranges_release(&gone);
	for (i = 0; i < uids->n && uids->v[i].lo < c->uidnext; i++)
		put_gaps(&v, uids->v[i].lo,
		    uids->v[i].hi < c->uidnext ? uids->v[i].hi :
						 c->uidnext - 1);
	end_line(&v);
}

/* The numbers of a set one after another, in the client's order. */
struct walk {
	const struct imap_set *set;
	size_t i;
	uint64_t next; /* in span i; 0: at its beginning */
};

static bool
walk_next(struct walk *w, uint32_t *out)
{
	const struct imap_span *v;

	if (w->i == w->set->n)
		return false;
	v = &w->set->v[w->i];
	if (w->next == 0)
		w->next = v->from;
	*out = (uint32_t)w->next;
	if (w->next++ >= v->to) {
		w->i++;
		w->next = 0;
	}
	return true;
}

/* The highest UID up to which the client's numbers agree with ours
 * (RFC 7162, 3.2.5.2); 0 if none. */
static uint32_t
match_data(struct session *s, const struct imap_qresync *q)
{
	struct walk seqs = { .set = &q->match_seqs };
	struct walk uids = { .set = &q->match_uids };
	uint32_t seq, uid, good = 0, count = mailbox_count(s->mbox);
	struct message m;

	while (
	    walk_next(&seqs, &seq) && walk_next(&uids, &uid) && seq <= count) {
		mailbox_get(s->mbox, seq, &m);
		if (m.uid != uid)
			break;
		good = uid;
	}
	return good;
}

void
qresync_select(struct session *s, const struct imap_qresync *q)
{
	const struct mailbox_counts *c = mailbox_counts(s->mbox);
	uint32_t seq, matched, count = mailbox_count(s->mbox);
	struct ranges known, gone;
	struct message m;

	if (q->uidvalidity != c->uidvalidity)
		return;
	set_uids(s, &q->known_uids, &known);
	set_uids(s, &q->known_uids, &gone);
	if (q->known_uids.n == 0) {
		ranges_add(&known, 1, UINT32_MAX);
		ranges_add(&gone, 1, UINT32_MAX);
	}
	if ((matched = match_data(s, q)) > 0)
		ranges_remove(&gone, 1, matched);
	put_vanished_earlier(s, &gone, q->modseq);
	for (seq = 1; seq <= count; seq++) {
		mailbox_get(s->mbox, seq, &m);
		if (m.modseq > q->modseq && ranges_has(&known, m.uid))
			put_flags_update(s, seq, &m);
	}
	ranges_release(&known);
	ranges_release(&gone);
}
