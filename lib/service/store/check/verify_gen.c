/*
 * verify_gen - the index a journal goes on from: whole, and what the journal
 * before it leads to.
 */
#include "service/store/verify_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/store/index_int.h"

static bool
counters_differ(const struct counters *a, const struct counters *b)
{
	return a->exists != b->exists || a->deleted != b->deleted ||
	       a->unseen != b->unseen || a->unread != b->unread ||
	       a->bytes != b->bytes || a->deleted_bytes != b->deleted_bytes;
}

/* First UID in which the two differ, 0 if in none. */
static uint32_t
first_difference(const struct view *a, const struct view *b)
{
	uint32_t i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (a->uid[i] != b->uid[i] || a->flags[i] != b->flags[i] ||
		    a->kw[i] != b->kw[i] || a->modseq[i] != b->modseq[i] ||
		    a->size[i] != b->size[i] || a->uhash[i] != b->uhash[i] ||
		    a->idate[i] != b->idate[i])
			return a->uid[i] < b->uid[i] ? a->uid[i] : b->uid[i];
	return a->n > i ? a->uid[i] : b->n > i ? b->uid[i] : 0;
}

/* The journal before, read up to where the index was made, must say the same.
 */
static void
compare_before(struct box *b)
{
	struct mailbox before = { .dirfd = b->m.dirfd,
		.curfd = b->m.curfd,
		.newfd = b->m.newfd,
		.qfd = b->m.qfd,
		.expfd = -1,
		.readonly = true };
	char name[32];
	uint32_t uid;

	mailbox_init_slots(&before);
	view_init(&before.v);
	before.v.is_loading = true;
	before.j = b->m.j; /* only its header is asked */
	index_name("index", b->m.j.index_gen, name);
	if (generation_regain(&before, NULL) == 0) {
		if (before.v.nghosts > 0)
			view_drop_rows(&before.v, false);
		uid = first_difference(&b->m.v, &before.v);
		if (uid != 0)
			verify_found(b->v, VERIFY_ERROR, "index-differs", uid,
			    name, "is not what the journal before leads to");
	}
	view_release(&before.v);
	mailbox_close_slots(&before);
	free(before.window);
}

static void
check_records(struct box *b)
{
	const struct view *v = &b->m.v;
	struct op_add add;
	uint32_t i, bad = 0, first = 0;

	for (i = 0; i < v->n; i++)
		if (v->rec[i] >> REC_SLOT_SHIFT == 0 &&
		    !mailbox_record(&b->m, v->uid[i], v->rec[i], 0, &add)) {
			first = bad == 0 ? v->uid[i] : first;
			bad++;
		}
	if (bad > 0)
		verify_found(b->v, VERIFY_ERROR, "records", first, "quire/recs",
		    "%u records are damaged: names are looked up in the "
		    "directory, a copied message's EMAILID is lost",
		    bad);
}

int
verify_start(struct box *b, struct err *e)
{
	struct mailbox *m = &b->m;
	const char *why;
	struct index_head h;
	struct counters c;
	char name[32];

	if (m->j.index_gen == 0)
		return 0;
	index_name("index", m->j.index_gen, name);
	if (!index_check(m->qfd, m->j.index_gen, &h, &why)) {
		verify_found(b->v, VERIFY_ERROR, "index", 0, name,
		    "%s: the next session makes it again from the journal "
		    "before",
		    why);
		return generation_regain(m, e);
	}
	if (index_load(m, &m->j, &m->v, e) == -1)
		return -1;
	view_recount(&m->v, &c);
	if (counters_differ(&c, &m->v.c))
		verify_found(b->v, VERIFY_ERROR, "counters", 0, name,
		    "its counters are not those of its rows");
	compare_before(b);
	check_records(b);
	return 0;
}
