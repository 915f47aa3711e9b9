/*
 * What the files of mime share: the lexical rules of structured fields
 * (RFC 5322, 3.2), read leniently, and the fields of a part.
 */
#ifndef MIME_INT_H
#define MIME_INT_H

#include "base/cur.h"
#include "format/mime/mime.h"

/* White space, line ends and comments; *comment gets the inside of the last
 * one if there was any (NULL: not wanted). */
void mime_lex_cfws(struct cur *, struct str *comment);
/* At a '"': the contents without quotes, pairs and folding. The closing
 * quote may be missing. */
void mime_lex_quoted(struct cur *, struct buf *out);
bool mime_is_wsp(unsigned char);   /* SP HT CR LF */
bool mime_is_token(unsigned char); /* RFC 2045, 5.1, and UTF-8 */

/* NIL as an empty string, whose pointer may be calculated with. */
struct str mime_or_empty(struct str);

/* A line that begins a header field: its name's length, or 0. */
size_t mime_field_name(struct str line);

/* Unfolded copy. */
struct str mime_keep(struct arena *, struct str value);
struct str mime_keep_lower(struct arena *, struct str value);

/* *( ";" parameter ) up to the end, as written and decoded. */
void mime_params_parse(struct arena *, struct cur *, struct mime_params *raw,
    struct mime_params *decoded);
/* Take in one header field of the part; false if it is of no interest. */
bool mime_part_field(
    struct arena *, struct mime_part *, struct str name, struct str value);
/* After the last field: defaults. */
void mime_part_settle(struct arena *, struct mime_part *, bool in_digest);

#endif
