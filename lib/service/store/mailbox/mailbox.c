/*
 * mailbox - opening, following, and what a session sees.
 *
 * 1. Nothing is written without byte 0; the view is at the end of the
 *    journal while it is held.
 * 2. What a session was shown only changes by mailbox_sync() or its own
 *    operations (view.c, 1 and 2).
 * 3. Reading mail never needs the lock.
 */
#include "service/store/index_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

void
mailbox_log(struct mailbox *m, int level, const char *event, const char *text)
{
	account_log(m->account, level, event, text);
}

/* ---- life ---- */

static int
open_dir(struct mailbox *m, const char *name, int *fd, struct err *e)
{
	*fd = fs_open_dir(m->dirfd, name);
	return *fd == -1 ? err_sys(e, "open %s", name) : 0;
}

static int
open_fds(struct mailbox *m, const uint8_t mailboxid[16], struct err *e)
{
	bool make = !m->j.readonly;

	if (make && (step_mkdir(m->dirfd, "tmp") == -1 ||
			step_mkdir(m->dirfd, "new") == -1 ||
			step_mkdir(m->dirfd, "cur") == -1))
		return err_sys(e, "make Maildir");
	/* one never adopted may lack all but cur/, and then nothing is made */
	if (open_dir(m, "cur", &m->curfd, e) == -1 ||
	    (open_dir(m, "new", &m->newfd, e) == -1 && make) ||
	    (open_dir(m, "tmp", &m->tmpfd, e) == -1 && make))
		return -1;
	m->qfd = state_open(m->account, m->dirfd, mailboxid, make);
	if (m->qfd == -1 && make)
		return err_sys(e, "open the mailbox's state");
	return 0;
}

/* Of the files that we must have: missing, or not what they should be. */
static bool
is_lost(const struct err *why)
{
	return why->sys == ENOENT || (why->kind == ERR_PERM && why->sys == 0);
}

/*
 * What is left of the journal goes no further: it is kept as journal.bad, and
 * UIDs come from what was exported. Without that they are new, and so must
 * UIDVALIDITY be.
 */
static int
rescue(struct mailbox *m, uint32_t *uidvalidity, struct err *e)
{
	struct err why = { 0 };
	struct stat st;
	int rc = 0;

	if (journal_open_lock(&m->j, e) == -1 ||
	    fs_lock(m->j.lockfd, LOCK_WRITER, true, m->j.lock_ms, e) == -1)
		return -1;
	/* again: another session may have been first */
	if (mailbox_load(m, &why) == -1) {
		mailbox_log(m, 0, "store.rescued", why.text);
		if (step_replace(m->qfd, "journal", "journal.bad") == -1 &&
		    errno != ENOENT)
			rc = err_sys(e, "put damaged journal aside");
		if (fstatat(m->dirfd, "dovecot-uidlist", &st,
			AT_SYMLINK_NOFOLLOW) == -1)
			*uidvalidity = *uidvalidity < date_now() ?
					   (uint32_t)date_now() :
					   *uidvalidity + 1;
	}
	fs_unlock(m->j.lockfd, LOCK_WRITER);
	return rc;
}

static int
load_or_adopt(struct mailbox *m, uint32_t uidvalidity, const uint8_t id[16],
    struct err *e)
{
	struct err why = { 0 };
	struct stat st;
	int rc =
	    m->qfd == -1 ? err_sys(&why, "open quire") : mailbox_load(m, &why);

	if (rc == 0)
		return 0;
	if (why.sys == ENOENT && m->j.readonly)
		return adopt_hidden(m, uidvalidity, id, e);
	if (is_lost(&why) && !m->j.readonly) {
		/* pub is there: it was ours before */
		if (fstatat(m->qfd, "pub", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    rescue(m, &uidvalidity, e) == -1)
			return -1;
		return coexist_adopt(m, uidvalidity, id, e);
	}
	if (e != NULL)
		*e = why;
	return -1;
}

int
mailbox_open_dir(struct mailbox **out, struct account *a, int dirfd,
    bool readonly, uint32_t uidvalidity, const uint8_t mailboxid[16],
    struct err *e)
{
	struct mailbox *m = xcalloc(1, sizeof(*m));
	bool ro = account_is_readonly(a);
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
	mailbox_init_slots(m);
	view_init(&m->v);
	ops_init(&m->ops);
	ranges_init(&m->recent, 1 << 20);
	ranges_init(&m->measured, 1 << 20);
	journal_init(&m->j, JOURNAL_MAILBOX, -1, ro);
	m->j.lock_ms = a->opts.lock_ms;
	m->j.regain = mailbox_regain;
	m->j.regain_arg = m;
	rc = open_fds(m, mailboxid, e);
	if (rc == 0) {
		m->j.dirfd = m->qfd;
		rc = load_or_adopt(m, uidvalidity, mailboxid, e);
	}
	if (rc == 0 && !ro &&
	    (m->j.lag_since != 0 || !m->j.pub_ok || m->j.pub.end != m->j.end ||
		m->v.nmoves > 0 || mailbox_is_behind_marks(m))) {
		rc = mailbox_lock(m, e);
		if (rc == 0)
			mailbox_unlock(m);
	}
	if (rc == -1) {
		mailbox_release(m);
		return -1;
	}
	view_settle(&m->v);
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
	mailbox_close_slots(m);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] != -1)
			close(*fds[i]);
	msgfile_free(&m->kept);
	strays_release(&m->strays);
	cache_release(&m->cache);
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
	struct err why;

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
		mailbox_cache_flush(m);
		mailbox_export_state(m, EXPORT_NOW, NULL);
		if (m->expunged_here)
			mailbox_purge(m);
		if (generation_is_due(m) && generation_make(m, &why) == -1)
			mailbox_log(m, 1, "store.generation", why.text);
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

void
mailbox_get(struct mailbox *m, uint32_t seq, struct message *out)
{
	struct view *v = &m->v;
	uint32_t row = seq - 1;
	struct cold cold;

	assert(seq >= 1 && seq <= v->shown);
	if ((v->st[row] & ST_UNSURE) != 0)
		row_make_sure(m, row);
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

/* What this session still shows has not vanished for it. */
static void
add_vanished(const struct view *v, const struct vanished *x, struct ranges *out)
{
	uint32_t row = view_lower(v, x->lo), lo = x->lo;

	for (; row < v->n && v->uid[row] <= x->hi; row++) {
		if (v->uid[row] > lo)
			ranges_add(out, lo, v->uid[row] - 1);
		lo = v->uid[row] + 1;
	}
	if (lo != 0 && lo <= x->hi)
		ranges_add(out, lo, x->hi);
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
	for (; lo < m->v.nvanished; lo++)
		add_vanished(&m->v, &m->v.vanished[lo], out);
	return !out->full;
}
