/*
 * layout_int.h - layout.c: which directory is which mailbox; state.c: where
 * our own files of a mailbox lie; nested.c: changing a tree of LAYOUT=fs.
 * What others need of it is in store_int.h.
 */
#ifndef STORE_LAYOUT_INT_H
#define STORE_LAYOUT_INT_H

#include "service/store/store_int.h"

/* ---- layout.c ---- */
/* The mailbox of a directory; false: of none. */
bool layout_name(const struct layout *, struct str dir, struct buf *out);
bool layout_is_maildir(int rootfd, const char *dir);
/* A listing: what names are written in. */
struct layout_census {
	size_t utf8, mutf7;
};
void layout_count(struct layout_census *, const char *dir);
/* Each directory that is a mailbox but INBOX; notes the tree's stamp. */
typedef int layout_found(void *arg, const char *dir, struct err *);
int layout_each(struct account *, layout_found *, void *arg, struct err *);
/* After layout_each(): what others may see, and why we do not. */
typedef void layout_hidden(void *arg, const char *path, const char *why);
void layout_each_hidden(struct account *, layout_hidden *, void *arg);

void walked_release(struct walked *);

/* ---- look.c ---- */
/* The mailbox of a directory; false: none, and why its mail is not shown. */
bool look_name(const struct account *, const char *dir,
    char norm[STORE_MAX_NAME + 1], const char **why);

/* ---- state.c ---- */
/* The id on disk, and the UIDVALIDITY of the journal there. */
bool state_read_id(
    struct account *, const char *dir, uint8_t id[16], uint32_t *uidvalidity);
/* LAYOUT=fs: what quire.id says in that directory; false: nothing. */
bool state_id(int dirfd, uint8_t id[16]);
/* It is the id of another: a copied folder. */
void state_forget(struct account *, const char *dir);
/* quire/acct, or its like in the index root. */
int state_open_account(struct account *, struct err *);
#define STATE_ID_HEX 33
void state_hex(const uint8_t id[16], char out[STATE_ID_HEX]);

/* ---- nested.c: paths like "A/b" ---- */
int nested_make(struct account *, const char *dir, struct err *);
void nested_unmake(struct account *, const char *dir);
/* Out of the tree, to deleted/ of the index root if it is on the same file
 * system; mailboxes below stay. */
int nested_bury(
    struct account *, const char *dir, const uint8_t id[16], struct err *);
/* 0 also when it was done before. */
int
nested_move(struct account *, const char *from, const char *to, struct err *);

#endif
