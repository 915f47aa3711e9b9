#include "service/door/door.h"

#include "format/proxy/proxy.h"

const char *const door_settings[] = {
	[DOOR_OPEN] = "",
	[DOOR_RATE] = "connection-rate",
	[DOOR_FULL] = "connections-per-ip",
};

bool
door_trusts(const struct conf_list *nets, const char *address)
{
	struct proxy_net net;
	size_t i;

	for (i = 0; i < nets->n; i++)
		if (proxy_net_parse(&net, nets->v[i]) &&
		    proxy_net_has(&net, str_from(address)))
			return true;
	return false;
}

void
door_init(struct door *d, uint64_t seed)
{
	d->rate = limit_new(60, LIMIT_MAX_EVENTS, seed);
	d->open = limit_new(0, LIMIT_MAX_GAUGE, seed);
}

void
door_release(struct door *d)
{
	limit_free(&d->rate);
	limit_free(&d->open);
}

enum door_verdict
door_enter(struct door *d, const struct config_limits *max,
    const struct limit_addr *a, int64_t now)
{
	if (!limit_would(d->rate, a, max->connection_rate, now))
		return DOOR_RATE;
	if (!limit_would(d->open, a, max->connections_per_ip, now))
		return DOOR_FULL;
	limit_add(d->rate, a, now);
	limit_add(d->open, a, now);
	return DOOR_OPEN;
}

void
door_leave(struct door *d, const struct limit_addr *a)
{
	limit_drop(d->open, a);
}
