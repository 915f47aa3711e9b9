#include "system/daemon/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

/* Newer than the oldest header we build with. */
#define LL_TRUNCATE	(1ULL << 14)
#define LL_IOCTL_DEV	(1ULL << 15)
#define LL_NET_BIND	(1ULL << 0)
#define LL_NET_CONNECT	(1ULL << 1)
#define LL_SCOPE_UNIX	(1ULL << 0)
#define LL_SCOPE_SIGNAL (1ULL << 1)

struct ll_attr {
	uint64_t fs, net, scoped;
};

#define LL_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LL_WRITE                                                           \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |   \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER |       \
	    LL_TRUNCATE)
#define LL_ALL_ABI2 ((1ULL << 14) - 1)

bool
confine_is_off(void)
{
#ifdef QUIRE_SANITIZE
	return true;
#else
	return false;
#endif
}

static int
add_dir(
    int ruleset, const struct confine_dir *d, uint64_t handled, struct err *e)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = d->fd };
	int rc = 0;

	if (d->path != NULL) {
		rule.parent_fd = open(d->path, O_PATH | O_CLOEXEC);
		if (rule.parent_fd == -1)
			return 0; /* nothing there, nothing to allow */
	}
	rule.allowed_access = LL_READ | (d->write ? LL_WRITE : 0) |
			      (d->exec ? LANDLOCK_ACCESS_FS_EXECUTE : 0);
	rule.allowed_access &= handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&rule, 0) == -1)
		rc = err_sys(e, "landlock rule");
	if (d->path != NULL)
		close(rule.parent_fd);
	return rc;
}

int
confine_files(const struct confine_profile *p, const struct confine_dir *dirs,
    size_t n, bool *isolated, struct err *e)
{
	struct ll_attr attr = { 0 };
	size_t size = sizeof(attr.fs), i;
	long abi;
	int ruleset, rc = 0;

	/* A nursery cannot know its children's directories; each of them
	 * names its own. */
	*isolated = confine_is_off() || (p->allow & CONFINE_SETID) != 0;
	if (*isolated)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_sys(e, "no_new_privs");
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 2) /* without REFER a rename tmp/ to cur/ would fail */
		return 0;
	attr.fs = LL_ALL_ABI2;
	if (abi >= 3)
		attr.fs |= LL_TRUNCATE;
	if (abi >= 4 && (p->allow & CONFINE_SOCKET) == 0) {
		attr.net = LL_NET_BIND | LL_NET_CONNECT;
		size = 2 * sizeof(uint64_t);
	}
	if (abi >= 5)
		attr.fs |= LL_IOCTL_DEV;
	if (abi >= 6) {
		attr.scoped =
		    LL_SCOPE_UNIX |
		    ((p->allow & CONFINE_SIGNAL) != 0 ? 0 : LL_SCOPE_SIGNAL);
		size = sizeof(attr);
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset == -1)
		return err_sys(e, "landlock ruleset");
	for (i = 0; i < n && rc == 0; i++)
		if ((p->allow & CONFINE_FILES) != 0)
			rc = add_dir(ruleset, &dirs[i], attr.fs, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		rc = err_sys(e, "landlock");
	close(ruleset);
	*isolated = rc == 0;
	return rc;
}

/* What any program of ours, its libc, libev, OpenSSL and libsodium need. */
static const char *const calls_base[] = { "read", "write", "readv", "writev",
	"pread64", "pwrite64", "close", "fstat", "lseek", "mmap", "munmap",
	"mremap", "mprotect", "madvise", "brk", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sigaltstack", "nanosleep",
	"clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday",
	"time", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
	"getegid", "getrandom", "futex", "exit", "exit_group", "poll", "ppoll",
	"select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"epoll_ctl", "epoll_create1", "eventfd2", "timerfd_create",
	"timerfd_settime", "signalfd4", "pipe2", "dup", "dup2", "dup3", "fcntl",
	"close_range", "sendmsg", "recvmsg", "sendto", "recvfrom", "shutdown",
	"getsockopt", "setsockopt", "getsockname", "getpeername", "socketpair",
	"restart_syscall", "sched_yield", "sched_getaffinity", "sysinfo",
	"set_robust_list", "rseq", "membarrier", "prlimit64", "getrusage",
	"sched_setscheduler", "sched_getattr", "sched_setattr", "setitimer",
	"uname", "memfd_create", "ftruncate", "wait4", "waitid", "umask" };
static const char *const calls_files[] = { "open", "openat", "openat2",
	"newfstatat", "statx", "stat", "lstat", "access", "faccessat",
	"faccessat2", "getdents64", "readlink", "readlinkat", "getcwd",
	"rename", "renameat", "renameat2", "link", "linkat", "unlink",
	"unlinkat", "mkdir", "mkdirat", "rmdir", "fsync", "fdatasync", "syncfs",
	"sync_file_range", "fallocate", "copy_file_range", "sendfile", "flock",
	"fchmod", "fstatfs", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "posix_fadvise", "fadvise64" };
static const char *const calls_accept[] = { "accept", "accept4" };
static const char *const calls_socket[] = { "socket", "connect", "bind",
	"listen" };
static const char *const calls_fork[] = { "clone", "clone3", "fork", "vfork",
	"prctl", "seccomp", "landlock_create_ruleset", "landlock_add_rule",
	"landlock_restrict_self" };
static const char *const calls_setid[] = { "setuid", "setgid", "setresuid",
	"setresgid", "setgroups", "setreuid", "setregid", "capset", "capget" };
static const char *const calls_exec[] = { "execve", "execveat", "arch_prctl",
	"set_tid_address", "statfs", "ioctl", "getpgrp", "getpgid", "chdir" };
static const char *const calls_signal[] = { "kill", "pidfd_send_signal" };

static const struct {
	unsigned when;
	const char *const *calls;
	size_t n;
} groups[] = {
#define GROUP(when, list)                                  \
	{                                                  \
		when, list, sizeof(list) / sizeof(list[0]) \
	}
	GROUP(0, calls_base),
	GROUP(CONFINE_FILES, calls_files),
	GROUP(CONFINE_ACCEPT, calls_accept),
	GROUP(CONFINE_SOCKET, calls_socket),
	GROUP(CONFINE_FORK, calls_fork),
	GROUP(CONFINE_SETID, calls_setid),
	GROUP(CONFINE_EXEC, calls_exec),
	GROUP(CONFINE_SIGNAL, calls_signal),
};

static int
allow_list(scmp_filter_ctx ctx, const char *const *calls, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		/* another architecture may not have it */
		if (nr == __NR_SCMP_ERROR || nr < 0)
			continue;
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0) < 0)
			return -1;
	}
	return 0;
}

static int
deny_group(scmp_filter_ctx ctx, const char *const *calls, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		if (nr >= 0 &&
		    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0) < 0)
			return -1;
	}
	return 0;
}

/* The compiled program comes out of a descriptor only. */
static int
take_program(scmp_filter_ctx ctx, struct confine_filter *f)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	off_t size;
	int rc = -1;

	if (fd == -1)
		return -1;
	if (seccomp_export_bpf(ctx, fd) == 0 &&
	    (size = lseek(fd, 0, SEEK_END)) > 0 &&
	    size / (off_t)sizeof(*f->v) <= BPF_MAXINSNS) {
		f->v = xmalloc((size_t)size);
		f->n = (unsigned short)((size_t)size / sizeof(*f->v));
		if (fs_pread_all(fd, f->v, (size_t)size, 0) == size)
			rc = 0;
	}
	close(fd);
	return rc;
}

int
confine_compile(struct confine_filter *f, const struct confine_profile *from,
    const struct confine_profile *to, struct err *e)
{
	static const char *const self[] = { "tgkill" };
	scmp_filter_ctx ctx;
	size_t i;
	int rc;

	*f = (struct confine_filter){ 0 };
	if (confine_is_off())
		return 0;
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return err_set(e, ERR_TEMP, "seccomp: out of memory");
	rc = deny_group(ctx, self, 1);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]) && rc == 0; i++)
		if (groups[i].when != 0 &&
		    (groups[i].when & from->allow) != 0 &&
		    (groups[i].when & to->allow) == 0)
			rc = deny_group(ctx, groups[i].calls, groups[i].n);
	if (rc == 0)
		rc = take_program(ctx, f);
	seccomp_release(ctx);
	if (rc == -1)
		return err_set(e, ERR_TEMP, "seccomp: filter not compiled");
	return 0;
}

int
confine_load(const struct confine_filter *f, struct err *e)
{
	struct sock_fprog prog = { .len = f->n, .filter = f->v };

	if (confine_is_off())
		return 0;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == -1)
		return err_sys(e, "seccomp");
	return 0;
}

int
confine_calls(const struct confine_profile *p, struct err *e)
{
	scmp_filter_ctx ctx;
	size_t i;
	int rc = 0;

	if (confine_is_off())
		return 0;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (ctx == NULL)
		return err_set(e, ERR_TEMP, "seccomp: out of memory");
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]) && rc == 0; i++)
		if ((groups[i].when & ~p->allow) == 0)
			rc = allow_list(ctx, groups[i].calls, groups[i].n);
	/* futimens() on an open file, but never by path */
	if (rc == 0 && (p->allow & CONFINE_FILES) != 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(utimensat),
		    1, SCMP_A1(SCMP_CMP_EQ, 0));
	/* raise() and abort(); a nursery does not know its children's pids */
	if (rc == 0 && (p->allow & (CONFINE_FORK | CONFINE_SIGNAL)) != 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
	else if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0) {
		errno = rc < -1 ? -rc : EINVAL;
		return err_sys(e, "seccomp");
	}
	return 0;
}

int
confine_enter(const struct confine_profile *p, const struct confine_dir *dirs,
    size_t n, bool *isolated, struct err *e)
{
	if (confine_files(p, dirs, n, isolated, e) == -1)
		return -1;
	return confine_calls(p, e);
}
