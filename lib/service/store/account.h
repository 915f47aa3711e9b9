/*
 * account - an account's tree of mailboxes (doc/format-store.md).
 *
 * Opened on a directory descriptor of the Maildir root (INBOX). Names are
 * UTF-8, NFC, hierarchy separator '/', "INBOX" in any case is INBOX. On disk
 * they are Maildir++ folders (".Archive.2024", modified UTF-7 as Dovecot and
 * Courier write them). Folders that others make or remove are noticed at
 * account_refresh().
 *
 * Verdicts are values of enum account_result; ACCOUNT_ERROR fills *err.
 */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "service/store/mailbox.h"

#define STORE_MAX_NAME	    1000 /* octets of a mailbox name */
#define STORE_MAX_MAILBOXES 100000

/* Special use (RFC 6154, 2), a bit set */
enum {
	USE_ALL = 1 << 0,
	USE_ARCHIVE = 1 << 1,
	USE_DRAFTS = 1 << 2,
	USE_FLAGGED = 1 << 3,
	USE_JUNK = 1 << 4,
	USE_SENT = 1 << 5,
	USE_TRASH = 1 << 6,
};

enum account_result {
	ACCOUNT_OK,
	ACCOUNT_NOTFOUND,
	ACCOUNT_EXISTS,
	ACCOUNT_HASCHILDREN,
	ACCOUNT_BADNAME,   /* err->text says what is wrong with it */
	ACCOUNT_BADUSE,	   /* special use already taken, or not allowed */
	ACCOUNT_FORBIDDEN, /* e.g. delete INBOX */
	ACCOUNT_ERROR,
};

/* For going back to Dovecot: dovecot-uidlist, subscriptions and others. */
enum account_export {
	ACCOUNT_EXPORT_AUTO, /* where there is a dovecot-uidlist */
	ACCOUNT_EXPORT_NONE,
	ACCOUNT_EXPORT_DOVECOT,
};

struct account_opts {
	const char *hostname; /* for Maildir names */
	bool fast_sync;	      /* sync-fast of quire.conf(5) */
	bool readonly;	      /* write nothing at all */
	/*
	 * LAYOUT=fs: mailboxes are directories in directories, and our own
	 * files lie below indexfd, borrowed, which must be outside the root;
	 * -1 for a look at one that has none yet.
	 */
	bool is_fs;
	int indexfd;
	/*
	 * A file outside the mail tree, open for writing, that remembers how
	 * far each mailbox had got: UIDs are not given out again when the tree
	 * is put back to a former day. One for each account; borrowed.
	 */
	bool has_marks;
	int marksfd;
	/* how long to wait for a lock; 0: STORE_LOCK_MS */
	int lock_ms;
	enum account_export exports;
	bool coexist; /* Dovecot serves it at the same time: a migration */
	/* Called with one line when something is worth a log entry; may be
	 * NULL. Level: 0 error, 1 warning, 2 info. */
	void (*log)(int level, const char *event, const char *text);
};

struct mailbox_info {
	struct str name; /* UTF-8 */
	uint8_t mailboxid[16];
	unsigned use; /* USE_* */
	bool is_subscribed;
	bool exists; /* false: only a parent or a subscription */
	bool has_children;
};

/* Reads what confined processes and their children cannot: once, before. */
void store_prepare(void);
/*
 * rootfd is borrowed for the life of the account (duplicated inside). The
 * Maildir is created if empty; a new account gets Drafts, Sent, Trash, Junk
 * and Archive with their special uses, subscribed. A Maildir with
 * foreign state (dovecot-uidlist, courierimapuiddb) is adopted.
 */
int account_open(
    struct account **, int rootfd, const struct account_opts *, struct err *);
void account_close(struct account **);
/* Take in what others did to the tree since the last look. */
int account_refresh(struct account *, struct err *);

/* All mailboxes, sorted by name with INBOX first; also names that exist only
 * as a parent or in the subscriptions. Borrowed until the next call. */
size_t account_list(struct account *, const struct mailbox_info **);
/* NULL if there is none; name compared as IMAP does (INBOX). */
const struct mailbox_info *account_find(struct account *, struct str name);
/* NFC, no control characters, no empty, "." or ".." element, no leading '#';
 * "inbox" becomes "INBOX", a trailing '/' is dropped. false: *why says why */
bool account_normalize(
    struct str name, char out[STORE_MAX_NAME + 1], const char **why);

enum account_result account_open_mailbox(struct account *, struct str name,
    bool readonly, struct mailbox **, struct err *);
/* From the last transaction, without opening the mailbox. */
enum account_result account_status(
    struct account *, struct str name, struct mailbox_counts *, struct err *);
/* Makes missing parents; subscribes what it makes. */
enum account_result
account_create(struct account *, struct str name, unsigned use, struct err *);
enum account_result
account_delete(struct account *, struct str name, struct err *);
/* Children follow; RENAME INBOX moves its messages into a new mailbox. */
enum account_result
account_rename(struct account *, struct str from, struct str to, struct err *);
enum account_result
account_subscribe(struct account *, struct str name, bool on, struct err *);

#endif
