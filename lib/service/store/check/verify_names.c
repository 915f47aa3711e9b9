/*
 * verify_names - which file is which message's: the names in cur/ and new/
 * beside the journal, read until both stood still meanwhile. Only then is a
 * difference a finding.
 */
#include "service/store/verify_names_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define STILL_TRIES 10
#define TICK_MS	    10	  /* directory times are no coarser than this */
#define STRAYS_MAX  65536 /* names kept; more are counted */

struct state { /* what must not change while names are read */
	uint64_t mtime[3], ino;
};

static bool
state_get(struct box *b, struct state *s)
{
	struct stat cur, new, journal;

	*s = (struct state){ 0 };
	if (fstat(b->m.curfd, &cur) == -1 || fstat(b->m.newfd, &new) == -1 ||
	    fstatat(b->m.qfd, "journal", &journal, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	s->mtime[0] = stat_mtime(&cur);
	s->mtime[1] = stat_mtime(&new);
	s->mtime[2] = stat_mtime(&journal);
	s->ino = journal.st_ino;
	return true;
}

static bool
state_eq(const struct state *a, const struct state *b)
{
	return memcmp(a->mtime, b->mtime, sizeof(a->mtime)) == 0 &&
	       a->ino == b->ino;
}

/* A change right after a change need not show in the directory's time. */
static void
wait_tick(const struct state *s)
{
	const struct timespec tick = { 0, TICK_MS * 1000 * 1000 };
	uint64_t last = 0;
	size_t i;

	for (i = 0; i < 3; i++)
		last = s->mtime[i] > last ? s->mtime[i] : last;
	if (last / 1000000 + TICK_MS >= (uint64_t)date_now_us() / 1000)
		nanosleep(&tick, NULL);
}

static int
u64_cmp(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
}

static void
table_make(struct files *f)
{
	struct view *v = &f->b->m.v;
	uint32_t size = 64, i, at;

	while (size < 2 * v->n)
		size *= 2;
	f->mask = size - 1;
	f->table = xcalloc(size, sizeof(*f->table));
	f->seen = xcalloc(v->n + 1, 1);
	f->ino = xcalloc(v->n + 1, sizeof(*f->ino));
	for (i = 0; i < v->n; i++) {
		at = (uint32_t)v->uhash[i] & f->mask;
		while (f->table[at] != 0)
			at = (at + 1) & f->mask;
		f->table[at] = i + 1;
	}
	f->gone = xreallocarray(NULL, v->ngone + 1, sizeof(*f->gone));
	for (i = 0; i < v->ngone; i++)
		f->gone[i] = v->gone[i].uhash;
	qsort(f->gone, v->ngone, sizeof(*f->gone), u64_cmp);
}

void
files_release(struct files *f)
{
	size_t i;

	for (i = 0; i < f->nstrays; i++)
		free(f->strays[i].file);
	free(f->strays);
	free(f->table);
	free(f->seen);
	free(f->ino);
	free(f->gone);
	*f = (struct files){ .b = f->b, .v = f->v };
}

uint32_t
files_find(const struct files *f, const struct name *n, bool *is_exact)
{
	const struct view *v = &f->b->m.v;
	uint32_t bhash, at, row, found = v->n;
	uint64_t uhash;

	name_hashes(n->base, &uhash, &bhash);
	at = (uint32_t)uhash & f->mask;
	*is_exact = false;
	for (; f->table[at] != 0; at = (at + 1) & f->mask) {
		row = f->table[at] - 1;
		if (v->uhash[row] != uhash)
			continue;
		found = row;
		if (v->bhash[row] == bhash) {
			*is_exact = true;
			break;
		}
	}
	return found;
}

static void
see(struct files *f, const char *file, uint32_t dir, uint64_t ino)
{
	struct name n;
	bool is_exact;
	uint32_t row;

	if (!name_parse(str_from(file), &n))
		return;
	row = files_find(f, &n, &is_exact);
	if (is_exact && !f->seen[row]) {
		f->seen[row] = 1;
		f->ino[row] = ino;
		return;
	}
	if (f->nstrays == STRAYS_MAX) {
		f->lost++;
		return;
	}
	if (f->nstrays == f->cap) {
		f->cap = f->cap == 0 ? 16 : f->cap * 2;
		f->strays =
		    xreallocarray(f->strays, f->cap, sizeof(*f->strays));
	}
	f->strays[f->nstrays++] =
	    (struct stray){ xstrdup(file), dir, row, is_exact };
}

/* Others may show it. */
static void
tell_no_message(struct files *f, const struct dirent *de, bool is_file)
{
	if (f->is_last && de->d_name[0] != '.')
		verify_found(f->v, VERIFY_WARNING, "no-message", 0, de->d_name,
		    is_file ? "a name with control characters, or without a "
			      "part before its flags: rename it, it is not "
			      "shown" :
			      "no regular file: it is not shown");
}

bool
files_each(struct files *f, each_file *each)
{
	/* new/ first: what leaves it goes to cur/ */
	static const char *const subs[] = { "cur", "new" };
	struct dirent *de;
	struct name n;
	bool is_file;
	DIR *d;
	int i;

	for (i = 1; i >= 0; i--) {
		d = fs_read_dir(f->b->m.dirfd, subs[i]);
		if (d == NULL)
			return false;
		while ((de = readdir(d)) != NULL) {
			is_file =
			    de->d_type == DT_REG || de->d_type == DT_UNKNOWN;
			if (is_file && name_parse(str_from(de->d_name), &n))
				each(f, de->d_name, (uint32_t)i, de->d_ino);
			else
				tell_no_message(f, de, is_file);
		}
		closedir(d);
	}
	return true;
}

bool
files_read(struct files *f)
{
	struct state before, after;
	bool quiet = f->v->is_quiet, ok = false;
	int tries;

	f->v->is_quiet = true;
	for (tries = 0; tries < STILL_TRIES && !ok; tries++) {
		if (tries > 0)
			files_release(f);
		if (!state_get(f->b, &before))
			break;
		wait_tick(&before);
		if (verify_load(f->b) != READ_ALL)
			break;
		view_settle(&f->b->m.v);
		table_make(f);
		ok = files_each(f, see) && state_get(f->b, &after) &&
		     state_eq(&before, &after);
	}
	f->v->is_quiet = quiet;
	return ok;
}

int
files_dirfd(const struct files *f, uint32_t dir)
{
	return dir == 1 ? f->b->m.newfd : f->b->m.curfd;
}

bool
files_is_gone(const struct files *f, uint64_t uhash)
{
	return bsearch(&uhash, f->gone, f->b->m.v.ngone, sizeof(uhash),
		   u64_cmp) != NULL;
}
