/*
 * mime - the structure of a message: RFC 5322, 2045-2047, 2183, 2231, 6532.
 *
 * Pure: bytes in, structs out. Four parts share this header:
 *   parser    push the message, get a tree of parts with offsets
 *   header    walk a header block, select fields, unfold, addresses, dates
 *   words     RFC 2047 words and charsets to UTF-8
 *   decoders  transfer encodings and text as streams
 *
 * Everything is read and nothing is refused: a message that is not MIME is
 * one text/plain part. Lines end in CRLF or LF. Leniency, as in other IMAP
 * servers: a header ends at its blank line and lines in it that are no
 * fields are passed over, but a part whose first line is no field has no
 * header; a header that a boundary cuts off; a multipart without closing
 * boundary; a boundary that repeats an outer one (the inner wins); text after
 * a boundary (RFC 2046, 5.1.1: comparing the beginning is enough; of several
 * that match the longest counts).
 *
 * What a printer of IMAP structures may rely on: a multipart has a child (an
 * empty text/plain one if the message has none), a message/rfc822 or
 * message/global has exactly one, with an envelope. Beyond a bound such a
 * part becomes application/octet-stream. Strings may hold any octet.
 *
 * Work is linear in the input. Depth, parts, kept bytes are bounded; past a
 * bound the rest is still counted as body of the part it stands in.
 *
 * A struct str with p == NULL is "not there" (NIL in IMAP), with n == 0 and
 * p != NULL there and empty. Results live in the arena given and never
 * point into the input, unless said so.
 */
#ifndef MIME_H
#define MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define MIME_MAX_DEPTH	  100	     /* nested multiparts and messages */
#define MIME_MAX_PARTS	  10000	     /* per message; mail has a few */
#define MIME_MAX_FIELD	  65536	     /* octets kept of one header field */
#define MIME_MAX_KEPT	  4194304    /* octets kept of all fields */
#define MIME_MAX_ADDRS	  10000	     /* addresses kept of one field */
#define MIME_MAX_PARAMS	  200	     /* parameters kept of one field */
#define MIME_ARENA_MAX	  (16 << 20) /* what a parse takes at most */
#define MIME_MAX_BOUNDARY 256	     /* RFC 2046 says 70; longer ones exist */

/* --- addresses (RFC 5322, 3.4; IMAP's view, RFC 9051, 7.5.2) --- */

enum mime_addr_kind {
	MIME_ADDR,	  /* one mailbox */
	MIME_GROUP_BEGIN, /* mailbox is the group's name; host is NIL */
	MIME_GROUP_END,	  /* everything is NIL */
};

struct mime_addr {
	enum mime_addr_kind kind;
	struct str name;    /* display name, unquoted, words not decoded */
	struct str adl;	    /* obsolete route "@a,@b" */
	struct str mailbox; /* local part, unquoted; "" if none was found */
	struct str host;    /* domain or "[literal]"; "" if none was found */
};

struct mime_addrs {
	struct mime_addr *v;
	size_t n;
};

/* Never fails: junk becomes the best guess or is passed over. */
void mime_addrs_parse(struct arena *, struct str raw, struct mime_addrs *);
/* name <mailbox@host>, quoted where needed, comma-separated. */
void mime_addrs_print(struct buf *, const struct mime_addrs *);

/* --- the tree --- */

struct mime_param {
	struct str name; /* lower case */
	struct str value;
};

struct mime_params {
	struct mime_param *v;
	size_t n;
};

/* Fields as written but unfolded: encoded words are left as they are. */
struct mime_envelope {
	struct str date, subject, in_reply_to, message_id;
	struct mime_addrs from, sender, reply_to, to, cc, bcc;
	/* sender and reply_to are copies of from when absent (RFC 9051,
	 * 7.5.2); these say what the message itself has */
	bool has_sender, has_reply_to;
};

enum mime_encoding {
	MIME_ENC_NONE, /* 7bit, 8bit, binary or no field */
	MIME_ENC_QP,
	MIME_ENC_BASE64,
	MIME_ENC_UNKNOWN,
};

struct mime_part {
	struct mime_part *parent, *child, *next; /* child is the first one */
	uint32_t number; /* 1.. among its siblings; 1 for a message */
	/* Octets from the start of the message, line ends counted as CRLF.
	 * The header includes its blank line; the body ends before the CRLF
	 * that belongs to the next boundary. */
	uint64_t header_at, header_n, body_at, body_n;
	uint32_t body_lines; /* line ends in the body */

	struct str type, subtype;      /* lower case, never NIL */
	struct mime_params params;     /* RFC 2231 joined, UTF-8 */
	struct mime_params raw_params; /* as written, unquoted: IMAP's */
	struct str id, description, md5, location; /* NIL if absent */
	struct str encoding_name; /* lower case; NIL if absent ("7bit") */
	enum mime_encoding encoding;
	struct str disposition; /* lower case; NIL if absent */
	struct mime_params disposition_params, raw_disposition_params;
	struct str *languages; /* Content-Language, n_languages of them */
	size_t n_languages;

	bool is_multipart;
	/* message/rfc822 or message/global: child is the message inside, its
	 * header_at is our body_at */
	bool is_message;
	/* of the root and of a message inside: its envelope; else NULL */
	struct mime_envelope *envelope;
};

/* --- parser --- */

enum mime_parser_flags {
	/* The input has bare LF line ends (a Maildir file) and offsets are
	 * wanted for the CRLF form: an LF without CR counts as two octets.
	 * Without this flag every octet counts as one. */
	MIME_LF = 1 << 0,
	MIME_NO_ENVELOPE = 1 << 1, /* all envelopes are NULL */
};

struct mime_parser;
struct mime_parser *mime_parser_new(struct arena *, unsigned flags);
void mime_parser_push(struct mime_parser *, struct str);
/* The root part; valid as long as the arena. Frees the parser (NULLs p). */
struct mime_part *mime_parser_finish(struct mime_parser **p);
/* Stop early, e.g. when reading the file failed. */
void mime_parser_free(struct mime_parser **);
/* Whole message in memory. */
struct mime_part *mime_parse(struct arena *, struct str, unsigned flags);

/*
 * The part an IMAP section path names (RFC 9051, 6.4.5.1): of {2,1} the
 * first part of the second one. Part 1 of what is not a multipart is that
 * part itself. NULL if there is none. An empty path gives root.
 */
const struct mime_part *
mime_part_find(const struct mime_part *root, const uint32_t *path, size_t n);
/* The next part in depth-first order, NULL after the last one. */
const struct mime_part *mime_part_walk(const struct mime_part *);
/* NIL if there is none. The name in lower case. */
struct str mime_param_get(const struct mime_params *, struct str name);
bool mime_part_is(const struct mime_part *, struct str type,
    struct str subtype); /* an empty subtype matches all */

/* --- header blocks; results point into the block --- */

struct mime_field {
	struct str name;
	struct str value; /* after the colon, folding and spaces kept */
	struct str whole; /* name, colon, value and line end */
};

/*
 * Take the next field off the block. false at the blank line, at the end, or
 * at a line that is no field; the block then starts there.
 */
bool mime_field_next(struct str *block, struct mime_field *);
/* The first one of that name; false if none. */
bool mime_field_find(struct str block, struct str name, struct mime_field *);
/* Length of the header at the start of s including its blank line; s.n if
 * the blank line has not come. */
size_t mime_header_length(struct str s);
/* Fields named (or, with `except`, not named), in the block's order, each
 * with its line end, without a blank line at the end (HEADER.FIELDS). */
void mime_field_select(struct buf *out, struct str block,
    const struct str *names, size_t n, bool except);
/* Line ends go, the white space after them stays; both ends trimmed. */
void mime_unfold(struct buf *out, struct str value);

/* RFC 5322, 3.3 with obsolete zones and years; comments allowed. */
bool mime_date_parse(struct str value, int64_t *seconds, int *zone_min);
/* The next "<id-left@id-right>" of *rest, with its angle brackets, comments
 * and junk passed over; false when there is none. Points into *rest. */
bool mime_msgid_next(struct str *rest, struct str *id);

/* --- words and charsets --- */

/* Unfold and decode the encoded words of an unstructured field or a phrase
 * (RFC 2047); the result is valid UTF-8, whatever came in. */
void mime_words_decode(struct buf *out, struct str value);

/*
 * A stream from a charset to UTF-8. Labels that iconv lacks are mapped; an
 * unknown label reads as UTF-8 and, where that is invalid, windows-1252.
 * What cannot be converted becomes U+FFFD. NULL is never returned.
 */
struct mime_charset;
struct mime_charset *mime_charset_new(struct str label);
bool mime_charset_is_known(struct str label);
void mime_charset_push(struct mime_charset *, struct str in, struct buf *out);
void mime_charset_finish(struct mime_charset *, struct buf *out);
void mime_charset_free(struct mime_charset **);

/* --- transfer encodings, streams --- */

struct mime_decoder {
	enum mime_encoding encoding;
	uint32_t bits;	/* base64: what is not yet a whole octet */
	uint8_t n_bits; /* sextets in bits */
	uint8_t state;	/* quoted-printable */
	bool is_bad;	/* something had to be passed over */
	uint8_t n_held; /* quoted-printable: "=X", or spaces at a line's end */
	char held[80];	/* a line has 76, RFC 2045, 6.7 */
};

void mime_decoder_init(struct mime_decoder *, enum mime_encoding);
/* Appends to out; at most in.n + 80 octets come out of one push. */
void mime_decoder_push(struct mime_decoder *, struct str in, struct buf *out);
/* false if the input was not well-formed (is_bad). */
bool mime_decoder_finish(struct mime_decoder *, struct buf *out);

void mime_qp_encode(struct buf *, struct str);	   /* text, CRLF kept */
void mime_base64_encode(struct buf *, struct str); /* lines of 76 */

/*
 * The text of a part as UTF-8: transfer encoding and charset undone. The
 * caller reads the body's octets and pushes them; the sink gets chunks of
 * at most MIME_TEXT_CHUNK octets, cut between characters. Memory does not
 * depend on the size of the part.
 */
#define MIME_TEXT_CHUNK 8192
typedef void mime_text_sink(void *arg, struct str utf8);
struct mime_text;
/* NULL if the part is not of type text. */
struct mime_text *
mime_text_new(const struct mime_part *, mime_text_sink *, void *arg);
void mime_text_push(struct mime_text *, struct str raw);
void mime_text_finish(struct mime_text **);

#endif
