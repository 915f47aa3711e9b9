/*
 * arc - Authenticated Received Chain (RFC 8617): verify and seal.
 *
 * Used like dkim: header, body in pieces, answers to all questions, finish.
 * The result is a signal, not a verdict: whom to believe is local policy.
 * Every failure is permanent for the chain (RFC 8617, 5.2.1), DNS trouble
 * included; is_temporary tells it apart for those who would rather wait.
 *
 * At most ARC_MAX_SETS sets, so at most one question and one check more than
 * that, twice as many with wants_oldest_pass. Results point into the header
 * given; an arena of three times the header and ARC_ARENA is enough.
 */
#ifndef ARC_H
#define ARC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "format/dkim/dkim.h"
#include "format/dnsmsg/dnsmsg.h"

#define ARC_MAX_SETS	  50	    /* RFC 8617, 4.2.1 */
#define ARC_ARENA	  (8 << 20) /* answers of 32 KiB, results */
#define ARC_MAX_QUESTIONS (2 * ARC_MAX_SETS)
#define ARC_NOT_KNOWN	  (-1) /* oldest_pass */

enum arc_cv { /* RFC 8617, 4.4 */
	ARC_NONE,
	ARC_PASS,
	ARC_FAIL,
};
const char *arc_cv_name(enum arc_cv);
bool arc_cv_from(struct str, enum arc_cv *);

struct arc_options {
	int64_t now;
	struct dkim_keys *keys; /* borrowed, or NULL */
	/* Look at the former message signatures too (RFC 8617, 5.2, step 5):
	 * for who is curious, as each may want a body hash of its own. */
	bool wants_oldest_pass;
};

struct arc_result {
	enum arc_cv cv;
	const char *why;    /* of a fail */
	unsigned n_sets;    /* the highest instance */
	bool is_temporary;  /* DNS gave no answer */
	bool is_secure;	    /* every key's answer was */
	struct str sealer;  /* d= of the latest seal */
	struct str authres; /* of the latest set, behind its "i=N;" */
	/* Of a chain that passes the instance whose message signature is the
	 * oldest that holds, 0 if all do, or ARC_NOT_KNOWN. */
	int oldest_pass;
};

struct arc_verify;
struct arc_verify *
arc_verify_begin(struct arena *, struct str header, const struct arc_options *);
void arc_verify_body(struct arc_verify *, struct str);
/* The i-th, NULL behind the last one. */
const struct dns_question *
arc_verify_question(const struct arc_verify *, size_t i);
void
arc_verify_answer(struct arc_verify *, size_t i, const struct dns_answer *);
const struct arc_result *arc_verify_finish(struct arc_verify *);
void arc_verify_free(struct arc_verify **); /* before the arena goes */

struct arc_sealer {
	struct evp_pkey_st *key;
	struct str domain, selector;
	enum dkim_canon header_canon, body_canon;
	const struct str *headers; /* NULL: dkim's and DKIM-Signature */
	size_t n_headers;
	int64_t now;
	enum arc_cv cv;	    /* what verifying the message gave */
	struct str authres; /* authserv-id and results, as authres prints */
};

/* The sealer is copied, its strings are not. */
struct arc_seal;
struct arc_seal *
arc_seal_begin(struct arena *, struct str header, const struct arc_sealer *);
void arc_seal_body(struct arc_seal *, struct str);
/* The set's three fields, to be put before the header. Frees. A chain that
 * is marked as failed already, or full, is not sealed: -1. */
int arc_seal_finish(struct arc_seal **, struct buf *out, struct err *);

#endif
