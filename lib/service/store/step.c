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

static bool
refused(const char *call)
{
	int sys = store_step == NULL ? 0 : store_step(call);

	if (sys != 0)
		errno = sys;
	return sys != 0;
}

int
step_creat(int dirfd, const char *name, mode_t mode)
{
	if (refused("creat"))
		return -1;
	return openat(dirfd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

int
step_write(int fd, struct str s)
{
	return refused("write") ? -1 : fs_write_all(fd, s);
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

int
step_truncate(int fd, uint64_t size)
{
	return refused("truncate") ? -1 : ftruncate(fd, (off_t)size);
}

int
step_sync(int fd)
{
	return refused("sync") ? -1 : fsync(fd);
}

int
step_sync_fs(int fd)
{
	return refused("sync") ? -1 : syncfs(fd);
}

int
step_sync_data(int fd)
{
	return refused("sync_data") ? -1 : fdatasync(fd);
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
	if (refused("mkdir"))
		return -1;
	return mkdirat(dirfd, name, 0700) == -1 && errno != EEXIST ? -1 : 0;
}
