/*
 * store_power - the power cut after every system call that changes the disk.
 *
 *	store_power DIR FSTYPE [STRIDE [skip=CALL]]	every STRIDE-th step
 *	store_power DIR FSTYPE from=STEP		from that one on, and
 *each
 *
 * The scenario (scenario.h) plays on a file system in a file. At step n its
 * process ends, the file is copied as it is at that moment - what the file
 * system did not write is not in it -, and the copy is mounted, on another
 * boot as far as the store can tell: what was acknowledged must be there.
 *
 * With skip=sync or skip=sync_data such calls are only said to have been made;
 * then states must be wrong, or this test would not see anything.
 *
 * Needs root, loop devices and mkfs.FSTYPE. An image holds every write that
 * was submitted; writes that a disk loses from its cache, or puts in another
 * order, are not seen here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"
#include "service/store/index_int.h"

static const char *dir, *type, *skip;
static long stop_at;

static int
hook(const char *call)
{
	sh->steps++;
	if (sh->steps == stop_at) {
		snprintf(sh->call, sizeof(sh->call), "%s", call);
		_exit(77);
	}
	return skip != NULL && strcmp(call, skip) == 0 ? STEP_SKIP : 0;
}

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A command that must succeed. */
static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
run(const char *fmt, ...)
{
	char cmd[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		die(cmd);
}

static void
make_pristine(void)
{
	/* the smallest that their makers allow; sparse */
	int mib = strcmp(type, "xfs") == 0   ? 320 :
		  strcmp(type, "btrfs") == 0 ? 160 :
					       32;

	run("rm -f %s/pristine; truncate -s %dM %s/pristine && mkfs.%s -q "
	    "%s/pristine",
	    dir, mib, dir, type, dir);
	run("mkdir -p %s/mnt", dir);
}

static int
mount_image(const char *name)
{
	char path[500];
	int fd;

	run("mount -o loop,noatime%s %s/%s %s/mnt",
	    strcmp(type, "xfs") == 0 ? ",nouuid" : "", dir, name, dir);
	snprintf(path, sizeof(path), "%s/mnt/mail", dir);
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		die(path);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		die(path);
	return fd;
}

static void
unmount(void)
{
	run("umount %s/mnt", dir);
	/* two images of one fsid confuse btrfs */
	if (strcmp(type, "btrfs") == 0)
		run("btrfs device scan --forget >/dev/null 2>&1 || true");
}

/* Play to step n; the image as it is then. */
static void
play_to(long n)
{
	int rootfd, status;
	pid_t pid;

	run("cp --sparse=always --reflink=auto %s/pristine %s/disk", dir, dir);
	rootfd = mount_image("disk");
	/* the directory it all happens in has been there for long */
	sync();
	scenario_begin();
	stop_at = n;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		store_step = hook;
		store_tail_min = 1500;
		store_tree_min = 1500;
		scenario_play(rootfd);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	run("cp --sparse=always --reflink=auto %s/disk %s/cut", dir, dir);
	close(rootfd);
	unmount();
	if (!WIFEXITED(status))
		die("the scenario crashed");
}

int
main(int argc, char **argv)
{
	long stride = 1, first = 1, n, tried = 0, wrong = 0;
	const char *bad;
	bool done = false;
	int rootfd;

	if (argc > 3 && strncmp(argv[3], "from=", 5) == 0)
		first = strtol(argv[3] + 5, NULL, 10);
	else if (argc > 3)
		stride = strtol(argv[3], NULL, 10);
	if (argc < 3 || stride < 1 || first < 1)
		return 64;
	dir = argv[1];
	type = argv[2];
	if (argc > 4 && strncmp(argv[4], "skip=", 5) == 0)
		skip = argv[4] + 5;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_pristine();
	for (n = first; !done; n += stride, tried++) {
		play_to(n);
		done = sh->steps < n;
		rootfd = mount_image("cut");
		store_boot = 12345; /* another one */
		bad = scenario_check(rootfd);
		store_boot = 0;
		close(rootfd);
		unmount();
		if (bad == NULL)
			continue;
		wrong++;
		if (skip == NULL)
			printf("# %s, power cut at step %ld (%s, %s): %s\n",
			    type, n, sh->what, sh->call, bad);
	}
	printf("%ld of %ld states wrong\n", wrong, tried);
	return skip == NULL ? wrong != 0 : wrong == 0;
}
