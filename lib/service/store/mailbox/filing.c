/*
 * filing - messages that wait in tmp/ get their names in new/ or cur/ and
 * their UIDs in the journal: mailbox_commit().
 *
 * 1. A file renamed but not yet in the journal is safe but not acknowledged:
 *    if we die here, a scan adopts it later.
 * 2. When the journal refuses, the files go back to tmp/, so the caller can
 *    try again and nothing appears twice.
 */
#include "service/store/incoming_int.h"

#include "base/date.h"
#include "system/fs/fs.h"

/* new/ cannot carry flags: a flagged message goes to cur/ */
static bool
goes_new(const struct incoming *in)
{
	return in->opts.is_new && in->opts.flags == 0 && in->opts.keywords == 0;
}

static uint32_t
letters_of(const struct incoming *in)
{
	return goes_new(in) ? 0 :
			      view_want_fn(&in->m->v, in->opts.flags,
				  in->opts.keywords, 0);
}

static bool
target_name(const struct incoming *in, char out[NAME_LEN + 1])
{
	if (goes_new(in))
		return str_copy(str_from(in->name), out, NAME_LEN + 1);
	return name_with_info(out, str_from(in->name), letters_of(in), STR(""));
}

static void
put_back(struct mailbox *m, struct incoming **in, size_t n)
{
	char name[NAME_LEN + 1];
	size_t i;

	for (i = 0; i < n; i++) {
		int dirfd = goes_new(in[i]) ? m->newfd : m->curfd;

		if (!in[i]->is_renamed || !target_name(in[i], name))
			continue;
		/* left behind it would be adopted and appear twice */
		if (step_rename(dirfd, name, m->tmpfd, in[i]->tmp) == -1)
			step_unlink(dirfd, name);
		in[i]->is_renamed = false;
	}
}

static int
rename_all(struct mailbox *m, struct incoming **in, size_t n,
    struct scan_mark *mark, struct err *e)
{
	char name[NAME_LEN + 1];
	size_t i;

	if (fs_lock(m->j.lockfd, LOCK_SCAN, true, m->j.lock_ms, e) == -1)
		return -1;
	scan_mark(m, mark);
	for (i = 0; i < n; i++) {
		int dirfd = goes_new(in[i]) ? m->newfd : m->curfd;

		if (!target_name(in[i], name)) {
			err_set(e, ERR_PERM, "file name too long");
			break;
		}
		if (step_rename(m->tmpfd, in[i]->tmp, dirfd, name) == -1) {
			err_sys(e, "file message");
			break;
		}
		in[i]->is_renamed = true;
	}
	scan_mark_end(m, mark);
	fs_unlock(m->j.lockfd, LOCK_SCAN);
	return i == n ? 0 : -1;
}

static void
pack_add(
    struct mailbox *m, const struct incoming *in, uint32_t uid, uint64_t modseq)
{
	struct op_add a = { .uid = uid,
		.fn = letters_of(in),
		.kw = in->opts.keywords,
		.size = in->size,
		.create_modseq = modseq,
		.idate = in->opts.internaldate,
		.sdate = date_now(),
		.flags = in->opts.flags & FLAG_ALL,
		.zone_min = in->opts.zone_min,
		.where = goes_new(in) ? WHERE_NEW : WHERE_CUR,
		.bits = in->is_raw ? ADD_RAW : 0,
		.name = str_from(in->name) };

	emailid_of(str_sub(a.name, 0, str_find(a.name, ',')), a.emailid);
	op_add_pack(&m->ops, &a);
}

static int
commit_journal(struct mailbox *m, struct incoming **in, size_t n,
    const struct scan_mark *mark, uint32_t *uids, struct err *e)
{
	uint64_t modseq;
	size_t i;
	int rc = -1;

	if (mailbox_lock(m, e) == -1)
		return -1;
	if (n > UINT32_MAX - m->v.c.uidnext)
		err_set(e, ERR_PERM, "no UIDs left");
	else {
		modseq = journal_next_modseq(&m->j);
		for (i = 0; i < n; i++) {
			uids[i] = m->v.c.uidnext + (uint32_t)i;
			pack_add(m, in[i], uids[i], modseq);
		}
		scan_note(m, mark, &m->ops);
		/* Makes true that the messages have these UIDs: 250, or the
		 * OK with APPENDUID, may be said after it. */
		rc = mailbox_append(m, 0, false, true, e);
	}
	ops_clear(&m->ops);
	mailbox_unlock(m);
	return rc;
}

/* Makes the names durable: from here a power cut loses no message. */
static int
sync_names(struct mailbox *m, struct incoming **in, size_t n, bool has_new,
    bool has_cur, struct err *e)
{
	bool fast = account_fast_sync(m->account);
	size_t i;

	if (fast && n < SYNCFS_MIN) {
		for (i = 0; i < n; i++)
			if (step_sync(in[i]->fd) == -1)
				return err_sys(e, "sync message");
	} else if (fast && step_sync_fs(m->newfd) == -1)
		return err_sys(e, "sync messages");
	else if (!fast && ((has_new && step_sync(m->newfd) == -1) ||
			      (has_cur && step_sync(m->curfd) == -1)))
		return err_sys(e, "sync directory");
	return 0;
}

int
mailbox_commit(struct mailbox *m, struct incoming **in, size_t n,
    uint32_t *uids, struct err *e)
{
	struct scan_mark mark;
	bool has_new = false, has_cur = false;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		if (in[i]->m != m || !in[i]->is_synced || in[i]->is_filed)
			return err_set(e, ERR_PERM, "message not prepared");
		has_new |= goes_new(in[i]);
		has_cur |= !goes_new(in[i]);
	}
	if (n == 0)
		return 0;
	if (m->is_dead || m->v.is_gone)
		return err_set(e, ERR_PERM, "mailbox was deleted");
	if (coexist_begin_adding(m, e) == -1)
		return -1;
	/* while this is held a scan waits for us to register the files */
	if (fs_lock(m->j.lockfd, LOCK_REGISTER, false, m->j.lock_ms, e) == -1) {
		coexist_end(m);
		return -1;
	}
	rc = rename_all(m, in, n, &mark, e);
	if (rc == 0)
		rc = sync_names(m, in, n, has_new, has_cur, e);
	if (rc == 0)
		rc = commit_journal(m, in, n, &mark, uids, e);
	if (rc == -1)
		put_back(m, in, n);
	else
		for (i = 0; i < n; i++) {
			in[i]->is_filed = true;
			maildirsize_filed(m->account, in[i]->name);
		}
	fs_unlock(m->j.lockfd, LOCK_REGISTER);
	coexist_end(m);
	return rc;
}
