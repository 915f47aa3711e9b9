#include "service/front/slow.h"

#include "base/date.h"

static void
tick_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct slow *s = w->data;

	if (s->out.n > 0 && date_mono_ms() >= s->deadline)
		slow_flush(s);
	else if (s->out.n > 0) {
		conn_write(s->conn, str_sub(buf_str(&s->out), 0, 1));
		buf_consume(&s->out, 1);
	}
	if (s->out.n > 0)
		return;
	ev_timer_stop(loop, w);
	s->go_on(s->user);
}

void
slow_init(
    struct slow *s, const struct front *f, void (*go_on)(void *), void *user)
{
	const struct config_limits *l = &f->config->limits;

	*s = (struct slow){ .loop = f->loop,
		/* before the peer's patience ends the rest is sent */
		.patience_ms =
		    (int64_t)f->timeouts.write_ms - (int64_t)l->slow_spare_ms,
		.go_on = go_on,
		.user = user };
	buf_init(&s->out, CONN_MAX_OUT);
	ev_init(&s->tick, tick_cb);
	s->tick.repeat = (double)l->slow_octet_ms / 1e3;
	s->tick.data = s;
}

void
slow_release(struct slow *s)
{
	ev_timer_stop(s->loop, &s->tick);
	buf_release(&s->out);
}

bool
slow_can(const struct slow *s)
{
	return s->tick.repeat > 0.;
}

bool
slow_is_pending(const struct slow *s)
{
	return s->out.n > 0;
}

void
slow_put(struct slow *s, struct conn *c, struct str text)
{
	s->conn = c;
	if (text.n > CONN_MAX_OUT - s->out.n) {
		slow_flush(s);
		conn_write(c, text);
		return;
	}
	if (!slow_is_pending(s)) {
		s->deadline = date_mono_ms() + s->patience_ms;
		ev_timer_again(s->loop, &s->tick);
	}
	buf_put(&s->out, text);
}

void
slow_flush(struct slow *s)
{
	if (s->out.n > 0)
		conn_write(s->conn, buf_str(&s->out));
	buf_clear(&s->out);
	ev_timer_stop(s->loop, &s->tick);
}

void
slow_read(struct slow *s, struct conn *c)
{
	conn_pause(c, true);
	ev_timer_again(s->loop, &s->tick);
}
