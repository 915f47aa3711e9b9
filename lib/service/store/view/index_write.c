/*
 * index_write - the state of a view as an index: written beside, synced,
 * renamed.
 */
#include "service/store/index_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define VANISHED_MAX 65536
#define HISTORY_S    (180 * 86400)

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
		size_t k = INDEX_BLOCK - w->n < n ? INDEX_BLOCK - w->n : n;

		memcpy(w->block + w->n, at, k);
		w->n += k;
		at += k;
		n -= k;
		if (w->n == INDEX_BLOCK)
			flush(w);
	}
}

static void
put_zeros(struct writer *w, size_t n)
{
	static const char zeros[INDEX_PAGE];

	for (; n > INDEX_PAGE; n -= INDEX_PAGE)
		put(w, zeros, INDEX_PAGE);
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

	buf_init(&b, INDEX_SMALL);
	put_small(m, goner, &none, &b);
	n = b.full ? UINT64_MAX : b.n + 4 * index_columns_blocks(h);
	buf_release(&b);
	return n;
}

static int
write_file(struct mailbox *m, struct index_head *h, struct writer *w,
    uint64_t *rec, const uint64_t *goner, struct err *e)
{
	char head[INDEX_HEAD];
	struct buf b;
	int rc = 0;

	fill_head(m, h);
	h->small_len = small_len(m, goner, h);
	if (h->small_len > INDEX_SMALL || h->cap > INDEX_ROWS)
		return err_set(e, ERR_PERM, "mailbox too large for an index");
	h->file_len = index_columns_at(h) + index_columns_len(h);
	w->at = index_columns_at(h);
	w->crcs =
	    xreallocarray(NULL, index_columns_blocks(h), sizeof(*w->crcs));
	put_columns(w, &m->v, h, rec);
	buf_init(&b, INDEX_SMALL);
	put_small(m, goner, w, &b);
	h->small_crc = crc32c(0, b.p, b.n);
	index_head_pack(head, h);
	if (w->failed || step_pwrite(w->fd, buf_str(&b), INDEX_HEAD) == -1 ||
	    step_pwrite(w->fd, str_make(head, INDEX_HEAD), 0) == -1)
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
	w.block = xmalloc(INDEX_BLOCK);
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
