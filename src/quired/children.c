#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "quired.h"
#include "system/daemon/daemon.h"
#include "system/daemon/slice.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define BACKOFF_MAX_MS 10000
#define STABLE_MS      10000 /* ran this long: the next crash restarts at once */

/* Who talks to whom directly; each gets one end of a new pair. */
static const struct {
	enum prog a, b;
} links[] = {
	{ PROG_SMTPD, PROG_AUTHD },
	{ PROG_SMTPD, PROG_CHECK },
	{ PROG_IMAPD, PROG_AUTHD },
	{ PROG_AUTHD, PROG_USERDB },
};

static bool
is_nursery(enum prog p)
{
	return p == PROG_MDA || p == PROG_IMAP;
}

static bool
wants_service(enum prog p, enum service s)
{
	bool is_imap = s == SERVICE_IMAP || s == SERVICE_IMAPS;

	return p == (is_imap ? PROG_IMAPD : PROG_SMTPD);
}

void
children_init(struct quired *q)
{
	unsigned i;

	for (i = 0; i < PROGS; i++)
		q->child[i] = (struct child){ .prog = (enum prog)i,
			.ctl = -1,
			.ctl_child = -1,
			.metrics_fd = -1 };
}

/*
 * A terminal's ^C is for quired. A session of its own would keep it away as
 * well, but the scheduler shares the processors among sessions first
 * (autogroup, sched(7)): whoever steps back in quire-check would do so for its
 * siblings only, not for smtpd or an mda.
 */
static void
leave_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (tty != -1) {
		(void)ioctl(tty, TIOCNOTTY);
		close(tty);
	}
	(void)setpgid(0, 0);
}

static void
exec_child(struct quired *q, struct child *c, int ctl)
{
	char *argv[] = { xstrdup(prog_names[c->prog]), NULL }, *envp[5] = { 0 };
	const char *tz = getenv("TZ"), *san = getenv("ASAN_OPTIONS");
	unsigned n = 0;
	sigset_t none;
	int null = open("/dev/null", O_RDWR), program;

	envp[n++] = xstrdup("PATH=/usr/bin:/bin");
	envp[n++] = xstrdup("LC_ALL=C.UTF-8");
	if (tz != NULL)
		envp[n++] = xasprintf("TZ=%s", tz);
	if (san != NULL)
		envp[n++] = xasprintf("ASAN_OPTIONS=%s", san);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	leave_terminal();
	if (c->prog != PROG_SMTPD && c->prog != PROG_IMAPD)
		slice_set(SLICE_SHORT, 0);
	/* these may sit on low numbers that dup2 would close */
	ctl = fcntl(ctl, F_DUPFD_CLOEXEC, 10);
	program = fcntl(q->program[c->prog], F_DUPFD_CLOEXEC, 10);
	if (dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
	    dup2(q->log_pipe[1], 2) == -1 || dup2(ctl, DAEMON_CTL) == -1)
		_exit(71);
	if (null > DAEMON_CTL)
		close(null);
	/* by descriptor: the directory may be closed to this uid */
	syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static void
send_fd(struct quired *q, struct child *c, struct buf *b, int fd)
{
	if (c->ctl == -1)
		return;
	if (ipc_send(c->ctl, b, fd == -1 ? NULL : &fd, fd == -1 ? 0 : 1) !=
	    IPC_OK)
		LOG_ERROR("child.send", F_CSTR("program", prog_names[c->prog]),
		    F_CSTR("err", "channel full or closed"));
}

static void
send_tag(struct quired *q, struct child *c, uint16_t type, uint32_t kind,
    uint32_t instance, int fd)
{
	struct msg_tag tag = { kind, instance, STR("") };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_tag(&b, type, &tag);
	send_fd(q, c, &b, fd);
	buf_release(&b);
}

static void
send_memfd(struct quired *q, struct child *c, uint16_t type, uint32_t kind,
    const struct buf *data)
{
	struct err e;
	int fd = fs_sealed_memfd("quire", buf_str(data), &e);

	if (fd == -1) {
		LOG_ERROR("child.send", F_ERR(&e));
		return;
	}
	send_tag(q, c, type, kind, 0, fd);
	close(fd);
}

/* All that the front does not have: NULL, it has none. */
static void
send_listeners(struct quired *q, struct child *c, const struct listeners *has)
{
	struct buf b;
	unsigned i;

	buf_init(&b, IPC_MAX);
	for (i = 0; i < q->set.listen.n; i++) {
		const struct listener *l = &q->set.listen.v[i];
		struct msg_listener m = { (uint8_t)l->service, l->plain_login,
			l->no_limits, str_from(l->name), str_from(l->address) };

		if (!wants_service(c->prog, l->service) ||
		    (has != NULL && listen_has(has, l->id)))
			continue;
		msg_pack_listener(&b, l->id, &m);
		send_fd(q, c, &b, l->fd);
	}
	buf_release(&b);
}

static void
change_listeners(struct quired *q, struct child *c, const struct listeners *old)
{
	unsigned i;

	for (i = 0; i < old->n; i++)
		if (wants_service(c->prog, old->v[i].service) &&
		    !listen_has(&q->set.listen, old->v[i].id))
			send_tag(q, c, MSG_UNLISTEN, old->v[i].id, 0, -1);
	send_listeners(q, c, old);
}

/* The page outlives the front: one that was started again goes on counting. */
static void
send_metrics(struct quired *q, struct child *c)
{
	struct err e;

	if (c->metrics == NULL) {
		c->metrics_fd = metrics_create(&e);
		if (c->metrics_fd == -1 ||
		    (c->metrics = metrics_map(c->metrics_fd, false, &e)) ==
			NULL) {
			LOG_ERROR("metrics", F_ERR(&e));
			return;
		}
	}
	send_tag(q, c, MSG_METRICS, 0, 0, c->metrics_fd);
}

static void
uid_of(const struct quired *q, enum prog p, uint32_t *uid, uint32_t *gid)
{
	struct str u = q->set.config->user[p], left;
	uint64_t n;

	*uid = *gid = 0;
	str_cut(&u, ':', &left);
	if (str_uint(left, UINT32_MAX, &n))
		*uid = (uint32_t)n;
	if (str_uint(u, UINT32_MAX, &n))
		*gid = (uint32_t)n;
}

static bool
is_front(const struct child *c)
{
	return c->prog == PROG_SMTPD || c->prog == PROG_IMAPD;
}

/* Snapshot, keys, GO: at start and again at a reload. */
static void
send_settings(struct quired *q, struct child *c)
{
	uint32_t uid, gid;

	send_tag(q, c, MSG_LOGLEVEL, q->level, 0, -1);
	send_memfd(q, c, MSG_CONFIG, 0, &q->set.snapshot);
	if (is_front(c)) {
		send_memfd(q, c, MSG_SECRET, SECRET_TLS, &q->set.tls);
		send_memfd(q, c, MSG_SECRET, SECRET_CID, &q->cid_key);
	}
	uid_of(q, c->prog, &uid, &gid);
	/* PAM and shadow need root; without it they are not offered */
	if (c->prog == PROG_USERDB)
		uid = gid = 0;
	send_tag(q, c, MSG_GO, uid, gid, -1);
}

static void
link_peers(struct quired *q, enum prog p)
{
	size_t i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct child *a = &q->child[links[i].a];
		struct child *b = &q->child[links[i].b];
		int fds[2];

		if ((links[i].a != p && links[i].b != p) || a->ctl == -1 ||
		    b->ctl == -1)
			continue;
		if (ipc_pair(fds) == -1) {
			LOG_ERROR("child.link", F_CSTR("err", strerror(errno)));
			continue;
		}
		send_tag(q, a, MSG_PEER, b->prog, 0, fds[0]);
		send_tag(q, b, MSG_PEER, a->prog, 0, fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
}

static int
open_channel(struct child *c)
{
	int fds[2];

	if (c->ctl_child != -1)
		return c->ctl_child; /* a nursery's orders wait in here */
	if (ipc_pair(fds) == -1)
		return -1;
	c->ctl = fds[0];
	fs_set_nonblock(c->ctl, true);
	if (is_nursery(c->prog))
		c->ctl_child = fds[1];
	return fds[1];
}

static void
start(struct quired *q, struct child *c)
{
	int end = open_channel(c);

	c->started = date_mono_ms();
	c->start_at = 0;
	c->is_ready = false;
	c->pid = end == -1 ? -1 : fork();
	if (c->pid == 0)
		exec_child(q, c, end);
	if (c->pid == -1) {
		LOG_ERROR("child.fork", F_CSTR("program", prog_names[c->prog]),
		    F_CSTR("err", strerror(errno)));
		c->pid = 0;
		c->start_at = c->started + BACKOFF_MAX_MS;
		return;
	}
	if (end != c->ctl_child)
		close(end);
	send_listeners(q, c, NULL);
	if (is_front(c))
		send_metrics(q, c);
	if (c->prog == PROG_AUTHD)
		send_tag(q, c, MSG_DIR, DIR_AUTH, 0, q->auth_dir);
	if (c->prog == PROG_SMTPD)
		send_tag(q, c, MSG_DIR, DIR_SPOOL, 0, q->spool_dir);
	link_peers(q, c->prog);
	send_settings(q, c);
}

void
children_tick(struct quired *q)
{
	int64_t now = date_mono_ms();
	unsigned i;

	if (q->stopping)
		return;
	for (i = 0; i < PROGS; i++)
		if (q->child[i].pid == 0 && q->child[i].start_at <= now)
			start(q, &q->child[i]);
}

int
children_next_ms(const struct quired *q)
{
	int64_t now = date_mono_ms(), best = -1;
	unsigned i;

	for (i = 0; i < PROGS; i++) {
		const struct child *c = &q->child[i];

		if (c->pid != 0 || q->stopping)
			continue;
		if (best == -1 || c->start_at - now < best)
			best = c->start_at > now ? c->start_at - now : 0;
	}
	return (int)best;
}

/* A dead program: say why, and when it will be back. */
static void
ended(struct quired *q, struct child *c, int status)
{
	int64_t now = date_mono_ms(), lived = now - c->started;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	c->pid = 0;
	c->is_ready = false;
	if (c->ctl_child == -1 && c->ctl != -1) {
		close(c->ctl);
		c->ctl = -1;
	}
	if (q->stopping)
		return;
	/* a nursery that has done its forks ends cleanly, after a while */
	if (lived > STABLE_MS || (clean && lived > 1000))
		c->backoff_ms = 0;
	if (!clean) {
		c->restarts++;
		LOG_ERROR("child.died", F_CSTR("program", prog_names[c->prog]),
		    F_INT(
			"status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
		    F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		    F_CSTR("cause",
			WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) :
			WEXITSTATUS(status) == 127 ? "cannot be executed" :
						     "exit"),
		    F_INT("restart_ms", c->backoff_ms));
	}
	c->start_at = now + c->backoff_ms;
	c->backoff_ms = c->backoff_ms == 0 ? 100 : c->backoff_ms * 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

/* Also workers whose nursery has ended: we are their subreaper. */
void
children_reap(struct quired *q)
{
	int status;
	pid_t pid;
	unsigned i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < PROGS; i++)
			if (q->child[i].pid == pid)
				break;
		if (i < PROGS)
			ended(q, &q->child[i], status);
		else if (WIFSIGNALED(status) && !q->stopping)
			LOG_ERROR("worker.crashed", F_INT("worker", pid),
			    F_INT("signal", WTERMSIG(status)),
			    F_CSTR("cause", strsignal(WTERMSIG(status))));
	}
}

void
children_stop(struct quired *q, int64_t now)
{
	unsigned i;

	for (i = 0; i < PROGS; i++) {
		struct child *c = &q->child[i];

		if (c->pid == 0)
			continue;
		if (!q->stopping)
			send_tag(q, c, MSG_STOP, 0, 0, -1);
		else if (now > q->stop_at + STOP_GRACE_MS)
			kill(c->pid, SIGKILL);
		else if (now > q->stop_at)
			kill(c->pid, SIGTERM);
	}
	if (!q->stopping) {
		notify_manager("STOPPING=1");
		q->stop_at = now + STOP_GRACE_MS;
	}
	q->stopping = true;
}

bool
children_gone(const struct quired *q)
{
	unsigned i;

	for (i = 0; i < PROGS; i++)
		if (q->child[i].pid != 0)
			return false;
	return true;
}

bool
children_ready(const struct quired *q)
{
	unsigned i;

	for (i = 0; i < PROGS; i++)
		if (!q->child[i].is_ready)
			return false;
	return true;
}

void
children_reload(struct quired *q, const struct listeners *old)
{
	unsigned i;

	for (i = 0; i < PROGS; i++) {
		if (q->child[i].pid == 0)
			continue;
		change_listeners(q, &q->child[i], old);
		send_settings(q, &q->child[i]);
	}
}

void
children_loglevel(struct quired *q)
{
	unsigned i;

	log_set_level(q->level);
	for (i = 0; i < PROGS; i++)
		if (q->child[i].pid != 0)
			send_tag(
			    q, &q->child[i], MSG_LOGLEVEL, q->level, 0, -1);
}

void
children_send(struct quired *q, enum prog p, const struct buf *b,
    const int *fds, unsigned nfds)
{
	if (q->child[p].ctl == -1 ||
	    ipc_send(q->child[p].ctl, b, fds, nfds) != IPC_OK)
		LOG_ERROR("child.send", F_CSTR("program", prog_names[p]),
		    F_CSTR("err", "channel full or closed"));
}
