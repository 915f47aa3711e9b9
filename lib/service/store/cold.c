/*
 * cold - what is read of a message only when somebody asks: its name, dates
 * and EMAILID from the journal, its size from the file.
 */
#include "service/store/store_int.h"

#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define WINDOW_SIZE 16384

/* The op at that offset of the journal, checked again: the file is not ours
 * alone. Names are not kept in memory; neighbours lie in the window. */
static bool
cold_op(struct mailbox *m, uint64_t off, struct op *op)
{
	size_t at, need = OP_HEAD + ADD_FIXED + NAME_LEN + 64;
	struct cur c;
	ssize_t n;

	if (off < JOURNAL_HEAD + TXN_HEAD || off >= m->j.end)
		return false;
	if (m->window == NULL)
		m->window = xmalloc(WINDOW_SIZE);
	if (m->window_n == 0 || off < m->window_off ||
	    off - m->window_off + need > m->window_n) {
		n = journal_pread(&m->j, m->window, WINDOW_SIZE, off);
		if (n <= 0) {
			m->window_n = 0;
			return false;
		}
		m->window_off = off;
		m->window_n = (size_t)n;
		/* later appends are not in it */
		if (m->window_n > m->j.end - off)
			m->window_n = (size_t)(m->j.end - off);
	}
	at = (size_t)(off - m->window_off);
	cur_init(&c, str_make(m->window + at, m->window_n - at));
	return op_next(&c, op);
}

bool
mailbox_cold(struct mailbox *m, uint32_t uid, uint64_t rec, uint64_t nrec,
    struct cold *out)
{
	struct op op;
	struct op_add add;
	struct op_name r;

	*out = (struct cold){ .base = STR(""), .extra = STR("") };
	if (!cold_op(m, rec, &op) || op.type != OP_ADD ||
	    !op_add_unpack(op.body, &add) || add.uid != uid)
		return false;
	out->create_modseq = add.create_modseq;
	out->savedate = add.sdate;
	out->zone_min = add.zone_min;
	memcpy(out->emailid, add.emailid, 16);
	out->base = add.name;
	out->extra = add.extra;
	if (nrec == 0)
		return true;
	if (!cold_op(m, nrec, &op) || op.type != OP_RENAME ||
	    !op_name_unpack(op.body, &r) || r.number != uid ||
	    r.name.n > NAME_LEN || r.extra.n >= sizeof(m->extra))
		return false;
	out->base = r.name;
	out->extra = r.extra;
	return true;
}

bool
row_cold(struct mailbox *m, uint32_t row, struct cold *out)
{
	return mailbox_cold(m, m->v.uid[row], m->v.rec[row],
	    m->v.nrec == NULL ? 0 : m->v.nrec[row], out);
}

/* RFC822.SIZE must be exact: measured once, written down at the close. */
void
row_make_sure(struct mailbox *m, uint32_t row)
{
	int fd = row_open_likely(m, row);
	uint64_t size;

	if (fd == -1)
		return;
	if (msgfile_measure_once(fd, (m->v.st[row] & ST_RAW) != 0, &size)) {
		if (m->v.size[row] != size)
			view_set_size(&m->v, row, size);
		m->v.st[row] &= ~ST_UNSURE;
		ranges_add(&m->measured, m->v.uid[row], m->v.uid[row]);
	}
	close(fd);
}

void
mailbox_write_sizes(struct mailbox *m)
{
	size_t i;
	uint32_t row;

	if (m->measured.n == 0 || mailbox_lock(m, NULL) == -1)
		return;
	op_begin(&m->ops, OP_SIZE, 0);
	for (i = 0; i < m->measured.n; i++)
		for (row = view_lower(&m->v, m->measured.v[i].lo);
		     row < m->v.n && m->v.uid[row] <= m->measured.v[i].hi;
		     row++) {
			op_u32(&m->ops, m->v.uid[row]);
			op_u32(&m->ops, 0);
			op_u64(&m->ops, m->v.size[row]);
		}
	op_end(&m->ops);
	mailbox_append(m, 0, true, false, NULL);
	mailbox_unlock(m);
	ranges_clear(&m->measured);
}
