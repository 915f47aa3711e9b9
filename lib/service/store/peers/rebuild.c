/*
 * rebuild - a mailbox's journal made anew from lists and names.
 *
 * 1. Byte 0 is held from the last look at the old journal until the new one
 *    has its name; the old one has a second name before that.
 * 2. UIDs that were given out are not given out again: UIDNEXT is not below
 *    what the old journal or `pub` says. Nor does the modseq go back.
 */
#include "service/store/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/adopt.h"
#include "service/store/store_int.h"
#include "system/fs/fs.h"

#define OLD	   "journal.old"
#define DOTLOCK_MS 5000

/* What the old journal said of a message, to compare. */
struct before {
	uint64_t uhash;
	uint32_t uid;
	uint16_t flags;
	uint64_t kw;
};

struct past {
	bool is_known;
	struct before *v;
	size_t n;
	char *keywords[STORE_MAX_KEYWORDS];
	unsigned nkeywords;
};

static int
before_cmp(const void *va, const void *vb)
{
	const struct before *a = va, *b = vb;

	return a->uhash < b->uhash ? -1 : a->uhash > b->uhash;
}

static void
past_take(struct past *p, const struct view *v)
{
	uint32_t row;
	unsigned i;

	p->is_known = true;
	p->v = xreallocarray(NULL, v->n + 1, sizeof(*p->v));
	for (row = 0; row < v->n; row++)
		if ((v->st[row] & ST_GHOST) == 0)
			p->v[p->n++] = (struct before){ v->uhash[row],
				v->uid[row], v->flags[row], v->kw[row] };
	qsort(p->v, p->n, sizeof(*p->v), before_cmp);
	for (i = 0; i < v->nkeywords; i++)
		p->keywords[p->nkeywords++] = str_dup(v->keywords[i]);
}

static void
past_release(struct past *p)
{
	unsigned i;

	for (i = 0; i < p->nkeywords; i++)
		free(p->keywords[i]);
	free(p->v);
}

/* Old keyword bits as the new mailbox numbers them; *lost: one it has not */
static uint64_t
map_keywords(struct mailbox *m, const struct past *p, uint64_t kw, bool *lost)
{
	uint64_t out = 0;
	unsigned i;
	int bit;

	*lost = false;
	for (i = 0; i < p->nkeywords; i++) {
		if ((kw >> i & 1) == 0)
			continue;
		bit = mailbox_keyword_bit(m, str_from(p->keywords[i]));
		if (bit < 0)
			*lost = true;
		else
			out |= 1ULL << bit;
	}
	return out;
}

static void
compare(struct mailbox *m, const struct past *p, struct rebuild_box *b)
{
	const struct view *v = &m->v;
	size_t found = 0;
	uint32_t row;

	for (row = 0; row < v->n; row++) {
		struct before key = { .uhash = v->uhash[row] }, *was;
		bool lost;

		if ((v->st[row] & ST_GHOST) != 0)
			continue;
		was = bsearch(&key, p->v, p->n, sizeof(key), before_cmp);
		if (was == NULL)
			continue;
		found++;
		b->renumbered += was->uid != v->uid[row];
		if (map_keywords(m, p, was->kw, &lost) != v->kw[row] || lost ||
		    was->flags != v->flags[row])
			b->reflagged++;
	}
	b->gone = p->n - found;
	b->nkeywords =
	    p->nkeywords > FN_LETTERS ? p->nkeywords - FN_LETTERS : 0;
}

/* ---- one mailbox ---- */

/*
 * What only the journal knows yet: flags that names do not have, files of
 * removed messages, UIDs that the list has not.
 */
static int
complete(struct mailbox *m, bool number_anew, struct err *e)
{
	struct err why = { 0 };
	int rc = 0;

	while (rc == 0 && m->v.mirror_lo <= m->v.mirror_hi)
		rc = mailbox_mirror(m, MIRROR_BATCH, &why) > 0 ? 0 : 1;
	while (mailbox_bury(m, MIRROR_BATCH, &why) > 0)
		;
	if (m->v.ngone > 0 && m->must_scan)
		(void)mailbox_scan(m, &why);
	if (number_anew)
		return 0;
	return mailbox_export_state(m, EXPORT_NOW | EXPORT_FULL, e);
}

static int
put_aside(int dirfd, const char *name, const char *old, struct err *e)
{
	if (step_unlink(dirfd, old) == -1 && errno != ENOENT)
		return err_sys(e, "remove %s", old);
	if (step_link(dirfd, name, dirfd, old) == -1 && errno != ENOENT)
		return err_sys(e, "keep %s as %s", name, old);
	return 0;
}

/* Lists are no more believed; whoever wants them finds them beside. */
static int
hide_lists(struct mailbox *m, struct err *e)
{
	static const char *const lists[][2] = {
		{ UIDLIST, UIDLIST ".old" },
		{ "courierimapuiddb", "courierimapuiddb.old" },
	};
	size_t i;

	for (i = 0; i < 2; i++)
		if (step_replace(m->dirfd, lists[i][0], lists[i][1]) == -1 &&
		    errno != ENOENT)
			return err_sys(e, "put %s aside", lists[i][0]);
	return 0;
}

/* Under byte 0. */
static int
replace_journal(
    struct mailbox *m, bool number_anew, uint32_t uidvalidity, struct err *e)
{
	uint8_t id[16];

	memcpy(id, m->j.mailboxid, 16);
	if (!number_anew)
		uidvalidity = m->j.uidvalidity;
	m->uidnext_min = number_anew ? 0 : m->v.c.uidnext;
	if (put_aside(m->qfd, "journal", OLD, e) == -1 ||
	    (number_anew && hide_lists(m, e) == -1))
		return -1;
	/* not taken for the next generation by who follows the old one */
	m->j.gen++;
	if (adopt_again(m, uidvalidity, id, e) == -1)
		return -1;
	/* what it says is of the old one; the next to open says it anew */
	if (m->j.pubfd != -1)
		(void)step_truncate(m->j.pubfd, 0);
	export_forget(m);
	return 0;
}

static int
rebuild_locked(struct mailbox *m, bool number_anew, uint32_t uidvalidity,
    struct past *past, struct err *e)
{
	int rc;

	if (mailbox_lock(m, e) == -1)
		return -1;
	past_take(past, &m->v);
	rc = replace_journal(m, number_anew, uidvalidity, e);
	fs_unlock(m->j.lockfd, LOCK_WRITER);
	m->j.is_locked = false;
	m->is_dead = true; /* this handle knows the old one */
	return rc;
}

/* One whose journal can be read. */
static int
rebuild_open(struct mailbox *m, const struct rebuild_opts *o, struct past *past,
    struct err *e)
{
	struct dotlock lock = { .fd = -1 };
	uint32_t uidvalidity = 0;
	int rc = complete(m, o->new_uidvalidity, e);

	if (rc == 0 && o->new_uidvalidity)
		rc = account_reserve_uidvalidity(m->account, m->j.mailboxid,
		    m->j.uidvalidity, &uidvalidity, e);
	if (rc == -1 ||
	    (m->uidlist_held == 0 && dotlock_take(&lock, m->dirfd, UIDLIST_LOCK,
					 DOTLOCK_MS, e) == -1))
		return -1;
	if (fs_lock(m->j.lockfd, LOCK_SCAN, true, m->j.lock_ms, e) == 0) {
		rc =
		    rebuild_locked(m, o->new_uidvalidity, uidvalidity, past, e);
		fs_unlock(m->j.lockfd, LOCK_SCAN);
	} else
		rc = -1;
	dotlock_drop(&lock);
	return rc;
}

static void
tell(struct mailbox *m, const struct past *past, const struct adopt_box *found,
    struct rebuild_box *b)
{
	const struct mailbox_counts *c = mailbox_counts(m);

	b->from = found->kind == NULL ? "quire" : found->kind;
	b->uidvalidity = c->uidvalidity;
	b->uidnext = c->uidnext;
	b->messages = c->messages;
	b->kept = found->kept;
	b->fresh = found->fresh;
	b->had_journal = past->is_known;
	if (past->is_known)
		compare(m, past, b);
}

/* ---- a damaged journal ---- */

static int
apply_nothing(void *arg, const struct txn *t)
{
	(void)arg, (void)t;
	return 0;
}

/* Does it say less than was acknowledged? */
static bool
is_damaged(struct journal *j)
{
	struct stat st;
	uint64_t size;

	if (journal_open(j, NULL) == -1 || fstat(j->fd, &st) == -1)
		return false; /* opening the mailbox sees to it */
	size = (uint64_t)st.st_size;
	if (journal_read(j, size, apply_nothing, NULL, NULL) == -1)
		return false;
	return j->end < size && (journal_has_later(j, size) ||
				    (j->pub_ok && j->pub.end > j->end));
}

/*
 * A session goes on with the transactions that stand, and what the list says
 * of the others (regain.c). Who asks for this believes the list.
 */
static int
put_damaged_aside(struct account *a, const struct node *node, struct err *e)
{
	char dir[NAME_LEN + 1];
	struct journal j;
	struct stat st;
	int fd = -1, qfd = -1, rc = 0;

	if (!account_dir(a, str_from(node->name), dir) ||
	    (fd = fs_open_dir(a->rootfd, dir)) == -1 ||
	    fstatat(fd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    (qfd = state_open(a, fd, node->id, false)) == -1)
		goto done;
	journal_init(&j, JOURNAL_MAILBOX, qfd, false);
	j.lock_ms = a->opts.lock_ms;
	if (journal_open_lock(&j, e) == -1 ||
	    fs_lock(j.lockfd, LOCK_WRITER, true, j.lock_ms, e) == -1)
		rc = -1;
	else if (is_damaged(&j)) {
		account_log(a, 0, "store.rescued", "journal is damaged");
		if (step_replace(qfd, "journal", "journal.bad") == -1)
			rc = err_sys(e, "put damaged journal aside");
	}
	journal_release(&j);
done:
	if (qfd != -1)
		close(qfd);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
rebuild_one(struct account *a, const char *name, const struct rebuild_opts *o,
    struct rebuild_box *b, struct err *e)
{
	struct adopt_box found = { 0 };
	struct past past = { 0 };
	struct mailbox *m = NULL;
	const struct node *node = tree_find(&a->tree, str_from(name));
	int rc = 0;

	if (node != NULL && !o->new_uidvalidity &&
	    put_damaged_aside(a, node, e) == -1)
		return -1;
	/* one that is lost is made anew by opening it */
	a->adopting = &found;
	if (account_open_mailbox(a, str_from(name), false, &m, e) != ACCOUNT_OK)
		rc = -1;
	else if (found.kind == NULL) {
		b->was_uidvalidity = m->j.uidvalidity;
		rc = rebuild_open(m, o, &past, e);
		mailbox_close(&m);
		if (rc == 0 && account_open_mailbox(a, str_from(name), false,
				   &m, e) != ACCOUNT_OK)
			rc = -1;
	}
	a->adopting = NULL;
	if (rc == 0)
		tell(m, &past, &found, b);
	mailbox_close(&m);
	past_release(&past);
	adopt_box_release(&found);
	return rc;
}

/* ---- the account ---- */

static bool
is_wanted(const struct rebuild_opts *o, const char *name)
{
	int i;

	for (i = 0; i < o->n; i++)
		if (str_eq_nocase(str_from(o->names[i]), str_from(name)))
			return true;
	return o->n == 0;
}

int
store_rebuild(int rootfd, const struct account_opts *opts,
    const struct rebuild_opts *o,
    void (*done)(void *, const struct rebuild_box *), void *arg, struct err *e)
{
	const struct mailbox_info *list;
	struct rebuild_box b;
	struct account *a;
	char **names;
	size_t n, i;
	/* its journal is only replaced when it cannot be read: special uses
	 * and subscriptions are nowhere else */
	int rc = account_open(&a, rootfd, opts, e), seen = 0;

	if (rc == -1)
		return -1;
	/* opening reads the tree again: the names of now */
	n = account_list(a, &list);
	names = xreallocarray(NULL, n + 1, sizeof(*names));
	for (i = 0; i < n; i++)
		names[i] = list[i].exists ? str_dup(list[i].name) : NULL;
	for (i = 0; i < n && rc == 0; i++) {
		if (names[i] == NULL || !is_wanted(o, names[i]))
			continue;
		seen++;
		b = (struct rebuild_box){ .name = str_from(names[i]) };
		rc = rebuild_one(a, names[i], o, &b, e);
		if (rc == 0)
			done(arg, &b);
	}
	if (rc == 0 && seen < o->n)
		rc =
		    err_set(e, ERR_PERM, "a mailbox of that name is not there");
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	account_close(&a);
	return rc;
}
