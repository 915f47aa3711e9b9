/*
 * stream - the account's file of what is about to change.
 *
 * 1. Who holds byte 0 of a mailbox appends a record just before it appends to
 *    the mailbox's journal: one write of 64 octets, no lock, no sync. So no
 *    change is without its record; a record without its change is told apart
 *    by the journal itself (judge.c).
 * 2. A file has room for a fixed number of records. One that comes to stand
 *    behind them does not belong to it: its writer sees that by the place and
 *    writes again into the next file. So all agree on where a file ends, and
 *    nobody has to be asked before it is changed for the next.
 * 3. After the write the file is looked at by its name: one that got shorter
 *    is removed, and what was written to another than readers open is written
 *    again.
 * 4. When a record cannot be written the file is removed: readers then know
 *    nothing, which is true. What is noted never fails.
 * 5. It is of one boot, and of one inode: after a power cut, a restore or a
 *    copy it begins anew with another id.
 */
#include "service/store/stream_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "system/fs/fs.h"

#define CURRENT	     "stream"
#define BEFORE	     "stream.old"
#define TMP	     "stream.tmp"
#define LOCK_MS	     100 /* what is done under it takes microseconds */
#define RETRY_MS     10000
#define STREAM_TRIES 4

static const char magic[8] = "QSTREAM\1";

uint32_t store_stream_records = 65535; /* 4 MiB with the head */

/* ---- bytes ---- */

/*
 * 0 u8[8] magic | 8 u32 version | 12 u32 boot | 16 u64 id | 24 u64 base
 * 32 u64 st_ino | 40 u32 records | 44 u32 salt | 48 zero
 * 60 u32 crc32c of 0..59
 */
void
stream_head_pack(char p[STREAM_HEAD], const struct stream_head *h)
{
	memset(p, 0, STREAM_HEAD);
	memcpy(p, magic, 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, h->boot);
	le64_put(p + 16, h->id);
	le64_put(p + 24, h->base);
	le64_put(p + 32, h->ino);
	le32_put(p + 40, h->records);
	le32_put(p + 44, h->salt);
	le32_put(p + 60, crc32c(0, p, 60));
}

bool
stream_head_unpack(const char *p, struct stream_head *h)
{
	if (memcmp(p, magic, 8) != 0 || le32_get(p + 8) != 1 ||
	    le32_get(p + 60) != crc32c(0, p, 60))
		return false;
	h->boot = le32_get(p + 12);
	h->id = le64_get(p + 16);
	h->base = le64_get(p + 24);
	h->ino = le64_get(p + 32);
	h->records = le32_get(p + 40);
	h->salt = le32_get(p + 44);
	return h->records > 0 && h->records <= STREAM_MOST &&
	       h->base < UINT64_MAX / 4;
}

/*
 * 0 u32 crc32c of 4..63, from the salt | 4 u16 kind | 6 zero | 8 u8[16] id
 * 24 u64 gen | 32 u64 end | 40 u64 before | 48 u64 seen | 56 i64 time, us
 */
void
stream_record_pack(
    char p[STREAM_RECORD], const struct stream_record *r, uint32_t salt)
{
	le16_put(p + 4, (uint16_t)r->kind);
	le16_put(p + 6, 0);
	memcpy(p + 8, r->id, 16);
	le64_put(p + 24, r->gen);
	le64_put(p + 32, r->end);
	le64_put(p + 40, r->before);
	le64_put(p + 48, r->seen);
	le64_put(p + 56, (uint64_t)r->time_us);
	le32_put(p, crc32c(salt, p + 4, STREAM_RECORD - 4));
}

bool
stream_record_unpack(const char *p, uint32_t salt, struct stream_record *r)
{
	uint16_t kind = le16_get(p + 4);

	r->crc = le32_get(p);
	if (r->crc != crc32c(salt, p + 4, STREAM_RECORD - 4) ||
	    kind < STREAM_MAILBOX || kind > STREAM_TREE_NEW)
		return false;
	r->kind = (enum stream_kind)kind;
	memcpy(r->id, p + 8, 16);
	r->gen = le64_get(p + 24);
	r->end = le64_get(p + 32);
	r->before = le64_get(p + 40);
	r->seen = le64_get(p + 48);
	r->time_us = (int64_t)le64_get(p + 56);
	return true;
}

bool
stream_head_read(int fd, struct stream_head *h)
{
	char raw[STREAM_HEAD];
	struct stat st;

	return fs_pread_all(fd, raw, STREAM_HEAD, 0) == STREAM_HEAD &&
	       stream_head_unpack(raw, h) && h->boot == boot_id() &&
	       fstat(fd, &st) == 0 && st.st_ino == h->ino;
}

/* ---- the current file ---- */

static uint64_t
limit(const struct stream *s)
{
	return STREAM_HEAD + (uint64_t)s->records * STREAM_RECORD;
}

static void
forget(struct stream *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

void
stream_release(struct stream *s)
{
	forget(s);
	if (s->dirfd != -1)
		close(s->dirfd);
	s->dirfd = -1;
}

static int
dir_of(const struct account *a)
{
	return a->stream.dirfd != -1 ? a->stream.dirfd : a->acctfd;
}

/*
 * The private folder was removed, and somebody may have made another, with a
 * stream that readers open. A session with a mailbox open does not look at the
 * account for hours.
 */
static bool
find_dir(struct account *a)
{
	struct stat st;
	int fd;

	if (fstat(dir_of(a), &st) == 0 && st.st_nlink > 0)
		return false;
	fd = a->layout.is_fs ? fs_open_dir(a->indexfd, "acct") :
			       fs_open_dir(a->rootfd, "quire/acct");
	if (fd == -1)
		return false;
	stream_release(&a->stream);
	a->stream.dirfd = fd;
	return true;
}

/* Take it if it is one to write to; it may be full. */
static bool
take(struct stream *s, int fd, struct stream_head *h)
{
	struct stat st;

	if (!stream_head_read(fd, h) || fstat(fd, &st) == -1 ||
	    (st.st_size - STREAM_HEAD) % STREAM_RECORD != 0)
		return false;
	forget(s);
	*s = (struct stream){ .fd = fd,
		.dirfd = s->dirfd,
		.salt = h->salt,
		.records = h->records,
		.base = h->base,
		.end = (uint64_t)st.st_size,
		.dev = st.st_dev,
		.ino = st.st_ino };
	return true;
}

static bool
take_current(struct account *a, struct stream_head *h)
{
	int fd = fs_open_file(dir_of(a), CURRENT, O_RDWR | O_APPEND, 0);

	if (fd == -1)
		return false;
	if (take(&a->stream, fd, h))
		return true;
	close(fd);
	return false;
}

/* The next after `h`; h->id 0: the first of a new stream. */
static int
make(struct account *a, struct stream_head *h, struct err *e)
{
	bool goes_on = h->id != 0;
	char raw[STREAM_HEAD];
	struct stat st;
	int fd, dir = dir_of(a);

	h->base = goes_on ? h->base + h->records : 0;
	h->records = store_stream_records;
	h->boot = boot_id();
	fs_random(&h->salt, sizeof(h->salt));
	while (h->id == 0)
		fs_random(&h->id, sizeof(h->id));
	if ((step_unlink(dir, TMP) == -1 && errno != ENOENT) ||
	    (fd = step_creat(dir, TMP)) == -1)
		return err_sys(e, "create stream");
	if (fstat(fd, &st) == -1 || fcntl(fd, F_SETFL, O_APPEND) == -1)
		goto fail;
	h->ino = st.st_ino;
	stream_head_pack(raw, h);
	if (step_append(fd, str_make(raw, STREAM_HEAD)) == -1 ||
	    (step_unlink(dir, BEFORE) == -1 && errno != ENOENT) ||
	    (goes_on && step_link(dir, CURRENT, dir, BEFORE) == -1) ||
	    step_replace(dir, TMP, CURRENT) == -1 || !take(&a->stream, fd, h))
		goto fail;
	return 0;
fail:
	err_sys(e, "create stream");
	close(fd);
	return -1;
}

int
stream_open(struct account *a, struct err *e)
{
	struct stream *s = &a->stream;
	struct stream_head h = { 0 };
	int rc = 0;

	if (take_current(a, &h) && s->end < limit(s))
		return 0;
	if (fs_lock(a->j.lockfd, LOCK_STREAM, true, LOCK_MS, e) == -1)
		return -1;
	/* again: somebody else may have been first */
	h = (struct stream_head){ 0 };
	if (!take_current(a, &h) || s->end >= limit(s))
		rc = make(a, &h, e);
	fs_unlock(a->j.lockfd, LOCK_STREAM);
	return rc;
}

void
stream_spoil(struct account *a, const char *why)
{
	struct stat st;
	int fd, dir = dir_of(a);

	forget(&a->stream);
	if (a->acctfd == -1 ||
	    fstatat(dir, CURRENT, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	account_log(a, 1, "store.stream", why);
	if (step_unlink(dir, CURRENT) == 0 || errno == ENOENT)
		return;
	fd = fs_open_file(dir, CURRENT, O_RDWR, 0);
	if (fd == -1)
		return;
	(void)step_truncate(fd, 0);
	close(fd);
}

/* ---- a record ---- */

enum put {
	PUT_DONE,
	PUT_ELSEWHERE, /* not in the file that readers open */
	PUT_FAILED,
};

/* The file of that name, if it is ours. */
static bool
look_at_name(struct account *a, uint64_t *size)
{
	const struct stream *s = &a->stream;
	struct fs_id id;

	if (!fs_identify(dir_of(a), CURRENT, &id))
		return false;
	*size = id.size;
	return id.ino == s->ino && id.dev == s->dev;
}

static enum put
put(struct account *a, struct stream_record *r)
{
	struct stream *s = &a->stream;
	char raw[STREAM_RECORD];
	uint64_t was = s->end;
	off_t end;

	r->seen = s->base + (was - STREAM_HEAD) / STREAM_RECORD;
	stream_record_pack(raw, r, s->salt);
	if (step_append(s->fd, str_make(raw, sizeof(raw))) == -1)
		return PUT_FAILED;
	if (!look_at_name(a, &s->end))
		return PUT_ELSEWHERE;
	/* it was cut behind what we saw, or a part of a record precedes */
	if (s->end < was + STREAM_RECORD || s->end % STREAM_RECORD != 0)
		return PUT_FAILED;
	if (s->end <= limit(s))
		return PUT_DONE;
	/* full: where does ours stand? */
	end = lseek(s->fd, 0, SEEK_CUR);
	return end != -1 && (uint64_t)end <= limit(s) ? PUT_DONE :
							PUT_ELSEWHERE;
}

/* None could be made just now, and nobody else has made one. */
static bool
is_off(struct account *a)
{
	struct stat st;

	return a->stream.fd == -1 && date_mono_ms() < a->stream.retry_ms &&
	       !find_dir(a) &&
	       fstatat(dir_of(a), CURRENT, &st, AT_SYMLINK_NOFOLLOW) == -1;
}

static void
note(struct account *a, struct stream_record *r)
{
	struct err e = { 0 };
	unsigned tries;

	/* of an account that was never opened, or to be looked at only */
	if (a == NULL || a->opts.readonly || a->acctfd == -1 ||
	    a->j.lockfd == -1 || is_off(a))
		return;
	r->time_us = date_now_us();
	for (tries = 0; tries < STREAM_TRIES; tries++) {
		if (a->stream.fd == -1 && stream_open(a, &e) == -1) {
			if (find_dir(a))
				continue;
			break;
		}
		switch (put(a, r)) {
		case PUT_DONE:
			return;
		case PUT_ELSEWHERE:
			forget(&a->stream);
			continue;
		case PUT_FAILED:
			break;
		}
		break;
	}
	stream_spoil(a, "a record could not be written: readers begin anew");
	a->stream.retry_ms = date_mono_ms() + RETRY_MS;
}

void
stream_note_mailbox(const struct mailbox *m, uint64_t end)
{
	struct stream_record r = { .kind = STREAM_MAILBOX,
		.gen = m->j.gen,
		.end = end,
		.before = m->j.modseq };

	memcpy(r.id, m->j.mailboxid, 16);
	note(m->account, &r);
}

void
stream_note_adopted(struct account *a, const uint8_t id[16])
{
	struct stream_record r = { .kind = STREAM_MAILBOX_NEW };

	memcpy(r.id, id, 16);
	note(a, &r);
}

void
stream_note_tree(struct account *a, uint64_t end)
{
	struct stream_record r = { .kind = STREAM_TREE,
		.gen = a->j.gen,
		.end = end,
		.before = a->j.end };

	note(a, &r);
}

void
stream_note_tree_anew(struct account *a)
{
	struct stream_record r = { .kind = STREAM_TREE_NEW };

	note(a, &r);
}

/* One that was never published is told as a whole, once it is let go. */
void
stream_note_held(struct account *a, const struct judged *j)
{
	bool is_whole = j->is_tree || !j->is_published;
	struct stream_record r = { .kind = j->is_tree ? STREAM_TREE_NEW :
					   is_whole   ? STREAM_MAILBOX_NEW :
							STREAM_MAILBOX,
		.gen = j->gen,
		.end = j->end + 1,
		.before = is_whole ? 0 : j->modseq };

	memcpy(r.id, j->id, 16);
	note(a, &r);
}
