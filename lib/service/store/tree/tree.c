/*
 * tree - the account journal's state: mailboxes, subscriptions, and what was
 * begun and not ended.
 *
 * 1. A mailbox is its id; names change. No two have one name.
 * 2. RENBEGIN changes the names at once: it is the commit point. Directories
 *    follow, RENEND says that they have. The same for DELBEGIN, MBOXGONE.
 */
#include "service/store/store_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/pack.h"
#include "base/xalloc.h"

void
tree_init(struct tree *t)
{
	*t = (struct tree){ 0 };
}

void
tree_release(struct tree *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		free(t->v[i].name);
	for (i = 0; i < t->nsubs; i++)
		free(t->subs[i]);
	for (i = 0; i < t->ndeleting; i++)
		free(t->deleting[i].name);
	for (i = 0; i < t->nmoving; i++) {
		free(t->moving[i].from);
		free(t->moving[i].to);
	}
	free(t->v);
	free(t->subs);
	free(t->deleting);
	free(t->moving);
	tree_init(t);
}

/* Sorted by name; the place for a new one if it is not there. */
static size_t
node_lower(const struct tree *t, struct str name)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(str_from(t->v[mid].name), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct node *
tree_find(const struct tree *t, struct str name)
{
	size_t i = node_lower(t, name);

	return i < t->n && str_eq(str_from(t->v[i].name), name) ? &t->v[i] :
								  NULL;
}

struct node *
tree_find_id(const struct tree *t, const uint8_t id[16])
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (memcmp(t->v[i].id, id, 16) == 0)
			return &t->v[i];
	return NULL;
}

static bool
node_insert(struct tree *t, const struct node *node, struct str name)
{
	size_t i = node_lower(t, name);

	if ((i < t->n && str_eq(str_from(t->v[i].name), name)) ||
	    t->n >= STORE_MAX_MAILBOXES)
		return false;
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->v = xreallocarray(t->v, t->cap, sizeof(*t->v));
	}
	memmove(t->v + i + 1, t->v + i, (t->n - i) * sizeof(*t->v));
	t->v[i] = *node;
	t->v[i].name = str_dup(name);
	t->n++;
	return true;
}

static void
node_remove(struct tree *t, struct node *node)
{
	size_t i = (size_t)(node - t->v);

	free(node->name);
	memmove(node, node + 1, (t->n - i - 1) * sizeof(*node));
	t->n--;
}

bool
name_is_below(struct str name, struct str parent)
{
	return name.n > parent.n && str_starts(name, parent) &&
	       name.p[parent.n] == '/';
}

/* ---- subscriptions ---- */

static size_t
sub_lower(const struct tree *t, struct str name)
{
	size_t lo = 0, hi = t->nsubs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(str_from(t->subs[mid]), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
tree_is_subscribed(const struct tree *t, struct str name)
{
	size_t i = sub_lower(t, name);

	return i < t->nsubs && str_eq(str_from(t->subs[i]), name);
}

static void
subscribe(struct tree *t, struct str name, bool on)
{
	size_t i = sub_lower(t, name);
	bool is_on = tree_is_subscribed(t, name);

	if (is_on == on || (on && t->nsubs >= 2 * STORE_MAX_MAILBOXES))
		return;
	if (!on) {
		free(t->subs[i]);
		memmove(t->subs + i, t->subs + i + 1,
		    (t->nsubs - i - 1) * sizeof(*t->subs));
		t->nsubs--;
		return;
	}
	if (t->nsubs == t->subscap) {
		t->subscap = t->subscap == 0 ? 16 : t->subscap * 2;
		t->subs = xreallocarray(t->subs, t->subscap, sizeof(*t->subs));
	}
	memmove(
	    t->subs + i + 1, t->subs + i, (t->nsubs - i) * sizeof(*t->subs));
	t->subs[i] = str_dup(name);
	t->nsubs++;
}

/* ---- ops ---- */

/* 0 u8[16] id | 16 u32 uidvalidity | 20 u32 use | 24 name */
void
op_mbox_pack(struct ops *o, const struct node *node)
{
	op_begin(o, OP_MBOX, 0);
	op_bytes(o, str_make((const char *)node->id, 16));
	op_u32(o, node->uidvalidity);
	op_u32(o, node->use);
	op_bytes(o, str_from(node->name));
	op_end(o);
}

static bool
good_name(struct str name)
{
	return name.n > 0 && name.n <= STORE_MAX_NAME && !str_has(name, '\0');
}

static bool
apply_mbox(struct tree *t, struct str s)
{
	struct node node = { 0 };
	struct str name = str_sub(s, 24, s.n);

	if (s.n < 24 || !good_name(name))
		return false;
	memcpy(node.id, s.p, 16);
	node.uidvalidity = le32_get(s.p + 16);
	node.use = le32_get(s.p + 20);
	if (node.uidvalidity > t->uidvalidity)
		t->uidvalidity = node.uidvalidity;
	node_insert(t, &node, name); /* again: no change */
	return true;
}

static bool
apply_id(struct tree *t, const struct op *op)
{
	struct str s = op->body, name = str_sub(s, 16, s.n);
	const uint8_t *id = (const uint8_t *)s.p;
	struct node *node, copy;
	size_t i;

	if (s.n < 16)
		return false;
	node = tree_find_id(t, id);
	switch (op->type) {
	case OP_DELBEGIN:
		if (node == NULL)
			break;
		t->deleting = xreallocarray(
		    t->deleting, t->ndeleting + 1, sizeof(*t->deleting));
		t->deleting[t->ndeleting] = *node;
		t->deleting[t->ndeleting++].name = xstrdup(node->name);
		node_remove(t, node);
		break;
	case OP_MBOXGONE:
		if (node != NULL)
			node_remove(t, node);
		for (i = 0; i < t->ndeleting; i++)
			if (memcmp(t->deleting[i].id, id, 16) == 0) {
				free(t->deleting[i].name);
				t->deleting[i] = t->deleting[--t->ndeleting];
				break;
			}
		break;
	case OP_MBOXNAME:
		if (!good_name(name))
			return false;
		if (node == NULL || tree_find(t, name) != NULL)
			break;
		copy = *node;
		node->name = NULL;
		free(copy.name);
		/* names are sorted: out and in again */
		memmove(node, node + 1,
		    (t->n - (size_t)(node - t->v) - 1) * sizeof(*node));
		t->n--;
		node_insert(t, &copy, name);
		break;
	case OP_USE:
		if (s.n < 20)
			return false;
		if (node != NULL)
			node->use = le32_get(s.p + 16);
		break;
	}
	return true;
}

/* pairs of { u16 length, name, u16 length, name } */
bool
op_pair_next(struct cur *c, struct str *from, struct str *to)
{
	uint16_t n;

	return cur_left(c) > 0 && cur_u16(c, &n) && cur_take(c, n, from) &&
	       cur_u16(c, &n) && cur_take(c, n, to) && good_name(*from) &&
	       good_name(*to);
}

static bool
apply_renbegin(struct tree *t, struct str body)
{
	struct str from, to;
	struct node *node, copy;
	struct cur c;

	cur_init(&c, body);
	while (op_pair_next(&c, &from, &to)) {
		node = tree_find(t, from);
		if (node == NULL || tree_find(t, to) != NULL)
			continue;
		t->moving = xreallocarray(
		    t->moving, t->nmoving + 1, sizeof(*t->moving));
		t->moving[t->nmoving++] =
		    (struct moving){ str_dup(from), str_dup(to) };
		copy = *node;
		node_remove(t, node);
		node_insert(t, &copy, to);
	}
	return cur_done(&c);
}

static void
apply_renend(struct tree *t)
{
	size_t i;

	for (i = 0; i < t->nmoving; i++) {
		free(t->moving[i].from);
		free(t->moving[i].to);
	}
	t->nmoving = 0;
}

static bool
apply_op(struct tree *t, const struct op *op)
{
	switch (op->type) {
	case OP_MBOX:
		return apply_mbox(t, op->body);
	case OP_MBOXGONE:
	case OP_MBOXNAME:
	case OP_DELBEGIN:
	case OP_USE:
		return apply_id(t, op);
	case OP_RENBEGIN:
		return apply_renbegin(t, op->body);
	case OP_RENEND:
		apply_renend(t);
		return true;
	case OP_SUB:
	case OP_UNSUB:
		if (!good_name(op->body))
			return false;
		subscribe(t, op->body, op->type == OP_SUB);
		return true;
	case OP_UIDVALIDITY:
		if (op->body.n < 4)
			return false;
		if (le32_get(op->body.p) > t->uidvalidity)
			t->uidvalidity = le32_get(op->body.p);
		return true;
	case OP_RESTORE:
	case OP_FLOOR:
	case OP_BOOT:
		return true;
	default:
		return (op->flags & OP_OPTIONAL) != 0;
	}
}

int
tree_apply(void *arg, const struct txn *txn)
{
	struct tree *t = arg;
	struct cur c;
	struct op op;

	cur_init(&c, txn->ops);
	while (op_next(&c, &op))
		if (!apply_op(t, &op))
			return -1;
	return cur_ok(&c) ? 0 : -1;
}
