/*
 * look - what others did to the directory of an account: folders made, moved,
 * copied, removed.
 *
 * A folder that somebody moved is known by the id in its journal; of a folder
 * and its copy one keeps it.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static void
adopt_folder(struct account *a, struct str name, const char *dir)
{
	struct node node = { 0 }, *known;
	char old[NAME_LEN + 1];
	bool has_id = state_read_id(a, dir, node.id, &node.uidvalidity);

	known = has_id ? tree_find_id(&a->tree, node.id) : NULL;
	if (known != NULL && account_dir(a, str_from(known->name), old) &&
	    !layout_is_maildir(a->rootfd, old)) {
		op_begin(&a->ops, OP_MBOXNAME, 0);
		op_bytes(&a->ops, str_make((const char *)node.id, 16));
		op_bytes(&a->ops, name);
		op_end(&a->ops);
		return;
	}
	/* a copied folder starts a life of its own */
	if (known != NULL)
		state_forget(a, dir);
	if (!has_id || known != NULL)
		found_identify(a, dir, &node);
	else /* ours, and the journal that named it was damaged */
		node.use = found_use(a, name);
	node.name = str_dup(name);
	op_mbox_pack(&a->ops, &node);
	free(node.name);
}

bool
look_name(const struct account *a, const char *dir,
    char norm[STORE_MAX_NAME + 1], const char **why)
{
	char back[NAME_LEN + 1];
	struct buf name;
	const char *bad;
	bool ok;

	buf_init(&name, 4 * STORE_MAX_NAME);
	*why = "a folder whose name is none: rename it, its mail is not shown";
	ok = layout_name(&a->layout, str_from(dir), &name) &&
	     account_normalize(buf_str(&name), norm, &bad) &&
	     !folder_is_inbox(str_from(norm));
	buf_release(&name);
	if (!ok)
		return false;
	/* only what we would write again: a name must lead back */
	*why = "another folder has its name, or it is written in a way that "
	       "does not lead back: rename it, its mail is not shown";
	return account_dir(a, str_from(norm), back) && strcmp(back, dir) == 0;
}

struct look {
	struct account *a;
	struct layout_census census;
	size_t nfound;
};

static int
look_at(void *arg, const char *dir, struct err *e)
{
	struct look *l = arg;
	struct account *a = l->a;
	char norm[STORE_MAX_NAME + 1];
	const char *why;

	if (!look_name(a, dir, norm, &why))
		return 0;
	l->nfound++;
	layout_count(&l->census, dir);
	if (tree_find(&a->tree, str_from(norm)) != NULL)
		return 0;
	adopt_folder(a, str_from(norm), dir);
	return account_append(a, false, e);
}

static int
find_gone(struct account *a, struct err *e)
{
	char dir[NAME_LEN + 1];
	size_t i, gone = 0;

	for (i = 0; i < a->tree.n; i++) {
		struct node *node = &a->tree.v[i];

		if (folder_is_inbox(str_from(node->name)) ||
		    !account_dir(a, str_from(node->name), dir) ||
		    layout_is_maildir(a->rootfd, dir) || errno != ENOENT)
			continue;
		gone++;
		op_begin(&a->ops, OP_MBOXGONE, 0);
		op_bytes(&a->ops, str_make((const char *)node->id, 16));
		op_end(&a->ops);
	}
	return gone == 0 ? 0 : account_append(a, false, e);
}

int
account_scan(struct account *a, struct err *e)
{
	struct look l = { .a = a };

	if (a->root_mtime != 0 && layout_stamp(a) == a->root_mtime)
		return 0;
	if (layout_each(a, look_at, &l, e) == -1) {
		a->root_mtime = 0;
		return -1;
	}
	a->layout.is_utf8 = l.census.utf8 > l.census.mutf7;
	if (tree_find(&a->tree, STR("INBOX")) == NULL) {
		adopt_folder(a, STR("INBOX"), ".");
		if (account_append(a, false, e) == -1)
			return -1;
	}
	/* an empty listing is an unmounted disk rather than a user's will */
	if (l.nfound == 0 && a->tree.n > 4)
		account_log(a, 0, "store.massloss",
		    "all folders are gone: nothing is forgotten");
	else if (find_gone(a, e) == -1)
		return -1;
	return 0;
}
