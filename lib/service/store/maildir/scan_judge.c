/*
 * scan_judge - what an entry that is not as the journal says has to mean: a
 * flag that others set, a new message, a second name, a file of somebody who
 * is about to speak of it; and what it means that one is missing. Under the
 * writer's lock.
 */
#include "service/store/scan_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define LOSS_MIN 100

int64_t store_young_s = 60; /* a file may be somebody's business so long */

/* ---- names ---- */

static void
judge_name(struct scan *s, struct diff *d)
{
	struct view *v = &s->m->v;
	uint32_t theirs = d->fn, base = v->fn[d->row], delta;
	uint16_t st = v->st[d->row], add, rem, flags;
	uint64_t kwadd, kwrem;

	/* our own rename, its DONE lost; or one a power cut took back, or
	 * several of them */
	if (((st & (ST_INTENT | ST_OLDBOOT)) != 0 &&
		theirs == v->fnx[d->row]) ||
	    view_had_name(v, d->row, theirs))
		return;
	/* moved to new/ the flags are not gone, only not written */
	if (d->where == WHERE_NEW)
		return;
	delta = base ^ theirs;
	view_flags_of(v, delta & theirs, &add, &kwadd);
	view_flags_of(v, delta & base, &rem, &kwrem);
	flags = v->flags[d->row];
	d->add = (uint16_t)(add & ~flags);
	d->rem = rem & flags;
	d->kwadd = kwadd & ~v->kw[d->row];
	d->kwrem = kwrem & v->kw[d->row];
}

/* mbsync's ",U=7": the same message under a new base name. */
static void
judge_stray(struct scan *s, struct stray *x)
{
	struct view *v = &s->m->v;
	struct name n;
	struct diff *d;

	if (x->row >= s->n || x->is_duplicate || s->seen[x->row] ||
	    (v->st[x->row] & ST_GHOST) != 0)
		return;
	if (!name_parse(str_from(x->file), &n))
		return;
	s->seen[x->row] = 1;
	d = scan_add_diff(s, x->row, n.fn, scan_name_where(&n, x->dir));
	d->base = str_dup(n.base);
	d->extra = str_dup(n.extra);
	free(x->file);
	x->file = NULL;
}

/* false with errno */
static bool
put_aside(struct scan *s, const struct stray *x, const char *why,
    char to[NAME_LEN + 1])
{
	struct mailbox *m = s->m;
	uint64_t rnd;

	s->is_unstable = true;
	if (mailbox_expfd(m, NULL) == -1)
		return false;
	fs_random(&rnd, sizeof(rnd));
	snprintf(to, NAME_LEN + 1, "extra.%016llx", (unsigned long long)rnd);
	mailbox_log(m, 1, "store.aside", why);
	return step_rename(x->dir == 1 ? m->newfd : m->curfd, x->file, m->expfd,
		   to) == 0;
}

/* A directory entry of the account, by its row; false: none that is known. */
static bool
row_is_there(struct scan *s, uint32_t row)
{
	int fd = row_open_likely(s->m, row);

	if (fd != -1)
		close(fd);
	return fd != -1 || errno != ENOENT;
}

/*
 * Others may think the same of the other name, and not know what we do: after
 * ours is away theirs must be there, or it comes back.
 */
static void
put_name_aside(struct scan *s, const struct stray *x)
{
	struct mailbox *m = s->m;
	char to[NAME_LEN + 1];

	if (put_aside(s, x, "second name of a message", to) &&
	    !row_is_there(s, x->row))
		step_rename(
		    m->expfd, to, x->dir == 1 ? m->newfd : m->curfd, x->file);
}

/* Two files of one base name: the second gets a name of its own. */
static bool
make_distinct(struct scan *s, struct stray *x, const struct stat *st)
{
	struct mailbox *m = s->m;
	char base[NAME_LEN + 1], to[NAME_LEN + 1];
	struct name n;

	if (!name_parse(str_from(x->file), &n))
		return false;
	name_make(base, account_hostname(m->account), false);
	if (!name_with_info(to, str_from(base), n.fn, n.extra) ||
	    step_rename(
		x->dir == 1 ? m->newfd : m->curfd, x->file, m->curfd, to) == -1)
		return false;
	s->is_unstable = true; /* by our own rename */
	return arrivals_add(&s->new, to, 0, st);
}

/*
 * Of two entries of one base name the one that is called as we know it is the
 * row's, in whatever order they were read; the other is the stray.
 */
static void
keep_known_name(struct scan *s, struct stray *x)
{
	struct view *v = &s->m->v;
	char other[NAME_LEN + 1];
	struct name n;
	size_t i;

	if (!name_parse(str_from(x->file), &n) || n.fn != v->fn[x->row] ||
	    scan_name_where(&n, x->dir) != row_where(v, x->row))
		return;
	for (i = 0; i < s->ndiffs && s->diffs[i].row != x->row; i++)
		;
	if (i == s->ndiffs || s->diffs[i].base != NULL ||
	    s->diffs[i].where != WHERE_CUR ||
	    !name_with_info(other, n.base, s->diffs[i].fn, n.extra))
		return;
	s->diffs[i] = s->diffs[--s->ndiffs];
	free(x->file);
	x->file = xstrdup(other);
	x->dir = 0;
}

static void
judge_duplicate(struct scan *s, struct stray *x, const struct stat *st)
{
	struct stat first;
	int fd = row_open(s->m, x->row);
	bool known = fd != -1 && fstat(fd, &first) == 0;

	if (fd != -1)
		close(fd);
	if (!known)
		s->is_unstable = true;
	else if (first.st_ino != st->st_ino || first.st_dev != st->st_dev)
		make_distinct(s, x, st);
	else if (date_now() - st->st_ctim.tv_sec > store_young_s)
		put_name_aside(s, x);
	else
		s->is_unstable = true; /* somebody between link and unlink */
}

/*
 * A link that a COPY made and never registered: nobody has touched the file
 * since the moment its name tells. What others moved here, or restored, has
 * been touched later, and is a message whatever its name.
 */
static bool
is_left_over(const struct name *n, const struct stat *st)
{
	return n->is_ours && n->is_copy && st->st_nlink > 1 &&
	       st->st_ctim.tv_sec - n->seconds <= store_young_s;
}

static void
judge_newcomer(struct scan *s, struct stray *x)
{
	struct mailbox *m = s->m;
	struct name n;
	struct stat st;
	uint64_t uhash;
	uint32_t bhash, row;
	char aside[NAME_LEN + 1];
	struct gone_key *known;
	bool is_young;

	if (fstatat(x->dir == 1 ? m->newfd : m->curfd, x->file, &st,
		AT_SYMLINK_NOFOLLOW) == -1) {
		s->is_unstable = true;
		return;
	}
	if (!S_ISREG(st.st_mode) || !name_parse(str_from(x->file), &n))
		return;
	if (x->is_duplicate) {
		judge_duplicate(s, x, &st);
		return;
	}
	name_hashes(n.base, &uhash, &bhash);
	known = scan_gone(s, uhash);
	if (known != NULL) {
		/* where sessions that still show it will look */
		known->is_stuck =
		    mailbox_expfd(m, NULL) == -1 ||
		    !bury_name(m, x->dir == 1 ? m->newfd : m->curfd, x->file,
			known->uid);
		s->is_unstable = true;
		return;
	}
	/* registered while we read */
	for (row = s->n; row < m->v.n; row++)
		if (m->v.uhash[row] == uhash)
			return;
	is_young = date_now() - st.st_ctim.tv_sec <= store_young_s;
	if (n.is_ours && is_young && !s->has_register) {
		s->is_unstable = true;
		return;
	}
	if (is_left_over(&n, &st)) {
		if (is_young)
			s->is_unstable = true;
		else
			put_aside(s, x, "left over by a COPY", aside);
		return;
	}
	if (n.is_ours && n.size != 0 && n.size != (uint64_t)st.st_size) {
		mailbox_log(m, 1, "store.size", x->file);
		return; /* half written and never acknowledged */
	}
	arrivals_add(&s->new, x->file, x->dir, &st);
}

/* Any of the names a row's file may have; also between two renames. */
static bool
file_exists(struct scan *s, uint32_t row)
{
	struct mailbox *m = s->m;
	struct view *v = &m->v;
	struct cold cold;
	struct stat st;
	char name[NAME_LEN + 1];
	uint32_t fns[2] = { v->fn[row], v->fnx[row] };
	int i;

	/* its name is not known, but then it is in no directory: lost.c */
	if (!row_cold(m, row, &cold))
		return !s->stood_still || !s->reads[0] || !s->reads[1];
	for (i = 0; i < 2; i++)
		if (name_with_info(name, cold.base, fns[i], cold.extra) &&
		    (fstatat(m->curfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
			errno != ENOENT))
			return true;
	if (!str_copy(cold.base, name, sizeof(name)))
		return true;
	return fstatat(m->newfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       fstatat(m->curfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

size_t
scan_judge_missing(struct scan *s)
{
	struct view *v = &s->m->v;
	size_t n = 0;
	uint32_t row;

	op_begin(&s->m->ops, OP_EXPUNGE, 0);
	for (row = 0; row < s->n; row++) {
		uint32_t dir = (v->st[row] & ST_NEWDIR) != 0 ? 1 : 0;

		if (s->seen[row] || (v->st[row] & ST_GHOST) != 0 ||
		    !s->reads[dir])
			continue;
		if (file_exists(s, row)) {
			s->is_unstable = true;
			continue;
		}
		op_u32(&s->m->ops, v->uid[row]);
		op_u32(&s->m->ops, EXPUNGE_FOREIGN);
		op_u64(&s->m->ops, v->uhash[row]);
		n++;
	}
	op_end(&s->m->ops);
	return n;
}

bool
scan_is_mass_loss(const struct scan *s, size_t gone)
{
	const struct scan_state *known = &s->m->v.scan[0];
	bool other_dir = known->ino != 0 && (known->ino != s->st[0].st_ino ||
						known->dev != s->st[0].st_dev);

	return gone > LOSS_MIN &&
	       (s->nfiles == 0 || (other_dir && gone * 2 > s->m->v.c.exists));
}

void
scan_judge_strays(struct scan *s)
{
	size_t i;

	for (i = 0; i < s->nstrays; i++)
		if (s->strays[i].is_duplicate)
			keep_known_name(s, &s->strays[i]);
		else
			judge_stray(s, &s->strays[i]);
	for (i = 0; i < s->nstrays; i++)
		if (s->strays[i].file != NULL)
			judge_newcomer(s, &s->strays[i]);
}

void
scan_judge_names(struct scan *s)
{
	size_t i;

	for (i = 0; i < s->ndiffs; i++)
		if ((s->m->v.st[s->diffs[i].row] & ST_GHOST) == 0)
			judge_name(s, &s->diffs[i]);
}
