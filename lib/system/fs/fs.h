/*
 * fs - the file system, with durability and hostile owners in mind.
 *
 * Only this module and the store may rename. All paths are relative to a
 * directory descriptor; symbolic links are never followed; what should be a
 * regular file is checked to be one.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Write all of it, retrying short writes and EINTR. -1 with errno. */
int fs_write_all(int fd, struct str);
int fs_pwrite_all(int fd, struct str, uint64_t off);
/* Read up to n bytes at off until n or end of file; bytes read or -1. */
ssize_t fs_pread_all(int fd, void *p, size_t n, uint64_t off);
/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), O_CLOEXEC added. */
int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* The same; must be a regular file (else -1, EINVAL). */
int fs_open_file(int dirfd, const char *path, int flags, mode_t mode);
int fs_open_dir(int dirfd, const char *path);
/* The same, to read its names; dirfd(3) is its descriptor. NULL with errno. */
DIR *fs_read_dir(int dirfd, const char *path);
/* Make a directory durable: fsync of the descriptor. */
int fs_sync_dir(int dirfd);
int fs_sync_data(int fd); /* fdatasync */
/*
 * Which file it is and how long, without its times. Since Linux 6.13 the next
 * write to a file whose times were asked for records finer ones: its inode
 * changes with each write and not with each tick of the clock, and every
 * fdatasync that has to write inodes takes half as long again.
 */
struct fs_id {
	dev_t dev;
	ino_t ino;
	uint64_t size;
	uint32_t nlink;
};

/* path: "" for dirfd itself; false with errno */
bool fs_identify(int dirfd, const char *path, struct fs_id *);
bool fs_is_same(const struct fs_id *, const struct fs_id *);
/* Whole file into buf (bounded by buf->max). */
int fs_read_file(int dirfd, const char *path, struct buf *, struct err *);
/*
 * Replace a file durably: write tmp, fsync, rename, fsync the directory.
 * After 0 the new contents survive a power cut; after -1 the old ones stand.
 */
int fs_replace(int dirfd, const char *tmp, const char *name, mode_t mode,
    struct str data, struct err *);
int fs_mkdir_p(const char *path, mode_t mode, struct err *);

/*
 * Open file description locks on one byte; wait at most timeout_ms, then
 * ERR_TEMP. While it waits SIGALRM and ITIMER_REAL are its own: not for
 * programs that use alarm(2) at the same time, nor beside other threads.
 */
int
fs_lock(int fd, uint64_t byte, bool exclusive, int timeout_ms, struct err *);
int fs_unlock(int fd, uint64_t byte);
/* Does anybody hold it, by another description? Also when that is not to be
 * told. */
bool fs_is_locked(int fd, uint64_t byte);

/* true if the directory is on a network file system, whose locks and appends
 * do not hold between hosts. */
bool fs_is_network(int fd, const char **name);
void fs_random(void *p, size_t n);
int fs_set_nonblock(int fd, bool on);
/* A memfd with these contents, sealed against any change. */
int fs_sealed_memfd(const char *name, struct str data, struct err *);

#endif
