/*
 * stream_read_int.h - what changes/read.c finds, for changes/changes.c.
 */
#ifndef STORE_STREAM_READ_INT_H
#define STORE_STREAM_READ_INT_H

#include "service/store/stream_int.h"

enum stream_state {
	STREAM_GOOD,
	STREAM_NONE,	/* no file, or not the one of that token */
	STREAM_DAMAGED, /* not what was written: to be removed */
};

struct stream_files {
	int fd[2]; /* the current one, the one before */
	struct stream_head head;
	uint32_t salt[2];
	uint64_t first, end; /* numbers of records that are there */
};
enum stream_state stream_files_open(struct account *, struct stream_files *);
void stream_files_close(struct stream_files *);
bool stream_files_read(
    const struct stream_files *, uint64_t at, struct stream_record *);

struct telling {
	struct told {
		struct judged j;
		uint32_t next;
		bool has_changed;
		uint64_t since;
	} * v;
	size_t n, cap;
	uint32_t bucket[1024];
	bool has_tree;
	bool is_tree_whole; /* only the list of now tells */
	uint64_t tree_from; /* else: the account's journal, from here on */
};
void telling_release(struct telling *);

enum stream_state stream_files_tell(struct account *,
    const struct stream_files *, const struct stream_token *from,
    struct stream_token *next, struct telling *);
/* false: none can be given. The account is as it was looked at just now. */
bool stream_first_token(struct account *, struct stream_token *);

#endif
