#include <string.h>

#include <sodium.h>

#include "authd.h"
#include "base/date.h"
#include "base/pack.h"

/*
 * What is kept is a keyed hash of (account, stored record, password): useless
 * outside this process, and a changed password is another key by itself.
 */
void
cache_make_key(struct authd *a, struct str account, struct str record,
    struct str password, unsigned char key[32])
{
	crypto_generichash_state st;
	const struct str parts[] = { account, record, password };
	size_t i;

	crypto_generichash_init(&st, a->cache_key, sizeof(a->cache_key), 32);
	for (i = 0; i < 3; i++) {
		unsigned char n[8];

		le64_put(n, parts[i].n);
		crypto_generichash_update(&st, n, sizeof(n));
		crypto_generichash_update(
		    &st, (const unsigned char *)parts[i].p, parts[i].n);
	}
	crypto_generichash_final(&st, key, 32);
	sodium_memzero(&st, sizeof(st));
}

static struct cache_slot *
slot_of(struct authd *a, const unsigned char key[32])
{
	return &a->cache[le32_get(key) % CACHE_SLOTS];
}

bool
cache_has(
    struct authd *a, struct str account, struct str record, struct str password)
{
	unsigned char key[32];
	struct cache_slot *s;

	cache_make_key(a, account, record, password, key);
	s = slot_of(a, key);
	return s->until > date_mono_ms() && sodium_memcmp(s->key, key, 32) == 0;
}

void
cache_put(
    struct authd *a, struct str account, struct str record, struct str password)
{
	unsigned char key[32];
	struct cache_slot *s;

	cache_make_key(a, account, record, password, key);
	s = slot_of(a, key);
	memcpy(s->key, key, 32);
	s->until = date_mono_ms() + CACHE_MS;
}

void
cache_clear(struct authd *a)
{
	sodium_memzero(a->cache, sizeof(a->cache));
}
