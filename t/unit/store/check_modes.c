/* Owner, group, mode and ACL of what the store makes. */
#include "t_store.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

/* Everything a session makes, in a root of that mode. */
static void
use(mode_t root)
{
	struct account *a;
	struct mailbox *m;
	struct err e;

	ck_assert_int_eq(fchmod(t_rootfd, root), 0);
	a = t_account();
	ck_assert_int_eq(account_create(a, STR("A/b"), 0, &e), ACCOUNT_OK);
	m = t_mailbox(a, "A/b");
	t_add(m, hello, 0);
	t_add(m, hello, FLAG_SEEN);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	ck_assert_int_eq(t_remove(m, 2, 2), 0);
	t_sync(m, NULL);
	mailbox_close(&m);
	account_close(&a);
}

static const struct {
	mode_t root;
	const char *files, *dirs; /* what all of them have */
} rows[] = {
	{ 0700, "0600", "0700" },
	/* what an umask left */
	{ 0755, "0600", "0700" },
	{ 0750, "0640", "0750" },
	{ 0770, "0660", "0770" },
	{ 02770, "0660", "2770" },
	{ 02750, "0640", "2750" },
	/* never for all others */
	{ 0777, "0660", "0770" },
	{ 02775, "0660", "2770" },
};

START_TEST(modes)
{
	char cmd[200];

	use(rows[_i].root);
	t_sh("test $(find . -type f | wc -l) -gt 10");
	snprintf(cmd, sizeof(cmd), "find . -type f ! -perm %s -ls | (! grep .)",
	    rows[_i].files);
	t_sh(cmd);
	snprintf(cmd, sizeof(cmd),
	    "find . -mindepth 1 -type d ! -perm %s -ls | (! grep .)",
	    rows[_i].dirs);
	t_sh(cmd);
}
END_TEST

/* A link would keep those out who share the target. */
START_TEST(copy_to_shared)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *to = NULL;
	struct copy_result r;
	struct ranges all;
	struct err e;

	t_add(m, hello, 0);
	t_sync(m, NULL);
	t_sh("mkdir -p .Team/cur .Team/new .Team/tmp && "
	     "chmod 0770 .Team .Team/*");
	ck_assert_int_eq(account_refresh(a, &e), 0);
	to = t_mailbox(a, "Team");
	ranges_init(&all, 1);
	ranges_add(&all, 1, 1);
	ck_assert_int_eq(mailbox_copy(m, to, &all, &r, &e), 0);
	copy_result_release(&r);
	ck_assert_int_eq(mailbox_copy(m, m, &all, &r, &e), 0);
	copy_result_release(&r);
	ranges_release(&all);
	t_sh("test $(stat -c %a .Team/cur/*) = 660 && "
	     "test $(find cur -type f -perm 0600 -links 2 | wc -l) = 2");
	mailbox_close(&m);
	mailbox_close(&to);
	account_close(&a);
	t_verify();
}
END_TEST

/* A group we are not: setgid carries it, and nothing is given to our own. */
START_TEST(other_group)
{
	bool setgid = _i == 1;

	if (geteuid() != 0)
		return; /* only root has a group to give */
	ck_assert_int_eq(fchown(t_rootfd, (uid_t)-1, 4242), 0);
	use(setgid ? 02770 : 0770);
	if (setgid)
		t_sh("find . ! -group 4242 -o -type f ! -perm 0660 | "
		     "(! grep .)");
	else
		t_sh("find . -mindepth 1 -perm /077 | (! grep .)");
}
END_TEST

/* user::rwx user:4242:rwx group::--- mask::rwx other::--- */
START_TEST(default_acl)
{
	static const unsigned char acl[] = { 2, 0, 0, 0, 0x01, 0, 7, 0, 0xff,
		0xff, 0xff, 0xff, 0x02, 0, 7, 0, 0x92, 0x10, 0, 0, 0x04, 0, 0,
		0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 7, 0, 0xff, 0xff, 0xff,
		0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	struct stat st;
	char got[200];

	if (fsetxattr(t_rootfd, "system.posix_acl_default", acl, sizeof(acl),
		0) == -1) {
		ck_assert_int_eq(errno, EOPNOTSUPP);
		return;
	}
	use(0700);
	/* the group's bits are the mask: the entries count */
	t_sh("find . -type f ! -perm 0660 -ls | (! grep .)");
	ck_assert_int_eq(
	    fstatat(t_rootfd, ".A.b/cur", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0770);
	ck_assert_int_eq(fchdir(t_rootfd), 0);
	ck_assert_int_eq(getxattr(".A.b/quire/journal",
			     "system.posix_acl_access", got, sizeof(got)),
	    (ssize_t)sizeof(acl));
	ck_assert_int_eq(got[20], acl[20]); /* user 4242 */
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("modes");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, modes, 0, (int)N(rows));
	tcase_add_test(t, copy_to_shared);
	tcase_add_loop_test(t, other_group, 0, 2);
	tcase_add_test(t, default_acl);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
