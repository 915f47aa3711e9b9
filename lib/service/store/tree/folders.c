/*
 * folders - CREATE, DELETE, SUBSCRIBE. (RENAME: rename.c. The directories:
 * folder_dir.c. What others do to the directory of an account: look.c)
 *
 * 1. Everything is checked before anything is written.
 * 2. CREATE: the directory is prepared aside, durable, then named; MBOX in
 *    the journal is the commit. A stop between leaves a folder that the next
 *    look adopts.
 * 3. RENAME and DELETE: the journal first (RENBEGIN, DELBEGIN: the commit),
 *    directories after; account_recover() goes on where somebody stopped.
 */
#include "service/store/folders_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

enum account_result
folders_normalize(struct str in, char out[STORE_MAX_NAME + 1], struct err *e)
{
	const char *why;

	if (account_normalize(in, out, &why))
		return ACCOUNT_OK;
	err_set(e, ERR_PERM, "%s", why);
	return ACCOUNT_BADNAME;
}

/* ---- create ---- */

enum account_result
folders_create_one(
    struct account *a, struct str name, unsigned use, struct err *e)
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
		r = folders_create_one(a, parent, 0, e);
		if (r != ACCOUNT_OK)
			return r;
	}
	return folders_create_one(a, name, use, e);
}

int
folders_begin(struct account *a, struct err *e)
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

void
folders_end(struct account *a)
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
	enum account_result r = folders_normalize(in, name, e);

	if (r != ACCOUNT_OK)
		return r;
	if (folders_begin(a, e) == -1)
		return ACCOUNT_ERROR;
	r = create_locked(a, str_from(name), use, e);
	folders_end(a);
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
	enum account_result r = folders_normalize(in, name, e);
	struct node *node;
	size_t i;

	if (r != ACCOUNT_OK)
		return r;
	if (folder_is_inbox(str_from(name)))
		return ACCOUNT_FORBIDDEN;
	if (folders_begin(a, e) == -1)
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
	folders_end(a);
	return r;
}

/* ---- subscribe ---- */

enum account_result
account_subscribe(struct account *a, struct str in, bool on, struct err *e)
{
	char name[STORE_MAX_NAME + 1];
	enum account_result r = folders_normalize(in, name, e);

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
		rc = folders_finish_renames(a, e);
	while (rc == 0 && a->tree.ndeleting > 0) {
		node = a->tree.deleting[0];
		node.name = xstrdup(node.name);
		rc = finish_delete(a, &node, e);
		free(node.name);
	}
	return rc;
}
