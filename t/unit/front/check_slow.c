/*
 * Replies octet by octet and late reading, on a real loop: its clock is what
 * is tested. The connection is not there.
 */
#include <check.h>
#include <stdlib.h>

#include "service/front/slow.h"

static struct config config;
static struct front front;
static struct slow slow;
/* it is only handed on */
static struct conn *const conn = (struct conn *)&slow;
static struct buf wire;
static unsigned n_writes, n_runs;
static bool is_paused;

void
conn_write(struct conn *c, struct str s)
{
	ck_assert_ptr_eq(c, conn);
	buf_put(&wire, s);
	n_writes++;
}

void
conn_pause(struct conn *c, bool paused)
{
	is_paused = paused;
}

static void
go_on(void *user)
{
	ck_assert_ptr_eq(user, &front);
	n_runs++;
}

static void
begin(unsigned octet_ms, unsigned spare_ms, unsigned write_ms)
{
	config.limits.slow_octet_ms = octet_ms;
	config.limits.slow_spare_ms = spare_ms;
	front.timeouts.write_ms = write_ms;
	slow_init(&slow, &front, go_on, &front);
}

static void
setup(void)
{
	front.config = &config;
	front.loop = ev_loop_new(0);
	buf_init(&wire, 1 << 20);
}

static void
teardown(void)
{
	slow_release(&slow);
	ev_loop_destroy(front.loop);
	buf_release(&wire);
}

static void
stop_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ONE);
}

static void
pass(double seconds)
{
	ev_timer stop;

	ev_timer_init(&stop, stop_cb, seconds, 0.);
	ev_now_update(front.loop);
	ev_timer_start(front.loop, &stop);
	ev_run(front.loop, 0);
	ev_timer_stop(front.loop, &stop);
}

#define WIRE(text) ck_assert(str_eq(buf_str(&wire), STR(text)))

START_TEST(octets)
{
	begin(1000, 5000, 30000);
	slow_put(&slow, conn, STR("ab"));
	slow_put(&slow, conn, STR("c"));
	ck_assert(slow_is_pending(&slow));
	WIRE("");
	pass(1.5);
	WIRE("a");
	pass(1.);
	WIRE("ab");
	ck_assert_uint_eq(n_runs, 0);
	pass(1.);
	WIRE("abc");
	ck_assert(!slow_is_pending(&slow));
	ck_assert_uint_eq(n_runs, 1);
	pass(1.2);
	ck_assert_uint_eq(n_runs, 1);
}
END_TEST

/* Before the peer's patience ends: five seconds of it are left. */
START_TEST(patience)
{
	begin(1000, 5000, 6500);
	slow_put(&slow, conn, STR("abcdefgh"));
	pass(1.2);
	WIRE("a");
	pass(1.);
	WIRE("abcdefgh");
	ck_assert_uint_eq(n_writes, 2);
	ck_assert(!slow_is_pending(&slow));
}
END_TEST

START_TEST(reading)
{
	begin(1000, 5000, 30000);
	slow_read(&slow, conn);
	ck_assert(is_paused);
	pass(0.5);
	ck_assert_uint_eq(n_runs, 0);
	pass(0.8);
	ck_assert_uint_eq(n_runs, 1);
}
END_TEST

START_TEST(at_once)
{
	char *big = calloc(1, CONN_MAX_OUT);

	ck_assert_ptr_nonnull(big);
	begin(1000, 5000, 30000);
	slow_put(&slow, conn, STR("abc"));
	slow_flush(&slow);
	WIRE("abc");
	slow_flush(&slow);
	ck_assert_uint_eq(n_writes, 1);
	pass(1.2);
	ck_assert_uint_eq(n_writes, 1);
	/* more than is kept for a peer goes out, in order */
	slow_put(&slow, conn, STR("d"));
	slow_put(&slow, conn, str_make(big, CONN_MAX_OUT));
	ck_assert_uint_eq(wire.n, 4 + CONN_MAX_OUT);
	ck_assert(!slow_is_pending(&slow));
	free(big);
}
END_TEST

START_TEST(other_numbers)
{
	begin(100, 6000, 6250);
	ck_assert(slow_can(&slow));
	slow_put(&slow, conn, STR("abcdefgh"));
	pass(0.23);
	WIRE("ab");
	pass(0.1);
	WIRE("abcdefgh");
	slow_read(&slow, conn);
	pass(0.15);
	ck_assert_uint_eq(n_runs, 2);
	slow_release(&slow);
	/* no spare left at all: with the first tick */
	begin(100, 9000, 6250);
	slow_put(&slow, conn, STR("ij"));
	pass(0.15);
	WIRE("abcdefghij");
	slow_release(&slow);
	begin(0, 5000, 30000);
	ck_assert(!slow_can(&slow));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("slow");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, octets);
	tcase_add_test(t, patience);
	tcase_add_test(t, reading);
	tcase_add_test(t, at_once);
	tcase_add_test(t, other_numbers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
