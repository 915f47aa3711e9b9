/*
 * generation - from one journal to the next.
 *
 * A journal grows; an index is its state at some offset V, and the journal of
 * the next generation goes on from there. Steps, and what a stop leaves:
 *
 * 1. Under byte 1 only: fsync of cur/ and new/ (renames up to V are no more
 *    in doubt); records, synced; index.G, synced under its name (plan.c). A
 *    stop: files nobody names; the next one replaces them.
 * 2. Under byte 0: the transactions behind V are carried into journal.tmp,
 *    synced; the old journal gets its second name journal.(G-1); journal.tmp
 *    takes the name; fsync of the directory. A stop: either journal is whole
 *    and says the same. Nothing is acknowledged in the new one before the
 *    directory was synced.
 * 3. pub says so; readers of the old one read it to its end and go on at
 *    carry_end with the view they have.
 *
 * One generation before is kept: from it a lost index is made again.
 */
#include "service/store/plan_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

#define TAIL_UNSCANNED 16
#define TAIL_PART      16 /* of the index: what writing it anew costs */

uint64_t store_tail_min = 256 * 1024; /* costs nothing to read */

bool
generation_is_due(const struct mailbox *m)
{
	uint64_t tail = m->j.end - JOURNAL_HEAD;
	uint64_t most = m->index_len / TAIL_PART;

	if (m->j.readonly || m->is_dead || m->v.is_gone || m->v.nmoves > 0)
		return false;
	if (most < store_tail_min)
		most = store_tail_min;
	/* an index does not say which names were there: a scan comes first,
	 * if one comes (a deliverer makes none) */
	if (m->v.nformer > 0)
		most *= TAIL_UNSCANNED;
	return m->must_generate || tail > most;
}

/* ---- the new journal ---- */

struct carry {
	const struct journal *from;
	uint64_t at, end;
};

static int
carry_fill(void *arg, struct journal *to, struct err *e)
{
	struct carry *c = arg;
	struct journal from = *c->from;
	struct ops ops;
	struct journal_carrier carrier = { to, &ops, e };
	int rc;

	from.end = c->at;
	ops_init(&ops);
	rc = journal_read(&from, c->end, journal_carry_one, &carrier, e);
	ops_release(&ops);
	if (rc == 0 && from.end != c->end)
		rc = err_set(e, ERR_TEMP, "journal damaged at %llu",
		    (unsigned long long)from.end);
	return rc;
}

/* The descriptor of the journal we leave stays: names are read from it. */
static bool
keep_slot(struct mailbox *m)
{
	/* the last one is of generation_regain() */
	if (m->v.slot + 1 >= REC_SLOTS - 1)
		return false;
	m->slotfd[m->v.slot] = m->j.fd;
	m->slotend[m->v.slot] = m->j.end;
	m->v.slot++;
	return true;
}

/* Go over to the journal n, whose file is open; the view stays. */
static void
take_over(struct mailbox *m, struct journal *n)
{
	struct journal *j = &m->j;

	if (n->cache_no != j->cache_no)
		memset(m->v.cache, 0, m->v.n * sizeof(*m->v.cache));
	n->lockfd = j->lockfd;
	n->lock = j->lock;
	n->lock_ms = j->lock_ms;
	n->regain = j->regain;
	n->regain_arg = j->regain_arg;
	n->is_locked = j->is_locked;
	if (n->pubfd != j->pubfd)
		close(j->pubfd);
	n->last_boot = j->last_boot;
	n->modseq = j->modseq;
	*j = *n;
	m->v.ino = 0;
}

static int
make_journal(struct mailbox *m, const struct plan *p, uint64_t carried,
    struct journal *n, struct err *e)
{
	struct journal *j = &m->j;
	struct carry c = { .from = j, .at = carried, .end = j->end };
	struct journal_spec spec = { .kind = JOURNAL_MAILBOX,
		.uidvalidity = j->uidvalidity,
		.modseq = p->h.modseq,
		.index_gen = p->h.gen,
		.index_crc = p->h.crc,
		.cache_no = p->cache_no,
		.base_off = p->h.base_off,
		.prev_end = j->end,
		.carry_end = JOURNAL_HEAD + (j->end - carried),
		.fill = carry_fill,
		.arg = &c };
	char name[32];

	memcpy(spec.mailboxid, j->mailboxid, 16);
	index_name("journal", j->gen, name);
	if (step_unlink(m->qfd, name) == -1 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	/* not there after damage: then there is nothing to keep */
	if (step_link(m->qfd, "journal", m->qfd, name) == -1 && errno != ENOENT)
		return err_sys(e, "keep %s", name);
	journal_init(n, JOURNAL_MAILBOX, m->qfd, false);
	n->gen = p->h.gen - 1;
	return journal_create(n, &spec, e);
}

/* ---- files nobody needs any more ---- */

/* keep: this generation, the one before, and the records of both. */
static void
sweep(struct mailbox *m, const struct plan *p, uint64_t recs_before)
{
	int fd = dup(m->qfd);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *de;
	uint64_t k;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	rewinddir(d);
	while ((de = readdir(d)) != NULL)
		if ((index_is_name(de->d_name, "index", &k) &&
			k + 1 < p->h.gen) ||
		    (index_is_name(de->d_name, "journal", &k) &&
			k + 1 < p->h.gen) ||
		    (index_is_name(de->d_name, "recs", &k) &&
			k != p->h.recs.number && k != recs_before) ||
		    (index_is_name(de->d_name, "cache", &k) && k < p->cache_no))
			step_unlink(m->qfd, de->d_name);
	closedir(d);
}

/* ---- making one ---- */

/* Step 2 and 3, under byte 0. */
static int
change_over(
    struct mailbox *m, const struct plan *p, uint64_t carried, struct err *e)
{
	struct journal n;
	uint64_t recs_before =
	    m->recsfd == -1 ? p->h.recs.number : m->recs.number;

	if (make_journal(m, p, carried, &n, e) == -1)
		return -1;
	n.pubfd = m->j.pubfd;
	journal_publish(&n, &m->v.c, m->v.scan, m->account);
	m->index_len = p->h.file_len;
	m->must_generate = false;
	lost_release(&m->lost);
	sweep(m, p, recs_before);
	if (keep_slot(m)) {
		n.synced = n.end;
		take_over(m, &n);
	} else
		close(n.fd); /* the next look loads the view anew */
	return 0;
}

static int
make_locked(struct mailbox *m, struct err *e)
{
	struct plan p;
	uint64_t gen;
	int rc;

	if (mailbox_follow(m, e) == -1)
		return -1;
	if (!generation_is_due(m))
		return 0;
	gen = m->j.gen;
	rc = generation_plan(m, &p, e);
	if (rc == 0 && (rc = mailbox_lock_only(m, e)) == 0) {
		/* salvaged meanwhile: this index is of another journal */
		if (m->j.gen == gen)
			rc = change_over(m, &p, p.h.base_off, e);
		mailbox_unlock(m);
	}
	plan_release(&p);
	return rc;
}

int
generation_make(struct mailbox *m, struct err *e)
{
	int rc;

	if (fs_lock(m->j.lockfd, LOCK_INDEX, true, 0, NULL) == -1)
		return 0;
	rc = make_locked(m, e);
	fs_unlock(m->j.lockfd, LOCK_INDEX);
	return rc;
}

/* ---- following one ---- */

bool
generation_follow(struct mailbox *m)
{
	struct journal *j = &m->j, n;

	journal_init(&n, JOURNAL_MAILBOX, m->qfd, j->readonly);
	n.lockfd = j->lockfd;
	n.lock = j->lock;
	if (j->readonly && n.lockfd == -1)
		return false;
	if (journal_open(&n, NULL) == -1 || n.gen != j->gen + 1 ||
	    n.prev_end == 0 || j->end > n.prev_end ||
	    memcmp(n.mailboxid, j->mailboxid, 16) != 0 ||
	    n.uidvalidity != j->uidvalidity ||
	    journal_read(j, n.prev_end, view_apply, &m->v, NULL) == -1 ||
	    j->end != n.prev_end || !keep_slot(m)) {
		if (n.fd != -1)
			close(n.fd);
		if (n.pubfd != -1)
			close(n.pubfd);
		return false;
	}
	n.end = n.carry_end;
	journal_note_foot(&n);
	take_over(m, &n);
	return true;
}

/* ---- damage ---- */

int
generation_regain(struct mailbox *m, struct err *e)
{
	struct journal *j = &m->j, before;
	char name[32];
	int rc = -1;

	index_name("journal", j->index_gen - 1, name);
	journal_init(&before, JOURNAL_MAILBOX, m->qfd, true);
	if (journal_open_as(&before, name, e) == -1)
		return -1;
	if (before.gen + 1 != j->index_gen ||
	    memcmp(before.mailboxid, j->mailboxid, 16) != 0)
		err_set(e, ERR_PERM, "%s is of another mailbox", name);
	else if (before.index_gen == 0 ||
		 index_load(m, &before, &m->v, e) == 0) {
		m->v.slot = REC_SLOTS - 1;
		rc = journal_read(&before, j->base_off, view_apply, &m->v, e);
		if (rc == 0 && before.end != j->base_off)
			rc = err_set(e, ERR_PERM, "%s is damaged", name);
	}
	if (rc == -1) {
		close(before.fd);
		return -1;
	}
	m->slotfd[REC_SLOTS - 1] = before.fd;
	m->slotend[REC_SLOTS - 1] = before.end;
	m->v.slot = 1;
	m->must_generate = true;
	return 0;
}

/* Is what has the journal's name beyond use, as opposed to another one? */
static bool
is_destroyed(struct mailbox *m)
{
	struct journal n;
	struct stat mine, named;
	bool ok;

	if (fstat(m->j.fd, &mine) == -1)
		return false;
	if (fstatat(m->qfd, "journal", &named, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT;
	if (named.st_ino == mine.st_ino && named.st_dev == mine.st_dev)
		return !journal_stands(&m->j);
	journal_init(&n, JOURNAL_MAILBOX, m->qfd, true);
	ok = journal_open_as(&n, "journal", NULL) == 0;
	if (n.fd != -1)
		close(n.fd);
	return !ok;
}

/* The directory itself was removed: begin with an empty one. */
static int
renew_directory(struct mailbox *m, struct err *e)
{
	int fd = state_open(m->account, m->dirfd, m->j.mailboxid, true);
	struct stat mine, named;

	if (fd == -1 || fstat(fd, &named) == -1)
		return err_sys(e, "open quire");
	if (fstat(m->qfd, &mine) == 0 && mine.st_ino == named.st_ino) {
		close(fd);
		return 0;
	}
	close(m->qfd);
	m->qfd = fd;
	m->j.dirfd = m->qfd;
	if (m->expfd != -1)
		close(m->expfd);
	m->expfd = -1;
	return journal_open_lock(&m->j, e) == -1 ||
		       journal_open_pub(&m->j, e) == -1 ?
		   -1 :
		   0;
}

static int
revive_locked(struct mailbox *m, struct err *e)
{
	struct journal *j = &m->j;
	struct plan p;
	struct stat st;
	int rc;

	if (!is_destroyed(m))
		return 0;
	/* removed, its contents are still there for who has it open */
	if (fstat(j->fd, &st) == 0 && (uint64_t)st.st_size > j->end &&
	    journal_read(j, (uint64_t)st.st_size, view_apply, &m->v, e) == -1)
		return -1;
	/* cut: somebody else may know more than we do */
	if (journal_published(j) > j->end)
		return 0;
	mailbox_log(m, 0, "store.revived",
	    "the journal is gone: written anew from an open session");
	m->must_generate = true;
	rc = generation_plan(m, &p, e);
	if (rc == 0)
		rc = change_over(m, &p, j->end, e);
	plan_release(&p);
	return rc == -1 ? -1 : 1;
}

int
generation_revive(struct mailbox *m, struct err *e)
{
	int rc;

	if (m->j.readonly || m->is_dead || m->v.is_gone || !is_destroyed(m) ||
	    index_was_cut(m->v.block))
		return 0;
	if (renew_directory(m, e) == -1 ||
	    fs_lock(m->j.lockfd, LOCK_WRITER, true, m->j.lock_ms, e) == -1)
		return -1;
	rc = revive_locked(m, e);
	fs_unlock(m->j.lockfd, LOCK_WRITER);
	m->j.is_locked = false;
	return rc;
}
