#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/proxy/proxy.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
#define SIG  "\r\n\r\n\0\r\nQUIT\n"
#define V4   "\300\0\2\1\306\63\144\2\0\31\1\273" /* 192.0.2.1 .. 25 443 */
#define V6                                     \
	"\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\2\377\377\0\1"

static const struct {
	const char *name;
	struct str in;
	enum proxy_result result;
	const char *source, *destination; /* NULL: local */
	unsigned source_port, destination_port;
} rows[] = {
	{ "v1 IPv4", STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 25 443\r\n"),
	    PROXY_OK, "192.0.2.1", "198.51.100.2", 25, 443 },
	{ "v1 IPv6", STR_INIT("PROXY TCP6 2001:DB8:0::1 ::1 65535 0\r\n"),
	    PROXY_OK, "2001:db8::1", "::1", 65535, 0 },
	{ "v1 longest",
	    STR_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    PROXY_OK, NULL, NULL, 0, 0 },
	{ "v1 unknown", STR_INIT("PROXY UNKNOWN\r\n"), PROXY_OK, NULL, NULL, 0,
	    0 },
	{ "v1 unknown word", STR_INIT("PROXY UNKNOWNX\r\n"), PROXY_BAD, NULL,
	    NULL, 0, 0 },
	{ "v1 lower case", STR_INIT("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 wrong family", STR_INIT("PROXY TCP4 ::1 ::1 1 1\r\n"), PROXY_BAD,
	    NULL, NULL, 0, 0 },
	{ "v1 port", STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 leading zero", STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 two blanks", STR_INIT("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 more behind", STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 without CR", STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v1 NUL", STR_INIT("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"), PROXY_BAD,
	    NULL, NULL, 0, 0 },
	{ "no header at all", STR_INIT("EHLO client.example\r\n"), PROXY_BAD,
	    NULL, NULL, 0, 0 },
	{ "v2 IPv4", STR_INIT(SIG "\41\21\0\14" V4), PROXY_OK, "192.0.2.1",
	    "198.51.100.2", 25, 443 },
	{ "v2 IPv6", STR_INIT(SIG "\41\41\0\44" V6), PROXY_OK, "2001:db8::1",
	    "2001:db8::2", 65535, 1 },
	{ "v2 TLVs", STR_INIT(SIG "\41\21\0\22" V4 "\1\0\3abc"), PROXY_OK,
	    "192.0.2.1", "198.51.100.2", 25, 443 },
	{ "v2 LOCAL", STR_INIT(SIG "\40\0\0\0"), PROXY_OK, NULL, NULL, 0, 0 },
	{ "v2 LOCAL, skipped", STR_INIT(SIG "\40\21\0\14" V4), PROXY_OK, NULL,
	    NULL, 0, 0 },
	{ "v2 unspecified", STR_INIT(SIG "\41\0\0\2ab"), PROXY_OK, NULL, NULL,
	    0, 0 },
	{ "v2 short",
	    STR_INIT(SIG "\41\21\0\13"
			 "\300\0\2\1\306\63\144\2\0\31\1"),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v2 UDP", STR_INIT(SIG "\41\22\0\14" V4), PROXY_BAD, NULL, NULL, 0,
	    0 },
	{ "v2 family without a meaning", STR_INIT(SIG "\41\101\0\14" V4),
	    PROXY_BAD, NULL, NULL, 0, 0 },
	{ "v2 command", STR_INIT(SIG "\42\21\0\14" V4), PROXY_BAD, NULL, NULL,
	    0, 0 },
	{ "v2 version", STR_INIT(SIG "\61\21\0\14" V4), PROXY_BAD, NULL, NULL,
	    0, 0 },
	{ "v2 too long", STR_INIT(SIG "\41\21\377\377"), PROXY_BAD, NULL, NULL,
	    0, 0 },
};

/* As a reader does it: never more than is said to be needed. */
static enum proxy_result
read_all(struct str in, struct proxy_header *h, size_t *used)
{
	enum proxy_result r = PROXY_MORE;
	size_t need = 0;

	for (*used = 0; r == PROXY_MORE; *used += need) {
		char *copy = malloc(*used + 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, in.p, *used);
		r = proxy_parse(str_make(copy, *used), h, &need);
		free(copy);
		if (r != PROXY_MORE)
			break;
		ck_assert_uint_gt(need, 0);
		if (*used + need > in.n)
			return PROXY_MORE;
	}
	return r;
}

START_TEST(table)
{
	struct proxy_header h;
	size_t used, n;

	ck_assert_msg(read_all(rows[_i].in, &h, &used) == rows[_i].result, "%s",
	    rows[_i].name);
	if (rows[_i].result != PROXY_OK)
		return;
	ck_assert_uint_eq(used, rows[_i].in.n);
	ck_assert(h.is_local == (rows[_i].source == NULL));
	if (!h.is_local) {
		ck_assert_str_eq(h.source, rows[_i].source);
		ck_assert_str_eq(h.destination, rows[_i].destination);
		ck_assert_uint_eq(h.source_port, rows[_i].source_port);
		ck_assert_uint_eq(
		    h.destination_port, rows[_i].destination_port);
	}
	for (n = 0; n < rows[_i].in.n; n++)
		ck_assert_msg(read_all(str_sub(rows[_i].in, 0, n), &h, &used) ==
				  PROXY_MORE,
		    "%s cut at %zu", rows[_i].name, n);
}
END_TEST

START_TEST(never_ends)
{
	char text[200];
	struct proxy_header h;
	size_t used;

	memset(text, 'x', sizeof(text));
	ck_assert(
	    read_all(str_make(text, sizeof(text)), &h, &used) == PROXY_BAD);
	ck_assert_uint_le(used, 107);
}
END_TEST

static const struct {
	const char *net, *address;
	bool has;
} nets[] = {
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.7", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::1", "::1", true },
	{ "::1", "::2", false },
	{ "::1", "x", false },
};

START_TEST(networks)
{
	struct proxy_net net;

	ck_assert(proxy_net_parse(&net, str_from(nets[_i].net)));
	ck_assert_msg(
	    proxy_net_has(&net, str_from(nets[_i].address)) == nets[_i].has,
	    "%s %s", nets[_i].net, nets[_i].address);
}
END_TEST

static const char *const no_nets[] = { "", "x", "/8", "10.0.0.0/33",
	"10.0.0.0/", "10.0.0.0/8x", "::/129", "10.0.0/8", "localhost" };

START_TEST(no_network)
{
	struct proxy_net net;

	ck_assert(!proxy_net_parse(&net, str_from(no_nets[_i])));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("proxy");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, table, 0, N(rows));
	tcase_add_test(t, never_ends);
	tcase_add_loop_test(t, networks, 0, N(nets));
	tcase_add_loop_test(t, no_network, 0, N(no_nets));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
