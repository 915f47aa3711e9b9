#include "system/io/link.h"

#include "system/log/log.h"

static void
drop(struct link *l)
{
	int fd = l->fd;

	if (fd == -1)
		return;
	ev_io_stop(l->loop, &l->io);
	l->fd = -1;
	l->lost(l->user, fd);
}

static void
link_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct link *l = w->data;
	struct ipc_msg m;

	while (l->fd == w->fd)
		switch (ipc_recv(
		    l->fd, &m, l->recv_buf, sizeof(l->recv_buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			drop(l);
			return;
		case IPC_OK:
			l->message(l->user, &m);
			ipc_close_fds(&m);
		}
}

void
link_init(struct link *l, struct ev_loop *loop,
    void (*message)(void *, struct ipc_msg *), void (*lost)(void *, int fd),
    void *user)
{
	l->loop = loop;
	l->fd = -1;
	l->message = message;
	l->lost = lost;
	l->user = user;
}

void
link_use(struct link *l, int fd)
{
	if (fd == l->fd)
		return;
	drop(l);
	l->fd = fd;
	if (fd == -1)
		return;
	ev_io_init(&l->io, link_cb, fd, EV_READ);
	l->io.data = l;
	ev_io_start(l->loop, &l->io);
}

bool
link_send(struct link *l, const struct buf *b)
{
	if (l->fd != -1 && ipc_send(l->fd, b, NULL, 0) == IPC_OK)
		return true;
	LOG_ERROR("auth.channel", F_CSTR("err", "authd is not there"));
	return false;
}
