/*
 * index - the state of a mailbox at the start of a generation, as columns.
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
#include <signal.h>
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

#define HEAD	     512
#define PAGE	     4096
#define BLOCK	     65536 /* of the columns, per CRC */
#define COPY_MAX     (1u << 20)
#define SMALL_MAX    (64u << 20)
#define ROWS_MAX     50000000u
#define INDEX_MAGIC  "QINDX\0\0\1"
#define VANISHED_MAX 65536
#define HISTORY_S    (180 * 86400)

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

static void
head_pack(char p[HEAD], struct index_head *h)
{
	memset(p, 0, HEAD);
	memcpy(p, INDEX_MAGIC, 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, HEAD);
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
	h->crc = crc32c(0, p, HEAD - 4);
	le32_put(p + HEAD - 4, h->crc);
}

static bool
head_unpack(const char p[HEAD], struct index_head *h)
{
	*h = (struct index_head){ .crc = le32_get(p + HEAD - 4) };
	if (memcmp(p, INDEX_MAGIC, 8) != 0 || le32_get(p + 8) != 1 ||
	    le32_get(p + 12) != HEAD || h->crc != crc32c(0, p, HEAD - 4) ||
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

static uint64_t
columns_at(const struct index_head *h)
{
	return (HEAD + h->small_len + PAGE - 1) / PAGE * PAGE;
}

static uint64_t
columns_len(const struct index_head *h)
{
	return (uint64_t)h->cap * VIEW_ROW_SIZE;
}

static size_t
columns_blocks(const struct index_head *h)
{
	return (size_t)((columns_len(h) + BLOCK - 1) / BLOCK);
}

/* Do its numbers fit each other and the file? */
static bool
head_is_sound(const struct index_head *h, uint64_t file_len)
{
	return h->n <= h->cap && h->cap <= ROWS_MAX && h->cap % 8 == 0 &&
	       h->small_len <= SMALL_MAX && h->file_len == file_len &&
	       columns_at(h) + columns_len(h) == file_len;
}

/* ---- writing ---- */

struct writer {
	int fd;
	uint64_t at;
	char *block;
	size_t n;
	uint32_t *crcs;
	size_t ncrcs;
	bool failed;
};

static void
flush(struct writer *w)
{
	if (w->n == 0)
		return;
	w->crcs[w->ncrcs++] = crc32c(0, w->block, w->n);
	if (!w->failed &&
	    step_pwrite(w->fd, str_make(w->block, w->n), w->at) == -1)
		w->failed = true;
	w->at += w->n;
	w->n = 0;
}

/* Any n: what passes the end of a block goes into the next. */
static void
put(struct writer *w, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		size_t k = BLOCK - w->n < n ? BLOCK - w->n : n;

		memcpy(w->block + w->n, at, k);
		w->n += k;
		at += k;
		n -= k;
		if (w->n == BLOCK)
			flush(w);
	}
}

static void
put_zeros(struct writer *w, size_t n)
{
	static const char zeros[PAGE];

	for (; n > PAGE; n -= PAGE)
		put(w, zeros, PAGE);
	put(w, zeros, n);
}

/* One column of the rows that live, and room behind it. */
static void
put_column(struct writer *w, const struct view *v, const struct index_head *h,
    const void *col, size_t width)
{
	const char *p = col;
	uint32_t i;

	if (col == NULL)
		put_zeros(w, h->n * width);
	else if (v->nghosts == 0)
		put(w, p, v->n * width);
	else
		for (i = 0; i < v->n; i++)
			if ((v->st[i] & ST_GHOST) == 0)
				put(w, p + i * width, width);
	put_zeros(w, (h->cap - h->n) * width);
}

#define ST_KEPT                                                           \
	(ST_NEWDIR | ST_BARE | ST_RAW | ST_UNSURE | ST_INTENT | ST_DONE | \
	    ST_OLDBOOT)

/* The directories were synced: such a rename is no more in doubt. */
static bool
is_settled(const struct view *v, uint32_t i)
{
	return (v->st[i] & (ST_DONE | ST_OLDBOOT)) == ST_DONE;
}

static void
put_columns(struct writer *w, const struct view *v, const struct index_head *h,
    uint64_t *rec)
{
	uint16_t *st = xreallocarray(NULL, v->n, sizeof(*st));
	uint32_t *fnx = xreallocarray(NULL, v->n, sizeof(*fnx)), i;
	struct view out = *v;

	for (i = 0; i < v->n; i++) {
		st[i] = v->st[i] &
			(is_settled(v, i) ? ST_KEPT & ~ST_DONE : ST_KEPT);
		fnx[i] = is_settled(v, i) ? v->fn[i] : v->fnx[i];
	}
	out.st = st;
	out.fnx = fnx;
	out.rec = rec;
	if (!h->keeps_cache)
		out.cache = NULL;
#define PUT(col) put_column(w, v, h, out.col, sizeof(*out.col));
	VIEW_COLUMNS(PUT)
#undef PUT
	flush(w);
	free(st);
	free(fnx);
}

/* Keywords, scan states and the like, as the operations that make them. */
static void
put_state(const struct view *v, struct ops *o)
{
	struct op_name k = { .extra = STR("") };
	unsigned i, d;

	for (i = 0; i < v->nkeywords; i++) {
		k.number = i;
		k.name = v->keywords[i];
		op_name_pack(o, OP_KWDEF, &k);
	}
	for (d = 0; d < 2; d++) {
		op_scan_pack(o, &(struct op_scan){ .dir = d,
				    .is_stable = v->scan[d].is_stable,
				    .dev = v->scan[d].dev,
				    .ino = v->scan[d].ino,
				    .mtime = v->scan[d].mtime });
		for (i = 0; i < v->nsteps[d]; i++)
			op_scanstep_pack(
			    o, &(struct op_scanstep){ .dir = d,
				   .before = v->steps[d][i].before,
				   .after = v->steps[d][i].after });
	}
	op_words_pack(o, OP_RECENT, v->recent, 0);
}

/* History has a floor: beyond so many or so long ago nothing is known. */
static size_t
prune_history(const struct view *v, uint64_t *floor)
{
	uint64_t now = (uint64_t)date_now();
	uint64_t old = now > HISTORY_S ? (now - HISTORY_S) << 20 : 0;
	size_t from =
	    v->nvanished > VANISHED_MAX ? v->nvanished - VANISHED_MAX : 0;

	while (from < v->nvanished && v->vanished[from].modseq < old)
		from++;
	*floor = v->floor;
	if (from > 0 && v->vanished[from - 1].modseq > *floor)
		*floor = v->vanished[from - 1].modseq;
	return from;
}

static void
put_small(struct mailbox *m, const uint64_t *goner, const struct writer *w,
    struct buf *b)
{
	const struct view *v = &m->v;
	struct ops o;
	uint64_t floor;
	size_t i, from = prune_history(v, &floor);

	ops_init(&o);
	put_state(v, &o);
	if (floor != 0)
		op_words_pack(&o, OP_FLOOR, floor, 0);
	pack_blob(b, str_sub(buf_str(&o.b), TXN_HEAD, o.b.n));
	ops_release(&o);
	pack_u32(b, (uint32_t)v->ngone);
	for (i = 0; i < v->ngone; i++) {
		const struct gone *g = &v->gone[i];

		pack_u32(b, g->uid);
		pack_u32(b, g->fn);
		pack_u32(b, g->fnx);
		pack_u32(b, g->st & ~ST_MISSING);
		pack_u64(b, g->uhash);
		pack_u64(b, goner[i]);
	}
	pack_u32(b, (uint32_t)(v->nvanished - from));
	for (i = from; i < v->nvanished; i++) {
		pack_u32(b, v->vanished[i].lo);
		pack_u32(b, v->vanished[i].hi);
		pack_u64(b, v->vanished[i].modseq);
	}
	for (i = 0; i < w->ncrcs; i++)
		pack_u32(b, w->crcs[i]);
}

static void
fill_head(struct mailbox *m, struct index_head *h)
{
	const struct view *v = &m->v;
	uint32_t i, want, live = v->n - v->nghosts;

	memcpy(h->mailboxid, m->j.mailboxid, 16);
	h->uidvalidity = m->j.uidvalidity;
	h->n = live;
	h->cap = (live + live / 16 + 64 + 7) / 8 * 8;
	h->modseq = m->j.modseq;
	h->c = v->c;
	h->mirror_lo = 1;
	h->mirror_hi = 0;
	for (i = 0; i < v->n; i++)
		if (view_is_behind(v, i, &want)) {
			if (h->mirror_hi == 0)
				h->mirror_lo = v->uid[i];
			h->mirror_hi = v->uid[i];
		}
}

/* How long the small part will be, before it is written: its CRCs come last. */
static uint64_t
small_len(struct mailbox *m, const uint64_t *goner, const struct index_head *h)
{
	struct writer none = { .ncrcs = 0 };
	struct buf b;
	uint64_t n;

	buf_init(&b, SMALL_MAX);
	put_small(m, goner, &none, &b);
	n = b.full ? UINT64_MAX : b.n + 4 * columns_blocks(h);
	buf_release(&b);
	return n;
}

static int
write_file(struct mailbox *m, struct index_head *h, struct writer *w,
    uint64_t *rec, const uint64_t *goner, struct err *e)
{
	char head[HEAD];
	struct buf b;
	int rc = 0;

	fill_head(m, h);
	h->small_len = small_len(m, goner, h);
	if (h->small_len > SMALL_MAX || h->cap > ROWS_MAX)
		return err_set(e, ERR_PERM, "mailbox too large for an index");
	h->file_len = columns_at(h) + columns_len(h);
	w->at = columns_at(h);
	w->crcs = xreallocarray(NULL, columns_blocks(h), sizeof(*w->crcs));
	put_columns(w, &m->v, h, rec);
	buf_init(&b, SMALL_MAX);
	put_small(m, goner, w, &b);
	h->small_crc = crc32c(0, b.p, b.n);
	head_pack(head, h);
	if (w->failed || step_pwrite(w->fd, buf_str(&b), HEAD) == -1 ||
	    step_pwrite(w->fd, str_make(head, HEAD), 0) == -1)
		rc = err_sys(e, "write index");
	buf_release(&b);
	return rc;
}

int
index_write(struct mailbox *m, struct index_head *h, uint64_t *rec,
    const uint64_t *goner, struct err *e)
{
	struct writer w = { .fd = -1 };
	char name[32];
	int rc;

	index_name("index", h->gen, name);
	if (step_unlink(m->qfd, "index.tmp") == -1 && errno != ENOENT)
		return err_sys(e, "remove index.tmp");
	w.fd = step_creat(m->qfd, "index.tmp");
	if (w.fd == -1)
		return err_sys(e, "create index");
	w.block = xmalloc(BLOCK);
	rc = write_file(m, h, &w, rec, goner, e);
	/* Durable under its name before any journal names it. */
	if (rc == 0 && (step_sync(w.fd) == -1 ||
			   step_replace(m->qfd, "index.tmp", name) == -1 ||
			   step_sync(m->qfd) == -1))
		rc = err_sys(e, "make index durable");
	close(w.fd);
	free(w.block);
	free(w.crcs);
	if (rc == -1)
		unlinkat(m->qfd, "index.tmp", 0);
	return rc;
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
	return crcs->n == 4 * columns_blocks(h);
}

static bool
block_is_right(
    const struct index_head *h, struct str crcs, size_t k, const char *p)
{
	uint64_t left = columns_len(h) - (uint64_t)k * BLOCK;
	size_t n = left < BLOCK ? (size_t)left : BLOCK;

	return crc32c(0, p, n) == le32_get(crcs.p + 4 * k);
}

/* ---- mapped files that change under us ---- */

#define MAPS_MAX 64
static struct map {
	char *p;
	size_t n;
	volatile sig_atomic_t was_cut;
} maps[MAPS_MAX];

bool
index_was_cut(const char *block)
{
	unsigned i;

	for (i = 0; i < MAPS_MAX; i++)
		if (maps[i].p == block && block != NULL)
			return maps[i].was_cut != 0;
	return false;
}

/* Only mmap(): it is a plain system call here. */
static void
on_bus(int sig, siginfo_t *si, void *ctx)
{
	char *at = si->si_addr;
	uintptr_t page = (uintptr_t)at & ~(uintptr_t)(PAGE - 1);
	unsigned i;

	(void)ctx;
	for (i = 0; i < MAPS_MAX; i++)
		if (at >= maps[i].p && at < maps[i].p + maps[i].n &&
		    mmap((void *)page, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0) != MAP_FAILED) {
			maps[i].was_cut = 1;
			return;
		}
	/* not ours: as if there were no handler */
	signal(sig, SIG_DFL);
}

/* false: too many; such an index is copied instead */
static bool
watch_map(char *p, size_t n)
{
	static bool is_set;
	struct sigaction sa = { .sa_sigaction = on_bus,
		.sa_flags = SA_SIGINFO };
	unsigned i;

	if (!is_set) {
		sigemptyset(&sa.sa_mask);
		is_set = sigaction(SIGBUS, &sa, NULL) == 0;
	}
	for (i = 0; i < MAPS_MAX && maps[i].p != NULL; i++)
		;
	if (i == MAPS_MAX || !is_set)
		return false;
	maps[i] = (struct map){ .p = p, .n = n };
	return true;
}

void
index_unmap(char *block, size_t n)
{
	unsigned i;

	for (i = 0; i < MAPS_MAX; i++)
		if (maps[i].p == block)
			maps[i] = (struct map){ 0 };
	munmap(block, n);
}

static char *
map_columns(int fd, const struct index_head *h)
{
	size_t n = (size_t)columns_len(h);
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
	    (off_t)columns_at(h));

	if (p == MAP_FAILED)
		return NULL;
	if (watch_map(p, n))
		return p;
	munmap(p, n);
	return NULL;
}

static char *
copy_columns(int fd, const struct index_head *h, struct str crcs)
{
	size_t n = (size_t)columns_len(h), k;
	char *p = xmalloc(n);

	if (fs_pread_all(fd, p, n, columns_at(h)) == (ssize_t)n) {
		for (k = 0; k < columns_blocks(h); k++)
			if (!block_is_right(h, crcs, k, p + k * BLOCK))
				break;
		if (k == columns_blocks(h))
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

	if (columns_len(h) > COPY_MAX)
		p = map_columns(fd, h);
	v->is_mapped = p != NULL;
	if (p == NULL)
		p = copy_columns(fd, h, crcs);
	if (p == NULL)
		return false;
	view_attach(v, p, h->cap);
	v->block_len = (size_t)columns_len(h);
	v->n = h->n;
	return true;
}

/* The head and the small part; false and *why */
static bool
read_head(int fd, struct index_head *h, char **small, const char **why)
{
	char head[HEAD];
	struct stat st;

	*why = "is damaged at its head";
	if (fstat(fd, &st) == -1 || fs_pread_all(fd, head, HEAD, 0) != HEAD ||
	    !head_unpack(head, h))
		return false;
	*why = "has been cut or extended";
	if (!head_is_sound(h, (uint64_t)st.st_size))
		return false;
	*small = xmalloc(h->small_len);
	return fs_pread_all(fd, *small, h->small_len, HEAD) ==
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
	block = xmalloc(BLOCK);
	for (k = 0; ok && k < columns_blocks(h); k++) {
		ssize_t n = fs_pread_all(
		    fd, block, BLOCK, columns_at(h) + (uint64_t)k * BLOCK);

		*why = "is damaged in its columns";
		ok = n > 0 && block_is_right(h, crcs, k, block);
	}
	free(block);
	free(small);
	view_release(&v);
	close(fd);
	return ok;
}
