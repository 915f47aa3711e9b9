/*
 * changes_steps - is everything told, wherever a writer stops?
 *
 * A child plays the scenario of all operations. A few steps before its end it
 * is held still, so that it is in the middle of something: a reader asks what
 * changed since before the scenario and looks at everything that is
 * published. Then the child goes on to step n and is ended there. What the
 * next writers make of it and what the reader saw must differ in nothing that
 * a second question does not tell.
 *
 * QUIRE_STEP=n plays one n only, QUIRE_FULL every one.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"
#include "service/store/changes.h"
#include "service/store/index_int.h"

#define BOXES 64

static long freeze_at, stop_at;

static int
hook(const char *call)
{
	(void)call;
	sh->steps++;
	if (sh->steps == freeze_at)
		raise(SIGSTOP);
	if (sh->steps == stop_at)
		_exit(77);
	return 0;
}

struct look {
	struct {
		uint8_t id[16];
		char name[32];
		bool is_subscribed, exists;
		uint64_t modseq; /* 0: it could not be opened */
	} v[BOXES];
	size_t n;
};

static bool
look(struct account *a, struct look *l)
{
	const struct mailbox_info *list;
	struct mailbox_counts c;
	size_t n, i;

	if (account_refresh(a, NULL) == -1)
		return false;
	n = account_list(a, &list);
	l->n = n < BOXES ? n : BOXES;
	for (i = 0; i < l->n; i++) {
		memcpy(l->v[i].id, list[i].mailboxid, 16);
		str_copy(list[i].name, l->v[i].name, sizeof(l->v[i].name));
		l->v[i].is_subscribed = list[i].is_subscribed;
		l->v[i].exists = list[i].exists;
	}
	for (i = 0; i < l->n; i++) {
		l->v[i].modseq = 0;
		/* who may not write does not end a RENAME that has begun: it
		 * is on its way to that name */
		if (l->v[i].exists && account_status(a, str_from(l->v[i].name),
					  &c, NULL) == ACCOUNT_OK)
			l->v[i].modseq = c.highestmodseq;
	}
	return true;
}

static bool
is_told(const struct changes *c, enum change_kind kind, const uint8_t *id,
    const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].kind == CHANGED_TREE ||
		    (c->v[i].kind == kind &&
			(id == NULL ||
			    memcmp(c->v[i].mailboxid, id, 16) == 0) &&
			(name == NULL || strcmp(c->v[i].name, name) == 0)))
			return true;
	return c->is_unknown;
}

static char text[200];

static const char *
untold(const char *how, const char *name)
{
	snprintf(text, sizeof(text), "%s was %s and nobody said so", name, how);
	return text;
}

static const char *
compare(const struct look *was, const struct look *is, const struct changes *c)
{
	size_t i, k;

	for (i = 0; i < is->n; i++) {
		const uint8_t *id = is->v[i].id;

		for (k = 0; k < was->n; k++)
			if (was->v[k].exists &&
			    memcmp(was->v[k].id, id, 16) == 0)
				break;
		if (!is->v[i].exists)
			continue;
		if (k == was->n) {
			if (!is_told(c, CHANGED_CREATED, id, NULL))
				return untold("created", is->v[i].name);
			continue;
		}
		if (strcmp(is->v[i].name, was->v[k].name) != 0 &&
		    !is_told(c, CHANGED_RENAMED, id, is->v[i].name))
			return untold("renamed", is->v[i].name);
		if (was->v[k].modseq != 0 &&
		    is->v[i].modseq != was->v[k].modseq &&
		    !is_told(c, CHANGED_MAILBOX, id, NULL))
			return untold("changed", is->v[i].name);
	}
	for (k = 0; k < was->n; k++) {
		for (i = 0; i < is->n; i++)
			if (is->v[i].exists &&
			    memcmp(was->v[k].id, is->v[i].id, 16) == 0)
				break;
		if (was->v[k].exists && i == is->n &&
		    !is_told(c, CHANGED_DELETED, was->v[k].id, NULL))
			return untold("deleted", was->v[k].name);
	}
	for (i = 0; i < is->n; i++)
		for (k = 0; k < was->n; k++)
			if (strcmp(is->v[i].name, was->v[k].name) == 0 &&
			    is->v[i].is_subscribed &&
			    !was->v[k].is_subscribed &&
			    !is_told(
				c, CHANGED_SUBSCRIBED, NULL, is->v[i].name))
				return untold("subscribed", is->v[i].name);
	return NULL;
}

/* By who writes nothing and waits for nobody. */
static const char *
ask_beside(int rootfd, char token[CHANGES_TOKEN], struct look *l)
{
	struct account_opts o = { .hostname = "h", .readonly = true };
	struct account *a;
	struct changes c;
	const char *bad = NULL;

	if (account_open(&a, rootfd, &o, NULL) == -1)
		return "cannot open beside a writer";
	if (changes_since(a, token, &c, NULL) == -1)
		bad = "cannot ask beside a writer";
	else if (c.is_unknown)
		bad = "unknown beside a writer";
	else {
		memcpy(token, c.token, CHANGES_TOKEN);
		changes_release(&c);
		if (!look(a, l))
			bad = "cannot look beside a writer";
	}
	account_close(&a);
	return bad;
}

static const char *
ask_behind(int rootfd, char token[CHANGES_TOKEN], struct look *l)
{
	struct account_opts o = { .hostname = "h" };
	struct look now;
	struct account *a;
	struct changes c;
	const char *bad;

	if (account_open(&a, rootfd, &o, NULL) == -1)
		return "cannot open afterwards";
	if (!look(a, &now) || changes_since(a, token, &c, NULL) == -1)
		bad = "cannot ask afterwards";
	else {
		bad = c.is_pending ? "pending with no writer" :
				     compare(l, &now, &c);
		memcpy(token, c.token, CHANGES_TOKEN);
		changes_release(&c);
		*l = now;
	}
	account_close(&a);
	return bad;
}

static char root[256];

static int
rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static const char *
one_in(int rootfd, long n)
{
	char token[CHANGES_TOKEN] = "";
	struct look l = { .n = 0 };
	const char *bad;
	int status;
	pid_t pid;

	bad = ask_behind(rootfd, token, &l);
	if (bad != NULL)
		return bad;
	scenario_begin();
	stop_at = n;
	freeze_at = n > 1 ? n - 1 - n % 7 : 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		store_step = hook;
		store_tail_min = 1500;
		store_tree_min = 1500;
		scenario_play(rootfd);
		_exit(0);
	}
	waitpid(pid, &status, WUNTRACED);
	if (WIFSTOPPED(status)) {
		bad = ask_beside(rootfd, token, &l);
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
	}
	if (bad == NULL &&
	    (!WIFEXITED(status) ||
		(WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77)))
		bad = "child crashed";
	if (bad == NULL)
		bad = ask_behind(rootfd, token, &l);
	return bad;
}

/* true: the scenario ended by itself */
static bool
one(long n, const char **bad)
{
	const char *tmp = getenv("TMPDIR");
	int rootfd;

	/* not in memory: times there are too coarse to see others by */
	snprintf(root, sizeof(root), "%s/quire-changes-XXXXXX",
	    tmp != NULL ? tmp : "/var/tmp");
	if (mkdtemp(root) == NULL || (rootfd = open(root, O_RDONLY)) == -1) {
		printf("Bail out! no directory\n");
		exit(1);
	}
	*bad = one_in(rootfd, n);
	close(rootfd);
	if (*bad == NULL || getenv("QUIRE_KEEP") == NULL)
		nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
	return sh->steps < n;
}

int
main(void)
{
	const char *only = getenv("QUIRE_STEP"), *bad;
	long n = only != NULL ? strtol(only, NULL, 10) : 1, wrong = 0;
	bool done = false;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("1..1\n");
	while (!done) {
		done = one(n, &bad) || only != NULL;
		if (bad != NULL) {
			printf("# step %ld (%s): %s\n", n, sh->what, bad);
			wrong++;
		}
		n += getenv("QUIRE_FULL") != NULL ? 1 : 9;
	}
	printf("%sok 1 - told, at each of %ld steps\n",
	    wrong == 0 ? "" : "not ", n);
	return 0;
}
