/*
 * index_int.h - generations: the index a journal goes on from, the records
 * it points to, and the change from one generation to the next.
 */
#ifndef STORE_INDEX_INT_H
#define STORE_INDEX_INT_H

#include "service/store/store_int.h"

/* ---- recs.c: records of messages, append-only ---- */
/* Create or open the file for appending; recs->number says which. */
int
recs_open(struct mailbox *, struct recs *, bool make, int *fd, struct err *);
/*
 * Append what is known of a message; *off is where it stands, *len grows.
 * Written in pieces through b: recs_flush() ends it.
 */
struct recs_writer {
	int fd;
	struct recs *recs;
	struct ops ops; /* one record at a time */
	struct buf out;
	uint64_t at; /* in the file, of out */
};
void recs_writer_init(struct recs_writer *, int fd, struct recs *);
int recs_add(
    struct recs_writer *, const struct op_add *, uint64_t *off, struct err *);
int recs_flush(struct recs_writer *, struct err *); /* and syncs */
void recs_writer_release(struct recs_writer *);
/* The record at p, checked; the op in it is borrowed. */
bool recs_unpack(const struct recs *, struct str p, uint32_t uid, struct op *);

/* ---- index.c ---- */
struct index_head {
	uint64_t gen;	   /* of the journal that goes on from it */
	uint64_t base_off; /* of the journal before: what it covers */
	uint8_t mailboxid[16];
	uint32_t uidvalidity;
	uint32_t n, cap; /* rows, room for rows */
	uint64_t modseq;
	uint32_t mirror_lo, mirror_hi;
	bool keeps_cache; /* writing: the places in it still hold */
	struct recs recs;
	struct counters c;
	uint64_t small_len, file_len;
	uint32_t small_crc;
	uint32_t crc; /* of the head: its name in the journal */
};
#define INDEX_HEAD  512
#define INDEX_PAGE  4096
#define INDEX_BLOCK 65536 /* of the columns, per CRC */
#define INDEX_ROWS  50000000u
#define INDEX_SMALL (64u << 20)
/* Where the columns stand, and how many blocks of them there are. */
uint64_t index_columns_at(const struct index_head *);
uint64_t index_columns_len(const struct index_head *);
size_t index_columns_blocks(const struct index_head *);
void index_head_pack(char p[INDEX_HEAD], struct index_head *);
void index_name(const char *what, uint64_t number, char out[32]);
bool index_is_name(const char *file, const char *what, uint64_t *number);
/* ---- index_write.c ---- */
/*
 * Write the state of the view as the index of that generation; rec[row] and
 * goner[i] are the places of the records. Durable when it returns; *h is
 * completed.
 */
int index_write(struct mailbox *, struct index_head *, uint64_t *rec,
    const uint64_t *goner, struct err *);
/* ---- index.c again ---- */
/*
 * Load what journal j goes on from into the (empty) view. -1: it is not
 * there or not whole. Reads the head and what is small; a large one's columns
 * are mapped, and checked by index_check().
 */
int index_load(
    struct mailbox *, const struct journal *, struct view *, struct err *);
/* All of it, for verify: false and *why. */
bool
index_check(int dirfd, uint64_t gen, struct index_head *, const char **why);

/* ---- mapped.c ---- */
/* False: too many; such an index is copied instead. */
bool index_watch_map(char *p, size_t n);
/* Give up the columns index_load() mapped. */
void index_unmap(char *block, size_t n);
/* Was this block cut short under us? Then its view means nothing. */
bool index_was_cut(const char *block);

/* ---- cache.c ---- */
void cache_release(struct cache **);
/* Of the file the next generation uses: another one if most is dead. */
uint32_t cache_next_number(struct mailbox *);

/* ---- lost.c ---- */
/* The name of a row whose record is lost; false: no file is its. */
bool lost_find(struct mailbox *, uint32_t row, struct cold *);
void lost_release(struct lost_names **);

/* ---- generation.c ---- */
extern uint64_t store_tail_min; /* octets of journal; tests lower it */
/* Has the journal grown so much that the next opening would feel it? */
bool generation_is_due(const struct mailbox *);
/*
 * Write the next index and give the journal a new start. Does nothing when
 * somebody else is at it. The view stays as it is.
 */
int generation_make(struct mailbox *, struct err *);
/* The journal's name belongs to the next generation: go on with it. */
bool generation_follow(struct mailbox *);
/*
 * The journal was deleted, cut or destroyed under this session, which knows
 * everything that was published: write it anew. Under no lock. 1: done.
 */
int generation_revive(struct mailbox *, struct err *);
/* Load from the generation before, its index being lost. */
int generation_regain(struct mailbox *, struct err *);

#endif
