#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define BLOCK_SIZE 4096
#define ALIGN	   16

struct arena_block {
	struct arena_block *next;
	size_t cap, n;
	_Alignas(ALIGN) char data[];
};

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

void
arena_release(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena){ .max = a->max };
}

void
arena_clear(struct arena *a)
{
	struct arena_block *b, *next, *keep = NULL;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		if (keep == NULL && b->cap == BLOCK_SIZE)
			keep = b;
		else
			free(b);
	}
	if (keep != NULL) {
		keep->next = NULL;
		keep->n = 0;
	}
	a->blocks = keep;
	a->used = 0;
}

void *
arena_try(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t cap;
	void *p;

	if (n > a->max || n > SIZE_MAX - ALIGN)
		return NULL;
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (n > a->max - a->used)
		return NULL;
	if (b == NULL || n > b->cap - b->n) {
		cap = n > BLOCK_SIZE / 4 ? n : BLOCK_SIZE;
		b = xmalloc(sizeof(*b) + cap);
		b->cap = cap;
		b->n = 0;
		/* a large block goes behind the one that still has room */
		if (cap != BLOCK_SIZE && a->blocks != NULL) {
			b->next = a->blocks->next;
			a->blocks->next = b;
		} else {
			b->next = a->blocks;
			a->blocks = b;
		}
	}
	p = b->data + b->n;
	b->n += n;
	a->used += n;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_try(a, n);

	if (p == NULL) {
		fprintf(stderr, "arena: limit of %zu bytes passed\n", a->max);
		_exit(71);
	}
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

char *
arena_cstr(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str
arena_str(struct arena *a, struct str s)
{
	return (struct str){ arena_cstr(a, s), s.n };
}

void *
arena_regrow(struct arena *a, void *old, size_t oldn, size_t newn)
{
	void *p = arena_alloc(a, newn);

	if (oldn > 0)
		memcpy(p, old, oldn < newn ? oldn : newn);
	return p;
}
