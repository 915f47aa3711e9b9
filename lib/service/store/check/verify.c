/*
 * verify - the account: its journal, its tree of mailboxes and the
 * directories; and what is common to both kinds of journal.
 *
 * 1. Nothing is opened for writing and no lock is taken.
 * 2. What could be a change in the making is looked at again before it is
 *    called an error.
 */
#include "service/store/verify_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define LAG_TRIES 10 /* of 20 ms: a writer publishes at once */

static void
count_kind(struct verify_totals *t, const char *kind)
{
	unsigned i = 0;

	while (i < t->nkinds && strcmp(t->kinds[i].kind, kind) != 0)
		i++;
	if (i == VERIFY_KINDS)
		return;
	if (i == t->nkinds) {
		t->kinds[i].kind = kind;
		t->kinds[i].n = 0;
		t->nkinds++;
	}
	t->kinds[i].n++;
}

void
verify_found(struct verify *v, enum verify_severity severity, const char *kind,
    uint32_t uid, const char *file, const char *fmt, ...)
{
	struct verify_finding f = { severity, v->mailbox, kind, uid, file,
		NULL };
	struct buf text;
	va_list ap;

	if (v->is_quiet)
		return;
	buf_init(&text, 4096);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	f.text = buf_cstr(&text);
	v->totals->severity[severity]++;
	count_kind(v->totals, kind);
	if (v->found != NULL)
		v->found(v->arg, &f);
	buf_release(&text);
}

void
verify_owner(struct verify *v, uint32_t uid, const char *file,
    const struct stat *st, uid_t owner, mode_t need)
{
	if (st->st_uid != owner)
		verify_found(v, VERIFY_WARNING, "owner", uid, file,
		    "belongs to uid %u, its directory to %u: chown it",
		    (unsigned)st->st_uid, (unsigned)owner);
	if ((st->st_mode & need) != need)
		verify_found(v, VERIFY_WARNING, "mode", uid, file,
		    "mode %03o: its owner needs %03o",
		    (unsigned)st->st_mode & 0777, (unsigned)need);
	if ((st->st_mode & S_IWOTH) != 0)
		verify_found(v, VERIFY_WARNING, "mode", uid, file,
		    "mode %03o: everybody may write to it",
		    (unsigned)st->st_mode & 0777);
}

/* ---- journals ---- */

/* Bytes that are no transaction, where one should be. */
static void
judge_tail(struct verify *v, const struct journal *j, uint64_t size)
{
	unsigned long long at = j->end;

	if (journal_has_later(j, size))
		verify_found(v, VERIFY_ERROR, "journal-damage", 0, "journal",
		    "no valid transaction at offset %llu, but others after "
		    "it: the next session keeps it as journal.bad and goes on "
		    "with what stands; restore it from a backup before that",
		    at);
	else if (j->pub_ok)
		verify_found(v, VERIFY_ERROR, "journal-damage", 0, "journal",
		    "no valid transaction at offset %llu, though it was "
		    "acknowledged up to %llu",
		    at, (unsigned long long)j->pub.end);
	else
		verify_found(v, VERIFY_NOTE, "torn-tail", 0, "journal",
		    "%llu octets at offset %llu are no transaction: a write "
		    "was interrupted, the next session cuts them off",
		    (unsigned long long)(size - j->end), at);
}

static void
judge_short(struct verify *v, const struct journal *j, const struct stat *st)
{
	/* in a copy the two files may be of different moments */
	bool is_copy = st->st_ino != j->ino;

	verify_found(v, is_copy ? VERIFY_WARNING : VERIFY_ERROR,
	    "journal-short", 0, "journal",
	    "%lld octets, but %llu were acknowledged: cut, or a copy of former "
	    "days; the next session leaves out UIDs and scans",
	    (long long)st->st_size, (unsigned long long)j->pub.end);
}

/* Grown past pub: somebody is at work, or died at it. */
static void
judge_lag(struct verify *v, const struct journal *j, uint64_t size)
{
	const struct timespec wait = { 0, 20 * 1000 * 1000 };
	char raw[PUB_SIZE];
	struct pub p;
	int i;

	for (i = 0; i < LAG_TRIES && !v->is_quiet; i++) {
		if (fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) != PUB_SIZE ||
		    !pub_unpack(raw, &p) || p.end >= size)
			return;
		nanosleep(&wait, NULL);
	}
	verify_found(v, VERIFY_NOTE, "pub-lags", 0, "pub",
	    "%llu octets of the journal are not published: a writer died, the "
	    "next one publishes them",
	    (unsigned long long)(size - j->pub.end));
}

enum verify_read
verify_journal(struct verify *v, struct journal *j,
    int (*start)(void *, struct err *), journal_apply *apply, void *arg,
    const char *const *why)
{
	struct err e = { 0 };
	struct stat st;
	uint64_t size, upto;

	if (journal_open(j, &e) == -1 || fstat(j->fd, &st) == -1) {
		if (e.sys == ENOENT)
			return READ_NONE;
		verify_found(v, VERIFY_ERROR, "journal-header", 0, "journal",
		    "%s: restore it from a backup", e.text);
		return READ_PART;
	}
	if (start != NULL && start(arg, &e) == -1) {
		verify_found(v, VERIFY_ERROR, "index-lost", 0, "journal",
		    "what it goes on from is lost (%s): the next session "
		    "takes UIDs from what other servers' files say",
		    e.text);
		return READ_PART;
	}
	size = upto = (uint64_t)st.st_size;
	if (j->pub_ok && j->pub.end > size)
		judge_short(v, j, &st);
	else if (j->pub_ok)
		upto = j->pub.end;
	if (journal_read(j, upto, apply, arg, &e) == -1) {
		verify_found(v, VERIFY_ERROR, "journal-op", 0, "journal",
		    "%s%s%s", e.text, *why == NULL ? "" : ": ",
		    *why == NULL ? "" : *why);
		return READ_PART;
	}
	if (j->end < upto) {
		if (!j->pub_ok || j->pub.end <= size)
			judge_tail(v, j, size);
		return journal_has_later(j, size) || j->pub_ok ? READ_PART :
								 READ_ALL;
	}
	if (upto < size)
		judge_lag(v, j, size);
	return j->pub_ok && j->pub.end > size ? READ_PART : READ_ALL;
}

/* ---- the account ---- */

struct tree_check {
	struct verify *v;
	struct tree tree;
	const char *why;
};

/* What tree_apply() lets pass: a second mailbox of one name. */
static int
check_apply(void *arg, const struct txn *t)
{
	struct tree_check *c = arg;
	struct node *known;
	struct cur cur;
	struct op op;

	cur_init(&cur, t->ops);
	while (op_next(&cur, &op)) {
		if (op.type != OP_MBOX || op.body.n <= 24)
			continue;
		known = tree_find(&c->tree, str_sub(op.body, 24, op.body.n));
		if (known != NULL && memcmp(known->id, op.body.p, 16) != 0)
			verify_found(c->v, VERIFY_ERROR, "mailbox-name", 0,
			    NULL, "two mailboxes are called %s", known->name);
	}
	c->why = "malformed, or written by a newer version";
	if (tree_apply(&c->tree, t) == -1)
		return -1;
	c->why = NULL;
	return 0;
}

static int
id_cmp(const void *va, const void *vb)
{
	const struct node *const *a = va, *const *b = vb;

	return memcmp((*a)->id, (*b)->id, 16);
}

static int
uidvalidity_cmp(const void *va, const void *vb)
{
	const struct node *const *a = va, *const *b = vb;

	return (*a)->uidvalidity < (*b)->uidvalidity ? -1 :
	       (*a)->uidvalidity > (*b)->uidvalidity ? 1 :
						       0;
}

static void
check_unique(struct verify *v, const struct tree *t)
{
	const struct node **p = xreallocarray(NULL, t->n + 1, sizeof(*p));
	size_t i;

	for (i = 0; i < t->n; i++)
		p[i] = &t->v[i];
	qsort(p, t->n, sizeof(*p), id_cmp);
	for (i = 1; i < t->n; i++)
		if (id_cmp(&p[i - 1], &p[i]) == 0)
			verify_found(v, VERIFY_ERROR, "mailbox-id", 0, NULL,
			    "%s and %s have one MAILBOXID", p[i - 1]->name,
			    p[i]->name);
	qsort(p, t->n, sizeof(*p), uidvalidity_cmp);
	for (i = 1; i < t->n; i++)
		if (uidvalidity_cmp(&p[i - 1], &p[i]) == 0)
			verify_found(v, VERIFY_WARNING, "uidvalidity", 0, NULL,
			    "%s and %s have one UIDVALIDITY, %u: a client may "
			    "take one for the other when they are renamed",
			    p[i - 1]->name, p[i]->name, p[i]->uidvalidity);
	free(p);
}

static void
check_uses(struct verify *v, const struct tree *t)
{
	const struct node *first[32] = { NULL };
	unsigned bit;
	size_t i;

	for (i = 0; i < t->n; i++)
		for (bit = 0; bit < 32; bit++) {
			if ((t->v[i].use >> bit & 1) == 0)
				continue;
			if (first[bit] == NULL)
				first[bit] = &t->v[i];
			else
				verify_found(v, VERIFY_ERROR, "special-use", 0,
				    NULL, "%s and %s have one special use",
				    first[bit]->name, t->v[i].name);
		}
	for (i = 0; i < t->nsubs; i++)
		if (tree_find(t, str_from(t->subs[i])) == NULL)
			verify_found(v, VERIFY_NOTE, "subscription", 0, NULL,
			    "%s is subscribed and does not exist", t->subs[i]);
	if (t->nmoving > 0 || t->ndeleting > 0)
		verify_found(v, VERIFY_NOTE, "unfinished", 0, NULL,
		    "a RENAME or DELETE was begun: the next session ends it");
}

static bool
is_dir(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static bool
has_cur(int dirfd, const char *dir)
{
	int fd = fs_open_dir(dirfd, dir);
	bool ok;

	if (fd == -1)
		return false;
	ok = is_dir(fd, "cur");
	close(fd);
	return ok;
}

/* Folders that are not in the tree: found by account_scan(). */
static void
check_folders(struct verify *v, const struct tree *t)
{
	int fd = fs_open_dir(v->rootfd, ".");
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	char norm[STORE_MAX_NAME + 1];
	struct dirent *de;
	const char *why;
	struct buf name;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	buf_init(&name, 4 * STORE_MAX_NAME);
	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] != '.' || !has_cur(v->rootfd, de->d_name) ||
		    strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		buf_clear(&name);
		if (!folder_from_dir(str_from(de->d_name), &name) ||
		    !account_normalize(buf_str(&name), norm, &why) ||
		    folder_is_inbox(str_from(norm)))
			verify_found(v, VERIFY_WARNING, "folder-name", 0,
			    de->d_name,
			    "a folder whose name is none: rename it, its mail "
			    "is not shown");
		else if (tree_find(t, str_from(norm)) == NULL)
			verify_found(v, VERIFY_NOTE, "new-folder", 0,
			    de->d_name, "a folder not yet taken in");
	}
	buf_release(&name);
	closedir(d);
}

static int
tree_load(struct verify *v, struct tree_check *c, enum verify_read *how)
{
	struct journal j;
	int fd = fs_open_dir(v->rootfd, "quire/acct");

	*c = (struct tree_check){ .v = v };
	tree_init(&c->tree);
	*how = READ_NONE;
	if (fd == -1)
		return -1;
	journal_init(&j, JOURNAL_ACCOUNT, fd, true);
	*how = verify_journal(v, &j, NULL, check_apply, c, &c->why);
	journal_release(&j);
	close(fd);
	return 0;
}

/* It may have been renamed or deleted since the tree was read. */
static bool
is_listed(struct verify *v, const struct node *node)
{
	struct tree_check c;
	enum verify_read how;
	struct node *now;
	bool listed, quiet = v->is_quiet;

	v->is_quiet = true;
	tree_load(v, &c, &how);
	v->is_quiet = quiet;
	now = tree_find_id(&c.tree, node->id);
	listed = now != NULL && strcmp(now->name, node->name) == 0 &&
		 c.tree.nmoving == 0;
	tree_release(&c.tree);
	return listed;
}

static void
check_node(struct verify *v, const struct tree *t, const struct node *node)
{
	const struct layout maildirpp = { .is_fs = false };
	char dir[NAME_LEN + 1];
	int fd = -1;

	v->mailbox = str_from(node->name);
	if (!layout_dir(&maildirpp, v->rootfd, v->mailbox, dir))
		verify_found(v, VERIFY_ERROR, "folder-name", 0, NULL,
		    "has no form as a directory");
	else if ((fd = fs_open_dir(v->rootfd, dir)) != -1) {
		v->totals->mailboxes++;
		verify_mailbox(v, fd, node);
		close(fd);
	} else if (t->nmoving == 0 && is_listed(v, node))
		verify_found(v, VERIFY_ERROR, "no-directory", 0, dir,
		    "%s: restore it from a backup; the next session takes it "
		    "for deleted",
		    strerror(errno));
	v->mailbox = STR("");
}

int
store_verify(int rootfd, const struct verify_opts *opts,
    void (*found)(void *, const struct verify_finding *), void *arg,
    struct verify_totals *totals, struct err *e)
{
	struct verify v = { .rootfd = rootfd,
		.opts = opts,
		.found = found,
		.arg = arg,
		.totals = totals,
		.mailbox = STR(""),
		.now = opts->now != 0 ? opts->now : date_now() };
	struct tree_check c;
	enum verify_read how;
	size_t i;

	if (!has_cur(rootfd, "."))
		return err_set(e, ERR_PERM, "no Maildir");
	if (tree_load(&v, &c, &how) == -1 && !is_dir(rootfd, "quire")) {
		verify_found(&v, VERIFY_NOTE, "unopened", 0, NULL,
		    "a Maildir that Quire has not opened yet");
		return 0;
	}
	if (how == READ_NONE)
		verify_found(&v, VERIFY_ERROR, "no-journal", 0,
		    "quire/acct/journal",
		    "missing: the next session makes a new one, mailboxes "
		    "keep their UIDs but not their special uses");
	check_unique(&v, &c.tree);
	check_uses(&v, &c.tree);
	if (how == READ_ALL)
		check_folders(&v, &c.tree);
	for (i = 0; i < c.tree.n; i++)
		check_node(&v, &c.tree, &c.tree.v[i]);
	tree_release(&c.tree);
	return 0;
}
