/*
 * journal_int.h - journals, as the other rooms use them: opening one, following
 * it, writing to it. The format is doc/format-store.md.
 */
#ifndef STORE_JOURNAL_INT_H
#define STORE_JOURNAL_INT_H

#include "base/err.h"
#include "service/store/account.h"
#include "service/store/disk_int.h"
#include "service/store/ops_int.h"
#include "system/fs/fs.h"

/* ---- journal.c ---- */
#define JOURNAL_HEAD  128
#define TXN_HEAD      80
#define TXN_FOOT      8
#define TXN_MAX	      (256u << 20) /* bounds memory */
#define PUB_SIZE      128
#define LOCK_WRITER   0
#define LOCK_INDEX    1
#define LOCK_SCAN     3
#define LOCK_REGISTER 4
#define LOCK_STREAM   5 /* of the account */
#define LOCK_SENDERS  6 /* the same */
#define LOCK_ID	      7 /* the same, LAYOUT=fs */

enum journal_kind { JOURNAL_MAILBOX, JOURNAL_ACCOUNT };

/* txn flags */
#define TXN_SEAL    1
#define TXN_FOREIGN 2
#define TXN_BOOT    4
#define TXN_RESTORE 8

struct counters {
	uint32_t uidnext, exists, deleted, unseen, unread;
	uint64_t bytes, deleted_bytes;
};

struct txn { /* one as it stands in the file */
	uint64_t off, modseq;
	int64_t time_us;
	uint32_t len, boot;
	uint16_t nops, flags;
	struct counters c;
	struct str ops; /* borrowed */
};

struct pub {
	uint32_t boot, gen;
	uint64_t end, modseq;
	uint64_t cur_mtime, new_mtime; /* ns, what the last scan knows */
	uint64_t cur_ino;	       /* and of which directory */
	struct counters c;	       /* for STATUS */
	uint32_t uidvalidity;
	uint8_t mailboxid[16];
};

struct scan_state;
struct journal;
struct salvage; /* what still stands in a damaged journal */

/*
 * Fill the journal that takes the place of a damaged one; nobody sees it
 * before it is whole. 1: nothing was written, it is filled with what stands.
 */
typedef int
journal_regain(void *, struct salvage *, struct journal *to, struct err *);

struct journal {
	enum journal_kind kind;
	int dirfd; /* the quire/ or acct/ directory, borrowed */
	int fd, lockfd, pubfd;
	struct fs_id file, lock; /* of fd and lockfd, when they were opened */
	int lock_ms;		 /* so long it waits for a lock */
	bool readonly, is_locked;
	bool is_hidden; /* in memory only (journal_hidden.c) */
	bool is_broken; /* a sync failed: what is on disk is not known */
	uint64_t gen, created;
	uint64_t ino; /* the inode this journal believes to be */
	uint8_t mailboxid[16];
	uint32_t uidvalidity, salt;
	/* where it goes on from: the index it starts with (generation and CRC
	 * of its head, 0: none), how much of the journal before that covers,
	 * where that journal ended, and where what followed ends here */
	uint64_t index_gen, base_off, prev_end, carry_end;
	uint32_t index_crc;
	uint32_t cache_no;   /* the file its OP_CACHE mean */
	uint64_t end;	     /* everything before is read and applied */
	char foot[TXN_FOOT]; /* what stands right before end */
	uint64_t size;	     /* of the file; while locked */
	uint64_t synced;     /* by this handle, up to here */
	uint64_t modseq;
	uint32_t last_boot; /* of the last transaction */
	struct pub pub;
	char pub_raw[PUB_SIZE];
	bool pub_ok;	   /* valid, of this boot and generation */
	int64_t lag_since; /* ms, 0: pub does not lag */
	bool was_cut, was_salvaged, was_short, must_publish;
	journal_regain *regain; /* of a mailbox (regain.c), or NULL */
	void *regain_arg;
	uint64_t mtime; /* of the file when nothing was going on; 0: not seen */
	bool must_audit; /* it was written to, and by none of us */
};

/* -1: the contents make no sense (damage) */
typedef int journal_apply(void *, const struct txn *);

struct journal_spec {
	enum journal_kind kind;
	uint8_t mailboxid[16];
	uint32_t uidvalidity;
	uint64_t modseq;
	/* the index it starts from, as in struct journal */
	uint64_t index_gen, base_off, prev_end, carry_end;
	uint32_t index_crc, cache_no;
	/* fills the first transactions, or NULL */
	int (*fill)(void *, struct journal *, struct err *);
	void *arg;
};

uint32_t boot_id(void);
extern uint32_t store_boot; /* for tests: another boot; 0: the real one */
void
journal_init(struct journal *, enum journal_kind, int dirfd, bool readonly);
void journal_release(struct journal *);
/* Write a new one beside, make it durable, give it the name. */
int journal_create(struct journal *, const struct journal_spec *, struct err *);
/* The same without a file, for who may not write; then read it. */
int journal_create_hidden(
    struct journal *, const struct journal_spec *, struct err *);
int
journal_read_hidden(struct journal *, journal_apply *, void *, struct err *);
/* Opens lock, journal and pub. ENOENT in e->sys: there is none. */
int journal_open(struct journal *, struct err *);
int journal_open_lock(struct journal *, struct err *);
int journal_open_pub(struct journal *, struct err *);
/* Only the file of that name, and its header. */
int journal_open_as(struct journal *, const char *name, struct err *);
/* How far pub says it may be read; 0: it does not say. */
uint64_t journal_published(struct journal *);
/* Read what is published since j->end. 1: something was, 0: nothing,
 * 2: another file has the name now; -1 */
int journal_follow(struct journal *, journal_apply *, void *, struct err *);
/*
 * Apply what stands in [j->end, upto). Stops at the first that is not valid
 * (then j->end < upto). -1: the file cannot be read, or apply refused.
 */
int journal_read(
    struct journal *, uint64_t upto, journal_apply *, void *, struct err *);
/* Does any transaction stand behind the bad bytes at j->end? Or what was one
 * before a byte of it, or of the header, became another? */
bool journal_has_later(const struct journal *, uint64_t size);
/* Is pub as it was at the last look? One read. */
bool journal_is_quiet(struct journal *);
/* Does all that was read still stand? For who sees must_audit. */
bool journal_is_whole(struct journal *);
/* Take byte 0 and bring the state to the end of the file, repairing it.
 * 2 as above (not locked then). *was_torn: a tail was cut. */
int journal_lock(struct journal *, journal_apply *, void *, struct err *);
void journal_unlock(struct journal *);
/* Each transaction that stands, in order, until apply says -1. */
int salvage_each(struct salvage *, journal_apply *, void *);
/* Shorter than was published or read: a copy of former days. */
bool journal_is_short(const struct journal *);
/* Nothing but zeros from j->end to the end of the file? */
bool journal_is_blank(const struct journal *);
/* Does anything stand in this file that ends there? (Of an end that none can
 * have: anything behind the last one before it that can be.) */
bool journal_goes_to(int fd, uint64_t end);
/* The same, and nothing behind it? */
bool journal_ends_at(int fd, uint64_t end);
/* Does the transaction that was read last still stand where it was? */
bool journal_stands(const struct journal *);
/* For who has set j->end himself: what stands there now is right. */
void journal_note_foot(struct journal *);
uint64_t journal_next_modseq(const struct journal *);
/*
 * Append under the lock. With sync the return acknowledges: it is durable.
 * Nothing is visible to others before journal_publish().
 */
int journal_append(struct journal *, struct ops *, uint16_t flags,
    uint64_t modseq, const struct counters *, bool sync, struct err *);
/* The same for one that stood in another file, as it was made there. */
int
journal_carry(struct journal *, struct ops *, const struct txn *, struct err *);
/* Where to, for a reader of the other file; ops are the caller's. */
struct journal_carrier {
	struct journal *to;
	struct ops *ops;
	struct err *e;
};
int journal_carry_one(void *carrier, const struct txn *);
/* dirs NULL: an account's, or what is below it is no more to be believed */
/* a: of the mailbox, for the copy; NULL: there is to be none. */
void journal_publish(struct journal *, const struct counters *,
    const struct scan_state *dirs, struct account *a);
/* A whole one, of whatever boot: whose is it? */
bool pub_owner(const char *raw, uint8_t id[16]);
bool pub_unpack(const char raw[PUB_SIZE], struct pub *);
/* Copy the bytes of [off, off+n) of the file; short at its end. */
ssize_t journal_pread(const struct journal *, void *, size_t, uint64_t off);
bool journal_head_unpack(const char *, struct journal *);

#endif
