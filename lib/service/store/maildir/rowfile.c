/*
 * rowfile - the file of a message, where it is and where it may have gone.
 *
 * 1. Its name is what the journal says, or what a rename means to make of it:
 *    no directory is read.
 * 2. One that others expunged is in exp/, and one that others moved is in
 *    the mailbox it went to: a session that still shows it goes on reading.
 * 3. A file that other programs renamed is looked for in the directories,
 *    once at each state of the journal and of them, for all rows together.
 */
#include "service/store/index_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define STRAY_READS 4 /* of the directories, for one message */

static int
try_open(int dirfd, struct str base, const uint32_t *fn, struct str extra)
{
	char name[NAME_LEN + 1];

	if (fn == NULL) {
		if (!str_copy(base, name, sizeof(name))) {
			errno = ENOENT;
			return -1;
		}
	} else if (!name_with_info(name, base, *fn, extra)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return fs_open_file(dirfd, name, O_RDONLY, 0);
}

int
row_open_likely(struct mailbox *m, uint32_t row)
{
	struct view *v = &m->v;
	char base_buf[NAME_LEN + 1], extra_buf[32];
	struct str base, extra;
	struct cold cold;
	int fd;

	errno = ENOENT;
	if (!row_cold(m, row, &cold) ||
	    !str_copy(cold.base, base_buf, sizeof(base_buf)) ||
	    !str_copy(cold.extra, extra_buf, sizeof(extra_buf)))
		return -1;
	base = str_make(base_buf, cold.base.n);
	extra = str_make(extra_buf, cold.extra.n);
	if ((v->st[row] & ST_NEWDIR) != 0 &&
	    ((fd = try_open(m->newfd, base, NULL, extra)) != -1 ||
		errno != ENOENT))
		return fd;
	if ((v->st[row] & ST_BARE) != 0 &&
	    ((fd = try_open(m->curfd, base, NULL, extra)) != -1 ||
		errno != ENOENT))
		return fd;
	fd = try_open(m->curfd, base, &v->fn[row], extra);
	if (fd == -1 && errno == ENOENT && v->fnx[row] != v->fn[row])
		fd = try_open(m->curfd, base, &v->fnx[row], extra);
	if (fd == -1 && errno == ENOENT)
		fd = try_open(m->newfd, base, NULL, extra);
	if (fd == -1 && errno == ENOENT)
		fd = try_open(m->curfd, base, NULL, extra);
	return fd;
}

/* ---- expunged, or moved ---- */

static int
open_expunged(struct mailbox *m, uint32_t uid)
{
	char name[16];
	struct buf b;

	buf_init(&b, sizeof(name));
	buf_put_uint(&b, uid);
	str_copy(buf_str(&b), name, sizeof(name));
	buf_release(&b);
	if (m->expfd == -1)
		m->expfd = fs_open_dir(m->qfd, "exp");
	return m->expfd == -1 ? -1 : fs_open_file(m->expfd, name, O_RDONLY, 0);
}

static bool
is_same_message(struct mailbox *a, uint32_t row, struct mailbox *b, uint32_t to)
{
	struct cold ca, cb;

	return row_cold(a, row, &ca) && row_cold(b, to, &cb) &&
	       memcmp(ca.emailid, cb.emailid, 16) == 0;
}

/* MOVED says where to. As long as it is there; not from there on again. */
static int
open_moved(struct mailbox *m, uint32_t row)
{
	uint8_t id[16];
	uint32_t to = view_moved(&m->v, m->v.uid[row], id), there;
	struct mailbox *target;
	int fd = -1;

	if (to == 0 ||
	    account_open_by_id(m->account, id, &target, NULL) == -1 ||
	    target == NULL)
		return -1;
	there = view_row(&target->v, to);
	if (there < target->v.n && is_same_message(m, row, target, there))
		fd = row_open_likely(target, there);
	mailbox_release(target);
	return fd;
}

/* ---- renamed by others ---- */

struct strays {		   /* files that are not called as we know them */
	uint64_t end;	   /* of the journal when the directories were read */
	uint64_t mtime[2]; /* of cur/ and new/ before */
	struct stray_file {
		uint64_t uhash;
		char *file;
		bool is_new; /* in new/ */
	} * v;
	size_t n, cap;
};

void
strays_release(struct strays **sp)
{
	struct strays *s = *sp;
	size_t i;

	if (s == NULL)
		return;
	*sp = NULL;
	for (i = 0; i < s->n; i++)
		free(s->v[i].file);
	free(s->v);
	free(s);
}

struct key {
	uint64_t uhash;
	uint32_t row;
};

static int
key_cmp(const void *va, const void *vb)
{
	const struct key *a = va, *b = vb;

	return a->uhash < b->uhash ? -1 : a->uhash > b->uhash;
}

static struct key *
keys_of(const struct view *v)
{
	struct key *k = xreallocarray(NULL, v->n + 1, sizeof(*k));
	uint32_t i;

	for (i = 0; i < v->n; i++)
		k[i] = (struct key){ v->uhash[i], i };
	if (v->n > 1)
		qsort(k, v->n, sizeof(*k), key_cmp);
	return k;
}

static void
add_stray(struct strays *s, uint64_t uhash, const char *file, bool is_new)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 16 : s->cap * 2;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = (struct stray_file){ uhash, xstrdup(file), is_new };
}

/* Would row_open_likely() find it? Letters may stand in any order, or twice. */
static bool
is_likely(const struct name *n, uint32_t fn, const char *file)
{
	char name[NAME_LEN + 1];

	return n->has_info && n->fn == fn && n->extra.n == 0 &&
	       n->base.n == n->unique.n &&
	       name_with_info(name, n->base, fn, STR("")) &&
	       strcmp(name, file) == 0;
}

/* Kept are only those that it would not find. It finds none of a ghost whose
 * record was left behind with another journal. */
static void
read_strays(struct mailbox *m, struct strays *s, const struct key *keys,
    const char *sub, bool is_new)
{
	const struct view *v = &m->v;
	DIR *d = fs_read_dir(m->dirfd, sub);
	const struct key *k;
	struct dirent *de;
	struct key key;
	struct name n;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (!name_parse(str_from(de->d_name), &n))
			continue;
		key.uhash = name_hash(n.unique);
		k = v->n == 0 ?
			NULL :
			bsearch(&key, keys, v->n, sizeof(*keys), key_cmp);
		if (k == NULL)
			continue;
		if (is_new || (v->st[k->row] & ST_GHOST) != 0 ||
		    !is_likely(&n, v->fn[k->row], de->d_name))
			add_stray(s, key.uhash, de->d_name, is_new);
	}
	closedir(d);
}

static void
dir_times(const struct mailbox *m, uint64_t mtime[2])
{
	struct stat st;
	int i;

	for (i = 0; i < 2; i++)
		mtime[i] = fstat(i == 0 ? m->curfd : m->newfd, &st) == 0 ?
			       stat_mtime(&st) :
			       0;
}

/* Our own renames move the journal, those of others the directories' times;
 * where these are coarse (racy.c) the next look for changes makes it good. */
static bool
strays_hold(const struct mailbox *m)
{
	const struct strays *s = m->strays;
	uint64_t now[2];

	if (s == NULL || s->end != m->j.end)
		return false;
	dir_times(m, now);
	return now[0] == s->mtime[0] && now[1] == s->mtime[1];
}

static void
look_for_strays(struct mailbox *m)
{
	struct strays *s = xcalloc(1, sizeof(*s));
	struct key *keys = keys_of(&m->v);

	strays_release(&m->strays);
	m->strays = s;
	s->end = m->j.end;
	dir_times(m, s->mtime);
	read_strays(m, s, keys, "cur", false);
	read_strays(m, s, keys, "new", true);
	free(keys);
	m->nsearches++;
}

static int
open_found(struct mailbox *m, uint32_t row)
{
	const struct strays *s = m->strays;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].uhash == m->v.uhash[row])
			return fs_open_file(
			    s->v[i].is_new ? m->newfd : m->curfd, s->v[i].file,
			    O_RDONLY, 0);
	errno = ENOENT;
	return -1;
}

/* Who renames a file all the time is not chased for ever. */
static int
open_stray(struct mailbox *m, uint32_t row)
{
	int fd = -1, reads = 0;

	do {
		if (!strays_hold(m)) {
			if (reads++ == STRAY_READS)
				break;
			look_for_strays(m);
		}
		fd = open_found(m, row);
	} while (fd == -1 && errno == ENOENT && !strays_hold(m));
	return fd;
}

/* ---- */

int
row_open(struct mailbox *m, uint32_t row)
{
	uint32_t uid = m->v.uid[row];
	int fd = row_open_likely(m, row);

	if (fd != -1 || errno != ENOENT || (fd = open_expunged(m, uid)) != -1)
		return fd;
	/* another session may have renamed it and said so */
	if (mailbox_follow(m, NULL) == -1 ||
	    (row = view_row(&m->v, uid)) == m->v.n) {
		errno = ENOENT;
		return -1;
	}
	fd = row_open_likely(m, row);
	if (fd != -1 || errno != ENOENT || (fd = open_expunged(m, uid)) != -1)
		return fd;
	if ((m->v.st[row] & ST_GHOST) != 0)
		fd = open_moved(m, row);
	return fd != -1 ? fd : open_stray(m, row);
}
