#include "pool.h"

/*
 * When every place is taken by those who wait for name servers that never
 * answer, others would wait as long: a question that has had its time gives
 * way, one of the network that has most places first, of these the oldest.
 * Networks that have few lose theirs only when all have few.
 */

static uint32_t
places_of(const struct pool *p, const struct pool_child *c)
{
	return limit_count(p->clients, &c->remote, LIMIT_CLASSES - 1, 0);
}

struct pool_child *
pool_victim(struct pool *p, int64_t now)
{
	struct pool_child *c, *found = NULL;
	uint32_t n, most = 0;

	for (c = p->children; c < p->children + POOL_CHILDREN; c++) {
		if (c->pid == 0 || !c->is_busy ||
		    now - c->begun_ms < POOL_FAIR_MS)
			continue;
		n = places_of(p, c);
		if (n > most || (n == most && c->begun_ms < found->begun_ms)) {
			most = n;
			found = c;
		}
	}
	return found;
}

int
pool_yield_ms(const struct pool *p, int64_t now)
{
	const struct pool_child *c;
	int64_t oldest = now;

	for (c = p->children; c < p->children + POOL_CHILDREN; c++)
		if (c->pid != 0 && c->is_busy && c->begun_ms < oldest)
			oldest = c->begun_ms;
	return oldest + POOL_FAIR_MS <= now ?
		   0 :
		   (int)(oldest + POOL_FAIR_MS - now);
}
