#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "format/imap/reader.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* What the caller does with APPEND, and after which commands it wants a
 * line. */
enum how { ACCEPT, REFUSE, NO_APPEND, LINES };

struct run {
	struct imap_reader *r;
	struct buf log;
	enum how how;
	bool in_data;
};

static void
show(struct buf *b, const char *name, struct str text)
{
	buf_puts(b, name);
	buf_putc(b, '[');
	buf_put(b, text);
	buf_puts(b, "] ");
}

static void
on_append(struct run *t, const struct imap_event *e)
{
	show(&t->log, e->is_first ? "append" : "more", e->text);
	buf_printf(&t->log, "%llu%s%s ", (unsigned long long)e->size,
	    e->is_sync ? "s" : "", e->is_literal8 ? "8" : "");
	if (t->how == REFUSE)
		imap_reader_refuse(t->r);
	else
		imap_reader_accept(t->r);
}

static void
feed(struct run *t, struct str in)
{
	struct imap_event e;

	imap_reader_push(t->r, in);
	while (imap_reader_next(t->r, &e) != IMAP_NEED_MORE) {
		if (e.kind != IMAP_DATA && t->in_data) {
			buf_puts(&t->log, "> ");
			t->in_data = false;
		}
		switch (e.kind) {
		case IMAP_NEED_MORE:
			break;
		case IMAP_CONTINUE:
			buf_puts(&t->log, "+ ");
			break;
		case IMAP_COMMAND:
			show(&t->log, "cmd", e.text);
			if (t->how == LINES)
				imap_reader_want_line(t->r);
			break;
		case IMAP_LINE:
			show(&t->log, "line", e.text);
			break;
		case IMAP_APPEND:
			on_append(t, &e);
			break;
		case IMAP_DATA:
			if (!t->in_data)
				buf_putc(&t->log, '<');
			t->in_data = true;
			buf_put(&t->log, e.text);
			break;
		case IMAP_DATA_END:
			buf_puts(&t->log, "end ");
			break;
		case IMAP_APPEND_END:
			show(&t->log, "done", e.text);
			break;
		case IMAP_BAD:
			buf_printf(&t->log, "bad(%.*s %s)%s ",
			    STR_ARG(imap_reader_tag(t->r)), e.why,
			    e.is_fatal ? "!" : "");
			break;
		}
	}
}

static void
start(struct run *t, enum how how)
{
	struct imap_reader_opts opts = { .has_append = how != NO_APPEND };

	t->r = imap_reader_new(&opts);
	t->how = how;
	t->in_data = false;
	buf_init(&t->log, 4 << 20);
}

static void
stop(struct run *t)
{
	imap_reader_free(&t->r);
	buf_release(&t->log);
}

static void
expect(struct str in, size_t cut, enum how how, struct str want)
{
	struct run t;
	size_t i;

	start(&t, how);
	if (cut == SIZE_MAX)
		for (i = 0; i < in.n; i++)
			feed(&t, str_sub(in, i, 1));
	else {
		feed(&t, str_sub(in, 0, cut));
		feed(&t, str_sub(in, cut, in.n));
	}
	ck_assert_msg(str_eq(buf_str(&t.log), want),
	    "cut %zu\n got: %.*s\nwant: %.*s", cut, STR_ARG(buf_str(&t.log)),
	    STR_ARG(want));
	stop(&t);
}

/* clang-format off */
static const struct {
	enum how how;
	struct str in, want;
} streams[] = {
	{ ACCEPT, STR_INIT("a noop\r\n"), STR_INIT("cmd[a noop] ") },
	{ ACCEPT, STR_INIT("a noop\nb noop\r\n"), STR_INIT("cmd[a noop] cmd[b noop] ") },
	{ ACCEPT, STR_INIT("\r\n \r\na noop\r\n"), STR_INIT("cmd[a noop] ") },
	{ ACCEPT, STR_INIT("a noop"), STR_INIT("") },
	/* RFC 9051, 4.3: synchronising literals wait */
	{ ACCEPT, STR_INIT("a login {3}\r\nbob {2}\r\npw\r\n"),
	  STR_INIT("+ + cmd[a login {3}\r\nbob {2}\r\npw] ") },
	/* RFC 7888: these do not */
	{ ACCEPT, STR_INIT("a login {3+}\r\nbob {2+}\r\npw\r\nb noop\r\n"),
	  STR_INIT("cmd[a login {3+}\r\nbob {2+}\r\npw] cmd[b noop] ") },
	{ ACCEPT, STR_INIT("a login {0}\r\n {0+}\r\n\r\n"),
	  STR_INIT("+ cmd[a login {0}\r\n {0+}\r\n] ") },
	/* a line end inside a literal is not one */
	{ ACCEPT, STR_INIT("a x {4+}\r\n\r\n\r\n y\r\n"), STR_INIT("cmd[a x {4+}\r\n\r\n\r\n y] ") },
	{ ACCEPT, STR_INIT("a x \"{4}\"\r\n"), STR_INIT("cmd[a x \"{4}\"] ") },
	{ ACCEPT, STR_INIT("a x {}\r\n"), STR_INIT("cmd[a x {}] ") },
	{ ACCEPT, STR_INIT("a x 4}\r\n"), STR_INIT("cmd[a x 4}] ") },
	{ ACCEPT, STR_INIT("}\r\n"), STR_INIT("cmd[}] ") },
	/* APPEND (RFC 9051, 6.3.12) */
	{ ACCEPT, STR_INIT("a append inbox {5}\r\nhello\r\nb noop\r\n"),
	  STR_INIT("append[a append inbox {5}] 5s <hello> end done[] cmd[b noop] ") },
	{ ACCEPT, STR_INIT("a APPEND {5+}\r\ninbox (\\Seen) ~{5+}\r\nhe\0lo\r\n"),
	  STR_INIT("append[a APPEND {5+}\r\ninbox (\\Seen) ~{5+}] 58 <he\0lo> end done[] ") },
	{ ACCEPT, STR_INIT("a append x {0}\r\n\r\n"),
	  STR_INIT("append[a append x {0}] 0s end done[] ") },
	/* MULTIAPPEND (RFC 3502) */
	{ ACCEPT, STR_INIT("a append x {1+}\r\n1 (\\Seen) {2+}\r\n22\r\nb noop\r\n"),
	  STR_INIT("append[a append x {1+}] 1 <1> end more[ (\\Seen) {2+}] 2 <22> end done[] cmd[b noop] ") },
	{ ACCEPT, STR_INIT("a append x UTF8 (~{3+}\r\nabc)\r\n"),
	  STR_INIT("append[a append x UTF8 (~{3+}] 38 <abc> end done[)] ") },
	{ ACCEPT, STR_INIT("a append x {1+}\r\n1 junk\r\nb noop\r\n"),
	  STR_INIT("append[a append x {1+}] 1 <1> end done[ junk] cmd[b noop] ") },
	/* REPLACE (RFC 8508) */
	{ ACCEPT, STR_INIT("a replace 4 x {2}\r\nhi\r\n"),
	  STR_INIT("append[a replace 4 x {2}] 2s <hi> end done[] ") },
	{ ACCEPT, STR_INIT("a UID REPLACE 4 {1+}\r\nx {2+}\r\nhi\r\n"),
	  STR_INIT("append[a UID REPLACE 4 {1+}\r\nx {2+}] 2 <hi> end done[] ") },
	{ ACCEPT, STR_INIT("a UID COPY 4 {1+}\r\nx\r\n"), STR_INIT("cmd[a UID COPY 4 {1+}\r\nx] ") },
	/* refused: nothing more comes of a waiting client */
	{ REFUSE, STR_INIT("a append x {5}\r\nb noop\r\n"),
	  STR_INIT("append[a append x {5}] 5s cmd[b noop] ") },
	{ REFUSE, STR_INIT("a append x {5+}\r\nhello\r\nb noop\r\n"),
	  STR_INIT("append[a append x {5+}] 5 cmd[b noop] ") },
	{ REFUSE, STR_INIT("a append x {5+}\r\nhello {4+}\r\n\r\n\r\n {3}\r\nb noop\r\n"),
	  STR_INIT("append[a append x {5+}] 5 cmd[b noop] ") },
	{ REFUSE, STR_INIT("a append x {0+}\r\n\r\nb noop\r\n"),
	  STR_INIT("append[a append x {0+}] 0 cmd[b noop] ") },
	/* before login it is a command with small literals */
	{ NO_APPEND, STR_INIT("a append x {5}\r\nhello\r\n"),
	  STR_INIT("+ cmd[a append x {5}\r\nhello] ") },
	{ NO_APPEND, STR_INIT("a append x {5000000}\r\nb noop\r\n"),
	  STR_INIT("bad(a literal too large) cmd[b noop] ") },
	{ NO_APPEND, STR_INIT("a append x {5000000+}\r\nb noop\r\n"),
	  STR_INIT("bad(a literal too large)! ") },
	/* 100 KB each */
	{ ACCEPT, STR_INIT("a x {102401}\r\nb noop\r\n"),
	  STR_INIT("bad(a literal too large) cmd[b noop] ") },
	{ ACCEPT, STR_INIT("a x {99999999999999999999999}\r\nb noop\r\n"),
	  STR_INIT("bad(a literal too large) cmd[b noop] ") },
	{ ACCEPT, STR_INIT("a append x {99999999999999999999999+}\r\nb noop\r\n"),
	  STR_INIT("bad(a literal too large)! ") },
	{ ACCEPT, STR_INIT("+ x {102401}\r\nb noop\r\n"),
	  STR_INIT("bad( literal too large) cmd[b noop] ") },
	/* lines between commands: SASL, DONE */
	{ LINES, STR_INIT("a idle\r\nDONE\r\nb x\r\n{4}\r\n"),
	  STR_INIT("cmd[a idle] line[DONE] cmd[b x] line[{4}] ") },
	{ LINES, STR_INIT("a auth\r\n\r\n"), STR_INIT("cmd[a auth] line[] ") },
};
/* clang-format on */

START_TEST(reader_streams)
{
	struct str in = streams[_i].in;
	size_t cut;

	for (cut = 0; cut <= in.n; cut++)
		expect(in, cut, streams[_i].how, streams[_i].want);
	expect(in, SIZE_MAX, streams[_i].how, streams[_i].want);
}
END_TEST

static struct str
repeat(struct buf *b, const char *head, char c, size_t n, const char *tail)
{
	buf_init(b, 8 << 20);
	buf_puts(b, head);
	while (n-- > 0)
		buf_putc(b, c);
	buf_puts(b, tail);
	return buf_str(b);
}

/* An overlong line is one BAD, and the next command is read. */
START_TEST(reader_long_lines)
{
	static const struct {
		size_t n;
		const char *tail;
		const char *want;
	} rows[] = {
		{ IMAP_MAX_LINE, "\r\nb noop\r\n",
		    "bad(a line too long) cmd[b noop] " },
		{ 200000, "\r\nb noop\r\n",
		    "bad(a line too long) cmd[b noop] " },
		/* RFC 7888: what follows cannot be told from octets */
		{ 200000, " {5+}\r\nb noop\r\n", "bad(a command too large)! " },
		{ 200000, " {5}\r\nb noop\r\n",
		    "bad(a line too long) cmd[b noop] " },
		{ IMAP_MAX_SKIP + 1, "\r\nb noop\r\n",
		    "bad(a line too long)! " },
	};
	struct buf b;
	struct str in = repeat(&b, "a ", 'x', rows[_i].n, rows[_i].tail);
	size_t cuts[] = { 0, 1, 3, IMAP_MAX_LINE - 1, IMAP_MAX_LINE,
		IMAP_MAX_LINE + 1, IMAP_MAX_LINE + 2, in.n - 12, in.n - 3,
		in.n - 2, in.n - 1 };
	int i;

	for (i = 0; i < N(cuts); i++)
		expect(in, cuts[i], ACCEPT, str_from(rows[_i].want));
	expect(in, SIZE_MAX, ACCEPT, str_from(rows[_i].want));
	buf_release(&b);
}
END_TEST

START_TEST(reader_longest_line)
{
	struct buf b;
	struct str in = repeat(&b, "a ", 'x', IMAP_MAX_LINE - 2, "\r\n");
	struct run t;
	size_t i;

	start(&t, ACCEPT);
	feed(&t, in);
	ck_assert(str_starts(buf_str(&t.log), STR("cmd[a xx")));
	stop(&t);
	start(&t, ACCEPT);
	for (i = 0; i < in.n; i++)
		feed(&t, str_sub(in, i, 1));
	ck_assert(str_starts(buf_str(&t.log), STR("cmd[a xx")));
	stop(&t);
	buf_release(&b);
}
END_TEST

/* 1000 literals, 1 MB together. */
START_TEST(reader_many_literals)
{
	struct buf b;
	struct run t;
	int i;

	buf_init(&b, 8 << 20);
	buf_puts(&b, "a x ");
	for (i = 0; i <= IMAP_MAX_LITERALS; i++)
		buf_puts(&b, "{1+}\r\nx ");
	buf_puts(&b, "\r\n");
	expect(buf_str(&b), 0, ACCEPT, STR("bad(a too many literals)! "));
	buf_clear(&b);
	for (i = 0; i < 102400; i++)
		buf_putc(&b, 'y');
	start(&t, ACCEPT);
	feed(&t, STR("a x "));
	for (i = 0; i < 10; i++) {
		feed(&t, STR("{102400+}\r\n"));
		feed(&t, buf_str(&b));
	}
	ck_assert_uint_eq(t.log.n, 0);
	feed(&t, STR("{102400}\r\nb noop\r\n"));
	ck_assert(str_eq(
	    buf_str(&t.log), STR("bad(a command too large) cmd[b noop] ")));
	stop(&t);
	buf_release(&b);
}
END_TEST

START_TEST(reader_rest)
{
	struct imap_reader_opts opts = { 0 };
	struct imap_reader *r = imap_reader_new(&opts);
	struct imap_event e;

	ck_assert(imap_reader_is_idle(r));
	imap_reader_push(r, STR("a starttls\r\nb noop\r\n"));
	ck_assert(imap_reader_next(r, &e) == IMAP_COMMAND);
	ck_assert(str_eq(imap_reader_rest(r), STR("b noop\r\n")));
	ck_assert(str_eq(imap_reader_tag(r), STR("a")));
	ck_assert(imap_reader_is_idle(r));
	imap_reader_shrink(r);
	ck_assert(imap_reader_next(r, &e) == IMAP_COMMAND);
	ck_assert(imap_reader_next(r, &e) == IMAP_NEED_MORE);
	imap_reader_push(r, STR("c"));
	ck_assert(imap_reader_next(r, &e) == IMAP_NEED_MORE);
	ck_assert(!imap_reader_is_idle(r));
	imap_reader_free(&r);
	imap_reader_free(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("imap reader");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, reader_streams, 0, N(streams));
	tcase_add_loop_test(t, reader_long_lines, 0, 5);
	tcase_add_test(t, reader_longest_line);
	tcase_add_test(t, reader_many_literals);
	tcase_add_test(t, reader_rest);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
