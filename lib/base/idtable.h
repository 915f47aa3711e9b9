/*
 * idtable - small numbers for pointers: connections, jobs.
 *
 * An id names a slot and a generation of it, so that a late answer to a
 * connection that is gone finds nothing instead of its successor. 0 is never
 * an id. At most IDTABLE_MAX at once.
 */
#ifndef BASE_IDTABLE_H
#define BASE_IDTABLE_H

#include <stddef.h>
#include <stdint.h>

#define IDTABLE_MAX (1u << 20)

struct idtable {
	struct idtable_slot *v;
	uint32_t n, cap, free; /* free: 1 + slot, 0: none */
	uint32_t live;
};

void idtable_release(struct idtable *);
uint32_t idtable_put(struct idtable *, void *);		/* 0: full */
void *idtable_get(const struct idtable *, uint32_t id); /* NULL: gone */
void idtable_drop(struct idtable *, uint32_t id);
/* Every live pointer, in slot order: start with *at = 0; NULL at the end. */
void *idtable_each(const struct idtable *, uint32_t *at);

#endif
