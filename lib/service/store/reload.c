/*
 * reload - a view and the journal it follows: loading it, following it, and
 * going on when another journal has taken its place.
 */
#include "service/store/store_int.h"

#include <sys/stat.h>

#include "base/date.h"

#define UID_GAP_CUT	1000   /* a torn tail may have held this many */
#define UID_GAP_RESTORE 100000 /* and a backup may be this much behind */

int
mailbox_load(struct mailbox *m, struct err *e)
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
	rc = mailbox_load(m, e);
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
