/*
 * former - the names messages had before a reboot.
 *
 * No sync of ours makes a rename durable before the next index does, so a
 * power cut can bring back any name that a message had since the last one. It
 * is no change by others then, and what the journal says stands. Noted while
 * transactions of a former boot are read, asked by the first scan of this
 * one, forgotten with it: from then on a name that turns back was turned back.
 */
#include "service/store/store_int.h"

#include <stdlib.h>

#include "base/xalloc.h"

void
view_note_former(struct view *v, uint32_t row, uint32_t fn, uint32_t boot)
{
	/* not as many as a hostile journal likes: of the rest a lost rename
	 * is taken for a change by others */
	if (v->nformer == FORMER_MAX)
		return;
	if (v->nformer == v->formercap) {
		v->formercap = v->formercap == 0 ? 16 : v->formercap * 2;
		v->former =
		    xreallocarray(v->former, v->formercap, sizeof(*v->former));
	}
	v->former[v->nformer++] =
	    (struct former){ .uid = v->uid[row], .fn = fn, .boot = boot };
	v->is_former_sorted = false;
}

static int
former_cmp(const void *va, const void *vb)
{
	const struct former *a = va, *b = vb;

	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return a->fn < b->fn ? -1 : a->fn > b->fn;
}

bool
view_had_name(struct view *v, uint32_t row, uint32_t fn)
{
	struct former key = { .uid = v->uid[row], .fn = fn };

	if (v->nformer == 0)
		return false;
	if (!v->is_former_sorted)
		qsort(v->former, v->nformer, sizeof(key), former_cmp);
	v->is_former_sorted = true;
	return bsearch(&key, v->former, v->nformer, sizeof(key), former_cmp) !=
	       NULL;
}

void
view_forget_former(struct view *v, uint32_t boot)
{
	size_t i, n = 0;

	for (i = 0; i < v->nformer; i++)
		if (v->former[i].boot == boot)
			v->former[n++] = v->former[i];
	v->nformer = n;
}
