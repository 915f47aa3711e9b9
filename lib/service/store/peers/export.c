/*
 * export - Dovecot's view of a mailbox, kept up to date: dovecot-uidlist.
 *
 * 1. Never in the way of an acknowledgement: no byte of ours is held, nobody
 *    is waited for (but by `quire export-state`), nothing is synced.
 * 2. What is written is what the journal has published: an UID in the list
 *    is durable before it is there.
 * 3. quire/export says which list we wrote and up to which UID. Does it agree
 *    with the file new lines are appended, as Dovecot does; else the list is
 *    written anew, by rename. Both under dovecot-uidlist.lock.
 * 4. What only the list has (P, O, S and what is not known here) is kept.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define EXPORT_MS   5000 /* in a session that goes on, not more often */
#define DOTLOCK_MS  5000
#define NOTE_SIZE   64
#define NOTE_MAGIC  0x50584551 /* "QEXP" */
#define DEAD_MIN    100 /* lines of removed messages that do not matter */
#define CHUNK	    65536
#define UIDLIST_TMP UIDLIST ".tmp"
#define UIDLIST_MAX ((size_t)2 << 30)

bool
export_note_read(int qfd, struct export_note *n)
{
	char raw[NOTE_SIZE];
	int fd = fs_open_file(qfd, "export", O_RDONLY, 0);
	bool ok =
	    fd != -1 && fs_pread_all(fd, raw, NOTE_SIZE, 0) == NOTE_SIZE &&
	    le32_get(raw) == NOTE_MAGIC &&
	    le32_get(raw + NOTE_SIZE - 4) == crc32c(0, raw, NOTE_SIZE - 4);

	if (fd != -1)
		close(fd);
	if (!ok)
		return false;
	n->boot = le32_get(raw + 4);
	n->ino = le64_get(raw + 8);
	n->size = le64_get(raw + 16);
	n->mtime = le64_get(raw + 24);
	n->uidvalidity = le32_get(raw + 32);
	n->next = le32_get(raw + 36);
	n->lines = le32_get(raw + 40);
	/* after a power cut the list may be any mixture */
	return n->boot == boot_id();
}

void
export_note_write(int qfd, const struct export_note *n)
{
	char raw[NOTE_SIZE] = { 0 };
	int fd = step_open(qfd, "export");

	le32_put(raw, NOTE_MAGIC);
	le32_put(raw + 4, boot_id());
	le64_put(raw + 8, n->ino);
	le64_put(raw + 16, n->size);
	le64_put(raw + 24, n->mtime);
	le32_put(raw + 32, n->uidvalidity);
	le32_put(raw + 36, n->next);
	le32_put(raw + 40, n->lines);
	le32_put(raw + NOTE_SIZE - 4, crc32c(0, raw, NOTE_SIZE - 4));
	if (fd == -1)
		return;
	/* one that was not written is one that does not agree */
	(void)step_pwrite(fd, str_make(raw, NOTE_SIZE), 0);
	close(fd);
}

bool
export_note_agrees(const struct export_note *n, const struct stat *st)
{
	return n->ino == st->st_ino && n->size == (uint64_t)st->st_size &&
	       n->mtime == stat_mtime(st);
}

bool
export_is_foreign(int dirfd, int qfd, struct stat *st)
{
	struct export_note n;

	if (fstatat(dirfd, UIDLIST, st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st->st_mode))
		return false;
	return !export_note_read(qfd, &n) || !export_note_agrees(&n, st);
}

void
export_forget(struct mailbox *m)
{
	step_unlink(m->qfd, "export");
	m->export_next = 0;
}

/* ---- lines ---- */

struct kept { /* of a line of the list that is to be replaced */
	uint32_t uid;
	struct str words, base; /* borrowed */
};

struct old_list {
	struct buf text;
	struct kept *v;
	size_t n, cap;
};

static struct str
dovecot_base(struct str name)
{
	return str_sub(name, 0, str_find(name, ':'));
}

bool
uidlist_line(
    struct str line, uint32_t *uid, struct str *words, struct str *base)
{
	struct str number;
	uint64_t n;
	size_t colon;

	str_cut(&line, ' ', &number);
	colon = str_find(line, ':');
	if (colon == line.n || !str_uint(number, UINT32_MAX, &n) || n == 0)
		return false;
	*uid = (uint32_t)n;
	*words = str_trim(str_sub(line, 0, colon));
	*base = dovecot_base(str_sub(line, colon + 1, line.n));
	return base->n > 0;
}

static void
old_list_line(struct old_list *o, struct str line)
{
	struct kept k;

	if (!uidlist_line(line, &k.uid, &k.words, &k.base) || k.words.n == 0)
		return;
	if (o->n == o->cap) {
		o->cap = o->cap == 0 ? 64 : o->cap * 2;
		o->v = xreallocarray(o->v, o->cap, sizeof(*o->v));
	}
	o->v[o->n++] = k;
}

static int
kept_cmp(const void *va, const void *vb)
{
	const struct kept *a = va, *b = vb;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static void
old_list_read(struct old_list *o, int dirfd)
{
	struct str text, line;

	*o = (struct old_list){ 0 };
	buf_init(&o->text, UIDLIST_MAX);
	if (fs_read_file(dirfd, UIDLIST, &o->text, NULL) == -1)
		return;
	text = buf_str(&o->text);
	str_cut(&text, '\n', &line);
	if (!str_starts(line, STR("3 ")))
		return;
	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		old_list_line(o, line);
	}
	if (o->n > 1)
		qsort(o->v, o->n, sizeof(*o->v), kept_cmp);
}

static void
old_list_release(struct old_list *o)
{
	buf_release(&o->text);
	free(o->v);
}

static struct str
old_list_words(const struct old_list *o, uint32_t uid, struct str base)
{
	struct kept key = { .uid = uid }, *k;

	k = o->n == 0 ? NULL : bsearch(&key, o->v, o->n, sizeof(*k), kept_cmp);
	return k != NULL && str_eq(k->base, base) ? k->words : STR("");
}

static bool
is_guid_of_ours(struct str word)
{
	uint8_t guid[16];

	return str_starts(word, STR("G")) &&
	       str_hex(str_sub(word, 1, word.n), guid, sizeof(guid));
}

/* What another wrote of this message and we do not know better; true with a
 * GUID that is none of ours. */
static bool
put_kept(struct buf *b, struct str words)
{
	bool has_guid = false;
	struct str word;

	while (words.n > 0) {
		str_cut(&words, ' ', &word);
		if (word.n < 2 || word.p[0] == 'W' || is_guid_of_ours(word))
			continue;
		has_guid |= word.p[0] == 'G';
		buf_putc(b, ' ');
		buf_put(b, word);
	}
	return has_guid;
}

/* "<uid> [S<n>] [W<n>] [P<uidl>] [G<guid>] :<name>" */
static bool
put_line(
    struct mailbox *m, struct buf *b, uint32_t row, const struct old_list *old)
{
	const struct view *v = &m->v;
	uint8_t id[16];
	struct cold cold;
	struct name n;
	struct str base;
	bool has_guid = false;

	if (!row_cold(m, row, &cold) || !name_parse(cold.base, &n))
		return false;
	base = dovecot_base(cold.base);
	buf_put_uint(b, v->uid[row]);
	if (old != NULL)
		has_guid = put_kept(b, old_list_words(old, v->uid[row], base));
	if (n.wsize == 0 && (v->st[row] & ST_UNSURE) == 0) {
		buf_puts(b, " W");
		buf_put_uint(b, v->size[row]);
	}
	emailid_of(n.unique, id);
	if (!has_guid && memcmp(id, cold.emailid, 16) != 0) {
		buf_puts(b, " G");
		buf_put_hex(b, cold.emailid, 16);
	}
	buf_puts(b, " :");
	buf_put(b, base);
	buf_putc(b, '\n');
	return true;
}

/* Lines of the rows from first on; how many, or -1. */
static int64_t
put_rows(struct mailbox *m, int fd, struct buf *b, uint32_t first,
    const struct old_list *old, struct dotlock *lock)
{
	const struct view *v = &m->v;
	int64_t n = 0;
	uint32_t row;

	for (row = first; row < v->n; row++) {
		if ((v->st[row] & ST_GHOST) == 0 && put_line(m, b, row, old))
			n++;
		if (b->n < CHUNK && row + 1 < v->n)
			continue;
		if (step_write(fd, buf_str(b)) == -1)
			return -1;
		buf_clear(b);
		dotlock_touch(lock);
	}
	return b->n > 0 && step_write(fd, buf_str(b)) == -1 ? -1 : n;
}

/* ---- the file ---- */

/* The file stays readable for whom it was. */
static int
make_tmp(struct mailbox *m, struct err *e)
{
	struct stat st;
	int fd;

	step_unlink(m->dirfd, UIDLIST_TMP);
	fd = step_creat(m->dirfd, UIDLIST_TMP);
	if (fd == -1)
		return err_sys(e, "create " UIDLIST_TMP);
	if (fstatat(m->dirfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_mode & 0777) != 0600)
		(void)fchmod(fd, st.st_mode & 0777);
	return fd;
}

static int
rewrite(struct mailbox *m, struct dotlock *lock, bool sync,
    struct export_note *note, struct err *e)
{
	struct old_list old;
	struct stat st;
	struct buf b;
	int64_t n = -1;
	int fd = make_tmp(m, e);

	if (fd == -1)
		return -1;
	old_list_read(&old, m->dirfd);
	buf_init(&b, 2 * CHUNK);
	buf_printf(&b, "3 V%u N%u G", m->j.uidvalidity, m->v.c.uidnext);
	buf_put_hex(&b, m->j.mailboxid, 16);
	buf_putc(&b, '\n');
	n = put_rows(m, fd, &b, 0, &old, lock);
	if (n == -1 || (sync && step_sync(fd) == -1) ||
	    step_replace(m->dirfd, UIDLIST_TMP, UIDLIST) == -1 ||
	    fstat(fd, &st) == -1) {
		err_sys(e, "write " UIDLIST);
		step_unlink(m->dirfd, UIDLIST_TMP);
		n = -1;
	} else
		*note = (struct export_note){ .ino = st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime = stat_mtime(&st),
			.lines = (uint32_t)n };
	close(fd);
	buf_release(&b);
	old_list_release(&old);
	return n == -1 ? -1 : 0;
}

/*
 * The lines in one write: a reader without the lock stops at the last end of
 * line it finds.
 */
static int
append(struct mailbox *m, struct dotlock *lock, struct export_note *note)
{
	int fd = fs_open_file(m->dirfd, UIDLIST, O_WRONLY, 0);
	struct stat st;
	struct buf b;
	int64_t n = -1;

	if (fd == -1)
		return -1;
	buf_init(&b, 2 * CHUNK);
	/* under the lock it is as long as the note says */
	if (lseek(fd, (off_t)note->size, SEEK_SET) != -1)
		n = put_rows(
		    m, fd, &b, view_lower(&m->v, note->next), NULL, lock);
	if (n != -1 && fstat(fd, &st) == 0) {
		note->size = (uint64_t)st.st_size;
		note->mtime = stat_mtime(&st);
		note->lines += (uint32_t)n;
	} else {
		n = -1; /* half a line would spoil the next one's */
		(void)step_truncate(fd, note->size);
	}
	buf_release(&b);
	close(fd);
	return n == -1 ? -1 : 0;
}

static bool
may_append(struct mailbox *m, const struct export_note *n)
{
	struct stat st;

	return fstatat(m->dirfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       export_note_agrees(n, &st) &&
	       n->uidvalidity == m->j.uidvalidity &&
	       n->next <= m->v.c.uidnext &&
	       n->lines <= m->v.c.exists + m->v.c.exists / 3 + DEAD_MIN;
}

/* 0: the list is whole, as *n says; -1: it must be written anew. */
static int
try_append(struct mailbox *m, struct dotlock *lock, struct export_note *n)
{
	if (!export_note_read(m->qfd, n) || !may_append(m, n))
		return -1;
	return n->next == m->v.c.uidnext ? 0 : append(m, lock, n);
}

int
export_locked(
    struct mailbox *m, unsigned how, struct dotlock *lock, struct err *e)
{
	struct export_note n = { 0 };
	int rc = -1;

	/* rows and UIDNEXT of one moment, published */
	if (mailbox_follow(m, e) == -1)
		return -1;
	if ((how & EXPORT_FULL) == 0)
		rc = try_append(m, lock, &n);
	if (rc == -1) {
		/* What others gave out since is taken in, or it would be
		 * lost with their list. */
		if (import_now(m, e) == -1)
			return -1;
		rc = rewrite(m, lock, (how & EXPORT_SYNC) != 0, &n, e);
	}
	if (rc == 0 && (n.next != m->v.c.uidnext || n.uidvalidity == 0)) {
		n.uidvalidity = m->j.uidvalidity;
		n.next = m->v.c.uidnext;
		export_note_write(m->qfd, &n);
	}
	m->export_next = m->v.c.uidnext;
	return rc;
}

static bool
is_time(const struct mailbox *m)
{
	return m->export_next != m->v.c.uidnext &&
	       date_mono_ms() - m->export_ms >= EXPORT_MS;
}

int
mailbox_export_due_ms(struct mailbox *m)
{
	int64_t left = m->export_ms + EXPORT_MS - date_mono_ms();

	if (m->j.readonly || m->is_dead || m->v.is_gone ||
	    !m->account->exports || m->export_next == m->v.c.uidnext)
		return -1;
	return left < 0 ? 0 : left > EXPORT_MS ? EXPORT_MS : (int)left;
}

/* While the other server runs, who has the lock takes its lines in first. */
static int
export_beside(struct mailbox *m, unsigned how, struct err *e)
{
	int rc = coexist_begin(m, (how & EXPORT_FULL) != 0 ? DOTLOCK_MS : 0, e);

	if (rc == -1)
		return -1;
	rc = import_now(m, e);
	if (rc == 0)
		rc = export_locked(m, how, &m->uidlist_lock, e);
	coexist_end(m);
	return rc;
}

int
mailbox_export_state(struct mailbox *m, unsigned how, struct err *e)
{
	bool is_full = (how & EXPORT_FULL) != 0;
	struct dotlock lock;
	struct err why = { 0 };
	int rc;

	if (m->j.readonly || m->is_dead || m->v.is_gone ||
	    (!m->account->exports && !is_full) || (how == 0 && !is_time(m)))
		return 0;
	m->export_ms = date_mono_ms();
	if (coexist_is_on(m))
		rc = export_beside(m, how, &why);
	else if ((rc = dotlock_take(&lock, m->dirfd, UIDLIST_LOCK,
		      is_full ? DOTLOCK_MS : 0, &why)) == 0) {
		rc = export_locked(m, how, &lock, &why);
		dotlock_drop(&lock);
	}
	if (rc == -1 && e != NULL)
		*e = why;
	/* who holds it has the list in hand: later will do */
	return rc == -1 && why.kind == ERR_TEMP && !is_full ? 0 : rc;
}

void
mailbox_export(struct mailbox *m)
{
	maildirsize_write(m->account, NULL);
	mailbox_export_state(m, 0, NULL);
}
