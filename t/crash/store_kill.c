/*
 * store_kill - several processes work on one mailbox while each is killed at
 * random moments. What was acknowledged must be there, once; what was
 * removed must not; counters and names must agree with the files.
 *
 * QUIRE_SECONDS sets how long it runs, QUIRE_SEED the sequence.
 */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/incoming.h"
#include "service/store/store_int.h"
#include "service/store/verify.h"

#define WORKERS	 4
#define MAX_TEXT 200000

enum { NONE, TRYING, DELIVERED, REMOVING, REMOVED };
static struct shared {
	uint32_t next;
	uint8_t state[MAX_TEXT];
	uint32_t uid[MAX_TEXT];
	uint32_t uidnext;
	uint32_t errors;
	char error[400];
} * sh;

static char root[256];
static uint64_t rnd_state;

static uint32_t
rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 16) % n;
}

static void
failed(const char *what, const struct err *e)
{
	if (sh->errors++ == 0)
		snprintf(sh->error, sizeof(sh->error), "%s: %s", what, e->text);
}

static void
sync_box(struct mailbox *m)
{
	struct mailbox_changes ch = { 0 };
	struct err e = { 0 };

	if (mailbox_sync(m, true, &ch, &e) == -1)
		failed("sync", &e);
	mailbox_changes_release(&ch);
	mailbox_tidy(m);
}

static void
deliver(struct mailbox *m)
{
	struct incoming *in[3] = { NULL };
	uint32_t text[3], uids[3], n = 1 + rnd(3), i;
	struct incoming_opts o = { .is_new = rnd(2),
		.flags = rnd(3) == 0 ? FLAG_SEEN : 0 };
	struct err e = { 0 };
	char body[64];

	for (i = 0; i < n; i++) {
		text[i] = __atomic_fetch_add(&sh->next, 1, __ATOMIC_SEQ_CST);
		if (text[i] >= MAX_TEXT)
			_exit(0);
		sh->state[text[i]] = TRYING;
		snprintf(
		    body, sizeof(body), "Subject: %08u\r\n\r\nx\r\n", text[i]);
		if (incoming_new(&in[i], m, &o, &e) == -1 ||
		    incoming_write(in[i], str_from(body), &e) == -1 ||
		    incoming_sync(in[i], &e) == -1)
			failed("incoming", &e);
	}
	if (mailbox_commit(m, in, n, uids, &e) == -1)
		failed("commit", &e);
	else
		for (i = 0; i < n; i++) {
			sh->uid[text[i]] = uids[i];
			sh->state[text[i]] = DELIVERED;
		}
	for (i = 0; i < n; i++)
		incoming_free(&in[i]);
}

static void
store(struct mailbox *m)
{
	struct flag_change fc = { .how = (int)rnd(2),
		.flags = (uint16_t)(1 << rnd(3)) };
	struct ranges r;
	struct err e = { 0 };
	uint32_t count = mailbox_count(m), seq;
	struct message msg;

	if (count == 0)
		return;
	seq = 1 + rnd(count);
	mailbox_get(m, seq, &msg);
	ranges_init(&r, 1);
	ranges_add(&r, msg.uid, msg.uid + rnd(5));
	if (mailbox_store(m, &r, &fc, NULL, NULL, &e) == -1)
		failed("store", &e);
	ranges_release(&r);
}

static int
text_at(struct mailbox *m, uint32_t uid)
{
	struct msgfile *f;
	char p[64] = "";
	uint64_t n = 0;
	int ok;

	if (mailbox_open_message(m, uid, &f, NULL) == -1)
		return -1;
	ok = msgfile_read(f, 0, p, 17, NULL) == 17 &&
	     str_uint(str_make(p + 9, 8), MAX_TEXT, &n);
	msgfile_free(&f);
	return ok ? (int)n : -1;
}

static void
discard(struct mailbox *m)
{
	struct ranges r;
	struct err e = { 0 };
	struct message msg;
	int text;

	if (mailbox_count(m) < 30)
		return;
	mailbox_get(m, 1 + rnd(mailbox_count(m)), &msg);
	text = msg.is_expunged ? -1 : text_at(m, msg.uid);
	if (text < 0 || sh->state[text] == TRYING)
		return;
	ranges_init(&r, 1);
	ranges_add(&r, msg.uid, msg.uid);
	sh->state[text] = REMOVING;
	if (mailbox_remove(m, &r, &e) == -1)
		failed("remove", &e);
	else
		sh->state[text] = REMOVED;
	ranges_release(&r);
}

static struct mailbox *
open_inbox(struct account **a)
{
	struct account_opts o = { .hostname = "h" };
	struct mailbox *m = NULL;
	struct err e = { 0 };
	int fd = open(root, O_RDONLY);

	if (account_open(a, fd, &o, &e) == -1 ||
	    account_open_mailbox(*a, STR("INBOX"), false, &m, &e) !=
		ACCOUNT_OK) {
		failed("open", &e);
		_exit(1);
	}
	close(fd);
	return m;
}

/* Another program: toggles a flag in a name. */
static void
foreign(void)
{
	char *path = xasprintf("%s/cur", root), name[300] = "", to[400];
	DIR *d = opendir(path);
	struct dirent *de;
	struct name n;
	uint32_t k = 0;

	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && rnd(++k) == 0)
			str_copy(str_from(de->d_name), name, sizeof(name));
	if (name_parse(str_from(name), &n) &&
	    name_with_info(to, n.base, n.fn ^ FN_F, n.extra))
		/* it may be gone by now */
		k += renameat2(
			 dirfd(d), name, dirfd(d), to, RENAME_NOREPLACE) == 0;
	closedir(d);
	free(path);
}

static void
worker(void)
{
	struct account *a;
	struct mailbox *m = open_inbox(&a);

	sync_box(m);
	for (;;)
		switch (rnd(8)) {
		case 0:
		case 1:
		case 2:
			deliver(m);
			break;
		case 3:
		case 4:
			store(m);
			break;
		case 5:
			discard(m);
			break;
		case 6:
			sync_box(m);
			break;
		case 7:
			if (rnd(3) == 0)
				foreign();
			else if (rnd(6) == 0) {
				mailbox_close(&m);
				account_close(&a);
				m = open_inbox(&a);
			}
			break;
		}
}

static pid_t
spawn(uint64_t seed)
{
	pid_t pid = fork();

	if (pid == 0) {
		rnd_state = 88172645463325252ULL ^ seed << 8;
		rnd(2);
		worker();
		_exit(0);
	}
	return pid;
}

/* verify --deep has no error to tell. */
static void
unsound(void *arg, const struct verify_finding *f)
{
	static char text[400];
	const char **bad = arg;

	if (f->severity != VERIFY_ERROR || *bad != NULL)
		return;
	snprintf(text, sizeof(text), "verify: %.*s %s uid=%u: %s",
	    STR_ARG(f->mailbox), f->kind, f->uid, f->text);
	*bad = text;
}

static const char *
verify(int rootfd)
{
	static const struct verify_opts deep = { .deep = true };
	struct verify_totals totals = { 0 };
	const char *bad = NULL;

	if (store_verify(rootfd, &deep, unsound, &bad, &totals, NULL) == -1)
		bad = "cannot verify";
	return bad;
}

static const char *
check(void)
{
	static uint8_t seen[MAX_TEXT];
	static char text[200];
	struct account *a;
	struct mailbox *m = open_inbox(&a);
	struct counters c;
	uint32_t i;
	int t, k, rootfd;
	const char *bad = NULL;
	struct message msg;

	for (k = 0; k < 200 && (k < 3 || m->v.mirror_lo <= m->v.mirror_hi); k++)
		sync_box(m);
	view_recount(&m->v, &c);
	if (memcmp(&c, &m->v.c, sizeof(c)) != 0)
		bad = "counters are wrong";
	for (i = 1; i <= mailbox_count(m); i++) {
		mailbox_get(m, i, &msg);
		t = text_at(m, msg.uid);
		if (t < 0)
			bad = "unreadable message";
		else if (seen[t]++ > 0)
			bad = "message twice";
		else if (sh->state[t] == REMOVED)
			bad = "removed message is back";
		else if (sh->state[t] == DELIVERED && sh->uid[t] != msg.uid)
			bad = "UID changed";
		if (view_want_fn(&m->v, m->v.flags[i - 1], m->v.kw[i - 1],
			m->v.fn[i - 1]) != m->v.fn[i - 1])
			bad = "name does not follow";
	}
	for (i = 0; i < sh->next && i < MAX_TEXT; i++)
		if (sh->state[i] == DELIVERED && !seen[i]) {
			snprintf(text, sizeof(text),
			    "message %u (UID %u) is lost", i, sh->uid[i]);
			bad = text;
		}
	mailbox_close(&m);
	account_close(&a);
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	if (bad == NULL)
		bad = verify(rootfd);
	close(rootfd);
	return bad;
}

static int
rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int
main(void)
{
	const char *v = getenv("TMPDIR"), *bad;
	pid_t pids[WORKERS];
	int64_t until;
	uint64_t seed;
	int i, status;
	long kills = 0;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(
	    root, sizeof(root), "%s/quire-kill-XXXXXX", v != NULL ? v : "/tmp");
	if (mkdtemp(root) == NULL)
		return 99;
	v = getenv("QUIRE_SEED");
	seed = v != NULL ? strtoul(v, NULL, 10) : (uint64_t)getpid();
	v = getenv("QUIRE_SECONDS");
	until = date_mono_ms() + 1000 * (v != NULL ? strtol(v, NULL, 10) : 4);
	printf("1..2\n# seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rnd_state = 1234567 ^ seed << 10;
	for (i = 0; i < WORKERS; i++)
		pids[i] = spawn(seed * 1000 + (uint64_t)i);
	while (date_mono_ms() < until) {
		usleep(5000 + rnd(30000));
		i = (int)rnd(WORKERS);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		if (WIFEXITED(status) ||
		    (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)) {
			if (sh->errors++ == 0)
				snprintf(sh->error, sizeof(sh->error),
				    "worker ended with status %d", status);
		}
		pids[i] = spawn(seed * 1000 + 10 + (uint64_t)++kills);
	}
	for (i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	printf("%sok 1 - no operation fails (%u messages, %ld kills)\n",
	    sh->errors == 0 ? "" : "not ", sh->next, kills);
	if (sh->errors > 0)
		printf("# %u errors, first: %s\n", sh->errors, sh->error);
	bad = check();
	printf("%sok 2 - acknowledged changes survive\n",
	    bad == NULL ? "" : "not ");
	if (bad != NULL)
		printf("# %s\n", bad);
	if (getenv("QUIRE_KEEP") == NULL)
		nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
