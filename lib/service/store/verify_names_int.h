/*
 * verify_names_int.h - the files of a mailbox and the messages they belong
 * to, as verify_names.c found them.
 */
#ifndef STORE_VERIFY_NAMES_INT_H
#define STORE_VERIFY_NAMES_INT_H

#include "service/store/verify_int.h"

struct stray { /* a file that is no message's, or a second one */
	char *file;
	uint32_t dir, row; /* row: of its unique part, or n */
	bool is_second;
};

struct files {
	struct box *b;
	struct verify *v;
	uint32_t *table, mask; /* rows + 1 by uhash; 0: free */
	uint8_t *seen;	       /* of each row: it has a file */
	uint64_t *ino;	       /* of each row's file */
	struct stray *strays;
	size_t nstrays, cap, lost; /* lost: more than are kept */
	uint64_t *gone;		   /* hashes of removed messages, sorted */
	bool is_last;		   /* the reading in which oddities are told */
};

/* Journal and names of one moment; false: they kept changing. In both cases
 * files_release(). */
bool files_read(struct files *);
void files_release(struct files *);
/* The row of a name, by all of it or (not is_exact) by its unique part; n. */
uint32_t files_find(const struct files *, const struct name *, bool *is_exact);
/* cur/ is 0, new/ is 1. */
int files_dirfd(const struct files *, uint32_t dir);
/* Each file of new/, then of cur/; false: a directory cannot be read. */
typedef void each_file(struct files *, const char *, uint32_t dir, uint64_t);
bool files_each(struct files *, each_file *);
/* Was a message of that unique part removed, its file not yet? */
bool files_is_gone(const struct files *, uint64_t uhash);

#endif
