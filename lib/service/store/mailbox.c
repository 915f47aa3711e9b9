/*
 * mailbox - opening, following, and what a session sees.
 *
 * 1. Nothing is written without byte 0; the view is at the end of the
 *    journal while it is held.
 * 2. What a session was shown only changes by mailbox_sync() or its own
 *    operations (view.c, 1 and 2).
 * 3. Reading mail never needs the lock.
 */
#include "service/store/store_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define UID_GAP_CUT	1000   /* a torn tail may have held this many */
#define UID_GAP_RESTORE 100000 /* and a backup may be this much behind */

void
mailbox_log(struct mailbox *m, int level, const char *event, const char *text)
{
	account_log(m->account, level, event, text);
}

/* ---- writing ---- */

static void
predict_tuples(const struct view *v, const struct op *op, struct counters *c)
{
	unsigned width = 4;
	size_t n, i;

	op_tuples(op->body, width, &n);
	for (i = 0; i < n; i++) {
		uint32_t row = view_row(v, op_tuple(op->body, width, i, 0));
		uint64_t size;

		if (row == v->n || (v->st[row] & ST_GHOST) != 0)
			continue;
		view_count(c, v->flags[row], v->size[row], -1);
		if (op->type == OP_EXPUNGE)
			continue;
		size = op_tuple(op->body, width, i, 2) |
		       (uint64_t)op_tuple(op->body, width, i, 3) << 32;
		view_count(c, v->flags[row], size, 1);
	}
}

static void
predict_flags(const struct view *v, const struct op *op, struct counters *c)
{
	struct op_flags f;
	size_t n, i;
	uint32_t row;

	op_flags_unpack(op->body, &f);
	op_tuples(f.ranges, 2, &n);
	for (i = 0; i < n; i++)
		for (row = view_lower(v, op_tuple(f.ranges, 2, i, 0));
		     row < v->n && v->uid[row] <= op_tuple(f.ranges, 2, i, 1);
		     row++) {
			uint16_t now = v->flags[row];

			if ((v->st[row] & ST_GHOST) != 0)
				continue;
			view_count(c, now, v->size[row], -1);
			view_count(c, (uint16_t)((now & ~f.rem) | f.add),
			    v->size[row], 1);
		}
}

/*
 * The counters as they will be after these ops: they stand in the
 * transaction's head, and the view must not move before it is written.
 */
static void
predict(const struct view *v, const struct ops *o, struct counters *c)
{
	struct cur cur;
	struct op op;
	struct op_add add;
	uint64_t w[2];

	*c = v->c;
	cur_init(&cur, str_sub(buf_str(&o->b), TXN_HEAD, o->b.n));
	while (op_next(&cur, &op))
		switch (op.type) {
		case OP_ADD:
			if (op_add_unpack(op.body, &add)) {
				view_count(c, add.flags, add.size, 1);
				c->uidnext = add.uid + 1;
			}
			break;
		case OP_FLAGS:
			predict_flags(v, &op, c);
			break;
		case OP_EXPUNGE:
		case OP_SIZE:
			predict_tuples(v, &op, c);
			break;
		case OP_BOOT:
		case OP_RESTORE:
			if (op_words_unpack(op.body, w) &&
			    w[1] < UINT32_MAX - c->uidnext)
				c->uidnext += (uint32_t)w[1];
			break;
		}
}

int
mailbox_append(struct mailbox *m, uint16_t flags, bool bookkeeping, bool sync,
    struct err *e)
{
	struct counters c;
	struct txn t;
	uint64_t off = m->j.end;
	uint64_t modseq =
	    bookkeeping ? m->j.modseq : journal_next_modseq(&m->j);
	int rc;

	assert(m->j.is_locked);
	if (m->ops.n == 0)
		return 0;
	predict(&m->v, &m->ops, &c);
	rc = journal_append(&m->j, &m->ops, flags, modseq, &c, sync, e);
	if (rc == 0) {
		t = (struct txn){ .off = off,
			.modseq = modseq,
			.boot = boot_id(),
			.flags = flags,
			.c = c,
			.ops = str_sub(buf_str(&m->ops.b), TXN_HEAD,
			    m->ops.b.n - TXN_HEAD - TXN_FOOT) };
		/* foreign changes found by a scan are news to this session */
		m->v.is_own = (flags & TXN_FOREIGN) == 0;
		rc = view_apply(&m->v, &t);
		m->v.is_own = false;
		assert(rc == 0); /* what we write we must be able to read */
		journal_publish(
		    &m->j, &m->v.c, m->v.scan[0].mtime, m->v.scan[1].mtime);
	}
	ops_clear(&m->ops);
	return rc;
}

/* ---- loading ---- */

static int
load(struct mailbox *m, struct err *e)
{
	int rc;

	view_release(&m->v);
	m->v.is_loading = true;
	m->window_n = 0;
	if (journal_open(&m->j, e) == -1)
		return -1;
	rc = journal_follow(&m->j, view_apply, &m->v, e);
	if (rc == 2)
		rc = err_set(e, ERR_TEMP, "journal is being replaced");
	return rc == -1 ? -1 : 0;
}

/* A ghost of the old view, in the new one, in UID order. */
static void
insert_ghost(struct view *v, const struct view *old, uint32_t from)
{
	uint32_t at = view_lower(v, old->uid[from]), i;

	view_push(v);
	for (i = v->n - 1; i > at; i--)
		view_move_row(v, i, i - 1);
	v->uid[at] = old->uid[from];
	v->fn[at] = v->fnx[at] = old->fn[from];
	v->flags[at] = old->flags[from];
	v->st[at] = ST_GHOST;
	v->kw[at] = old->kw[from];
	v->modseq[at] = v->modseq_now;
	v->size[at] = old->size[from];
	v->rec[at] = 0; /* its name stood in the other file */
	v->uhash[at] = old->uhash[from];
	v->bhash[at] = old->bhash[from];
	v->idate[at] = old->idate[from];
	if (v->nrec != NULL)
		v->nrec[at] = 0;
	v->nghosts++;
	v->shown++;
}

/*
 * The journal was replaced (restored, salvaged): go on with the new one by
 * comparing what the session was shown with what is there now.
 * false: sequence numbers cannot be kept.
 */
static bool
rebase(struct view *v, const struct view *old)
{
	uint32_t i = 0, k = 0, last;

	last = old->shown == 0 ? 0 : old->uid[old->shown - 1];
	v->shown = view_lower(v, last + 1);
	for (i = 0, k = 0; i < old->shown; i++) {
		while (k < v->n && v->uid[k] < old->uid[i])
			k++;
		if (k == v->n || v->uid[k] != old->uid[i]) {
			insert_ghost(v, old, i);
			k = 0;
			continue;
		}
		if (v->flags[k] != old->flags[i] || v->kw[k] != old->kw[i])
			view_touch(v, k, ST_DIRTY);
	}
	if (v->shown != old->shown)
		return false;
	for (k = v->shown; k < v->n; k++)
		view_touch(v, k, ST_ARRIVED);
	v->keywords_told = 0;
	v->pending_from = 1;
	return true;
}

static int
reload(struct mailbox *m, struct err *e)
{
	struct view old = m->v;
	uint32_t uidvalidity = m->j.uidvalidity;
	int rc;

	mailbox_log(m, 1, "store.reload", "journal replaced, comparing views");
	view_init(&m->v);
	rc = load(m, e);
	if (rc == 0) {
		view_settle(&m->v);
		if (m->j.uidvalidity != uidvalidity || !rebase(&m->v, &old))
			m->is_dead = true;
	} else
		m->is_dead = true;
	view_release(&old);
	return rc;
}

/* Under byte 0: what the state of the file obliges its writer to say. */
static int
settle_accounts(struct mailbox *m, struct err *e)
{
	struct journal *j = &m->j;
	struct stat st;
	uint64_t ino = m->v.ino != 0 ? m->v.ino : j->ino;
	uint32_t i;

	ops_clear(&m->ops);
	if (fstat(j->fd, &st) == -1)
		return err_sys(e, "stat journal");
	if (st.st_ino != ino || j->was_short) {
		mailbox_log(m, 1, "store.restored",
		    "journal is a restored copy: UIDs skip ahead");
		op_words_pack(&m->ops, OP_RESTORE, st.st_ino, UID_GAP_RESTORE);
	} else if (j->was_salvaged || (j->was_cut && j->last_boot != 0 &&
					  j->last_boot != boot_id()))
		op_words_pack(&m->ops, OP_BOOT, j->last_boot, UID_GAP_CUT);
	if (j->was_salvaged)
		op_words_pack(&m->ops, OP_FLOOR, journal_next_modseq(j), 0);
	/* what was recorded of the directories holds no more */
	for (i = 0; i < 2 && m->ops.n > 0; i++)
		op_scan_pack(&m->ops, &(struct op_scan){ .dir = i });
	if (m->ops.n > 0) {
		if (mailbox_append(m, TXN_BOOT, false, true, e) == -1)
			return -1;
	} else if (j->must_publish)
		journal_publish(
		    j, &m->v.c, m->v.scan[0].mtime, m->v.scan[1].mtime);
	j->was_short = j->was_salvaged = j->was_cut = j->must_publish = false;
	return 0;
}

int
mailbox_lock_only(struct mailbox *m, struct err *e)
{
	int rc, tries;
	bool salvaged = false, was_short;

	for (tries = 0; tries < 3; tries++) {
		rc = journal_lock(&m->j, view_apply, &m->v, e);
		if (rc == -1)
			return -1;
		if (rc == 0)
			break;
		salvaged |= m->j.was_salvaged;
		was_short = journal_is_short(&m->j);
		if (reload(m, e) == -1)
			return -1;
		m->j.was_salvaged = salvaged;
		m->j.was_short = was_short;
		if (was_short)
			m->j.pub_ok = false;
	}
	if (tries == 3)
		return err_set(e, ERR_TEMP, "journal keeps changing");
	if (m->v.is_gone || m->is_dead) {
		m->is_dead = true;
		journal_unlock(&m->j);
		return err_set(e, ERR_PERM, "mailbox was deleted or rebuilt");
	}
	rc = settle_accounts(m, e);
	if (rc == -1)
		journal_unlock(&m->j);
	ops_clear(&m->ops);
	return rc;
}

int
mailbox_lock(struct mailbox *m, struct err *e)
{
	struct err why = { 0 };

	if (mailbox_lock_only(m, e) == -1)
		return -1;
	if (m->v.nmoves == 0)
		return 0;
	/* A mover died after its commit point. It takes both locks in their
	 * order; when that fails now, the next writer tries again. */
	mailbox_unlock(m);
	if (mailbox_finish_moves(m, &why) == -1)
		mailbox_log(m, 1, "store.move", why.text);
	return mailbox_lock_only(m, e);
}

void
mailbox_unlock(struct mailbox *m)
{
	journal_unlock(&m->j);
}

int
mailbox_follow(struct mailbox *m, struct err *e)
{
	int rc = journal_follow(&m->j, view_apply, &m->v, e);

	if (rc == -1)
		return -1;
	if (rc == 2 || (m->j.pub_ok && m->j.pub.end > m->j.end) ||
	    (m->j.lag_since != 0 && date_mono_ms() - m->j.lag_since >= 100)) {
		/* replaced, damaged, or its writer died: only under the lock
		 * can that be told and mended */
		if (m->j.readonly)
			return rc == 2 ? reload(m, e) : 0;
		if (mailbox_lock(m, e) == -1)
			return m->is_dead ? 0 : -1;
		mailbox_unlock(m);
	}
	return 0;
}

/* ---- life ---- */

static int
open_fds(struct mailbox *m, struct err *e)
{
	bool make = !m->j.readonly;

	if (make && (step_mkdir(m->dirfd, "tmp") == -1 ||
			step_mkdir(m->dirfd, "new") == -1 ||
			step_mkdir(m->dirfd, "cur") == -1 ||
			step_mkdir(m->dirfd, "quire") == -1))
		return err_sys(e, "make Maildir");
	m->curfd = fs_open_dir(m->dirfd, "cur");
	m->newfd = fs_open_dir(m->dirfd, "new");
	m->tmpfd = fs_open_dir(m->dirfd, "tmp");
	m->qfd = fs_open_dir(m->dirfd, "quire");
	if (m->curfd == -1 || m->newfd == -1 || m->tmpfd == -1 || m->qfd == -1)
		return err_sys(e, "open Maildir");
	return 0;
}

int
mailbox_open_dir(struct mailbox **out, struct account *a, int dirfd,
    bool readonly, uint32_t uidvalidity, const uint8_t mailboxid[16],
    struct err *e)
{
	struct mailbox *m = xcalloc(1, sizeof(*m));
	bool ro = account_is_readonly(a);
	struct err why = { 0 };
	int rc;

	*m = (struct mailbox){ .account = a,
		.dirfd = dirfd,
		.curfd = -1,
		.newfd = -1,
		.tmpfd = -1,
		.qfd = -1,
		.expfd = -1,
		.watchfd = -1,
		.readonly = readonly || ro };
	view_init(&m->v);
	ops_init(&m->ops);
	ranges_init(&m->recent, 1 << 20);
	ranges_init(&m->measured, 1 << 20);
	journal_init(&m->j, JOURNAL_MAILBOX, -1, ro);
	rc = open_fds(m, e);
	if (rc == 0) {
		m->j.dirfd = m->qfd;
		rc = load(m, &why);
		if (rc == -1 && why.sys == ENOENT && !ro) {
			rc = adopt_mailbox(m, uidvalidity, mailboxid, e);
			if (rc == 0)
				rc = load(m, e);
		} else if (rc == -1 && e != NULL)
			*e = why;
	}
	if (rc == 0 && !ro &&
	    (m->j.lag_since != 0 || !m->j.pub_ok || m->j.pub.end != m->j.end ||
		m->v.nmoves > 0)) {
		rc = mailbox_lock(m, e);
		if (rc == 0)
			mailbox_unlock(m);
	}
	if (rc == -1) {
		mailbox_release(m);
		return -1;
	}
	view_settle(&m->v);
	if (!ro && m->v.n > 0) {
		/* renames that an earlier session still owed */
		view_mirror(&m->v, m->v.uid[0]);
		view_mirror(&m->v, m->v.uid[m->v.n - 1]);
	}
	*out = m;
	return 0;
}

void
mailbox_release(struct mailbox *m)
{
	int *fds[] = { &m->dirfd, &m->curfd, &m->newfd, &m->tmpfd, &m->qfd,
		&m->expfd, &m->watchfd };
	size_t i;

	journal_release(&m->j);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] != -1)
			close(*fds[i]);
	view_release(&m->v);
	ops_release(&m->ops);
	ranges_release(&m->recent);
	ranges_release(&m->measured);
	free(m->window);
	free(m);
}

void
mailbox_close(struct mailbox **mp)
{
	struct mailbox *m = *mp;

	if (m == NULL)
		return;
	*mp = NULL;
	if (!m->j.readonly && !m->is_dead) {
		/* A failure leaves renames to the next session. Who has only
		 * delivered has not looked: new/ is for mail nobody saw. */
		while (m->is_read && mailbox_mirror(m, MIRROR_BATCH, NULL) > 0)
			;
		while (mailbox_bury(m, MIRROR_BATCH, NULL) > 0)
			;
		mailbox_write_sizes(m);
		if (m->expunged_here)
			mailbox_purge(m);
	}
	mailbox_release(m);
}

bool
mailbox_is_readonly(const struct mailbox *m)
{
	return m->readonly;
}

/* ---- the session's view ---- */

static uint32_t
recent_count(struct mailbox *m)
{
	uint32_t n = m->v.shown - (view_lower(&m->v, m->v.recent) < m->v.shown ?
					  view_lower(&m->v, m->v.recent) :
					  m->v.shown);
	size_t i;

	for (i = 0; i < m->recent.n; i++) {
		uint32_t lo = view_lower(&m->v, m->recent.v[i].lo);
		uint32_t hi = m->recent.v[i].hi == UINT32_MAX ?
				  m->v.n :
				  view_lower(&m->v, m->recent.v[i].hi + 1);

		if (hi > m->v.shown)
			hi = m->v.shown;
		if (hi > lo)
			n += hi - lo;
	}
	return n;
}

const struct mailbox_counts *
mailbox_counts(struct mailbox *m)
{
	const struct counters *c = &m->v.c;
	uint64_t modseq = m->v.modseq_now;

	/* A client that is given a modseq believes to know all below it: not
	 * higher than what it was told. */
	if (m->v.pending_from != 0 && m->v.pending_from <= modseq)
		modseq = m->v.pending_from - 1;
	m->counts = (struct mailbox_counts){ .uidvalidity = m->j.uidvalidity,
		.uidnext = c->uidnext,
		.messages = c->exists,
		.deleted = c->deleted,
		.unseen = c->unseen,
		.recent = recent_count(m),
		.size = c->bytes,
		.deleted_size = c->deleted_bytes,
		.highestmodseq = modseq };
	memcpy(m->counts.mailboxid, m->j.mailboxid, 16);
	return &m->counts;
}

uint32_t
mailbox_count(struct mailbox *m)
{
	return m->v.shown;
}

#define WINDOW_SIZE 16384

/* The op at that offset of the journal, checked again: the file is not ours
 * alone. Names are not kept in memory; neighbours lie in the window. */
static bool
cold_op(struct mailbox *m, uint64_t off, struct op *op)
{
	size_t at, need = OP_HEAD + ADD_FIXED + NAME_LEN + 64;
	struct cur c;
	ssize_t n;

	if (off < JOURNAL_HEAD + TXN_HEAD || off >= m->j.end)
		return false;
	if (m->window == NULL)
		m->window = xmalloc(WINDOW_SIZE);
	if (m->window_n == 0 || off < m->window_off ||
	    off - m->window_off + need > m->window_n) {
		n = journal_pread(&m->j, m->window, WINDOW_SIZE, off);
		if (n <= 0) {
			m->window_n = 0;
			return false;
		}
		m->window_off = off;
		m->window_n = (size_t)n;
		/* later appends are not in it */
		if (m->window_n > m->j.end - off)
			m->window_n = (size_t)(m->j.end - off);
	}
	at = (size_t)(off - m->window_off);
	cur_init(&c, str_make(m->window + at, m->window_n - at));
	return op_next(&c, op);
}

bool
mailbox_cold(struct mailbox *m, uint32_t uid, uint64_t rec, uint64_t nrec,
    struct cold *out)
{
	struct op op;
	struct op_add add;
	struct op_name r;

	*out = (struct cold){ .base = STR(""), .extra = STR("") };
	if (!cold_op(m, rec, &op) || op.type != OP_ADD ||
	    !op_add_unpack(op.body, &add) || add.uid != uid)
		return false;
	out->create_modseq = add.create_modseq;
	out->savedate = add.sdate;
	out->zone_min = add.zone_min;
	memcpy(out->emailid, add.emailid, 16);
	out->base = add.name;
	out->extra = add.extra;
	if (nrec == 0)
		return true;
	if (!cold_op(m, nrec, &op) || op.type != OP_RENAME ||
	    !op_name_unpack(op.body, &r) || r.number != uid ||
	    r.name.n > NAME_LEN || r.extra.n >= sizeof(m->extra))
		return false;
	out->base = r.name;
	out->extra = r.extra;
	return true;
}

bool
row_cold(struct mailbox *m, uint32_t row, struct cold *out)
{
	return mailbox_cold(m, m->v.uid[row], m->v.rec[row],
	    m->v.nrec == NULL ? 0 : m->v.nrec[row], out);
}

/* RFC822.SIZE must be exact: measured once, written down at the close. */
static void
make_sure(struct mailbox *m, uint32_t row)
{
	int fd = row_open_likely(m, row);
	uint64_t size;

	if (fd == -1)
		return;
	if (msgfile_measure(fd, (m->v.st[row] & ST_RAW) != 0, &size)) {
		if (m->v.size[row] != size)
			view_set_size(&m->v, row, size);
		m->v.st[row] &= ~ST_UNSURE;
		ranges_add(&m->measured, m->v.uid[row], m->v.uid[row]);
	}
	close(fd);
}

void
mailbox_write_sizes(struct mailbox *m)
{
	size_t i;
	uint32_t row;

	if (m->measured.n == 0 || mailbox_lock(m, NULL) == -1)
		return;
	op_begin(&m->ops, OP_SIZE, 0);
	for (i = 0; i < m->measured.n; i++)
		for (row = view_lower(&m->v, m->measured.v[i].lo);
		     row < m->v.n && m->v.uid[row] <= m->measured.v[i].hi;
		     row++) {
			op_u32(&m->ops, m->v.uid[row]);
			op_u32(&m->ops, 0);
			op_u64(&m->ops, m->v.size[row]);
		}
	op_end(&m->ops);
	mailbox_append(m, 0, true, false, NULL);
	mailbox_unlock(m);
	ranges_clear(&m->measured);
}

void
mailbox_get(struct mailbox *m, uint32_t seq, struct message *out)
{
	struct view *v = &m->v;
	uint32_t row = seq - 1;
	struct cold cold;

	assert(seq >= 1 && seq <= v->shown);
	if ((v->st[row] & ST_UNSURE) != 0)
		make_sure(m, row);
	row_cold(m, row, &cold);
	*out = (struct message){ .uid = v->uid[row],
		.flags = v->flags[row],
		.is_expunged = (v->st[row] & ST_GHOST) != 0,
		.keywords = v->kw[row],
		.modseq = v->modseq[row],
		.create_modseq = cold.create_modseq,
		.size = v->size[row],
		.internaldate = v->idate[row],
		.zone_min = cold.zone_min,
		.savedate = cold.savedate,
		.name = cold.base };
	memcpy(out->emailid, cold.emailid, 16);
}

uint32_t
mailbox_seq(struct mailbox *m, uint32_t uid)
{
	uint32_t row = view_row(&m->v, uid);

	return row < m->v.shown ? row + 1 : 0;
}

uint32_t
mailbox_seq_at_least(struct mailbox *m, uint32_t uid)
{
	uint32_t row = view_lower(&m->v, uid);

	return (row < m->v.shown ? row : m->v.shown) + 1;
}

uint32_t
mailbox_first_unseen(struct mailbox *m)
{
	uint32_t i;

	for (i = 0; i < m->v.shown; i++)
		if ((m->v.flags[i] & FLAG_SEEN) == 0 &&
		    (m->v.st[i] & ST_GHOST) == 0)
			return i + 1;
	return 0;
}

bool
mailbox_is_recent(struct mailbox *m, uint32_t uid)
{
	uint32_t next = m->v.c.uidnext;

	if (ranges_has(&m->recent, uid))
		return true;
	if (uid < m->v.recent)
		return false;
	if (m->readonly || mailbox_lock(m, NULL) == -1)
		return true; /* a look only: the flag stays for others */
	/* again, under the lock: only one session is the first */
	if (uid >= m->v.recent) {
		ranges_add(&m->recent, m->v.recent, next - 1);
		op_words_pack(&m->ops, OP_RECENT, next, 0);
		mailbox_append(m, 0, true, false, NULL);
	}
	mailbox_unlock(m);
	return ranges_has(&m->recent, uid);
}

bool
mailbox_vanished(struct mailbox *m, uint64_t since, struct ranges *out)
{
	size_t lo = 0, hi = m->v.nvanished;

	if (since < m->v.floor)
		return false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->v.vanished[mid].modseq <= since)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < m->v.nvanished; lo++) {
		uint32_t row = view_row(&m->v, m->v.vanished[lo].uid);

		/* what this session still shows has not vanished for it */
		if (row == m->v.n)
			ranges_add(
			    out, m->v.vanished[lo].uid, m->v.vanished[lo].uid);
	}
	return !out->full;
}
