/*
 * judge - does what a record announced stand in the journal?
 *
 * 1. pub says how far a journal goes: beyond the record, it stands.
 * 2. Else its writer may be at it: he holds byte 0 from before the record to
 *    after pub. The lock is looked at first, then pub again.
 * 3. A writer that is gone has left nothing, or bytes that were not
 *    published: who takes byte 0 next publishes or cuts them. So that is done
 *    here before it is said that they stand; who may not write waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/store/journal_room_int.h"
#include "service/store/layout_int.h"
#include "service/store/stream_int.h"
#include "system/fs/fs.h"

/* INBOX of an account that was founded again has another id in its journal
 * than in the tree. */
struct node *
stream_node(struct account *a, const uint8_t id[16])
{
	struct node *node = tree_find_id(&a->tree, id);
	uint8_t there[16];
	uint32_t uidvalidity;

	if (node == NULL && state_read_id(a, ".", there, &uidvalidity) &&
	    memcmp(there, id, 16) == 0)
		node = tree_find(&a->tree, STR("INBOX"));
	return node;
}

/* Where its journal, lock and pub lie. */
static int
open_state(struct account *a, const struct node *node)
{
	char dir[NAME_LEN + 1], path[NAME_LEN + 32], hex[STATE_ID_HEX];

	if (a->layout.is_fs) {
		state_hex(node->id, hex);
		return fs_open_dir(a->indexfd, hex);
	}
	if (!account_dir(a, str_from(node->name), dir))
		return -1;
	snprintf(path, sizeof(path), "%s/quire", dir);
	return fs_open_dir(a->rootfd, path);
}

static void
look(int dirfd, struct judged *j)
{
	char raw[PUB_SIZE];
	struct pub p;
	int fd = fs_open_file(dirfd, "pub", O_RDONLY, 0);

	j->is_published = fd != -1 &&
			  fs_pread_all(fd, raw, PUB_SIZE, 0) == PUB_SIZE &&
			  pub_unpack(raw, &p);
	if (j->is_published) {
		j->gen = p.gen;
		j->end = p.end;
		j->modseq = p.modseq;
	}
	if (fd != -1)
		close(fd);
}

static bool
is_held(int dirfd)
{
	int fd = fs_open_file(dirfd, "lock", O_RDONLY, 0);
	bool held = fd != -1 && fs_is_locked(fd, LOCK_WRITER);

	if (fd != -1)
		close(fd);
	return held;
}

static bool
covers(const struct judged *j, const struct stream_record *r)
{
	return j->is_published &&
	       (j->gen > r->gen || (j->gen == r->gen && j->end >= r->end));
}

/* Does the file go as far, whatever was published? */
static bool
is_written(int dirfd, const struct stream_record *r)
{
	struct journal j;
	bool written = false;

	journal_init(&j,
	    r->kind == STREAM_TREE ? JOURNAL_ACCOUNT : JOURNAL_MAILBOX, dirfd,
	    true);
	if (journal_open_as(&j, "journal", NULL) == 0)
		written = j.gen > r->gen ||
			  (j.gen == r->gen && journal_goes_to(j.fd, r->end));
	journal_release(&j);
	return written;
}

/* Publish or cut what a writer left behind. */
static bool
mend(struct account *a, const struct stream_record *r, const struct node *node)
{
	struct mailbox *m = NULL;

	if (a->opts.readonly)
		return false;
	if (r->kind == STREAM_TREE) {
		if (account_lock(a, NULL) == -1)
			return false;
		account_unlock(a);
		return true;
	}
	if (account_open_by_id(a, node->id, &m, NULL) == -1 || m == NULL)
		return false;
	mailbox_close(&m);
	return true;
}

static enum standing
judge_at(struct account *a, int dirfd, const struct stream_record *r,
    const struct node *node, struct judged *j)
{
	if (r->kind == STREAM_MAILBOX_NEW || r->kind == STREAM_TREE_NEW)
		return is_held(dirfd) ? STREAM_IN_FLIGHT : STREAM_STANDS;
	look(dirfd, j);
	if (covers(j, r))
		return STREAM_STANDS;
	if (is_held(dirfd))
		return STREAM_IN_FLIGHT;
	look(dirfd, j);
	if (covers(j, r))
		return STREAM_STANDS;
	if (!is_written(dirfd, r))
		return STREAM_VOID;
	if (!mend(a, r, node))
		return STREAM_IN_FLIGHT;
	look(dirfd, j);
	return covers(j, r) ? STREAM_STANDS : STREAM_VOID;
}

enum standing
stream_judge(struct account *a, const struct stream_record *r, struct judged *j)
{
	bool is_tree = r->kind == STREAM_TREE || r->kind == STREAM_TREE_NEW;
	struct node *node = NULL, copy;
	enum standing is;
	int dirfd;

	j->is_tree = is_tree;
	if ((r->kind == STREAM_MAILBOX || r->kind == STREAM_TREE) &&
	    covers(j, r))
		return STREAM_STANDS;
	if (is_tree)
		return judge_at(a, a->acctfd, r, NULL, j);
	node = stream_node(a, r->id);
	if (node == NULL)
		return STREAM_VOID; /* deleted, and the tree says so */
	/* on its way from one name to another: it is told once too often */
	dirfd = open_state(a, node);
	if (dirfd == -1)
		return STREAM_STANDS;
	/* mending may read the tree again */
	copy = *node;
	copy.name = NULL;
	is = judge_at(a, dirfd, r, &copy, j);
	close(dirfd);
	return is;
}

bool
stream_is_held(struct account *a, const struct node *node, struct judged *j)
{
	int dirfd = node == NULL ? a->acctfd : open_state(a, node);
	bool held;

	*j = (struct judged){ .is_tree = node == NULL };
	if (dirfd == -1)
		return false; /* never opened by anybody */
	if (node != NULL)
		memcpy(j->id, node->id, 16);
	look(dirfd, j);
	held = is_held(dirfd);
	if (node != NULL)
		close(dirfd);
	return held;
}
