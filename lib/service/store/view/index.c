/*
 * index - the state of a mailbox at the start of a generation, as columns: its
 * head, and reading it. (index_write.c, mapped.c)
 *
 * 1. Written beside, synced, renamed; immutable afterwards. The journal that
 *    goes on from it names it by its generation and the CRC of its head.
 * 2. A small one is read into memory and checked whole. A large one is
 *    mapped, private: opening costs the same for any size, and a session's
 *    changes are its own. There is room behind each column for rows to come.
 * 3. A mapped file that somebody cuts short must not kill: what is gone reads
 *    as zeros, and the session is told to end (index_was_cut()).
 *
 * Layout: head (512 octets), the small part, zeros to a multiple of 4096,
 * the columns. doc/format-store.md, "Index".
 */
#include "service/store/index_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define COPY_MAX    (1u << 20)
#define INDEX_MAGIC "QINDX\0\0\1"

void
index_name(const char *what, uint64_t number, char out[32])
{
	snprintf(out, 32, "%s.%llu", what, (unsigned long long)number);
}

bool
index_is_name(const char *file, const char *what, uint64_t *number)
{
	size_t n = strlen(what);
	char *end;

	if (strncmp(file, what, n) != 0 || file[n] != '.' ||
	    file[n + 1] < '0' || file[n + 1] > '9')
		return false;
	*number = strtoull(file + n + 1, &end, 10);
	return *end == '\0';
}

/* ---- head ---- */

void
index_head_pack(char p[INDEX_HEAD], struct index_head *h)
{
	memset(p, 0, INDEX_HEAD);
	memcpy(p, INDEX_MAGIC, 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, INDEX_HEAD);
	le64_put(p + 16, h->gen);
	le64_put(p + 24, h->base_off);
	memcpy(p + 32, h->mailboxid, 16);
	le32_put(p + 48, h->uidvalidity);
	le32_put(p + 52, h->n);
	le32_put(p + 56, h->cap);
	le32_put(p + 60, h->small_crc);
	le64_put(p + 64, h->modseq);
	le64_put(p + 72, h->small_len);
	le64_put(p + 80, h->file_len);
	le64_put(p + 88, h->recs.number);
	le64_put(p + 96, h->recs.len);
	le64_put(p + 104, h->recs.count);
	le32_put(p + 112, h->c.uidnext);
	le32_put(p + 116, h->c.exists);
	le32_put(p + 120, h->c.deleted);
	le32_put(p + 124, h->c.unseen);
	le32_put(p + 128, h->c.unread);
	le64_put(p + 136, h->c.bytes);
	le64_put(p + 144, h->c.deleted_bytes);
	le32_put(p + 152, h->mirror_lo);
	le32_put(p + 156, h->mirror_hi);
	le64_put(p + 160, (uint64_t)date_now());
	h->crc = crc32c(0, p, INDEX_HEAD - 4);
	le32_put(p + INDEX_HEAD - 4, h->crc);
}

static bool
head_unpack(const char p[INDEX_HEAD], struct index_head *h)
{
	*h = (struct index_head){ .crc = le32_get(p + INDEX_HEAD - 4) };
	if (memcmp(p, INDEX_MAGIC, 8) != 0 || le32_get(p + 8) != 1 ||
	    le32_get(p + 12) != INDEX_HEAD ||
	    h->crc != crc32c(0, p, INDEX_HEAD - 4) ||
	    le32_get(p + 168) != 0) /* incompatible features */
		return false;
	h->gen = le64_get(p + 16);
	h->base_off = le64_get(p + 24);
	memcpy(h->mailboxid, p + 32, 16);
	h->uidvalidity = le32_get(p + 48);
	h->n = le32_get(p + 52);
	h->cap = le32_get(p + 56);
	h->small_crc = le32_get(p + 60);
	h->modseq = le64_get(p + 64);
	h->small_len = le64_get(p + 72);
	h->file_len = le64_get(p + 80);
	h->recs.number = le64_get(p + 88);
	h->recs.len = le64_get(p + 96);
	h->recs.count = le64_get(p + 104);
	h->c.uidnext = le32_get(p + 112);
	h->c.exists = le32_get(p + 116);
	h->c.deleted = le32_get(p + 120);
	h->c.unseen = le32_get(p + 124);
	h->c.unread = le32_get(p + 128);
	h->c.bytes = le64_get(p + 136);
	h->c.deleted_bytes = le64_get(p + 144);
	h->mirror_lo = le32_get(p + 152);
	h->mirror_hi = le32_get(p + 156);
	return true;
}

uint64_t
index_columns_at(const struct index_head *h)
{
	return (INDEX_HEAD + h->small_len + INDEX_PAGE - 1) / INDEX_PAGE *
	       INDEX_PAGE;
}

uint64_t
index_columns_len(const struct index_head *h)
{
	return (uint64_t)h->cap * VIEW_ROW_SIZE;
}

size_t
index_columns_blocks(const struct index_head *h)
{
	return (size_t)((index_columns_len(h) + INDEX_BLOCK - 1) / INDEX_BLOCK);
}

/* Do its numbers fit each other and the file? */
static bool
head_is_sound(const struct index_head *h, uint64_t file_len)
{
	return h->n <= h->cap && h->cap <= INDEX_ROWS && h->cap % 8 == 0 &&
	       h->small_len <= INDEX_SMALL && h->file_len == file_len &&
	       index_columns_at(h) + index_columns_len(h) == file_len;
}

/* ---- reading ---- */

static bool
read_gone(struct cur *c, struct view *v)
{
	uint32_t n, i, st;

	if (!cur_u32(c, &n) || n > cur_left(c) / 32)
		return false;
	v->gone = xreallocarray(NULL, n, sizeof(*v->gone));
	v->gonecap = n;
	for (i = 0; i < n; i++) {
		struct gone *g = &v->gone[i];

		*g = (struct gone){ 0 };
		if (!cur_u32(c, &g->uid) || !cur_u32(c, &g->fn) ||
		    !cur_u32(c, &g->fnx) || !cur_u32(c, &st) ||
		    !cur_u64(c, &g->uhash) || !cur_u64(c, &g->rec))
			return false;
		g->st =
		    (uint16_t)st & (ST_NEWDIR | ST_BARE | ST_INTENT | ST_DONE);
		v->ngone++;
	}
	return true;
}

static bool
read_vanished(struct cur *c, struct view *v)
{
	uint32_t n, i;

	if (!cur_u32(c, &n) || n > cur_left(c) / 16)
		return false;
	v->vanished = xreallocarray(NULL, n, sizeof(*v->vanished));
	v->vanishedcap = n;
	for (i = 0; i < n; i++) {
		struct vanished *x = &v->vanished[i];

		if (!cur_u32(c, &x->lo) || !cur_u32(c, &x->hi) ||
		    !cur_u64(c, &x->modseq) || x->lo == 0 || x->lo > x->hi)
			return false;
		v->nvanished++;
	}
	return true;
}

/* The small part; *crcs is what is left of it. */
static bool
read_small(
    const struct index_head *h, struct str s, struct view *v, struct str *crcs)
{
	struct txn t = { .boot = boot_id(), .modseq = h->modseq };
	struct cur c;

	if (crc32c(0, s.p, s.n) != h->small_crc)
		return false;
	cur_init(&c, s);
	if (!cur_blob(&c, &t.ops) || view_apply(v, &t) == -1 ||
	    !read_gone(&c, v) || !read_vanished(&c, v))
		return false;
	*crcs = cur_rest(&c);
	return crcs->n == 4 * index_columns_blocks(h);
}

static bool
block_is_right(
    const struct index_head *h, struct str crcs, size_t k, const char *p)
{
	uint64_t left = index_columns_len(h) - (uint64_t)k * INDEX_BLOCK;
	size_t n = left < INDEX_BLOCK ? (size_t)left : INDEX_BLOCK;

	return crc32c(0, p, n) == le32_get(crcs.p + 4 * k);
}

static char *
map_columns(int fd, const struct index_head *h)
{
	size_t n = (size_t)index_columns_len(h);
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
	    (off_t)index_columns_at(h));

	if (p == MAP_FAILED)
		return NULL;
	if (index_watch_map(p, n))
		return p;
	munmap(p, n);
	return NULL;
}

static char *
copy_columns(int fd, const struct index_head *h, struct str crcs)
{
	size_t n = (size_t)index_columns_len(h), k;
	char *p = xmalloc(n);

	if (fs_pread_all(fd, p, n, index_columns_at(h)) == (ssize_t)n) {
		for (k = 0; k < index_columns_blocks(h); k++)
			if (!block_is_right(h, crcs, k, p + k * INDEX_BLOCK))
				break;
		if (k == index_columns_blocks(h))
			return p;
	}
	free(p);
	return NULL;
}

static bool
read_columns(
    int fd, const struct index_head *h, struct str crcs, struct view *v)
{
	char *p = NULL;

	if (index_columns_len(h) > COPY_MAX)
		p = map_columns(fd, h);
	v->is_mapped = p != NULL;
	if (p == NULL)
		p = copy_columns(fd, h, crcs);
	if (p == NULL)
		return false;
	view_attach(v, p, h->cap);
	v->block_len = (size_t)index_columns_len(h);
	v->n = h->n;
	return true;
}

/* The head and the small part; false and *why */
static bool
read_head(int fd, struct index_head *h, char **small, const char **why)
{
	char head[INDEX_HEAD];
	struct stat st;

	*why = "is damaged at its head";
	if (fstat(fd, &st) == -1 ||
	    fs_pread_all(fd, head, INDEX_HEAD, 0) != INDEX_HEAD ||
	    !head_unpack(head, h))
		return false;
	*why = "has been cut or extended";
	if (!head_is_sound(h, (uint64_t)st.st_size))
		return false;
	*small = xmalloc(h->small_len);
	return fs_pread_all(fd, *small, h->small_len, INDEX_HEAD) ==
	       (ssize_t)h->small_len;
}

int
index_load(
    struct mailbox *m, const struct journal *j, struct view *v, struct err *e)
{
	const char *why = "is not the one the journal names";
	char name[32], *small = NULL;
	struct index_head h;
	struct str crcs;
	bool ok;
	int fd;

	index_name("index", j->index_gen, name);
	fd = fs_open_file(m->qfd, name, O_RDONLY, 0);
	if (fd == -1)
		return err_sys(e, "open %s", name);
	ok = read_head(fd, &h, &small, &why);
	if (ok && (h.crc != j->index_crc ||
		      memcmp(h.mailboxid, j->mailboxid, 16) != 0)) {
		why = "is not the one the journal names";
		ok = false;
	}
	if (ok) {
		why = "is damaged";
		ok = read_small(&h, str_make(small, h.small_len), v, &crcs) &&
		     read_columns(fd, &h, crcs, v);
	}
	free(small);
	close(fd);
	if (!ok)
		return err_set(e, ERR_PERM, "%s %s", name, why);
	v->c = h.c;
	v->modseq_now = h.modseq;
	if (h.mirror_lo <= h.mirror_hi) {
		view_mirror(v, h.mirror_lo);
		view_mirror(v, h.mirror_hi);
	}
	m->index_len = h.file_len;
	m->recs = h.recs;
	/* without it names are looked up */
	if (m->recsfd != -1)
		close(m->recsfd);
	if (recs_open(m, &m->recs, false, &m->recsfd, NULL) == -1)
		m->must_generate = true;
	return 0;
}

bool
index_check(int dirfd, uint64_t gen, struct index_head *h, const char **why)
{
	char name[32], *small = NULL, *block;
	struct view v;
	struct str crcs;
	size_t k;
	bool ok;
	int fd;

	index_name("index", gen, name);
	*why = "cannot be opened";
	fd = fs_open_file(dirfd, name, O_RDONLY, 0);
	if (fd == -1)
		return false;
	view_init(&v);
	v.is_loading = true;
	ok = read_head(fd, h, &small, why);
	*why = ok ? "is damaged behind its head" : *why;
	ok = ok && read_small(h, str_make(small, h->small_len), &v, &crcs);
	block = xmalloc(INDEX_BLOCK);
	for (k = 0; ok && k < index_columns_blocks(h); k++) {
		ssize_t n = fs_pread_all(fd, block, INDEX_BLOCK,
		    index_columns_at(h) + (uint64_t)k * INDEX_BLOCK);

		*why = "is damaged in its columns";
		ok = n > 0 && block_is_right(h, crcs, k, block);
	}
	free(block);
	free(small);
	view_release(&v);
	close(fd);
	return ok;
}
