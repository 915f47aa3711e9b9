/*
 * dkim - DomainKeys Identified Mail (RFC 6376; RFC 8301, 8463, 8616).
 *
 * Pure: the caller reads the message and does the DNS. To verify, give the
 * header block, push the body once for all signatures, answer the question of
 * each result that has one, in any order, and finish. Signing is the same
 * with keys instead of answers. Keys are OpenSSL's (EVP_PKEY), owned by the
 * caller.
 *
 * Lines may end in CRLF or LF; LF is hashed as CRLF, since files in a Maildir
 * have it. Work is linear in the message: at most DKIM_MAX_SIGNATURES
 * signatures are looked at, the rest is counted. rsa-sha1 and RSA below 1024
 * bits never pass (RFC 8301, 3). l= is taken and what it leaves unsigned is
 * reported. Results live in the arena and may point into the header given; an
 * arena of three times the header and DKIM_ARENA is enough.
 */
#ifndef DKIM_H
#define DKIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "format/dnsmsg/dnsmsg.h"

#define DKIM_MAX_SIGNATURES 10	 /* verified; a message of lists has 3 or 4 */
#define DKIM_MAX_FIELDS	    2000 /* of a header; more: no signature holds */
#define DKIM_MAX_SIGNED	    256	 /* names in h= */
#define DKIM_MAX_TAGS	    64	 /* of a list; the standards name 14 */
#define DKIM_ARENA	    (2 << 20) /* ten answers of 64 KiB, results */
#define DKIM_MIN_RSA_BITS   1024      /* RFC 8301, 3.2 */
#define DKIM_MAX_RSA_BITS   8192 /* 4096 are required; larger ones are slow */
#define DKIM_KEYS	    64	 /* kept by a struct dkim_keys, 4 KiB each */
#define DKIM_FUTURE_S	    3600 /* how far ahead the signer's clock may be */

enum dkim_canon {
	DKIM_SIMPLE,
	DKIM_RELAXED,
};

enum dkim_algorithm {
	DKIM_RSA_SHA256,
	DKIM_RSA_SHA1, /* RFC 8301: known only to be refused */
	DKIM_ED25519_SHA256,
};

enum dkim_status { /* RFC 8601, 2.7.1 */
	DKIM_NONE,
	DKIM_NEUTRAL, /* not looked at far enough to tell */
	DKIM_PASS,
	DKIM_FAIL,
	DKIM_POLICY,
	DKIM_TEMPERROR,
	DKIM_PERMERROR,
};
const char *dkim_status_name(enum dkim_status); /* "pass" .. */
bool dkim_status_from(struct str, enum dkim_status *);
const char *dkim_algorithm_name(enum dkim_algorithm);

/* --- tag lists (RFC 6376, 3.2), also of DMARC and ARC --- */

struct dkim_tags {
	struct {
		struct str name, value; /* white space around them is gone */
	} v[DKIM_MAX_TAGS];
	size_t n;
};

/* Points into the text. false and *why: malformed, or a tag twice. */
bool dkim_tags_parse(struct str, struct dkim_tags *, const char **why);
/* p == NULL: it is not there. */
struct str dkim_tag(const struct dkim_tags *, struct str name);
/* base64 with white space in it (RFC 6376, 2.10) */
bool dkim_base64(struct arena *, struct str, struct str *octets);

/* --- signatures and key records --- */

struct dkim_sig {
	enum dkim_algorithm algorithm;
	enum dkim_canon header_canon, body_canon;
	struct str domain, selector;	     /* d=, s= */
	struct str auid;		     /* i=, or "@" d=; ARC: empty */
	unsigned instance;		     /* ARC's i=; else 0 */
	struct str b, bh;		     /* octets */
	struct str b_text;		     /* as written, for header.b */
	struct str headers[DKIM_MAX_SIGNED]; /* h= */
	size_t n_headers;
	bool has_length; /* l= */
	uint64_t length;
	int64_t t, x; /* seconds since 1970; -1: not there */
};

enum dkim_sig_kind {
	DKIM_SIGNATURE,	    /* DKIM-Signature */
	DKIM_ARC_SIGNATURE, /* ARC-Message-Signature: i= is a number */
	DKIM_ARC_SEAL,	    /* ARC-Seal: no h=, no bh= */
};

/* What could be read is in the result even if it is false. */
bool dkim_sig_parse(struct arena *, struct str value, enum dkim_sig_kind,
    struct dkim_sig *, const char **why);

struct dkim_key {
	bool is_rsa; /* else Ed25519 */
	bool allows_sha1, allows_sha256;
	bool allows_email, allows_tlsrpt; /* s= */
	bool is_testing, is_strict;	  /* t=y, t=s */
	struct str p;			  /* octets; empty: revoked */
};

bool dkim_key_parse(
    struct arena *, struct str text, struct dkim_key *, const char **why);
/* "selector._domainkey.domain", TXT; false: too long for a name */
bool dkim_key_question(
    struct arena *, const struct dkim_sig *, struct dns_question *);

/* --- canonical forms (RFC 6376, 3.4), digests, keys; for ARC as well --- */

/* One field with its line end, as it is hashed. */
void dkim_canon_field(struct buf *, struct str whole, enum dkim_canon);
/* The signature's own field: b= emptied, no line end. */
void dkim_canon_sig_field(struct buf *, struct str whole, enum dkim_canon);
/* The fields that h= selects from the header, from below (RFC 6376, 5.4.2).
 * false: more than DKIM_MAX_FIELDS fields. */
bool dkim_canon_header(struct buf *, struct str header, const struct str *names,
    size_t n, enum dkim_canon);

struct dkim_body;
/* Body hashes; one canonical stream and digest serves all that want the
 * same. */
struct dkim_body *dkim_body_new(void);
/* The hash wanted; its number for dkim_body_hash(). */
size_t dkim_body_want(
    struct dkim_body *, enum dkim_canon, bool has_length, uint64_t length);
void dkim_body_push(struct dkim_body *, struct str);
void dkim_body_finish(struct dkim_body *);
/* 32 octets; *n_total: octets of the whole canonical body. */
const uint8_t *
dkim_body_hash(const struct dkim_body *, size_t i, uint64_t *n_total);
void dkim_body_free(struct dkim_body **);

struct evp_pkey_st; /* EVP_PKEY */
/*
 * RSA keys as OpenSSL has them: reading one, and what is prepared when it is
 * used first, takes half as long as checking a signature. Who verifies many
 * messages gives all of them the same; NULL will do.
 */
struct dkim_keys;
struct dkim_keys *dkim_keys_new(void);
void dkim_keys_free(struct dkim_keys **);
/* Check a signature over text. *bits is the key's size. */
enum dkim_status
dkim_check(struct dkim_keys *, enum dkim_algorithm, const struct dkim_key *,
    struct str text, struct str signature, unsigned *bits, const char **why);
/* Sign text. */
int dkim_make(struct arena *, struct evp_pkey_st *, struct str text,
    struct str *signature, struct err *);
/* What to sign with that key; -1: neither RSA of 1024 bits nor Ed25519. */
int dkim_key_algorithm(
    const struct evp_pkey_st *, enum dkim_algorithm *, struct err *);

/* --- verify --- */

struct dkim_options {
	int64_t now;
	/* RFC 6376, 6.1.1: d= may not be a public suffix; NULL: not checked */
	bool (*is_public_suffix)(void *arg, struct str domain);
	void *arg;
	struct dkim_keys *keys; /* borrowed, or NULL */
};

struct dkim_result {
	enum dkim_status status;
	const char *why;		     /* of all but pass */
	const struct dkim_sig *sig;	     /* never NULL */
	const struct dkim_key *key;	     /* NULL: none was found */
	const struct dns_question *question; /* NULL: nothing to ask */
	bool is_secure;			     /* the key's answer was */
	struct str insecure_at;		     /* dns_insecure_at() of it */
	bool is_weak;			     /* algorithm or key too small */
	unsigned bits;			     /* of the key; 0: not known */
	uint64_t n_unsigned;		     /* octets of the body beyond l= */
};

struct dkim_verify;
struct dkim_verify *dkim_verify_begin(
    struct arena *, struct str header, const struct dkim_options *);
/* The body in pieces, without the blank line before it. */
void dkim_verify_body(struct dkim_verify *, struct str);
/* One per signature from the top; final after dkim_verify_finish(). */
const struct dkim_result *
dkim_verify_results(const struct dkim_verify *, size_t *n, size_t *n_skipped);
void
dkim_verify_answer(struct dkim_verify *, size_t i, const struct dns_answer *);
/* What was not answered is DKIM_TEMPERROR. */
void dkim_verify_finish(struct dkim_verify *);
/* Before the arena goes. */
void dkim_verify_free(struct dkim_verify **);

/* --- sign --- */

struct dkim_signer {
	struct evp_pkey_st *key;
	struct str domain, selector;
	struct str auid; /* empty: none */
	enum dkim_canon header_canon, body_canon;
	const struct str *headers; /* NULL: dkim_default_headers */
	size_t n_headers;
	bool is_oversigning;   /* each once more than it is there */
	int64_t now, expire_s; /* x= is now + expire_s; 0: none */
};

extern const struct str dkim_default_headers[];
extern const size_t dkim_n_default_headers;

struct dkim_sign;
struct dkim_sign *dkim_sign_begin(
    struct arena *, struct str header, const struct dkim_signer *, size_t n);
void dkim_sign_body(struct dkim_sign *, struct str);
/* Whole DKIM-Signature fields, to be put before the header. Frees. */
int dkim_sign_finish(struct dkim_sign **, struct buf *out, struct err *);

/* "v=DKIM1; ..." for the key's TXT record */
int dkim_print_key(struct buf *, struct evp_pkey_st *, struct err *);

#endif
