/*
 * rename - RENAME (RFC 9051, 6.3.6): the mailbox and all below it. The
 * journal has the new names before the directories have them (folders.c, 3).
 */
#include "service/store/folders_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/pack.h"

static bool
dir_exists(struct account *a, const char *dir)
{
	struct stat st;

	return fstatat(a->rootfd, dir, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

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

int
folders_finish_renames(struct account *a, struct err *e)
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
			r = folders_create_one(a, str_sub(to, 0, i), 0, e);
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
	enum account_result r = folders_normalize(in_from, from, e);

	if (r == ACCOUNT_OK)
		r = folders_normalize(in_to, to, e);
	if (r != ACCOUNT_OK)
		return r;
	if (folder_is_inbox(str_from(to)))
		return ACCOUNT_EXISTS;
	if (folder_is_inbox(str_from(from)))
		return rename_inbox(a, str_from(to), e);
	if (folders_begin(a, e) == -1)
		return ACCOUNT_ERROR;
	r = rename_locked(a, str_from(from), str_from(to), e);
	folders_end(a);
	return r;
}
