/*
 * The list of known senders: what is noted is known, by others and later, and
 * whatever happens to the file costs no more than that somebody is unknown.
 */
#include "t_store.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/pack.h"
#include "service/store/senders.h"

#define PATH   "quire/acct/senders"
#define HEAD   32
#define RECORD 8
#define DAY    86400
#define NOW    ((int64_t)20000 * DAY)

static struct sender
sender(int i)
{
	char text[64];
	struct sender k;

	snprintf(text, sizeof(text), "a%d@example.org", i);
	sender_init(&k, str_from(text), true);
	return k;
}

static bool
has_at(struct account *a, int i, int64_t now)
{
	struct sender k = sender(i);
	int64_t day;

	return senders_has(a, &k, now, &day);
}

static bool
has(struct account *a, int i)
{
	return has_at(a, i, NOW);
}

static void
note_at(struct account *a, int i, int64_t now)
{
	struct sender k = sender(i);

	senders_note(a, &k, now);
}

static void
note(struct account *a, int i)
{
	note_at(a, i, NOW);
}

/* -1: there is no file. */
static long
size_of(void)
{
	struct stat st;

	return fstatat(t_rootfd, PATH, &st, 0) == -1 ? -1 : (long)st.st_size;
}

static long
records(void)
{
	return (size_of() - HEAD) / RECORD;
}

static int
count(struct account *a, int n)
{
	int i, known = 0;

	for (i = 0; i < n; i++)
		known += has(a, i);
	return known;
}

static void
cut(long size)
{
	int fd = openat(t_rootfd, PATH, O_WRONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

/* Is it part of an account that quire verify has nothing against? */
static void
verify(void)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");

	mailbox_close(&m);
	account_close(&a);
	t_verify();
}

/* ---- steps ---- */

static int calls, fail_from, fail_as;

static int
failing(const char *call)
{
	(void)call;
	return ++calls >= fail_from ? fail_as : 0;
}

static void
fail_steps(int from, int as)
{
	calls = 0;
	fail_from = from;
	fail_as = as;
	store_step = failing;
}

/* ---- */

START_TEST(noted)
{
	struct account *a = t_account(), *b;
	struct sender k, other;
	int64_t day;

	ck_assert(!has(a, 1));
	ck_assert_int_eq(size_of(), -1);
	note(a, 1);
	ck_assert(has(a, 1) && !has(a, 2));
	k = sender(1);
	ck_assert(senders_has(a, &k, NOW + 5 * DAY, &day));
	ck_assert_int_eq(day, 20000);
	/* the same address, and nobody stands for it */
	sender_init(&other, STR("a1@example.org"), false);
	ck_assert(!senders_has(a, &other, NOW, &day));
	/* another handle, and one opened later */
	b = t_account();
	ck_assert(has(b, 1));
	note(a, 2);
	ck_assert(has(b, 2));
	note(b, 3);
	ck_assert(has(a, 3));
	account_close(&a);
	account_close(&b);
	a = t_account();
	ck_assert_int_eq(count(a, 10), 3);
	account_close(&a);
	verify();
}
END_TEST

/* One that is known writes nothing, asks no file, and is brought up once. */
START_TEST(writes)
{
	struct account *a = t_account();

	note(a, 0);
	note(a, 1);
	ck_assert_int_eq(size_of(), HEAD + 2 * RECORD);
	fail_steps(1, EIO);
	note(a, 1);
	note_at(a, 1, NOW + (SENDERS_STALE_DAYS - 1) * DAY);
	ck_assert_int_eq(calls, 0);
	fail_steps(100, EIO);
	note_at(a, 1, NOW + SENDERS_STALE_DAYS * DAY);
	ck_assert_int_eq(calls, 1);
	store_step = NULL;
	ck_assert_int_eq(size_of(), HEAD + 3 * RECORD);
	account_close(&a);
	/* the later day counts */
	a = t_account();
	ck_assert(has_at(a, 0, NOW + (SENDERS_KEEP_DAYS - 1) * DAY));
	ck_assert(!has_at(a, 0, NOW + SENDERS_KEEP_DAYS * DAY));
	ck_assert(has_at(a, 1, NOW + (SENDERS_KEEP_DAYS + 1) * DAY));
	account_close(&a);
}
END_TEST

/* More repeated records than senders: the file is written anew. */
START_TEST(compaction)
{
	struct account *a = t_account(), *b = t_account();
	int i, round;

	for (i = 0; i < 100; i++)
		note(a, i);
	ck_assert_int_eq(count(b, 100), 100);
	for (round = 1; round < 10; round++) {
		for (i = 0; i < 100; i++)
			note_at(a, i, NOW + round * 40 * DAY);
		ck_assert_int_le(records(), 2 * 100 + 64 + 1);
	}
	note(b, 100); /* into the file that has the name now */
	ck_assert_int_eq(count(a, 101), 101);
	account_close(&a);
	account_close(&b);
	/* what nobody has heard of for three years is left out */
	a = t_account();
	for (i = 0; i < 4; i++)
		for (round = 0; round < 80; round++)
			note_at(a, i, NOW + (2000 + 31 * round) * DAY);
	account_close(&a);
	ck_assert_int_le(records(), 2 * 4 + 64 + 1);
	a = t_account();
	ck_assert(has_at(a, 3, NOW + (2000 + 31 * 79) * DAY));
	ck_assert(!has_at(a, 50, NOW + (2000 + 31 * 79) * DAY));
	account_close(&a);
	verify();
}
END_TEST

/* Invented addresses do not grow it; the oldest go first. */
START_TEST(bound)
{
	struct account *a = t_account();
	int i, n = 3 * SENDERS_MAX, known;

	note_at(a, -1, NOW - 2 * DAY);
	for (i = 0; i < n; i++)
		note_at(a, i, NOW - DAY + i / 3000);
	ck_assert_int_le(size_of(), HEAD + (2L * SENDERS_MAX + 65) * RECORD);
	ck_assert(has(a, n - 1) && !has(a, -1));
	account_close(&a);
	a = t_account();
	known = count(a, n);
	ck_assert_int_ge(known, SENDERS_MAX / 2);
	ck_assert_int_le(known, SENDERS_MAX);
	ck_assert(has(a, n - 1));
	account_close(&a);
}
END_TEST

/* Cut at octet _i: whole records before it stand, and it goes on. */
START_TEST(cuts)
{
	struct account *a = t_account();
	int i, n = 4;

	for (i = 0; i < n; i++)
		note(a, i);
	account_close(&a);
	ck_assert_int_eq(size_of(), HEAD + n * RECORD);
	cut(_i);
	a = t_account();
	for (i = 0; i < n; i++)
		ck_assert_int_eq(has(a, i), _i >= HEAD + (i + 1) * RECORD);
	note(a, 0);
	note(a, 77);
	account_close(&a);
	a = t_account();
	for (i = 1; i < n; i++)
		ck_assert_int_eq(has(a, i), _i >= HEAD + (i + 1) * RECORD);
	ck_assert(has(a, 0) && has(a, 77));
	ck_assert_int_eq((size_of() - HEAD) % RECORD, 0);
	account_close(&a);
}
END_TEST

/* The same while it is open. */
START_TEST(cut_open)
{
	struct account *a = t_account();
	int i, n = 4;

	for (i = 0; i < n; i++)
		note(a, i);
	ck_assert_int_eq(count(a, n + 1), n); /* the last one makes it look */
	cut(_i);
	note(a, 77);
	account_close(&a);
	a = t_account();
	ck_assert(has(a, 77));
	for (i = 0; i < n; i++)
		if (_i >= HEAD + (i + 1) * RECORD)
			ck_assert(has(a, i));
	account_close(&a);
}
END_TEST

/* Bit _i turned: a sender is forgotten, or all are; nobody is made known who
 * was not, and it goes on. */
START_TEST(flips)
{
	struct account *a = t_account();
	int fd, i, n = 4, known;
	unsigned char c;

	for (i = 0; i < n; i++)
		note(a, i);
	account_close(&a);
	fd = openat(t_rootfd, PATH, O_RDWR);
	ck_assert(fd != -1);
	ck_assert_int_eq(pread(fd, &c, 1, _i / 8), 1);
	c ^= (unsigned char)(1 << (_i % 8));
	ck_assert_int_eq(pwrite(fd, &c, 1, _i / 8), 1);
	close(fd);
	a = t_account();
	known = count(a, n);
	if (_i / 8 < HEAD)
		ck_assert_int_eq(known, 0);
	else
		ck_assert_int_ge(known, n - 1);
	for (i = n; i < 200; i++)
		ck_assert(!has(a, i));
	note(a, 0);
	note(a, 77);
	account_close(&a);
	a = t_account();
	ck_assert(has(a, 0) && has(a, 77));
	account_close(&a);
}
END_TEST

/* A write that had no room for all of it: nothing is put behind it. */
START_TEST(torn)
{
	struct account *a = t_account(), *b = t_account();

	note(a, 0);
	note(a, 1);
	ck_assert_int_eq(count(b, 2), 2);
	t_sh("printf abc >>" PATH);
	note(b, 2);
	ck_assert_int_eq(size_of(), HEAD + 3 * RECORD);
	ck_assert_int_eq(count(a, 3), 3);
	account_close(&a);
	account_close(&b);
}
END_TEST

/* The disk is full from step _i + 1 on: nobody is told, what is in memory is
 * known, and when there is room again it is written. */
START_TEST(full)
{
	struct account *a = t_account();

	note(a, 0);
	t_sh("printf abc >>" PATH);
	fail_steps(_i + 1, ENOSPC);
	note(a, 1);
	ck_assert(has(a, 1));
	store_step = NULL;
	note(a, 2);
	account_close(&a);
	a = t_account();
	ck_assert(has(a, 0) && has(a, 2));
	account_close(&a);
	ck_assert_int_eq(faccessat(t_rootfd, PATH ".tmp", F_OK, 0), -1);
}
END_TEST

/* Nor a first file. */
START_TEST(full_at_first)
{
	struct account *a = t_account();

	fail_steps(_i + 1, ENOSPC);
	note(a, 0);
	store_step = NULL;
	note(a, 1);
	account_close(&a);
	a = t_account();
	ck_assert(has(a, 1));
	account_close(&a);
}
END_TEST

START_TEST(readonly)
{
	struct account_opts o = { .hostname = "h", .readonly = true };
	struct account *a = NULL, *b = NULL;
	struct err e = { 0 };

	/* of a Maildir that was never opened: no private folder */
	ck_assert_int_eq(account_open(&a, t_rootfd, &o, &e), 0);
	ck_assert(!has(a, 0));
	note(a, 0);
	ck_assert(!has(a, 0));
	account_close(&a);
	ck_assert_int_eq(faccessat(t_rootfd, "quire", F_OK, 0), -1);
	a = t_account();
	ck_assert_int_eq(account_open(&b, t_rootfd, &o, &e), 0);
	note(a, 0);
	ck_assert(has(b, 0));
	note(b, 1);
	ck_assert(!has(b, 1));
	ck_assert_int_eq(size_of(), HEAD + RECORD);
	account_close(&a);
	account_close(&b);
}
END_TEST

/* The private folder goes while it is open, or something else has the name. */
START_TEST(gone)
{
	static const char *const deeds[] = { "rm -rf quire", "rm " PATH,
		"rm " PATH " && mkdir " PATH, "rm " PATH " && mkfifo " PATH,
		"rm " PATH " && ln -s ../../x " PATH,
		"chmod 0 " PATH " 2>/dev/null || :", "true >" PATH };
	struct account *a = t_account();

	ck_assert_int_lt(_i, (int)N(deeds));
	note(a, 0);
	ck_assert(!has(a, 1));
	t_sh(deeds[_i]);
	note(a, 1);
	(void)has(a, 0);
	(void)has(a, 2);
	account_close(&a);
	a = t_account();
	note(a, 2);
	ck_assert(has(a, 2));
	account_close(&a);
	ck_assert_int_eq(faccessat(t_rootfd, "x", F_OK, 0), -1);
}
END_TEST

/* The index root has it where the layout is fs. */
START_TEST(nested)
{
	struct account_opts o = { .hostname = "h", .is_fs = true };
	struct account *a;
	struct err e = { 0 };
	struct stat st;

	t_sh("mkdir mail index");
	o.indexfd = openat(t_rootfd, "index", O_RDONLY | O_DIRECTORY);
	close(t_rootfd);
	t_rootfd = openat(o.indexfd, "../mail", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(account_open(&a, t_rootfd, &o, &e), 0);
	note(a, 0);
	ck_assert_int_eq(fstatat(o.indexfd, "acct/senders", &st, 0), 0);
	account_close(&a);
	ck_assert_int_eq(account_open(&a, t_rootfd, &o, &e), 0);
	ck_assert(has(a, 0));
	account_close(&a);
	close(o.indexfd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("senders");

	t_case(s, noted, 1);
	t_case(s, writes, 1);
	t_case(s, compaction, 1);
	t_case(s, bound, 1);
	t_case(s, cuts, HEAD + 4 * RECORD);
	t_case(s, cut_open, HEAD + 4 * RECORD);
	t_case(s, flips, 8 * (HEAD + 4 * RECORD));
	t_case(s, torn, 1);
	t_case(s, full, 4);
	t_case(s, full_at_first, 4);
	t_case(s, readonly, 1);
	t_case(s, gone, 7);
	t_case(s, nested, 1);
	return t_run(s);
}
