#include "system/daemon/daemon.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/* The snapshot and keys come as sealed memfds; bounded by quired's reader. */
#define MAX_SNAPSHOT (64 << 20)

static void
read_fd(struct ipc_msg *m, struct buf *out)
{
	int fd = ipc_take_fd(m, 0);
	off_t size;
	char *p;

	buf_clear(out);
	if (fd == -1)
		return;
	/* not fstat(): libc makes a call by path of it, which a confined
	 * program has no more when a reload comes */
	size = lseek(fd, 0, SEEK_END);
	if (size > 0 && (p = buf_reserve(out, (size_t)size)) != NULL) {
		ssize_t n = fs_pread_all(fd, p, (size_t)size, 0);

		if (n > 0)
			buf_grow(out, (size_t)n);
	}
	close(fd);
}

static void
take_listener(struct daemon *d, struct ipc_msg *m)
{
	struct daemon_listener *l;
	struct msg_listener in;
	unsigned i;

	for (i = 0; i < DAEMON_MAX_LISTENERS && d->listeners[i] != NULL; i++)
		;
	if (i == DAEMON_MAX_LISTENERS || !msg_unpack_listener(m, &in) ||
	    m->nfds != 1) {
		LOG_ERROR("daemon.listener", F_INT("slot", i));
		return;
	}
	d->listeners[i] = l = xcalloc(1, sizeof(*l));
	l->fd = ipc_take_fd(m, 0);
	l->id = m->id;
	l->service = in.service;
	l->plain_login = in.plain_login;
	l->no_limits = in.no_limits;
	str_copy(in.name, l->name, sizeof(l->name));
	str_copy(in.address, l->address, sizeof(l->address));
}

static void
drop_listener(struct daemon *d, uint32_t id)
{
	unsigned i;

	for (i = 0; i < DAEMON_MAX_LISTENERS; i++)
		if (d->listeners[i] != NULL && d->listeners[i]->id == id)
			d->listeners[i]->is_gone = true;
}

static void
take_peer(struct daemon *d, struct ipc_msg *m)
{
	struct msg_tag tag;
	unsigned i;

	if (!msg_unpack_tag(m, &tag) || m->nfds != 1)
		return;
	for (i = 0; i < d->npeers; i++)
		if (d->peers[i].kind == tag.kind &&
		    d->peers[i].instance == tag.instance)
			break;
	if (i == DAEMON_MAX_PEERS)
		return;
	if (i == d->npeers)
		d->peers[d->npeers++].fd = -1;
	if (d->peers[i].fd != -1)
		close(d->peers[i].fd);
	d->peers[i] =
	    (struct daemon_peer){ ipc_take_fd(m, 0), tag.kind, tag.instance };
	fs_set_nonblock(d->peers[i].fd, true);
}

static void
take_secret(struct daemon *d, struct ipc_msg *m)
{
	struct msg_tag tag;

	if (!msg_unpack_tag(m, &tag))
		return;
	if (tag.kind == SECRET_TLS)
		read_fd(m, &d->tls);
	else if (tag.kind == SECRET_CID)
		read_fd(m, &d->cid_key);
}

static void
take_dir(struct daemon *d, struct ipc_msg *m)
{
	struct msg_tag tag;
	int *at;

	if (!msg_unpack_tag(m, &tag))
		return;
	at = tag.kind == DIR_AUTH ? &d->auth_dir : &d->spool_dir;
	if (*at != -1)
		close(*at);
	*at = ipc_take_fd(m, 0);
}

static enum daemon_event
handle(struct daemon *d, struct ipc_msg *m)
{
	struct msg_tag tag;

	switch (m->type) {
	case MSG_CONFIG:
		read_fd(m, &d->config);
		return DAEMON_NONE;
	case MSG_LISTENER:
		take_listener(d, m);
		return DAEMON_NONE;
	case MSG_UNLISTEN:
		if (msg_unpack_tag(m, &tag))
			drop_listener(d, tag.kind);
		return DAEMON_NONE;
	case MSG_PEER:
		take_peer(d, m);
		return DAEMON_PEER;
	case MSG_SECRET:
		take_secret(d, m);
		return DAEMON_NONE;
	case MSG_DIR:
		take_dir(d, m);
		return DAEMON_NONE;
	case MSG_METRICS:
		if (d->metrics == -1)
			d->metrics = ipc_take_fd(m, 0);
		return DAEMON_NONE;
	case MSG_LOGLEVEL:
		if (msg_unpack_tag(m, &tag) && tag.kind <= LOG_LEVEL_TRACEDATA)
			log_set_level((enum log_level)tag.kind);
		return DAEMON_NONE;
	case MSG_GO:
		if (msg_unpack_tag(m, &tag)) {
			d->uid = tag.kind;
			d->gid = tag.instance;
		}
		return DAEMON_CONFIG;
	case MSG_STOP:
		return DAEMON_STOP;
	default:
		return DAEMON_MESSAGE;
	}
}

enum daemon_event
daemon_receive(struct daemon *d, struct ipc_msg *m)
{
	enum daemon_event ev;

	switch (ipc_recv(d->ctl, m, d->recv_buf, sizeof(d->recv_buf), false)) {
	case IPC_AGAIN:
		return DAEMON_NONE;
	case IPC_CLOSED:
		return DAEMON_LOST;
	case IPC_OK:
		break;
	}
	ev = handle(d, m);
	if (ev != DAEMON_MESSAGE)
		ipc_close_fds(m);
	return ev;
}

/* As many descriptors as the system lets us have: connections need them. */
static void
raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

void
daemon_init(struct daemon *d, const char *name)
{
	struct ipc_msg m;
	int type;
	socklen_t n = sizeof(type);

	*d = (struct daemon){ .name = name,
		.ctl = DAEMON_CTL,
		.auth_dir = -1,
		.spool_dir = -1,
		.metrics = -1 };
	buf_init(&d->config, MAX_SNAPSHOT);
	buf_init(&d->tls, MAX_SNAPSHOT);
	buf_init(&d->cid_key, 4096);
	if (getsockopt(DAEMON_CTL, SOL_SOCKET, SO_TYPE, &type, &n) == -1 ||
	    type != SOCK_SEQPACKET) {
		fprintf(stderr,
		    "%s is started by quired, not by hand; see quire(8)\n",
		    name);
		exit(64); /* EX_USAGE */
	}
	log_init(name, STDERR_FILENO, LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	/* quired ends its children over the channel; a terminal's ^C or ^\
	 * must not cut sessions short */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	umask(077);
	raise_nofile();
	for (;;) {
		if (ipc_recv(d->ctl, &m, d->recv_buf, sizeof(d->recv_buf),
			true) != IPC_OK)
			exit(0);
		switch (handle(d, &m)) {
		case DAEMON_CONFIG:
			ipc_close_fds(&m);
			return;
		case DAEMON_STOP:
			exit(0);
		default:
			ipc_close_fds(&m);
		}
	}
}

int
daemon_drop(uid_t uid, gid_t gid, struct err *e)
{
	if (geteuid() != 0 || uid == 0)
		return 0;
	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return err_sys(e, "change to uid %u", (unsigned)uid);
	if (setuid(0) != -1) /* must not come back */
		return err_set(
		    e, ERR_PERM, "uid %u can return to root", (unsigned)uid);
	return 0;
}

void
daemon_confine(struct daemon *d, const struct confine_profile *p,
    const struct confine_dir *dirs, size_t n)
{
	struct err e;
	struct buf b;
	bool isolated;

	if (((p->allow & CONFINE_SETID) == 0 &&
		daemon_drop(d->uid, d->gid, &e) == -1) ||
	    confine_enter(p, dirs, n, &isolated, &e) == -1) {
		LOG_ERROR("daemon.confine", F_ERR(&e));
		exit(71);
	}
	prctl(PR_SET_DUMPABLE, 0);
	if (!isolated)
		LOG_WARN("daemon.isolation", F_CSTR("isolation", "none"));
	buf_init(&b, 64);
	msg_pack_plain(&b, MSG_READY, 0);
	(void)ipc_send(d->ctl, &b, NULL, 0);
	buf_release(&b);
}

int
daemon_peer_fd(const struct daemon *d, uint32_t kind, uint32_t instance)
{
	unsigned i;

	for (i = 0; i < d->npeers; i++)
		if (d->peers[i].kind == kind &&
		    d->peers[i].instance == instance)
			return d->peers[i].fd;
	return -1;
}

void
daemon_peer_lost(struct daemon *d, int fd)
{
	unsigned i;

	for (i = 0; i < d->npeers; i++)
		if (d->peers[i].fd == fd) {
			close(fd);
			d->peers[i].fd = -1;
		}
}
