/*
 * arena - memory that dies together.
 *
 * One per transaction (an SMTP message, an IMAP command): parse results live
 * in it, arena_clear() ends them all. Results are aligned for any type and
 * not zeroed unless the name says so. `max` bounds the total; passing it
 * gives NULL from arena_try() and ends the process from arena_alloc(), which
 * is for sizes that earlier checks have bounded.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used, max;
};

void arena_init(struct arena *, size_t max);
void arena_release(struct arena *);
void arena_clear(struct arena *); /* keeps one block for reuse */
void *arena_alloc(struct arena *, size_t n);
void *arena_zalloc(struct arena *, size_t n);
void *arena_try(struct arena *, size_t n);
struct str arena_str(struct arena *, struct str); /* copy, NUL-ended too */
char *arena_cstr(struct arena *, struct str);	  /* copy, NUL-ended */
/* Grow an array: old contents kept, old memory lost until the clear. */
void *arena_regrow(struct arena *, void *old, size_t oldn, size_t newn);

#endif
