/*
 * expunge - removing messages, and what becomes of their files.
 *
 * 1. The journal's EXPUNGE is the removal; the file goes to quire/exp/<uid>
 *    afterwards, where sessions that still show the message can read it. It
 *    is purged after a grace of EXP_GRACE seconds.
 * 2. Until its file is known to be away an expunged message stays in
 *    view.gone, so that a scan does not take the file for a new message.
 * 3. A full disk must not prevent this: the account's reserve is given up.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define EXP_GRACE   3600
#define TMP_GRACE   (36 * 3600) /* as every Maildir reader does */
#define PURGE_BATCH 1000

static void
expunge_row(struct mailbox *m, uint32_t row, size_t *n)
{
	struct view *v = &m->v;

	op_u32(&m->ops, v->uid[row]);
	op_u32(&m->ops, EXPUNGE_OWN);
	op_u64(&m->ops, v->uhash[row]);
	(*n)++;
}

static int
expunge_locked(struct mailbox *m, const struct ranges *uids, bool all_flags,
    size_t *n, struct err *e)
{
	static const struct range everything = { 1, UINT32_MAX };
	const struct range *r = uids == NULL ? &everything : uids->v;
	size_t nr = uids == NULL ? 1 : uids->n, i;
	struct view *v = &m->v;
	uint32_t row;

	op_begin(&m->ops, OP_EXPUNGE, 0);
	for (i = 0; i < nr; i++)
		for (row = view_lower(v, r[i].lo);
		     row < v->shown && v->uid[row] <= r[i].hi; row++)
			if ((v->st[row] & ST_GHOST) == 0 &&
			    (all_flags || (v->flags[row] & FLAG_DELETED) != 0))
				expunge_row(m, row, n);
	op_end(&m->ops);
	if (*n == 0) {
		ops_clear(&m->ops);
		return 0;
	}
	/* Makes true what the EXPUNGE responses say. */
	return mailbox_append(m, 0, false, true, e);
}

static int
expunge(
    struct mailbox *m, const struct ranges *uids, bool all_flags, struct err *e)
{
	struct err why = { 0 };
	size_t n = 0;
	int rc;

	if (m->readonly)
		return err_set(e, ERR_PERM, "mailbox is read-only");
	if (mailbox_lock(m, &why) == -1)
		goto fail;
	rc = expunge_locked(m, uids, all_flags, &n, &why);
	if (rc == -1 && why.kind == ERR_SPACE && !m->j.is_broken) {
		mailbox_make_room(m, UINT64_MAX);
		if (account_release_reserve(m->account)) {
			ops_clear(&m->ops);
			n = 0;
			rc = expunge_locked(m, uids, all_flags, &n, &why);
		}
	}
	ops_clear(&m->ops);
	mailbox_unlock(m);
	if (rc == -1)
		goto fail;
	if (n > 0) {
		m->expunged_here = true;
		mailbox_bury(m, MIRROR_NOW, NULL);
	}
	return 0;
fail:
	if (e != NULL)
		*e = why;
	return -1;
}

int
mailbox_expunge(struct mailbox *m, const struct ranges *uids, struct err *e)
{
	return expunge(m, uids, false, e);
}

int
mailbox_remove(struct mailbox *m, const struct ranges *uids, struct err *e)
{
	return expunge(m, uids, true, e);
}

/* ---- files of what is gone ---- */

int
mailbox_expfd(struct mailbox *m, struct err *e)
{
	if (m->expfd != -1)
		return 0;
	if (step_mkdir(m->qfd, "exp") == -1)
		return err_sys(e, "make exp");
	m->expfd = fs_open_dir(m->qfd, "exp");
	return m->expfd == -1 ? err_sys(e, "open exp") : 0;
}

static void
uid_name(uint32_t uid, char out[16])
{
	struct buf b;

	buf_init(&b, 16);
	buf_put_uint(&b, uid);
	str_copy(buf_str(&b), out, 16);
	buf_release(&b);
}

bool
bury_name(struct mailbox *m, int dirfd, const char *from, uint32_t uid)
{
	char to[16];
	struct stat st;
	bool ok;

	uid_name(uid, to);
	ok = step_rename(dirfd, from, m->expfd, to) == 0;
	if (!ok && errno != EEXIST)
		return false;
	/* an earlier stop between link and unlink, or a second name */
	if (!ok)
		ok = step_unlink(m->expfd, to) == 0 &&
		     step_rename(dirfd, from, m->expfd, to) == 0;
	if (ok && m->account->owed.is_kept &&
	    fstatat(m->expfd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		maildirsize_add(m->account, -(int64_t)st.st_size, -1);
	return ok;
}

/*
 * Is the file of g in exp/ now? One that is not where it should be may have
 * been renamed by others: only a scan can tell that it is gone.
 */
static bool
bury_one(struct mailbox *m, const struct gone *g)
{
	char base_buf[NAME_LEN + 1], extra_buf[32], name[NAME_LEN + 1];
	struct cold cold;
	struct str base, extra;
	uint32_t fns[2] = { g->fn, g->fnx };
	struct stat st;
	int i;

	if (!mailbox_cold(m, g->uid, g->rec, g->nrec, &cold) ||
	    !str_copy(cold.base, base_buf, sizeof(base_buf)) ||
	    !str_copy(cold.extra, extra_buf, sizeof(extra_buf)))
		return true; /* nothing is known of it any more */
	base = str_make(base_buf, cold.base.n);
	extra = str_make(extra_buf, cold.extra.n);
	for (i = 0; i < 2; i++)
		if (name_with_info(name, base, fns[i], extra) &&
		    bury_name(m, m->curfd, name, g->uid))
			return true;
	if (bury_name(m, m->newfd, base_buf, g->uid) ||
	    bury_name(m, m->curfd, base_buf, g->uid))
		return true;
	/* moved there by one who died before saying so? */
	uid_name(g->uid, name);
	return fstatat(m->expfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * Returns how many were looked at. The directories' state before and after
 * goes into the journal with them, so that nobody reads a directory because
 * of us.
 */
static int
bury(struct mailbox *m, unsigned n, struct err *e)
{
	struct scan_mark mark;
	uint32_t uids[MIRROR_BATCH];
	unsigned k = 0, i, tried = 0;

	msgfile_free(&m->kept); /* open, a file keeps its room */
	if (n > MIRROR_BATCH)
		n = MIRROR_BATCH;
	if (mailbox_expfd(m, e) == -1 ||
	    fs_lock(m->j.lockfd, LOCK_SCAN, true, m->j.lock_ms, e) == -1)
		return -1;
	if (mailbox_follow(m, e) == -1) {
		fs_unlock(m->j.lockfd, LOCK_SCAN);
		return -1;
	}
	scan_mark(m, &mark);
	for (i = 0; i < m->v.ngone && tried < n; i++) {
		struct gone *g = &m->v.gone[i];

		if ((g->st & ST_MISSING) != 0)
			continue;
		tried++;
		if (bury_one(m, g))
			uids[k++] = g->uid;
		else {
			g->st |= ST_MISSING;
			m->must_scan = true;
		}
	}
	scan_mark_end(m, &mark);
	if (k > 0 && mailbox_lock(m, e) == -1)
		k = 0;
	if (k > 0) {
		op_begin(&m->ops, OP_BURIED, 0);
		for (i = 0; i < k; i++) {
			op_u32(&m->ops, uids[i]);
			op_u32(&m->ops, uids[i]);
		}
		op_end(&m->ops);
		scan_note(m, &mark, &m->ops);
		if (mailbox_append(m, 0, true, false, e) == -1)
			k = 0;
		mailbox_unlock(m);
	}
	fs_unlock(m->j.lockfd, LOCK_SCAN);
	return (int)k;
}

int
mailbox_bury(struct mailbox *m, unsigned n, struct err *e)
{
	int rc;

	if (m->v.ngone == 0 || m->j.readonly || !coexist_begin_renaming(m))
		return 0;
	rc = bury(m, n, e);
	coexist_end(m);
	return rc;
}

/* Unlink what has lain in a directory for so long. */
static void
purge_dir(int parentfd, const char *sub, int64_t seconds)
{
	int64_t now = date_now();
	unsigned n = 0;
	DIR *d = fs_read_dir(parentfd, sub);
	struct dirent *de;
	struct stat st;

	if (d == NULL)
		return;
	/* ctime is when it came here */
	while ((de = readdir(d)) != NULL && n < PURGE_BATCH)
		if (de->d_name[0] != '.' &&
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
			0 &&
		    S_ISREG(st.st_mode) && now - st.st_ctime > seconds &&
		    step_unlink(dirfd(d), de->d_name) == 0)
			n++;
	closedir(d);
}

void
mailbox_purge(struct mailbox *m)
{
	purge_dir(m->qfd, "exp", EXP_GRACE);
	purge_dir(m->dirfd, "tmp", TMP_GRACE);
}
