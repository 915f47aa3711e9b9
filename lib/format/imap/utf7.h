/*
 * utf7 - the mailbox names of IMAP4rev1: modified UTF-7 (RFC 3501, 5.1.3).
 */
#ifndef IMAP_UTF7_H
#define IMAP_UTF7_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* From valid UTF-8; bytes that are not become U+FFFD. */
void imap_utf7_encode(struct buf *, struct str utf8);
/* Strict: no 8-bit, no encoded printable ASCII, no spare bits, no shift that
 * directly follows a shift. What was appended on false is to be dropped. */
bool imap_utf7_decode(struct buf *, struct str);

#endif
