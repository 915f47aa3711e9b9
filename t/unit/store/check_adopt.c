/* Looking at a Maildir of another server, and taking it over. */
#include "t_adopt.h"

#include "service/store/courier_int.h"

static void
make_tree(void)
{
	t_sh("mkdir -p cur new tmp .Sent/cur .Sent/new .Sent/tmp .Old/cur");
	put_file("dovecot-uidlist",
	    "3 V1234567 N20 G0123456789abcdef0123456789abcdef\n"
	    "5 W20 :1000.P1.h\n"
	    "7 :1001.P1.h,S=4\n"
	    "8 :1003.P1.h\n"
	    "9 :1002.gone\n");
	put_file("dovecot-keywords", "0 work\n");
	put_file("subscriptions", "Sent\n");
	put_file("cur/1000.P1.h:2,Sa", "a:\n\n");
	put_file("cur/1001.P1.h,S=4:2,", "b:\n\n");
	/* no server leaves it so, a crash may */
	put_file("new/1003.P1.h:2,F", "c:\n\n");
	put_file("new/1004.P1.h", "d:\n\n");
	put_file(".Sent/courierimapuiddb", "1 777 12\n3 1000.x\n");
	put_file(".Sent/cur/1000.x:2,S", "a:\n\n");
	put_file(".Old/cur/1000.y", "a:\n\n");
}

static void
check_report(const struct seen *s)
{
	const struct adopt_box *b = box(s, "INBOX");

	ck_assert_uint_eq(s->n, 3);
	ck_assert_str_eq(b->kind, "dovecot-3");
	ck_assert_uint_eq(b->uidvalidity, 1234567);
	ck_assert_uint_eq(b->messages, 4);
	ck_assert_uint_eq(b->kept, 3);
	ck_assert_uint_eq(b->fresh, 1);
	ck_assert_uint_eq(b->gone, 1);
	ck_assert_uint_eq(b->uidnext, 21);
	ck_assert_uint_eq(b->keywords, 1);
	ck_assert_uint_eq(b->renames, 1);
	ck_assert_uint_eq(b->nproblems, 0);
	b = box(s, "Sent");
	ck_assert_str_eq(b->kind, "courier");
	ck_assert_uint_eq(b->uidvalidity, 777);
	ck_assert_uint_eq(b->kept, 1);
	ck_assert(b->is_subscribed);
	b = box(s, "Old");
	ck_assert_str_eq(b->kind, "bare");
	ck_assert_uint_eq(b->fresh, 1);
	ck_assert(!b->is_subscribed);
}

START_TEST(dry_run)
{
	struct seen s;

	make_tree();
	state_keep();
	adopt(true, &s);
	check_report(&s);
	state_is_kept();
	/* and it is what then happens */
	adopt(false, &s);
	check_report(&s);
	adopt(false, &s);
	ck_assert_str_eq(box(&s, "Sent")->kind, "quire");
	state_keep();
	adopt(true, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->messages, 4);
	ck_assert_str_eq(box(&s, "INBOX")->kind, "quire");
	state_is_kept();
	t_verify();
}
END_TEST

START_TEST(problems)
{
	struct seen s;

	t_sh("mkdir cur new tmp");
	put_file("dovecot-uidlist", "4 nonsense\n");
	put_file("cur/1.h:2,", "\x1f\x8b\x08nonsense");
	state_keep();
	adopt(true, &s);
	state_is_kept();
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.v[0].nproblems, 2);
	ck_assert_str_eq(s.v[0].problem[0].kind, "uidlist");
	ck_assert_str_eq(s.v[0].problem[1].kind, "unreadable");
}
END_TEST

/* A tree of LAYOUT=fs, and nobody said so. */
START_TEST(wrong_layout)
{
	struct seen s;

	t_sh("mkdir -p cur new tmp Archive/cur plain .Sent/cur");
	adopt(true, &s);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(box(&s, "INBOX")->nproblems, 1);
	ck_assert_str_eq(box(&s, "INBOX")->problem[0].kind, "layout");
	ck_assert_uint_eq(box(&s, "Sent")->nproblems, 0);
}
END_TEST

START_TEST(empty)
{
	struct seen s;

	state_keep();
	adopt(true, &s);
	state_is_kept();
	/* what is no Maildir is said to be none */
	ck_assert_uint_eq(s.n, 1);
	ck_assert_str_eq(s.v[0].problem[0].kind, "unreadable");
}
END_TEST

/* Read-only: a session on mail that nobody adopted. */
START_TEST(readonly)
{
	struct account_opts opts = { .hostname = "h", .readonly = true };
	struct mailbox_counts c;
	struct copy_result r;
	struct account *a;
	struct mailbox *m;
	struct message msg;
	struct ranges all;
	struct err e;
	char *text;

	make_tree();
	state_keep();
	ck_assert_int_eq(account_open(&a, t_rootfd, &opts, &e), 0);
	ck_assert_int_eq(account_status(a, STR("Sent"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.uidvalidity, 777);
	ck_assert_int_eq(
	    account_open_mailbox(a, STR("INBOX"), false, &m, &e), ACCOUNT_OK);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.uid, 5);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	ck_assert_uint_eq(msg.keywords, 1);
	mailbox_get(m, 3, &msg);
	ck_assert_uint_eq(msg.uid, 8);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	text = t_text(m, 8);
	ck_assert_str_eq(text, "c:\r\n\r\n");
	free(text);
	text = t_text(m, 20);
	ck_assert_str_eq(text, "d:\r\n\r\n");
	free(text);
	/* nothing can be changed */
	ranges_init(&all, 1);
	ranges_add(&all, 1, UINT32_MAX);
	ck_assert_int_eq(mailbox_copy(m, m, &all, &r, &e), -1);
	ck_assert_int_eq(t_store(m, 5, 5, FLAGS_ADD, FLAG_DELETED), -1);
	ck_assert_int_eq(t_remove(m, 5, 5), -1);
	ck_assert_uint_eq(t_add(m, "x: y\r\n\r\n", 0), 0);
	ck_assert_int_eq(account_create(a, STR("x"), 0, &e), ACCOUNT_ERROR);
	ck_assert_int_eq(account_delete(a, STR("Sent"), &e), ACCOUNT_ERROR);
	ck_assert_int_eq(
	    account_rename(a, STR("Sent"), STR("y"), &e), ACCOUNT_ERROR);
	ck_assert_int_eq(
	    account_subscribe(a, STR("Old"), true, &e), ACCOUNT_ERROR);
	ck_assert_int_eq(account_refresh(a, &e), 0);
	t_sync(m, NULL);
	ranges_release(&all);
	mailbox_close(&m);
	account_close(&a);
	state_is_kept();
}
END_TEST

/* A file with flags in new/ keeps the UID of the list, also once it moved. */
START_TEST(flags_in_new)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;

	make_tree();
	t_sh("mkdir .Old/new .Old/tmp");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_get(m, 3, &msg);
	ck_assert_uint_eq(msg.uid, 8);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	t_sh("test -f cur/1003.P1.h:2,F");
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* ---- Courier ---- */

static const struct {
	const char *text;
	const char *names; /* with a space behind each */
	const char *file;
	uint64_t set;
	uint64_t lost;
} lists[] = {
	{ "work\n$Label1\n\n1000.x:1 0\n", "work $Label1 ", "1000.x", 3, 0 },
	{ "work\n\n1000.x,S=5:0\n", "work ", "1000.x:2,S", 1, 0 },
	/* a name may have colons of its own */
	{ "a\nb\n\n1000.x:y:1\n", "a b ", "1000.x", 2, 0 },
	{ "a\n\n1000.x:\n", "a ", "1000.x", 0, 0 },
	/* twice by another case, once more than IMAP can say */
	{ "work\nWORK\n\n1000.x:1\n", "work ", "1000.x", 1, 0 },
	{ "a b\nc\n\n1000.x:0 1\n", "c ", "1000.x", 1, 2 },
	{ "a\n\n1000.x:7\n", "a ", "1000.x", 0, 1 },
	{ "a\n\nnonsense\n:\n1000.x:0", "a ", "1000.x", 1, 0 },
	{ "", "", "1000.x", 0, 0 },
};

START_TEST(courier_list)
{
	struct courier_keywords k = { 0 };
	char names[200] = "";
	struct name n;
	size_t i;

	courier_list_parse(&k, str_from(lists[_i].text));
	for (i = 0; i < k.nnames; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names),
		    "%.*s ", STR_ARG(k.names[i]));
	ck_assert_str_eq(names, lists[_i].names);
	ck_assert(name_parse(str_from(lists[_i].file), &n));
	ck_assert_uint_eq(
	    courier_keywords_of(&k, name_hash(n.unique)), lists[_i].set);
	ck_assert_uint_eq(k.lost, lists[_i].lost);
	courier_keywords_release(&k);
}
END_TEST

START_TEST(courier_keywords)
{
	struct seen s;
	struct account *a;
	struct mailbox *m;
	struct message msg;
	int work, later, label;

	t_sh("mkdir -p cur new tmp courierimapkeywords");
	put_file(
	    "courierimapuiddb", "1 777 12\n3 1000.x\n4 1001.x\n5 1002.x\n");
	put_file("courierimapkeywords/:list",
	    "work\n$Label1\n\n1000.x:1 0\n1001.x:0\n");
	/* newer than the list; and one that is in it by now */
	put_file("courierimapkeywords/1001.x", "later\n");
	put_file("courierimapkeywords/.123.1000.x", "old\n");
	put_file("cur/1000.x:2,S", "a:\n\n");
	put_file("cur/1001.x:2,", "a:\n\n");
	put_file("cur/1002.x:2,P", "a:\n\n");
	adopt(true, &s);
	ck_assert_uint_eq(s.v[0].keywords, 4);
	ck_assert_uint_eq(s.v[0].renames, 3);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	work = mailbox_keyword_bit(m, STR("work"));
	later = mailbox_keyword_bit(m, STR("later"));
	label = mailbox_keyword_bit(m, STR("$label1"));
	ck_assert(work >= 0 && later >= 0 && label >= 0);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.keywords, 1u << work | 1u << label);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	mailbox_get(m, 2, &msg);
	ck_assert_uint_eq(msg.keywords, 1u << later);
	mailbox_get(m, 3, &msg);
	ck_assert_uint_eq(
	    msg.keywords, 1u << mailbox_keyword_bit(m, STR("$Forwarded")));
	/* the names follow, and nothing is lost on the way */
	t_sync(m, NULL);
	t_sync(m, NULL);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.keywords, 1u << work | 1u << label);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* Dovecot came after Courier: what Courier left is old. */
START_TEST(courier_then_dovecot)
{
	struct account *a;
	struct mailbox *m;

	t_sh("mkdir -p cur new tmp courierimapkeywords");
	put_file("courierimapuiddb", "1 777 12\n3 1000.x\n");
	put_file("courierimapkeywords/:list", "work\n\n1000.x:0\n");
	t_sh("touch -d '1 hour ago' courierimapuiddb");
	put_file("dovecot-uidlist", "3 V888 N9\n8 :1000.x\n");
	put_file("cur/1000.x:2,S", "a:\n\n");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, 888);
	ck_assert_uint_eq(mailbox_keywords(m), 0);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* ---- folders' names ---- */

/* As Courier 5 writes them, and what is made beside them. */
START_TEST(utf8_folders)
{
	struct account *a;
	struct mailbox *m;
	struct err e;

	t_sh("mkdir -p cur new tmp '.Entw\xc3\xbcrfe/cur' "
	     "'.A&B/cur' '.A&B.Gr\xc3\xb6\xc3\x9f"
	     "e/cur'");
	put_file("cur/1000.x:2,", "a:\n\n");
	a = t_account();
	ck_assert(account_find(a, STR("Entw\xc3\xbcrfe"))->exists);
	ck_assert(account_find(a, STR("A&B/Gr\xc3\xb6\xc3\x9f"
				      "e"))
		      ->exists);
	m = t_mailbox(a, "Entw\xc3\xbcrfe");
	t_add(m, "x: y\r\n\r\n", 0);
	mailbox_close(&m);
	ck_assert_int_eq(
	    account_create(a, STR("R\xc3\xa9sum\xc3\xa9"), 0, &e), ACCOUNT_OK);
	ck_assert_int_eq(
	    account_rename(a, STR("A&B"), STR("\xc3\x84"), &e), ACCOUNT_OK);
	ck_assert_int_eq(
	    account_delete(a, STR("R\xc3\xa9sum\xc3\xa9"), &e), ACCOUNT_OK);
	ck_assert_int_eq(
	    account_create(a, STR("R\xc3\xa9sum\xc3\xa9"), 0, &e), ACCOUNT_OK);
	account_close(&a);
	t_sh("test -d '.R\xc3\xa9sum\xc3\xa9/cur' -a -d '.\xc3\x84/cur' -a "
	     "-d '.\xc3\x84.Gr\xc3\xb6\xc3\x9f"
	     "e/cur' -a ! -e '.A&B'");
	a = t_account();
	ck_assert(account_find(a, STR("\xc3\x84/Gr\xc3\xb6\xc3\x9f"
				      "e"))
		      ->exists);
	m = t_mailbox(a, "Entw\xc3\xbcrfe");
	ck_assert_uint_eq(mailbox_count(m), 1);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* ---- names of many programs ---- */

static const struct {
	const char *who, *file;
	const char *unique; /* what stays when others rename */
	int64_t seconds, usec;
	const char *letters;
	const char *extra;
	uint64_t size;
} names[] = {
	{ "qmail-local", "1049384565.1234.host", "1049384565.1234.host",
	    1049384565, -1, "", "", 0 },
	{ "qmail, read", "1049384565.1234.host:2,S", "1049384565.1234.host",
	    1049384565, -1, "S", "", 0 },
	{ "Dovecot", "1600000000.M20046P2137.mail,S=4542,W=4642:2,FSa",
	    "1600000000.M20046P2137.mail", 1600000000, 20046, "FSa", "", 4542 },
	{ "Courier", "1795365137.M958053P4435V00FE00I0AA6142_0.vm,S=29:2,",
	    "1795365137.M958053P4435V00FE00I0AA6142_0.vm", 1795365137, 958053,
	    "", "", 29 },
	{ "maildrop", "1795365137.M958053P4435V00FE00I0AA6142_0.vm,S=29",
	    "1795365137.M958053P4435V00FE00I0AA6142_0.vm", 1795365137, 958053,
	    "", "", 29 },
	{ "procmail", "1600000000.1234_0.host", "1600000000.1234_0.host",
	    1600000000, -1, "", "", 0 },
	{ "mutt", "1600000000.R1234567890.host:2,S",
	    "1600000000.R1234567890.host", 1600000000, -1, "S", "", 0 },
	{ "mbsync", "1600000000.1234_7.host,U=7:2,S", "1600000000.1234_7.host",
	    1600000000, -1, "S", "", 0 },
	{ "offlineimap",
	    "1600000000_0.1234.host,U=7,FMD5=7e33429f656f1e6e9d79b29c3f82c57e"
	    ":2,RS",
	    "1600000000_0.1234.host", 1600000000, -1, "RS", "", 0 },
	{ "getmail", "1600000000.M1P2Q3R4f2a8c.host:2,",
	    "1600000000.M1P2Q3R4f2a8c.host", 1600000000, 1, "", "", 0 },
	{ "Exim", "1600000000.H1P2.host,S=77", "1600000000.H1P2.host",
	    1600000000, -1, "", "", 77 },
	{ "Postfix", "1600000000.Vfe00I1M2.host", "1600000000.Vfe00I1M2.host",
	    1600000000, -1, "", "", 0 },
	{ "compressed by a script", "1600000000.M1P2.host,S=4542:2,SZ",
	    "1600000000.M1P2.host", 1600000000, 1, "S", "Z", 4542 },
	{ "mu, notmuch", "1600000000.M1P2.host:2,PS", "1600000000.M1P2.host",
	    1600000000, 1, "PS", "", 0 },
	{ "an experiment's", "1600000000.M1P2.host:1,x", "1600000000.M1P2.host",
	    1600000000, 1, "", "", 0 },
	{ "by hand", "letter to mother.eml", "letter to mother.eml", 0, -1, "",
	    "", 0 },
	{ "by hand, 8 bit",
	    "gr\xfc\xdf"
	    "e",
	    "gr\xfc\xdf"
	    "e",
	    0, -1, "", "", 0 },
	{ "flags out of order, twice", "1.a:2,TSRFFD", "1.a", 1, -1, "DFRST",
	    "", 0 },
};

START_TEST(name_grammar)
{
	static const char all[] = "DFPRSTabcdefghijklmnopqrstuvwxyz";
	char letters[40] = "";
	struct name n;
	size_t i, k = 0;

	ck_assert(name_parse(str_from(names[_i].file), &n));
	for (i = 0; all[i] != '\0'; i++)
		if ((n.fn >> i & 1) != 0)
			letters[k++] = all[i];
	ck_assert_str_eq(letters, names[_i].letters);
	ck_assert(str_eq(n.unique, str_from(names[_i].unique)));
	ck_assert_int_eq(n.seconds, names[_i].seconds);
	ck_assert_int_eq(n.usec, names[_i].usec);
	ck_assert(str_eq(n.extra, str_from(names[_i].extra)));
	ck_assert_uint_eq(n.size, names[_i].size);
	/* nobody's but ours is taken for one that is about to be filed */
	ck_assert(!n.is_ours);
}
END_TEST

/* All of them in one mailbox that no server has kept. */
START_TEST(name_grammar_served)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	int64_t last = 0;
	struct name n;
	uint32_t seq;
	char *path, *text;
	size_t i;

	t_sh("mkdir -p cur new tmp");
	for (i = 0; i < N(names); i++) {
		/* two of the same unique part are one message */
		if (strstr(names[i].who, ", read") != NULL ||
		    strcmp(names[i].who, "maildrop") == 0 ||
		    strstr(names[i].file, "1600000000.M1P2.host:") != NULL)
			continue;
		path = xasprintf("cur/%s", names[i].file);
		put_file(path, "a: b\n\nx\n");
		free(path);
	}
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_count(m), N(names) - 4);
	for (seq = 1; seq <= mailbox_count(m); seq++) {
		mailbox_get(m, seq, &msg);
		ck_assert(name_parse(msg.name, &n));
		ck_assert_int_ge(n.seconds, last);
		last = n.seconds;
		text = t_text(m, msg.uid);
		ck_assert_msg(text != NULL, "%.*s", STR_ARG(msg.name));
		ck_assert_str_eq(text, "a: b\r\n\r\nx\r\n");
		free(text);
	}
	/* and again once flags and names have changed */
	ck_assert_int_eq(t_store(m, 1, UINT32_MAX, FLAGS_ADD, FLAG_FLAGGED), 0);
	t_sync(m, NULL);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), N(names) - 4);
	t_sh("test $(ls -b cur | wc -l) = $(ls -b cur | grep -c ':2,.*F')");
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("adopt");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, dry_run);
	tcase_add_test(t, problems);
	tcase_add_test(t, wrong_layout);
	tcase_add_test(t, empty);
	tcase_add_test(t, readonly);
	tcase_add_test(t, flags_in_new);
	tcase_add_loop_test(t, courier_list, 0, (int)N(lists));
	tcase_add_test(t, courier_keywords);
	tcase_add_test(t, courier_then_dovecot);
	tcase_add_test(t, utf8_folders);
	tcase_add_loop_test(t, name_grammar, 0, (int)N(names));
	tcase_add_test(t, name_grammar_served);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
