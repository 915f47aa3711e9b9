/*
 * print - what an IMAP server says (RFC 9051, 7 and 9).
 *
 * All append to a buf. `is_utf8` is true after ENABLE IMAP4rev2 or
 * UTF8=ACCEPT: then quoted strings may hold UTF-8 and mailbox names are
 * UTF-8; else names are modified UTF-7 and 8-bit text goes into literals.
 * A NUL, which no IMAP string may hold, is printed as a space.
 */
#ifndef IMAP_PRINT_H
#define IMAP_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "format/imap/command.h"
#include "format/mime/mime.h"

/* string = quoted / literal: quoted where it can be */
void imap_print_string(struct buf *, struct str, bool is_utf8);
/* the same, p == NULL is NIL */
void imap_print_nstring(struct buf *, struct str, bool is_utf8);
/* an atom where it can be (and is not "NIL") */
void imap_print_astring(struct buf *, struct str, bool is_utf8);
void imap_print_mailbox(struct buf *, struct str utf8, bool is_utf8);
/* resp-text: control characters become spaces; 8-bit "?" without is_utf8;
 * cut at IMAP_MAX_TEXT_OUT */
#define IMAP_MAX_TEXT_OUT 400
void imap_print_text(struct buf *, struct str, bool is_utf8);

/* "\Seen \Deleted": the names of system flags, no parentheses */
void imap_print_system_flags(struct buf *, unsigned flags);
/* "BODY[1.HEADER.FIELDS (FROM)]<0>", the name of an item in its answer */
void
imap_print_section(struct buf *, const struct imap_fetch_item *, bool is_utf8);
/* objectid (RFC 8474, 7): a letter and 32 hex digits */
void imap_print_objectid(struct buf *, char prefix, const uint8_t id[16]);
/* " 1-Jan-1970 00:00:00 +0000" in quotes */
void imap_print_date_time(struct buf *, int64_t seconds, int zone_min);

/* envelope, and body with or without extension data (RFC 9051, 7.5.2) */
void
imap_print_envelope(struct buf *, const struct mime_envelope *, bool is_utf8);
void imap_print_body(
    struct buf *, const struct mime_part *, bool is_extended, bool is_utf8);

#endif
