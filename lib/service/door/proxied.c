#include "service/door/proxied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/io/accept.h"

struct proxied {
	struct ev_loop *loop;
	ev_io io;
	ev_timer late;
	int fd;
	proxied_fn *fn;
	void *user;
	size_t n;
	char remote[ADDR_TEXT], in[PROXY_MAX];
};

static unsigned waiting;

/* h == NULL: it failed */
static void
end(struct proxied *p, const struct proxy_header *h, const char *why)
{
	ev_io_stop(p->loop, &p->io);
	ev_timer_stop(p->loop, &p->late);
	waiting--;
	if (h == NULL)
		close(p->fd);
	p->fn(p->user, h == NULL ? -1 : p->fd, p->remote, h, why);
	free(p);
}

static void
late_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	end(w->data, NULL, "no proxy header in time");
}

static void
read_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct proxied *p = w->data;
	struct proxy_header h;
	size_t need;

	for (;;) {
		ssize_t n;

		switch (proxy_parse(str_make(p->in, p->n), &h, &need)) {
		case PROXY_OK:
			end(p, &h, NULL);
			return;
		case PROXY_BAD:
			end(p, NULL, "not a proxy header");
			return;
		case PROXY_MORE:
			break;
		}
		n = recv(p->fd, p->in + p->n, need, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end(p, NULL, "closed before its proxy header");
			return;
		}
		p->n += (size_t)n;
	}
}

bool
proxied_start(struct ev_loop *loop, int fd, const char *remote,
    unsigned timeout_ms, proxied_fn *fn, void *user)
{
	struct proxied *p;

	if (waiting >= PROXIED_MAX) {
		close(fd);
		return false;
	}
	waiting++;
	p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->fd = fd;
	p->fn = fn;
	p->user = user;
	str_copy(str_from(remote), p->remote, sizeof(p->remote));
	ev_io_init(&p->io, read_cb, fd, EV_READ);
	ev_timer_init(&p->late, late_cb, timeout_ms / 1e3, 0.);
	p->io.data = p->late.data = p;
	ev_io_start(loop, &p->io);
	ev_timer_start(loop, &p->late);
	return true;
}
