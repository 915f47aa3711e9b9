/*
 * Every program's profile, entered for real: the same five things are tried
 * in each, and the table says which of them must be refused. A program that
 * has no row here fails the last test.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../src/authd/profile.h"
#include "../../../src/check/profile.h"
#include "../../../src/imap/profile.h"
#include "../../../src/imapd/profile.h"
#include "../../../src/mda/profile.h"
#include "../../../src/smtpd/profile.h"
#include "../../../src/userdb/profile.h"
#include "base/str.h"
#include "system/ipc/msg.h"

enum { PASSWD = 1, OTHER = 2, SOCKET = 4, EXEC = 8, SIGNAL = 16 };
#define ALL (PASSWD | OTHER | SOCKET | EXEC | SIGNAL)

static const struct row {
	const char *name; /* as in prog_names, with a suffix for a nursery */
	const struct confine_profile *profile;
	unsigned refused;
	const struct confine_profile *nursery; /* that it is forked by */
} rows[] = {
	{ "quire-smtpd", &smtpd_profile, ALL },
	{ "quire-imapd", &imapd_profile, ALL },
	{ "quire-authd", &authd_profile, ALL },
	/* asks DNS; each of its children has one message and forks nobody */
	{ "quire-check", &check_profile, PASSWD | OTHER | EXEC | SIGNAL },
	{ "quire-check child", &check_child_profile,
	    PASSWD | OTHER | EXEC | SIGNAL, &check_profile },
	/* NSS and PAM need the rest; it answers one question per process */
	{ "quire-userdb", &userdb_profile, SIGNAL },
	/* owns nothing when started by root; its children are the next rows */
	{ "quire-mda nursery", &mda_nursery_profile, SOCKET | EXEC | SIGNAL },
	{ "quire-imap nursery", &imap_nursery_profile, SOCKET | EXEC | SIGNAL },
	{ "quire-mda", &mda_worker_profile, ALL, &mda_nursery_profile },
	{ "quire-imap", &imap_worker_profile, ALL, &imap_nursery_profile },
	/* the same without a nursery */
	{ "quire-mda alone", &mda_worker_profile, ALL },
	{ "quire-imap alone", &imap_worker_profile, ALL },
};
#define NROWS (int)(sizeof(rows) / sizeof(rows[0]))

static char base[64];
static pid_t victim;

/* As the program does: at once, or what its nursery left. */
static int
enter(const struct row *row, const struct confine_dir *dirs)
{
	struct confine_filter narrow;
	bool isolated;
	struct err e;

	if (row->nursery == NULL)
		return confine_enter(row->profile, dirs, 1, &isolated, &e);
	if (confine_compile(&narrow, row->nursery, row->profile, &e) == -1 ||
	    confine_enter(row->nursery, NULL, 0, &isolated, &e) == -1 ||
	    confine_files(row->profile, dirs, 1, &isolated, &e) == -1)
		return -1;
	return confine_load(&narrow, &e);
}

/* What was refused, as bits; 0x80: could not be entered. */
static unsigned
try_all(const struct row *row, int own)
{
	const struct confine_dir dirs[] = { { .fd = own, .write = true } };
	char *argv[] = { (char *)"true", NULL }, *envp[] = { NULL };
	unsigned refused = 0;
	char path[128];
	int fd;

	if (enter(row, dirs) == -1)
		return 0x80;
	if ((fd = open("/etc/passwd", O_RDONLY)) == -1)
		refused |= PASSWD;
	snprintf(path, sizeof(path), "%s/other/cur/mail", base);
	if ((fd = open(path, O_RDONLY)) == -1)
		refused |= OTHER;
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		refused |= SOCKET;
	if (kill(victim, SIGTERM) == -1)
		refused |= SIGNAL;
	/* what it is for must still work */
	if ((row->profile->allow & CONFINE_FILES) != 0 &&
	    (fd = openat(own, "mine", O_RDWR | O_CREAT, 0600)) == -1)
		return 0x40;
	execve("/bin/true", argv, envp);
	return refused | EXEC;
}

static void
setup(void)
{
	char path[128];
	int fd;

	strcpy(base, "/tmp/quire-confine.XXXXXX");
	ck_assert(mkdtemp(base) != NULL);
	snprintf(path, sizeof(path), "%s/own", base);
	ck_assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/other", base);
	ck_assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/other/cur", base);
	ck_assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/other/cur/mail", base);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert(fd != -1);
	close(fd);
	victim = fork();
	if (victim == 0) {
		sleep(60);
		_exit(0);
	}
}

static void
teardown(void)
{
	char cmd[128];

	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", base);
	ck_assert(system(cmd) == 0);
}

START_TEST(profile)
{
	const struct row *row = &rows[_i];
	char path[128];
	int own, status;
	pid_t pid;

	if (confine_is_off())
		return; /* a build with sanitizers has no confinement */

	snprintf(path, sizeof(path), "%s/own", base);
	own = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert(own != -1);
	pid = fork();
	if (pid == 0)
		_exit((int)try_all(row, own));
	ck_assert(waitpid(pid, &status, 0) == pid);
	close(own);
	ck_assert_msg(WIFEXITED(status), "%s: died of signal %d", row->name,
	    WTERMSIG(status));
	/* an exec that is allowed ends as /bin/true: 0 */
	if ((row->refused & EXEC) == 0)
		ck_assert_msg(
		    WEXITSTATUS(status) == 0, "%s: exec refused", row->name);
	else
		ck_assert_msg((unsigned)WEXITSTATUS(status) == row->refused,
		    "%s: refused %#x, want %#x", row->name, WEXITSTATUS(status),
		    row->refused);
}
END_TEST

START_TEST(every_program_has_a_row)
{
	int i;

	for (i = 0; i < NROWS; i++)
		if (strcmp(rows[i].name, prog_names[_i]) == 0)
			return;
	ck_abort_msg("%s has no row", prog_names[_i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("confine");
	TCase *t = tcase_create("profiles");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, profile, 0, NROWS);
	tcase_add_loop_test(t, every_program_has_a_row, 0, PROGS);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
