#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "smtpd.h"
#include "system/fs/fs.h"

/*
 * Nothing here is synced: until the mda has filed the message no 250 is
 * sent, and what is here dies with the process.
 *
 * Others get the message's descriptor: each recipient's mda, and quire-check.
 * None of them may change what the others get, so spool_seal() comes first: a
 * memfd is sealed, and of a file they get a descriptor that only reads.
 */
#define PREFIX "message-"

static int
open_disk(struct smtpd *f, struct spool *s, struct err *e)
{
	char name[64];
	uint64_t number;

	fs_random(&number, sizeof(number));
	snprintf(
	    name, sizeof(name), PREFIX "%016llx", (unsigned long long)number);
	s->fd = openat(f->base.d.spool_dir, name,
	    O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd != -1)
		s->reader = openat(f->base.d.spool_dir, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd == -1 || s->reader == -1 ||
	    unlinkat(f->base.d.spool_dir, name, 0) == -1) {
		err_sys(e, "spool");
		if (s->fd != -1)
			close(s->fd);
		if (s->reader != -1)
			close(s->reader);
		s->fd = s->reader = -1;
		return -1;
	}
	return 0;
}

/* What a process that was killed between open and unlink has left. */
void
spool_sweep(struct smtpd *f)
{
	DIR *d = fs_read_dir(f->base.d.spool_dir, ".");
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		if (str_starts(str_from(de->d_name), STR(PREFIX)))
			(void)unlinkat(f->base.d.spool_dir, de->d_name, 0);
	closedir(d);
}

int
spool_open(struct smtpd *f, struct spool *s, struct err *e)
{
	*s = (struct spool){ .fd = -1,
		.reader = -1,
		.is_memory = f->spooled < SPOOL_MEMORY_TOTAL };
	if (!s->is_memory)
		return open_disk(f, s, e);
	s->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return s->fd == -1 ? err_sys(e, "memfd") : 0;
}

int
spool_seal(struct spool *s, struct err *e)
{
	if (s->is_memory)
		return fcntl(s->fd, F_ADD_SEALS,
			   F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
			       F_SEAL_SEAL) == -1 ?
			   err_sys(e, "seal the message") :
			   0;
	if (s->reader != -1) {
		close(s->fd);
		s->fd = s->reader;
		s->reader = -1;
	}
	return 0;
}

/* It has outgrown memory: the same bytes into an unnamed file. */
static int
move_to_disk(struct smtpd *f, struct spool *s, struct err *e)
{
	struct spool disk = { .fd = -1, .reader = -1, .size = s->size };
	char buf[65536];
	uint64_t off = 0;

	if (open_disk(f, &disk, e) == -1)
		return -1;
	while (off < s->size) {
		ssize_t n = fs_pread_all(s->fd, buf, sizeof(buf), off);

		if (n <= 0 || fs_pwrite_all(disk.fd, str_make(buf, (size_t)n),
				  off) == -1) {
			err_sys(e, "spool");
			spool_close(f, &disk);
			return -1;
		}
		off += (uint64_t)n;
	}
	spool_close(f, s);
	*s = disk;
	return 0;
}

int
spool_write(struct smtpd *f, struct spool *s, struct str data, struct err *e)
{
	if (s->is_memory && s->size + data.n > SPOOL_MEMORY &&
	    move_to_disk(f, s, e) == -1)
		return -1;
	if (fs_pwrite_all(s->fd, data, s->size) == -1)
		return err_sys(e, "spool");
	s->size += data.n;
	if (s->is_memory)
		f->spooled += data.n;
	return 0;
}

void
spool_close(struct smtpd *f, struct spool *s)
{
	if (s->fd == -1)
		return;
	if (s->is_memory)
		f->spooled -= s->size;
	close(s->fd);
	if (s->reader != -1)
		close(s->reader);
	*s = (struct spool){ .fd = -1, .reader = -1 };
}
