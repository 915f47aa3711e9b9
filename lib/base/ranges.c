#include "base/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
ranges_init(struct ranges *r, size_t max)
{
	*r = (struct ranges){ .max = max };
}

void
ranges_release(struct ranges *r)
{
	free(r->v);
	*r = (struct ranges){ .max = r->max };
}

void
ranges_clear(struct ranges *r)
{
	r->n = 0;
	r->full = false;
}

/* The first range whose hi is >= x. */
static size_t
lower(const struct ranges *r, uint32_t x)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->v[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replace the ranges from..to-1 by n new ones (n <= 2). */
static void
splice(
    struct ranges *r, size_t from, size_t to, const struct range *v, size_t n)
{
	size_t total = r->n - (to - from) + n;

	if (total > r->max) {
		r->full = true;
		return;
	}
	if (total > r->cap) {
		r->cap = total < 8 ? 8 : total * 2;
		r->v = xreallocarray(r->v, r->cap, sizeof(*r->v));
	}
	if (r->n > to)
		memmove(
		    r->v + from + n, r->v + to, (r->n - to) * sizeof(*r->v));
	if (n > 0)
		memcpy(r->v + from, v, n * sizeof(*v));
	r->n = total;
}

void
ranges_add(struct ranges *r, uint32_t lo, uint32_t hi)
{
	struct range one = { lo, hi };
	size_t from, to;

	if (r->full || lo > hi)
		return;
	from = lower(r, lo == 0 ? 0 : lo - 1);
	for (to = from; to < r->n; to++) {
		if (hi != UINT32_MAX && r->v[to].lo > hi + 1)
			break;
		if (r->v[to].lo < one.lo)
			one.lo = r->v[to].lo;
		if (r->v[to].hi > one.hi)
			one.hi = r->v[to].hi;
	}
	splice(r, from, to, &one, 1);
}

void
ranges_remove(struct ranges *r, uint32_t lo, uint32_t hi)
{
	struct range keep[2];
	size_t from, to, n = 0;

	if (r->full || lo > hi)
		return;
	from = lower(r, lo);
	for (to = from; to < r->n && r->v[to].lo <= hi; to++) {
		if (r->v[to].lo < lo)
			keep[n++] = (struct range){ r->v[to].lo, lo - 1 };
		if (r->v[to].hi > hi)
			keep[n++] = (struct range){ hi + 1, r->v[to].hi };
	}
	splice(r, from, to, keep, n);
}

bool
ranges_has(const struct ranges *r, uint32_t x)
{
	size_t i = lower(r, x);

	return i < r->n && r->v[i].lo <= x;
}

uint64_t
ranges_count(const struct ranges *r)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < r->n; i++)
		total += (uint64_t)r->v[i].hi - r->v[i].lo + 1;
	return total;
}

void
ranges_print(const struct ranges *r, struct buf *b)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (i > 0)
			buf_putc(b, ',');
		buf_put_uint(b, r->v[i].lo);
		if (r->v[i].hi != r->v[i].lo) {
			buf_putc(b, ':');
			buf_put_uint(b, r->v[i].hi);
		}
	}
}
