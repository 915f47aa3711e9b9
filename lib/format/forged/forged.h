/*
 * forged - header fields that only this server may write, taken out of mail
 * that comes in with them.
 *
 * What we put on top of a message is believed later: by mail readers that
 * trust Authentication-Results of our authserv-id (RFC 8601, 5), and by
 * ourselves. So these go: Authentication-Results with our authserv-id, or
 * with one that cannot be read; Return-Path (RFC 5321, 4.4) and Delivered-To,
 * which are the last server's to write; everything that begins with X-Quire-.
 * All else passes octet by octet, the body as well. A Delivered-To that names
 * the recipient at hand says that the message was here before, and so do
 * FORGED_MAX_HOPS Received fields of ours: a loop.
 *
 * A stream filter; memory is bounded by FORGED_MAX_FIELD. The header ends at
 * the first empty line, wherever a reader may think it does: lines that are
 * no fields pass. A field is known by its first line; only those whose value
 * matters are held back until their end. An Authentication-Results longer
 * than FORGED_MAX_FIELD goes, whoever it claims to be of.
 */
#ifndef FORGED_H
#define FORGED_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define FORGED_MAX_FIELD 65536
#define FORGED_MAX_HOPS	 10 /* forwarding there and back takes two or three */
#define FORGED_MAX_NAME	 64 /* octets of a line that tell which field it is */

enum forged_state {
	FORGED_START, /* of a line of the header */
	FORGED_PASS,  /* in a line that passes */
	FORGED_DROP,
	FORGED_HOLD,	  /* in a line of Authentication-Results */
	FORGED_DELIVERED, /* of Delivered-To */
	FORGED_RECEIVED,  /* of Received, which passes */
	FORGED_BODY,
};

/* What is ours; borrowed. Empty ones are nobody's. */
struct forged_names {
	struct str authserv_id;
	struct str hostname;  /* in "by" of our Received */
	struct str recipient; /* local@domain, as we write Delivered-To */
};

struct forged {
	struct forged_names names;
	enum forged_state state, field; /* field: what its last line was */
	struct buf line;		/* its beginning, until it is known */
	struct buf held; /* the field so far, if its value matters */
	unsigned n;	 /* fields taken out */
	unsigned n_hops; /* Received fields of ours */
	bool is_loop;	 /* it was here before */
};

void forged_init(struct forged *, const struct forged_names *);
void forged_release(struct forged *);
/* What passes is appended to out: at most in.n and what was held back. */
void forged_push(struct forged *, struct str in, struct buf *out);
/* The end of the message. */
void forged_finish(struct forged *, struct buf *out);

#endif
