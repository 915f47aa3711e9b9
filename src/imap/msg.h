/*
 * msg - one message while a command looks at it: its file, header and tree
 * are opened, read and parsed when first asked for, and shared by the items
 * of a FETCH or the keys of a SEARCH.
 *
 * Memory: the header up to MSG_MAX_HEADER, the tree in the session's message
 * arena; bodies pass through a buffer of MSG_CHUNK.
 */
#ifndef IMAP_MSG_H
#define IMAP_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "format/mime/mime.h"
#include "imap.h"
#include "parsed.h"

#define MSG_CHUNK      (32 * 1024)
#define MSG_MAX_HEADER (1024 * 1024) /* what a longer one has is its body */

struct msg {
	struct session *s;
	struct message m;
	uint32_t seq;
	struct msgfile *file;
	uint64_t size;	   /* with file */
	struct buf header; /* with has_header: with its blank line */
	bool has_header;
	struct parsed parsed;
	const struct mime_part *root; /* of the whole message */
	struct err err;
};

/* A part of the message, in octets as they are sent. */
struct span {
	uint64_t at, n;
};

void msg_init(struct msg *, struct session *);
void msg_release(struct msg *);
/* Begin with another message; cheap. */
void msg_set(struct msg *, uint32_t seq);
/* These return -1 with msg->err set. */
int msg_open(struct msg *);
int msg_header(struct msg *);
int msg_tree(struct msg *);
/* Octets of a span through fn, in chunks; stops when fn returns false. */
typedef bool msg_sink(void *arg, struct str);
int msg_read(struct msg *, struct span, msg_sink *, void *arg);

/* The octets a section names. 1: found, 0: there is none, -1: msg->err. */
int msg_section(struct msg *, const struct imap_section *, struct span *,
    const struct mime_part **part);

/* preview.c: RFC 8970, at most 200 characters of text. */
int msg_preview(struct msg *, struct buf *out);

#endif
