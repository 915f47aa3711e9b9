#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pack.h"
#include "base/xalloc.h"
#include "service/worker/worker.h"
#include "session.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define HANDOVER_MS 30000 /* the front writes it at once, or died */

static bool
wait_input(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc;

	do
		rc = poll(&p, 1, HANDOVER_MS);
	while (rc == -1 && errno == EINTR);
	return rc == 1;
}

/* The length, and with it perhaps the client's descriptor. */
static bool
read_head(int chan, uint32_t *n, int *client)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	char head[4];
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(head) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl) };
	struct cmsghdr *c;

	*client = -1;
	if (!wait_input(chan) ||
	    recvmsg(chan, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL) != 4)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(client, CMSG_DATA(c), sizeof(int));
	*n = le32_get(head);
	return *n <= HANDOVER_MAX;
}

static bool
read_handover(int chan, struct buf *b, struct msg_handover *h, int *client)
{
	uint32_t n;
	char *p;

	if (!read_head(chan, &n, client) || (p = buf_reserve(b, n)) == NULL)
		return false;
	while (b->n < n) {
		ssize_t got;

		if (!wait_input(chan))
			return false;
		got = recv(chan, b->p + b->n, n - b->n, 0);
		if (got <= 0)
			return false;
		buf_grow(b, (size_t)got);
	}
	return msg_unpack_handover(buf_str(b), h) &&
	       h->has_fd == (*client != -1);
}

int
imap_work(const struct nursery_job *job)
{
	const struct worker_settings *settings = worker_settings();
	struct imap_start start = { .rootfd = job->dir,
		.store = worker_account_opts(job),
		.account = job->account,
		.login = job->login };
	struct imap_limits limits = imap_limits_default;
	struct msg_handover h;
	int client, end;
	struct buf b;

	/* ten times what a stranger gets */
	limits.write_ms = (int)(settings->write_ms * 10);
	limits.append_max = settings->message_size;
	start.limits = &limits;
	log_set_prog("quire-imap");
	buf_init(&b, HANDOVER_MAX);
	if (!read_handover(job->chan, &b, &h, &client))
		return 0; /* the client hung up before it began */
	log_set_sid(h.sid);
	start.remote = str_dup(h.remote);
	start.is_tls = h.is_tls;
	start.tag = h.tag;
	start.input = h.input;
	start.in = start.out = h.has_fd ? client : job->chan;
	if (h.has_fd)
		fs_set_nonblock(client, false);
	end = imap_session_run(&start);
	LOG_INFO("session.end", F_CSTR("account", job->account),
	    F_CSTR("why", end == IMAP_END_LOGOUT  ? "logout" :
			  end == IMAP_END_CLOSED  ? "closed" :
			  end == IMAP_END_REFUSED ? "refused" :
						    "failed"));
	return 0;
}
