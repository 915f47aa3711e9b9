/* STATUS of a session that looked at the tree before others changed it. */
#include "t_store.h"

#include <errno.h>
#include <sys/wait.h>

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";
static struct account *mine, *other;
static uint8_t id_of[2][16]; /* A, which has two messages, and B with one */

/* _i 0: Maildir++, 1: LAYOUT=fs with our own files in I */
static struct account *
open_account(bool is_fs)
{
	struct account_opts o = { .hostname = "h", .indexfd = -1 };
	int fd = openat(t_rootfd, "M", O_RDONLY | O_DIRECTORY);
	struct account *a;
	struct err e = { 0 };

	if (is_fs) {
		o.is_fs = true;
		o.indexfd = openat(t_rootfd, "I", O_RDONLY | O_DIRECTORY);
	}
	if (account_open(&a, fd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	close(fd);
	if (is_fs)
		close(o.indexfd);
	return a;
}

static int
ask(const char *name, struct mailbox_counts *c)
{
	return account_status(mine, str_from(name), c, NULL);
}

static void
must_be(const char *name, const uint8_t id[16], uint32_t messages)
{
	struct mailbox_counts c;

	ck_assert_int_eq(ask(name, &c), ACCOUNT_OK);
	ck_assert_mem_eq(c.mailboxid, id, 16);
	ck_assert_uint_eq(c.messages, messages);
}

static void
must_not_be(const char *name)
{
	struct mailbox_counts c;

	ck_assert_int_eq(ask(name, &c), ACCOUNT_NOTFOUND);
}

static void
make(const char *name, int messages, uint8_t id[16])
{
	struct mailbox *m;

	ck_assert_int_eq(account_create(other, str_from(name), 0, NULL), 0);
	m = t_mailbox(other, name);
	memcpy(id, mailbox_counts(m)->mailboxid, 16);
	while (messages-- > 0)
		ck_assert_uint_ne(t_add(m, hello, 0), 0);
	mailbox_close(&m);
}

static void
begin(bool is_fs)
{
	t_sh("mkdir M I");
	other = open_account(is_fs);
	make("A", 2, id_of[0]);
	make("B", 1, id_of[1]);
	mine = open_account(is_fs);
	must_be("A", id_of[0], 2);
	must_be("B", id_of[1], 1);
}

static void
end(void)
{
	account_close(&mine);
	account_close(&other);
}

static void
rename_to(const char *from, const char *to)
{
	ck_assert_int_eq(
	    account_rename(other, str_from(from), str_from(to), NULL), 0);
}

START_TEST(renamed)
{
	begin(_i == 1);
	rename_to("A", "X");
	must_not_be("A");
	must_be("X", id_of[0], 2);
	end();
}
END_TEST

/* Each has all that the other's last look saw, but for the inode. */
static void
make_alike(void)
{
	t_sh("touch -d '2020-01-01 UTC' M/*/cur M/*/new M/.[AB]/cur "
	     "M/.[AB]/new 2>/dev/null || true");
	must_be("A", id_of[0], 2);
	must_be("B", id_of[1], 1);
}

START_TEST(swapped)
{
	begin(_i == 1);
	make_alike();
	rename_to("A", "X");
	rename_to("B", "A");
	rename_to("X", "B");
	must_be("A", id_of[1], 1);
	must_be("B", id_of[0], 2);
	end();
}
END_TEST

START_TEST(deleted_and_made)
{
	uint8_t id[16];

	begin(_i == 1);
	ck_assert_int_eq(account_delete(other, STR("A"), NULL), 0);
	must_not_be("A");
	make("A", 0, id);
	must_be("A", id, 0);
	ck_assert_int_eq(account_delete(other, STR("A"), NULL), 0);
	make("A", 3, id);
	must_be("A", id, 3);
	end();
}
END_TEST

/* Maildir++: where the ids lie in the folders. */
START_TEST(swapped_by_others)
{
	begin(false);
	make_alike();
	t_sh("mv M/.A x; mv M/.B M/.A; mv x M/.B");
	must_be("A", id_of[1], 1);
	must_be("B", id_of[0], 2);
	end();
}
END_TEST

/* cp -a keeps all times. */
START_TEST(replaced_by_a_copy)
{
	static const char *const sh[] = { "rm -r M/.B; cp -a M/.A M/.B",
		"rm -r M/B; cp -a M/A M/B" };
	struct mailbox_counts c;

	begin(_i == 1);
	t_sh(sh[_i]);
	ck_assert_int_eq(ask("B", &c), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 2);
	must_be("A", id_of[0], 2);
	end();
}
END_TEST

static int
stop_at_rename(const char *call)
{
	if (strcmp(call, "rename") == 0)
		_exit(7);
	return 0;
}

/* The DELETE is committed and its sessions ended; the folder is still there. */
START_TEST(delete_stopped)
{
	struct account *a;
	int status;
	pid_t pid;

	begin(_i == 1);
	pid = fork();
	if (pid == 0) {
		a = open_account(_i == 1); /* locks of its own */
		store_step = stop_at_rename;
		account_delete(a, STR("A"), NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	must_not_be("A");
	must_be("B", id_of[1], 1);
	end();
}
END_TEST

/* What others file, remove and flag shows; nothing of it is read twice. */
START_TEST(changed)
{
	struct mailbox_counts c;
	struct mailbox *m;

	begin(_i == 1);
	m = t_mailbox(other, "A");
	ck_assert_uint_ne(t_add(m, hello, 0), 0);
	must_be("A", id_of[0], 3);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(ask("A", &c), ACCOUNT_OK);
	ck_assert_uint_eq(c.unseen, 2);
	ck_assert_int_eq(t_remove(m, 1, 1), 0);
	must_be("A", id_of[0], 2);
	mailbox_close(&m);
	t_sh("echo x >x; cp x M/.A/new/1.a 2>/dev/null || cp x M/A/new/1.a");
	must_be("A", id_of[0], 3);
	end();
}
END_TEST

static void
file_one(const char *name)
{
	struct mailbox *m = t_mailbox(other, name);

	ck_assert_uint_ne(t_add(m, hello, 0), 0);
	mailbox_close(&m);
}

/* Nothing of the mailbox itself is opened. */
START_TEST(copies_are_enough)
{
	begin(_i == 1);
	t_sh("find M I -name pub -exec mv {} {}.away \\;");
	must_be("A", id_of[0], 2);
	must_be("B", id_of[1], 1);
	t_sh("find M I -name pub.away | while read f; do mv $f ${f%.away}; "
	     "done");
	file_one("A");
	must_be("A", id_of[0], 3);
	end();
}
END_TEST

/* Under sessions that have it open, before and after others write. */
START_TEST(copies_lost)
{
	static const char *const sh[] = { "rm $f", ": >$f",
		"truncate -s 300 $f",
		"printf x | dd of=$f bs=1 seek=200 conv=notrunc 2>/dev/null",
		"printf x | dd of=$f bs=1 seek=3 conv=notrunc 2>/dev/null",
		"cp $f g; mv g $f", "rm $f; mkdir $f" };
	unsigned i;

	begin(false);
	for (i = 0; i < N(sh); i++) {
		char *cmd = xasprintf("f=M/quire/acct/pubs; %s", sh[i]);

		t_sh(cmd);
		free(cmd);
		must_be("A", id_of[0], 2 + i);
		must_be("B", id_of[1], 1);
		file_one("A");
		must_be("A", id_of[0], 3 + i);
		must_be("B", id_of[1], 1);
	}
	end();
}
END_TEST

/* The slot of A is damaged when a session learns where slots are, and written
 * by one that knew it: there are not two from then on. */
START_TEST(copy_damaged)
{
	struct account *late;
	struct mailbox_counts c;
	struct stat was, st;
	int i;

	begin(false);
	ck_assert_int_eq(fstatat(t_rootfd, "M/quire/acct/pubs", &was, 0), 0);
	t_sh("printf x | dd of=M/quire/acct/pubs bs=1 seek=200 conv=notrunc "
	     "2>/dev/null");
	late = open_account(false);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(
		    account_status(late, STR("A"), &c, NULL), ACCOUNT_OK);
		ck_assert_uint_eq(c.messages, 2);
	}
	file_one("A");
	ck_assert_int_eq(account_status(late, STR("A"), &c, NULL), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 3);
	must_be("A", id_of[0], 3);
	must_be("B", id_of[1], 1);
	ck_assert_int_eq(fstatat(t_rootfd, "M/quire/acct/pubs", &st, 0), 0);
	ck_assert_int_le(st.st_size, was.st_size);
	account_close(&late);
	end();
}
END_TEST

static int
no_slots(const char *call)
{
	return strcmp(call, "slot") == 0 ? ENOSPC : 0;
}

/* Who cannot write the copy leaves none that is old. */
START_TEST(copy_not_written)
{
	struct mailbox *m;

	begin(_i == 1);
	m = t_mailbox(other, "A");
	store_step = no_slots;
	ck_assert_uint_ne(t_add(m, hello, 0), 0);
	store_step = NULL;
	must_be("A", id_of[0], 3);
	/* a keyword changes no directory */
	ck_assert_int_eq(t_store(m, 1, 3, FLAGS_ADD, FLAG_SEEN), 0);
	must_be("A", id_of[0], 3);
	mailbox_close(&m);
	must_be("B", id_of[1], 1);
	end();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("status");

	t_case(s, renamed, 2);
	t_case(s, swapped, 2);
	t_case(s, deleted_and_made, 2);
	t_case(s, swapped_by_others, 1);
	t_case(s, replaced_by_a_copy, 2);
	t_case(s, delete_stopped, 2);
	t_case(s, changed, 2);
	t_case(s, copies_are_enough, 2);
	t_case(s, copies_lost, 1);
	t_case(s, copy_damaged, 1);
	t_case(s, copy_not_written, 2);
	return t_run(s);
}
