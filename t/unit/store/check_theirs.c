/* What other servers left and is wrong: lists, names, files, folders. */
#include "t_adopt.h"

#define NEW 0 /* a UIDVALIDITY of our own */

static void
three_files(void)
{
	t_sh("mkdir -p cur new tmp");
	put_file("cur/m1:2,S", "a:\n\n");
	put_file("cur/m2:2,", "b:\n\n");
	put_file("cur/m3:2,F", "c:\n\n");
}

/* ---- dovecot-uidlist ---- */

static const struct {
	const char *what, *text;
	uint32_t uidvalidity, uids[3], uidnext; /* of the files in order */
	uint64_t kept, gone, problems;
} lists[] = {
	{ "good", "3 V77 N9\n1 :m1\n2 :m2\n8 :m3\n", 77, { 1, 2, 8 }, 9, 3, 0,
	    0 },
	{ "not in order", "3 V77 N4\n3 :m1\n2 :m2\n1 :m3\n", 77, { 3, 2, 1 }, 4,
	    3, 0, 0 },
	{ "N below its lines", "3 V77 N2\n1 :m1\n2 :m2\n3 :m3\n", 77,
	    { 1, 2, 3 }, 4, 3, 0, 0 },
	{ "no N", "3 V77\n1 :m1\n2 :m2\n", 77, { 1, 2, 3 }, 4, 2, 0, 0 },
	/* the others keep theirs */
	{ "one UID for two", "3 V77 N9\n1 :m1\n1 :m2\n8 :m3\n", 77, { 1, 9, 8 },
	    10, 2, 0, 1 },
	{ "two UIDs for one", "3 V77 N9\n1 :m1\n3 :m1\n5 :m2\n8 :m3\n", 77,
	    { 3, 5, 8 }, 9, 3, 0, 0 },
	{ "0", "3 V77 N4\n0 :m1\n2 :m2\n3 :m3\n", 77, { 4, 2, 3 }, 5, 2, 0, 1 },
	{ "the highest", "3 V77 N4\n1 :m1\n4294967295 :m2\n3 :m3\n", 77,
	    { 1, 4, 3 }, 5, 2, 0, 1 },
	{ "one below it", "3 V77 N4\n1 :m1\n2 :m2\n4294967294 :x\n3 :m3\n", 77,
	    { 1, 2, 3 }, 4, 3, 0, 1 },
	{ "beyond it", "3 V77 N4\n99999999999 :m1\n2 :m2\n-3 :m3\n", 77,
	    { 4, 2, 5 }, 6, 1, 0, 1 },
	{ "cut", "3 V77 N4\n1 :m1\n2 :m2\n3 :m", 77, { 1, 2, 4 }, 5, 2, 1, 1 },
	{ "CRLF", "3 V77 N4\r\n1 :m1\r\n2 :m2\r\n3 :m3\r\n", 77, { 1, 2, 3 }, 4,
	    3, 0, 0 },
	{ "names that are none", "3 V77 N2\n7 :\tm1\n5 :m2\n6 :m3\n", 77,
	    { 8, 5, 6 }, 9, 2, 0, 1 },
	{ "N that is none", "3 V77 N4x\n1 :m1\n", NEW, { 1, 2, 3 }, 4, 0, 0,
	    1 },
	{ "no room left", "3 V77 N4294967295\n1 :m1\n", NEW, { 1, 2, 3 }, 4, 0,
	    0, 1 },
	{ "cut in its header", "3 V77", NEW, { 1, 2, 3 }, 4, 0, 0, 1 },
	{ "no header", "1 :m1\n2 :m2\n", NEW, { 1, 2, 3 }, 4, 0, 0, 1 },
	{ "V0", "3 V0 N9\n1 :m1\n", NEW, { 1, 2, 3 }, 4, 0, 0, 1 },
	{ "V beyond", "3 V99999999999 N9\n1 :m1\n", NEW, { 1, 2, 3 }, 4, 0, 0,
	    1 },
	{ "version 4", "4 V77 N9\n1 :m1\n", NEW, { 1, 2, 3 }, 4, 0, 0, 1 },
	{ "empty", "", NEW, { 1, 2, 3 }, 4, 0, 0, 1 },
	{ "version 1", "1 77 9\n1 m1\n2 m2:2,S\n8 m3\n", 77, { 1, 2, 8 }, 9, 3,
	    0, 0 },
};

static uint32_t
uid_of(struct mailbox *m, const char *name)
{
	struct message msg;
	uint32_t seq;

	for (seq = 1; seq <= mailbox_count(m); seq++) {
		mailbox_get(m, seq, &msg);
		if (str_starts(msg.name, str_from(name)))
			return msg.uid;
	}
	return 0;
}

START_TEST(uidlist)
{
	static const char *const file[] = { "m1", "m2", "m3" };
	const struct adopt_box *b;
	struct account *a;
	struct mailbox *m;
	struct seen s;
	int i;

	three_files();
	put_file("dovecot-uidlist", lists[_i].text);
	state_keep();
	adopt(true, &s);
	state_is_kept();
	b = box(&s, "INBOX");
	ck_assert_uint_eq(b->messages, 3);
	ck_assert_uint_eq(b->kept, lists[_i].kept);
	ck_assert_uint_eq(b->fresh, 3 - lists[_i].kept);
	ck_assert_uint_eq(b->gone, lists[_i].gone);
	ck_assert_uint_eq(b->nproblems, lists[_i].problems);
	ck_assert_uint_eq(b->uidnext, lists[_i].uidnext);
	if (lists[_i].uidvalidity != NEW)
		ck_assert_uint_eq(b->uidvalidity, lists[_i].uidvalidity);
	else
		ck_assert_uint_gt(b->uidvalidity, 1000000000);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(uid_of(m, file[i]), lists[_i].uids[i]);
	/* and there is room for more */
	ck_assert_uint_eq(t_add(m, "x: y\r\n\r\n", 0), lists[_i].uidnext);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* W= that cannot be: of files that are surely plain, and of others. */
START_TEST(sizes)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	uint32_t seq;

	t_sh("mkdir -p cur new tmp");
	put_file("dovecot-uidlist",
	    "3 V77 N4\n1 W999999999999999 :1.m\n2 W18446744073709551615 :2.m\n"
	    "3 :3.m,S=4,W=3\n4 :4.m,S=4,W=9\n5 :5.m,W=9223372036854775807\n");
	put_file("cur/1.m:2,", "a:\n\n");
	put_file("cur/2.m:2,", "a:\n\n");
	put_file("cur/3.m,S=4,W=3:2,", "a:\n\n");
	put_file("cur/4.m,S=4,W=9:2,", "a:\n\n");
	put_file("cur/5.m,W=9223372036854775807:2,", "a:\n\n");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_count(m), 5);
	for (seq = 1; seq <= 5; seq++) {
		mailbox_get(m, seq, &msg);
		ck_assert_uint_eq(msg.size, 6);
	}
	ck_assert_uint_eq(mailbox_counts(m)->size, 30);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* What is there and cannot be read is not taken for missing. */
START_TEST(unreadable)
{
	static const char *const names[] = { "dovecot-uidlist",
		"courierimapuiddb", "dovecot-keywords" };
	struct seen s;

	three_files();
	ck_assert_int_eq(mkdirat(t_rootfd, names[_i], 0700), 0);
	adopt(false, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 1);
	ck_assert_str_eq(box(&s, "INBOX")->problem[0].kind, "unreadable");
	ck_assert_str_eq(box(&s, "INBOX")->kind, "unreadable");
	t_sh("test ! -e quire/journal");
	/* mended: as if nothing had been */
	ck_assert_int_eq(unlinkat(t_rootfd, names[_i], AT_REMOVEDIR), 0);
	put_file("dovecot-uidlist", "3 V77 N9\n1 :m1\n2 :m2\n8 :m3\n");
	adopt(false, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->uidvalidity, 77);
	ck_assert_uint_eq(box(&s, "INBOX")->kept, 3);
	t_verify();
}
END_TEST

/* ---- dovecot-keywords ---- */

START_TEST(keywords)
{
	static const char *const want[] = { "$Unused-a", "$Unused-b",
		"$Unused-c", "good", "$Unused-e", "$Unused-f", "$Unused-g",
		"last" };
	struct account *a;
	struct mailbox *m;
	struct seen s;
	unsigned i;

	three_files();
	/* b is not there; twice by another case; what IMAP cannot say */
	put_file("dovecot-keywords",
	    "0 has space\n2 \\Seen\n3 good\n4 GOOD\n5 \xc3\xbc\n6 (x\n7 "
	    "last\r\n"
	    "26 beyond\nnonsense\n-1 x\n99999999999999999999 x\n");
	put_file("cur/m4:2,dh", "d:\n\n");
	adopt(true, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 0);
	put_file("cur/m5:2,acdz", "e:\n\n");
	adopt(true, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 1);
	ck_assert_str_eq(box(&s, "INBOX")->problem[0].kind, "keywords");
	ck_assert_ptr_nonnull(
	    strstr(box(&s, "INBOX")->problem[0].text, "(acz)"));
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_keywords(m), N(want));
	for (i = 0; i < N(want); i++)
		ck_assert(str_eq(mailbox_keyword(m, i), str_from(want[i])));
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* ---- files ---- */

/* Two files of one base name; and a second name of a file. */
START_TEST(second_files)
{
	struct account *a;
	struct mailbox *m;
	struct seen s;
	char *text;

	t_sh("mkdir -p cur new tmp");
	put_file("new/20.m", "one:\n\n");
	put_file("cur/20.m:2,", "two:\n\n");
	put_file("cur/30.m:2,S", "three:\n\n");
	t_sh("ln cur/30.m:2,S new/30.m");
	adopt(true, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->messages, 2);
	ck_assert_uint_eq(box(&s, "INBOX")->renames, 2);
	adopt(false, &s);
	store_young_s = -1;
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	t_sync(m, NULL);
	store_young_s = 60;
	ck_assert_uint_eq(mailbox_count(m), 3);
	text = t_text(m, 3);
	ck_assert(strcmp(text, "one:\r\n\r\n") == 0 ||
		  strcmp(text, "two:\r\n\r\n") == 0);
	free(text);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

START_TEST(no_messages)
{
	struct seen s;
	unsigned i;

	three_files();
	put_file("cur/tab\there:2,", "a:\n\n");
	put_file("new/:2,S", "a:\n\n");
	t_sh("mkdir cur/dir; mkfifo cur/fifo; ln -s m1:2,S cur/link;"
	     "echo >cur/.hidden");
	state_keep();
	adopt(true, &s);
	state_is_kept();
	ck_assert_uint_eq(box(&s, "INBOX")->messages, 3);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 5);
	for (i = 0; i < 5; i++)
		ck_assert_str_eq(
		    box(&s, "INBOX")->problem[i].kind, "no-message");
}
END_TEST

/* ---- folders ---- */

START_TEST(folders)
{
	struct seen s;
	size_t i, told = 0;

	/* decomposed, as from macOS */
	t_sh("mkdir -p cur new tmp; for d in .Sent .u\xcc\x88/ '.caf&AOk-'"
	     " .caf\xc3\xa9 .x. .inbox .y..z '.tab\there'; do "
	     "mkdir -p \"$d/cur\"; done; ln -s .Sent .Link; ln -s cur .none");
	state_keep();
	adopt(true, &s);
	state_is_kept();
	ck_assert_uint_eq(s.n, 4);
	box(&s, "Sent");
	box(&s, "\xc3\xbc");
	box(&s, "caf\xc3\xa9");
	for (i = 0; i < box(&s, "INBOX")->nproblems; i++)
		told += strcmp(box(&s, "INBOX")->problem[i].kind,
			    "folder-name") == 0;
	/* one of the two cafes, x, inbox, y, tab, Link */
	ck_assert_uint_eq(told, 6);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 6);
}
END_TEST

/* As another user would find it. */
START_TEST(rights)
{
	struct seen s;
	size_t i;
	uid_t was = geteuid();

	t_sh("mkdir -p cur new tmp .Closed/cur .Fixed/cur; chmod 0 .Closed;"
	     "chmod 555 .Fixed; chmod 755 .");
	if (was == 0)
		t_sh("chmod 755 ..; chown -R 65534 .");
	ck_assert_int_eq(was == 0 ? seteuid(65534) : 0, 0);
	adopt(true, &s);
	ck_assert_int_eq(seteuid(was), 0);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 1);
	ck_assert_str_eq(box(&s, "INBOX")->problem[0].kind, "folder-name");
	ck_assert_str_eq(box(&s, "Fixed")->problem[0].kind, "unwritable");
	for (i = 0; i < s.n; i++)
		ck_assert_str_eq(s.v[i].kind, "bare");
	t_sh("chmod 755 .Closed .Fixed");
}
END_TEST

/* One that is decomposed is used as it is. */
START_TEST(decomposed)
{
	struct account *a;
	struct mailbox *m;

	t_sh("mkdir -p cur new tmp .u\xcc\x88/cur .u\xcc\x88/new "
	     ".u\xcc\x88/tmp; echo x: >.u\xcc\x88/cur/1.m:2,");
	a = t_account();
	m = t_mailbox(a, "\xc3\xbc");
	ck_assert_uint_eq(mailbox_count(m), 1);
	ck_assert_uint_ne(t_add(m, "x: y\r\n\r\n", 0), 0);
	mailbox_close(&m);
	t_sh("test ! -e .\xc3\xbc -a ! -e '.&APw-' && "
	     "test $(ls .u\xcc\x88/cur .u\xcc\x88/new | grep -c .m) = 2");
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("theirs");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, uidlist, 0, (int)N(lists));
	tcase_add_test(t, sizes);
	tcase_add_loop_test(t, unreadable, 0, 3);
	tcase_add_test(t, keywords);
	tcase_add_test(t, second_files);
	tcase_add_test(t, no_messages);
	tcase_add_test(t, folders);
	tcase_add_test(t, rights);
	tcase_add_test(t, decomposed);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
