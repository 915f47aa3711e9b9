/* Who may come in, and who is trusted. How counts are kept: check_limit. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "service/door/door.h"

#define N(a)  (int)(sizeof(a) / sizeof((a)[0]))
#define NOW   1700000040 /* a minute begins */
#define NEVER 1000000

static struct door door;

static void
setup(void)
{
	door_init(&door, 1);
}

static void
teardown(void)
{
	door_release(&door);
}

static struct limit_addr
addr(const char *ip)
{
	struct limit_addr a;

	ck_assert(limit_addr_parse(&a, str_from(ip)));
	return a;
}

static enum door_verdict
enter(const struct config_limits *max, const char *ip, int64_t now)
{
	struct limit_addr a = addr(ip);

	return door_enter(&door, max, &a, now);
}

/* each verdict in turn, from the same or other addresses */
static const struct {
	const char *what;
	uint64_t rate[3], open[3];
	struct {
		const char *ip;
		int64_t at; /* seconds after NOW; NEVER: one leaves */
		enum door_verdict is;
	} v[8];
} rows[] = {
	{ "open connections of an address", { 0 }, { 2, 0, 0 },
	    { { "192.0.2.1", 0, DOOR_OPEN }, { "192.0.2.1", 0, DOOR_OPEN },
		{ "192.0.2.1", 100, DOOR_FULL },
		{ "192.0.2.2", 0, DOOR_OPEN } } },
	{ "who leaves makes room", { 0 }, { 1, 0, 0 },
	    { { "192.0.2.1", 0, DOOR_OPEN }, { "192.0.2.1", 0, DOOR_FULL },
		{ "192.0.2.1", NEVER, DOOR_OPEN },
		{ "192.0.2.1", 0, DOOR_OPEN } } },
	{ "new ones in a minute", { 2, 0, 0 }, { 0 },
	    { { "192.0.2.1", 0, DOOR_OPEN }, { "192.0.2.1", 59, DOOR_OPEN },
		{ "192.0.2.1", NEVER, DOOR_OPEN },
		{ "192.0.2.1", 59, DOOR_RATE },
		{ "192.0.2.1", 60, DOOR_OPEN } } },
	{ "who is refused is not counted", { 2, 0, 0 }, { 1, 0, 0 },
	    { { "192.0.2.1", 0, DOOR_OPEN }, { "192.0.2.1", 0, DOOR_FULL },
		{ "192.0.2.1", 0, DOOR_FULL },
		{ "192.0.2.1", NEVER, DOOR_OPEN },
		{ "192.0.2.1", 0, DOOR_OPEN },
		{ "192.0.2.1", 0, DOOR_RATE } } },
	{ "a neighbourhood and a network", { 0 }, { 0, 2, 3 },
	    { { "192.0.2.1", 0, DOOR_OPEN }, { "192.0.2.63", 0, DOOR_OPEN },
		{ "192.0.2.2", 0, DOOR_FULL }, { "192.0.3.1", 0, DOOR_OPEN },
		{ "192.0.4.1", 0, DOOR_FULL },
		{ "192.0.8.1", 0, DOOR_OPEN } } },
	{ "no limits", { 0 }, { 0 },
	    { { "2001:db8::1", 0, DOOR_OPEN },
		{ "2001:db8::1", 0, DOOR_OPEN } } },
};

START_TEST(table)
{
	struct config_limits max = { 0 };
	int i;

	memcpy(max.connection_rate, rows[_i].rate, sizeof(rows[_i].rate));
	memcpy(max.connections_per_ip, rows[_i].open, sizeof(rows[_i].open));
	for (i = 0; i < 8 && rows[_i].v[i].ip != NULL; i++) {
		struct limit_addr a = addr(rows[_i].v[i].ip);

		if (rows[_i].v[i].at == NEVER) {
			door_leave(&door, &a);
			continue;
		}
		ck_assert_msg(enter(&max, rows[_i].v[i].ip,
				  NOW + rows[_i].v[i].at) == rows[_i].v[i].is,
		    "%s: %d", rows[_i].what, i);
	}
}
END_TEST

/* A change of the configuration keeps what is counted. */
START_TEST(reload)
{
	struct config_limits max = { .connections_per_ip = { 1, 0, 0 } };

	ck_assert_int_eq(enter(&max, "192.0.2.1", NOW), DOOR_OPEN);
	ck_assert_int_eq(enter(&max, "192.0.2.1", NOW), DOOR_FULL);
	max.connections_per_ip[0] = 2;
	ck_assert_int_eq(enter(&max, "192.0.2.1", NOW), DOOR_OPEN);
	ck_assert_int_eq(enter(&max, "192.0.2.1", NOW), DOOR_FULL);
	ck_assert_str_eq(door_settings[DOOR_FULL], "connections-per-ip");
	ck_assert_str_eq(door_settings[DOOR_RATE], "connection-rate");
}
END_TEST

START_TEST(trusted)
{
	struct str nets[] = { STR("192.0.2.0/24"), STR("nonsense"),
		STR("2001:db8::/32") };
	struct conf_list list = { .v = nets, .n = 3 }, none = { .n = 0 };

	ck_assert(door_trusts(&list, "192.0.2.200"));
	ck_assert(door_trusts(&list, "::ffff:192.0.2.200"));
	ck_assert(door_trusts(&list, "2001:db8:1::1"));
	ck_assert(!door_trusts(&list, "192.0.3.1"));
	ck_assert(!door_trusts(&list, "2001:db9::1"));
	ck_assert(!door_trusts(&list, ""));
	ck_assert(!door_trusts(&none, "192.0.2.1"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("door");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, table, 0, N(rows));
	tcase_add_test(t, reload);
	tcase_add_test(t, trusted);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
