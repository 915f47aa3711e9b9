/*
 * adopt_int.h - a mailbox while it is adopted: adopt.c, and adopt_tell.c for
 * who asked.
 */
#ifndef STORE_ADOPT_INT_H
#define STORE_ADOPT_INT_H

#include "service/store/adopt.h"
#include "service/store/courier_int.h"
#include "service/store/store_int.h"

struct adoption {
	struct mailbox *m;
	struct adopt_box *box; /* NULL: nobody asked */
	struct uidlist list;
	bool *is_used; /* each of its lines: there is a file */
	struct courier_keywords courier;
	uint64_t bit[STORE_MAX_KEYWORDS]; /* of each of Courier's names */
	uint32_t letters;		  /* in any name */
	struct arrivals files;
	struct stat st[2];
	bool is_stable[2]; /* read as they stood: no scan is needed */
};

void adopt_tell_list(struct adoption *);
/* The last of its files. */
void adopt_tell_file(struct adoption *, const char *file, int dirfd,
    const struct name *, const struct stat *);
/* st: NULL if its name alone is none */
void
adopt_tell_no_message(struct adoption *, const char *file, const struct stat *);
/* clashes: files whose UID another has */
void adopt_tell_files(struct adoption *, size_t clashes);
/* Keywords are defined: which letters mean none? */
void adopt_tell_letters(struct adoption *);

#endif
