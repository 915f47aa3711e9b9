/* What others do to a Maildir, and Maildirs that others have kept. */
#include "t_store.h"

#include <sys/time.h>

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

static void
put_file(const char *path, const char *text, time_t mtime)
{
	char *full = xasprintf("%s/%s", t_root, path);
	struct timeval tv[2] = { { mtime, 0 }, { mtime, 0 } };
	FILE *f = fopen(full, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	if (mtime != 0)
		ck_assert_int_eq(utimes(full, tv), 0);
	free(full);
}

static void
get_uid(struct mailbox *m, uint32_t uid, struct message *msg)
{
	uint32_t seq = mailbox_seq(m, uid);

	ck_assert_uint_ne(seq, 0);
	mailbox_get(m, seq, msg);
}

START_TEST(foreign_delivery)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	struct message msg;
	char *text;

	t_sync(m, NULL);
	/* two at once: in the order of their names' times */
	put_file("new/1000000002.M5P1.host", "b: 2\n\nx\n", 1000000100);
	put_file("new/1000000002.M4P2.host", "b: 1\n\n", 1000000200);
	put_file("cur/1000000001.P1.host:2,FS", "a: 0\n\n", 0);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 3);
	ck_assert_int_eq(ch.v[2].kind, CHANGE_NEW);
	get_uid(m, 1, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED | FLAG_SEEN);
	get_uid(m, 2, &msg);
	ck_assert_int_eq(msg.internaldate, 1000000200);
	get_uid(m, 3, &msg);
	ck_assert_uint_eq(msg.size, 11);
	text = t_text(m, 3);
	ck_assert_str_eq(text, "b: 2\r\n\r\nx\r\n");
	free(text);
	/* the next looks find nothing, and move new/ to cur/ only once */
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 0);
	t_sh("test -f 'cur/1000000002.M5P1.host:2,'");
	ck_assert(!scan_is_due(m));
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(foreign_flags)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	struct message msg;
	unsigned bit;
	struct err e;

	t_add(m, hello, 0);
	t_add(m, hello, 0);
	t_sync(m, NULL);
	/* both sides change: both win */
	t_sh("for f in cur/*:2,; do mv \"$f\" \"${f}F\"; done");
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 2);
	get_uid(m, 1, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN | FLAG_FLAGGED);
	t_sync(m, &ch);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 0);
	t_sh("ls cur/*:2,FS >/dev/null && ls cur/*:2,F >/dev/null");
	/* letters by dovecot-keywords, P, and one that is nobody's */
	t_sh("printf '0 work\\n1 home\\n' >dovecot-keywords");
	t_sh("for f in cur/*:2,F; do mv \"$f\" \"${f}PXb\"; done");
	t_sync(m, &ch);
	get_uid(m, 2, &msg);
	ck_assert_int_eq(mailbox_keyword_bit(m, STR("home")), 1);
	ck_assert_uint_eq(msg.keywords & 2, 2);
	t_sync(m, &ch);
	ck_assert_int_eq(
	    mailbox_keyword_define(m, STR("$Forwarded"), &bit, &e), 0);
	ck_assert_int_eq(t_store(m, 2, 2, FLAGS_ADD, FLAG_ANSWERED), 0);
	t_sync(m, &ch);
	ck_assert(!scan_is_due(m));
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(foreign_delete)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	struct message msg;
	char *text;

	t_add(m, hello, FLAG_SEEN);
	t_add(m, hello, 0);
	t_sync(m, NULL);
	t_sh("rm cur/*:2,S");
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_EXPUNGED);
	ck_assert_uint_eq(mailbox_counts(m)->messages, 1);
	/* mbsync's rename keeps the UID */
	t_sh(
	    "for f in cur/*; do mv \"$f\" \"$(echo $f | sed 's/:2,/,U=7:2,/')\""
	    "; done");
	t_sync(m, &ch);
	ck_assert_uint_eq(mailbox_count(m), 1);
	get_uid(m, 2, &msg);
	ck_assert(str_ends(msg.name, STR(",U=7")));
	text = t_text(m, 2);
	ck_assert_str_eq(text, hello);
	free(text);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	get_uid(m, 2, &msg);
	ck_assert(str_ends(msg.name, STR(",U=7")));
	/* gone between two looks: an error, not a crash */
	t_sh("rm cur/*");
	ck_assert_ptr_null(t_text(m, 2));
	t_sync(m, &ch);
	ck_assert_uint_eq(mailbox_count(m), 0);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(mass_loss)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	int i;

	for (i = 0; i < 120; i++)
		t_add(m, "a: b\r\n\r\n", 0);
	t_sync(m, NULL);
	t_sh("mv cur away && mkdir cur");
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	t_sync(m, &ch);
	ck_assert_uint_eq(mailbox_count(m), 120);
	mailbox_close(&m);
	t_sh("rmdir cur && mv away cur && cd cur && ls | head -60 | xargs rm");
	m = t_mailbox(a, "INBOX");
	t_sync(m, &ch);
	ck_assert_uint_eq(mailbox_count(m), 60);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(own_renames_cause_no_scan)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	struct incoming_opts in = { .is_new = true };
	int i;

	t_sync(m, NULL);
	t_sync(o, NULL);
	for (i = 0; i < 10; i++) {
		t_add(m, hello, 0);
		t_add_opts(m, str_from(hello), &in);
	}
	ck_assert(!scan_is_due(m));
	ck_assert_int_eq(t_store(m, 1, 9, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_remove(m, 3, 4), 0);
	ck_assert(!scan_is_due(m));
	t_sync(m, NULL);
	ck_assert(!scan_is_due(m));
	ck_assert_int_eq(mailbox_follow(o, NULL), 0);
	ck_assert(!scan_is_due(o));
	t_sync(o, NULL);
	ck_assert_uint_eq(mailbox_count(o), 18);
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
}
END_TEST

START_TEST(adopt_dovecot)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	const struct mailbox_info *info;
	uint8_t guid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

	t_sh("mkdir cur new tmp .Sent .Sent/cur .Sent/new .Sent/tmp "
	     "'.Arch&AOk-.x' '.Arch&AOk-.x/cur'");
	put_file("dovecot-uidlist",
	    "3 V1234567 N20 G0123456789abcdef0123456789abcdef\n"
	    "5 W20 :1000.P1.h\n"
	    "7 G000102030405060708090a0b0c0d0e0f :1001.P1.h,S=4\n"
	    "9 :1002.gone\n"
	    "junk\n",
	    0);
	put_file("dovecot-keywords", "0 work\n2 $Forwarded\n", 0);
	put_file("subscriptions", "Sent\nArch&AOk-.x\n", 0);
	put_file("cur/1000.P1.h:2,Sac", "a:\n\n", 1000);
	put_file("cur/1001.P1.h,S=4:2,", "b:\n\n", 0);
	put_file("new/1003.P1.h", "c:\n\n", 0);
	a = t_account();
	info = account_find(a, STR("INBOX"));
	ck_assert_mem_eq(info->mailboxid, guid, 16);
	info = account_find(a, STR("Sent"));
	ck_assert(info->use == USE_SENT && info->is_subscribed);
	info = account_find(a, STR("Arch\xc3\xa9/x"));
	ck_assert(info != NULL && info->is_subscribed && info->exists);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, 1234567);
	ck_assert_mem_eq(mailbox_counts(m)->mailboxid, guid, 16);
	ck_assert_uint_eq(mailbox_count(m), 3);
	get_uid(m, 5, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	ck_assert_uint_eq(msg.size, 20);
	ck_assert_int_eq(msg.internaldate, 1000);
	ck_assert_uint_eq(msg.keywords, 5);
	ck_assert_int_eq(mailbox_keyword_bit(m, STR("$forwarded")), 2);
	get_uid(m, 7, &msg);
	ck_assert_uint_eq(msg.emailid[15], 15);
	ck_assert_uint_eq(msg.size, 6);
	get_uid(m, 20, &msg);
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, 21);
	t_sync(m, NULL);
	ck_assert_uint_eq(t_add(m, hello, 0), 21);
	mailbox_close(&m);
	account_close(&a);
	t_sh("test ! -e dovecot-uidlist.lock");
}
END_TEST

START_TEST(adopt_courier)
{
	struct account *a;
	struct mailbox *m;

	t_sh("mkdir cur new tmp .Spam .Spam/cur");
	put_file("courierimapuiddb", "1 777 12\n3 1000.x\n11 1001.y\n", 0);
	put_file("courierimapsubscribed", "INBOX\nINBOX.Spam\n", 0);
	put_file("cur/1001.y:2,T", "b:\n\n", 0);
	put_file("cur/1000.x:2,", "a:\n\n", 0);
	a = t_account();
	ck_assert_int_eq(account_find(a, STR("Spam"))->use, USE_JUNK);
	ck_assert(account_find(a, STR("Spam"))->is_subscribed);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, 777);
	ck_assert_uint_eq(mailbox_seq(m, 3), 1);
	ck_assert_uint_eq(mailbox_seq(m, 11), 2);
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, 12);
	ck_assert_uint_eq(mailbox_counts(m)->deleted, 1);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(foreign_folders)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "Archive");
	uint8_t id[16];
	struct err e;

	t_add(m, hello, 0);
	mailbox_close(&m);
	memcpy(id, account_find(a, STR("Archive"))->mailboxid, 16);
	t_sh(
	    "mkdir -p .made/cur && mv .Archive .moved && cp -a .moved .copied");
	ck_assert_int_eq(account_refresh(a, &e), 0);
	ck_assert_ptr_nonnull(account_find(a, STR("made")));
	ck_assert(!account_find(a, STR("Archive"))->exists);
	/* of a folder and its copy one keeps the id */
	ck_assert(account_find(a, STR("moved"))->exists &&
		  account_find(a, STR("copied"))->exists);
	ck_assert(
	    (memcmp(account_find(a, STR("moved"))->mailboxid, id, 16) == 0) !=
	    (memcmp(account_find(a, STR("copied"))->mailboxid, id, 16) == 0));
	m = t_mailbox(a, "moved");
	ck_assert_uint_eq(mailbox_count(m), 1);
	mailbox_close(&m);
	m = t_mailbox(a, "copied");
	ck_assert_uint_eq(mailbox_count(m), 1);
	mailbox_close(&m);
	t_sh("rm -r .made");
	ck_assert_int_eq(account_refresh(a, &e), 0);
	ck_assert_ptr_null(account_find(a, STR("made")));
	account_close(&a);
}
END_TEST

/* A backup put back: UIDs that were given out since are not given again. */
START_TEST(restored)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	uint32_t uid;

	t_add(m, hello, 0);
	t_sync(m, NULL);
	mailbox_close(&m);
	t_sh("cp -a quire/journal quire/saved");
	m = t_mailbox(a, "INBOX");
	t_add(m, hello, 0);
	t_add(m, hello, 0);
	t_sh("mv quire/saved quire/journal");
	uid = t_add(m, hello, 0);
	ck_assert_uint_gt(uid, 100000);
	t_sync(m, NULL);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* Another program's change in the tick of ours leaves no trace in the
 * directory's time: it is found a second later. */
START_TEST(coarse_times)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	struct timespec ts[2];
	struct message msg;
	struct stat st;

	store_times_are_coarse = true;
	t_add(m, hello, 0);
	t_add(m, hello, 0);
	t_sync(m, NULL);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(fstat(m->curfd, &st), 0);
	t_sh("for f in cur/*:2,; do mv $f ${f}F; done");
	ts[0] = st.st_atim;
	ts[1] = st.st_mtim;
	ck_assert_int_eq(futimens(m->curfd, ts), 0);
	t_sync(m, NULL);
	get_uid(m, 2, &msg);
	ck_assert_uint_eq(msg.flags, 0); /* cannot be seen */
	ck_assert_int_gt(mailbox_due_ms(m), 0);
	ck_assert_int_le(mailbox_due_ms(m), 1000);
	usleep(1100000);
	ck_assert_int_eq(mailbox_due_ms(m), 0);
	t_sync(m, NULL);
	get_uid(m, 2, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	/* and that look is enough, for the other session too */
	t_sync(o, NULL);
	get_uid(o, 2, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	ck_assert_int_eq(mailbox_due_ms(m), -1);
	ck_assert_int_eq(mailbox_due_ms(o), -1);
	ck_assert(!scan_is_due(m) && !scan_is_due(o));
	store_times_are_coarse = false;
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("foreign");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, foreign_delivery);
	tcase_add_test(t, foreign_flags);
	tcase_add_test(t, foreign_delete);
	tcase_add_test(t, mass_loss);
	tcase_add_test(t, own_renames_cause_no_scan);
	tcase_add_test(t, adopt_dovecot);
	tcase_add_test(t, adopt_courier);
	tcase_add_test(t, foreign_folders);
	tcase_add_test(t, coarse_times);
	tcase_add_test(t, restored);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
