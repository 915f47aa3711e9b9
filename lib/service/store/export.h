/*
 * export - completing what Dovecot is to find when it takes an account over:
 * names carry all flags, UID lists and keywords are whole.
 *
 * While the account is in use it is kept up to date lazily (account_opts,
 * exports); this is for the moment of going back. Sessions may be open, but
 * what they change afterwards is not in it.
 */
#ifndef STORE_EXPORT_H
#define STORE_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "service/store/account.h"

struct export_box { /* a mailbox that was written; borrowed */
	struct str name;
	uint32_t uidvalidity, uidnext, messages;
	uint64_t highestmodseq;
	uint32_t expunged; /* and known to have been, for QRESYNC */
	/* what Dovecot cannot keep */
	bool is_name_odd;   /* a '.' in a level of the name */
	unsigned nkeywords; /* beyond the 26 letters */
	struct str *keywords;
	uint32_t nmarked;  /* messages that have one of them */
	uint32_t unburied; /* files of removed messages that are in the way */
};

/* sync: durable when it returns. */
int store_export(struct account *, bool sync,
    void (*done)(void *, const struct export_box *), void *arg, struct err *);
/* One for this mailbox that none of the account has had or will get. */
uint32_t store_new_uidvalidity(struct account *, struct str name);

#endif
