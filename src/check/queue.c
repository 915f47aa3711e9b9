#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/ipc/ipc.h"

/*
 * Questions that have no process yet. Forking takes longer than most answers,
 * so a hundred that come together from one network are not forked for in one
 * go: whoever has fewest under way, these here included, is next.
 */

bool
queue_put(struct pool *p, int chan, struct ipc_msg *m,
    const struct limit_addr *remote)
{
	struct pool_waiting *w = p->waiting;

	while (w < p->waiting + POOL_WAITING && w->chan != -1)
		w++;
	if (w == p->waiting + POOL_WAITING)
		return false;
	*w = (struct pool_waiting){
		.number = ++p->number, .msg = *m, .remote = *remote
	};
	if ((w->chan = dup(chan)) == -1)
		return false;
	w->body =
	    str_dup(str_make(m->body.p, (size_t)(m->body.end - m->body.p)));
	cur_init(
	    &w->msg.body, str_make(w->body, (size_t)(m->body.end - m->body.p)));
	m->nfds = 0; /* they are ours now */
	p->n_waiting++;
	return true;
}

struct pool_waiting *
queue_next(struct pool *p)
{
	struct pool_waiting *w, *found = NULL;
	uint32_t n, least = 0;

	if (p->n_waiting == 0)
		return NULL;
	for (w = p->waiting; w < p->waiting + POOL_WAITING; w++) {
		if (w->chan == -1)
			continue;
		n = limit_count(p->clients, &w->remote, LIMIT_CLASSES - 1, 0);
		if (found == NULL || n < least ||
		    (n == least && w->number < found->number)) {
			least = n;
			found = w;
		}
	}
	return found;
}

void
queue_take(struct pool *p, struct pool_waiting *w)
{
	ipc_close_fds(&w->msg);
	close(w->chan);
	free(w->body);
	w->chan = -1;
	p->n_waiting--;
}

bool
queue_is_crowd(const struct pool *p, const struct pool_waiting *w)
{
	return limit_count(p->clients, &w->remote, LIMIT_CLASSES - 1, 0) >
	       POOL_CROWD;
}

/* A crowd's begin one by one, and leave room for those of others. */
bool
queue_may_begin(const struct pool *p, const struct pool_waiting *w)
{
	unsigned n = p->n_busy + p->n_idle + p->n_leaving;

	if (queue_is_crowd(p, w))
		return p->n_young == 0 && n < POOL_CHILDREN - POOL_IDLE_MAX;
	return p->n_young < POOL_YOUNG && (p->n_idle > 0 || n < POOL_CHILDREN);
}

bool
queue_wants_spare(const struct pool *p)
{
	return p->n_idle == 0 && p->n_waiting == 0 && p->n_young == 0 &&
	       p->n_busy > 0 && p->n_busy < POOL_MAX;
}
