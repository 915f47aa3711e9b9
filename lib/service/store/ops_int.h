/*
 * ops_int.h - the operations of a journal transaction: one pack and one
 * unpack each, side by side in ops.c. Values are absolute or masks, so that
 * applying one twice is the same as once.
 */
#ifndef STORE_OPS_INT_H
#define STORE_OPS_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cur.h"
#include "base/str.h"

enum op_type {
	OP_ADD = 1,
	OP_FLAGS = 2,
	OP_EXPUNGE = 3,
	OP_KWDEF = 4,
	OP_FN = 5,	  /* a rename is meant */
	OP_FNDONE = 6,	  /* it has happened */
	OP_MERGED = 7,	  /* the name somebody else gave */
	OP_RENAME = 8,	  /* base name changed by somebody else */
	OP_SCAN = 9,	  /* a directory read at this state */
	OP_SCANSTEP = 10, /* own change took it from state to state */
	OP_MOVEFROM = 11,
	OP_MOVEDONE = 12,
	OP_MOVED = 13, /* where an expunged message went */
	OP_RECENT = 14,
	OP_FLOOR = 15,
	OP_BOOT = 16,
	OP_RESTORE = 17,
	OP_GONE = 18, /* the mailbox was deleted */
	OP_SIZE = 19,
	OP_BURIED = 20, /* files of expunged messages moved away */
	OP_CACHE = 22,	/* where entries of the cache stand */
	/* account journal */
	OP_MBOX = 64,
	OP_MBOXGONE = 65,
	OP_MBOXNAME = 66,
	OP_RENBEGIN = 67,
	OP_RENEND = 68,
	OP_SUB = 69,
	OP_UNSUB = 70,
	OP_USE = 71,
	OP_DELBEGIN = 72,
	OP_UIDVALIDITY = 73, /* the last given out */
};
#define OP_OPTIONAL 1 /* opflags: who does not know it skips it */
#define OP_HEAD	    8

/* Operations being collected for one transaction */
struct ops {
	struct buf b; /* room for the transaction's head comes first */
	unsigned n;
	size_t at; /* of the open op */
};

struct op {
	uint16_t type, flags;
	struct str body;
};

void ops_init(struct ops *);
void ops_release(struct ops *);
void ops_clear(struct ops *);
/* The next op; false at the end or with c->why set. `c` is over the ops. */
bool op_next(struct cur *, struct op *);

#define ADD_RAW	   1
#define ADD_UNSURE 2
enum { WHERE_CUR, WHERE_NEW, WHERE_BARE };
#define ADD_FIXED 84
struct op_add {
	uint32_t uid, fn;
	uint64_t kw, size, create_modseq, threadid;
	int64_t idate, sdate;
	uint8_t emailid[16];
	uint16_t flags;
	int16_t zone_min;
	uint8_t where, bits;
	struct str name, extra;
};
void op_add_pack(struct ops *, const struct op_add *);
bool op_add_unpack(struct str, struct op_add *);

struct op_flags {
	uint16_t add, rem;
	uint64_t kwadd, kwrem;
	struct str ranges; /* pairs of u32 */
};
/* The ranges follow by op_u32() and then op_end(). */
void op_flags_begin(struct ops *, const struct op_flags *);
bool op_flags_unpack(struct str, struct op_flags *);

/* Lists of u32 tuples: EXPUNGE {uid, why, hash lo, hash hi}, FN {uid, new},
 * FNDONE {lo, hi}, MERGED {uid, fn, where}, BURIED {lo, hi},
 * SIZE {uid, bits, size lo, size hi}, CACHE {uid, place} */
void op_begin(struct ops *, enum op_type, uint16_t flags);
void op_u32(struct ops *, uint32_t);
void op_u64(struct ops *, uint64_t);
void op_bytes(struct ops *, struct str);
void op_end(struct ops *);
/* Number of tuples of that many u32, false if it does not come out even */
bool op_tuples(struct str, unsigned width, size_t *n);
uint32_t op_tuple(struct str, unsigned width, size_t i, unsigned k);

struct op_name { /* KWDEF {bit}, RENAME {uid, extra} */
	uint32_t number;
	struct str name, extra;
};
void op_name_pack(struct ops *, enum op_type, const struct op_name *);
bool op_name_unpack(struct str, struct op_name *);

struct op_scan {
	uint32_t dir; /* 0 cur, 1 new */
	uint32_t is_stable;
	uint64_t dev, ino, mtime, nfiles;
};
void op_scan_pack(struct ops *, const struct op_scan *);
bool op_scan_unpack(struct str, struct op_scan *);

struct op_scanstep {
	uint32_t dir;
	uint64_t before, after;
};
void op_scanstep_pack(struct ops *, const struct op_scanstep *);
bool op_scanstep_unpack(struct str, struct op_scanstep *);

struct op_move { /* MOVEFROM: pairs {here, there}; MOVED: {uid, to uid} */
	uint8_t mailboxid[16];
	struct str pairs;
};
void op_move_begin(struct ops *, enum op_type, const uint8_t id[16]);
bool op_move_unpack(struct str, struct op_move *);

/* one or two u64: MOVEDONE {off, state}, FLOOR {modseq}, RECENT {uid},
 * BOOT {old boot, gap}, RESTORE {ino, gap}, GONE {} */
void op_words_pack(struct ops *, enum op_type, uint64_t, uint64_t);
bool op_words_unpack(struct str, uint64_t out[2]);

#endif
