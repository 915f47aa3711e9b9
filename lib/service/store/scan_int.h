/*
 * scan_int.h - one look at the directories of a mailbox, in its three parts:
 * reading them (scan_read.c), judging what is not as the journal says
 * (scan_judge.c), writing it down (scan.c).
 */
#ifndef STORE_SCAN_INT_H
#define STORE_SCAN_INT_H

#include "service/store/store_int.h"

struct diff { /* a row whose file has another name */
	uint32_t row, fn, where;
	char *base; /* new base name, or NULL */
	char *extra;
	uint16_t add, rem;
	uint64_t kwadd, kwrem;
};

struct stray { /* an entry that is no row's, or not surely */
	char *file;
	uint32_t dir, row; /* row: whose unique part it has, or n */
	bool is_duplicate;
};

struct gone_key { /* an expunged message whose file may be there */
	uint64_t uhash;
	uint32_t uid;
	bool is_stuck; /* its file is there and cannot be moved */
};

struct scan {
	struct mailbox *m;
	uint32_t *table, mask, n; /* n: rows when the table was made */
	uint8_t *seen;
	struct diff *diffs;
	size_t ndiffs, diffcap;
	struct stray *strays;
	size_t nstrays, straycap;
	struct arrivals new;
	struct gone_key *gone; /* when the table was made */
	size_t ngone;
	bool stood_still;
	struct stat st[2];
	bool reads[2];
	size_t nfiles;
	bool has_register; /* nobody is about to register a file */
	bool is_unstable;  /* something must be looked at again */
	bool is_loss;
	bool has_changes;
	struct import import;
};

/* ---- scan_read.c ---- */
/* Both directories as they stand, not as they change. */
int scan_read_stable(struct scan *, struct err *);
void scan_clear(struct scan *);
struct diff *
scan_add_diff(struct scan *, uint32_t row, uint32_t fn, uint32_t where);
/* The expunged message of that unique part; NULL. */
struct gone_key *scan_gone(const struct scan *, uint64_t uhash);
uint32_t scan_name_where(const struct name *, uint32_t dir);

/* ---- scan_judge.c, under byte 0 ---- */
/* Entries that are no row's: second names, other names, new messages. */
void scan_judge_strays(struct scan *);
/* What the changed names say of flags. */
void scan_judge_names(struct scan *);
/* EXPUNGE for rows without a file, in m->ops; how many. */
size_t scan_judge_missing(struct scan *);
/* An unmounted disk, a half restored backup: not a user's wish. */
bool scan_is_mass_loss(const struct scan *, size_t gone);

#endif
