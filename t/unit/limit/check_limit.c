#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/limit/limit.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct limit_addr
addr(const char *text)
{
	struct limit_addr a;

	ck_assert_msg(limit_addr_parse(&a, str_from(text)), "%s", text);
	return a;
}

static struct limit_addr
v4(unsigned n)
{
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", n >> 24, n >> 16 & 255,
	    n >> 8 & 255, n & 255);
	return addr(text);
}

/* Which classes do two addresses share? */
static const struct {
	const char *one, *other;
	bool same[LIMIT_CLASSES];
} nets[] = {
	{ "192.0.2.1", "192.0.2.1", { true, true, true } },
	{ "192.0.2.1", "192.0.2.2", { false, true, true } },
	{ "192.0.2.0", "192.0.2.63", { false, true, true } },
	{ "192.0.2.63", "192.0.2.64", { false, false, true } },
	{ "192.0.0.0", "192.0.7.255", { false, false, true } },
	{ "192.0.7.255", "192.0.8.0", { false, false, false } },
	{ "192.0.2.1", "::ffff:192.0.2.1", { true, true, true } },
	{ "::ffff:192.0.2.1", "::ffff:c000:202", { false, true, true } },
	/* not mapped: IPv6 */
	{ "::192.0.2.1", "192.0.2.1", { false, false, false } },
	{ "::fffe:192.0.2.1", "192.0.2.1", { false, false, false } },
	{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff",
	    { true, true, true } },
	{ "2001:db8:0:0::", "2001:db8:0:1::", { false, true, true } },
	{ "2001:db8:0:ffff::", "2001:db8:1::", { false, false, true } },
	{ "2001:db8:ffff::", "2001:db9::", { false, false, false } },
};

START_TEST(masks)
{
	struct limit *l = limit_new(60, 100, 1);
	struct limit_addr one = addr(nets[_i].one),
			  other = addr(nets[_i].other);
	unsigned class;

	limit_add(l, &one, 0);
	for (class = 0; class < LIMIT_CLASSES; class ++)
		ck_assert_msg(
		    limit_count(l, &other, class, 0) == nets[_i].same[class],
		    "%s %s class %u", nets[_i].one, nets[_i].other, class);
	limit_free(&l);
	ck_assert_ptr_null(l);
}
END_TEST

static const char *const no_addresses[] = { "", "x", "192.0.2", "192.0.2.256",
	"2001:db8::1%eth0", "1:2:3:4:5:6:7:8:9",
	"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000" };

START_TEST(no_address)
{
	struct limit_addr a;

	ck_assert(!limit_addr_parse(&a, str_from(no_addresses[_i])));
}
END_TEST

/* The defaults: how many get in from how many addresses that are so far
 * apart? */
static const struct {
	uint64_t max[LIMIT_CLASSES];
	unsigned step, addresses, each, in;
} numbers[] = {
	{ { 300, 900, 2700 }, 1, 1, 301, 300 },
	{ { 300, 900, 2700 }, 1, 4, 300, 900 },
	{ { 300, 900, 2700 }, 64, 10, 300, 2700 },
	{ { 300, 900, 2700 }, 2048, 10, 300, 3000 },
	{ { 30, 90, 270 }, 1, 1, 40, 30 },
	{ { 30, 90, 270 }, 1, 4, 30, 90 },
	{ { 30, 90, 270 }, 64, 32, 30, 270 },
	{ { 10, 30, 90 }, 1, 1, 11, 10 },
	{ { 10, 30, 90 }, 1, 64, 1, 30 },
	{ { 10, 30, 90 }, 64, 32, 9, 90 },
	{ { 50, 150, 450 }, 1, 1, 60, 50 },
	{ { 50, 150, 450 }, 1, 4, 50, 150 },
	{ { 50, 150, 450 }, 64, 10, 50, 450 },
	/* each may be off by itself */
	{ { 0, 30, 90 }, 1, 1, 31, 30 },
	{ { 10, 0, 90 }, 1, 20, 10, 90 },
	{ { 10, 30, 0 }, 64, 32, 10, 320 },
	{ { 0, 0, 0 }, 1, 1, 5000, 5000 },
};

START_TEST(number)
{
	struct limit *l = limit_new(60, 10000, 7);
	unsigned i, k, in = 0;

	for (i = 0; i < numbers[_i].addresses; i++) {
		struct limit_addr a = v4(0x0a000000 + i * numbers[_i].step);

		for (k = 0; k < numbers[_i].each; k++)
			if (limit_would(l, &a, numbers[_i].max, 59)) {
				limit_add(l, &a, 59);
				in++;
			}
	}
	ck_assert_uint_eq(in, numbers[_i].in);
	limit_free(&l);
}
END_TEST

START_TEST(window_borders)
{
	static const uint64_t max[] = { 1, 0, 0 };
	struct limit *l = limit_new(60, 100, 1);
	struct limit_addr a = addr("192.0.2.1");

	/* aligned to unix time, not to the first event */
	limit_add(l, &a, 1199);
	ck_assert(!limit_would(l, &a, max, 1199));
	ck_assert(limit_would(l, &a, max, 1200));
	limit_add(l, &a, 1200);
	ck_assert(!limit_would(l, &a, max, 1259));
	ck_assert(limit_would(l, &a, max, 1260));
	/* a clock that was set back begins anew as well */
	limit_add(l, &a, 1260);
	ck_assert(limit_would(l, &a, max, 1000));
	limit_free(&l);
}
END_TEST

START_TEST(success_takes_back)
{
	struct limit *l = limit_new(60, 100, 1);
	struct limit_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");
	int i;

	for (i = 0; i < 5; i++)
		limit_add(l, &a, 0);
	for (i = 0; i < 3; i++)
		limit_add(l, &b, 0);
	limit_take_back(l, &a, 0);
	ck_assert_uint_eq(limit_count(l, &a, 0, 0), 0);
	ck_assert_uint_eq(limit_count(l, &b, 0, 0), 3);
	ck_assert_uint_eq(limit_count(l, &a, 1, 0), 3);
	ck_assert_uint_eq(limit_count(l, &a, 2, 0), 3);
	limit_take_back(l, &a, 0); /* nothing to take */
	ck_assert_uint_eq(limit_count(l, &a, 2, 0), 3);
	/* what was taken in an earlier window is not missing in this one */
	limit_add(l, &a, 60);
	limit_take_back(l, &b, 60);
	ck_assert_uint_eq(limit_count(l, &a, 2, 60), 1);
	limit_free(&l);
}
END_TEST

START_TEST(gauge)
{
	static const uint64_t max[] = { 2, 0, 0 };
	struct limit *l = limit_new(0, LIMIT_MAX_GAUGE, 1);
	struct limit_addr a = addr("2001:db8::1");
	unsigned i;

	limit_add(l, &a, 0);
	limit_add(l, &a, 1000000);
	ck_assert(!limit_would(l, &a, max, 2000000));
	limit_drop(l, &a);
	ck_assert(limit_would(l, &a, max, 2000000));
	limit_drop(l, &a);
	limit_drop(l, &a); /* one too many harms nobody */
	ck_assert_uint_eq(limit_count(l, &a, 0, 0), 0);
	/* ten thousand come and go, in another order */
	for (i = 0; i < 10000; i++)
		a = v4(i * 64), limit_add(l, &a, 0);
	for (i = 0; i < 10000; i++)
		a = v4(i * 7 % 10000 * 64), limit_drop(l, &a);
	for (i = 0; i < 10000; i++) {
		a = v4(i * 64);
		ck_assert_uint_eq(limit_count(l, &a, 2, 0), 0);
	}
	limit_free(&l);
}
END_TEST

/* A full gauge refuses; what is in it is counted down properly. */
START_TEST(gauge_full)
{
	static const uint64_t off[LIMIT_CLASSES] = { 0 };
	struct limit *l = limit_new(0, 8, 1);
	struct limit_addr a = addr("192.0.2.1"), b = addr("198.51.100.1"),
			  c = addr("203.0.113.1");

	limit_add(l, &a, 0);
	limit_add(l, &b, 0);
	ck_assert(!limit_would(l, &c, off, 0));
	limit_drop(l, &a);
	ck_assert(limit_would(l, &c, off, 0));
	limit_add(l, &c, 0);
	ck_assert_uint_eq(limit_count(l, &b, 0, 0), 1);
	ck_assert_uint_eq(limit_count(l, &c, 2, 0), 1);
	limit_free(&l);
}
END_TEST

/* An attacker at its limit fills the table with others to be forgotten. */
START_TEST(eviction_is_no_escape)
{
	static const uint64_t max[] = { 10, 30, 90 };
	struct limit *l = limit_new(60, 64, (uint64_t)_i);
	struct limit_addr me = addr("192.0.2.1"), other;
	unsigned i;

	for (i = 0; i < 10; i++)
		limit_add(l, &me, 0);
	for (i = 0; i < 2000; i++) {
		ck_assert_msg(!limit_would(l, &me, max, 0), "after %u", i);
		other = v4(0x0a000000 + i * 2048);
		limit_add(l, &other, 0);
	}
	/* a success gives back what was seen, not what is assumed */
	for (i = 0; i < 3; i++)
		limit_take_back(l, &me, 0);
	other = addr("203.0.113.7");
	i = limit_count(l, &other, 0, 0);
	ck_assert_uint_gt(i, 1);
	limit_add(l, &other, 0);
	limit_take_back(l, &other, 0);
	ck_assert_uint_ge(limit_count(l, &other, 0, 0), i);
	/* and with the window all is forgiven */
	ck_assert_uint_eq(limit_count(l, &other, 0, 60), 0);
	ck_assert(limit_would(l, &me, max, 60));
	limit_free(&l);
}
END_TEST

/* Against counting everything: never below the truth, whatever the table. */
START_TEST(never_too_low)
{
	static uint32_t truth[64][LIMIT_CLASSES];
	struct limit *l = limit_new(60, (uint32_t)(8 + _i * 16), 3);
	unsigned i, class, x = 12345;

	for (i = 0; i < 64 * LIMIT_CLASSES; i++)
		truth[i / LIMIT_CLASSES][i % LIMIT_CLASSES] = 0;
	for (i = 0; i < 5000; i++) {
		struct limit_addr a;
		unsigned k;

		x = x * 1103515245 + 12345;
		k = x >> 16 & 63;
		k &= x >> 24; /* some come more often */
		a = v4(0xc6336400 + k * 2048);
		limit_add(l, &a, 0);
		for (class = 0; class < LIMIT_CLASSES; class ++) {
			truth[k][class]++;
			ck_assert_uint_ge(
			    limit_count(l, &a, class, 0), truth[k][class]);
		}
	}
	limit_free(&l);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("limit");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, masks, 0, N(nets));
	tcase_add_loop_test(t, no_address, 0, N(no_addresses));
	tcase_add_loop_test(t, number, 0, N(numbers));
	tcase_add_test(t, window_borders);
	tcase_add_test(t, success_takes_back);
	tcase_add_test(t, gauge);
	tcase_add_test(t, gauge_full);
	tcase_add_loop_test(t, eviction_is_no_escape, 0, 20);
	tcase_add_loop_test(t, never_too_low, 0, 8);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
