/*
 * dotlock - Dovecot's locks: a file NAME.lock beside what it protects.
 *
 * 1. Made with O_EXCL, holding "pid:hostname", as Dovecot makes it: whoever
 *    waits can tell that its holder died.
 * 2. A holder touches it every DOTLOCK_TOUCH_MS; one not touched for
 *    DOTLOCK_STALE seconds is nobody's.
 * 3. Nobody syncs one: a power cut can leave its name without its text. Older
 *    than this boot and without a text, or with one of this host's, it is
 *    nobody's too.
 * 4. Nobody waits for one while holding byte 0 (doc/format-store.md, Locks).
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define DOTLOCK_STALE	 120 /* seconds, as Dovecot has it */
#define DOTLOCK_TOUCH_MS 30000
#define DOTLOCK_POLL_MS	 10
#define HOST_MAX	 256

/* Was it last touched before this machine started? */
static bool
is_of_other_boot(const struct stat *st)
{
	struct timespec now, up;
	int64_t booted;

	if (store_boot != 0)
		return true;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	booted = now.tv_sec - up.tv_sec - (now.tv_nsec < up.tv_nsec);
	return st->st_mtim.tv_sec < booted;
}

/* Was it made here by a process that is no more? */
static bool
is_orphan(int dirfd, const char *name, const struct stat *st)
{
	char host[HOST_MAX] = "";
	struct str text, pid;
	struct buf b;
	uint64_t n;
	bool dead = false;

	gethostname(host, sizeof(host) - 1);
	buf_init(&b, 2 * HOST_MAX);
	if (fs_read_file(dirfd, name, &b, NULL) == 0) {
		text = str_trim(buf_str(&b));
		str_cut(&text, ':', &pid);
		if (str_eq(text, str_from(host)))
			dead = is_of_other_boot(st) ||
			       (str_uint(pid, INT32_MAX, &n) && n > 0 &&
				   kill((pid_t)n, 0) == -1 && errno == ESRCH);
		else
			dead = (text.n == 0 || text.p[0] == '\0') &&
			       is_of_other_boot(st);
	}
	buf_release(&b);
	return dead;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Removes one that nobody holds; looked at twice, so that the fresh lock of
 * who was quicker to remove it stays. */
static void
remove_stale(int dirfd, const char *name)
{
	struct stat st, again;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	if (date_now() - st.st_mtim.tv_sec <= DOTLOCK_STALE &&
	    !is_orphan(dirfd, name, &st))
		return;
	if (fstatat(dirfd, name, &again, AT_SYMLINK_NOFOLLOW) == 0 &&
	    same_file(&st, &again) && stat_mtime(&st) == stat_mtime(&again))
		step_unlink(dirfd, name);
}

static bool
make(struct dotlock *l)
{
	char host[HOST_MAX] = "localhost", text[HOST_MAX + 32];
	int n;

	l->fd = step_creat(l->dirfd, l->name);
	if (l->fd == -1)
		return false;
	gethostname(host, sizeof(host) - 1);
	n = snprintf(text, sizeof(text), "%ld:%s", (long)getpid(), host);
	/* without its text it is a lock too */
	(void)fs_write_all(l->fd, str_make(text, (size_t)n));
	l->touched_ms = date_mono_ms();
	return true;
}

int
dotlock_take(
    struct dotlock *l, int dirfd, const char *name, int wait_ms, struct err *e)
{
	const struct timespec poll = { 0, DOTLOCK_POLL_MS * 1000 * 1000 };
	int64_t until = date_mono_ms() + wait_ms;

	*l = (struct dotlock){ .dirfd = dirfd, .name = name, .fd = -1 };
	for (;;) {
		if (make(l))
			return 0;
		if (errno != EEXIST)
			return err_sys(e, "create %s", name);
		remove_stale(dirfd, name);
		if (make(l))
			return 0;
		if (date_mono_ms() >= until)
			return err_set(
			    e, ERR_TEMP, "%s is held by another server", name);
		nanosleep(&poll, NULL);
	}
}

static bool
is_ours(const struct dotlock *l)
{
	struct stat name, held;

	return fstat(l->fd, &held) == 0 &&
	       fstatat(l->dirfd, l->name, &name, AT_SYMLINK_NOFOLLOW) == 0 &&
	       same_file(&name, &held);
}

void
dotlock_touch(struct dotlock *l)
{
	if (l->fd == -1 || date_mono_ms() - l->touched_ms < DOTLOCK_TOUCH_MS)
		return;
	(void)futimens(l->fd, NULL);
	l->touched_ms = date_mono_ms();
}

void
dotlock_drop(struct dotlock *l)
{
	if (l->fd == -1)
		return;
	if (is_ours(l))
		step_unlink(l->dirfd, l->name);
	close(l->fd);
	l->fd = -1;
}
