#include "system/io/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

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

struct conn {
	struct ev_loop *loop;
	ev_io rio, wio;
	ev_timer rtimer, wtimer;
	int fd;
	SSL *ssl;
	enum { TLS_NONE, TLS_HANDSHAKE, TLS_UP } tls;
	enum { OPEN, CLOSING, LINGER, DEAD } state;
	struct buf in, out;
	struct conn_timeouts timeouts;
	conn_fn *fn;
	void *user;
	const char *why;
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
	if (c->why == NULL)
		c->why = why;
	ev_io_stop(c->loop, &c->rio);
	ev_io_stop(c->loop, &c->wio);
	ev_timer_stop(c->loop, &c->rtimer);
	ev_timer_stop(c->loop, &c->wtimer);
	if (c->ssl != NULL) {
		ERR_clear_error();
		if (c->tls == TLS_UP)
			SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
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

/* What a TLS or socket call said. */
enum io { IO_DONE, IO_WAIT_READ, IO_WAIT_WRITE, IO_EOF, IO_ERROR };

static enum io
tls_result(struct conn *c, int rc)
{
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_NONE:
		return IO_DONE;
	case SSL_ERROR_WANT_READ:
		return IO_WAIT_READ;
	case SSL_ERROR_WANT_WRITE:
		return IO_WAIT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	case SSL_ERROR_SYSCALL:
		if (errno == 0)
			return IO_EOF;
		c->why = strerror(errno);
		return IO_ERROR;
	default:
		c->why = ERR_reason_error_string(ERR_peek_error());
		return IO_ERROR;
	}
}

static enum io
sys_result(struct conn *c)
{
	if (errno == EAGAIN || errno == EINTR)
		return IO_WAIT_READ;
	c->why = strerror(errno);
	return IO_ERROR;
}

static enum io
read_some(struct conn *c, char *p, size_t n, size_t *got)
{
	ssize_t r;
	int rc;

	*got = 0;
	errno = 0;
	if (c->ssl == NULL) {
		r = read(c->fd, p, n);
		if (r == -1)
			return sys_result(c);
		*got = (size_t)r;
		return r == 0 ? IO_EOF : IO_DONE;
	}
	ERR_clear_error();
	rc = SSL_read_ex(c->ssl, p, n, got);
	return rc == 1 ? IO_DONE : tls_result(c, rc);
}

static enum io
write_some(struct conn *c, struct str s, size_t *sent)
{
	ssize_t r;
	int rc;

	*sent = 0;
	errno = 0;
	if (c->ssl == NULL) {
		r = send(c->fd, s.p, s.n, MSG_NOSIGNAL);
		if (r == -1) {
			enum io io = sys_result(c);

			return io == IO_WAIT_READ ? IO_WAIT_WRITE : io;
		}
		*sent = (size_t)r;
		return IO_DONE;
	}
	ERR_clear_error();
	rc = SSL_write_ex(c->ssl, s.p, s.n, sent);
	return rc == 1 ? IO_DONE : tls_result(c, rc);
}

static void
do_handshake(struct conn *c)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_accept(c->ssl);
	switch (rc == 1 ? IO_DONE : tls_result(c, rc)) {
	case IO_DONE:
		c->tls = TLS_UP;
		emit(c, CONN_TLS_UP);
		break;
	case IO_WAIT_READ:
		c->want_write_to_read = false;
		break;
	case IO_WAIT_WRITE:
		c->want_write_to_read = true;
		break;
	case IO_EOF:
		die(c, "closed during the TLS handshake", true);
		break;
	case IO_ERROR:
		die(c, "TLS handshake failed", true);
		break;
	}
}

static void
linger(struct conn *c)
{
	c->state = LINGER;
	if (c->ssl != NULL) {
		ERR_clear_error();
		SSL_shutdown(c->ssl);
	}
	shutdown(c->fd, SHUT_WR);
	c->rtimer.repeat = LINGER_MS / 1e3;
	ev_timer_again(c->loop, &c->rtimer);
}

static void
do_linger(struct conn *c)
{
	char junk[4096];
	ssize_t n;
	int rounds = 16;

	while ((n = read(c->fd, junk, sizeof(junk))) > 0 && --rounds > 0)
		;
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		die(c, "closed", false);
}

static void
do_write(struct conn *c)
{
	while (c->out.n > 0) {
		size_t sent;
		enum io io = write_some(c, buf_str(&c->out), &sent);

		if (io == IO_WAIT_READ || io == IO_WAIT_WRITE)
			return;
		if (io != IO_DONE) {
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
		if (c->ssl != NULL) {
			ERR_clear_error();
			SSL_shutdown(c->ssl);
		} else
			shutdown(c->fd, SHUT_WR);
	}
	emit(c, CONN_DRAINED);
}

static void
do_read(struct conn *c)
{
	bool some = false;

	/* one round: as much as fits, so that one peer cannot starve others */
	while (c->in.n < CONN_MAX_IN) {
		size_t got,
		    room = c->in.n < 4096 ? 4096 : CONN_MAX_IN - c->in.n;
		char *p = buf_reserve(&c->in, room);
		enum io io = read_some(c, p, room, &got);

		c->want_write_to_read = io == IO_WAIT_WRITE;
		if (io == IO_WAIT_READ || io == IO_WAIT_WRITE)
			break;
		if (io == IO_ERROR) {
			die(c, "read failed", true);
			return;
		}
		if (io == IO_EOF) {
			c->eof = true;
			break;
		}
		buf_grow(&c->in, got);
		some = true;
		if (c->ssl != NULL ? SSL_pending(c->ssl) == 0 : got < room)
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
	if (reading && c->tls == TLS_UP && SSL_pending(c->ssl) > 0)
		ev_feed_event(c->loop, &c->rio, EV_READ);
}

struct conn *
conn_new(struct ev_loop *loop, int fd, const struct conn_timeouts *t,
    conn_fn *fn, void *user)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	fs_set_nonblock(fd, true);
	c->loop = loop;
	c->fd = fd;
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
	assert(c->ssl == NULL && c->state == OPEN);
	/* "go ahead" is still plain text; a few bytes that a peer who reads
	 * at all has room for */
	while (c->out.n > 0) {
		size_t sent;

		if (write_some(c, buf_str(&c->out), &sent) != IO_DONE) {
			die(c, "peer does not read", true);
			return;
		}
		buf_consume(&c->out, sent);
	}
	c->ssl = SSL_new(ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) {
		die(c, "out of memory for TLS", true);
		return;
	}
	if (c->in.n > 0) {
		/* plain bytes behind STARTTLS cannot be the start of an
		 * honest handshake that waited for our reply */
		die(c, "plain text after STARTTLS", true);
		return;
	}
	SSL_set_accept_state(c->ssl);
	c->tls = TLS_HANDSHAKE;
	c->rtimer.repeat = c->timeouts.handshake_ms / 1e3;
	ev_timer_again(c->loop, &c->rtimer);
	c->rtimer.repeat = c->timeouts.read_ms / 1e3;
	update(c);
}

SSL *
conn_ssl(struct conn *c)
{
	return c->ssl;
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

		if (write_some(c, s, &sent) == IO_DONE)
			s = str_sub(s, sent, s.n);
	}
	buf_put(&c->out, s);
	if (c->out.full) {
		c->why = "peer does not read";
		shutdown(c->fd, SHUT_RDWR); /* ends as a read or write error */
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
		if (c->ssl == NULL)
			shutdown(c->fd, SHUT_WR);
		else {
			ERR_clear_error();
			SSL_shutdown(c->ssl);
		}
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
	int fd = c->fd;

	assert(c->ssl == NULL && c->out.n == 0);
	ev_io_stop(c->loop, &c->rio);
	ev_io_stop(c->loop, &c->wio);
	c->fd = -1;
	conn_abort(c);
	return fd;
}

const char *
conn_why(const struct conn *c)
{
	return c->why == NULL ? "closed" : c->why;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}
