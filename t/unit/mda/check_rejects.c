/* What of the refused copies goes, and nothing else; and which are known. */
#include "../store/t_store.h"

#include <fcntl.h>
#include <string.h>

#include "../../../src/mda/known.h"
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

static int
expire(int64_t keep_s, uint32_t max, uint64_t octets)
{
	const struct rejects_limits l = { keep_s, max, octets };

	return rejects_expire(box, now, &l, NULL);
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
	ck_assert(expire(14 * DAY, 1000, 1 << 20) == 0);
	ck_assert_str_eq(left(), "2 4 5 ");
	ck_assert(expire(14 * DAY, 1000, 1 << 20) == 0);
	ck_assert_str_eq(left(), "2 4 5 ");
}
END_TEST

START_TEST(by_number)
{
	file(OWN, 3);
	file(REFUSED, 3);
	file(REFUSED, 2);
	file(REFUSED, 1);
	ck_assert(expire(14 * DAY, 4, 1 << 20) == 0);
	ck_assert_str_eq(left(), "1 2 3 4 ");
	ck_assert(expire(14 * DAY, 2, 1 << 20) == 0);
	ck_assert_str_eq(left(), "1 4 ");
	ck_assert(expire(14 * DAY, 0, 1 << 20) == 0);
	ck_assert_str_eq(left(), "1 ");
}
END_TEST

/* --- which are known --- */

static int
message_fd(const char *text)
{
	int fd = openat(t_rootfd, "m", O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert(fd != -1);
	ck_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static struct known_key
key_of(const char *text)
{
	struct known_key key;
	int fd = message_fd(text);

	ck_assert(known_key(fd, strlen(text), &key, NULL) == 0);
	close(fd);
	return key;
}

#define A "Message-ID: (x) <One@x.example>\r\nSubject: a\r\n\r\nb\r\n"

static const struct {
	const char *text;
	bool is_known; /* where A is */
} same[] = {
	{ A, true },
	{ "message-id: <one@X.example>\r\n\r\nsomething else\r\n", true },
	{ "Message-ID: <Two@x.example>\r\nSubject: a\r\n\r\nb\r\n", false },
	{ "Subject: a\r\n\r\nMessage-ID: <One@x.example>\r\n", false },
	{ "Message-ID: nothing\r\n\r\nb\r\n", false },
	{ "Subject: a\r\n\r\nb\r\n", false },
	{ "", false },
};

START_TEST(known)
{
	struct known_key a = key_of(A), key = key_of(same[_i].text);
	struct known k = { 0 };
	struct buf b;

	known_load(&k, box);
	ck_assert(!known_has(&k, &a));
	known_add(&k, &a);
	ck_assert(known_has(&k, &key) == same[_i].is_known);
	known_release(&k);
	/* and as another deliverer reads it */
	buf_init(&b, 4096);
	buf_puts(&b, "X-Quire-Reason: x\r\n");
	known_put_field(&b, &a);
	buf_puts(&b, A);
	file(buf_cstr(&b), 1);
	buf_clear(&b);
	buf_puts(&b, "X-Quire-Reason: x\r\nX-Quire-Rejected: 12 zz\r\n\r\n");
	file(buf_cstr(&b), 1);
	known_load(&k, box);
	ck_assert_uint_eq(k.n, 2);
	ck_assert(known_has(&k, &key) == same[_i].is_known);
	known_release(&k);
	buf_release(&b);
}
END_TEST

/* Without a Message-ID the octets say it. */
START_TEST(known_by_octets)
{
	static const char text[] = "Subject: a\r\n\r\nb\r\n";
	struct known_key a = key_of(text),
			 b = key_of("Subject: a\r\n\r\nc\r\n");
	struct known k = { 0 };
	int fd = message_fd(text);

	known_add(&k, &a);
	ck_assert(!a.has_id);
	ck_assert(known_has(&k, &a));
	ck_assert(!known_has(&k, &b));
	ck_assert(known_key(fd, sizeof(text) + 1, &a, NULL) == -1);
	close(fd);
	known_release(&k);
}
END_TEST

START_TEST(by_size)
{
	file(OWN, 3);
	file(REFUSED, 3);
	file(REFUSED, 2);
	file(REFUSED, 1);
	ck_assert(expire(14 * DAY, 100, 3 * (sizeof(REFUSED) - 1)) == 0);
	ck_assert_str_eq(left(), "1 3 4 ");
	ck_assert(expire(14 * DAY, 100, 1) == 0);
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
	tcase_add_test(t, by_size);
	tcase_add_loop_test(t, known, 0, N(same));
	tcase_add_test(t, known_by_octets);
	suite_add_tcase(s, t);
	return t_run(s);
}
