/*
 * incoming - messages on their way into a mailbox (delivery, APPEND).
 *
 * Life: incoming_new() makes a file in the mailbox's tmp/; incoming_write()
 * fills it; incoming_sync() makes it durable there; mailbox_commit() files
 * one or many in a single journal transaction and, when it returns 0,
 * they are acknowledged state. Freeing an uncommitted one removes its file.
 *
 * Steps are separate so that several recipients' copies can all be prepared
 * before any is committed, and so that many deliveries share one commit.
 */
#ifndef STORE_INCOMING_H
#define STORE_INCOMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "service/store/mailbox.h"

struct incoming;

struct incoming_opts {
	uint16_t flags;	   /* FLAG_* */
	uint64_t keywords; /* bits of the target mailbox */
	bool has_date;	   /* else now, in the local zone */
	int64_t internaldate;
	int16_t zone_min;
	bool is_new;	/* into new/ (delivery) instead of cur/ */
	uint64_t token; /* random, of the order; 0: none */
};

int incoming_new(struct incoming **, struct mailbox *,
    const struct incoming_opts *, struct err *);
/*
 * Any chunking. CRLF is stored as LF; a message with a bare LF or a NUL is
 * stored as it is, with CRLF, and marked RAW.
 */
int incoming_write(struct incoming *, struct str, struct err *);
uint64_t incoming_size(const struct incoming *); /* octets with CRLF so far */
/*
 * No more writes follow: start getting it to the disk, without waiting. For
 * those who prepare several: finish all, then sync all. Not needed otherwise.
 */
int incoming_finish(struct incoming *, struct err *);
int incoming_sync(struct incoming *, struct err *);
/* The same for many at once: their writing overlaps and most of the syncs
 * find their work done. Stops at the first that fails. */
int incoming_sync_many(struct incoming **, size_t n, struct err *);
void incoming_free(struct incoming **);

/*
 * Was a delivery with this token filed here before? For orders whose
 * deliverer died before it answered. 1 yes (and durable), 0 no, -1 error.
 */
int mailbox_has_delivery(struct mailbox *, uint64_t token, struct err *);

/*
 * File n prepared messages, in this order, all or none. uids[i] gets the UID
 * of in[i]. Each must have been synced and belong to this mailbox. The
 * incoming are used up on success (still to be freed).
 */
int mailbox_commit(struct mailbox *, struct incoming **in, size_t n,
    uint32_t *uids, struct err *);

#endif
