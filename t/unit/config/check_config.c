/*
 * Configurations in a directory of their own: who gets mail for which
 * address, what the snapshot keeps, which errors are told.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/config/config.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static char dir[64];
static int dirfd;

static void
put(const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert(fd != -1);
	ck_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

#define MAIN                                           \
	"hostname mail.example.org\nsingle-user yes\n" \
	"listener l {\n address 127.0.0.1\n smtp 25\n imap 143\n}\n"

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/quire-config.XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert(mkdirat(dirfd, "domains", 0700) == 0);
	ck_assert(mkdirat(dirfd, "accounts", 0700) == 0);
	put("quire.conf", MAIN);
	put("domains/example.org.conf", "");
	put("domains/strict.example.conf",
	    "case-sensitive yes\nseparators \"\"\n");
	put("domains/m\xc3\xbcnchen.example.conf",
	    "separators +-\ncatch-all bob\n");
	put("accounts/alice.conf",
	    "maildir /mail/alice\n"
	    "address alice@example.org Jos\xc3\xa9@example.org\n"
	    "address alice@strict.example \"\\\"a b\\\"@example.org\"\n"
	    "address \"\\\"\\\"@example.org\" alice+lists@example.org\n");
	put("accounts/bob.conf",
	    "maildir /mail/bob\naddress bob@M\xc3\x9cNCHEN.example\n"
	    "address @strict.example\n");
}

static void
teardown(void)
{
	char cmd[128];

	close(dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert(system(cmd) == 0);
}

static struct config *
load(void)
{
	struct conf_errors e;
	struct config *c;

	conf_errors_init(&e);
	c = config_load(dirfd, &e);
	ck_assert_msg(c != NULL, "%s", buf_cstr(&e.text));
	conf_errors_release(&e);
	return c;
}

static const struct {
	struct str local, domain;
	enum config_rcpt rc;
	const char *account;
} finds[] = {
#define F(l, d, rc, a)                          \
	{                                       \
		STR_INIT(l), STR_INIT(d), rc, a \
	}
	F("alice", "example.org", RCPT_OK, "alice"),
	F("ALICE", "EXAMPLE.ORG", RCPT_OK, "alice"),
	F("alice+x", "example.org", RCPT_OK, "alice"),
	F("alice+lists", "example.org", RCPT_OK, "alice"),
	F("alice-x", "example.org", RCPT_NOUSER, NULL),
	F("+alice", "example.org", RCPT_NOUSER, NULL),
	F("", "example.org", RCPT_OK, "alice"),
	F("a b", "example.org", RCPT_OK, "alice"),
	/* NFD and NFC are one name */
	F("jose\xcc\x81", "example.org", RCPT_OK, "alice"),
	F("jos\xc3\xa9", "example.org", RCPT_OK, "alice"),
	F("jose", "example.org", RCPT_NOUSER, NULL),
	F("alice", "strict.example", RCPT_OK, "alice"),
	F("Alice", "strict.example", RCPT_OK, "bob"), /* @strict.example */
	F("alice+x", "strict.example", RCPT_OK, "bob"),
	F("bob", "xn--mnchen-3ya.example", RCPT_OK, "bob"),
	F("bob-x", "m\xc3\xbcnchen.example", RCPT_OK, "bob"),
	F("who", "m\xc3\xbcnchen.example", RCPT_OK, "bob"),
	/* nobody has these addresses, every domain has the roles */
	F("Postmaster", "example.org", RCPT_OK, "alice"),
	F("abuse", "example.org", RCPT_OK, "alice"),
	F("abuse", "xn--mnchen-3ya.example", RCPT_OK, "bob"),
	F("abuse", "elsewhere.example", RCPT_NODOMAIN, NULL),
	F("alice", "elsewhere.example", RCPT_NODOMAIN, NULL),
	F("alice", "sub.example.org", RCPT_NODOMAIN, NULL),
	F("x%elsewhere.example", "example.org", RCPT_NOUSER, NULL),
	F("alice", "not a domain", RCPT_NODOMAIN, NULL),
	F("alice", "", RCPT_NODOMAIN, NULL),
};

static void
check_find(const struct config *c, int i)
{
	const struct config_account *a;
	enum config_rcpt rc =
	    config_find(c, finds[i].local, finds[i].domain, &a);

	ck_assert_msg(rc == finds[i].rc, "%.*s@%.*s: %d",
	    STR_ARG(finds[i].local), STR_ARG(finds[i].domain), rc);
	if (finds[i].account == NULL)
		ck_assert(a == NULL);
	else
		ck_assert(str_eq(a->name, str_from(finds[i].account)));
}

START_TEST(addresses)
{
	struct config *c = load();

	check_find(c, _i);
	config_free(&c);
}
END_TEST

/* What daemons get says the same as the files. */
START_TEST(snapshot)
{
	struct config *c = load(), *again;
	struct conf_errors e;
	struct buf one, two;
	int i;

	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	conf_errors_init(&e);
	config_print(&one, c);
	again = config_parse(buf_str(&one), &e);
	ck_assert_msg(again != NULL, "%s", buf_cstr(&e.text));
	config_print(&two, again);
	ck_assert_str_eq(buf_cstr(&one), buf_cstr(&two));
	for (i = 0; i < N(finds); i++)
		check_find(again, i);
	config_free(&c);
	config_free(&again);
	buf_release(&one);
	buf_release(&two);
	conf_errors_release(&e);
}
END_TEST

START_TEST(logins)
{
	struct config *c = load();

	ck_assert(config_login(c, STR("alice")) != NULL);
	ck_assert(config_login(c, STR("alice@example.org")) != NULL);
	ck_assert(config_login(c, STR("Alice@Example.ORG")) != NULL);
	/* mail for these is alice's, but nobody logs in as them */
	ck_assert(config_login(c, STR("alice+x@example.org")) == NULL);
	ck_assert(config_login(c, STR("any@strict.example")) == NULL);
	ck_assert(config_login(c, STR("@strict.example")) == NULL);
	ck_assert(config_login(c, STR("")) == NULL);
	config_free(&c);
}
END_TEST

static const struct {
	const char *host, *account, *index_root; /* NULL: Maildir++ */
} layouts[] = {
	{ "", "", NULL },
	{ "", "layout fs\n", "/var/lib/quire/index/x" },
	{ "", "layout fs\nindex-root /i/x\n", "/i/x" },
	{ "layout fs\n", "", "/var/lib/quire/index/x" },
	{ "layout fs\nindex-root /i\n", "", "/i/x" },
	{ "layout fs\nindex-root /i\n", "index-root /other\n", "/other" },
	{ "layout fs\n", "layout maildir++\n", NULL },
	{ "layout maildir++\n", "layout host\n", NULL },
};

START_TEST(layout)
{
	const char *want = layouts[_i].index_root;
	const struct config_account *a;
	char text[400];
	struct config *c;

	snprintf(text, sizeof(text), MAIN "%s", layouts[_i].host);
	put("quire.conf", text);
	snprintf(
	    text, sizeof(text), "maildir /mail/x\n%s", layouts[_i].account);
	put("accounts/x.conf", text);
	c = load();
	a = config_account(c, STR("x"));
	ck_assert_int_eq(a->layout == LAYOUT_FS, want != NULL);
	ck_assert(want == NULL || str_eq(a->index_root, str_from(want)));
	config_free(&c);
}
END_TEST

#define PEM " {\n certificate /hc\n key /hk\n }\n"
#define TLS "tls {\n certificate /c\n key /k\n"

/* Also from the snapshot. */
START_TEST(tls)
{
	struct config *c[2];
	struct buf b;
	int i;

	put("quire.conf", MAIN TLS "minimum 1.3\nhost Imap.Example.org" PEM
				   "host m\xc3\xbcnchen.example" PEM "}\n");
	c[0] = load();
	buf_init(&b, 1 << 20);
	config_print(&b, c[0]);
	c[1] = config_snapshot(buf_str(&b));
	for (i = 0; i < 2; i++) {
		const struct config_tls_host *h = c[i]->tls_hosts;

		ck_assert_int_eq(c[i]->tls_minimum, TLS_MINIMUM_1_3);
		ck_assert_uint_eq(c[i]->ntls_hosts, 2);
		ck_assert(str_eq(h->name, STR("imap.example.org")));
		ck_assert(str_eq(h->certificate, STR("/hc")));
		ck_assert(str_eq(h->key, STR("/hk")));
		ck_assert(str_eq(h->next->name, STR("xn--mnchen-3ya.example")));
		ck_assert(str_eq(c[i]->tls_certificate, STR("/c")));
		config_free(&c[i]);
	}
	buf_release(&b);
	put("quire.conf", MAIN TLS "}\n");
	c[0] = load();
	ck_assert_int_eq(c[0]->tls_minimum, TLS_MINIMUM_1_2);
	config_free(&c[0]);
}
END_TEST

static const struct {
	const char *file, *text, *error;
} wrongs[] = {
	{ "accounts/x.conf", "maildir relative\n", "maildir /ABSOLUTE" },
	{ "accounts/x.conf", "maildir /m\naddress nope\n", "not an address" },
	{ "accounts/x.conf", "maildir /m\naddress a@other.example\n",
	    "'other.example' is not configured" },
	{ "accounts/x.conf", "maildir /m\naddress ALICE@example.org\n",
	    "belongs to account alice already" },
	{ "domains/x.example.conf", "catch-all nobody\n",
	    "unknown account 'nobody'" },
	{ "domains/x.example.conf", "separator +\n",
	    "did you mean 'separators'" },
	{ "quire.conf", "hostname x\n", "no listener" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n imaps 993\n}\n",
	    "imaps and submissions need 'tls" },
	{ "quire.conf", MAIN "tls {\n certificate /c\n}\n", "tls needs both" },
	{ "quire.conf", MAIN TLS "minimum 1.1\n}\n", "allowed: 1.2, 1.3" },
	{ "quire.conf", MAIN TLS "host x.example {\n key /k\n }\n}\n",
	    "tls host 'x.example' needs both" },
	{ "quire.conf", MAIN TLS "host {\n key /k\n }\n}\n",
	    "'host' is a block: host NAME" },
	{ "quire.conf", MAIN TLS "host x..y" PEM "}\n",
	    "'x..y' is not a domain name" },
	{ "quire.conf",
	    MAIN TLS "host x.example" PEM "host X.Example" PEM "}\n",
	    "tls host 'X.Example' is given twice" },
	{ "quire.conf", MAIN TLS "host MAIL.example.org" PEM "}\n",
	    "'mail.example.org' is the hostname" },
	{ "quire.conf", MAIN "tls {\nhost x.example" PEM "}\n",
	    "of the hostname are missing" },
	{ "quire.conf", MAIN "checks {\n resolver here\n}\n",
	    "resolver 'here' is not IP" },
	{ "quire.conf", MAIN "checks {\n resolver 127.0.0.1:53,\n}\n",
	    "resolver '' is not IP" },
	{ "quire.conf", MAIN "checks {\n resolver \"::1]:53\"\n}\n",
	    "is not IP, IP:PORT or [IPv6]:PORT" },
	{ "quire.conf", MAIN "checks {\n resolver 127.0.0.1:99999\n}\n",
	    "resolver '127.0.0.1:99999' is not IP" },
	{ "quire.conf", MAIN "limits {\n slow-octet 2h\n}\n",
	    "out of range, 0 to" },
	{ "quire.conf", MAIN "limits {\n recipients 3\n}\n",
	    "out of range, 100 to" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n proxy yes\n}\n",
	    "go together" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n proxy yes\n "
	    "proxy-from 10.0.0.0/33\n}\n",
	    "'10.0.0.0/33' is not a network" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n "
	    "xclient-from 10.0.0.1 here\n}\n",
	    "'here' is not a network" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n "
	    "first-time-sender-delay 5m\n}\n",
	    "out of range, 0 to 240000" },
	{ "quire.conf",
	    "hostname x\nlistener l {\n address 127.0.0.1\n "
	    "first-time-sender-delay no\n}\n",
	    "'no' is not a time" },
	{ "accounts/x.conf", "maildir /m\nfirst-time-sender-delay 0s\n",
	    "neither yes nor no" },
	{ "quire.conf", MAIN "limits {\n connection-rate 3 4\n}\n",
	    "'connection-rate' takes three numbers" },
	{ "quire.conf", MAIN "limits {\n connections-per-ip 3 4 5 6\n}\n",
	    "'connections-per-ip' takes three numbers" },
	{ "quire.conf", MAIN "limits {\n failed-logins-day 3 4 x\n}\n",
	    "'failed-logins-day' takes three numbers" },
	{ "quire.conf", MAIN "limits {\n failed-logins-minute 1 2 -1\n}\n",
	    "'failed-logins-minute' takes three numbers" },
	{ "accounts/x.conf", "maildir /m\nlayout fs\nindex-root i\n",
	    "outside its maildir" },
	{ "accounts/x.conf", "maildir /m\nlayout fs\nindex-root /m/i\n",
	    "outside its maildir" },
	{ "accounts/x.conf", "maildir /m\nlayout nested\n",
	    "allowed: host, maildir++, fs" },
	{ "quire.conf", MAIN "any-domain carol\n", "unknown account 'carol'" },
};

START_TEST(errors)
{
	struct conf_errors e;

	put(wrongs[_i].file, wrongs[_i].text);
	conf_errors_init(&e);
	ck_assert(config_load(dirfd, &e) == NULL);
	ck_assert_msg(strstr(buf_cstr(&e.text), wrongs[_i].error) != NULL,
	    "got: %s", buf_cstr(&e.text));
	conf_errors_release(&e);
}
END_TEST

/* What a domain or an account wants of mail, also from the snapshot. */
START_TEST(rules)
{
	struct conf_errors e;
	struct config *c[2];
	struct config_rules r;
	struct buf b;
	int i;

	put("quire.conf", MAIN);
	put("domains/strict.example.conf", "require-alignment yes\n");
	put("domains/open.example.conf",
	    "dmarc-reports Dmarc\ntls-reports tls\n");
	put("accounts/a.conf",
	    "maildir /m/a\naddress x@strict.example @open.example\n");
	put("accounts/b.conf",
	    "maildir /m/b\naddress y@open.example\nrequire-alignment yes\n");
	c[0] = load();
	buf_init(&b, 65536);
	config_print(&b, c[0]);
	conf_errors_init(&e);
	c[1] = config_parse(buf_str(&b), &e);
	ck_assert_ptr_nonnull(c[1]);
	for (i = 0; i < 2; i++) {
		const struct config_account *x = config_account(c[i], STR("a"));
		const struct config_account *y = config_account(c[i], STR("b"));

		config_rules(c[i], STR("x"), STR("STRICT.example"), x, &r);
		ck_assert(r.requires_alignment && !r.is_dmarc_reports);
		config_rules(c[i], STR("dmarc"), STR("open.example"), x, &r);
		ck_assert(!r.requires_alignment && r.is_dmarc_reports &&
			  !r.is_tls_reports);
		config_rules(c[i], STR("tls"), STR("open.example"), x, &r);
		ck_assert(!r.is_dmarc_reports && r.is_tls_reports);
		config_rules(c[i], STR(""), STR("open.example"), x, &r);
		ck_assert(!r.is_dmarc_reports && !r.is_tls_reports);
		config_rules(c[i], STR("y"), STR("open.example"), y, &r);
		ck_assert(r.requires_alignment);
		config_rules(c[i], STR("tls"), STR("other.example"), x, &r);
		ck_assert(!r.requires_alignment && !r.is_tls_reports);
		config_free(&c[i]);
	}
	conf_errors_release(&e);
	buf_release(&b);
}
END_TEST

/* How long new senders wait, and for whom they do not. */
START_TEST(first_time)
{
	struct conf_errors e;
	struct config *c[2];
	struct buf b;
	int i;

	put("quire.conf", MAIN "listener m {\n address 127.0.0.2\n smtp 25\n"
			       " first-time-sender-delay 4m\n}\n"
			       "listener n {\n address 127.0.0.3\n smtp 25\n"
			       " first-time-sender-delay 0s\n}\n");
	put("accounts/x.conf", "maildir /m\nfirst-time-sender-delay no\n");
	c[0] = load();
	buf_init(&b, 65536);
	config_print(&b, c[0]);
	conf_errors_init(&e);
	c[1] = config_parse(buf_str(&b), &e);
	ck_assert_ptr_nonnull(c[1]);
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(c[i]->listeners[0].first_time_ms, 15000);
		ck_assert_uint_eq(c[i]->listeners[1].first_time_ms, 240000);
		ck_assert_uint_eq(c[i]->listeners[2].first_time_ms, 0);
		ck_assert(config_account(c[i], STR("bob"))->delays_first_time);
		ck_assert(!config_account(c[i], STR("x"))->delays_first_time);
		config_free(&c[i]);
	}
	conf_errors_release(&e);
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, addresses, 0, N(finds));
	tcase_add_test(t, snapshot);
	tcase_add_test(t, logins);
	tcase_add_loop_test(t, layout, 0, N(layouts));
	tcase_add_loop_test(t, errors, 0, N(wrongs));
	tcase_add_test(t, first_time);
	tcase_add_test(t, rules);
	tcase_add_test(t, tls);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
