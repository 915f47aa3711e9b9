#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define FIRST_CAP 64

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap;

	if (b->full || n > b->max - b->n) {
		b->full = true;
		return NULL;
	}
	/* one byte more than asked for, so that buf_cstr() always fits */
	if (b->p == NULL || n >= b->cap - b->n) {
		cap = b->cap == 0 ? FIRST_CAP : b->cap;
		while (cap - b->n <= n)
			cap *= 2;
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
	}
	return b->p + b->n;
}

void
buf_grow(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->n);
	b->n += n;
}

void
buf_put(struct buf *b, struct str s)
{
	char *p = buf_reserve(b, s.n);

	if (p != NULL && s.n > 0) {
		memcpy(p, s.p, s.n);
		b->n += s.n;
	}
}

void
buf_putc(struct buf *b, char c)
{
	char *p = buf_reserve(b, 1);

	if (p != NULL) {
		*p = c;
		b->n++;
	}
}

void
buf_puts(struct buf *b, const char *cstr)
{
	buf_put(b, str_from(cstr));
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char small[128], *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	assert(n >= 0);
	if ((size_t)n < sizeof(small))
		buf_put(b, str_make(small, (size_t)n));
	else if ((p = buf_reserve(b, (size_t)n)) != NULL) {
		vsnprintf(p, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_put_uint(struct buf *b, uint64_t v)
{
	char d[20];
	size_t i = sizeof(d);

	do
		d[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	buf_put(b, str_make(d + i, sizeof(d) - i));
}

void
buf_put_hex(struct buf *b, const void *octets, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = octets;
	size_t i;

	for (i = 0; i < n; i++) {
		buf_putc(b, digits[p[i] >> 4]);
		buf_putc(b, digits[p[i] & 15]);
	}
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->n);
	b->n -= n;
	if (b->n > 0)
		memmove(b->p, b->p + n, b->n);
}

void
buf_truncate(struct buf *b, size_t n)
{
	assert(n <= b->n);
	b->n = n;
}

void
buf_shrink(struct buf *b)
{
	if (b->n == 0) {
		free(b->p);
		b->p = NULL;
		b->cap = 0;
	}
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p == NULL ? "" : b->p, b->n };
}

const char *
buf_cstr(struct buf *b)
{
	if (b->p == NULL)
		return "";
	b->p[b->n] = '\0';
	return b->p;
}
