#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "format/dkim/dkim.h"

/*
 * Random bodies in random pieces, beside the rules written down once more with
 * a line at a time and no thought of speed (RFC 6376, 3.4.3 and 3.4.4).
 */

#define MAX_BODY 20000

static uint64_t seed;

static unsigned
draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Much white space, many line ends of all kinds, and words that are longer
 * than what is looked at in one step. */
static void
make_body(struct buf *b, size_t max)
{
	static const char *const pieces[] = { " ", "  ", "\t", "\r\n", "\r\n",
		"\r\n\r\n", "\n", "\r", "\r\r\n", " \r\n", "\t\n", "a", "ab",
		"\xc3\xa9", "\x80", "\xff", "word", ".", "\r\n \t\r\n\r\n" };
	static const char line[] = "seventy octets or so of text in a line, as "
				   "mail has it where all is well.\r\n";
	/* of most bodies one kind is most */
	unsigned words = draw(4), wide = draw(3);

	while (b->n < max)
		if (draw(8) < words)
			buf_put(b, str_make(line, 1 + draw(sizeof(line) - 1)));
		else if (wide > 0 && draw(4) == 0)
			buf_puts(b, line);
		else
			buf_puts(
			    b, pieces[draw(sizeof(pieces) / sizeof(*pieces))]);
}

static void
naive_line(struct buf *out, struct str line, enum dkim_canon canon)
{
	bool has_space = false;
	size_t i;

	for (i = 0; i < line.n; i++) {
		if (canon == DKIM_RELAXED &&
		    (line.p[i] == ' ' || line.p[i] == '\t')) {
			has_space = true;
			continue;
		}
		if (has_space)
			buf_putc(out, ' ');
		has_space = false;
		buf_putc(out, line.p[i]);
	}
	buf_puts(out, "\r\n");
}

static void
naive(struct buf *out, struct str body, enum dkim_canon canon)
{
	struct str line;

	while (body.n > 0) {
		if (str_cut(&body, '\n', &line) && str_ends(line, STR("\r")))
			line.n--;
		naive_line(out, line, canon);
	}
	while (str_ends(buf_str(out), STR("\r\n\r\n")))
		buf_truncate(out, out->n - 2);
	if (str_eq(buf_str(out), STR("\r\n")))
		buf_clear(out);
	if (canon == DKIM_SIMPLE && out->n == 0)
		buf_puts(out, "\r\n");
}

static void
compare(struct str body, enum dkim_canon canon)
{
	struct dkim_body *b = dkim_body_new();
	uint8_t whole[32], cut[32];
	size_t all, some, length, n;
	struct str rest = body;
	struct buf want;
	uint64_t total;

	buf_init(&want, 3 * MAX_BODY + 100);
	naive(&want, body, canon);
	length = draw((unsigned)want.n + 1);
	all = dkim_body_want(b, canon, false, 0);
	some = dkim_body_want(b, canon, true, length);
	while (rest.n > 0) {
		n = draw(3) == 0 ? 1 + draw(4) : 1 + draw((unsigned)rest.n);
		dkim_body_push(b, str_sub(rest, 0, n));
		rest = str_sub(rest, n, rest.n);
	}
	dkim_body_finish(b);
	EVP_Digest(want.p, want.n, whole, NULL, EVP_sha256(), NULL);
	EVP_Digest(want.p, length, cut, NULL, EVP_sha256(), NULL);
	ck_assert_mem_eq(dkim_body_hash(b, all, &total), whole, 32);
	ck_assert_uint_eq(total, want.n);
	ck_assert_mem_eq(dkim_body_hash(b, some, &total), cut, 32);
	dkim_body_free(&b);
	buf_release(&want);
}

START_TEST(random_bodies)
{
	struct buf body;
	int i;

	seed = (uint64_t)_i;
	buf_init(&body, MAX_BODY + 200);
	for (i = 0; i < 100; i++) {
		buf_clear(&body);
		make_body(&body, draw(i % 10 == 0 ? MAX_BODY : 300));
		compare(buf_str(&body), DKIM_SIMPLE);
		compare(buf_str(&body), DKIM_RELAXED);
	}
	buf_release(&body);
}
END_TEST

/* Each anomaly at each place of what is looked at in one step. */
START_TEST(every_place)
{
	static const char *const what[] = { " ", "  ", "\t", "\r", "\n", "\r\n",
		" \r\n", "\r\n\r\n", "\r\r\n", "\n\n", "\n\r", " \t" };
	struct buf body;
	size_t at, n;

	for (at = 0; at < 70; at++)
		for (n = at; n < 75; n += 1 + n / 40) {
			buf_init(&body, 200);
			while (body.n < at)
				buf_putc(&body, 'x');
			buf_puts(&body, what[_i]);
			while (body.n < n)
				buf_putc(&body, 'y');
			compare(buf_str(&body), DKIM_SIMPLE);
			compare(buf_str(&body), DKIM_RELAXED);
			buf_release(&body);
		}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dkim_body");
	TCase *t = tcase_create("body");
	SRunner *r;

	tcase_add_loop_test(t, random_bodies, 0, 20);
	tcase_add_loop_test(t, every_place, 0, 12);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
