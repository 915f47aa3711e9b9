/*
 * needle - case-insensitive substring search in a stream of UTF-8.
 *
 * Both sides are folded: ASCII, Latin, Greek, Cyrillic and Armenian capitals
 * to small letters, one code point to one. The stream comes in chunks cut
 * between characters; what is kept of it is as long as the needle.
 */
#ifndef IMAP_NEEDLE_H
#define IMAP_NEEDLE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Append s folded; what is not UTF-8 is taken as it is. */
void fold_put(struct buf *, struct str s);

struct needle {
	struct str text; /* folded, borrowed */
	struct buf hay;	 /* the end of what came, folded */
	bool found;
};

void needle_init(struct needle *, struct str folded);
void needle_release(struct needle *);
void needle_clear(struct needle *); /* another stream */
/* True once it was found. */
bool needle_push(struct needle *, struct str);

#endif
