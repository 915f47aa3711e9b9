#include "system/ipc/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pack.h"

#define HEADER 8

int
ipc_pair(int fds[2])
{
	int size = 1 << 20;
	unsigned i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return -1;
	for (i = 0; i < 2; i++) /* a burst of orders must fit */
		(void)setsockopt(
		    fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

void
ipc_begin(struct buf *b, uint16_t type, uint32_t id)
{
	buf_clear(b);
	pack_u16(b, type);
	pack_u16(b, 0);
	pack_u32(b, id);
}

enum ipc_result
ipc_send(int fd, const struct buf *b, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS)];
	} ctl;
	struct iovec iov = { .iov_base = b->p, .iov_len = b->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (b->full || b->n > IPC_MAX || b->n < HEADER || nfds > IPC_FDS)
		return IPC_CLOSED;
	if (nfds > 0) {
		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = &ctl;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&ctl.h), fds, sizeof(int) * nfds);
	}
	for (;;) {
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);

		if (n == (ssize_t)b->n)
			return IPC_OK;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == ENOBUFS))
			return IPC_AGAIN;
		return IPC_CLOSED;
	}
}

static void
take_rights(struct msghdr *m, struct ipc_msg *out)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t i, n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(
			    &fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (out->nfds < IPC_FDS)
				out->fds[out->nfds++] = fd;
			else
				close(fd);
		}
	}
}

enum ipc_result
ipc_recv(int fd, struct ipc_msg *out, char *buf, size_t size, bool wait)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int) * IPC_FDS)];
	} ctl;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl) };
	uint16_t zero;
	ssize_t n;

	*out = (struct ipc_msg){ 0 };
	do
		n = recvmsg(
		    fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? IPC_AGAIN : IPC_CLOSED;
	take_rights(&m, out);
	if (n < HEADER || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		ipc_close_fds(out);
		return IPC_CLOSED;
	}
	cur_init(&out->body, str_make(buf, (size_t)n));
	cur_u16(&out->body, &out->type);
	cur_u16(&out->body, &zero);
	cur_u32(&out->body, &out->id);
	if (zero != 0) {
		ipc_close_fds(out);
		return IPC_CLOSED;
	}
	return IPC_OK;
}

int
ipc_take_fd(struct ipc_msg *m, unsigned i)
{
	int fd;

	if (i >= m->nfds)
		return -1;
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

void
ipc_close_fds(struct ipc_msg *m)
{
	unsigned i;

	for (i = 0; i < m->nfds; i++)
		if (m->fds[i] != -1)
			close(m->fds[i]);
	m->nfds = 0;
}
