/*
 * apply_names - what a transaction says of files: the names we give, those
 * others gave, and the directories as they were read.
 */
#include "service/store/apply_int.h"

#include <string.h>

#include "base/xalloc.h"

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
	apply_set_flags(a, row, (uint16_t)((v->flags[row] & ~all) | flags),
	    (v->kw[row] & ~allkw) | kw);
}

bool
apply_fn(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row;
	size_t n, i;

	if (!op_tuples(body, 2, &n))
		return apply_refuse(a, "FN is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 2, i, 0));
		if (row == v->n)
			continue;
		if (v->is_loading)
			heal_flags(a, row, op_tuple(body, 2, i, 1));
		if ((v->st[row] & ST_OLDBOOT) != 0)
			view_note_former(v, row, v->fnx[row], a->t->boot);
		v->fnx[row] = op_tuple(body, 2, i, 1);
		v->st[row] &= ~(ST_DONE | ST_OLDBOOT);
		v->st[row] |= ST_INTENT;
	}
	return true;
}

bool
apply_fndone(struct apply *a, struct str body)
{
	struct view *v = a->v;
	bool old = a->t->boot != boot_id();
	uint32_t row, fn;
	size_t n, i;

	if (!op_tuples(body, 2, &n))
		return apply_refuse(a, "FNDONE is malformed");
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

/* All that it may still be called by. */
static void
note_names(struct view *v, uint32_t row, uint32_t boot)
{
	view_note_former(v, row, v->fn[row], boot);
	if ((v->st[row] & (ST_INTENT | ST_DONE)) != 0)
		view_note_former(v, row, v->fnx[row], boot);
}

bool
apply_merged(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint32_t row, where;
	size_t n, i;

	if (!op_tuples(body, 3, &n))
		return apply_refuse(a, "MERGED is malformed");
	for (i = 0; i < n; i++) {
		row = view_row(v, op_tuple(body, 3, i, 0));
		if (row == v->n)
			continue;
		if (a->t->boot != boot_id())
			note_names(v, row, a->t->boot);
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

bool
apply_rename(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_name r;
	struct name name;
	uint32_t row;

	if (!op_name_unpack(body, &r) || !name_parse(r.name, &name) ||
	    r.extra.n >= 32 || name.base.n != r.name.n ||
	    str_has(r.extra, '/') || str_has(r.extra, '\0'))
		return apply_refuse(a, "RENAME is malformed");
	row = view_row(v, r.number);
	if (row == v->n)
		return true;
	if (v->nrec == NULL)
		v->nrec = xcalloc(v->cap, sizeof(*v->nrec));
	v->nrec[row] = a->off | (uint64_t)v->slot << REC_SLOT_SHIFT;
	name_hashes(name.base, &v->uhash[row], &v->bhash[row]);
	return true;
}

bool
apply_buried(struct apply *a, struct str body)
{
	struct view *v = a->v;
	bool old = a->t->boot != boot_id();
	struct ranges r;
	size_t n, i, keep = 0;

	if (!op_tuples(body, 2, &n))
		return apply_refuse(a, "BURIED is malformed");
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

bool
apply_scan(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_scan s;

	if (!op_scan_unpack(body, &s))
		return apply_refuse(a, "SCAN is malformed");
	v->scan[s.dir] = (struct scan_state){ s.dev, s.ino, s.mtime,
		/* from an index it is as it was there */
		s.is_stable != 0 &&
		    (a->t->time_us == 0 || !racy_at(s.mtime, a->t->time_us)) };
	v->nsteps[s.dir] = 0;
	/* read, and what was found was judged; not only forgotten */
	if (s.dir == 0 && s.mtime != 0)
		view_forget_former(v, a->t->boot);
	return true;
}

/*
 * Two deliveries may commit in the other order than they renamed: a step
 * waits for the one that leads to it.
 */
bool
apply_scanstep(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_scanstep s;
	struct scan_step *p;
	unsigned i, n;

	if (!op_scanstep_unpack(body, &s))
		return apply_refuse(a, "SCANSTEP is malformed");
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
