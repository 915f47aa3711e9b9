#include <check.h>
#include <stdlib.h>

#include "src/imap/needle.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const struct {
	struct str text, hay;
	bool found;
} rows[] = {
	{ STR_INIT(""), STR_INIT(""), true },
	{ STR_INIT(""), STR_INIT("x"), true },
	{ STR_INIT("x"), STR_INIT(""), false },
	{ STR_INIT("Hello"), STR_INIT("say hELLO to"), true },
	{ STR_INIT("hello"), STR_INIT("hell o"), false },
	{ STR_INIT("aab"), STR_INIT("aaab"), true },
	{ STR_INIT("abcabd"), STR_INIT("abcabcabd"), true },
	/* Latin-1, Latin Extended, Greek with final sigma, Cyrillic */
	{ STR_INIT("GR\303\234N"), STR_INIT("gr\303\274n"), true },
	{ STR_INIT("\305\273"), STR_INIT("\305\274"), true },
	{ STR_INIT("\304\214"), STR_INIT("x\304\215"), true },
	{ STR_INIT("\316\243"), STR_INIT("\317\202"), true },
	{ STR_INIT("\320\237\320\240"), STR_INIT("\320\277\321\200"), true },
	{ STR_INIT("\320\201"), STR_INIT("\321\221"), true },
	/* what has no case */
	{ STR_INIT("\346\227\245"), STR_INIT("\344\270\200\346\227\245"), true },
	{ STR_INIT("\303\227"), STR_INIT("\303\267"), false },
	/* not UTF-8 */
	{ STR_INIT("\377x"), STR_INIT("a\377X"), true },
};
/* clang-format on */

static bool
search(struct str folded, struct str hay, size_t chunk)
{
	struct needle n;
	size_t i;
	bool found;

	needle_init(&n, folded);
	for (i = 0; i < hay.n; i += chunk)
		needle_push(&n, str_sub(hay, i, chunk));
	found = n.found;
	needle_release(&n);
	return found;
}

/* Whole, and cut in two wherever a character ends. */
START_TEST(needle_rows)
{
	struct str hay = rows[_i].hay;
	struct needle n;
	struct buf b;
	size_t i;

	buf_init(&b, 1000);
	fold_put(&b, rows[_i].text);
	ck_assert(search(buf_str(&b), hay, SIZE_MAX / 2) == rows[_i].found);
	for (i = 1; i < hay.n; i++) {
		if (((unsigned char)hay.p[i] & 0xc0) == 0x80)
			continue;
		needle_init(&n, buf_str(&b));
		needle_push(&n, str_sub(hay, 0, i));
		needle_push(&n, str_sub(hay, i, hay.n));
		ck_assert(n.found == rows[_i].found);
		needle_clear(&n);
		ck_assert(n.found == (b.n == 0));
		needle_release(&n);
	}
	buf_release(&b);
}
END_TEST

/* Chunks larger than what is folded at once. */
START_TEST(needle_large)
{
	struct buf b;
	int i;

	buf_init(&b, 1 << 20);
	for (i = 0; i < 65534; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "NEEDLE");
	for (i = 0; i < 100000; i++)
		buf_putc(&b, 'y');
	ck_assert(search(STR("needle"), buf_str(&b), b.n));
	ck_assert(search(STR("needle"), buf_str(&b), 7));
	ck_assert(!search(STR("needles"), buf_str(&b), 8192));
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("imap needle");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, needle_rows, 0, N(rows));
	tcase_add_test(t, needle_large);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
