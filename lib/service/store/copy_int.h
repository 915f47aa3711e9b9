/*
 * copy_int.h - what COPY and MOVE share: the messages on their way and their
 * links in the target, up to the journal.
 *
 * In this order: copy_check(), copy_collect(), copy_lock(), copy_link(); then
 * under byte 0 of the target copy_pack_adds() and the append. If that failed
 * copy_unlink(), and copy_unlock() always. All that return int: -1 and *e.
 */
#ifndef STORE_COPY_INT_H
#define STORE_COPY_INT_H

#include "service/store/store_int.h"

struct copy_item {
	uint32_t from, fn;
	uint64_t kw; /* bits of the target */
	char name[NAME_LEN + 1];
	struct op_add add;
	bool is_linked;
};

struct copy { /* one COPY or MOVE under way */
	struct mailbox *src, *dst;
	struct copy_item *v;
	size_t n;
	uint64_t kwmap[STORE_MAX_KEYWORDS]; /* source bit to target mask */
};

/* May it be written to? */
int copy_check(struct mailbox *, struct err *);
/* The messages of those UIDs that this session shows; c->v is malloced. */
int copy_collect(struct copy *, const struct ranges *uids, struct err *);
/* Before files are linked that are to get UIDs. */
int copy_lock(struct mailbox *dst, struct err *);
void copy_unlock(struct mailbox *dst);
/* Links in the target's cur/, durable when it returns 0. */
int copy_link(struct copy *, struct scan_mark *, struct err *);
/* Take back what was linked. */
void copy_unlink(struct copy *);
/* Bits of the target for keywords of the source. */
uint64_t copy_keywords(const struct copy *, uint64_t kw);
/* The ADDs into the target's ops, under its lock; the result is filled. */
int copy_pack_adds(struct copy *, struct copy_result *, struct err *);
/* The quota file gets to know of them. */
void copy_note_sizes(const struct copy *);

#endif
