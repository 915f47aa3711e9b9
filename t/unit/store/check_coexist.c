/* Another server gives out UIDs: before we look, or beside us. */
#include "t_store.h"

#include <sys/stat.h>
#include <sys/wait.h>

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

#define THEIRS                                                  \
	"mkdir cur new tmp && "                                 \
	"printf 'a:\\n\\n' >cur/1000.P1.h:2,S && "              \
	"printf '3 V99 N6 G0123456789abcdef0123456789abcdef\\n" \
	"5 W6 :1000.P1.h\\n' >dovecot-uidlist"

static unsigned warnings;

static void
count_warning(int level, const char *event, const char *text)
{
	(void)text;
	warnings += level < 2 && strcmp(event, "store.uidlist") == 0;
}

static struct account *
both(bool coexist)
{
	struct account_opts o = { .hostname = "mx.example",
		.log = count_warning,
		.exports = ACCOUNT_EXPORT_DOVECOT,
		.coexist = coexist };
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, t_rootfd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	return a;
}

/* As Dovecot does it: a file, then its line. */
static void
theirs(const char *name, uint32_t uid)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd),
	    "printf 'x:\\n\\n' >'new/%s' && echo '%u :%s' >>dovecot-uidlist",
	    name, uid, name);
	t_sh(cmd);
}

static uint32_t
uid_of(struct mailbox *m, const char *base)
{
	struct message msg;
	uint32_t i;

	for (i = 1; i <= mailbox_count(m); i++) {
		mailbox_get(m, i, &msg);
		if (!msg.is_expunged && str_eq(msg.name, str_from(base)))
			return msg.uid;
	}
	return 0;
}

static void
list_says(const char *line, bool want)
{
	char cmd[500];

	snprintf(cmd, sizeof(cmd), "%s grep -qx '%s' dovecot-uidlist",
	    want ? "" : "!", line);
	t_sh(cmd);
}

/* Dovecot was there for a while: what it gave out stays. */
START_TEST(back_again)
{
	struct account *a;
	struct mailbox *m;

	t_sh(THEIRS);
	a = both(false);
	m = t_mailbox(a, "INBOX");
	mailbox_close(&m);
	theirs("1001.P1.h", 6);
	theirs("1002.P1.h", 7);
	/* and one came and went */
	t_sh("echo '8 :1003.P1.h' >>dovecot-uidlist");
	t_sh("printf 'y:\\n\\n' >new/0999.P1.h");
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(uid_of(m, "1001.P1.h"), 6);
	ck_assert_uint_eq(uid_of(m, "1002.P1.h"), 7);
	ck_assert_uint_eq(warnings, 1);
	/* the oldest, but nobody had given it a number */
	ck_assert_uint_eq(uid_of(m, "0999.P1.h"), 9);
	mailbox_close(&m);
	list_says("9 W6 :0999.P1.h", true);
	list_says("8 :1003.P1.h", false);
	account_close(&a);
	t_verify();
}
END_TEST

/* An mda does not look into directories: it must all the same. */
START_TEST(deliverer_only)
{
	struct account *a;
	struct mailbox *m;
	uint32_t uid;

	t_sh(THEIRS);
	a = both(_i == 1);
	m = t_mailbox(a, "INBOX");
	mailbox_close(&m);
	theirs("1001.P1.h", 6);
	m = t_mailbox(a, "INBOX");
	uid = t_add(m, hello, 0);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(uid_of(m, "1001.P1.h"), _i == 1 ? 6 : 7);
	ck_assert_uint_eq(uid, _i == 1 ? 7 : 6);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

START_TEST(in_turns)
{
	struct account *a;
	struct mailbox *m;
	struct copy_result r;
	struct ranges uids;
	char name[32], line[64];
	unsigned bit;
	ino_t ino;
	struct stat st;
	uint32_t i, want = 6;

	t_sh(THEIRS);
	a = both(true);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_int_eq(fstatat(t_rootfd, UIDLIST, &st, 0), 0);
	ino = st.st_ino;
	ranges_init(&uids, 4);
	ranges_add(&uids, 5, 5);
	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "%u.P1.h", 1001 + i);
		theirs(name, want);
		if (i % 3 == 0) {
			t_sync(m, NULL);
			ck_assert_uint_eq(uid_of(m, name), want);
		}
		want++;
		if (i % 3 == 1)
			ck_assert_uint_eq(t_add(m, hello, 0), want++);
		if (i % 3 == 2) {
			ck_assert_int_eq(
			    mailbox_copy(m, m, &uids, &r, NULL), 0);
			ck_assert_uint_eq(r.to[0], want++);
			copy_result_release(&r);
		}
		snprintf(line, sizeof(line), "^%u .*:", want - 1);
		t_sh("! ls | grep lock");
		snprintf(name, sizeof(name), "%u .*", want - 1);
		list_says(name, true);
	}
	ranges_release(&uids);
	ck_assert_uint_eq(warnings, 0);
	/* all of it by appending */
	ck_assert_int_eq(fstatat(t_rootfd, UIDLIST, &st, 0), 0);
	ck_assert_uint_eq(st.st_ino, ino);
	ck_assert_int_eq(mailbox_keyword_define(m, STR("k"), &bit, NULL), 0);
	mailbox_close(&m);
	account_close(&a);
	t_sh("test -z \"$(cut -d ' ' -f 1 dovecot-uidlist | tail -n +2 | "
	     "sort -n | uniq -d)\"");
	t_verify();
}
END_TEST

/* We died before our line was in the list, and Dovecot gave the UID out. */
START_TEST(burnt)
{
	struct account *a = NULL;
	struct mailbox *m;
	struct mailbox_changes ch = { 0 };
	struct message msg;
	uint32_t ours, other;
	char base[256], line[400];

	t_sh(THEIRS);
	a = both(true);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ours = t_add(m, hello, FLAG_FLAGGED);
	ck_assert_uint_eq(ours, 6);
	mailbox_get(m, mailbox_seq(m, 6), &msg);
	str_copy(msg.name, base, sizeof(base));
	/* its line never came to be */
	t_sh("sed -i '/^6 /d' dovecot-uidlist");
	theirs("1001.P1.h", 6);
	if (_i == 1) {
		/* and it saw our file as well */
		snprintf(
		    line, sizeof(line), "echo '7 :%s' >>dovecot-uidlist", base);
		t_sh(line);
	}
	t_sync(m, &ch);
	ck_assert_uint_eq(mailbox_seq(m, 6), 0);
	ours = uid_of(m, base);
	other = uid_of(m, "1001.P1.h");
	ck_assert_uint_gt(ours, 6 + (uint32_t)_i);
	ck_assert_uint_gt(other, 6 + (uint32_t)_i);
	ck_assert_uint_ne(ours, other);
	mailbox_get(m, mailbox_seq(m, ours), &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	snprintf(line, sizeof(line), "%u :%s", ours, base);
	list_says(line, true);
	snprintf(line, sizeof(line), "%u W6 :1001.P1.h", other);
	list_says(line, true);
	list_says("6 .*", false);
	/* once */
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 0);
	ck_assert_uint_eq(uid_of(m, base), ours);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* A list that is nonsense moves nothing. */
START_TEST(not_believed)
{
	static const char *const lists[] = { /* another mailbox's */
		"3 V100 N9 G00000000000000000000000000000000\\n6 :x\\n",
		"nonsense\\n", "",
		/* all numbers used up */
		"3 V99 N4294967295\\n4294967294 :1001.P1.h\\n"
	};
	struct account *a;
	struct mailbox *m;
	char cmd[300];

	t_sh(THEIRS);
	a = both(true);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	t_sh("printf 'x:\\n\\n' >new/1001.P1.h");
	snprintf(cmd, sizeof(cmd), "printf '%s' >dovecot-uidlist", lists[_i]);
	t_sh(cmd);
	t_sync(m, NULL);
	ck_assert_uint_eq(uid_of(m, "1000.P1.h"), 5);
	ck_assert_uint_eq(uid_of(m, "1001.P1.h"), 6);
	ck_assert_uint_eq(t_add(m, hello, 0), 7);
	list_says("3 V99 N.* G0123456789abcdef0123456789abcdef", true);
	list_says("6 W6 :1001.P1.h", true);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

START_TEST(most_burnt)
{
	struct account *a;
	struct mailbox *m;
	int i;

	t_sh(THEIRS);
	a = both(true);
	m = t_mailbox(a, "INBOX");
	for (i = 0; i < 150; i++)
		t_add(m, hello, 0);
	t_sync(m, NULL);
	/* every file with the number of its neighbour */
	t_sh("awk 'NR == 1 { print; next } { f = $NF; $NF = last; last = f; "
	     "if (NR > 2) print }' dovecot-uidlist >l && mv l dovecot-uidlist");
	t_sync(m, NULL);
	ck_assert_uint_eq(t_add(m, hello, 0), 156);
	ck_assert_uint_eq(mailbox_seq(m, 6), 2);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* Who holds the lock is waited for, and a sync shows what it can. */
START_TEST(waits)
{
	struct account *a;
	struct mailbox *m;
	pid_t pid;
	int status;

	t_sh(THEIRS);
	a = both(true);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	t_sh("echo 1:elsewhere >dovecot-uidlist.lock");
	pid = fork();
	if (pid == 0) {
		usleep(300000);
		_exit(unlinkat(t_rootfd, UIDLIST_LOCK, 0) == -1);
	}
	theirs("1001.P1.h", 6);
	ck_assert_uint_eq(t_add(m, hello, 0), 7);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* New in either: the other does not number it anew. */
START_TEST(folders)
{
	struct account *a;
	struct mailbox *m;
	struct err e;

	t_sh(THEIRS);
	a = both(true);
	ck_assert_int_eq(account_create(a, STR("ours"), 0, NULL), ACCOUNT_OK);
	t_sh("grep -q '^3 V[0-9]* N1 G' .ours/dovecot-uidlist");
	t_sh("mkdir -p .theirs/cur .theirs/new .theirs/tmp && "
	     "printf '3 V77 N3 G00000000000000000000000000000007\\n' "
	     ">.theirs/dovecot-uidlist && "
	     "printf 'V\\t2\\n\\nINBOX\\ntheirs\\n' >s && mv s subscriptions");
	ck_assert_int_eq(account_refresh(a, &e), 0);
	ck_assert(account_find(a, STR("theirs"))->is_subscribed);
	m = t_mailbox(a, "theirs");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, 77);
	ck_assert_uint_eq(t_add(m, hello, 0), 3);
	t_sh("grep -q '^3 :' .theirs/dovecot-uidlist");
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* Dovecot's MOVE is a link and an unlink. Where the name is there already it
 * makes another, and writes down whose copy that is. */
START_TEST(moved_under_another_name)
{
	struct account *a;
	struct mailbox *m, *to;
	struct message before, after;

	t_sh(THEIRS " && mkdir -p .To/cur .To/new .To/tmp && "
		    "printf '3 V77 N3 G00000000000000000000000000000007\n' "
		    ">.To/dovecot-uidlist");
	a = both(_i == 1);
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, 1, &before);
	if (_i < 2) { /* else it is adopted with the message */
		to = t_mailbox(a, "To");
		t_sync(to, NULL);
		mailbox_close(&to);
	}
	t_sh("ln cur/1000.P1.h:2,S '.To/cur/1700.M1P2.h,S=4,W=6:2,S' && "
	     "echo '3 G1000.P1.h :1700.M1P2.h,S=4,W=6' >>.To/dovecot-uidlist "
	     "&& rm cur/1000.P1.h:2,S");
	to = t_mailbox(a, "To");
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 1);
	mailbox_get(to, 1, &after);
	ck_assert_uint_eq(after.uid, 3);
	ck_assert_mem_eq(after.emailid, before.emailid, 16);
	ck_assert_uint_ne(t_add(to, hello, 0), 0);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 0);
	mailbox_close(&to);
	mailbox_close(&m);
	account_close(&a);
	t_sh("grep -qx '3 G1000.P1.h :1700.M1P2.h,S=4,W=6' "
	     ".To/dovecot-uidlist");
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("coexist");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, back_again);
	tcase_add_loop_test(t, deliverer_only, 0, 2);
	tcase_add_test(t, in_turns);
	tcase_add_loop_test(t, burnt, 0, 2);
	tcase_add_loop_test(t, not_believed, 0, 4);
	tcase_add_test(t, most_burnt);
	tcase_add_test(t, waits);
	tcase_add_test(t, folders);
	tcase_add_loop_test(t, moved_under_another_name, 0, 3);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t_run(s);
}
