/*
 * plan - the index of the next generation and its records, written where
 * nobody names them yet (generation.c, 1).
 */
#include "service/store/plan_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define RECS_SLACK 4096 /* dead records that are not worth the copying */

/* A record that cannot be read is made from what the row and a name say. */
static void
make_up(struct mailbox *m, uint32_t row, struct op_add *a)
{
	struct cold c;

	row_cold(m, row, &c);
	*a = (struct op_add){ .create_modseq = c.create_modseq,
		.sdate = c.savedate,
		.zone_min = c.zone_min,
		.name = c.base,
		.extra = c.extra };
	memcpy(a->emailid, c.emailid, 16);
}

static int
add_row(struct mailbox *m, struct plan *p, uint32_t row, struct err *e)
{
	const struct view *v = &m->v;
	struct op_add a;

	if (!mailbox_record(m, v->uid[row], v->rec[row],
		v->nrec == NULL ? 0 : v->nrec[row], &a))
		make_up(m, row, &a);
	/* the columns have the rest; for who reads the records alone */
	a.uid = v->uid[row];
	a.fn = v->fn[row];
	a.kw = v->kw[row];
	a.size = v->size[row];
	a.idate = v->idate[row];
	a.flags = v->flags[row];
	return recs_add(&p->w, &a, &p->rec[row], e);
}

static int
add_goner(struct mailbox *m, struct plan *p, size_t i, struct err *e)
{
	const struct gone *g = &m->v.gone[i];
	struct op_add a;

	/* unknown: nothing can be done about its file, a scan will tell */
	if (!mailbox_record(m, g->uid, g->rec, g->nrec, &a))
		return 0;
	return recs_add(&p->w, &a, &p->goner[i], e);
}

static bool
is_moved(const struct plan *p, uint64_t rec, const uint64_t *nrec, uint32_t row)
{
	return p->is_all || rec >> REC_SLOT_SHIFT != 0 ||
	       (nrec != NULL && nrec[row] != 0);
}

static int
write_records(struct mailbox *m, struct plan *p, struct err *e)
{
	const struct view *v = &m->v;
	uint32_t row;
	size_t i;

	for (row = 0; row < v->n; row++) {
		p->rec[row] = v->rec[row];
		if ((v->st[row] & ST_GHOST) == 0 &&
		    is_moved(p, v->rec[row], v->nrec, row) &&
		    add_row(m, p, row, e) == -1)
			return -1;
	}
	for (i = 0; i < v->ngone; i++) {
		p->goner[i] = v->gone[i].rec;
		if ((p->is_all || v->gone[i].nrec != 0 ||
			v->gone[i].rec >> REC_SLOT_SHIFT != 0) &&
		    (p->goner[i] = 0, add_goner(m, p, i, e) == -1))
			return -1;
	}
	return recs_flush(&p->w, e);
}

/* Append to the file there is, or begin another when most of it is dead. */
static int
open_records(struct mailbox *m, struct plan *p, struct err *e)
{
	struct recs *r = &p->h.recs;
	struct stat st;
	char name[32];

	*r = m->recs;
	index_name("recs", r->number, name);
	p->is_all = m->must_generate || m->recsfd == -1 ||
		    r->count > 2 * (uint64_t)m->v.n + RECS_SLACK ||
		    fstatat(m->qfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    (uint64_t)st.st_size < r->len;
	if (p->is_all) {
		r->number = p->h.gen;
		return recs_open(m, r, true, &p->fd, e);
	}
	if (recs_open(m, r, false, &p->fd, e) == -1)
		return -1;
	/* what somebody wrote who did not come to name it stays */
	r->len = ((uint64_t)st.st_size + 7) / 8 * 8;
	return 0;
}

int
generation_plan(struct mailbox *m, struct plan *p, struct err *e)
{
	const struct view *v = &m->v;

	*p = (struct plan){ .fd = -1 };
	p->h.gen = m->j.gen + 1;
	p->h.base_off = m->j.end;
	p->cache_no = cache_next_number(m);
	p->h.keeps_cache = p->cache_no == m->j.cache_no;
	p->rec = xcalloc(v->n, sizeof(*p->rec));
	p->goner = xcalloc(v->ngone, sizeof(*p->goner));
	if (step_sync(m->curfd) == -1 || step_sync(m->newfd) == -1)
		return err_sys(e, "sync directory");
	if (open_records(m, p, e) == -1)
		return -1;
	recs_writer_init(&p->w, p->fd, &p->h.recs);
	if (write_records(m, p, e) == -1)
		return -1;
	return index_write(m, &p->h, p->rec, p->goner, e);
}

void
plan_release(struct plan *p)
{
	if (p->fd != -1) {
		recs_writer_release(&p->w);
		close(p->fd);
	}
	free(p->rec);
	free(p->goner);
}
