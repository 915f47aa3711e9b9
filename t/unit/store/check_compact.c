/*
 * The account's journal is written anew when it has grown: nothing of the
 * tree is lost, whoever else has it open, wherever it stops.
 */
#include "t_store.h"

#include <errno.h>
#include <sys/wait.h>

static struct account *acc;

static void
setup(void)
{
	struct mailbox *m;

	t_setup();
	acc = t_account();
	m = t_mailbox(acc, "INBOX");
	mailbox_close(&m);
}

static void
teardown(void)
{
	account_close(&acc);
	store_step = NULL;
	store_tree_min = 256 * 1024;
	t_teardown();
}

/* All that the journal says, as text. */
static char *
tree_text(struct account *a)
{
	const struct mailbox_info *v;
	struct buf b;
	size_t n, i, k;
	char *text;

	ck_assert_int_eq(account_refresh(a, NULL), 0);
	n = account_list(a, &v);
	buf_init(&b, 1 << 20);
	for (i = 0; i < n; i++) {
		buf_printf(&b, "%.*s %x %d %d ", STR_ARG(v[i].name), v[i].use,
		    v[i].is_subscribed, v[i].exists);
		for (k = 0; k < 16; k++)
			buf_printf(&b, "%02x", v[i].mailboxid[k]);
		buf_puts(&b, "\n");
	}
	text = str_dup(buf_str(&b));
	buf_release(&b);
	return text;
}

static off_t
size(void)
{
	return (off_t)acc->j.end;
}

static void
grow(struct account *a, int n)
{
	int i;

	for (i = 0; i < n; i++)
		ck_assert_int_eq(
		    account_subscribe(a, STR("x"), i % 2 == 0, NULL), 0);
}

static void
some_tree(void)
{
	ck_assert_int_eq(
	    account_create(acc, STR("a/b"), USE_ALL, NULL), ACCOUNT_BADUSE);
	ck_assert_int_eq(account_create(acc, STR("a/b"), 0, NULL), 0);
	ck_assert_int_eq(account_rename(acc, STR("Sent"), STR("S"), NULL), 0);
	ck_assert_int_eq(account_delete(acc, STR("Archive"), NULL), 0);
	ck_assert_int_eq(account_subscribe(acc, STR("Junk"), false, NULL), 0);
	ck_assert_int_eq(account_subscribe(acc, STR("none"), true, NULL), 0);
}

START_TEST(shrinks)
{
	struct account *other = t_account();
	char *was, *is;
	uint32_t last;
	off_t big;

	some_tree();
	grow(acc, 40);
	was = tree_text(acc);
	/* one that is gone had the highest */
	ck_assert_int_eq(account_create(acc, STR("gone"), 0, NULL), 0);
	last = acc->tree.uidvalidity;
	ck_assert_int_eq(account_delete(acc, STR("gone"), NULL), 0);
	ck_assert_int_eq(account_subscribe(acc, STR("gone"), false, NULL), 0);
	big = size();
	account_close(&acc);
	acc = t_account();
	ck_assert_int_ge(size(), big); /* below the bound it stays */
	store_tree_min = 1000;
	account_close(&acc);
	acc = t_account();
	ck_assert_int_lt(size(), big / 2);
	ck_assert_uint_eq(acc->tree.uidvalidity, last);
	is = tree_text(acc);
	ck_assert_str_eq(was, is);
	free(is);
	/* not again at once */
	big = size();
	account_close(&acc);
	acc = t_account();
	ck_assert_int_eq(size(), big);
	/* who had the old one open */
	is = tree_text(other);
	ck_assert_str_eq(was, is);
	free(is);
	ck_assert_int_eq(account_create(other, STR("new"), 0, NULL), 0);
	ck_assert_uint_gt(other->tree.uidvalidity, last);
	ck_assert_int_eq(account_refresh(acc, NULL), 0);
	ck_assert_ptr_nonnull(account_find(acc, STR("new")));
	free(was);
	account_close(&other);
	t_verify();
}
END_TEST

/* Three processes at it, each with a bound that is always passed. */
START_TEST(several)
{
	pid_t pid[3];
	char name[32];
	int k, i, status;

	store_tree_min = 400;
	fflush(stdout);
	for (k = 0; k < 3; k++)
		if ((pid[k] = fork()) == 0) {
			struct account *a = t_account();

			for (i = 0; i < 60; i++) {
				snprintf(name, sizeof(name), "s%d-%d", k, i);
				if (account_subscribe(
					a, str_from(name), true, NULL) != 0)
					_exit(1);
				grow(a, 8);
				if (account_lock(a, NULL) == -1)
					_exit(2);
				compact_if_due(a);
				account_unlock(a);
			}
			account_close(&a);
			_exit(0);
		}
	for (k = 0; k < 3; k++) {
		waitpid(pid[k], &status, 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(account_refresh(acc, NULL), 0);
	ck_assert_uint_gt(acc->j.gen, 10);
	for (k = 0; k < 3; k++)
		for (i = 0; i < 60; i++) {
			snprintf(name, sizeof(name), "s%d-%d", k, i);
			ck_assert(
			    tree_is_subscribed(&acc->tree, str_from(name)));
		}
	t_verify();
}
END_TEST

static int step_no, stop_at, fail_with;

static int
hook(const char *call)
{
	(void)call;
	if (++step_no != stop_at)
		return 0;
	if (fail_with == 0)
		_exit(77);
	return fail_with;
}

/* Stopped, or failing, at each call. */
START_TEST(stops)
{
	char *was, *is;
	int status = -1;

	some_tree();
	fail_with = _i;
	for (stop_at = 1; status != 0; stop_at++) {
		store_tree_min = 256 * 1024;
		grow(acc, 40);
		was = tree_text(acc);
		account_close(&acc);
		fflush(stdout);
		if (fork() == 0) {
			acc = t_account();
			ck_assert_int_eq(account_lock(acc, NULL), 0);
			store_tree_min = 1000;
			store_step = hook;
			compact_if_due(acc);
			store_step = NULL;
			/* what failed must not be in the way */
			grow(acc, 2);
			is = tree_text(acc);
			_exit(strcmp(is, was) != 0 ? 1 :
			      step_no >= stop_at   ? 77 :
						     0);
		}
		wait(&status);
		ck_assert(WIFEXITED(status));
		status = WEXITSTATUS(status);
		ck_assert_msg(status == 0 || status == 77, "step %d: %d",
		    stop_at, status);
		acc = t_account();
		is = tree_text(acc);
		ck_assert_str_eq(was, is);
		free(is);
		free(was);
		t_verify();
	}
	ck_assert_int_gt(stop_at, 6);
}
END_TEST

START_TEST(lost)
{
	char *was, *is;

	some_tree();
	grow(acc, 40);
	store_tree_min = 1000;
	account_close(&acc);
	acc = t_account();
	was = tree_text(acc);
	account_close(&acc);
	t_sh("rm quire/acct/journal && mkdir -p .later/cur .later/new");
	if (_i == 1)
		t_sh("rm quire/acct/pub");
	acc = t_account();
	ck_assert_ptr_nonnull(account_find(acc, STR("later")));
	ck_assert_int_eq(account_delete(acc, STR("later"), NULL), 0);
	is = tree_text(acc);
	ck_assert_str_eq(was, is);
	free(is);
	free(was);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("compact");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, shrinks);
	tcase_add_test(t, several);
	tcase_add_loop_test(t, lost, 0, 2);
	tcase_add_test(t, stops);
	tcase_add_loop_test(t, stops, ENOSPC, ENOSPC + 1);
	tcase_add_loop_test(t, stops, EIO, EIO + 1);
	suite_add_tcase(s, t);
	return t_run(s);
}
