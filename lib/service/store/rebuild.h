/*
 * rebuild - making the private files of mailboxes again from what others can
 * read too: dovecot-uidlist, dovecot-keywords and file names; or from a bare
 * Maildir.
 *
 * Where the journal can still be read, names and list are completed from it
 * first, and the two are compared afterwards, to say what was lost. It is
 * kept as journal.old.
 *
 * Safe while sessions are open: it is done under the writer's lock, and they
 * compare what they showed with what is there now. They go on where UIDs
 * stayed, and are ended where UIDVALIDITY changed.
 */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "service/store/account.h"

struct rebuild_box { /* borrowed during the call */
	struct str name;
	const char *from; /* dovecot-3, dovecot-1, courier or bare */
	uint32_t uidvalidity, uidnext;
	uint64_t messages;
	uint64_t kept, fresh; /* UIDs from the list, and given out new */
	bool had_journal;     /* that could be read; then: */
	uint32_t was_uidvalidity;
	uint64_t renumbered; /* messages that had another UID */
	uint64_t reflagged;  /* that had other flags or keywords */
	uint64_t gone;	     /* that it knew and have no file */
	unsigned nkeywords;  /* names beyond the 26 letters */
};

struct rebuild_opts {
	/* Number everything anew, whatever lists say */
	bool new_uidvalidity;
	/* these mailboxes; NULL: all */
	char *const *names;
	int n;
};

int store_rebuild(int rootfd, const struct account_opts *,
    const struct rebuild_opts *,
    void (*done)(void *, const struct rebuild_box *), void *arg, struct err *);

#endif
