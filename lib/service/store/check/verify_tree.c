/*
 * verify_tree - the tree of mailboxes: what the account's journal says against
 * itself, and against the directories.
 */
#include "service/store/verify_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

/* What tree_apply() lets pass: a second mailbox of one name. */
int
verify_tree_apply(void *arg, const struct txn *t)
{
	struct tree_check *c = arg;
	struct node *known;
	struct cur cur;
	struct op op;

	cur_init(&cur, t->ops);
	while (op_next(&cur, &op)) {
		if (op.type != OP_MBOX || op.body.n <= 24)
			continue;
		known = tree_find(&c->tree, str_sub(op.body, 24, op.body.n));
		if (known != NULL && memcmp(known->id, op.body.p, 16) != 0)
			verify_found(c->v, VERIFY_ERROR, "mailbox-name", 0,
			    NULL, "two mailboxes are called %s", known->name);
	}
	c->why = "malformed, or written by a newer version";
	if (tree_apply(&c->tree, t) == -1)
		return -1;
	c->why = NULL;
	return 0;
}

static int
id_cmp(const void *va, const void *vb)
{
	const struct node *const *a = va, *const *b = vb;

	return memcmp((*a)->id, (*b)->id, 16);
}

static int
uidvalidity_cmp(const void *va, const void *vb)
{
	const struct node *const *a = va, *const *b = vb;

	return (*a)->uidvalidity < (*b)->uidvalidity ? -1 :
	       (*a)->uidvalidity > (*b)->uidvalidity ? 1 :
						       0;
}

static void
check_unique(struct verify *v, const struct tree *t)
{
	const struct node **p = xreallocarray(NULL, t->n + 1, sizeof(*p));
	size_t i;

	for (i = 0; i < t->n; i++)
		p[i] = &t->v[i];
	qsort(p, t->n, sizeof(*p), id_cmp);
	for (i = 1; i < t->n; i++)
		if (id_cmp(&p[i - 1], &p[i]) == 0)
			verify_found(v, VERIFY_ERROR, "mailbox-id", 0, NULL,
			    "%s and %s have one MAILBOXID", p[i - 1]->name,
			    p[i]->name);
	qsort(p, t->n, sizeof(*p), uidvalidity_cmp);
	for (i = 1; i < t->n; i++)
		if (uidvalidity_cmp(&p[i - 1], &p[i]) == 0)
			verify_found(v, VERIFY_WARNING, "uidvalidity", 0, NULL,
			    "%s and %s have one UIDVALIDITY, %u: a client may "
			    "take one for the other when they are renamed",
			    p[i - 1]->name, p[i]->name, p[i]->uidvalidity);
	free(p);
}

static void
check_uses(struct verify *v, const struct tree *t)
{
	const struct node *first[32] = { NULL };
	unsigned bit;
	size_t i;

	for (i = 0; i < t->n; i++)
		for (bit = 0; bit < 32; bit++) {
			if ((t->v[i].use >> bit & 1) == 0)
				continue;
			if (first[bit] == NULL)
				first[bit] = &t->v[i];
			else
				verify_found(v, VERIFY_ERROR, "special-use", 0,
				    NULL, "%s and %s have one special use",
				    first[bit]->name, t->v[i].name);
		}
	for (i = 0; i < t->nsubs; i++)
		if (tree_find(t, str_from(t->subs[i])) == NULL)
			verify_found(v, VERIFY_NOTE, "subscription", 0, NULL,
			    "%s is subscribed and does not exist", t->subs[i]);
	if (t->nmoving > 0 || t->ndeleting > 0)
		verify_found(v, VERIFY_NOTE, "unfinished", 0, NULL,
		    "a RENAME or DELETE was begun: the next session ends it");
}

/* ---- directories ---- */

struct look {
	struct verify *v;
	const struct tree *tree;
};

/* Folders that are not in the tree: found by account_scan(). */
static int
look_at(void *arg, const char *dir, struct err *e)
{
	struct look *l = arg;
	char norm[STORE_MAX_NAME + 1];
	const char *why;

	(void)e;
	if (!look_name(&l->v->a, dir, norm, &why))
		verify_found(
		    l->v, VERIFY_WARNING, "folder-name", 0, dir, "%s", why);
	else if (tree_find(l->tree, str_from(norm)) == NULL)
		verify_found(l->v, VERIFY_NOTE, "new-folder", 0, dir,
		    "a folder not yet taken in");
	return 0;
}

static void
look_at_hidden(void *arg, const char *path, const char *why)
{
	struct look *l = arg;

	verify_found(l->v, VERIFY_WARNING, "folder-name", 0, path, "%s", why);
}

/* LAYOUT=fs: what lies in the index root and belongs to no mailbox. */
static void
check_index_root(struct verify *v, const struct tree *t)
{
	DIR *d = fs_read_dir(v->a.indexfd, ".");
	char hex[STATE_ID_HEX];
	struct dirent *de;
	size_t i;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (strlen(de->d_name) != STATE_ID_HEX - 1 ||
		    strspn(de->d_name, "0123456789abcdef") != STATE_ID_HEX - 1)
			continue;
		for (i = 0; i < t->n; i++) {
			state_hex(t->v[i].id, hex);
			if (strcmp(hex, de->d_name) == 0)
				break;
		}
		if (i == t->n)
			verify_found(v, VERIFY_NOTE, "index-orphan", 0,
			    de->d_name,
			    "the index root has it and no mailbox is so "
			    "called: others removed the folder, or the tree "
			    "is another's; remove it when nothing is missed");
	}
	closedir(d);
}

void
verify_folders(struct verify *v, const struct tree *t)
{
	struct look l = { v, t };

	layout_each(&v->a, look_at, &l, NULL);
	layout_each_hidden(&v->a, look_at_hidden, &l);
	if (v->a.layout.is_fs)
		check_index_root(v, t);
}

void
verify_tree(struct verify *v, const struct tree *t)
{
	check_unique(v, t);
	check_uses(v, t);
}
