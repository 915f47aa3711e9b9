#include "system/io/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"
#include "system/io/wire.h"

/*
 * States:  OPEN --conn_close()--> CLOSING --queue empty--> LINGER --> DEAD
 *            \--error, time-out, conn_abort()------------------------^
 *
 * LINGER reads and drops for a moment what the peer still sends: closing with
 * unread input would reset the connection and take our last reply with it.
 * A DEAD conn has no descriptor; it is freed when the outermost callback has
 * returned (depth == 0), so a callback may end its own connection.
 */
#define LINGER_MS 1000
#define ROUND	  16384 /* octets of one peer, then it is others' turn */

struct conn {
	struct ev_loop *loop;
	ev_io rio, wio;
	ev_timer rtimer, wtimer;
	struct wire wire;
	enum { TLS_NONE, TLS_HANDSHAKE, TLS_UP } tls;
	enum { OPEN, CLOSING, LINGER, DEAD } state;
	struct buf in, out;
	struct conn_timeouts timeouts;
	conn_fn *fn;
	void *user;
	unsigned depth;
	bool paused, eof, finishing, want_write_to_read;
};

static void update(struct conn *);

static void
maybe_free(struct conn *c)
{
	if (c->state != DEAD || c->depth > 0)
		return;
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static void
die(struct conn *c, const char *why, bool tell)
{
	if (c->state == DEAD)
		return;
	tell = tell && c->state == OPEN;
	c->state = DEAD;
	if (c->wire.why == NULL)
		c->wire.why = why;
	ev_io_stop(c->loop, &c->rio);
	ev_io_stop(c->loop, &c->wio);
	ev_timer_stop(c->loop, &c->rtimer);
	ev_timer_stop(c->loop, &c->wtimer);
	if (c->tls == TLS_UP)
		wire_finish(&c->wire);
	wire_close(&c->wire);
	if (tell) {
		c->depth++;
		c->fn(c, CONN_CLOSED, c->user);
		c->depth--;
	}
}

static void
emit(struct conn *c, enum conn_event ev)
{
	if (c->state != OPEN)
		return;
	c->depth++;
	c->fn(c, ev, c->user);
	c->depth--;
}

static void
do_handshake(struct conn *c)
{
	switch (wire_accept(&c->wire)) {
	case WIRE_DONE:
		c->tls = TLS_UP;
		emit(c, CONN_TLS_UP);
		break;
	case WIRE_WAIT_READ:
		c->want_write_to_read = false;
		break;
	case WIRE_WAIT_WRITE:
		c->want_write_to_read = true;
		break;
	case WIRE_EOF:
		die(c, "closed during the TLS handshake", true);
		break;
	case WIRE_ERROR:
		die(c, "TLS handshake failed", true);
		break;
	}
}

static void
linger(struct conn *c)
{
	c->state = LINGER;
	wire_finish(&c->wire);
	shutdown(c->wire.fd, SHUT_WR);
	c->rtimer.repeat = LINGER_MS / 1e3;
	ev_timer_again(c->loop, &c->rtimer);
}

static void
do_linger(struct conn *c)
{
	char junk[4096];
	ssize_t n;
	int rounds = 16;

	while ((n = read(c->wire.fd, junk, sizeof(junk))) > 0 && --rounds > 0)
		;
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		die(c, "closed", false);
}

static void
do_write(struct conn *c)
{
	while (c->out.n > 0) {
		size_t sent;
		enum wire_io io = wire_write(&c->wire, buf_str(&c->out), &sent);

		if (io == WIRE_WAIT_READ || io == WIRE_WAIT_WRITE)
			return;
		if (io != WIRE_DONE) {
			die(c, "write failed", true);
			return;
		}
		buf_consume(&c->out, sent);
		if (c->timeouts.write_ms > 0)
			ev_timer_again(c->loop, &c->wtimer);
	}
	buf_shrink(&c->out);
	if (c->state == CLOSING) {
		linger(c);
		return;
	}
	if (c->finishing) {
		c->finishing = false;
		wire_finish(&c->wire);
	}
	emit(c, CONN_DRAINED);
}

static void
do_read(struct conn *c)
{
	size_t left = CONN_MAX_IN - c->in.n, end;
	bool some = false;

	/* one round, so that one peer cannot starve others */
	end = c->in.n + (left < ROUND ? left : ROUND);
	while (c->in.n < end) {
		size_t got, room = c->in.n < 4096 ? 4096 : end - c->in.n;
		char *p = buf_reserve(&c->in, room);
		enum wire_io io = wire_read(&c->wire, p, room, &got);

		c->want_write_to_read = io == WIRE_WAIT_WRITE;
		if (io == WIRE_WAIT_READ || io == WIRE_WAIT_WRITE)
			break;
		if (io == WIRE_ERROR) {
			die(c, "read failed", true);
			return;
		}
		if (io == WIRE_EOF) {
			c->eof = true;
			break;
		}
		buf_grow(&c->in, got);
		some = true;
		if (c->wire.ssl != NULL ? SSL_pending(c->wire.ssl) == 0 :
					  got < room)
			break;
	}
	if (c->in.n == 0)
		buf_shrink(&c->in);
	if (some) {
		ev_timer_again(c->loop, &c->rtimer);
		emit(c, CONN_INPUT);
	}
	if (c->eof)
		emit(c, CONN_EOF);
}

static void
on_io(struct conn *c)
{
	c->depth++;
	if (c->state == LINGER)
		do_linger(c);
	else if (c->tls == TLS_HANDSHAKE)
		do_handshake(c);
	if (c->state < LINGER && c->tls != TLS_HANDSHAKE) {
		if (c->out.n > 0)
			do_write(c);
		if (c->state == OPEN && !c->paused && !c->eof)
			do_read(c);
	}
	update(c);
	c->depth--;
	maybe_free(c);
}

static void
rio_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	on_io(w->data);
}

static void
rtimer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct conn *c = w->data;

	c->depth++;
	die(c,
	    c->tls == TLS_HANDSHAKE ? "TLS handshake timed out" :
				      "timed out waiting for input",
	    true);
	c->depth--;
	maybe_free(c);
}

static void
wtimer_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct conn *c = w->data;

	c->depth++;
	die(c, "peer does not read", true);
	c->depth--;
	maybe_free(c);
}

static void
set_io(struct conn *c, ev_io *w, bool on)
{
	if (on)
		ev_io_start(c->loop, w);
	else
		ev_io_stop(c->loop, w);
}

/* Make watchers and timers follow the state. */
static void
update(struct conn *c)
{
	bool hs = c->tls == TLS_HANDSHAKE, reading;

	if (c->state == DEAD)
		return;
	reading =
	    c->state == OPEN && !c->paused && !c->eof && c->in.n < CONN_MAX_IN;
	set_io(c, &c->rio, hs || reading || c->state == LINGER);
	set_io(c, &c->wio, c->want_write_to_read || (!hs && c->out.n > 0));
	if (c->out.n == 0)
		ev_timer_stop(c->loop, &c->wtimer);
	else if (!ev_is_active(&c->wtimer) && c->timeouts.write_ms > 0)
		ev_timer_again(c->loop, &c->wtimer);
	if (!reading && !hs && c->state != LINGER)
		ev_timer_stop(c->loop, &c->rtimer);
	else if (!ev_is_active(&c->rtimer) && c->rtimer.repeat > 0)
		ev_timer_again(c->loop, &c->rtimer);
	/* TLS may hold decrypted bytes that no descriptor will announce */
	if (reading && c->tls == TLS_UP && SSL_pending(c->wire.ssl) > 0)
		ev_feed_event(c->loop, &c->rio, EV_READ);
}

struct conn *
conn_new(struct ev_loop *loop, int fd, const struct conn_timeouts *t,
    conn_fn *fn, void *user)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	fs_set_nonblock(fd, true);
	c->loop = loop;
	c->wire.fd = fd;
	c->timeouts = *t;
	c->fn = fn;
	c->user = user;
	buf_init(&c->in, CONN_MAX_IN + 4096);
	buf_init(&c->out, CONN_MAX_OUT);
	ev_io_init(&c->rio, rio_cb, fd, EV_READ);
	ev_io_init(&c->wio, rio_cb, fd, EV_WRITE);
	ev_init(&c->rtimer, rtimer_cb);
	c->rtimer.repeat = t->read_ms / 1e3;
	ev_init(&c->wtimer, wtimer_cb);
	c->wtimer.repeat = t->write_ms / 1e3;
	c->rio.data = c->wio.data = c->rtimer.data = c->wtimer.data = c;
	update(c);
	return c;
}

void
conn_set_fn(struct conn *c, conn_fn *fn, void *user)
{
	c->fn = fn;
	c->user = user;
}

void
conn_start_tls(struct conn *c, SSL_CTX *ctx)
{
	assert(c->wire.ssl == NULL && c->state == OPEN);
	/* "go ahead" is still plain text; a few bytes that a peer who reads
	 * at all has room for */
	while (c->out.n > 0) {
		size_t sent;

		if (wire_write(&c->wire, buf_str(&c->out), &sent) !=
		    WIRE_DONE) {
			die(c, "peer does not read", true);
			return;
		}
		buf_consume(&c->out, sent);
	}
	if (!wire_start_tls(&c->wire, ctx)) {
		die(c, "out of memory for TLS", true);
		return;
	}
	if (c->in.n > 0) {
		/* plain bytes behind STARTTLS cannot be the start of an
		 * honest handshake that waited for our reply */
		die(c, "plain text after STARTTLS", true);
		return;
	}
	c->tls = TLS_HANDSHAKE;
	c->rtimer.repeat = c->timeouts.handshake_ms / 1e3;
	ev_timer_again(c->loop, &c->rtimer);
	c->rtimer.repeat = c->timeouts.read_ms / 1e3;
	update(c);
}

SSL *
conn_ssl(struct conn *c)
{
	return c->wire.ssl;
}

bool
conn_is_tls(const struct conn *c)
{
	return c->tls == TLS_UP;
}

struct str
conn_input(struct conn *c)
{
	return buf_str(&c->in);
}

void
conn_consume(struct conn *c, size_t n)
{
	buf_consume(&c->in, n);
	buf_shrink(&c->in);
	if (c->depth == 0)
		update(c);
}

void
conn_pause(struct conn *c, bool pause)
{
	c->paused = pause;
	if (c->state == DEAD)
		return;
	if (c->depth == 0)
		update(c);
}

void
conn_write(struct conn *c, struct str s)
{
	if (c->state != OPEN)
		return;
	if (c->out.n == 0 && c->depth == 0 && c->tls != TLS_HANDSHAKE) {
		size_t sent; /* usually it just fits */

		if (wire_write(&c->wire, s, &sent) == WIRE_DONE)
			s = str_sub(s, sent, s.n);
	}
	buf_put(&c->out, s);
	if (c->out.full) {
		c->wire.why = "peer does not read";
		/* ends as a read or write error */
		shutdown(c->wire.fd, SHUT_RDWR);
		return;
	}
	if (c->depth == 0)
		update(c);
}

size_t
conn_queued(const struct conn *c)
{
	return c->out.n;
}

void
conn_set_read_timeout(struct conn *c, unsigned ms)
{
	c->timeouts.read_ms = ms;
	c->rtimer.repeat = ms / 1e3; /* 0: ev_timer_again() stops it */
	if (c->state != DEAD && c->tls != TLS_HANDSHAKE)
		ev_timer_again(c->loop, &c->rtimer);
}

void
conn_finish(struct conn *c)
{
	if (c->state == DEAD)
		return;
	c->finishing = true;
	if (c->out.n == 0) {
		c->finishing = false;
		wire_finish(&c->wire);
	}
}

void
conn_close(struct conn *c)
{
	if (c->state != OPEN)
		return;
	c->depth++;
	c->state = CLOSING;
	if (c->tls == TLS_HANDSHAKE)
		die(c, "closed", false);
	else
		do_write(c);
	update(c);
	c->depth--;
	maybe_free(c);
}

void
conn_abort(struct conn *c)
{
	c->depth++;
	die(c, "closed", false);
	c->depth--;
	maybe_free(c);
}

int
conn_steal(struct conn *c)
{
	int fd = c->wire.fd;

	assert(c->wire.ssl == NULL && c->out.n == 0);
	ev_io_stop(c->loop, &c->rio);
	ev_io_stop(c->loop, &c->wio);
	c->wire.fd = -1;
	conn_abort(c);
	return fd;
}

const char *
conn_why(const struct conn *c)
{
	return c->wire.why == NULL ? "closed" : c->wire.why;
}

int
conn_fd(const struct conn *c)
{
	return c->wire.fd;
}
