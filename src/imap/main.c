/*
 * quire-imap without arguments is the nursery that quired starts.
 * quire-imap --preauth MAILDIR is one session on standard input and output,
 * already logged in, as ssh tunnels and tests want it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "profile.h"
#include "service/worker/worker.h"
#include "session.h"
#include "worker.h"

static void
log_line(int level, const char *event, const char *text)
{
	static const char *const names[] = { "error", "warning", "info" };

	if (level < 2)
		fprintf(stderr, "quire-imap: %s: %s: %s\n", names[level], event,
		    text);
}

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: quire-imap --preauth [--read-only] "
			"[--index-root dir] maildir\n");
	exit(EX_USAGE);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "preauth", no_argument, NULL, 'p' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "index-root", required_argument, NULL, 'i' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct imap_start start = { .in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.account = "",
		.login = "",
		.remote = "",
		.tag = STR(""),
		.input = STR(""),
		.store.log = log_line };
	char host[HOST_NAME_MAX + 1] = "localhost";
	const struct nursery_spec nursery = { .name = "quire-imap",
		.nursery = &imap_nursery_profile,
		.worker = &imap_worker_profile,
		.work = imap_work,
		.prepare = worker_prepare };
	bool preauth = false;
	int ch;

	if (argc == 1)
		return nursery_run(&nursery);
	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (ch) {
		case 'p':
			preauth = true;
			break;
		case 'r':
			start.store.readonly = true;
			break;
		case 'i':
			start.store.is_fs = true;
			start.store.indexfd =
			    open(optarg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (start.store.indexfd == -1)
				err(EX_NOINPUT, "%s", optarg);
			break;
		case 'V':
			puts("quire-imap " QUIRE_VERSION);
			return 0;
		default:
			usage();
		}
	if (!preauth || optind != argc - 1)
		usage();
	umask(077);
	if (gethostname(host, sizeof(host) - 1) == 0)
		start.store.hostname = host;
	if (mkdir(argv[optind], 0700) == -1 && errno != EEXIST)
		err(EX_CANTCREAT, "%s", argv[optind]);
	start.rootfd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (start.rootfd == -1)
		err(EX_NOINPUT, "%s", argv[optind]);
	return imap_session_run(&start) == IMAP_END_FAILED ? EX_TEMPFAIL : 0;
}
