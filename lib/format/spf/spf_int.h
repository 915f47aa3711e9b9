/* what the files of spf share */
#ifndef SPF_INT_H
#define SPF_INT_H

#include "base/cur.h"
#include "format/spf/spf.h"

enum spf_mech {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
};

struct spf_cidr {
	uint64_t v4, v6; /* prefix lengths */
};

struct spf_term {
	struct str text; /* as written */
	char qualifier;
	enum spf_mech mech;
	struct str domain; /* domain-spec, not expanded; p == NULL: none */
	struct spf_cidr cidr;
	uint8_t ip[16];
};

struct spf_record {
	struct spf_term *terms;
	size_t n;
	struct str redirect, exp; /* p == NULL: not there */
	const char *why;	  /* it is malformed; NULL: it is not */
};

/* An answer that is known, and the record in it if it was asked for one. */
struct spf_known {
	struct spf_known *next;
	struct dns_question question;
	const struct dns_answer *answer;
	struct spf_record *record;
};

struct spf {
	struct arena *arena;
	struct spf_client client;
	struct str sender; /* local@domain, RFC 7208, 4.1 */
	struct spf_known *known;
	struct dns_question question;
	bool is_asking; /* this run needs the question answered */
	bool has_counted_p;
	struct str exp, exp_domain; /* of the directive that failed */
	struct spf_result result;
};

/* spf_record.c */
void spf_record_parse(struct arena *, struct str text, struct spf_record *);
bool spf_is_record(struct str text);

/* spf_macro.c */

/* One piece of a macro-string (RFC 7208, 7.1). */
struct spf_piece {
	struct str literal; /* or, if n == 0, a macro: */
	char letter;	    /* lower case */
	bool is_upper;	    /* to be URL-escaped */
	unsigned digits;    /* 0: all parts */
	bool is_reversed;
	struct str delimiters;
};

/* The next piece; false at the end or with the cursor failed. */
bool spf_piece_next(struct cur *, bool is_exp, struct spf_piece *);
bool spf_macro_valid(struct str, bool is_exp);
/* domain-spec expanded to a name; false: DNS is needed first. */
bool spf_expand_domain(
    struct spf *, struct str spec, struct str domain, struct str *out);
/* explain-string; empty if it is malformed. */
bool spf_expand_text(
    struct spf *, struct str text, struct str domain, struct str *out);

/* spf_mech.c */

enum spf_match {
	SPF_NO_MATCH,
	SPF_MATCH,
	SPF_MATCH_NEED_DNS,
	SPF_MATCH_TEMPERROR,
	SPF_MATCH_PERMERROR,
};
/* Counts what it looks up; the reason of an error is in the result. */
enum spf_match
spf_match_term(struct spf *, const struct spf_term *, struct str domain);
struct spf_names {
	struct str v[SPF_MAX_ADDRESSES];
	size_t n;
};
/* The client's validated names (RFC 7208, 5.5); false: DNS is needed. */
bool spf_validated_names(struct spf *, bool is_counted, struct spf_names *);

/* spf.c */

/* RFC 7208, 4; is_sub: below an include, whose mechanism and explanation do
 * not count. Recursion is bounded by SPF_MAX_LOOKUPS. */
enum spf_verdict spf_check_host(struct spf *, struct str domain, bool is_sub);

/* What DNS says; NULL: it has to be asked, is_asking is set. */
const struct dns_answer *
spf_look_up(struct spf *, enum dns_type, struct str name);
struct str spf_ip_text(struct arena *, const struct spf_client *);

#endif
