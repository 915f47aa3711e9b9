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

static int
value(char c, const char *abc)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == abc[62])
		return 62;
	return c == abc[63] ? 63 : -1;
}

static bool
decode(struct buf *b, struct str s, const char *abc)
{
	uint32_t v = 0;
	unsigned bits = 0;
	size_t i;

	if (s.n % 4 == 1)
		return false;
	for (i = 0; i < s.n; i++) {
		int d = value(s.p[i], abc);

		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_putc(b, (char)(v >> bits));
			v &= (1u << bits) - 1;
		}
	}
	return v == 0 && !b->full;
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
