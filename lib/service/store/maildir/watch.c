/*
 * watch - a descriptor that says when to look: inotify on the mailbox's own
 * pub, cur/ and new/. When the user has no instances left there is none and
 * the session polls.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

static int
add(int watchfd, int fd, uint32_t mask)
{
	struct buf b;
	int rc;

	/* by descriptor: the folder may have been renamed meanwhile */
	buf_init(&b, 64);
	buf_printf(&b, "/proc/self/fd/%d", fd);
	rc = inotify_add_watch(watchfd, buf_cstr(&b), mask);
	buf_release(&b);
	return rc;
}

int
mailbox_watch(struct mailbox *m, struct err *e)
{
	uint32_t dirs =
	    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;

	if (m->watchfd != -1)
		return m->watchfd;
	if (m->j.pubfd == -1) {
		err_set(e, ERR_TEMP, "no pub to watch");
		return -1;
	}
	m->watchfd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (m->watchfd == -1 || add(m->watchfd, m->j.pubfd, IN_MODIFY) == -1 ||
	    add(m->watchfd, m->curfd, dirs) == -1 ||
	    add(m->watchfd, m->newfd, dirs) == -1) {
		err_sys(e, "inotify (polling instead)");
		if (m->watchfd != -1)
			close(m->watchfd);
		m->watchfd = -1;
	}
	/* names are read again when they are needed: an idle session should
	 * hold little */
	free(m->window);
	m->window = NULL;
	m->window_n = 0;
	return m->watchfd;
}

void
mailbox_watch_clear(struct mailbox *m)
{
	char buf[4096];

	if (m->watchfd == -1)
		return;
	while (read(m->watchfd, buf, sizeof(buf)) > 0)
		;
}
