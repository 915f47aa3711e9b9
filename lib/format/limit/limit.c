#include "format/limit/limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define NONE	UINT32_MAX
#define SAMPLE	16  /* counts looked at to find one to forget */
#define MIN_CAP 256 /* entries to begin with, and kept over a window */

/* Chains of entries by number: the array moves when it grows. */
struct entry {
	uint64_t net[2];
	uint32_t next;
	uint32_t count;
	uint32_t inherited; /* of it: not seen, but taken to be there */
	uint32_t class;
};

struct limit {
	unsigned window_s;
	int64_t window; /* number of the current one */
	uint64_t seed;
	struct entry *entries;
	uint32_t *heads; /* cap of them, a power of two */
	uint32_t n, cap, max, free, nfree, hand;
	uint32_t forgotten[LIMIT_CLASSES]; /* highest count, this window */
};

bool
limit_addr_parse(struct limit_addr *a, struct str text)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char s[64];

	if (text.n >= sizeof(s) || str_has(text, '\0'))
		return false;
	str_copy(text, s, sizeof(s));
	if (inet_pton(AF_INET, s, a->ip + 12) == 1)
		memcpy(a->ip, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, s, a->ip) != 1)
		return false;
	a->is_v4 = memcmp(a->ip, mapped, sizeof(mapped)) == 0;
	return true;
}

struct limit *
limit_new(unsigned window_s, uint32_t max_entries, uint64_t seed)
{
	struct limit *l = xcalloc(1, sizeof(*l));

	l->window_s = window_s;
	l->seed = seed;
	/* a place for each class of the address in hand */
	l->max = max_entries < LIMIT_CLASSES ? LIMIT_CLASSES : max_entries;
	l->free = NONE;
	return l;
}

static void
clear(struct limit *l)
{
	free(l->entries);
	free(l->heads);
	l->entries = NULL;
	l->heads = NULL;
	l->n = l->cap = l->nfree = l->hand = 0;
	l->free = NONE;
	memset(l->forgotten, 0, sizeof(l->forgotten));
}

void
limit_free(struct limit **pl)
{
	if (*pl == NULL)
		return;
	clear(*pl);
	free(*pl);
	*pl = NULL;
}

/* Another window, also one of the past: the clock was set. */
static void
roll(struct limit *l, int64_t now)
{
	int64_t window;

	if (l->window_s == 0)
		return;
	window = now / l->window_s;
	if (window != l->window)
		clear(l);
	l->window = window;
}

static void
net_of(const struct limit_addr *a, unsigned class, uint64_t net[2])
{
	static const unsigned v4[LIMIT_CLASSES] = { 32, 26, 21 };
	static const unsigned v6[LIMIT_CLASSES] = { 64, 48, 32 };
	unsigned bits = a->is_v4 ? 96 + v4[class] : v6[class], i;
	unsigned char ip[16];

	for (i = 0; i < 16; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;

		ip[i] = keep >= 8 ? a->ip[i] :
				    a->ip[i] & (unsigned char)(0xff00 >> keep);
	}
	memcpy(net, ip, sizeof(ip));
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9; /* splitmix64 */
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint32_t *
head_of(const struct limit *l, const uint64_t net[2], uint32_t class)
{
	uint64_t h = mix(mix(l->seed ^ net[0]) + net[1]) + class;

	return &l->heads[mix(h ^ l->seed) & (l->cap - 1)];
}

static struct entry *
find(const struct limit *l, const uint64_t net[2], uint32_t class)
{
	uint32_t i;

	if (l->cap == 0)
		return NULL;
	for (i = *head_of(l, net, class); i != NONE; i = l->entries[i].next) {
		struct entry *e = &l->entries[i];

		if (e->class == class && e->net[0] == net[0] &&
		    e->net[1] == net[1])
			return e;
	}
	return NULL;
}

static void
link_entry(struct limit *l, uint32_t i)
{
	struct entry *e = &l->entries[i];
	uint32_t *head = head_of(l, e->net, e->class);

	e->next = *head;
	*head = i;
}

static void
unlink_entry(struct limit *l, uint32_t i)
{
	struct entry *e = &l->entries[i];
	uint32_t *at = head_of(l, e->net, e->class);

	while (*at != i)
		at = &l->entries[*at].next;
	*at = e->next;
}

/* Only without free entries: then all n are in chains. */
static void
grow(struct limit *l)
{
	uint32_t i;

	l->cap = l->cap == 0 ? MIN_CAP : l->cap * 2;
	l->entries = xreallocarray(l->entries, l->cap, sizeof(*l->entries));
	l->heads = xreallocarray(l->heads, l->cap, sizeof(*l->heads));
	memset(l->heads, 0xff, l->cap * sizeof(*l->heads)); /* NONE */
	for (i = 0; i < l->n; i++)
		link_entry(l, i);
}

static uint32_t
forget_one(struct limit *l)
{
	uint32_t at = l->hand, victim = at, k;
	struct entry *e;

	for (k = 0; k < SAMPLE; k++) {
		if (l->entries[at].count < l->entries[victim].count)
			victim = at;
		at = at + 1 == l->n ? 0 : at + 1;
	}
	l->hand = at;
	e = &l->entries[victim];
	if (e->count > l->forgotten[e->class])
		l->forgotten[e->class] = e->count;
	unlink_entry(l, victim);
	return victim;
}

/* A place in no chain; NONE: a gauge is full. */
static uint32_t
take(struct limit *l)
{
	uint32_t i = l->free;

	if (i != NONE) {
		l->free = l->entries[i].next;
		l->nfree--;
		return i;
	}
	if (l->n == l->max)
		return l->window_s == 0 ? NONE : forget_one(l);
	if (l->n == l->cap)
		grow(l);
	return l->n++;
}

static void
give_back(struct limit *l, struct entry *e)
{
	uint32_t i = (uint32_t)(e - l->entries);

	unlink_entry(l, i);
	e->next = l->free;
	l->free = i;
	l->nfree++;
}

static struct entry *
find_or_make(struct limit *l, const uint64_t net[2], uint32_t class)
{
	struct entry *e = find(l, net, class);
	uint32_t i;

	if (e != NULL || (i = take(l)) == NONE)
		return e;
	e = &l->entries[i];
	*e = (struct entry){ .net = { net[0], net[1] },
		.class = class,
		.count = l->forgotten[class],
		.inherited = l->forgotten[class] };
	link_entry(l, i);
	return e;
}

uint32_t
limit_count(
    struct limit *l, const struct limit_addr *a, unsigned class, int64_t now)
{
	const struct entry *e;
	uint64_t net[2];

	roll(l, now);
	net_of(a, class, net);
	e = find(l, net, class);
	return e == NULL ? l->forgotten[class] : e->count;
}

bool
limit_would(struct limit *l, const struct limit_addr *a,
    const uint64_t max[LIMIT_CLASSES], int64_t now)
{
	unsigned class;

	for (class = 0; class < LIMIT_CLASSES; class ++)
		if (max[class] > 0 &&
		    limit_count(l, a, class, now) >= max[class])
			return false;
	/* never a count that limit_add() could not keep */
	return l->window_s > 0 || l->max - l->n + l->nfree >= LIMIT_CLASSES;
}

void
limit_add(struct limit *l, const struct limit_addr *a, int64_t now)
{
	unsigned class;

	roll(l, now);
	for (class = 0; class < LIMIT_CLASSES; class ++) {
		struct entry *e;
		uint64_t net[2];

		net_of(a, class, net);
		e = find_or_make(l, net, class);
		if (e != NULL && e->count < UINT32_MAX)
			e->count++;
	}
}

/* An entry that says nothing is as good as none. */
static void
lower(struct limit *l, struct entry *e, uint32_t by)
{
	uint32_t seen = e->count - e->inherited;

	e->count -= by < seen ? by : seen;
	if (e->count == 0)
		give_back(l, e);
}

static void
lower_all(struct limit *l, const struct limit_addr *a, uint32_t by)
{
	unsigned class;

	for (class = 0; class < LIMIT_CLASSES; class ++) {
		struct entry *e;
		uint64_t net[2];

		net_of(a, class, net);
		e = find(l, net, class);
		if (e != NULL)
			lower(l, e, by);
	}
}

void
limit_take_back(struct limit *l, const struct limit_addr *a, int64_t now)
{
	const struct entry *e;
	uint64_t net[2];

	roll(l, now);
	net_of(a, 0, net);
	e = find(l, net, 0);
	if (e != NULL)
		lower_all(l, a, e->count - e->inherited);
}

void
limit_drop(struct limit *l, const struct limit_addr *a)
{
	assert(l->window_s == 0);
	lower_all(l, a, 1);
}
