/*
 * peers_int.h - the files of other servers: their locks, what is taken from
 * them and written for them.
 */
#ifndef STORE_PEERS_INT_H
#define STORE_PEERS_INT_H

#include "service/store/adopt.h"
#include "service/store/disk_int.h"
#include "service/store/ops_int.h"

struct account;
struct arrivals;
struct mailbox;
struct view;

/* ---- dotlock.c: Dovecot's locks ---- */
#define UIDLIST	     "dovecot-uidlist"
#define UIDLIST_LOCK UIDLIST ".lock"
struct dotlock {
	int dirfd, fd; /* fd -1: not held; dirfd is borrowed */
	const char *name;
	int64_t touched_ms;
};
/* ERR_TEMP when it is held for all of wait_ms. Not under byte 0. */
int dotlock_take(
    struct dotlock *, int dirfd, const char *name, int wait_ms, struct err *);
void dotlock_touch(struct dotlock *); /* often enough, by who holds it long */
void dotlock_drop(struct dotlock *);

struct export_note { /* quire/export: what we wrote */
	uint64_t ino, size, mtime;
	uint32_t boot, uidvalidity;
	uint32_t next; /* UIDs below are in it */
	uint32_t lines;
};

/* ---- adopt.c, dovecot.c ---- */
/* In place of the journal there is; its byte 0 and the dotlock are held. */
int adopt_again(struct mailbox *, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *);
int adopt_mailbox(struct mailbox *, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *);
/* Kept while somebody asked for it (adopt.h), else nothing. */
void adopt_problem(struct adopt_box *, const char *kind, const char *file,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The view that would give, and nothing written. */
int adopt_hidden(struct mailbox *, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *);
enum uidlist_kind {
	UIDLIST_NONE,
	UIDLIST_DOVECOT3,
	UIDLIST_DOVECOT1,
	UIDLIST_COURIER
};
#define UIDLIST_UID_MAX 0xfff00000u /* leaves room above what one may claim */
struct uidlist {		    /* what another server wrote */
	enum uidlist_kind kind;
	bool is_broken;	   /* there is one, and its header makes no sense */
	struct err unread; /* there is one, and it cannot be read; else empty */
	uint32_t uidvalidity, uidnext;
	bool has_id;
	uint8_t mailboxid[16];
	struct uid_line {
		uint64_t uhash, vsize;
		uint32_t uid;
		bool has_guid;
		uint8_t guid[16];
	} * v; /* by uhash */
	size_t n, cap;
	uint32_t uid_max; /* of all lines */
	size_t nbad;	  /* lines that make no sense */
};
void uidlist_release(struct uidlist *);
/* false: there is none, or it is broken */
bool uidlist_read(int dirfd, bool header_only, struct uidlist *);
bool uidlist_parse(struct str text, bool header_only, struct uidlist *);
const struct uid_line *uidlist_find(const struct uidlist *, uint64_t uhash);
bool keyword_is_valid(struct str);
/* dovecot-keywords: which name each letter has */
void keywords_write(struct mailbox *);
/* The names of the letters, borrowed; how many. */
unsigned keywords_parse(struct str text, struct str names[FN_LETTERS]);
/* KWDEFs for letters that file has and we do not. -1: it cannot be read. */
int keywords_read(int dirfd, const struct view *, struct ops *, struct err *);

struct node;

/* ---- export.c, export_tree.c: for the way back ---- */
enum {
	EXPORT_NOW = 1 << 0,  /* not only when it is time */
	EXPORT_FULL = 1 << 1, /* write all anew, wait for the lock */
	EXPORT_SYNC = 1 << 2, /* durable */
};
int mailbox_export_state(struct mailbox *, unsigned how, struct err *);
/* Does this account keep them up to date? */
void account_choose_exports(struct account *);
int account_export_state(struct account *, unsigned how, struct err *);
/* What others changed in `subscriptions` since we wrote it. Under the lock. */
int subscriptions_import(struct account *, struct err *);
bool export_note_read(int qfd, struct export_note *);
void export_note_write(int qfd, const struct export_note *);
bool export_note_agrees(const struct export_note *, const struct stat *);
/* "<uid> [words] :<name>", the name without its flags */
bool uidlist_line(
    struct str line, uint32_t *uid, struct str *words, struct str *base);
/* A folder in the making gets its UIDVALIDITY from us. */
int export_new_folder(
    struct account *, int dirfd, const struct node *, struct err *);
/* The dotlock is held. */
int
export_locked(struct mailbox *, unsigned how, struct dotlock *, struct err *);
/* Is what we know of the uidlist no longer true of it? */
bool export_is_foreign(int dirfd, int qfd, struct stat *);
/* A name in it is to change: it must be written anew. */
void export_forget(struct mailbox *);

/* ---- import.c: UIDs that another server gave out ---- */
struct import {
	bool is_read;	   /* the list was looked at */
	bool is_new;	   /* it is not as we left it */
	bool is_others;	   /* surely not we wrote it */
	bool is_whole;	   /* not only what was appended */
	bool must_rewrite; /* it is not what the journal says */
	uint32_t next;	   /* lower UIDs have been given out */
	struct uidlist list;
	struct export_note note;
	uint32_t nfound, nunknown; /* lines of new files; and above our UIDs */
	uint32_t *burnt;	   /* UIDs that mean two messages */
	size_t nburnt;
};
/* Under byte 0, in this order; import_done() after the journal has it. */
void import_begin(struct mailbox *, struct import *);
void import_assign(struct mailbox *, struct import *, struct arrivals *);
void import_compare(struct mailbox *, struct import *);
/* The UID of a file that is to have `wanted` (0: any), not below next. */
uint32_t import_uid(struct import *, uint32_t wanted, uint32_t next);
/* What is burnt and left out, from next on. Is it more than bookkeeping? */
bool import_pack(struct mailbox *, struct import *, uint32_t next);
void import_done(struct mailbox *, struct import *);
void import_release(struct import *);
/* All of it, if the list is another than we wrote. */
int import_now(struct mailbox *, struct err *);
#define IMPORT_TRIES   50
#define IMPORT_WAIT_MS 10

/* ---- coexist.c: Dovecot at the same time ---- */
bool coexist_is_on(const struct mailbox *);
/* Hold dovecot-uidlist.lock, if so configured; may be nested. */
int coexist_begin(struct mailbox *, int wait_ms, struct err *);
void coexist_end(struct mailbox *);   /* writes our lines first */
void coexist_touch(struct mailbox *); /* by who may take long */
/* Names are to change: Dovecot must not be reading them. false: later */
bool coexist_begin_renaming(struct mailbox *);
/* The same, and take in what the other wrote: for who gives out UIDs. */
int coexist_begin_adding(struct mailbox *, struct err *);
/* adopt_mailbox() and mailbox_load() */
int coexist_adopt(struct mailbox *, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *);
#define COEXIST_SCAN_MS 2000 /* a look waits no longer for Dovecot */

/* ---- maildirsize.c: the quota file of Maildir++, if there is one ---- */
void maildirsize_find(struct account *);
void maildirsize_add(struct account *, int64_t octets, int64_t messages);
void maildirsize_filed(struct account *, const char *name); /* with S= */
void maildirsize_recount(struct account *);
int maildirsize_write(struct account *, struct err *);

#endif
