/*
 * The stream: what changed since a token. Each way a record can fail to have
 * its change, each way the file can be lost, and thousands of random steps
 * compared with what really is different.
 */
#include "t_store.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "service/store/changes.h"
#include "service/store/stream_int.h"

static struct account *acc;
static char token[CHANGES_TOKEN];

static void
ask(struct account *a, struct changes *c)
{
	struct err e = { 0 };

	if (changes_since(a, token, c, &e) == -1)
		ck_abort_msg("changes_since: %s", e.text);
	memcpy(token, c->token, sizeof(token));
}

static bool
has(const struct changes *c, enum change_kind kind, const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].kind == kind && strcmp(c->v[i].name, name) == 0)
			return true;
	return false;
}

/* Nothing is told, and it is known. */
static void
is_nothing(struct account *a)
{
	struct changes c;

	ask(a, &c);
	ck_assert(!c.is_unknown);
	ck_assert_msg(c.n == 0, "%s %s", change_word(c.v[0].kind), c.v[0].name);
	ck_assert(!c.is_pending);
	changes_release(&c);
}

static void
is_told(struct account *a, const char *name)
{
	struct changes c;

	ask(a, &c);
	ck_assert(!c.is_unknown);
	ck_assert(has(&c, CHANGED_MAILBOX, name));
	changes_release(&c);
}

static void
is_unknown(struct account *a)
{
	struct changes c;

	ask(a, &c);
	ck_assert(c.is_unknown);
	ck_assert_uint_eq(c.n, 0);
	ck_assert_str_ne(c.token, "");
	changes_release(&c);
	is_nothing(a);
}

static void
setup(void)
{
	t_setup();
	acc = t_account();
	token[0] = '\0';
}

static void
teardown(void)
{
	account_close(&acc);
	store_boot = 0;
	store_step = NULL;
	store_stream_records = 65535;
	t_teardown();
}

static char *
stream_path(void)
{
	return xasprintf("%s/quire/acct/stream", t_root);
}

/* ---- what is told ---- */

START_TEST(messages)
{
	struct mailbox *in = t_mailbox(acc, "INBOX"),
		       *sent = t_mailbox(acc, "Sent");
	struct changes c;
	uint64_t modseq;

	is_unknown(acc);
	ck_assert_uint_ne(t_add(in, "Subject: 1\r\n\r\n1\r\n", 0), 0);
	is_told(acc, "INBOX");
	is_nothing(acc);
	modseq = mailbox_counts(in)->highestmodseq;
	ck_assert_int_eq(t_store(in, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_store(in, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	ck_assert_uint_ne(t_add(sent, "Subject: 2\r\n\r\n2\r\n", 0), 0);
	ask(acc, &c);
	ck_assert_uint_eq(c.n, 2);
	ck_assert(has(&c, CHANGED_MAILBOX, "Sent"));
	/* the first of both changes is above it */
	ck_assert_str_eq(c.v[0].name, "INBOX");
	ck_assert_uint_eq(c.v[0].since, modseq);
	ck_assert_mem_eq(
	    c.v[0].mailboxid, account_find(acc, STR("INBOX"))->mailboxid, 16);
	changes_release(&c);
	/* no change is none */
	ck_assert_int_eq(t_store(in, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_nothing(acc);
	ck_assert_int_eq(t_remove(in, 1, 1), 0);
	is_told(acc, "INBOX");
	/* names follow, files go away: nothing of it is a change */
	t_sync(in, NULL);
	mailbox_close(&in);
	mailbox_close(&sent);
	is_nothing(acc);
}
END_TEST

START_TEST(tree)
{
	struct account *other = t_account();
	struct changes c;

	is_unknown(acc);
	ck_assert_int_eq(account_create(other, STR("a/b"), 0, NULL), 0);
	ask(acc, &c);
	ck_assert_uint_eq(c.n, 4);
	ck_assert_int_eq(c.v[0].kind, CHANGED_CREATED);
	ck_assert_str_eq(c.v[0].name, "a");
	ck_assert_int_eq(c.v[1].kind, CHANGED_SUBSCRIBED);
	ck_assert_str_eq(c.v[2].name, "a/b");
	changes_release(&c);
	ck_assert_int_eq(account_rename(other, STR("a"), STR("x"), NULL), 0);
	ask(acc, &c);
	ck_assert(has(&c, CHANGED_RENAMED, "x"));
	ck_assert(has(&c, CHANGED_RENAMED, "x/b"));
	ck_assert_str_eq(c.v[0].old_name, "a");
	changes_release(&c);
	ck_assert_int_eq(account_delete(other, STR("x/b"), NULL), 0);
	ck_assert_int_eq(account_subscribe(other, STR("x"), false, NULL), 0);
	ask(acc, &c);
	ck_assert_uint_eq(c.n, 2);
	ck_assert(has(&c, CHANGED_DELETED, "x/b"));
	ck_assert(has(&c, CHANGED_UNSUBSCRIBED, "x"));
	changes_release(&c);
	/* by others */
	t_sh("mkdir -p .new/cur .new/new .new/tmp && rm -r .x");
	ask(acc, &c);
	ck_assert(has(&c, CHANGED_CREATED, "new"));
	ck_assert(has(&c, CHANGED_DELETED, "x"));
	changes_release(&c);
	t_sh("mv .Sent .Gone");
	ask(acc, &c);
	ck_assert(!c.is_unknown);
	changes_release(&c);
	is_nothing(acc);
	account_close(&other);
}
END_TEST

START_TEST(foreign)
{
	struct mailbox_counts c;

	is_unknown(acc);
	ck_assert_int_eq(account_status(acc, STR("INBOX"), &c, NULL), 0);
	is_told(acc, "INBOX"); /* taken over just now */
	t_sh("echo 'Subject: x' > new/1.M1P1.other");
	is_nothing(acc); /* nobody looked */
	ck_assert_int_eq(account_status(acc, STR("INBOX"), &c, NULL), 0);
	ck_assert_uint_eq(c.messages, 1);
	is_told(acc, "INBOX");
	is_nothing(acc);
}
END_TEST

/* ---- writers that die ---- */

static struct { /* shared with the child */
	int steps, stop_at;
} * sh;

static int
stop(const char *call)
{
	(void)call;
	if (++sh->steps == sh->stop_at)
		_exit(77);
	return 0;
}

static int
freeze(const char *call)
{
	(void)call;
	if (++sh->steps == sh->stop_at)
		raise(SIGSTOP);
	return 0;
}

static pid_t
child_flags(int (*hook)(const char *), int stop_at)
{
	pid_t pid;

	sh->steps = 0;
	sh->stop_at = stop_at;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct account *a = t_account();
		struct mailbox *m = t_mailbox(a, "INBOX");

		store_step = hook;
		_exit(
		    t_store(m, 1, 1, FLAGS_REPLACE, FLAG_FLAGGED) == 0 ? 0 : 1);
	}
	return pid;
}

static unsigned
flags_now(void)
{
	struct mailbox *m = t_mailbox(acc, "INBOX");
	struct message msg;

	mailbox_get(m, 1, &msg);
	mailbox_close(&m);
	return msg.flags;
}

/* What who may not lock sees: all that was published. */
static unsigned
flags_published(void)
{
	struct account_opts o = { .hostname = "h", .readonly = true };
	struct account *a;
	struct mailbox *m;
	struct message msg;

	ck_assert_int_eq(account_open(&a, t_rootfd, &o, NULL), 0);
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, 1, &msg);
	mailbox_close(&m);
	account_close(&a);
	return msg.flags;
}

static void
first_message(void)
{
	struct mailbox *m = t_mailbox(acc, "INBOX");

	ck_assert_uint_eq(t_add(m, "Subject: 1\r\n\r\n1\r\n", 0), 1);
	mailbox_close(&m);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	is_unknown(acc);
}

/* Killed at each step: told exactly when it is there. */
START_TEST(killed)
{
	int n, status = 77, told = 0;
	unsigned before;
	struct changes c;
	bool is_there;

	first_message();
	for (n = 1; status != 0; n++) {
		struct mailbox *m = t_mailbox(acc, "INBOX");

		ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
		mailbox_close(&m);
		ask(acc, &c);
		changes_release(&c);
		before = flags_now();
		ck_assert_uint_eq(before, 0);
		waitpid(child_flags(stop, n), &status, 0);
		ck_assert(WIFEXITED(status));
		status = WEXITSTATUS(status);
		ask(acc, &c);
		is_there = has(&c, CHANGED_MAILBOX, "INBOX");
		changes_release(&c);
		ck_assert_msg((flags_now() != before) == is_there,
		    "step %d: told %d", n, is_there);
		told += is_there;
		is_nothing(acc);
	}
	/* some steps are before the journal and some behind */
	ck_assert_int_gt(told, 1);
	ck_assert_int_lt(told, n - 2);
}
END_TEST

/* A reader between the record and the commit is told later. */
START_TEST(in_flight)
{
	int n, status, told, pended = 0;
	struct changes c;
	pid_t pid;

	first_message();
	for (n = 1, status = 0; n < 20; n++) {
		struct mailbox *m = t_mailbox(acc, "INBOX"),
			       *sent = t_mailbox(acc, "Sent");

		ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
		mailbox_close(&m);
		ask(acc, &c);
		changes_release(&c);
		pid = child_flags(freeze, n);
		waitpid(pid, &status, WUNTRACED);
		if (!WIFSTOPPED(status)) {
			mailbox_close(&sent);
			break;
		}
		/* others are not kept waiting */
		ck_assert_uint_ne(t_add(sent, "Subject: 2\r\n\r\n", 0), 0);
		ask(acc, &c);
		ck_assert(has(&c, CHANGED_MAILBOX, "Sent"));
		told = has(&c, CHANGED_MAILBOX, "INBOX");
		pended += c.is_pending;
		changes_release(&c);
		ask(acc, &c);
		ck_assert(!has(&c, CHANGED_MAILBOX, "Sent"));
		told |= has(&c, CHANGED_MAILBOX, "INBOX");
		changes_release(&c);
		/* a first token given now must know of it as well */
		if (n % 2 == 0 && !told) {
			token[0] = '\0';
			ask(acc, &c);
			ck_assert(c.is_unknown);
			changes_release(&c);
		}
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		ask(acc, &c);
		told |= has(&c, CHANGED_MAILBOX, "INBOX");
		changes_release(&c);
		ck_assert_msg(told, "step %d", n);
		is_nothing(acc);
		mailbox_close(&sent);
	}
	ck_assert_int_gt(pended, 1);
	ck_assert_int_lt(n, 20);
}
END_TEST

/* The file goes away under a writer: first tokens know of him. */
START_TEST(lost_in_flight)
{
	char *path = stream_path();
	struct changes c;
	pid_t pid;
	int n, status, told = 0;
	unsigned seen;

	first_message();
	for (n = 1; n < 20; n++) {
		struct mailbox *m = t_mailbox(acc, "INBOX");

		ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
		mailbox_close(&m);
		pid = child_flags(freeze, n);
		waitpid(pid, &status, WUNTRACED);
		if (!WIFSTOPPED(status))
			break;
		unlink(path);
		ask(acc, &c);
		ck_assert(c.is_unknown);
		changes_release(&c);
		seen = flags_published();
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
		ask(acc, &c);
		ck_assert_msg(has(&c, CHANGED_MAILBOX, "INBOX") ||
				  seen == flags_published(),
		    "step %d", n);
		told += seen != flags_published();
		changes_release(&c);
	}
	ck_assert_int_gt(told, 2);
	free(path);
}
END_TEST

START_TEST(readonly)
{
	struct account_opts o = { .hostname = "h", .readonly = true };
	struct account *ro;
	struct mailbox *m;
	struct changes c;

	first_message();
	ck_assert_int_eq(account_open(&ro, t_rootfd, &o, NULL), 0);
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(ro, "INBOX");
	is_nothing(ro);
	t_sh("rm quire/acct/stream");
	ask(ro, &c);
	ck_assert(c.is_unknown);
	ck_assert_str_eq(c.token, "");
	changes_release(&c);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	is_unknown(ro); /* there is one again */
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(ro, "INBOX");
	mailbox_close(&m);
	account_close(&ro);
}
END_TEST

/* ---- files that are not what they should be ---- */

START_TEST(lost)
{
	static const char *const how[] = { "rm stream", ": > stream",
		"truncate -s 32 stream", "truncate -s 96 stream",
		"cp stream x && mv x stream", "mv stream elsewhere",
		"head -c 256 /dev/urandom > stream", "printf x >> stream",
		"cp stream x && cat x x > stream" };
	struct mailbox *m;
	char *cmd;

	first_message();
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(acc, "INBOX");
	cmd = xasprintf("cd quire/acct && %s", how[_i]);
	t_sh(cmd);
	free(cmd);
	is_unknown(acc);
	/* who has it open goes on in the new one */
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	is_told(acc, "INBOX");
	is_nothing(acc);
	mailbox_close(&m);
}
END_TEST

START_TEST(lost_then_written)
{
	struct mailbox *m;

	first_message();
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(acc, "INBOX");
	/* cut, and grown again beyond the token before anybody looks */
	t_sh("truncate -s 64 quire/acct/stream");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	is_unknown(acc);
	mailbox_close(&m);
}
END_TEST

/* By one who did not see it before it was cut. */
START_TEST(cut_and_grown)
{
	struct account *other;
	struct mailbox *m;
	int i;

	first_message();
	m = t_mailbox(acc, "INBOX");
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(
		    t_store(m, 1, 1, FLAGS_REPLACE, (uint16_t)(i & 1)), 0);
	is_told(acc, "INBOX");
	mailbox_close(&m);
	t_sh("truncate -s 192 quire/acct/stream");
	other = t_account();
	m = t_mailbox(other, "INBOX");
	for (i = 0; i < 12; i++)
		ck_assert_int_eq(
		    t_store(m, 1, 1, FLAGS_REPLACE, (uint16_t)(i & 1)), 0);
	is_unknown(acc);
	mailbox_close(&m);
	account_close(&other);
}
END_TEST

/* Cut at each octet, and each octet flipped: unknown, or all of it. */
START_TEST(damaged)
{
	char *path = stream_path(), *whole;
	struct changes c;
	struct mailbox *m;
	char at[CHANGES_TOKEN];
	struct stat st;
	off_t i, size;
	int fd;

	first_message();
	memcpy(at, token, sizeof(at));
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	mailbox_close(&m);
	m = t_mailbox(acc, "Sent");
	ck_assert_uint_ne(t_add(m, "Subject: 2\r\n\r\n", 0), 0);
	mailbox_close(&m);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	size = st.st_size;
	whole = xmalloc((size_t)size);
	ck_assert_int_eq(pread(fd, whole, (size_t)size, 0), size);
	close(fd);
	for (i = 0; i < size; i++) {
		/* the same inode all the time */
		fd = open(path, O_RDWR);
		if (fd == -1) {
			t_sh("touch quire/acct/stream");
			fd = open(path, O_RDWR);
			ck_assert_int_ne(fd, -1);
			ck_assert_int_eq(fstat(fd, &st), 0);
			le64_put(whole + 32, st.st_ino);
			le32_put(whole + 60, crc32c(0, whole, 60));
		}
		ck_assert_int_eq(ftruncate(fd, size), 0);
		whole[i] ^= _i == 0 ? 0 : 1 << i % 8;
		ck_assert_int_eq(pwrite(fd, whole, (size_t)size, 0), size);
		whole[i] ^= _i == 0 ? 0 : 1 << i % 8;
		if (_i == 0)
			ck_assert_int_eq(ftruncate(fd, i), 0);
		close(fd);
		ck_assert_int_eq(changes_since(acc, at, &c, NULL), 0);
		/* at a record's end, behind the token, it looks like a file
		 * that ends there */
		if (!c.is_unknown && (_i != 0 || i % 64 != 0))
			ck_assert(has(&c, CHANGED_MAILBOX, "INBOX") &&
				  has(&c, CHANGED_MAILBOX, "Sent"));
		changes_release(&c);
	}
	free(whole);
	free(path);
}
END_TEST

START_TEST(another_boot)
{
	struct mailbox *m;

	first_message();
	account_close(&acc);
	store_boot = 7;
	acc = t_account();
	is_unknown(acc);
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	mailbox_close(&m);
	is_told(acc, "INBOX");
}
END_TEST

START_TEST(private_folder_lost)
{
	struct mailbox *m, *held;
	struct changes c;

	first_message();
	held = t_mailbox(acc, "INBOX");
	t_sh("rm -r quire/acct");
	/* its writers go on; readers know that they do not know */
	ck_assert_int_eq(t_store(held, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ask(acc, &c);
	ck_assert(c.is_unknown);
	changes_release(&c);
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	is_told(acc, "INBOX");
	ck_assert_int_eq(t_store(held, 1, 1, FLAGS_ADD, FLAG_DRAFT), 0);
	is_told(acc, "INBOX");
	mailbox_close(&m);
	mailbox_close(&held);
}
END_TEST

/* By one who does not look at the account for hours. */
START_TEST(private_folder_lost_under_one)
{
	struct account *other;
	struct mailbox *held;

	first_message();
	other = t_account();
	held = t_mailbox(other, "INBOX");
	ck_assert_int_eq(t_store(held, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(acc, "INBOX");
	t_sh("rm -r quire/acct");
	if (_i == 1) /* he notices before there is another */
		ck_assert_int_eq(
		    t_store(held, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	is_unknown(acc);
	ck_assert_int_eq(t_store(held, 1, 1, FLAGS_REPLACE, 0), 0);
	is_told(acc, "INBOX");
	is_nothing(acc);
	mailbox_close(&held);
	account_close(&other);
}
END_TEST

/* Nobody can make one: mail goes on, and not slowly. */
START_TEST(lock_held)
{
	struct mailbox *m;
	int64_t began;
	int fd, i;

	first_message();
	m = t_mailbox(acc, "INBOX");
	fd = openat(acc->acctfd, "lock", O_RDWR);
	ck_assert_int_eq(fs_lock(fd, LOCK_STREAM, true, 0, NULL), 0);
	t_sh("rm quire/acct/stream");
	began = date_mono_ms();
	for (i = 0; i < 40; i++)
		ck_assert_int_eq(
		    t_store(m, 1, 1, FLAGS_REPLACE, (uint16_t)(~i & 1)), 0);
	ck_assert_int_lt(date_mono_ms() - began, 2000);
	close(fd);
	is_unknown(acc);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	is_told(acc, "INBOX");
	mailbox_close(&m);
}
END_TEST

static int failing_errno;
static const char *failing_call;

static int
failing(const char *call)
{
	return strcmp(call, failing_call) == 0 ? failing_errno : 0;
}

/* What cannot be noted is done all the same. */
START_TEST(full_disk)
{
	struct mailbox *m;

	first_message();
	m = t_mailbox(acc, "INBOX");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	is_told(acc, "INBOX");
	failing_call = "append";
	failing_errno = _i == 0 ? ENOSPC : EIO;
	store_step = failing;
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	store_step = NULL;
	is_unknown(acc);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE, 0), 0);
	is_told(acc, "INBOX");
	mailbox_close(&m);
}
END_TEST

START_TEST(bad_tokens)
{
	static const char *const bad[] = { "", "x", "0", "1.2.3",
		"0123456789abcdef.1.00000000x", "0123456789abcdef.1.0000000",
		"0123456789abcdef.99999999999999999999.00000000",
		"0123456789abcdef.5.00000000-5", "0123456789abcdef.5.00000000-",
		"0123456789abcdef.5.00000000-2-2",
		"0123456789abcdef.20.00000000-1-2-3-4-5-6-7-8-9",
		"0123456789ABCDEF.1.00000000", "0123456789abcdef.0.00000000" };
	struct stream_token t;
	struct changes c;
	size_t i;

	for (i = 0; i < N(bad); i++) {
		ck_assert_int_eq(changes_since(acc, bad[i], &c, NULL), 0);
		ck_assert_msg(c.is_unknown, "%s", bad[i]);
		changes_release(&c);
	}
	t = (struct stream_token){ .id = 0xfedcba9876543210,
		.next = UINT64_MAX / 2,
		.crc = 0xffffffff,
		.npending = STREAM_PENDING };
	for (i = 0; i < STREAM_PENDING; i++)
		t.pending[i] = UINT64_MAX / 2 - 100 + i;
	stream_token_print(&t, token);
	ck_assert(stream_token_parse(str_from(token), &t));
	ck_assert_uint_eq(t.npending, STREAM_PENDING);
	ck_assert_uint_eq(t.pending[7], UINT64_MAX / 2 - 93);
	ck_assert_uint_eq(t.id, 0xfedcba9876543210);
}
END_TEST

/* ---- from one file to the next ---- */

START_TEST(rotation)
{
	struct mailbox *m, *n;
	struct account *other;
	char old[CHANGES_TOKEN];
	struct changes c;
	int i;

	store_stream_records = 10;
	t_sh("rm quire/acct/stream");
	first_message();
	m = t_mailbox(acc, "INBOX");
	other = t_account();
	n = t_mailbox(other, "Sent");
	ck_assert_uint_eq(t_add(n, "Subject: 1\r\n\r\n", 0), 1);
	ask(acc, &c);
	changes_release(&c);
	for (i = 0; i < 60; i++) {
		memcpy(old, token, sizeof(old));
		if (i % 3 == 0)
			ck_assert_int_eq(
			    t_store(n, 1, 1, FLAGS_REPLACE, (uint16_t)(~i & 1)),
			    0);
		else
			ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REPLACE,
					     (uint16_t)(1 + i % 3)),
			    0);
		is_told(
		    i % 2 == 0 ? acc : other, i % 3 == 0 ? "Sent" : "INBOX");
		if (i % 7 != 0)
			memcpy(token, old, sizeof(old));
	}
	is_told(acc, "INBOX");
	/* far enough behind nobody knows */
	memcpy(old, token, sizeof(old));
	for (i = 0; i < 30; i++)
		ck_assert_int_eq(
		    t_store(m, 1, 1, FLAGS_REPLACE, (uint16_t)(i & 1)), 0);
	is_unknown(acc);
	mailbox_close(&m);
	mailbox_close(&n);
	account_close(&other);
}
END_TEST

/* Several processes come to the end of a file at once. */
START_TEST(rotation_race)
{
	struct mailbox *m;
	struct changes c;
	char name[16];
	pid_t pid[4];
	int i, k, status, seen[4] = { 0 }, left = 4;
	uint64_t modseq[4] = { 0 };

	store_stream_records = 16;
	t_sh("rm quire/acct/stream");
	first_message();
	for (k = 0; k < 4; k++) {
		snprintf(name, sizeof(name), "b%d", k);
		ck_assert_int_eq(
		    account_create(acc, str_from(name), 0, NULL), 0);
		m = t_mailbox(acc, name);
		ck_assert_uint_eq(t_add(m, "Subject: 1\r\n\r\n", 0), 1);
		mailbox_close(&m);
	}
	ask(acc, &c);
	changes_release(&c);
	fflush(stdout);
	for (k = 0; k < 4; k++)
		if ((pid[k] = fork()) == 0) {
			struct account *a = t_account();

			snprintf(name, sizeof(name), "b%d", k);
			m = t_mailbox(a, name);
			for (i = 0; i < 300; i++) {
				/* not faster than a reader can follow */
				usleep(300);
				if (t_store(m, 1, 1, FLAGS_REPLACE,
					(uint16_t)(1 + i % 2)) == -1)
					_exit(1);
			}
			_exit(0);
		}
	while (left > 0) {
		ask(acc, &c);
		for (i = 0; i < (int)c.n; i++) {
			k = c.v[i].name[1] - '0';
			if (c.v[i].kind == CHANGED_MAILBOX && k >= 0 && k < 4)
				seen[k]++;
		}
		/* the whole truth is what a look gives now */
		for (k = 0; k < 4 && c.is_unknown; k++)
			seen[k]++;
		changes_release(&c);
		for (k = 0; k < 4; k++)
			if (pid[k] > 0 &&
			    waitpid(pid[k], &status, WNOHANG) == pid[k]) {
				ck_assert_int_eq(status, 0);
				pid[k] = 0;
				left--;
			}
	}
	ask(acc, &c);
	ck_assert(!c.is_pending);
	changes_release(&c);
	is_nothing(acc);
	for (k = 0; k < 4; k++) {
		struct mailbox_counts counts;

		ck_assert_int_gt(seen[k], 0);
		snprintf(name, sizeof(name), "b%d", k);
		ck_assert_int_eq(
		    account_status(acc, str_from(name), &counts, NULL), 0);
		modseq[k] = counts.highestmodseq;
		ck_assert_uint_gt(modseq[k], 0);
	}
}
END_TEST

START_TEST(waiting)
{
	struct mailbox *m;
	struct changes c;
	int64_t began;
	int status;
	pid_t pid;

	first_message();
	began = date_mono_ms();
	ck_assert_int_eq(changes_wait(acc, token, 60, &c, NULL), 0);
	ck_assert_uint_eq(c.n, 0);
	ck_assert_int_ge(date_mono_ms() - began, 50);
	memcpy(token, c.token, sizeof(token));
	changes_release(&c);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		usleep(100000);
		acc = t_account();
		m = t_mailbox(acc, "INBOX");
		_exit(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN) != 0);
	}
	began = date_mono_ms();
	ck_assert_int_eq(changes_wait(acc, token, 20000, &c, NULL), 0);
	ck_assert(has(&c, CHANGED_MAILBOX, "INBOX"));
	ck_assert_int_lt(date_mono_ms() - began, 10000);
	changes_release(&c);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("changes");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, messages);
	tcase_add_test(t, tree);
	tcase_add_test(t, foreign);
	tcase_add_test(t, killed);
	tcase_add_test(t, in_flight);
	tcase_add_test(t, lost_in_flight);
	tcase_add_test(t, readonly);
	tcase_add_loop_test(t, lost, 0, 9);
	tcase_add_test(t, lost_then_written);
	tcase_add_test(t, cut_and_grown);
	tcase_add_loop_test(t, damaged, 0, 2);
	tcase_add_test(t, another_boot);
	tcase_add_test(t, private_folder_lost);
	tcase_add_loop_test(t, private_folder_lost_under_one, 0, 2);
	tcase_add_test(t, lock_held);
	tcase_add_loop_test(t, full_disk, 0, 2);
	tcase_add_test(t, bad_tokens);
	tcase_add_test(t, rotation);
	tcase_add_test(t, rotation_race);
	tcase_add_test(t, waiting);
	suite_add_tcase(s, t);
	return t_run(s);
}
