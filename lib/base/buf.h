/*
 * buf - an owned byte buffer with a ceiling.
 *
 * A buf grows to its max and no further: an append that would pass it sets
 * `full` and adds nothing, and so does every later append. A run of appends
 * is checked once, at its end. buf_clear() takes `full` back.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool full;
};

void buf_init(struct buf *, size_t max);
void buf_release(struct buf *);
void buf_clear(struct buf *);
void buf_put(struct buf *, struct str);
void buf_putc(struct buf *, char);
void buf_puts(struct buf *, const char *cstr);
void buf_printf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *, const char *fmt, va_list)
    __attribute__((format(printf, 2, 0)));
void buf_put_uint(struct buf *, uint64_t); /* decimal */
/* Octets as hexadecimal digits, lower case. */
void buf_put_hex(struct buf *, const void *, size_t n);
/* Room for n more bytes at the end, or NULL (and full); then buf_grow(). */
char *buf_reserve(struct buf *, size_t n);
void buf_grow(struct buf *, size_t n);
/* Drop n bytes from the front. */
void buf_consume(struct buf *, size_t n);
void buf_truncate(struct buf *, size_t n);
/* Give unused memory back when the buffer is empty. */
void buf_shrink(struct buf *);
struct str buf_str(const struct buf *);
/* The contents, NUL-ended; a borrow. */
const char *buf_cstr(struct buf *);

#endif
