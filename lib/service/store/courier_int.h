/*
 * courier_int.h - the keywords of a mailbox that Courier has kept
 * (courier.c), for adopt.c.
 */
#ifndef STORE_COURIER_INT_H
#define STORE_COURIER_INT_H

#include "service/store/store_int.h"

struct courier_keywords {
	struct str names[STORE_MAX_KEYWORDS]; /* owned */
	size_t nnames;
	struct courier_message {
		uint64_t uhash, set; /* bit i: names[i] */
		bool is_newer;
	} * v; /* by uhash, the one that counts first */
	size_t n, cap;
	uint64_t lost; /* uses of a keyword there was no room for */
};

/* An empty set when there are none. */
void courier_keywords_read(int dirfd, struct courier_keywords *);
void courier_keywords_release(struct courier_keywords *);
uint64_t courier_keywords_of(const struct courier_keywords *, uint64_t uhash);

/* One file each; read() does both. Not yet sorted. */
void courier_list_parse(struct courier_keywords *, struct str text);
void
courier_file_parse(struct courier_keywords *, struct str file, struct str text);

#endif
