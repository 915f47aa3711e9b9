/*
 * copy - COPY: hard links and one transaction. MOVE (move.c) begins the same
 * way.
 *
 * 1. Links in the target's cur/, directory synced, then the ADDs. A stop
 *    before that leaves links named as copies, which a scan puts aside.
 */
#include "service/store/copy_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

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

uint64_t
copy_keywords(const struct copy *c, uint64_t kw)
{
	uint64_t out = 0;
	unsigned i;

	for (i = 0; i < STORE_MAX_KEYWORDS; i++)
		if ((kw >> i & 1) != 0)
			out |= c->kwmap[i];
	return out;
}

int
copy_collect(struct copy *c, const struct ranges *uids, struct err *e)
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
prepare(struct copy *c, struct copy_item *it, uint32_t row)
{
	struct view *v = &c->src->v;
	struct cold cold;
	char base[NAME_LEN + 1];

	row_cold(c->src, row, &cold);
	name_make(base, account_hostname(c->dst->account), true);
	it->is_linked = false;
	it->kw = copy_keywords(c, v->kw[row]);
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
add_sizes(struct copy_item *it, int fd, const struct stat *st)
{
	bool is_packed =
	    (it->add.bits & ADD_RAW) == 0 && packed_sniff(fd) != PACKED_NOT;
	bool is_unsure = (it->add.bits & ADD_UNSURE) != 0;

	name_add_sizes(it->name, is_packed ? 0 : (uint64_t)st->st_size,
	    is_unsure ? 0 : it->add.size);
}

static int
link_one(struct copy *c, struct copy_item *it, struct err *e)
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

void
copy_unlink(struct copy *c)
{
	char name[NAME_LEN + 1];
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].is_linked &&
		    name_with_info(
			name, str_from(c->v[i].name), c->v[i].add.fn, STR("")))
			step_unlink(c->dst->curfd, name);
}

int
copy_link(struct copy *c, struct scan_mark *mark, struct err *e)
{
	struct mailbox *dst = c->dst;
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n; i++)
		prepare(c, &c->v[i], view_row(&c->src->v, c->v[i].from));
	if (fs_lock(dst->j.lockfd, LOCK_SCAN, true, dst->j.lock_ms, e) == -1)
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
int
copy_pack_adds(struct copy *c, struct copy_result *r, struct err *e)
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
		struct copy_item *it = &c->v[i];

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
int
copy_lock(struct mailbox *dst, struct err *e)
{
	if (coexist_begin_adding(dst, e) == -1)
		return -1;
	if (fs_lock(dst->j.lockfd, LOCK_REGISTER, false, dst->j.lock_ms, e) ==
	    0)
		return 0;
	coexist_end(dst);
	return -1;
}

void
copy_unlock(struct mailbox *dst)
{
	fs_unlock(dst->j.lockfd, LOCK_REGISTER);
	coexist_end(dst);
}

void
copy_note_sizes(const struct copy *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		maildirsize_filed(c->dst->account, c->v[i].name);
}

int
copy_check(struct mailbox *dst, struct err *e)
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
	if (copy_check(dst, e) == -1)
		return -1;
	if (copy_collect(&c, uids, e) == -1)
		goto done;
	if (c.n == 0)
		return 0;
	if (copy_lock(dst, e) == -1)
		goto done;
	if (copy_link(&c, &mark, e) == 0 && mailbox_lock(dst, e) == 0) {
		rc = copy_pack_adds(&c, r, e);
		scan_note(dst, &mark, &dst->ops);
		/* Makes true what COPYUID says. */
		if (rc == 0)
			rc = mailbox_append(dst, 0, false, true, e);
		ops_clear(&dst->ops);
		mailbox_unlock(dst);
	}
	if (rc == -1)
		copy_unlink(&c);
	else
		copy_note_sizes(&c);
	copy_unlock(dst);
done:
	if (rc == -1)
		copy_result_release(r);
	free(c.v);
	return rc;
}
