#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/smtp/smtp.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

#define ALL (SMTP_WITH_REQUIRETLS | SMTP_WITH_HOLD)

static const struct {
	const char *line;
	unsigned flags;
	enum smtp_verb verb;
	int code; /* 0: fine */
	const char *enhanced;
} commands[] = {
	{ "EHLO a.example", 0, SMTP_EHLO, 0, NULL },
	{ "ehlo [192.0.2.1]", 0, SMTP_EHLO, 0, NULL },
	{ "HELO x y z", 0, SMTP_HELO, 0, NULL },
	{ "EHLO", 0, SMTP_EHLO, 501, "5.5.4" },
	{ "EHLO \xff", 0, SMTP_EHLO, 501, "5.5.4" },
	{ "LHLO x", 0, SMTP_LHLO, 0, NULL },
	{ "NOOP", 0, SMTP_NOOP, 0, NULL },
	{ "noop whatever", 0, SMTP_NOOP, 0, NULL },
	{ "QUIT", 0, SMTP_QUIT, 0, NULL },
	{ "QUIT ", 0, SMTP_QUIT, 0, NULL },
	{ "QUIT now", 0, SMTP_QUIT, 501, "5.5.4" },
	{ "RSET x", 0, SMTP_RSET, 501, "5.5.4" },
	{ "VRFY", 0, SMTP_VRFY, 501, "5.5.4" },
	{ "VRFY me", 0, SMTP_VRFY, 0, NULL },
	{ "HELP", 0, SMTP_HELP, 0, NULL },
	{ "", 0, SMTP_UNKNOWN, 500, "5.5.1" },
	{ "GET / HTTP/1.1", 0, SMTP_UNKNOWN, 500, "5.5.1" },
	{ "MAILFROM:<a@b>", 0, SMTP_UNKNOWN, 500, "5.5.1" },
	{ "STARTTLS", 0, SMTP_STARTTLS, 0, NULL },
	{ "STARTTLS x", 0, SMTP_STARTTLS, 501, "5.5.4" },
	/* RFC 4954, 4 */
	{ "AUTH", 0, SMTP_AUTH, 501, "5.5.4" },
	{ "AUTH PLAIN", 0, SMTP_AUTH, 0, NULL },
	{ "AUTH PLAIN =", 0, SMTP_AUTH, 0, NULL },
	{ "AUTH plain AGEAYg==", 0, SMTP_AUTH, 0, NULL },
	{ "AUTH PLAIN AGEAYg=", 0, SMTP_AUTH, 501, "5.5.2" },
	{ "AUTH PLAIN AGEAYg== x", 0, SMTP_AUTH, 501, "5.5.4" },
	{ "AUTH !", 0, SMTP_AUTH, 501, "5.5.4" },
	/* RFC 5321, 4.1.1.2 */
	{ "MAIL FROM:<>", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b>", 0, SMTP_MAIL, 0, NULL },
	{ "mail from: <a@b>", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<\"\"@b>", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:a@b", 0, SMTP_MAIL, 501, "5.1.7" },
	{ "MAIL FROM:<a@b", 0, SMTP_MAIL, 501, "5.1.7" },
	{ "MAIL FROM:<a>", 0, SMTP_MAIL, 501, "5.1.7" },
	{ "MAIL FROM:<postmaster>", 0, SMTP_MAIL, 501, "5.1.7" },
	{ "MAIL <a@b>", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b>SIZE=1", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> SIZE=1", 0, SMTP_MAIL, 0, NULL }, /* RFC 1870 */
	{ "MAIL FROM:<a@b> size=1 BODY=8bitmime", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b>  SIZE=1", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> SIZE", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> SIZE=", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> SIZE=-1", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> SIZE=99999999999999999999", 0, SMTP_MAIL, 501,
	    "5.5.4" },
	{ "MAIL FROM:<a@b> SIZE=1 SIZE=1", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> BODY=7BIT", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> BODY=BINARYMIME", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> AUTH=<>", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> AUTH=e+3", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> FOO=1", 0, SMTP_MAIL, 555, "5.3.3" },
	{ "MAIL FROM:<a@b> RET=FULL", 0, SMTP_MAIL, 555, "5.3.3" },
	{ "MAIL FROM:<a@b> =", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> REQUIRETLS", 0, SMTP_MAIL, 555, "5.3.3" },
	{ "MAIL FROM:<a@b> REQUIRETLS", ALL, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> REQUIRETLS=1", ALL, SMTP_MAIL, 501, "5.5.4" },
	/* RFC 4865, 4 */
	{ "MAIL FROM:<a@b> HOLDFOR=60", 0, SMTP_MAIL, 555, "5.3.3" },
	{ "MAIL FROM:<a@b> HOLDFOR=60", ALL, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<a@b> HOLDFOR=0", ALL, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> HOLDFOR=5184001", ALL, SMTP_MAIL, 554, "5.5.4" },
	{ "MAIL FROM:<a@b> HOLDUNTIL=2030-01-02T03:04:05Z", ALL, SMTP_MAIL, 0,
	    NULL },
	{ "MAIL FROM:<a@b> HOLDUNTIL=2030-01-02T03:04:05+01:30", ALL, SMTP_MAIL,
	    0, NULL },
	{ "MAIL FROM:<a@b> HOLDUNTIL=2030-01-32T03:04:05Z", ALL, SMTP_MAIL, 501,
	    "5.5.4" },
	{ "MAIL FROM:<a@b> HOLDUNTIL=2030", ALL, SMTP_MAIL, 501, "5.5.4" },
	{ "MAIL FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2030-01-02T03:04:05Z", ALL,
	    SMTP_MAIL, 501, "5.5.4" },
	/* RFC 6531, 3.4 */
	{ "MAIL FROM:<\xc3\xa4@b> SMTPUTF8", 0, SMTP_MAIL, 0, NULL },
	{ "MAIL FROM:<\xc3\xa4@b>", 0, SMTP_MAIL, 553, "5.6.7" },
	{ "MAIL FROM:<a@b> SMTPUTF8=1", 0, SMTP_MAIL, 501, "5.5.4" },
	{ "RCPT TO:<\xc3\xa4@b>", 0, SMTP_RCPT, 553, "5.6.7" },
	{ "RCPT TO:<\xc3\xa4@b>", SMTP_UTF8_PATHS, SMTP_RCPT, 0, NULL },
	/* RFC 5321, 4.1.1.3 */
	{ "RCPT TO:<a@b>", 0, SMTP_RCPT, 0, NULL },
	{ "RCPT TO:<@x,@y:a@b>", 0, SMTP_RCPT, 0, NULL },
	{ "RCPT TO:<PostMaster>", 0, SMTP_RCPT, 0, NULL },
	{ "RCPT TO:<>", 0, SMTP_RCPT, 501, "5.1.3" },
	{ "RCPT TO:a@b", 0, SMTP_RCPT, 501, "5.1.3" },
	{ "RCPT TO:<a@b> NOTIFY=NEVER", 0, SMTP_RCPT, 555, "5.3.3" },
	{ "RCPT <a@b>", 0, SMTP_RCPT, 501, "5.5.4" },
};

START_TEST(command_lines)
{
	struct str line = str_from(commands[_i].line);
	struct smtp_command cmd;
	struct smtp_error error;
	struct arena a;
	size_t cut;
	bool ok;

	arena_init(&a, 1 << 20);
	for (cut = 0; cut < line.n; cut++)
		smtp_command_parse(&a, arena_str(&a, str_sub(line, 0, cut)),
		    commands[_i].flags, &cmd, &error);
	ok = smtp_command_parse(&a, line, commands[_i].flags, &cmd, &error);
	ck_assert_msg(
	    ok == (commands[_i].code == 0), "%s", ok ? "" : error.text);
	ck_assert_int_eq((int)cmd.verb, (int)commands[_i].verb);
	if (!ok) {
		ck_assert_int_eq(error.code, commands[_i].code);
		ck_assert_str_eq(error.enhanced, commands[_i].enhanced);
	}
	arena_release(&a);
}
END_TEST

START_TEST(command_values)
{
	struct smtp_command c;
	struct smtp_error e;
	struct arena a;
	struct buf b;

	arena_init(&a, 1 << 20);
	buf_init(&b, 100);
	ck_assert(smtp_command_parse(&a,
	    STR("MAIL FROM:<\"a b\"@c> SIZE=123 BODY=8BITMIME SMTPUTF8 "
		"AUTH=e+3Dmc2@example.com HOLDUNTIL=1970-01-01T01:00:01+01:00"),
	    ALL, &c, &e));
	eq(c.path.addr.local, STR("a b"));
	ck_assert(c.has_size && c.size == 123 && c.is_smtputf8);
	ck_assert_int_eq((int)c.body, SMTP_BODY_8BIT);
	eq(c.auth, STR("e=mc2@example.com"));
	ck_assert(c.has_hold_until && c.hold_until == 1);
	ck_assert(
	    smtp_command_parse(&a, STR("auth plain AGEAYg=="), 0, &c, &e));
	eq(c.mechanism, STR("PLAIN"));
	eq(c.initial, STR("\0a\0b"));
	ck_assert(!smtp_command_parse(&a, STR("RCPT TO:<a@b>x"), 0, &c, &e));
	eq(e.rest, STR("x"));
	smtp_xtext_encode(&b, STR("a+b=c d\xc3"));
	eq(buf_str(&b), STR("a+2Bb+3Dc+20d+C3"));
	buf_release(&b);
	arena_release(&a);
}
END_TEST

START_TEST(reply_lines)
{
	struct buf b;
	struct smtp_reply_parser p;
	struct str in, line, rest;
	size_t i, k;
	char text[1200];

	buf_init(&b, 1 << 16);
	smtp_reply_put(&b, 250, "2.0.0", STR("ok"), STR(""));
	smtp_reply_put(&b, 354, NULL, STR("go"), STR(""));
	smtp_reply_put(&b, 250, NULL, STR("a\nb\nc"), STR(""));
	smtp_reply_put(&b, 550, "5.1.1", STR("no\r such"), STR("abc"));
	smtp_reply_put(&b, 500, "5.5.1", STR(""), STR("abc"));
	eq(buf_str(&b),
	    STR("250 2.0.0 ok\r\n354 go\r\n250-a\r\n250-b\r\n250 c\r\n"
		"550 5.1.1 no? such (cid abc)\r\n500 5.5.1 (cid abc)\r\n"));
	for (i = 0; i < sizeof(text); i++) { /* any length is wrapped */
		memset(text, 'x', sizeof(text));
		for (k = 0; k < i; k += 17)
			text[k] = ' ';
		if (i % 2)
			memcpy(text + i / 2, "\n", 1);
		buf_clear(&b);
		smtp_reply_put(&b, 450, "4.7.1", str_make(text, i),
		    STR("1234567890123456789012"));
		for (rest = buf_str(&b); rest.n > 0;) {
			ck_assert(str_cut(&rest, '\n', &line));
			ck_assert_uint_le(line.n, 511);
			ck_assert(rest.n > 0 ?
				      str_starts(line, STR("450-4.7.1")) :
				      str_ends(line, STR(")\r")));
		}
		smtp_reply_init(&p); /* and reads back */
		in = buf_str(&b);
		ck_assert_int_eq(
		    (int)smtp_reply_push(&p, &in), SMTP_REPLY_DONE);
		ck_assert_int_eq(p.reply.code, 450);
		ck_assert_str_eq(p.reply.enhanced, "4.7.1");
		ck_assert_uint_eq(in.n, 0);
		smtp_reply_release(&p);
	}
	buf_release(&b);
}
END_TEST

static const struct {
	const char *in;
	int code; /* 0: bad, -1: more */
	const char *enhanced, *text, *rest;
} replies[] = {
	{ "220 hi\r\n", 220, "", "hi", "" },
	{ "220\r\n", 220, "", "", "" },
	{ "250-a\r\n250-b\r\n250 c\r\nrest", 250, "", "a\nb\nc", "rest" },
	{ "250-2.1.0 a\r\n250 2.1.5 c\r\n", 250, "2.1.5", "a\nc", "" },
	{ "550 5.1.1\r\n", 550, "5.1.1", "", "" },
	{ "550 4.1.1 x\r\n", 550, "", "4.1.1 x", "" }, /* RFC 2034, 4 */
	{ "550 5.1 x\r\n", 550, "", "5.1 x", "" },
	{ "550 5.1.1x\r\n", 550, "", "5.1.1x", "" },
	{ "250 bare\n", 250, "", "bare", "" },
	{ "250", -1, NULL, NULL, NULL },
	{ "250-x\r\n", -1, NULL, NULL, NULL },
	{ "", -1, NULL, NULL, NULL },
	{ "25\r\n", 0, NULL, NULL, NULL },
	{ "\r\n", 0, NULL, NULL, NULL },
	{ "HTTP/1.1 200\r\n", 0, NULL, NULL, NULL },
	{ "100 x\r\n", 0, NULL, NULL, NULL },
	{ "600 x\r\n", 0, NULL, NULL, NULL },
	{ "250_x\r\n", 0, NULL, NULL, NULL },
	{ "250-x\r\n251 y\r\n", 0, NULL, NULL, NULL },
};

START_TEST(reply_reader)
{
	struct str all = str_from(replies[_i].in), in;
	struct smtp_reply_parser p;
	enum smtp_reply_state st = SMTP_REPLY_MORE;
	size_t cut;

	for (cut = 0; cut <= all.n; cut++) {
		smtp_reply_init(&p);
		in = str_sub(all, 0, cut);
		st = smtp_reply_push(&p, &in);
		if (st == SMTP_REPLY_MORE) {
			ck_assert_uint_eq(in.n, 0);
			in = str_sub(all, cut, SIZE_MAX);
			st = smtp_reply_push(&p, &in);
		} else
			in = str_make(in.p, all.n - (size_t)(in.p - all.p));
		if (replies[_i].code > 0) {
			ck_assert_int_eq((int)st, SMTP_REPLY_DONE);
			ck_assert_int_eq(p.reply.code, replies[_i].code);
			ck_assert_str_eq(
			    p.reply.enhanced, replies[_i].enhanced);
			eq(p.reply.text, str_from(replies[_i].text));
			eq(in, str_from(replies[_i].rest));
		} else
			ck_assert_int_eq((int)st, replies[_i].code == 0 ?
						      SMTP_REPLY_BAD :
						      SMTP_REPLY_MORE);
		smtp_reply_release(&p);
	}
}
END_TEST

START_TEST(reply_is_bounded)
{
	struct smtp_reply_parser p;
	struct str in;
	int i;

	smtp_reply_init(&p);
	for (i = 0; i < 100000; i++) {
		in = STR("250-xxxxxxxxxxxxxxxxxxxx\r\n");
		if (smtp_reply_push(&p, &in) == SMTP_REPLY_BAD)
			break;
	}
	ck_assert_int_lt(i, 10000);
	smtp_reply_release(&p);
	smtp_reply_init(&p);
	for (i = 0; i < 100000; i++) {
		in = STR("250-xxxxxxxxxxxxxxxxxxxx");
		if (smtp_reply_push(&p, &in) == SMTP_REPLY_BAD)
			break;
	}
	ck_assert_int_lt(i, 1000);
	smtp_reply_release(&p);
}
END_TEST

enum { DONE = 1, BAD = 2, OVER = 4, BLANK = 8, EIGHT = 16 };

static const struct {
	const char *in, *out;
	unsigned what;
	unsigned n_received;
	const char *rest;
} datas[] = {
	{ ".\r\n", "", DONE, 0, "" },
	{ ".\r\nQUIT\r\n", "", DONE, 0, "QUIT\r\n" },
	{ "a\r\n.\r\n", "a\r\n", DONE, 0, "" },
	{ "A: b\r\n\r\nx\r\n.\r\n", "A: b\r\n\r\nx\r\n", DONE | BLANK, 0, "" },
	{ "\r\n.\r\n", "\r\n", DONE | BLANK, 0, "" },
	{ "a", "a", 0, 0, "" },
	{ "a\r\n.", "a\r\n", 0, 0, "" },
	/* RFC 5321, 4.5.2: transparency */
	{ "..\r\n.\r\n", ".\r\n", DONE, 0, "" },
	{ ".a\r\n..b\r\nc.\r\n.\r\n", "a\r\n.b\r\nc.\r\n", DONE, 0, "" },
	{ "...\r\n.\r\n", "..\r\n", DONE, 0, "" },
	/* bare LF is a line end */
	{ "a\nb\n\r\n.\r\n", "a\r\nb\r\n\r\n", DONE | BLANK, 0, "" },
	{ "a\n..b\r\n.\r\n", "a\r\n.b\r\n", DONE, 0, "" },
	{ "a\n.b\r\n.\r\n", "a\r\nb\r\n", DONE, 0, "" },
	{ "\xc3\xa4\r\n.\r\n", "\xc3\xa4\r\n", DONE | EIGHT, 0, "" },
	/* smuggling: no such end is taken, the rest is read */
	{ "a\n.\nMAIL\r\n.\r\nx", "a\r\n", DONE | BAD, 0, "x" },
	{ "a\r\n.\nMAIL\r\n.\r\nx", "a\r\n", DONE | BAD, 0, "x" },
	{ "a\n.\r\nMAIL\r\n.\r\nx", "a\r\n", DONE | BAD, 0, "x" },
	{ "a\n.\r\n.\r\nx", "a\r\n", DONE | BAD, 0, "x" },
	{ "a\r.\r\nMAIL\r\n.\r\nx", "a", DONE | BAD, 0, "x" },
	{ "a\r\n.\rMAIL\r\n.\r\nx", "a\r\n", DONE | BAD, 0, "x" },
	{ "a\r\r\n.\r\nx", "a", DONE | BAD, 0, "x" },
	{ "a\r\r\n\r\n.\r\n.\r\n", "a", DONE | BAD, 0, ".\r\n" },
	{ "\r\n\r.\r\n\r\n.\r\r\n.\r\nx", "\r\n", DONE | BAD | BLANK, 0, "x" },
	{ "a\rb", "a", BAD, 0, "" },
	{ "a\r\n.\n", "a\r\n", BAD, 0, "" },
	{ ".\n.\r\n", "", BAD, 0, "" },
	/* header */
	{ "Received: x\r\nreceived: y\r\nReceivedX: z\r\n Received:\r\n\r\n"
	  "Received: body\r\n.\r\n",
	    "Received: x\r\nreceived: y\r\nReceivedX: z\r\n Received:\r\n\r\n"
	    "Received: body\r\n",
	    DONE | BLANK, 2, "" },
	{ "0123456789012345678901234567890123456789\r\n"
	  "0123456789012345678901234567890123456789\r\n"
	  "0123456789012345678901234567890123456789\r\n.\r\nx",
	    NULL, DONE | OVER, 0, "x" },
};

START_TEST(data_reader)
{
	struct str all = str_from(datas[_i].in), in, rest;
	struct smtp_data d;
	struct buf b;
	size_t cut, i;
	bool done;
	unsigned what;

	buf_init(&b, 4096);
	for (cut = 0; cut <= all.n + 1; cut++) {
		buf_clear(&b);
		smtp_data_init(&d, 100);
		done = false;
		rest = str_sub(all, all.n, 0);
		if (cut <= all.n) {
			in = str_sub(all, 0, cut);
			done = smtp_data_push(&d, &in, &b);
			ck_assert(done || in.n == 0);
			if (!done) {
				in = str_sub(all, cut, SIZE_MAX);
				done = smtp_data_push(&d, &in, &b);
			}
			if (done)
				rest = str_make(
				    in.p, all.n - (size_t)(in.p - all.p));
		} else
			for (i = 0; i < all.n && !done; i++) {
				in = str_sub(all, i, 1);
				done = smtp_data_push(&d, &in, &b);
				rest = str_sub(all, i + 1, SIZE_MAX);
			}
		what = (done ? DONE : 0) | (d.is_smuggled ? BAD : 0) |
		       (d.is_over ? OVER : 0) | (d.has_blank ? BLANK : 0) |
		       (d.is_8bit ? EIGHT : 0);
		ck_assert_uint_eq(what, datas[_i].what);
		ck_assert_uint_eq(d.n_received, datas[_i].n_received);
		if (datas[_i].out != NULL)
			eq(buf_str(&b), str_from(datas[_i].out));
		else
			ck_assert_uint_le(b.n, 100);
		eq(rest, str_from(datas[_i].rest));
	}
	buf_release(&b);
}
END_TEST

START_TEST(trace_fields)
{
	struct addr rcpt = { .local = STR("a b"), .domain = STR("x.example") };
	struct addr_path path = { .kind = ADDR_PATH, .addr = rcpt };
	struct smtp_trace t = { .helo = STR("me (x)"),
		.peer_name = STR("mx.example"),
		.peer_ip = STR("192.0.2.1"),
		.local_host = STR("here.example"),
		.local_ip = STR("2001:db8::1"),
		.is_esmtp = true,
		.is_tls = true,
		.is_auth = true,
		.is_requiretls = true,
		.tls = STR("TLSv1.3 AES"),
		.cid = STR("ab-_"),
		.rcpt = &rcpt };
	struct buf b;

	buf_init(&b, 4096);
	smtp_received_put(&b, &t);
	eq(buf_str(&b), STR("Received: from me??x? (mx.example [192.0.2.1])\r\n"
			    "\tby here.example ([IPv6:2001:db8::1])\r\n"
			    "\tvia tcp with ESMTPSA (requiretls) id ab-_\r\n"
			    "\t(TLSv1.3 AES)\r\n\tfor <\"a b\"@x.example>;\r\n"
			    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n"));
	t.hide_peer = true;
	t.is_requiretls = t.is_auth = t.is_tls = false;
	t.is_smtputf8 = true;
	t.tls = STR("");
	t.rcpt = NULL;
	buf_clear(&b);
	smtp_received_put(&b, &t);
	eq(buf_str(&b), STR("Received: from me??x?\r\n\tby here.example "
			    "([IPv6:2001:db8::1])"
			    "\r\n\tvia tcp with UTF8SMTP id ab-_;\r\n"
			    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n"));
	buf_clear(&b);
	smtp_return_path_put(&b, &path);
	path.kind = ADDR_PATH_NULL;
	smtp_return_path_put(&b, &path);
	smtp_delivered_to_put(&b, &rcpt);
	eq(buf_str(&b),
	    STR("Return-Path: <\"a b\"@x.example>\r\nReturn-Path: <>\r\n"
		"Delivered-To: \"a b\"@x.example\r\n"));
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("smtp");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, command_lines, 0, N(commands));
	tcase_add_test(t, command_values);
	tcase_add_test(t, reply_lines);
	tcase_add_loop_test(t, reply_reader, 0, N(replies));
	tcase_add_test(t, reply_is_bounded);
	tcase_add_loop_test(t, data_reader, 0, N(datas));
	tcase_add_test(t, trace_fields);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
