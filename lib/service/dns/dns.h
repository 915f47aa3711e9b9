/*
 * dns - asking a resolver (RFC 1035, 6891), with our own messages over
 * c-ares' transport.
 *
 * For workers and tools: dns_ask() sends all questions at once and returns
 * when every one has its answer or the deadline has come; then what is
 * missing is DNS_TEMPFAIL. Those who have more to ask as answers come use
 * dns_send() and dns_wait(). Answers are cached, denials too, as long as
 * their TTLs say (at most DNS_CACHE_TTL), DNS_CACHE_SIZE of them or
 * DNS_CACHE_OCTETS. An answer that would take more than DNS_ANSWER_MAX is
 * none: whoever has a zone can make answers of a few kilobytes that unpack to
 * megabytes.
 *
 * Of several servers the first is asked, the next one when it gives no answer
 * in time or none that can be used (SERVFAIL, REFUSED, NOTIMP), unless it says
 * that validation failed; one that lets us wait is asked last from then on.
 * The first try of several is short, since most that answer do so at once; a
 * late answer is taken whoever else was asked meanwhile.
 *
 * A chain of CNAMEs that is not authentic as a whole may be so at its
 * beginning (RFC 7672, 2.1.3): then each step is asked for by itself, in
 * order, until one is not, and the answer says how far it went (n_secure).
 *
 * AD is believed only from a resolver that is trusted: all servers are on
 * loopback, or resolv.conf says `options trust-ad`, or the caller does.
 */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hooks.h"
#include "format/dnsmsg/dnsmsg.h"

#define DNS_CACHE_SIZE	  4096
#define DNS_CACHE_TTL	  3600 /* seconds; a day-old answer helps nobody */
#define DNS_CACHE_OCTETS  (8 << 20)
#define DNS_ANSWER_MAX	  32768 /* octets; real ones have some thousands */
#define DNS_TIMEOUT_MS	  5000	/* of one try */
#define DNS_TRIES	  3
#define DNS_FIRST_TRY_MS  1000 /* of several servers; it doubles each round */
#define DNS_MAX_QUESTIONS 128  /* under way at once */

struct dns_opts {
	const char *servers; /* "127.0.0.1:53,[::1]:53"; NULL: resolv.conf */
	/* of all tries together; 0: DNS_TRIES * DNS_TIMEOUT_MS */
	unsigned timeout_ms;
	bool trust_ad; /* whatever the servers are */
	/* Borrowed, or NULL. Event "dns", a line for each answer; metrics
	 * dns_answers by status (or "cached"), dns_answer_ms by type. */
	const struct hooks *hooks;
};

struct dns;

int dns_new(struct dns **, const struct dns_opts *, struct err *);
void dns_free(struct dns **);
bool dns_is_trusted(const struct dns *); /* is AD believed? */

/* out[i] answers q[i]; answers live in the arena. Never fails: see status. */
void dns_ask(struct dns *, struct arena *, const struct dns_question *q,
    size_t n, struct dns_answer **out);
/* One question. */
const struct dns_answer *
dns_lookup(struct dns *, struct arena *, const struct dns_question *);

/*
 * Send one and go on: *out is NULL until the answer has come, in dns_wait()
 * or here. Question and *out must last that long.
 */
void dns_send(struct dns *, struct arena *, const struct dns_question *,
    struct dns_answer **out);
/* Until at least one more answer is there, nothing is under way, or the
 * deadline (date_mono_ms()) has come. */
void dns_wait(struct dns *, int64_t deadline);
/* While it waits, gone() is called when the other end of fd closes: for who
 * asks for somebody else. It may end the process. */
void dns_watch(struct dns *, int fd, void (*gone)(void));
/* What is under way is DNS_TEMPFAIL. */
void dns_cancel(struct dns *);

#endif
