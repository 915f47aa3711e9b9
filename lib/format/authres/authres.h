/*
 * authres - the Authentication-Results field (RFC 8601, which replaces
 * RFC 7601; method results there, 2.7).
 *
 * What comes in with our authserv-id is a forgery or a relic and has to go:
 * authres_claims(). Ours are printed by authres_print(), and read back for
 * reputation. Reading is lenient in values only: a pvalue is what stands
 * before white space, ";" or "(", so base64 without quotes is read whole.
 * Comments are passed over. ARC-Authentication-Results is the same behind its
 * "i=N;" (RFC 8617, 4.1.1).
 *
 * At most AUTHRES_MAX_METHODS methods with AUTHRES_MAX_PROPS properties each;
 * more are malformed. Comments nest at most AUTHRES_MAX_NESTING deep.
 */
#ifndef AUTHRES_H
#define AUTHRES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define AUTHRES_MAX_METHODS 64 /* ours: 10 DKIM and five more */
#define AUTHRES_MAX_PROPS   8  /* of a method; the registry has 4 */
#define AUTHRES_MAX_NESTING 32 /* as deep as a person may have meant it */

struct authres_prop {
	struct str ptype, property, value; /* "header", "d", "example.com" */
};

struct authres_method {
	struct str method;  /* "dkim" */
	struct str result;  /* "pass" */
	struct str reason;  /* or empty */
	struct str comment; /* to print after the result, or empty */
	struct authres_prop props[AUTHRES_MAX_PROPS];
	size_t n_props;
};

struct authres {
	struct str authserv_id;
	struct authres_method *v; /* none: "none" */
	size_t n;
};

/* The value behind the field's name. false: malformed, see *why. */
bool authres_parse(
    struct arena *, struct str value, struct authres *, const char **why);
/* Does the field claim to be of that authserv-id, or cannot that be told? */
bool authres_claims(struct str value, struct str authserv_id);
/* p == NULL: it is not there. */
struct str authres_prop(
    const struct authres_method *, struct str ptype, struct str property);
/* What stands behind the field's name and a space, without line end. */
void authres_print(struct buf *, const struct authres *);

#endif
