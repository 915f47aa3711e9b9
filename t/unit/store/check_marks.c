/*
 * A tree that is put back to a former day with everything in it: known by the
 * marks outside of it. No UID means two messages, and who knew more than the
 * tree does now is told all of it.
 */
#include "t_store.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"

static int marksfd;
static bool with_marks;

static struct account *
marked(void)
{
	struct account_opts o = { .hostname = "h",
		.log = t_log,
		.has_marks = with_marks,
		.marksfd = marksfd };
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, t_rootfd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	return a;
}

/* The tree lies in M/, so that it can be put back beside the marks. */
static char outside[256];

static void
open_root(void)
{
	t_rootfd = open(t_root, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(t_rootfd, -1);
}

static void
setup(void)
{
	t_setup();
	close(t_rootfd);
	str_copy(str_from(t_root), outside, sizeof(outside));
	strcat(t_root, "/M");
	ck_assert_int_eq(mkdir(t_root, 0700), 0);
	open_root();
	t_sh("true > ../marks");
	marksfd = openat(t_rootfd, "../marks", O_RDWR);
	ck_assert_int_ne(marksfd, -1);
	with_marks = true;
}

static void
teardown(void)
{
	close(marksfd);
	str_copy(str_from(outside), t_root, sizeof(t_root));
	t_teardown();
}

/*
 * As a snapshot of the file system: the same inodes with their former
 * contents. Inodes that are gone cannot be had again, so the journals get to
 * believe in their new ones.
 */
static void
believe(const char *path)
{
	char *full = xasprintf("%s/%s", t_root, path), head[JOURNAL_HEAD];
	int fd = open(full, O_RDWR);
	struct stat st;

	free(full);
	if (fd == -1)
		return;
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pread(fd, head, sizeof(head), 0), sizeof(head));
	le64_put(head + 96, st.st_ino);
	le32_put(head + 124, crc32c(0, head, 124));
	ck_assert_int_eq(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
}

static void
snapshot(void)
{
	t_sh("rm -rf ../S && cp -a . ../S");
}

static void
put_back(void)
{
	close(t_rootfd);
	t_sh("cd .. && rm -rf M && cp -a S M");
	open_root();
	believe("quire/journal");
	believe("quire/acct/journal");
	believe(".Sent/quire/journal");
}

static uint32_t
add(struct mailbox *m, int text)
{
	char body[64];

	snprintf(body, sizeof(body), "Subject: %d\r\n\r\n", text);
	return t_add(m, body, 0);
}

static int
text_of(struct mailbox *m, uint32_t uid)
{
	char *p = t_text(m, uid);
	int text = p == NULL ? -1 : atoi(p + 9);

	free(p);
	return text;
}

/* Which text each UID has ever had. */
static int text_of_uid[1000000];

static bool
has_two_meanings(struct mailbox *m)
{
	struct message msg;
	uint32_t i;
	bool two = false;

	for (i = 1; i <= mailbox_count(m); i++) {
		int text;

		mailbox_get(m, i, &msg);
		text = text_of(m, msg.uid);
		ck_assert_uint_lt(msg.uid, N(text_of_uid));
		two |=
		    text_of_uid[msg.uid] != 0 && text_of_uid[msg.uid] != text;
		text_of_uid[msg.uid] = text;
	}
	return two;
}

/* Loop 0 without marks: then it goes wrong, as it must for the test. */
START_TEST(rollback)
{
	struct mailbox_counts known, c;
	struct account *a;
	struct mailbox *m;
	struct message msg;
	struct ranges gone;
	uint32_t i;
	bool all_told = true;

	with_marks = _i != 0;
	memset(text_of_uid, 0, sizeof(text_of_uid));
	a = marked();
	m = t_mailbox(a, "INBOX");
	for (i = 1; i <= 5; i++)
		ck_assert_uint_eq(add(m, (int)i), i);
	ck_assert(!has_two_meanings(m));
	mailbox_close(&m);
	account_close(&a);
	snapshot();
	a = marked();
	m = t_mailbox(a, "INBOX");
	for (i = 6; i <= 9; i++)
		ck_assert_uint_eq(add(m, (int)i), i);
	ck_assert_int_eq(t_store(m, 2, 2, FLAGS_ADD, FLAG_FLAGGED), 0);
	ck_assert_int_eq(t_remove(m, 3, 3), 0);
	t_sync(m, NULL);
	ck_assert(!has_two_meanings(m));
	known = *mailbox_counts(m);
	mailbox_close(&m);
	account_close(&a);
	put_back();

	a = marked();
	/* STATUS does not fall for it either */
	ck_assert_int_eq(account_status(a, STR("INBOX"), &c, NULL), 0);
	ck_assert_int_eq(c.uidnext >= known.uidnext, with_marks);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, known.uidvalidity);
	ck_assert_uint_eq(mailbox_count(m), 5);
	for (i = 10; i <= 13; i++)
		ck_assert_uint_ne(add(m, (int)i), 0);
	ck_assert_int_eq(has_two_meanings(m), !with_marks);
	/* a client with the state it had: everything is above its modseq,
	 * and what vanished must be told by comparing all */
	if (with_marks)
		ck_assert_uint_gt(
		    mailbox_counts(m)->highestmodseq, known.highestmodseq);
	for (i = 1; i <= mailbox_count(m); i++) {
		mailbox_get(m, i, &msg);
		all_told &= msg.modseq > known.highestmodseq;
	}
	ck_assert_int_eq(all_told, with_marks);
	ranges_init(&gone, 100);
	ck_assert_int_eq(
	    mailbox_vanished(m, known.highestmodseq, &gone), !with_marks);
	ranges_release(&gone);
	mailbox_close(&m);
	account_close(&a);
	/* once: not again at each open */
	a = marked();
	m = t_mailbox(a, "INBOX");
	i = mailbox_counts(m)->uidnext;
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, i);
	if (with_marks)
		ck_assert_uint_lt(i, known.uidnext + 1100);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* The same with the inodes of a backup: both ways agree. */
START_TEST(backup)
{
	struct account *a = marked();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_counts c;
	uint64_t modseq;

	ck_assert_uint_eq(add(m, 1), 1);
	mailbox_close(&m);
	account_close(&a);
	snapshot();
	a = marked();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(add(m, 2), 2);
	modseq = mailbox_counts(m)->highestmodseq;
	mailbox_close(&m);
	account_close(&a);
	close(t_rootfd);
	t_sh("cd .. && rm -rf M && cp -a S M");
	open_root();
	a = marked();
	ck_assert_int_eq(account_status(a, STR("INBOX"), &c, NULL), 0);
	ck_assert_uint_gt(c.uidnext, 100000);
	ck_assert_uint_gt(c.highestmodseq, modseq);
	account_close(&a);
}
END_TEST

/* Modseqs that ran ahead of the clock, or a clock that was set back. */
START_TEST(clock_behind)
{
	struct account *a = marked();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_counts c;
	uint64_t modseq;

	ck_assert_uint_eq(add(m, 1), 1);
	mailbox_close(&m);
	account_close(&a);
	snapshot();
	a = marked();
	m = t_mailbox(a, "INBOX");
	m->j.modseq += 3600ull << 20;
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	modseq = mailbox_counts(m)->highestmodseq;
	ck_assert_uint_gt(modseq, (uint64_t)date_now() << 20);
	mailbox_close(&m);
	account_close(&a);
	put_back();
	a = marked();
	ck_assert_int_eq(account_status(a, STR("INBOX"), &c, NULL), 0);
	ck_assert_uint_gt(c.highestmodseq, modseq);
	account_close(&a);
}
END_TEST

/* A copy as a second account has marks of its own. */
START_TEST(copied)
{
	struct account *a = marked();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_counts c;
	int first = marksfd;

	ck_assert_uint_eq(add(m, 1), 1);
	snapshot();
	ck_assert_uint_eq(add(m, 2), 2);
	mailbox_close(&m);
	account_close(&a);
	/* M goes on; S is the other's */
	close(t_rootfd);
	t_sh("cd .. && mv M first && cp -a S M && true > marks2");
	open_root();
	marksfd = openat(t_rootfd, "../marks2", O_RDWR);
	believe("quire/journal");
	believe("quire/acct/journal");
	a = marked();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, 2);
	ck_assert_uint_eq(add(m, 3), 2);
	ck_assert_uint_eq(add(m, 4), 3);
	mailbox_close(&m);
	account_close(&a);
	close(t_rootfd);
	close(marksfd);
	marksfd = first;
	t_sh("cd .. && rm -r M && mv first M");
	open_root();
	a = marked();
	ck_assert_int_eq(account_status(a, STR("INBOX"), &c, NULL), 0);
	ck_assert_uint_eq(c.uidnext, 3);
	account_close(&a);
}
END_TEST

/* Marks that are made up: never lower, and within bounds. */
START_TEST(hostile)
{
	static const struct {
		uint32_t uidnext;
		int64_t modseq; /* seconds from now; 0: none */
		uint32_t most;
	} rows[] = {
		{ 0, 0, 3 },
		{ 1, -1000000, 3 },
		{ UINT32_MAX, 0, 3 },
		{ UINT32_MAX - 1, 10, 3 },
		{ 11000000, 0, 3 },
		{ 50, 0, 1050 },
		{ 9000000, 0, 9001000 },
		{ 3, 40, 1003 },
		{ 3, 2 * 86400, 3 },
		{ 3, 1ll << 40, 3 },
	};
	struct account *a = marked();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mark k;
	char raw[MARK_SIZE];

	ck_assert_uint_eq(add(m, 1), 1);
	ck_assert_uint_eq(add(m, 2), 2);
	mark_mailbox(m, &k);
	mailbox_close(&m);
	account_close(&a);
	k.uidnext = rows[_i].uidnext;
	if (rows[_i].modseq != 0)
		k.modseq = (uint64_t)(date_now() + rows[_i].modseq) << 20;
	mark_pack(raw, &k);
	ck_assert_int_eq(
	    pwrite(marksfd, raw, sizeof(raw), MARK_SIZE), sizeof(raw));
	a = marked();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_ge(mailbox_counts(m)->uidnext, 3);
	ck_assert_uint_le(mailbox_counts(m)->uidnext, rows[_i].most);
	ck_assert_int_eq(mailbox_counts(m)->uidnext > 3, rows[_i].most > 3);
	ck_assert_uint_ne(add(m, 3), 0);
	mailbox_close(&m);
	account_close(&a);
	/* and is right again */
	ck_assert_int_eq(
	    pread(marksfd, raw, sizeof(raw), MARK_SIZE), sizeof(raw));
	ck_assert(mark_unpack(raw, &k));
	ck_assert_uint_le(k.uidnext, rows[_i].most + 1);
	t_verify();
}
END_TEST

/* Cut, and flipped, everywhere: nothing happens. */
START_TEST(damaged)
{
	struct account *a = marked();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_counts c;
	char whole[256];
	ssize_t n, i;

	ck_assert_uint_eq(add(m, 1), 1);
	mailbox_close(&m);
	account_close(&a);
	n = pread(marksfd, whole, sizeof(whole), 0);
	ck_assert_int_eq(n, 2 * MARK_SIZE);
	for (i = 0; i < 2 * n; i++) {
		ck_assert_int_eq(ftruncate(marksfd, 0), 0);
		whole[i % n] ^= i < n ? 0 : 1 << i % 8;
		ck_assert_int_eq(
		    pwrite(marksfd, whole, (size_t)(i < n ? i : n), 0),
		    i < n ? i : n);
		whole[i % n] ^= i < n ? 0 : 1 << i % 8;
		a = marked();
		ck_assert_int_eq(account_status(a, STR("INBOX"), &c, NULL), 0);
		ck_assert_uint_eq(c.uidnext, 2);
		m = t_mailbox(a, "INBOX");
		ck_assert_int_eq(
		    t_store(m, 1, 1, FLAGS_REPLACE, (uint16_t)(i & 1)), 0);
		mailbox_close(&m);
		account_close(&a);
	}
}
END_TEST

/* A full disk there, or a descriptor that cannot be written. */
START_TEST(useless)
{
	struct account *a;
	struct mailbox *m;

	close(marksfd);
	marksfd = openat(t_rootfd, _i == 0 ? "../marks" : ".", O_RDONLY);
	a = marked();
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(add(m, 1), 1);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* Many mailboxes, two accounts open at once: a slot for each, one only. */
START_TEST(slots)
{
	struct account *a = marked(), *b;
	struct mailbox *m, *n;
	struct stat st;
	char name[16];
	int i, other;

	other = openat(t_rootfd, "../marks", O_RDWR);
	marksfd = (i = marksfd, other);
	b = marked();
	marksfd = i;
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ck_assert_int_eq(
		    account_create(i % 2 ? a : b, str_from(name), 0, NULL), 0);
		m = t_mailbox(a, name);
		n = t_mailbox(b, name);
		ck_assert_uint_eq(add(i % 3 ? m : n, 1), 1);
		ck_assert_uint_eq(add(i % 3 ? n : m, 2), 2);
		mailbox_close(&m);
		mailbox_close(&n);
	}
	ck_assert_int_eq(fstat(marksfd, &st), 0);
	ck_assert_int_eq(st.st_size, 41 * MARK_SIZE);
	account_close(&a);
	account_close(&b);
	close(other);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("marks");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, rollback, 0, 2);
	tcase_add_test(t, backup);
	tcase_add_test(t, clock_behind);
	tcase_add_test(t, copied);
	tcase_add_loop_test(t, hostile, 0, 10);
	tcase_add_test(t, damaged);
	tcase_add_loop_test(t, useless, 0, 2);
	tcase_add_test(t, slots);
	suite_add_tcase(s, t);
	return t_run(s);
}
