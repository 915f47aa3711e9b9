#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/pack.h"
#include "system/conf/conf.h"
#include "system/fs/fs.h"
#include "system/ipc/msg.h"
#include "system/log/log.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* ---- conf ---- */

static const struct {
	const char *in;
	const char *out;    /* printed back, or NULL */
	const char *errors; /* a part of the messages, or NULL */
} confs[] = {
	{ "a b c\n", "a b c\n", NULL },
	{ "a\n# c\nb \"x y\" # z\n", "a\nb \"x y\"\n", NULL },
	{ "a \"q\\\"\\\\\"\n", "a \"q\\\"\\\\\"\n", NULL },
	{ "a x {\n b 1\n}\nc 2\n", "a x {\n\tb 1\n}\nc 2\n", NULL },
	{ "a {}\n", "a {\n}\n", NULL },
	{ "\"\" \"a b\"\n\"c d\" e\n", "\"\" \"a b\"\n\"c d\" e\n", NULL },
	{ "a \"open\nb\n", NULL, "f:1:3: quoted value without end" },
	{ "a {\nb\n", NULL, "f:1:3: block without end" },
	{ "}\n", NULL, "f:1:1: '}' without a '{'" },
	{ "  {\n", NULL, "f:1:3: '{' without a name" },
	{ "a\xff\n", NULL, "f: not a UTF-8 text file" },
	{ "a{b{c{d{e{f{g{h{i{\n", NULL, "deeper than 8" },
	{ "include x\n", NULL, "include is not allowed here" },
};

START_TEST(conf_table)
{
	struct conf_errors e;
	struct arena a;
	struct buf b;
	struct conf_node *n;

	conf_errors_init(&e);
	arena_init(&a, 1 << 20);
	buf_init(&b, 65536);
	n = conf_parse(&a, "f", str_from(confs[_i].in), -1, &e);
	if (confs[_i].errors != NULL)
		ck_assert_msg(
		    strstr(buf_cstr(&e.text), confs[_i].errors) != NULL,
		    "got: %s", buf_cstr(&e.text));
	else {
		ck_assert_msg(e.n == 0, "%s", buf_cstr(&e.text));
		conf_print(&b, n, 0);
		ck_assert_str_eq(buf_cstr(&b), confs[_i].out);
	}
	conf_errors_release(&e);
	arena_release(&a);
	buf_release(&b);
}
END_TEST

struct settings {
	struct str s;
	bool b;
	uint64_t n, size, time;
	int word;
	struct conf_list list;
};
static const char *const words[] = { "red", "green", NULL };
static const struct conf_row rows[] = {
	{ "listener", CONF_STR, offsetof(struct settings, s) },
	{ "flag", CONF_BOOL, offsetof(struct settings, b) },
	{ "number", CONF_UINT, offsetof(struct settings, n), 2, 9 },
	{ "size", CONF_SIZE, offsetof(struct settings, size) },
	{ "time", CONF_TIME, offsetof(struct settings, time) },
	{ "colour", CONF_WORD, offsetof(struct settings, word),
	    .words = words },
	{ "list", CONF_LIST, offsetof(struct settings, list) },
};
static const struct {
	const char *in, *error;
} applied[] = {
	{ "flag yes\nnumber 5\nsize 3k\ntime 2m\ncolour green\nlist a b\nlist "
	  "c\n",
	    NULL },
	{ "lisener x\n", "did you mean 'listener'?" },
	{ "flag maybe\n", "f:1:6: 'maybe' is neither yes nor no" },
	{ "number 10\n", "out of range, 2 to 9 is allowed" },
	{ "number x\n", "'x' is not a number" },
	{ "size 3x\n", "not a size like" },
	{ "time 3\n", "not a time like" },
	{ "colour blue\n", "unknown value 'blue'" },
	{ "flag yes\nflag no\n", "given twice, first in line 1" },
	{ "flag { }\n", "takes no block" },
	{ "number\n", "takes one value, here are 0" },
};

START_TEST(conf_apply_table)
{
	struct settings s = { 0 };
	struct conf_errors e;
	struct arena a;

	conf_errors_init(&e);
	arena_init(&a, 1 << 20);
	conf_apply(&a, &s, rows, N(rows),
	    conf_parse(&a, "f", str_from(applied[_i].in), -1, &e), "word", &e);
	if (applied[_i].error == NULL) {
		ck_assert_msg(e.n == 0, "%s", buf_cstr(&e.text));
		ck_assert(s.b && s.n == 5 && s.size == 3072 &&
			  s.time == 120000 && s.word == 1 && s.list.n == 3);
	} else
		ck_assert_msg(
		    strstr(buf_cstr(&e.text), applied[_i].error) != NULL,
		    "got: %s", buf_cstr(&e.text));
	conf_errors_release(&e);
	arena_release(&a);
}
END_TEST

/* All errors at once, not only the first. */
START_TEST(conf_all_errors)
{
	struct settings s = { 0 };
	struct conf_errors e;
	struct arena a;

	conf_errors_init(&e);
	arena_init(&a, 1 << 20);
	conf_apply(&a, &s, rows, N(rows),
	    conf_parse(
		&a, "f", STR("flag x\nnumber y\nnope\n{\nsize \"1\n"), -1, &e),
	    "word", &e);
	ck_assert_uint_eq(e.n, 5);
	conf_errors_release(&e);
	arena_release(&a);
}
END_TEST

/* ---- ipc ---- */

START_TEST(ipc_roundtrip)
{
	static char recv_buf[IPC_MAX];
	struct msg_deliver in = { STR("a@b"), STR("c@d"), STR("sid"),
		STR("Received: x\r\n"), 1234567890123ULL, STR(""), STR(""),
		.author = AUTHOR_CONFIRMED, .from = STR("a@b.example") };
	struct msg_deliver out;
	struct ipc_msg m;
	struct buf b;
	int fds[2], file = open("/dev/null", O_RDONLY), got;

	ck_assert(ipc_pair(fds) == 0);
	buf_init(&b, IPC_MAX);
	msg_pack_deliver(&b, 42, &in);
	ck_assert(ipc_send(fds[0], &b, &file, 1) == IPC_OK);
	ck_assert(
	    ipc_recv(fds[1], &m, recv_buf, sizeof(recv_buf), false) == IPC_OK);
	ck_assert(m.type == MSG_DELIVER && m.id == 42 && m.nfds == 1);
	ck_assert(msg_unpack_deliver(&m, &out));
	ck_assert(str_eq(out.recipient, in.recipient) && out.size == in.size &&
		  str_eq(out.header, in.header) && str_eq(out.from, in.from) &&
		  out.author == AUTHOR_CONFIRMED);
	ck_assert(!out.waits_if_new && !out.at_once && !out.is_retry);
	got = ipc_take_fd(&m, 0);
	ck_assert(got != -1 && ipc_take_fd(&m, 0) == -1);
	close(got);
	ipc_close_fds(&m);
	ck_assert(ipc_recv(fds[1], &m, recv_buf, sizeof(recv_buf), false) ==
		  IPC_AGAIN);
	close(fds[0]);
	ck_assert(ipc_recv(fds[1], &m, recv_buf, sizeof(recv_buf), false) ==
		  IPC_CLOSED);
	close(fds[1]);
	close(file);
	buf_release(&b);
}
END_TEST

/* A peer that sends rubbish: too short, too long, wrong header. */
START_TEST(ipc_refuses)
{
	static char recv_buf[IPC_MAX], big[IPC_MAX + 1];
	static const struct {
		const char *p;
		size_t n;
	} bad[] = { { "x", 1 }, { "\1\0\1\0\0\0\0\0", 8 },
		{ big, IPC_MAX + 1 } };
	struct ipc_msg m;
	int fds[2];

	ck_assert(ipc_pair(fds) == 0);
	ck_assert(send(fds[0], bad[_i].p, bad[_i].n, 0) == (ssize_t)bad[_i].n);
	ck_assert(ipc_recv(fds[1], &m, recv_buf, sizeof(recv_buf), false) ==
		  IPC_CLOSED);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Every unpack of every prefix of a message fails and reads nothing beyond */
START_TEST(msg_prefixes)
{
	struct msg_auth_start in = { STR("PLAIN"), STR("::1"), STR("imap"),
		true, false, true, false, STR("\0a\0b"), STR("exp"),
		STR("end") };
	struct msg_auth_start out;
	struct buf b;
	size_t n;

	buf_init(&b, IPC_MAX);
	msg_pack_auth_start(&b, 7, &in);
	for (n = 8; n <= b.n; n++) {
		struct ipc_msg m = { .type = MSG_AUTH_START };
		char *copy = malloc(n); /* so that a sanitizer sees more */

		ck_assert(copy != NULL);
		memcpy(copy, b.p, n);
		cur_init(&m.body, str_make(copy + 8, n - 8));
		ck_assert(msg_unpack_auth_start(&m, &out) == (n == b.n));
		free(copy);
	}
	buf_release(&b);
}
END_TEST

/* ---- log ---- */

START_TEST(log_escapes)
{
	char line[5000], big[6000];
	int fds[2];
	ssize_t n;

	ck_assert(pipe(fds) == 0);
	log_init("test", fds[1], LOG_LEVEL_INFO);
	LOG_INFO("a.b", F_CSTR("plain", "x"), F_CSTR("empty", ""),
	    F_CSTR("q", "a \"b\"\r\n\x01"), F_INT("n", -5));
	LOG_DEBUG("not.written");
	n = read(fds[0], line, sizeof(line) - 1);
	ck_assert(n > 0);
	line[n] = '\0';
	ck_assert_msg(
	    strstr(line, " level=info prog=test pid=") != NULL &&
		strstr(line, " ev=a.b plain=x empty=\"\" "
			     "q=\"a \\\"b\\\"\\r\\n\\x01\" n=-5\n") != NULL,
	    "%s", line);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	LOG_INFO("big", F_INT("kept", 1), F_CSTR("v", big));
	n = read(fds[0], line, sizeof(line) - 1);
	ck_assert(n > 0 && n < 4096 && line[n - 1] == '\n');
	line[n] = '\0';
	ck_assert(strstr(line, "kept=1 cut=1\n") != NULL);
	log_init("test", STDERR_FILENO, LOG_LEVEL_INFO);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---- fs ---- */

START_TEST(fs_replace_and_locks)
{
	char dir[] = "/tmp/quire-fs.XXXXXX";
	int d, a, b;
	struct buf got;
	struct err e;

	ck_assert(mkdtemp(dir) != NULL);
	d = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert(fs_replace(d, "t", "f", 0600, STR("one"), &e) == 0);
	ck_assert(fs_replace(d, "t", "f", 0600, STR("two"), &e) == 0);
	buf_init(&got, 100);
	ck_assert(fs_read_file(d, "f", &got, &e) == 0);
	ck_assert(str_eq(buf_str(&got), STR("two")));
	ck_assert(symlinkat("f", d, "link") == 0);
	ck_assert(fs_open_file(d, "link", O_RDONLY, 0) == -1);
	ck_assert(fs_open_beneath(d, "../etc/passwd", O_RDONLY, 0) == -1);
	ck_assert(fs_open_file(d, ".", O_RDONLY, 0) == -1);
	a = fs_open_file(d, "f", O_RDWR, 0);
	b = fs_open_file(d, "f", O_RDWR, 0);
	ck_assert(fs_lock(a, 0, true, 10, &e) == 0);
	ck_assert(fs_lock(b, 1, true, 10, &e) == 0);
	ck_assert(fs_lock(b, 0, true, 10, &e) == -1 && e.kind == ERR_TEMP);
	ck_assert(fs_unlock(a, 0) == 0);
	ck_assert(fs_lock(b, 0, true, 10, &e) == 0);
	close(a);
	close(b);
	unlinkat(d, "f", 0);
	unlinkat(d, "link", 0);
	rmdir(dir);
	close(d);
	buf_release(&got);
}
END_TEST

static void
told(int sig)
{
	(void)sig;
}

/* A child holds the lock until it has been read from `go`. */
static pid_t
holder(const char *path, int go, int ready)
{
	pid_t pid = fork();
	int fd;
	char c;

	if (pid != 0)
		return pid;
	fd = open(path, O_RDWR);
	if (fs_lock(fd, 7, true, 0, NULL) == -1 || write(ready, "", 1) != 1 ||
	    read(go, &c, 1) != 1)
		_exit(1);
	usleep(50000); /* meanwhile the other one sleeps */
	_exit(0);
}

START_TEST(fs_lock_waits)
{
	char path[] = "/tmp/quire-lock.XXXXXX", c;
	int fd = mkstemp(path), go[2], ready[2], status;
	struct sigaction mine = { .sa_handler = told }, now;
	struct itimerval timer;
	int64_t begun;
	struct err e;
	pid_t pid;

	ck_assert(pipe(go) == 0 && pipe(ready) == 0);
	sigemptyset(&mine.sa_mask);
	sigaction(SIGALRM, &mine, NULL);
	pid = holder(path, go[0], ready[1]);
	ck_assert(read(ready[0], &c, 1) == 1);
	begun = date_mono_ms();
	ck_assert(fs_lock(fd, 7, true, 0, &e) == -1 && e.kind == ERR_TEMP);
	ck_assert(fs_lock(fd, 7, true, 30, &e) == -1 && e.kind == ERR_TEMP);
	ck_assert_int_ge(date_mono_ms() - begun, 30);
	ck_assert(write(go[1], "", 1) == 1);
	ck_assert(fs_lock(fd, 7, false, 20000, &e) == 0);
	ck_assert_int_lt(date_mono_ms() - begun, 20000);
	ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
	/* and nothing of it is left behind */
	sigaction(SIGALRM, NULL, &now);
	ck_assert(now.sa_handler == told);
	ck_assert(getitimer(ITIMER_REAL, &timer) == 0);
	ck_assert(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0);
	unlink(path);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("system");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, conf_table, 0, N(confs));
	tcase_add_loop_test(t, conf_apply_table, 0, N(applied));
	tcase_add_test(t, conf_all_errors);
	tcase_add_test(t, ipc_roundtrip);
	tcase_add_loop_test(t, ipc_refuses, 0, 3);
	tcase_add_test(t, msg_prefixes);
	tcase_add_test(t, log_escapes);
	tcase_add_test(t, fs_replace_and_locks);
	tcase_add_test(t, fs_lock_waits);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
