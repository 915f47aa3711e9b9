/*
 * door - who may come in at a front: new connections in a minute, and those
 * that are open (limits { connection-rate; connections-per-ip }).
 *
 * Pure: the caller tells the time. Each front has its own.
 */
#ifndef DOOR_H
#define DOOR_H

#include "format/limit/limit.h"
#include "service/config/config.h"

enum door_verdict {
	DOOR_OPEN, /* counted: door_leave() when it ends */
	DOOR_RATE,
	DOOR_FULL,
};
extern const char *const door_settings[]; /* which setting it was */

/* Is the address in one of these networks (proxy-from, xclient-from)? */
bool door_trusts(const struct conf_list *nets, const char *address);

struct door {
	struct limit *rate, *open;
};
void door_init(struct door *, uint64_t seed);
void door_release(struct door *);
/* What was refused is not counted: who keeps knocking gets in again with the
 * next window. */
enum door_verdict door_enter(struct door *, const struct config_limits *,
    const struct limit_addr *, int64_t now);
void door_leave(struct door *, const struct limit_addr *);

#endif
