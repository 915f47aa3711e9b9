#include <stdlib.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/dns/dns_int.h"

#define BLOCK 4096 /* the least an arena takes */

/*
 * A fixed table; a name that falls on a taken slot takes its place. Failures
 * are not kept: who asks again shall reach a resolver that is back.
 */

static struct str
make_key(struct buf *b, const struct dns_question *q)
{
	size_t i;

	buf_printf(b, "%u ", (unsigned)q->type);
	for (i = 0; i < q->name.n; i++)
		buf_putc(b, ascii_lower(q->name.p[i]));
	return buf_str(b);
}

/* An arena takes memory by blocks. */
static size_t
cost(const struct dns_slot *s)
{
	return s->arena.used < BLOCK ? BLOCK : s->arena.used;
}

static void
forget(struct dns *d, struct dns_slot *s)
{
	if (s->key.p == NULL)
		return;
	d->n_cached -= cost(s);
	arena_release(&s->arena);
	s->key = (struct str){ NULL, 0 };
}

static struct dns_slot *
slot_of(struct dns *d, struct str key)
{
	return &d->slots[str_hash(key, 0) % DNS_CACHE_SIZE];
}

struct dns_answer *
dns_cache_get(struct dns *d, struct arena *a, const struct dns_question *q)
{
	struct dns_answer *copy = NULL;
	int64_t now = date_mono_ms();
	struct dns_slot *s;
	struct buf b;

	if (d->slots == NULL)
		return NULL;
	buf_init(&b, 2048);
	s = slot_of(d, make_key(&b, q));
	if (s->key.p != NULL && str_eq(s->key, buf_str(&b)) && s->until > now) {
		copy = dns_answer_copy(a, s->answer);
		copy->ttl = (uint32_t)((s->until - now + 999) / 1000);
	}
	buf_release(&b);
	return copy;
}

void
dns_cache_put(
    struct dns *d, const struct dns_question *q, const struct dns_answer *r)
{
	uint32_t ttl = r->ttl < DNS_CACHE_TTL ? r->ttl : DNS_CACHE_TTL;
	struct dns_slot *s;
	struct buf b;

	if (dns_failed(r) || ttl == 0)
		return;
	if (d->slots == NULL)
		d->slots = xcalloc(DNS_CACHE_SIZE, sizeof(*d->slots));
	buf_init(&b, 2048);
	s = slot_of(d, make_key(&b, q));
	forget(d, s);
	arena_init(&s->arena, DNSMSG_ARENA_MAX);
	s->key = arena_str(&s->arena, buf_str(&b));
	s->answer = dns_answer_copy(&s->arena, r);
	s->until = date_mono_ms() + (int64_t)ttl * 1000;
	d->n_cached += cost(s);
	if (d->n_cached > DNS_CACHE_OCTETS)
		dns_cache_clear(d); /* it comes back; the resolver has it */
	buf_release(&b);
}

void
dns_cache_clear(struct dns *d)
{
	size_t i;

	for (i = 0; d->slots != NULL && i < DNS_CACHE_SIZE; i++)
		forget(d, &d->slots[i]);
	free(d->slots);
	d->slots = NULL;
}
