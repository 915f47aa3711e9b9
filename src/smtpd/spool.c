#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "smtpd.h"
#include "system/fs/fs.h"

/*
 * Nothing here is synced: until the mda has filed the message no 250 is
 * sent, and what is here dies with the process.
 */
static int
open_disk(struct smtpd *f, struct err *e)
{
	int fd =
	    openat(f->d.spool_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1)
		err_sys(e, "spool");
	return fd;
}

int
spool_open(struct smtpd *f, struct spool *s, struct err *e)
{
	*s = (struct spool){ .fd = -1,
		.is_memory = f->spooled < SPOOL_MEMORY_TOTAL };
	if (s->is_memory) {
		s->fd = memfd_create("message", MFD_CLOEXEC);
		if (s->fd == -1)
			return err_sys(e, "memfd");
		return 0;
	}
	s->fd = open_disk(f, e);
	return s->fd == -1 ? -1 : 0;
}

/* It has outgrown memory: the same bytes into an unnamed file. */
static int
move_to_disk(struct smtpd *f, struct spool *s, struct err *e)
{
	int fd = open_disk(f, e);
	char buf[65536];
	uint64_t off = 0;

	if (fd == -1)
		return -1;
	while (off < s->size) {
		ssize_t n = fs_pread_all(s->fd, buf, sizeof(buf), off);

		if (n <= 0 ||
		    fs_pwrite_all(fd, str_make(buf, (size_t)n), off) == -1) {
			err_sys(e, "spool");
			close(fd);
			return -1;
		}
		off += (uint64_t)n;
	}
	f->spooled -= s->size;
	close(s->fd);
	s->fd = fd;
	s->is_memory = false;
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
	*s = (struct spool){ .fd = -1 };
}
