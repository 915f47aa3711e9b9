/*
 * chars - the character classes of RFC 9051, 9, one table look-up each.
 */
#ifndef IMAP_CHARS_H
#define IMAP_CHARS_H

#include <stdbool.h>

/* ATOM-CHAR: any CHAR but ( ) { SP CTL % * " \ ] */
bool imap_is_atom(unsigned char);
/* ASTRING-CHAR: ATOM-CHAR / "]" */
bool imap_is_astring(unsigned char);
/* tag: ASTRING-CHAR except "+" */
bool imap_is_tag(unsigned char);
/* list-char: ATOM-CHAR / "%" / "*" / "]" */
bool imap_is_list(unsigned char);
/* TEXT-CHAR except quoted-specials; with UTF-8 octets */
bool imap_is_quotable(unsigned char);

#endif
