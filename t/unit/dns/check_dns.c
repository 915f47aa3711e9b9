/*
 * The resolver client against a server in the same test: a child that
 * answers by a table, or lies, or says nothing.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "service/dns/dns.h"

/* What the hooks were told. */
static unsigned n_told[2]; /* answers, from the cache */

static void
count(void *arg, const char *metric, const char *label)
{
	ck_assert_str_eq(metric, "dns_answers");
	n_told[strcmp(label, "cached") == 0]++;
}

static const struct hooks hooks = { .count = count };
static pid_t server;
static char address[32];

/* The query's name decides what comes back; a count says how often. */
static void
serve(int fd)
{
	unsigned char q[1500];
	static unsigned char asked;

	for (;;) {
		struct sockaddr_in peer;
		socklen_t pn = sizeof(peer);
		ssize_t n = recvfrom(
		    fd, q, sizeof(q), 0, (struct sockaddr *)&peer, &pn);
		size_t len;

		if (n < 23)
			continue;
		len = (size_t)n - 11; /* without the OPT */
		asked++;
		q[2] = 0x81; /* a response, RD */
		q[3] = 0x80; /* RA, NOERROR */
		q[10] = q[11] = 0;
		switch (q[13]) { /* first letter of the name */
		case 's':
			q[3] |= 0x20; /* AD */
			break;
		case 'x':
			q[3] |= 3; /* NXDOMAIN */
			break;
		case 'f':
			q[3] |= 2; /* SERVFAIL */
			break;
		case 'w':
			q[0] ^= 0xff; /* somebody else's id */
			break;
		case 'n':
			continue; /* nothing */
		}
		if (q[13] != 'x' && q[13] != 'f') {
			static const unsigned char rr[] = { 0xc0, 12, 0, 1, 0,
				1, 0, 0, 1, 0, 0, 4, 192, 0, 2 };

			q[7] = 1; /* ANCOUNT */
			memcpy(q + len, rr, sizeof(rr));
			len += sizeof(rr);
			q[len++] = asked;
		}
		(void)sendto(fd, q, len, 0, (struct sockaddr *)&peer, pn);
	}
}

static void
setup(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert(bind(fd, (struct sockaddr *)&sin, n) == 0);
	ck_assert(getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(sin.sin_port));
	server = fork();
	if (server == 0)
		serve(fd);
	close(fd);
}

static void
teardown(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static struct dns *
client(bool trust_ad, unsigned timeout_ms)
{
	struct dns_opts o = { address, timeout_ms, trust_ad, &hooks };
	struct dns *d;
	struct err e;

	ck_assert_msg(dns_new(&d, &o, &e) == 0, "%s", e.text);
	return d;
}

static const struct {
	const char *name;
	enum dns_status status;
	bool secure;
} rows[] = {
	{ "plain.example", DNS_OK, false },
	{ "secure.example", DNS_OK, true }, /* the server is on loopback */
	{ "xnone.example", DNS_NXDOMAIN, false },
	{ "fail.example", DNS_TEMPFAIL, false },
	{ "wrong-id.example", DNS_TEMPFAIL, false },
	{ "nothing.example", DNS_TEMPFAIL, false },
	{ "not..aname", DNS_NXDOMAIN, false },
};

START_TEST(answers)
{
	struct dns *d = client(false, 600);
	struct dns_question q = { DNS_A, str_from(rows[_i].name) };
	const struct dns_answer *r;
	struct arena a;

	arena_init(&a, DNSMSG_ARENA_MAX);
	ck_assert(dns_is_trusted(d));
	r = dns_lookup(d, &a, &q);
	ck_assert_msg(r->status == rows[_i].status, "%s: %s", rows[_i].name,
	    dns_status_name(r->status));
	ck_assert(r->is_secure == rows[_i].secure);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* The server counts: a second question is answered from memory. */
START_TEST(cached)
{
	struct dns *d = client(false, 600);
	struct dns_question q = { DNS_A, STR("plain.example") },
			    upper = { DNS_A, STR("PLAIN.Example") };
	const struct dns_answer *one, *two, *three;
	struct arena a;

	arena_init(&a, DNSMSG_ARENA_MAX);
	one = dns_lookup(d, &a, &q);
	two = dns_lookup(d, &a, &upper);
	ck_assert(one->status == DNS_OK && two->status == DNS_OK);
	ck_assert(one->v[0].ip[3] == two->v[0].ip[3]);
	dns_free(&d);
	d = client(false, 600);
	three = dns_lookup(d, &a, &q);
	ck_assert(three->v[0].ip[3] != one->v[0].ip[3]);
	ck_assert_uint_eq(n_told[0], 2);
	ck_assert_uint_eq(n_told[1], 1);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* One after the other, as answers come; the silent one is cancelled. */
START_TEST(one_by_one)
{
	struct dns_question q[2] = { { DNS_A, STR("nothing.example") },
		{ DNS_A, STR("plain.example") } };
	struct dns *d = client(false, 3000);
	int64_t begun = date_mono_ms();
	struct dns_answer *out[2];
	struct arena a;

	arena_init(&a, DNSMSG_ARENA_MAX);
	dns_send(d, &a, &q[0], &out[0]);
	dns_send(d, &a, &q[1], &out[1]);
	ck_assert(out[0] == NULL);
	dns_wait(d, begun + 2000);
	ck_assert(out[0] == NULL && out[1] != NULL);
	ck_assert(out[1]->status == DNS_OK);
	dns_cancel(d);
	ck_assert(out[0] != NULL && out[0]->status == DNS_TEMPFAIL);
	dns_wait(d, begun + 60000); /* nothing to wait for */
	ck_assert(date_mono_ms() - begun < 2000);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* Many go out together: the silent ones cost one deadline, not one each. */
START_TEST(together)
{
	struct dns_question q[10];
	struct dns_answer *out[10];
	struct dns *d = client(false, 500);
	int64_t start = date_mono_ms();
	struct arena a;
	int i;

	arena_init(&a, DNSMSG_ARENA_MAX);
	for (i = 0; i < 10; i++)
		q[i] = (struct dns_question){ DNS_A,
			i % 2 ? STR("nothing.example") : STR("plain.example") };
	dns_ask(d, &a, q, 10, out);
	for (i = 0; i < 10; i++)
		ck_assert(out[i]->status == (i % 2 ? DNS_TEMPFAIL : DNS_OK));
	ck_assert(date_mono_ms() - start < 2000);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dns");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
	    t, answers, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, cached);
	tcase_add_test(t, together);
	tcase_add_test(t, one_by_one);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
