/*
 * verify_int.h - what verify's own files share.
 */
#ifndef STORE_VERIFY_INT_H
#define STORE_VERIFY_INT_H

#include "service/store/layout_int.h"
#include "service/store/verify.h"

#define YOUNG_S 60 /* a file of ours is somebody's business so long */

struct verify {
	struct account a; /* as far as finding mailboxes needs: read-only */
	const struct verify_opts *opts;
	void (*found)(void *, const struct verify_finding *);
	void *arg;
	struct verify_totals *totals;
	struct str mailbox; /* that is being looked at */
	int64_t now;
	bool is_quiet;		/* looking again at what was reported */
	uint64_t octets, files; /* of messages, as maildirsize counts them */
};

/* uid 0, file NULL: none */
void verify_found(struct verify *, enum verify_severity, const char *kind,
    uint32_t uid, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

enum verify_read {
	READ_ALL,
	READ_PART, /* damaged or refused: what follows from it is not known */
	READ_NONE, /* there is no journal */
};
/* The durable part of it; *why says what apply refused. */
enum verify_read verify_journal(struct verify *, struct journal *,
    int (*start)(void *, struct err *), journal_apply *, void *arg,
    const char *const *why);
/* Does what is there belong to owner, and can its owner use it? */
void verify_owner(struct verify *, uint32_t uid, const char *file,
    const struct stat *, uid_t owner, mode_t need);

/* What the account's journal says against itself (verify_tree.c). */
journal_apply verify_tree_apply;
struct tree_check {
	struct verify *v;
	struct tree tree;
	const char *why;
};
void verify_tree(struct verify *, const struct tree *);
/* Directories that the tree does not name, and the other way. */
void verify_folders(struct verify *, const struct tree *);
/* subscriptions and maildirsize (verify_others.c). */
void verify_subscriptions(struct verify *, const struct tree *);
void verify_maildirsize(struct verify *);

struct box { /* a mailbox that is looked at */
	struct verify *v;
	struct mailbox m; /* as far as reading it needs */
	uid_t owner;
	const char *why;
	uint64_t last_modseq;
	bool modseq_fell;
	uint64_t wrong_at; /* first transaction with wrong counters, or 0 */
	struct counters wrong, right;
};

/* dirfd stays the caller's. */
void verify_mailbox(struct verify *, int dirfd, const struct node *);
/* Read its journal (again); findings only the first time. */
enum verify_read verify_load(struct box *);
void verify_files(struct box *);
/* What its journal goes on from (verify_gen.c). */
int verify_start(struct box *, struct err *);
void verify_export(struct box *);
void verify_courier(struct box *);

#endif
