/* Which question gives way when every place is taken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/check/pool.h"

#define N(a)  (int)(sizeof(a) / sizeof((a)[0]))
#define NOW   1000000
#define OLD   (NOW - POOL_FAIR_MS)
#define YOUNG (NOW - POOL_FAIR_MS + 1)

static struct pool pool;

static void
setup(void)
{
	memset(&pool, 0, sizeof(pool));
	pool.clients = limit_new(0, LIMIT_CLASSES * POOL_MAX, 1);
}

static void
teardown(void)
{
	limit_free(&pool.clients);
}

static void
busy(unsigned i, const char *ip, int64_t begun)
{
	struct pool_child *c = &pool.children[i];

	*c = (struct pool_child){
		.pid = (pid_t)(i + 1), .is_busy = true, .begun_ms = begun
	};
	ck_assert(limit_addr_parse(&c->remote, str_from(ip)));
	limit_add(pool.clients, &c->remote, 0);
	pool.n_busy++;
}

/* addresses of 10.0.0.0/21, 10.0.8.0/21 and 10.0.16.0/21 */
#define A1 "10.0.0.1"
#define A2 "10.0.7.254"
#define B1 "10.0.8.1"
#define B2 "10.0.9.1"
#define C1 "10.0.16.1"

static const struct {
	const char *what;
	struct {
		const char *ip;
		int64_t begun;
	} v[6];
	int victim; /* -1: none */
} rows[] = {
	{ "nobody", { { NULL, 0 } }, -1 },
	{ "nobody had his time", { { A1, YOUNG }, { A2, NOW } }, -1 },
	{ "one had", { { A1, YOUNG }, { B1, OLD } }, 1 },
	{ "the oldest", { { A1, OLD }, { B1, OLD - 1 }, { C1, OLD } }, 1 },
	{ "of the network with most, though it is younger",
	    { { B1, OLD - 9 }, { A1, OLD }, { A2, OLD - 1 } }, 2 },
	{ "its young ones count, and stay",
	    { { B1, OLD - 9 }, { A1, YOUNG }, { A2, OLD } }, 2 },
	{ "if all of it are young, of the next",
	    { { C1, OLD - 9 }, { A1, YOUNG }, { A1, YOUNG }, { A2, YOUNG },
		{ B1, OLD }, { B2, OLD - 1 } },
	    5 },
};

START_TEST(table)
{
	struct pool_child *c;
	unsigned i;

	for (i = 0; i < 6 && rows[_i].v[i].ip != NULL; i++)
		busy(i, rows[_i].v[i].ip, rows[_i].v[i].begun);
	pool.children[6] = (struct pool_child){ .pid = 7 }; /* idle */
	c = pool_victim(&pool, NOW);
	ck_assert_msg(
	    (c == NULL ? -1 : (int)(c - pool.children)) == rows[_i].victim,
	    "%s", rows[_i].what);
	ck_assert((pool_yield_ms(&pool, NOW) == 0) == (c != NULL));
}
END_TEST

/*
 * Two networks hold every place for ever. Those who come now and then from
 * others get one, and keep it: each time one of the two gives way.
 */
START_TEST(two_networks)
{
	struct pool_child *c;
	char ip[32];
	unsigned i;

	for (i = 0; i < POOL_MAX; i++)
		busy(i, i % 2 ? A1 : B1, OLD - (int64_t)i);
	for (i = 0; i < 100; i++) {
		c = pool_victim(&pool, NOW);
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(c->remote.ip[12], 10);
		limit_drop(pool.clients, &c->remote);
		snprintf(ip, sizeof(ip), "192.0.%u.1", i * 8 % 256);
		busy((unsigned)(c - pool.children), ip, OLD - 100000);
	}
}
END_TEST

START_TEST(when)
{
	busy(0, A1, NOW - 1000);
	busy(1, B1, NOW - 2500);
	ck_assert_int_eq(pool_yield_ms(&pool, NOW), 500);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("yield");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, table, 0, N(rows));
	tcase_add_test(t, two_networks);
	tcase_add_test(t, when);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
