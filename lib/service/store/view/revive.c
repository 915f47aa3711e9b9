/*
 * revive - an account whose private folder was removed while it is open: the
 * tree is still known here, with special uses, subscriptions and ids, which
 * are nowhere else. (A mailbox's journal: generation_revive().)
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "system/fs/fs.h"

static bool
is_lost(const struct account *a)
{
	struct stat st;

	return !a->opts.readonly && a->tree.n > 0 &&
	       fstatat(a->acctfd, "journal", &st, AT_SYMLINK_NOFOLLOW) == -1 &&
	       errno == ENOENT;
}

static int
fill(void *arg, struct journal *j, struct err *e)
{
	static const struct counters none;
	struct account *a = arg;

	return journal_append(j, &a->ops, 0, j->modseq, &none, false, e);
}

static int
revive_locked(struct account *a, struct err *e)
{
	struct journal_spec spec = { .kind = JOURNAL_ACCOUNT,
		.uidvalidity = 1,
		.modseq = a->j.modseq + 1,
		.fill = fill,
		.arg = a };
	int rc;

	/* another session may have been first */
	if (!is_lost(a))
		return 0;
	account_log(a, 0, "store.revived",
	    "the account's journal is gone: written anew from an open session");
	ops_clear(&a->ops);
	tree_pack(&a->ops, &a->tree);
	stream_note_tree_anew(a);
	rc = journal_create(&a->j, &spec, e);
	ops_clear(&a->ops);
	return rc;
}

int
account_revive(struct account *a, struct err *e)
{
	int was = a->acctfd, rc;

	if (!is_lost(a))
		return 0;
	if (state_open_account(a, e) == -1) {
		a->acctfd = was;
		return -1;
	}
	close(was);
	a->j.dirfd = a->acctfd;
	if (journal_open_lock(&a->j, e) == -1 ||
	    fs_lock(a->j.lockfd, LOCK_WRITER, true, a->j.lock_ms, e) == -1)
		return -1;
	rc = revive_locked(a, e);
	fs_unlock(a->j.lockfd, LOCK_WRITER);
	return rc;
}
