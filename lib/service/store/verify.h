/*
 * verify - is an account's Maildir what its journals say?
 *
 * Reads only: every file is opened O_RDONLY, no lock is taken, nothing is
 * written. It works beside running sessions (it reads what `pub` says is
 * durable, and looks again at what moved meanwhile) and on a copy.
 *
 * Memory: the view of one mailbox, and 48 octets for each message of it.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum verify_severity {
	VERIFY_NOTE,	/* the next session sees to it, or nobody needs to */
	VERIFY_WARNING, /* somebody should look */
	VERIFY_ERROR,	/* mail or what is known of it is damaged */
};

struct verify_finding { /* borrowed during the call */
	enum verify_severity severity;
	struct str mailbox; /* empty: the account */
	const char *kind;   /* a stable word */
	uint32_t uid;	    /* 0: none */
	const char *file;   /* NULL: none */
	const char *text;   /* what, and what to do */
};

#define VERIFY_KINDS 64
struct verify_totals {
	uint32_t mailboxes;
	uint64_t messages;
	uint64_t severity[3];
	struct {
		const char *kind;
		uint64_t n;
	} kinds[VERIFY_KINDS];
	unsigned nkinds;
};

struct verify_opts {
	bool deep;   /* read every message and count its octets */
	int64_t now; /* for tests; 0: the clock */
	/* LAYOUT=fs, and its index root; -1: there is none yet */
	bool is_fs;
	int indexfd;
};

/* -1: it could not be looked at at all. Totals are added to. */
int store_verify(int rootfd, const struct verify_opts *,
    void (*found)(void *, const struct verify_finding *), void *arg,
    struct verify_totals *, struct err *);

#endif
