/*
 * account - opening an account, its lock, and what leads from a name to a
 * mailbox.
 *
 * 1. The directory is what exists; the account journal gives it an id, a
 *    UIDVALIDITY and special uses that outlive its name.
 * 2. Order of locks: account, then mailboxes by id.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define RESERVE_SIZE (256 * 1024)
/* Another journal may take its place between a look and the lock (compact.c);
 * so often in a row it is none of our doing. */
#define LOCK_TRIES 8

/* an account journal counts no messages */
static const struct counters none;

const char *
account_hostname(const struct account *a)
{
	return a->hostname;
}

bool
account_is_readonly(const struct account *a)
{
	return a->opts.readonly;
}

bool
account_fast_sync(const struct account *a)
{
	return a->opts.fast_sync;
}

void
account_log(
    const struct account *a, int level, const char *event, const char *text)
{
	if (a != NULL && a->opts.log != NULL)
		a->opts.log(level, event, text);
}

/* ---- the account's lock ---- */

int
account_load(struct account *a, struct err *e)
{
	int rc;

	if (account_revive(a, e) == -1)
		return -1;
	tree_release(&a->tree);
	a->list_ok = false;
	if (journal_open(&a->j, e) == -1)
		return -1;
	rc = journal_follow(&a->j, tree_apply, &a->tree, e);
	return rc == -1 ? -1 : 0;
}

static int
follow(struct account *a, struct err *e)
{
	int rc = journal_follow(&a->j, tree_apply, &a->tree, e);

	if (rc != 0)
		a->list_ok = false;
	if (rc == 2)
		return account_load(a, e);
	return rc == -1 ? -1 : 0;
}

int
account_lock(struct account *a, struct err *e)
{
	int rc, tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		uint64_t end = a->j.end;

		rc = journal_lock(&a->j, tree_apply, &a->tree, e);
		if (rc == -1)
			return -1;
		if (a->j.end != end)
			a->list_ok = false;
		if (rc == 0) {
			if (a->j.must_publish)
				journal_publish(&a->j, &none, NULL, NULL);
			if (a->j.was_salvaged || a->j.was_short)
				stream_note_tree_anew(a);
			a->j.must_publish = a->j.was_cut = false;
			a->j.was_salvaged = a->j.was_short = false;
			ops_clear(&a->ops);
			return 0;
		}
		a->j.was_short = journal_is_short(&a->j);
		if (account_load(a, e) == -1)
			return -1;
	}
	return err_set(e, ERR_TEMP, "account journal keeps changing");
}

void
account_unlock(struct account *a)
{
	journal_unlock(&a->j);
}

int
account_append(struct account *a, bool sync, struct err *e)
{
	struct txn t = { .off = a->j.end };
	int rc;

	if (a->ops.n == 0)
		return 0;
	stream_note_tree(a, a->j.end + a->ops.b.n + TXN_FOOT);
	rc = journal_append(
	    &a->j, &a->ops, 0, journal_next_modseq(&a->j), &none, sync, e);
	if (rc == 0) {
		t.ops = str_sub(buf_str(&a->ops.b), TXN_HEAD,
		    a->ops.b.n - TXN_HEAD - TXN_FOOT);
		if (tree_apply(&a->tree, &t) == -1)
			rc = err_set(e, ERR_PERM, "account journal refused");
		journal_publish(&a->j, &none, NULL, NULL);
		a->list_ok = false;
		a->is_tree_changed = true;
	}
	ops_clear(&a->ops);
	return rc;
}

uint32_t
account_next_uidvalidity(struct account *a)
{
	uint32_t now = (uint32_t)date_now(), next = a->tree.uidvalidity + 1;

	return next > now ? next : now;
}

/* ---- reserve ---- */

void
account_keep_reserve(struct account *a)
{
	struct stat st;
	int fd = step_open(a->acctfd, "reserve");

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0 && st.st_size < RESERVE_SIZE &&
	    posix_fallocate(fd, 0, RESERVE_SIZE) != 0) {
		int rc = ftruncate(fd, 0);

		(void)rc;
	}
	close(fd);
}

bool
account_release_reserve(struct account *a)
{
	struct stat st;

	if (a == NULL || fstatat(a->acctfd, "reserve", &st, 0) == -1)
		return false;
	return unlinkat(a->acctfd, "reserve", 0) == 0;
}

/* ---- life ---- */

static int
open_journal(struct account *a, struct err *e)
{
	struct err why = { 0 };

	journal_init(&a->j, JOURNAL_ACCOUNT, a->acctfd, a->opts.readonly);
	a->j.lock_ms = a->opts.lock_ms;
	if (a->acctfd == -1)
		return account_adopt_hidden(a, e);
	if (account_load(a, &why) == 0)
		return 0;
	if (why.sys == ENOENT && a->opts.readonly)
		return account_adopt_hidden(a, e);
	if (why.kind == ERR_PERM && why.sys == 0 && !a->opts.readonly) {
		if (account_rescue(a, why.text, e) == -1)
			return -1;
	} else if (why.sys != ENOENT) {
		if (e != NULL)
			*e = why;
		return -1;
	}
	if (account_adopt(a, e) == -1)
		return -1;
	return account_load(a, e);
}

int
account_open(struct account **out, int rootfd, const struct account_opts *opts,
    struct err *e)
{
	struct account *a = xcalloc(1, sizeof(*a));
	const char *net;

	*a = (struct account){ .opts = *opts,
		.layout.is_fs = opts->is_fs,
		.indexfd = -1,
		.acctfd = -1,
		.stream = { .fd = -1, .dirfd = -1 } };
	a->rootfd = fcntl(rootfd, F_DUPFD_CLOEXEC, 3);
	if (a->opts.lock_ms == 0)
		a->opts.lock_ms = STORE_LOCK_MS;
	journal_init(&a->j, JOURNAL_ACCOUNT, -1, opts->readonly);
	tree_init(&a->tree);
	ops_init(&a->ops);
	str_copy(str_sub(str_from(opts->hostname), 0, 64), a->hostname,
	    sizeof(a->hostname));
	if (a->hostname[0] == '\0')
		str_copy(STR("localhost"), a->hostname, sizeof(a->hostname));
	if (opts->is_fs && opts->indexfd != -1)
		a->indexfd = fcntl(opts->indexfd, F_DUPFD_CLOEXEC, 3);
	if (a->rootfd == -1 ||
	    (opts->is_fs && !opts->readonly && a->indexfd == -1)) {
		err_sys(e, "duplicate descriptor");
		goto fail;
	}
	if (fs_is_network(a->rootfd, &net)) {
		err_set(e, ERR_PERM,
		    "mail on %s is refused: its locks and appends do not "
		    "hold between hosts",
		    net);
		goto fail;
	}
	marks_open(a);
	if (state_open_account(a, e) == -1 || open_journal(a, e) == -1 ||
	    account_refresh(a, e) == -1)
		goto fail;
	if (!opts->readonly)
		account_keep_reserve(a);
	account_choose_exports(a);
	*out = a;
	return 0;
fail:
	account_close(&a);
	return -1;
}

void
account_close(struct account **ap)
{
	struct account *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	account_export_state(a, 0, NULL); /* else by who closes it next */
	maildirsize_write(a, NULL);
	account_purge(a);
	stream_release(&a->stream);
	marks_close(a);
	pubs_close(a);
	senders_release(a);
	journal_release(&a->j);
	tree_release(&a->tree);
	ops_release(&a->ops);
	account_list_release(a);
	walked_release(&a->walked);
	if (a->rootfd != -1)
		close(a->rootfd);
	if (a->indexfd != -1)
		close(a->indexfd);
	if (a->acctfd != -1)
		close(a->acctfd);
	free(a);
}

int
account_refresh(struct account *a, struct err *e)
{
	int rc;

	if (journal_is_quiet(&a->j) && a->root_mtime != 0 &&
	    layout_stamp(a) == a->root_mtime && a->tree.nmoving == 0 &&
	    a->tree.ndeleting == 0)
		return 0;
	if (follow(a, e) == -1)
		return -1;
	if (a->opts.readonly)
		return 0; /* hidden or not: as it was when it was opened */
	if (account_lock(a, e) == -1)
		return -1;
	rc = account_recover(a, e);
	if (rc == 0)
		rc = account_scan(a, e);
	if (rc == 0)
		rc = subscriptions_import(a, e);
	if (rc == 0)
		compact_if_due(a);
	account_unlock(a);
	/* the other server looks at them while we are open */
	if (rc == 0 && a->opts.coexist)
		account_export_state(a, 0, NULL);
	return rc;
}

/* ---- opening mailboxes ---- */

bool
account_dir(const struct account *a, struct str name, char out[NAME_LEN + 1])
{
	return layout_dir(&a->layout, a->rootfd, name, out);
}

static enum account_result
bad_name(struct err *e, const char *why)
{
	err_set(e, ERR_PERM, "%s", why);
	return ACCOUNT_BADNAME;
}

/* Look again if others may have made it. */
static enum account_result
find_node(struct account *a, struct str name, struct node **out, struct err *e)
{
	char norm[STORE_MAX_NAME + 1];
	const char *why;

	if (!account_normalize(name, norm, &why))
		return bad_name(e, why);
	if (account_refresh(a, e) == -1)
		return ACCOUNT_ERROR;
	*out = tree_find(&a->tree, str_from(norm));
	return *out == NULL ? ACCOUNT_NOTFOUND : ACCOUNT_OK;
}

static enum account_result
open_node(struct account *a, const struct node *node, bool readonly,
    struct mailbox **out, struct err *e)
{
	char dir[NAME_LEN + 1];
	int fd;

	if (!account_dir(a, str_from(node->name), dir))
		return bad_name(e, "name too long");
	fd = fs_open_dir(a->rootfd, dir);
	if (fd == -1) {
		err_sys(e, "open %s", dir);
		return errno == ENOENT ? ACCOUNT_NOTFOUND : ACCOUNT_ERROR;
	}
	return mailbox_open_dir(
		   out, a, fd, readonly, node->uidvalidity, node->id, e) == -1 ?
		   ACCOUNT_ERROR :
		   ACCOUNT_OK;
}

enum account_result
account_open_mailbox(struct account *a, struct str name, bool readonly,
    struct mailbox **out, struct err *e)
{
	struct node *node, copy;
	enum account_result r = find_node(a, name, &node, e);

	if (r != ACCOUNT_OK)
		return r;
	/* opening may finish a MOVE and read the tree again */
	copy = *node;
	copy.name = xstrdup(node->name);
	r = open_node(a, &copy, readonly, out, e);
	free(copy.name);
	return r;
}

int
account_open_by_id(struct account *a, const uint8_t id[16],
    struct mailbox **out, struct err *e)
{
	struct node *node = tree_find_id(&a->tree, id);

	*out = NULL;
	if (node == NULL)
		return 0;
	return open_node(a, node, false, out, e) == ACCOUNT_ERROR ? -1 : 0;
}
