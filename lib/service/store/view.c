/*
 * view - a mailbox as columns: what the journal says, applied.
 *
 * 1. Rows ascend by UID. Rows 0..shown-1 are the session's sequence numbers;
 *    what others added lies behind them until mailbox_sync() shows it.
 * 2. An expunged row stays as a ghost until it was told; no counter counts
 *    it, nothing changes it.
 * 3. Counters are those of live rows, told or not; uidnext only grows.
 * 4. view_apply() believes nothing: an op that names no row is skipped, one
 *    that cannot be is damage.
 */
#include "service/store/store_int.h"

#include <stdlib.h>

#include "base/xalloc.h"

void
view_init(struct view *v)
{
	*v = (struct view){ .forwarded = -1, .mirror_lo = 1 };
	v->c.uidnext = 1;
	v->recent = 1;
}

void
view_release(struct view *v)
{
	size_t i;

	free(v->uid);
	free(v->fn);
	free(v->fnx);
	free(v->bhash);
	free(v->flags);
	free(v->st);
	free(v->kw);
	free(v->modseq);
	free(v->size);
	free(v->rec);
	free(v->uhash);
	free(v->nrec);
	free(v->idate);
	free(v->gone);
	free(v->vanished);
	free(v->touched);
	for (i = 0; i < v->nkeywords; i++)
		free((char *)v->keywords[i].p);
	for (i = 0; i < v->nmoves; i++)
		free(v->moves[i].uids);
	free(v->moves);
	view_init(v);
}

static void
grow(struct view *v)
{
	uint32_t cap = v->cap == 0 ? 64 : v->cap * 2;

#define GROW(col) v->col = xreallocarray(v->col, cap, sizeof(*v->col))
	GROW(uid);
	GROW(fn);
	GROW(fnx);
	GROW(bhash);
	GROW(flags);
	GROW(st);
	GROW(kw);
	GROW(modseq);
	GROW(size);
	GROW(rec);
	GROW(uhash);
	GROW(idate);
	if (v->nrec != NULL)
		GROW(nrec);
#undef GROW
	v->cap = cap;
}

uint32_t
view_lower(const struct view *v, uint32_t uid)
{
	uint32_t lo = 0, hi = v->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v->uid[mid] < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_row(const struct view *v, uint32_t uid)
{
	uint32_t row = view_lower(v, uid);

	return row < v->n && v->uid[row] == uid ? row : v->n;
}

void
view_touch(struct view *v, uint32_t row, uint16_t bit)
{
	bool known = (v->st[row] & (ST_DIRTY | ST_ARRIVED)) != 0;

	v->st[row] |= bit;
	if (known || v->ntouched > TOUCHED_MAX)
		return;
	if (v->ntouched == v->touchedcap) {
		v->touchedcap = v->touchedcap == 0 ? 16 : v->touchedcap * 2;
		v->touched = xreallocarray(
		    v->touched, v->touchedcap, sizeof(*v->touched));
	}
	v->touched[v->ntouched++] = v->uid[row];
}

void
view_mirror(struct view *v, uint32_t uid)
{
	if (v->mirror_lo > v->mirror_hi)
		v->mirror_lo = v->mirror_hi = uid;
	else if (uid < v->mirror_lo)
		v->mirror_lo = uid;
	else if (uid > v->mirror_hi)
		v->mirror_hi = uid;
}

/* ---- counters ---- */

void
view_count(struct counters *c, uint16_t flags, uint64_t size, int sign)
{
	uint32_t one = (uint32_t)sign;
	bool seen = (flags & FLAG_SEEN) != 0;
	bool deleted = (flags & FLAG_DELETED) != 0;

	c->exists += one;
	c->bytes += (uint64_t)sign * size;
	if (deleted) {
		c->deleted += one;
		c->deleted_bytes += (uint64_t)sign * size;
	}
	if (!seen)
		c->unseen += one;
	if (!seen && !deleted)
		c->unread += one;
}

void
view_set_size(struct view *v, uint32_t row, uint64_t size)
{
	view_count(&v->c, v->flags[row], v->size[row], -1);
	v->size[row] = size;
	view_count(&v->c, v->flags[row], size, 1);
}

void
view_push(struct view *v)
{
	if (v->n == v->cap)
		grow(v);
	v->n++;
}

void
view_recount(const struct view *v, struct counters *c)
{
	uint32_t i;

	*c = (struct counters){ .uidnext = v->c.uidnext };
	for (i = 0; i < v->n; i++)
		if ((v->st[i] & ST_GHOST) == 0)
			view_count(c, v->flags[i], v->size[i], 1);
}

uint32_t
view_want_fn(const struct view *v, uint16_t flags, uint64_t kw, uint32_t now)
{
	uint32_t fn = 0, known;

	if ((flags & FLAG_DRAFT) != 0)
		fn |= FN_D;
	if ((flags & FLAG_FLAGGED) != 0)
		fn |= FN_F;
	if ((flags & FLAG_ANSWERED) != 0)
		fn |= FN_R;
	if ((flags & FLAG_SEEN) != 0)
		fn |= FN_S;
	if ((flags & FLAG_DELETED) != 0)
		fn |= FN_T;
	if (v->forwarded >= 0) {
		if ((kw >> v->forwarded & 1) != 0)
			fn |= FN_P;
	} else
		fn |= now & FN_P;
	/* letters that no keyword of ours has stay as they are */
	known = v->nkeywords >= FN_LETTERS ?
		    ~(FN_LETTER(0) - 1) :
		    FN_LETTER(v->nkeywords) - FN_LETTER(0);
	fn |= (uint32_t)(kw << 6) & known;
	return fn | (now & ~known & ~(FN_LETTER(0) - 1));
}

void
view_flags_of(const struct view *v, uint32_t fn, uint16_t *flags, uint64_t *kw)
{
	uint64_t letters = fn >> 6;

	*flags = 0;
	if ((fn & FN_D) != 0)
		*flags |= FLAG_DRAFT;
	if ((fn & FN_F) != 0)
		*flags |= FLAG_FLAGGED;
	if ((fn & FN_R) != 0)
		*flags |= FLAG_ANSWERED;
	if ((fn & FN_S) != 0)
		*flags |= FLAG_SEEN;
	if ((fn & FN_T) != 0)
		*flags |= FLAG_DELETED;
	if (v->nkeywords < FN_LETTERS)
		letters &= (1u << v->nkeywords) - 1;
	*kw = letters;
	if ((fn & FN_P) != 0 && v->forwarded >= 0)
		*kw |= 1ULL << v->forwarded;
}

/* ---- rows that leave ---- */

void
view_move_row(struct view *v, uint32_t to, uint32_t from)
{
	v->uid[to] = v->uid[from];
	v->fn[to] = v->fn[from];
	v->fnx[to] = v->fnx[from];
	v->bhash[to] = v->bhash[from];
	v->flags[to] = v->flags[from];
	v->st[to] = v->st[from];
	v->kw[to] = v->kw[from];
	v->modseq[to] = v->modseq[from];
	v->size[to] = v->size[from];
	v->rec[to] = v->rec[from];
	v->uhash[to] = v->uhash[from];
	v->idate[to] = v->idate[from];
	if (v->nrec != NULL)
		v->nrec[to] = v->nrec[from];
}

void
view_drop_rows(struct view *v, bool hidden_only)
{
	uint32_t i = hidden_only ? v->shown : 0, to, shown = v->shown;

	while (i < v->n && (v->st[i] & ST_GHOST) == 0)
		i++;
	for (to = i; i < v->n; i++) {
		if ((v->st[i] & ST_GHOST) != 0) {
			v->nghosts--;
			if (i < v->shown)
				shown--;
			continue;
		}
		view_move_row(v, to++, i);
	}
	v->n = to;
	v->shown = shown;
}

void
view_settle(struct view *v)
{
	view_drop_rows(v, false);
	v->shown = v->n;
	v->keywords_told = v->nkeywords;
	v->pending_from = 0;
	v->ntouched = 0;
	v->is_loading = false;
}
