/*
 * move - MOVE: a COPY and an EXPUNGE that come true together.
 *
 * 1. Both writers' locks are held, by ascending mailbox id. The target's ADDs
 *    with MOVEFROM are the commit point; then the source's EXPUNGE; then the
 *    target's MOVEDONE. Whoever takes the target's lock and finds a MOVEFROM
 *    without its MOVEDONE finishes it first.
 * 2. A message is never in none of the two mailboxes.
 */
#include "service/store/copy_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

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
		struct copy_item *it = &c->v[i];

		row = view_row(v, it->from);
		if (row < v->n && (v->st[row] & ST_GHOST) == 0) {
			/* what changed while we linked goes along; the name
			 * keeps the letters it was given and follows later */
			it->add.flags = v->flags[row];
			it->add.kw = copy_keywords(c, v->kw[row]);
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
	if (copy_pack_adds(c, r, e) == -1)
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
	if (copy_check(dst, e) == -1 || copy_check(src, e) == -1)
		return -1;
	if (memcmp(src->j.mailboxid, dst->j.mailboxid, 16) == 0)
		return err_set(e, ERR_PERM, "source and target are the same");
	if (copy_collect(&c, uids, e) == -1)
		goto done;
	if (c.n == 0)
		return 0;
	if (copy_lock(dst, e) == -1)
		goto done;
	if (copy_link(&c, &mark, e) == 0 && lock_both(src, dst, e) == 0) {
		rc = move_locked(&c, &mark, r, &is_committed, e);
		ops_clear(&dst->ops);
		ops_clear(&src->ops);
		mailbox_unlock(src);
		mailbox_unlock(dst);
	}
	if (!is_committed)
		copy_unlink(&c);
	copy_unlock(dst);
	if (rc == 0) {
		copy_note_sizes(&c);
		src->expunged_here = true;
		mailbox_bury(src, MIRROR_NOW, NULL);
	}
done:
	if (rc == -1)
		copy_result_release(r);
	free(c.v);
	return rc;
}

/* ---- after a stop ---- */

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
