/*
 * What the two files of FETCH share.
 */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "msg.h"

/* One item that needs the message: BODY[..], BINARY, BINARY.SIZE. 0, or -1
 * with msg->err set: then nothing of it was printed, unless the session is
 * over. *code: a response code for the tagged answer, or NULL. */
int fetch_section(struct msg *, const struct imap_fetch_item *);
int
fetch_binary(struct msg *, const struct imap_fetch_item *, const char **code);

/* Answered from the fields that are kept (parsed.h). */
bool section_is_kept(const struct imap_section *);

#endif
