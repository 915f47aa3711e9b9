/*
 * mailauth - what DNS says about a message and about who brings it: iprev
 * (RFC 8601, 2.7.3), SPF, DKIM, ARC, DMARC and DNS block lists (RFC 5782).
 *
 * The formats are pure; this asks their questions. All of a message go out
 * together and each method goes on as its answers come, so the whole takes as
 * long as the slowest one, at most limit_ms: what is not answered then is a
 * temperror. The body may be pushed while answers are under way.
 *
 *	m = mailauth_begin(arena, &setup, &client, header);
 *	mailauth_body(m, ..);
 *	r = mailauth_finish(m);
 *	mailauth_decide(r, &decision);
 *	mailauth_print(out, m, authserv_id);
 *	mailauth_free(&m);
 *
 * quire-check and `quire explain` are the same code here. Results live in the
 * arena; one of MAILAUTH_ARENA and six times the header is enough.
 */
#ifndef MAILAUTH_MAILAUTH_H
#define MAILAUTH_MAILAUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hooks.h"
#include "base/str.h"
#include "format/addr/addr.h"
#include "format/arc/arc.h"
#include "format/dkim/dkim.h"
#include "format/dmarc/dmarc.h"
#include "format/psl/psl.h"
#include "format/spf/spf.h"
#include "service/dns/dns.h"

#define MAILAUTH_ARENA	   (2 * SPF_ARENA_MAX + DKIM_ARENA + ARC_ARENA + (8 << 20))
#define MAILAUTH_MAX_DNSBL 8
#define MAILAUTH_LIMIT_MS  60000 /* of all questions, which go out together */

/* The same for all messages; borrowed. */
struct mailauth_setup {
	struct dns *dns;
	const struct psl *psl;
	struct dkim_keys *keys; /* or NULL */
	struct str hostname;	/* ours, for SPF's %{r} */
	const struct str *dnsbl;
	size_t n_dnsbl; /* at most MAILAUTH_MAX_DNSBL */
	unsigned limit_ms;
	bool wants_oldest_pass; /* see struct arc_options */
	bool is_tree_walk;	/* DMARC's organizations without the list */
	/* Or NULL. Event "mailauth", a line for each message; metrics
	 * mailauth_iprev, _spf, _dkim, _arc, _dmarc by result and
	 * mailauth_ms by "late" or "in time". */
	const struct hooks *hooks;
};

/* Who brings the message. The reverse path's domain in any form. */
struct mailauth_client {
	struct str remote; /* address as text */
	uint8_t ip[16];	   /* IPv4 in the first four */
	bool is_ipv6;
	struct str helo;
	struct addr_path reverse_path;
	int64_t now;
	unsigned draw; /* for DMARC's pct=: 0..99, even chances */
};
/* remote, ip and is_ipv6 from the text; IPv4-mapped is IPv4. */
bool mailauth_client_ip(struct mailauth_client *, struct str remote);

enum iprev_status {
	IPREV_PASS,
	IPREV_FAIL,	 /* no name of the address points back */
	IPREV_TEMPERROR, /* DNS gave no answer */
	IPREV_PERMERROR, /* the address has no name */
};
const char *iprev_status_name(enum iprev_status);

struct iprev_result {
	enum iprev_status status;
	struct str name; /* verified, or empty */
	bool is_secure;
	struct str insecure_at; /* dns_insecure_at(), of PTR first */
};

enum dnsbl_status {
	DNSBL_CLEAR,
	DNSBL_LISTED,
	DNSBL_TEMPERROR,
	/* lists everything or nothing (RFC 5782, 5), or answers us with an
	 * error: not used */
	DNSBL_SICK,
};
const char *dnsbl_status_name(enum dnsbl_status);

struct dnsbl_result {
	enum dnsbl_status status;
	struct str zone, reason; /* reason: the zone's TXT, or empty */
};

struct mailauth_result {
	struct iprev_result iprev;
	/* of MAIL FROM, or of HELO if the reverse path is null */
	const struct spf_result *spf;
	const struct spf_result *spf_helo; /* of HELO beside MAIL FROM, or
					    * NULL */
	const struct dkim_result *dkim;
	size_t n_dkim, n_dkim_skipped;
	const struct arc_result *arc; /* a signal, never a verdict */
	struct str from;   /* domain DMARC is about; empty: none to be told */
	struct str author; /* as mailauth_author() finds it */
	const struct dmarc_found *policy; /* NULL without from */
	struct dmarc_result dmarc;
	struct dnsbl_result dnsbl[MAILAUTH_MAX_DNSBL];
	size_t n_dnsbl;
	bool is_late; /* the limit came before all answers */
	unsigned n_questions;
	int64_t elapsed_ms;
};

struct mailauth;
/* The header block without the blank line; it must outlive the result. */
struct mailauth *mailauth_begin(struct arena *, const struct mailauth_setup *,
    const struct mailauth_client *, struct str header);
void mailauth_body(struct mailauth *, struct str);
const struct mailauth_result *mailauth_finish(struct mailauth *);
/* Authentication-Results (RFC 8601) and Received-SPF (RFC 7208, 9.1). */
void
mailauth_print(struct buf *, const struct mailauth *, struct str authserv_id);
void mailauth_free(struct mailauth **); /* before the arena goes */

/*
 * What becomes of a message by that alone, by the steps that need no history
 * of the recipient: the first that decides.
 */
struct mailauth_decision {
	int code; /* 250: nothing speaks against it */
	const char *enhanced, *text;
	const char *reason; /* a word, for log and X-Quire-Reason */
	bool is_trouble;    /* of DNS: it says nothing about the message */
};
void
mailauth_decide(const struct mailauth_result *, struct mailauth_decision *);

/* Does the domain in From stand for the message, by SPF or DKIM, whether it
 * has a policy or not? */
enum mailauth_alignment {
	MAILAUTH_ALIGNED,
	MAILAUTH_NOT_ALIGNED,
	MAILAUTH_UNKNOWN, /* another time it may */
};
enum mailauth_alignment mailauth_alignment(const struct mailauth_result *);
/* The one address of the one From field, in normal form without regard to
 * case; empty: there is none, or more than one. */
struct str mailauth_author(struct arena *, struct str header);

/* --- before there is a message --- */

/* May mail come with that reverse path: could an answer be delivered? The
 * domain has MX or an address, and does not refuse mail (RFC 7505). */
void mailauth_sender(struct arena *, const struct mailauth_setup *,
    const struct addr_path *, struct mailauth_decision *);
/* Is there such a host? Only a name that is not there is refused. */
void mailauth_helo(struct arena *, const struct mailauth_setup *,
    struct str helo, struct mailauth_decision *);
/* SPF of the envelope, as mailauth_finish() would find it. */
enum spf_verdict mailauth_spf(struct arena *, const struct mailauth_setup *,
    const struct mailauth_client *);

/* --- one at a time, for the command line --- */

void iprev_check(struct arena *, const struct mailauth_setup *,
    const struct mailauth_client *, struct iprev_result *);
void dnsbl_check(struct arena *, const struct mailauth_setup *,
    const struct mailauth_client *, struct str zone, struct dnsbl_result *);
/* What the zone says of 127.0.0.2, which it must list, and of 127.0.0.1, which
 * it must not (RFC 5782, 5). true: it is in order. */
bool dnsbl_health(struct arena *, const struct mailauth_setup *,
    struct str zone, enum dnsbl_status *yes, enum dnsbl_status *no);

#endif
