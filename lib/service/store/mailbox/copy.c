/*
 * copy - COPY and MOVE: hard links and one transaction.
 *
 * 1. COPY: links in the target's cur/, directory synced, then the ADDs. A
 *    stop before that leaves links named as copies, which a scan puts aside.
 * 2. MOVE: both writers' locks are held, by ascending mailbox id. The
 *    target's ADDs with MOVEFROM are the commit point; then the source's
 *    EXPUNGE; then the target's MOVEDONE. Whoever takes the target's lock
 *    and finds a MOVEFROM without its MOVEDONE finishes it first.
 * 3. A message is never in none of the two mailboxes.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

struct item {
	uint32_t from, fn;
	uint64_t kw; /* bits of the target */
	char name[NAME_LEN + 1];
	struct op_add add;
	bool is_linked;
};

struct copy {
	struct mailbox *src, *dst;
	struct item *v;
	size_t n;
	uint64_t kwmap[STORE_MAX_KEYWORDS]; /* source bit to target mask */
};

void
copy_result_release(struct copy_result *r)
{
	free(r->from);
	free(r->to);
	*r = (struct copy_result){ 0 };
}

/* Keywords go by name; one the target has no room for is left behind. */
static int
map_keywords(struct copy *c, uint64_t used, struct err *e)
{
	struct err why = { 0 };
	unsigned i, bit;

	for (i = 0; i < c->src->v.nkeywords; i++) {
		if ((used >> i & 1) == 0)
			continue;
		if (mailbox_keyword_define(
			c->dst, c->src->v.keywords[i], &bit, &why) == 0)
			c->kwmap[i] = 1ULL << bit;
		else if (why.kind != ERR_PERM) {
			if (e != NULL)
				*e = why;
			return -1;
		}
	}
	return 0;
}

static uint64_t
map_bits(const struct copy *c, uint64_t kw)
{
	uint64_t out = 0;
	unsigned i;

	for (i = 0; i < STORE_MAX_KEYWORDS; i++)
		if ((kw >> i & 1) != 0)
			out |= c->kwmap[i];
	return out;
}

static int
collect(struct copy *c, const struct ranges *uids, struct err *e)
{
	struct view *v = &c->src->v;
	uint64_t used = 0;
	size_t i, cap = 0;
	uint32_t row;

	/* flags as they are now, not as this session last saw them */
	if (mailbox_follow(c->src, e) == -1)
		return -1;
	for (i = 0; i < uids->n; i++)
		for (row = view_lower(v, uids->v[i].lo);
		     row < v->shown && v->uid[row] <= uids->v[i].hi; row++) {
			if ((v->st[row] & ST_GHOST) != 0)
				continue;
			if (c->n == cap) {
				cap = cap == 0 ? 16 : cap * 2;
				c->v = xreallocarray(c->v, cap, sizeof(*c->v));
			}
			c->v[c->n++].from = v->uid[row];
			used |= v->kw[row];
		}
	return map_keywords(c, used, e);
}

static void
prepare(struct copy *c, struct item *it, uint32_t row)
{
	struct view *v = &c->src->v;
	struct cold cold;
	char base[NAME_LEN + 1];

	row_cold(c->src, row, &cold);
	name_make(base, account_hostname(c->dst->account), true);
	it->is_linked = false;
	it->kw = map_bits(c, v->kw[row]);
	it->add = (struct op_add){ .kw = it->kw,
		.size = v->size[row],
		.idate = v->idate[row],
		.flags = v->flags[row],
		.zone_min = cold.zone_min,
		.where = WHERE_CUR,
		.bits = ((v->st[row] & ST_RAW) != 0 ? ADD_RAW : 0) |
			((v->st[row] & ST_UNSURE) != 0 ? ADD_UNSURE : 0) };
	memcpy(it->add.emailid, cold.emailid, 16);
	str_copy(str_from(base), it->name, sizeof(it->name));
}

/* The file's own bytes again, for where link() does not reach. */
static int
copy_bytes(struct mailbox *dst, int from, const char *name, struct err *e)
{
	char buf[65536];
	struct stat st;
	struct timespec ts[2];
	uint64_t off = 0;
	ssize_t n = 0;
	int fd, rc = -1;

	fd = step_creat(dst->tmpfd, name);
	if (fd == -1)
		return err_sys(e, "create copy");
	while ((n = fs_pread_all(from, buf, sizeof(buf), off)) > 0) {
		if (step_write(fd, str_make(buf, (size_t)n)) == -1)
			break;
		off += (uint64_t)n;
	}
	if (n == 0 && fstat(from, &st) == 0) {
		ts[0] = ts[1] = st.st_mtim;
		if (futimens(fd, ts) == 0 && step_sync(fd) == 0)
			rc = 0;
	}
	if (rc == -1)
		err_sys(e, "copy message");
	close(fd);
	if (rc == -1)
		step_unlink(dst->tmpfd, name);
	return rc;
}

/* Of a packed file S= would have to tell its contents, and of one never
 * measured W= is not known; without them nobody is misled. */
static void
add_sizes(struct item *it, int fd, const struct stat *st)
{
	bool is_packed =
	    (it->add.bits & ADD_RAW) == 0 && packed_sniff(fd) != PACKED_NOT;
	bool is_unsure = (it->add.bits & ADD_UNSURE) != 0;

	name_add_sizes(it->name, is_packed ? 0 : (uint64_t)st->st_size,
	    is_unsure ? 0 : it->add.size);
}

static int
link_one(struct copy *c, struct item *it, struct err *e)
{
	struct mailbox *dst = c->dst;
	uint32_t row = view_row(&c->src->v, it->from);
	char path[64], name[NAME_LEN + 1];
	struct stat st;
	struct buf b;
	int fd, rc = 0;

	fd = row == c->src->v.n ? -1 : row_open(c->src, row);
	if (fd == -1 || fstat(fd, &st) == -1) {
		rc = err_sys(e, "open message %u", it->from);
		if (fd != -1)
			close(fd);
		return rc;
	}
	add_sizes(it, fd, &st);
	it->add.fn = view_want_fn(&dst->v, it->add.flags, it->kw, 0);
	if (!name_with_info(name, str_from(it->name), it->add.fn, STR(""))) {
		close(fd);
		return err_set(e, ERR_PERM, "file name too long");
	}
	/* by descriptor, so that a rename under our hands does not matter */
	buf_init(&b, sizeof(path));
	buf_printf(&b, "/proc/self/fd/%d", fd);
	str_copy(buf_str(&b), path, sizeof(path));
	buf_release(&b);
	errno = EPERM;
	if (!step_fits(dst->curfd, &st) ||
	    step_link_fd(path, dst->curfd, name) == -1) {
		if (errno != EXDEV && errno != EMLINK && errno != EPERM &&
		    errno != ENOENT)
			rc = err_sys(e, "link message %u", it->from);
		else if ((rc = copy_bytes(dst, fd, name, e)) == 0 &&
			 step_rename(dst->tmpfd, name, dst->curfd, name) == -1)
			rc = err_sys(e, "file copy");
	}
	close(fd);
	it->is_linked = rc == 0;
	return rc;
}

static void
unlink_all(struct copy *c)
{
	char name[NAME_LEN + 1];
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].is_linked &&
		    name_with_info(
			name, str_from(c->v[i].name), c->v[i].add.fn, STR("")))
			step_unlink(c->dst->curfd, name);
}

static int
link_all(struct copy *c, struct scan_mark *mark, struct err *e)
{
	struct mailbox *dst = c->dst;
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n; i++)
		prepare(c, &c->v[i], view_row(&c->src->v, c->v[i].from));
	if (fs_lock(dst->j.lockfd, LOCK_SCAN, true, STORE_LOCK_MS, e) == -1)
		return -1;
	scan_mark(dst, mark);
	for (i = 0; i < c->n && rc == 0; i++)
		rc = link_one(c, &c->v[i], e);
	scan_mark_end(dst, mark);
	fs_unlock(dst->j.lockfd, LOCK_SCAN);
	/* Makes the new names durable before the journal speaks of them. */
	if (rc == 0 && step_sync(dst->curfd) == -1)
		rc = err_sys(e, "sync directory");
	return rc;
}

/* The ADDs, under the target's lock. */
static int
pack_adds(struct copy *c, struct copy_result *r, struct err *e)
{
	struct mailbox *dst = c->dst;
	uint64_t modseq = journal_next_modseq(&dst->j);
	uint32_t uid = dst->v.c.uidnext;
	size_t i;

	if (c->n > UINT32_MAX - uid)
		return err_set(e, ERR_PERM, "no UIDs left");
	r->from = xreallocarray(NULL, c->n, sizeof(*r->from));
	r->to = xreallocarray(NULL, c->n, sizeof(*r->to));
	r->n = c->n;
	r->uidvalidity = dst->j.uidvalidity;
	for (i = 0; i < c->n; i++) {
		struct item *it = &c->v[i];

		r->from[i] = it->from;
		r->to[i] = it->add.uid = uid++;
		it->add.create_modseq = modseq;
		it->add.sdate = date_now();
		it->add.name = str_from(it->name);
		it->add.extra = STR("");
		op_add_pack(&dst->ops, &it->add);
	}
	return 0;
}

/* Before files are linked that are to get UIDs. */
static int
lock_target(struct mailbox *dst, struct err *e)
{
	if (coexist_begin_adding(dst, e) == -1)
		return -1;
	if (fs_lock(dst->j.lockfd, LOCK_REGISTER, false, STORE_LOCK_MS, e) == 0)
		return 0;
	coexist_end(dst);
	return -1;
}

static void
unlock_target(struct mailbox *dst)
{
	fs_unlock(dst->j.lockfd, LOCK_REGISTER);
	coexist_end(dst);
}

static void
note_sizes(const struct copy *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		maildirsize_filed(c->dst->account, c->v[i].name);
}

static int
check(struct mailbox *dst, struct err *e)
{
	if (dst->readonly)
		return err_set(e, ERR_PERM, "mailbox is read-only");
	if (dst->is_dead || dst->v.is_gone)
		return err_set(e, ERR_PERM, "mailbox was deleted");
	return 0;
}

int
mailbox_copy(struct mailbox *src, struct mailbox *dst,
    const struct ranges *uids, struct copy_result *r, struct err *e)
{
	struct copy c = { .src = src, .dst = dst };
	struct scan_mark mark;
	int rc = -1;

	*r = (struct copy_result){ .uidvalidity = dst->j.uidvalidity };
	if (check(dst, e) == -1)
		return -1;
	if (collect(&c, uids, e) == -1)
		goto done;
	if (c.n == 0)
		return 0;
	if (lock_target(dst, e) == -1)
		goto done;
	if (link_all(&c, &mark, e) == 0 && mailbox_lock(dst, e) == 0) {
		rc = pack_adds(&c, r, e);
		scan_note(dst, &mark, &dst->ops);
		/* Makes true what COPYUID says. */
		if (rc == 0)
			rc = mailbox_append(dst, 0, false, true, e);
		ops_clear(&dst->ops);
		mailbox_unlock(dst);
	}
	if (rc == -1)
		unlink_all(&c);
	else
		note_sizes(&c);
	unlock_target(dst);
done:
	if (rc == -1)
		copy_result_release(r);
	free(c.v);
	return rc;
}

/* ---- MOVE ---- */

/* Two processes moving both ways must not wait for each other. */
static int
lock_both(struct mailbox *src, struct mailbox *dst, struct err *e)
{
	bool src_first = memcmp(src->j.mailboxid, dst->j.mailboxid, 16) < 0;
	struct mailbox *a = src_first ? src : dst, *b = src_first ? dst : src;

	if (mailbox_lock_only(a, e) == -1)
		return -1;
	if (mailbox_lock_only(b, e) == -1) {
		mailbox_unlock(a);
		return -1;
	}
	return 0;
}

static void
pack_expunges(struct mailbox *src, const uint8_t to[16], const uint32_t *from,
    const uint32_t *uids, size_t n)
{
	struct view *v = &src->v;
	size_t i;
	uint32_t row;

	op_begin(&src->ops, OP_EXPUNGE, 0);
	for (i = 0; i < n; i++) {
		row = view_row(v, from[i]);
		if (row == v->n || (v->st[row] & ST_GHOST) != 0)
			continue;
		op_u32(&src->ops, from[i]);
		op_u32(&src->ops, EXPUNGE_MOVED);
		op_u64(&src->ops, v->uhash[row]);
	}
	op_end(&src->ops);
	op_move_begin(&src->ops, OP_MOVED, to);
	for (i = 0; i < n; i++) {
		op_u32(&src->ops, from[i]);
		op_u32(&src->ops, uids[i]);
	}
	op_end(&src->ops);
}

/* Under both locks. Messages that went away meanwhile are left out. */
static void
drop_gone(struct copy *c)
{
	struct view *v = &c->src->v;
	char name[NAME_LEN + 1];
	size_t i, keep = 0;
	uint32_t row;

	for (i = 0; i < c->n; i++) {
		struct item *it = &c->v[i];

		row = view_row(v, it->from);
		if (row < v->n && (v->st[row] & ST_GHOST) == 0) {
			/* what changed while we linked goes along; the name
			 * keeps the letters it was given and follows later */
			it->add.flags = v->flags[row];
			it->add.kw = map_bits(c, v->kw[row]);
			if (keep != i)
				c->v[keep] = *it;
			keep++;
			continue;
		}
		if (name_with_info(
			name, str_from(it->name), it->add.fn, STR("")))
			step_unlink(c->dst->curfd, name);
	}
	c->n = keep;
}

static int
move_done(struct mailbox *dst, uint64_t modseq, bool cancelled)
{
	op_words_pack(&dst->ops, OP_MOVEDONE, modseq, cancelled);
	return mailbox_append(dst, 0, true, false, NULL);
}

/*
 * The source cannot be written. Rather than leave the messages in both until
 * it can, the target gives them up again; should that fail too, the next
 * writer finishes the MOVE.
 */
static void
take_back(struct mailbox *dst, const struct copy_result *r, uint64_t modseq)
{
	struct view *v = &dst->v;
	size_t i;

	op_begin(&dst->ops, OP_EXPUNGE, 0);
	for (i = 0; i < r->n; i++) {
		uint32_t row = view_row(v, r->to[i]);

		op_u32(&dst->ops, r->to[i]);
		op_u32(&dst->ops, EXPUNGE_OWN);
		op_u64(&dst->ops, row < v->n ? v->uhash[row] : 0);
	}
	op_end(&dst->ops);
	op_words_pack(&dst->ops, OP_MOVEDONE, modseq, 1);
	mailbox_append(dst, 0, false, true, NULL);
}

static int
move_locked(struct copy *c, const struct scan_mark *mark, struct copy_result *r,
    bool *is_committed, struct err *e)
{
	struct mailbox *src = c->src, *dst = c->dst;
	uint64_t modseq;
	size_t i;
	int rc;

	drop_gone(c);
	if (c->n == 0)
		return 0;
	if (pack_adds(c, r, e) == -1)
		return -1;
	op_move_begin(&dst->ops, OP_MOVEFROM, src->j.mailboxid);
	for (i = 0; i < c->n; i++) {
		op_u32(&dst->ops, r->to[i]);
		op_u32(&dst->ops, r->from[i]);
	}
	op_end(&dst->ops);
	scan_note(dst, mark, &dst->ops);
	/* The commit point: from here on the MOVE will be finished. */
	if (mailbox_append(dst, 0, false, true, e) == -1)
		return -1;
	*is_committed = true;
	modseq = dst->v.modseq_now;
	pack_expunges(src, dst->j.mailboxid, r->from, r->to, r->n);
	/* Makes true that they have left the source, as the OK says. */
	rc = mailbox_append(src, 0, false, true, e);
	if (rc == 0)
		move_done(dst, modseq, false);
	else
		take_back(dst, r, modseq);
	return rc;
}

int
mailbox_move(struct mailbox *src, struct mailbox *dst,
    const struct ranges *uids, struct copy_result *r, struct err *e)
{
	struct copy c = { .src = src, .dst = dst };
	struct scan_mark mark;
	bool is_committed = false;
	int rc = -1;

	*r = (struct copy_result){ .uidvalidity = dst->j.uidvalidity };
	if (check(dst, e) == -1 || check(src, e) == -1)
		return -1;
	if (memcmp(src->j.mailboxid, dst->j.mailboxid, 16) == 0)
		return err_set(e, ERR_PERM, "source and target are the same");
	if (collect(&c, uids, e) == -1)
		goto done;
	if (c.n == 0)
		return 0;
	if (lock_target(dst, e) == -1)
		goto done;
	if (link_all(&c, &mark, e) == 0 && lock_both(src, dst, e) == 0) {
		rc = move_locked(&c, &mark, r, &is_committed, e);
		ops_clear(&dst->ops);
		ops_clear(&src->ops);
		mailbox_unlock(src);
		mailbox_unlock(dst);
	}
	if (!is_committed)
		unlink_all(&c);
	unlock_target(dst);
	if (rc == 0) {
		note_sizes(&c);
		src->expunged_here = true;
		mailbox_bury(src, MIRROR_NOW, NULL);
	}
done:
	if (rc == -1)
		copy_result_release(r);
	free(c.v);
	return rc;
}

/*
 * What a MOVE that died between its two syncs owes. The source message goes
 * only while the target's is live and both are the same (EMAILID); else it
 * stays and the MOVE counts as cancelled.
 */
static bool
same_message(
    struct mailbox *a, uint32_t a_uid, struct mailbox *b, uint32_t b_uid)
{
	uint32_t ra = view_row(&a->v, a_uid), rb = view_row(&b->v, b_uid);
	struct cold ca, cb;

	return ra < a->v.n && rb < b->v.n && (a->v.st[ra] & ST_GHOST) == 0 &&
	       (b->v.st[rb] & ST_GHOST) == 0 && row_cold(a, ra, &ca) &&
	       row_cold(b, rb, &cb) && memcmp(ca.emailid, cb.emailid, 16) == 0;
}

static int
finish_locked(struct mailbox *src, struct mailbox *dst, struct err *e)
{
	struct open_move *mv;
	uint32_t *from, *to, i, n = 0;
	int rc = 0;

	if (dst->v.nmoves == 0)
		return 0; /* somebody else did it */
	mv = &dst->v.moves[0];
	from = xreallocarray(NULL, mv->n, sizeof(*from));
	to = xreallocarray(NULL, mv->n, sizeof(*to));
	for (i = 0; i < mv->n; i++)
		if (same_message(
			dst, mv->uids[2 * i], src, mv->uids[2 * i + 1])) {
			to[n] = mv->uids[2 * i];
			from[n++] = mv->uids[2 * i + 1];
		}
	if (n > 0) {
		pack_expunges(src, dst->j.mailboxid, from, to, n);
		rc = mailbox_append(src, 0, false, true, e);
	}
	if (rc == 0)
		rc = move_done(dst, mv->modseq, n == 0);
	free(from);
	free(to);
	return rc;
}

int
mailbox_finish_moves(struct mailbox *dst, struct err *e)
{
	struct mailbox *src;
	uint8_t id[16];
	int rc = 0, tries;

	for (tries = 0; rc == 0 && dst->v.nmoves > 0 && tries < 64; tries++) {
		memcpy(id, dst->v.moves[0].from, 16);
		if (account_open_by_id(dst->account, id, &src, e) == -1)
			return -1;
		if (src == NULL) {
			/* the source mailbox is gone, and with it the rest */
			if ((rc = mailbox_lock_only(dst, e)) == 0) {
				if (dst->v.nmoves > 0)
					rc = move_done(
					    dst, dst->v.moves[0].modseq, true);
				mailbox_unlock(dst);
			}
			continue;
		}
		if ((rc = lock_both(src, dst, e)) == 0) {
			rc = finish_locked(src, dst, e);
			mailbox_unlock(src);
			mailbox_unlock(dst);
		}
		mailbox_close(&src);
	}
	return rc;
}
