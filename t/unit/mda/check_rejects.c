/* What of the refused copies goes, and that nothing else does. */
#include "../store/t_store.h"

#include "../../../src/mda/rejects.h"

#define DAY 86400
static const int64_t now = 1700000000;

static struct account *acc;
static struct mailbox *box;

static void
setup(void)
{
	const struct account_opts o = { .hostname = "h" };

	t_setup();
	ck_assert(account_open(&acc, t_rootfd, &o, NULL) == 0);
	ck_assert(account_create(acc, STR("Rejects"), 0, NULL) == ACCOUNT_OK);
	ck_assert(account_open_mailbox(
		      acc, STR("Rejects"), false, &box, NULL) == ACCOUNT_OK);
}

static void
teardown(void)
{
	mailbox_close(&box);
	account_close(&acc);
	t_teardown();
}

static void
file(const char *text, int days)
{
	const struct incoming_opts o = { .flags = FLAG_SEEN,
		.has_date = true,
		.internaldate = now - days * DAY };
	struct incoming *in;
	uint32_t uid;

	ck_assert(incoming_new(&in, box, &o, NULL) == 0);
	ck_assert(incoming_write(in, str_from(text), NULL) == 0);
	ck_assert(incoming_sync(in, NULL) == 0);
	ck_assert(mailbox_commit(box, &in, 1, &uid, NULL) == 0);
	incoming_free(&in);
}

/* UIDs that are left, as text */
static const char *
left(void)
{
	static struct buf b;
	struct mailbox_changes ch = { 0 };
	struct message m;
	uint32_t i;

	if (b.max == 0)
		buf_init(&b, 1000);
	buf_clear(&b);
	ck_assert(mailbox_sync(box, true, &ch, NULL) == 0);
	mailbox_changes_release(&ch);
	for (i = 1; i <= mailbox_count(box); i++) {
		mailbox_get(box, i, &m);
		buf_printf(&b, "%u ", m.uid);
	}
	return buf_cstr(&b);
}

#define REFUSED "X-Quire-Reason: mail-loop; x\r\nSubject: a\r\n\r\nb\r\n"
#define OWN	"Subject: X-Quire-Reason: \r\n\r\nb\r\n"

START_TEST(by_age)
{
	file(REFUSED, 20); /* 1 */
	file(OWN, 20);
	file(REFUSED, 15);
	file(REFUSED, 13);
	file("", 20);
	ck_assert(rejects_expire(box, now, 14 * DAY, 1000, NULL) == 0);
	ck_assert_str_eq(left(), "2 4 5 ");
	ck_assert(rejects_expire(box, now, 14 * DAY, 1000, NULL) == 0);
	ck_assert_str_eq(left(), "2 4 5 ");
}
END_TEST

START_TEST(by_number)
{
	file(OWN, 3);
	file(REFUSED, 3);
	file(REFUSED, 2);
	file(REFUSED, 1);
	ck_assert(rejects_expire(box, now, 14 * DAY, 4, NULL) == 0);
	ck_assert_str_eq(left(), "1 2 3 4 ");
	ck_assert(rejects_expire(box, now, 14 * DAY, 2, NULL) == 0);
	ck_assert_str_eq(left(), "1 4 ");
	ck_assert(rejects_expire(box, now, 14 * DAY, 0, NULL) == 0);
	ck_assert_str_eq(left(), "1 ");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rejects");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, by_age);
	tcase_add_test(t, by_number);
	suite_add_tcase(s, t);
	return t_run(s);
}
