#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_PAM
#include <security/pam_appl.h>
#endif

#include "profile.h"
#include "system/daemon/daemon.h"
#include "system/log/log.h"

/*
 * quire-userdb: system users and PAM. It asks libraries that load whatever
 * the host has configured (NSS, PAM modules); so one forked child answers one
 * question and is gone, and no libev or OpenSSL lives in here. One fixed
 * struct in, one out.
 */
#define ANSWER_S     20 /* then the child is killed: alarm(2) */
#define MAX_CHILDREN 16

#ifdef HAVE_PAM
static int
converse(int n, const struct pam_message **msg, struct pam_response **out,
    void *user)
{
	const char *password = user;
	struct pam_response *r;
	int i;

	if (n <= 0 || n > 16 || (r = calloc((size_t)n, sizeof(*r))) == NULL)
		return PAM_CONV_ERR;
	for (i = 0; i < n; i++)
		if (msg[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = strdup(password);
	*out = r;
	return PAM_SUCCESS;
}

static uint8_t
check_pam(const char *name, const char *password, const char *service)
{
	struct pam_conv conv = { converse, NULL };
	pam_handle_t *h = NULL;
	char *copy = strdup(password);
	int rc;

	conv.appdata_ptr = copy;
	rc = pam_start(service, name, &conv, &h);
	if (rc == PAM_SUCCESS)
		rc =
		    pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (rc == PAM_SUCCESS)
		rc = pam_acct_mgmt(h, PAM_SILENT);
	pam_end(h, rc);
	free(copy);
	switch (rc) {
	case PAM_SUCCESS:
		return 0;
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_SYSTEM_ERR:
	case PAM_ABORT:
		return 2;
	default:
		return 1;
	}
}
#else
static uint8_t
check_pam(const char *name, const char *password, const char *service)
{
	return 2; /* built without PAM */
}
#endif

static void
answer(int fd, uint32_t id, const struct msg_user_query *q)
{
	struct msg_user_reply r = { .result = 1 };
	char *name = str_dup(q->name), *password = str_dup(q->password);
	const struct passwd *pw;
	struct buf b;

	errno = 0;
	pw = getpwnam(name);
	if (pw != NULL) {
		r = (struct msg_user_reply){ 0, pw->pw_uid, pw->pw_gid,
			str_from(pw->pw_dir) };
		if (q->has_password)
			r.result = check_pam(name, password, "quire");
	} else if (errno != 0 && errno != ENOENT && errno != ESRCH)
		r.result = 2;
	buf_init(&b, IPC_MAX);
	msg_pack_user_reply(&b, id, &r);
	(void)ipc_send(fd, &b, NULL, 0);
	/* _exit follows: the copies die with the process */
}

static void
refuse(int fd, uint32_t id)
{
	struct msg_user_reply r = { .result = 2 };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_user_reply(&b, id, &r);
	(void)ipc_send(fd, &b, NULL, 0);
	buf_release(&b);
}

static void
question(int fd, struct ipc_msg *m, unsigned *children)
{
	struct msg_user_query q;
	pid_t pid;

	if (m->type != MSG_USER_QUERY || !msg_unpack_user_query(m, &q)) {
		LOG_ERROR("userdb.message", F_INT("type", m->type));
		return;
	}
	pid = *children >= MAX_CHILDREN ? -1 : fork();
	if (pid == 0) {
		alarm(ANSWER_S);
		answer(fd, m->id, &q);
		_exit(0);
	}
	if (pid == -1)
		refuse(fd, m->id);
	else
		(*children)++;
}

static void
serve_peer(struct daemon *d, unsigned *children)
{
	static char buf[IPC_MAX];
	int fd = daemon_peer_fd(d, PROG_AUTHD, 0);
	struct ipc_msg m;

	if (fd == -1)
		return;
	for (;;)
		switch (ipc_recv(fd, &m, buf, sizeof(buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			daemon_peer_lost(d, fd);
			return;
		case IPC_OK:
			question(fd, &m, children);
			ipc_close_fds(&m);
		}
}

int
main(void)
{
	struct daemon *d = calloc(1, sizeof(*d));
	unsigned children = 0;

	if (d == NULL)
		return 71;
	daemon_init(d, "quire-userdb");
	daemon_confine(d, &userdb_profile, NULL, 0);
	for (;;) {
		struct pollfd p[2] = {
			{ .fd = d->ctl, .events = POLLIN },
			{ .fd = daemon_peer_fd(d, PROG_AUTHD, 0),
			    .events = POLLIN },
		};
		struct ipc_msg m;

		/* wakes up each second only while a child is out */
		(void)poll(p, 2, children > 0 ? 1000 : -1);
		while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
			children--;
		serve_peer(d, &children);
		switch (daemon_receive(d, &m)) {
		case DAEMON_STOP:
		case DAEMON_LOST:
			return 0;
		case DAEMON_MESSAGE:
			ipc_close_fds(&m);
			break;
		default:
			break;
		}
	}
}
