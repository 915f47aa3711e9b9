/* dns_int - between dns.c (asking), servers.c (whom) and cache.c
 * (remembering). */
#ifndef DNS_INT_H
#define DNS_INT_H

#include <ares.h>
#include <stdint.h>

#include "service/dns/dns.h"

struct dns_slot {
	struct arena arena; /* of key and answer */
	struct str key;	    /* p == NULL: free */
	struct dns_answer *answer;
	int64_t until; /* monotonic ms */
};

struct dns {
	/* The second goes on past servers that have no usable answer, which
	 * the first one hands on; NULL: there is but one server. */
	ares_channel channel, others;
	bool is_first_slow; /* it is to be the last */
	int64_t in_time;    /* when the last answer came without a second try */
	unsigned timeout_ms;
	bool is_trusted;
	const struct hooks *hooks;
	int watched; /* -1: none */
	void (*gone)(void);
	size_t n_under_way;	/* questions without an answer */
	struct dns_slot *slots; /* DNS_CACHE_SIZE, made at the first use */
	size_t n_cached;	/* octets in them */
};

/* The server that let us wait becomes the last one. c-ares takes a list only
 * while nothing is under way. */
void dns_demote_first(struct dns *);

/* A copy in the arena, its TTL what is left; NULL if not known. */
struct dns_answer *
dns_cache_get(struct dns *, struct arena *, const struct dns_question *);
void dns_cache_put(
    struct dns *, const struct dns_question *, const struct dns_answer *);
void dns_cache_clear(struct dns *);

#endif
