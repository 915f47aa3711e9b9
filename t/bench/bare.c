/*
 * bare - the system calls a durable delivery cannot do without, and nothing
 * else: create, write, fsync, rename, fsync of the directory, append to a
 * journal, fdatasync. What the disk allows; the other rows are ratios to it.
 *
 *	bare DIR WRITERS MESSAGES SIZE    prints "RATE CPU_US"
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
deliver(
    int tmp, int new, int log, int writer, int n, const char *data, size_t size)
{
	char name[64], line[240];
	int fd;

	snprintf(name, sizeof(name), "%d.%d", writer, n);
	fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size ||
	    fsync(fd) == -1)
		die("write");
	close(fd);
	if (renameat(tmp, name, new, name) == -1 || fsync(new) == -1)
		die("rename");
	memset(line, 'j', sizeof(line));
	if (write(log, line, sizeof(line)) != sizeof(line) ||
	    fdatasync(log) == -1)
		die("journal");
}

static void
writer(const char *dir, int w, int messages, size_t size)
{
	char path[4096], *data = calloc(1, size);
	int tmp, new, log, i;

	snprintf(path, sizeof(path), "%s/%d", dir, w);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%d/tmp", dir, w);
	mkdir(path, 0700);
	tmp = open(path, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "%s/%d/new", dir, w);
	mkdir(path, 0700);
	new = open(path, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "%s/%d/log", dir, w);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (tmp == -1 || new == -1 || log == -1 || data == NULL)
		die("open");
	for (i = 0; i < messages; i++)
		deliver(tmp, new, log, w, i, data, size);
	exit(0);
}

int
main(int argc, char **argv)
{
	struct timespec a, b;
	struct rusage ru;
	int writers, messages, i;
	double wall, cpu;

	if (argc != 5) {
		fprintf(stderr, "usage: bare DIR WRITERS MESSAGES SIZE\n");
		return 64;
	}
	writers = (int)strtol(argv[2], NULL, 10);
	messages = (int)strtol(argv[3], NULL, 10);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < writers; i++)
		if (fork() == 0)
			writer(argv[1], i, messages / writers,
			    (size_t)strtol(argv[4], NULL, 10));
	while (wait(NULL) > 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &b);
	getrusage(RUSAGE_CHILDREN, &ru);
	wall = (double)(b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9;
	cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	      (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	messages = messages / writers * writers;
	printf("%.0f %.0f\n", messages / wall, cpu * 1e6 / messages);
	return 0;
}
