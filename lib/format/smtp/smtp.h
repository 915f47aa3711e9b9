/*
 * smtp - the words of SMTP: commands, replies, message data, trace fields.
 * RFC 5321, 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 4954 (AUTH),
 * 2033 (LMTP), 2034 and 3463 (enhanced codes), 8689 (REQUIRETLS), 4865
 * (future release), 3207 (STARTTLS).
 *
 * Pure: the dialogue itself is in src/smtpd/session.h. Results of parsing
 * live in the arena given, views of the line live as long as the line.
 */
#ifndef SMTP_H
#define SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/addr/addr.h"

#define SMTP_MAX_REPLY_LINE 512	    /* RFC 5321, 4.5.3.1.5, CRLF included */
#define SMTP_MAX_HOLD	    5184000 /* 60 days, announced in EHLO */

/* --- commands --- */

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_LHLO,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_RSET,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_XCLIENT, /* its arguments: format/xclient */
};
#define SMTP_VERBS (SMTP_XCLIENT + 1)

enum smtp_body {
	SMTP_BODY_NONE, /* no parameter */
	SMTP_BODY_7BIT,
	SMTP_BODY_8BIT,
};

/* A reply in the making: what is wrong, as a server says it. */
struct smtp_error {
	int code;
	const char *enhanced, *text; /* static */
	struct str rest;	     /* of the line, from the error on */
};

struct smtp_command {
	enum smtp_verb verb;
	struct str argument; /* all after the verb, trimmed */

	struct str name;      /* HELO, EHLO, LHLO */
	struct str mechanism; /* AUTH, upper case */
	bool has_initial;     /* AUTH: an initial response, base64 decoded */
	struct str initial;

	struct addr_path path; /* MAIL, RCPT */
	bool has_size, has_auth, has_hold_for, has_hold_until;
	bool is_smtputf8, is_requiretls;
	uint64_t size, hold_for;
	int64_t hold_until; /* seconds since 1970 */
	enum smtp_body body;
	struct str auth; /* decoded; "" for "<>" */
};

enum smtp_parse_flags {
	SMTP_UTF8_PATHS = 1 << 0, /* RCPT: MAIL had SMTPUTF8 */
	SMTP_WITH_REQUIRETLS = 1 << 1,
	SMTP_WITH_HOLD = 1 << 2, /* HOLDFOR, HOLDUNTIL are offered */
};

/* The verb a line starts with; the line has no CRLF. */
enum smtp_verb smtp_verb_of(struct str line);
const char *smtp_verb_name(enum smtp_verb);
/* One command line without its CRLF. On false the error says what to reply. */
bool smtp_command_parse(struct arena *, struct str line, unsigned flags,
    struct smtp_command *, struct smtp_error *);

/* xtext = *( xchar / hexchar )  RFC 3461, 4 */
bool smtp_xtext_decode(struct buf *out, struct str);
void smtp_xtext_encode(struct buf *out, struct str);

/* --- replies --- */

/*
 * One reply. `enhanced` may be NULL; text may have several lines ("\n").
 * Lines are wrapped so that none is longer than 510 octets, code and
 * enhanced code are repeated on each; `cid` (may be empty) follows the last
 * line in parentheses. Control characters become "?".
 */
/*
 * The enhanced code of a message over max_size: 5.2.3 is an administrator's
 * limit (RFC 3463, 3.3), where he takes less than is usual, which is our
 * default; else 5.3.4.
 */
#define SMTP_USUAL_SIZE (100 << 20)
const char *smtp_too_large(uint64_t max_size);
void smtp_reply_put(struct buf *, int code, const char *enhanced,
    struct str text, struct str cid);

#define SMTP_MAX_REPLY 65536 /* octets of a reply that is read */

struct smtp_reply {
	int code;	   /* 200..599 */
	char enhanced[12]; /* "2.1.5", or "" */
	struct str text;   /* lines joined by "\n", without codes */
};

enum smtp_reply_state {
	SMTP_REPLY_MORE,
	SMTP_REPLY_DONE,
	SMTP_REPLY_BAD, /* not SMTP, or too long; stays so */
};

struct smtp_reply_parser {
	struct smtp_reply reply;
	struct buf line, text;
	enum smtp_reply_state state;
};

void smtp_reply_init(struct smtp_reply_parser *);
void smtp_reply_release(struct smtp_reply_parser *);
/* Takes the octets of one reply off *in. After DONE the reply is there until
 * the next push, which begins a new one. */
enum smtp_reply_state
smtp_reply_push(struct smtp_reply_parser *, struct str *in);

/* --- message data (RFC 5321, 4.5.2) --- */

/*
 * Reads what follows DATA. The end is CRLF "." CRLF and nothing else. A bare
 * CR, or a line "." with a bare LF at either side, makes is_smuggled: the
 * rest is read and thrown away, because two servers that disagree about such
 * an end can be made to see different messages (RFC 5321, 2.3.8). A bare LF
 * elsewhere is a line end and leaves as CRLF. Size counts what leaves.
 */
struct smtp_data {
	uint64_t size, max_size;
	unsigned n_received; /* Received fields in the header */
	bool is_over, is_smuggled, is_8bit;
	bool has_blank; /* the header's end was seen */

	bool at_start, after_lf, has_dot, has_cr, is_done, line_is_empty;
	uint8_t n_end, n_name; /* of the end seen in bad data; of a name */
	char name[9];
};

void smtp_data_init(struct smtp_data *, uint64_t max_size);
/*
 * Consumes from *in up to the end of the data; clean octets are appended to
 * out (at most in->n + 2). true when the end has come; what follows stays in
 * *in.
 */
bool smtp_data_push(struct smtp_data *, struct str *in, struct buf *out);

/* --- trace fields (RFC 5321, 4.4) --- */

struct smtp_trace {
	struct str helo;      /* as the client said it */
	struct str peer_name; /* verified reverse name, or "" */
	struct str peer_ip, local_host, local_ip;
	bool is_esmtp, is_lmtp, is_smtputf8, is_tls, is_auth, is_requiretls;
	bool hide_peer; /* submission: name and address withheld */
	struct str tls; /* "TLSv1.3 TLS_AES_128_GCM_SHA256", or "" */
	struct str cid;
	const struct addr *rcpt; /* NULL: no "for" */
	int64_t time;
	int zone_min;
};

void smtp_received_put(struct buf *, const struct smtp_trace *);
void smtp_return_path_put(struct buf *, const struct addr_path *);
void smtp_delivered_to_put(struct buf *, const struct addr *);

#endif
