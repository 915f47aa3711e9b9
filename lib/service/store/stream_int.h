/*
 * stream_int.h - the file `stream` of an account: changes/stream.c writes it,
 * changes/read.c reads it, changes/judge.c tells whether a record stands.
 */
#ifndef STORE_STREAM_INT_H
#define STORE_STREAM_INT_H

#include "service/store/changes.h"
#include "service/store/store_int.h"

#define STREAM_HEAD   64
#define STREAM_RECORD 64
#define STREAM_MOST   (1u << 20) /* records of one file that are believed */

struct stream_head {
	uint32_t boot, salt;
	uint64_t id;
	uint64_t base;	  /* number of its first record */
	uint64_t ino;	  /* of this very file */
	uint32_t records; /* this many, and no more, belong to it */
};
void stream_head_pack(char[STREAM_HEAD], const struct stream_head *);
bool stream_head_unpack(const char *, struct stream_head *);

struct stream_record {
	enum stream_kind {
		STREAM_MAILBOX = 1, /* a transaction of its journal */
		STREAM_MAILBOX_NEW, /* another journal altogether */
		STREAM_TREE,	    /* a transaction of the account's */
		STREAM_TREE_NEW,
	} kind;
	uint8_t id[16];
	uint64_t gen, end; /* the journal reaches from there when it stands */
	uint64_t before;   /* modseq before it; of the tree: offset */
	uint64_t seen;	   /* so many records had been seen by its writer */
	int64_t time_us;
	uint32_t crc;
};
void stream_record_pack(
    char[STREAM_RECORD], const struct stream_record *, uint32_t salt);
bool stream_record_unpack(const char *, uint32_t salt, struct stream_record *);

/* ---- stream.c ---- */
/* Our fd is the current file, made if need be. Not under any lock but byte 0
 * of mailboxes. */
int stream_open(struct account *, struct err *);
/* Nobody is to believe it any more. */
void stream_spoil(struct account *, const char *why);
/* The head of the file, if it is one of this boot and no copy. */
bool stream_head_read(int fd, struct stream_head *);

/* ---- token.c ---- */
#define STREAM_PENDING 8
struct stream_token {
	uint64_t id, next; /* the first record not looked at */
	uint32_t crc;	   /* of the one before it; 0: there is none */
	uint64_t pending[STREAM_PENDING]; /* looked at, but being written */
	unsigned npending;
};
bool stream_token_parse(struct str, struct stream_token *);
void stream_token_print(const struct stream_token *, char[CHANGES_TOKEN]);

/* ---- judge.c ---- */
enum standing {
	STREAM_STANDS,
	STREAM_IN_FLIGHT, /* its writer is at it */
	STREAM_VOID,	  /* its writer died or failed before the journal */
};
struct judged { /* a mailbox, or the tree, as it was when looked at */
	uint8_t id[16];
	bool is_tree;
	bool is_published; /* pub is of this boot: the rest is true */
	uint64_t gen, end, modseq;
};
/* j is what was seen of the same before, or only its id. */
enum standing
stream_judge(struct account *, const struct stream_record *, struct judged *);
/* Is byte 0 of that mailbox (NULL: of the tree) held? *j as it was before. */
bool stream_is_held(struct account *, const struct node *, struct judged *j);
/* A record for who holds it: its own may be in a file that is lost. */
void stream_note_held(struct account *, const struct judged *);
/* The mailbox with that id, as its own journal has it. */
struct node *stream_node(struct account *, const uint8_t id[16]);

#endif
