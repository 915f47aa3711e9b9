/*
 * verify - the account and each of its mailboxes in turn; and what is common
 * to both kinds of journal.
 *
 * 1. Nothing is opened for writing and no lock is taken.
 * 2. What could be a change in the making is looked at again before it is
 *    called an error.
 */
#include "service/store/journal_room_int.h"
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
		    "with what stands; restore it from a backup before that, "
		    "or run quire rebuild where there is a dovecot-uidlist",
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
judge_lag(struct verify *v, const struct journal *j)
{
	const struct timespec wait = { 0, 20 * 1000 * 1000 };
	char raw[PUB_SIZE];
	struct pub p;
	int i;

	for (i = 0; i < LAG_TRIES && !v->is_quiet; i++) {
		if (fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) != PUB_SIZE ||
		    !pub_unpack(raw, &p) || p.end > j->pub.end)
			return;
		nanosleep(&wait, NULL);
	}
	verify_found(v, VERIFY_NOTE, "pub-lags", 0, "pub",
	    "the journal goes on behind offset %llu and that is not "
	    "published: a writer died, the next one publishes it",
	    (unsigned long long)j->pub.end);
}

enum verify_read
verify_journal(struct verify *v, struct journal *j,
    int (*start)(void *, struct err *), journal_apply *apply, void *arg,
    const char *const *why)
{
	struct err e = { 0 };
	struct stat st;
	uint64_t size, upto;
	bool is_short;

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
	is_short = j->pub_ok && !journal_goes_to(j->fd, j->pub.end);
	if (is_short)
		judge_short(v, j, &st);
	else if (j->pub_ok)
		upto = j->pub.end;
	if (journal_read(j, upto, apply, arg, &e) == -1) {
		verify_found(v, VERIFY_ERROR, "journal-op", 0, "journal",
		    "%s%s%s", e.text, *why == NULL ? "" : ": ",
		    *why == NULL ? "" : *why);
		return READ_PART;
	}
	if (journal_is_blank(j))
		return is_short ? READ_PART : READ_ALL;
	if (j->end < upto) {
		judge_tail(v, j, size);
		return journal_has_later(j, size) || j->pub_ok ? READ_PART :
								 READ_ALL;
	}
	if (journal_tail(j) == TAIL_MORE)
		judge_lag(v, j);
	else
		verify_found(v, VERIFY_NOTE, "journal-room", 0, "journal",
		    "behind offset %llu there is room for more, which should "
		    "be zeros: it will be written over",
		    (unsigned long long)j->end);
	return READ_ALL;
}

/* ---- the account ---- */

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

static int
tree_load(struct verify *v, struct tree_check *c, enum verify_read *how)
{
	struct journal j;
	int fd = v->a.layout.is_fs ? fs_open_dir(v->a.indexfd, "acct") :
				     fs_open_dir(v->a.rootfd, "quire/acct");

	*c = (struct tree_check){ .v = v };
	tree_init(&c->tree);
	*how = READ_NONE;
	if (fd == -1)
		return -1;
	journal_init(&j, JOURNAL_ACCOUNT, fd, true);
	*how = verify_journal(v, &j, NULL, verify_tree_apply, c, &c->why);
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
	char dir[NAME_LEN + 1];
	int fd = -1;

	v->mailbox = str_from(node->name);
	if (!layout_dir(&v->a.layout, v->a.rootfd, v->mailbox, dir))
		verify_found(v, VERIFY_ERROR, "folder-name", 0, NULL,
		    "has no form as a directory");
	else if ((fd = fs_open_dir(v->a.rootfd, dir)) != -1) {
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

/* Was it ever opened? */
static bool
has_state(const struct verify *v)
{
	return v->a.layout.is_fs ?
		   v->a.indexfd != -1 && is_dir(v->a.indexfd, "acct") :
		   is_dir(v->a.rootfd, "quire");
}

int
store_verify(int rootfd, const struct verify_opts *opts,
    void (*found)(void *, const struct verify_finding *), void *arg,
    struct verify_totals *totals, struct err *e)
{
	struct verify v = { .a = { .rootfd = rootfd,
				.indexfd = opts->is_fs ? opts->indexfd : -1,
				.acctfd = -1,
				.opts.readonly = true,
				.layout.is_fs = opts->is_fs },
		.opts = opts,
		.found = found,
		.arg = arg,
		.totals = totals,
		.mailbox = STR(""),
		.now = opts->now != 0 ? opts->now : date_now() };
	struct tree_check c;
	enum verify_read how;
	uint8_t id[16];
	size_t i;

	if (!has_cur(rootfd, "."))
		return err_set(e, ERR_PERM, "no Maildir");
	if (!opts->is_fs && state_id(rootfd, id))
		return err_set(e, ERR_PERM,
		    "kept with layout fs: say where its index root is");
	if (!has_state(&v)) {
		verify_found(&v, VERIFY_NOTE, "unopened", 0, NULL,
		    "a Maildir that Quire has not opened yet");
		return 0;
	}
	tree_load(&v, &c, &how);
	if (how == READ_NONE)
		verify_found(&v, VERIFY_ERROR, "no-journal", 0,
		    opts->is_fs ? "acct/journal" : "quire/acct/journal",
		    "missing: the next session makes a new one, mailboxes "
		    "keep their UIDs but not their special uses");
	verify_tree(&v, &c.tree);
	if (how == READ_ALL) {
		verify_folders(&v, &c.tree);
		verify_subscriptions(&v, &c.tree);
	}
	for (i = 0; i < c.tree.n; i++)
		check_node(&v, &c.tree, &c.tree.v[i]);
	if (how == READ_ALL)
		verify_maildirsize(&v);
	tree_release(&c.tree);
	walked_release(&v.a.walked);
	return 0;
}
