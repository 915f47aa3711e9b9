/*
 * verify: silent about what the library made, and a word for each damage.
 * What is looked at is not changed.
 */
#include "t_store.h"

#include <dirent.h>

#include "base/date.h"
#include "base/pack.h"
#include "service/store/verify.h"

/* ---- an account with some of everything ---- */

static void
fill(void)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *in = t_mailbox(a, "INBOX"),
		       *ar = t_mailbox(a, "Archive");
	struct copy_result r = { 0 };
	struct flag_change fc = { .how = FLAGS_ADD };
	struct ranges set;
	unsigned bit;
	uint32_t i;

	for (i = 1; i <= 6; i++)
		ck_assert_uint_eq(
		    t_add(m, "Subject: x\r\n\r\nbody\r\n", i % 2), i);
	/* kept with its CRLF as it is */
	ck_assert_uint_eq(t_add_opts(m, STR("A: b\r\n\r\n\0\r\n"),
			      &(struct incoming_opts){ 0 }),
	    7);
	t_sh("printf 'A: b\\n\\nc\\n' >new/1000000000.1.other");
	t_sync(m, NULL);
	ck_assert_int_eq(t_store(m, 2, 3, FLAGS_ADD, FLAG_FLAGGED), 0);
	ck_assert_int_eq(
	    mailbox_keyword_define(m, STR("$Work"), &bit, NULL), 0);
	fc.keywords = 1ULL << bit;
	ranges_init(&set, 4);
	ranges_add(&set, 2, 2);
	ck_assert_int_eq(mailbox_store(m, &set, &fc, NULL, NULL, NULL), 0);
	t_sync(in, NULL);
	ck_assert_int_eq(mailbox_copy(m, in, &set, &r, NULL), 0);
	copy_result_release(&r);
	ck_assert_int_eq(mailbox_move(m, ar, &set, &r, NULL), 0);
	copy_result_release(&r);
	ranges_release(&set);
	ck_assert_int_eq(t_remove(m, 3, 3), 0);
	t_sync(m, NULL);
	mailbox_close(&m);
	mailbox_close(&in);
	mailbox_close(&ar);
	account_close(&a);
}

static void
setup(void)
{
	t_setup();
	fill();
}

/* ---- what is found ---- */

static struct verify_finding got[20];
static char got_file[20][300], all[4000];
static unsigned ngot;

static void
found(void *arg, const struct verify_finding *f)
{
	size_t n = strlen(all);

	(void)arg;
	snprintf(all + n, sizeof(all) - n, "%d %.*s %s uid=%u file=%s: %s\n",
	    (int)f->severity, STR_ARG(f->mailbox), f->kind, f->uid,
	    f->file == NULL ? "" : f->file, f->text);
	if (ngot < N(got)) {
		got[ngot] = *f;
		snprintf(got_file[ngot], sizeof(got_file[0]), "%s",
		    f->file == NULL ? "" : f->file);
		ngot++;
	}
}

static struct verify_totals
verify(bool deep, int64_t later)
{
	struct verify_opts o = { .deep = deep, .now = date_now() + later };
	struct verify_totals t = { 0 };
	struct err e = { 0 };

	ngot = 0;
	all[0] = '\0';
	if (store_verify(t_rootfd, &o, found, NULL, &t, &e) == -1)
		ck_abort_msg("store_verify: %s", e.text);
	return t;
}

START_TEST(clean)
{
	struct verify_totals t = verify(_i == 1, 0);

	ck_assert_msg(ngot == 0, "%s", all);
	ck_assert_uint_eq(t.mailboxes, 6);
	ck_assert_uint_eq(t.messages, 8);
	t = verify(_i == 1, 120);
	ck_assert_msg(ngot == 0, "%s", all);
}
END_TEST

START_TEST(in_a_session)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");

	ck_assert_uint_ne(t_add(m, "A: b\n\nc\n", 0), 0);
	ck_assert_int_eq(t_store(m, 1, 9, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_remove(m, 4, 4), 0);
	verify(true, 0);
	ck_assert_msg(ngot == 0, "%s", all);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* ---- damage ---- */

/* A transaction whose counters are wrong, or modseq, or keyword. */
static void
append(int what)
{
	struct op_flags flags = { .kwadd = 1ULL << 40 };
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct counters c;
	struct err e = { 0 };

	ck_assert_int_eq(mailbox_lock(m, &e), 0);
	c = m->v.c;
	if (what == 'k') {
		op_flags_begin(&m->ops, &flags);
		op_u32(&m->ops, 1);
		op_u32(&m->ops, 1);
		op_end(&m->ops);
	} else
		op_words_pack(&m->ops, OP_RECENT, 3, 0);
	if (what == 'c')
		c.exists++;
	ck_assert_int_eq(
	    journal_append(&m->j, &m->ops, 0,
		what == 'm' ? m->j.modseq - 1 : m->j.modseq, &c, true, &e),
	    0);
	journal_publish(
	    &m->j, what == 'p' ? &(struct counters){ 0 } : &c, m->v.scan, NULL);
	ops_clear(&m->ops);
	m->is_dead = true;
	mailbox_unlock(m);
	mailbox_close(&m);
	account_close(&a);
}

static off_t
end_of(int fd)
{
	char p[16384];
	ssize_t n = pread(fd, p, sizeof(p), 0);

	ck_assert(n > 0 && n < (ssize_t)sizeof(p));
	return (off_t)t_journal_end(p, (size_t)n);
}

/* Of a journal: 16 octets less, also without its pub, or 8 more. */
static void
resize(const char *path, char how)
{
	int fd = openat(t_rootfd, path, O_RDWR);
	off_t end = end_of(fd);

	if (how == '+')
		ck_assert_int_eq(pwrite(fd, "12345678", 8, end), 8);
	else
		ck_assert_int_eq(ftruncate(fd, end - 16), 0);
	if (how == '_')
		ck_assert_int_eq(unlinkat(t_rootfd, "quire/pub", 0), 0);
	close(fd);
}

/* Same octets but one, somewhere in the middle. */
static void
flip(const char *path)
{
	int fd = openat(t_rootfd, path, O_RDWR);
	off_t at = end_of(fd) / 2;
	char c;

	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= 1;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static const struct {
	const char *how; /* shell; or !x: append(), ~path: flip(), -path,
			  * _path, +path: resize() */
	enum verify_severity severity;
	const char *mailbox, *kind;
	bool deep;
	int later;
} damages[] = {
	{ "~quire/journal", VERIFY_ERROR, "INBOX", "journal-damage", 0, 0 },
	{ "~quire/acct/journal", VERIFY_ERROR, "", "journal-damage", 0, 0 },
	{ "-quire/journal", VERIFY_ERROR, "INBOX", "journal-short", 0, 0 },
	{ "_quire/journal", VERIFY_NOTE, "INBOX", "torn-tail", 0, 0 },
	{ "+quire/journal", VERIFY_NOTE, "INBOX", "pub-lags", 0, 0 },
	{ "printf 12345678 >>quire/journal", VERIFY_NOTE, "INBOX",
	    "journal-room", 0, 0 },
	{ "printf x | dd of=quire/journal bs=1 seek=40 conv=notrunc "
	  "2>/dev/null",
	    VERIFY_ERROR, "INBOX", "journal-header", 0, 0 },
	{ "rm quire/journal", VERIFY_ERROR, "INBOX", "no-journal", 0, 0 },
	{ "rm quire/acct/journal", VERIFY_ERROR, "", "no-journal", 0, 0 },
	{ "cp quire/journal j; mv j quire/journal", VERIFY_NOTE, "INBOX",
	    "restored", 0, 0 },
	{ "cp .Archive/quire/* quire/ 2>/dev/null || :", VERIFY_ERROR, "INBOX",
	    "mailbox-id", 0, 0 },
	{ "!c", VERIFY_ERROR, "INBOX", "counters", 0, 0 },
	{ "!m", VERIFY_ERROR, "INBOX", "modseq", 0, 0 },
	{ "!k", VERIFY_ERROR, "INBOX", "keyword", 0, 0 },
	{ "!p", VERIFY_ERROR, "INBOX", "pub", 0, 0 },
	{ "rm `ls cur/*Q1R* new/*Q1R* 2>/dev/null | head -1`", VERIFY_ERROR,
	    "INBOX", "missing", 0, 0 },
	{ "printf x >new/1700000000.M1P1Q1R0123456789abcdef.h,S=1,W=1",
	    VERIFY_NOTE, "INBOX", "not-taken-in", 0, 0 },
	{ "printf x >new/1700000000.M1P1Q1R0123456789abcdef.h,S=1,W=1",
	    VERIFY_ERROR, "INBOX", "stray-file", 0, 120 },
	{ "printf xx >new/1700000000.M1P1Q1R0123456789abcdef.h,S=1,W=1",
	    VERIFY_WARNING, "INBOX", "unfinished-file", 0, 120 },
	{ "printf x >new/1700000000.foreign", VERIFY_NOTE, "INBOX",
	    "not-taken-in", 0, 120 },
	{ "for f in cur/*Q1R*; do printf x >>$f; done", VERIFY_ERROR, "INBOX",
	    "size", 0, 0 },
	{ "f=`ls cur/*Q1R*`; printf '\\n' | dd of=$f bs=1 seek=8 "
	  "conv=notrunc 2>/dev/null",
	    VERIFY_ERROR, "INBOX", "vsize", 1, 0 },
	{ "f=`ls cur/*Q1R*`; ln $f new/`basename ${f%:*}`", VERIFY_WARNING,
	    "INBOX", "two-names", 0, 120 },
	{ "f=`ls cur/*Q1R*`; cp $f new/`basename ${f%:*}`", VERIFY_WARNING,
	    "INBOX", "two-files", 0, 0 },
	{ "f=`ls cur/*Q1R*`; g=`ls cur/*Q5R*`; ln -f $f $g", VERIFY_WARNING,
	    "INBOX", "shared-file", 0, 0 },
	{ "f=`ls cur/*Q1R*`; mv $f ${f%,S=*},U=1:2,S", VERIFY_NOTE, "INBOX",
	    "renamed", 0, 0 },
	{ "chmod 0 cur/*Q1R*", VERIFY_WARNING, "INBOX", "mode", 0, 0 },
	{ "chmod 666 quire/journal", VERIFY_WARNING, "INBOX", "mode", 0, 0 },
	{ ":", VERIFY_NOTE, "INBOX", "exp", 0, 9000 },
	{ "cp cur/*Q1R* quire/journal.bad", VERIFY_NOTE, "INBOX", "journal-bad",
	    0, 0 },
	{ "rm -r quire/acct", VERIFY_ERROR, "", "no-journal", 0, 0 },
	{ "rm -r quire", VERIFY_NOTE, "", "unopened", 0, 0 },
	{ "rm -r .Archive", VERIFY_ERROR, "Archive", "no-directory", 0, 0 },
	{ "rm -r .Archive/new", VERIFY_ERROR, "Archive", "no-directory", 0, 0 },
	{ "mkdir -p .Other/cur .Other/new .Other/tmp", VERIFY_NOTE, "",
	    "new-folder", 0, 0 },
	{ "mkdir -p '.a..b/cur'", VERIFY_WARNING, "", "folder-name", 0, 0 },
	{ "printf '1000000S\\n5 1\\n-2 0\\n' >maildirsize", VERIFY_NOTE, "",
	    "maildirsize", 0, 0 },
	{ "printf '1000000S\\nnone\\n' >maildirsize", VERIFY_NOTE, "",
	    "maildirsize", 0, 0 },
	{ "f=`ls cur/*Q1R*`; f=${f#cur/}; printf '1 7 9\\n8 %s\\n' ${f%:*} "
	  ">courierimapuiddb",
	    VERIFY_NOTE, "INBOX", "courier-list", 0, 0 },
	{ "echo Nowhere >subscriptions; cp subscriptions quire/acct/",
	    VERIFY_NOTE, "", "subscriptions", 0, 0 },
	{ "echo Nowhere >subscriptions; : >quire/acct/subscriptions",
	    VERIFY_NOTE, "", "subscriptions-foreign", 0, 0 },
};

static void
damage(const char *how)
{
	if (how[0] == '!')
		append(how[1]);
	else if (how[0] == '~')
		flip(how + 1);
	else if (strchr("-_+", how[0]) != NULL)
		resize(how + 1, how[0]);
	else
		t_sh(how);
}

START_TEST(each_damage)
{
	unsigned i, hits = 0;
	struct verify_totals t;

	damage(damages[_i].how);
	t = verify(damages[_i].deep, damages[_i].later);
	for (i = 0; i < ngot; i++)
		hits += got[i].severity == damages[_i].severity &&
			strcmp(got[i].kind, damages[_i].kind) == 0;
	ck_assert_msg(hits > 0 && strstr(all, damages[_i].mailbox) != NULL,
	    "%s: no %s in\n%s", damages[_i].how, damages[_i].kind, all);
	ck_assert_uint_eq(t.severity[0] + t.severity[1] + t.severity[2], ngot);
	for (i = 0; i < t.nkinds; i++)
		ngot -= (unsigned)t.kinds[i].n;
	ck_assert_uint_eq(ngot, 0);
}
END_TEST

/* A copy of a tree is whole; that it is one is all there is to say. */
START_TEST(copied)
{
	unsigned i;

	t_sh("mkdir ../copy.$$ && cp -a . ../copy.$$ && rm -r * .[A-Z]* && "
	     "mv ../copy.$$/* ../copy.$$/.[A-Z]* . && rmdir ../copy.$$");
	verify(true, 0);
	ck_assert_uint_gt(ngot, 0);
	for (i = 0; i < ngot; i++)
		ck_assert_msg(strcmp(got[i].kind, "restored") == 0, "%s", all);
}
END_TEST

/* What maildirsize should say is known. */
START_TEST(quota_file_agrees)
{
	t_sh("n=$(find . -path '*/cur/*' -type f | wc -l); s=$(find . -path "
	     "'*/cur/*' -type f -printf '%s+'); "
	     "printf '1000000S\\n%d %d\\n' $((${s}0)) $n >maildirsize");
	verify(false, 0);
	ck_assert_msg(ngot == 0, "%s", all);
}
END_TEST

START_TEST(subscription_of_nothing)
{
	struct account *a = t_account();

	account_subscribe(a, STR("nothing"), true, NULL);
	account_close(&a);
	verify(false, 0);
	ck_assert_msg(
	    ngot == 1 && strcmp(got[0].kind, "subscription") == 0, "%s", all);
}
END_TEST

/* ---- nothing is written ---- */

static char *
listing(void)
{
	char *cmd =
	    xasprintf("cd '%s' && find . -printf '%%p %%m %%T@ %%C@ %%i "
		      "%%n %%s\\n' | sort; find . -type f | sort | "
		      "xargs -d '\\n' cksum",
		t_root);
	char *text = xmalloc(1 << 18);
	FILE *p = popen(cmd, "r");
	size_t n = fread(text, 1, (1 << 18) - 1, p);

	text[n] = '\0';
	ck_assert_int_eq(pclose(p), 0);
	ck_assert_uint_gt(n, 1000);
	free(cmd);
	return text;
}

START_TEST(unchanged)
{
	char *before, *after;

	if (_i > 0)
		damage(damages[_i - 1].how);
	before = listing();
	verify(true, 120);
	after = listing();
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("verify");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, t_teardown);
	tcase_add_loop_test(t, clean, 0, 2);
	tcase_add_test(t, in_a_session);
	tcase_add_loop_test(t, each_damage, 0, N(damages));
	tcase_add_test(t, copied);
	tcase_add_test(t, quota_file_agrees);
	tcase_add_test(t, subscription_of_nothing);
	tcase_add_loop_test(t, unchanged, 0, N(damages) + 1);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return t_run(s);
}
