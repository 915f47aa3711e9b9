/*
 * cold - what is read of a message only when somebody asks: its name, dates
 * and EMAILID, which stand in a record; its size, if nobody counted it yet.
 *
 * A record is an ADD, in the journal or in the file of records (recs.c). If
 * it cannot be read the directory still knows the name: the row has its hash.
 */
#include "service/store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define WINDOW_SIZE 16384
/* the longest record: head, ADD, two names */
#define RECORD_MAX (64 + OP_HEAD + ADD_FIXED + NAME_LEN + 64)

/* The file a slot stands for, and how far it may be read. */
static int
slot_file(const struct mailbox *m, unsigned slot, uint64_t *end)
{
	if (slot == 0) {
		*end = m->recs.len;
		return m->recsfd;
	}
	if (slot == m->v.slot) {
		*end = m->j.end;
		return m->j.fd;
	}
	if (slot >= REC_SLOTS)
		return -1;
	*end = m->slotend[slot];
	return m->slotfd[slot];
}

/* The octets at that place, through a window: neighbours lie in it. */
static struct str
window_at(struct mailbox *m, uint64_t rec)
{
	unsigned slot = (unsigned)(rec >> REC_SLOT_SHIFT);
	uint64_t off = REC_OFF(rec), end = 0;
	int fd = slot_file(m, slot, &end);
	ssize_t n;

	if (fd == -1 || off < OP_HEAD || off >= end)
		return STR("");
	if (m->window == NULL)
		m->window = xmalloc(WINDOW_SIZE);
	if (m->window_n == 0 || slot != m->window_slot || off < m->window_off ||
	    off - m->window_off + RECORD_MAX > m->window_n) {
		n = fs_pread_all(fd, m->window, WINDOW_SIZE, off);
		m->window_n = n <= 0 ? 0 : (size_t)n;
		/* later appends are not in it */
		if (m->window_n > end - off)
			m->window_n = (size_t)(end - off);
		m->window_slot = slot;
		m->window_off = off;
	}
	off -= m->window_off;
	return off >= m->window_n ?
		   STR("") :
		   str_make(m->window + off, m->window_n - (size_t)off);
}

/* Checked again: these files are not ours alone. */
static bool
cold_op(struct mailbox *m, uint32_t uid, uint64_t rec, struct op *op)
{
	struct str at = window_at(m, rec);
	struct cur c;

	if (at.n == 0)
		return false;
	if (rec >> REC_SLOT_SHIFT == 0)
		return recs_unpack(&m->recs, at, uid, op);
	cur_init(&c, at);
	return op_next(&c, op);
}

bool
mailbox_record(struct mailbox *m, uint32_t uid, uint64_t rec, uint64_t nrec,
    struct op_add *add)
{
	struct op op;
	struct op_name r;

	*add = (struct op_add){ .name = STR(""), .extra = STR("") };
	if (!cold_op(m, uid, rec, &op) || op.type != OP_ADD ||
	    !op_add_unpack(op.body, add) || add->uid != uid)
		return false;
	if (nrec == 0)
		return true;
	if (!cold_op(m, uid, nrec, &op) || op.type != OP_RENAME ||
	    !op_name_unpack(op.body, &r) || r.number != uid ||
	    r.name.n > NAME_LEN || r.extra.n >= sizeof(m->extra))
		return false;
	add->name = r.name;
	add->extra = r.extra;
	return true;
}

bool
mailbox_cold(struct mailbox *m, uint32_t uid, uint64_t rec, uint64_t nrec,
    struct cold *out)
{
	struct op_add add;
	bool ok = mailbox_record(m, uid, rec, nrec, &add);

	*out = (struct cold){ .create_modseq = add.create_modseq,
		.savedate = add.sdate,
		.zone_min = add.zone_min,
		.base = add.name,
		.extra = add.extra };
	memcpy(out->emailid, add.emailid, 16);
	return ok;
}

bool
row_cold(struct mailbox *m, uint32_t row, struct cold *out)
{
	const struct view *v = &m->v;

	if (mailbox_cold(m, v->uid[row], v->rec[row],
		v->nrec == NULL ? 0 : v->nrec[row], out))
		return true;
	if ((v->st[row] & ST_GHOST) != 0)
		return false;
	*out = (struct cold){ .create_modseq = v->modseq[row],
		.savedate = v->idate[row],
		.base = STR(""),
		.extra = STR("") };
	if (!m->must_generate)
		mailbox_log(m, 1, "store.record",
		    "a record is damaged: names are looked up");
	/* the next generation has it again */
	m->must_generate = true;
	return lost_find(m, row, out);
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
