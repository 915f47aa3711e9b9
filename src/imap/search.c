/*
 * SEARCH (RFC 9051, 6.4.4 and 7.3.4; RFC 3501, 6.4.4; RFC 4731; RFC 5032;
 * RFC 5182; RFC 7162, 3.1.5; RFC 8474, 6; RFC 8514, 4.4).
 *
 * Results are a bit per message. Keys that need only the index are evaluated
 * before those that read messages.
 */
#include "search.h"

#include <stdlib.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "format/imap/print.h"

#define PROGRESS_MS 10000

struct run {
	struct session *s;
	const struct imap_command *c;
	const struct imap_search *q;
	struct node *root;
	struct msg msg;
	int64_t now;
	int64_t progress;    /* when to say that it goes on */
	unsigned char *hits; /* bit seq - 1 */
	uint32_t count;	     /* messages in the view */
	uint32_t n_hits, min, max;
	uint64_t modseq; /* the highest of the hits */
	uint32_t n_failed;
	struct err err;
};

/* ---- from keys to nodes ---- */

static struct node *compile(struct run *, const struct imap_key *);

static void
compile_children(struct run *r, struct node *n)
{
	const struct imap_key *k;
	struct node **tail = &n->child;

	for (k = n->key->child; k != NULL; k = k->next) {
		*tail = compile(r, k);
		n->is_costly |= (*tail)->is_costly;
		tail = &(*tail)->next;
	}
}

static struct node *
compile(struct run *r, const struct imap_key *k)
{
	struct node *n = arena_zalloc(&r->s->arena, sizeof(*n));
	struct buf folded;
	int bit;

	n->key = k;
	switch (k->kind) {
	case IMAP_KEY_AND:
	case IMAP_KEY_OR:
	case IMAP_KEY_NOT:
		compile_children(r, n);
		break;
	case IMAP_KEY_SEQ:
	case IMAP_KEY_UID:
		/* numbers past the end match nothing here */
		set_resolve(r->s, &k->set, k->kind == IMAP_KEY_UID, &n->seqs);
		break;
	case IMAP_KEY_KEYWORD:
		if ((bit = mailbox_keyword_bit(r->s->mbox, k->text)) != -1)
			n->keyword = 1ULL << bit;
		break;
	case IMAP_KEY_HEADER:
	case IMAP_KEY_BODY:
	case IMAP_KEY_TEXT:
		n->is_costly = true;
		buf_init(&folded, k->text.n * 2 + 16);
		fold_put(&folded, k->text);
		needle_init(
		    &n->needle, arena_str(&r->s->arena, buf_str(&folded)));
		buf_release(&folded);
		break;
	case IMAP_KEY_SENTBEFORE:
	case IMAP_KEY_SENTON:
	case IMAP_KEY_SENTSINCE:
		n->is_costly = true;
		break;
	default:
		break;
	}
	return n;
}

static void
release(struct node *n)
{
	for (; n != NULL; n = n->next) {
		release(n->child);
		ranges_release(&n->seqs);
		needle_release(&n->needle);
	}
}

/* ---- one message ---- */

static int64_t
day_of(int64_t seconds, int zone_min)
{
	int64_t t = seconds + (int64_t)zone_min * 60;

	return t >= 0 ? t / 86400 : -((-t + 86399) / 86400);
}

static bool
match_objectid(struct str text, const uint8_t id[16])
{
	struct buf b;
	bool ok;

	buf_init(&b, 100);
	imap_print_objectid(&b, 'M', id);
	ok = str_eq(buf_str(&b), text);
	buf_release(&b);
	return ok;
}

static bool
match_day(enum imap_key_kind kind, int64_t day, int64_t want)
{
	if (kind == IMAP_KEY_BEFORE || kind == IMAP_KEY_SAVEDBEFORE)
		return day < want;
	if (kind == IMAP_KEY_ON || kind == IMAP_KEY_SAVEDON)
		return day == want;
	return day >= want;
}

static int eval(struct run *, struct node *);

/* Cheap ones first; a message that cannot be read is no match and is told. */
static int
eval_and(struct run *r, struct node *n)
{
	struct node *c;
	int pass, v;

	for (pass = 0; pass < 2; pass++)
		for (c = n->child; c != NULL; c = c->next)
			if (c->is_costly == (pass == 1) &&
			    (v = eval(r, c)) != 1)
				return v;
	return 1;
}

static int
eval_or(struct run *r, struct node *n)
{
	struct node *c;
	int pass, v;

	for (pass = 0; pass < 2; pass++)
		for (c = n->child; c != NULL; c = c->next)
			if (c->is_costly == (pass == 1) &&
			    (v = eval(r, c)) != 0)
				return v;
	return 0;
}

/* The keys that read the message. */
static int
eval_content(struct msg *g, struct node *n)
{
	switch (n->key->kind) {
	case IMAP_KEY_HEADER:
		return search_header(g, n);
	case IMAP_KEY_BODY:
		return search_text(g, n, false);
	case IMAP_KEY_TEXT:
		return search_text(g, n, true);
	default:
		return search_sent(g, n->key);
	}
}

/* 1, 0, or -1: the message cannot be read. */
static int
eval(struct run *r, struct node *n)
{
	const struct imap_key *k = n->key;
	struct msg *g = &r->msg;
	const struct message *m = &g->m;
	int v;

	switch (k->kind) {
	case IMAP_KEY_ALL:
		return 1;
	case IMAP_KEY_AND:
		return eval_and(r, n);
	case IMAP_KEY_OR:
		return eval_or(r, n);
	case IMAP_KEY_NOT:
		v = eval(r, n->child);
		return v == -1 ? -1 : !v;
	case IMAP_KEY_SEQ:
	case IMAP_KEY_UID:
		return ranges_has(&n->seqs, g->seq);
	case IMAP_KEY_FLAG:
		return (m->flags & k->flag) != 0;
	case IMAP_KEY_KEYWORD:
		return (m->keywords & n->keyword) != 0;
	case IMAP_KEY_RECENT:
		return mailbox_is_recent(r->s->mbox, m->uid);
	case IMAP_KEY_LARGER:
		return m->size > k->number;
	case IMAP_KEY_SMALLER:
		return m->size < k->number;
	case IMAP_KEY_OLDER:
		return m->internaldate <= r->now - (int64_t)k->number;
	case IMAP_KEY_YOUNGER:
		return m->internaldate >= r->now - (int64_t)k->number;
	case IMAP_KEY_MODSEQ:
		return m->modseq >= k->number;
	case IMAP_KEY_BEFORE:
	case IMAP_KEY_ON:
	case IMAP_KEY_SINCE:
		return match_day(
		    k->kind, day_of(m->internaldate, m->zone_min), k->day);
	case IMAP_KEY_SAVEDBEFORE:
	case IMAP_KEY_SAVEDON:
	case IMAP_KEY_SAVEDSINCE:
		return match_day(k->kind, day_of(m->savedate, 0), k->day);
	case IMAP_KEY_SAVEDATESUPPORTED:
		return 1;
	case IMAP_KEY_EMAILID:
		return match_objectid(k->text, m->emailid);
	case IMAP_KEY_THREADID:
		return 0;
	default:
		return eval_content(g, n);
	}
}

static void
hit(struct run *r)
{
	uint32_t seq = r->msg.seq;

	r->hits[(seq - 1) / 8] |= (unsigned char)(1 << (seq - 1) % 8);
	if (r->n_hits++ == 0)
		r->min = seq;
	r->max = seq;
	if (r->msg.m.modseq > r->modseq)
		r->modseq = r->msg.m.modseq;
}

/* A word for the client of a long search (RFC 9585, 4), which also finds out
 * that it is gone. */
static void
put_progress(struct run *r, uint32_t seq)
{
	struct out *o = &r->s->out;

	if (date_mono_ms() < r->progress)
		return;
	r->progress = date_mono_ms() + PROGRESS_MS;
	out_puts(o, "* OK [INPROGRESS (");
	imap_print_string(&o->b, r->c->tag, false);
	out_puts(o, " ");
	out_uint(o, seq);
	out_puts(o, " ");
	out_uint(o, r->count);
	out_puts(o, ")] still searching\r\n");
	out_flush(o);
	if (o->is_dead)
		r->s->is_over = true;
}

static void
look_at_all(struct run *r)
{
	uint32_t seq;
	int v;

	r->progress = date_mono_ms() + PROGRESS_MS;

	for (seq = 1; seq <= r->count && !r->s->is_over; seq++) {
		msg_set(&r->msg, seq);
		if (r->root->is_costly && seq % 64 == 0)
			put_progress(r, seq);
		if ((v = eval(r, r->root)) == 1)
			hit(r);
		else if (v == -1 && !r->msg.m.is_expunged) {
			if (r->n_failed++ == 0)
				r->err = r->msg.err;
		}
	}
}

/* ---- the answer ---- */

static bool
is_hit(const struct run *r, uint32_t seq)
{
	return r->hits[(seq - 1) / 8] >> (seq - 1) % 8 & 1;
}

static uint32_t
number(struct run *r, uint32_t seq)
{
	struct message m;

	if (!r->c->is_uid)
		return seq;
	mailbox_get(r->s->mbox, seq, &m);
	return m.uid;
}

/* "* SEARCH 2 3 6 (MODSEQ 917162500)" */
static void
put_search(struct run *r)
{
	struct out *o = &r->s->out;
	uint32_t seq;

	out_puts(o, "* SEARCH");
	for (seq = 1; seq <= r->count; seq++) {
		if (!is_hit(r, seq))
			continue;
		out_puts(o, " ");
		out_uint(o, number(r, seq));
		out_check(o);
	}
	if (r->q->uses_modseq && r->n_hits > 0) {
		out_puts(o, " (");
		out_puts(o, "MODSEQ ");
		out_uint(o, r->modseq);
		out_puts(o, ")");
	}
	out_puts(o, "\r\n");
}

/* sequence-set of the hits, straight from the bits */
static void
put_set(struct run *r)
{
	struct out *o = &r->s->out;
	uint32_t seq = 1, from, a, b;
	bool any = false;

	while (seq <= r->count) {
		if (!is_hit(r, seq)) {
			seq++;
			continue;
		}
		from = seq++;
		b = a = number(r, from);
		/* neighbours in the view may be apart in UIDs */
		while (seq <= r->count && is_hit(r, seq) &&
		       number(r, seq) == b + 1) {
			b++;
			seq++;
		}
		if (any)
			out_puts(o, ",");
		any = true;
		out_uint(o, a);
		if (b != a) {
			out_puts(o, ":");
			out_uint(o, b);
		}
		out_check(o);
	}
}

/* RFC 7162, 3.1.5: with MIN or MAX alone it is their mod-sequence. */
static uint64_t
esearch_modseq(struct run *r)
{
	const struct imap_search *q = r->q;
	struct message m;
	uint64_t modseq = 0;

	if (q->want_all || q->want_count || (!q->want_min && !q->want_max))
		return r->modseq;
	if (q->want_min) {
		mailbox_get(r->s->mbox, r->min, &m);
		modseq = m.modseq;
	}
	if (q->want_max) {
		mailbox_get(r->s->mbox, r->max, &m);
		if (m.modseq > modseq)
			modseq = m.modseq;
	}
	return modseq;
}

static void
put_return(struct out *o, const char *name, uint64_t v)
{
	out_puts(o, name);
	out_uint(o, v);
}

/* esearch-response = "ESEARCH" [search-correlator] [SP "UID"]
 *                    *(SP search-return-data)  RFC 9051, 9 */
static void
put_esearch(struct run *r)
{
	const struct imap_search *q = r->q;
	bool all = q->want_all || !q->has_return;
	struct out *o = &r->s->out;

	out_puts(o, "* ESEARCH (TAG ");
	imap_print_string(&o->b, r->c->tag, false);
	out_puts(o, r->c->is_uid ? ") UID" : ")");
	if (r->n_hits > 0) {
		if (q->want_min)
			put_return(o, " MIN ", number(r, r->min));
		if (q->want_max)
			put_return(o, " MAX ", number(r, r->max));
		if (all) {
			out_puts(o, " ALL ");
			put_set(r);
		}
		if (q->uses_modseq)
			put_return(o, " MODSEQ ", esearch_modseq(r));
	}
	if (q->want_count)
		put_return(o, " COUNT ", r->n_hits);
	out_puts(o, "\r\n");
}

/* RFC 5182, 2.1: MIN and MAX keep only those. False: too many ranges. */
static bool
save(struct run *r)
{
	const struct imap_search *q = r->q;
	bool only =
	    (q->want_min || q->want_max) && !q->want_all && !q->want_count;
	struct session *s = r->s;
	struct message m;
	uint32_t seq;

	ranges_clear(&s->saved);
	for (seq = 1; seq <= r->count; seq++) {
		if (!is_hit(r, seq) ||
		    (only && !(q->want_min && seq == r->min) &&
			!(q->want_max && seq == r->max)))
			continue;
		mailbox_get(s->mbox, seq, &m);
		ranges_add(&s->saved, m.uid, m.uid);
	}
	if (!s->saved.full)
		return true;
	ranges_clear(&s->saved);
	return false;
}

static void
answer(struct run *r)
{
	const struct imap_search *q = r->q;
	struct session *s = r->s;
	bool saved = true;

	if (q->want_save)
		saved = save(r);
	if (!q->has_return && !s->is_rev2)
		put_search(r);
	else if (!q->has_return || q->want_min || q->want_max ||
		 q->want_count || q->want_all)
		put_esearch(r);
	changes_tell(s, r->c->is_uid);
	if (!saved)
		reply_no(s, r->c->tag, "NOTSAVED",
		    "the result is too scattered to be saved");
	else if (r->n_failed > 0)
		reply_err(s, r->c->tag, &r->err);
	else
		reply_ok(s, r->c->tag, NULL, "SEARCH done");
}

void
run_search(struct session *s, const struct imap_command *c)
{
	struct run r = { .s = s, .c = c, .q = &c->u.search, .now = date_now() };

	if (r.q->uses_modseq)
		condstore_enable(s);
	r.count = mailbox_count(s->mbox);
	r.hits = xcalloc(r.count / 8 + 1, 1);
	r.root = compile(&r, r.q->key);
	msg_init(&r.msg, s);
	look_at_all(&r);
	msg_release(&r.msg);
	answer(&r);
	release(r.root);
	free(r.hits);
}
