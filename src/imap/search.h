/*
 * What the files of SEARCH share.
 */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "msg.h"
#include "needle.h"

/* Search keys of one mailbox: sets resolved, keywords looked up, texts
 * folded. */
struct node {
	const struct imap_key *key;
	struct node *child, *next;
	struct ranges seqs;   /* SEQ, UID */
	uint64_t keyword;     /* bit, or 0 */
	struct needle needle; /* HEADER, BODY, TEXT */
	bool is_costly;	      /* it or a child needs the message */
};

/* 1, 0, or -1: the message cannot be read, msg->err. */
int search_header(struct msg *, struct node *);
int search_text(struct msg *, struct node *, bool with_header);
int search_sent(struct msg *, const struct imap_key *);

#endif
