/*
 * journal_room_int.h - what the files of the journal share: txn.c, pub.c,
 * journal_tail.c, journal_repair.c, journal.c.
 */
#ifndef STORE_JOURNAL_ROOM_INT_H
#define STORE_JOURNAL_ROOM_INT_H

#include "service/store/store_int.h"

#define READ_CHUNK (256 * 1024)

/* ---- txn.c ---- */
void
journal_head_pack(char[JOURNAL_HEAD], const struct journal *, uint64_t ino);
/* Whole, but of a version or with features that we do not know. */
bool journal_head_is_newer(const char *);
/* Whole length of what claims to stand at p, 0 if nothing can. */
uint32_t txn_len(const char *p, uint64_t off, uint64_t room);
/* Its end agrees with its head: it was whole, whatever the salt says. */
bool txn_has_ends(const char *p, uint32_t len);
/* All of it, CRC and footer checked; t->ops is borrowed from p. */
bool
txn_unpack(const struct journal *, const char *p, uint32_t len, struct txn *);
/* Complete the head and the footer around the ops. */
void txn_seal(struct journal *, struct ops *, const struct txn *);

/* ---- pub.c ---- */
void pub_read(struct journal *);

/* ---- journal_tail.c ---- */
enum journal_tail {
	TAIL_CHANGED, /* what was read last stands no more, or is cut */
	TAIL_BLANK,   /* zeros, or the end of the file: nothing follows */
	TAIL_MORE     /* something does */
};
/* One read. Looks only at the eight octets behind. */
enum journal_tail journal_tail(const struct journal *);
/* So that a transaction that ends there lies inside of the file. */
int journal_make_room(struct journal *, uint64_t end);

/* ---- journal_repair.c ---- */
/* Copy what can be saved into a new generation; the old stays as .bad.
 * j->was_salvaged: nobody has completed it. */
int journal_salvage(struct journal *, uint64_t size, struct err *);
/* A writer died between its append and its publishing. */
int journal_mend_pub(struct journal *, struct err *);
/* After a failed sync: write and sync again what was not seen synced. */
int journal_heal(struct journal *, struct err *);

#endif
