/*
 * scan_read - the directories as they stand, against the rows: whose file is
 * which entry, and which entries are nobody's.
 */
#include "service/store/scan_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define STABLE_TRIES 5
#define MAX_FILES    20000000u

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

struct gone_key *
scan_gone(const struct scan *s, uint64_t uhash)
{
	struct gone_key key = { .uhash = uhash };

	return s->ngone == 0 ?
		   NULL :
		   bsearch(&key, s->gone, s->ngone, sizeof(*s->gone), gone_cmp);
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

struct diff *
scan_add_diff(struct scan *s, uint32_t row, uint32_t fn, uint32_t where)
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

uint32_t
scan_name_where(const struct name *n, uint32_t dir)
{
	return dir == 1 ? WHERE_NEW : n->has_info ? WHERE_CUR : WHERE_BARE;
}

/* This entry is this row's file. */
static struct diff *
take(struct scan *s, uint32_t row, const struct name *n, uint32_t dir)
{
	struct view *v = &s->m->v;
	uint32_t where = scan_name_where(n, dir);

	s->seen[row] = 1;
	if (n->fn == v->fn[row] && where == row_where(v, row) &&
	    (v->st[row] & ST_OLDBOOT) == 0)
		return NULL;
	return scan_add_diff(s, row, n->fn, where);
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
	DIR *d = fs_read_dir(s->m->dirfd, sub);
	struct dirent *de;
	int rc = 0;

	if (d == NULL)
		return err_sys(e, "read %s", sub);
	while ((errno = 0, de = readdir(d)) != NULL && s->nfiles < MAX_FILES)
		if (de->d_type == DT_REG || de->d_type == DT_UNKNOWN)
			see(s, de->d_name, dir);
	if (errno != 0)
		rc = err_sys(e, "read %s", sub);
	closedir(d);
	return rc;
}

void
scan_clear(struct scan *s)
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

int
scan_read_stable(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	int fds[2] = { m->curfd, m->newfd }, tries, i;
	struct stat after;
	bool changed = true;

	for (tries = 0; changed && tries < STABLE_TRIES; tries++) {
		coexist_touch(m);
		scan_clear(s);
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
