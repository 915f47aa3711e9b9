#include <string.h>

#include <sodium.h>

#include "authd.h"
#include "base/date.h"
#include "base/pack.h"

/*
 * Failed logins of all fronts are counted together: in a minute and in a day
 * (limits { failed-logins-minute; failed-logins-day }). Whoever is over the
 * limit is told so whatever the password, at the start and again when the
 * verdict is there: attempts that ran side by side tell no more than others.
 *
 * A password that was right for an account from the same address some hours
 * ago, and is no longer, is that of a device which was not told about the
 * change: trying it again is no guess, and not counted. What is kept of it is
 * the keyed hash that the cache uses.
 */

void
tries_init(struct authd *a)
{
	uint64_t seed;

	randombytes_buf(&seed, sizeof(seed));
	a->per_minute = limit_new(60, LIMIT_MAX_EVENTS, seed);
	a->per_day = limit_new(86400, LIMIT_MAX_EVENTS, seed);
}

bool
tries_left(struct authd *a, const struct exchange *x)
{
	const struct config_limits *max = &a->config->limits;
	int64_t now = date_now();

	return !x->is_counted || (limit_would(a->per_minute, &x->addr,
				      max->failed_logins_minute, now) &&
				     limit_would(a->per_day, &x->addr,
					 max->failed_logins_day, now));
}

static struct cache_slot *
slot_of(struct authd *a, const struct exchange *x)
{
	return &a->devices[le32_get(x->device) % DEVICE_SLOTS];
}

/* x->account is who the client says it is. */
void
tries_password(struct authd *a, struct exchange *x, struct str password)
{
	x->has_device = x->account[0] != '\0';
	if (x->has_device)
		cache_make_key(a, str_from(x->account), str_from(x->remote),
		    password, x->device);
}

static bool
is_stale(struct authd *a, const struct exchange *x)
{
	const struct cache_slot *s = slot_of(a, x);

	return x->has_device && s->until > date_mono_ms() &&
	       sodium_memcmp(s->key, x->device, sizeof(s->key)) == 0;
}

bool
tries_failed(struct authd *a, const struct exchange *x)
{
	int64_t now = date_now();

	if (!x->is_counted || is_stale(a, x))
		return false;
	limit_add(a->per_minute, &x->addr, now);
	limit_add(a->per_day, &x->addr, now);
	return true;
}

void
tries_succeeded(struct authd *a, const struct exchange *x)
{
	struct cache_slot *s = slot_of(a, x);
	int64_t now = date_now();

	if (x->is_counted) {
		limit_take_back(a->per_minute, &x->addr, now);
		limit_take_back(a->per_day, &x->addr, now);
	}
	if (x->has_device) {
		memcpy(s->key, x->device, sizeof(s->key));
		s->until = date_mono_ms() + DEVICE_MS;
	}
}
