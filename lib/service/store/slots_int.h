/*
 * slots_int.h - a file of one slot for each mailbox, found by the mailbox id:
 * marks.c, pubs.c.
 *
 * A head of one slot, then slots of the same size. A slot belongs to its
 * mailbox id for ever and is written by who holds byte 0 of that mailbox; a
 * new one is taken at the end, under byte 0 of this file. Nothing is synced.
 *
 * A mailbox must not get a second slot while somebody writes its first, which
 * may be torn only for who reads it just then. A file that is known by its
 * name is therefore refused when something in it is wrong: its owner removes
 * it, and all see that. Of one that comes as a descriptor (is_nameless) a head
 * that is wrong begins it anew, and a torn slot is lost.
 */
#ifndef STORE_SLOTS_INT_H
#define STORE_SLOTS_INT_H

#include "service/store/store_int.h"

#define SLOTS_MAX     (2 * STORE_MAX_MAILBOXES) /* deleted ones may come back */
#define SLOT_SIZE_MAX 128
#define SLOTS_MASK    255

struct slots {
	int fd; /* owned */
	uint32_t size;
	bool is_nameless;
	/* Is it a slot, and whose? A torn one is nobody's. */
	bool (*owner)(const char *raw, uint8_t id[16]);
	uint32_t n;	/* of the file that are known here */
	uint32_t ntorn; /* of these */
	struct slot {
		uint8_t id[16];
		uint32_t next; /* in its bucket, + 1 */
	} * v;
	uint32_t bucket[SLOTS_MASK + 1];
};

/*
 * s->size, s->is_nameless and s->owner are given. Takes the descriptor, open
 * for reading and writing; an empty file gets its head. -1: it cannot be used;
 * the descriptor is closed.
 */
int slots_init(struct slots *, int fd, const char magic[8]);
void slots_release(struct slots *);
/* false: it has none. raw: SLOT_SIZE_MAX octets. */
bool slots_get(struct slots *, const uint8_t id[16], char *raw);
/* -1: not written, or torn; or the file is to be given up */
int slots_put(struct slots *, const uint8_t id[16], const char *raw);

#endif
