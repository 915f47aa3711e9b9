/*
 * step - the system calls that change the disk, one thin function each, so
 * that tests can stop or fail the store at every one of them.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "system/fs/fs.h"

int (*store_step)(const char *call);

/* A sync that a test leaves out: is what we promise really due to it? */
static int
synced(const char *call, int (*sync)(int), int fd)
{
	int sys = store_step == NULL ? 0 : store_step(call);

	if (sys == STEP_SKIP)
		return 0;
	if (sys == 0)
		return sync(fd);
	errno = sys;
	return -1;
}

static bool
refused(const char *call)
{
	int sys = store_step == NULL ? 0 : store_step(call);

	if (sys != 0)
		errno = sys;
	return sys != 0;
}

/*
 * What is made belongs to its directory: mailboxes may be shared by a group
 * (setgid directories) or by ACLs. A directory's default ACL overrides the
 * umask, so everything is asked for and the umask keeps it private elsewhere.
 * The group's bits follow the directory's, unless the file's group is another;
 * never those of all others, whom mail does not concern.
 */
static bool
is_shared(mode_t dir)
{
	/* 0755 is what an umask leaves, not somebody's will */
	return (dir & (S_ISGID | S_IWGRP)) != 0 ||
	       ((dir & S_IRWXG) != 0 && (dir & S_IRWXO) == 0);
}

static void
share(int fd, int dirfd, mode_t bits)
{
	struct stat st, dir;
	mode_t want;

	if (fstat(dirfd, &dir) == -1 || !is_shared(dir.st_mode) ||
	    fstat(fd, &st) == -1 || st.st_gid != dir.st_gid)
		return;
	want = dir.st_mode & bits;
	if ((st.st_mode & want) != want)
		(void)fchmod(fd, (st.st_mode | want) & 07777);
}

bool
step_fits(int dirfd, const struct stat *file)
{
	struct stat dir;
	mode_t want = S_IRGRP | S_IWGRP;

	if (fstat(dirfd, &dir) == -1 || !is_shared(dir.st_mode))
		return true;
	want &= dir.st_mode;
	return file->st_gid == dir.st_gid && (file->st_mode & want) == want;
}

int
step_creat(int dirfd, const char *name)
{
	mode_t mask;
	int fd;

	if (refused("creat"))
		return -1;
	mask = umask(077);
	fd = openat(dirfd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	umask(mask);
	if (fd != -1)
		share(fd, dirfd, S_IRGRP | S_IWGRP);
	return fd;
}

int
step_open(int dirfd, const char *name)
{
	int fd, tries;

	for (tries = 0; tries < 3; tries++) {
		fd = fs_open_file(dirfd, name, O_RDWR, 0);
		if (fd != -1 || errno != ENOENT)
			return fd;
		fd = step_creat(dirfd, name);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	return -1;
}

int
step_write(int fd, struct str s)
{
	return refused("write") ? -1 : fs_write_all(fd, s);
}

/* In one call: at the end of the file whoever else appends. */
int
step_append(int fd, struct str s)
{
	ssize_t n;

	if (refused("append"))
		return -1;
	do
		n = write(fd, s.p, s.n);
	while (n == -1 && errno == EINTR);
	if (n >= 0 && (size_t)n < s.n)
		errno = ENOSPC;
	return n == (ssize_t)s.n ? 0 : -1;
}

int
step_pwrite(int fd, struct str s, uint64_t off)
{
	struct str half = str_sub(s, 0, s.n / 2);

	if (refused("pwrite"))
		return -1;
	if (store_step == NULL)
		return fs_pwrite_all(fd, s, off);
	/* under test a write can also stop in its middle */
	if (fs_pwrite_all(fd, half, off) == -1 || refused("pwrite2"))
		return -1;
	return fs_pwrite_all(fd, str_sub(s, half.n, s.n), off + half.n);
}

/* In place, of a cache: nothing hangs on it. */
int
step_slot(int fd, struct str s, uint64_t off)
{
	return refused("slot") ? -1 : fs_pwrite_all(fd, s, off);
}

int
step_truncate(int fd, uint64_t size)
{
	return refused("truncate") ? -1 : ftruncate(fd, (off_t)size);
}

int
step_sync(int fd)
{
	return synced("sync", fsync, fd);
}

int
step_sync_fs(int fd)
{
	return synced("sync", syncfs, fd);
}

int
step_sync_data(int fd)
{
	return synced("sync_data", fdatasync, fd);
}

int
step_link(int fromfd, const char *from, int tofd, const char *to)
{
	return refused("link") ? -1 : linkat(fromfd, from, tofd, to, 0);
}

int
step_link_fd(const char *path, int tofd, const char *to)
{
	if (refused("link"))
		return -1;
	return linkat(AT_FDCWD, path, tofd, to, AT_SYMLINK_FOLLOW);
}

int
step_rename(int fromfd, const char *from, int tofd, const char *to)
{
	int rc;

	if (refused("rename"))
		return -1;
	rc = renameat2(fromfd, from, tofd, to, RENAME_NOREPLACE);
	if (rc == 0 || (errno != EINVAL && errno != ENOSYS))
		return rc;
	/* a file system without the flag: link cannot replace either */
	if (linkat(fromfd, from, tofd, to, 0) == -1)
		return -1;
	return unlinkat(fromfd, from, 0);
}

int
step_replace(int dirfd, const char *from, const char *to)
{
	return refused("replace") ? -1 : renameat(dirfd, from, dirfd, to);
}

int
step_unlink(int dirfd, const char *name)
{
	return refused("unlink") ? -1 : unlinkat(dirfd, name, 0);
}

int
step_mkdir(int dirfd, const char *name)
{
	mode_t mask;
	int fd, rc;

	if (refused("mkdir"))
		return -1;
	mask = umask(077);
	rc = mkdirat(dirfd, name, 0777);
	umask(mask);
	if (rc == -1)
		return errno == EEXIST ? 0 : -1;
	fd = fs_open_dir(dirfd, name);
	if (fd != -1) {
		share(fd, dirfd, S_ISGID | S_IRWXG);
		close(fd);
	}
	return 0;
}
