/*
 * view_apply - a transaction's operations, applied to the columns. What they
 * say of files is in apply_names.c, of MOVEs in apply_moves.c.
 *
 * It believes nothing: an op that names no row is skipped, one that cannot be
 * is damage (view.c, 4).
 */
#include "service/store/apply_int.h"

#include <string.h>

#include "base/xalloc.h"

#define MAX_MESSAGES 50000000u /* bounds memory against a hostile journal */

/* ---- history ---- */

static void
gone_add(struct view *v, uint32_t row)
{
	struct gone *g;

	if (v->ngone == v->gonecap) {
		v->gonecap = v->gonecap == 0 ? 16 : v->gonecap * 2;
		v->gone = xreallocarray(v->gone, v->gonecap, sizeof(*v->gone));
	}
	g = &v->gone[v->ngone++];
	*g = (struct gone){ .uid = v->uid[row],
		.fn = v->fn[row],
		.fnx = v->fnx[row],
		.st = v->st[row] & (ST_NEWDIR | ST_BARE | ST_INTENT),
		.uhash = v->uhash[row],
		.rec = v->rec[row],
		.nrec = v->nrec == NULL ? 0 : v->nrec[row] };
}

static void
vanished_add(struct view *v, uint32_t uid, uint64_t modseq)
{
	struct vanished *last =
	    v->nvanished == 0 ? NULL : &v->vanished[v->nvanished - 1];

	if (last != NULL && last->modseq == modseq && last->hi + 1 == uid) {
		last->hi = uid;
		return;
	}
	if (v->nvanished == v->vanishedcap) {
		v->vanishedcap = v->vanishedcap == 0 ? 16 : v->vanishedcap * 2;
		v->vanished = xreallocarray(
		    v->vanished, v->vanishedcap, sizeof(*v->vanished));
	}
	v->vanished[v->nvanished++] = (struct vanished){ uid, uid, modseq };
}

/* ---- one function per op ---- */

bool
apply_refuse(struct apply *a, const char *why)
{
	a->v->why = why;
	return false;
}

bool
apply_words(struct apply *a, struct str body, uint64_t w[2])
{
	return op_words_unpack(body, w) || apply_refuse(a, "op is too short");
}

static bool
apply_add(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_add add;
	uint32_t row = v->n;

	if (!op_add_unpack(body, &add))
		return apply_refuse(a, "ADD is malformed");
	if ((row > 0 && add.uid <= v->uid[row - 1]) || row >= MAX_MESSAGES)
		return apply_refuse(a, "ADD out of order");
	view_push(v);
	v->uid[row] = add.uid;
	v->fn[row] = add.fn;
	v->fnx[row] = add.fn;
	v->flags[row] = add.flags & FLAG_ALL;
	v->st[row] = 0;
	v->kw[row] = add.kw;
	v->modseq[row] = a->t->modseq;
	v->size[row] = add.size;
	v->rec[row] = a->off | (uint64_t)v->slot << REC_SLOT_SHIFT;
	v->cache[row] = 0;
	name_hashes(add.name, &v->uhash[row], &v->bhash[row]);
	v->idate[row] = add.idate;
	if (v->nrec != NULL)
		v->nrec[row] = 0;
	if (add.where == WHERE_NEW)
		v->st[row] |= ST_NEWDIR;
	if (add.where == WHERE_BARE)
		v->st[row] |= ST_BARE;
	if ((add.bits & ADD_RAW) != 0)
		v->st[row] |= ST_RAW;
	if ((add.bits & ADD_UNSURE) != 0)
		v->st[row] |= ST_UNSURE;
	view_count(&v->c, v->flags[row], v->size[row], 1);
	if (add.uid >= v->c.uidnext)
		v->c.uidnext = add.uid + 1;
	if (!v->is_loading && v->is_own)
		v->shown = v->n;
	else if (!v->is_loading)
		view_touch(v, row, ST_ARRIVED);
	if (add.where == WHERE_NEW && v->is_loading)
		view_note_behind(v, row);
	else if (add.where == WHERE_NEW)
		view_mirror(v, add.uid);
	return true;
}

void
apply_set_flags(struct apply *a, uint32_t row, uint16_t flags, uint64_t kw)
{
	struct view *v = a->v;

	if ((v->st[row] & ST_GHOST) != 0)
		return;
	view_count(&v->c, v->flags[row], v->size[row], -1);
	view_count(&v->c, flags, v->size[row], 1);
	v->flags[row] = flags;
	v->kw[row] = kw;
	v->modseq[row] = a->t->modseq;
	if (v->is_loading)
		view_note_behind(v, row);
	else if (!v->is_own)
		view_touch(v, row, ST_DIRTY);
}

static bool
apply_flags(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_flags f;
	uint32_t lo, hi, row;
	size_t n, i;

	if (!op_flags_unpack(body, &f) || !op_tuples(f.ranges, 2, &n))
		return apply_refuse(a, "FLAGS is malformed");
	for (i = 0; i < n; i++) {
		lo = op_tuple(f.ranges, 2, i, 0);
		hi = op_tuple(f.ranges, 2, i, 1);
		for (row = view_lower(v, lo); row < v->n && v->uid[row] <= hi;
		     row++)
			apply_set_flags(a, row,
			    ((v->flags[row] & ~f.rem) | f.add) & FLAG_ALL,
			    (v->kw[row] & ~f.kwrem) | f.kwadd);
	}
	return true;
}

static bool
apply_expunge(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 4, &n))
		return apply_refuse(a, "EXPUNGE is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 4, i, 0));
		if (row == v->n || (v->st[row] & ST_GHOST) != 0)
			continue;
		view_count(&v->c, v->flags[row], v->size[row], -1);
		if (op_tuple(body, 4, i, 1) != EXPUNGE_FOREIGN)
			gone_add(v, row);
		vanished_add(v, v->uid[row], a->t->modseq);
		v->st[row] |= ST_GHOST;
		v->modseq[row] = a->t->modseq;
		v->nghosts++;
	}
	return true;
}

static bool
apply_kwdef(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_name k;

	if (!op_name_unpack(body, &k) || k.number >= STORE_MAX_KEYWORDS ||
	    k.name.n > STORE_MAX_KEYWORD_LEN)
		return apply_refuse(a, "KWDEF is malformed");
	if (k.number < v->nkeywords)
		return true; /* a bit keeps its first name */
	/* a salvaged journal may have lost a definition */
	while (k.number > v->nkeywords) {
		struct str lost = STR("$Lost");

		v->keywords[v->nkeywords++] = str_make(str_dup(lost), lost.n);
	}
	v->keywords[v->nkeywords++] = str_make(str_dup(k.name), k.name.n);
	if (str_eq_nocase(k.name, STR("$Forwarded")))
		v->forwarded = (int)k.number;
	return true;
}

static bool
apply_size(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 4, &n))
		return apply_refuse(a, "SIZE is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 4, i, 0));
		if (row == v->n || (v->st[row] & ST_GHOST) != 0)
			continue;
		view_set_size(v, row,
		    op_tuple(body, 4, i, 2) | (uint64_t)op_tuple(body, 4, i, 3)
						  << 32);
		v->st[row] &= ~ST_UNSURE;
	}
	return true;
}

static bool
apply_cache(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 2, &n))
		return apply_refuse(a, "CACHE is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 2, i, 0));
		if (row < v->n)
			v->cache[row] = op_tuple(body, 2, i, 1);
	}
	return true;
}

/* ---- ops of two words ---- */

static bool
apply_recent(struct apply *a, struct str body)
{
	uint64_t w[2];

	if (!apply_words(a, body, w))
		return false;
	if (w[0] > a->v->recent && w[0] <= UINT32_MAX)
		a->v->recent = (uint32_t)w[0];
	return true;
}

static bool
apply_floor(struct apply *a, struct str body)
{
	uint64_t w[2];

	if (!apply_words(a, body, w))
		return false;
	a->v->floor = w[0];
	return true;
}

/* Its gap is in the counters. */
static bool
apply_boot(struct apply *a, struct str body)
{
	uint64_t w[2];

	return apply_words(a, body, w);
}

static bool
apply_restore(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint64_t w[2];
	uint32_t row;

	if (!apply_words(a, body, w))
		return false;
	v->ino = w[0];
	v->floor = a->t->modseq;
	/* clients may know later flags than these: all are told */
	for (row = 0; row < v->n; row++)
		if ((v->st[row] & ST_GHOST) == 0)
			v->modseq[row] = a->t->modseq;
	return true;
}

static bool
apply_gone(struct apply *a, struct str body)
{
	uint64_t w[2];

	if (!apply_words(a, body, w))
		return false;
	a->v->is_gone = true;
	return true;
}

/* ---- all of them ---- */

static bool (*const apply[])(struct apply *, struct str) = {
	[OP_ADD] = apply_add,
	[OP_FLAGS] = apply_flags,
	[OP_EXPUNGE] = apply_expunge,
	[OP_KWDEF] = apply_kwdef,
	[OP_FN] = apply_fn,
	[OP_FNDONE] = apply_fndone,
	[OP_MERGED] = apply_merged,
	[OP_RENAME] = apply_rename,
	[OP_SCAN] = apply_scan,
	[OP_SCANSTEP] = apply_scanstep,
	[OP_MOVEFROM] = apply_movefrom,
	[OP_MOVEDONE] = apply_movedone,
	[OP_MOVED] = apply_moved,
	[OP_RECENT] = apply_recent,
	[OP_FLOOR] = apply_floor,
	[OP_BOOT] = apply_boot,
	[OP_RESTORE] = apply_restore,
	[OP_GONE] = apply_gone,
	[OP_SIZE] = apply_size,
	[OP_BURIED] = apply_buried,
	[OP_CACHE] = apply_cache,
};

static bool
apply_op(struct apply *a, const struct op *op)
{
	if (op->type < sizeof(apply) / sizeof(*apply) &&
	    apply[op->type] != NULL)
		return apply[op->type](a, op->body);
	return (op->flags & OP_OPTIONAL) != 0 ||
	       apply_refuse(a, "written by a newer version");
}

int
view_apply(void *arg, const struct txn *t)
{
	struct view *v = arg;
	struct apply a = { v, t, 0 };
	struct cur c;
	struct op op;

	cur_init(&c, t->ops);
	for (;;) {
		a.off = t->off + TXN_HEAD + (uint64_t)(c.p - t->ops.p);
		if (!op_next(&c, &op))
			break;
		if (!apply_op(&a, &op))
			return -1;
	}
	if (!cur_ok(&c)) {
		v->why = "ops do not fill their transaction";
		return -1;
	}
	if (t->c.uidnext > v->c.uidnext)
		v->c.uidnext = t->c.uidnext;
	if (t->modseq > v->modseq_now) {
		v->modseq_now = t->modseq;
		if (!v->is_own && !v->is_loading && v->pending_from == 0)
			v->pending_from = t->modseq;
	}
	return 0;
}
