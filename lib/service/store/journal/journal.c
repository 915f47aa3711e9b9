/*
 * journal - the append-only file that is the truth (doc/format-store.md).
 *
 * 1. A transaction is accepted only where it says it stands, with its whole
 *    length inside the file and its CRC, seeded by the file's salt, right.
 *    The first that is not ends the journal.
 * 2. Zeros behind that are room for the next. Other bytes are cut (a torn
 *    tail: nobody was told of them) or, if a later transaction stands, kept
 *    aside as damage; only the holder of byte 0 decides.
 * 3. `pub` never runs ahead of what was synced, except for bookkeeping whose
 *    loss changes nothing. Readers stop at it.
 * 4. After a failed sync nothing more is acknowledged until everything this
 *    handle did not see synced was written and synced again.
 */
#include "service/store/journal_room_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define LAG_MS 100

uint32_t store_boot;

uint32_t
boot_id(void)
{
	static uint32_t id;
	char text[64];
	ssize_t n;
	int fd;

	if (store_boot != 0)
		return store_boot;
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
store_prepare(void)
{
	(void)boot_id();
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
		.lock_ms = STORE_LOCK_MS,
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
		memcpy(j->foot, buf + at + len - TXN_FOOT, TXN_FOOT);
		j->end += len;
		at += len;
	}
	free(buf);
	return rc;
}

/* ---- opening ---- */

int
journal_open_lock(struct journal *j, struct err *e)
{
	close_fd(&j->lockfd);
	j->lockfd = j->readonly ? fs_open_file(j->dirfd, "lock", O_RDONLY, 0) :
				  step_open(j->dirfd, "lock");
	if (j->lockfd != -1 ? !fs_identify(j->lockfd, "", &j->lock) :
			      !(j->readonly && errno == ENOENT))
		return err_sys(e, "open lock");
	return 0;
}

int
journal_open_as(struct journal *j, const char *name, struct err *e)
{
	char head[JOURNAL_HEAD];
	ssize_t n;

	close_fd(&j->fd);
	j->fd =
	    fs_open_file(j->dirfd, name, j->readonly ? O_RDONLY : O_RDWR, 0);
	if (j->fd == -1 || !fs_identify(j->fd, "", &j->file))
		return err_sys(e, "open %s", name);
	n = journal_pread(j, head, sizeof(head), 0);
	if (n != JOURNAL_HEAD || !journal_head_unpack(head, j)) {
		close_fd(&j->fd);
		/* what a later version wrote is not to be put aside */
		return n == JOURNAL_HEAD && journal_head_is_newer(head) ?
			   err_set(e, ERR_TEMP,
			       "%s was written by a newer version", name) :
			   err_set(e, ERR_PERM, "%s has no header", name);
	}
	memcpy(j->foot, head + JOURNAL_HEAD - TXN_FOOT, TXN_FOOT);
	j->end = JOURNAL_HEAD;
	j->synced = 0;
	j->is_broken = false;
	return 0;
}

int
journal_open_pub(struct journal *j, struct err *e)
{
	close_fd(&j->pubfd);
	j->pubfd = j->readonly ? fs_open_file(j->dirfd, "pub", O_RDONLY, 0) :
				 step_open(j->dirfd, "pub");
	return j->pubfd == -1 && !j->readonly ? err_sys(e, "open pub") : 0;
}

int
journal_open(struct journal *j, struct err *e)
{
	if (journal_open_as(j, "journal", e) == -1 ||
	    journal_open_pub(j, e) == -1)
		return -1;
	if (j->lockfd == -1 && journal_open_lock(j, e) == -1)
		return -1;
	pub_read(j);
	return 0;
}

uint64_t
journal_published(struct journal *j)
{
	pub_read(j);
	return j->pub_ok ? j->pub.end : 0;
}

int
journal_create(
    struct journal *j, const struct journal_spec *spec, struct err *e)
{
	char head[JOURNAL_HEAD];
	int rc = -1;

	close_fd(&j->fd);
	if (step_unlink(j->dirfd, "journal.tmp") == -1 && errno != ENOENT)
		return err_sys(e, "remove journal.tmp");
	j->fd = step_creat(j->dirfd, "journal.tmp");
	if (j->fd == -1 || !fs_identify(j->fd, "", &j->file))
		return err_sys(e, "create journal");
	j->gen++;
	memcpy(j->mailboxid, spec->mailboxid, 16);
	j->uidvalidity = spec->uidvalidity;
	j->modseq = spec->modseq;
	j->index_gen = spec->index_gen;
	j->index_crc = spec->index_crc;
	j->cache_no = spec->cache_no;
	j->base_off = spec->base_off;
	j->prev_end = spec->prev_end;
	j->carry_end = spec->carry_end;
	j->ino = j->file.ino;
	fs_random(&j->salt, sizeof(j->salt));
	journal_head_pack(head, j, j->ino);
	if (step_pwrite(j->fd, str_make(head, sizeof(head)), 0) == -1) {
		err_sys(e, "write journal");
		goto done;
	}
	memcpy(j->foot, head + JOURNAL_HEAD - TXN_FOOT, TXN_FOOT);
	j->size = j->end = JOURNAL_HEAD;
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

/* Has the file that we know this name still? id: of what has it. */
static bool
has_name(const struct journal *j, const char *name, const struct fs_id *known,
    struct fs_id *id)
{
	return fs_identify(j->dirfd, name, id) && fs_is_same(id, known);
}

int
journal_follow(
    struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	uint64_t from = j->end, upto;
	enum journal_tail tail;
	struct fs_id id;

	if (j->is_hidden)
		return 0;
	if (!fs_identify(j->fd, "", &id))
		return err_sys(e, "stat journal");
	pub_read(j);
	j->mtime = 0;
	upto = id.size;
	tail = journal_tail(j);
	/* without a pub of ours: is it still the journal? */
	if (id.nlink == 0 || tail == TAIL_CHANGED ||
	    (!j->pub_ok && !has_name(j, "journal", &j->file, &id)))
		return 2;
	if (j->pub_ok && j->pub.end < upto)
		upto = j->pub.end;
	if (tail == TAIL_MORE && upto > j->end) {
		if (journal_read(j, upto, apply, arg, e) == -1)
			return -1;
		tail = journal_tail(j);
	}
	if (j->pub_ok && (tail != TAIL_BLANK || j->end != j->pub.end)) {
		if (j->lag_since == 0)
			j->lag_since = date_mono_ms();
	} else
		j->lag_since = 0;
	return j->end > from;
}

/* ---- the writer's lock ---- */

bool
journal_is_short(const struct journal *j)
{
	int fd = fs_open_file(j->dirfd, "journal", O_RDONLY, 0);
	char raw[PUB_SIZE];
	struct pub p;
	bool is_short;

	/* pub as it is now: the caller's may be of the other file */
	is_short = fd != -1 &&
		   fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) == PUB_SIZE &&
		   pub_unpack(raw, &p) && p.gen == (uint32_t)j->gen &&
		   !journal_goes_to(fd, p.end);
	if (fd != -1)
		close(fd);
	return is_short;
}

static int
catch_up(struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	enum journal_tail tail = journal_tail(j);
	uint64_t size = j->size;

	pub_read(j);
	if (tail == TAIL_CHANGED)
		return 2;
	if (j->pub_ok && j->pub.end == j->end && tail == TAIL_BLANK) {
		j->lag_since = 0;
		return 0;
	}
	if (size > j->end && journal_read(j, size, apply, arg, e) == -1)
		return -1;
	if (journal_is_blank(j)) {
		if (j->pub_ok && j->pub.end > j->end && !j->was_short)
			return 2; /* shorter than was published: restored */
	} else {
		if (journal_has_later(j, size) ||
		    (j->pub_ok && j->pub.end > j->end)) {
			return journal_salvage(j, size, e) == -1 ? -1 : 2;
		}
		if (step_truncate(j->fd, j->end) == -1 ||
		    step_sync_data(j->fd) == -1)
			return err_sys(e, "cut torn tail");
		j->size = j->end;
		j->was_cut = true;
	}
	if (!j->pub_ok || j->pub.end != j->end) {
		if (journal_mend_pub(j, e) == -1)
			return -1;
		j->must_publish = true;
	}
	j->lag_since = 0;
	return 0;
}

int
journal_lock(struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	struct fs_id id;
	int rc, tries = 0;

	if (j->readonly)
		return err_set(e, ERR_PERM, "opened read-only");
	for (;;) {
		if (fs_lock(j->lockfd, LOCK_WRITER, true, j->lock_ms, e) == -1)
			return -1;
		if (has_name(j, "lock", &j->lock, &id))
			break;
		fs_unlock(j->lockfd, LOCK_WRITER);
		if (++tries == 3)
			return err_set(e, ERR_TEMP, "lock file keeps changing");
		/* gone with its directory: as if another journal had its
		 * name */
		if (journal_open_lock(j, e) == -1)
			return j->lockfd == -1 && errno == ENOENT ? 2 : -1;
	}
	j->is_locked = true;
	if (!has_name(j, "journal", &j->file, &id))
		rc = 2;
	else {
		j->size = id.size;
		rc = catch_up(j, apply, arg, e);
	}
	if (rc == 0 && j->is_broken)
		rc = journal_heal(j, e);
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
take_back(struct journal *j)
{
	if (ftruncate(j->fd, (off_t)j->end) == 0)
		j->size = j->end;
}

static int
append(struct journal *j, struct ops *o, const struct txn *t, bool sync,
    struct err *e)
{
	if (o->b.full || o->b.n > TXN_MAX - TXN_FOOT)
		return err_set(e, ERR_PERM, "transaction too large");
	txn_seal(j, o, t);
	j->mtime = 0;
	if (journal_make_room(j, j->end + o->b.n) == -1 ||
	    step_pwrite(j->fd, buf_str(&o->b), j->end) == -1) {
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
	memcpy(j->foot, o->b.p + o->b.n - TXN_FOOT, TXN_FOOT);
	if (sync)
		j->synced = j->end;
	j->last_boot = t->boot;
	if (t->modseq > j->modseq)
		j->modseq = t->modseq;
	return 0;
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

	return append(j, o, &t, sync, e);
}

int
journal_carry(
    struct journal *j, struct ops *o, const struct txn *from, struct err *e)
{
	struct txn t = *from;

	t.off = j->end;
	ops_clear(o);
	buf_put(&o->b, from->ops);
	o->n = from->nops;
	return append(j, o, &t, false, e);
}

int
journal_carry_one(void *carrier, const struct txn *t)
{
	struct journal_carrier *c = carrier;

	return journal_carry(c->to, c->ops, t, c->e);
}
