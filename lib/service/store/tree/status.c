/*
 * status - the counters of a mailbox that is not opened for them.
 */
#include "service/store/layout_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

/* One below a mailbox's directory, without opening that. */
static bool
stat_below(int fd, const char *dir, const char *name, struct stat *st)
{
	char path[2 * NAME_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return fstatat(fd, path, st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* As the tree was at the last look; one that is about to go or move is not. */
static const struct node *
known_node(const struct account *a, struct str name)
{
	char norm[STORE_MAX_NAME + 1];
	const struct node *node;
	const char *why;

	if (a->tree.nmoving > 0 || a->tree.ndeleting > 0)
		return NULL;
	node = tree_find(&a->tree, name); /* most callers' names are normal */
	return node != NULL || !account_normalize(name, norm, &why) ?
		   node :
		   tree_find(&a->tree, str_from(norm));
}

/* Where its journal and pub lie, as a path below *fd. */
static bool
state_path(const struct account *a, const struct node *node, const char *dir,
    int *fd, char out[NAME_LEN + 32])
{
	char hex[STATE_ID_HEX];

	*fd = a->layout.is_fs ? a->indexfd : a->rootfd;
	if (a->layout.is_fs) {
		state_hex(node->id, hex);
		return str_copy(str_from(hex), out, NAME_LEN + 32);
	}
	snprintf(out, NAME_LEN + 32, "%s/quire", dir);
	return true;
}

static bool
was_put_back(struct account *a, const struct pub *p)
{
	struct mark now = { .uidvalidity = p->uidvalidity,
		.uidnext = p->c.uidnext,
		.modseq = p->modseq };
	struct mark mark;

	memcpy(now.id, p->mailboxid, 16);
	return marks_ask(a, &now, &mark) == MARKS_AHEAD;
}

/* What it says of the directories is true of those that have the name now. */
static bool
is_current(struct account *a, const struct node *node, const char *dir,
    const struct pub *p)
{
	struct stat cur, new;

	return memcmp(p->mailboxid, node->id, 16) == 0 &&
	       stat_below(a->rootfd, dir, "cur", &cur) &&
	       stat_below(a->rootfd, dir, "new", &new) &&
	       p->cur_ino == cur.st_ino && p->cur_mtime == stat_mtime(&cur) &&
	       p->new_mtime == stat_mtime(&new) && !was_put_back(a, p);
}

static int
open_state(int dirfd, const char *state, const char *name, int flags)
{
	char path[NAME_LEN + 40];

	snprintf(path, sizeof(path), "%s/%s", state, name);
	return fs_open_beneath(dirfd, path, flags | O_NONBLOCK, 0);
}

/*
 * The mailbox's own pub, where there is no copy of it. One is made, under
 * byte 0: a writer may be about to make a newer one; then it is not missing.
 */
static bool
read_pub(
    struct account *a, const struct node *node, const char *dir, struct pub *p)
{
	char state[NAME_LEN + 32], raw[PUB_SIZE];
	int base, pub, journal, lock;
	bool ok;

	if (!state_path(a, node, dir, &base, state) || base == -1)
		return false;
	pub = open_state(base, state, "pub", O_RDONLY);
	journal = open_state(base, state, "journal", O_RDONLY);
	lock = a->opts.readonly ? -1 : open_state(base, state, "lock", O_RDWR);
	if (lock != -1 && fs_lock(lock, LOCK_WRITER, true, 0, NULL) == -1) {
		close(lock);
		lock = -1;
	}
	ok = pub != -1 && journal != -1 &&
	     fs_pread_all(pub, raw, PUB_SIZE, 0) == PUB_SIZE &&
	     pub_unpack(raw, p) && journal_ends_at(journal, p->end) &&
	     memcmp(p->mailboxid, node->id, 16) == 0;
	if (ok && lock != -1)
		pubs_put(a, raw);
	if (lock != -1)
		close(lock); /* and its lock with it */
	if (journal != -1)
		close(journal);
	if (pub != -1)
		close(pub);
	return ok;
}

/*
 * Counters of the last transaction, good while the directories are as it says.
 * By paths: a client that asks for all its mailboxes asks for thousands.
 *
 * The tree as it was last read will do, however old: what is answered is true
 * of the mailbox whose id and cur/ are here now, and that is the one of this
 * name. Who removed it, moved it or put another in its place has done so
 * before he says it is done, and then this fails.
 */
static bool
status_quick(struct account *a, struct str name, struct mailbox_counts *c)
{
	char dir[NAME_LEN + 1];
	const struct node *node;
	struct pub pub;

	node = known_node(a, name);
	if (node == NULL || !account_dir(a, str_from(node->name), dir))
		return false;
	if (!(pubs_get(a, node->id, &pub) && is_current(a, node, dir, &pub)) &&
	    !(read_pub(a, node, dir, &pub) && is_current(a, node, dir, &pub)))
		return false;
	*c = (struct mailbox_counts){ .uidvalidity = pub.uidvalidity,
		.uidnext = pub.c.uidnext,
		.messages = pub.c.exists,
		.deleted = pub.c.deleted,
		.unseen = pub.c.unseen,
		.size = pub.c.bytes,
		.deleted_size = pub.c.deleted_bytes,
		.highestmodseq = pub.modseq };
	memcpy(c->mailboxid, pub.mailboxid, 16);
	return true;
}

enum account_result
account_status(
    struct account *a, struct str name, struct mailbox_counts *c, struct err *e)
{
	struct mailbox_changes ch = { 0 };
	struct mailbox *m;
	enum account_result r;

	if (status_quick(a, name, c))
		return ACCOUNT_OK;
	if (account_refresh(a, e) == -1)
		return ACCOUNT_ERROR;
	if (status_quick(a, name, c))
		return ACCOUNT_OK;
	r = account_open_mailbox(a, name, false, &m, e);
	if (r != ACCOUNT_OK)
		return r;
	if (mailbox_sync(m, true, &ch, e) == -1)
		r = ACCOUNT_ERROR;
	else {
		*c = *mailbox_counts(m);
		c->recent = 0;
	}
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	return r;
}
