/*
 * changes - what changed in an account since a token (doc/format-store.md,
 * "Stream"): for the web, NOTIFY and tools that run now and then.
 *
 * 1. First a token, then a look at everything; from then on every change is
 *    told at least once by a call with the token of the call before. A change
 *    may be told again, or be told and found to be none.
 * 2. A mailbox is told with a modseq: what is higher there has changed, as
 *    in mailbox_vanished() and CHANGEDSINCE. Who knows a mailbox only up to
 *    a lower one asks from there.
 * 3. is_unknown is an answer too: after a reboot, a restore, damage, or much
 *    later, nobody knows. Look at everything; the token given is good.
 * 4. What other programs did to the Maildir is told when it was noticed: by a
 *    session, a STATUS, or account_refresh(), which these calls make.
 *
 * Tokens are text without spaces and mean nothing to anybody else.
 */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "service/store/account.h"

#define CHANGES_TOKEN 256 /* octets, with the NUL */

struct change {
	enum change_kind {
		CHANGED_MAILBOX, /* messages: those above `since` */
		CHANGED_CREATED,
		CHANGED_DELETED,
		CHANGED_RENAMED, /* from old_name; children are told apart */
		CHANGED_SUBSCRIBED,
		CHANGED_UNSUBSCRIBED,
		CHANGED_USE,  /* special use */
		CHANGED_TREE, /* something of these: compare the list */
	} kind;
	char *name, *old_name; /* "" where there is none */
	uint8_t mailboxid[16];
	uint64_t since; /* 0: everything in it */
};

struct changes {
	struct change *v; /* of the tree in their order, then mailboxes */
	size_t n, cap;
	bool is_unknown;
	bool is_pending; /* something is being written: ask again soon */
	char token[CHANGES_TOKEN]; /* "": none can be given (read-only) */
};

/* NULL or "" for a first token: unknown. */
int changes_since(
    struct account *, const char *token, struct changes *, struct err *);
/* The same, but wait up to so long until there is something to tell. */
int changes_wait(struct account *, const char *token, int timeout_ms,
    struct changes *, struct err *);
void changes_release(struct changes *);

/* A descriptor that becomes readable when asking again is worth it (inotify,
 * one watch); the caller reads it empty and closes it. */
int changes_watch(struct account *, struct err *);

const char *change_word(enum change_kind);

#endif
