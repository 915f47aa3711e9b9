/*
 * dmarc - Domain-based Message Authentication, Reporting and Conformance
 * (RFC 7489), and as an option its successor's way to find an organization,
 * the tree walk (RFC 9989, 4.10).
 *
 * Pure: the policy is found by at most two questions, then dmarc_evaluate()
 * brings it together with what SPF and DKIM found. The public suffix list is
 * the caller's, as a function.
 *
 * The tree walk needs no list but more questions: DMARC_MAX_WALK for From, at
 * most as many less one for each identifier below From's organization, and
 * three for np=. With it t= counts and pct= does not.
 *
 *	d = dmarc_begin(arena, &options);
 *	while ((q = dmarc_question(d)) != NULL)
 *		dmarc_answer(d, look_up(q));
 *	dmarc_evaluate(d, &input, &result);
 *
 * Reading of records is lenient as RFC 7489, 6.3, asks: tags that are unknown
 * or malformed count as absent; of a tag given twice the first one counts.
 */
#ifndef DMARC_H
#define DMARC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/dkim/dkim.h"
#include "format/dnsmsg/dnsmsg.h"
#include "format/spf/spf.h"

#define DMARC_MAX_URIS 10 /* of a tag; RFC 7489, 6.2, asks for two */
#define DMARC_MAX_WALK 8  /* questions, RFC 9989, 4.10 */
#define DMARC_MAX_IDENTIFIERS                          \
	16 /* SPF's, and of more signatures than count \
	    */

enum dmarc_policy {
	DMARC_POLICY_NONE,
	DMARC_QUARANTINE,
	DMARC_REJECT,
};

enum dmarc_failures {		/* fo=, RFC 7489, 6.3 */
	DMARC_FO_ALL = 1 << 0,	/* "0" */
	DMARC_FO_ANY = 1 << 1,	/* "1" */
	DMARC_FO_DKIM = 1 << 2, /* "d" */
	DMARC_FO_SPF = 1 << 3,	/* "s" */
};

enum dmarc_psd { /* psd=, RFC 9989, 4.7: is it a public suffix? */
	DMARC_PSD_UNKNOWN,
	DMARC_PSD_YES,
	DMARC_PSD_NO,
};

struct dmarc_uri {
	struct str uri;
	uint64_t max_octets; /* of a report; 0: any */
};

struct dmarc_uris {
	struct dmarc_uri v[DMARC_MAX_URIS];
	size_t n;
};

struct dmarc_record {
	enum dmarc_policy p, sp; /* sp is p where it is not given */
	bool has_sp;
	bool is_strict_dkim, is_strict_spf; /* adkim=s, aspf=s */
	unsigned pct;			    /* 0..100 */
	uint32_t ri;			    /* seconds */
	unsigned fo;
	struct dmarc_uris rua, ruf;
	/* RFC 9989, 4.7: np= for names that do not exist, sp where it is not
	 * given; t=y */
	bool has_np, is_test;
	enum dmarc_policy np;
	enum dmarc_psd psd;
};

/* Does the text start with "v=DMARC1"? Others are none of ours. */
bool dmarc_is_record(struct str text);
/* false: not to be used, *why says for what. The URIs point into the text. */
bool
dmarc_record_parse(struct str text, struct dmarc_record *, const char **why);
void dmarc_record_print(struct buf *, const struct dmarc_record *);
const char *dmarc_policy_name(enum dmarc_policy);

/* --- the policy of a From domain --- */

enum dmarc_status { /* RFC 7489, 11.2 */
	DMARC_NONE, /* no policy */
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR,
	DMARC_PERMERROR, /* records that cannot be used */
};
const char *dmarc_status_name(enum dmarc_status);

/* Append the organizational domain; false: there is none. */
typedef bool dmarc_org_fn(const void *arg, struct str name, struct buf *out);

struct dmarc_options {
	struct str from; /* the domain of the From field, A-labels */
	dmarc_org_fn *org;
	const void *arg;
	/* Then org is not asked. The domains that dmarc_input may have must be
	 * known beforehand; beyond DMARC_MAX_IDENTIFIERS they count only if
	 * they are From's own. Borrowed. */
	bool is_tree_walk;
	const struct str *identifiers;
	size_t n_identifiers;
};

struct dmarc_found {
	enum dmarc_status status; /* DMARC_PASS: there is a record */
	const char *why;
	struct dmarc_record record;
	struct str domain;	/* it is of: From's, or the organization's */
	struct str org;		/* From's organizational domain; may be empty */
	bool is_org;		/* it is not of From's domain itself */
	bool is_absent;		/* From's domain does not exist: np= */
	bool is_secure;		/* every answer was */
	struct str insecure_at; /* dns_insecure_at() of the last that has it */
};

struct dmarc;
struct dmarc *dmarc_begin(struct arena *, const struct dmarc_options *);
const struct dns_question *dmarc_question(const struct dmarc *); /* or NULL */
void dmarc_answer(struct dmarc *, const struct dns_answer *);
const struct dmarc_found *dmarc_found(const struct dmarc *);

/* --- evaluation --- */

struct dmarc_dkim {
	struct str domain; /* d= */
	enum dkim_status status;
};

struct dmarc_input {
	struct str spf_domain; /* MAIL FROM's, or HELO's of a null path */
	enum spf_verdict spf;
	const struct dmarc_dkim *dkim;
	size_t n_dkim;
	unsigned draw; /* for pct=: 0..99, even chances */
};

struct dmarc_result {
	enum dmarc_status status;
	/* passed and aligned: as the record asks, else relaxed */
	bool spf_aligned, dkim_aligned;
	bool is_temporary;	  /* what is aligned may pass another time */
	size_t dkim;		  /* which signature, if one */
	enum dmarc_policy policy; /* published for this domain */
	/* what the owner asks for with this message: the policy of a fail,
	 * weakened if pct= leaves the message out (RFC 7489, 6.6.4), or by
	 * t=y (RFC 9989, 4.7) */
	enum dmarc_policy disposition;
	bool is_sampled_out;
};

void dmarc_evaluate(
    const struct dmarc *, const struct dmarc_input *, struct dmarc_result *);

/*
 * The one domain of a header's author: one From field, all of whose addresses
 * have the same domain. false otherwise: RFC 7489, 6.6.1, leaves such mail to
 * local policy.
 */
bool dmarc_from_domain(struct arena *, struct str header, struct str *domain);

#endif
