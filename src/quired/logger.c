#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quired.h"
#include "system/fs/fs.h"
#include "system/log/log.h"
#include "to_syslog.h"

/*
 * All programs write whole lines into one pipe, this process moves them to
 * their target. Its own lines go the same way while it runs.
 */
static int
open_target(struct quired *q, struct err *e)
{
	char *path;

	if (q->set.config->log_to == LOG_TO_SYSLOG)
		to_syslog_open();
	if (q->set.config->log_to != LOG_TO_FILE)
		return 0;
	path = str_dup(q->set.config->log_file);
	q->log_out = open(
	    path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (q->log_out == -1)
		err_sys(e, "log file %s", path);
	free(path);
	return q->log_out == -1 ? -1 : 0;
}

int
logger_open(struct quired *q, struct err *e)
{
	q->log_out = -1;
	if (pipe2(q->log_pipe, O_CLOEXEC | O_NONBLOCK) == -1)
		return err_sys(e, "log pipe");
	(void)fcntl(q->log_pipe[0], F_SETPIPE_SZ, 1 << 20);
	if (open_target(q, e) == -1)
		return -1;
	log_init("quired", q->log_pipe[1], q->level);
	return 0;
}

void
logger_reopen(struct quired *q)
{
	struct err e;
	int old = q->log_out;

	if (old == -1)
		return;
	if (open_target(q, &e) == -1)
		q->log_out = old; /* better the old file than none */
	else
		close(old);
}

void
logger_drain(struct quired *q)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(q->log_pipe[0], buf, sizeof(buf))) > 0) {
		struct str s = str_make(buf, (size_t)n);

		if (q->set.config->log_to == LOG_TO_SYSLOG)
			to_syslog(s);
		else
			(void)fs_write_all(
			    q->log_out == -1 ? STDERR_FILENO : q->log_out, s);
		if ((size_t)n < sizeof(buf))
			break;
	}
}
