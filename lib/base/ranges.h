/*
 * ranges - a set of 32-bit numbers as sorted, disjoint, non-touching ranges:
 * UIDs, sequence numbers. Bounded by `max` ranges; adding past it sets
 * `full` and changes nothing more.
 */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct range {
	uint32_t lo, hi; /* both included, lo <= hi */
};

struct ranges {
	struct range *v;
	size_t n, cap, max;
	bool full;
};

void ranges_init(struct ranges *, size_t max);
void ranges_release(struct ranges *);
void ranges_clear(struct ranges *);
void ranges_add(struct ranges *, uint32_t lo, uint32_t hi);
void ranges_remove(struct ranges *, uint32_t lo, uint32_t hi);
bool ranges_has(const struct ranges *, uint32_t);
uint64_t ranges_count(const struct ranges *); /* numbers, not ranges */
/* "1:3,5" as IMAP writes a set; nothing for an empty one. */
void ranges_print(const struct ranges *, struct buf *);

#endif
