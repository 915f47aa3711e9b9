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
#include "service/dns/dns_int.h"

/* What the hooks were told. */
static unsigned n_told[2]; /* answers, from the cache */

static void
count(void *arg, const char *metric, const char *label)
{
	ck_assert_str_eq(metric, "dns_answers");
	n_told[strcmp(label, "cached") == 0]++;
}

static const struct hooks hooks = { .count = count };
static pid_t server, refuser;
static int mute = -1; /* bound, and nobody reads */
static char address[32], refusing[32], silent[32];

/* Chains: asked for A it tells all of one, without AD; asked for CNAME what
 * stands here. */
static const struct step {
	const char *owner, *target;
	const char *alone; /* asked by itself; NULL: no answer */
	bool is_authentic;
} steps[] = {
	{ "cgood.example", "target.example", "Target.Example", true },
	{ "clie.example", "target.example", "other.example", true },
	{ "cmute.example", "target.example", NULL, true },
	{ "cplain.example", "target.example", "target.example", false },
	{ "ctwo.example", "cmid.example", "cmid.example", true },
	{ "cmid.example", "target.example", "target.example", false },
	{ "cthree.example", "cgood.example", "cgood.example", true },
	{ "cbroken.example", "clie.example", "clie.example", true },
};

static const struct step *
find_step(const char *owner)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].owner, owner) == 0)
			return &steps[i];
	return NULL;
}

static void
put_cname(struct buf *b, const char *owner, const char *target)
{
	static const char fixed[] = "\0\5\0\1\0\0\1\0";
	struct buf name;

	dns_name_to_wire(b, str_from(owner));
	buf_put(b, str_make(fixed, 8));
	buf_init(&name, 300);
	dns_name_to_wire(&name, str_from(target));
	buf_putc(b, 0);
	buf_putc(b, (char)name.n);
	buf_put(b, buf_str(&name));
	buf_release(&name);
}

/* The question's name as text. */
static void
read_name(const unsigned char *p, char out[256])
{
	size_t n = 0;

	for (; *p != 0 && n + *p < 255; p += *p + 1) {
		memcpy(out + n, p + 1, *p);
		n += *p;
		out[n++] = '.';
	}
	out[n > 0 ? n - 1 : 0] = '\0';
}

/* Into b, behind the question; false: no answer. */
static bool
answer_chain(unsigned char *q, size_t len, struct buf *b)
{
	static const char a[] = "\0\1\0\1\0\0\1\0\0\4\300\0\2\1";
	bool is_cname = q[len - 3] == 5;
	const struct step *s;
	char name[256];

	read_name(q + 12, name);
	for (s = find_step(name); s != NULL && !is_cname;
	     s = find_step(s->target)) {
		put_cname(b, s->owner, s->target);
		q[7]++;
		str_copy(str_from(s->target), name, sizeof(name));
	}
	if (!is_cname) {
		dns_name_to_wire(b, str_from(name));
		buf_put(b, str_make(a, 14));
	} else {
		if (s == NULL || s->alone == NULL)
			return false;
		q[3] |= s->is_authentic ? 0x20 : 0;
		put_cname(b, s->owner, s->alone);
	}
	q[7]++;
	return true;
}

/* "mf..": 20 exchanges, else 60, of one name that unpacks to four times its
 * octets. */
static size_t
put_many(unsigned char *q, size_t len)
{
	static const unsigned char fixed[] = { 0xc0, 12, 0, 15, 0, 1, 0, 0, 1,
		0, 0, 0, 0, 1 };
	size_t at = len + sizeof(fixed), i;

	q[7] = q[14] == 'f' ? 20 : 60;
	for (i = 0; i < q[7]; i++) {
		unsigned char *rr = q + len;

		memcpy(rr, fixed, sizeof(fixed));
		len += sizeof(fixed);
		if (i > 0) {
			rr[11] = 4;
			q[len++] = (unsigned char)(0xc0 | at >> 8);
			q[len++] = (unsigned char)at;
			continue;
		}
		rr[11] = 2 + 3 * 64 + 1;
		memset(q + len, 1, 3 * 64);
		q[len] = q[len + 64] = q[len + 128] = 63;
		len += 3 * 64;
		q[len++] = 0;
	}
	return len;
}

/* "b..": it is bogus; everything else is none of its business. */
static void
refuse(int fd)
{
	static const unsigned char ede[] = { 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6,
		0, 15, 0, 2, 0, 6 };
	unsigned char q[1500];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t pn = sizeof(peer);
		ssize_t n = recvfrom(
		    fd, q, sizeof(q) - 17, 0, (struct sockaddr *)&peer, &pn);
		size_t len = (size_t)n - 11;

		if (n < 23)
			continue;
		q[2] = 0x81;
		q[3] = q[13] == 'b' ? 0x82 : 0x85;
		memcpy(q + len, ede, sizeof(ede));
		if (q[13] == 'b')
			len += sizeof(ede);
		else
			q[11] = 0;
		(void)sendto(fd, q, len, 0, (struct sockaddr *)&peer, pn);
	}
}

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
		case 'm':
			len = put_many(q, len);
			(void)sendto(
			    fd, q, len, 0, (struct sockaddr *)&peer, pn);
			continue;
		case 'n':
			continue; /* nothing */
		case 'd':
			usleep(1500000); /* in the second round */
			break;
		case 'c': {
			struct buf b;

			buf_init(&b, 1000);
			if (answer_chain(q, len, &b)) {
				memcpy(q + len, b.p, b.n);
				(void)sendto(fd, q, len + b.n, 0,
				    (struct sockaddr *)&peer, pn);
			}
			buf_release(&b);
			continue;
		}
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

static int
open_server(char text[32])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert(bind(fd, (struct sockaddr *)&sin, n) == 0);
	ck_assert(getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
	snprintf(text, 32, "127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

static pid_t
run_server(char text[32], void (*run)(int))
{
	int fd = open_server(text);
	pid_t pid = fork();

	if (pid == 0)
		run(fd);
	close(fd);
	return pid;
}

static void
setup(void)
{
	server = run_server(address, serve);
	refuser = run_server(refusing, refuse);
	mute = open_server(silent);
}

static void
teardown(void)
{
	kill(server, SIGKILL);
	kill(refuser, SIGKILL);
	waitpid(server, NULL, 0);
	waitpid(refuser, NULL, 0);
	close(mute);
}

static struct dns *
client_of(const char *servers, bool trust_ad, unsigned timeout_ms)
{
	struct dns_opts o = { servers, timeout_ms, trust_ad, &hooks };
	struct dns *d;
	struct err e;

	ck_assert_msg(dns_new(&d, &o, &e) == 0, "%s", e.text);
	return d;
}

static struct dns *
client(bool trust_ad, unsigned timeout_ms)
{
	return client_of(address, trust_ad, timeout_ms);
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

static const struct {
	const char *name;
	size_t n_chain, n_secure;
	const char *insecure_at;
} chains[] = {
	{ "cgood.example", 1, 1, "target.example" },
	{ "clie.example", 1, 0, "" },
	{ "cmute.example", 1, 0, "" },
	{ "cplain.example", 1, 0, "" },
	{ "ctwo.example", 2, 1, "cmid.example" },
	{ "cthree.example", 2, 2, "target.example" },
	{ "cbroken.example", 2, 1, "clie.example" },
};

/* A chain is as far authentic as each of its steps is, one after the other. */
START_TEST(chain)
{
	struct dns_question q = { DNS_A, str_from(chains[_i].name) };
	struct dns *d = client(false, 600);
	const struct dns_answer *r;
	struct arena a;
	unsigned again;

	arena_init(&a, 4 * DNSMSG_ARENA_MAX);
	for (again = 0; again < 2; again++) { /* then from memory */
		r = dns_lookup(d, &a, &q);
		ck_assert_int_eq(r->status, DNS_OK);
		ck_assert(!r->is_secure);
		ck_assert_uint_eq(r->n_chain, chains[_i].n_chain);
		ck_assert_msg(r->n_secure == chains[_i].n_secure, "%s: %zu",
		    chains[_i].name, r->n_secure);
		ck_assert(str_eq(
		    dns_insecure_at(r), str_from(chains[_i].insecure_at)));
	}
	dns_free(&d);
	arena_release(&a);
}
END_TEST

static const struct {
	const char *const servers[3];
	const char *name;
	enum dns_status status;
	bool is_quick; /* the second time, at least */
} several[] = {
	{ { refusing, address }, "plain.example", DNS_OK, true },
	{ { refusing, refusing, address }, "plain.example", DNS_OK, true },
	{ { refusing, address }, "xnone.example", DNS_NXDOMAIN, true },
	{ { silent, address }, "plain.example", DNS_OK, true },
	{ { address, silent }, "plain.example", DNS_OK, true },
	{ { refusing, refusing }, "plain.example", DNS_TEMPFAIL, true },
	{ { address, refusing }, "fail.example", DNS_TEMPFAIL, true },
	{ { silent, silent }, "plain.example", DNS_TEMPFAIL, false },
	/* who does not validate is not asked about a forgery */
	{ { refusing, address }, "bogus.example", DNS_BOGUS, true },
};

/* One server that is of no use does not hide the others, and one that says
 * nothing is waited for once. */
START_TEST(servers)
{
	struct dns_question q = { DNS_A, str_from(several[_i].name) },
			    other = { DNS_AAAA, q.name };
	const struct dns_answer *r;
	char list[100] = "";
	struct dns *d;
	struct arena a;
	int64_t begun;
	size_t i;

	arena_init(&a, DNSMSG_ARENA_MAX);
	for (i = 0; i < 3 && several[_i].servers[i] != NULL; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
		    "%s%s", i > 0 ? "," : "", several[_i].servers[i]);
	d = client_of(list, false, 900);
	r = dns_lookup(d, &a, &q);
	ck_assert_msg(r->status == several[_i].status, "%s of %s: %s",
	    several[_i].name, list, dns_status_name(r->status));
	begun = date_mono_ms();
	(void)dns_lookup(d, &a, &other);
	ck_assert((date_mono_ms() - begun < 200) == several[_i].is_quick);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* With the usual limits: a server that is not there costs a second, and one
 * that takes two for an answer is heard. */
START_TEST(first_try)
{
	static const struct {
		const char *first, *second, *name;
		int64_t ms;
	} rows_[] = {
		{ silent, address, "plain.example", DNS_FIRST_TRY_MS },
		{ address, silent, "delayed.example", 1500 },
		{ address, silent, "plain.example", 0 },
	};
	struct dns_question q = { DNS_A, str_from(rows_[_i].name) };
	int64_t begun = date_mono_ms(), ms;
	struct arena a;
	char list[100];
	struct dns *d;

	arena_init(&a, DNSMSG_ARENA_MAX);
	snprintf(
	    list, sizeof(list), "%s,%s", rows_[_i].first, rows_[_i].second);
	d = client_of(list, false, 0);
	ck_assert_int_eq(dns_lookup(d, &a, &q)->status, DNS_OK);
	ms = date_mono_ms() - begun;
	ck_assert_int_ge(ms, rows_[_i].ms);
	ck_assert_int_lt(ms, rows_[_i].ms + 400);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* Who answers other questions meanwhile is not to be the last one. */
START_TEST(slow_name)
{
	struct dns_question q[2] = { { DNS_A, STR("nothing.example") },
		{ DNS_A, STR("plain.example") } };
	struct dns_answer *out[2];
	struct arena a;
	char list[100];
	struct dns *d;

	arena_init(&a, DNSMSG_ARENA_MAX);
	snprintf(list, sizeof(list), "%s,%s", address, refusing);
	d = client_of(list, false, 900);
	dns_ask(d, &a, q, _i == 0 ? 2 : 1, out);
	ck_assert_int_eq(out[0]->status, DNS_TEMPFAIL);
	ck_assert_int_eq(d->is_first_slow, _i == 1);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

/* What unpacks to more than an answer ever has is none, and leaves nothing. */
START_TEST(too_large)
{
	struct dns_question q = { DNS_MX,
		_i == 0 ? STR("mfew.example") : STR("many.example") };
	struct dns *d = client(false, 600);
	const struct dns_answer *r;
	struct arena a;

	arena_init(&a, DNSMSG_ARENA_MAX);
	r = dns_lookup(d, &a, &q);
	ck_assert_int_eq(r->status, _i == 0 ? DNS_OK : DNS_TEMPFAIL);
	ck_assert_uint_eq(r->n, _i == 0 ? 20 : 0);
	ck_assert_uint_lt(a.used, DNS_ANSWER_MAX);
	arena_release(&a);
	dns_free(&d);
}
END_TEST

START_TEST(cache_is_bounded)
{
	struct dns *d = client(false, 600);
	char *text = calloc(1, 30000), name[32];
	struct dns_record record = { .type = DNS_TXT, .owner = STR("") };
	struct dns_answer an = { .status = DNS_OK,
		.v = &record,
		.n = 1,
		.ttl = 300,
		.ede_text = STR("") };
	struct dns_question q = { DNS_TXT, STR("") };
	unsigned i, n_known = 0;
	struct arena a;

	ck_assert_ptr_nonnull(text);
	record.text = str_make(text, 30000);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		q.name = str_from(name);
		an.n = i < 600 ? 1 : 0; /* large ones, then small ones */
		dns_cache_put(d, &q, &an);
		ck_assert_uint_le(d->n_cached, DNS_CACHE_OCTETS);
		arena_init(&a, DNSMSG_ARENA_MAX);
		n_known += dns_cache_get(d, &a, &q) != NULL;
		arena_release(&a);
	}
	ck_assert_uint_lt(n_known, 5000);
	ck_assert_uint_gt(n_known, 4990);
	dns_cache_clear(d);
	ck_assert_uint_eq(d->n_cached, 0);
	free(text);
	dns_free(&d);
}
END_TEST

static unsigned n_gone;

static void
gone(void)
{
	n_gone++;
}

/* Who asks for somebody else learns at once that he has gone, and once. */
START_TEST(watched)
{
	struct dns_question q = { DNS_A, STR("nothing.example") };
	struct dns *d = client(false, 1500);
	int64_t begun = date_mono_ms(), seen;
	struct dns_answer *out;
	struct arena a;
	int pair[2];

	arena_init(&a, DNSMSG_ARENA_MAX);
	ck_assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	dns_watch(d, pair[1], gone);
	dns_send(d, &a, &q, &out);
	dns_wait(d, begun + 200);
	ck_assert_uint_eq(n_gone, 0);
	close(pair[0]);
	seen = date_mono_ms();
	while (n_gone == 0 && date_mono_ms() < begun + 1000)
		dns_wait(d, date_mono_ms() + 50);
	ck_assert_uint_eq(n_gone, 1);
	ck_assert(date_mono_ms() - seen < 200);
	dns_wait(d, date_mono_ms() + 100);
	ck_assert_uint_eq(n_gone, 1);
	dns_cancel(d);
	close(pair[1]);
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
	tcase_add_loop_test(
	    t, chain, 0, (int)(sizeof(chains) / sizeof(chains[0])));
	tcase_add_loop_test(
	    t, servers, 0, (int)(sizeof(several) / sizeof(several[0])));
	tcase_add_loop_test(t, first_try, 0, 3);
	tcase_add_loop_test(t, slow_name, 0, 2);
	tcase_add_loop_test(t, too_large, 0, 2);
	tcase_add_test(t, cache_is_bounded);
	tcase_add_test(t, watched);
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
