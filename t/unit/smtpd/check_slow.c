/*
 * Replies octet by octet and late reading, on a real loop: its clock is what
 * is tested. The connection and the dialogue are not there.
 */
#include <check.h>
#include <stdlib.h>

#include "base/date.h"
#include "smtpd.h"

static struct smtpd front;
static struct daemon_listener listener;
static struct client cl;
static struct buf wire;
static unsigned n_writes, n_runs;
static bool is_paused;
static const struct config_limits usual = { .slow_octet_ms = 1000,
	.slow_spare_ms = 5000 };

void
conn_write(struct conn *c, struct str s)
{
	buf_put(&wire, s);
	n_writes++;
}

void
conn_pause(struct conn *c, bool paused)
{
	is_paused = paused;
}

void
client_run(struct client *c)
{
	n_runs++;
}

bool
smtp_session_is_slow(const struct smtp_session *s)
{
	return true;
}

static void
setup(void)
{
	front.base.loop = ev_loop_new(0);
	front.base.timeouts.write_ms = 30000;
	cl = (struct client){ .front = &front, .listener = &listener };
	/* it is only handed on */
	cl.conn = (struct conn *)&cl;
	buf_init(&wire, 1 << 20);
	slow_init(&cl, &usual);
}

static void
teardown(void)
{
	slow_release(&cl);
	ev_loop_destroy(front.base.loop);
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
	ev_now_update(front.base.loop);
	ev_timer_start(front.base.loop, &stop);
	ev_run(front.base.loop, 0);
	ev_timer_stop(front.base.loop, &stop);
}

#define WIRE(text) ck_assert(str_eq(buf_str(&wire), STR(text)))

START_TEST(octets)
{
	slow_put(&cl, STR("ab"));
	slow_put(&cl, STR("c"));
	cl.wait = WAIT_SLOW;
	ck_assert(slow_is_pending(&cl));
	WIRE("");
	pass(1.5);
	WIRE("a");
	pass(1.);
	WIRE("ab");
	ck_assert_uint_eq(n_runs, 0);
	pass(1.);
	WIRE("abc");
	ck_assert(!slow_is_pending(&cl));
	ck_assert_uint_eq(n_runs, 1);
	ck_assert_int_eq(cl.wait, WAIT_INPUT);
}
END_TEST

/* Before the peer's patience ends: five seconds of it are left. */
START_TEST(patience)
{
	front.base.timeouts.write_ms = 6500;
	slow_put(&cl, STR("abcdefgh"));
	pass(1.2);
	WIRE("a");
	pass(1.);
	WIRE("abcdefgh");
	ck_assert_uint_eq(n_writes, 2);
	ck_assert(!slow_is_pending(&cl));
}
END_TEST

START_TEST(reading)
{
	slow_read(&cl);
	ck_assert(is_paused);
	ck_assert_int_eq(cl.wait, WAIT_SLOW);
	pass(0.5);
	ck_assert_uint_eq(n_runs, 0);
	pass(0.8);
	ck_assert_uint_eq(n_runs, 1);
	ck_assert_int_eq(cl.wait, WAIT_INPUT);
}
END_TEST

/* Who waits for something else goes on after that, not by the clock. */
START_TEST(other_waits)
{
	slow_put(&cl, STR("a"));
	cl.wait = WAIT_CHECK;
	pass(1.3);
	WIRE("a");
	ck_assert_uint_eq(n_runs, 0);
	ck_assert_int_eq(cl.wait, WAIT_CHECK);
}
END_TEST

START_TEST(at_once)
{
	char *big = calloc(1, CONN_MAX_OUT);

	ck_assert_ptr_nonnull(big);
	slow_put(&cl, STR("abc"));
	slow_flush(&cl);
	WIRE("abc");
	slow_flush(&cl);
	ck_assert_uint_eq(n_writes, 1);
	pass(1.2);
	ck_assert_uint_eq(n_writes, 1);
	/* more than is kept for a peer goes out, in order */
	slow_put(&cl, STR("d"));
	slow_put(&cl, str_make(big, CONN_MAX_OUT));
	ck_assert_uint_eq(wire.n, 4 + CONN_MAX_OUT);
	ck_assert(!slow_is_pending(&cl));
	free(big);
	/* on loopback nobody is slow */
	ck_assert(slow_is_on(&cl));
	listener.no_limits = true;
	ck_assert(!slow_is_on(&cl));
}
END_TEST

START_TEST(other_numbers)
{
	const struct config_limits quick = { .slow_octet_ms = 100,
		.slow_spare_ms = 6000 };
	const struct config_limits off = { .slow_octet_ms = 0 };

	slow_release(&cl);
	slow_init(&cl, &quick);
	front.base.timeouts.write_ms = 6250;
	slow_put(&cl, STR("abcdefgh"));
	pass(0.23);
	WIRE("ab");
	pass(0.1);
	WIRE("abcdefgh");
	slow_read(&cl);
	pass(0.15);
	ck_assert_uint_eq(n_runs, 1);
	slow_release(&cl);
	slow_init(&cl, &off);
	ck_assert(!slow_is_on(&cl));
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
	tcase_add_test(t, other_waits);
	tcase_add_test(t, at_once);
	tcase_add_test(t, other_numbers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
