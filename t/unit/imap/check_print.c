/*
 * What is printed is read back: strings, names, and ENVELOPE and
 * BODYSTRUCTURE as the trees of parentheses that they are.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cur.h"
#include "base/utf8.h"
#include "format/imap/print.h"
#include "format/imap/utf7.h"
#include "format/mime/mime.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* ---- a client's reader: shows a value in one form ---- */

static bool
read_string(struct cur *c, struct buf *out)
{
	uint64_t n;
	struct str s;

	if (cur_try(c, '{')) {
		if (!cur_dec(c, 1 << 20, &n) || !cur_byte(c, '}') ||
		    !cur_byte(c, '\r') || !cur_byte(c, '\n') ||
		    !cur_take(c, n, &s))
			return false;
		buf_printf(out, "<%.*s>", STR_ARG(s));
		return memchr(s.p, '\0', s.n) == NULL;
	}
	if (!cur_byte(c, '"'))
		return false;
	buf_putc(out, '<');
	while (cur_ok(c) && !cur_at(c, '"')) {
		cur_try(c, '\\');
		if (!cur_take(c, 1, &s))
			return false;
		if (*s.p == '\r' || *s.p == '\n')
			return false;
		buf_put(out, s);
	}
	buf_putc(out, '>');
	return cur_byte(c, '"');
}

/* value = "NIL" / number / string / "(" *(value [SP]) ")" */
static bool
read_value(struct cur *c, struct buf *out)
{
	uint64_t n;

	if (cur_try_str(c, STR("NIL"))) {
		buf_putc(out, '-');
		return true;
	}
	if (ascii_isdigit((char)cur_peek(c))) {
		cur_dec(c, UINT64_MAX, &n);
		buf_put_uint(out, n);
		return true;
	}
	if (!cur_try(c, '('))
		return read_string(c, out);
	buf_putc(out, '(');
	while (!cur_at(c, ')')) {
		if (cur_try(c, ' '))
			buf_putc(out, ' ');
		if (!read_value(c, out))
			return false;
	}
	buf_putc(out, ')');
	return cur_byte(c, ')');
}

static void
expect(struct str printed, struct str want)
{
	struct buf out;
	struct cur c;

	buf_init(&out, 1 << 20);
	cur_init(&c, printed);
	ck_assert_msg(read_value(&c, &out) && cur_done(&c),
	    "cannot be read: %.*s", STR_ARG(printed));
	ck_assert_msg(str_eq(buf_str(&out), want), "\n got: %.*s\nwant: %.*s",
	    STR_ARG(buf_str(&out)), STR_ARG(want));
	buf_release(&out);
}

/* ---- strings ---- */

/* clang-format off */
static const struct {
	struct str in;
	bool is_utf8;
	struct str string, astring;
} strings[] = {
	{ STR_INIT(""), false, STR_INIT("\"\""), STR_INIT("\"\"") },
	{ STR_INIT("abc"), false, STR_INIT("\"abc\""), STR_INIT("abc") },
	{ STR_INIT("a]b"), false, STR_INIT("\"a]b\""), STR_INIT("a]b") },
	{ STR_INIT("nil"), false, STR_INIT("\"nil\""), STR_INIT("\"nil\"") },
	{ STR_INIT("a b"), false, STR_INIT("\"a b\""), STR_INIT("\"a b\"") },
	{ STR_INIT("a\"\\b"), false, STR_INIT("\"a\\\"\\\\b\""), STR_INIT("\"a\\\"\\\\b\"") },
	{ STR_INIT("a\r\nb"), false, STR_INIT("{4}\r\na\r\nb"), STR_INIT("{4}\r\na\r\nb") },
	{ STR_INIT("a\0b"), false, STR_INIT("{3}\r\na b"), STR_INIT("{3}\r\na b") },
	{ STR_INIT("a\tb"), false, STR_INIT("\"a\tb\""), STR_INIT("\"a\tb\"") },
	{ STR_INIT("\303\266"), false, STR_INIT("{2}\r\n\303\266"), STR_INIT("{2}\r\n\303\266") },
	{ STR_INIT("\303\266"), true, STR_INIT("\"\303\266\""), STR_INIT("\"\303\266\"") },
	{ STR_INIT("\377"), true, STR_INIT("{1}\r\n\377"), STR_INIT("{1}\r\n\377") },
	{ STR_INIT("a(b"), false, STR_INIT("\"a(b\""), STR_INIT("\"a(b\"") },
	{ STR_INIT("50%"), false, STR_INIT("\"50%\""), STR_INIT("\"50%\"") },
};
/* clang-format on */

START_TEST(print_strings)
{
	struct buf b;

	buf_init(&b, 4096);
	imap_print_string(&b, strings[_i].in, strings[_i].is_utf8);
	ck_assert_msg(str_eq(buf_str(&b), strings[_i].string), "%.*s",
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	imap_print_astring(&b, strings[_i].in, strings[_i].is_utf8);
	ck_assert_msg(str_eq(buf_str(&b), strings[_i].astring), "%.*s",
	    STR_ARG(buf_str(&b)));
	buf_release(&b);
}
END_TEST

START_TEST(print_small_things)
{
	static const uint8_t id[16] = { 0, 1, 0xab, [15] = 0xff };
	struct buf b;

	buf_init(&b, 4096);
	imap_print_nstring(&b, (struct str){ NULL, 0 }, false);
	imap_print_mailbox(&b, STR(" a&\303\244"), false);
	imap_print_mailbox(&b, STR("a&\303\244"), true);
	ck_assert(str_eq(buf_str(&b), STR("NIL\" a&-&AOQ-\"\"a&\303\244\"")));
	buf_clear(&b);
	imap_print_system_flags(&b, 31);
	ck_assert(str_eq(
	    buf_str(&b), STR("\\Seen \\Answered \\Flagged \\Deleted \\Draft")));
	buf_clear(&b);
	imap_print_objectid(&b, 'M', id);
	ck_assert(
	    str_eq(buf_str(&b), STR("M0001ab000000000000000000000000ff")));
	buf_clear(&b);
	imap_print_text(&b, STR("a\r\nb\303\266"), false);
	imap_print_text(&b, STR("\303\266"), true);
	ck_assert(str_eq(buf_str(&b), STR("a  b??\303\266")));
	buf_clear(&b);
	imap_print_date_time(&b, 0, 90);
	ck_assert(str_eq(buf_str(&b), STR("\" 1-Jan-1970 01:30:00 +0130\"")));
	buf_release(&b);
}
END_TEST

/* Names that FETCH items have in answers are what the parser takes. */
START_TEST(print_sections)
{
	static const char *const names[] = { "BODY[]", "BODY[HEADER]",
		"BODY[1.2.MIME]", "BODY[3.HEADER.FIELDS (From \"x y\")]",
		"BODY[HEADER.FIELDS.NOT (To)]", "BINARY[1]", "BINARY.SIZE[2.1]",
		"RFC822.TEXT", "BODY[TEXT]<5>" };
	struct imap_parse_opts opts = { .state = IMAP_IN_SELECTED };
	struct imap_parse_error e;
	struct imap_command c;
	struct arena a;
	struct buf b;

	arena_init(&a, IMAP_ARENA_MAX);
	buf_init(&b, 4096);
	buf_printf(&b, "a FETCH 1 %s", names[_i]);
	if (b.p[b.n - 1] == '>') {
		buf_truncate(&b, b.n - 1);
		buf_puts(&b, ".9>");
	}
	ck_assert(imap_parse(&a, buf_str(&b), &opts, &c, &e) == IMAP_PARSED);
	buf_clear(&b);
	imap_print_section(&b, &c.u.fetch.items[0], false);
	ck_assert_str_eq(buf_cstr(&b), names[_i]);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* ---- messages ---- */

/* clang-format off */
static const struct {
	struct str message, envelope, structure, body;
} messages[] = {
	{ STR_INIT("From: A \"B\" <a@b.c>\r\nTo: g: x@y.z, q;, \"o\\\"o\" <k@l>\r\nSubject: s\r\n"
	    "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <1@2>\r\nIn-Reply-To: <0@2>\r\n\r\nhi\r\n"),
	  STR_INIT("(<Mon, 7 Feb 1994 21:52:25 -0800> <s> ((<A B> - <a> <b.c>)) ((<A B> - <a> <b.c>)) ((<A B> - <a> <b.c>)) "
	    "((- - <g> -)(- - <x> <y.z>)(- - <q> <>)(- - - -)(<o\"o> - <k> <l>)) - - <<0@2>> <<1@2>>)"),
	  STR_INIT("(<text> <plain> (<charset> <us-ascii>) - - <7bit> 4 1 - - - -)"),
	  STR_INIT("(<text> <plain> (<charset> <us-ascii>) - - <7bit> 4 1)") },
	/* no header at all */
	{ STR_INIT("\r\nx"),
	  STR_INIT("(- - - - - - - - - -)"),
	  STR_INIT("(<text> <plain> (<charset> <us-ascii>) - - <7bit> 1 0 - - - -)"),
	  STR_INIT("(<text> <plain> (<charset> <us-ascii>) - - <7bit> 1 0)") },
	{ STR_INIT("Subject: \303\266\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Type: text/html; charset=\"utf-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	    "Content-ID: <c@d>\r\nContent-Description: a \"part\"\r\nContent-MD5: abc=\r\nContent-Language: de, en\r\n"
	    "Content-Location: http://x/\r\nContent-Disposition: attachment; filename=\"a b.html\"\r\n\r\n<p>\r\n\r\n"
	    "--b\r\nContent-Type: application/octet-stream\r\n\r\nxyz\r\n--b--\r\n"),
	  STR_INIT("(- <\303\266> - - - - - - - -)"),
	  STR_INIT("((<text> <html> (<charset> <utf-8>) <<c@d>> <a \"part\"> <quoted-printable> 5 1 <abc=> (<attachment> (<filename> <a b.html>)) (<de> <en>) <http://x/>)"
	    "(<application> <octet-stream> - - - <7bit> 3 - - - -) <mixed> (<boundary> <b>) - - -)"),
	  STR_INIT("((<text> <html> (<charset> <utf-8>) <<c@d>> <a \"part\"> <quoted-printable> 5 1)"
	    "(<application> <octet-stream> - - - <7bit> 3) <mixed>)") },
	{ STR_INIT("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"),
	  STR_INIT("(- - - - - - - - - -)"),
	  STR_INIT("(<message> <rfc822> - - - <7bit> 18 (- <in> - - - - - - - -) (<text> <plain> (<charset> <us-ascii>) - - <7bit> 3 1 - - - -) 3 - - - -)"),
	  STR_INIT("(<message> <rfc822> - - - <7bit> 18 (- <in> - - - - - - - -) (<text> <plain> (<charset> <us-ascii>) - - <7bit> 3 1) 3)") },
};
/* clang-format on */

START_TEST(print_messages)
{
	struct mime_part *root;
	struct arena a;
	struct buf b;
	int utf8;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 20);
	root = mime_parse(&a, messages[_i].message, 0);
	for (utf8 = 0; utf8 < 2; utf8++) {
		buf_clear(&b);
		imap_print_envelope(&b, root->envelope, utf8);
		expect(buf_str(&b), messages[_i].envelope);
		buf_clear(&b);
		imap_print_body(&b, root, true, utf8);
		expect(buf_str(&b), messages[_i].structure);
		buf_clear(&b);
		imap_print_body(&b, root, false, utf8);
		expect(buf_str(&b), messages[_i].body);
	}
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* Whatever comes, the answer is well-formed: a multipart without parts, one
 * cut at every place. */
START_TEST(print_anything)
{
	struct mime_part *root;
	struct buf b, out;
	struct arena a;
	struct cur c;
	size_t n;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 20);
	buf_init(&out, 1 << 20);
	for (n = 0; n <= messages[2].message.n; n++) {
		root = mime_parse(&a, str_sub(messages[2].message, 0, n), 0);
		buf_clear(&b);
		buf_clear(&out);
		imap_print_body(&b, root, true, false);
		cur_init(&c, buf_str(&b));
		ck_assert(read_value(&c, &out) && cur_done(&c));
		arena_clear(&a);
	}
	buf_release(&b);
	buf_release(&out);
	arena_release(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("imap print");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, print_strings, 0, N(strings));
	tcase_add_test(t, print_small_things);
	tcase_add_loop_test(t, print_sections, 0, 9);
	tcase_add_loop_test(t, print_messages, 0, N(messages));
	tcase_add_test(t, print_anything);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
