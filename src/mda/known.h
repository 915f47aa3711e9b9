/*
 * known - which messages are in Rejects already, so that a sender who tries
 * again every few minutes fills nobody's mailbox.
 *
 * A copy says in its header, behind X-Quire-Reason, what it is a copy of:
 *
 *	X-Quire-Rejected: hash of its Message-ID or "-", hash of its octets
 *
 * One of both is enough to be known. Read once from the newest KNOWN_MAX
 * messages of the mailbox, then kept in memory.
 */
#ifndef MDA_KNOWN_H
#define MDA_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "service/store/mailbox.h"

#define KNOWN_MAX  2000 /* twice of what Rejects keeps */
#define KNOWN_HASH 16	/* octets; nobody gains by a collision */

struct known_key {
	bool has_id;
	uint8_t id[KNOWN_HASH], octets[KNOWN_HASH];
};

/* Of a message as it came; the Message-ID is looked for in its first 64 KiB. */
int known_key(int fd, uint64_t size, struct known_key *, struct err *);
void known_put_field(struct buf *, const struct known_key *);

struct known {
	uint8_t (*v)[KNOWN_HASH];
	size_t n, cap;
	bool is_loaded;
};
void known_load(struct known *, struct mailbox *); /* unless it is */
bool known_has(const struct known *, const struct known_key *);
void known_add(struct known *, const struct known_key *);
void known_release(struct known *); /* to be loaded again */

#endif
