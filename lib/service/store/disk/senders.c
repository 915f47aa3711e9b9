/*
 * senders - the account's file of whose mail was taken before.
 *
 * 1. A sender is 40 bits of a hash that begins with the file's own salt:
 *    nobody can look for another address of the same 40 bits, and the file
 *    tells nobody's address. With 24 bits for the day it is a record of eight
 *    octets.
 * 2. Records are appended, one write with O_APPEND each, without a lock. A
 *    later record of the same sender has a later day. What does not fill a
 *    record at the end is the write of somebody who had no room: it is not
 *    read, and nothing is appended behind it.
 * 3. The file is written anew under byte 6 of the account's `lock` and gets
 *    its name by rename: when it is not there, is none of ours, ends in a part
 *    of a record, or has more repeated records than senders. Records that
 *    others append meanwhile are lost.
 * 4. Memory has what the file had at the last look. There is a look when a
 *    sender is not in it, and none otherwise.
 */
#include "service/store/senders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "service/store/store_int.h"
#include "system/fs/fs.h"

#define FILE_NAME "senders"
#define TMP_NAME  "senders.tmp"
#define HEAD	  32
#define RECORD	  8
#define LOCK_MS	  100 /* what is done under it takes milliseconds */
#define CHUNK	  (512 * RECORD)
#define DAY_S	  86400
#define DAY_BITS  24
#define DAY_MASK  ((1u << DAY_BITS) - 1)
/* Fewer repeated records are not worth writing the file anew. */
#define SPARE_RECORDS 64
/* Above that it is never appended to, whatever hinders writing it anew. */
#define RECORDS_MAX (2 * SENDERS_MAX + SPARE_RECORDS)

static const char magic[8] = "QSENDER\1";

/* A record: hash << 24 | day; 0 is none. */
struct senders {
	int fd; /* -1: there is no file that can be used */
	uint64_t salt;
	uint64_t size, read; /* of the file at the last look; taken in */
	uint64_t *v;	     /* by hash, open addressing */
	size_t n, cap;	     /* cap: power of 2, at least 2 n */
};

/* ---- bytes ---- */

/* 0 u8[8] magic | 8 u32 version | 12 zero | 16 u64 salt | 24 zero
 * 28 u32 crc32c of 0..27 */
static void
head_pack(char p[HEAD], uint64_t salt)
{
	memset(p, 0, HEAD);
	memcpy(p, magic, sizeof(magic));
	le32_put(p + 8, 1);
	le64_put(p + 16, salt);
	le32_put(p + 28, crc32c(0, p, 28));
}

static bool
head_read(int fd, uint64_t *salt)
{
	char raw[HEAD], want[HEAD];

	if (fs_pread_all(fd, raw, HEAD, 0) != HEAD)
		return false;
	*salt = le64_get(raw + 16);
	head_pack(want, *salt);
	return memcmp(raw, want, HEAD) == 0;
}

static uint32_t
day_of(uint64_t record)
{
	return (uint32_t)record & DAY_MASK;
}

static uint32_t
today(int64_t now)
{
	return now < 0 ? 0 : (uint32_t)(now / DAY_S) & DAY_MASK;
}

static bool
is_current(uint32_t day, uint32_t today)
{
	return day + SENDERS_KEEP_DAYS > today;
}

void
sender_init(struct sender *k, struct str address, bool is_confirmed)
{
	struct buf b;

	buf_init(&b, address.n + 1);
	buf_putc(&b, is_confirmed ? '+' : '-');
	buf_put(&b, address);
	sha256(buf_str(&b), k->key);
	buf_release(&b);
}

static uint64_t
hash_of(const struct senders *s, const struct sender *k)
{
	char text[8 + sizeof(k->key)];
	uint8_t sum[32];
	uint64_t hash;

	le64_put(text, s->salt);
	memcpy(text + 8, k->key, sizeof(k->key));
	sha256(str_make(text, sizeof(text)), sum);
	hash = le64_get((const char *)sum) >> DAY_BITS;
	return hash == 0 ? 1 : hash;
}

/* ---- memory ---- */

static size_t
slot_of(const struct senders *s, uint64_t hash)
{
	size_t i = (size_t)hash & (s->cap - 1);

	while (s->v[i] != 0 && s->v[i] >> DAY_BITS != hash)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static void
clear(struct senders *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
	s->read = 0;
}

static int
by_day(const void *a, const void *b)
{
	uint32_t x = day_of(*(const uint64_t *)a);
	uint32_t y = day_of(*(const uint64_t *)b);

	return x < y ? -1 : x > y;
}

/* Those there are, by day; to be freed. */
static uint64_t *
rows_of(const struct senders *s)
{
	uint64_t *rows = xcalloc(s->n + 1, sizeof(*rows));
	size_t i, k = 0;

	for (i = 0; i < s->cap; i++)
		if (s->v[i] != 0)
			rows[k++] = s->v[i];
	qsort(rows, s->n, sizeof(*rows), by_day);
	return rows;
}

/* Another table, for the newest `keep` of them. */
static void
remake(struct senders *s, size_t cap, size_t keep)
{
	uint64_t *rows = rows_of(s);
	size_t n = s->n, i;

	free(s->v);
	s->v = xcalloc(cap, sizeof(*s->v));
	s->cap = cap;
	s->n = keep;
	for (i = n - keep; i < n; i++)
		s->v[slot_of(s, rows[i] >> DAY_BITS)] = rows[i];
	free(rows);
}

static void
add(struct senders *s, uint64_t hash, uint32_t day)
{
	size_t i;

	if (s->n == SENDERS_MAX) /* so that it is not each time */
		remake(s, s->cap, SENDERS_MAX / 4 * 3);
	if (2 * (s->n + 1) > s->cap)
		remake(s, s->cap == 0 ? 256 : 2 * s->cap, s->n);
	i = slot_of(s, hash);
	if (s->v[i] == 0)
		s->n++;
	if (day >= day_of(s->v[i]))
		s->v[i] = hash << DAY_BITS | day;
}

/* Its day; 0: there is none. */
static uint32_t
find(const struct senders *s, uint64_t hash)
{
	return s->cap == 0 ? 0 : day_of(s->v[slot_of(s, hash)]);
}

/* ---- the file ---- */

static void
leave(struct senders *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->size = 0;
	clear(s);
}

static void
enter(struct account *a, struct senders *s)
{
	int flags = a->opts.readonly ? O_RDONLY : O_RDWR | O_APPEND;

	s->fd =
	    a->acctfd == -1 ? -1 : fs_open_file(a->acctfd, FILE_NAME, flags, 0);
	clear(s);
	if (s->fd != -1 && !head_read(s->fd, &s->salt)) {
		account_log(a, 1, "store.senders",
		    "the list of known senders is damaged, it begins anew");
		leave(s);
	}
	s->read = HEAD;
}

static void
take_in(struct senders *s, uint32_t now)
{
	char raw[CHUNK];
	ssize_t n, at;

	while (s->size - s->read >= RECORD &&
	       (n = fs_pread_all(s->fd, raw, sizeof(raw), s->read)) >= RECORD) {
		for (at = 0; at + RECORD <= n; at += RECORD) {
			uint64_t r = le64_get(raw + at);

			/* one of tomorrow is a clock's doing, or damage */
			if (r >> DAY_BITS != 0 && day_of(r) <= now + 1 &&
			    is_current(day_of(r), now))
				add(s, r >> DAY_BITS, day_of(r));
		}
		s->read += (uint64_t)at;
		if (s->read > s->size)
			s->size = s->read;
	}
}

/* What others have written since. */
static void
follow(struct account *a, struct senders *s, uint32_t now)
{
	struct stat st;

	/* replaced, removed or cut */
	if (s->fd != -1 && (fstat(s->fd, &st) == -1 || st.st_nlink == 0 ||
			       (uint64_t)st.st_size < s->read))
		leave(s);
	if (s->fd == -1)
		enter(a, s);
	if (s->fd == -1 || fstat(s->fd, &st) == -1)
		return;
	s->size = (uint64_t)st.st_size;
	take_in(s, now);
}

static uint64_t
records(const struct senders *s)
{
	return (s->size - HEAD) / RECORD;
}

static bool
must_rewrite(const struct senders *s)
{
	return s->fd == -1 || (s->size - HEAD) % RECORD != 0 ||
	       records(s) > 2 * (uint64_t)s->n + SPARE_RECORDS;
}

static bool
write_tmp(const struct senders *s, int fd)
{
	uint64_t *rows = rows_of(s);
	char head[HEAD], raw[RECORD];
	struct buf b;
	size_t i;
	bool ok;

	head_pack(head, s->salt);
	buf_init(&b, HEAD + s->n * RECORD);
	buf_put(&b, str_make(head, HEAD));
	for (i = 0; i < s->n; i++) {
		le64_put(raw, rows[i]);
		buf_put(&b, str_make(raw, RECORD));
	}
	ok = step_write(fd, buf_str(&b)) == 0;
	buf_release(&b);
	free(rows);
	return ok;
}

/* All that memory has, under the lock. */
static void
rewrite(struct account *a, struct senders *s)
{
	int fd;

	step_unlink(a->acctfd, TMP_NAME);
	fd = step_creat(a->acctfd, TMP_NAME);
	if (fd == -1)
		return;
	if (write_tmp(s, fd) &&
	    step_replace(a->acctfd, TMP_NAME, FILE_NAME) == 0) {
		if (s->fd != -1)
			close(s->fd);
		s->fd =
		    fs_open_file(a->acctfd, FILE_NAME, O_RDWR | O_APPEND, 0);
		s->read = s->size = HEAD + s->n * RECORD;
	} else
		step_unlink(a->acctfd, TMP_NAME);
	close(fd);
}

static void
append(struct senders *s, uint64_t hash, uint32_t day)
{
	char raw[RECORD];

	if (must_rewrite(s) || records(s) >= RECORDS_MAX)
		return;
	le64_put(raw, hash << DAY_BITS | day);
	(void)step_append(s->fd, str_make(raw, RECORD));
}

/* ---- */

static struct senders *
senders_of(struct account *a)
{
	struct senders *s = a->senders;

	if (s == NULL) {
		s = a->senders = xcalloc(1, sizeof(*s));
		s->fd = -1;
		fs_random(&s->salt, sizeof(s->salt));
	}
	return s;
}

bool
senders_has(
    struct account *a, const struct sender *k, int64_t now, int64_t *day)
{
	struct senders *s = senders_of(a);
	uint32_t found = find(s, hash_of(s, k));

	if (found == 0) {
		follow(a, s, today(now));
		found = find(s, hash_of(s, k));
	}
	*day = found;
	return found != 0 && is_current(found, today(now));
}

static bool
is_fresh(const struct senders *s, const struct sender *k, uint32_t day)
{
	uint32_t found = find(s, hash_of(s, k));

	return found != 0 && found + SENDERS_STALE_DAYS > day;
}

/* By who holds the lock; somebody else may have been first. */
static void
note_locked(
    struct account *a, struct senders *s, const struct sender *k, uint32_t day)
{
	follow(a, s, day);
	add(s, hash_of(s, k), day);
	if (must_rewrite(s))
		rewrite(a, s);
	else
		append(s, hash_of(s, k), day);
}

void
senders_note(struct account *a, const struct sender *k, int64_t now)
{
	struct senders *s = senders_of(a);
	uint32_t day = today(now);

	if (a->opts.readonly || is_fresh(s, k, day))
		return;
	follow(a, s, day);
	if (is_fresh(s, k, day))
		return;
	if (must_rewrite(s) &&
	    fs_lock(a->j.lockfd, LOCK_SENDERS, true, LOCK_MS, NULL) == 0) {
		note_locked(a, s, k, day);
		fs_unlock(a->j.lockfd, LOCK_SENDERS);
		return;
	}
	add(s, hash_of(s, k), day);
	append(s, hash_of(s, k), day);
}

void
senders_release(struct account *a)
{
	if (a->senders == NULL)
		return;
	leave(a->senders);
	free(a->senders);
	a->senders = NULL;
}
