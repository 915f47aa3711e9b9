#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <sodium.h>

#include "authd.h"
#include "base/date.h"
#include "base/xalloc.h"
#include "profile.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

static void
configure(struct authd *a)
{
	struct config *c = config_snapshot(buf_str(&a->d.config));

	if (c != NULL) {
		config_free(&a->config);
		a->config = c;
	}
}

static void
peer_message(struct authd *a, struct daemon_peer *p, struct ipc_msg *m)
{
	struct msg_user_reply r;

	if (p->kind == PROG_USERDB) {
		if (m->type == MSG_USER_REPLY && msg_unpack_user_reply(m, &r))
			exchange_user_reply(a, m->id, &r);
	} else
		exchange_message(a, p, m);
}

static void
peer_receive(struct authd *a, struct daemon_peer *p)
{
	struct ipc_msg m;
	int fd = p->fd;

	while (p->fd == fd)
		switch (
		    ipc_recv(fd, &m, a->recv_buf, sizeof(a->recv_buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			exchange_drop_front(a, p);
			daemon_peer_lost(&a->d, fd);
			return;
		case IPC_OK:
			peer_message(a, p, &m);
			sodium_memzero(a->recv_buf, sizeof(a->recv_buf));
			ipc_close_fds(&m);
		}
}

/* false: the end */
static bool
control(struct authd *a)
{
	struct ipc_msg m;

	switch (daemon_receive(&a->d, &m)) {
	case DAEMON_STOP:
	case DAEMON_LOST:
		return false;
	case DAEMON_CONFIG:
		configure(a);
		break;
	case DAEMON_MESSAGE:
		ipc_close_fds(&m);
		break;
	case DAEMON_NONE:
	case DAEMON_PEER:
		break;
	}
	return true;
}

static void
serve(struct authd *a)
{
	for (;;) {
		struct pollfd p[1 + HASH_WORKERS + DAEMON_MAX_PEERS];
		unsigned n = 0, i, npeers = a->d.npeers;
		int64_t now;

		p[n++] = (struct pollfd){ .fd = a->d.ctl, .events = POLLIN };
		for (i = 0; i < HASH_WORKERS; i++)
			p[n++] = (struct pollfd){ .fd = a->workers[i].fd,
				.events = POLLIN };
		for (i = 0; i < npeers; i++)
			p[n++] = (struct pollfd){ .fd = a->d.peers[i].fd,
				.events = POLLIN };
		/* the clock matters only while somebody is being waited for */
		if (poll(p, n, a->nexchanges > 0 ? 1000 : -1) == -1 &&
		    errno != EINTR)
			return;
		for (i = 0; i < HASH_WORKERS; i++)
			if (p[1 + i].revents != 0)
				hash_receive(a, &a->workers[i]);
		for (i = 0; i < npeers; i++)
			if (p[1 + HASH_WORKERS + i].revents != 0 &&
			    a->d.peers[i].fd == p[1 + HASH_WORKERS + i].fd)
				peer_receive(a, &a->d.peers[i]);
		if (p[0].revents != 0 && !control(a))
			return;
		now = date_mono_ms();
		exchange_expire(a, now);
		hash_tick(a, now);
	}
}

/* Made once and kept, so that an unknown name's salt never changes. */
static int
server_key(struct authd *a, struct err *e)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, sizeof(a->server_key));
	if (faccessat(a->d.auth_dir, ".server-key", F_OK, 0) == -1) {
		randombytes_buf(a->server_key, sizeof(a->server_key));
		buf_put(&b, str_make((const char *)a->server_key,
				sizeof(a->server_key)));
		rc = fs_replace(a->d.auth_dir, ".server-key.tmp", ".server-key",
		    0600, buf_str(&b), e);
	} else if ((rc = fs_read_file(a->d.auth_dir, ".server-key", &b, e)) ==
		   0) {
		if (b.n == sizeof(a->server_key))
			memcpy(a->server_key, b.p, b.n);
		else
			rc = err_set(
			    e, ERR_PERM, "auth/.server-key is not 32 bytes");
	}
	buf_release(&b);
	return rc;
}

/* A hash nobody knows the password of. */
static int
dummy_hash(struct authd *a, struct err *e)
{
	static const struct auth_cost usual = { 0 };
	struct auth_record r;
	struct arena arena;
	char password[33];
	unsigned char raw[16];
	int rc;

	randombytes_buf(raw, sizeof(raw));
	sodium_bin2hex(password, sizeof(password), raw, sizeof(raw));
	arena_init(&arena, 65536);
	rc = auth_derive(
	    &arena, STR("nobody"), str_from(password), &usual, &r, e);
	buf_init(&a->dummy_hash, AUTH_MAX_RECORD);
	if (rc == 0)
		buf_put(&a->dummy_hash, r.hash);
	arena_release(&arena);
	return rc;
}

int
main(void)
{
	struct authd *a = xcalloc(1, sizeof(*a));
	struct confine_dir dir = { .write = false };
	struct err e;

	if (sodium_init() == -1)
		return 71;
	daemon_init(&a->d, "quire-authd");
	tries_init(a);
	configure(a);
	if (a->config == NULL)
		return 78;
	if (daemon_drop(a->d.uid, a->d.gid, &e) == -1 || hash_start(a) == -1) {
		LOG_ERROR("authd.start", F_CSTR("err", strerror(errno)));
		return 71;
	}
	randombytes_buf(a->cache_key, sizeof(a->cache_key));
	if (server_key(a, &e) == -1 || dummy_hash(a, &e) == -1) {
		LOG_ERROR("authd.start", F_ERR(&e));
		return 71;
	}
	dir.fd = a->d.auth_dir;
	daemon_confine(&a->d, &authd_profile, &dir, 1);
	serve(a);
	return 0;
}
