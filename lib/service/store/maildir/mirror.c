/*
 * mirror - making file names say what the journal says.
 *
 * 1. Three states (doc/format-store.md, "Names follow"): INTENT, written
 *    before the rename; DONE, written after it; durable with the next index.
 * 2. A rename never replaces and is made from the name we believe in. A file
 *    that is not there is left to the next scan, which merges.
 * 3. Everything between the directory's state before and the SCANSTEP in the
 *    journal happens under byte 3: nobody reads a directory because of us.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>

#include "system/fs/fs.h"

uint64_t
stat_mtime(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u +
	       (uint64_t)st->st_mtim.tv_nsec;
}

static void
mtimes(struct mailbox *m, uint64_t out[2])
{
	struct stat st;

	out[0] = fstat(m->curfd, &st) == 0 ? stat_mtime(&st) : 0;
	out[1] = fstat(m->newfd, &st) == 0 ? stat_mtime(&st) : 0;
}

void
scan_mark(struct mailbox *m, struct scan_mark *mark)
{
	mtimes(m, mark->before);
}

void
scan_mark_end(struct mailbox *m, struct scan_mark *mark)
{
	mtimes(m, mark->after);
}

void
scan_note(struct mailbox *m, const struct scan_mark *mark, struct ops *o)
{
	struct op_scanstep s;

	(void)m;
	for (s.dir = 0; s.dir < 2; s.dir++) {
		s.before = mark->before[s.dir];
		s.after = mark->after[s.dir];
		if (s.before != s.after)
			op_scanstep_pack(o, &s);
	}
}

struct todo {
	uint32_t uid, want;
	bool is_done, is_revoked;
};

/* A rename was meant and is meant no more: flags set and taken back. */
static bool
is_revoked(const struct view *v, uint32_t row, uint32_t want)
{
	return (v->st[row] & (ST_NEWDIR | ST_BARE | ST_INTENT)) == ST_INTENT &&
	       want == v->fn[row];
}

bool
view_is_behind(const struct view *v, uint32_t row, uint32_t *want)
{
	*want = view_want_fn(v, v->flags[row], v->kw[row], v->fn[row]);
	return (v->st[row] & ST_GHOST) == 0 &&
	       (*want != v->fn[row] || (v->st[row] & ST_NEWDIR) != 0 ||
		   is_revoked(v, row, *want));
}

/* The next rows whose names are behind; moves mirror_lo past them. */
static unsigned
collect(struct view *v, struct todo *t, unsigned max)
{
	uint32_t row = view_lower(v, v->mirror_lo), want;
	unsigned n = 0;

	for (; row < v->n && v->uid[row] <= v->mirror_hi && n < max; row++)
		if (view_is_behind(v, row, &want))
			t[n++] = (struct todo){ .uid = v->uid[row],
				.want = want,
				.is_revoked = is_revoked(v, row, want) };
	if (row < v->n && v->uid[row] <= v->mirror_hi)
		v->mirror_lo = v->uid[row];
	else {
		v->mirror_lo = 1;
		v->mirror_hi = 0;
	}
	return n;
}

uint32_t
row_where(const struct view *v, uint32_t row)
{
	return (v->st[row] & ST_NEWDIR) != 0 ? WHERE_NEW :
	       (v->st[row] & ST_BARE) != 0   ? WHERE_BARE :
					       WHERE_CUR;
}

/* The name we believe in, and the directory it is in. */
static bool
known_name(struct mailbox *m, uint32_t row, const struct cold *cold, int *dirfd,
    char out[NAME_LEN + 1])
{
	const struct view *v = &m->v;

	*dirfd = (v->st[row] & ST_NEWDIR) != 0 ? m->newfd : m->curfd;
	return (v->st[row] & (ST_NEWDIR | ST_BARE)) != 0 ?
		   str_copy(cold->base, out, NAME_LEN + 1) :
		   name_with_info(out, cold->base, v->fn[row], cold->extra);
}

bool
row_is_called_as_known(struct mailbox *m, uint32_t row)
{
	char name[NAME_LEN + 1];
	struct cold cold;
	struct stat st;
	int dirfd;

	return row_cold(m, row, &cold) &&
	       known_name(m, row, &cold, &dirfd, name) &&
	       fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
rename_one(struct mailbox *m, uint32_t row, uint32_t want)
{
	struct view *v = &m->v;
	char from[NAME_LEN + 1], to[NAME_LEN + 1];
	struct cold cold;
	int fromfd;

	if (!row_cold(m, row, &cold) ||
	    !name_with_info(to, cold.base, want, cold.extra) ||
	    !known_name(m, row, &cold, &fromfd, from))
		return false;
	if (is_revoked(v, row, want)) {
		/* if it happened after all, it is undone */
		return name_with_info(
			   from, cold.base, v->fnx[row], cold.extra) &&
		       (step_rename(m->curfd, from, m->curfd, to) == 0 ||
			   errno == ENOENT);
	}
	if (step_rename(fromfd, from, m->curfd, to) == 0)
		return true;
	if (errno == ENOENT || errno == EEXIST)
		m->must_scan = true;
	return false;
}

static int
append_intents(
    struct mailbox *m, const struct todo *t, unsigned n, struct err *e)
{
	struct view *v = &m->v;
	unsigned i;
	size_t k = 0;

	op_begin(&m->ops, OP_FN, 0);
	for (i = 0; i < n; i++) {
		uint32_t row = view_row(v, t[i].uid);

		if (row == v->n || t[i].is_revoked ||
		    ((v->st[row] & ST_INTENT) != 0 && v->fnx[row] == t[i].want))
			continue;
		op_u32(&m->ops, t[i].uid);
		op_u32(&m->ops, t[i].want);
		k++;
	}
	op_end(&m->ops);
	if (k == 0) {
		ops_clear(&m->ops);
		return 0;
	}
	return mailbox_append(m, 0, true, false, e);
}

static int
append_done(struct mailbox *m, const struct todo *t, unsigned n,
    const struct scan_mark *mark, struct err *e)
{
	struct view *v = &m->v;
	unsigned i, k;

	op_begin(&m->ops, OP_FNDONE, 0);
	for (i = 0; i < n; i = k + 1) {
		k = i;
		if (!t[i].is_done || t[i].is_revoked)
			continue;
		/* one range for neighbours; not over a row between, which may
		 * have an intent of its own */
		while (k + 1 < n && t[k + 1].is_done && !t[k + 1].is_revoked &&
		       view_row(v, t[k + 1].uid) == view_row(v, t[k].uid) + 1)
			k++;
		op_u32(&m->ops, t[i].uid);
		op_u32(&m->ops, t[k].uid);
	}
	op_end(&m->ops);
	op_begin(&m->ops, OP_MERGED, 0);
	for (i = 0; i < n; i++)
		if (t[i].is_done && t[i].is_revoked) {
			op_u32(&m->ops, t[i].uid);
			op_u32(&m->ops, t[i].want);
			op_u32(&m->ops, WHERE_CUR);
		}
	op_end(&m->ops);
	scan_note(m, mark, &m->ops);
	return mailbox_append(m, 0, true, false, e);
}

static int
mirror_locked(struct mailbox *m, unsigned max, struct err *e)
{
	struct todo t[MIRROR_BATCH];
	struct scan_mark mark;
	unsigned n, i;
	int done = 0;

	/* under the lock: what another session renamed meanwhile is known */
	n = collect(&m->v, t, max);
	if (n == 0)
		return 0;
	if (append_intents(m, t, n, e) == -1)
		return -1;
	scan_mark(m, &mark);
	for (i = 0; i < n; i++) {
		uint32_t row = view_row(&m->v, t[i].uid);

		t[i].is_done = row < m->v.n && rename_one(m, row, t[i].want);
		done += t[i].is_done;
	}
	scan_mark_end(m, &mark);
	if (done > 0 && append_done(m, t, n, &mark, e) == -1)
		return -1;
	return done;
}

int
mailbox_mirror(struct mailbox *m, unsigned n, struct err *e)
{
	int rc = -1;

	if (m->v.mirror_lo > m->v.mirror_hi || m->j.readonly)
		return 0;
	if (n > MIRROR_BATCH)
		n = MIRROR_BATCH;
	if (!coexist_begin_renaming(m))
		return 0;
	if (fs_lock(m->j.lockfd, LOCK_SCAN, true, m->j.lock_ms, e) == 0) {
		if (mailbox_lock(m, e) == 0) {
			rc = mirror_locked(m, n, e);
			ops_clear(&m->ops);
			mailbox_unlock(m);
		}
		fs_unlock(m->j.lockfd, LOCK_SCAN);
	}
	coexist_end(m);
	return rc;
}
