/*
 * incoming_int.h - a message in tmp/, for who writes it there (incoming.c)
 * and who files it (filing.c).
 */
#ifndef STORE_INCOMING_INT_H
#define STORE_INCOMING_INT_H

#include "base/buf.h"
#include "service/store/incoming.h"
#include "service/store/store_int.h"

/* From so many on one syncfs() for all: below, single syncs cost less than
 * others' dirt. */
#define SYNCFS_MIN 8

struct incoming {
	struct mailbox *m;
	struct incoming_opts opts;
	int fd;
	char tmp[NAME_LEN + 1];	 /* in tmp/ */
	char name[NAME_LEN + 1]; /* base name, with sizes once synced */
	struct buf out;
	char last, last2; /* the two bytes before */
	bool holds_cr;	  /* a CR not yet written */
	bool is_raw, is_finished, is_synced, is_filed, is_renamed;
	uint64_t size;	 /* as given */
	uint64_t stored; /* bytes written and in out */
};

#endif
