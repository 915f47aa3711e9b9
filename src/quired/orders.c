#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quired.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * Who may ask for what: only authd may have a session started, only smtpd
 * may ask for an mda. The uid and the directory come from our own
 * configuration, never from the asker.
 */

static bool
is_below_root(const struct config *c, struct str path)
{
	size_t i;

	if (c->mail_roots.n == 0)
		return true;
	for (i = 0; i < c->mail_roots.n; i++) {
		struct str root = c->mail_roots.v[i];

		while (root.n > 1 && root.p[root.n - 1] == '/')
			root.n--;
		if (str_starts(path, root) &&
		    (path.n == root.n || path.p[root.n] == '/'))
			return true;
	}
	return false;
}

/* A new account's directory: made by us, owned by its user. */
static int
make_dir(const struct config *c, const struct config_account *a,
    const char *path, struct err *e)
{
	if (fs_mkdir_p(path, 0700, e) == -1)
		return -1;
	if (geteuid() == 0 && !c->is_single_user &&
	    chown(path, (uid_t)a->uid, (gid_t)a->gid) == -1)
		return err_sys(e, "chown %s", path);
	return 0;
}

static int
open_maildir(struct quired *q, const struct config_account *a,
    struct msg_order *o, struct err *e)
{
	const struct config *c = q->set.config;
	char *path = str_dup(a->maildir);
	struct stat st;
	int fd = -1;

	if (!is_below_root(c, a->maildir)) {
		err_set(e, ERR_PERM, "maildir of %.*s is outside mail-roots",
		    STR_ARG(a->name));
		goto done;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT && make_dir(c, a, path, e) == -1)
		goto done;
	if (fd == -1)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		err_sys(e, "maildir %s", path);
		goto done;
	}
	o->uid = c->is_single_user ? (uint32_t)geteuid() : (uint32_t)a->uid;
	o->gid = c->is_single_user ? (uint32_t)getegid() : (uint32_t)a->gid;
	if (st.st_uid != o->uid ||
	    (!c->is_single_user && o->uid < c->min_uid)) {
		err_set(e, ERR_PERM,
		    "maildir %s belongs to uid %u, the account is uid %u", path,
		    (unsigned)st.st_uid, o->uid);
		close(fd);
		fd = -1;
	}
done:
	free(path);
	return fd;
}

/* -1 also where none is needed; then e->text is empty. */
static int
open_index(struct quired *q, const struct config_account *a,
    const struct msg_order *o, struct err *e)
{
	struct stat st;
	char *path;
	int fd = -1;

	*e = (struct err){ 0 };
	if (a->layout != LAYOUT_FS)
		return -1;
	path = str_dup(a->index_root);
	if (stat(path, &st) == 0 || make_dir(q->set.config, a, path, e) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		err_sys(e, "index-root %s", path);
	else if (st.st_uid != o->uid)
		err_set(e, ERR_PERM,
		    "index-root %s belongs to uid %u, the account is uid %u",
		    path, (unsigned)st.st_uid, o->uid);
	if (e->text[0] != '\0' && fd != -1) {
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

/*
 * Not to be had is no reason to refuse mail. It is the owner's, who cannot
 * open it, so that what a worker makes of it counts against his quota.
 */
static int
open_marks(
    struct quired *q, const struct config_account *a, const struct msg_order *o)
{
	struct err e = { 0 };
	int fd = config_open_marks(q->set.config, a, &e);

	if (fd != -1 && geteuid() == 0 && !q->set.config->is_single_user &&
	    fchown(fd, (uid_t)o->uid, (gid_t)o->gid) == -1) {
		err_sys(&e, "chown");
		close(fd);
		fd = -1;
	}
	if (fd == -1)
		LOG_WARN("marks", F_STR("account", a->name), F_ERR(&e));
	return fd;
}

static void
close_all(const int *fds, unsigned n)
{
	while (n > 0)
		close(fds[--n]);
}

/* What a worker of that account is given, after its channel: how many
 * descriptors, -1. */
static int
open_account(struct quired *q, const struct config_account *a,
    struct msg_order *o, int fds[3], struct err *e)
{
	int n = 0, fd = open_maildir(q, a, o, e);

	if (fd == -1)
		return -1;
	fds[n++] = fd;
	fd = open_index(q, a, o, e);
	if (fd == -1 && e->text[0] != '\0') {
		close_all(fds, 1);
		return -1;
	}
	if (fd != -1) {
		o->has_index = true;
		fds[n++] = fd;
	}
	fd = open_marks(q, a, o);
	if (fd != -1) {
		o->has_marks = true;
		fds[n++] = fd;
	}
	return n;
}

/* Give one end to a new worker; the other is returned. */
static int
order_worker(struct quired *q, enum prog nursery, int type, struct str account,
    struct str login, struct err *e)
{
	const struct config_account *a = config_account(q->set.config, account);
	struct msg_order o = { .account = account, .login = login };
	int pair[2], give[IPC_FDS], n, rc = -1;
	struct buf b;

	if (a == NULL)
		return err_set(
		    e, ERR_PERM, "no account '%.*s'", STR_ARG(account));
	n = open_account(q, a, &o, give + 1, e);
	if (n == -1)
		return -1;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == -1) {
		err_sys(e, "socketpair");
		close_all(give + 1, (unsigned)n);
		return -1;
	}
	give[0] = pair[1];
	buf_init(&b, IPC_MAX);
	msg_pack_order(&b, &o);
	if (q->child[nursery].ctl == -1 ||
	    ipc_send(q->child[nursery].ctl, &b, give, 1u + (unsigned)n) !=
		IPC_OK) {
		err_set(e, ERR_TEMP, "%s is not there", prog_names[nursery]);
		close(pair[0]);
	} else
		rc = pair[0];
	close_all(give, 1u + (unsigned)n);
	buf_release(&b);
	return rc;
}

static void
reply(struct quired *q, enum prog front, uint16_t type, uint32_t id,
    struct msg_session *s, int fd)
{
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_session(&b, type, id, s);
	children_send(q, front, &b, fd == -1 ? NULL : &fd, fd == -1 ? 0 : 1);
	buf_release(&b);
	if (fd != -1)
		close(fd);
}

static void
start_session(struct quired *q, struct ipc_msg *m)
{
	struct msg_session s = { 0 };
	struct msg_start in;
	struct err e;
	int fd;

	if (!msg_unpack_start(m, &in) || in.front != PROG_IMAPD) {
		LOG_ERROR("order.bad", F_CSTR("what", "session"));
		return;
	}
	fd = order_worker(q, PROG_IMAP, SOCK_STREAM, in.account, in.login, &e);
	s.ok = fd != -1;
	s.account = in.account;
	s.login = in.login;
	if (fd == -1) {
		s.why = str_from(e.text);
		LOG_ERROR(
		    "session.refused", F_STR("account", in.account), F_ERR(&e));
	} else
		q->sessions++;
	reply(q, (enum prog)in.front, MSG_SESSION, m->id, &s, fd);
}

static void
start_mda(struct quired *q, struct ipc_msg *m)
{
	struct msg_session s = { 0 };
	struct msg_start in;
	struct err e;
	int fd;

	if (!msg_unpack_start(m, &in)) {
		LOG_ERROR("order.bad", F_CSTR("what", "mda"));
		return;
	}
	fd =
	    order_worker(q, PROG_MDA, SOCK_SEQPACKET, in.account, in.login, &e);
	s.ok = fd != -1;
	s.account = in.account;
	if (fd == -1) {
		s.why = str_from(e.text);
		LOG_ERROR(
		    "mda.refused", F_STR("account", in.account), F_ERR(&e));
	} else
		q->deliveries++;
	reply(q, PROG_SMTPD, MSG_MDA, m->id, &s, fd);
}

void
orders_receive(struct quired *q, struct child *c)
{
	struct ipc_msg m;

	for (;;) {
		switch (ipc_recv(
		    c->ctl, &m, q->recv_buf, sizeof(q->recv_buf), false)) {
		case IPC_OK:
			break;
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			/* its death is told by SIGCHLD */
			if (c->ctl_child == -1) {
				close(c->ctl);
				c->ctl = -1;
			}
			return;
		}
		if (m.type == MSG_READY)
			c->is_ready = true;
		else if (m.type == MSG_START && c->prog == PROG_AUTHD)
			start_session(q, &m);
		else if (m.type == MSG_MDA_START && c->prog == PROG_SMTPD)
			start_mda(q, &m);
		else
			LOG_ERROR("order.refused",
			    F_CSTR("program", prog_names[c->prog]),
			    F_INT("type", m.type));
		ipc_close_fds(&m);
	}
}
