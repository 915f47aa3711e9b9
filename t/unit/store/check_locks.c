/*
 * A lock that another process does not give back: what waits for it ends at
 * the deadline with a temporary error, and has done nothing.
 */
#include "t_store.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define DEADLINE_MS 300
#define SLACK_MS    3000 /* of a busy machine */

/* ---- the other process ---- */

static pid_t
hold(const char *lock, unsigned byte)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		int fd = openat(t_rootfd, lock, O_RDWR);

		if (fd == -1 || fs_lock(fd, byte, true, 1000, NULL) == -1 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void
let_go(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- what waits ---- */

struct both {
	struct account *a;
	struct mailbox *inbox, *sent;
	struct err e;
};

static int
add(struct both *b)
{
	struct incoming_opts o = { 0 };
	struct incoming *in;
	uint32_t uid;
	int rc;

	if (incoming_new(&in, b->inbox, &o, &b->e) == -1)
		return -1;
	rc = incoming_write(in, STR("x: y\r\n\r\n"), &b->e);
	if (rc == 0)
		rc = incoming_sync(in, &b->e);
	if (rc == 0)
		rc = mailbox_commit(b->inbox, &in, 1, &uid, &b->e);
	incoming_free(&in);
	return rc;
}

static void
first_two(struct ranges *r)
{
	ranges_init(r, 4);
	ranges_add(r, 1, 2);
}

static int
flag(struct both *b)
{
	struct flag_change fc = { .how = FLAGS_ADD, .flags = FLAG_FLAGGED };
	struct ranges r;
	int rc;

	first_two(&r);
	rc = mailbox_store(b->inbox, &r, &fc, NULL, NULL, &b->e);
	ranges_release(&r);
	return rc;
}

static int
keyword(struct both *b)
{
	unsigned bit;

	return mailbox_keyword_define(b->inbox, STR("new"), &bit, &b->e);
}

static int
remove_two(struct both *b)
{
	struct ranges r;
	int rc;

	first_two(&r);
	rc = mailbox_remove(b->inbox, &r, &b->e);
	ranges_release(&r);
	return rc;
}

static int
copy_two(struct both *b)
{
	struct copy_result res = { 0 };
	struct ranges r;
	int rc;

	first_two(&r);
	rc = mailbox_copy(b->inbox, b->sent, &r, &res, &b->e);
	copy_result_release(&res);
	ranges_release(&r);
	return rc;
}

static int
move_two(struct both *b)
{
	struct copy_result res = { 0 };
	struct ranges r;
	int rc;

	first_two(&r);
	rc = mailbox_move(b->inbox, b->sent, &r, &res, &b->e);
	copy_result_release(&res);
	ranges_release(&r);
	return rc;
}

static int
of_result(enum account_result r)
{
	return r == ACCOUNT_OK ? 0 : -1;
}

static int
create(struct both *b)
{
	return of_result(account_create(b->a, STR("Neu"), 0, &b->e));
}

static int
rename_folder(struct both *b)
{
	return of_result(
	    account_rename(b->a, STR("Drafts"), STR("Neu"), &b->e));
}

static int delete (struct both *b)
{
	return of_result(account_delete(b->a, STR("Drafts"), &b->e));
}

static int
subscribe(struct both *b)
{
	return of_result(account_subscribe(b->a, STR("Neu"), true, &b->e));
}

static const struct {
	const char *what, *lock;
	unsigned byte;
	int (*act)(struct both *);
} waits[] = {
	{ "APPEND", "quire/lock", LOCK_WRITER, add },
	{ "APPEND, directories", "quire/lock", LOCK_SCAN, add },
	{ "APPEND, a scan", "quire/lock", LOCK_REGISTER, add },
	{ "STORE", "quire/lock", LOCK_WRITER, flag },
	{ "STORE of a new keyword", "quire/lock", LOCK_WRITER, keyword },
	{ "EXPUNGE", "quire/lock", LOCK_WRITER, remove_two },
	{ "COPY, target", ".Sent/quire/lock", LOCK_WRITER, copy_two },
	{ "COPY, target's directories", ".Sent/quire/lock", LOCK_SCAN,
	    copy_two },
	{ "COPY, target's scan", ".Sent/quire/lock", LOCK_REGISTER, copy_two },
	{ "MOVE, source", "quire/lock", LOCK_WRITER, move_two },
	{ "MOVE, target", ".Sent/quire/lock", LOCK_WRITER, move_two },
	{ "CREATE", "quire/acct/lock", LOCK_WRITER, create },
	{ "RENAME", "quire/acct/lock", LOCK_WRITER, rename_folder },
	{ "DELETE", "quire/acct/lock", LOCK_WRITER, delete },
	{ "SUBSCRIBE", "quire/acct/lock", LOCK_WRITER, subscribe },
};

/* Names of all, and what is in the journals. */
#define STATE                                                     \
	"{ find . -type d -o -type f ! -path '*/quire/*' | sort;" \
	" find . -name journal -exec cksum {} + | sort; }"

static void
begin(struct both *b)
{
	struct account_opts o = { .hostname = "h", .lock_ms = DEADLINE_MS };
	struct mailbox *drafts;

	*b = (struct both){ 0 };
	ck_assert_int_eq(account_open(&b->a, t_rootfd, &o, &b->e), 0);
	b->inbox = t_mailbox(b->a, "INBOX");
	b->sent = t_mailbox(b->a, "Sent");
	drafts = t_mailbox(b->a, "Drafts");
	mailbox_close(&drafts);
	t_add(b->inbox, "a: b\r\n\r\n", 0);
	t_add(b->inbox, "a: b\r\n\r\n", FLAG_SEEN);
	t_add(b->sent, "a: b\r\n\r\n", FLAG_SEEN);
	t_sync(b->inbox, NULL);
	t_sync(b->sent, NULL);
}

START_TEST(deadline)
{
	struct both b;
	int64_t start, took;
	pid_t pid;
	int rc;

	begin(&b);
	t_sh(STATE " >../before");
	pid = hold(waits[_i].lock, waits[_i].byte);
	start = date_mono_ms();
	rc = waits[_i].act(&b);
	took = date_mono_ms() - start;
	let_go(pid);
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(b.e.kind, ERR_TEMP);
	ck_assert_msg(strstr(b.e.text, "lock") != NULL, "%s", b.e.text);
	ck_assert_int_ge(took, DEADLINE_MS - 10);
	ck_assert_int_lt(took, DEADLINE_MS + SLACK_MS);
	t_sh(STATE " | diff ../before -");
	/* nothing was left that would be in its way */
	rc = waits[_i].act(&b);
	ck_assert_msg(rc == 0, "%s: %s", waits[_i].what, b.e.text);
	mailbox_close(&b.inbox);
	mailbox_close(&b.sent);
	account_close(&b.a);
	t_verify();
}
END_TEST

/* Who only reads waits for nobody. */
START_TEST(readers)
{
	static const unsigned bytes[] = { LOCK_WRITER, LOCK_SCAN,
		LOCK_REGISTER };
	struct both b;
	int64_t start;
	char *text;
	pid_t pid;

	begin(&b);
	pid = hold("quire/lock", bytes[_i]);
	start = date_mono_ms();
	text = t_text(b.inbox, 1);
	ck_assert_str_eq(text, "a: b\r\n\r\n");
	free(text);
	t_sync(b.inbox, NULL);
	ck_assert_uint_eq(mailbox_count(b.inbox), 2);
	ck_assert_int_lt(date_mono_ms() - start, DEADLINE_MS);
	let_go(pid);
	mailbox_close(&b.inbox);
	mailbox_close(&b.sent);
	account_close(&b.a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("locks");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, deadline, 0, (int)N(waits));
	tcase_add_loop_test(t, readers, 0, 3);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t_run(s);
}
