/*
 * commit - one transaction: from operations to the journal and the view.
 */
#include "service/store/store_int.h"

#include <assert.h>

#include "base/date.h"

static void
predict_tuples(const struct view *v, const struct op *op, struct counters *c)
{
	unsigned width = 4;
	size_t n, i;

	op_tuples(op->body, width, &n);
	for (i = 0; i < n; i++) {
		uint32_t row = view_row(v, op_tuple(op->body, width, i, 0));
		uint64_t size;

		if (row == v->n || (v->st[row] & ST_GHOST) != 0)
			continue;
		view_count(c, v->flags[row], v->size[row], -1);
		if (op->type == OP_EXPUNGE)
			continue;
		size = op_tuple(op->body, width, i, 2) |
		       (uint64_t)op_tuple(op->body, width, i, 3) << 32;
		view_count(c, v->flags[row], size, 1);
	}
}

static void
predict_flags(const struct view *v, const struct op *op, struct counters *c)
{
	struct op_flags f;
	size_t n, i;
	uint32_t row;

	op_flags_unpack(op->body, &f);
	op_tuples(f.ranges, 2, &n);
	for (i = 0; i < n; i++)
		for (row = view_lower(v, op_tuple(f.ranges, 2, i, 0));
		     row < v->n && v->uid[row] <= op_tuple(f.ranges, 2, i, 1);
		     row++) {
			uint16_t now = v->flags[row];

			if ((v->st[row] & ST_GHOST) != 0)
				continue;
			view_count(c, now, v->size[row], -1);
			view_count(c, (uint16_t)((now & ~f.rem) | f.add),
			    v->size[row], 1);
		}
}

/*
 * The counters as they will be after these ops: they stand in the
 * transaction's head, and the view must not move before it is written.
 */
static void
predict(const struct view *v, const struct ops *o, struct counters *c)
{
	struct cur cur;
	struct op op;
	struct op_add add;
	uint64_t w[2];

	*c = v->c;
	cur_init(&cur, str_sub(buf_str(&o->b), TXN_HEAD, o->b.n));
	while (op_next(&cur, &op))
		switch (op.type) {
		case OP_ADD:
			if (op_add_unpack(op.body, &add)) {
				view_count(c, add.flags, add.size, 1);
				c->uidnext = add.uid + 1;
			}
			break;
		case OP_FLAGS:
			predict_flags(v, &op, c);
			break;
		case OP_EXPUNGE:
		case OP_SIZE:
			predict_tuples(v, &op, c);
			break;
		case OP_BOOT:
		case OP_RESTORE:
			if (op_words_unpack(op.body, w) &&
			    w[1] < UINT32_MAX - c->uidnext)
				c->uidnext += (uint32_t)w[1];
			break;
		}
}

int
mailbox_append(struct mailbox *m, uint16_t flags, bool bookkeeping, bool sync,
    struct err *e)
{
	struct counters c;
	struct txn t;
	uint64_t off = m->j.end;
	uint64_t modseq =
	    bookkeeping ? m->j.modseq : journal_next_modseq(&m->j);
	int rc;

	assert(m->j.is_locked);
	if (m->ops.n == 0)
		return 0;
	predict(&m->v, &m->ops, &c);
	if (!bookkeeping)
		stream_note_mailbox(m, off + m->ops.b.n + TXN_FOOT);
	rc = journal_append(&m->j, &m->ops, flags, modseq, &c, sync, e);
	if (rc == 0) {
		t = (struct txn){ .off = off,
			.modseq = modseq,
			.boot = boot_id(),
			.time_us = date_now_us(),
			.flags = flags,
			.c = c,
			.ops = str_sub(buf_str(&m->ops.b), TXN_HEAD,
			    m->ops.b.n - TXN_HEAD - TXN_FOOT) };
		/* foreign changes found by a scan are news to this session */
		m->v.is_own = (flags & TXN_FOREIGN) == 0;
		rc = view_apply(&m->v, &t);
		m->v.is_own = false;
		assert(rc == 0); /* what we write we must be able to read */
		/* on its way out it is asked for by its name */
		journal_publish(&m->j, &m->v.c, m->v.is_gone ? NULL : m->v.scan,
		    m->account);
		if (!bookkeeping)
			marks_note(m);
	}
	ops_clear(&m->ops);
	return rc;
}
