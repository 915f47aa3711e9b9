/*
 * export_all - the moment of going back: everything that lags is done.
 */
#include "service/store/export.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "service/store/store_int.h"

/*
 * Names say what the journal says, and files of removed messages are out of
 * the way: Dovecot would take them for new ones.
 */
static int
complete(struct mailbox *m, struct err *e)
{
	struct mailbox_changes ch = { 0 };
	int rc = mailbox_sync(m, true, &ch, e);

	mailbox_changes_release(&ch);
	while (rc == 0 && m->v.mirror_lo <= m->v.mirror_hi) {
		uint32_t lo = m->v.mirror_lo;

		rc = mailbox_mirror(m, MIRROR_BATCH, e) == -1 ? -1 : 0;
		if (rc == 0 && m->v.mirror_lo == lo && lo <= m->v.mirror_hi)
			rc = err_set(e, ERR_TEMP, UIDLIST_LOCK " is held");
	}
	if (rc == 0)
		while ((rc = mailbox_bury(m, MIRROR_BATCH, e)) > 0)
			;
	/* one that is not where it should be */
	if (rc == 0 && m->must_scan)
		rc = mailbox_scan(m, e);
	return rc;
}

/* Letters that others gave out first, then the whole list. */
static int
write_keywords(struct mailbox *m, struct err *e)
{
	int rc;

	if (mailbox_lock(m, e) == -1)
		return -1;
	keywords_read(m->dirfd, &m->v, &m->ops, NULL);
	rc = mailbox_append(m, TXN_FOREIGN, true, false, e);
	if (rc == 0 && m->v.nkeywords > 0)
		keywords_write(m);
	mailbox_unlock(m);
	return rc;
}

static int
sync_dirs(struct mailbox *m, struct err *e)
{
	if (step_sync(m->curfd) == -1 || step_sync(m->newfd) == -1 ||
	    step_sync(m->dirfd) == -1 || step_sync(m->j.fd) == -1)
		return err_sys(e, "sync mailbox");
	return 0;
}

static void
describe(struct mailbox *m, struct str name, struct export_box *b)
{
	const struct mailbox_counts *c = mailbox_counts(m);
	const struct view *v = &m->v;
	uint64_t lost = 0;
	uint32_t row;
	unsigned i;
	size_t k;

	*b = (struct export_box){ .name = name,
		.uidvalidity = c->uidvalidity,
		.uidnext = c->uidnext,
		.messages = c->messages,
		.highestmodseq = v->modseq_now,
		.unburied = (uint32_t)v->ngone,
		.is_name_odd = str_has(name, '.') };
	for (k = 0; k < v->nvanished; k++)
		b->expunged += v->vanished[k].hi - v->vanished[k].lo + 1;
	if (v->nkeywords <= FN_LETTERS)
		return;
	b->keywords = m->v.keywords + FN_LETTERS;
	b->nkeywords = v->nkeywords - FN_LETTERS;
	for (i = FN_LETTERS; i < v->nkeywords; i++)
		lost |= 1ULL << i;
	for (row = 0; row < v->n; row++)
		b->nmarked +=
		    (v->st[row] & ST_GHOST) == 0 && (v->kw[row] & lost) != 0;
}

static int
export_one(struct account *a, const struct node *node, bool sync,
    struct export_box *b, struct mailbox **out, struct err *e)
{
	struct mailbox *m;
	int rc = account_open_by_id(a, node->id, &m, e);

	*out = m;
	if (rc == -1 || m == NULL)
		return rc;
	rc = complete(m, e);
	if (rc == 0)
		rc = write_keywords(m, e);
	if (rc == 0)
		rc = mailbox_export_state(
		    m, EXPORT_NOW | EXPORT_FULL | (sync ? EXPORT_SYNC : 0), e);
	if (rc == 0 && sync)
		rc = sync_dirs(m, e);
	if (rc == 0)
		describe(m, str_from(node->name), b);
	return rc;
}

int
store_export(struct account *a, bool sync,
    void (*done)(void *, const struct export_box *), void *arg, struct err *e)
{
	struct export_box box;
	struct mailbox *m;
	size_t i;
	int rc = account_refresh(a, e);

	/* opening a mailbox may read the tree again: a copy of each node */
	for (i = 0; rc == 0 && i < a->tree.n; i++) {
		struct node node = a->tree.v[i];

		node.name = xstrdup(node.name);
		rc = export_one(a, &node, sync, &box, &m, e);
		if (rc == 0 && m != NULL)
			done(arg, &box);
		mailbox_close(&m);
		free(node.name);
	}
	if (rc == 0)
		rc = account_export_state(
		    a, EXPORT_NOW | EXPORT_FULL | (sync ? EXPORT_SYNC : 0), e);
	if (rc == 0 && sync && step_sync(a->rootfd) == -1)
		rc = err_sys(e, "sync Maildir");
	return rc;
}

uint32_t
store_new_uidvalidity(struct account *a, struct str name)
{
	const struct mailbox_info *box = account_find(a, name);
	uint32_t n;

	/* a disk that refuses: then it is only not remembered */
	return box == NULL || account_reserve_uidvalidity(
				  a, box->mailboxid, 0, &n, NULL) == -1 ?
		   account_next_uidvalidity(a) :
		   n;
}
