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
link_init(struct link *l, struct ev_loop *loop, const char *name,
    void (*message)(void *, struct ipc_msg *), void (*lost)(void *, int fd),
    void *user)
{
	l->loop = loop;
	l->name = name;
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
link_send_fd(struct link *l, const struct buf *b, int fd)
{
	if (l->fd != -1 && ipc_send(l->fd, b, fd == -1 ? NULL : &fd,
			       fd == -1 ? 0 : 1) == IPC_OK)
		return true;
	LOG_ERROR("peer.channel", F_CSTR("program", l->name),
	    F_CSTR("err", "not there, or it does not read"));
	return false;
}

bool
link_send(struct link *l, const struct buf *b)
{
	return link_send_fd(l, b, -1);
}
