/* The message while it is received: in memory, then on disk; whoever gets its
 * descriptor can only read. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smtpd.h"
#include "system/fs/fs.h"

static char dir[64];
static struct smtpd front;

static void
setup(void)
{
	strcpy(dir, "/tmp/quire-spool.XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	front.base.d.spool_dir = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert(front.base.d.spool_dir != -1);
	front.spooled = 0;
}

static void
teardown(void)
{
	close(front.base.d.spool_dir);
	ck_assert(rmdir(dir) == 0); /* nothing is left */
}

static void
receive(struct spool *s, size_t octets)
{
	char block[1000];
	struct err e;
	size_t n;

	memset(block, 'x', sizeof(block));
	ck_assert(spool_open(&front, s, &e) == 0);
	for (n = 0; n < octets; n += sizeof(block))
		ck_assert(spool_write(&front, s, str_make(block, sizeof(block)),
			      &e) == 0);
}

/* size in octets; is it on disk then? */
static const struct {
	size_t size;
	bool is_memory;
} cases[] = { { 0, true }, { 1000, true }, { 1048000, true },
	{ 1049000, false }, { 3000000, false } };

START_TEST(sealed)
{
	struct stat before, after;
	struct spool s;
	struct err e;
	char c;

	receive(&s, cases[_i].size);
	ck_assert(s.is_memory == cases[_i].is_memory);
	ck_assert_uint_eq(front.spooled, s.is_memory ? s.size : 0);
	ck_assert(spool_seal(&s, &e) == 0);
	ck_assert(fstat(s.fd, &before) == 0);
	ck_assert_uint_eq((uint64_t)before.st_size, cases[_i].size);
	ck_assert(pwrite(s.fd, "y", 1, 0) == -1);
	ck_assert(errno == EPERM || errno == EBADF);
	ck_assert(pwrite(s.fd, "y", 1, before.st_size) == -1);
	ck_assert(ftruncate(s.fd, before.st_size + 1) == -1);
	ck_assert(fstat(s.fd, &after) == 0);
	ck_assert(before.st_size == after.st_size);
	if (cases[_i].size > 0)
		ck_assert(
		    pread(s.fd, &c, 1, before.st_size - 1) == 1 && c == 'x');
	spool_close(&front, &s);
	ck_assert_uint_eq(front.spooled, 0);
}
END_TEST

/* With all memory in use a message begins on disk. */
START_TEST(memory_is_bounded)
{
	struct spool s;

	front.spooled = SPOOL_MEMORY_TOTAL;
	receive(&s, 1000);
	ck_assert(!s.is_memory);
	spool_close(&front, &s);
	ck_assert_uint_eq(front.spooled, SPOOL_MEMORY_TOTAL);
}
END_TEST

START_TEST(sweeps)
{
	int fd = openat(
	    front.base.d.spool_dir, "message-left", O_CREAT | O_WRONLY, 0600);

	ck_assert(fd != -1);
	close(fd);
	spool_sweep(&front);
	ck_assert(
	    faccessat(front.base.d.spool_dir, "message-left", F_OK, 0) == -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("spool");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
	    t, sealed, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, memory_is_bounded);
	tcase_add_test(t, sweeps);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
