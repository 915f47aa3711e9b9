/*
 * folders_int.h - what CREATE, DELETE and RENAME share.
 */
#ifndef STORE_FOLDERS_INT_H
#define STORE_FOLDERS_INT_H

#include "service/store/layout_int.h"

/* ---- folders.c ---- */
/* account_normalize() with its reason in *e. */
enum account_result
folders_normalize(struct str in, char out[STORE_MAX_NAME + 1], struct err *e);
/* Under the account's lock, knowing what others did; folders_end() after. */
int folders_begin(struct account *, struct err *);
void folders_end(struct account *);
/* A mailbox that is not there, nor its name taken; subscribed. */
enum account_result folders_create_one(
    struct account *, struct str name, unsigned use, struct err *);

/* ---- rename.c ---- */
/* The directories of RENAMEs that the journal has begun. */
int folders_finish_renames(struct account *, struct err *);

/* ---- folder_dir.c (folder_make() is in store_int.h) ---- */
/* A CREATE that failed must not leave a folder that is adopted later. */
void folder_unmake(struct account *, const uint8_t id[16], const char *dir);

#endif
