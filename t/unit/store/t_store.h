/*
 * t_store - what the store's tests share: an account in a fresh directory,
 * and short forms of the common calls.
 */
#ifndef T_STORE_H
#define T_STORE_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/incoming.h"
#include "service/store/store_int.h"
#include "service/store/verify.h"
#include "system/fs/fs.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static char t_base[200], t_root[256]; /* the base outlives failed tests */
static int t_rootfd = -1;

static int
t_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void
t_teardown(void)
{
	if (t_rootfd != -1)
		close(t_rootfd);
	t_rootfd = -1;
	if (t_root[0] != '\0')
		nftw(t_root, t_rm, 16, FTW_DEPTH | FTW_PHYS);
	t_root[0] = '\0';
}

static inline void
t_setup(void)
{
	snprintf(t_root, sizeof(t_root), "%s/XXXXXX", t_base);
	ck_assert_ptr_nonnull(mkdtemp(t_root));
	t_rootfd = open(t_root, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(t_rootfd, -1);
}

/* A test as a case of its own, so that CK_RUN_CASE plays it alone
 * (t/crash/mutants.sh). */
#define t_case(suite, name, times) t_add_case(suite, name, #name, times)
static inline void
t_add_case(Suite *s, const TTest *test, const char *name, int times)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, test, 0, times);
	tcase_set_timeout(t, getenv("QUIRE_STRIDE") != NULL ? 3600 : 60);
	suite_add_tcase(s, t);
}

/* The end of every main(). */
static inline int
t_run(Suite *s)
{
	const char *tmp = getenv("TMPDIR");
	SRunner *r = srunner_create(s);

	snprintf(t_base, sizeof(t_base), "%s/quire-store-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(t_base) == NULL)
		return 99;
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	nftw(t_base, t_rm, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* Where a journal ends: behind it there are zeros. Lengths of transactions
 * are multiples of 8, and their last eight octets are not zero. */
static inline size_t
t_journal_end(const char *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return (n + 7) / 8 * 8;
}

static inline void
t_log(int level, const char *event, const char *text)
{
	if (getenv("QUIRE_VERBOSE") != NULL)
		printf("# %d %s: %s\n", level, event, text), fflush(stdout);
}

static inline struct account *
t_account(void)
{
	struct account_opts o = { .hostname = "mx.example", .log = t_log };
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, t_rootfd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	return a;
}

static inline struct mailbox *
t_mailbox(struct account *a, const char *name)
{
	struct mailbox *m = NULL;
	struct err e = { 0 };
	enum account_result r;

	r = account_open_mailbox(a, str_from(name), false, &m, &e);
	if (r != ACCOUNT_OK)
		ck_abort_msg("open %s: %d %s", name, (int)r, e.text);
	return m;
}

/* File a message; its UID, 0 if the store refused. */
static inline uint32_t
t_add_opts(struct mailbox *m, struct str text, const struct incoming_opts *o)
{
	struct incoming *in;
	struct err e = { 0 };
	uint32_t uid = 0;

	if (incoming_new(&in, m, o, &e) == -1)
		return 0;
	if (incoming_write(in, text, &e) == -1 || incoming_sync(in, &e) == -1 ||
	    mailbox_commit(m, &in, 1, &uid, &e) == -1)
		uid = 0;
	incoming_free(&in);
	return uid;
}

static inline uint32_t
t_add(struct mailbox *m, const char *text, uint16_t flags)
{
	struct incoming_opts o = { .flags = flags };

	return t_add_opts(m, str_from(text), &o);
}

static inline void
t_sync(struct mailbox *m, struct mailbox_changes *ch)
{
	struct mailbox_changes mine = { 0 };
	struct err e = { 0 };

	if (mailbox_sync(m, true, ch == NULL ? &mine : ch, &e) == -1)
		ck_abort_msg("sync: %s", e.text);
	mailbox_changes_release(&mine);
	mailbox_tidy(m);
}

static inline int
t_store(struct mailbox *m, uint32_t lo, uint32_t hi, int how, uint16_t flags)
{
	struct flag_change fc = { .how = how, .flags = flags };
	struct ranges r;
	int rc;

	ranges_init(&r, 4);
	ranges_add(&r, lo, hi);
	rc = mailbox_store(m, &r, &fc, NULL, NULL, NULL);
	mailbox_tidy(m);
	ranges_release(&r);
	return rc;
}

static inline int
t_remove(struct mailbox *m, uint32_t lo, uint32_t hi)
{
	struct ranges r;
	int rc;

	ranges_init(&r, 4);
	ranges_add(&r, lo, hi);
	rc = mailbox_remove(m, &r, NULL);
	ranges_release(&r);
	return rc;
}

/* The whole text of a message as served; NUL-ended, to be freed. */
static inline char *
t_text(struct mailbox *m, uint32_t uid)
{
	struct msgfile *f;
	struct err e = { 0 };
	char *p;
	uint64_t n;

	if (mailbox_open_message(m, uid, &f, &e) == -1)
		return NULL;
	n = msgfile_size(f);
	p = xmalloc((size_t)n + 1);
	ck_assert_int_eq(msgfile_read(f, 0, p, (size_t)n + 1, &e), (ssize_t)n);
	p[n] = '\0';
	msgfile_free(&f);
	return p;
}

/* quire verify --deep has no error to tell. */
static inline void
t_no_error(void *arg, const struct verify_finding *f)
{
	(void)arg;
	ck_assert_msg(f->severity != VERIFY_ERROR, "%.*s %s uid=%u file=%s: %s",
	    STR_ARG(f->mailbox), f->kind, f->uid,
	    f->file == NULL ? "" : f->file, f->text);
}

static inline void
t_verify(void)
{
	struct verify_opts o = { .deep = true };
	struct verify_totals t = { 0 };
	struct err e = { 0 };

	if (store_verify(t_rootfd, &o, t_no_error, NULL, &t, &e) == -1)
		ck_abort_msg("verify: %s", e.text);
}

/* Run a shell command inside the account's directory. */
static inline void
t_sh(const char *cmd)
{
	char *full = xasprintf("cd '%s' && %s", t_root, cmd);

	ck_assert_int_eq(system(full), 0);
	free(full);
}

#endif
