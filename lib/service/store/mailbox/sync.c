/*
 * sync - bringing a session's view up to date and telling what changed.
 *
 * 1. A sync that finds nothing costs one read and three stats, no memory.
 * 2. Expunges are told first, in the numbering they cause one after another;
 *    then flags and new messages in the final numbering.
 * 3. A scan that fails is logged; the session goes on with what the journal
 *    says.
 * 4. Who waits for an answer waits for what it says and no more. What is done
 *    for others and for later is mailbox_tidy()'s.
 */
#include "service/store/index_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static void
tell(struct mailbox_changes *ch, enum mailbox_change_kind kind, uint32_t seq,
    uint32_t uid)
{
	if (ch->n == ch->cap) {
		ch->cap = ch->cap == 0 ? 16 : ch->cap * 2;
		ch->v = xreallocarray(ch->v, ch->cap, sizeof(*ch->v));
	}
	ch->v[ch->n++] = (struct mailbox_change){ kind, seq, uid };
}

void
mailbox_changes_release(struct mailbox_changes *ch)
{
	free(ch->v);
	*ch = (struct mailbox_changes){ 0 };
}

static void
tell_row(struct view *v, struct mailbox_changes *ch, uint32_t row)
{
	uint16_t st = v->st[row];

	v->st[row] &= ~(ST_DIRTY | ST_ARRIVED);
	if ((st & ST_GHOST) != 0)
		return;
	if ((st & ST_ARRIVED) != 0)
		tell(ch, CHANGE_NEW, row + 1, v->uid[row]);
	else if ((st & ST_DIRTY) != 0)
		tell(ch, CHANGE_FLAGS, row + 1, v->uid[row]);
}

static void
tell_expunges(struct view *v, struct mailbox_changes *ch)
{
	uint32_t i, told = 0;

	for (i = 0; i < v->shown && told < v->nghosts; i++)
		if ((v->st[i] & ST_GHOST) != 0) {
			tell(ch, CHANGE_EXPUNGED, i + 1 - told, v->uid[i]);
			told++;
		}
	view_drop_rows(v, false);
}

static void
tell_touched(struct view *v, struct mailbox_changes *ch)
{
	size_t i;
	uint32_t row;

	if (v->ntouched > TOUCHED_MAX) {
		for (row = 0; row < v->n; row++)
			tell_row(v, ch, row);
	} else
		for (i = 0; i < v->ntouched; i++) {
			row = view_row(v, v->touched[i]);
			if (row < v->n)
				tell_row(v, ch, row);
		}
	v->ntouched = 0;
}

/* The first change that a session with ghosts has not been told. */
static uint64_t
first_pending(const struct view *v)
{
	uint64_t first = 0;
	uint32_t i;

	if (v->nghosts == 0)
		return 0;
	for (i = 0; i < v->n; i++)
		if ((v->st[i] & ST_GHOST) != 0 &&
		    (first == 0 || v->modseq[i] < first))
			first = v->modseq[i];
	return first;
}

static void
report(struct view *v, bool may_expunge, struct mailbox_changes *ch)
{
	if (v->keywords_told != v->nkeywords) {
		tell(ch, CHANGE_KEYWORDS, 0, 0);
		v->keywords_told = v->nkeywords;
	}
	if (v->nghosts > 0) {
		view_drop_rows(v, true);
		if (may_expunge)
			tell_expunges(v, ch);
	}
	v->shown = v->n;
	tell_touched(v, ch);
	v->pending_from = first_pending(v);
}

static bool
is_quiet(struct mailbox *m, bool may_expunge)
{
	struct view *v = &m->v;

	return journal_is_quiet(&m->j) && !m->is_dead && v->ntouched == 0 &&
	       v->shown == v->n && (v->nghosts == 0 || !may_expunge) &&
	       v->keywords_told == v->nkeywords && v->pending_from == 0 &&
	       (m->j.readonly || !scan_is_due(m));
}

int
mailbox_sync(struct mailbox *m, bool may_expunge, struct mailbox_changes *ch,
    struct err *e)
{
	struct err why;

	ch->n = 0;
	m->is_read = m->is_read || !m->readonly;
	if (index_was_cut(m->v.block))
		m->is_dead = true;
	if (is_quiet(m, may_expunge))
		return 0;
	if (m->j.must_audit && !m->j.readonly && !journal_is_whole(&m->j)) {
		mailbox_log(m, 0, "store.damaged",
		    "somebody changed the journal: written anew");
		m->must_generate = true;
	}
	if (!m->is_dead && mailbox_follow(m, e) == -1)
		return -1;
	if (!m->j.readonly && !m->is_dead && !m->v.is_gone && scan_is_due(m) &&
	    mailbox_scan(m, &why) == -1)
		mailbox_log(m, 1, "store.scan", why.text);
	if (m->is_dead || m->v.is_gone) {
		m->is_dead = true;
		tell(ch, CHANGE_UIDVALIDITY, 0, 0);
		return 0;
	}
	report(&m->v, may_expunge, ch);
	return 0;
}

void
mailbox_tidy(struct mailbox *m)
{
	struct err why;

	mailbox_export(m);
	if (m->is_dead || m->v.is_gone)
		return;
	mailbox_cache_flush(m);
	if (m->is_read && mailbox_mirror(m, MIRROR_NOW, &why) == -1)
		mailbox_log(m, 1, "store.mirror", why.text);
	if (mailbox_bury(m, MIRROR_NOW, &why) == -1)
		mailbox_log(m, 1, "store.bury", why.text);
	if (!m->is_dead && generation_is_due(m) &&
	    generation_make(m, &why) == -1)
		mailbox_log(m, 1, "store.generation", why.text);
}
