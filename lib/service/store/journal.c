/*
 * journal - the append-only file that is the truth (doc/format-store.md).
 *
 * 1. A transaction is accepted only where it says it stands, with its whole
 *    length inside the file and its CRC, seeded by the file's salt, right.
 *    The first that is not ends the journal.
 * 2. Bytes behind that are cut (a torn tail: nobody was told of them) or, if
 *    a later transaction stands, kept aside as damage; only the holder of
 *    byte 0 decides.
 * 3. `pub` never runs ahead of what was synced, except for bookkeeping whose
 *    loss changes nothing. Readers stop at it.
 * 4. After a failed sync nothing more is acknowledged until everything this
 *    handle did not see synced was written and synced again.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define TXN_MAGIC    0x314e5854u /* "TXN1" */
#define PUB_MAGIC    0x42555051u /* "QPUB" */
#define FOOT_MASK    0x5a5a5a5au
#define READ_CHUNK   (256 * 1024)
#define LAG_MS	     100
#define DAMAGE_MAX   (1u << 30) /* of a file searched for later blocks */
#define JOURNAL_MODE 0600

static const char *const magics[] = { "QJRNL\0\0\1", "QACCT\0\0\1" };

uint32_t
boot_id(void)
{
	static uint32_t id;
	char text[64];
	ssize_t n;
	int fd;

	if (id != 0)
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? -1 : read(fd, text, sizeof(text));
	if (fd != -1)
		close(fd);
	/* without it every process is a boot of its own: slower, still right */
	if (n <= 0)
		fs_random(&id, sizeof(id));
	else
		id = crc32c(0, text, (size_t)n);
	return id |= 1;
}

void
journal_init(
    struct journal *j, enum journal_kind kind, int dirfd, bool readonly)
{
	*j = (struct journal){ .kind = kind,
		.dirfd = dirfd,
		.fd = -1,
		.lockfd = -1,
		.pubfd = -1,
		.readonly = readonly };
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
journal_release(struct journal *j)
{
	close_fd(&j->fd);
	close_fd(&j->lockfd);
	close_fd(&j->pubfd);
}

/* ---- header ---- */

/*
 * 0 u8[8] magic | 8 u32 version | 12 u32 hdr_len | 16 u64 gen
 * 24 u64 base_modseq | 32 u8[16] mailboxid | 48 u32 uidvalidity | 52 u32 salt
 * 56 u64 prev_end | 64 u32 snap_hdr_crc | 68 u32 feat_incompat
 * 72 u32 feat_compat | 76 u32 zero | 80 u64 created | 88 u64 carry_end
 * 96 u64 st_ino | 104 zero | 124 u32 crc32c of 0..123
 */
static void
head_pack(char p[JOURNAL_HEAD], const struct journal *j, uint64_t ino)
{
	memset(p, 0, JOURNAL_HEAD);
	memcpy(p, magics[j->kind], 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, JOURNAL_HEAD);
	le64_put(p + 16, j->gen);
	le64_put(p + 24, j->modseq);
	memcpy(p + 32, j->mailboxid, 16);
	le32_put(p + 48, j->uidvalidity);
	le32_put(p + 52, j->salt);
	le64_put(p + 80, (uint64_t)date_now());
	le64_put(p + 96, ino);
	le32_put(p + 124, crc32c(0, p, 124));
}

bool
journal_head_unpack(const char *p, struct journal *j)
{
	if (memcmp(p, magics[j->kind], 8) != 0 ||
	    le32_get(p + 12) != JOURNAL_HEAD ||
	    le32_get(p + 124) != crc32c(0, p, 124))
		return false;
	/* an incompatible feature is one we would misread */
	if (le32_get(p + 8) != 1 || le32_get(p + 68) != 0)
		return false;
	j->gen = le64_get(p + 16);
	j->modseq = le64_get(p + 24);
	memcpy(j->mailboxid, p + 32, 16);
	j->uidvalidity = le32_get(p + 48);
	j->salt = le32_get(p + 52);
	j->created = le64_get(p + 80);
	j->ino = le64_get(p + 96);
	return true;
}

/* ---- transactions ---- */

/* Whole length of what claims to stand at p, 0 if nothing can. */
static uint32_t
txn_len(const char *p, uint64_t off, uint64_t room)
{
	uint32_t len = le32_get(p + 4);

	if (le32_get(p) != TXN_MAGIC || len < TXN_HEAD + TXN_FOOT ||
	    len > room || len > TXN_MAX || len % 8 != 0 ||
	    le64_get(p + 16) != off)
		return 0;
	return len;
}

static uint32_t
txn_crc(uint32_t salt, const char *p, uint32_t len)
{
	static const char zero[4];
	uint32_t crc = crc32c(salt, p, 8);

	crc = crc32c(crc, zero, 4);
	return crc32c(crc, p + 12, len - 12 - TXN_FOOT);
}

static void
txn_head_unpack(const char *p, struct txn *t)
{
	t->len = le32_get(p + 4);
	t->nops = le16_get(p + 12);
	t->flags = le16_get(p + 14);
	t->off = le64_get(p + 16);
	t->modseq = le64_get(p + 24);
	t->time_us = (int64_t)le64_get(p + 32);
	t->c.uidnext = le32_get(p + 40);
	t->c.exists = le32_get(p + 44);
	t->c.deleted = le32_get(p + 48);
	t->c.unseen = le32_get(p + 52);
	t->c.unread = le32_get(p + 56);
	t->boot = le32_get(p + 60);
	t->c.bytes = le64_get(p + 64);
	t->c.deleted_bytes = le64_get(p + 72);
}

static bool
txn_unpack(const struct journal *j, const char *p, uint32_t len, struct txn *t)
{
	uint32_t crc = le32_get(p + 8);

	if (txn_crc(j->salt, p, len) != crc || le32_get(p + len - 8) != len ||
	    le32_get(p + len - 4) != (crc ^ FOOT_MASK))
		return false;
	txn_head_unpack(p, t);
	t->ops = str_make(p + TXN_HEAD, len - TXN_HEAD - TXN_FOOT);
	return true;
}

static void
txn_seal(struct journal *j, struct ops *o, const struct txn *t)
{
	struct buf *b = &o->b;
	uint32_t len = (uint32_t)b->n + TXN_FOOT, crc;
	char *p = b->p;

	le32_put(p, TXN_MAGIC);
	le32_put(p + 4, len);
	le16_put(p + 12, t->nops);
	le16_put(p + 14, t->flags);
	le64_put(p + 16, t->off);
	le64_put(p + 24, t->modseq);
	le64_put(p + 32, (uint64_t)t->time_us);
	le32_put(p + 40, t->c.uidnext);
	le32_put(p + 44, t->c.exists);
	le32_put(p + 48, t->c.deleted);
	le32_put(p + 52, t->c.unseen);
	le32_put(p + 56, t->c.unread);
	le32_put(p + 60, t->boot);
	le64_put(p + 64, t->c.bytes);
	le64_put(p + 72, t->c.deleted_bytes);
	crc = txn_crc(j->salt, p, len);
	le32_put(p + 8, crc);
	pack_u32(b, len);
	pack_u32(b, crc ^ FOOT_MASK);
}

ssize_t
journal_pread(const struct journal *j, void *p, size_t n, uint64_t off)
{
	return fs_pread_all(j->fd, p, n, off);
}

int
journal_read(struct journal *j, uint64_t upto, journal_apply *apply, void *arg,
    struct err *e)
{
	uint64_t base = j->end; /* file offset of buf[0] */
	size_t cap = upto - base < READ_CHUNK ? upto - base : READ_CHUNK;
	char *buf = xmalloc(cap);
	size_t have = 0, at = 0;
	struct txn t;
	int rc = 0;

	while (j->end < upto) {
		size_t need = TXN_HEAD + TXN_FOOT;
		uint32_t len = 0;
		ssize_t got;

		if (upto - j->end < need)
			break;
		if (have - at >= need) {
			len = txn_len(buf + at, j->end, upto - j->end);
			if (len == 0)
				break;
			need = len;
		}
		if (have - at < need) {
			memmove(buf, buf + at, have - at);
			have -= at;
			base += at;
			at = 0;
			if (need > cap)
				buf = xrealloc(buf, cap = need);
			got = journal_pread(j, buf + have,
			    upto - base - have < cap - have ?
				upto - base - have :
				cap - have,
			    base + have);
			if (got == -1) {
				rc = err_sys(e, "read journal");
				break;
			}
			if (got == 0)
				break;
			have += (size_t)got;
			continue;
		}
		if (!txn_unpack(j, buf + at, len, &t))
			break;
		if (apply(arg, &t) == -1) {
			rc = err_set(e, ERR_PERM,
			    "journal refused at offset %llu",
			    (unsigned long long)j->end);
			break;
		}
		j->last_boot = t.boot;
		if (t.modseq > j->modseq)
			j->modseq = t.modseq;
		j->end += len;
		at += len;
	}
	free(buf);
	return rc;
}

/* ---- pub ---- */

/*
 * 0 u32 "QPUB" | 4 u32 boot | 8 u64 end | 16 u64 modseq | 24 u64 cur mtime
 * 32 u64 new mtime | 40 u64 gen | 48 u32 uidvalidity | 52 u32 uidnext
 * 56 u32 exists | 60 u32 deleted | 64 u32 unseen | 68 u32 unread
 * 72 u64 bytes | 80 u64 deleted bytes | 88 u8[16] mailboxid | 104 zero
 * 124 u32 crc32c of 0..123
 */
bool
pub_unpack(const char raw[PUB_SIZE], struct pub *p)
{
	if (le32_get(raw) != PUB_MAGIC ||
	    le32_get(raw + 124) != crc32c(0, raw, 124) ||
	    le32_get(raw + 4) != boot_id())
		return false;
	p->boot = le32_get(raw + 4);
	p->end = le64_get(raw + 8);
	p->modseq = le64_get(raw + 16);
	p->cur_mtime = le64_get(raw + 24);
	p->new_mtime = le64_get(raw + 32);
	p->gen = (uint32_t)le64_get(raw + 40);
	p->uidvalidity = le32_get(raw + 48);
	p->c.uidnext = le32_get(raw + 52);
	p->c.exists = le32_get(raw + 56);
	p->c.deleted = le32_get(raw + 60);
	p->c.unseen = le32_get(raw + 64);
	p->c.unread = le32_get(raw + 68);
	p->c.bytes = le64_get(raw + 72);
	p->c.deleted_bytes = le64_get(raw + 80);
	memcpy(p->mailboxid, raw + 88, 16);
	return true;
}

static void
pub_read(struct journal *j)
{
	memset(j->pub_raw, 0, PUB_SIZE);
	j->pub_ok =
	    j->pubfd != -1 &&
	    fs_pread_all(j->pubfd, j->pub_raw, PUB_SIZE, 0) == PUB_SIZE &&
	    pub_unpack(j->pub_raw, &j->pub) && j->pub.gen == (uint32_t)j->gen;
}

void
journal_publish(struct journal *j, const struct counters *c, uint64_t cur_mtime,
    uint64_t new_mtime)
{
	char raw[PUB_SIZE] = { 0 };

	le32_put(raw, PUB_MAGIC);
	le32_put(raw + 4, boot_id());
	le64_put(raw + 8, j->end);
	le64_put(raw + 16, j->modseq);
	le64_put(raw + 24, cur_mtime);
	le64_put(raw + 32, new_mtime);
	le64_put(raw + 40, j->gen);
	le32_put(raw + 48, j->uidvalidity);
	le32_put(raw + 52, c->uidnext);
	le32_put(raw + 56, c->exists);
	le32_put(raw + 60, c->deleted);
	le32_put(raw + 64, c->unseen);
	le32_put(raw + 68, c->unread);
	le64_put(raw + 72, c->bytes);
	le64_put(raw + 80, c->deleted_bytes);
	memcpy(raw + 88, j->mailboxid, 16);
	le32_put(raw + 124, crc32c(0, raw, 124));
	/* Failing is no error: others see the file grown past pub and mend
	 * it. */
	if (step_pwrite(j->pubfd, str_make(raw, PUB_SIZE), 0) == 0) {
		memcpy(j->pub_raw, raw, PUB_SIZE);
		j->pub_ok = pub_unpack(raw, &j->pub);
	}
}

bool
journal_is_quiet(struct journal *j)
{
	char raw[PUB_SIZE];
	struct stat st;

	if (!j->pub_ok || fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) != PUB_SIZE)
		return false;
	if (memcmp(raw, j->pub_raw, PUB_SIZE) != 0 || j->pub.end != j->end)
		return false;
	if (fstat(j->fd, &st) == -1 || st.st_nlink == 0)
		return false;
	return (uint64_t)st.st_size == j->end;
}

/* ---- opening ---- */

int
journal_open_lock(struct journal *j, struct err *e)
{
	int flags = j->readonly ? O_RDONLY : O_RDWR | O_CREAT;

	close_fd(&j->lockfd);
	j->lockfd = fs_open_file(j->dirfd, "lock", flags, JOURNAL_MODE);
	if (j->lockfd == -1 && !(j->readonly && errno == ENOENT))
		return err_sys(e, "open lock");
	return 0;
}

int
journal_open(struct journal *j, struct err *e)
{
	int mode = j->readonly ? O_RDONLY : O_RDWR;
	char head[JOURNAL_HEAD];

	close_fd(&j->fd);
	close_fd(&j->pubfd);
	j->fd = fs_open_file(j->dirfd, "journal", mode, 0);
	if (j->fd == -1)
		return err_sys(e, "open journal");
	j->pubfd = fs_open_file(
	    j->dirfd, "pub", j->readonly ? mode : mode | O_CREAT, JOURNAL_MODE);
	if (j->pubfd == -1 && !j->readonly)
		return err_sys(e, "open pub");
	if (j->lockfd == -1 && journal_open_lock(j, e) == -1)
		return -1;
	if (journal_pread(j, head, sizeof(head), 0) != JOURNAL_HEAD ||
	    !journal_head_unpack(head, j))
		return err_set(
		    e, ERR_PERM, "journal: damaged header or a newer version");
	j->end = JOURNAL_HEAD;
	j->synced = 0;
	j->is_broken = false;
	pub_read(j);
	return 0;
}

int
journal_create(
    struct journal *j, const struct journal_spec *spec, struct err *e)
{
	char head[JOURNAL_HEAD];
	struct stat st;
	int rc = -1;

	close_fd(&j->fd);
	if (step_unlink(j->dirfd, "journal.tmp") == -1 && errno != ENOENT)
		return err_sys(e, "remove journal.tmp");
	j->fd = step_creat(j->dirfd, "journal.tmp", JOURNAL_MODE);
	if (j->fd == -1 || fstat(j->fd, &st) == -1)
		return err_sys(e, "create journal");
	j->gen++;
	memcpy(j->mailboxid, spec->mailboxid, 16);
	j->uidvalidity = spec->uidvalidity;
	j->modseq = spec->modseq;
	fs_random(&j->salt, sizeof(j->salt));
	head_pack(head, j, st.st_ino);
	if (step_pwrite(j->fd, str_make(head, sizeof(head)), 0) == -1) {
		err_sys(e, "write journal");
		goto done;
	}
	j->end = JOURNAL_HEAD;
	if (spec->fill != NULL && spec->fill(spec->arg, j, e) == -1)
		goto done;
	/* Makes true that the mailbox exists with these contents. */
	if (step_sync(j->fd) == -1 ||
	    step_replace(j->dirfd, "journal.tmp", "journal") == -1 ||
	    step_sync(j->dirfd) == -1) {
		err_sys(e, "make journal durable");
		goto done;
	}
	rc = 0;
done:
	if (rc == -1) {
		close_fd(&j->fd);
		unlinkat(j->dirfd, "journal.tmp", 0);
	}
	return rc;
}

/* ---- reading what others wrote ---- */

int
journal_follow(
    struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	uint64_t from = j->end, upto;
	struct stat st;

	if (fstat(j->fd, &st) == -1)
		return err_sys(e, "stat journal");
	pub_read(j);
	upto = (uint64_t)st.st_size;
	if (st.st_nlink == 0 || upto < j->end)
		return 2;
	if (j->pub_ok && j->pub.end < upto)
		upto = j->pub.end;
	if (upto > j->end && journal_read(j, upto, apply, arg, e) == -1)
		return -1;
	if (j->pub_ok && (uint64_t)st.st_size != j->pub.end) {
		if (j->lag_since == 0)
			j->lag_since = date_mono_ms();
	} else
		j->lag_since = 0;
	return j->end > from;
}

bool
journal_has_later(const struct journal *j, uint64_t size)
{
	uint64_t n = size - j->end, at, budget;
	char *p;
	ssize_t got;
	bool found = false;
	struct txn t;

	if (n > DAMAGE_MAX)
		return true;
	p = xmalloc(n);
	got = journal_pread(j, p, n, j->end);
	n = got < 0 ? 0 : (uint64_t)got;
	budget = 8 * n + 4096;
	for (at = 8; at + TXN_HEAD + TXN_FOOT <= n && !found; at += 8) {
		uint32_t len = txn_len(p + at, j->end + at, n - at);

		if (len == 0)
			continue;
		/* a hostile file of nothing but heads costs bounded time */
		if (len > budget) {
			found = true;
			break;
		}
		budget -= len;
		found = txn_unpack(j, p + at, len, &t);
	}
	free(p);
	return found;
}

/* Copy what can be saved into a new generation; the old file stays as .bad */
struct salvage {
	int fd;
	uint32_t salt;
	uint64_t size;
};

static int
salvage_fill(void *arg, struct journal *to, struct err *e)
{
	struct salvage *s = arg;
	struct journal from = {
		.kind = to->kind, .fd = s->fd, .salt = s->salt
	};
	char *p = xmalloc(s->size);
	ssize_t got = fs_pread_all(s->fd, p, s->size, 0);
	uint64_t n = got < 0 ? 0 : (uint64_t)got, at = JOURNAL_HEAD;
	uint64_t budget = 16 * n;
	struct ops o;
	struct txn t;
	int rc = 0;

	ops_init(&o);
	while (rc == 0 && at + TXN_HEAD + TXN_FOOT <= n) {
		uint32_t len = txn_len(p + at, at, n - at);

		if (len == 0 || len > budget ||
		    !txn_unpack(&from, p + at, len, &t)) {
			budget -= len < budget ? len : budget;
			at += 8;
			continue;
		}
		ops_clear(&o);
		buf_put(&o.b, t.ops);
		o.n = t.nops;
		rc = journal_append(to, &o, t.flags, t.modseq, &t.c, false, e);
		at += len;
	}
	ops_release(&o);
	free(p);
	return rc;
}

static int
salvage(struct journal *j, uint64_t size, struct err *e)
{
	struct salvage s = { dup(j->fd), j->salt, size };
	struct journal_spec spec = { .kind = j->kind,
		.uidvalidity = j->uidvalidity,
		.modseq = 1,
		.fill = salvage_fill,
		.arg = &s };
	int rc;

	if (size > DAMAGE_MAX || s.fd == -1) {
		close_fd(&s.fd);
		return err_set(e, ERR_PERM, "journal damaged at %llu",
		    (unsigned long long)j->end);
	}
	memcpy(spec.mailboxid, j->mailboxid, 16);
	if (step_unlink(j->dirfd, "journal.bad") == -1 && errno != ENOENT)
		rc = err_sys(e, "remove journal.bad");
	else if (step_link(j->dirfd, "journal", j->dirfd, "journal.bad") == -1)
		rc = err_sys(e, "keep damaged journal");
	else
		rc = journal_create(j, &spec, e);
	close_fd(&s.fd);
	return rc;
}

/* ---- the writer's lock ---- */

static bool
same_file(int dirfd, const char *name, int fd, struct stat *st)
{
	struct stat at;

	return fstat(fd, st) == 0 &&
	       fstatat(dirfd, name, &at, AT_SYMLINK_NOFOLLOW) == 0 &&
	       at.st_ino == st->st_ino && at.st_dev == st->st_dev;
}

bool
journal_is_short(const struct journal *j)
{
	struct stat st;
	char raw[PUB_SIZE];
	struct pub p;

	/* pub as it is now: the caller's may be of the other file */
	return fstatat(j->dirfd, "journal", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) == PUB_SIZE &&
	       pub_unpack(raw, &p) && p.gen == (uint32_t)j->gen &&
	       (uint64_t)st.st_size < p.end;
}

/* A writer died between its append and its publishing. */
static int
mend_pub(struct journal *j, struct err *e)
{
	uint64_t from = j->pub_ok ? j->pub.end : j->end;
	char *p;
	ssize_t n;
	int rc = 0;

	if (from < j->end) {
		/* A failed sync leaves pages that look written: write them
		 * again before trusting the next sync. */
		p = xmalloc(j->end - from);
		n = journal_pread(j, p, j->end - from, from);
		if (n < 0 || (uint64_t)n != j->end - from ||
		    step_pwrite(j->fd, str_make(p, (size_t)n), from) == -1)
			rc = err_sys(e, "write journal again");
		free(p);
	}
	if (rc == 0 && step_sync_data(j->fd) == -1)
		rc = err_sys(e, "sync journal");
	return rc;
}

/*
 * The kernel forgets about pages whose write failed: a later sync would
 * succeed without them. So they are made dirty again first.
 */
static int
heal(struct journal *j, struct err *e)
{
	uint64_t off = j->synced < JOURNAL_HEAD ? JOURNAL_HEAD : j->synced;
	char *p = xmalloc(READ_CHUNK);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && off < j->end) {
		size_t want =
		    j->end - off < READ_CHUNK ? j->end - off : READ_CHUNK;

		n = journal_pread(j, p, want, off);
		if (n <= 0 ||
		    step_pwrite(j->fd, str_make(p, (size_t)n), off) == -1)
			rc = err_sys(e, "write journal again");
		else
			off += (uint64_t)n;
	}
	free(p);
	if (rc == 0 && step_sync_data(j->fd) == -1)
		rc = err_sys(e, "sync journal");
	if (rc == 0) {
		j->is_broken = false;
		j->synced = j->end;
	}
	return rc;
}

static int
catch_up(struct journal *j, uint64_t size, journal_apply *apply, void *arg,
    struct err *e)
{
	pub_read(j);
	if (j->pub_ok && j->pub.end > size && !j->was_short)
		return 2; /* shorter than was published: restored */
	if (size > j->end && journal_read(j, size, apply, arg, e) == -1)
		return -1;
	if (j->end < size) {
		if (journal_has_later(j, size) ||
		    (j->pub_ok && j->pub.end > j->end)) {
			if (salvage(j, size, e) == -1)
				return -1;
			j->was_salvaged = true;
			return 2;
		}
		if (step_truncate(j->fd, j->end) == -1 ||
		    step_sync_data(j->fd) == -1)
			return err_sys(e, "cut torn tail");
		j->was_cut = true;
	}
	if (!j->pub_ok || j->pub.end != j->end) {
		if (mend_pub(j, e) == -1)
			return -1;
		j->must_publish = true;
	}
	j->lag_since = 0;
	return 0;
}

int
journal_lock(struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	struct stat st;
	int rc, tries = 0;

	if (j->readonly)
		return err_set(e, ERR_PERM, "opened read-only");
	for (;;) {
		if (fs_lock(j->lockfd, LOCK_WRITER, true, STORE_LOCK_MS, e) ==
		    -1)
			return -1;
		if (same_file(j->dirfd, "lock", j->lockfd, &st))
			break;
		fs_unlock(j->lockfd, LOCK_WRITER);
		if (++tries == 3)
			return err_set(e, ERR_TEMP, "lock file keeps changing");
		if (journal_open_lock(j, e) == -1)
			return -1;
	}
	j->is_locked = true;
	if (!same_file(j->dirfd, "journal", j->fd, &st) ||
	    (uint64_t)st.st_size < j->end)
		rc = 2;
	else
		rc = catch_up(j, (uint64_t)st.st_size, apply, arg, e);
	if (rc == 0 && j->is_broken)
		rc = heal(j, e);
	if (rc != 0)
		journal_unlock(j);
	return rc;
}

void
journal_unlock(struct journal *j)
{
	if (j->is_locked)
		fs_unlock(j->lockfd, LOCK_WRITER);
	j->is_locked = false;
}

/*
 * Never lower than the clock, so that a restored, rebuilt or cut journal
 * does not give a number out again. A clock beyond reason is not believed.
 */
uint64_t
journal_next_modseq(const struct journal *j)
{
	int64_t now = date_now();
	uint64_t clock =
	    now > 1700000000 && now < 3300000000 ? (uint64_t)now << 20 : 0;

	return j->modseq + 1 > clock ? j->modseq + 1 : clock;
}

/* Nobody was told of these bytes; should this fail, the next writer cuts. */
static void
take_back(const struct journal *j)
{
	int rc = ftruncate(j->fd, (off_t)j->end);

	(void)rc;
}

int
journal_append(struct journal *j, struct ops *o, uint16_t flags,
    uint64_t modseq, const struct counters *c, bool sync, struct err *e)
{
	struct txn t = { .off = j->end,
		.modseq = modseq,
		.time_us = date_now_us(),
		.nops = (uint16_t)(o->n > UINT16_MAX ? UINT16_MAX : o->n),
		.flags = flags,
		.boot = boot_id(),
		.c = *c };

	if (o->b.full || o->b.n > TXN_MAX - TXN_FOOT)
		return err_set(e, ERR_PERM, "transaction too large");
	txn_seal(j, o, &t);
	if (step_pwrite(j->fd, buf_str(&o->b), j->end) == -1) {
		err_sys(e, "write journal");
		take_back(j);
		return -1;
	}
	if (sync && step_sync_data(j->fd) == -1) {
		err_sys(e, "sync journal");
		take_back(j);
		j->is_broken = true;
		return -1;
	}
	j->end += o->b.n;
	if (sync)
		j->synced = j->end;
	j->last_boot = t.boot;
	if (modseq > j->modseq)
		j->modseq = modseq;
	return 0;
}
