#include "system/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"

int
fs_write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		s = str_sub(s, (size_t)n, s.n);
	}
	return 0;
}

int
fs_pwrite_all(int fd, struct str s, uint64_t off)
{
	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, (off_t)off);

		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		off += (uint64_t)n;
		s = str_sub(s, (size_t)n, s.n);
	}
	return 0;
}

ssize_t
fs_pread_all(int fd, void *p, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got =
		    pread(fd, (char *)p + done, n - done, (off_t)(off + done));

		if (got == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

bool
fs_identify(int dirfd, const char *path, struct fs_id *id)
{
	struct statx x;

	if (statx(dirfd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
		STATX_INO | STATX_SIZE | STATX_NLINK, &x) == -1)
		return false;
	*id = (struct fs_id){ .dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.ino = x.stx_ino,
		.size = x.stx_size,
		.nlink = x.stx_nlink };
	return true;
}

bool
fs_is_same(const struct fs_id *a, const struct fs_id *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

int
fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return (int)fd;
}

int
fs_open_file(int dirfd, const char *path, int flags, mode_t mode)
{
	/* O_NONBLOCK: a FIFO put in our way must not hang us */
	int fd = fs_open_beneath(dirfd, path, flags | O_NONBLOCK, mode);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int
fs_open_dir(int dirfd, const char *path)
{
	return fs_open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY, 0);
}

DIR *
fs_read_dir(int dirfd, const char *path)
{
	int fd = fs_open_dir(dirfd, path), saved;
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (d == NULL && fd != -1) {
		saved = errno;
		close(fd);
		errno = saved;
	}
	return d;
}

int
fs_sync_dir(int dirfd)
{
	return fsync(dirfd);
}

int
fs_sync_data(int fd)
{
	return fdatasync(fd);
}

int
fs_read_file(int dirfd, const char *path, struct buf *b, struct err *e)
{
	int fd = fs_open_file(dirfd, path, O_RDONLY, 0), rc = -1;

	if (fd == -1)
		return err_sys(e, "open %s", path);
	for (;;) {
		size_t room = b->max - b->n < 16384 ? b->max - b->n : 16384;
		char *p = buf_reserve(b, room), beyond;
		ssize_t n =
		    room == 0 ? read(fd, &beyond, 1) : read(fd, p, room);

		if (room == 0 && n == 1) {
			err_set(e, ERR_PERM, "%s: larger than %zu bytes", path,
			    b->max);
			break;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			err_sys(e, "read %s", path);
			break;
		}
		if (n == 0) {
			rc = 0;
			break;
		}
		buf_grow(b, (size_t)n);
	}
	close(fd);
	return rc;
}

int
fs_replace(int dirfd, const char *tmp, const char *name, mode_t mode,
    struct str data, struct err *e)
{
	int fd, rc = -1;

	/* a leftover of a crash may have the temporary name */
	if (unlinkat(dirfd, tmp, 0) == -1 && errno != ENOENT)
		return err_sys(e, "remove %s", tmp);
	fd = openat(dirfd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd == -1)
		return err_sys(e, "create %s", tmp);
	if (fs_write_all(fd, data) == -1 || fsync(fd) == -1) {
		err_sys(e, "write %s", tmp);
		goto done;
	}
	if (renameat(dirfd, tmp, dirfd, name) == -1 ||
	    fs_sync_dir(dirfd) == -1) {
		err_sys(e, "rename %s to %s", tmp, name);
		goto done;
	}
	rc = 0;
done:
	close(fd);
	if (rc == -1)
		unlinkat(dirfd, tmp, 0);
	return rc;
}

int
fs_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	char *copy = xstrdup(path), *p = copy;
	int rc = 0;

	do {
		p = strchr(p + 1, '/');
		if (p != NULL)
			*p = '\0';
		if (mkdir(copy, mode) == -1 && errno != EEXIST) {
			rc = err_sys(e, "mkdir %s", copy);
			break;
		}
		if (p != NULL)
			*p = '/';
	} while (p != NULL);
	free(copy);
	return rc;
}

bool
fs_is_network(int fd, const char **name)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} nets[] = {
		{ 0x6969, "NFS" },
		{ 0xff534d42, "CIFS" },
		{ 0xfe534d42, "SMB2" },
		{ 0x517b, "SMB" },
		{ 0x00c36400, "CephFS" },
		{ 0x5346414f, "AFS" },
		{ 0x01021997, "9p" },
	};
	struct statfs sf;
	size_t i;

	if (fstatfs(fd, &sf) == -1)
		return false;
	for (i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if ((uint32_t)sf.f_type == nets[i].magic) {
			*name = nets[i].name;
			return true;
		}
	return false;
}

void
fs_random(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got == -1) {
			if (errno == EINTR)
				continue;
			abort(); /* no names or keys without randomness */
		}
		at += got;
		n -= (size_t)got;
	}
}

int
fs_set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl == -1)
		return -1;
	return fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK);
}

int
fs_sealed_memfd(const char *name, struct str data, struct err *e)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return err_sys(e, "memfd");
	if (fs_write_all(fd, data) == -1 ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ==
		-1 ||
	    lseek(fd, 0, SEEK_SET) == -1) {
		err_sys(e, "memfd");
		close(fd);
		return -1;
	}
	return fd;
}
