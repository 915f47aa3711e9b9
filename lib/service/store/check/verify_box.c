/*
 * verify_box - one mailbox: its journal applied and counted again, pub, and
 * what lies in quire/.
 */
#include "service/store/verify_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define EXP_LATE 7200 /* an hour's grace, and one for sessions to end */

static bool
counters_eq(const struct counters *a, const struct counters *b)
{
	return a->uidnext == b->uidnext && a->exists == b->exists &&
	       a->deleted == b->deleted && a->unseen == b->unseen &&
	       a->unread == b->unread && a->bytes == b->bytes &&
	       a->deleted_bytes == b->deleted_bytes;
}

static int
box_apply(void *arg, const struct txn *t)
{
	struct box *b = arg;
	struct view *v = &b->m.v;

	b->why = NULL;
	if (view_apply(v, t) == -1) {
		b->why = v->why;
		return -1;
	}
	/* BOOT after salvaged damage counts anew */
	if ((t->flags & TXN_BOOT) != 0)
		b->wrong_at = 0;
	if (b->wrong_at == 0 && !counters_eq(&t->c, &v->c)) {
		b->wrong_at = t->off;
		b->wrong = t->c;
		b->right = v->c;
	}
	if (t->modseq < b->last_modseq && !b->modseq_fell) {
		b->modseq_fell = true;
		verify_found(b->v, VERIFY_ERROR, "modseq", 0, "journal",
		    "falls from %llu to %llu at offset %llu: clients miss "
		    "changes",
		    (unsigned long long)b->last_modseq,
		    (unsigned long long)t->modseq, (unsigned long long)t->off);
	}
	if (t->modseq > b->last_modseq)
		b->last_modseq = t->modseq;
	return 0;
}

static int
box_start(void *arg, struct err *e)
{
	return verify_start(arg, e);
}

enum verify_read
verify_load(struct box *b)
{
	view_release(&b->m.v);
	mailbox_close_slots(&b->m);
	b->m.v.is_loading = true;
	b->m.window_n = 0;
	b->last_modseq = 0;
	b->modseq_fell = false;
	b->wrong_at = 0;
	return verify_journal(b->v, &b->m.j, box_start, box_apply, b, &b->why);
}

/* ---- what the journal says against itself ---- */

static void
check_counters(struct box *b)
{
	struct counters c, *w = &b->wrong, *r = &b->right;

	view_recount(&b->m.v, &c);
	if (b->wrong_at == 0 && !counters_eq(&c, &b->m.v.c)) {
		b->wrong_at = b->m.j.end;
		*w = b->m.v.c;
		*r = c;
	}
	if (b->wrong_at != 0)
		verify_found(b->v, VERIFY_ERROR, "counters", 0, "journal",
		    "at offset %llu: uidnext %u, messages %u, deleted %u, "
		    "unseen %u, unread %u, octets %llu; counted %u, %u, %u, "
		    "%u, %u, %llu",
		    (unsigned long long)b->wrong_at, w->uidnext, w->exists,
		    w->deleted, w->unseen, w->unread,
		    (unsigned long long)w->bytes, r->uidnext, r->exists,
		    r->deleted, r->unseen, r->unread,
		    (unsigned long long)r->bytes);
}

static void
check_keywords(struct box *b)
{
	struct view *v = &b->m.v;
	uint64_t known =
	    v->nkeywords >= 64 ? UINT64_MAX : (1ULL << v->nkeywords) - 1;
	uint32_t i;

	for (i = 0; i < v->n; i++)
		if ((v->st[i] & ST_GHOST) == 0 && (v->kw[i] & ~known) != 0)
			verify_found(b->v, VERIFY_ERROR, "keyword", v->uid[i],
			    NULL,
			    "has keywords that the mailbox does not define");
}

/* A message changes after it came, and no later than the mailbox. */
static void
check_modseqs(struct box *b)
{
	struct view *v = &b->m.v;
	struct cold cold;
	uint32_t i;

	for (i = 0; i < v->n; i++) {
		if ((v->st[i] & ST_GHOST) != 0 || !row_cold(&b->m, i, &cold))
			continue;
		if (cold.create_modseq == 0 ||
		    cold.create_modseq > v->modseq[i] ||
		    v->modseq[i] > v->modseq_now)
			verify_found(b->v, VERIFY_ERROR, "modseq", v->uid[i],
			    NULL,
			    "came at %llu, changed at %llu, the mailbox is at "
			    "%llu",
			    (unsigned long long)cold.create_modseq,
			    (unsigned long long)v->modseq[i],
			    (unsigned long long)v->modseq_now);
	}
}

/* STATUS is answered from pub. */
static void
check_pub(struct box *b)
{
	const struct journal *j = &b->m.j;
	const struct view *v = &b->m.v;

	if (!j->pub_ok || j->pub.end != j->end)
		return;
	if (!counters_eq(&j->pub.c, &v->c) || j->pub.modseq != j->modseq ||
	    j->pub.uidvalidity != j->uidvalidity ||
	    memcmp(j->pub.mailboxid, j->mailboxid, 16) != 0)
		verify_found(b->v, VERIFY_ERROR, "pub", 0, "pub",
		    "is not what the journal says: remove it");
}

static void
check_identity(struct box *b, const struct node *node)
{
	const struct journal *j = &b->m.j;
	uint64_t ino = b->m.v.ino != 0 ? b->m.v.ino : j->ino;
	struct stat st;

	/* one without a header has none */
	if (j->gen != 0 && memcmp(j->mailboxid, node->id, 16) != 0)
		verify_found(b->v, VERIFY_ERROR, "mailbox-id", 0, "journal",
		    "has another MAILBOXID than the account's journal: a "
		    "folder copied over this one? It gets its own when it is "
		    "moved to another name and, after a session has listed "
		    "that, back");
	if (fstat(j->fd, &st) == 0 && (uint64_t)st.st_ino != ino)
		verify_found(b->v, VERIFY_NOTE, "restored", 0, "journal",
		    "is a copy: the next session that writes leaves out UIDs");
	if (b->m.v.is_gone)
		verify_found(b->v, VERIFY_NOTE, "unfinished", 0, "journal",
		    "the mailbox is being deleted");
	if (b->m.v.nmoves > 0)
		verify_found(b->v, VERIFY_NOTE, "unfinished", 0, "journal",
		    "a MOVE to here was begun: the next session ends it");
}

/* ---- quire/ ---- */

/* As it is called beneath the root; in an index root it has no other name. */
static const char *
label(const struct box *b, const char *name)
{
	return b->v->a.layout.is_fs ? strrchr(name, '/') + 1 : name;
}

static void
check_exp(struct box *b)
{
	DIR *d = fs_read_dir(b->m.qfd, "exp");
	struct dirent *de;
	struct stat st;
	unsigned long late = 0, extra = 0;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.' || fstatat(dirfd(d), de->d_name, &st,
						AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		extra += str_starts(str_from(de->d_name), STR("extra."));
		late += b->v->now - st.st_ctim.tv_sec > EXP_LATE;
	}
	closedir(d);
	if (late > 0)
		verify_found(b->v, VERIFY_NOTE, "exp", 0, label(b, "quire/exp"),
		    "%lu files of removed messages are past their grace: a "
		    "session that closes removes them",
		    late);
	if (extra > 0)
		verify_found(b->v, VERIFY_NOTE, "exp-extra", 0,
		    label(b, "quire/exp"),
		    "%lu second names of messages were put aside", extra);
}

static void
check_place(struct box *b, int fd, const char *path, const char *shown,
    mode_t need, bool is_needed)
{
	struct stat st;

	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		verify_owner(b->v, 0, shown, &st, b->owner, need);
	else if (is_needed)
		verify_found(b->v, VERIFY_ERROR, "no-directory", 0, shown,
		    "%s: make it", strerror(errno));
}

static void
check_places(struct box *b)
{
	static const char *const dirs[] = { "cur", "new", "tmp" };
	struct stat st;
	size_t i;

	for (i = 0; i < 3; i++)
		check_place(b, b->m.dirfd, dirs[i], dirs[i], 0700, true);
	check_place(b, b->m.qfd, ".", "quire", 0700, true);
	check_place(
	    b, b->m.qfd, "journal", label(b, "quire/journal"), 0600, true);
	check_place(b, b->m.qfd, "pub", label(b, "quire/pub"), 0600, false);
	check_place(b, b->m.qfd, "lock", label(b, "quire/lock"), 0600, false);
	if (fstatat(b->m.qfd, "journal.bad", &st, AT_SYMLINK_NOFOLLOW) == 0)
		verify_found(b->v, VERIFY_NOTE, "journal-bad", 0,
		    label(b, "quire/journal.bad"),
		    "an earlier damage was repaired: remove it when nothing "
		    "is missed");
}

/* LAYOUT=fs: which mailbox the directory says it is. */
static void
check_id_file(struct box *b, const struct node *node)
{
	uint8_t id[16];

	if (!b->v->a.layout.is_fs)
		return;
	if (!state_id(b->m.dirfd, id))
		verify_found(b->v, VERIFY_WARNING, "quire-id", 0, "quire.id",
		    "missing or malformed: when others rename the folder it "
		    "becomes a new one; the next session writes it");
	else if (memcmp(id, node->id, 16) != 0)
		verify_found(b->v, VERIFY_WARNING, "quire-id", 0, "quire.id",
		    "is another mailbox's: a folder copied over this one?");
}

/* ---- a mailbox ---- */

/* UIDs ascend and are below UIDNEXT; nobody gives out a higher UIDVALIDITY. */
static void
check_numbers(struct box *b, const struct node *node)
{
	const struct view *v = &b->m.v;
	uint32_t i;

	for (i = 0; i < v->n; i++)
		if (v->uid[i] == 0 || v->uid[i] >= v->c.uidnext ||
		    (i > 0 && v->uid[i] <= v->uid[i - 1]))
			verify_found(b->v, VERIFY_ERROR, "uid", v->uid[i], NULL,
			    "UIDs do not ascend below UIDNEXT %u: quire "
			    "rebuild --new-uidvalidity numbers anew",
			    v->c.uidnext);
	if (b->m.j.uidvalidity < node->uidvalidity)
		verify_found(b->v, VERIFY_WARNING, "uidvalidity", 0, "journal",
		    "UIDVALIDITY %u is below the %u the account gave it: a "
		    "backup put back?",
		    b->m.j.uidvalidity, node->uidvalidity);
}

static void
check_box(struct box *b, const struct node *node)
{
	struct verify *v = b->v;
	struct stat st;

	switch (verify_load(b)) {
	case READ_NONE:
		/* the first open makes it; pub comes after it */
		if (fstatat(b->m.qfd, "pub", &st, AT_SYMLINK_NOFOLLOW) == 0)
			verify_found(v, VERIFY_ERROR, "no-journal", 0,
			    label(b, "quire/journal"),
			    "missing: restore it from a backup; the next "
			    "session takes UIDs from dovecot-uidlist, without "
			    "one all messages get new ones");
		return;
	case READ_PART:
		check_identity(b, node);
		verify_found(v, VERIFY_NOTE, "not-compared", 0, NULL,
		    "files were not compared: the journal is not whole");
		return;
	case READ_ALL:
		break;
	}
	v->totals->messages += b->m.v.c.exists;
	check_counters(b);
	check_keywords(b);
	check_modseqs(b);
	check_pub(b);
	check_identity(b, node);
	check_numbers(b, node);
	check_id_file(b, node);
	check_places(b);
	check_exp(b);
	verify_files(b);
	verify_export(b);
	verify_courier(b);
}

void
verify_mailbox(struct verify *v, int dirfd, const struct node *node)
{
	struct box b = { .v = v };
	struct mailbox *m = &b.m;
	struct stat st;

	if (fstat(dirfd, &st) == -1)
		return;
	b.owner = st.st_uid;
	m->dirfd = dirfd;
	m->expfd = m->tmpfd = m->watchfd = -1;
	m->readonly = true;
	m->curfd = fs_open_dir(dirfd, "cur");
	m->newfd = fs_open_dir(dirfd, "new");
	m->qfd = state_open(&v->a, dirfd, node->id, false);
	mailbox_init_slots(m);
	view_init(&m->v);
	journal_init(&m->j, JOURNAL_MAILBOX, m->qfd, true);
	if (m->curfd == -1 || m->newfd == -1)
		verify_found(v, VERIFY_ERROR, "no-directory", 0,
		    m->curfd == -1 ? "cur" : "new",
		    "cannot be read: make it, or restore it from a backup");
	else if (m->qfd != -1)
		check_box(&b, node);
	journal_release(&m->j);
	view_release(&m->v);
	mailbox_close_slots(m);
	free(m->window);
	if (m->curfd != -1)
		close(m->curfd);
	if (m->newfd != -1)
		close(m->newfd);
	if (m->qfd != -1)
		close(m->qfd);
}
