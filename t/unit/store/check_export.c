/* The way back: what Dovecot is to find. */
#include "t_store.h"

#include <errno.h>
#include <sys/stat.h>

#include "service/store/export.h"

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

#define ADOPTED                                                          \
	"mkdir cur new tmp && "                                          \
	"printf 'a:\\n\\n' >cur/1000.P1.h:2,S && "                       \
	"printf 'b:\\n\\n' >cur/1001.P1.h,S=4,W=6:2, && "                \
	"printf 'c:\\n\\n' >cur/1002.P1.h:2,a && "                       \
	"printf '0 work\\n' >dovecot-keywords && "                       \
	"printf 'V\\t2\\n\\nINBOX\\nSent\\n' >subscriptions && "         \
	"mkdir -p .Sent/cur .Sent/new .Sent/tmp && "                     \
	"printf '3 V99 N20 G0123456789abcdef0123456789abcdef\\n"         \
	"5 S4 W6 P0005.pop O7 :1000.P1.h\\n"                             \
	"7 G000102030405060708090a0b0c0d0e0f Xnew :1001.P1.h,S=4,W=6\\n" \
	"9 Gnot-hex W6 :1002.P1.h\\n"                                    \
	"11 :1003.gone\\n' >dovecot-uidlist"

/* Lines of a file; to be freed */
static char *
text_of(const char *file)
{
	struct buf b;
	char *text;

	buf_init(&b, 1 << 20);
	if (fs_read_file(t_rootfd, file, &b, NULL) == -1)
		ck_abort_msg("no %s", file);
	text = str_dup(buf_str(&b));
	buf_release(&b);
	return text;
}

static void
has(const char *file, const char *text, bool want)
{
	char *all = text_of(file);

	ck_assert_msg((strstr(all, text) != NULL) == want, "%s:\n%s\n%s: %s",
	    file, all, want ? "lacks" : "has", text);
	free(all);
}

static ino_t
ino_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(fstatat(t_rootfd, file, &st, 0), 0);
	return st.st_ino;
}

static void
open_close(void)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");

	t_sync(m, NULL);
	mailbox_close(&m);
	account_close(&a);
}

START_TEST(kept_verbatim)
{
	char *text;

	t_sh(ADOPTED);
	open_close();
	text = text_of("dovecot-uidlist");
	ck_assert_str_eq(text,
	    "3 V99 N20 G0123456789abcdef0123456789abcdef\n"
	    "5 S4 P0005.pop O7 W6 :1000.P1.h\n"
	    "7 Xnew G000102030405060708090a0b0c0d0e0f :1001.P1.h,S=4,W=6\n"
	    "9 Gnot-hex W6 :1002.P1.h\n");
	free(text);
	t_sh("test ! -e dovecot-uidlist.lock && test ! -e dovecot-uidlist.tmp");
}
END_TEST

START_TEST(appended)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	char line[300];
	ino_t ino;

	t_sh(ADOPTED);
	open_close();
	ino = ino_of("dovecot-uidlist");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(t_add(m, hello, 0), 20);
	mailbox_close(&m);
	ck_assert_uint_eq(ino_of("dovecot-uidlist"), ino);
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, mailbox_seq(m, 20), &msg);
	snprintf(line, sizeof(line), "\n20 :%.*s\n", STR_ARG(msg.name));
	has("dovecot-uidlist", line, true);
	/* the same again changes nothing; a removed message is left in */
	t_remove(m, 20, 20);
	mailbox_close(&m);
	ck_assert_uint_eq(ino_of("dovecot-uidlist"), ino);
	has("dovecot-uidlist", line, true);
	account_close(&a);
}
END_TEST

/* In a session that goes on: at most every 5 s, and by then surely if it asks
 * when it is due. */
START_TEST(due_in_a_session)
{
	struct account *a;
	struct mailbox *m;

	t_sh(ADOPTED);
	open_close();
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_int_eq(mailbox_export_due_ms(m), -1);
	ck_assert_uint_eq(t_add(m, hello, 0), 20);
	ck_assert_int_gt(mailbox_export_due_ms(m), 0);
	ck_assert_int_le(mailbox_export_due_ms(m), 5000);
	mailbox_export(m);
	has("dovecot-uidlist", "\n20 :", false);
	m->export_ms -= 5000;
	ck_assert_int_eq(mailbox_export_due_ms(m), 0);
	/* who cannot have the lock is not asked again at once */
	t_sh("echo 1:elsewhere >dovecot-uidlist.lock");
	mailbox_export(m);
	ck_assert_int_gt(mailbox_export_due_ms(m), 4000);
	t_sh("rm dovecot-uidlist.lock");
	m->export_ms -= 5000;
	mailbox_export(m);
	has("dovecot-uidlist", "\n20 :", true);
	ck_assert_int_eq(mailbox_export_due_ms(m), -1);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* Another server wrote it: ours is put in its place, with what is theirs. */
START_TEST(foreign_change)
{
	struct stat st;
	int qfd;

	t_sh(ADOPTED);
	open_close();
	qfd = fs_open_dir(t_rootfd, "quire");
	ck_assert(!export_is_foreign(t_rootfd, qfd, &st));
	t_sh("sed -i 's/^9 .*/9 Ppop9 :1002.P1.h/; s/^5 .*/6 :1000.P1.h/' "
	     "dovecot-uidlist");
	ck_assert(export_is_foreign(t_rootfd, qfd, &st));
	open_close();
	ck_assert(!export_is_foreign(t_rootfd, qfd, &st));
	/* the GUID it had, as far as we know it */
	has("dovecot-uidlist",
	    "\n9 Ppop9 W6 G95340811d2f3ab05aa125fb6d059b6e0 :1002.P1.h\n",
	    true);
	has("dovecot-uidlist", "\n5 W6 :1000.P1.h\n", true);
	close(qfd);
}
END_TEST

/* mbsync puts ",U=5" into a name: Dovecot would take it for a new message. */
START_TEST(renamed_base)
{
	t_sh(ADOPTED);
	open_close();
	t_sh("mv cur/1000.P1.h:2,S 'cur/1000.P1.h,U=5:2,S'");
	open_close();
	has("dovecot-uidlist", "\n5 W6 :1000.P1.h,U=5\n", true);
	has("dovecot-uidlist", ":1000.P1.h\n", false);
}
END_TEST

START_TEST(compacted)
{
	struct account *a;
	struct mailbox *m;
	ino_t ino;
	int i;

	t_sh(ADOPTED);
	open_close();
	a = t_account();
	m = t_mailbox(a, "INBOX");
	for (i = 0; i < 130; i++)
		t_add(m, hello, 0);
	mailbox_close(&m);
	ino = ino_of("dovecot-uidlist");
	m = t_mailbox(a, "INBOX");
	t_remove(m, 20, 1000);
	mailbox_close(&m);
	account_close(&a);
	ck_assert_uint_ne(ino_of("dovecot-uidlist"), ino);
	has("dovecot-uidlist", "\n20 ", false);
	has("dovecot-uidlist", "3 V99 N150 G", true);
}
END_TEST

START_TEST(not_waited_for)
{
	struct account *a;
	struct mailbox *m;

	t_sh(ADOPTED);
	open_close();
	a = t_account();
	m = t_mailbox(a, "INBOX");
	/* held by somebody who lives */
	t_sh("echo 1:elsewhere >dovecot-uidlist.lock");
	t_add(m, hello, 0);
	mailbox_close(&m);
	has("dovecot-uidlist", "\n20 ", false);
	t_sh("test -e dovecot-uidlist.lock");
	/* and by one who died here: pids end before 2^22 */
	t_sh("printf 4194304:%s \"$(uname -n)\" >dovecot-uidlist.lock");
	m = t_mailbox(a, "INBOX");
	mailbox_close(&m);
	account_close(&a);
	has("dovecot-uidlist", "\n20 ", true);
	t_sh("test ! -e dovecot-uidlist.lock");
}
END_TEST

/* A lock whose text went with a power cut; one that is being made has none
 * yet. */
START_TEST(lock_of_other_boot)
{
	struct dotlock l;
	struct err e = { 0 };

	t_sh(": >x.lock");
	ck_assert_int_eq(dotlock_take(&l, t_rootfd, "x.lock", 0, &e), -1);
	store_boot = 12345;
	ck_assert_int_eq(dotlock_take(&l, t_rootfd, "x.lock", 0, &e), 0);
	dotlock_drop(&l);
	t_sh("printf 1:%s \"$(uname -n)\" >x.lock");
	ck_assert_int_eq(dotlock_take(&l, t_rootfd, "x.lock", 0, &e), 0);
	dotlock_drop(&l);
	/* another machine did not start anew with this one */
	t_sh("echo 1:elsewhere >x.lock");
	ck_assert_int_eq(dotlock_take(&l, t_rootfd, "x.lock", 0, &e), -1);
	store_boot = 0;
	t_sh("rm x.lock");
}
END_TEST

/* A write that fails leaves no half line. */
static int fail_left;

static int
fail_write(const char *call)
{
	return strcmp(call, "write") == 0 && fail_left-- == 0 ? ENOSPC : 0;
}

START_TEST(write_fails)
{
	struct account *a;
	struct mailbox *m;

	t_sh(ADOPTED);
	open_close();
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_add(m, hello, 0);
	fail_left = 0;
	store_step = fail_write;
	ck_assert_int_eq(mailbox_export_state(m, EXPORT_NOW, NULL), 0);
	store_step = NULL;
	ck_assert_int_lt(fail_left, 0);
	has("dovecot-uidlist", "\n20 :", true);
	t_sh("test \"$(tail -c 1 dovecot-uidlist | od -An -tx1)\" = ' 0a'");
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(chosen)
{
	struct account_opts o = { .hostname = "h", .exports = _i };
	struct account *a;
	struct mailbox *m;
	struct stat st;
	int rc = _i == ACCOUNT_EXPORT_DOVECOT ? 0 : -1;

	ck_assert_int_eq(account_open(&a, t_rootfd, &o, NULL), 0);
	m = t_mailbox(a, "INBOX");
	t_add(m, hello, 0);
	mailbox_close(&m);
	account_close(&a);
	ck_assert_int_eq(fstatat(t_rootfd, "dovecot-uidlist", &st, 0), rc);
	ck_assert_int_eq(fstatat(t_rootfd, "subscriptions", &st, 0), rc);
	ck_assert_int_eq(
	    fstatat(t_rootfd, ".Sent/dovecot-uidlist", &st, 0), rc);
}
END_TEST

START_TEST(new_folders)
{
	struct account *a;
	const struct mailbox_info *info;
	struct mailbox *m;
	char line[64];

	t_sh(ADOPTED);
	a = t_account();
	ck_assert_int_eq(account_create(a, STR("a/b"), 0, NULL), ACCOUNT_OK);
	account_close(&a);
	a = t_account();
	m = t_mailbox(a, "a/b");
	snprintf(
	    line, sizeof(line), "3 V%u N1 G", mailbox_counts(m)->uidvalidity);
	has(".a.b/dovecot-uidlist", line, true);
	has("subscriptions", "\na\tb\n", true);
	info = account_find(a, STR("a/b"));
	ck_assert_mem_eq(mailbox_counts(m)->mailboxid, info->mailboxid, 16);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* Both change the list of subscriptions: both changes stay. */
START_TEST(subscriptions_merge)
{
	struct account *a;

	t_sh(ADOPTED);
	open_close();
	has("subscriptions", "V\t2\n\nINBOX\nSent\n", true);
	a = t_account();
	ck_assert_int_eq(
	    account_subscribe(a, STR("x/y"), true, NULL), ACCOUNT_OK);
	t_sh("printf 'V\\t2\\n\\nINBOX\\nz\\n' >s && mv s subscriptions");
	account_close(&a);
	has("subscriptions", "V\t2\n\nINBOX\nx\ty\nz\n", true);
	a = t_account();
	ck_assert(account_find(a, STR("z"))->is_subscribed);
	ck_assert(account_find(a, STR("x/y"))->is_subscribed);
	ck_assert(!account_find(a, STR("Sent"))->is_subscribed);
	account_close(&a);
	/* written by something older: it stays so */
	t_sh("printf 'INBOX\\nx.y\\nz\\nq\\n' >subscriptions");
	a = t_account();
	ck_assert_int_eq(
	    account_subscribe(a, STR("z"), false, NULL), ACCOUNT_OK);
	account_close(&a);
	has("subscriptions", "INBOX\nq\nx.y\n", true);
}
END_TEST

START_TEST(uidvalidity_file)
{
	struct account *a;
	struct mailbox *m;
	char hex[16];

	t_sh(ADOPTED);
	t_sh("printf 00000100 >dovecot-uidvalidity && "
	     ": >dovecot-uidvalidity.00000100");
	a = t_account();
	ck_assert_int_eq(account_create(a, STR("n"), 0, NULL), ACCOUNT_OK);
	m = t_mailbox(a, "n");
	snprintf(hex, sizeof(hex), "%08x", mailbox_counts(m)->uidvalidity);
	mailbox_close(&m);
	account_close(&a);
	has("dovecot-uidvalidity", hex, true);
	t_sh("test ! -e dovecot-uidvalidity.00000100 && "
	     "test -e dovecot-uidvalidity.$(cat dovecot-uidvalidity)");
}
END_TEST

/* maildirsize: lines for what comes and goes, a count when it is long. */
START_TEST(quota_file)
{
	struct copy_result r;
	struct account *a;
	struct mailbox *m, *sent;
	struct ranges uids;

	t_sh(ADOPTED);
	t_sh("printf '1000S,10C\n12 3\n' >maildirsize");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	sent = t_mailbox(a, "Sent");
	t_add(m, hello, 0);
	mailbox_export(m);
	has("maildirsize", "1000S,10C\n12 3\n22 1\n", true);
	ranges_init(&uids, 4);
	ranges_add(&uids, 20, 20);
	ck_assert_int_eq(mailbox_copy(m, sent, &uids, &r, NULL), 0);
	copy_result_release(&r);
	mailbox_export(m);
	has("maildirsize", "22 1\n22 1\n", true);
	/* a MOVE changes nothing */
	ck_assert_int_eq(mailbox_move(m, sent, &uids, &r, NULL), 0);
	copy_result_release(&r);
	ranges_release(&uids);
	t_remove(m, 5, 5);
	mailbox_export(m);
	has("maildirsize", "22 1\n22 1\n-4 -1\n", true);
	t_sh("yes '0 0' | head -1300 >>maildirsize");
	t_add(sent, hello, 0);
	mailbox_export(sent);
	/* counted: b, c, and three times hello */
	has("maildirsize", "1000S,10C\n74 5\n", true);
	mailbox_close(&sent);
	mailbox_close(&m);
	ck_assert_int_eq(account_delete(a, STR("Sent"), NULL), ACCOUNT_OK);
	account_close(&a);
	has("maildirsize", "1000S,10C\n8 2\n", true);
}
END_TEST

struct told {
	unsigned n, nkeywords, nmarked, expunged;
	uint64_t modseq;
};

static void
tell(void *arg, const struct export_box *b)
{
	struct told *t = arg;

	t->n++;
	if (!str_eq(b->name, STR("INBOX")))
		return;
	t->nkeywords = b->nkeywords;
	t->nmarked = b->nmarked;
	t->expunged = b->expunged;
	t->modseq = b->highestmodseq;
	ck_assert_uint_eq(b->unburied, 0);
}

/* Everything that may lag, done at once: renames, files of expunged. */
START_TEST(going_back)
{
	struct flag_change fc = { .how = FLAGS_ADD };
	struct account *a, *b;
	struct mailbox *m;
	struct ranges uids;
	struct told told = { 0 };
	char name[16];
	unsigned bit;
	int i;

	t_sh(ADOPTED);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	for (i = 0; i < 200; i++)
		t_add(m, hello, 0);
	/* 64 at once, the rest later */
	ck_assert_int_eq(t_store(m, 20, 219, FLAGS_ADD, FLAG_FLAGGED), 0);
	t_sh("test $(ls cur | grep -c ':2,.*F') -lt 200");
	ck_assert_int_eq(t_remove(m, 100, 199), 0);
	for (i = 0; i < 27; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_int_eq(
		    mailbox_keyword_define(m, str_from(name), &bit, NULL), 0);
	}
	fc.keywords = 1ULL << bit;
	ranges_init(&uids, 4);
	ranges_add(&uids, 20, 21);
	ck_assert_int_eq(mailbox_store(m, &uids, &fc, NULL, NULL, NULL), 0);
	ranges_release(&uids);
	/* by another, while the session is open */
	b = t_account();
	ck_assert_int_eq(store_export(b, true, tell, &told, NULL), 0);
	ck_assert_uint_eq(told.n, 2);
	ck_assert_uint_eq(told.nkeywords, 2);
	ck_assert_uint_eq(told.nmarked, 2);
	ck_assert_uint_eq(told.expunged, 100);
	ck_assert_uint_eq(told.modseq, mailbox_counts(m)->highestmodseq);
	t_sh("test $(ls cur | wc -l) = 103");
	t_sh("test $(ls cur | grep -c ':2,.*F') = 100");
	t_sh("test $(wc -l <dovecot-uidlist) = 104");
	t_sh("test $(wc -l <dovecot-keywords) = 26");
	account_close(&b);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

static void
count_uidlist(void *arg, const struct verify_finding *f)
{
	unsigned *n = arg;

	if (strcmp(f->kind, "uidlist") == 0)
		(*n)++;
	else if (strcmp(f->kind, "uidlist-foreign") == 0)
		*n += 100;
}

/* verify compares the list we wrote, and not one that others wrote. */
START_TEST(verified)
{
	static const struct {
		const char *change; /* of the same length */
		unsigned want;
	} cases[] = {
		{ "", 0 }, { "s/^5 /6 /", 1 }, /* 5 is missing */
		{ "s/1001.P1/1001.P2/", 2 }, { "s/V99/V98/", 1 },
		{ "s/^7 /4 /", 2 }, /* not ascending */
		{ "s/^9 G/9xG/", 2 },
		{ "s/^9 .*/& /", 100 }, /* longer: not ours */
	};
	struct verify_opts o = { 0 };
	struct verify_totals totals = { 0 };
	unsigned n = 0;
	char cmd[300];

	t_sh(ADOPTED);
	open_close();
	snprintf(cmd, sizeof(cmd),
	    "touch -r dovecot-uidlist ref && sed '%s' dovecot-uidlist >l && "
	    "cat l >dovecot-uidlist && touch -r ref dovecot-uidlist",
	    cases[_i].change);
	t_sh(cmd);
	ck_assert_int_eq(
	    store_verify(t_rootfd, &o, count_uidlist, &n, &totals, NULL), 0);
	ck_assert_uint_eq(n, cases[_i].want);
}
END_TEST

static void
count_letters(void *arg, const struct verify_finding *f)
{
	unsigned *n = arg;

	*n += strcmp(f->kind, "keyword-letter") == 0;
}

/* "P" of mutt is $Forwarded, which then has a letter too: for all. */
START_TEST(forwarded)
{
	struct verify_opts o = { 0 };
	struct verify_totals totals = { 0 };
	struct account *a;
	struct mailbox *m;
	unsigned n = 0;

	t_sh(ADOPTED);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	t_sh("printf '0 work\\n1 theirs\\n' >dovecot-keywords && "
	     "mv cur/1001.P1.h,S=4,W=6:2, cur/1001.P1.h,S=4,W=6:2,P");
	t_sync(m, NULL);
	ck_assert_int_eq(mailbox_keyword_bit(m, STR("$Forwarded")), 2);
	has("dovecot-keywords", "0 work\n1 theirs\n2 $Forwarded\n", true);
	mailbox_close(&m);
	account_close(&a);
	ck_assert_int_eq(
	    store_verify(t_rootfd, &o, count_letters, &n, &totals, NULL), 0);
	ck_assert_uint_eq(n, 0);
	t_sh("sed -i 's/theirs/others/' dovecot-keywords");
	ck_assert_int_eq(
	    store_verify(t_rootfd, &o, count_letters, &n, &totals, NULL), 0);
	ck_assert_uint_eq(n, 1);
}
END_TEST

/* A letter that Dovecot gave out meanwhile is not given a second meaning. */
START_TEST(keyword_letters)
{
	struct account *a;
	struct mailbox *m;
	unsigned bit;

	t_sh(ADOPTED);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sh("printf '0 work\\n1 theirs\\n' >dovecot-keywords");
	ck_assert_int_eq(mailbox_keyword_define(m, STR("ours"), &bit, NULL), 0);
	ck_assert_uint_eq(bit, 2);
	ck_assert_int_eq(mailbox_keyword_bit(m, STR("theirs")), 1);
	has("dovecot-keywords", "0 work\n1 theirs\n2 ours\n", true);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("export");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, kept_verbatim);
	tcase_add_test(t, appended);
	tcase_add_test(t, due_in_a_session);
	tcase_add_test(t, foreign_change);
	tcase_add_test(t, renamed_base);
	tcase_add_test(t, compacted);
	tcase_add_test(t, not_waited_for);
	tcase_add_test(t, lock_of_other_boot);
	tcase_add_test(t, write_fails);
	tcase_add_loop_test(t, chosen, 0, 3);
	tcase_add_test(t, new_folders);
	tcase_add_test(t, subscriptions_merge);
	tcase_add_test(t, uidvalidity_file);
	tcase_add_test(t, quota_file);
	tcase_add_test(t, going_back);
	tcase_add_test(t, forwarded);
	tcase_add_loop_test(t, verified, 0, 7);
	tcase_add_test(t, keyword_letters);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
