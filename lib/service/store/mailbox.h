/*
 * mailbox - one mailbox, opened by one session: a private view over the
 * journal, and every operation on messages (doc/format-store.md).
 *
 * The view is a snapshot that moves only when mailbox_sync() is called (and
 * by the caller's own changes, which show at once). Messages are numbered
 * 1..mailbox_count() in ascending UID order, as IMAP's sequence numbers.
 * A message expunged elsewhere stays in the view, readable, until a sync
 * that allows expunges; so numbers never move under a running command.
 *
 * One writer at a time holds the mailbox's lock file; calls that write wait
 * for it at most account_opts.lock_ms and then fail with ERR_TEMP. What a call
 * reports as done is durable when it returns (sync mode `posix`).
 *
 * Failing calls return -1 and fill *err; nothing is then half done.
 */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ranges.h"
#include "base/str.h"

#define STORE_LOCK_MS	      30000
#define STORE_MAX_KEYWORDS    64 /* per mailbox, without KWEXT */
#define STORE_MAX_KEYWORD_LEN 255

/* System flags (RFC 9051, 2.3.2). \Recent has its own call. */
enum {
	FLAG_SEEN = 1 << 0,
	FLAG_ANSWERED = 1 << 1,
	FLAG_FLAGGED = 1 << 2,
	FLAG_DELETED = 1 << 3,
	FLAG_DRAFT = 1 << 4,
	FLAG_ALL = 31,
};

/* What is known of one message. Strings are borrows, valid until the next
 * call on the mailbox. */
struct message {
	uint32_t uid;
	uint16_t flags;	   /* FLAG_* */
	bool is_expunged;  /* gone elsewhere, still in this view */
	uint64_t keywords; /* bit i is mailbox_keyword(m, i) */
	uint64_t modseq;
	uint64_t create_modseq;
	uint64_t size;	      /* octets with CRLF line ends: RFC822.SIZE */
	int64_t internaldate; /* seconds */
	int16_t zone_min;
	int64_t savedate; /* seconds: when it came into this mailbox */
	uint8_t emailid[16];
	struct str name; /* Maildir base name, without ":2," */
};

struct mailbox_counts {
	uint32_t uidvalidity, uidnext;
	uint32_t messages, deleted, unseen;
	uint32_t recent; /* 0 in a STATUS by somebody without the mailbox */
	uint64_t size;	 /* octets, CRLF */
	uint64_t deleted_size;
	uint64_t highestmodseq;
	uint8_t mailboxid[16];
};

struct account;
struct mailbox;

void mailbox_close(struct mailbox **); /* opened by account_open_mailbox() */

const struct mailbox_counts *mailbox_counts(struct mailbox *); /* of the view */
uint32_t mailbox_count(struct mailbox *); /* rows, ghosts included */
/* The message with number seq (1..count). */
void mailbox_get(struct mailbox *, uint32_t seq, struct message *);
/* Number of that UID, 0 if it is not in the view. */
uint32_t mailbox_seq(struct mailbox *, uint32_t uid);
/* Number of the first message with UID >= uid; count+1 if none. */
uint32_t mailbox_seq_at_least(struct mailbox *, uint32_t uid);
uint32_t mailbox_first_unseen(struct mailbox *); /* number, 0 if none */
bool mailbox_is_readonly(const struct mailbox *);

/*
 * Write down for other servers what has arrived, if exports are kept and it
 * was not done just now. Closing does it too, and mailbox_tidy().
 */
void mailbox_export(struct mailbox *);
/* ms until somebody who waits should call it, 0..5000; -1: nothing to do. */
int mailbox_export_due_ms(struct mailbox *);

/* ---- keywords ---- */
unsigned mailbox_keywords(struct mailbox *); /* how many are defined */
struct str mailbox_keyword(struct mailbox *, unsigned bit);
/* Bit of a keyword (compared without case), -1 if the mailbox has not it. */
int mailbox_keyword_bit(struct mailbox *, struct str name);
/* The same, defining it. Fails with ERR_PERM when 64 are in use. */
int mailbox_keyword_define(
    struct mailbox *, struct str name, unsigned *bit, struct err *);

/* ---- \Recent (RFC 3501, 2.3.2) ---- */
bool mailbox_is_recent(struct mailbox *, uint32_t uid);

/* ---- changes ---- */
struct mailbox_change {
	enum mailbox_change_kind {
		CHANGE_EXPUNGED, /* seq as it is when told one after another */
		CHANGE_FLAGS,	 /* flags or keywords of a message in view */
		CHANGE_NEW,	 /* a message was added, at the end */
		CHANGE_KEYWORDS, /* the list of keywords grew; told first */
		CHANGE_UIDVALIDITY, /* the mailbox was rebuilt or deleted: the
				     * session must be ended */
	} kind;
	uint32_t seq, uid;
};
struct mailbox_changes {
	struct mailbox_change *v;
	size_t n, cap;
};

/*
 * Bring the view up to date: own Maildir changes by others (scan), then the
 * journal's tail. Changes made through this handle are not reported again.
 * Without may_expunge the expunges are kept back for a later call.
 * The list is emptied first; release it with mailbox_changes_release().
 */
int mailbox_sync(
    struct mailbox *, bool may_expunge, struct mailbox_changes *, struct err *);
void mailbox_changes_release(struct mailbox_changes *);
/*
 * What a session owes to others and to later ones, for when its client has its
 * answer: file names follow the flags, files of expunged messages go, a new
 * index is written, other servers' lists are. A part of it at a time; closing
 * does the rest. It reports nothing: what fails is tried again.
 */
void mailbox_tidy(struct mailbox *);

/*
 * The UIDs expunged since that modseq (QRESYNC, RFC 7162, 3.2.5.1), as far as
 * this session was told of them. false: the history does not reach back so
 * far, or `out` is full.
 */
bool mailbox_vanished(struct mailbox *, uint64_t since, struct ranges *out);

/*
 * Waiting: a descriptor that becomes readable when the mailbox may have
 * changed (inotify), -1 when there is none (then poll every
 * mailbox_watch_poll_ms()). After it fired call mailbox_watch_clear(), then
 * mailbox_sync().
 */
int mailbox_watch(struct mailbox *, struct err *);
void mailbox_watch_clear(struct mailbox *);
#define STORE_WATCH_POLL_MS 2000
/*
 * A sync is due after so many ms though nothing may tell of it (files whose
 * owners are given time, times too coarse to trust); -1: none is.
 */
int mailbox_due_ms(struct mailbox *);

/* ---- changing flags (RFC 9051, 6.4.6; RFC 7162, 3.1.3) ---- */
struct flag_change {
	enum { FLAGS_ADD, FLAGS_REMOVE, FLAGS_REPLACE } how;
	uint16_t flags;
	uint64_t keywords; /* bits, see mailbox_keyword_define() */
	bool has_unchangedsince;
	uint64_t unchangedsince;
};
/*
 * Apply to the UIDs in the set that exist. *changed gets the UIDs whose flags
 * really changed, *modified those left alone because of UNCHANGEDSINCE (both
 * initialised by the caller; either may be NULL).
 */
int mailbox_store(struct mailbox *, const struct ranges *uids,
    const struct flag_change *, struct ranges *changed, struct ranges *modified,
    struct err *);

/* ---- expunge ---- */
/*
 * Remove the messages of the set (NULL: all) that are \Deleted. They leave
 * the view with the next mailbox_sync(may_expunge), which reports them.
 */
int mailbox_expunge(struct mailbox *, const struct ranges *uids, struct err *);
/* Remove regardless of \Deleted. */
int mailbox_remove(struct mailbox *, const struct ranges *uids, struct err *);

/*
 * On a full disk: give up files that are kept for their grace after an
 * expunge, oldest first, until about so many octets are free. false: there
 * were none, trying again is of no use.
 */
bool mailbox_make_room(struct mailbox *, uint64_t octets);

/* ---- copy and move (RFC 9051, 6.4.7, 6.4.8) ---- */
/*
 * All or nothing. from/to get the source and target UIDs, pairwise in
 * ascending order (arrays owned by the caller's result, release it).
 * dst may be the same mailbox (another handle) for copy.
 */
struct copy_result {
	uint32_t *from, *to;
	size_t n;
	uint32_t uidvalidity; /* of the target */
};
void copy_result_release(struct copy_result *);
int mailbox_copy(struct mailbox *src, struct mailbox *dst,
    const struct ranges *uids, struct copy_result *, struct err *);
int mailbox_move(struct mailbox *src, struct mailbox *dst,
    const struct ranges *uids, struct copy_result *, struct err *);

/* ---- what parsing found out ---- */
/*
 * Octets of the caller's own making, kept beside the mailbox for every session
 * to come; up to 64 KiB a message. A cache: what was put may be gone. The
 * version says who understands them. *out is lent until the next get.
 */
bool mailbox_cache_get(
    struct mailbox *, uint32_t uid, uint32_t version, struct str *out);
void
mailbox_cache_put(struct mailbox *, uint32_t uid, uint32_t version, struct str);
/* Others see what was put; at the latest with the next sync or close. */
void mailbox_cache_flush(struct mailbox *);

/* ---- reading a message ---- */
/*
 * The octets of a message as IMAP serves them, with CRLF line ends, whatever
 * the file has. Offsets are in that form. Reading backwards is allowed;
 * checkpoints keep repeated partial reads of a large message from starting
 * at 0.
 */
struct msgfile;
int mailbox_open_message(struct mailbox *, uint32_t uid, struct msgfile **,
    struct err *); /* ERR_PERM with sys ENOENT: it is gone */
uint64_t msgfile_size(struct msgfile *); /* real octets, CRLF */
/* Up to n octets at off; 0 at the end, -1 on error. */
ssize_t
msgfile_read(struct msgfile *, uint64_t off, char *p, size_t n, struct err *);
void msgfile_free(struct msgfile **);

#endif
