/*
 * cache - what parsing a message found out, kept from session to session.
 *
 * 1. Never needed: an entry says whose it is, carries a CRC and the version of
 *    who made it; one that does not fit is none, and is made again.
 * 2. Entries are appended, unsynced, and then the journal says where they
 *    are (OP_CACHE, unsynced too). A stop between loses them.
 * 3. A file that is mostly dead is not cleaned but left: the next generation
 *    begins another one.
 *
 * File: u8[8] "QCACHE\0\1", entries at multiples of 8: u32 "CAC1", u32 length
 * of all, u32 CRC of what follows, u32 UID, u64 hash of the unique part, u32
 * version, u32 length, octets, zeros.
 */
#include "service/store/index_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define CACHE_MAGIC "QCACHE\0\1"
#define ENTRY_MAGIC 0x31434143u /* "CAC1" */
#define ENTRY_HEAD  32
#define ENTRY_MAX   65536 /* more is not worth keeping */
#define PENDING_MAX (256 * 1024)
#define WINDOW	    65536
#define CACHE_MODE  0600
/* octets an entry may take on average before the file counts as dead */
#define DEAD_AVERAGE 8192
#define DEAD_MIN     1024

struct cache {
	int fd;
	uint32_t number;
	struct buf pending; /* entries not yet written */
	struct cache_item {
		uint32_t uid, at; /* at: in pending */
	} * items;
	size_t nitems, cap;
	char *window;
	uint64_t window_off;
	size_t window_n;
	struct buf found; /* what mailbox_cache_get() lends */
};

static struct cache *
cache_of(struct mailbox *m)
{
	if (m->cache != NULL && m->cache->number == m->j.cache_no)
		return m->cache;
	cache_release(&m->cache);
	m->cache = xcalloc(1, sizeof(*m->cache));
	m->cache->fd = -1;
	m->cache->number = m->j.cache_no;
	buf_init(&m->cache->pending, 2 * PENDING_MAX + ENTRY_MAX);
	buf_init(&m->cache->found, ENTRY_MAX);
	return m->cache;
}

void
cache_release(struct cache **cp)
{
	struct cache *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	if (c->fd != -1)
		close(c->fd);
	buf_release(&c->pending);
	buf_release(&c->found);
	free(c->items);
	free(c->window);
	free(c);
}

static bool
open_file(struct mailbox *m, struct cache *c, bool make)
{
	char name[32], magic[8];
	struct stat st;
	int flags = m->j.readonly ? O_RDONLY : O_RDWR;

	if (c->fd != -1)
		return true;
	if (m->qfd == -1)
		return false;
	index_name("cache", c->number, name);
	c->fd = fs_open_file(
	    m->qfd, name, flags | (make ? O_CREAT : 0), CACHE_MODE);
	if (c->fd == -1)
		return false;
	if (fstat(c->fd, &st) == 0 && st.st_size == 0 && make)
		return step_pwrite(c->fd, str_make(CACHE_MAGIC, 8), 0) == 0;
	if (fs_pread_all(c->fd, magic, 8, 0) == 8 &&
	    memcmp(magic, CACHE_MAGIC, 8) == 0)
		return true;
	/* something else: it is as if there were none; made anew by a writer
	 */
	if (make && step_truncate(c->fd, 0) == 0 &&
	    step_pwrite(c->fd, str_make(CACHE_MAGIC, 8), 0) == 0)
		return true;
	close(c->fd);
	c->fd = -1;
	return false;
}

/* n octets at off, through a window: entries of neighbours are neighbours. */
static const char *
window_at(struct cache *c, uint64_t off, size_t n)
{
	ssize_t got;

	if (c->window == NULL)
		c->window = xmalloc(WINDOW);
	if (off < c->window_off || off + n > c->window_off + c->window_n) {
		got = fs_pread_all(c->fd, c->window, WINDOW, off);
		c->window_off = off;
		c->window_n = got <= 0 ? 0 : (size_t)got;
	}
	return n > c->window_n - (off - c->window_off) ?
		   NULL :
		   c->window + (off - c->window_off);
}

static bool
entry_unpack(const char *p, uint32_t len, uint32_t uid, uint64_t uhash,
    uint32_t version, struct str *out)
{
	uint32_t n = le32_get(p + 28);

	if (le32_get(p + 8) != crc32c(0, p + 12, len - 12) ||
	    le32_get(p + 12) != uid || le64_get(p + 16) != uhash ||
	    le32_get(p + 24) != version || n > len - ENTRY_HEAD)
		return false;
	*out = str_make(p + ENTRY_HEAD, n);
	return true;
}

bool
mailbox_cache_get(
    struct mailbox *m, uint32_t uid, uint32_t version, struct str *out)
{
	uint32_t row = view_row(&m->v, uid), len;
	struct cache *c;
	uint64_t off;
	const char *p;
	struct str blob;

	if (row == m->v.n || m->v.cache[row] == 0)
		return false;
	c = cache_of(m);
	off = (uint64_t)m->v.cache[row] * 8;
	if (!open_file(m, c, false) ||
	    (p = window_at(c, off, ENTRY_HEAD)) == NULL ||
	    le32_get(p) != ENTRY_MAGIC)
		return false;
	len = le32_get(p + 4);
	if (len < ENTRY_HEAD || len > ENTRY_MAX ||
	    (p = window_at(c, off, len)) == NULL ||
	    !entry_unpack(p, len, uid, m->v.uhash[row], version, &blob))
		return false;
	/* lent until the next get: the window moves */
	buf_clear(&c->found);
	buf_put(&c->found, blob);
	*out = buf_str(&c->found);
	return true;
}

void
mailbox_cache_put(
    struct mailbox *m, uint32_t uid, uint32_t version, struct str blob)
{
	uint32_t row = view_row(&m->v, uid);
	struct cache *c;
	size_t at, len;

	if (m->j.readonly || row == m->v.n || (m->v.st[row] & ST_GHOST) != 0 ||
	    blob.n > ENTRY_MAX - ENTRY_HEAD - 8)
		return;
	c = cache_of(m);
	at = c->pending.n;
	len = (ENTRY_HEAD + blob.n + 7) / 8 * 8;
	pack_u32(&c->pending, ENTRY_MAGIC);
	pack_u32(&c->pending, (uint32_t)len);
	pack_u32(&c->pending, 0);
	pack_u32(&c->pending, uid);
	pack_u64(&c->pending, m->v.uhash[row]);
	pack_u32(&c->pending, version);
	pack_u32(&c->pending, (uint32_t)blob.n);
	buf_put(&c->pending, blob);
	pack_zero(&c->pending, len - ENTRY_HEAD - blob.n);
	le32_put(
	    c->pending.p + at + 8, crc32c(0, c->pending.p + at + 12, len - 12));
	if (c->nitems == c->cap) {
		c->cap = c->cap == 0 ? 64 : c->cap * 2;
		c->items = xreallocarray(c->items, c->cap, sizeof(*c->items));
	}
	c->items[c->nitems++] = (struct cache_item){ uid, (uint32_t)at };
	if (c->pending.n >= PENDING_MAX)
		mailbox_cache_flush(m);
}

/* Under byte 0: nobody else appends. */
static void
flush_locked(struct mailbox *m, struct cache *c)
{
	struct stat st;
	uint64_t at;
	size_t i;

	if (c->number != m->j.cache_no || !open_file(m, c, true) ||
	    fstat(c->fd, &st) == -1)
		return;
	at = ((uint64_t)st.st_size + 7) / 8 * 8;
	if ((at + c->pending.n) / 8 > UINT32_MAX ||
	    step_pwrite(c->fd, buf_str(&c->pending), at) == -1)
		return;
	op_begin(&m->ops, OP_CACHE, OP_OPTIONAL);
	for (i = 0; i < c->nitems; i++) {
		op_u32(&m->ops, c->items[i].uid);
		op_u32(&m->ops, (uint32_t)((at + c->items[i].at) / 8));
	}
	op_end(&m->ops);
	mailbox_append(m, 0, true, false, NULL);
	c->window_n = 0;
}

void
mailbox_cache_flush(struct mailbox *m)
{
	struct cache *c = m->cache;

	if (c == NULL || c->nitems == 0)
		return;
	/* failing costs a parse later */
	if (!m->is_dead && mailbox_lock(m, NULL) == 0) {
		flush_locked(m, c);
		ops_clear(&m->ops);
		mailbox_unlock(m);
	}
	buf_clear(&c->pending);
	c->nitems = 0;
}

uint32_t
cache_next_number(struct mailbox *m)
{
	uint64_t used = DEAD_MIN;
	struct stat st;
	char name[32];
	uint32_t i;

	index_name("cache", m->j.cache_no, name);
	if (fstatat(m->qfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return m->j.cache_no;
	for (i = 0; i < m->v.n; i++)
		used += m->v.cache[i] != 0;
	if ((uint64_t)st.st_size / DEAD_AVERAGE <= used)
		return m->j.cache_no;
	return m->j.cache_no + 1;
}
