#include "base/date.h"
#include "smtpd.h"

/*
 * Who failed to log in three times, or sent spam, is served slowly: replies
 * octet by octet, a tick before each read (features 1.5.1; slow-octet). It
 * costs us a timer and a small buffer, and nobody else waits. The numbers are
 * those of when the client came.
 *
 *	flush --slow_put()--> WAIT_SLOW --a tick for each octet--> client_run()
 *	input --slow_read()-> WAIT_SLOW --one tick---------------> client_run()
 */

bool
slow_is_on(const struct client *cl)
{
	return !cl->listener->no_limits && cl->slow.tick.repeat > 0. &&
	       smtp_session_is_slow(cl->session);
}

bool
slow_is_pending(const struct client *cl)
{
	return cl->slow.out.n > 0;
}

/* All of it, now. */
void
slow_flush(struct client *cl)
{
	if (cl->slow.out.n > 0 && cl->conn != NULL)
		conn_write(cl->conn, buf_str(&cl->slow.out));
	buf_clear(&cl->slow.out);
	ev_timer_stop(cl->front->base.loop, &cl->slow.tick);
}

static void
tick_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;
	struct buf *out = &cl->slow.out;

	if (out->n > 0 && date_mono_ms() >= cl->slow.deadline)
		slow_flush(cl);
	else if (out->n > 0) {
		conn_write(cl->conn, str_sub(buf_str(out), 0, 1));
		buf_consume(out, 1);
	}
	if (out->n > 0)
		return;
	ev_timer_stop(loop, w);
	/* otherwise it waits for something else, and goes on after that */
	if (cl->wait == WAIT_SLOW) {
		cl->wait = WAIT_INPUT;
		client_run(cl);
	}
}

void
slow_init(struct client *cl, const struct config_limits *l)
{
	buf_init(&cl->slow.out, CONN_MAX_OUT);
	ev_init(&cl->slow.tick, tick_cb);
	cl->slow.tick.repeat = (double)l->slow_octet_ms / 1e3;
	cl->slow.spare_ms = (int64_t)l->slow_spare_ms;
	cl->slow.tick.data = cl;
}

void
slow_release(struct client *cl)
{
	ev_timer_stop(cl->front->base.loop, &cl->slow.tick);
	buf_release(&cl->slow.out);
}

void
slow_put(struct client *cl, struct str s)
{
	struct smtpd *f = cl->front;

	if (s.n > CONN_MAX_OUT - cl->slow.out.n) {
		slow_flush(cl);
		conn_write(cl->conn, s);
		return;
	}
	if (!slow_is_pending(cl)) {
		cl->slow.deadline = date_mono_ms() +
				    (int64_t)f->base.timeouts.write_ms -
				    cl->slow.spare_ms;
		ev_timer_again(f->base.loop, &cl->slow.tick);
	}
	buf_put(&cl->slow.out, s);
}

void
slow_read(struct client *cl)
{
	cl->wait = WAIT_SLOW;
	conn_pause(cl->conn, true);
	ev_timer_again(cl->front->base.loop, &cl->slow.tick);
}
