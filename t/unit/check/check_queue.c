/* Whose question is next when there are more than processes begin. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../src/check/pool.h"

static struct pool pool;
static int null;

static void
setup(void)
{
	unsigned i;

	memset(&pool, 0, sizeof(pool));
	for (i = 0; i < POOL_WAITING; i++)
		pool.waiting[i].chan = -1;
	pool.clients =
	    limit_new(0, LIMIT_CLASSES * (POOL_MAX + POOL_WAITING), 1);
	null = open("/dev/null", O_RDWR);
}

static void
teardown(void)
{
	struct pool_waiting *w;

	while ((w = queue_next(&pool)) != NULL)
		queue_take(&pool, w);
	limit_free(&pool.clients);
	close(null);
}

static struct limit_addr
addr(const char *ip)
{
	struct limit_addr a;

	ck_assert(limit_addr_parse(&a, str_from(ip)));
	return a;
}

static bool
put(const char *ip, uint32_t id)
{
	struct ipc_msg m = { .id = id, .nfds = 1, .fds = { dup(null) } };
	struct limit_addr a = addr(ip);
	char body[] = "body";
	bool ok;

	cur_init(&m.body, str_make(body, 4));
	if ((ok = queue_put(&pool, null, &m, &a)))
		limit_add(pool.clients, &a, 0);
	ck_assert_uint_eq(m.nfds, ok ? 0 : 1); /* taken, or the caller's */
	ipc_close_fds(&m);
	memset(body, 'x', 4); /* it is the caller's */
	return ok;
}

/* The id of the next; 0: none. Its question goes on, or is over. */
static uint32_t
next(bool is_over)
{
	struct pool_waiting *w = queue_next(&pool);
	uint32_t id;

	if (w == NULL)
		return 0;
	id = w->msg.id;
	ck_assert(str_eq(cur_rest(&w->msg.body), STR("body")));
	ck_assert_uint_eq(w->msg.nfds, 1);
	if (is_over)
		limit_drop(pool.clients, &w->remote);
	queue_take(&pool, w);
	return id;
}

START_TEST(in_order)
{
	uint32_t i;

	ck_assert_uint_eq(next(true), 0);
	for (i = 1; i <= 10; i++)
		ck_assert(put("192.0.2.1", i));
	ck_assert_uint_eq(pool.n_waiting, 10);
	for (i = 1; i <= 10; i++)
		ck_assert_uint_eq(next(true), i);
	ck_assert_uint_eq(next(true), 0);
	ck_assert_uint_eq(pool.n_waiting, 0);
}
END_TEST

/* One of a network that asks for little goes before a hundred of another,
 * whether these wait or are under way. */
START_TEST(few_first)
{
	uint32_t i;

	for (i = 1; i <= 100; i++)
		ck_assert(put(i % 2 ? "10.0.0.1" : "10.0.7.254", i));
	for (i = 1; i <= 10; i++)
		ck_assert_uint_eq(next(false), i);
	ck_assert(put("192.0.2.1", 1000));
	ck_assert(put("10.0.0.1", 101));
	ck_assert(put("2001:db8::1", 1001));
	ck_assert(put("192.0.2.9", 1002)); /* two of one network */
	ck_assert_uint_eq(next(false), 1001);
	ck_assert_uint_eq(next(false), 1000);
	ck_assert_uint_eq(next(false), 1002);
	ck_assert_uint_eq(next(false), 11);
}
END_TEST

START_TEST(bounded)
{
	uint32_t i;

	for (i = 0; i < POOL_WAITING; i++)
		ck_assert(put("10.0.0.1", i + 1));
	ck_assert(!put("192.0.2.1", 1000));
	ck_assert_uint_eq(next(true), 1);
	ck_assert(put("192.0.2.1", 1001));
	ck_assert_uint_eq(next(true), 1001);
}
END_TEST

/* n questions of one network are under way or wait, here the last of them. */
static void
many(unsigned n)
{
	struct limit_addr a;
	char ip[32];
	unsigned i;

	for (i = 1; i < n; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		a = addr(ip);
		limit_add(pool.clients, &a, 0);
	}
	ck_assert(put("192.0.2.200", n));
}

/* A crowd's begin one by one; others do while it does. */
START_TEST(crowd)
{
	struct pool_waiting *w;

	many(POOL_CROWD);
	w = queue_next(&pool);
	pool.n_young = POOL_YOUNG - 1;
	ck_assert(!queue_is_crowd(&pool, w));
	ck_assert(queue_may_begin(&pool, w));
	pool.n_young = POOL_YOUNG;
	ck_assert(!queue_may_begin(&pool, w));
	ck_assert(put("192.0.2.201", POOL_CROWD + 1));
	ck_assert(queue_is_crowd(&pool, w));
	pool.n_young = 1;
	ck_assert(!queue_may_begin(&pool, w));
	ck_assert(put("198.51.100.1", 99));
	ck_assert_uint_eq(queue_next(&pool)->msg.id, 99);
	ck_assert(!queue_is_crowd(&pool, queue_next(&pool)));
	ck_assert(queue_may_begin(&pool, queue_next(&pool)));
	pool.n_young = 0;
	ck_assert(queue_may_begin(&pool, w));
}
END_TEST

/* It leaves places for others: the last ones are not for a crowd. */
START_TEST(last_places)
{
	many(POOL_CROWD + 1);
	ck_assert(put("198.51.100.1", 99));
	pool.n_busy = POOL_CHILDREN - POOL_IDLE_MAX;
	ck_assert(queue_may_begin(&pool, queue_next(&pool)));
	queue_take(&pool, queue_next(&pool));
	ck_assert(!queue_may_begin(&pool, queue_next(&pool)));
	pool.n_busy--;
	ck_assert(queue_may_begin(&pool, queue_next(&pool)));
}
END_TEST

START_TEST(spare)
{
	ck_assert(!queue_wants_spare(&pool)); /* nothing is asked */
	pool.n_busy = 1;
	ck_assert(queue_wants_spare(&pool));
	pool.n_young = 1; /* whoever begins may be the one */
	ck_assert(!queue_wants_spare(&pool));
	pool.n_young = 0;
	pool.n_idle = 1;
	ck_assert(!queue_wants_spare(&pool));
	pool.n_idle = 0;
	pool.n_busy = POOL_MAX;
	ck_assert(!queue_wants_spare(&pool));
	pool.n_busy = 1;
	ck_assert(put("192.0.2.1", 1)); /* a question is first */
	ck_assert(!queue_wants_spare(&pool));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("queue");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, in_order);
	tcase_add_test(t, few_first);
	tcase_add_test(t, bounded);
	tcase_add_test(t, crowd);
	tcase_add_test(t, last_places);
	tcase_add_test(t, spare);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
