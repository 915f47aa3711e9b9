/*
 * reload - a view and the journal it follows: loading it, following it, and
 * going on when another journal has taken its place.
 */
#include "service/store/index_int.h"

#include <unistd.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define UID_GAP_CUT	1000   /* a torn tail may have held this many */
#define UID_GAP_RESTORE 100000 /* and a backup may be this much behind */

void
mailbox_init_slots(struct mailbox *m)
{
	unsigned i;

	m->recsfd = -1;
	for (i = 0; i < REC_SLOTS; i++)
		m->slotfd[i] = -1;
}

void
mailbox_close_slots(struct mailbox *m)
{
	unsigned i;

	lost_release(&m->lost);
	for (i = 0; i < REC_SLOTS; i++) {
		if (m->slotfd[i] != -1)
			close(m->slotfd[i]);
		m->slotfd[i] = -1;
	}
	if (m->recsfd != -1)
		close(m->recsfd);
	m->recsfd = -1;
}

/* What the journal goes on from; from the generation before if it is lost. */
static int
load_index(struct mailbox *m, struct err *e)
{
	struct err why = { 0 };

	if (m->j.index_gen == 0 || index_load(m, &m->j, &m->v, &why) == 0)
		return 0;
	mailbox_log(m, 1, "store.index", why.text);
	view_release(&m->v);
	m->v.is_loading = true;
	return generation_regain(m, e);
}

int
mailbox_load(struct mailbox *m, struct err *e)
{
	int rc;

	view_release(&m->v);
	strays_release(&m->strays); /* of the journal that was */
	mailbox_close_slots(m);
	m->v.is_loading = true;
	m->window_n = 0;
	m->index_len = 0;
	m->is_marked = false;
	if (journal_open(&m->j, e) == -1 || load_index(m, e) == -1)
		return -1;
	rc = journal_follow(&m->j, view_apply, &m->v, e);
	if (rc == 2)
		rc = err_set(e, ERR_TEMP, "journal is being replaced");
	return rc == -1 ? -1 : 0;
}

/* ---- comparing views ---- */

/* A row of the old view that the new one has not. */
static void
put_ghost(struct view *v, uint32_t at, const struct view *old, uint32_t from)
{
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
	v->cache[at] = 0;
	v->idate[at] = old->idate[from];
	if (v->nrec != NULL)
		v->nrec[at] = 0;
	v->nghosts++;
}

/* How many of the rows shown of old are gone; UINT32_MAX: rows came between */
static uint32_t
count_missing(const struct view *v, const struct view *old)
{
	uint32_t i, k = 0, missing = 0;

	for (i = 0; i < old->shown; i++) {
		if (k < v->n && v->uid[k] < old->uid[i])
			return UINT32_MAX;
		if (k < v->n && v->uid[k] == old->uid[i])
			k++;
		else
			missing++;
	}
	return missing;
}

/*
 * Another journal has the name now, or we missed a generation: go on by
 * comparing what the session was shown with what is there.
 * false: sequence numbers cannot be kept.
 */
static bool
rebase(struct view *v, const struct view *old)
{
	uint32_t missing = count_missing(v, old), to, from, i;

	if (missing == UINT32_MAX)
		return false;
	from = v->n;
	for (i = 0; i < missing; i++)
		view_push(v);
	/* from the end, so that nothing is moved twice */
	to = v->n;
	while (from > old->shown - missing)
		view_move_row(v, --to, --from);
	for (i = old->shown; i > 0; i--) {
		if (from == 0 || v->uid[from - 1] != old->uid[i - 1]) {
			put_ghost(v, --to, old, i - 1);
			continue;
		}
		view_move_row(v, --to, --from);
		if (v->flags[to] != old->flags[i - 1] ||
		    v->kw[to] != old->kw[i - 1] ||
		    v->modseq[to] > old->modseq[i - 1] ||
		    (old->st[i - 1] & ST_DIRTY) != 0)
			view_touch(v, to, ST_DIRTY);
	}
	v->shown = old->shown;
	for (i = v->shown; i < v->n; i++)
		view_touch(v, i, ST_ARRIVED);
	v->keywords_told = old->keywords_told;
	v->pending_from = old->pending_from;
	if (v->pending_from == 0 && old->modseq_now < v->modseq_now)
		v->pending_from = old->modseq_now + 1;
	return true;
}

static int
reload(struct mailbox *m, struct err *e)
{
	struct view old;
	uint32_t uidvalidity = m->j.uidvalidity;
	int rc;

	if (generation_follow(m))
		return 0;
	old = m->v;
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

/*
 * Do the marks tell of UIDs or modseqs that are not in this journal? Then all
 * of the tree was put back, journal and pub and inode numbers alike.
 */
static bool
was_put_back(struct mailbox *m, uint64_t *gap)
{
	struct mark now, mark;

	*gap = UID_GAP_RESTORE;
	if (m->is_marked)
		return false;
	m->is_marked = true;
	mark_mailbox(m, &now);
	switch (marks_ask(m->account, &now, &mark)) {
	case MARKS_NOTHING:
		return false;
	case MARKS_ABSURD:
		mailbox_log(m, 1, "store.marks",
		    "a mark beyond reason is not believed");
		marks_note(m);
		return false;
	case MARKS_BEHIND:
		marks_note(m);
		return false;
	case MARKS_AHEAD:
		break;
	}
	/* the clock may not be later than the modseqs that were lost */
	if (mark.modseq > m->j.modseq)
		m->j.modseq = mark.modseq;
	/* the mark itself may be a little behind */
	if (mark.uidvalidity == now.uidvalidity)
		*gap = UID_GAP_CUT + (mark.uidnext > now.uidnext ?
					     mark.uidnext - now.uidnext :
					     0);
	return true;
}

/* Under byte 0: what the state of the file obliges its writer to say. */
static int
settle_accounts(struct mailbox *m, struct err *e)
{
	struct journal *j = &m->j;
	uint64_t ino = m->v.ino != 0 ? m->v.ino : j->ino, gap;
	bool put_back = was_put_back(m, &gap);
	uint32_t i;

	ops_clear(&m->ops);
	if (j->file.ino != ino || j->was_short) {
		mailbox_log(m, 1, "store.restored",
		    "journal is a restored copy: UIDs skip ahead");
		op_words_pack(&m->ops, OP_RESTORE, j->file.ino,
		    gap > UID_GAP_RESTORE ? gap : UID_GAP_RESTORE);
	} else if (put_back) {
		mailbox_log(m, 1, "store.restored",
		    "the mailbox was further than its journal: UIDs skip "
		    "ahead");
		op_words_pack(&m->ops, OP_RESTORE, j->file.ino, gap);
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
		journal_publish(j, &m->v.c, m->v.scan, m->account);
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
		rc = generation_revive(m, e);
		if (rc == -1)
			return -1;
		if (rc == 1)
			continue;
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
