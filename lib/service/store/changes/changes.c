/*
 * changes - the answer to "what changed since": mailboxes from the stream,
 * the tree from the account's journal.
 */
#include "service/store/changes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/stream_read_int.h"

#define POLL_MS	       STORE_WATCH_POLL_MS
#define PENDING_MS     2 /* a commit takes a sync; then twice as long each time */
#define PENDING_MAX_MS 200

const char *
change_word(enum change_kind k)
{
	static const char *const words[] = { "changed", "created", "deleted",
		"renamed", "subscribed", "unsubscribed", "use", "tree" };

	return words[k];
}

void
changes_release(struct changes *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->v[i].name);
		free(c->v[i].old_name);
	}
	free(c->v);
	*c = (struct changes){ 0 };
}

static void
tell(struct changes *c, enum change_kind kind, struct str name, struct str old,
    const uint8_t *id, uint64_t since)
{
	struct change *at;

	if (c->n == c->cap) {
		c->cap = c->cap == 0 ? 16 : c->cap * 2;
		c->v = xreallocarray(c->v, c->cap, sizeof(*c->v));
	}
	at = &c->v[c->n++];
	*at = (struct change){ .kind = kind,
		.name = str_dup(name),
		.old_name = str_dup(old),
		.since = since };
	if (id != NULL)
		memcpy(at->mailboxid, id, 16);
}

/* ---- the tree ---- */

struct retold { /* the account's journal, read once more */
	struct changes *c;
	struct tree tree; /* before the transaction that is told */
	uint64_t from;
};

static void
retell_id(struct retold *r, const struct op *op)
{
	const uint8_t *id = (const uint8_t *)op->body.p;
	const struct node *node =
	    op->body.n < 16 ? NULL : tree_find_id(&r->tree, id);
	struct str name;

	if (node == NULL)
		return;
	name = str_from(node->name);
	if (op->type == OP_MBOXNAME)
		tell(r->c, CHANGED_RENAMED, str_sub(op->body, 16, op->body.n),
		    name, id, 0);
	else
		tell(r->c, op->type == OP_USE ? CHANGED_USE : CHANGED_DELETED,
		    name, STR(""), id, 0);
}

static void
retell_renames(struct retold *r, struct str body)
{
	const struct node *node;
	struct str from, to;
	struct cur c;

	cur_init(&c, body);
	while (op_pair_next(&c, &from, &to)) {
		node = tree_find(&r->tree, from);
		if (node != NULL)
			tell(r->c, CHANGED_RENAMED, to, from, node->id, 0);
	}
}

static void
retell_op(struct retold *r, const struct op *op)
{
	struct str body = op->body;

	switch (op->type) {
	case OP_MBOX:
		if (body.n >= 24 &&
		    tree_find(&r->tree, str_sub(body, 24, body.n)) == NULL)
			tell(r->c, CHANGED_CREATED, str_sub(body, 24, body.n),
			    STR(""), (const uint8_t *)body.p, 0);
		break;
	case OP_MBOXGONE:
	case OP_MBOXNAME:
	case OP_DELBEGIN:
	case OP_USE:
		retell_id(r, op);
		break;
	case OP_RENBEGIN:
		retell_renames(r, body);
		break;
	case OP_SUB:
	case OP_UNSUB:
		if (tree_is_subscribed(&r->tree, body) != (op->type == OP_SUB))
			tell(r->c,
			    op->type == OP_SUB ? CHANGED_SUBSCRIBED :
						 CHANGED_UNSUBSCRIBED,
			    body, STR(""), NULL, 0);
		break;
	}
}

static int
retell_txn(void *arg, const struct txn *t)
{
	struct retold *r = arg;
	struct cur c;
	struct op op;

	cur_init(&c, t->ops);
	while (t->off >= r->from && op_next(&c, &op))
		retell_op(r, &op);
	return tree_apply(&r->tree, t);
}

/* false: it cannot be told one by one */
static bool
retell_tree(struct account *a, const struct telling *t, struct changes *c)
{
	struct retold r = { .c = c, .from = t->tree_from };
	struct journal j = a->j; /* of which only the place moves */
	size_t had = c->n;
	bool ok;

	tree_init(&r.tree);
	j.end = JOURNAL_HEAD;
	ok = !t->is_tree_whole && a->j.end >= t->tree_from &&
	     journal_read(&j, a->j.end, retell_txn, &r, NULL) == 0 &&
	     j.end == a->j.end;
	tree_release(&r.tree);
	while (!ok && c->n > had) {
		c->n--;
		free(c->v[c->n].name);
		free(c->v[c->n].old_name);
	}
	return ok;
}

/* ---- one look ---- */

static void
answer(struct account *a, const struct telling *t, struct changes *c)
{
	const struct node *node;
	size_t i;

	if (t->has_tree && !retell_tree(a, t, c))
		tell(c, CHANGED_TREE, STR(""), STR(""), NULL, 0);
	for (i = 0; i < t->n; i++) {
		if (!t->v[i].has_changed)
			continue;
		node = stream_node(a, t->v[i].j.id);
		if (node != NULL)
			tell(c, CHANGED_MAILBOX, str_from(node->name), STR(""),
			    node->id, t->v[i].since);
	}
}

static int
since(struct account *a, struct str text, struct changes *c, struct err *e)
{
	struct stream_token from, next;
	struct stream_files f = { .fd = { -1, -1 } };
	struct telling t = { 0 };
	enum stream_state is = STREAM_NONE;
	int rc = 0;

	if (stream_token_parse(text, &from))
		is = stream_files_open(a, &f);
	if (is == STREAM_GOOD)
		is = stream_files_tell(a, &f, &from, &next, &t);
	stream_files_close(&f);
	if (is == STREAM_DAMAGED && !a->opts.readonly)
		stream_spoil(a, "damaged: readers begin anew");
	/* what stands, stands in what is read now */
	if (is == STREAM_GOOD)
		rc = t.has_tree ? account_refresh(a, e) : 0;
	else {
		c->is_unknown = true;
		if (!stream_first_token(a, &next))
			next.id = 0;
	}
	if (rc == 0 && is == STREAM_GOOD)
		answer(a, &t, c);
	telling_release(&t);
	c->is_pending = next.npending > 0;
	if (next.id != 0)
		stream_token_print(&next, c->token);
	return rc;
}

int
changes_since(
    struct account *a, const char *token, struct changes *c, struct err *e)
{
	*c = (struct changes){ 0 };
	if (account_refresh(a, e) == -1 ||
	    since(a, str_from(token == NULL ? "" : token), c, e) == -1) {
		changes_release(c);
		return -1;
	}
	return 0;
}

/* ---- waiting ---- */

int
changes_watch(struct account *a, struct err *e)
{
	uint32_t mask = IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR;
	struct buf path;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int rc = -1, sys;

	/* the directory: with the file's successors */
	buf_init(&path, 64);
	buf_printf(&path, "/proc/self/fd/%d", a->acctfd);
	if (fd != -1 && a->acctfd != -1)
		rc = inotify_add_watch(fd, buf_cstr(&path), mask);
	buf_release(&path);
	if (rc != -1)
		return fd;
	sys = errno;
	if (fd != -1)
		close(fd);
	errno = sys;
	return err_sys(e, "inotify (polling instead)");
}

static void
nap(int fd, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];

	if (poll(&p, 1, ms < 0 ? 0 : (int)ms) == 1)
		while (read(fd, buf, sizeof(buf)) > 0)
			;
}

int
changes_wait(struct account *a, const char *token, int timeout_ms,
    struct changes *c, struct err *e)
{
	int64_t until = date_mono_ms() + timeout_ms, left, step = PENDING_MS;
	char at[CHANGES_TOKEN] = "";
	int fd = changes_watch(a, NULL), rc;

	if (token != NULL)
		str_copy(str_from(token), at, sizeof(at));
	for (;;) {
		rc = changes_since(a, at, c, e);
		left = until - date_mono_ms();
		if (rc == -1 || c->n > 0 || c->is_unknown || left <= 0)
			break;
		memcpy(at, c->token, sizeof(at));
		if (c->is_pending) {
			nap(-1, step < left ? step : left);
			step = step * 2 > PENDING_MAX_MS ? PENDING_MAX_MS :
							   step * 2;
		} else {
			step = PENDING_MS;
			nap(fd, fd == -1 && left > POLL_MS ? POLL_MS : left);
		}
		changes_release(c);
	}
	if (fd != -1)
		close(fd);
	return rc;
}
