#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/cur.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/ranges.h"
#include "base/str.h"
#include "base/utf8.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

START_TEST(str_cutting)
{
	struct str s = STR("a:b:"), h;

	ck_assert(str_cut(&s, ':', &h));
	eq(h, STR("a"));
	ck_assert(str_cut(&s, ':', &h));
	eq(h, STR("b"));
	ck_assert(!str_cut(&s, ':', &h));
	ck_assert_uint_eq(h.n, 0);
	eq(str_trim(STR(" \t x y\r\n")), STR("x y"));
	ck_assert_uint_eq(str_search(STR("hello"), STR("lo")), 3);
	ck_assert_uint_eq(str_search(STR("hello"), STR("xx")), 5);
	ck_assert(str_eq_nocase(STR("MaIl"), STR("mail")));
	ck_assert(!str_eq_nocase(STR("mail"), STR("mai")));
	ck_assert_int_lt(str_cmp(STR("a"), STR("ab")), 0);
}
END_TEST

static const struct {
	struct str in;
	uint64_t max;
	bool ok;
	uint64_t want;
} uints[] = {
	{ STR_INIT("0"), 10, true, 0 },
	{ STR_INIT("10"), 10, true, 10 },
	{ STR_INIT("11"), 10, false, 0 },
	{ STR_INIT(""), 10, false, 0 },
	{ STR_INIT("1x"), 10, false, 0 },
	{ STR_INIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
	{ STR_INIT("18446744073709551616"), UINT64_MAX, false, 0 },
	{ STR_INIT("9"), 5, false, 0 },
};

START_TEST(str_uints)
{
	uint64_t v = 0;

	ck_assert(str_uint(uints[_i].in, uints[_i].max, &v) == uints[_i].ok);
	ck_assert_uint_eq(v, uints[_i].want);
}
END_TEST

static const struct {
	struct str in;
	bool ok;
} hexes[] = {
	{ STR_INIT("00fFaB10"), true },
	{ STR_INIT("00ffab1"), false },
	{ STR_INIT("00ffab1000"), false },
	{ STR_INIT("00ffab1g"), false },
	{ STR_INIT("00ffabx0"), false },
	{ STR_INIT(""), false },
};

START_TEST(str_hexes)
{
	static const uint8_t want[4] = { 0x00, 0xff, 0xab, 0x10 };
	uint8_t out[4];
	struct buf b;

	ck_assert(str_hex(hexes[_i].in, out, 4) == hexes[_i].ok);
	if (!hexes[_i].ok)
		return;
	ck_assert_mem_eq(out, want, 4);
	buf_init(&b, 10);
	buf_put_hex(&b, out, 4);
	eq(buf_str(&b), STR("00ffab10"));
	buf_release(&b);
}
END_TEST

START_TEST(buf_ceiling)
{
	struct buf b;

	buf_init(&b, 10);
	buf_puts(&b, "12345");
	buf_printf(&b, "%d", 678);
	ck_assert(!b.full);
	buf_puts(&b, "toolong");
	ck_assert(b.full);
	buf_puts(&b, "x"); /* nothing more goes in once full */
	eq(buf_str(&b), STR("12345678"));
	ck_assert_str_eq(buf_cstr(&b), "12345678");
	buf_consume(&b, 5);
	eq(buf_str(&b), STR("678"));
	buf_clear(&b);
	ck_assert(!b.full);
	buf_put_uint(&b, UINT32_MAX);
	eq(buf_str(&b), STR("4294967295"));
	buf_release(&b);
	buf_init(&b, 1000);
	buf_printf(&b, "%0300d", 7);
	ck_assert_uint_eq(b.n, 300);
	buf_release(&b);
}
END_TEST

START_TEST(arena_limits)
{
	struct arena a;
	char *p, *q;

	arena_init(&a, 100000);
	p = arena_zalloc(&a, 3);
	q = arena_zalloc(&a, 50000);
	ck_assert(((uintptr_t)p & 15) == 0 && ((uintptr_t)q & 15) == 0);
	ck_assert(arena_try(&a, 60000) == NULL);
	ck_assert(arena_try(&a, SIZE_MAX - 3) == NULL);
	eq(arena_str(&a, STR("abc")), STR("abc"));
	arena_clear(&a);
	ck_assert(arena_try(&a, 60000) != NULL);
	arena_release(&a);
}
END_TEST

START_TEST(cur_sticks)
{
	struct cur c;
	uint64_t v;
	struct str s;

	cur_init(&c, STR("12:ab"));
	ck_assert(cur_dec(&c, 99, &v) && v == 12);
	ck_assert(cur_byte(&c, ':'));
	ck_assert(!cur_take(&c, 3, &s));
	ck_assert(!cur_ok(&c));
	ck_assert(!cur_byte(&c, 'a')); /* would match, but the error sticks */
	ck_assert_str_eq(c.why, "input ends too early");
	cur_init(&c, STR("256"));
	ck_assert(!cur_dec(&c, 255, &v));
}
END_TEST

START_TEST(pack_roundtrip)
{
	struct buf b;
	struct cur c;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	struct str s;
	size_t i;

	buf_init(&b, 1000);
	pack_u8(&b, 0xfe);
	pack_u16(&b, 0xfedc);
	pack_u32(&b, 0xfedcba98);
	pack_u64(&b, 0xfedcba9876543210);
	pack_blob(&b, STR("blob"));
	cur_init(&c, buf_str(&b));
	ck_assert(cur_u8(&c, &u8) && cur_u16(&c, &u16) && cur_u32(&c, &u32) &&
		  cur_u64(&c, &u64) && cur_blob(&c, &s) && cur_done(&c));
	ck_assert(u8 == 0xfe && u16 == 0xfedc && u32 == 0xfedcba98);
	ck_assert(u64 == 0xfedcba9876543210);
	eq(s, STR("blob"));
	for (i = 0; i < b.n; i++) { /* cut anywhere it must fail */
		cur_init(&c, str_sub(buf_str(&b), 0, i));
		ck_assert(!(cur_u8(&c, &u8) && cur_u16(&c, &u16) &&
			    cur_u32(&c, &u32) && cur_u64(&c, &u64) &&
			    cur_blob(&c, &s)));
	}
	buf_release(&b);
}
END_TEST

START_TEST(crc_vector)
{
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

static const struct {
	const char *plain, *coded;
} b64s[] = { /* RFC 4648, 10 */
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" }
};
static const char *const b64bad[] = { "Zg=", "Zg",
	"Zh==", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-v" };

START_TEST(b64_vectors)
{
	struct buf b;

	buf_init(&b, 100);
	b64_encode(&b, str_from(b64s[_i].plain));
	eq(buf_str(&b), str_from(b64s[_i].coded));
	buf_clear(&b);
	ck_assert(b64_decode(&b, str_from(b64s[_i].coded)));
	eq(buf_str(&b), str_from(b64s[_i].plain));
	buf_release(&b);
}
END_TEST

/* Every length of the last group and octet, both alphabets; each character
 * that is none at each place. */
START_TEST(b64_all)
{
	struct buf plain, coded, again;
	size_t at;
	int ch;

	buf_init(&plain, 1000);
	buf_init(&coded, 2000);
	buf_init(&again, 1000);
	for (ch = 0; ch < 256 + _i; ch++)
		buf_putc(&plain, (char)(ch * 7));
	b64_encode(&coded, buf_str(&plain));
	ck_assert(b64_decode(&again, buf_str(&coded)));
	eq(buf_str(&again), buf_str(&plain));
	for (ch = 0; ch < 256; ch++)
		for (at = 0; at < 9; at++) {
			char old = coded.p[at];
			bool is_one =
			    ascii_isalnum((char)ch) || ch == '+' || ch == '/';

			buf_clear(&again);
			coded.p[at] = (char)ch;
			ck_assert(
			    b64_decode(&again, buf_str(&coded)) == is_one);
			coded.p[at] = old;
		}
	buf_clear(&coded);
	buf_clear(&again);
	b64url_encode(&coded, buf_str(&plain));
	ck_assert(!str_has(buf_str(&coded), '='));
	ck_assert(b64url_decode(&again, buf_str(&coded)));
	eq(buf_str(&again), buf_str(&plain));
	/* no room: nothing */
	again.max = plain.n - 1;
	buf_clear(&again);
	ck_assert(!b64url_decode(&again, buf_str(&coded)));
	buf_release(&plain);
	buf_release(&coded);
	buf_release(&again);
}
END_TEST

START_TEST(b64_refuses)
{
	struct buf b;

	buf_init(&b, 100);
	ck_assert(!b64_decode(&b, str_from(b64bad[_i])));
	buf_release(&b);
}
END_TEST

static const struct {
	struct str in;
	bool ok;
} utf8s[] = {
	{ STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), true },
	{ STR_INIT("\xc0\x80"), false }, /* overlong */
	{ STR_INIT("\xe0\x80\x80"), false },
	{ STR_INIT("\xed\xa0\x80"), false },	 /* surrogate */
	{ STR_INIT("\xf4\x90\x80\x80"), false }, /* > U+10FFFF */
	{ STR_INIT("\xe2\x82"), false },	 /* cut */
	{ STR_INIT("\x80"), false },
};

START_TEST(utf8_table)
{
	ck_assert(utf8_valid(utf8s[_i].in) == utf8s[_i].ok);
}
END_TEST

static const struct {
	int64_t t;
	int zone;
	const char *rfc5322, *imap;
} dates[] = {
	{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000",
	    " 1-Jan-1970 00:00:00 +0000" },
	{ 1700000000, 120, "Wed, 15 Nov 2023 00:13:20 +0200",
	    "15-Nov-2023 00:13:20 +0200" },
	{ 951782400, -330, "Mon, 28 Feb 2000 18:30:00 -0530",
	    "28-Feb-2000 18:30:00 -0530" },
	{ -1, 0, "Wed, 31 Dec 1969 23:59:59 +0000",
	    "31-Dec-1969 23:59:59 +0000" },
};

START_TEST(date_forms)
{
	struct buf b;
	struct date d;

	buf_init(&b, 100);
	date_print_rfc5322(&b, dates[_i].t, dates[_i].zone);
	ck_assert_str_eq(buf_cstr(&b), dates[_i].rfc5322);
	buf_clear(&b);
	date_print_imap(&b, dates[_i].t, dates[_i].zone);
	ck_assert_str_eq(buf_cstr(&b), dates[_i].imap);
	date_from_seconds(&d, dates[_i].t, dates[_i].zone);
	ck_assert(date_valid(&d));
	ck_assert_int_eq(date_to_seconds(&d), dates[_i].t);
	buf_release(&b);
}
END_TEST

/* Against a bitmap of 64 numbers, a few thousand random steps. */
START_TEST(ranges_model)
{
	struct ranges r;
	uint64_t model = 0, rnd = 88172645463325252ULL;
	int step;
	uint32_t i;

	ranges_init(&r, 1000);
	for (step = 0; step < 5000; step++) {
		uint32_t lo, hi;

		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		lo = rnd % 64;
		hi = lo + (rnd >> 8) % 8;
		if (hi > 63)
			hi = 63;
		for (i = lo; i <= hi; i++)
			if (rnd >> 20 & 1)
				model |= 1ULL << i;
			else
				model &= ~(1ULL << i);
		if (rnd >> 20 & 1)
			ranges_add(&r, lo, hi);
		else
			ranges_remove(&r, lo, hi);
		for (i = 0; i < 64; i++)
			ck_assert(ranges_has(&r, i) == (bool)(model >> i & 1));
		for (i = 1; i < r.n; i++)
			ck_assert_uint_gt(r.v[i].lo, r.v[i - 1].hi + 1);
		ck_assert_uint_eq(
		    ranges_count(&r), (unsigned)__builtin_popcountll(model));
	}
	ranges_clear(&r);
	ranges_add(&r, UINT32_MAX, UINT32_MAX);
	ranges_add(&r, 0, 0);
	ck_assert(ranges_has(&r, UINT32_MAX) && ranges_has(&r, 0) && r.n == 2);
	ranges_release(&r);
	ranges_init(&r, 1);
	ranges_add(&r, 1, 1);
	ranges_add(&r, 3, 3);
	ck_assert(r.full && r.n == 1);
	ranges_release(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_test(t, str_cutting);
	tcase_add_loop_test(t, str_uints, 0, N(uints));
	tcase_add_loop_test(t, str_hexes, 0, N(hexes));
	tcase_add_test(t, buf_ceiling);
	tcase_add_test(t, arena_limits);
	tcase_add_test(t, cur_sticks);
	tcase_add_test(t, pack_roundtrip);
	tcase_add_test(t, crc_vector);
	tcase_add_loop_test(t, b64_vectors, 0, N(b64s));
	tcase_add_loop_test(t, b64_all, 0, 4);
	tcase_add_loop_test(t, b64_refuses, 0, N(b64bad));
	tcase_add_loop_test(t, utf8_table, 0, N(utf8s));
	tcase_add_loop_test(t, date_forms, 0, N(dates));
	tcase_add_test(t, ranges_model);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
