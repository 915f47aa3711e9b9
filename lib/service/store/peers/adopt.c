/*
 * adopt - the first open of a Maildir: a new account, or one that another
 * server has kept until now.
 *
 * 1. Nothing of theirs is changed; no message file is renamed (except one
 *    with flags in new/, by the first scan).
 * 2. UIDVALIDITY, UIDs and GUIDs stay. The first modseq is above any of
 *    Dovecot's, so clients look at flags once and load no body again.
 * 3. The journal appears whole, by rename. A stop before that leaves the
 *    Maildir as it was.
 */
#include "service/store/adopt_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define DOTLOCK_MS   5000
#define ADDS_PER_TXN 1000 /* the file appears whole: any number will do */

static void
take_uid(struct adoption *a, struct arrival *f, struct str unique)
{
	const struct uid_line *u = uidlist_find(&a->list, name_hash(unique));

	if (u == NULL)
		return;
	a->is_used[u - a->list.v] = true;
	f->uid = u->uid;
	f->has_guid = u->has_guid;
	memcpy(f->emailid, u->guid, 16);
	arrival_sized(f, u->vsize);
}

static void
take_file(struct adoption *a, uint32_t dir, int dirfd, const char *file)
{
	struct stat st;
	struct name n;

	if (!name_parse(str_from(file), &n)) {
		adopt_tell_no_message(a, file, NULL);
		return;
	}
	/* flags in new/: the first scan moves it to cur/ */
	if (dir == 1 && n.has_info)
		a->is_stable[dir] = false;
	if (fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		a->is_stable[dir] = false;
		return;
	}
	if (!arrivals_add(&a->files, file, dir, &st)) {
		adopt_tell_no_message(a, file, &st);
		return;
	}
	a->letters |= n.fn;
	take_uid(a, &a->files.v[a->files.n - 1], n.unique);
	adopt_tell_file(a, file, dirfd, &n, &st);
}

static int
read_files(struct adoption *a, uint32_t dir, struct err *e)
{
	struct mailbox *m = a->m;
	DIR *d = fs_read_dir(m->dirfd, dir == 1 ? "new" : "cur");
	struct stat after;
	struct dirent *de;
	int rc = 0;

	/* others may have made no new/; who writes has made it by now */
	if (d == NULL && dir == 1 && errno == ENOENT)
		return 0;
	if (d == NULL || fstat(dirfd(d), &a->st[dir]) == -1) {
		err_sys(e, "read Maildir");
		if (d != NULL)
			closedir(d);
		return -1;
	}
	a->is_stable[dir] = true;
	while ((errno = 0, de = readdir(d)) != NULL)
		take_file(a, dir, dirfd(d), de->d_name);
	if (errno != 0)
		rc = err_sys(e, "read Maildir");
	if (fstat(dirfd(d), &after) == -1 ||
	    stat_mtime(&after) != stat_mtime(&a->st[dir]))
		a->is_stable[dir] = false;
	closedir(d);
	return rc;
}

/*
 * Of two files of one base name the second waits for a scan, which knows what
 * to do with either kind: a second name of the file, or another file.
 */
static void
drop_second(struct adoption *a, struct arrival *f)
{
	free(f->file);
	a->is_stable[0] = a->is_stable[1] = false;
	if (a->box != NULL)
		a->box->renames++;
}

/* Each file once, and each UID; how many lose theirs to another. */
static size_t
settle(struct adoption *a)
{
	struct arrivals *l = &a->files;
	size_t clashes = 0, n = 0, i;
	uint32_t last = 0;

	arrivals_sort(l);
	for (i = 0; i < l->n; i++) {
		if (n > 0 && arrival_is_same_name(&l->v[n - 1], &l->v[i])) {
			drop_second(a, &l->v[i]);
			continue;
		}
		l->v[n] = l->v[i];
		if (l->v[n].uid != 0 && l->v[n].uid == last) {
			l->v[n].uid = 0;
			clashes++;
		} else
			last = l->v[n].uid;
		n++;
	}
	l->n = n;
	if (clashes > 0)
		arrivals_sort(l);
	return clashes;
}

static int
append(struct mailbox *m, struct journal *j, struct err *e)
{
	int rc;

	if (m->ops.n == 0)
		return 0;
	rc = journal_append(
	    j, &m->ops, TXN_FOREIGN, j->modseq, &m->v.c, false, e);
	ops_clear(&m->ops);
	return rc;
}

/* What is in m->ops, into the file and the view: others build on it. */
static int
append_and_apply(struct mailbox *m, struct journal *j, struct err *e)
{
	struct txn t = { .off = j->end, .modseq = j->modseq };
	int rc;

	if (m->ops.n == 0)
		return 0;
	rc = journal_append(
	    j, &m->ops, TXN_FOREIGN, j->modseq, &m->v.c, false, e);
	if (rc == 0) {
		t.ops = str_sub(buf_str(&m->ops.b), TXN_HEAD,
		    m->ops.b.n - TXN_HEAD - TXN_FOOT);
		view_apply(&m->v, &t);
	}
	ops_clear(&m->ops);
	return rc;
}

/* Bit of that keyword as a mask, defined if need be; 0: no room. */
static uint64_t
define(struct mailbox *m, struct journal *j, struct str name, struct err *e)
{
	struct op_name k = { m->v.nkeywords, name, STR("") };
	int bit = mailbox_keyword_bit(m, name);

	if (bit == -1) {
		if (m->v.nkeywords == STORE_MAX_KEYWORDS)
			return 0;
		bit = (int)m->v.nkeywords;
		op_name_pack(&m->ops, OP_KWDEF, &k);
		if (append_and_apply(m, j, e) == -1)
			return 0;
	}
	return 1ULL << bit;
}

/* The view is needed to tell what letters mean: it learns the keywords. */
static int
define_keywords(struct adoption *a, struct journal *j, struct err *e)
{
	struct mailbox *m = a->m;
	struct err why = { 0 };
	size_t i;

	if (keywords_read(m->dirfd, &m->v, &m->ops, e) == -1 ||
	    append_and_apply(m, j, e) == -1)
		return -1;
	adopt_tell_letters(a);
	/* P is how others write it */
	if ((a->letters & FN_P) != 0)
		define(m, j, STR("$Forwarded"), &why);
	for (i = 0; i < a->courier.nnames && why.text[0] == '\0'; i++) {
		a->bit[i] = define(m, j, a->courier.names[i], &why);
		a->courier.lost += a->bit[i] == 0;
	}
	if (a->courier.lost > 0)
		adopt_problem(a->box, "keywords", NULL,
		    "Courier has keywords that have no place: more than 64, "
		    "or names that IMAP does not allow");
	if (why.text[0] != '\0' && e != NULL)
		*e = why;
	return why.text[0] == '\0' ? 0 : -1;
}

/* Courier's keywords, as bits. */
static uint64_t
courier_bits(const struct adoption *a, uint64_t uhash)
{
	uint64_t set = courier_keywords_of(&a->courier, uhash), bits = 0;
	size_t i;

	for (i = 0; set != 0 && i < a->courier.nnames; i++)
		if ((set >> i & 1) != 0)
			bits |= a->bit[i];
	return bits;
}

static int
fill_mailbox(void *arg, struct journal *j, struct err *e)
{
	struct adoption *a = arg;
	struct mailbox *m = a->m;
	struct counters *c = &m->v.c;
	uint32_t uid;
	size_t i;

	if (define_keywords(a, j, e) == -1)
		return -1;
	for (i = 0; i < a->files.n; i++) {
		struct arrival *f = &a->files.v[i];
		uint16_t flags;
		uint64_t kw;
		struct name n;

		/* those of the list come first, and are below UIDNEXT */
		uid = f->uid != 0 ? f->uid : c->uidnext;
		if (uid >= c->uidnext)
			c->uidnext = uid + 1;
		if (c->uidnext == UINT32_MAX)
			return err_set(e, ERR_PERM, "no UIDs left");
		if (a->files.n <= MEASURE_MAX)
			arrival_measure(m, f);
		name_parse(str_from(f->file), &n);
		f->kw = courier_bits(a, name_hash(n.unique));
		arrival_pack(&m->ops, &m->v, f, uid, j->modseq);
		view_flags_of(&m->v, n.fn, &flags, &kw);
		view_count(c, flags, f->size, 1);
		if (a->box != NULL && f->dir == 0 &&
		    view_want_fn(&m->v, flags, kw | f->kw, n.fn) != n.fn)
			a->box->renames++;
		if (m->ops.n >= ADDS_PER_TXN && append(m, j, e) == -1)
			return -1;
	}
	/* what was expunged before is not known: QRESYNC clients of the other
	 * server must compare everything once */
	if (a->list.uidvalidity != 0)
		op_words_pack(&m->ops, OP_FLOOR, j->modseq, 0);
	for (i = 0; i < 2; i++)
		if (a->is_stable[i])
			op_scan_pack(
			    &m->ops, &(struct op_scan){ .dir = (uint32_t)i,
					 .is_stable = 1,
					 .dev = a->st[i].st_dev,
					 .ino = a->st[i].st_ino,
					 .mtime = stat_mtime(&a->st[i]),
					 .nfiles = a->files.n });
	return append(m, j, e);
}

static int
gather(struct adoption *a, struct err *e)
{
	struct mailbox *m = a->m;
	uidlist_read(m->dirfd, false, &a->list);
	if (a->list.unread.text[0] != '\0') {
		if (e != NULL)
			*e = a->list.unread;
		return -1;
	}
	a->is_used = xcalloc(a->list.n + 1, sizeof(*a->is_used));
	/* where Dovecot came after Courier these are of days gone by */
	if (a->list.kind == UIDLIST_COURIER || a->list.kind == UIDLIST_NONE)
		courier_keywords_read(m->dirfd, &a->courier);
	adopt_tell_list(a);
	if (read_files(a, 0, e) == -1 || read_files(a, 1, e) == -1)
		return -1;
	adopt_tell_files(a, settle(a));
	view_release(&m->v);
	m->v.c.uidnext = a->list.uidnext > a->list.uid_max ?
			     a->list.uidnext :
			     a->list.uid_max + 1;
	ops_clear(&m->ops);
	return 0;
}

static int
adopt(struct mailbox *m, uint32_t uidvalidity, const uint8_t id[16],
    int (*create)(struct journal *, const struct journal_spec *, struct err *),
    struct err *e)
{
	struct adoption a = { .m = m, .box = m->account->adopting };
	struct journal_spec spec = { .kind = JOURNAL_MAILBOX,
		.uidvalidity = uidvalidity,
		.modseq = (uint64_t)date_now() << 20,
		.fill = fill_mailbox,
		.arg = &a };
	int rc;

	memcpy(spec.mailboxid, id, 16);
	rc = gather(&a, e);
	/* of one made anew nothing goes back */
	if (m->v.c.uidnext < m->uidnext_min)
		m->v.c.uidnext = m->uidnext_min;
	if (spec.modseq <= m->j.modseq)
		spec.modseq = m->j.modseq + 1;
	if (rc == 0) {
		if (a.list.uidvalidity != 0)
			spec.uidvalidity = a.list.uidvalidity;
		stream_note_adopted(m->account, id);
		rc = create(&m->j, &spec, e);
	}
	view_release(&m->v);
	ops_clear(&m->ops);
	uidlist_release(&a.list);
	free(a.is_used);
	courier_keywords_release(&a.courier);
	arrivals_release(&a.files);
	return rc;
}

int
adopt_mailbox(struct mailbox *m, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *e)
{
	struct dotlock lock = { .fd = -1 };
	struct stat st;
	bool theirs = fstatat(m->dirfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int rc = -1;

	/* never wait for it while holding our own lock */
	if (theirs && m->uidlist_held == 0 &&
	    dotlock_take(&lock, m->dirfd, UIDLIST_LOCK, DOTLOCK_MS, e) == -1)
		return -1;
	if (journal_open_lock(&m->j, e) == 0 &&
	    fs_lock(m->j.lockfd, LOCK_WRITER, true, m->j.lock_ms, e) == 0) {
		/* another session may have been first */
		rc = fstatat(m->qfd, "journal", &st, AT_SYMLINK_NOFOLLOW) == 0 ?
			 0 :
			 adopt(m, uidvalidity, mailboxid, journal_create, e);
		fs_unlock(m->j.lockfd, LOCK_WRITER);
	}
	dotlock_drop(&lock);
	return rc;
}

int
adopt_again(struct mailbox *m, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *e)
{
	return adopt(m, uidvalidity, mailboxid, journal_create, e);
}

int
adopt_hidden(struct mailbox *m, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *e)
{
	if (adopt(m, uidvalidity, mailboxid, journal_create_hidden, e) == -1)
		return -1;
	view_release(&m->v);
	m->v.is_loading = true;
	return journal_read_hidden(&m->j, view_apply, &m->v, e);
}
