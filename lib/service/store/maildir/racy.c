/*
 * racy - directory times that are too coarse to tell two changes apart.
 *
 * Kernels before 6.13, and some file systems since, stamp a directory with
 * the last clock tick: what somebody else changes in the tick of a change we
 * know of leaves the same time behind. Where that is so, a state recorded
 * within RACY_NS of the directory's time is looked at once more when
 * RACY_WAIT_MS have passed; that look is recorded, so that others need not.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/date.h"

#define RACY_NS	     20000000 /* two ticks at 100 Hz */
#define RACY_WAIT_MS 1000
#define PROBES	     3

bool store_times_are_coarse; /* for tests */

/* Two changes at once: are they told apart? Where nothing can be written,
 * nothing of ours races with others. */
static bool
probe(int tmpfd)
{
	struct stat before, after;
	char name[32];
	int i, fd;

	snprintf(name, sizeof(name), "probe.%ld", (long)getpid());
	for (i = 0; i < PROBES; i++) {
		fd = openat(tmpfd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd == -1)
			return true;
		close(fd);
		if (fstat(tmpfd, &before) == -1 ||
		    unlinkat(tmpfd, name, 0) == -1 ||
		    fstat(tmpfd, &after) == -1)
			return true;
		if (stat_mtime(&before) == stat_mtime(&after))
			return false;
	}
	return true;
}

/* Asked once for each device that this process sees in a row. */
static bool
times_are_fine(const struct mailbox *m)
{
	static dev_t known;
	static bool is_known, is_fine;
	struct stat st;

	if (store_times_are_coarse)
		return false;
	if (m->tmpfd == -1 || fstat(m->tmpfd, &st) == -1)
		return true;
	if (!is_known || known != st.st_dev) {
		is_fine = probe(m->tmpfd);
		known = st.st_dev;
		is_known = true;
	}
	return is_fine;
}

bool
racy_at(uint64_t mtime, int64_t recorded_us)
{
	return (uint64_t)recorded_us * 1000 < mtime + RACY_NS;
}

int
racy_due_ms(struct mailbox *m, int dir)
{
	const struct scan_state *s = &m->v.scan[dir];
	int64_t age_ms;

	if (s->is_stable || s->mtime == 0 || m->j.readonly || times_are_fine(m))
		return -1;
	age_ms = date_now_us() / 1000 - (int64_t)(s->mtime / 1000000);
	/* a clock that was set back must not make it wait for ever */
	if (age_ms < 0 || age_ms >= RACY_WAIT_MS)
		return 0;
	return (int)(RACY_WAIT_MS - age_ms);
}

int
mailbox_due_ms(struct mailbox *m)
{
	int due = -1, i, ms;
	int64_t young = m->young_until - date_mono_ms();

	if (m->is_dead || m->j.readonly)
		return -1;
	for (i = 0; i < 2; i++)
		if ((ms = racy_due_ms(m, i)) != -1 && (due == -1 || ms < due))
			due = ms;
	if (m->young_until != 0 && young > 0 && (due == -1 || young < due))
		due = (int)young;
	return due;
}
