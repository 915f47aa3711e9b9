/*
 * account_int.h - an open account: the tree of mailboxes, and the files that
 * stand beside all of them.
 */
#ifndef STORE_ACCOUNT_INT_H
#define STORE_ACCOUNT_INT_H

#include "service/store/mailbox_int.h"

/* ---- account.c, tree.c ---- */
struct node {	    /* a mailbox */
	char *name; /* UTF-8 */
	uint8_t id[16];
	uint32_t uidvalidity;
	unsigned use;
};

struct moving { /* of a RENAME that has begun */
	char *from, *to;
};

struct tree { /* what the account journal says */
	struct node *v;
	size_t n, cap;
	char **subs;
	size_t nsubs, subscap;
	struct node *deleting; /* DELBEGIN without its end */
	size_t ndeleting;
	struct moving *moving; /* RENBEGIN without its end */
	size_t nmoving;
	uint32_t uidvalidity; /* the last given out */
};

void tree_init(struct tree *);
void tree_release(struct tree *);
journal_apply tree_apply;
struct node *tree_find(const struct tree *, struct str name);
struct node *tree_find_id(const struct tree *, const uint8_t id[16]);
bool tree_is_subscribed(const struct tree *, struct str name);
/* Is `name` below `parent`? */
bool name_is_below(struct str name, struct str parent);
void op_mbox_pack(struct ops *, const struct node *);
/* RENBEGIN: one old name and the new one */
bool op_pair_next(struct cur *, struct str *from, struct str *to);

struct layout {	      /* where mailboxes lie (layout.c) */
	bool is_fs;   /* directories in directories; else Maildir++ */
	bool is_utf8; /* new folders get their names so */
};

struct walked { /* directories of LAYOUT=fs, as last seen */
	char **v;
	size_t n, cap;
};

struct stream { /* changes/stream.c: the file being written to */
	int fd;
	int dirfd;	  /* of its own, where the account's is gone; -1 */
	int64_t retry_ms; /* before, none is made: it just failed */
	uint32_t salt, records;
	uint64_t base, end; /* end: of the file, when we last wrote */
	dev_t dev;
	ino_t ino;
};

struct account {
	int rootfd, acctfd;
	int indexfd; /* of LAYOUT=fs */
	struct account_opts opts;
	char hostname[65];
	struct journal j;
	struct tree tree;
	struct ops ops;
	uint64_t root_mtime; /* layout_stamp() at the last look */
	struct mailbox_info *list;
	size_t nlist;
	bool list_ok;
	struct layout layout;
	struct walked walked;
	bool exports;	      /* keeps Dovecot's files up to date */
	bool is_tree_changed; /* since they were written */
	struct owed {	      /* lines of maildirsize (maildirsize.c) */
		bool is_kept, must_count;
		int64_t octets, messages;
	} owed;
	struct adopt_box *adopting; /* gets told what is found (adopt.h) */
	struct stream stream;
	struct marks *marks;	 /* NULL: there are none */
	struct pubs *pubs;	 /* NULL: not open */
	struct senders *senders; /* NULL: not asked for yet */
};

const char *account_hostname(const struct account *);
bool account_is_readonly(const struct account *);
bool account_fast_sync(const struct account *);
void account_log(
    const struct account *, int level, const char *event, const char *text);
/* The reserve for emptying a full disk (expunge.c, 3): was there one? */
bool account_release_reserve(struct account *);
void account_keep_reserve(struct account *);
int account_lock(struct account *, struct err *);
void account_unlock(struct account *);
int account_append(struct account *, bool sync, struct err *);
/* Finish what somebody began; adopt what others made. Under the lock. */
int account_recover(struct account *, struct err *);
int account_scan(struct account *, struct err *);
uint32_t account_next_uidvalidity(struct account *);
/* One for a mailbox that is numbered anew, which no other will get. */
int account_reserve_uidvalidity(struct account *, const uint8_t id[16],
    uint32_t above, uint32_t *out, struct err *);
/* What account_list() gave (list.c). */
void account_list_release(struct account *);
/* Directory of a mailbox below the root; of INBOX it is "." */
bool
account_dir(const struct account *, struct str name, char out[NAME_LEN + 1]);

/* ---- changes/stream.c: what is about to change ---- */
extern uint32_t store_stream_records; /* of one file; for tests */
/* Under byte 0: the journal is about to reach `end`. */
void stream_note_mailbox(const struct mailbox *, uint64_t end);
void stream_note_tree(struct account *, uint64_t end);
/* There is about to be a journal that goes on from no other. */
void stream_note_adopted(struct account *, const uint8_t id[16]);
void stream_note_tree_anew(struct account *);
void stream_release(struct stream *);

/* ---- tree/pubs.c: what each mailbox's pub says, in one file ---- */
bool pubs_get(struct account *, const uint8_t id[16], struct pub *);
/* Under byte 0 of the mailbox. */
void pubs_put(struct account *, const char raw[PUB_SIZE]);
void pubs_close(struct account *);

/* ---- marks.c: how far mailboxes had got, outside the mail tree ---- */
struct mark {
	uint8_t id[16];
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
};
#define MARK_SIZE 64
void mark_pack(char[MARK_SIZE], const struct mark *);
bool mark_unpack(const char *, struct mark *);
void mark_mailbox(const struct mailbox *, struct mark *);
void marks_open(struct account *);
void marks_close(struct account *);
enum marks_say {
	MARKS_NOTHING, /* what we know */
	MARKS_BEHIND,  /* less, or nothing of this mailbox */
	MARKS_AHEAD,   /* it had got further: it was put back */
	MARKS_ABSURD,  /* not believed */
};
enum marks_say
marks_ask(struct account *, const struct mark *now, struct mark *);
/* Under byte 0, after what it says is durable. */
void marks_note(struct mailbox *);
/* Taking byte 0 will say RESTORE. */
bool mailbox_is_behind_marks(const struct mailbox *);

/* ---- senders.c (senders.h has the rest) ---- */
void senders_release(struct account *);

/* ---- layout.c, state.c (layout_int.h has the rest) ---- */
/*
 * The same. A folder is where it is, in modified UTF-7 or UTF-8; one that is
 * not there would be made in UTF-8 if l->is_utf8.
 */
bool layout_dir(
    const struct layout *, int rootfd, struct str name, char out[NAME_LEN + 1]);
/* What changes when others change the tree; 0: look. */
uint64_t layout_stamp(const struct account *);
/* The directory of the journal, made if need be. -1 with errno. */
int state_open(
    const struct account *, int dirfd, const uint8_t mailboxid[16], bool make);
int account_load(struct account *, struct err *);
/* Remove deleted folders that are old enough (purge.c). */
void account_purge(struct account *);
extern int64_t store_deleted_grace; /* seconds */
/* If the journal is gone and the tree still known, write it anew (revive.c). */
int account_revive(struct account *, struct err *);
/* The account's journal written anew when most of it is history (compact.c).
 * Under its lock. 0, 1: the old one stands, -1 */
bool compact_is_due(const struct account *);
int account_compact(struct account *, struct err *);
void compact_if_due(struct account *);
extern uint64_t store_tree_min; /* octets of journal; tests lower it */
void tree_pack(struct ops *, const struct tree *);
/* It is lost: begin with the generation before. 1: done, 0: there is none */
int account_regain(struct account *, struct err *);
/* A Maildir++ folder, durable under its name, and known to Dovecot. */
int folder_make(
    struct account *, const struct node *, const char *dir, struct err *);
/* Id and UIDVALIDITY another server gave a folder, or new ones. */
void found_identify(struct account *, const char *dir, struct node *);
/* The special use that a folder of this name would have, if it is free. */
unsigned found_use(const struct account *, struct str name);
/* Put a journal aside that has no header any more, for account_adopt(). */
int account_rescue(struct account *, const char *why, struct err *);
/* First open of all: what the tree is to contain. */
int account_adopt(struct account *, struct err *);
/* subscriptions, courierimapsubscribed: the text with the
 * layout's separator between levels;
 * false: there is none */
#define SUBS_MAX (4u << 20)
bool
subs_read(const struct layout *, int rootfd, const char *file, struct buf *);
/* A line of it: modified UTF-7 or UTF-8, with Courier below "INBOX." */
bool subs_name(const struct layout *, struct str line, bool is_courier,
    char out[STORE_MAX_NAME + 1]);
/* The tree that would give, and nothing written. */
int account_adopt_hidden(struct account *, struct err *);
/* A mailbox by its id, for finishing a MOVE; *out NULL when unknown. */
int account_open_by_id(
    struct account *, const uint8_t id[16], struct mailbox **, struct err *);
int mailbox_finish_moves(struct mailbox *, struct err *);

#endif
