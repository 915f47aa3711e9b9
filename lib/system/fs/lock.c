/*
 * lock - locks of bytes, of open file descriptions: they go with the last
 * descriptor, and threads and forks of one description share them.
 *
 * Who finds one held sleeps in the kernel, which wakes one at a time in turn:
 * with naps between tries the lock lies free while all nap, and who comes late
 * may find it first. The wait is bounded by a timer whose signal does nothing
 * but interrupt it.
 */
#include "system/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

#include "base/date.h"

#define AGAIN_US 10000 /* a signal between the look and the sleep is lost */

static struct flock
of_byte(short type, uint64_t byte)
{
	return (struct flock){ .l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1 };
}

static void
nothing(int sig)
{
	(void)sig;
}

/* 0: no more */
static void
interrupt_after(int ms)
{
	struct itimerval t = { 0 };

	if (ms > 0) {
		t.it_value.tv_sec = ms / 1000;
		t.it_value.tv_usec = (suseconds_t)(ms % 1000 * 1000);
		t.it_interval.tv_usec = AGAIN_US;
	}
	setitimer(ITIMER_REAL, &t, NULL);
}

/* 0, or -1 with errno: EINTR when the time is over. */
static int
wait_for(int fd, struct flock *fl, int timeout_ms)
{
	struct sigaction act = { .sa_handler = nothing }, was;
	int64_t until = date_mono_ms() + timeout_ms;
	sigset_t set, mask;
	int rc, error;

	sigemptyset(&act.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaction(SIGALRM, &act, &was); /* without SA_RESTART */
	sigprocmask(SIG_UNBLOCK, &set, &mask);
	interrupt_after(timeout_ms);
	do
		rc = fcntl(fd, F_OFD_SETLKW, fl);
	while (rc == -1 && errno == EINTR && date_mono_ms() < until);
	error = errno;
	interrupt_after(0);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGALRM, &was, NULL);
	errno = error;
	return rc;
}

int
fs_lock(int fd, uint64_t byte, bool exclusive, int timeout_ms, struct err *e)
{
	struct flock fl = of_byte(exclusive ? F_WRLCK : F_RDLCK, byte);
	int rc = fcntl(fd, F_OFD_SETLK, &fl);

	if (rc == -1 && (errno == EAGAIN || errno == EACCES) && timeout_ms > 0)
		rc = wait_for(fd, &fl, timeout_ms);
	if (rc == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES || errno == EINTR)
		return err_set(e, ERR_TEMP,
		    "lock held by somebody else for %d ms", timeout_ms);
	return err_sys(e, "lock");
}

int
fs_unlock(int fd, uint64_t byte)
{
	struct flock fl = of_byte(F_UNLCK, byte);

	return fcntl(fd, F_OFD_SETLK, &fl);
}

bool
fs_is_locked(int fd, uint64_t byte)
{
	struct flock fl = of_byte(F_WRLCK, byte);

	return fcntl(fd, F_OFD_GETLK, &fl) == -1 || fl.l_type != F_UNLCK;
}
