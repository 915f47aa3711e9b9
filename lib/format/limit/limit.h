/*
 * limit - how much one client, its neighbourhood and its network may do.
 *
 * A limiter counts events by three masks of the address at once: /32, /26 and
 * /21 of IPv4, /64, /48 and /32 of IPv6; an IPv4-mapped IPv6 address counts as
 * IPv4 (RFC 4291, 2.5.5.2). Either in fixed windows aligned to unix time, or
 * (window 0) as a gauge of what is there now, which limit_drop() lowers.
 *
 * Pure: the caller tells the time. The maxima come with each question, so
 * that a change of the configuration keeps the counts; 0 is no limit.
 *
 * Memory is bounded by max_entries. Past it, the lowest of a few counts is
 * forgotten, and from then on every address that is not in the table is
 * taken to have the highest count that was forgotten in this window: nobody
 * escapes a limit by filling the table with others. Who can fill it makes the
 * limiter stricter for newcomers, until the window ends. A gauge forgets
 * nothing; when it is full nobody more comes in.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define LIMIT_CLASSES 3
/* 4 MiB; and three for each of the million connections of a front */
#define LIMIT_MAX_EVENTS (1u << 17)
#define LIMIT_MAX_GAUGE	 (3u << 20)

struct limit_addr {
	unsigned char ip[16]; /* IPv4 as IPv4-mapped */
	bool is_v4;
};
/* An IP address as text; false: it is none. */
bool limit_addr_parse(struct limit_addr *, struct str);

struct limit;
/* seed: of this process, so that nobody can choose colliding addresses */
struct limit *limit_new(unsigned window_s, uint32_t max_entries, uint64_t seed);
void limit_free(struct limit **);

/* May there be one more? */
bool limit_would(struct limit *, const struct limit_addr *,
    const uint64_t max[LIMIT_CLASSES], int64_t now);
void limit_add(struct limit *, const struct limit_addr *, int64_t now);
/* A success: what the address itself (class 0) has is taken from all three. */
void limit_take_back(struct limit *, const struct limit_addr *, int64_t now);
/* A gauge: one is gone. */
void limit_drop(struct limit *, const struct limit_addr *);
/* What limit_would() compares. */
uint32_t limit_count(
    struct limit *, const struct limit_addr *, unsigned of, int64_t now);

#endif
