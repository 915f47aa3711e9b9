/*
 * store_int.h - what the store's own files share: the steps that change the
 * disk, names, journal, view. The format is doc/format-store.md.
 */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ranges.h"
#include "base/str.h"
#include "service/store/account.h"
#include "service/store/adopt.h"
#include "service/store/mailbox.h"
#include "service/store/ops_int.h"
#include "system/fs/fs.h"

/* ---- step.c: every system call that changes the disk ---- */
/*
 * For tests: called before each such call with its name. 0 lets it happen,
 * anything else is the errno it fails with; or the hook does not return. For
 * a sync also STEP_SKIP: it is said to have been done.
 */
#define STEP_SKIP (-1)
extern int (*store_step)(const char *call);

/* What these three make has the mode, group and ACL of its directory. */
int step_creat(int dirfd, const char *name); /* O_EXCL, O_RDWR */
int step_open(int dirfd, const char *name);  /* O_RDWR, made if need be */
/* May a link to that file stand there? Who shares the directory must be able
 * to read it. */
bool step_fits(int dirfd, const struct stat *file);
int step_write(int fd, struct str);
int step_append(int fd, struct str); /* whole, or -1: O_APPEND */
int step_pwrite(int fd, struct str, uint64_t off);
int step_slot(int fd, struct str, uint64_t off);
int step_truncate(int fd, uint64_t size);
int step_sync(int fd);	    /* fsync */
int step_sync_data(int fd); /* fdatasync */
int step_sync_fs(int fd);   /* syncfs */
int step_link(int fromfd, const char *from, int tofd, const char *to);
/* path is /proc/self/fd/N */
int step_link_fd(const char *path, int tofd, const char *to);
/* never replaces: EEXIST */
int step_rename(int fromfd, const char *from, int tofd, const char *to);
int step_replace(int dirfd, const char *from, const char *to);
int step_unlink(int dirfd, const char *name);
int step_mkdir(int dirfd, const char *name); /* EEXIST is no error */

/* ---- names.c: Maildir file names ---- */
#define NAME_LEN 255 /* octets, ext4 and most others */

/* Flag letters of a name, a set: D F P R S T, then a..z */
#define FN_D	     (1u << 0)
#define FN_F	     (1u << 1)
#define FN_P	     (1u << 2)
#define FN_R	     (1u << 3)
#define FN_S	     (1u << 4)
#define FN_T	     (1u << 5)
#define FN_LETTER(i) (1u << (6 + (i))) /* 'a' + i */
#define FN_LETTERS   26

struct name {
	struct str base;   /* up to ":2," or the end */
	struct str unique; /* up to the first ',' or ':' */
	uint32_t fn;
	struct str extra; /* letters that are none of ours, ascending */
	char extra_buf[32];
	bool has_info;	       /* has ":2," */
	bool is_ours;	       /* made by name_make() */
	bool is_copy;	       /* ours, made by COPY */
	int64_t seconds, usec; /* for the order of arrival; usec -1: none */
	uint64_t size, wsize;  /* S=, W=; 0: none */
};

/* false: no message (leading dot, too long, odd bytes) */
bool name_parse(struct str, struct name *);
uint64_t name_hash(struct str unique);
/* Dovecot's order of arrival: seconds, M, bytes. */
int name_cmp(const struct name *, const struct name *);
/* A fresh base name; the sizes are added by name_add_sizes(). */
void name_make(char out[NAME_LEN + 1], const char *hostname, bool is_copy);
/* The order's token in place of the random part. */
void name_set_token(char *name, uint64_t token);
/* 0: not known, left out */
void name_add_sizes(char name[NAME_LEN + 1], uint64_t size, uint64_t wsize);
/* base + ":2," + letters; extra letters are merged in order */
bool name_with_info(
    char out[NAME_LEN + 1], struct str base, uint32_t fn, struct str extra);
void emailid_of(struct str unique, uint8_t out[16]);
void sha256(struct str, uint8_t out[32]);

/* ---- mutf7.c, folder.c: mailbox names ---- */
bool mutf7_decode(struct buf *, struct str);
void mutf7_encode(struct buf *, struct str utf8);
/* "A/b" to ".A.b"; false if it has no such form */
bool folder_to_dir(struct str name, struct buf *);
bool folder_to_dir_utf8(struct str name, struct buf *);
bool folder_from_dir(struct str dir, struct buf *);
bool folder_is_inbox(struct str name);

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

/* ---- view.c: the columns ---- */
enum {			     /* row states */
	ST_GHOST = 1 << 0,   /* expunged, not yet told */
	ST_DIRTY = 1 << 1,   /* flags changed by others, not yet told */
	ST_ARRIVED = 1 << 2, /* added by others, not yet told */
	ST_NEWDIR = 1 << 3,  /* the file is in new/ */
	ST_BARE = 1 << 4,    /* in cur/ without ":2," */
	ST_RAW = 1 << 5,
	ST_UNSURE = 1 << 6,   /* size not measured yet */
	ST_INTENT = 1 << 7,   /* fnx: name flags a rename will set */
	ST_DONE = 1 << 8,     /* fnx: name flags before the last rename */
	ST_MISSING = 1 << 10, /* of gone: not where it should be */
	ST_OLDBOOT = 1 << 9,  /* that rename happened before a reboot */
};

#define EXPUNGE_OWN	0
#define EXPUNGE_FOREIGN 1 /* the file was gone already */
#define EXPUNGE_MOVED	2

struct gone { /* expunged, its file not surely out of the way */
	uint32_t uid, fn, fnx;
	uint16_t st; /* ST_NEWDIR, ST_BARE, ST_INTENT; ST_DONE: moved */
	uint64_t uhash, rec, nrec;
};

struct vanished {
	uint32_t lo, hi; /* UIDs; of those that had ever been given out */
	uint64_t modseq;
};

struct moved { /* of rows that others moved and this session shows */
	uint32_t uid, n, to;
	uint8_t id[16];
};

struct open_move {	 /* ADDs here whose sources may still be there */
	uint64_t modseq; /* of the transaction */
	uint8_t from[16];
	uint32_t n;
	uint32_t *uids; /* pairs: here, there */
};

#define FORMER_MAX 1000000
struct former { /* letters of a name before a reboot */
	uint32_t uid, fn;
	uint32_t boot; /* of the transaction that gave it another */
};

struct scan_state {
	uint64_t dev, ino, mtime; /* ns */
	bool is_stable;
};

#define SCAN_PENDING 16
struct scan_step {
	uint64_t before, after;
};

/*
 * The columns, 8 octets wide ones first, so that each starts aligned when
 * they follow each other in an index (index.c) for a number of rows that is a
 * multiple of 8.
 */
#define VIEW_COLUMNS(X) \
	X(kw)           \
	X(modseq)       \
	X(size)         \
	X(rec)          \
	X(uhash)        \
	X(idate)        \
	X(uid)          \
	X(fn)           \
	X(fnx)          \
	X(bhash)        \
	X(cache)        \
	X(flags)        \
	X(st)

struct view {
	uint32_t n, cap, shown, nghosts;
	uint32_t *uid, *fn, *fnx, *bhash;
	uint32_t *cache; /* offset in the cache, in units of 8; 0: none */
	uint16_t *flags, *st;
	uint64_t *kw, *modseq, *size, *uhash;
	uint64_t *rec;	/* where its record stands (cold.c) */
	uint64_t *nrec; /* of its last RENAME; NULL until the first */
	int64_t *idate;
	/* all columns at once, from an index; NULL: each is its own memory */
	char *block;
	size_t block_len;
	bool is_mapped;
	unsigned slot; /* of the journal being applied (cold.c) */

	struct counters c;
	uint64_t modseq_now;
	uint64_t floor;	       /* no history of expunges below */
	uint64_t pending_from; /* first modseq not yet told, 0: none */
	unsigned nkeywords;
	struct str keywords[STORE_MAX_KEYWORDS];
	unsigned keywords_told;
	int forwarded; /* bit of $Forwarded or -1 */

	struct gone *gone;
	size_t ngone, gonecap;
	struct vanished *vanished;
	size_t nvanished, vanishedcap;
	struct open_move *moves;
	size_t nmoves;
	struct moved *moved; /* until their rows are dropped */
	size_t nmoved;
	struct scan_state scan[2]; /* cur, new */
	struct scan_step steps[2][SCAN_PENDING];
	unsigned nsteps[2];
	uint32_t recent; /* UIDs from here on nobody has seen as \Recent */
	uint64_t ino;	 /* from RESTORE, 0: none */
	bool is_gone;	 /* mailbox deleted */
	bool was_restored;

	uint32_t *touched; /* UIDs with something to tell */
	size_t ntouched, touchedcap;
	uint32_t mirror_lo, mirror_hi; /* UIDs; lo > hi: nothing to do */
	struct former *former;	       /* names a power cut may bring back */
	size_t nformer, formercap;
	bool is_former_sorted;
	bool is_loading, is_own;
	const char *why; /* what view_apply() refused */
};

/* Columns in one block, as an index has them. */
void view_attach(struct view *, char *block, uint32_t cap);
#define VIEW_ROW_SIZE 72 /* octets of a row in all columns */
void view_init(struct view *);
void view_release(struct view *);
journal_apply view_apply;
/* After the load: drop what is expunged, show everything. */
void view_settle(struct view *);
/* Row of that UID or the next higher; n if none. */
uint32_t view_lower(const struct view *, uint32_t uid);
/* Row of a live or ghost UID; n if none. */
uint32_t view_row(const struct view *, uint32_t uid);
void view_touch(struct view *, uint32_t row, uint16_t bit);
/* While loading: this row's name may be behind. */
void view_note_behind(struct view *, uint32_t row);
void view_drop_rows(struct view *, bool hidden_only);
/* Names before a reboot (former.c). */
void view_note_former(struct view *, uint32_t row, uint32_t fn, uint32_t boot);
bool view_had_name(struct view *, uint32_t row, uint32_t fn);
/* The directory was read in that boot: those of others are settled. */
void view_forget_former(struct view *, uint32_t boot);
/* Where others moved a ghost: its UID there, 0 if that is not known. */
uint32_t view_moved(const struct view *, uint32_t uid, uint8_t id[16]);
void view_mirror(struct view *, uint32_t uid);
/* The name letters that flags and keywords ask for. */
uint32_t
view_want_fn(const struct view *, uint16_t flags, uint64_t kw, uint32_t now);
/* The other way: what those letters mean. */
void
view_flags_of(const struct view *, uint32_t fn, uint16_t *flags, uint64_t *kw);
/* The hashes a row is found by. */
void name_hashes(struct str base, uint64_t *uhash, uint32_t *bhash);
void view_recount(const struct view *, struct counters *);
void view_count(struct counters *, uint16_t flags, uint64_t size, int sign);
void view_set_size(struct view *, uint32_t row, uint64_t size);
void view_push(struct view *); /* room for one more row, n grows */
void view_move_row(struct view *, uint32_t to, uint32_t from);
#define TOUCHED_MAX 4096 /* above this a full pass is cheaper */

/* ---- cold.c ---- */
/*
 * A record's place: the slot of a file and the offset in it. Slot 0 is the
 * file of records the index names, others are journals: the one that is
 * followed and those it took over from.
 */
#define REC_SLOT_SHIFT 56
#define REC_SLOTS      8
#define REC_OFF(rec)   ((rec) & (((uint64_t)1 << REC_SLOT_SHIFT) - 1))

struct recs { /* a file of records, append-only */
	uint64_t number, len, count;
	uint32_t salt;
};

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

/* ---- mailbox.c ---- */
struct mailbox {
	struct account *account;
	int dirfd, curfd, newfd, tmpfd, qfd, expfd;
	bool readonly;
	bool is_read;	    /* somebody looked, who may move mail out of new/ */
	bool is_dead;	    /* CHANGE_UIDVALIDITY was told or is due */
	bool scan_off;	    /* mass loss: no expunges */
	bool must_generate; /* a private file is damaged: write all anew */
	bool is_marked;	    /* compared with the marks since it was loaded */
	uint64_t index_len; /* of the index the view was loaded from */
	struct journal j;
	struct view v;
	struct ops ops;
	/* where records are read from: rec >> REC_SLOT_SHIFT (cold.c) */
	int recsfd;
	struct recs recs;
	int slotfd[REC_SLOTS]; /* former journals; -1 */
	uint64_t slotend[REC_SLOTS];
	struct cache *cache;	 /* NULL until asked */
	struct lost_names *lost; /* instead of damaged ones; NULL */
	char *window;		 /* of one of them */
	unsigned window_slot;
	uint64_t window_off;
	size_t window_n;
	char extra[32];
	char name[NAME_LEN + 1];
	struct mailbox_counts counts;
	struct ranges recent;	 /* claimed by this session */
	uint64_t young_mtime[2]; /* young files were left alone at this */
	int64_t young_until;	 /* ms */
	struct ranges measured;	 /* sizes found out, not yet written */
	int watchfd;
	bool expunged_here;
	bool must_scan;	      /* a file was not where it should be */
	struct msgfile *kept; /* the last large one read (msgfile.c) */
	uint32_t export_next; /* UIDs below are exported */
	int64_t export_ms;    /* when that was written */
	struct dotlock uidlist_lock;
	unsigned uidlist_held;		/* how often taken (coexist.c) */
	uint32_t uidnext_min;		/* UIDs given out before (rebuild.c) */
	bool import_waits;		/* files of the list were not seen */
	struct export_note import_note; /* the list last taken in */
	struct strays *strays;		/* the last search (rowfile.c); NULL */
	unsigned nsearches;		/* for tests: directories read for it */
};

/* Open by directory; the account is the parent's. */
int
mailbox_open_dir(struct mailbox **, struct account *, int dirfd, bool readonly,
    uint32_t uidvalidity, const uint8_t mailboxid[16], struct err *);
/* Byte 0 held and the view at the end of the journal. */
int mailbox_lock(struct mailbox *, struct err *);
/* The same without finishing MOVEs: for who holds another lock. */
int mailbox_lock_only(struct mailbox *, struct err *);
void mailbox_unlock(struct mailbox *);
/* Append m->ops and apply them to the view; publishes. */
int mailbox_append(struct mailbox *, uint16_t flags, bool bookkeeping,
    bool sync, struct err *);
/* The view as the journal says, from nothing; then view_settle(). */
int mailbox_load(struct mailbox *, struct err *);
int mailbox_follow(struct mailbox *, struct err *);
void mailbox_release(struct mailbox *);
void mailbox_write_sizes(struct mailbox *);
#define MIRROR_BATCH 256

/* What only the journal knows of a message */
struct cold {
	uint64_t create_modseq;
	int64_t savedate;
	int16_t zone_min;
	uint8_t emailid[16];
	struct str base, extra; /* borrowed until the next call */
};
/* The record itself; names and all are borrowed until the next call. */
bool mailbox_record(struct mailbox *, uint32_t uid, uint64_t rec, uint64_t nrec,
    struct op_add *);
void mailbox_init_slots(struct mailbox *);
void mailbox_close_slots(struct mailbox *);
bool mailbox_cold(
    struct mailbox *, uint32_t uid, uint64_t rec, uint64_t nrec, struct cold *);
bool row_cold(struct mailbox *, uint32_t row, struct cold *);
/* Measure a size that is not known exactly. */
void row_make_sure(struct mailbox *, uint32_t row);
uint64_t stat_mtime(const struct stat *);
void
mailbox_log(struct mailbox *, int level, const char *event, const char *text);

/* ---- rowfile.c ---- */
void strays_release(struct strays **);
/* Descriptor of a row's file, by its likely names. -1 with errno. */
int row_open(struct mailbox *, uint32_t row);
/* The same, looking only where it should be. */
int row_open_likely(struct mailbox *, uint32_t row);
/* Octets with CRLF line ends. false: it cannot be read, ERR_PERM if never. */
bool msgfile_measure(int fd, bool is_raw, uint64_t *size, struct err *);
/* The same; what can never be read counts as it lies there. */
bool msgfile_measure_once(int fd, bool is_raw, uint64_t *size);

/* ---- racy.c ---- */
extern bool store_times_are_coarse; /* for tests: as on older kernels */
/* May a change go unseen behind this time, recorded then? */
bool racy_at(uint64_t mtime, int64_t recorded_us);
/* When that directory must be looked at again though its time is the one we
 * know: ms from now, -1 never. */
int racy_due_ms(struct mailbox *, int dir);

/* ---- scan.c, mirror.c ---- */
/* Is the name not what flags and keywords ask for? *want: the letters. */
bool view_is_behind(const struct view *, uint32_t row, uint32_t *want);
extern int64_t store_young_s; /* for tests: 60, a younger one may be owned */
bool scan_is_due(struct mailbox *);
int mailbox_scan(struct mailbox *, struct err *);
/* Rename up to n files to what their flags ask for. */
int mailbox_mirror(struct mailbox *, unsigned n, struct err *);
#define MIRROR_NOW 64
/* Move files of expunged messages out of the way, at most n. */
int mailbox_bury(struct mailbox *, unsigned n, struct err *);
/* That file of an expunged message to exp/<uid>; false with errno. */
bool bury_name(struct mailbox *, int dirfd, const char *from, uint32_t uid);
int mailbox_expfd(struct mailbox *, struct err *);
void mailbox_purge(struct mailbox *);
/* stat-before and stat-after around own changes of a directory */
struct scan_mark {
	uint64_t before[2], after[2];
};
void scan_mark(struct mailbox *, struct scan_mark *);
void scan_mark_end(struct mailbox *, struct scan_mark *);
void scan_note(struct mailbox *, const struct scan_mark *, struct ops *);

/* ---- arrive.c: files that are to become messages ---- */
struct arrival {
	char *file;
	size_t base_n;	       /* so much of it is the base name */
	uint32_t dir;	       /* 0 cur, 1 new */
	uint32_t uid;	       /* from another server's list, 0: none */
	int64_t seconds, usec; /* of the name, for the order */
	int64_t idate, sdate;
	uint64_t kw;	 /* besides those of its letters */
	uint64_t size;	 /* octets with CRLF */
	bool is_unsure;	 /* it is not measured */
	uint64_t octets; /* of the file */
	bool is_plain;	 /* surely not compressed: they are what S= says */
	bool has_guid;
	uint8_t emailid[16];
};
struct arrivals {
	struct arrival *v;
	size_t n, cap;
};
#define MEASURE_MAX 64 /* more are measured when they are asked for */
void arrivals_release(struct arrivals *);
/* false: no message file */
bool arrivals_add(
    struct arrivals *, const char *file, uint32_t dir, const struct stat *);
/* Dovecot's order, so that both servers would number alike. */
void arrivals_sort(struct arrivals *);
/* What somebody else has counted; not believed if it cannot be so. */
void arrival_sized(struct arrival *, uint64_t vsize);
bool arrival_is_same_name(const struct arrival *, const struct arrival *);
void arrival_measure(struct mailbox *, struct arrival *);
void arrival_pack(struct ops *, const struct view *, const struct arrival *,
    uint32_t uid, uint64_t modseq);

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
