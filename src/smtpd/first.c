#include "smtpd.h"
#include "system/log/log.h"

/*
 * Mail of somebody whose mail a recipient has never taken waits a while
 * before it is filed: who sends to lists of addresses has no time, and block
 * lists learn of him meanwhile. It is prepared in all
 * mailboxes then, and filed in none. It costs us a timer; nobody else waits.
 *
 *	all are prepared --one says: the first of its sender--> timer
 *	timer --over--> deliver_go_on()
 *	      --stop, the client is gone--> deliver_forget(): nothing is filed
 *
 * A client that closes is noticed only if it is read from: so it is, up to
 * what conn keeps for later.
 */

static uint64_t
delay_ms(const struct client *cl)
{
	const struct config_listener *l = config_listener(
	    cl->front->base.config, str_from(cl->listener->name));

	return l == NULL || cl->listener->no_limits ? 0 : l->first_time_ms;
}

bool
first_may_wait(const struct client *cl, const struct config_account *a)
{
	return cl->check.author != AUTHOR_NONE && a->delays_first_time &&
	       delay_ms(cl) > 0;
}

bool
first_is_on(const struct client *cl)
{
	return ev_is_active(&cl->first.timer);
}

static bool
is_first(const struct client *cl)
{
	const struct job *j;

	for (j = TAILQ_FIRST(&cl->jobs); j != NULL; j = TAILQ_NEXT(j, sibling))
		if (j->is_first)
			return true;
	return false;
}

bool
first_waits(struct client *cl)
{
	uint64_t ms = delay_ms(cl);

	if (cl->first.is_over || !is_first(cl) || (ms == 0 && !first_is_on(cl)))
		first_forget(cl);
	else if (!first_is_on(cl)) {
		log_set_sid(str_from(cl->cid));
		LOG_INFO("deliver.wait",
		    F_STR("from", buf_str(&cl->check.from)),
		    F_INT("confirmed", cl->check.author == AUTHOR_CONFIRMED),
		    F_INT("ms", ms));
		log_set_sid(STR(""));
		ev_timer_set(&cl->first.timer, (double)ms / 1e3, 0.);
		ev_timer_start(cl->front->base.loop, &cl->first.timer);
		conn_pause(cl->conn, false);
	}
	return first_is_on(cl);
}

static void
timer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;

	cl->first.is_over = true;
	conn_pause(cl->conn, true);
	deliver_go_on(cl);
}

void
first_init(struct client *cl)
{
	ev_init(&cl->first.timer, timer_cb);
	cl->first.timer.data = cl;
}

void
first_begin(struct client *cl)
{
	first_forget(cl);
	cl->first.is_over = false;
}

void
first_forget(struct client *cl)
{
	ev_timer_stop(cl->front->base.loop, &cl->first.timer);
}
