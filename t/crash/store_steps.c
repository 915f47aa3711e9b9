/*
 * store_steps - the store stopped, or failed, at every system call that
 * changes the disk.
 *
 * A child plays one scenario of all operations and notes in shared memory
 * what it began and what was acknowledged. It is ended (or one call is made
 * to fail) at step n, for every n. The parent then opens the account and
 * compares everything with the model: acknowledged changes are there,
 * unacknowledged ones are there whole or not at all.
 *
 * QUIRE_STEP=n plays one n only, QUIRE_MODE=kill, ENOSPC, EIO, EMFILE, EDQUOT,
 * EROFS, full or beside one mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"
#include "service/store/index_int.h"

static long stop_at;
static int fail_with; /* 0: end the process */
static bool is_long;
#define LONG 40 /* calls */

static bool
needs_room(const char *call)
{
	static const char *const calls[] = { "creat", "write", "pwrite",
		"pwrite2", "link", "mkdir" };
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(call, calls[i]) == 0)
			return true;
	return false;
}

static int
hook(const char *call)
{
	sh->steps++;
	/* a full disk stays full for a while, and still renames */
	if (is_long && sh->steps > stop_at && sh->steps < stop_at + LONG &&
	    needs_room(call))
		return fail_with;
	if (sh->steps != stop_at || (is_long && !needs_room(call)))
		return 0;
	snprintf(sh->call, sizeof(sh->call), "%s", call);
	if (fail_with == 0)
		_exit(77);
	return fail_with;
}

/* ---- every step ---- */

static char root[256];

static int
rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* true: the scenario ended by itself */
static bool
one(long n, int error, const char **bad)
{
	/* processes end here, not machines: memory is as good as a disk */
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	const char *tmp = getenv("TMPDIR");
	int rootfd, status;
	pid_t pid;

	snprintf(root, sizeof(root), "%s/quire-steps-XXXXXX",
	    tmp != NULL ? tmp : shm);
	if (mkdtemp(root) == NULL || (rootfd = open(root, O_RDONLY)) == -1) {
		printf("Bail out! no directory\n");
		exit(1);
	}
	scenario_begin();
	stop_at = n;
	fail_with = error;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		store_step = hook;
		/* with changes of generation between */
		store_tail_min = 1500;
		store_tree_min = 1500;
		scenario_play(rootfd);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	*bad = !WIFEXITED(status) ||
		       (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77) ?
		   "child crashed" :
		   scenario_check(rootfd);
	close(rootfd);
	if (*bad == NULL || getenv("QUIRE_KEEP") == NULL)
		nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
	return sh->steps < n;
}

int
main(void)
{
	static const struct {
		const char *name;
		int error;
		bool is_long;
		int stride; /* make check plays a part; QUIRE_FULL every one */
		bool is_beside;
	} modes[] = {
		{ "kill", 0, false, 5, false },
		{ "ENOSPC", ENOSPC, false, 23, false },
		{ "EIO", EIO, false, 23, false },
		{ "full", ENOSPC, true, 29, false },
		{ "EMFILE", EMFILE, false, 37, false },
		{ "EDQUOT", EDQUOT, false, 37, false },
		{ "EROFS", EROFS, false, 37, false },
		{ "beside", 0, false, 11, true },
	};
	const size_t nmodes = sizeof(modes) / sizeof(modes[0]);
	const char *only = getenv("QUIRE_STEP"), *mode = getenv("QUIRE_MODE");
	const char *bad;
	size_t i;
	long n, wrong;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("1..%zu\n", nmodes);
	for (i = 0; i < nmodes; i++) {
		wrong = 0;
		is_long = modes[i].is_long;
		scenario_is_beside = modes[i].is_beside;
		for (n = only != NULL ? strtol(only, NULL, 10) : 1;;
		     n += getenv("QUIRE_FULL") ? 1 : modes[i].stride) {
			bool done;

			if (mode != NULL && strcmp(mode, modes[i].name) != 0)
				break;
			done = one(n, modes[i].error, &bad);
			if (bad != NULL) {
				printf("# %s at step %ld (%s, %s): %s\n",
				    modes[i].name, n, sh->what, sh->call, bad);
				wrong++;
			}
			if (done || only != NULL)
				break;
		}
		printf("%sok %zu - %s at each of %ld steps\n",
		    wrong == 0 ? "" : "not ", i + 1, modes[i].name, n);
	}
	return 0;
}
