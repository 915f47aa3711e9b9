/*
 * dnsmsg - DNS messages (RFC 1035; EDNS0, RFC 6891; RFC 2308, 3597, 8914).
 *
 * Also the meeting place of those who need DNS and those who have it: a pure
 * module (spf, dkim, dmarc, arc) gives out a struct dns_question and is given
 * a struct dns_answer.
 *
 * Names are in presentation form without the last dot, the root is ".": a dot
 * or backslash inside a label is "\." or "\\", other than printable ASCII
 * "\DDD". They keep their case and are compared without it.
 *
 * Parsed results live in the arena given and never point into the message.
 * A message is refused as a whole if anything in it is out of form: a length
 * that lies, a compression pointer that does not point backwards (so there
 * are no loops), more records than DNSMSG_MAX_RECORDS. Types without decoder
 * here are passed over. Work is linear but for names: each is at most 255
 * octets, whatever its pointers. An arena of DNSMSG_ARENA_MAX holds any
 * message with its result and a copy of that; usual ones take some hundreds
 * of octets.
 */
#ifndef DNSMSG_H
#define DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define DNS_MAX_NAME	   255	/* octets on the wire, RFC 1035, 2.3.4 */
#define DNS_MAX_LABEL	   63	/* RFC 1035, 2.3.4 */
#define DNS_UDP_SIZE	   1232 /* fits an IPv6 minimum MTU packet */
#define DNSMSG_MAX_RECORDS 1000 /* a 64 KiB message of addresses has 4000 */
/* three names a record, four characters an octet */
#define DNSMSG_ARENA_MAX (8 << 20)
#define DNSMSG_MAX_CHAIN 12 /* CNAMEs followed; resolvers stop at 8..16 */

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_TLSA = 52,
	DNS_CAA = 257,
};

enum dns_rcode { /* RFC 1035, 4.1.1 */
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NAMEERROR = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_question {
	enum dns_type type;
	struct str name;
};

struct dns_record {
	struct str owner;
	enum dns_type type;
	uint32_t ttl;
	union {
		uint8_t ip[16];	 /* A: the first four; AAAA */
		struct str name; /* NS, CNAME, PTR */
		struct str text; /* TXT: its strings joined, RFC 7208, 3.3 */
		struct {
			uint16_t preference;
			struct str exchange;
		} mx;
		struct {
			uint16_t priority, weight, port;
			struct str target;
		} srv;
		struct {
			uint8_t usage, selector, matching;
			struct str data; /* octets */
		} tlsa;
		struct {
			uint8_t flags;
			struct str tag, value;
		} caa;
		struct {
			struct str mname, rname;
			uint32_t serial, refresh, retry, expire, minimum;
		} soa;
	};
};

enum dns_status {
	DNS_OK,	      /* records, at least one */
	DNS_NODATA,   /* the name is there, the type is not */
	DNS_NXDOMAIN, /* no such name */
	DNS_TEMPFAIL, /* no answer, or none to be used: try later */
	DNS_BOGUS,    /* DNSSEC says forged or broken; temporary as well */
};

struct dns_answer {
	enum dns_status status;
	bool is_secure;	      /* validated by a resolver that is trusted: the
			       * records, or the denial */
	struct dns_record *v; /* of the type asked for */
	size_t n;
	struct dns_record *chain; /* the CNAMEs that led to them */
	size_t n_chain;
	/* of the chain, from its beginning: all if is_secure, else as far as
	 * somebody found out (service/dns does) */
	size_t n_secure;
	uint32_t ttl; /* how long the answer holds, denial included */
	int ede;      /* extended error (RFC 8914), or -1 */
	struct str ede_text;
};

bool dns_is_void(const struct dns_answer *); /* NODATA or NXDOMAIN */
bool dns_failed(const struct dns_answer *);  /* TEMPFAIL or BOGUS */
/* The name with which authenticity ends on the way from the name asked for;
 * empty: nothing on it is authentic, or all is. */
struct str dns_insecure_at(const struct dns_answer *);
/* The octets that its records and their text take. */
size_t dns_answer_size(const struct dns_answer *);
/* A copy that shares nothing with the original. */
struct dns_answer *dns_answer_copy(struct arena *, const struct dns_answer *);
const char *dns_status_name(enum dns_status);	 /* "ok" .. */
const char *dns_type_name(enum dns_type);	 /* "A" .., or "?" */
bool dns_type_from(struct str, enum dns_type *); /* any case */

/* --- names --- */

/* Append the wire form; false, nothing added, if it is not a name. */
bool dns_name_to_wire(struct buf *, struct str name);
bool dns_name_valid(struct str name);
bool dns_name_eq(struct str, struct str); /* a last dot does not matter */
/* Is `name` the same as `parent` or below it? Label by label. */
bool dns_name_within(struct str name, struct str parent);
unsigned dns_name_labels(struct str name); /* 0 of "" and "." */
/* Its last n labels; all of it if it has no more. */
struct str dns_name_last(struct str name, unsigned n);
/* The name to ask for PTR: "4.3.2.1.in-addr.arpa", "...ip6.arpa". */
struct str dns_name_reverse(struct arena *, const uint8_t *ip, bool is_ipv6);

/* --- messages --- */

enum dnsmsg_flags {
	DNSMSG_DO = 1 << 0, /* DNSSEC OK: signatures too; EDE without is fine */
};

/*
 * A query: RD and AD set (RFC 6840, 5.7), one question, and last an OPT of
 * exactly 11 octets without options, which c-ares may cut off and send again.
 * false if the name is not one.
 */
bool dnsmsg_query(
    struct buf *, uint16_t id, const struct dns_question *, unsigned flags);

struct dnsmsg {
	uint16_t id;
	bool is_response;  /* QR */
	bool is_truncated; /* TC */
	bool is_authentic; /* AD */
	uint16_t rcode;	   /* with the upper bits of OPT */
	bool has_question; /* exactly one, class IN */
	struct dns_question question;
	struct dns_record *answer, *authority; /* class IN, decoded types */
	size_t n_answer, n_authority;
	bool has_opt;
	uint16_t udp_size;
	int ede; /* the first one; -1: none */
	struct str ede_text;
};

/* false: refused, and *why (if given) says for what. */
bool dnsmsg_parse(
    struct arena *, struct str wire, struct dnsmsg *, const char **why);
/* Is it the response to that question? */
bool
dnsmsg_answers(const struct dnsmsg *, uint16_t id, const struct dns_question *);
/*
 * What a response says to a question, CNAMEs in it followed. With trust_ad,
 * AD makes the answer secure, the whole chain with it, and the failure of a
 * validation bogus. Without AD it cannot be told from this response how far
 * the chain is secure: that needs a question for each CNAME (RFC 7672,
 * 2.1.3). TC is the caller's to see first.
 */
void dnsmsg_result(struct arena *, const struct dnsmsg *,
    const struct dns_question *, bool trust_ad, struct dns_answer *);

#endif
