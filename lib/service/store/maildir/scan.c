/*
 * scan - taking in what others did to the Maildir.
 *
 * 1. The directories are read only when their state is not the one the
 *    journal knows; whoever is about to register files of ours is waited for
 *    (byte 4), who renames is waited for (byte 3).
 * 2. Names are merged three ways: the name we know, the name now, the flags.
 *    Both sides' changes survive; of the same bit the later scan's.
 * 3. A scan never unlinks. What is one name too many goes to quire/exp.
 * 4. A file is gone when its names are, in directories that stood still
 *    while they were read. When everything is gone nothing is believed.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define STABLE_TRIES 5
#define REGISTER_MS  50 /* a deliverer needs one sync */
#define LOSS_MIN     100
#define MAX_FILES    20000000u

int64_t store_young_s = 60; /* a file may be somebody's business so long */

struct diff { /* a row whose file has another name */
	uint32_t row, fn, where;
	char *base; /* new base name, or NULL */
	char *extra;
	uint16_t add, rem;
	uint64_t kwadd, kwrem;
};

struct stray { /* an entry that is no row's, or not surely */
	char *file;
	uint32_t dir, row; /* row: whose unique part it has, or n */
	bool is_duplicate;
};

struct gone_key { /* an expunged message whose file may be there */
	uint64_t uhash;
	uint32_t uid;
	bool is_stuck; /* its file is there and cannot be moved */
};

struct scan {
	struct mailbox *m;
	uint32_t *table, mask, n; /* n: rows when the table was made */
	uint8_t *seen;
	struct diff *diffs;
	size_t ndiffs, diffcap;
	struct stray *strays;
	size_t nstrays, straycap;
	struct arrivals new;
	struct gone_key *gone; /* when the table was made */
	size_t ngone;
	bool stood_still;
	struct stat st[2];
	bool reads[2];
	size_t nfiles;
	bool has_register; /* nobody is about to register a file */
	bool is_unstable;  /* something must be looked at again */
	bool is_loss;
	bool has_changes;
	struct import import;
};

bool
scan_is_due(struct mailbox *m)
{
	int fds[2] = { m->curfd, m->newfd }, i;
	struct stat st;

	if (m->must_scan)
		return true;
	for (i = 0; i < 2; i++) {
		if (fstat(fds[i], &st) == -1 ||
		    (stat_mtime(&st) == m->v.scan[i].mtime &&
			racy_due_ms(m, i) != 0))
			continue;
		if (stat_mtime(&st) != m->young_mtime[i] ||
		    date_mono_ms() >= m->young_until)
			return true;
	}
	return false;
}

/* ---- finding rows ---- */

static int
gone_cmp(const void *va, const void *vb)
{
	const struct gone_key *a = va, *b = vb;

	return a->uhash < b->uhash ? -1 : a->uhash > b->uhash;
}

/* Files of expunged messages are no new messages. */
static struct gone_key *
gone_keys(const struct view *v)
{
	struct gone_key *k = xreallocarray(NULL, v->ngone + 1, sizeof(*k));
	size_t i;

	for (i = 0; i < v->ngone; i++)
		k[i] = (struct gone_key){ .uhash = v->gone[i].uhash,
			.uid = v->gone[i].uid };
	if (v->ngone > 1)
		qsort(k, v->ngone, sizeof(*k), gone_cmp);
	return k;
}

static void
table_make(struct scan *s)
{
	struct view *v = &s->m->v;
	uint32_t size = 64, i, at;

	while (size < 2 * v->n)
		size *= 2;
	s->mask = size - 1;
	s->n = v->n;
	s->gone = gone_keys(v);
	s->ngone = v->ngone;
	s->table = xcalloc(size, sizeof(*s->table));
	s->seen = xcalloc(v->n, 1);
	for (i = 0; i < v->n; i++) {
		if ((v->st[i] & ST_GHOST) != 0)
			continue;
		at = (uint32_t)v->uhash[i] & s->mask;
		while (s->table[at] != 0)
			at = (at + 1) & s->mask;
		s->table[at] = i + 1;
	}
}

/* The row of exactly this base name, else one of the same unique part. */
static uint32_t
table_find(const struct scan *s, uint64_t uhash, uint32_t bhash, bool *is_exact)
{
	const struct view *v = &s->m->v;
	uint32_t at = (uint32_t)uhash & s->mask, row, found = s->n;

	*is_exact = false;
	for (; s->table[at] != 0; at = (at + 1) & s->mask) {
		row = s->table[at] - 1;
		if (v->uhash[row] != uhash)
			continue;
		if (v->bhash[row] == bhash) {
			*is_exact = true;
			return row;
		}
		found = row;
	}
	return found;
}

static void
add_stray(struct scan *s, const char *file, uint32_t dir, uint32_t row,
    bool is_duplicate)
{
	if (s->nstrays == s->straycap) {
		s->straycap = s->straycap == 0 ? 16 : s->straycap * 2;
		s->strays =
		    xreallocarray(s->strays, s->straycap, sizeof(*s->strays));
	}
	s->strays[s->nstrays++] =
	    (struct stray){ xstrdup(file), dir, row, is_duplicate };
}

static struct diff *
add_diff(struct scan *s, uint32_t row, uint32_t fn, uint32_t where)
{
	if (s->ndiffs == s->diffcap) {
		s->diffcap = s->diffcap == 0 ? 16 : s->diffcap * 2;
		s->diffs =
		    xreallocarray(s->diffs, s->diffcap, sizeof(*s->diffs));
	}
	s->diffs[s->ndiffs] =
	    (struct diff){ .row = row, .fn = fn, .where = where };
	return &s->diffs[s->ndiffs++];
}

static uint32_t
row_where(const struct view *v, uint32_t row)
{
	return (v->st[row] & ST_NEWDIR) != 0 ? WHERE_NEW :
	       (v->st[row] & ST_BARE) != 0   ? WHERE_BARE :
					       WHERE_CUR;
}

static uint32_t
name_where(const struct name *n, uint32_t dir)
{
	return dir == 1 ? WHERE_NEW : n->has_info ? WHERE_CUR : WHERE_BARE;
}

/* This entry is this row's file. */
static struct diff *
take(struct scan *s, uint32_t row, const struct name *n, uint32_t dir)
{
	struct view *v = &s->m->v;
	uint32_t where = name_where(n, dir);

	s->seen[row] = 1;
	if (n->fn == v->fn[row] && where == row_where(v, row) &&
	    (v->st[row] & ST_OLDBOOT) == 0)
		return NULL;
	return add_diff(s, row, n->fn, where);
}

static void
see(struct scan *s, const char *file, uint32_t dir)
{
	struct name n;
	uint64_t uhash;
	uint32_t bhash, row;
	bool is_exact;

	if (!name_parse(str_from(file), &n))
		return;
	s->nfiles++;
	/* Flags mean nothing in new/; who wrote them meant cur/. The
	 * directories are then read again. */
	if (dir == 1 && n.has_info) {
		step_rename(s->m->newfd, file, s->m->curfd, file);
		return;
	}
	name_hashes(n.base, &uhash, &bhash);
	row = table_find(s, uhash, bhash, &is_exact);
	if (!is_exact)
		add_stray(s, file, dir, row, false);
	else if (s->seen[row])
		add_stray(s, file, dir, row, true);
	else
		take(s, row, &n, dir);
}

static int
read_dir(struct scan *s, uint32_t dir, struct err *e)
{
	const char *sub = dir == 1 ? "new" : "cur";
	int fd = fs_open_dir(s->m->dirfd, sub);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *de;
	int rc = 0;

	if (d == NULL) {
		err_sys(e, "read %s", sub);
		if (fd != -1)
			close(fd);
		return -1;
	}
	while ((errno = 0, de = readdir(d)) != NULL && s->nfiles < MAX_FILES)
		if (de->d_type == DT_REG || de->d_type == DT_UNKNOWN)
			see(s, de->d_name, dir);
	if (errno != 0)
		rc = err_sys(e, "read %s", sub);
	closedir(d);
	return rc;
}

static void
clear(struct scan *s)
{
	size_t i;

	for (i = 0; i < s->ndiffs; i++) {
		free(s->diffs[i].base);
		free(s->diffs[i].extra);
	}
	for (i = 0; i < s->nstrays; i++)
		free(s->strays[i].file);
	s->ndiffs = s->nstrays = s->nfiles = 0;
	free(s->table);
	free(s->seen);
	free(s->gone);
	s->gone = NULL;
	s->table = NULL;
	s->seen = NULL;
	arrivals_release(&s->new);
}

/* Both directories as they stand, not as they change. */
static int
read_stable(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	int fds[2] = { m->curfd, m->newfd }, tries, i;
	struct stat after;
	bool changed = true;

	for (tries = 0; changed && tries < STABLE_TRIES; tries++) {
		coexist_touch(m);
		clear(s);
		table_make(s);
		changed = false;
		for (i = 0; i < 2; i++) {
			if (fstat(fds[i], &s->st[i]) == -1)
				return err_sys(e, "stat Maildir");
			/* new/ is small, and a file that left it must be
			 * looked for in cur/ */
			s->reads[i] =
			    i == 1 || m->must_scan ||
			    m->v.scan[i].mtime != stat_mtime(&s->st[i]) ||
			    racy_due_ms(m, i) == 0;
		}
		for (i = 1; i >= 0; i--)
			if (s->reads[i] && read_dir(s, (uint32_t)i, e) == -1)
				return -1;
		for (i = 0; i < 2; i++)
			changed |= fstat(fds[i], &after) == -1 ||
				   stat_mtime(&after) != stat_mtime(&s->st[i]);
	}
	s->stood_still = !changed;
	s->is_unstable |= changed;
	return 0;
}

/* ---- judging, under the writer's lock ---- */

static void
judge_name(struct scan *s, struct diff *d)
{
	struct view *v = &s->m->v;
	uint32_t theirs = d->fn, base = v->fn[d->row], delta;
	uint16_t st = v->st[d->row], add, rem, flags;
	uint64_t kwadd, kwrem;

	/* our own rename, its DONE lost; or one a power cut took back */
	if ((st & (ST_INTENT | ST_OLDBOOT)) != 0 && theirs == v->fnx[d->row])
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
	d = add_diff(s, x->row, n.fn, name_where(&n, x->dir));
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
	    name_where(&n, x->dir) != row_where(v, x->row))
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
	struct gone_key key, *known;
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
	key.uhash = uhash;
	known = s->ngone == 0 ? NULL :
				bsearch(&key, s->gone, s->ngone,
				    sizeof(*s->gone), gone_cmp);
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

static size_t
judge_missing(struct scan *s)
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

/* An unmounted disk, a half restored backup: not a user's wish. */
static bool
is_mass_loss(const struct scan *s, size_t gone)
{
	const struct scan_state *known = &s->m->v.scan[0];
	bool other_dir = known->ino != 0 && (known->ino != s->st[0].st_ino ||
						known->dev != s->st[0].st_dev);

	return gone > LOSS_MIN &&
	       (s->nfiles == 0 || (other_dir && gone * 2 > s->m->v.c.exists));
}

/* ---- writing it down ---- */

static int
diff_cmp(const void *va, const void *vb)
{
	const struct diff *a = va, *b = vb;

	if (a->add != b->add)
		return a->add < b->add ? -1 : 1;
	if (a->rem != b->rem)
		return a->rem < b->rem ? -1 : 1;
	if (a->kwadd != b->kwadd)
		return a->kwadd < b->kwadd ? -1 : 1;
	if (a->kwrem != b->kwrem)
		return a->kwrem < b->kwrem ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static bool
same_masks(const struct diff *a, const struct diff *b)
{
	return a->add == b->add && a->rem == b->rem && a->kwadd == b->kwadd &&
	       a->kwrem == b->kwrem;
}

static void
pack_flags(struct scan *s)
{
	struct view *v = &s->m->v;
	struct ops *o = &s->m->ops;
	size_t i = 0, k;

	if (s->ndiffs > 1)
		qsort(s->diffs, s->ndiffs, sizeof(*s->diffs), diff_cmp);
	while (i < s->ndiffs) {
		struct diff *d = &s->diffs[i];
		struct op_flags f = { .add = d->add,
			.rem = d->rem,
			.kwadd = d->kwadd,
			.kwrem = d->kwrem };

		for (k = i; k < s->ndiffs && same_masks(&s->diffs[k], d);)
			k++;
		if ((f.add | f.rem) != 0 || (f.kwadd | f.kwrem) != 0) {
			op_flags_begin(o, &f);
			for (; i < k; i++) {
				op_u32(o, v->uid[s->diffs[i].row]);
				op_u32(o, v->uid[s->diffs[i].row]);
			}
			op_end(o);
			s->has_changes = true;
		}
		i = k;
	}
}

static void
pack_merged(struct scan *s)
{
	struct view *v = &s->m->v;
	struct ops *o = &s->m->ops;
	bool is_renamed = false;
	size_t i;

	for (i = 0; i < s->ndiffs; i++)
		if (s->diffs[i].base != NULL) {
			struct op_name r = { v->uid[s->diffs[i].row],
				str_from(s->diffs[i].base),
				str_from(s->diffs[i].extra) };

			op_name_pack(o, OP_RENAME, &r);
			is_renamed = true;
		}
	if (is_renamed)
		export_forget(s->m);
	if (s->ndiffs == 0)
		return;
	op_begin(o, OP_MERGED, 0);
	for (i = 0; i < s->ndiffs; i++) {
		op_u32(o, v->uid[s->diffs[i].row]);
		op_u32(o, s->diffs[i].fn);
		op_u32(o, s->diffs[i].where);
	}
	op_end(o);
}

static void
pack_new(struct scan *s)
{
	struct mailbox *m = s->m;
	uint64_t modseq = journal_next_modseq(&m->j);
	uint32_t uid = m->v.c.uidnext;
	size_t i;

	arrivals_sort(&s->new);
	for (i = 0; i < s->new.n &&uid < UINT32_MAX; i++) {
		struct arrival *f = &s->new.v[i];

		if (s->new.n <= MEASURE_MAX)
			arrival_measure(m, f);
		coexist_touch(m);
		uid = import_uid(&s->import, f->uid, uid);
		arrival_pack(&m->ops, &m->v, f, uid++, modseq);
		s->has_changes = true;
	}
	s->has_changes |= import_pack(m, &s->import, uid);
}

/*
 * Both directories were read as they stood: what was expunged before has been
 * moved away by now, or is not there.
 */
static void
pack_buried(struct scan *s)
{
	size_t i;

	if (!s->stood_still || !s->reads[0] || !s->reads[1] || s->ngone == 0)
		return;
	op_begin(&s->m->ops, OP_BURIED, 0);
	for (i = 0; i < s->ngone; i++)
		if (!s->gone[i].is_stuck) {
			op_u32(&s->m->ops, s->gone[i].uid);
			op_u32(&s->m->ops, s->gone[i].uid);
		}
	op_end(&s->m->ops);
}

static void
pack_state(struct scan *s)
{
	uint32_t i;

	for (i = 0; i < 2; i++) {
		struct op_scan o = { .dir = i,
			.is_stable = 1,
			.dev = s->st[i].st_dev,
			.ino = s->st[i].st_ino,
			.mtime = stat_mtime(&s->st[i]),
			.nfiles = s->nfiles };

		if (s->reads[i] && (s->m->v.scan[i].mtime != o.mtime ||
				       !s->m->v.scan[i].is_stable))
			op_scan_pack(&s->m->ops, &o);
	}
}

/* Letters that only dovecot-keywords can name, or P without its keyword. */
static int
define_letters(struct scan *s, struct err *e)
{
	struct view *v = &s->m->v;
	struct op_name fwd = { 0, STR("$Forwarded"), STR("") };
	uint32_t used = 0, known;
	struct name n;
	size_t i;

	for (i = 0; i < s->ndiffs; i++)
		used |= s->diffs[i].fn;
	for (i = 0; i < s->new.n; i++)
		if (name_parse(str_from(s->new.v[i].file), &n))
			used |= n.fn;
	known = v->nkeywords >= FN_LETTERS ? ~0u : FN_LETTER(v->nkeywords) - 1;
	if ((used & ~known) == 0 && ((used & FN_P) == 0 || v->forwarded >= 0))
		return 0;
	/* apart, so that what follows can use them */
	keywords_read(s->m->dirfd, v, &s->m->ops);
	if (mailbox_append(s->m, TXN_FOREIGN, true, false, e) == -1)
		return -1;
	if ((used & FN_P) == 0 || v->forwarded >= 0 ||
	    v->nkeywords == STORE_MAX_KEYWORDS)
		return 0;
	fwd.number = v->nkeywords;
	op_name_pack(&s->m->ops, OP_KWDEF, &fwd);
	if (mailbox_append(s->m, TXN_FOREIGN, true, false, e) == -1)
		return -1;
	/* its letter will be in names: it must have one for others too */
	if (fwd.number < FN_LETTERS)
		keywords_write(s->m);
	return 0;
}

/*
 * What another server's list says of the new files. One it names and we have
 * not seen, in a directory that did not stand still, is there all the same:
 * then nothing new is taken in before it is found.
 */
static void
import(struct scan *s)
{
	struct mailbox *m = s->m;

	import_begin(m, &s->import);
	import_assign(m, &s->import, &s->new);
	import_compare(m, &s->import);
	if (s->stood_still || s->import.nunknown <= s->import.nfound)
		return;
	import_release(&s->import);
	s->import = (struct import){ .next = 1 };
	arrivals_release(&s->new);
	m->import_waits = true;
}

static int
settle(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	size_t i, missing;

	for (i = 0; i < s->nstrays; i++)
		if (s->strays[i].is_duplicate)
			keep_known_name(s, &s->strays[i]);
		else
			judge_stray(s, &s->strays[i]);
	for (i = 0; i < s->nstrays; i++)
		if (s->strays[i].file != NULL)
			judge_newcomer(s, &s->strays[i]);
	import(s);
	if (define_letters(s, e) == -1)
		return -1;
	for (i = 0; i < s->ndiffs; i++)
		if ((m->v.st[s->diffs[i].row] & ST_GHOST) == 0)
			judge_name(s, &s->diffs[i]);
	missing = judge_missing(s);
	if (missing == 0 || is_mass_loss(s, missing)) {
		s->is_loss = missing > 0;
		ops_clear(&m->ops);
	} else
		s->has_changes = true;
	pack_flags(s);
	pack_merged(s);
	pack_new(s);
	pack_buried(s);
	if (!s->is_unstable && !s->is_loss)
		pack_state(s);
	/* Makes true the UIDs that sessions are about to show. */
	return mailbox_append(
	    m, TXN_FOREIGN, !s->has_changes, s->has_changes, e);
}

static int
scan_locked(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	int rc, i;

	/* with the tail applied: perhaps it was one of us after all */
	if (mailbox_follow(m, e) == -1)
		return -1;
	if (m->is_dead || !scan_is_due(m))
		return 0;
	if (read_stable(s, e) == -1 || mailbox_lock(m, e) == -1)
		return -1;
	rc = settle(s, e);
	ops_clear(&m->ops);
	mailbox_unlock(m);
	if (rc == 0)
		import_done(m, &s->import);
	import_release(&s->import);
	if (rc == -1)
		return -1;
	m->must_scan = !s->stood_still && m->must_scan;
	if (s->is_loss)
		mailbox_log(m, 0, "store.massloss",
		    "all files are gone: nothing is expunged");
	if (s->is_unstable || s->is_loss) {
		for (i = 0; i < 2; i++)
			m->young_mtime[i] = stat_mtime(&s->st[i]);
		m->young_until = date_mono_ms() + store_young_s * 1000;
	}
	return 0;
}

int
mailbox_scan(struct mailbox *m, struct err *e)
{
	struct scan s = { .m = m };
	struct err ignored;
	int rc = -1;

	if (mailbox_follow(m, e) == -1)
		return -1;
	if (m->is_dead || !scan_is_due(m))
		return 0;
	/* it gives out UIDs; a server that is at it has us look later */
	if (coexist_begin(m, COEXIST_SCAN_MS, e) == -1)
		return e != NULL && e->kind != ERR_TEMP ? -1 : 0;
	s.has_register = fs_lock(m->j.lockfd, LOCK_REGISTER, true, REGISTER_MS,
			     &ignored) == 0;
	if (fs_lock(m->j.lockfd, LOCK_SCAN, true, STORE_LOCK_MS, e) == 0) {
		rc = scan_locked(&s, e);
		fs_unlock(m->j.lockfd, LOCK_SCAN);
	}
	if (s.has_register)
		fs_unlock(m->j.lockfd, LOCK_REGISTER);
	coexist_end(m);
	clear(&s);
	free(s.diffs);
	free(s.strays);
	return rc;
}
