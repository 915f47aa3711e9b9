/* Which mda has which order. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smtpd.h"

static struct smtpd front;
static int quired;

/* what mda.c calls when an mda is lost or has answered: not here */
void
deliver_free(struct job *j)
{
	mda_drop(j);
}

void
deliver_answered(struct job *j, uint16_t type, int code, struct str enhanced,
    struct str text)
{
	ck_abort_msg("nobody has answered");
}

/* The account that quired is asked for an mda of; "": it is not asked. */
static const char *
asked(void)
{
	static char buf[IPC_MAX], account[64];
	struct ipc_msg m;
	struct msg_start s;

	if (ipc_recv(quired, &m, buf, sizeof(buf), false) != IPC_OK)
		return "";
	ck_assert_uint_eq(m.type, MSG_MDA_START);
	ck_assert(msg_unpack_start(&m, &s));
	str_copy(s.account, account, sizeof(account));
	return account;
}

static void
order(struct job *j, const char *account, uint64_t size)
{
	*j = (struct job){ .front = &front, .fd = -1, .size = size };
	mda_order(&front, j, str_from(account));
}

/* Small messages do not wait for large ones of the same account. */
START_TEST(large_apart)
{
	struct job small, edge, large, more, other;
	int fds[2];

	ck_assert_int_eq(ipc_pair(fds), 0);
	front.base.d.ctl = fds[0];
	quired = fds[1];
	order(&small, "a", 1);
	ck_assert_str_eq(asked(), "a");
	order(&edge, "a", MSG_DELIVER_LARGE);
	ck_assert_str_eq(asked(), "");
	ck_assert_ptr_eq(edge.mda, small.mda);
	order(&large, "a", MSG_DELIVER_LARGE + 1);
	ck_assert_str_eq(asked(), "a");
	ck_assert_ptr_ne(large.mda, small.mda);
	order(&more, "a", 10 * MSG_DELIVER_LARGE);
	ck_assert_str_eq(asked(), "");
	ck_assert_ptr_eq(more.mda, large.mda);
	order(&other, "b", 1);
	ck_assert_str_eq(asked(), "b");
	ck_assert_ptr_ne(other.mda, small.mda);
	/* given again it stays with its kind */
	mda_order(&front, &more, STR("a"));
	ck_assert_ptr_eq(more.mda, large.mda);
	ck_assert_str_eq(asked(), "");
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mda");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_test(t, large_apart);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
