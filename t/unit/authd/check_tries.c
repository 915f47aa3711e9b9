/* Which failed logins are counted, and what a success forgives. */
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../../src/authd/authd.h"

static struct authd *a;
static struct config config;

static void
setup(void)
{
	ck_assert(sodium_init() != -1);
	a = calloc(1, sizeof(*a));
	ck_assert_ptr_nonnull(a);
	config = (struct config){ .limits.failed_logins_day = { 2, 0, 0 } };
	a->config = &config;
	randombytes_buf(a->cache_key, sizeof(a->cache_key));
	tries_init(a);
	/* the windows are days: none ends under the test */
	if (time(NULL) % 86400 > 86390)
		sleep(11);
}

static void
teardown(void)
{
	limit_free(&a->per_minute);
	limit_free(&a->per_day);
	free(a);
}

static struct exchange
from(const char *ip, const char *account)
{
	struct exchange x = { .is_counted = true };

	ck_assert(limit_addr_parse(&x.addr, str_from(ip)));
	str_copy(str_from(ip), x.remote, sizeof(x.remote));
	str_copy(str_from(account), x.account, sizeof(x.account));
	return x;
}

/* true: it was counted */
static bool
wrong(const char *ip, const char *account, const char *password)
{
	struct exchange x = from(ip, account);

	tries_password(a, &x, str_from(password));
	return tries_failed(a, &x);
}

static void
right(const char *ip, const char *account, const char *password)
{
	struct exchange x = from(ip, account);

	tries_password(a, &x, str_from(password));
	tries_succeeded(a, &x);
}

static bool
left(const char *ip)
{
	struct exchange x = from(ip, "");

	return tries_left(a, &x);
}

#define IP    "192.0.2.1"
#define OTHER "198.51.100.1"

START_TEST(counted)
{
	struct exchange x = from(IP, "me");

	ck_assert(left(IP));
	ck_assert(wrong(IP, "me", "a"));
	ck_assert(left(IP));
	ck_assert(wrong(IP, "", "b")); /* nobody's name counts as well */
	ck_assert(!left(IP));
	ck_assert(left(OTHER));
	x.is_counted = false; /* a listener without limits */
	ck_assert(tries_left(a, &x));
	ck_assert(!tries_failed(a, &x));
}
END_TEST

START_TEST(minute_and_day)
{
	config.limits.failed_logins_day[0] = 0;
	config.limits.failed_logins_minute[0] = 1;
	if (time(NULL) % 60 > 55)
		sleep(6);
	ck_assert(wrong(IP, "me", "a"));
	ck_assert(!left(IP));
	config.limits.failed_logins_minute[0] = 0;
	ck_assert(left(IP));
	config.limits.failed_logins_day[1] = 1; /* its neighbourhood */
	ck_assert(!left("192.0.2.2"));
}
END_TEST

START_TEST(forgiven)
{
	ck_assert(wrong(IP, "me", "a"));
	right(IP, "me", "good");
	ck_assert(wrong(IP, "me", "b"));
	ck_assert(left(IP));
	ck_assert(wrong(IP, "me", "c"));
	ck_assert(!left(IP));
	right(OTHER, "me", "good"); /* of its own address only */
	ck_assert(!left(IP));
}
END_TEST

/* A device that was not told of the new password is not locked out. */
START_TEST(stale)
{
	right(IP, "me", "old");
	ck_assert(!wrong(IP, "me", "old"));
	ck_assert(wrong(IP, "me", "older"));
	ck_assert(wrong(IP, "you", "old"));
	ck_assert(wrong(OTHER, "me", "old"));
	/* not for ever */
	for (unsigned i = 0; i < DEVICE_SLOTS; i++)
		a->devices[i].until = 0;
	ck_assert(wrong(IP, "me", "old"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("tries");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, counted);
	tcase_add_test(t, minute_and_day);
	tcase_add_test(t, forgiven);
	tcase_add_test(t, stale);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
