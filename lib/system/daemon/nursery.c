#include "system/daemon/nursery.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system/fs/fs.h"
#include "system/log/log.h"

static void
set_caps(uint32_t caps)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
	};

	if (syscall(SYS_capset, &h, data) == -1) {
		LOG_ERROR("nursery.caps", F_CSTR("err", strerror(errno)));
		exit(71);
	}
}

/* Root becomes the service uid that may still change to others. */
static void
keep_setid(struct daemon *d)
{
	uint32_t caps = 1u << CAP_SETUID | 1u << CAP_SETGID;
	struct err e;

	if (geteuid() != 0)
		return;
	if (prctl(PR_SET_KEEPCAPS, 1) == -1 ||
	    daemon_drop(d->uid, d->gid, &e) == -1) {
		LOG_ERROR("nursery.caps", F_ERR(&e));
		exit(71);
	}
	if (d->uid != 0)
		set_caps(caps);
}

static int
become(uid_t uid, gid_t gid, struct err *e)
{
	if (getuid() == uid && geteuid() == uid)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) == -1 ||
	    setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1)
		return err_sys(e, "change to uid %u", (unsigned)uid);
	/* changing away from a uid that is not 0 does not drop these */
	set_caps(0);
	return 0;
}

static struct confine_filter worker_filter;

static int
run_child(const struct nursery_spec *spec, struct daemon *d,
    const struct msg_order *o, const int *fds)
{
	int dir = fds[1], index = o->has_index ? fds[2] : -1;
	/* charsets and time zones are loaded late by libc */
	const struct confine_dir dirs[] = {
		/* without an index: the mail root once more */
		{ .fd = index == -1 ? dir : index, .write = true },
		{ .fd = dir, .write = true },
		{ .fd = -1,
		    .path = "/usr/lib/x86_64-linux-gnu/gconv",
		    .exec = true },
		{ .fd = -1,
		    .path = "/usr/lib/aarch64-linux-gnu/gconv",
		    .exec = true },
		{ .fd = -1, .path = "/usr/lib64/gconv", .exec = true },
		{ .fd = -1, .path = "/usr/lib/gconv", .exec = true },
		{ .fd = -1, .path = "/usr/share/zoneinfo" },
	};
	struct nursery_job job = { .chan = fds[0],
		.dir = dir,
		.index = index,
		.marks = o->has_marks ? fds[2 + o->has_index] : -1,
		.daemon = d };
	sigset_t none;
	struct err e;
	bool isolated;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(d->ctl);
	job.account = str_dup(o->account);
	job.login = str_dup(o->login);
	if (become(o->uid, o->gid, &e) == -1 ||
	    confine_files(spec->worker, dirs, sizeof(dirs) / sizeof(dirs[0]),
		&isolated, &e) == -1 ||
	    confine_load(&worker_filter, &e) == -1) {
		LOG_ERROR(
		    "worker.start", F_STR("account", o->account), F_ERR(&e));
		return 71;
	}
	return spec->work(&job);
}

static void
take_order(const struct nursery_spec *spec, struct daemon *d, struct ipc_msg *m)
{
	struct msg_order o;
	pid_t pid;

	if (m->type != MSG_ORDER || !msg_unpack_order(m, &o) ||
	    m->nfds != 2u + o.has_index + o.has_marks) {
		LOG_ERROR("nursery.order", F_CSTR("err", "malformed"));
		return;
	}
	pid = fork();
	if (pid == 0)
		_exit(run_child(spec, d, &o, m->fds));
	if (pid == -1)
		LOG_ERROR("nursery.fork", F_CSTR("err", strerror(errno)),
		    F_STR("account", o.account));
}

static void
reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSIGNALED(status))
			LOG_ERROR("worker.crashed", F_INT("worker", pid),
			    F_INT("signal", WTERMSIG(status)),
			    F_CSTR("cause", strsignal(WTERMSIG(status))));
		else if (WEXITSTATUS(status) != 0)
			LOG_WARN("worker.exit", F_INT("worker", pid),
			    F_INT("status", WEXITSTATUS(status)));
	}
}

int
nursery_run(const struct nursery_spec *spec)
{
	struct daemon *d = calloc(1, sizeof(*d));
	unsigned forks = 0;
	struct err e;
	sigset_t chld;
	struct pollfd p[2];

	if (d == NULL)
		return 71;
	daemon_init(d, spec->name);
	tzset();
	if (spec->prepare != NULL)
		spec->prepare(d);
	if (confine_compile(&worker_filter, spec->nursery, spec->worker, &e) ==
	    -1) {
		LOG_ERROR("daemon.confine", F_ERR(&e));
		return 71;
	}
	keep_setid(d);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	p[1] = (struct pollfd){ .fd = signalfd(
				    -1, &chld, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = POLLIN };
	/* Only the system calls: Landlock of the nursery would have to name
	 * every mail root, each worker names its own. */
	daemon_confine(d, spec->nursery, NULL, 0);
	p[0] = (struct pollfd){ .fd = d->ctl, .events = POLLIN };
	while (forks < NURSERY_FORKS) {
		struct signalfd_siginfo si;
		struct ipc_msg m;

		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return 71;
		while (read(p[1].fd, &si, sizeof(si)) > 0)
			;
		reap();
		switch (daemon_receive(d, &m)) {
		case DAEMON_MESSAGE:
			take_order(spec, d, &m);
			ipc_close_fds(&m);
			forks++;
			break;
		case DAEMON_CONFIG:
			if (spec->prepare != NULL)
				spec->prepare(d);
			break;
		case DAEMON_STOP:
		case DAEMON_LOST:
			return 0;
		case DAEMON_NONE:
		case DAEMON_PEER:
			break;
		}
	}
	return 0;
}
