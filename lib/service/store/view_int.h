/*
 * view_int.h - a mailbox as columns, and where what is read seldom stands.
 */
#ifndef STORE_VIEW_INT_H
#define STORE_VIEW_INT_H

#include "base/ranges.h"
#include "service/store/journal_int.h"

/* ---- view.c: the columns ---- */
enum {			     /* row states */
	ST_GHOST = 1 << 0,   /* expunged, not yet told */
	ST_DIRTY = 1 << 1,   /* flags changed by others, not yet told */
	ST_ARRIVED = 1 << 2, /* added by others, not yet told */
	ST_NEWDIR = 1 << 3,  /* the file is in new/ */
	ST_BARE = 1 << 4,    /* in cur/ without ":2," */
	ST_RAW = 1 << 5,
	ST_UNSURE = 1 << 6,   /* size not measured yet */
	ST_INTENT = 1 << 7,   /* fnx: name flags a rename will set */
	ST_DONE = 1 << 8,     /* fnx: name flags before the last rename */
	ST_MISSING = 1 << 10, /* of gone: not where it should be */
	ST_OLDBOOT = 1 << 9,  /* that rename happened before a reboot */
};

#define EXPUNGE_OWN	0
#define EXPUNGE_FOREIGN 1 /* the file was gone already */
#define EXPUNGE_MOVED	2

struct gone { /* expunged, its file not surely out of the way */
	uint32_t uid, fn, fnx;
	uint16_t st; /* ST_NEWDIR, ST_BARE, ST_INTENT; ST_DONE: moved */
	uint64_t uhash, rec, nrec;
};

struct vanished {
	uint32_t lo, hi; /* UIDs; of those that had ever been given out */
	uint64_t modseq;
};

struct moved { /* of rows that others moved and this session shows */
	uint32_t uid, n, to;
	uint8_t id[16];
};

struct open_move {	 /* ADDs here whose sources may still be there */
	uint64_t modseq; /* of the transaction */
	uint8_t from[16];
	uint32_t n;
	uint32_t *uids; /* pairs: here, there */
};

#define FORMER_MAX 1000000
struct former { /* letters of a name before a reboot */
	uint32_t uid, fn;
	uint32_t boot; /* of the transaction that gave it another */
};

struct scan_state {
	uint64_t dev, ino, mtime; /* ns */
	bool is_stable;
};

#define SCAN_PENDING 16
struct scan_step {
	uint64_t before, after;
};

/*
 * The columns, 8 octets wide ones first, so that each starts aligned when
 * they follow each other in an index (index.c) for a number of rows that is a
 * multiple of 8.
 */
#define VIEW_COLUMNS(X) \
	X(kw)           \
	X(modseq)       \
	X(size)         \
	X(rec)          \
	X(uhash)        \
	X(idate)        \
	X(uid)          \
	X(fn)           \
	X(fnx)          \
	X(bhash)        \
	X(cache)        \
	X(flags)        \
	X(st)

struct view {
	uint32_t n, cap, shown, nghosts;
	uint32_t *uid, *fn, *fnx, *bhash;
	uint32_t *cache; /* offset in the cache, in units of 8; 0: none */
	uint16_t *flags, *st;
	uint64_t *kw, *modseq, *size, *uhash;
	uint64_t *rec;	/* where its record stands (cold.c) */
	uint64_t *nrec; /* of its last RENAME; NULL until the first */
	int64_t *idate;
	/* all columns at once, from an index; NULL: each is its own memory */
	char *block;
	size_t block_len;
	bool is_mapped;
	unsigned slot; /* of the journal being applied (cold.c) */

	struct counters c;
	uint64_t modseq_now;
	uint64_t floor;	       /* no history of expunges below */
	uint64_t pending_from; /* first modseq not yet told, 0: none */
	unsigned nkeywords;
	struct str keywords[STORE_MAX_KEYWORDS];
	unsigned keywords_told;
	int forwarded; /* bit of $Forwarded or -1 */

	struct gone *gone;
	size_t ngone, gonecap;
	struct vanished *vanished;
	size_t nvanished, vanishedcap;
	struct open_move *moves;
	size_t nmoves;
	struct moved *moved; /* until their rows are dropped */
	size_t nmoved;
	struct scan_state scan[2]; /* cur, new */
	struct scan_step steps[2][SCAN_PENDING];
	unsigned nsteps[2];
	uint32_t recent; /* UIDs from here on nobody has seen as \Recent */
	uint64_t ino;	 /* from RESTORE, 0: none */
	bool is_gone;	 /* mailbox deleted */
	bool was_restored;

	uint32_t *touched; /* UIDs with something to tell */
	size_t ntouched, touchedcap;
	uint32_t mirror_lo, mirror_hi; /* UIDs; lo > hi: nothing to do */
	struct former *former;	       /* names a power cut may bring back */
	size_t nformer, formercap;
	bool is_former_sorted;
	bool is_loading, is_own;
	const char *why; /* what view_apply() refused */
};

/* Columns in one block, as an index has them. */
void view_attach(struct view *, char *block, uint32_t cap);
#define VIEW_ROW_SIZE 72 /* octets of a row in all columns */
void view_init(struct view *);
void view_release(struct view *);
journal_apply view_apply;
/* After the load: drop what is expunged, show everything. */
void view_settle(struct view *);
/* Row of that UID or the next higher; n if none. */
uint32_t view_lower(const struct view *, uint32_t uid);
/* Row of a live or ghost UID; n if none. */
uint32_t view_row(const struct view *, uint32_t uid);
void view_touch(struct view *, uint32_t row, uint16_t bit);
/* While loading: this row's name may be behind. */
void view_note_behind(struct view *, uint32_t row);
void view_drop_rows(struct view *, bool hidden_only);
/* Names before a reboot (former.c). */
void view_note_former(struct view *, uint32_t row, uint32_t fn, uint32_t boot);
bool view_had_name(struct view *, uint32_t row, uint32_t fn);
/* The directory was read in that boot: those of others are settled. */
void view_forget_former(struct view *, uint32_t boot);
/* Where others moved a ghost: its UID there, 0 if that is not known. */
uint32_t view_moved(const struct view *, uint32_t uid, uint8_t id[16]);
void view_mirror(struct view *, uint32_t uid);
/* The name letters that flags and keywords ask for. */
uint32_t
view_want_fn(const struct view *, uint16_t flags, uint64_t kw, uint32_t now);
/* The other way: what those letters mean. */
void
view_flags_of(const struct view *, uint32_t fn, uint16_t *flags, uint64_t *kw);
/* The hashes a row is found by. */
void name_hashes(struct str base, uint64_t *uhash, uint32_t *bhash);
void view_recount(const struct view *, struct counters *);
void view_count(struct counters *, uint16_t flags, uint64_t size, int sign);
void view_set_size(struct view *, uint32_t row, uint64_t size);
void view_push(struct view *); /* room for one more row, n grows */
void view_move_row(struct view *, uint32_t to, uint32_t from);
#define TOUCHED_MAX 4096 /* above this a full pass is cheaper */

/* ---- cold.c ---- */
/*
 * A record's place: the slot of a file and the offset in it. Slot 0 is the
 * file of records the index names, others are journals: the one that is
 * followed and those it took over from.
 */
#define REC_SLOT_SHIFT 56
#define REC_SLOTS      8
#define REC_OFF(rec)   ((rec) & (((uint64_t)1 << REC_SLOT_SHIFT) - 1))

struct recs { /* a file of records, append-only */
	uint64_t number, len, count;
	uint32_t salt;
};

#endif
