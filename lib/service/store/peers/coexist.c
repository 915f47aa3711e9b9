/*
 * coexist - both servers at once, for a migration: `coexist dovecot`.
 *
 * 1. Who gives out a UID holds dovecot-uidlist.lock, as Dovecot does, from
 *    before the file gets its name until its line is in the list; and takes
 *    in what Dovecot wrote before. So one of us at a time gives out UIDs, and
 *    each knows the other's.
 * 2. The same for renames: Dovecot reads a directory under its lock, takes a
 *    file it missed because we renamed it for expunged, and gives it a new
 *    UID when it is back. And what it adds while we note a directory's state
 *    before and after our own changes would pass for ours.
 * 3. Order: the dotlock, then our locks. It is taken once for nested work.
 * 4. Dovecot assigns no UIDs while it cannot have the lock; it comes again.
 */
#include "service/store/store_int.h"

bool
coexist_is_on(const struct mailbox *m)
{
	return m->account != NULL && m->account->opts.coexist && !m->j.readonly;
}

int
coexist_begin(struct mailbox *m, int wait_ms, struct err *e)
{
	if (!coexist_is_on(m) || m->uidlist_held++ > 0)
		return 0;
	if (dotlock_take(
		&m->uidlist_lock, m->dirfd, UIDLIST_LOCK, wait_ms, e) == 0)
		return 0;
	m->uidlist_held--;
	return -1;
}

void
coexist_end(struct mailbox *m)
{
	if (!coexist_is_on(m) || --m->uidlist_held > 0)
		return;
	m->uidlist_held++;
	/* one that fails is made good by who holds the lock next */
	if (!m->is_dead && !m->v.is_gone && m->j.fd != -1)
		(void)export_locked(m, 0, &m->uidlist_lock, NULL);
	m->uidlist_held--;
	dotlock_drop(&m->uidlist_lock);
}

void
coexist_touch(struct mailbox *m)
{
	if (m->uidlist_held > 0)
		dotlock_touch(&m->uidlist_lock);
}

bool
coexist_begin_renaming(struct mailbox *m)
{
	return coexist_begin(m, COEXIST_SCAN_MS, NULL) == 0;
}

int
coexist_begin_adding(struct mailbox *m, struct err *e)
{
	if (coexist_begin(m, m->j.lock_ms, e) == -1)
		return -1;
	if (!coexist_is_on(m) || import_now(m, e) == 0)
		return 0;
	coexist_end(m);
	return -1;
}

int
coexist_adopt(struct mailbox *m, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *e)
{
	int rc;

	if (coexist_begin(m, m->j.lock_ms, e) == -1)
		return -1;
	rc = adopt_mailbox(m, uidvalidity, mailboxid, e);
	if (rc == 0)
		rc = mailbox_load(m, e);
	if (rc == -1)
		m->is_dead = true; /* nothing to write down */
	coexist_end(m);
	return rc;
}
