#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "format/mime/mime.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

/* multipart/x(part,part)  message/rfc822<part>  text/plain{body}#lines,
 * in front of each the length of its header */
static void
dump(struct buf *b, struct str msg, const struct mime_part *p)
{
	const struct mime_part *c;

	buf_printf(b, "%d:", (int)p->header_n);
	buf_put(b, p->type);
	buf_putc(b, '/');
	buf_put(b, p->subtype);
	ck_assert_uint_eq(p->header_at + p->header_n, p->body_at);
	ck_assert_uint_le(p->body_at + p->body_n, msg.n);
	if (p->is_multipart || p->is_message) {
		ck_assert_ptr_nonnull(p->child);
		buf_putc(b, p->is_multipart ? '(' : '<');
		for (c = p->child; c != NULL; c = c->next) {
			ck_assert_ptr_eq(c->parent, p);
			dump(b, msg, c);
			if (c->next != NULL)
				buf_putc(b, ',');
		}
		buf_putc(b, p->is_multipart ? ')' : '>');
	} else {
		buf_putc(b, '{');
		buf_put(b, str_sub(msg, p->body_at, p->body_n));
		buf_putc(b, '}');
	}
	buf_printf(b, "#%u", p->body_lines);
}

#define MP(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

static const struct {
	const char *what, *in, *want;
} trees[] = {
	{ "nothing at all", "", "0:text/plain{}#0" },
	{ "only a blank line", "\r\n", "2:text/plain{}#0" },
	{ "header only", "Subject: x\r\n", "12:text/plain{}#0" },
	{ "header cut", "Subject: x", "10:text/plain{}#0" },
	{ "plain", "Subject: x\r\n\r\nhi\r\nyou",
	    "14:text/plain{hi\r\nyou}#1" },
	{ "bare LF", "Subject: x\n\nhi\n", "12:text/plain{hi\n}#1" },
	{ "no header", "hello world\r\nx\r\n",
	    "0:text/plain{hello world\r\nx\r\n}#2" },
	{ "mbox line", ">From me\r\nA: b\r\n\r\nx", "18:text/plain{x}#0" },
	{ "junk line in the header", "A: b\r\njunk\r\nC: d\r\n\r\nx",
	    "20:text/plain{x}#0" },
	{ "unparsable type", "Content-Type: text\r\n\r\nx",
	    "22:text/plain{x}#0" }, /* RFC 2045, 5.2 */
	{ "comments in the type",
	    "Content-Type: (a) text (b) / (c) html (d); x=y\r\n\r\nx",
	    "50:text/html{x}#0" },
	{ "two parts",
	    MP("b") "pre\r\n--b\r\n\r\none\r\n--b\r\nA: b\r\n\r\n"
		    "two\r\n\r\n--b--\r\nepilogue\r\n",
	    "45:multipart/mixed(2:text/plain{one}#0,"
	    "8:text/plain{two\r\n}#1)#11" },
	{ "unterminated", MP("b") "--b\r\n\r\none\r\n",
	    "45:multipart/mixed(2:text/plain{one\r\n}#1)#3" },
	{ "closed at once", MP("b") "--b--\r\n",
	    "45:multipart/mixed(0:text/plain{}#0)#1" },
	{ "no boundary parameter",
	    "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx",
	    "33:multipart/mixed(0:text/plain{}#0)#2" },
	{ "empty parts", MP("b") "--b\r\n--b\r\n\r\n--b--",
	    "45:multipart/mixed(0:text/plain{}#0,2:text/plain{}#0)#3" },
	{ "header cut by a boundary", MP("b") "--b\r\nA: b\r\n--b--\r\n",
	    "45:multipart/mixed(6:text/plain{}#0)#3" },
	{ "part without header", MP("b") "--b\r\nhello you\r\n--b--\r\n",
	    "45:multipart/mixed(0:text/plain{hello you}#0)#3" },
	{ "spaces after the boundary", /* RFC 2046, 5.1.1 */
	    MP("b") "--b \t \r\n\r\nx\r\n--b-- \r\n",
	    "45:multipart/mixed(2:text/plain{x}#0)#4" },
	{ "boundary is the prefix of another",
	    MP("b") "--b\r\n" MP("bb") "--bb\r\n\r\nx\r\n--bb--\r\n--b\r\n\r\ny"
				       "\r\n--b--\r\n",
	    "45:multipart/mixed(46:multipart/mixed(2:text/plain{x}#0)#3,"
	    "2:text/plain{y}#0)#11" },
	{ "inner has the same boundary",
	    MP("b") "--b\r\n" MP("b") "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny"
				      "\r\n--b--\r\n",
	    "45:multipart/mixed(45:multipart/mixed(2:text/plain{x}#0)#3,"
	    "2:text/plain{y}#0)#11" },
	{ "inner not closed",
	    MP("b") "--b\r\n" MP("c") "--c\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--",
	    "45:multipart/mixed(45:multipart/mixed(2:text/plain{x}#0)#2,"
	    "2:text/plain{y}#0)#9" },
	{ "closing of the outer in the inner",
	    MP("b") "--b\r\n" MP("c") "--c\r\n\r\nx\r\n--b--\r\n--c\r\n\r\ny",
	    "45:multipart/mixed(45:multipart/mixed(2:text/plain{x}#0)#2)#9" },
	{ "no parts after the closing one",
	    MP("b") "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n",
	    "45:multipart/mixed(2:text/plain{x}#0)#7" },
	{ "message inside",
	    "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n",
	    "32:message/rfc822<14:text/plain{z\r\n}#1>#3" },
	{ "message inside without header",
	    "Content-Type: message/rfc822\r\n\r\nz y\r\n",
	    "32:message/rfc822<0:text/plain{z y\r\n}#1>#1" },
	{ "empty message inside", "Content-Type: message/global\r\n\r\n",
	    "32:message/global<0:text/plain{}#0>#0" },
	{ "message inside, no blank line at all",
	    "Content-Type: message/rfc822\r\n",
	    "30:message/rfc822<0:text/plain{}#0>#0" },
	{ "digest", /* RFC 2046, 5.1.5 */
	    "Content-Type: multipart/digest; boundary=b\r\n\r\n"
	    "--b\r\n\r\nSubject: a\r\n\r\nA\r\n--b\r\n"
	    "Content-Type: text/plain\r\n\r\nB\r\n--b--\r\n",
	    "46:multipart/digest(2:message/rfc822<14:text/plain{A}#0>#2,"
	    "28:text/plain{B}#0)#10" },
	{ "digest part without header",
	    "Content-Type: multipart/digest; boundary=b\r\n\r\n"
	    "--b\r\nno header\r\n--b--\r\n",
	    "46:multipart/digest(0:message/rfc822<"
	    "0:text/plain{no header}#0>#0)#3" },
	{ "multipart in a message in a multipart",
	    MP("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n" MP(
		"c") "--c\r\n\r\nx\r\n--c--\r\n\r\n--b--\r\n",
	    "45:multipart/mixed(32:message/rfc822<45:multipart/mixed("
	    "2:text/plain{x}#0)#4>#6)#11" },
	{ "quoted boundary with folding",
	    "Content-Type: multipart/mixed;\r\n\tboundary=\"a b\"\r\n\r\n"
	    "--a b\r\n\r\nx\r\n--a b--\r\n",
	    "51:multipart/mixed(2:text/plain{x}#0)#4" },
	{ "boundary in continuations", /* RFC 2231, 3 */
	    "Content-Type: multipart/mixed; boundary*1=b; boundary*0=a\r\n\r\n"
	    "--ab\r\n\r\nx\r\n--ab--\r\n",
	    "61:multipart/mixed(2:text/plain{x}#0)#4" },
	{ "dashes that are no boundary",
	    MP("b") "--b\r\n\r\n--\r\n-- \r\n---\r\n-\r\n--c\r\n--b--\r\n",
	    "45:multipart/mixed(2:text/plain{--\r\n-- "
	    "\r\n---\r\n-\r\n--c}#4)#8" },
};

START_TEST(tree)
{
	struct str in = str_from(trees[_i].in);
	struct arena a;
	struct buf b;
	struct mime_parser *p;
	size_t cut;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 20);
	dump(&b, in, mime_parse(&a, in, 0));
	eq(buf_str(&b), str_from(trees[_i].want));
	for (cut = 0; cut <= in.n; cut++) { /* the same in two pieces */
		arena_clear(&a);
		buf_clear(&b);
		p = mime_parser_new(&a, 0);
		mime_parser_push(p, str_sub(in, 0, cut));
		mime_parser_push(p, str_sub(in, cut, SIZE_MAX));
		dump(&b, in, mime_parser_finish(&p));
		eq(buf_str(&b), str_from(trees[_i].want));
	}
	arena_clear(&a); /* and octet by octet */
	buf_clear(&b);
	p = mime_parser_new(&a, 0);
	for (cut = 0; cut < in.n; cut++)
		mime_parser_push(p, str_sub(in, cut, 1));
	dump(&b, in, mime_parser_finish(&p));
	eq(buf_str(&b), str_from(trees[_i].want));
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* A file with LF gives the offsets of its CRLF form. */
START_TEST(tree_of_lf_file)
{
	struct str in = str_from(trees[_i].in);
	struct arena a;
	struct buf b, lf;
	struct mime_parser *p;
	size_t i;

	if (strcmp(trees[_i].what, "bare LF") == 0)
		return;
	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 20);
	buf_init(&lf, 1 << 20);
	for (i = 0; i < in.n; i++)
		if (in.p[i] != '\r')
			buf_putc(&lf, in.p[i]);
	dump(&b, in, mime_parse(&a, buf_str(&lf), MIME_LF));
	eq(buf_str(&b), str_from(trees[_i].want));
	buf_clear(&b);
	p = mime_parser_new(&a, MIME_LF);
	for (i = 0; i < lf.n; i++)
		mime_parser_push(p, str_sub(buf_str(&lf), i, 1));
	dump(&b, in, mime_parser_finish(&p));
	eq(buf_str(&b), str_from(trees[_i].want));
	buf_release(&b);
	buf_release(&lf);
	arena_release(&a);
}
END_TEST

START_TEST(depth_is_bounded)
{
	struct arena a;
	struct buf b;
	const struct mime_part *p;
	int i, depth = 0, parts = 0;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 24);
	for (i = 0; i < 3 * MIME_MAX_DEPTH; i++)
		buf_printf(&b,
		    "Content-Type: multipart/mixed; boundary=b%d\r\n"
		    "\r\n--b%d\r\n",
		    i, i);
	for (p = mime_parse(&a, buf_str(&b), 0); p->child != NULL; p = p->child)
		depth++;
	ck_assert_int_eq(depth, MIME_MAX_DEPTH - 1);
	eq(p->subtype, STR("octet-stream"));
	buf_clear(&b);
	arena_clear(&a);
	for (i = 0; i < 3 * MIME_MAX_DEPTH; i++)
		buf_puts(&b, "Content-Type: message/rfc822\r\n\r\n");
	for (p = mime_parse(&a, buf_str(&b), 0); p->child != NULL; p = p->child)
		ck_assert_ptr_nonnull(p->envelope);
	eq(p->subtype, STR("octet-stream"));
	buf_clear(&b);
	arena_clear(&a);
	buf_puts(&b, MP("b"));
	for (i = 0; i < 3 * MIME_MAX_PARTS; i++)
		buf_puts(&b, "--b\r\n");
	for (p = mime_parse(&a, buf_str(&b), 0); p != NULL;
	     p = mime_part_walk(p))
		parts++;
	ck_assert_int_eq(parts, MIME_MAX_PARTS);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* Whatever the header has, the arena is enough. */
START_TEST(memory_is_bounded)
{
	static const char *const fill[] = { "a,", "a: b;", "a@b <c>,", "@,",
		"a=b;", "a*0*=b;a*1=c;", "(", "\"", "x " };
	static const char *const names[] = { "To: ", "Content-Type: a/b;",
		"Cc: ", "Content-Language: ", "Subject: ",
		"Content-Disposition: a;" };
	struct arena a;
	struct buf b;
	int i, k;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 1 << 26);
	for (k = 0; k < 300; k++) {
		buf_puts(&b, "\r\n--b\r\n");
		if (k == 0)
			buf_clear(&b);
		buf_puts(&b, names[(_i + k) % N(names)]);
		for (i = 0; i < 40000; i++)
			buf_puts(&b, fill[_i]);
		buf_puts(&b, "\r\n");
		if (k == 0)
			buf_puts(&b, MP("b"));
	}
	mime_parse(&a, buf_str(&b), 0);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

static const char sections[] =
    MP("b") "--b\r\n\r\nONE\r\n"
	    "--b\r\nContent-Type: message/rfc822\r\n\r\n"
	    "Content-Type: multipart/mixed; boundary=c\r\n\r\n"
	    "--c\r\n\r\nTWO.ONE\r\n--c\r\n\r\nTWO.TWO\r\n--c--\r\n"
	    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
	    "s\r\n\r\nTHREE\r\n"
	    "--b--\r\n";

static const struct {
	uint32_t path[4];
	size_t n;
	const char *body; /* NULL: there is none */
} paths[] = {
	{ { 1 }, 1, "ONE" },
	{ { 1, 1 }, 2, NULL },
	{ { 2, 1 }, 2, "TWO.ONE" },
	{ { 2, 2 }, 2, "TWO.TWO" },
	{ { 2, 3 }, 2, NULL },
	{ { 2, 2, 1 }, 3, NULL },
	{ { 3 }, 1, "Subject: s\r\n\r\nTHREE" },
	{ { 3, 1 }, 2, "THREE" },
	{ { 3, 1, 1 }, 3, NULL },
	{ { 3, 2 }, 2, NULL },
	{ { 4 }, 1, NULL },
	{ { 0 }, 1, NULL },
};

START_TEST(section_paths)
{
	struct arena a;
	struct str msg = STR(sections);
	const struct mime_part *root, *p;
	static const uint32_t one[] = { 1, 1 };

	arena_init(&a, MIME_ARENA_MAX);
	root = mime_parse(&a, msg, 0);
	p = mime_part_find(root, paths[_i].path, paths[_i].n);
	ck_assert((p == NULL) == (paths[_i].body == NULL));
	if (p != NULL)
		eq(str_sub(msg, p->body_at, p->body_n),
		    str_from(paths[_i].body));
	root = mime_parse(&a, STR("A: b\r\n\r\nx"), 0);
	ck_assert_ptr_eq(mime_part_find(root, one, 1), root);
	ck_assert_ptr_eq(mime_part_find(root, one, 0), root);
	ck_assert_ptr_null(mime_part_find(root, one, 2));
	arena_release(&a);
}
END_TEST

START_TEST(part_fields)
{
	struct arena a;
	const struct mime_part *p;

	arena_init(&a, MIME_ARENA_MAX);
	p = mime_parse(&a,
	    STR("Content-Type: Text/HTML; Charset=\"UTF-8\"; name=a b.txt\r\n"
		"Content-Transfer-Encoding: (x) Base64\r\n"
		"Content-ID: <a@b>\r\nContent-Description: some\r\n thing\r\n"
		"Content-MD5: abc==\r\nContent-Location: http://x/\r\n"
		"Content-Disposition: Attachment; filename=\"a\\\"b\"\r\n"
		"Content-Language: de, (x) en\r\n"
		"Content-Type: text/plain\r\n\r\n"),
	    0);
	eq(p->type, STR("text"));
	eq(p->subtype, STR("html"));
	eq(mime_param_get(&p->params, STR("charset")), STR("UTF-8"));
	eq(mime_param_get(&p->raw_params, STR("name")), STR("a b.txt"));
	ck_assert_int_eq(p->encoding, MIME_ENC_BASE64);
	eq(p->encoding_name, STR("base64"));
	eq(p->id, STR("<a@b>"));
	eq(p->description, STR("some thing"));
	eq(p->md5, STR("abc=="));
	eq(p->location, STR("http://x/"));
	eq(p->disposition, STR("attachment"));
	eq(mime_param_get(&p->disposition_params, STR("filename")),
	    STR("a\"b"));
	ck_assert_uint_eq(p->n_languages, 2);
	eq(p->languages[1], STR("en"));
	ck_assert_ptr_null(mime_param_get(&p->params, STR("x")).p);
	arena_release(&a);
}
END_TEST

/* type line, parameter, its decoded value */
static const struct {
	const char *in, *name, *want;
} params[] = {
	{ "a/b; x=y", "x", "y" },
	{ "a/b; X = \"y z\" ", "x", "y z" },
	{ "a/b; charset=us-ascii (Plain text)", "charset", "us-ascii" },
	{ "a/b; x=y z=w", "z", "w" },
	{ "a/b; x=a b c; z=w", "x", "a b c" },
	{ "a/b;;; x=y;", "x", "y" },
	{ "a/b x=y", "x", "y" },
	{ "a/b; x=\"unterminated", "x", "unterminated" },
	{ "a/b; x=", "x", "" },
	/* RFC 2231, 3 and 4.1 */
	{ "m/e; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"", "url",
	    "ftp://cs.utk.edu/pub" },
	{ "a/x; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
	    "title", "This is ***fun***" },
	{ "a/x; title*0*=us-ascii'en'This%20is%20even%20more%20;"
	  "title*1*=%2A%2A%2Afun%2A%2A%2A%20;title*2=\"isn't it!\"",
	    "title", "This is even more ***fun*** isn't it!" },
	{ "a/x; n*1*=%BC; n*0*=iso-8859-15''%A4", "n", "\xe2\x82\xac\xc5\x92" },
	{ "a/x; n*=utf-8''%e2%82%ac; n=EUR", "n", "\xe2\x82\xac" },
	{ "a/x; n=EUR; n*=utf-8''%e2%82%ac", "n", "\xe2\x82\xac" },
	{ "a/x; n*0*=utf-8''%e2; n*1*=%82%ac", "n", "\xe2\x82\xac" },
	{ "a/x; n*=%e2%82%ac", "n", "\xe2\x82\xac" },
	{ "a/x; n*1=b; n*2=c", "n", "bc" },
	{ "a/x; n=\"=?utf-8?q?=e2=82=ac?=\"", "n", "\xe2\x82\xac" },
	{ "a/x; n=\"\xe4\"", "n", "\xc3\xa4" },
};

START_TEST(parameters)
{
	struct arena a;
	struct buf b;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 4096);
	buf_printf(&b, "Content-Type: %s\r\n\r\n", params[_i].in);
	eq(mime_param_get(&mime_parse(&a, buf_str(&b), 0)->params,
	       str_from(params[_i].name)),
	    str_from(params[_i].want));
	buf_release(&b);
	arena_release(&a);
}
END_TEST

/* name|adl|mailbox|host; [group starts, ] ends it, NIL is - */
static const struct {
	const char *in, *want;
} lists[] = {
	{ "", "" },
	{ "a@b", "-|-|a|b " },
	{ " , a@b,,c@d, ", "-|-|a|b -|-|c|d " },
	/* RFC 5322, A.1.1 - A.1.3 */
	{ "John Doe <jdoe@machine.example>",
	    "John Doe|-|jdoe|machine.example " },
	{ "\"Joe Q. Public\" <john.q.public@example.com>",
	    "Joe Q. Public|-|john.q.public|example.com " },
	{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	    "Mary Smith|-|mary|x.test -|-|jdoe|example.org "
	    "Who?|-|one|y.test " },
	{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" "
	  "<sysservices@example.net>",
	    "-|-|boss|nil.test Giant; \"Big\" Box|-|sysservices|example.net " },
	{ "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	    "[A Group Ed Jones|-|c|a.test -|-|joe|where.test "
	    "John|-|jdoe|one.test ] " },
	{ "Undisclosed recipients:;", "[Undisclosed recipients ] " },
	/* A.5, white space and comments */
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	    "Pete|-|pete|silly.test " },
	{ "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public"
	  ".example>,\r\n joe@example.org,\r\n John <jdoe@one.test> (my dear "
	  "friend); (the end of the group)",
	    "[A Group Chris Jones|-|c|public.example -|-|joe|example.org "
	    "John|-|jdoe|one.test ] " },
	{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
	    "[Hidden recipients ] " },
	/* A.6.1, A.6.3, obsolete addressing and white space */
	{ "Joe Q. Public <john.q.public@example.com>",
	    "Joe Q. Public|-|john.q.public|example.com " },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	    "Mary Smith|@node.test|mary|example.net -|-|jdoe|test.example " },
	{ "<@a,@b,, @c:d@e>", "-|@a,@b,@c|d|e " },
	{ "john . doe @ x . y", "-|-|john.doe|x.y " },
	{ "\"a b\"@c", "-|-|a b|c " },
	{ "\"\"@c", "-|-||c " },
	{ "a@[1.2.3.4]", "-|-|a|[1.2.3.4] " },
	{ "a@b (The Name)", "The Name|-|a|b " },
	{ "=?utf-8?q?x?= =?utf-8?q?y?= <a@b>",
	    "=?utf-8?q?x?= =?utf-8?q?y?=|-|a|b " },
	{ "J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc.example>", /* RFC 6532, 3.2 */
	    "J\xc3\xb6rg|-|j\xc3\xb6rg|b\xc3\xbc.example " },
	/* broken ones */
	{ "a", "-|-|a| " },
	{ "<>", "-|-|| " },
	{ "foo <a@b", "foo|-|a|b " },
	{ "a@b.example <c@d>", "a@b.example|-|c|d " },
	{ "a@b c@d, e@f", "-|-|a|b -|-|e|f " },
	{ "@", "-|-|| " },
	{ "\"unterminated <a@b>", "-|-|unterminated <a@b>| " },
	{ "(unterminated a@b", "" },
	{ "a: b: c@d; e@f", "[a -|-|b| ] -|-|e|f " },
	{ "a: b@c", "[a -|-|b|c ] " },
	{ ";;a@b;", "-|-|a|b " },
	{ "<a@b>>,c@d", "-|-|a|b -|-|c|d " },
	{ "<a@b@c>", "-|-|a|b " },
	{ "[", "-|-|[| " },
	{ "\x01 a@b", "-|-|a|b " },
};

static void
put(struct buf *b, struct str s)
{
	if (s.p == NULL)
		buf_putc(b, '-');
	else
		buf_put(b, s);
}

static void
dump_addrs(struct buf *b, const struct mime_addrs *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct mime_addr *a = &l->v[i];

		if (a->kind == MIME_ADDR) {
			put(b, a->name);
			buf_putc(b, '|');
			put(b, a->adl);
			buf_putc(b, '|');
			put(b, a->mailbox);
			buf_putc(b, '|');
			put(b, a->host);
		} else if (a->kind == MIME_GROUP_BEGIN) {
			buf_putc(b, '[');
			put(b, a->mailbox);
		} else
			buf_putc(b, ']');
		buf_putc(b, ' ');
	}
}

START_TEST(addresses)
{
	struct arena a;
	struct buf b, printed;
	struct mime_addrs l;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 4096);
	buf_init(&printed, 4096);
	mime_addrs_parse(&a, str_from(lists[_i].in), &l);
	dump_addrs(&b, &l);
	eq(buf_str(&b), str_from(lists[_i].want));
	/* what is printed reads back */
	mime_addrs_print(&printed, &l);
	mime_addrs_parse(&a, buf_str(&printed), &l);
	buf_clear(&b);
	dump_addrs(&b, &l);
	ck_assert_msg(str_eq(buf_str(&b), str_from(lists[_i].want)),
	    "'%s' reads back as '%s'", buf_cstr(&printed), buf_cstr(&b));
	buf_release(&b);
	buf_release(&printed);
	arena_release(&a);
}
END_TEST

START_TEST(envelope)
{
	struct arena a;
	const struct mime_envelope *e;
	struct buf b;

	arena_init(&a, MIME_ARENA_MAX);
	buf_init(&b, 4096);
	e = mime_parse(&a,
	    STR("Received: x\r\nFrom: a@b\r\nSubject: two\r\n  lines\r\n"
		"to: c@d\r\nTo: e@f\r\nFROM: other@x\r\nDate : d\r\n"
		"Message-ID:  <1@x> \r\nIn-Reply-To: <2@x>\r\nBcc:\r\n\r\n"),
	    0)
		->envelope;
	dump_addrs(&b, &e->from);
	dump_addrs(&b, &e->sender);
	dump_addrs(&b, &e->to);
	eq(buf_str(&b), STR("-|-|a|b -|-|a|b -|-|c|d -|-|e|f "));
	eq(e->subject, STR("two  lines"));
	eq(e->date, STR("d"));
	eq(e->message_id, STR("<1@x>"));
	eq(e->in_reply_to, STR("<2@x>"));
	ck_assert(!e->has_sender && !e->has_reply_to);
	ck_assert_uint_eq(e->bcc.n + e->cc.n, 0);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

START_TEST(fields)
{
	struct str block =
	    STR("A: 1\r\n 2\r\njunk\r\nB:\r\nc : 3\r\n\r\nD: 4\r\n");
	struct str rest = block;
	static const struct str names[] = { STR_INIT("b"), STR_INIT("A") };
	struct mime_field f;
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(mime_field_next(&rest, &f));
	eq(f.name, STR("A"));
	eq(f.value, STR(" 1\r\n 2"));
	eq(f.whole, STR("A: 1\r\n 2\r\n"));
	ck_assert(mime_field_next(&rest, &f));
	eq(f.whole, STR("B:\r\n"));
	eq(f.value, STR(""));
	ck_assert(mime_field_next(&rest, &f));
	eq(f.name, STR("c"));
	eq(f.value, STR(" 3"));
	ck_assert(!mime_field_next(&rest, &f));
	eq(rest, STR("\r\nD: 4\r\n"));
	ck_assert(mime_field_find(block, STR("C"), &f));
	ck_assert(!mime_field_find(block, STR("D"), &f));
	ck_assert_uint_eq(mime_header_length(block), block.n - 6);
	mime_field_select(&b, block, names, 2, false);
	eq(buf_str(&b), STR("A: 1\r\n 2\r\nB:\r\n"));
	buf_clear(&b);
	mime_field_select(&b, block, names, 2, true);
	eq(buf_str(&b), STR("c : 3\r\n"));
	buf_clear(&b);
	mime_unfold(&b, STR(" a\r\n\tb \r\n "));
	eq(buf_str(&b), STR("a\tb"));
	buf_release(&b);
}
END_TEST

/* The header the parser sees is the one the string function sees. */
START_TEST(header_lengths_agree)
{
	struct str in = str_from(trees[_i].in);
	struct arena a;

	arena_init(&a, MIME_ARENA_MAX);
	ck_assert_uint_eq(
	    mime_parse(&a, in, 0)->header_n, mime_header_length(in));
	arena_release(&a);
}
END_TEST

static const struct {
	const char *in;
	int64_t seconds; /* -1: no date */
	int zone;
} dates[] = {
	{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360 },
	{ "Thu, 1 Jan 1970 00:00:00 +0000", 0, 0 },
	{ "1 Jan 1970 00:00 +0000", 0, 0 },
	{ "21 Nov 97 09:55:06 GMT", 880106106, 0 }, /* A.6.2 */
	{ "21 Nov 97 09(comment):   55  :  06 -0600", 880127706, -360 },
	{ "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32"
	  "\r\n               -0330 (Newfoundland Time)",
	    -27723480, -210 }, /* A.5 */
	{ "Fri, 21 Nov 1997 09:55:06 CST", 880127706, -360 },
	{ "Fri, 21 Nov 1997 09:55:06 Z", 880106106, 0 },
	{ "Fri, 21 Nov 1997 09:55:06 whatever", 880106106, 0 },
	{ "Fri, 21 Nov 1997 09:55:06", 880106106, 0 },
	{ "Fri 21 Nov 1997 09:55:06 +0100 (CET)", 880102506, 60 },
	{ "Sat, 1 Jan 00 00:00:00 +0000", 946684800, 0 },
	{ "Sat, 1 Jan 100 00:00:00 +0000", 946684800, 0 },
	{ "Sun, 06-Nov-94 08:49:37 GMT", 784111777, 0 },
	{ "Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
	{ "", -1, 0 },
	{ "Fri, 32 Nov 1997 09:55:06 -0600", -1, 0 },
	{ "Fri, 31 Nov 1997 09:55:06 -0600", -1, 0 },
	{ "Fri, 21 Foo 1997 09:55:06 -0600", -1, 0 },
	{ "Fri, 21 Nov 1997 24:55:06 -0600", -1, 0 },
	{ "Fri, 21 Nov 1997", -1, 0 },
};

START_TEST(date_fields)
{
	int64_t s = -1;
	int zone = 0;
	bool ok = mime_date_parse(str_from(dates[_i].in), &s, &zone);

	ck_assert(ok == (dates[_i].seconds != -1));
	ck_assert_int_eq(s, dates[_i].seconds);
	ck_assert_int_eq(zone, dates[_i].zone);
}
END_TEST

START_TEST(msgids)
{
	struct str rest =
	    STR("junk <a@b>(x <y@z>)\r\n <c d> <> <e\r\n <f@[g]><h> <i");
	struct str id;

	ck_assert(mime_msgid_next(&rest, &id));
	eq(id, STR("<a@b>"));
	ck_assert(mime_msgid_next(&rest, &id));
	eq(id, STR("<f@[g]>"));
	ck_assert(mime_msgid_next(&rest, &id));
	eq(id, STR("<h>"));
	ck_assert(!mime_msgid_next(&rest, &id));
	ck_assert_uint_eq(rest.n, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mime");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tree, 0, N(trees));
	tcase_add_loop_test(t, tree_of_lf_file, 0, N(trees));
	tcase_add_loop_test(t, header_lengths_agree, 0, N(trees));
	tcase_add_test(t, depth_is_bounded);
	tcase_add_loop_test(t, memory_is_bounded, 0, 9);
	tcase_add_loop_test(t, section_paths, 0, N(paths));
	tcase_add_test(t, part_fields);
	tcase_add_loop_test(t, parameters, 0, N(params));
	tcase_add_loop_test(t, addresses, 0, N(lists));
	tcase_add_test(t, envelope);
	tcase_add_test(t, fields);
	tcase_add_loop_test(t, date_fields, 0, N(dates));
	tcase_add_test(t, msgids);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
