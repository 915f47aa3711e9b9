/*
 * view_apply - a transaction's operations, applied to the columns.
 *
 * It believes nothing: an op that names no row is skipped, one that cannot be
 * is damage (view.c, 4).
 */
#include "service/store/store_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define MOVES_MAX    64
#define MOVED_MAX    65536     /* runs of UIDs a session remembers */
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

struct apply {
	struct view *v;
	const struct txn *t;
	uint64_t off; /* of the op in the file */
};

static bool
refuse(struct apply *a, const char *why)
{
	a->v->why = why;
	return false;
}

static bool
apply_add(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_add add;
	uint32_t row = v->n;

	if (!op_add_unpack(body, &add))
		return refuse(a, "ADD is malformed");
	if ((row > 0 && add.uid <= v->uid[row - 1]) || row >= MAX_MESSAGES)
		return refuse(a, "ADD out of order");
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

static void
set_flags(struct apply *a, uint32_t row, uint16_t flags, uint64_t kw)
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
		return refuse(a, "FLAGS is malformed");
	for (i = 0; i < n; i++) {
		lo = op_tuple(f.ranges, 2, i, 0);
		hi = op_tuple(f.ranges, 2, i, 1);
		for (row = view_lower(v, lo); row < v->n && v->uid[row] <= hi;
		     row++)
			set_flags(a, row,
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
		return refuse(a, "EXPUNGE is malformed");
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
		return refuse(a, "KWDEF is malformed");
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

/*
 * A rename is meant to what the flags ask for. If they ask for something else
 * the FLAGS before it was lost in a damaged journal, and the name is what is
 * left of it.
 */
static void
heal_flags(struct apply *a, uint32_t row, uint32_t fn)
{
	struct view *v = a->v;
	uint16_t flags, all;
	uint64_t kw, allkw;

	if (view_want_fn(v, v->flags[row], v->kw[row], fn) == fn)
		return;
	view_flags_of(v, fn, &flags, &kw);
	view_flags_of(v, ~(uint32_t)0, &all, &allkw);
	set_flags(a, row, (uint16_t)((v->flags[row] & ~all) | flags),
	    (v->kw[row] & ~allkw) | kw);
}

static bool
apply_fn(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 2, &n))
		return refuse(a, "FN is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 2, i, 0));
		if (row == v->n)
			continue;
		if (v->is_loading)
			heal_flags(a, row, op_tuple(body, 2, i, 1));
		v->fnx[row] = op_tuple(body, 2, i, 1);
		v->st[row] &= ~(ST_DONE | ST_OLDBOOT);
		v->st[row] |= ST_INTENT;
	}
	return true;
}

static bool
apply_fndone(struct apply *a, struct str body)
{
	struct view *v = a->v;
	bool old = a->t->boot != boot_id();
	uint32_t row, fn;
	size_t n, i;

	if (!op_tuples(body, 2, &n))
		return refuse(a, "FNDONE is malformed");
	for (i = 0; i < n; i++)
		for (row = view_lower(v, op_tuple(body, 2, i, 0));
		     row < v->n && v->uid[row] <= op_tuple(body, 2, i, 1);
		     row++) {
			if ((v->st[row] & ST_INTENT) == 0)
				continue;
			fn = v->fn[row];
			v->fn[row] = v->fnx[row];
			v->fnx[row] = fn;
			v->st[row] &= ~(ST_INTENT | ST_BARE);
			v->st[row] |= ST_DONE;
			if (old)
				v->st[row] |= ST_OLDBOOT;
			else
				v->st[row] &= ~ST_NEWDIR;
		}
	return true;
}

static bool
apply_merged(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row, where;
	size_t n, i;

	if (!op_tuples(body, 3, &n))
		return refuse(a, "MERGED is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 3, i, 0));
		if (row == v->n)
			continue;
		v->fn[row] = v->fnx[row] = op_tuple(body, 3, i, 1);
		where = op_tuple(body, 3, i, 2);
		v->st[row] &=
		    ~(ST_INTENT | ST_DONE | ST_OLDBOOT | ST_NEWDIR | ST_BARE);
		if (where == WHERE_NEW)
			v->st[row] |= ST_NEWDIR;
		if (where == WHERE_BARE)
			v->st[row] |= ST_BARE;
		if (v->is_loading)
			view_note_behind(v, row);
		else if (where == WHERE_NEW ||
			 view_want_fn(v, v->flags[row], v->kw[row],
			     v->fn[row]) != v->fn[row])
			view_mirror(v, v->uid[row]);
	}
	return true;
}

static bool
apply_rename(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_name r;
	struct name name;
	uint32_t row;

	if (!op_name_unpack(body, &r) || !name_parse(r.name, &name) ||
	    r.extra.n >= 32 || name.base.n != r.name.n ||
	    str_has(r.extra, '/') || str_has(r.extra, '\0'))
		return refuse(a, "RENAME is malformed");
	row = view_row(v, r.number);
	if (row == v->n)
		return true;
	if (v->nrec == NULL)
		v->nrec = xcalloc(v->cap, sizeof(*v->nrec));
	v->nrec[row] = a->off | (uint64_t)v->slot << REC_SLOT_SHIFT;
	name_hashes(name.base, &v->uhash[row], &v->bhash[row]);
	return true;
}

static bool
apply_size(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 4, &n))
		return refuse(a, "SIZE is malformed");
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
		return refuse(a, "CACHE is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 2, i, 0));
		if (row < v->n)
			v->cache[row] = op_tuple(body, 2, i, 1);
	}
	return true;
}

static bool
apply_buried(struct apply *a, struct str body)
{
	struct view *v = a->v;
	bool old = a->t->boot != boot_id();
	struct ranges r;
	size_t n, i, keep = 0;

	if (!op_tuples(body, 2, &n))
		return refuse(a, "BURIED is malformed");
	ranges_init(&r, n);
	for (i = 0; i < n; i++)
		ranges_add(
		    &r, op_tuple(body, 2, i, 0), op_tuple(body, 2, i, 1));
	for (i = 0; i < v->ngone; i++) {
		struct gone *g = &v->gone[i];

		/* done before a reboot: the rename may be lost */
		if (old && ranges_has(&r, g->uid))
			g->st |= ST_DONE;
		if (old || !ranges_has(&r, g->uid))
			v->gone[keep++] = *g;
	}
	v->ngone = keep;
	ranges_release(&r);
	return true;
}

static bool
apply_scan(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_scan s;

	if (!op_scan_unpack(body, &s))
		return refuse(a, "SCAN is malformed");
	v->scan[s.dir] = (struct scan_state){ s.dev, s.ino, s.mtime,
		/* from an index it is as it was there */
		s.is_stable != 0 &&
		    (a->t->time_us == 0 || !racy_at(s.mtime, a->t->time_us)) };
	v->nsteps[s.dir] = 0;
	return true;
}

/*
 * Two deliveries may commit in the other order than they renamed: a step
 * waits for the one that leads to it.
 */
static bool
apply_scanstep(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_scanstep s;
	struct scan_step *p;
	unsigned i, n;

	if (!op_scanstep_unpack(body, &s))
		return refuse(a, "SCANSTEP is malformed");
	p = v->steps[s.dir];
	if (v->nsteps[s.dir] == SCAN_PENDING) {
		memmove(p, p + 1, (SCAN_PENDING - 1) * sizeof(*p));
		v->nsteps[s.dir]--;
	}
	p[v->nsteps[s.dir]++] = (struct scan_step){ s.before, s.after };
	for (i = 0; i < (n = v->nsteps[s.dir]);) {
		if (p[i].before != v->scan[s.dir].mtime) {
			i++;
			continue;
		}
		v->scan[s.dir].mtime = p[i].after;
		v->scan[s.dir].is_stable = !racy_at(p[i].after, a->t->time_us);
		memmove(p + i, p + i + 1, (n - i - 1) * sizeof(*p));
		v->nsteps[s.dir]--;
		i = 0;
	}
	return true;
}

static bool
apply_movefrom(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_move m;
	struct open_move *o;
	size_t n, i;

	if (!op_move_unpack(body, &m) || !op_tuples(m.pairs, 2, &n) ||
	    v->nmoves >= MOVES_MAX)
		return refuse(a, "MOVEFROM is malformed");
	v->moves = xreallocarray(v->moves, v->nmoves + 1, sizeof(*v->moves));
	o = &v->moves[v->nmoves++];
	*o = (struct open_move){ .modseq = a->t->modseq, .n = (uint32_t)n };
	memcpy(o->from, m.mailboxid, 16);
	o->uids = xreallocarray(NULL, n, 2 * sizeof(*o->uids));
	for (i = 0; i < 2 * n; i++)
		o->uids[i] = op_tuple(m.pairs, 1, i, 0);
	return true;
}

/* Sessions that still show them read them where they are now. */
static bool
apply_moved(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct moved *last = NULL;
	struct op_move m;
	size_t n, i;

	if (!op_move_unpack(body, &m) || !op_tuples(m.pairs, 2, &n))
		return refuse(a, "MOVED is malformed");
	for (i = 0; i < n && !v->is_loading; i++) {
		uint32_t uid = op_tuple(m.pairs, 2, i, 0);
		uint32_t to = op_tuple(m.pairs, 2, i, 1);

		if (view_row(v, uid) >= v->shown)
			continue;
		if (last != NULL && uid - last->uid == last->n &&
		    to - last->to == last->n) {
			last->n++;
			continue;
		}
		if (v->nmoved == MOVED_MAX)
			break; /* they have their hour in exp/ */
		v->moved =
		    xreallocarray(v->moved, v->nmoved + 1, sizeof(*v->moved));
		last = &v->moved[v->nmoved++];
		*last = (struct moved){ .uid = uid, .n = 1, .to = to };
		memcpy(last->id, m.mailboxid, 16);
	}
	return true;
}

static void
apply_movedone(struct apply *a, uint64_t modseq)
{
	struct view *v = a->v;
	size_t i;

	for (i = 0; i < v->nmoves; i++)
		if (v->moves[i].modseq == modseq) {
			free(v->moves[i].uids);
			v->moves[i] = v->moves[--v->nmoves];
			return;
		}
}

static bool
apply_words(struct apply *a, const struct op *op)
{
	struct view *v = a->v;
	uint64_t w[2];
	uint32_t row;

	if (!op_words_unpack(op->body, w))
		return refuse(a, "op is too short");
	switch (op->type) {
	case OP_RECENT:
		if (w[0] > v->recent && w[0] <= UINT32_MAX)
			v->recent = (uint32_t)w[0];
		break;
	case OP_MOVEDONE:
		apply_movedone(a, w[0]);
		break;
	case OP_FLOOR:
		v->floor = w[0];
		break;
	case OP_RESTORE:
		v->ino = w[0];
		v->floor = a->t->modseq;
		/* clients may know later flags than these: all are told */
		for (row = 0; row < v->n; row++)
			if ((v->st[row] & ST_GHOST) == 0)
				v->modseq[row] = a->t->modseq;
		break;
	case OP_GONE:
		v->is_gone = true;
		break;
	default: /* BOOT: its gap is in the counters */
		break;
	}
	return true;
}

static bool
apply_op(struct apply *a, const struct op *op)
{
	switch (op->type) {
	case OP_ADD:
		return apply_add(a, op->body);
	case OP_FLAGS:
		return apply_flags(a, op->body);
	case OP_EXPUNGE:
		return apply_expunge(a, op->body);
	case OP_KWDEF:
		return apply_kwdef(a, op->body);
	case OP_FN:
		return apply_fn(a, op->body);
	case OP_FNDONE:
		return apply_fndone(a, op->body);
	case OP_MERGED:
		return apply_merged(a, op->body);
	case OP_RENAME:
		return apply_rename(a, op->body);
	case OP_SIZE:
		return apply_size(a, op->body);
	case OP_BURIED:
		return apply_buried(a, op->body);
	case OP_CACHE:
		return apply_cache(a, op->body);
	case OP_SCAN:
		return apply_scan(a, op->body);
	case OP_SCANSTEP:
		return apply_scanstep(a, op->body);
	case OP_MOVEFROM:
		return apply_movefrom(a, op->body);
	case OP_MOVED:
		return apply_moved(a, op->body);
	case OP_MOVEDONE:
	case OP_RECENT:
	case OP_FLOOR:
	case OP_BOOT:
	case OP_RESTORE:
	case OP_GONE:
		return apply_words(a, op);
	default:
		return (op->flags & OP_OPTIONAL) != 0 ||
		       refuse(a, "written by a newer version");
	}
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
