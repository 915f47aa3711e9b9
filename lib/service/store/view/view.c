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
#include "service/store/index_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
view_init(struct view *v)
{
	*v = (struct view){ .forwarded = -1, .mirror_lo = 1, .slot = 1 };
	v->c.uidnext = 1;
	v->recent = 1;
}

static void
drop_block(struct view *v)
{
	if (v->is_mapped)
		index_unmap(v->block, v->block_len);
	else
		free(v->block);
	v->block = NULL;
	v->is_mapped = false;
}

void
view_attach(struct view *v, char *block, uint32_t cap)
{
	char *at = block;

#define ATTACH(col)          \
	v->col = (void *)at; \
	at += cap * sizeof(*v->col);
	VIEW_COLUMNS(ATTACH)
#undef ATTACH
	v->block = block;
	v->cap = cap;
}

void
view_release(struct view *v)
{
	size_t i;

	if (v->block != NULL)
		drop_block(v);
	else {
#define FREE(col) free(v->col);
		VIEW_COLUMNS(FREE)
#undef FREE
	}
	free(v->nrec);
	free(v->gone);
	free(v->vanished);
	free(v->moved);
	free(v->touched);
	free(v->former);
	for (i = 0; i < v->nkeywords; i++)
		free((char *)v->keywords[i].p);
	for (i = 0; i < v->nmoves; i++)
		free(v->moves[i].uids);
	free(v->moves);
	view_init(v);
}

/* More than the block has room for: each column gets memory of its own. */
static void
leave_block(struct view *v, uint32_t cap)
{
	void *own;

#define LEAVE(col)                                       \
	own = xreallocarray(NULL, cap, sizeof(*v->col)); \
	memcpy(own, v->col, v->n * sizeof(*v->col));     \
	v->col = own;
	VIEW_COLUMNS(LEAVE)
#undef LEAVE
	drop_block(v);
}

static void
grow(struct view *v)
{
	uint32_t cap = v->cap < 64 ? 64 : v->cap + v->cap / 2;

	if (v->block != NULL)
		leave_block(v, cap);
	else {
#define GROW(col) v->col = xreallocarray(v->col, cap, sizeof(*v->col));
		VIEW_COLUMNS(GROW)
#undef GROW
	}
	if (v->nrec != NULL)
		v->nrec = xreallocarray(v->nrec, cap, sizeof(*v->nrec));
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

static void
note(struct view *v, uint32_t uid)
{
	if (v->ntouched > TOUCHED_MAX)
		return;
	if (v->ntouched == v->touchedcap) {
		v->touchedcap = v->touchedcap == 0 ? 16 : v->touchedcap * 2;
		v->touched = xreallocarray(
		    v->touched, v->touchedcap, sizeof(*v->touched));
	}
	v->touched[v->ntouched++] = uid;
}

void
view_touch(struct view *v, uint32_t row, uint16_t bit)
{
	bool known = (v->st[row] & (ST_DIRTY | ST_ARRIVED)) != 0;

	v->st[row] |= bit;
	if (!known)
		note(v, v->uid[row]);
}

void
view_note_behind(struct view *v, uint32_t row)
{
	/* the last one noted again is the common case */
	if (v->ntouched == 0 || v->touched[v->ntouched - 1] != v->uid[row])
		note(v, v->uid[row]);
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
#define MOVE(col) v->col[to] = v->col[from];
	VIEW_COLUMNS(MOVE)
#undef MOVE
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
	if (v->nghosts == 0)
		v->nmoved = 0;
}

uint32_t
view_moved(const struct view *v, uint32_t uid, uint8_t id[16])
{
	size_t i;

	for (i = 0; i < v->nmoved; i++) {
		const struct moved *m = &v->moved[i];

		if (uid < m->uid || uid - m->uid >= m->n)
			continue;
		memcpy(id, m->id, 16);
		return m->to + (uid - m->uid);
	}
	return 0;
}

/*
 * While loading, the names that are behind are only noted: most were brought
 * up by what follows in the journal.
 */
static void
settle_mirror(struct view *v)
{
	uint32_t want, row;
	size_t i;

	if (v->ntouched > TOUCHED_MAX) {
		view_mirror(v, 1);
		view_mirror(v, UINT32_MAX);
		return;
	}
	for (i = 0; i < v->ntouched; i++) {
		row = view_row(v, v->touched[i]);
		if (row < v->n && view_is_behind(v, row, &want))
			view_mirror(v, v->uid[row]);
	}
}

void
view_settle(struct view *v)
{
	if (v->is_loading)
		settle_mirror(v);
	if (v->nghosts > 0)
		view_drop_rows(v, false);
	v->shown = v->n;
	v->keywords_told = v->nkeywords;
	v->pending_from = 0;
	v->ntouched = 0;
	v->is_loading = false;
}
