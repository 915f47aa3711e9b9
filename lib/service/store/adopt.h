/*
 * adopt - taking over, without a session, a Maildir that another server has
 * kept; or looking what that would give, and writing nothing.
 *
 * What is adopted here is what the first open of an account and of each of
 * its mailboxes would adopt.
 */
#ifndef STORE_ADOPT_H
#define STORE_ADOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define ADOPT_PROBLEMS 16 /* told one by one; more are counted */

struct adopt_problem {
	const char *kind; /* a stable word */
	char *file;	  /* NULL: the mailbox itself */
	char text[200];	  /* what, and what comes of it */
};

struct adopt_box { /* borrowed during the call */
	struct str name;
	/* "quire": adopted before; dovecot-3, dovecot-1, courier; bare: no
	 * list of UIDs */
	const char *kind;
	uint32_t uidvalidity, uidnext;
	uint64_t messages;
	uint64_t kept, fresh; /* UIDs from the list, and given out new */
	uint64_t gone;	      /* of the list, without a file */
	uint64_t compressed;  /* gzip, zstd */
	uint64_t renames;     /* files the first session gives another name */
	unsigned keywords;
	bool is_subscribed;
	struct adopt_problem problem[ADOPT_PROBLEMS];
	uint64_t nproblems;
};

void adopt_box_release(struct adopt_box *);

struct adopt_opts {
	const char *hostname; /* for Maildir names */
	bool dry_run;
	bool is_fs; /* as in struct account_opts */
	int indexfd;
};

/*
 * -1: the account cannot be opened. A mailbox that cannot is told with that
 * as its problem, and the others go on; 0 is then returned all the same.
 */
int store_adopt(int rootfd, const struct adopt_opts *,
    void (*box)(void *, const struct adopt_box *), void *arg, struct err *);

#endif
