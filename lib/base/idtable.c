#include "base/idtable.h"

#include <stdlib.h>

#include "base/xalloc.h"

#define SLOT_BITS 20
#define GEN_MASK  0xfffu

struct idtable_slot {
	void *p;
	uint32_t gen; /* 1..GEN_MASK */
	uint32_t next_free;
};

void
idtable_release(struct idtable *t)
{
	free(t->v);
	*t = (struct idtable){ 0 };
}

uint32_t
idtable_put(struct idtable *t, void *p)
{
	uint32_t slot;

	if (t->free != 0) {
		slot = t->free - 1;
		t->free = t->v[slot].next_free;
	} else {
		if (t->n == IDTABLE_MAX)
			return 0;
		if (t->n == t->cap) {
			t->cap = t->cap == 0 ? 64 : t->cap * 2;
			t->v = xreallocarray(t->v, t->cap, sizeof(*t->v));
		}
		slot = t->n++;
		t->v[slot].gen = 0;
	}
	t->v[slot].p = p;
	t->v[slot].gen = t->v[slot].gen % GEN_MASK + 1;
	t->live++;
	return t->v[slot].gen << SLOT_BITS | slot;
}

static struct idtable_slot *
find(const struct idtable *t, uint32_t id)
{
	uint32_t slot = id & (IDTABLE_MAX - 1);

	if (slot >= t->n || t->v[slot].p == NULL ||
	    t->v[slot].gen != id >> SLOT_BITS)
		return NULL;
	return &t->v[slot];
}

void *
idtable_get(const struct idtable *t, uint32_t id)
{
	struct idtable_slot *s = find(t, id);

	return s == NULL ? NULL : s->p;
}

void
idtable_drop(struct idtable *t, uint32_t id)
{
	struct idtable_slot *s = find(t, id);

	if (s == NULL)
		return;
	s->p = NULL;
	s->next_free = t->free;
	t->free = (uint32_t)(s - t->v) + 1;
	t->live--;
}

void *
idtable_each(const struct idtable *t, uint32_t *at)
{
	while (*at < t->n)
		if (t->v[(*at)++].p != NULL)
			return t->v[*at - 1].p;
	return NULL;
}
