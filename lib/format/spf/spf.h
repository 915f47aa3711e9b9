/*
 * spf - Sender Policy Framework, check_host() (RFC 7208 and its errata).
 *
 * Pure evaluation: the caller does the DNS. Call spf_next() until it gives a
 * verdict; when it asks, answer spf_question() with spf_answer():
 *
 *	while ((v = spf_next(s)) == SPF_NEED_DNS)
 *		spf_answer(s, look_up(spf_question(s)));
 *
 * All memory comes from the arena given to spf_begin(), strings of the client
 * are copied. Names are to be A-labels (RFC 8616, 4): a domain that DNS cannot
 * carry gives SPF_NONE.
 *
 * At most 10 terms that look up, 2 answers without records (RFC 7208, 4.6.4),
 * SPF_MAX_QUESTIONS questions. An arena of SPF_ARENA_MAX is enough for any
 * records; answers are copied into it.
 */
#ifndef SPF_H
#define SPF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/dnsmsg/dnsmsg.h"

#define SPF_MAX_LOOKUPS	  10   /* terms, RFC 7208, 4.6.4 */
#define SPF_MAX_VOID	  2    /* RFC 7208, 4.6.4 */
#define SPF_MAX_ADDRESSES 10   /* hosts of one mx or ptr, RFC 7208, 4.6.4 */
#define SPF_MAX_TERMS	  512  /* of a record; published ones have < 60 */
#define SPF_MAX_NAME	  253  /* after expansion, RFC 7208, 7.3 */
#define SPF_MAX_INPUT	  512  /* octets used of each of the client's strings */
#define SPF_MAX_EXPLAIN	  1000 /* octets kept of an explanation */
/* 11 records, 10 terms with 10 hosts each, %{p} with 10, exp */
#define SPF_MAX_QUESTIONS 150
#define SPF_ARENA_MAX	  (32 << 20) /* 150 answers of 64 KiB, and their use */

enum spf_verdict {
	SPF_NEED_DNS, /* not a verdict: see spf_question() */
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};

enum spf_identity {
	SPF_MAILFROM, /* RFC 7208, 2.4; of a null reverse path see SPF_HELO */
	SPF_HELO,     /* RFC 7208, 2.3: postmaster@helo */
};

struct spf_client {
	uint8_t ip[16]; /* IPv4 in the first four */
	bool is_ipv6;	/* IPv4-mapped is taken as IPv4 */
	struct str helo;
	/* the reverse path's two sides; without domain SPF_HELO is done */
	struct str local, domain;
	enum spf_identity identity;
	struct str receiver; /* our own name, for %{r} */
	int64_t now;	     /* seconds since 1970, for %{t} */
};

struct spf_result {
	enum spf_verdict verdict;
	enum spf_identity identity;
	struct str domain;	/* that was checked */
	struct str mechanism;	/* that decided, as written; "default" */
	struct str explanation; /* of SPF_FAIL by exp=; untrusted; or empty */
	const char *problem;	/* of the two errors and none; or NULL */
	bool is_secure;		/* every answer used was */
	unsigned n_lookups, n_void, n_questions;
};

struct spf;
struct spf *spf_begin(struct arena *, const struct spf_client *);
enum spf_verdict spf_next(struct spf *);
/* What spf_next() waits for; valid until the answer. */
const struct dns_question *spf_question(const struct spf *);
void spf_answer(struct spf *, const struct dns_answer *);
/* After the verdict. */
const struct spf_result *spf_result(const struct spf *);

const char *spf_verdict_name(enum spf_verdict); /* "pass" .. */
bool spf_verdict_from(struct str name, enum spf_verdict *);
/* The whole Received-SPF field with its CRLF (RFC 7208, 9.1). */
void spf_print_received(struct buf *, const struct spf *);

#endif
