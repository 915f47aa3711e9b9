/*
 * parsed - what is known of a message without reading it again: the header
 * fields that clients list, BODYSTRUCTURE and BODY as they are printed, the
 * preview, and where each part lies. Taken from the mailbox's cache or found
 * out by reading, and then put there.
 *
 * Belongs to a struct msg and lives in its arena: until the next msg_set().
 */
#ifndef IMAP_PARSED_H
#define IMAP_PARSED_H

#include <stdbool.h>

#include "base/str.h"
#include "format/mime/mime.h"

struct parsed {
	bool was_asked; /* the cache */
	/* p NULL: not known (yet) */
	struct str fields; /* with the blank line */
	struct str structure, body;
	struct str preview;
	const struct mime_part *parts; /* a tree of places and encodings */
	bool has_tree;		       /* the last three are what they can be */
};

struct msg;
/* These return -1 with msg->err set; afterwards the members are known. */
int parsed_fields(struct msg *);
int parsed_tree(struct msg *); /* structure and body may still have p NULL */
int parsed_parts(struct msg *);
/* Is this field among the ones that are kept? */
bool parsed_has_field(struct str name);

#endif
