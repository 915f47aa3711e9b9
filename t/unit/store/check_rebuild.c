/* The private files gone or made anew: what stays and what does not. */
#include "t_store.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "service/store/rebuild.h"

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

static struct account *
opened(bool exports)
{
	struct account_opts o = { .hostname = "mx.example",
		.exports =
		    exports ? ACCOUNT_EXPORT_DOVECOT : ACCOUNT_EXPORT_NONE };
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, t_rootfd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	return a;
}

/* UIDs 1, 3, 4 with flags and a keyword; UIDNEXT 6; a folder */
static uint32_t
fill(bool exports)
{
	struct account *a = opened(exports);
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct flag_change fc = { .how = FLAGS_ADD };
	struct ranges r;
	unsigned bit;
	uint32_t uidvalidity = mailbox_counts(m)->uidvalidity;
	int i;

	for (i = 0; i < 5; i++)
		t_add(m, hello, i == 2 ? FLAG_FLAGGED : 0);
	ck_assert_int_eq(t_remove(m, 2, 2), 0);
	ck_assert_int_eq(t_remove(m, 5, 5), 0);
	ck_assert_int_eq(mailbox_keyword_define(m, STR("work"), &bit, NULL), 0);
	fc.keywords = 1ULL << bit;
	ranges_init(&r, 1);
	ranges_add(&r, 4, 4);
	ck_assert_int_eq(mailbox_store(m, &r, &fc, NULL, NULL, NULL), 0);
	ranges_release(&r);
	t_sync(m, NULL);
	mailbox_close(&m);
	m = t_mailbox(a, "Sent");
	t_add(m, hello, FLAG_SEEN);
	mailbox_close(&m);
	account_close(&a);
	return uidvalidity;
}

static void
same_but_next(struct mailbox *m)
{
	struct message msg;
	int bit = mailbox_keyword_bit(m, STR("work"));

	ck_assert_uint_eq(mailbox_count(m), 3);
	ck_assert_uint_eq(mailbox_seq(m, 1), 1);
	ck_assert_uint_eq(mailbox_seq(m, 3), 2);
	ck_assert_uint_eq(mailbox_seq(m, 4), 3);
	mailbox_get(m, 2, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	mailbox_get(m, 3, &msg);
	ck_assert_int_ge(bit, 0);
	ck_assert_uint_eq(msg.keywords, 1ULL << bit);
	ck_assert_uint_ge(mailbox_counts(m)->uidnext, 6);
}

static void
same_as_filled(struct mailbox *m)
{
	same_but_next(m);
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, 6);
}

static void
last_box(void *arg, const struct rebuild_box *b)
{
	struct rebuild_box *out = arg;

	if (str_eq(b->name, STR("INBOX")))
		*out = *b;
}

static struct rebuild_box
rebuild(bool number_anew, const char *name)
{
	struct account_opts opts = { .hostname = "mx.example" };
	char *names[] = { (char *)name };
	struct rebuild_opts o = { .new_uidvalidity = number_anew,
		.names = names,
		.n = name == NULL ? 0 : 1 };
	struct rebuild_box b = { 0 };
	struct err e = { 0 };

	if (store_rebuild(t_rootfd, &opts, &o, last_box, &b, &e) == -1)
		ck_abort_msg("rebuild: %s", e.text);
	return b;
}

/* Everything of ours is gone: the next open takes the exports. */
START_TEST(folder_removed)
{
	uint32_t uidvalidity = fill(true);
	uint8_t id[16], emailid[16];
	struct account *a;
	struct mailbox *m;
	struct message msg;

	a = opened(true);
	memcpy(id, account_find(a, STR("INBOX"))->mailboxid, 16);
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, 1, &msg);
	memcpy(emailid, msg.emailid, 16);
	mailbox_close(&m);
	account_close(&a);
	t_sh("rm -r quire .Sent/quire");
	a = opened(true);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, uidvalidity);
	ck_assert_mem_eq(mailbox_counts(m)->mailboxid, id, 16);
	same_as_filled(m);
	mailbox_get(m, 1, &msg);
	ck_assert_mem_eq(msg.emailid, emailid, 16);
	ck_assert_uint_eq(t_add(m, hello, 0), 6);
	mailbox_close(&m);
	ck_assert_int_eq(account_find(a, STR("Sent"))->use, USE_SENT);
	ck_assert(account_find(a, STR("Sent"))->is_subscribed);
	account_close(&a);
	t_verify();
}
END_TEST

/* The same under sessions: they know more than the exports. */
START_TEST(removed_under_sessions)
{
	uint32_t uidvalidity = fill(true);
	struct account *a = opened(true), *b;
	struct mailbox *m = t_mailbox(a, "INBOX"), *o;

	t_sync(m, NULL);
	t_sh("rm -r quire .Sent/quire");
	t_sync(m, NULL);
	same_as_filled(m);
	ck_assert_uint_eq(t_add(m, hello, 0), 6);
	b = opened(true);
	o = t_mailbox(b, "INBOX");
	t_sync(o, NULL);
	ck_assert_uint_eq(mailbox_counts(o)->uidvalidity, uidvalidity);
	ck_assert_uint_eq(mailbox_count(o), 4);
	ck_assert_uint_eq(mailbox_seq(o, 6), 4);
	ck_assert_uint_eq(t_add(o, hello, 0), 7);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_seq(m, 7), 5);
	mailbox_close(&o);
	mailbox_close(&m);
	account_close(&b);
	account_close(&a);
	t_verify();
}
END_TEST

START_TEST(rebuilt)
{
	uint32_t uidvalidity = fill(_i == 1);
	struct account *a = opened(_i == 1);
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	uint64_t modseq;
	struct rebuild_box b;

	t_sync(m, NULL);
	modseq = mailbox_counts(m)->highestmodseq;
	/* a session has it open, and flags whose names lag */
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_REMOVE, FLAG_SEEN), 0);
	b = rebuild(false, _i == 1 ? NULL : "inbox");
	ck_assert_str_eq(b.from, "dovecot-3");
	ck_assert(b.had_journal);
	ck_assert_uint_eq(b.uidvalidity, uidvalidity);
	ck_assert_uint_eq(b.was_uidvalidity, uidvalidity);
	ck_assert_uint_eq(b.messages, 3);
	ck_assert_uint_eq(b.kept, 3);
	ck_assert_uint_eq(b.fresh, 0);
	ck_assert_uint_eq(b.renumbered, 0);
	ck_assert_uint_eq(b.reflagged, 0);
	ck_assert_uint_eq(b.gone, 0);
	t_sh("test -e quire/journal.old");
	/* it goes on */
	t_sync(m, &ch);
	same_as_filled(m);
	ck_assert_uint_gt(mailbox_counts(m)->highestmodseq, modseq);
	ck_assert_uint_eq(t_add(m, hello, 0), 6);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

START_TEST(numbered_anew)
{
	uint32_t uidvalidity = fill(true);
	struct account *a = opened(true);
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	struct rebuild_box b;
	char line[64];

	t_sync(m, NULL);
	b = rebuild(true, "INBOX");
	ck_assert_str_eq(b.from, "bare");
	ck_assert_uint_gt(b.uidvalidity, uidvalidity);
	ck_assert_uint_eq(b.uidnext, 4);
	ck_assert_uint_eq(b.fresh, 3);
	ck_assert_uint_eq(b.renumbered, 2);
	ck_assert_uint_eq(b.reflagged, 0);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_UIDVALIDITY);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	account_close(&a);
	a = opened(true);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(t_add(m, hello, 0), 4);
	mailbox_close(&m);
	account_close(&a);
	/* Dovecot is told */
	snprintf(line, sizeof(line), "grep -q '^3 V%u ' dovecot-uidlist",
	    b.uidvalidity);
	t_sh(line);
	t_sh("test -e dovecot-uidlist.old");
	t_verify();
}
END_TEST

static uint32_t seen_uidvalidity[16];
static unsigned nseen;

static void
each_box(void *arg, const struct rebuild_box *b)
{
	(void)arg;
	seen_uidvalidity[nseen++] = b->uidvalidity;
}

/* All at once, within one second: no two get one UIDVALIDITY, and none gets
 * one that there was. */
START_TEST(all_numbered_anew)
{
	struct account_opts opts = { .hostname = "mx.example" };
	struct rebuild_opts o = { .new_uidvalidity = true };
	struct err e = { 0 };
	unsigned i, k;

	fill(true);
	for (i = 0; i < 2; i++)
		if (store_rebuild(t_rootfd, &opts, &o, each_box, NULL, &e) ==
		    -1)
			ck_abort_msg("%s", e.text);
	ck_assert_uint_ge(nseen, 4);
	for (i = 0; i < nseen; i++)
		for (k = 0; k < i; k++)
			ck_assert_uint_ne(
			    seen_uidvalidity[i], seen_uidvalidity[k]);
	t_verify();
}
END_TEST

/* Journals that cannot be read, with a list and without. */
START_TEST(damaged)
{
	bool has_list = _i == 1;
	uint32_t uidvalidity = fill(has_list);
	struct account *a;
	struct mailbox *m;
	struct rebuild_box b;

	t_sh("for f in quire/journal quire/acct/journal; do "
	     "printf 'no journal at all' >$f; done");
	b = rebuild(false, NULL);
	ck_assert_str_eq(b.from, has_list ? "dovecot-3" : "bare");
	ck_assert(!b.had_journal);
	ck_assert_uint_eq(b.messages, 3);
	a = opened(has_list);
	m = t_mailbox(a, "INBOX");
	if (has_list) {
		ck_assert_uint_eq(b.uidvalidity, uidvalidity);
		same_but_next(m);
	} else
		ck_assert_uint_ge(b.uidvalidity, uidvalidity);
	ck_assert_uint_eq(mailbox_count(m), 3);
	mailbox_close(&m);
	account_close(&a);
	t_sh("test -e quire/acct/journal.bad && test -e quire/journal.bad");
	t_verify();
}
END_TEST

/* A transaction in its midst is: the list still has what it said. */
START_TEST(damaged_inside)
{
	uint32_t uidvalidity = fill(true);
	struct rebuild_box b;
	struct account *a;
	struct mailbox *m;

	t_sh("printf x | dd of=quire/journal bs=1 seek=300 conv=notrunc "
	     "2>/dev/null");
	b = rebuild(false, NULL);
	ck_assert_str_eq(b.from, "dovecot-3");
	ck_assert_uint_eq(b.kept, 3);
	ck_assert_uint_eq(b.fresh, 0);
	ck_assert_uint_eq(b.uidvalidity, uidvalidity);
	a = opened(true);
	m = t_mailbox(a, "INBOX");
	same_but_next(m);
	mailbox_close(&m);
	account_close(&a);
	t_sh("test -e quire/journal.bad");
	t_verify();
}
END_TEST

START_TEST(no_such_mailbox)
{
	struct account_opts opts = { .hostname = "mx.example" };
	char *names[] = { (char *)"nowhere" };
	struct rebuild_opts o = { .names = names, .n = 1 };
	struct rebuild_box b = { 0 };
	struct err e = { 0 };

	fill(true);
	ck_assert_int_eq(
	    store_rebuild(t_rootfd, &opts, &o, last_box, &b, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "not there"));
}
END_TEST

/* A stop at any step leaves a mailbox that opens with the same UIDs. */
static int left;

static int
stop(const char *call)
{
	(void)call;
	if (left-- == 0)
		_exit(77);
	return 0;
}

START_TEST(stopped)
{
	struct account *a;
	struct mailbox *m;
	uint32_t uidvalidity = fill(true);
	int status = 1, n;
	pid_t pid;

	for (n = 0; status != 0; n += 3) {
		pid = fork();
		if (pid == 0) {
			left = n;
			store_step = stop;
			rebuild(false, "INBOX");
			_exit(0);
		}
		waitpid(pid, &status, 0);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 77 ||
						   WEXITSTATUS(status) == 0));
		a = opened(true);
		m = t_mailbox(a, "INBOX");
		t_sync(m, NULL);
		ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, uidvalidity);
		same_as_filled(m);
		mailbox_close(&m);
		account_close(&a);
		t_verify();
	}
	ck_assert_int_gt(n, 30);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rebuild");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, folder_removed);
	tcase_add_test(t, removed_under_sessions);
	tcase_add_loop_test(t, rebuilt, 0, 2);
	tcase_add_test(t, numbered_anew);
	tcase_add_test(t, all_numbered_anew);
	tcase_add_loop_test(t, damaged, 0, 2);
	tcase_add_test(t, damaged_inside);
	tcase_add_test(t, no_such_mailbox);
	tcase_add_test(t, stopped);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t_run(s);
}
