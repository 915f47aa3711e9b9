#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "format/mime/mime.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

static const struct {
	const char *in, *want;
} words[] = {
	{ "plain", "plain" },
	{ " a\r\n b ", "a b" },
	/* RFC 2047, 8 */
	{ "=?ISO-8859-1?Q?a?=", "a" },
	{ "=?ISO-8859-1?Q?a?= b", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a_b?=", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
	{ "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
	    "Keith Moore <moore@cs.utk.edu>" },
	{ "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
	{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
	  " =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
	    "If you can read this you understand the example." },
	{ "=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=",
	    "\xd7\x9d\xd7\x95\xd7\x9c\xd7\xa9 \xd7\x9f\xd7\x91 "
	    "\xd7\x99\xd7\x9c\xd7\x98\xd7\xa4\xd7\xa0" },
	{ "=?utf-8*en?q?x?=", "x" }, /* RFC 2231, 5 */
	/* a character cut between two words */
	{ "=?utf-8?q?=e2=82?= =?UTF-8?q?=ac?=", "\xe2\x82\xac" },
	{ "=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "\xe2\x82\xac" },
	{ "=?utf-8?b?4oI?= =?utf-8?b?rA?=", "\xe2\x82\xac" },
	{ "=?ks_c_5601-1987?B?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
	{ "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "=?x-unknown?q?=e4=f6?=", "\xc3\xa4\xc3\xb6" },
	{ "=?x-unknown?q?=c3=a4?=", "\xc3\xa4" },
	{ "=?utf-8//IGNORE?q?=c3=a4?=", "\xc3\xa4" },
	{ "=?us-ascii?q?a b?=", "a b" }, /* spaces do occur */
	/* not words */
	{ "=?a?x?b?=", "=?a?x?b?=" },
	{ "=?a?q?b", "=?a?q?b" },
	{ "=??q?b?=", "=??q?b?=" },
	{ "= =? =?a =?a? =?a?q =?a?q?", "= =? =?a =?a? =?a?q =?a?q?" },
	{ "\xe4 \xc3\xa4", "\xc3\xa4 \xc3\xa4" },
	{ "a=?utf-8?q?b?=c", "abc" },
};

START_TEST(encoded_words)
{
	struct buf b;

	buf_init(&b, 4096);
	mime_words_decode(&b, str_from(words[_i].in));
	eq(buf_str(&b), str_from(words[_i].want));
	buf_release(&b);
}
END_TEST

START_TEST(words_are_linear)
{
	struct buf b, out;
	int i;

	buf_init(&b, 1 << 24);
	buf_init(&out, 1 << 26);
	for (i = 0; i < 400000; i++)
		buf_puts(&b, _i == 0 ? "=?a?q?b" : "=?utf-8?q?a?=");
	mime_words_decode(&out, buf_str(&b));
	ck_assert_uint_eq(out.n, _i == 0 ? b.n : 400000);
	buf_release(&b);
	buf_release(&out);
}
END_TEST

static const struct {
	const char *label;
	struct str in, want;
	bool known;
} charsets[] = {
	{ "utf-8", STR_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
	    STR_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), true },
	{ "UTF-8",
	    STR_INIT("\xff"
		     "a\xe2\x82"),
	    STR_INIT("\xef\xbf\xbd"
		     "a\xef\xbf\xbd\xef\xbf\xbd"),
	    true },
	{ "utf-8", STR_INIT("\xe0\x80\xed\xa0\x80"),
	    STR_INIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		     "\xef\xbf\xbd"),
	    true },
	{ "iso-8859-1", STR_INIT("\xe4\x80"), STR_INIT("\xc3\xa4\xe2\x82\xac"),
	    true },
	{ "us-ascii", STR_INIT("a\xe2\x82\xac\x80"),
	    STR_INIT("a\xe2\x82\xac\xe2\x82\xac"), true },
	{ "no-such", STR_INIT("\xe2\x82"), STR_INIT("\xc3\xa2\xe2\x80\x9a"),
	    false },
	{ "", STR_INIT("x"), STR_INIT("x"), false },
	{ "iso-8859-15", STR_INIT("\xa4"), STR_INIT("\xe2\x82\xac"), true },
	{ "koi8-r", STR_INIT("\xc1"), STR_INIT("\xd0\xb0"), true },
	{ "x-sjis", STR_INIT("\x93\xfa\x96\x7b"),
	    STR_INIT("\xe6\x97\xa5\xe6\x9c\xac"), true },
	{ "gb2312",
	    STR_INIT("\xd6\xd0\xff"
		     "a"),
	    STR_INIT("\xe4\xb8\xad\xef\xbf\xbd"
		     "a"),
	    true },
	{ "utf-16be", STR_INIT("\0a\xd8\x3d\xde\x00\0b"),
	    STR_INIT("a\xf0\x9f\x98\x80"
		     "b"),
	    true },
	{ "utf-7", STR_INIT("A+ImIDkQ."), STR_INIT("A\xe2\x89\xa2\xce\x91."),
	    true },
	/* beyond Unicode: iconv makes octets that are no UTF-8 */
	{ "ucs-4", STR_INIT("\x7f\xff\xff\xff\0\0\0a"),
	    STR_INIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		     "\xef\xbf\xbd\xef\xbf\xbd"
		     "a"),
	    true },
	{ "iso-2022-jp", STR_INIT("\033$BF|K\\\033(B."),
	    STR_INIT("\xe6\x97\xa5\xe6\x9c\xac."), true },
};

START_TEST(charset_streams)
{
	struct str in = charsets[_i].in, label = str_from(charsets[_i].label);
	struct mime_charset *cs;
	struct buf b;
	size_t cut, i;

	buf_init(&b, 4096);
	ck_assert(mime_charset_is_known(label) == charsets[_i].known);
	for (cut = 0; cut <= in.n + 1; cut++) {
		buf_clear(&b);
		cs = mime_charset_new(label);
		if (cut <= in.n) {
			mime_charset_push(cs, str_sub(in, 0, cut), &b);
			mime_charset_push(cs, str_sub(in, cut, SIZE_MAX), &b);
		} else
			for (i = 0; i < in.n; i++)
				mime_charset_push(cs, str_sub(in, i, 1), &b);
		mime_charset_finish(cs, &b);
		mime_charset_free(&cs);
		eq(buf_str(&b), charsets[_i].want);
	}
	buf_release(&b);
}
END_TEST

static const struct {
	enum mime_encoding encoding;
	const char *in, *want;
	bool ok;
} encoded[] = {
	{ MIME_ENC_NONE, "a=20b", "a=20b", true },
	{ MIME_ENC_BASE64, "", "", true },
	{ MIME_ENC_BASE64, "Zg==", "f", true }, /* RFC 4648, 10 */
	{ MIME_ENC_BASE64, "Zm8=", "fo", true },
	{ MIME_ENC_BASE64, "Zm9v\r\nYmFy\r\n", "foobar", true },
	{ MIME_ENC_BASE64, "Z m\r\n9v", "foo", true },
	{ MIME_ENC_BASE64, "Zg==Zm8=", "ffo", true },
	{ MIME_ENC_BASE64, "Zm9vYg", "foob", false },
	{ MIME_ENC_BASE64, "Zm9vY", "foo", false },
	{ MIME_ENC_BASE64, "Zm!9v", "foo", false },
	{ MIME_ENC_BASE64, "Z=", "", false },
	{ MIME_ENC_QP, "a=3Db=c3=A4", "a=b\xc3\xa4", true },
	{ MIME_ENC_QP, "a =\r\nb", "a b", true }, /* RFC 2045, 6.7 (5) */
	{ MIME_ENC_QP, "a= \t\r\nb", "ab", true },
	{ MIME_ENC_QP, "a=\nb", "ab", true },
	{ MIME_ENC_QP, "a  \t\r\nb ", "a\r\nb", true }, /* rule 3 */
	{ MIME_ENC_QP, "a \nb", "a\nb", true },
	{ MIME_ENC_QP, "a b  c", "a b  c", true },
	{ MIME_ENC_QP, "a=", "a", true },
	{ MIME_ENC_QP, "a\rb", "a\rb", true },
	{ MIME_ENC_QP, "a\r", "a\r", true },
	{ MIME_ENC_QP, "a=zb", "a=zb", false },
	{ MIME_ENC_QP, "a=4", "a=4", false },
	{ MIME_ENC_QP, "a=4z", "a=4z", false },
	{ MIME_ENC_QP, "a=4=41", "a=4A", false },
	{ MIME_ENC_QP, "== b=", "== b", false },
	{ MIME_ENC_QP, "a= b", "a= b", false },
	{ MIME_ENC_QP, "a=\rb", "a=\rb", false },
	{ MIME_ENC_QP,
	    "x          30        40        50        60        70"
	    "        80        90        y \r\n",
	    "x          30        40        50        60        70"
	    "        80        90        y\r\n",
	    true },
};

START_TEST(decoders)
{
	struct str in = str_from(encoded[_i].in);
	struct mime_decoder d;
	struct buf b;
	size_t cut, i;
	bool ok;

	buf_init(&b, 4096);
	for (cut = 0; cut <= in.n + 1; cut++) {
		buf_clear(&b);
		mime_decoder_init(&d, encoded[_i].encoding);
		if (cut <= in.n) {
			mime_decoder_push(&d, str_sub(in, 0, cut), &b);
			mime_decoder_push(&d, str_sub(in, cut, SIZE_MAX), &b);
		} else
			for (i = 0; i < in.n; i++)
				mime_decoder_push(&d, str_sub(in, i, 1), &b);
		ok = mime_decoder_finish(&d, &b);
		eq(buf_str(&b), str_from(encoded[_i].want));
		ck_assert(ok == encoded[_i].ok);
	}
	buf_release(&b);
}
END_TEST

START_TEST(encoders_read_back)
{
	struct buf in, enc, out;
	struct mime_decoder d;
	struct str line, rest;
	int i;

	buf_init(&in, 1 << 16);
	buf_init(&enc, 1 << 18);
	buf_init(&out, 1 << 18);
	for (i = 0; i < 5000; i++)
		if (i % 97 == 96)
			buf_puts(&in, i % 2 ? " \r\n" : "\r\n");
		else
			buf_putc(
			    &in, i % 5 == 0 ? ' ' : (char)(33 + i * 7 % 220));
	for (i = 0; i < 2; i++) {
		buf_clear(&enc);
		buf_clear(&out);
		mime_decoder_init(&d, i ? MIME_ENC_BASE64 : MIME_ENC_QP);
		if (i)
			mime_base64_encode(&enc, buf_str(&in));
		else
			mime_qp_encode(&enc, buf_str(&in));
		for (rest = buf_str(&enc); str_cut(&rest, '\n', &line);)
			ck_assert_uint_le(line.n, 77);
		mime_decoder_push(&d, buf_str(&enc), &out);
		ck_assert(mime_decoder_finish(&d, &out));
		eq(buf_str(&out), buf_str(&in));
	}
	buf_release(&in);
	buf_release(&enc);
	buf_release(&out);
}
END_TEST

static void
sink(void *arg, struct str s)
{
	ck_assert(s.n > 0 && s.n <= MIME_TEXT_CHUNK);
	ck_assert(utf8_valid(s)); /* no character is cut */
	buf_put(arg, s);
}

START_TEST(text_of_part)
{
	struct arena a;
	struct buf raw, text, got, want;
	const struct mime_part *p;
	struct mime_text *t;
	size_t i;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&raw, 1 << 20);
	buf_init(&text, 1 << 20);
	buf_init(&got, 1 << 20);
	buf_init(&want, 1 << 20);
	for (i = 0; i < 30000; i++) {
		buf_puts(&text, i % 3 ? "\xa4" : "x");
		buf_puts(&want, i % 3 ? "\xe2\x82\xac" : "x");
	}
	mime_base64_encode(&raw, buf_str(&text));
	p = mime_parse(&a,
	    STR("Content-Type: text/plain; charset=iso-8859-15"
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
	    0);
	t = mime_text_new(p, sink, &got);
	for (i = 0; i < raw.n; i += 1000)
		mime_text_push(t, str_sub(buf_str(&raw), i, 1000));
	mime_text_finish(&t);
	eq(buf_str(&got), buf_str(&want));
	p = mime_parse(&a, STR("Content-Type: image/png\r\n\r\n"), 0);
	ck_assert_ptr_null(mime_text_new(p, sink, &got));
	buf_release(&raw);
	buf_release(&text);
	buf_release(&got);
	buf_release(&want);
	arena_release(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("words");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, encoded_words, 0, N(words));
	tcase_add_loop_test(t, words_are_linear, 0, 2);
	tcase_add_loop_test(t, charset_streams, 0, N(charsets));
	tcase_add_loop_test(t, decoders, 0, N(encoded));
	tcase_add_test(t, encoders_read_back);
	tcase_add_test(t, text_of_part);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
