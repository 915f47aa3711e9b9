/*
 * mailbox_int.h - an open mailbox: its state, its lock and its commit; what
 * reading its directories finds.
 */
#ifndef STORE_MAILBOX_INT_H
#define STORE_MAILBOX_INT_H

#include "service/store/mailbox.h"
#include "service/store/peers_int.h"
#include "service/store/view_int.h"

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

/* ---- regain.c ---- */
/* What a damaged journal lost and others' files still say; of a mailbox. */
journal_regain mailbox_regain;

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
/* WHERE_, as we know it */
uint32_t row_where(const struct view *, uint32_t row);
/* Has its file the name we know, also if a rename was meant? */
bool row_is_called_as_known(struct mailbox *, uint32_t row);
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

#endif
