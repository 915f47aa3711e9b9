/*
 * import - UIDs that another server has given out since we last wrote
 * dovecot-uidlist: Dovecot beside us (coexist.c), or instead of us for a
 * while.
 *
 * 1. A file we do not know gets the UID the list has for it, if that is above
 *    all of ours. UIDs below the list's next one are never given out again,
 *    whatever became of their messages.
 * 2. While both servers run, a UID that came to mean two files, or a file that
 *    came to have two UIDs (one of us died between giving it and writing it
 *    down), is burnt: the messages get new ones in both. Else ours stands.
 * 3. A list that would burn most of a mailbox is not believed.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define LIST_MAX ((size_t)2 << 30)
#define BURN_MIN 100 /* so many are believed of any mailbox */

/* From `off` to its end as it is now. */
static bool
read_from(int fd, uint64_t off, uint64_t size, struct buf *b)
{
	ssize_t n;
	char *p;

	if (size - off > LIST_MAX ||
	    (p = buf_reserve(b, (size_t)(size - off))) == NULL)
		return false;
	n = fs_pread_all(fd, p, (size_t)(size - off), off);
	if (n < 0)
		return false;
	buf_grow(b, (size_t)n);
	return true;
}

/* The whole list, or what was appended since the note. */
static bool
read_list(struct mailbox *m, struct import *im, bool is_known)
{
	int fd = fs_open_file(m->dirfd, UIDLIST, O_RDONLY, 0);
	uint64_t off = 0;
	struct stat st;
	struct buf b;
	bool ok = false;

	if (fd == -1)
		return false;
	buf_init(&b, LIST_MAX);
	if (fstat(fd, &st) == 0) {
		is_known = is_known && im->note.ino == st.st_ino &&
			   im->note.size < (uint64_t)st.st_size;
		if (is_known) {
			off = im->note.size;
			buf_printf(&b, "3 V%u N%u\n", im->note.uidvalidity,
			    im->note.next);
		} else
			im->note.lines = 0;
		im->is_whole = !is_known;
		im->note.ino = st.st_ino;
		im->note.size = (uint64_t)st.st_size;
		im->note.mtime = stat_mtime(&st);
		im->is_read = true;
		ok = read_from(fd, off, (uint64_t)st.st_size, &b) &&
		     uidlist_parse(buf_str(&b), false, &im->list);
	}
	buf_release(&b);
	close(fd);
	return ok;
}

/* Not as we left it, nor as we last took it in. */
static bool
is_foreign(const struct mailbox *m, struct stat *st)
{
	return export_is_foreign(m->dirfd, m->qfd, st) &&
	       !export_note_agrees(&m->import_note, st);
}

void
import_begin(struct mailbox *m, struct import *im)
{
	struct stat st;
	bool is_known;

	*im = (struct import){ .next = 1 };
	if (!m->account->exports || !is_foreign(m, &st))
		return;
	is_known = export_note_read(m->qfd, &im->note) &&
		   im->note.uidvalidity == m->j.uidvalidity;
	if (!read_list(m, im, is_known) ||
	    im->list.uidvalidity != m->j.uidvalidity) {
		/* it makes no sense, or speaks of another mailbox */
		uidlist_release(&im->list);
		im->must_rewrite = true;
		return;
	}
	im->is_new = true;
	im->is_others = is_known;
	im->note.lines += (uint32_t)im->list.n;
	im->next = im->list.uidnext > im->list.uid_max ? im->list.uidnext :
							 im->list.uid_max + 1;
}

void
import_release(struct import *im)
{
	uidlist_release(&im->list);
	free(im->burnt);
	im->burnt = NULL;
	im->nburnt = 0;
}

/* ---- new files ---- */

void
import_assign(struct mailbox *m, struct import *im, struct arrivals *new)
{
	const struct uid_line *u;
	struct name n;
	size_t i;

	for (i = 0; im->is_new && i < new->n; i++) {
		struct arrival *f = &new->v[i];

		if (!name_parse(str_from(f->file), &n) ||
		    (u = uidlist_find(&im->list, name_hash(n.unique))) == NULL)
			continue;
		if (u->uid < m->v.c.uidnext) {
			im->must_rewrite = true;
			continue;
		}
		im->nfound++;
		f->uid = u->uid;
		f->has_guid = u->has_guid;
		memcpy(f->emailid, u->guid, 16);
		arrival_sized(f, u->vsize);
	}
}

uint32_t
import_uid(struct import *im, uint32_t wanted, uint32_t next)
{
	if (wanted >= next)
		return wanted;
	if (wanted != 0)
		im->must_rewrite = true;
	return next > im->next ? next : im->next;
}

/* ---- what we know already ---- */

struct by_hash {
	uint64_t uhash;
	uint32_t row;
};

static int
by_hash_cmp(const void *va, const void *vb)
{
	const struct by_hash *a = va, *b = vb;

	return a->uhash < b->uhash ? -1 : a->uhash > b->uhash;
}

static struct by_hash *
sort_rows(const struct view *v, size_t *n)
{
	struct by_hash *k = xreallocarray(NULL, v->n + 1, sizeof(*k));
	uint32_t row;

	*n = 0;
	for (row = 0; row < v->n; row++)
		if ((v->st[row] & ST_GHOST) == 0)
			k[(*n)++] = (struct by_hash){ v->uhash[row], row };
	qsort(k, *n, sizeof(*k), by_hash_cmp);
	return k;
}

static void
burn(struct import *im, uint32_t uid)
{
	im->burnt =
	    xreallocarray(im->burnt, im->nburnt + 1, sizeof(*im->burnt));
	im->burnt[im->nburnt++] = uid;
	im->must_rewrite = true;
}

static int
uid_cmp(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
}

static void
unique_uids(struct import *im)
{
	size_t i, k = 0;

	if (im->nburnt > 1)
		qsort(im->burnt, im->nburnt, sizeof(*im->burnt), uid_cmp);
	for (i = 0; i < im->nburnt; i++)
		if (k == 0 || im->burnt[k - 1] != im->burnt[i])
			im->burnt[k++] = im->burnt[i];
	im->nburnt = k;
}

void
import_compare(struct mailbox *m, struct import *im)
{
	const struct view *v = &m->v;
	struct by_hash *rows = NULL, *known;
	uint32_t agreed = 0, row;
	size_t i, n = 0;

	for (i = 0; im->is_new && i < im->list.n; i++) {
		const struct uid_line *l = &im->list.v[i];
		struct by_hash key = { l->uhash, 0 };
		bool live;

		row = view_row(v, l->uid);
		live = row < v->n && (v->st[row] & ST_GHOST) == 0;
		if (live && v->uhash[row] == l->uhash) {
			agreed++;
			continue;
		}
		if (live)
			burn(im, l->uid);
		if (rows == NULL)
			rows = sort_rows(v, &n);
		known = bsearch(&key, rows, n, sizeof(*rows), by_hash_cmp);
		if (known != NULL) {
			/* an older line of a name that has a newer one */
			if (uidlist_find(&im->list, l->uhash)->uid == l->uid)
				burn(im, v->uid[known->row]);
		} else if (l->uid >= v->c.uidnext)
			im->nunknown++;
	}
	free(rows);
	unique_uids(im);
	if (im->is_whole && agreed < v->c.exists)
		im->must_rewrite = true;
	if (!m->account->opts.coexist ||
	    (im->nburnt > BURN_MIN && im->nburnt > v->c.exists / 2)) {
		if (im->nburnt > 0 && m->account->opts.coexist)
			mailbox_log(m, 0, "store.uidlist",
			    "contradicts most of the mailbox: not believed");
		im->nburnt = 0;
	}
}

/* The same message, file and name with a new UID. */
static uint32_t
pack_again(struct mailbox *m, uint32_t row, uint32_t uid, uint64_t modseq)
{
	const struct view *v = &m->v;
	struct cold cold;
	struct op_add a;

	if (!row_cold(m, row, &cold))
		return 0;
	op_begin(&m->ops, OP_EXPUNGE, 0);
	op_u32(&m->ops, v->uid[row]);
	op_u32(&m->ops, EXPUNGE_FOREIGN); /* its file stays */
	op_u64(&m->ops, v->uhash[row]);
	op_end(&m->ops);
	a = (struct op_add){ .uid = uid,
		.fn = v->fn[row],
		.kw = v->kw[row],
		.size = v->size[row],
		.create_modseq = modseq,
		.idate = v->idate[row],
		.sdate = cold.savedate,
		.flags = v->flags[row],
		.zone_min = cold.zone_min,
		.where = (v->st[row] & ST_NEWDIR) != 0 ? WHERE_NEW :
			 (v->st[row] & ST_BARE) != 0   ? WHERE_BARE :
							 WHERE_CUR,
		.bits = ((v->st[row] & ST_RAW) != 0 ? ADD_RAW : 0) |
			((v->st[row] & ST_UNSURE) != 0 ? ADD_UNSURE : 0),
		.name = cold.base,
		.extra = cold.extra };
	memcpy(a.emailid, cold.emailid, 16);
	op_add_pack(&m->ops, &a);
	return uid;
}

bool
import_pack(struct mailbox *m, struct import *im, uint32_t next)
{
	uint64_t modseq = journal_next_modseq(&m->j);
	size_t i;
	uint32_t row;

	for (i = 0; i < im->nburnt && next < UIDLIST_UID_MAX; i++) {
		row = view_row(&m->v, im->burnt[i]);
		next = import_uid(im, 0, next);
		if (row < m->v.n && (m->v.st[row] & ST_GHOST) == 0 &&
		    pack_again(m, row, next, modseq) != 0)
			next++;
	}
	if (im->nburnt > 0)
		mailbox_log(m, 1, "store.uidlist",
		    "another server gave out the same UIDs: new ones for "
		    "both");
	/* what the other has given out stays so */
	if (next < im->next)
		op_words_pack(&m->ops, OP_BOOT, boot_id(), im->next - next);
	return im->nburnt > 0 || next < im->next;
}

void
import_done(struct mailbox *m, struct import *im)
{
	if (im->is_read)
		m->import_note = im->note;
	/* without its lock each would go on undoing what the other did */
	if (im->is_others && !coexist_is_on(m))
		mailbox_log(m, 1, "store.uidlist",
		    "another server wrote dovecot-uidlist: if it runs, set "
		    "'coexist dovecot'");
	if (im->must_rewrite)
		export_forget(m);
	else if (im->is_new && m->uidlist_held > 0) {
		im->note.uidvalidity = m->j.uidvalidity;
		im->note.next = im->next;
		export_note_write(m->qfd, &im->note);
	}
}

/* Nothing new in the directories, only in the list. */
static int
import_list(struct mailbox *m, struct err *e)
{
	struct import im;
	bool is_change;
	int rc;

	if (mailbox_lock(m, e) == -1)
		return -1;
	import_begin(m, &im);
	import_compare(m, &im);
	if (im.nunknown > 0) {
		/* a file that no look at the directories has found yet */
		m->must_scan = m->import_waits = true;
		rc = 0;
	} else {
		is_change = import_pack(m, &im, m->v.c.uidnext);
		rc = mailbox_append(m, TXN_FOREIGN, !is_change, is_change, e);
		ops_clear(&m->ops);
	}
	mailbox_unlock(m);
	if (rc == 0 && im.nunknown == 0)
		import_done(m, &im);
	import_release(&im);
	return rc;
}

int
import_now(struct mailbox *m, struct err *e)
{
	const struct timespec wait = { 0, IMPORT_WAIT_MS * 1000 * 1000 };
	struct stat st;
	int tries;

	/* A list names files that a reading missed, because others rename
	 * them: they are worth waiting for, or they get a second UID. */
	for (tries = 0; tries < IMPORT_TRIES; tries++) {
		if (!is_foreign(m, &st))
			return 0;
		m->import_waits = false;
		if (!scan_is_due(m) && import_list(m, e) == -1)
			return -1;
		if (scan_is_due(m) && mailbox_scan(m, e) == -1)
			return -1;
		if (m->import_waits && tries > 0)
			nanosleep(&wait, NULL);
	}
	return 0;
}
