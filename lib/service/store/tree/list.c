/*
 * list - the mailboxes of an account as LIST shows them: INBOX, then by name;
 * with parents that do not exist and subscriptions that name nothing. Made
 * from the tree when it is asked for after a change.
 */
#include "service/store/store_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
account_list_release(struct account *a)
{
	size_t i;

	for (i = 0; i < a->nlist; i++)
		free((char *)a->list[i].name.p);
	free(a->list);
	a->list = NULL;
	a->nlist = 0;
}

static void
list_add(struct account *a, struct str name, const struct node *node)
{
	struct mailbox_info *info;

	a->list = xreallocarray(a->list, a->nlist + 1, sizeof(*a->list));
	info = &a->list[a->nlist++];
	*info =
	    (struct mailbox_info){ .name = str_make(str_dup(name), name.n) };
	if (node != NULL) {
		info->exists = true;
		info->use = node->use;
		memcpy(info->mailboxid, node->id, 16);
	}
	info->is_subscribed = tree_is_subscribed(&a->tree, name);
}

static int
info_cmp(const void *va, const void *vb)
{
	const struct mailbox_info *a = va, *b = vb;
	bool ia = folder_is_inbox(a->name), ib = folder_is_inbox(b->name);
	int c;

	if (ia != ib)
		return ia ? -1 : 1;
	c = str_cmp(a->name, b->name);
	/* of two with one name the existing comes first */
	return c != 0 ? c : (int)b->exists - (int)a->exists;
}

static void
list_add_parents(struct account *a, struct str name)
{
	size_t i;

	for (i = 1; i < name.n; i++)
		if (name.p[i] == '/')
			list_add(a, str_sub(name, 0, i),
			    tree_find(&a->tree, str_sub(name, 0, i)));
}

static struct mailbox_info *
find_listed(const struct account *a, struct str name)
{
	struct mailbox_info key = { .name = name, .exists = true };
	size_t lo = 0, hi = a->nlist;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_eq(a->list[mid].name, name))
			return &a->list[mid];
		if (info_cmp(&a->list[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void
list_build(struct account *a)
{
	size_t i, keep = 0, n;

	account_list_release(a);
	for (i = 0; i < a->tree.n; i++) {
		struct str name = str_from(a->tree.v[i].name);

		list_add(a, name, &a->tree.v[i]);
		list_add_parents(a, name);
	}
	for (i = 0; i < a->tree.nsubs; i++) {
		struct str name = str_from(a->tree.subs[i]);

		list_add(a, name, tree_find(&a->tree, name));
	}
	if (a->nlist > 0)
		qsort(a->list, a->nlist, sizeof(*a->list), info_cmp);
	for (i = 0; i < a->nlist; i++) {
		if (keep > 0 && str_eq(a->list[i].name, a->list[keep - 1].name))
			free((char *)a->list[i].name.p);
		else
			a->list[keep++] = a->list[i];
	}
	n = a->nlist = keep;
	/* sorted bytewise, children may stand apart from their parent */
	for (i = 0; i < n; i++) {
		struct str name = a->list[i].name;
		size_t k;

		if (!a->list[i].exists)
			continue;
		for (k = 1; k < name.n; k++)
			if (name.p[k] == '/') {
				struct mailbox_info *p =
				    find_listed(a, str_sub(name, 0, k));

				if (p != NULL)
					p->has_children = true;
			}
	}
	a->list_ok = true;
}

size_t
account_list(struct account *a, const struct mailbox_info **out)
{
	if (!a->list_ok)
		list_build(a);
	*out = a->list;
	return a->nlist;
}

const struct mailbox_info *
account_find(struct account *a, struct str name)
{
	char norm[STORE_MAX_NAME + 1];
	const char *why;

	if (!account_normalize(name, norm, &why))
		return NULL;
	if (!a->list_ok)
		list_build(a);
	return find_listed(a, str_from(norm));
}
