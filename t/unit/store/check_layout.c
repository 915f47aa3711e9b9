/* LAYOUT=fs: mailboxes as directories in directories. */
#include "t_store.h"

#include <sys/wait.h>

#include "service/store/layout_int.h"

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";
static int indexfd = -1;

/* The Maildir is M, our own files are in I. */
static void
setup(void)
{
	t_setup();
	t_sh("mkdir M I");
	indexfd = openat(t_rootfd, "I", O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(indexfd, -1);
}

static void
teardown(void)
{
	close(indexfd);
	t_teardown();
}

static struct account *
account(bool readonly)
{
	struct account_opts o = { .hostname = "h",
		.readonly = readonly,
		.is_fs = true,
		.indexfd = indexfd };
	int fd = openat(t_rootfd, "M", O_RDONLY | O_DIRECTORY);
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, fd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	close(fd);
	return a;
}

static bool
exists(struct account *a, const char *name)
{
	const struct mailbox_info *i;
	struct err e;

	ck_assert_int_eq(account_refresh(a, &e), 0);
	i = account_find(a, str_from(name));
	return i != NULL && i->exists;
}

static uint32_t
count(struct account *a, const char *name)
{
	struct mailbox *m = t_mailbox(a, name);
	uint32_t n;

	t_sync(m, NULL);
	n = mailbox_count(m);
	mailbox_close(&m);
	return n;
}

/* ---- names ---- */

static const struct {
	const char *name, *dir; /* dir NULL: there is none */
	bool is_utf8;
} names[] = {
	{ "INBOX", ".", false },
	{ "A", "A", false },
	{ "A/b.c", "A/b.c", false },
	{ ".A/.b", "&AC4-A/&AC4-b", false },
	{ "a&b", "a&-b", false },
	{ "a&b", "a&b", true },
	{ "Entw\xc3\xbcrfe/x", "Entw&APw-rfe/x", false },
	{ "Entw\xc3\xbcrfe/x", "Entw\xc3\xbcrfe/x", true },
	{ "cur", NULL, false },
	{ "A/tmp", NULL, false },
	{ "A/new/x", NULL, false },
	{ "A/news", "A/news", false },
};

START_TEST(name_forms)
{
	struct layout l = { .is_fs = true, .is_utf8 = names[_i].is_utf8 };
	char dir[NAME_LEN + 1];
	struct buf back;
	bool ok = layout_dir(&l, t_rootfd, str_from(names[_i].name), dir);

	ck_assert_int_eq(ok, names[_i].dir != NULL);
	if (!ok)
		return;
	ck_assert_str_eq(dir, names[_i].dir);
	if (strcmp(dir, ".") == 0)
		return;
	buf_init(&back, 4000);
	ck_assert(layout_name(&l, str_from(dir), &back));
	ck_assert_str_eq(buf_cstr(&back), names[_i].name);
	buf_release(&back);
}
END_TEST

static const char *const no_names[] = { "cur", "A/cur", "A//b", "/A", ".A",
	"A/.b", "a\x01", "\xff\xfe", "" };

START_TEST(no_name)
{
	struct layout l = { .is_fs = true };
	struct buf b;

	buf_init(&b, 4000);
	ck_assert(!layout_name(&l, str_from(no_names[_i]), &b));
	buf_release(&b);
}
END_TEST

/* ---- adopting ---- */

static void
make_tree(void)
{
	t_sh("cd M && mkdir -p cur new tmp A/cur A/b.c/cur A/b.c/new "
	     "plain/deep/cur 'Entw\xc3\xbcrfe/cur' .hidden/cur && "
	     "printf '3 V9 N8\\n7 :1000.x\\n' >A/b.c/dovecot-uidlist && "
	     "printf 'a: b\\n\\n' >A/b.c/cur/1000.x:2,S && "
	     "printf 'a: b\\n\\n' >cur/1001.x:2, && "
	     "printf 'V\\t2\\n\\nA\\tb.c\\nplain\\tdeep\\n' >subscriptions");
}

START_TEST(adopt_nested)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	uint8_t id[16];

	make_tree();
	a = account(false);
	ck_assert(exists(a, "A") && exists(a, "A/b.c"));
	ck_assert(exists(a, "plain/deep") && !exists(a, "plain"));
	ck_assert(exists(a, "Entw\xc3\xbcrfe") && !exists(a, "hidden"));
	ck_assert(account_find(a, STR("A/b.c"))->is_subscribed);
	ck_assert(account_find(a, STR("plain/deep"))->is_subscribed);
	ck_assert(!account_find(a, STR("A"))->is_subscribed);
	memcpy(id, account_find(a, STR("A/b.c"))->mailboxid, 16);
	m = t_mailbox(a, "A/b.c");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, 9);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.uid, 7);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	ck_assert_uint_eq(t_add(m, hello, 0), 8);
	mailbox_close(&m);
	ck_assert_uint_eq(count(a, "INBOX"), 1);
	account_close(&a);
	/* in the tree no directory of ours */
	t_sh(
	    "cd M && test -z \"$(find . -name quire -o -name maildirfolder)\"");
	t_sh("test $(wc -c <M/A/b.c/quire.id) = 22 -a -f M/quire.id");
	a = account(false);
	ck_assert_mem_eq(account_find(a, STR("A/b.c"))->mailboxid, id, 16);
	ck_assert_uint_eq(count(a, "A/b.c"), 2);
	account_close(&a);
}
END_TEST

START_TEST(look_nested)
{
	struct account *a;
	struct mailbox *m;
	char *text;

	make_tree();
	t_sh("find . -printf '%p %y %m %T@ %C@ %s\\n' | sort "
	     ">../state.$(basename $PWD)");
	a = account(true);
	m = t_mailbox(a, "A/b.c");
	text = t_text(m, 7);
	ck_assert_str_eq(text, "a: b\r\n\r\n");
	free(text);
	mailbox_close(&m);
	account_close(&a);
	t_sh("find . -printf '%p %y %m %T@ %C@ %s\\n' | sort | "
	     "cmp - ../state.$(basename $PWD)");
}
END_TEST

START_TEST(new_account)
{
	struct account *a = account(false);

	ck_assert(exists(a, "Sent") && exists(a, "INBOX"));
	ck_assert_uint_eq(count(a, "INBOX"), 0);
	t_sh("test -d M/Sent/cur -a -d M/cur -a ! -e M/.Sent");
	account_close(&a);
}
END_TEST

/* ---- changing ---- */

START_TEST(create_rename_delete)
{
	struct account *a = account(false);
	struct mailbox_counts c;
	struct mailbox *m;
	uint8_t id[16];
	struct err e;

	ck_assert_int_eq(account_create(a, STR("A/b/c"), 0, &e), ACCOUNT_OK);
	ck_assert_int_eq(
	    account_create(a, STR("A/b/c"), 0, &e), ACCOUNT_EXISTS);
	ck_assert_int_eq(
	    account_create(a, STR("A/tmp"), 0, &e), ACCOUNT_BADNAME);
	ck_assert(exists(a, "A") && exists(a, "A/b"));
	m = t_mailbox(a, "A/b/c");
	t_add(m, hello, 0);
	mailbox_close(&m);
	memcpy(id, account_find(a, STR("A/b/c"))->mailboxid, 16);
	ck_assert_int_eq(
	    account_rename(a, STR("A/b"), STR("X/y"), &e), ACCOUNT_OK);
	ck_assert(exists(a, "A") && exists(a, "X") && exists(a, "X/y/c"));
	ck_assert(!exists(a, "A/b") && !exists(a, "A/b/c"));
	ck_assert_mem_eq(account_find(a, STR("X/y/c"))->mailboxid, id, 16);
	ck_assert_uint_eq(count(a, "X/y/c"), 1);
	ck_assert_int_eq(account_status(a, STR("X/y/c"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 1);
	/* one with others below goes alone */
	ck_assert_int_eq(account_delete(a, STR("X/y"), &e), ACCOUNT_OK);
	ck_assert(!exists(a, "X/y") && exists(a, "X/y/c"));
	t_sh("test ! -e M/X/y/cur -a -d M/X/y/c/cur");
	ck_assert_int_eq(
	    account_delete(a, STR("X/y"), &e), ACCOUNT_HASCHILDREN);
	ck_assert_int_eq(account_delete(a, STR("X/y/c"), &e), ACCOUNT_OK);
	t_sh("test ! -e M/X/y/c -a -d M/X");
	/* kept aside, with its journal */
	t_sh("test 1 = $(find I/deleted -path '*/cur/*' -type f | wc -l) -a "
	     "-f \"$(find I/deleted -path '*/quire/journal' | head -n 1)\"");
	/* where it was something may be again */
	ck_assert_int_eq(account_create(a, STR("X/y/c"), 0, &e), ACCOUNT_OK);
	ck_assert_uint_eq(count(a, "X/y/c"), 0);
	ck_assert_mem_ne(account_find(a, STR("X/y/c"))->mailboxid, id, 16);
	ck_assert_int_eq(
	    account_rename(a, STR("INBOX"), STR("Old/mail"), &e), ACCOUNT_OK);
	ck_assert(exists(a, "Old/mail") && exists(a, "INBOX"));
	account_close(&a);
	a = account(false);
	ck_assert(exists(a, "X/y/c") && exists(a, "Old/mail"));
	account_close(&a);
}
END_TEST

/* Only below it is a mailbox: the directory above is made and removed. */
START_TEST(rename_below_plain)
{
	struct account *a;
	struct err e;

	make_tree();
	a = account(false);
	ck_assert_int_eq(
	    account_rename(a, STR("plain"), STR("other"), &e), ACCOUNT_OK);
	ck_assert(exists(a, "other/deep") && !exists(a, "plain/deep"));
	t_sh("test -d M/other/deep/cur -a ! -e M/plain");
	account_close(&a);
}
END_TEST

/* What others do to the tree, also far below. */
START_TEST(foreign_nested)
{
	struct account *a;
	struct mailbox *m;
	uint8_t id[16];

	make_tree();
	a = account(false);
	m = t_mailbox(a, "A/b.c");
	t_add(m, hello, 0);
	mailbox_close(&m);
	memcpy(id, account_find(a, STR("A/b.c"))->mailboxid, 16);
	t_sh("mkdir -p M/plain/deep/deeper/one");
	ck_assert(!exists(a, "plain/deep/deeper/one"));
	t_sh("mkdir M/plain/deep/deeper/one/cur");
	ck_assert(exists(a, "plain/deep/deeper/one"));
	t_sh("mv M/A/b.c M/plain/moved && cp -a M/plain/moved M/A/copied");
	ck_assert(exists(a, "plain/moved") && exists(a, "A/copied"));
	ck_assert(!exists(a, "A/b.c"));
	ck_assert(
	    (memcmp(account_find(a, STR("plain/moved"))->mailboxid, id, 16) ==
		0) !=
	    (memcmp(account_find(a, STR("A/copied"))->mailboxid, id, 16) == 0));
	ck_assert_uint_eq(count(a, "plain/moved"), 2);
	ck_assert_uint_eq(count(a, "A/copied"), 2);
	t_sh("rm -r M/plain/deep/deeper");
	ck_assert(!exists(a, "plain/deep/deeper/one"));
	account_close(&a);
	/* the id is lost: the name still leads to its journal */
	t_sh("rm M/plain/moved/quire.id && printf x >M/A/copied/quire.id");
	a = account(false);
	ck_assert_uint_eq(count(a, "plain/moved"), 2);
	ck_assert_uint_eq(count(a, "A/copied"), 2);
	account_close(&a);
	t_sh("test $(wc -c <M/A/copied/quire.id) = 22");
}
END_TEST

/* ---- stopped at every step ---- */

static int steps_left;

static int
stop(const char *call)
{
	(void)call;
	if (steps_left-- == 0)
		_exit(9);
	return 0;
}

static void
work(void)
{
	struct account *a = account(false);
	struct mailbox *m;
	struct err e;

	account_create(a, STR("A/b/c"), 0, &e);
	m = t_mailbox(a, "A/b/c");
	t_add(m, hello, 0);
	mailbox_close(&m);
	account_rename(a, STR("A/b"), STR("X/y"), &e);
	account_delete(a, STR("X/y"), &e);
	account_delete(a, STR("X/y/c"), &e);
	account_close(&a);
}

static bool
work_until(int n)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		steps_left = n;
		store_step = stop;
		work();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

/* Wherever it stops, the next look finds a tree in which everything that is
 * listed opens, and no message in two places. */
START_TEST(stopped)
{
	const struct mailbox_info *list;
	struct account *a;
	uint32_t messages;
	size_t n, i;
	int step;
	bool done;

	for (step = 0, done = false; !done; step++) {
		done = work_until(step);
		a = account(false);
		n = account_list(a, &list);
		for (i = 0, messages = 0; i < n; i++) {
			char name[64];

			ck_assert(str_copy(list[i].name, name, sizeof(name)));
			if (list[i].exists)
				messages += count(a, name);
			n = account_list(a, &list);
		}
		ck_assert_uint_le(messages, 1);
		ck_assert(exists(a, "INBOX"));
		if (done)
			ck_assert_uint_eq(messages, 0);
		account_close(&a);
		t_sh("rm -r M I/* && mkdir M");
	}
	ck_assert_int_gt(step, 100);
}
END_TEST

/* Who forgets the setting is told, and does no harm. */
/* Several that are the first to open an account, at once. */
#define FIRST_ONES 6
#define ROUNDS	   25

START_TEST(opened_at_once)
{
	int i, k, go[2], status;
	struct account *a;
	char c;

	for (k = 0; k < ROUNDS; k++) {
		ck_assert_int_eq(pipe(go), 0);
		for (i = 0; i < FIRST_ONES; i++)
			if (fork() == 0) {
				close(go[1]);
				_exit(
				    read(go[0], &c, 1) != 0 ||
				    count((a = account(false)), "INBOX") != 0);
			}
		close(go[0]);
		close(go[1]); /* now */
		for (i = 0; i < FIRST_ONES; i++) {
			ck_assert_int_ne(wait(&status), -1);
			ck_assert_int_eq(status, 0);
		}
		t_sh("test $(ls -A M | wc -l) = 9 && rm -rf M/* I/*");
	}
}
END_TEST

START_TEST(not_maildirpp)
{
	struct account_opts o = { .hostname = "h" };
	struct account *a = account(false);
	struct err e = { 0 };
	int fd;

	count(a, "INBOX");
	account_close(&a);
	fd = openat(t_rootfd, "M", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(account_open(&a, fd, &o, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "layout fs"));
	close(fd);
	t_sh("test ! -e M/quire");
}
END_TEST

/* ---- verify ---- */

static char found_all[4000];
static unsigned nerrors;

static void
found(void *arg, const struct verify_finding *f)
{
	size_t n = strlen(found_all);

	(void)arg;
	snprintf(found_all + n, sizeof(found_all) - n, "%d %.*s %s %s: %s\n",
	    (int)f->severity, STR_ARG(f->mailbox), f->kind,
	    f->file == NULL ? "" : f->file, f->text);
	nerrors += f->severity == VERIFY_ERROR;
}

static struct verify_totals
verify(void)
{
	struct verify_opts o = {
		.deep = true, .is_fs = true, .indexfd = indexfd
	};
	struct verify_totals t = { 0 };
	struct err e = { 0 };
	int fd = openat(t_rootfd, "M", O_RDONLY | O_DIRECTORY);

	found_all[0] = '\0';
	nerrors = 0;
	if (store_verify(fd, &o, found, NULL, &t, &e) == -1)
		ck_abort_msg("%s", e.text);
	close(fd);
	return t;
}

static void
fill(void)
{
	struct account *a = account(false);
	struct mailbox *m;
	struct err e;

	ck_assert_int_eq(account_create(a, STR("A/b"), 0, &e), ACCOUNT_OK);
	m = t_mailbox(a, "INBOX");
	t_add(m, hello, FLAG_SEEN);
	mailbox_close(&m);
	m = t_mailbox(a, "A/b");
	t_add(m, hello, 0);
	t_add(m, hello, 0);
	mailbox_close(&m);
	account_close(&a);
}

START_TEST(verified)
{
	struct verify_totals t;

	fill();
	t = verify();
	ck_assert_msg(found_all[0] == '\0', "%s", found_all);
	ck_assert_uint_eq(t.messages, 3);
	ck_assert_uint_ge(t.mailboxes, 3);
}
END_TEST

#define HEX "I/????????????????????????????????"
static const struct {
	const char *how;
	int severity;
	const char *mailbox, *kind;
} damages[] = {
	{ "rm M/A/b/quire.id", VERIFY_WARNING, "A/b", "quire-id" },
	{ "cp M/quire.id M/A/b/quire.id", VERIFY_WARNING, "A/b", "quire-id" },
	{ "cp -r $(ls -d " HEX " | head -1) "
	  "I/0123456789abcdef0123456789abcdef",
	    VERIFY_NOTE, "", "index-orphan" },
	{ "mkdir -p M/A/c/cur", VERIFY_NOTE, "", "new-folder" },
	{ "mkdir -p M/A/.x/cur M/A/x/.cur M/A/e/cur/cur", VERIFY_NOTE, "",
	    "new-folder" },
	{ "rm -r M/A/b/cur", VERIFY_ERROR, "A/b", "no-directory" },
	{ "rm -r M/A", VERIFY_ERROR, "A/b", "no-directory" },
	{ "rm M/cur/*", VERIFY_ERROR, "INBOX", "missing" },
	{ "rm -r I/acct", VERIFY_NOTE, "", "unopened" },
	{ "rm I/acct/journal", VERIFY_ERROR, "", "no-journal" },
	{ "for f in " HEX "/journal; do printf xxx | dd of=$f bs=1 seek=300 "
	  "conv=notrunc 2>/dev/null; done",
	    VERIFY_ERROR, "INBOX", "journal-damage" },
};

START_TEST(verify_damage)
{
	char line[100];

	fill();
	t_sh(damages[_i].how);
	verify();
	snprintf(line, sizeof(line), "%d %s %s ", damages[_i].severity,
	    damages[_i].mailbox, damages[_i].kind);
	ck_assert_msg(strstr(found_all, line) != NULL, "no \"%s\" in\n%s", line,
	    found_all);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("layout");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, name_forms, 0, (int)N(names));
	tcase_add_loop_test(t, no_name, 0, (int)N(no_names));
	tcase_add_test(t, adopt_nested);
	tcase_add_test(t, look_nested);
	tcase_add_test(t, new_account);
	tcase_add_test(t, create_rename_delete);
	tcase_add_test(t, rename_below_plain);
	tcase_add_test(t, foreign_nested);
	tcase_add_test(t, stopped);
	tcase_add_test(t, opened_at_once);
	tcase_add_test(t, not_maildirpp);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, verified);
	tcase_add_loop_test(t, verify_damage, 0, N(damages));
	suite_add_tcase(s, t);
	return t_run(s);
}
