/*
 * folders - CREATE, DELETE, RENAME, SUBSCRIBE. (What others do to the
 * directory of an account: look.c)
 *
 * 1. Everything is checked before anything is written.
 * 2. CREATE: the directory is prepared aside, durable, then named; MBOX in
 *    the journal is the commit. A stop between leaves a folder that the next
 *    look adopts.
 * 3. RENAME and DELETE: the journal first (RENBEGIN, DELBEGIN: the commit),
 *    directories after; account_recover() goes on where somebody stopped.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

static enum account_result
normalize(struct str in, char out[STORE_MAX_NAME + 1], struct err *e)
{
	const char *why;

	if (account_normalize(in, out, &why))
		return ACCOUNT_OK;
	err_set(e, ERR_PERM, "%s", why);
	return ACCOUNT_BADNAME;
}

static bool
dir_exists(struct account *a, const char *dir)
{
	struct stat st;

	return fstatat(a->rootfd, dir, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- create ---- */

static int
make_parts(int fd, struct err *e)
{
	static const char *const dirs[] = { "cur", "new", "tmp" };
	int marker;
	size_t i;

	for (i = 0; i < 3; i++)
		if (step_mkdir(fd, dirs[i]) == -1)
			return err_sys(e, "make folder");
	/* Courier and maildrop look for it */
	marker = step_creat(fd, "maildirfolder");
	if (marker == -1 && errno != EEXIST)
		return err_sys(e, "make folder");
	if (marker != -1)
		close(marker);
	return step_sync(fd) == -1 ? err_sys(e, "sync folder") : 0;
}

/* A CREATE that failed must not leave a folder that is adopted later. */
static void
folder_unmake(struct account *a, const uint8_t id[16], const char *dir)
{
	static const char *const parts[] = { "cur", "new", "tmp", "quire" };
	char tmp[64] = "quire/acct/tmp/";
	size_t i;
	int fd;

	if (a->layout.is_fs) {
		nested_unmake(a, dir);
		return;
	}
	state_hex(id, tmp + strlen(tmp));
	if (step_rename(a->rootfd, dir, a->rootfd, tmp) == -1 ||
	    (fd = fs_open_dir(a->rootfd, tmp)) == -1)
		return;
	for (i = 0; i < 4; i++)
		unlinkat(fd, parts[i], AT_REMOVEDIR);
	unlinkat(fd, "maildirfolder", 0);
	unlinkat(fd, UIDLIST, 0);
	close(fd);
	unlinkat(a->rootfd, tmp, AT_REMOVEDIR);
}

int
folder_make(
    struct account *a, const struct node *node, const char *dir, struct err *e)
{
	char tmp[64] = "quire/acct/tmp/";
	int fd, rc;

	if (a->layout.is_fs)
		return nested_make(a, dir, e);
	state_hex(node->id, tmp + strlen(tmp));
	if (step_mkdir(a->rootfd, tmp) == -1 ||
	    (fd = fs_open_dir(a->rootfd, tmp)) == -1)
		return err_sys(e, "make folder");
	rc = make_parts(fd, e);
	if (rc == 0)
		rc = export_new_folder(a, fd, node, e);
	close(fd);
	if (rc == -1)
		return -1;
	if (step_rename(a->rootfd, tmp, a->rootfd, dir) == -1)
		return err_sys(e, "make folder %s", dir);
	/* Makes the folder durable under its name. */
	if (step_sync(a->rootfd) == -1) {
		err_sys(e, "make folder %s", dir);
		folder_unmake(a, node->id, dir);
		return -1;
	}
	return 0;
}

static enum account_result
create_one(struct account *a, struct str name, unsigned use, struct err *e)
{
	struct node node = { .use = use };
	char dir[NAME_LEN + 1];
	bool was_there;
	int rc;

	if (!account_dir(a, name, dir)) {
		err_set(e, ERR_PERM, "name too long");
		return ACCOUNT_BADNAME;
	}
	fs_random(node.id, sizeof(node.id));
	node.uidvalidity = account_next_uidvalidity(a);
	node.name = str_dup(name);
	/* a folder of that name left by a stopped CREATE is as good */
	was_there = layout_is_maildir(a->rootfd, dir);
	rc = was_there ? 0 : folder_make(a, &node, dir, e);
	if (rc == 0) {
		op_mbox_pack(&a->ops, &node);
		op_begin(&a->ops, OP_SUB, 0);
		op_bytes(&a->ops, name);
		op_end(&a->ops);
		/* Makes true that the mailbox exists, with its id. */
		rc = account_append(a, true, e);
		if (rc == -1 && !was_there)
			folder_unmake(a, node.id, dir);
	}
	free(node.name);
	return rc == -1 ? ACCOUNT_ERROR : ACCOUNT_OK;
}

static bool
use_is_free(const struct account *a, unsigned use)
{
	size_t i;

	for (i = 0; i < a->tree.n; i++)
		if ((a->tree.v[i].use & use) != 0)
			return false;
	/* one that has no place of its own cannot be given */
	return (use & (USE_ALL | USE_FLAGGED)) == 0;
}

static enum account_result
create_locked(struct account *a, struct str name, unsigned use, struct err *e)
{
	enum account_result r;
	size_t i;

	if (tree_find(&a->tree, name) != NULL)
		return ACCOUNT_EXISTS;
	if (use != 0 && !use_is_free(a, use))
		return ACCOUNT_BADUSE;
	if (a->tree.n >= STORE_MAX_MAILBOXES) {
		err_set(e, ERR_PERM, "too many mailboxes");
		return ACCOUNT_ERROR;
	}
	for (i = 1; i < name.n; i++) {
		struct str parent = str_sub(name, 0, i);

		if (name.p[i] != '/' || tree_find(&a->tree, parent) != NULL)
			continue;
		r = create_one(a, parent, 0, e);
		if (r != ACCOUNT_OK)
			return r;
	}
	return create_one(a, name, use, e);
}

static int
begin(struct account *a, struct err *e)
{
	if (a->opts.readonly)
		return err_set(e, ERR_PERM, "account is read-only");
	if (account_lock(a, e) == -1)
		return -1;
	/* what others did counts before what we do */
	if (account_recover(a, e) == -1 || account_scan(a, e) == -1) {
		account_unlock(a);
		return -1;
	}
	return 0;
}

static void
end(struct account *a)
{
	ops_clear(&a->ops);
	/* of nested directories the next look makes a new one */
	a->root_mtime = a->layout.is_fs ? 0 : layout_stamp(a);
	account_unlock(a);
}

enum account_result
account_create(struct account *a, struct str in, unsigned use, struct err *e)
{
	char name[STORE_MAX_NAME + 1];
	enum account_result r = normalize(in, name, e);

	if (r != ACCOUNT_OK)
		return r;
	if (begin(a, e) == -1)
		return ACCOUNT_ERROR;
	r = create_locked(a, str_from(name), use, e);
	end(a);
	return r;
}

/* ---- delete ---- */

/* Tell sessions that have it open. */
static void
say_gone(struct account *a, const struct node *node, int dirfd)
{
	struct mailbox *m;

	if (mailbox_open_dir(
		&m, a, dirfd, false, node->uidvalidity, node->id, NULL) == -1)
		return;
	if (mailbox_lock(m, NULL) == 0) {
		op_words_pack(&m->ops, OP_GONE, 0, 0);
		mailbox_append(m, 0, true, false, NULL);
		mailbox_unlock(m);
	}
	m->is_dead = true; /* nothing left to write */
	mailbox_close(&m);
}

/* Maildir++: the directory as it is. */
static int
bury_folder(
    struct account *a, const char *dir, const uint8_t id[16], struct err *e)
{
	char to[64] = "quire/acct/deleted/";

	state_hex(id, to + strlen(to));
	if ((step_rename(a->rootfd, dir, a->rootfd, to) == -1 &&
		errno != ENOENT) ||
	    step_sync(a->rootfd) == -1)
		return err_sys(e, "delete folder %s", dir);
	return 0;
}

static int
finish_delete(struct account *a, const struct node *node, struct err *e)
{
	char dir[NAME_LEN + 1];
	int fd;

	if (account_dir(a, str_from(node->name), dir) &&
	    tree_find(&a->tree, str_from(node->name)) == NULL &&
	    (fd = fs_open_dir(a->rootfd, dir)) != -1) {
		if (layout_is_maildir(a->rootfd, dir))
			say_gone(a, node, fd);
		else
			close(fd);
		if ((a->layout.is_fs ? nested_bury(a, dir, node->id, e) :
				       bury_folder(a, dir, node->id, e)) == -1)
			return -1;
		maildirsize_recount(a);
	}
	op_begin(&a->ops, OP_MBOXGONE, 0);
	op_bytes(&a->ops, str_make((const char *)node->id, 16));
	op_end(&a->ops);
	return account_append(a, false, e);
}

enum account_result
account_delete(struct account *a, struct str in, struct err *e)
{
	char name[STORE_MAX_NAME + 1];
	enum account_result r = normalize(in, name, e);
	struct node *node;
	size_t i;

	if (r != ACCOUNT_OK)
		return r;
	if (folder_is_inbox(str_from(name)))
		return ACCOUNT_FORBIDDEN;
	if (begin(a, e) == -1)
		return ACCOUNT_ERROR;
	node = tree_find(&a->tree, str_from(name));
	if (node == NULL) {
		r = ACCOUNT_NOTFOUND;
		for (i = 0; i < a->tree.n; i++)
			if (name_is_below(
				str_from(a->tree.v[i].name), str_from(name)))
				r = ACCOUNT_HASCHILDREN;
	} else {
		op_begin(&a->ops, OP_DELBEGIN, 0);
		op_bytes(&a->ops, str_make((const char *)node->id, 16));
		op_end(&a->ops);
		/* Makes true that it is deleted; the rest can be made up. */
		if (account_append(a, true, e) == -1)
			r = ACCOUNT_ERROR;
		else if (account_recover(a, e) == -1)
			account_log(
			    a, 1, "store.delete", e == NULL ? "" : e->text);
	}
	end(a);
	return r;
}

/* ---- rename ---- */

static void
pack_str16(struct ops *o, struct str s)
{
	pack_u16(&o->b, (uint16_t)s.n);
	buf_put(&o->b, s);
}

/* "a/b" below "a" renamed to "x" is "x/b" */
static bool
new_name(struct str old, struct str from, struct str to,
    char out[STORE_MAX_NAME + 1])
{
	if (to.n + old.n - from.n > STORE_MAX_NAME)
		return false;
	memcpy(out, to.p, to.n);
	memcpy(out + to.n, old.p + from.n, old.n - from.n);
	out[to.n + old.n - from.n] = '\0';
	return true;
}

static bool
concerns(struct str name, struct str from)
{
	return str_eq(name, from) || name_is_below(name, from);
}

static enum account_result
check_rename(struct account *a, struct str from, struct str to, struct err *e)
{
	char name[STORE_MAX_NAME + 1], dir[NAME_LEN + 1];
	bool found = false;
	size_t i;

	if (tree_find(&a->tree, to) != NULL)
		return ACCOUNT_EXISTS;
	if (name_is_below(to, from)) {
		err_set(e, ERR_PERM, "a mailbox cannot move below itself");
		return ACCOUNT_BADNAME;
	}
	for (i = 0; i < a->tree.n; i++) {
		struct str old = str_from(a->tree.v[i].name);

		if (!concerns(old, from))
			continue;
		found = true;
		if (!new_name(old, from, to, name) ||
		    !account_dir(a, str_from(name), dir)) {
			err_set(e, ERR_PERM, "name too long");
			return ACCOUNT_BADNAME;
		}
		if (tree_find(&a->tree, str_from(name)) != NULL ||
		    dir_exists(a, dir))
			return ACCOUNT_EXISTS;
	}
	return found ? ACCOUNT_OK : ACCOUNT_NOTFOUND;
}

static int
move_folder(struct account *a, const char *from, const char *to, struct err *e)
{
	if (a->layout.is_fs)
		return nested_move(a, from, to, e);
	/* ENOENT: done before the stop. EEXIST: others were there. */
	if (step_rename(a->rootfd, from, a->rootfd, to) == -1 &&
	    errno != ENOENT && errno != EEXIST)
		return err_sys(e, "rename folder %s", from);
	return 0;
}

static int
finish_renames(struct account *a, struct err *e)
{
	char from[NAME_LEN + 1], to[NAME_LEN + 1];
	size_t i;

	for (i = 0; i < a->tree.nmoving; i++) {
		const struct moving *mv = &a->tree.moving[i];

		if (account_dir(a, str_from(mv->from), from) &&
		    account_dir(a, str_from(mv->to), to) &&
		    move_folder(a, from, to, e) == -1)
			return -1;
	}
	if (step_sync(a->rootfd) == -1)
		return err_sys(e, "sync Maildir");
	op_begin(&a->ops, OP_RENEND, 0);
	op_end(&a->ops);
	return account_append(a, false, e);
}

static enum account_result
rename_locked(struct account *a, struct str from, struct str to, struct err *e)
{
	enum account_result r = check_rename(a, from, to, e);
	char name[STORE_MAX_NAME + 1];
	size_t i;

	for (i = 1; i < to.n && r == ACCOUNT_OK; i++)
		if (to.p[i] == '/' &&
		    tree_find(&a->tree, str_sub(to, 0, i)) == NULL)
			r = create_one(a, str_sub(to, 0, i), 0, e);
	if (r != ACCOUNT_OK)
		return r;
	op_begin(&a->ops, OP_RENBEGIN, 0);
	for (i = 0; i < a->tree.n; i++) {
		struct str old = str_from(a->tree.v[i].name);

		if (!concerns(old, from) || !new_name(old, from, to, name))
			continue;
		pack_str16(&a->ops, old);
		pack_str16(&a->ops, str_from(name));
	}
	op_end(&a->ops);
	/* a subscription goes with its mailbox; the old name keeps its own,
	 * which only the client may take away (RFC 9051, 6.3.6) */
	for (i = 0; i < a->tree.n; i++) {
		struct str old = str_from(a->tree.v[i].name);

		if (!concerns(old, from) || !new_name(old, from, to, name) ||
		    !tree_is_subscribed(&a->tree, old))
			continue;
		op_begin(&a->ops, OP_SUB, 0);
		op_bytes(&a->ops, str_from(name));
		op_end(&a->ops);
	}
	/* Makes the new names true; directories follow. */
	if (account_append(a, true, e) == -1)
		return ACCOUNT_ERROR;
	if (account_recover(a, e) == -1)
		account_log(a, 1, "store.rename", e == NULL ? "" : e->text);
	return ACCOUNT_OK;
}

/* RFC 9051, 6.3.6: INBOX stays, its messages go. */
static enum account_result
rename_inbox(struct account *a, struct str to, struct err *e)
{
	struct mailbox *src = NULL, *dst = NULL;
	struct copy_result moved;
	struct ranges all;
	enum account_result r;

	r = account_create(a, to, 0, e);
	if (r != ACCOUNT_OK)
		return r;
	ranges_init(&all, 1);
	ranges_add(&all, 1, UINT32_MAX);
	r = account_open_mailbox(a, STR("INBOX"), false, &src, e);
	if (r == ACCOUNT_OK)
		r = account_open_mailbox(a, to, false, &dst, e);
	if (r == ACCOUNT_OK) {
		struct mailbox_changes ch = { 0 };

		if (mailbox_sync(src, true, &ch, e) == -1 ||
		    mailbox_move(src, dst, &all, &moved, e) == -1)
			r = ACCOUNT_ERROR;
		else
			copy_result_release(&moved);
		mailbox_changes_release(&ch);
	}
	ranges_release(&all);
	mailbox_close(&src);
	mailbox_close(&dst);
	return r;
}

enum account_result
account_rename(
    struct account *a, struct str in_from, struct str in_to, struct err *e)
{
	char from[STORE_MAX_NAME + 1], to[STORE_MAX_NAME + 1];
	enum account_result r = normalize(in_from, from, e);

	if (r == ACCOUNT_OK)
		r = normalize(in_to, to, e);
	if (r != ACCOUNT_OK)
		return r;
	if (folder_is_inbox(str_from(to)))
		return ACCOUNT_EXISTS;
	if (folder_is_inbox(str_from(from)))
		return rename_inbox(a, str_from(to), e);
	if (begin(a, e) == -1)
		return ACCOUNT_ERROR;
	r = rename_locked(a, str_from(from), str_from(to), e);
	end(a);
	return r;
}

enum account_result
account_subscribe(struct account *a, struct str in, bool on, struct err *e)
{
	char name[STORE_MAX_NAME + 1];
	enum account_result r = normalize(in, name, e);

	if (r != ACCOUNT_OK)
		return r;
	if (a->opts.readonly) {
		err_set(e, ERR_PERM, "account is read-only");
		return ACCOUNT_ERROR;
	}
	if (account_lock(a, e) == -1)
		return ACCOUNT_ERROR;
	if (tree_is_subscribed(&a->tree, str_from(name)) != on) {
		op_begin(&a->ops, on ? OP_SUB : OP_UNSUB, 0);
		op_bytes(&a->ops, str_from(name));
		op_end(&a->ops);
		/* Makes true what the OK says. */
		if (account_append(a, true, e) == -1)
			r = ACCOUNT_ERROR;
	}
	account_unlock(a);
	return r;
}

/* ---- after a stop ---- */

int
account_recover(struct account *a, struct err *e)
{
	struct node node;
	int rc = 0;

	if (a->tree.nmoving > 0)
		rc = finish_renames(a, e);
	while (rc == 0 && a->tree.ndeleting > 0) {
		node = a->tree.deleting[0];
		node.name = xstrdup(node.name);
		rc = finish_delete(a, &node, e);
		free(node.name);
	}
	return rc;
}
