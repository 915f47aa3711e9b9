#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "quired.h"
#include "system/daemon/daemon.h"
#include "system/log/log.h"

static const char usage[] =
    "usage: quired [-f] [-t] [-C directory] [-u uid:gid]\n"
    "  -C DIR  configuration directory with quire.conf (/etc/quire)\n"
    "  -f      announce readiness on standard output (localserve)\n"
    "  -t      check the configuration and exit\n"
    "  -u IDS  started by root: run everything as this user (localserve)\n";

static int
find_programs(struct quired *q)
{
	unsigned i;

	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n <= 0)
		n = 0;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
	q->program_dir = xstrdup(slash == NULL ? "/usr/lib/quire" : path);
	for (i = 0; i < PROGS; i++) {
		char *prog = xasprintf("%s/%s", q->program_dir, prog_names[i]);

		q->program[i] = open(prog, O_PATH | O_CLOEXEC);
		if (q->program[i] == -1) {
			fprintf(
			    stderr, "quired: %s: %s\n", prog, strerror(errno));
			return -1;
		}
		free(prog);
	}
	return 0;
}

/* localserve started by root: everything runs as the mail's owner. */
static int
give_up_root(struct quired *q)
{
	struct str ids, uid;
	uint64_t u, g;
	struct err e;

	if (q->run_as == NULL || geteuid() != 0)
		return 0;
	ids = str_from(q->run_as);
	str_cut(&ids, ':', &uid);
	if (!str_uint(uid, UINT32_MAX, &u) || !str_uint(ids, UINT32_MAX, &g)) {
		fprintf(
		    stderr, "quired: -u %s: UID:GID is wanted\n", q->run_as);
		return -1;
	}
	if (daemon_drop((uid_t)u, (gid_t)g, &e) == -1) {
		fprintf(stderr, "quired: %s\n", e.text);
		return -1;
	}
	return 0;
}

static void
block_signals(struct quired *q)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	q->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
reload(struct quired *q)
{
	struct buf errors;

	buf_init(&errors, 65536);
	(void)settings_reload(q, &errors); /* which logs them */
	buf_release(&errors);
}

static void
take_signals(struct quired *q)
{
	struct signalfd_siginfo si;

	while (read(q->signal_fd, &si, sizeof(si)) == sizeof(si))
		switch (si.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			if (!q->stopping) {
				LOG_INFO("stop", F_CSTR("by", "signal"));
				children_stop(q, date_mono_ms());
			}
			break;
		case SIGHUP:
			reload(q);
			break;
		case SIGUSR1:
			logger_reopen(q);
			break;
		case SIGCHLD:
			break;
		}
	children_reap(q);
}

static void
announce(struct quired *q)
{
	q->is_up = true;
	LOG_INFO("ready", F_CSTR("version", QUIRE_VERSION),
	    F_INT("listeners", q->set.listen.n),
	    F_INT("accounts", q->set.config->naccounts));
	notify_manager("READY=1");
	if (q->announce) {
		struct buf b;

		buf_init(&b, 65536);
		listen_print(q, &b);
		printf("%sready\n", buf_cstr(&b));
		buf_release(&b);
		fflush(stdout);
	}
}

static int
next_timeout(const struct quired *q)
{
	int ms = children_next_ms(q);

	if (q->stopping)
		return 100;
	return ms;
}

static unsigned
fill_poll(struct quired *q, struct pollfd *p, struct child **who,
    struct control **ctl)
{
	unsigned n = 0, i;

	p[n++] = (struct pollfd){ .fd = q->signal_fd, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = q->log_pipe[0], .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = q->control_fd, .events = POLLIN };
	for (i = 0; i < PROGS; i++) {
		if (q->child[i].ctl == -1 || q->child[i].pid == 0)
			continue;
		who[n] = &q->child[i];
		p[n++] =
		    (struct pollfd){ .fd = q->child[i].ctl, .events = POLLIN };
	}
	for (i = 0; i < MAX_CONTROLS; i++) {
		if (q->controls[i].fd == -1)
			continue;
		ctl[n] = &q->controls[i];
		p[n++] = (struct pollfd){ .fd = q->controls[i].fd,
			.events = POLLIN };
	}
	return n;
}

static void
serve(struct quired *q)
{
	while (!q->stopping || !children_gone(q)) {
		struct pollfd p[3 + PROGS + MAX_CONTROLS];
		struct child *who[3 + PROGS + MAX_CONTROLS] = { 0 };
		struct control *ctl[3 + PROGS + MAX_CONTROLS] = { 0 };
		unsigned n, i;

		children_tick(q);
		n = fill_poll(q, p, who, ctl);
		if (poll(p, n, next_timeout(q)) == -1 && errno != EINTR)
			break;
		take_signals(q);
		logger_drain(q);
		if (p[2].revents != 0)
			control_accept(q);
		for (i = 3; i < n; i++) {
			if (p[i].revents == 0)
				continue;
			if (who[i] != NULL && who[i]->ctl == p[i].fd)
				orders_receive(q, who[i]);
			else if (ctl[i] != NULL)
				control_receive(q, ctl[i]);
		}
		if (!q->is_up && children_ready(q))
			announce(q);
		if (q->stopping && date_mono_ms() > q->stop_at)
			children_stop(q, date_mono_ms());
	}
}

static int
load(struct quired *q)
{
	struct buf errors;
	int rc;

	buf_init(&errors, 1 << 20);
	rc = settings_load(q, &q->set, &errors);
	if (rc == -1)
		fprintf(stderr, "%s", buf_cstr(&errors));
	buf_release(&errors);
	return rc;
}

static int
run(struct quired *q)
{
	struct listeners first;
	struct err e;

	q->level = (enum log_level)q->set.config->log_level;
	if (settings_open(q, &q->set, &e) == -1 || logger_open(q, &e) == -1 ||
	    control_open(q, &e) == -1 ||
	    listen_open(q, q->set.config, &first, &e) == -1) {
		fprintf(stderr, "quired: %s\n", e.text);
		return 71;
	}
	q->set.listen = first;
	block_signals(q);
	/* orphaned workers of a restarted nursery are ours to reap */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	children_init(q);
	serve(q);
	control_close(q);
	LOG_INFO("stopped");
	logger_drain(q);
	return 0;
}

int
main(int argc, char **argv)
{
	struct quired *q = xcalloc(1, sizeof(*q));
	struct rlimit rl;
	const char *dir = "/etc/quire";
	bool check_only = false;
	struct err e;
	int c;

	while ((c = getopt(argc, argv, "C:ftu:")) != -1)
		switch (c) {
		case 'C':
			dir = optarg;
			break;
		case 'f':
			q->announce = true;
			break;
		case 'u':
			q->run_as = optarg;
			break;
		case 't':
			check_only = true;
			break;
		default:
			fputs(usage, stderr);
			return 64;
		}
	if (optind != argc) {
		fputs(usage, stderr);
		return 64;
	}
	umask(027);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	q->started = date_mono_ms();
	q->auth_dir = q->spool_dir = -1;
	settings_init(&q->set);
	buf_init(&q->cid_key, 4096);
	q->conf_dir = xstrdup(dir);
	q->conf_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->conf_fd == -1) {
		fprintf(stderr, "quired: %s: %s\n", dir, strerror(errno));
		return 78; /* EX_CONFIG */
	}
	if (passed_take(q, &e) == -1) {
		fprintf(stderr, "quired: %s\n", e.text);
		return 71;
	}
	if (find_programs(q) == -1 || give_up_root(q) == -1)
		return 71;
	if (load(q) == -1)
		return 78;
	if (check_only)
		return 0;
	return run(q);
}
