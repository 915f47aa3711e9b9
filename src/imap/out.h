/*
 * out - what goes to the client: one buffer, flushed when it is large, when
 * the session waits for input, and never in the middle of anything that
 * could be taken back.
 *
 * The descriptor is non-blocking meanwhile, so that a write never outlasts its
 * deadline. A failed or late write makes the stream dead: everything after it
 * is swallowed, and the session ends at its next read.
 */
#ifndef IMAP_OUT_H
#define IMAP_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define OUT_FLUSH (64 * 1024) /* written out when it grows past this */
#define OUT_MAX	  (64 << 20)  /* the largest single item, a BODYSTRUCTURE */

struct out {
	int fd;
	int fd_flags; /* as they were */
	int write_ms;
	bool is_dead;
	unsigned long flushes; /* what was said before one stands */
	struct buf b;	       /* printers append here, then out_check() */
};

void out_init(struct out *, int fd, int write_ms);
void out_release(struct out *);
/* Flush if there is much. */
void out_check(struct out *);
void out_flush(struct out *);
/* Flush and give the memory back. */
void out_shrink(struct out *);
void out_puts(struct out *, const char *);
void out_put(struct out *, struct str);
void out_uint(struct out *, uint64_t);
void out_printf(struct out *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
