/*
 * slots_int.h - a file of one slot for each mailbox, found by the mailbox id:
 * marks.c, pubs.c.
 *
 * A head of one slot, then slots of the same size. A slot belongs to its
 * mailbox id for ever and is written by who holds byte 0 of that mailbox; a
 * new one is taken at the end, under byte 0 of this file. Nothing is synced.
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
	/* Is it a slot, and whose? A torn one is nobody's. */
	bool (*owner)(const char *raw, uint8_t id[16]);
	uint32_t n; /* of the file that are known here */
	struct slot {
		uint8_t id[16];
		uint32_t next; /* in its bucket, + 1 */
	} * v;
	uint32_t bucket[SLOTS_MASK + 1];
};

/*
 * Takes the descriptor, which must be open for writing if the head is to be
 * made: empty, or nothing of ours, the file is begun anew, which forgets and
 * no more. -1: it cannot be used; the descriptor is closed.
 */
int slots_init(struct slots *, int fd, uint32_t size, const char magic[8],
    bool (*owner)(const char *raw, uint8_t id[16]));
void slots_release(struct slots *);
/* false: it has none. raw: SLOT_SIZE_MAX octets. */
bool slots_get(struct slots *, const uint8_t id[16], char *raw);
/* -1: not written, or torn */
int slots_put(struct slots *, const uint8_t id[16], const char *raw);

#endif
