/*
 * xclient - what a trusted front says of its client: the arguments of the
 * SMTP command XCLIENT, as Postfix's XCLIENT_README has them.
 *
 *	XCLIENT 1*( SP attribute-name "=" attribute-value )
 *
 * Values are xtext (RFC 3461, 4). They are checked and, of addresses, written
 * as every printer writes them; values that old fronts send without encoding
 * are not read. Each attribute may be there once. Bounded by its line, names
 * by XCLIENT_MAX_NAME. Pure; strings live in the arena.
 */
#ifndef XCLIENT_H
#define XCLIENT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define XCLIENT_MAX_NAME 255

enum xclient_attribute {
	XCLIENT_NAME,	  /* verified name */
	XCLIENT_ADDR,	  /* IPv4, or "IPV6:" and IPv6; here without it */
	XCLIENT_PORT,	  /* decimal */
	XCLIENT_PROTO,	  /* "SMTP" or "ESMTP" */
	XCLIENT_HELO,	  /* what the client said */
	XCLIENT_LOGIN,	  /* SASL login name */
	XCLIENT_DESTADDR, /* where the client came to, as ADDR */
	XCLIENT_DESTPORT,
	XCLIENT_REVERSE_NAME, /* not verified */
	XCLIENT_ATTRIBUTES
};

enum xclient_state {
	XCLIENT_ABSENT,	     /* nothing is said of it */
	XCLIENT_GIVEN,	     /* text is it */
	XCLIENT_UNAVAILABLE, /* "[UNAVAILABLE]": there is none */
	XCLIENT_TEMPUNAVAIL, /* "[TEMPUNAVAIL]": it was not to be found out */
};

struct xclient {
	struct xclient_value {
		enum xclient_state state;
		struct str text;
	} v[XCLIENT_ATTRIBUTES];
};

const char *xclient_name(enum xclient_attribute);
/* What follows the verb. false: *why says what is wrong. */
bool xclient_parse(
    struct arena *, struct str arguments, struct xclient *, const char **why);
/* "ADDR=192.0.2.1 HELO=x", as it is read. */
void xclient_print(struct buf *, const struct xclient *);

#endif
