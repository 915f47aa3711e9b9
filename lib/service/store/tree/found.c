/*
 * found - the first open of an account: the folders there are, or the ones
 * everybody needs.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/utf8.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

static const struct {
	const char *name;
	unsigned use;
	bool is_default;
} usual[] = {
	{ "Drafts", USE_DRAFTS, true },
	{ "Sent", USE_SENT, true },
	{ "Trash", USE_TRASH, true },
	{ "Junk", USE_JUNK, true },
	{ "Archive", USE_ARCHIVE, true },
	{ "Sent Items", USE_SENT, false },
	{ "Sent Messages", USE_SENT, false },
	{ "Deleted Items", USE_TRASH, false },
	{ "Deleted Messages", USE_TRASH, false },
	{ "Spam", USE_JUNK, false },
	{ "Archives", USE_ARCHIVE, false },
};
#define NUSUAL (sizeof(usual) / sizeof(usual[0]))

static void
pack_sub(struct ops *o, struct str name)
{
	op_begin(o, OP_SUB, 0);
	op_bytes(o, name);
	op_end(o);
}

/* What is known of a folder before its mailbox is opened. */
void
found_identify(struct account *a, const char *dir, struct node *node)
{
	struct uidlist l;
	int fd = fs_open_dir(a->rootfd, dir);

	fs_random(node->id, sizeof(node->id));
	node->uidvalidity = account_next_uidvalidity(a);
	if (fd != -1 && uidlist_read(fd, true, &l)) {
		node->uidvalidity = l.uidvalidity;
		/* a copied folder would bring its id a second time */
		if (l.has_id && tree_find_id(&a->tree, l.mailboxid) == NULL)
			memcpy(node->id, l.mailboxid, 16);
		uidlist_release(&l);
	}
	if (fd != -1)
		close(fd);
}

static bool
has_messages(struct account *a, const char *path)
{
	DIR *d = fs_read_dir(a->rootfd, path);
	struct dirent *de;
	bool found = false;

	if (d == NULL)
		return false;
	while (!found && (de = readdir(d)) != NULL)
		found = de->d_name[0] != '.';
	closedir(d);
	return found;
}

static int
count_one(void *arg, const char *dir, struct err *e)
{
	(void)dir, (void)e;
	++*(size_t *)arg;
	return 0;
}

static bool
is_new(struct account *a)
{
	struct stat st;
	size_t n = 0;
	bool has_folders = layout_each(a, count_one, &n, NULL) == -1 || n > 0;

	a->root_mtime = 0;
	return !has_folders && !has_messages(a, "cur") &&
	       !has_messages(a, "new") &&
	       fstatat(a->rootfd, "dovecot-uidlist", &st, 0) == -1 &&
	       fstatat(a->rootfd, "courierimapuiddb", &st, 0) == -1;
}

static int
found_new(struct account *a, struct err *e)
{
	char dir[NAME_LEN + 1];
	size_t i;

	for (i = 0; i < NUSUAL && usual[i].is_default; i++) {
		struct node node = { .name = (char *)usual[i].name,
			.use = usual[i].use };

		fs_random(node.id, sizeof(node.id));
		node.uidvalidity = (uint32_t)date_now() + 1 + (uint32_t)i;
		if (!account_dir(a, str_from(node.name), dir) ||
		    folder_make(a, &node, dir, e) == -1)
			return -1;
		op_mbox_pack(&a->ops, &node);
		pack_sub(&a->ops, str_from(node.name));
	}
	return 0;
}

/* ---- subscriptions of others ---- */

bool
subs_name(const struct layout *l, struct str line, bool is_courier,
    char out[STORE_MAX_NAME + 1])
{
	const char *why;
	struct buf dir, name;
	bool ok;

	line = str_trim(line);
	if (is_courier && str_starts(line, STR("INBOX.")))
		line = str_sub(line, 6, line.n);
	if (line.n == 0 || line.n > STORE_MAX_NAME)
		return false;
	buf_init(&dir, 2 * STORE_MAX_NAME);
	buf_init(&name, 4 * STORE_MAX_NAME);
	if (!l->is_fs)
		buf_putc(&dir, '.');
	buf_put(&dir, line);
	ok = layout_name(l, buf_str(&dir), &name) &&
	     account_normalize(buf_str(&name), out, &why);
	buf_release(&dir);
	buf_release(&name);
	return ok;
}

bool
subs_read(const struct layout *l, int rootfd, const char *file, struct buf *b)
{
	size_t i;

	if (fs_read_file(rootfd, file, b, NULL) == -1)
		return false;
	/* version 2: levels by TAB */
	if (str_starts(buf_str(b), STR("V\t2\n"))) {
		buf_consume(b, 4);
		for (i = 0; i < b->n; i++)
			if (b->p[i] == '\t')
				b->p[i] = l->is_fs ? '/' : '.';
	}
	return true;
}

static bool
subscribe_file(struct account *a, const char *file, bool is_courier)
{
	char name[STORE_MAX_NAME + 1];
	struct buf b;
	struct str text, line;
	bool ok;

	buf_init(&b, SUBS_MAX);
	ok = subs_read(&a->layout, a->rootfd, file, &b);
	for (text = buf_str(&b); ok && text.n > 0;) {
		str_cut(&text, '\n', &line);
		if (subs_name(&a->layout, line, is_courier, name))
			pack_sub(&a->ops, str_from(name));
	}
	buf_release(&b);
	return ok;
}

/* ---- */

static unsigned
use_of(struct str name, unsigned *taken)
{
	size_t i;

	for (i = 0; i < NUSUAL; i++)
		if (str_eq(name, str_from(usual[i].name)) &&
		    (*taken & usual[i].use) == 0) {
			*taken |= usual[i].use;
			return usual[i].use;
		}
	return 0;
}

int
account_reserve_uidvalidity(struct account *a, const uint8_t id[16],
    uint32_t above, uint32_t *out, struct err *e)
{
	struct node *node, copy;
	int rc = 0;

	if (account_lock(a, e) == -1)
		return -1;
	*out = account_next_uidvalidity(a);
	if (*out <= above)
		*out = above + 1;
	node = tree_find_id(&a->tree, id);
	if (node != NULL) {
		copy = *node;
		copy.name = xstrdup(node->name);
		copy.uidvalidity = *out;
		op_mbox_pack(&a->ops, &copy);
		rc = account_append(a, true, e);
		free(copy.name);
	}
	account_unlock(a);
	return rc;
}

unsigned
found_use(const struct account *a, struct str name)
{
	unsigned taken = 0;
	size_t i;

	for (i = 0; i < a->tree.n; i++)
		taken |= a->tree.v[i].use;
	return use_of(name, &taken);
}

static int
fill(void *arg, struct journal *j, struct err *e)
{
	static const struct counters none;
	struct account *a = arg;

	return journal_append(j, &a->ops, 0, 1, &none, false, e);
}

static int
found_locked(struct account *a, bool was_new, struct err *e)
{
	struct journal_spec spec = { .kind = JOURNAL_ACCOUNT,
		.uidvalidity = 1,
		.modseq = 1,
		.fill = fill,
		.arg = a };
	bool hidden = a->opts.readonly;
	struct node inbox = { .name = (char *)"INBOX" };
	int rc;

	ops_clear(&a->ops);
	if (!state_read_id(a, ".", inbox.id, &inbox.uidvalidity))
		found_identify(a, ".", &inbox);
	op_mbox_pack(&a->ops, &inbox);
	pack_sub(&a->ops, STR("INBOX"));
	if (was_new && !hidden && found_new(a, e) == -1)
		return -1;
	stream_note_tree_anew(a);
	rc = hidden ? journal_create_hidden(&a->j, &spec, e) :
		      journal_create(&a->j, &spec, e);
	ops_clear(&a->ops);
	return rc;
}

/* Once the journal stands: uses and subscriptions of what was found. */
static int
describe(struct account *a, struct err *e)
{
	unsigned taken = 0, use;
	bool theirs;
	size_t i;

	theirs = subscribe_file(a, "subscriptions", false);
	theirs |= subscribe_file(a, "courierimapsubscribed", true);
	for (i = 0; i < a->tree.n; i++) {
		struct node *node = &a->tree.v[i];

		use = use_of(str_from(node->name), &taken);
		if (use != 0) {
			op_begin(&a->ops, OP_USE, 0);
			op_bytes(&a->ops, str_make((char *)node->id, 16));
			op_u32(&a->ops, use);
			op_end(&a->ops);
		}
		if (!theirs)
			pack_sub(&a->ops, str_from(node->name));
	}
	return account_append(a, true, e);
}

/*
 * The journal there is cannot be read from its beginning: it is kept as
 * journal.bad, and the tree is made from the folders, which know their ids,
 * from their names and from `subscriptions`.
 */
int
account_rescue(struct account *a, const char *why, struct err *e)
{
	struct journal again;
	struct err now = { 0 };
	int rc = 0;

	if (journal_open_lock(&a->j, e) == -1 ||
	    fs_lock(a->j.lockfd, LOCK_WRITER, true, a->j.lock_ms, e) == -1)
		return -1;
	/* another session may have been first */
	journal_init(&again, JOURNAL_ACCOUNT, a->acctfd, true);
	if (journal_open_as(&again, "journal", &now) == -1 && now.sys == 0) {
		account_log(a, 0, "store.rescued", why);
		if (step_replace(a->acctfd, "journal", "journal.bad") == -1)
			rc = err_sys(e, "put damaged journal aside");
	}
	journal_release(&again);
	fs_unlock(a->j.lockfd, LOCK_WRITER);
	return rc;
}

int
account_adopt(struct account *a, struct err *e)
{
	bool was_new;
	struct stat st;
	int rc;

	if (journal_open_lock(&a->j, e) == -1 ||
	    fs_lock(a->j.lockfd, LOCK_WRITER, true, a->j.lock_ms, e) == -1)
		return -1;
	if (fstatat(a->acctfd, "journal", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		fs_unlock(a->j.lockfd, LOCK_WRITER);
		return 0;
	}
	was_new = is_new(a);
	rc = account_regain(a, e);
	if (rc == 0)
		rc = found_locked(a, was_new, e);
	else
		was_new = rc == 1; /* what it says is enough */
	fs_unlock(a->j.lockfd, LOCK_WRITER);
	if (rc == -1 || was_new)
		return rc == -1 ? -1 : 0;
	if (account_load(a, e) == -1 || account_lock(a, e) == -1)
		return -1;
	rc = account_scan(a, e);
	if (rc == 0)
		rc = describe(a, e);
	account_unlock(a);
	return rc;
}

int
account_adopt_hidden(struct account *a, struct err *e)
{
	if (found_locked(a, false, e) == -1)
		return -1;
	tree_release(&a->tree);
	a->list_ok = false;
	if (journal_read_hidden(&a->j, tree_apply, &a->tree, e) == -1 ||
	    account_scan(a, e) == -1)
		return -1;
	return describe(a, e);
}
