#include "base/b64.h"

#include <stdint.h>

static const char std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
encode(struct buf *b, struct str s, const char *abc, bool pad)
{
	size_t i;

	for (i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
		char out[4] = { 0, 0, '=', '=' };

		if (left > 1)
			v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)s.p[i + 2];
		out[0] = abc[v >> 18];
		out[1] = abc[v >> 12 & 63];
		if (left > 1)
			out[2] = abc[v >> 6 & 63];
		if (left > 2)
			out[3] = abc[v & 63];
		buf_put(b, str_make(out, pad || left > 2 ? 4 : left + 1));
	}
}

void
b64_encode(struct buf *b, struct str s)
{
	encode(b, s, std, true);
}

void
b64url_encode(struct buf *b, struct str s)
{
	encode(b, s, url, false);
}

/* clang-format off */
static const int8_t values[128] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
};
/* clang-format on */

static int
value(char c, const char *abc)
{
	unsigned char u = (unsigned char)c;

	if (u < sizeof(values) && values[u] >= 0)
		return values[u];
	if (c == abc[62])
		return 62;
	return c == abc[63] ? 63 : -1;
}

/* Up to four characters; -1: one of them is none. */
static int32_t
group(const char *p, size_t n, const char *abc)
{
	int32_t v = 0;
	size_t i;
	int d;

	for (i = 0; i < n; i++) {
		if ((d = value(p[i], abc)) < 0)
			return -1;
		v |= (int32_t)d << (18 - 6 * i);
	}
	return v;
}

static bool
decode(struct buf *b, struct str s, const char *abc)
{
	size_t total = s.n / 4 * 3 + (s.n % 4 == 0 ? 0 : s.n % 4 - 1);
	char *out = NULL;
	size_t i, n;
	int32_t v;

	if (s.n % 4 == 1 || (out = buf_reserve(b, total)) == NULL)
		return false;
	for (i = 0; i < s.n; i += 4) {
		n = s.n - i < 4 ? s.n - i : 4;
		/* bits that no octet has are zero */
		if ((v = group(s.p + i, n, abc)) < 0 ||
		    (v & (0xffffff >> 8 * (n - 1))) != 0)
			return false;
		*out++ = (char)(v >> 16);
		if (n > 2)
			*out++ = (char)(v >> 8);
		if (n > 3)
			*out++ = (char)v;
	}
	buf_grow(b, total);
	return true;
}

bool
b64_decode(struct buf *b, struct str s)
{
	size_t pad = 0;

	if (s.n % 4 != 0)
		return false;
	while (pad < 2 && s.n > 0 && s.p[s.n - 1] == '=') {
		s.n--;
		pad++;
	}
	return decode(b, s, std);
}

bool
b64url_decode(struct buf *b, struct str s)
{
	return decode(b, s, url);
}
