/*
 * addr - mailbox addresses as SMTP writes them (RFC 5321, 4.1.2; UTF-8 by
 * RFC 6531, 3.3).
 *
 * An addr holds its local part without quotes, so "" and "a b" are ordinary
 * values, and so are "%" and "@" inside: they mean nothing here. Results of
 * parsing live in the arena given. Two addresses are the same mailbox if
 * their normal forms are (addr_normalize()).
 *
 * Octets are bounded by ADDR_MAX_LOCAL and ADDR_MAX_DOMAIN.
 */
#ifndef ADDR_H
#define ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cur.h"
#include "base/str.h"

/* RFC 5321, 4.5.3.1.1, says 64; VERP and SRS senders have more */
#define ADDR_MAX_LOCAL	256
#define ADDR_MAX_DOMAIN 255 /* RFC 5321, 4.5.3.1.2 */
#define ADDR_MAX_LABEL	63  /* RFC 1035, 2.3.4 */

enum addr_domain_kind {
	ADDR_NAME,
	ADDR_IPV4, /* "[192.0.2.1]" */
	ADDR_IPV6, /* "[IPv6:2001:db8::1]" */
};

struct addr {
	struct str local;  /* unquoted */
	struct str domain; /* name, or address literal with its brackets */
	enum addr_domain_kind kind;
	uint8_t ip[16]; /* of a literal; IPv4 in the first four */
};

enum addr_flags {
	ADDR_UTF8 = 1 << 0, /* UTF-8 and U-labels are allowed */
};

/* Mailbox = Local-part "@" ( Domain / address-literal ) */
bool addr_parse(struct arena *, struct cur *, unsigned flags, struct addr *);
/* The same of a whole string. */
bool addr_from_str(struct arena *, struct str, unsigned flags, struct addr *);
/* Local part quoted where it needs to be; parse(print(x)) is x. */
void addr_print(struct buf *, const struct addr *);
void addr_print_local(struct buf *, struct str local);
bool addr_is_ascii(const struct addr *);

/* "<" [ route ":" ] Mailbox ">", "<>" and "<Postmaster>" (RFC 5321, 4.1.2) */
enum addr_path_kind {
	ADDR_PATH,
	ADDR_PATH_NULL,	      /* "<>" */
	ADDR_PATH_POSTMASTER, /* no domain; any case; addr.local has it */
};

struct addr_path {
	enum addr_path_kind kind;
	struct str route; /* "@a,@b", to be ignored (RFC 5321, appendix C) */
	struct addr addr;
};

bool addr_parse_path(
    struct arena *, struct cur *, unsigned flags, struct addr_path *);
void addr_print_path(struct buf *, const struct addr_path *); /* no route */

/* Domain = sub-domain *("." sub-domain); *out is a view. */
bool addr_parse_domain(struct cur *, unsigned flags, struct str *out);
/* address-literal, brackets included; fills all but local. */
bool addr_parse_literal(struct cur *, struct addr *);

/*
 * Names of domains: lower case U-labels (for people and comparison) and
 * A-labels (for DNS). IDNA2008, hostname characters only. false if the name
 * is not a valid one, or longer than DNS can carry; out then has nothing.
 */
bool addr_domain_unicode(struct buf *out, struct str name);
bool addr_domain_ascii(struct buf *out, struct str name);

/*
 * Normal form: local part in NFC (and, with fold_case, case folded), domain
 * in lower case U-labels. false if the domain is not valid.
 */
bool addr_normalize(
    struct arena *, const struct addr *, bool fold_case, struct addr *out);
/* UTF-8 in, NFC out; what is not UTF-8 is left as it is. */
struct str addr_normalize_local(struct arena *, struct str, bool fold_case);
/* What stands before the first of the separators, e.g. "me" of "me+list".
 * Without one, or if nothing stood before it: all. */
struct str addr_base_local(struct str local, struct str separators);

#endif
