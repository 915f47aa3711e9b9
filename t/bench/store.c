/*
 * store - what the store's operations cost, each beside the bare system calls
 * it cannot do without, on the same disk in the same run.
 *
 *	store DIR MESSAGES [MAILBOXES]
 *
 * DIR is empty and is left full; MESSAGES files are made in cur/ as another
 * server would have, and adopted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/incoming.h"
#include "service/store/store_int.h"
#include "system/fs/fs.h"

static int rootfd;
static uint32_t n;

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Of this process, its kernel part too: what other work does not stretch. */
static double
cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "store: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
row(const char *what, double ms, const char *beside, double bare)
{
	printf("| %s, %u | %.3f ms | %s", what, n, ms, beside);
	if (bare > 0)
		printf(" %.3f ms: %.2f", bare, ms / bare);
	printf(" |\n");
	fflush(stdout);
}

/* ---- the tree ---- */

static void
make_files(void)
{
	static const char *const dirs[] = { "cur", "new", "tmp" };
	static const char text[] = "From: a@b.example\nSubject: bench\n\nx\n";
	char name[80];
	int curfd, fd;
	uint32_t i;

	for (i = 0; i < 3; i++)
		need(mkdirat(rootfd, dirs[i], 0700) == 0, dirs[i]);
	curfd = fs_open_dir(rootfd, "cur");
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u.M%uP7.host,S=%zu,W=%zu:2,S",
		    1600000000 + i, i, sizeof(text) - 1, sizeof(text) + 3);
		fd = openat(curfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		need(fd != -1 && write(fd, text, sizeof(text) - 1) ==
				     (ssize_t)sizeof(text) - 1,
		    "write");
		close(fd);
	}
	close(curfd);
	sync();
}

static struct account *
account(void)
{
	struct account_opts o = { .hostname = "bench.example" };
	struct account *a;

	need(account_open(&a, rootfd, &o, NULL) == 0, "account_open");
	return a;
}

static struct mailbox *
mailbox(struct account *a, const char *name)
{
	struct mailbox *m;

	need(account_open_mailbox(a, str_from(name), false, &m, NULL) ==
		 ACCOUNT_OK,
	    "account_open_mailbox");
	return m;
}

static void
look(struct mailbox *m)
{
	struct mailbox_changes ch = { 0 };

	need(mailbox_sync(m, true, &ch, NULL) == 0, "mailbox_sync");
	mailbox_changes_release(&ch);
	mailbox_tidy(m);
}

/* Out of the page cache: what this account's files need to be read again. */
static bool
drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	bool ok;

	sync();
	ok = fd != -1 && write(fd, "3", 1) == 1;
	if (fd != -1)
		close(fd);
	return ok;
}

static uint64_t
private_kib(void)
{
	char line[200];
	unsigned long long k, total = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_Dirty: %llu", &k) == 1)
			total += k;
	if (f != NULL)
		fclose(f);
	return total;
}

static double
readdir_ms(void)
{
	double t = now_ms();
	DIR *d = fdopendir(fs_open_dir(rootfd, "cur"));

	while (readdir(d) != NULL)
		;
	closedir(d);
	return now_ms() - t;
}

/* ---- the rows ---- */

static int
flag(struct mailbox *m, uint32_t lo, uint32_t hi, int how, uint16_t flags)
{
	struct flag_change fc = { .how = how, .flags = flags };
	struct ranges r;
	int rc;

	ranges_init(&r, 1);
	ranges_add(&r, lo, hi);
	rc = mailbox_store(m, &r, &fc, NULL, NULL, NULL);
	ranges_release(&r);
	return rc;
}

/* In a process of its own: what others gave back would hide it. */
static void
private_memory(void)
{
	struct account *a;
	struct mailbox *m;
	uint64_t before;

	fflush(stdout);
	if (fork() == 0) {
		before = private_kib();
		a = account();
		m = mailbox(a, "INBOX");
		look(m);
		printf("| private memory, %u | %llu KiB | aim 1 MiB |\n", n,
		    (unsigned long long)(private_kib() - before));
		fflush(stdout);
		flag(m, 1, UINT32_MAX, FLAGS_ADD, FLAG_ANSWERED);
		flag(m, 1, UINT32_MAX, FLAGS_REMOVE, FLAG_ANSWERED);
		look(m);
		printf("| the same, after changes of all flags, %u | %llu KiB "
		       "| aim 24 MiB |\n",
		    n, (unsigned long long)(private_kib() - before));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void
opening(void)
{
	struct account *a = account();
	struct mailbox *m;
	double t = now_ms();
	int i;

	m = mailbox(a, "INBOX");
	row("first open (adoption)", now_ms() - t, "", 0);
	t = now_ms();
	mailbox_close(&m);
	row("close, first index", now_ms() - t, "", 0);
	t = now_ms();
	for (i = 0; i < 100; i++) {
		m = mailbox(a, "INBOX");
		look(m);
		mailbox_close(&m);
	}
	row("open known, warm", (now_ms() - t) / 100, "aim 1 ms", 0);
	account_close(&a);
	private_memory();
	if (drop_caches()) {
		a = account();
		t = now_ms();
		m = mailbox(a, "INBOX");
		look(m);
		row("open known, cold", now_ms() - t, "aim 150 ms", 0);
		mailbox_close(&m);
		account_close(&a);
	}
}

static double
bare_appends(int count)
{
	char line[240] = { 0 };
	int fd = openat(rootfd, "bare", O_WRONLY | O_CREAT | O_APPEND, 0600);
	double t = now_ms();
	int i;

	for (i = 0; i < count; i++)
		need(write(fd, line, 168) == 168 && fdatasync(fd) == 0,
		    "append");
	t = now_ms() - t;
	close(fd);
	return t / count;
}

/* To the OK; with_name: and the renames that follow it. In turn with the bare
 * calls: the disk's mood is the same for both. */
static void
one_flag(struct mailbox *m, int how, bool with_name)
{
	double t = 0, cpu = 0, bare = 0;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		if (i % 20 == 0)
			bare += bare_appends(20) * 20;
		cpu -= cpu_us();
		t -= now_ms();
		need(flag(m, i + 1, i + 1, how, FLAG_FLAGGED) == 0, "STORE");
		if (with_name)
			mailbox_tidy(m);
		t += now_ms();
		cpu += cpu_us();
	}
	printf("| its CPU, %u | %.0f us | |\n", n, cpu / 200);
	row(with_name ? "one flag and its rename" : "one flag, to the OK",
	    t / 200, "append+fdatasync", bare / 200);
}

static void
flags(void)
{
	struct account *a = account();
	struct mailbox *m = mailbox(a, "INBOX"), *o = mailbox(a, "INBOX");
	uint32_t i, k = n < 1000 ? n : 1000;
	double t;

	look(m);
	look(o);
	/* once before, as the appends: blocks of cur/ are read */
	for (i = 0; i < 200; i++)
		flag(m, i + 1, i + 1, FLAGS_ADD, FLAG_DELETED);
	look(m);
	bare_appends(200);
	one_flag(m, FLAGS_ADD, false);
	look(m);
	one_flag(m, FLAGS_REMOVE, true);
	look(o);
	for (i = 0; i < k; i++)
		flag(m, i + 1, i + 1, FLAGS_ADD, FLAG_FLAGGED);
	t = now_ms();
	look(o);
	row("resync of 1,000 changes", now_ms() - t, "aim 10 ms", 0);
	t = now_ms();
	need(flag(m, 1, UINT32_MAX, FLAGS_ADD, FLAG_ANSWERED) == 0, "STORE");
	row("a flag of all, to the OK", now_ms() - t, "aim 5 ms for 100,000",
	    0);
	flag(m, 1, UINT32_MAX, FLAGS_REMOVE, FLAG_ANSWERED);
	t = now_ms();
	look(o);
	row("the same, told to another session", now_ms() - t, "", 0);
	mailbox_close(&o);
	mailbox_close(&m);
	account_close(&a);
}

static void
renames(void)
{
	struct account *a = account();
	struct mailbox *m = mailbox(a, "INBOX"), *o = mailbox(a, "INBOX");
	char from[300], to[300];
	double t, bare;
	struct dirent *de;
	DIR *d;

	look(m);
	look(o);
	d = fdopendir(fs_open_dir(rootfd, "cur"));
	while ((de = readdir(d)) != NULL && de->d_name[0] == '.')
		;
	need(de != NULL, "readdir");
	snprintf(from, sizeof(from), "cur/%s", de->d_name);
	snprintf(to, sizeof(to), "cur/%.*sFRS",
	    (int)(strstr(de->d_name, ":2,") + 3 - de->d_name), de->d_name);
	closedir(d);
	bare = readdir_ms();
	need(renameat(rootfd, from, rootfd, to) == 0, "rename");
	t = now_ms();
	look(m);
	row("look after a foreign rename", now_ms() - t, "one directory read",
	    bare);
	t = now_ms();
	flag(m, 1, 1, FLAGS_REPLACE, FLAG_SEEN | FLAG_DRAFT);
	look(m);
	look(o);
	row("flag, own rename, looks of two sessions", now_ms() - t,
	    "no directory read", 0);
	mailbox_close(&o);
	mailbox_close(&m);
	account_close(&a);
}

static void
statuses(int boxes)
{
	struct account *a = account();
	struct mailbox_counts c;
	struct mailbox *m;
	char name[20];
	double t;
	int i;

	for (i = 0; i < boxes; i++) {
		snprintf(name, sizeof(name), "f%04d", i);
		need(account_create(a, str_from(name), 0, NULL) == ACCOUNT_OK,
		    "CREATE");
		m = mailbox(a, name);
		mailbox_close(&m);
	}
	t = now_ms();
	for (i = 0; i < boxes; i++) {
		snprintf(name, sizeof(name), "f%04d", i);
		need(account_status(a, str_from(name), &c, NULL) == ACCOUNT_OK,
		    "STATUS");
	}
	printf("| STATUS of %d mailboxes | %.3f ms | aim 5 ms for 1,000 |\n",
	    boxes, now_ms() - t);
	account_close(&a);
}

/* ---- delivery ---- */

static char body[10000];

static void
bare_one(int tmp, int new, int log, int i)
{
	char name[64], line[240] = { 0 };
	int fd;

	snprintf(name, sizeof(name), "%d.%d", (int)getpid(), i);
	fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	need(fd != -1 && write(fd, body, sizeof(body)) == sizeof(body) &&
		 fsync(fd) == 0,
	    "write");
	close(fd);
	need(renameat(tmp, name, new, name) == 0 && fsync(new) == 0 &&
		 write(log, line, sizeof(line)) == sizeof(line) &&
		 fdatasync(log) == 0,
	    "rename");
}

static void
store_one(struct mailbox *m)
{
	struct incoming_opts o = { .is_new = true };
	struct incoming *in;
	uint32_t uid;

	need(incoming_new(&in, m, &o, NULL) == 0 &&
		 incoming_write(in, str_make(body, sizeof(body)), NULL) == 0 &&
		 incoming_sync(in, NULL) == 0 &&
		 mailbox_commit(m, &in, 1, &uid, NULL) == 0,
	    "deliver");
	incoming_free(&in);
}

/* Ready: a byte to the one pipe; begins with one from the other. */
static void
writer(int count, bool is_bare, int ready, int go)
{
	int tmp = fs_open_dir(rootfd, "bare.tmp");
	int new = fs_open_dir(rootfd, "bare.new");
	int log =
	    openat(rootfd, "bare.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct account *a = is_bare ? NULL : account();
	struct mailbox *m = is_bare ? NULL : mailbox(a, "f0000");
	char c = 0;
	int i;

	need(write(ready, &c, 1) == 1 && read(go, &c, 1) == 1, "pipe");
	for (i = 0; i < count; i++)
		if (is_bare)
			bare_one(tmp, new, log, i);
		else
			store_one(m);
	_exit(0);
}

static double
deliveries(int writers, int count, bool is_bare)
{
	char bytes[64] = { 0 };
	int w, ready[2], go[2];
	double t;

	need(pipe(ready) == 0 && pipe(go) == 0, "pipe");
	for (w = 0; w < writers; w++)
		if (fork() == 0)
			writer(count, is_bare, ready[1], go[0]);
	for (w = 0; w < writers; w++)
		need(read(ready[0], bytes, 1) == 1, "pipe");
	t = now_ms();
	need(write(go[1], bytes, (size_t)writers) == writers, "pipe");
	while (wait(NULL) > 0)
		;
	t = now_ms() - t;
	for (w = 0; w < 2; w++) {
		close(ready[w]);
		close(go[w]);
	}
	return t / (writers * count);
}

static void
delivery(int writers, int count)
{
	double bare, ours;

	/* twice each, in turn: the disk's mood is the same for both */
	bare = deliveries(writers, count, true);
	ours = deliveries(writers, count, false);
	bare += deliveries(writers, count, true);
	ours += deliveries(writers, count, false);
	printf("| delivery of 10 kB, %d writers, one mailbox | %.3f ms | bare "
	       "%.3f ms: %.2f |\n",
	    writers, ours / 2, bare / 2, ours / bare);
	fflush(stdout);
}

/* As the deliverer of a mailbox does when so many wait for it. */
static void
batches(int count, int rounds)
{
	struct account *a = account();
	struct mailbox *m = mailbox(a, "f0000");
	struct incoming_opts o = { .is_new = true };
	struct incoming *in[64];
	uint32_t uids[64];
	double t, bare;
	int i, k;

	bare = deliveries(count, rounds, true);
	t = now_ms();
	for (k = 0; k < rounds; k++) {
		for (i = 0; i < count; i++)
			need(incoming_new(&in[i], m, &o, NULL) == 0 &&
				 incoming_write(in[i],
				     str_make(body, sizeof(body)), NULL) == 0,
			    "write");
		need(incoming_sync_many(in, (size_t)count, NULL) == 0 &&
			 mailbox_commit(m, in, (size_t)count, uids, NULL) == 0,
		    "commit");
		for (i = 0; i < count; i++)
			incoming_free(&in[i]);
	}
	t = (now_ms() - t) / (count * rounds);
	printf("| delivery of 10 kB, %d that wait, one deliverer | %.3f ms | "
	       "bare, %d writers %.3f ms: %.2f |\n",
	    count, t, count, bare, t / bare);
	mailbox_close(&m);
	account_close(&a);
}

int
main(int argc, char **argv)
{
	int boxes = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 1000;

	if (argc < 3) {
		fprintf(stderr, "usage: store DIR MESSAGES [MAILBOXES]\n");
		return 64;
	}
	n = (uint32_t)strtoul(argv[2], NULL, 10);
	rootfd = open(argv[1], O_RDONLY | O_DIRECTORY);
	need(rootfd != -1, argv[1]);
	memset(body, 'x', sizeof(body));
	make_files();
	opening();
	flags();
	renames();
	statuses(boxes);
	mkdirat(rootfd, "bare.tmp", 0700);
	mkdirat(rootfd, "bare.new", 0700);
	delivery(1, 300);
	delivery(16, 60);
	batches(16, 60);
	return 0;
}
