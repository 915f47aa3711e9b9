/*
 * reader - cuts the bytes of an IMAP client into commands (RFC 9051, 2.2.1;
 * RFC 7888, literals; RFC 3502, MULTIAPPEND).
 *
 * Framing only: it knows lines and literals, not what is in them. Used by the
 * front before login and by the session after it. imap_reader_push() lends it
 * bytes, then imap_reader_next() is called until IMAP_NEED_MORE; the events
 * are the same whatever the chunking, except that message data comes in as
 * many IMAP_DATA as there are chunks.
 *
 * A command is handed over whole, its literals in place ("{5}\r\nhello"), for
 * imap_parse(). Only the message literals of APPEND are not kept: before
 * each there is IMAP_APPEND, which the caller answers with
 * imap_reader_accept() or imap_reader_refuse(), and the octets come as
 * IMAP_DATA. The first literal of an APPEND is a mailbox name if it directly
 * follows the verb; every other one is a message. REPLACE (RFC 8508) is the
 * same with a message number before the mailbox.
 *
 * Bounds: IMAP_MAX_LINE octets a line, IMAP_MAX_LITERAL a literal,
 * IMAP_MAX_LITERALS of them with IMAP_MAX_TEXT octets in all; message
 * literals are bounded by the caller. What breaks a bound is IMAP_BAD: the
 * rest of that command is skipped and the next one read. Where the end of the
 * command cannot be trusted (a non-synchronising literal past the bounds)
 * is_fatal says that the connection must be closed.
 *
 * Lenient: a line may end in a bare LF (people type at servers); a line
 * of nothing but white space is skipped.
 */
#ifndef IMAP_READER_H
#define IMAP_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define IMAP_MAX_LINE	  16384		/* features: command line 16 KiB */
#define IMAP_MAX_LITERAL  (100 * 1024)	/* one literal */
#define IMAP_MAX_TEXT	  (1024 * 1024) /* a command with its literals */
#define IMAP_MAX_LITERALS 1000
#define IMAP_MAX_TAG	  64 /* longer ones are refused */
/* An overlong line is skipped up to here, then the connection ends. */
#define IMAP_MAX_SKIP (1024 * 1024)

enum imap_event_kind {
	IMAP_NEED_MORE,	 /* all pushed bytes are used up */
	IMAP_CONTINUE,	 /* send "+ ...": the client waits before a literal */
	IMAP_COMMAND,	 /* text: a command without its final line end */
	IMAP_LINE,	 /* text: the line asked for by imap_reader_want_line */
	IMAP_APPEND,	 /* text: up to a message literal; accept or refuse */
	IMAP_DATA,	 /* text: octets of that literal */
	IMAP_DATA_END,	 /* it is complete */
	IMAP_APPEND_END, /* the APPEND command is complete; text: what follows
			  * the last literal on its line (empty if correct) */
	IMAP_BAD,	 /* answer "tag BAD why", see is_toobig, is_fatal */
};

struct imap_event {
	enum imap_event_kind kind;
	/* Borrowed until the next call of next() or push(). */
	struct str text;
	/* IMAP_APPEND */
	uint64_t size;	  /* octets of the literal */
	bool is_first;	  /* text begins with the tag, else continues */
	bool is_sync;	  /* accept needs a "+ ..." */
	bool is_literal8; /* RFC 9051, 4.3: may contain NUL */
	/* IMAP_BAD; the tag is in imap_reader_tag() */
	const char *why;
	bool is_toobig; /* [TOOBIG] (RFC 9051, 7.1) */
	bool is_fatal;	/* BYE and close */
};

struct imap_reader_opts {
	bool has_append; /* stream APPEND; else it is a command like others */
};

struct imap_reader;

struct imap_reader *imap_reader_new(const struct imap_reader_opts *);
void imap_reader_free(struct imap_reader **);
/* Lend bytes; only after new or IMAP_NEED_MORE. They must stay until then. */
void imap_reader_push(struct imap_reader *, struct str);
enum imap_event_kind
imap_reader_next(struct imap_reader *, struct imap_event *);
/* The tag of the command being read or just read; empty if there is none,
 * then answers go under "*". */
struct str imap_reader_tag(const struct imap_reader *);
/* The next event is IMAP_LINE: a SASL answer or DONE. Call it after
 * IMAP_COMMAND. */
void imap_reader_want_line(struct imap_reader *);
/* The answers to IMAP_APPEND. After refuse the caller has answered or will
 * answer the command; the reader skips what is left of it in silence. */
void imap_reader_accept(struct imap_reader *);
void imap_reader_refuse(struct imap_reader *);
/* Pushed and not yet used: what the next owner of the connection must be
 * given; what must be empty at STARTTLS. */
struct str imap_reader_rest(const struct imap_reader *);
/* In the middle of a command? (for deadlines) */
bool imap_reader_is_idle(const struct imap_reader *);
/* Give memory back between commands. */
void imap_reader_shrink(struct imap_reader *);

/*
 * Does the line end in a literal's head ("{12}", "{12+}", "~{12}")? *at gets
 * its offset. `overflow`: it does, but the number is out of range.
 */
struct imap_literal {
	uint64_t size;
	size_t at;
	bool is_sync, is_literal8, overflow;
};
bool imap_literal_at_end(struct str line, struct imap_literal *);

#endif
