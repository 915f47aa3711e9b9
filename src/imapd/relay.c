#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imapd.h"
#include "system/log/log.h"

/*
 * After login. With TLS the front keeps the client's socket and moves bytes
 * both ways, pausing one side when the other does not keep up. Without TLS
 * the session gets the socket itself.
 */

/* Move what there is; pause the source when the target is behind. */
static void
move(struct conn *from, struct conn *to)
{
	struct str in = conn_input(from);

	if (in.n > 0 && conn_queued(to) < RELAY_HIGH) {
		conn_write(to, in);
		conn_consume(from, in.n);
	}
	conn_pause(from, conn_queued(to) >= RELAY_HIGH);
}

static void
end(struct client *cl, const char *why)
{
	log_set_sid(str_from(cl->cid));
	LOG_INFO(
	    "disconnect", F_CSTR("remote", cl->remote), F_CSTR("why", why));
	log_set_sid(STR(""));
	client_free(cl);
}

static void
on_client(struct conn *c, enum conn_event ev, void *user)
{
	struct client *cl = user;

	switch (ev) {
	case CONN_INPUT:
		move(c, cl->session);
		break;
	case CONN_DRAINED:
		move(cl->session, c);
		break;
	case CONN_EOF:
		conn_finish(cl->session);
		break;
	case CONN_CLOSED:
		cl->conn = NULL;
		end(cl, conn_why(c));
		break;
	case CONN_TLS_UP:
		break;
	}
}

static void
on_session(struct conn *s, enum conn_event ev, void *user)
{
	struct client *cl = user;
	struct conn *c = cl->conn;

	switch (ev) {
	case CONN_INPUT:
		if (c != NULL)
			move(s, c);
		break;
	case CONN_DRAINED:
		if (c != NULL)
			move(c, s);
		break;
	case CONN_EOF:
	case CONN_CLOSED:
		if (ev == CONN_CLOSED)
			cl->session = NULL;
		if (c != NULL && conn_input(s).n > 0)
			conn_write(c, conn_input(s));
		cl->conn = NULL;
		end(cl, "session ended");
		if (c != NULL)
			conn_close(c); /* its last words are still sent */
		break;
	case CONN_TLS_UP:
		break;
	}
}

/* Length, text and perhaps the client's socket, in one send. */
static bool
send_handover(int fd, const struct buf *b, int give)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = { .space = { 0 } };
	struct iovec iov = { .iov_base = b->p, .iov_len = b->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (give != -1) {
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), &give, sizeof(int));
	}
	/* a fresh socketpair takes HANDOVER_MAX at once */
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)b->n;
}

static void
unlimited(struct conn *c)
{
	conn_set_read_timeout(c, 0); /* the session keeps the time now */
}

void
relay_start(struct client *cl, int fd)
{
	struct imapd *f = cl->front;
	bool tls = conn_is_tls(cl->conn),
	     away = !tls && conn_queued(cl->conn) == 0;
	struct msg_handover h = { .tag = str_from(cl->tag),
		.remote = str_from(cl->remote),
		.sid = str_from(cl->cid),
		.input = imap_reader_rest(cl->reader),
		.is_tls = tls,
		.has_fd = away };
	struct conn_timeouts t = { .write_ms = f->base.timeouts.write_ms * 10 };
	struct buf b;
	bool ok;
	int size = 2 * HANDOVER_MAX;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	buf_init(&b, HANDOVER_MAX);
	msg_pack_handover(&b, &h);
	ok = !b.full && send_handover(fd, &b, away ? conn_fd(cl->conn) : -1);
	buf_release(&b);
	if (!ok) {
		LOG_ERROR("handover", F_CSTR("err", strerror(errno)));
		close(fd);
		client_bye(cl, "[UNAVAILABLE] cannot start a session now");
		return;
	}
	ev_timer_stop(f->base.loop, &cl->login);
	imap_reader_free(&cl->reader);
	arena_release(&cl->arena);
	cl->state = away ? CLIENT_AWAY : CLIENT_RELAY;
	if (away) {
		conn_abort(cl->conn); /* closes our copy only */
		cl->conn = NULL;
	} else {
		conn_consume(cl->conn, conn_input(cl->conn).n);
		conn_set_fn(cl->conn, on_client, cl);
		unlimited(cl->conn);
		conn_pause(cl->conn, false);
	}
	cl->session = conn_new(f->base.loop, fd, &t, on_session, cl);
}
