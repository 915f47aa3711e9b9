#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/date.h"

void
out_init(struct out *o, int fd, int write_ms)
{
	*o = (struct out){ .fd = fd, .write_ms = write_ms };
	buf_init(&o->b, OUT_MAX);
	o->fd_flags = fcntl(fd, F_GETFL);
	if (o->fd_flags != -1)
		fcntl(fd, F_SETFL, o->fd_flags | O_NONBLOCK);
}

void
out_release(struct out *o)
{
	buf_release(&o->b);
	if (o->fd_flags != -1)
		fcntl(o->fd, F_SETFL, o->fd_flags);
}

/* True when fd takes bytes again before the deadline. */
static bool
wait_writable(const struct out *o, int64_t deadline_ms)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	int64_t left;
	int n;

	for (;;) {
		left = deadline_ms - date_mono_ms();
		if (left <= 0)
			return false;
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return true;
		if (n == -1 && errno != EINTR)
			return false;
	}
}

/* The deadline runs from the last byte that the client took. */
static bool
write_all(const struct out *o, const char *p, size_t n)
{
	int64_t deadline = date_mono_ms() + o->write_ms;
	ssize_t done;

	while (n > 0) {
		done = write(o->fd, p, n);
		if (done > 0) {
			p += done;
			n -= (size_t)done;
			deadline = date_mono_ms() + o->write_ms;
		} else if (done == -1 && errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_writable(o, deadline))
			return false;
	}
	return true;
}

void
out_flush(struct out *o)
{
	o->flushes++;
	if (o->b.full)
		o->is_dead = true; /* something is missing in the stream */
	if (!o->is_dead && o->b.n > 0 && !write_all(o, o->b.p, o->b.n))
		o->is_dead = true;
	buf_clear(&o->b);
	if (o->b.cap > 4 * OUT_FLUSH)
		buf_shrink(&o->b);
}

void
out_check(struct out *o)
{
	if (o->b.n >= OUT_FLUSH || o->b.full)
		out_flush(o);
}

void
out_shrink(struct out *o)
{
	out_flush(o);
	buf_shrink(&o->b);
}

void
out_puts(struct out *o, const char *s)
{
	buf_puts(&o->b, s);
}

void
out_put(struct out *o, struct str s)
{
	buf_put(&o->b, s);
}

void
out_uint(struct out *o, uint64_t v)
{
	buf_put_uint(&o->b, v);
}

void
out_printf(struct out *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&o->b, fmt, ap);
	va_end(ap);
}
