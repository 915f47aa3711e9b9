#include "format/imap/utf7.h"

#include <string.h>

#include "base/utf8.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct enc {
	struct buf *out;
	uint32_t bits;
	unsigned n;
};

static void
put_unit(struct enc *e, uint32_t unit)
{
	e->bits = e->bits << 16 | unit;
	for (e->n += 16; e->n >= 6; e->n -= 6)
		buf_putc(e->out, alphabet[e->bits >> (e->n - 6) & 63]);
	e->bits &= (1U << e->n) - 1;
}

static void
put_utf16(struct enc *e, uint32_t cp)
{
	if (cp < 0x10000) {
		put_unit(e, cp);
		return;
	}
	cp -= 0x10000;
	put_unit(e, 0xd800 | cp >> 10);
	put_unit(e, 0xdc00 | (cp & 0x3ff));
}

static void
shift_out(struct enc *e)
{
	if (e->n > 0)
		buf_putc(e->out, alphabet[e->bits << (6 - e->n) & 63]);
	buf_putc(e->out, '-');
	e->bits = e->n = 0;
}

void
imap_utf7_encode(struct buf *out, struct str s)
{
	struct enc e = { .out = out };
	bool in = false;
	int32_t cp;

	while (s.n > 0) {
		if ((cp = utf8_next(&s)) == -1) {
			cp = 0xfffd;
			s = str_sub(s, 1, s.n);
		}
		if (cp >= 0x20 && cp < 0x7f) {
			if (in)
				shift_out(&e);
			in = false;
			buf_putc(out, (char)cp);
			if (cp == '&')
				buf_putc(out, '-');
			continue;
		}
		if (!in)
			buf_putc(out, '&');
		in = true;
		put_utf16(&e, (uint32_t)cp);
	}
	if (in)
		shift_out(&e);
}

/* One UTF-16 unit; surrogates are joined. */
static bool
take_unit(struct buf *out, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_put(
		    out, 0x10000 + ((*high & 0x3ff) << 10) + (unit & 0x3ff));
		*high = 0;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	if (unit >= 0x20 && unit < 0x7f)
		return false;
	utf8_put(out, unit);
	return true;
}

/* What stands between "&" and "-". */
static bool
decode_shifted(struct buf *out, struct str s)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		const char *at = memchr(alphabet, s.p[i], 64);

		if (at == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		n += 6;
		if (n < 16)
			continue;
		n -= 16;
		if (!take_unit(out, bits >> n & 0xffff, &high))
			return false;
		bits &= (1U << n) - 1;
	}
	return high == 0 && n < 6 && bits == 0;
}

bool
imap_utf7_decode(struct buf *out, struct str s)
{
	bool was_shift = false;
	struct str in;

	while (s.n > 0) {
		if (*s.p != '&') {
			if (*s.p < 0x20 || *s.p > 0x7e)
				return false;
			buf_putc(out, *s.p);
			s = str_sub(s, 1, s.n);
			was_shift = false;
			continue;
		}
		s = str_sub(s, 1, s.n);
		if (!str_cut(&s, '-', &in))
			return false;
		if (in.n == 0) {
			buf_putc(out, '&');
			was_shift = false;
			continue;
		}
		if (was_shift || !decode_shifted(out, in))
			return false;
		was_shift = true;
	}
	return true;
}
