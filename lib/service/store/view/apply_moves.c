/*
 * apply_moves - what a transaction says of MOVEs: those that have begun
 * (move.c, 1), and where messages went that sessions may still show.
 */
#include "service/store/apply_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define MOVES_MAX 64	/* under way at once into one mailbox */
#define MOVED_MAX 65536 /* runs of UIDs a session remembers */

bool
apply_movefrom(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct op_move m;
	struct open_move *o;
	size_t n, i;

	if (!op_move_unpack(body, &m) || !op_tuples(m.pairs, 2, &n) ||
	    v->nmoves >= MOVES_MAX)
		return apply_refuse(a, "MOVEFROM is malformed");
	v->moves = xreallocarray(v->moves, v->nmoves + 1, sizeof(*v->moves));
	o = &v->moves[v->nmoves++];
	*o = (struct open_move){ .modseq = a->t->modseq, .n = (uint32_t)n };
	memcpy(o->from, m.mailboxid, 16);
	o->uids = xreallocarray(NULL, n, 2 * sizeof(*o->uids));
	for (i = 0; i < 2 * n; i++)
		o->uids[i] = op_tuple(m.pairs, 1, i, 0);
	return true;
}

bool
apply_movedone(struct apply *a, struct str body)
{
	struct view *v = a->v;
	uint64_t w[2];
	size_t i;

	if (!apply_words(a, body, w))
		return false;
	for (i = 0; i < v->nmoves; i++)
		if (v->moves[i].modseq == w[0]) {
			free(v->moves[i].uids);
			v->moves[i] = v->moves[--v->nmoves];
			break;
		}
	return true;
}

/* Sessions that still show them read them where they are now. */
bool
apply_moved(struct apply *a, struct str body)
{
	struct view *v = a->v;
	struct moved *last = NULL;
	struct op_move m;
	size_t n, i;

	if (!op_move_unpack(body, &m) || !op_tuples(m.pairs, 2, &n))
		return apply_refuse(a, "MOVED is malformed");
	for (i = 0; i < n && !v->is_loading; i++) {
		uint32_t uid = op_tuple(m.pairs, 2, i, 0);
		uint32_t to = op_tuple(m.pairs, 2, i, 1);

		if (view_row(v, uid) >= v->shown)
			continue;
		if (last != NULL && uid - last->uid == last->n &&
		    to - last->to == last->n) {
			last->n++;
			continue;
		}
		if (v->nmoved == MOVED_MAX)
			break; /* they have their hour in exp/ */
		v->moved =
		    xreallocarray(v->moved, v->nmoved + 1, sizeof(*v->moved));
		last = &v->moved[v->nmoved++];
		*last = (struct moved){ .uid = uid, .n = 1, .to = to };
		memcpy(last->id, m.mailboxid, 16);
	}
	return true;
}
