/*
 * The session's own header: its state, and what its files offer each other.
 */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ranges.h"
#include "format/imap/command.h"
#include "format/imap/reader.h"
#include "out.h"
#include "service/store/account.h"
#include "service/store/mailbox.h"
#include "session.h"

struct session {
	const struct imap_start *start;
	const struct imap_limits *limits;
	enum imap_end end;
	bool is_over; /* LOGOUT, BYE, or the stream is dead */

	struct out out;
	struct imap_reader *reader;
	char *in;     /* while something is being read */
	bool is_idle; /* in IDLE */
	unsigned bad; /* BAD answers in a row */

	struct arena arena;	/* of the command */
	struct arena msg_arena; /* of one message */
	struct account *account;

	/* what the client enabled (RFC 5161) */
	bool is_utf8; /* IMAP4rev2 or UTF8=ACCEPT */
	bool is_rev2;
	bool has_condstore;
	bool has_qresync;

	/* the selected mailbox */
	struct mailbox *mbox; /* NULL: authenticated state */
	struct buf name;      /* its name, UTF-8 */
	bool is_examine;
	struct mailbox_changes changes;
	struct ranges saved; /* UIDs of "$" (RFC 5182) */

	/* the target of the last APPEND, kept for the next one */
	struct mailbox *target;
	struct buf target_name;
};

/* ---- session.c ---- */
/* The next event of the reader; NEED_MORE when the session is over. Writes
 * what is waiting before it blocks. */
enum imap_event_kind session_next(struct session *, struct imap_event *);
/* Read what has come (a readable descriptor, or wait at most timeout_ms).
 * 1: bytes were pushed, 0: nothing came in time, -1: the stream is over. */
int session_read(struct session *, int timeout_ms);
/* Before a long sleep between commands: give memory back. */
void session_shrink(struct session *);
/* BYE, and the end. */
void session_bye(struct session *, enum imap_end, const char *text);
void
session_log(struct session *, int level, const char *event, const char *text);

/* ---- reply.c: tagged answers ---- */
/* code may be NULL: "OK", "NO", "BAD" with "[code] text" */
void
reply_ok(struct session *, struct str tag, const char *code, const char *text);
void
reply_no(struct session *, struct str tag, const char *code, const char *text);
void reply_bad(struct session *, struct str tag, const char *code,
    const char *why, struct str rest);
/* OK after an expunge: with HIGHESTMODSEQ where RFC 7162, 3.2.7 wants it */
void
reply_expunged(struct session *, struct str tag, uint32_t n, const char *text);
/* NO for a failure of the store. */
void reply_err(struct session *, struct str tag, const struct err *);
/* The same for a verdict of the account that is not OK. */
void reply_account(
    struct session *, struct str tag, enum account_result, const struct err *);
void put_capabilities(struct session *);
bool capability_is_on(struct session *, struct str name);

/* ---- changes.c: what the server says unasked (RFC 9051, 7.3) ---- */
/* Bring the selected mailbox up to date and tell the client. */
/* How many expunges were told. */
uint32_t changes_tell(struct session *, bool may_expunge);
/* "* 2 FETCH (UID 7 FLAGS (..) MODSEQ (..))" */
void put_flags_update(struct session *, uint32_t seq, const struct message *);
/* "FLAGS (\Seen x)" */
void put_flags(struct session *, const struct message *);
void put_flags_response(struct session *); /* "* FLAGS (..)" and PERMANENT */
void put_modseq(struct session *, uint64_t);
/* A CONDSTORE enabling command (RFC 7162, 3.1) */
void condstore_enable(struct session *);

/* ---- sets.c ---- */
/*
 * Numbers of the messages in a set: sequence numbers if is_uid is false, else
 * UIDs; those that do not exist are left out, except that a sequence number
 * past the end is false (RFC 9051, 9). seqs is initialised here.
 */
bool set_resolve(struct session *, const struct imap_set *, bool is_uid,
    struct ranges *seqs);
/* From sequence numbers to UIDs, one range for each: what lies between two
 * messages of the view in UIDs is nothing else. */
void
set_to_uids(struct session *, const struct ranges *seqs, struct ranges *uids);
/* The UIDs that a set names, there or not. */
void set_uids(struct session *, const struct imap_set *, struct ranges *uids);
bool set_has_ghost(struct session *, const struct ranges *seqs);
#define SET_MAX 4000000 /* ranges */

/* ---- qresync.c ---- */
void put_vanished_changes(struct session *);
/* Of these UIDs those that left after a mod-sequence, or may have. */
void put_vanished_earlier(
    struct session *, const struct ranges *uids, uint64_t since);
/* The parameter of SELECT, after all its other responses. */
void qresync_select(struct session *, const struct imap_qresync *);

/* ---- commands ---- */
void run_select(struct session *, const struct imap_command *);
void session_unselect(struct session *);
void run_close(struct session *, const struct imap_command *);
void run_list(struct session *, const struct imap_command *);
void run_status(struct session *, const struct imap_command *);
void put_status(struct session *, struct str name, unsigned items,
    const struct mailbox_counts *);
void run_create(struct session *, const struct imap_command *);
void run_delete(struct session *, const struct imap_command *);
void run_rename(struct session *, const struct imap_command *);
void run_subscribe(struct session *, const struct imap_command *);
void run_enable(struct session *, const struct imap_command *);
void run_id(struct session *, const struct imap_command *);
void run_fetch(struct session *, const struct imap_command *);
void run_store(struct session *, const struct imap_command *);
void run_search(struct session *, const struct imap_command *);
void run_expunge(struct session *, const struct imap_command *);
void run_copy(struct session *, const struct imap_command *);
void run_idle(struct session *, const struct imap_command *);
void run_append(struct session *, const struct imap_event *);
/* Forget the kept target of APPEND. */
void append_forget(struct session *);

/* Bits for keywords that the mailbox has or gets. */
int keywords_define(
    struct mailbox *, const struct imap_flags *, uint64_t *bits, struct err *);

#endif
