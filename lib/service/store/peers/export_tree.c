/*
 * export_tree - Dovecot's view of an account, kept up to date: subscriptions,
 * dovecot-uidvalidity, and a dovecot-uidlist in each folder, without which
 * Dovecot would give it a UIDVALIDITY of its own.
 *
 * 1. Nothing is waited for; what cannot be done now is done at a later close.
 * 2. quire/acct/subscriptions is `subscriptions` as it was when we last wrote
 *    or took it in: what differs from it was changed by others, and goes into
 *    the journal (a three-way merge, as with file names).
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define SUBS	     "subscriptions"
#define UIDVALIDITY  "dovecot-uidvalidity"
#define HEX_DIGITS   8
#define TREE_LOCK_MS 5000

void
account_choose_exports(struct account *a)
{
	struct stat st;

	maildirsize_find(a);
	switch (a->opts.exports) {
	case ACCOUNT_EXPORT_AUTO:
		a->exports =
		    fstatat(a->rootfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == 0;
		break;
	case ACCOUNT_EXPORT_NONE:
		a->exports = false;
		break;
	case ACCOUNT_EXPORT_DOVECOT:
		a->exports = true;
		break;
	}
	a->exports |= a->opts.coexist;
	/* only now switched on: everything is to be written */
	if (a->exports &&
	    fstatat(a->acctfd, SUBS, &st, AT_SYMLINK_NOFOLLOW) == -1)
		a->is_tree_changed = true;
}

/* ---- subscriptions ---- */

struct names { /* of a subscriptions file, sorted */
	char **v;
	size_t n;
};

static int
name_order(const void *va, const void *vb)
{
	const char *const *a = va, *const *b = vb;

	return strcmp(*a, *b);
}

/* false: there is no such file */
static bool
names_read(const struct account *a, int dirfd, struct names *out)
{
	char name[STORE_MAX_NAME + 1];
	struct str text, line;
	struct buf b;
	bool ok;

	*out = (struct names){ 0 };
	buf_init(&b, SUBS_MAX);
	ok = subs_read(&a->layout, dirfd, SUBS, &b);
	for (text = buf_str(&b); ok && text.n > 0;) {
		str_cut(&text, '\n', &line);
		if (!subs_name(&a->layout, line, false, name))
			continue;
		out->v = xreallocarray(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = xstrdup(name);
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), name_order);
	buf_release(&b);
	return ok;
}

static void
names_release(struct names *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static bool
names_have(const struct names *l, const char *name)
{
	return l->n > 0 &&
	       bsearch(&name, l->v, l->n, sizeof(*l->v), name_order) != NULL;
}

/* Those of `some` that are not in `others`. */
static void
pack_differing(struct account *a, enum op_type type, const struct names *some,
    const struct names *others)
{
	size_t i;

	for (i = 0; i < some->n; i++) {
		struct str name = str_from(some->v[i]);

		if (names_have(others, some->v[i]) ||
		    tree_is_subscribed(&a->tree, name) == (type == OP_SUB))
			continue;
		op_begin(&a->ops, type, 0);
		op_bytes(&a->ops, name);
		op_end(&a->ops);
	}
}

int
subscriptions_import(struct account *a, struct err *e)
{
	struct names base = { 0 }, theirs = { 0 };
	int rc = 0;

	if (a->exports && names_read(a, a->rootfd, &theirs)) {
		/* none yet: what is subscribed there stays so */
		(void)names_read(a, a->acctfd, &base);
		pack_differing(a, OP_SUB, &theirs, &base);
		pack_differing(a, OP_UNSUB, &base, &theirs);
		rc = account_append(a, true, e);
	}
	names_release(&base);
	names_release(&theirs);
	return rc;
}

/* Does the file say what the journal says? */
static bool
names_are_right(const struct account *a, const struct names *l)
{
	size_t i, known = 0;

	for (i = 0; i < l->n; i++)
		if (!tree_is_subscribed(&a->tree, str_from(l->v[i])))
			return false;
		else if (i == 0 || strcmp(l->v[i], l->v[i - 1]) != 0)
			known++;
	return known == a->tree.nsubs;
}

/* "V\t2" and levels by TAB as Dovecot writes since 2.2, or as it was. */
static void
put_subscriptions(const struct account *a, struct buf *b, bool is_v1)
{
	char dir[NAME_LEN + 1], *at, sep = a->layout.is_fs ? '/' : '.';
	size_t i;

	if (!is_v1)
		buf_puts(b, "V\t2\n\n");
	for (i = 0; i < a->tree.nsubs; i++) {
		struct str name = str_from(a->tree.subs[i]);

		if (folder_is_inbox(name)) {
			buf_puts(b, "INBOX\n");
			continue;
		}
		if (!account_dir(a, name, dir))
			continue;
		for (at = dir; !is_v1 && (at = strchr(at + 1, sep)) != NULL;)
			*at = '\t';
		buf_puts(b, a->layout.is_fs ? dir : dir + 1);
		buf_putc(b, '\n');
	}
}

static int
replace(int dirfd, const char *tmp, const char *name, struct str text,
    bool sync, struct err *e)
{
	struct stat st;
	int fd, rc = -1;

	step_unlink(dirfd, tmp);
	fd = step_creat(dirfd, tmp);
	if (fd == -1)
		return err_sys(e, "create %s", tmp);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_mode & 0777) != 0600)
		(void)fchmod(fd, st.st_mode & 0777);
	if (step_write(fd, text) == 0 && (!sync || step_sync(fd) == 0) &&
	    step_replace(dirfd, tmp, name) == 0)
		rc = 0;
	else
		err_sys(e, "write %s", name);
	close(fd);
	if (rc == -1)
		step_unlink(dirfd, tmp);
	return rc;
}

static int
export_subscriptions(struct account *a, unsigned how, struct err *e)
{
	bool sync = (how & EXPORT_SYNC) != 0, is_v1;
	struct names theirs;
	struct dotlock lock;
	struct buf now, want;
	int rc;

	if (dotlock_take(&lock, a->rootfd, SUBS ".lock",
		(how & EXPORT_FULL) != 0 ? TREE_LOCK_MS : 0, e) == -1)
		return -1;
	buf_init(&now, SUBS_MAX);
	buf_init(&want, SUBS_MAX);
	rc = fs_read_file(a->rootfd, SUBS, &now, NULL);
	is_v1 =
	    rc == 0 && now.n > 0 && !str_starts(buf_str(&now), STR("V\t2\n"));
	put_subscriptions(a, &want, is_v1);
	if (rc == 0 && names_read(a, a->rootfd, &theirs)) {
		rc = names_are_right(a, &theirs) ? 0 : -1;
		names_release(&theirs);
	}
	if (rc == -1)
		rc = replace(
		    a->rootfd, SUBS ".tmp", SUBS, buf_str(&want), sync, e);
	if (rc == 0)
		rc = replace(
		    a->acctfd, SUBS ".tmp", SUBS, buf_str(&want), sync, e);
	buf_release(&now);
	buf_release(&want);
	dotlock_drop(&lock);
	return rc;
}

/* ---- dovecot-uidvalidity ---- */

/*
 * The last UIDVALIDITY given out, in 8 hex digits, and an empty file of that
 * name: dovecot-uidvalidity.5f000000. Kept only if it is there.
 */
static int
export_uidvalidity(struct account *a, struct err *e)
{
	char from[64], to[64], hex[HEX_DIGITS + 1];
	uint32_t last = 0;
	struct buf b;
	size_t i;
	int fd, rc = 0;

	buf_init(&b, 64);
	if (fs_read_file(a->rootfd, UIDVALIDITY, &b, NULL) == -1)
		goto done;
	for (i = 0; i < HEX_DIGITS && i < b.n; i++) {
		int digit = ascii_hexval(b.p[i]);

		if (digit < 0)
			goto done;
		last = last << 4 | (uint32_t)digit;
	}
	if (i < HEX_DIGITS || last >= a->tree.uidvalidity)
		goto done;
	snprintf(from, sizeof(from), UIDVALIDITY ".%08x", last);
	snprintf(hex, sizeof(hex), "%08x", a->tree.uidvalidity);
	snprintf(to, sizeof(to), UIDVALIDITY ".%s", hex);
	/* who renames the empty file has won; Dovecot does the same */
	if (step_rename(a->rootfd, from, a->rootfd, to) == -1)
		goto done;
	fd = fs_open_file(a->rootfd, UIDVALIDITY, O_WRONLY, 0);
	if (fd == -1 || step_pwrite(fd, str_from(hex), 0) == -1)
		rc = err_sys(e, "write " UIDVALIDITY);
	if (fd != -1)
		close(fd);
done:
	buf_release(&b);
	return rc;
}

/* ---- folders ---- */

/* What nobody has opened yet has no messages of ours. */
static int
write_empty_list(
    int dirfd, const struct node *node, unsigned how, struct err *e)
{
	struct dotlock lock;
	struct stat st;
	struct buf b;
	int rc = 0;

	if (dotlock_take(&lock, dirfd, UIDLIST_LOCK, 0, e) == -1)
		return -1;
	buf_init(&b, 256);
	buf_printf(&b, "3 V%u N1 G", node->uidvalidity);
	buf_put_hex(&b, node->id, 16);
	buf_putc(&b, '\n');
	if (fstatat(dirfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == -1)
		rc = replace(dirfd, UIDLIST ".tmp", UIDLIST, buf_str(&b),
		    (how & EXPORT_SYNC) != 0, e);
	buf_release(&b);
	dotlock_drop(&lock);
	return rc;
}

int
export_new_folder(
    struct account *a, int dirfd, const struct node *node, struct err *e)
{
	return a->exports ? write_empty_list(dirfd, node, 0, e) : 0;
}

static int
export_folder(
    struct account *a, const struct node *node, unsigned how, struct err *e)
{
	struct mailbox *m = NULL;
	char dir[NAME_LEN + 1];
	struct stat st;
	int fd, qfd, rc = 0;

	if (!account_dir(a, str_from(node->name), dir) ||
	    (fd = fs_open_dir(a->rootfd, dir)) == -1)
		return 0;
	if (fstatat(fd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == -1 &&
	    errno == ENOENT) {
		qfd = state_open(a, fd, node->id, false);
		if (fstatat(qfd, "journal", &st, AT_SYMLINK_NOFOLLOW) == -1)
			rc = write_empty_list(fd, node, how, e);
		else if ((rc = account_open_by_id(a, node->id, &m, e)) == 0)
			mailbox_close(&m); /* exports */
		if (qfd != -1)
			close(qfd);
	}
	close(fd);
	return rc;
}

int
account_export_state(struct account *a, unsigned how, struct err *e)
{
	struct err why = { 0 };
	bool is_full = (how & EXPORT_FULL) != 0;
	size_t i;
	int rc = 0;

	if (a->opts.readonly || (!a->exports && !is_full) ||
	    (!a->is_tree_changed && how == 0))
		return 0;
	if (account_lock(a, &why) == 0) {
		rc = subscriptions_import(a, &why);
		account_unlock(a);
	}
	if (rc == 0)
		rc = export_subscriptions(a, how, &why);
	if (rc == 0)
		rc = export_uidvalidity(a, &why);
	/* opening one reads the tree again: by number, not by address */
	for (i = 0; rc == 0 && i < a->tree.n; i++) {
		struct node node = a->tree.v[i];

		node.name = str_dup(str_from(node.name));
		rc = export_folder(a, &node, how, &why);
		free(node.name);
	}
	if (rc == 0)
		a->is_tree_changed = false;
	if (rc == -1 && e != NULL)
		*e = why;
	return rc;
}
