#include "base/utf8.h"

int32_t
utf8_next(struct str *s)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char b;
	uint32_t cp;
	size_t more, i;

	if (s->n == 0)
		return -1;
	b = (unsigned char)s->p[0];
	if (b < 0x80) {
		more = 0;
		cp = b;
	} else if (b >= 0xc2 && b < 0xe0) {
		more = 1;
		cp = b & 0x1f;
	} else if (b >= 0xe0 && b < 0xf0) {
		more = 2;
		cp = b & 0x0f;
	} else if (b >= 0xf0 && b < 0xf5) {
		more = 3;
		cp = b & 0x07;
	} else
		return -1;
	if (more >= s->n)
		return -1;
	for (i = 1; i <= more; i++) {
		b = (unsigned char)s->p[i];
		if ((b & 0xc0) != 0x80)
			return -1;
		cp = cp << 6 | (b & 0x3f);
	}
	if (cp < least[more] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return -1;
	*s = str_sub(*s, more + 1, s->n);
	return (int32_t)cp;
}

bool
utf8_valid(struct str s)
{
	while (s.n > 0)
		if (utf8_next(&s) == -1)
			return false;
	return true;
}

bool
utf8_is_ascii(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

void
utf8_put(struct buf *b, uint32_t cp)
{
	if (cp < 0x80)
		buf_putc(b, (char)cp);
	else if (cp < 0x800) {
		buf_putc(b, (char)(0xc0 | cp >> 6));
		buf_putc(b, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		buf_putc(b, (char)(0xe0 | cp >> 12));
		buf_putc(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_putc(b, (char)(0x80 | (cp & 0x3f)));
	} else {
		buf_putc(b, (char)(0xf0 | cp >> 18));
		buf_putc(b, (char)(0x80 | (cp >> 12 & 0x3f)));
		buf_putc(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_putc(b, (char)(0x80 | (cp & 0x3f)));
	}
}

void
utf8_scrub(struct buf *b, struct str s)
{
	while (s.n > 0) {
		const char *p = s.p;

		if (utf8_next(&s) == -1) {
			utf8_put(b, 0xfffd);
			s = str_sub(s, 1, s.n);
		} else
			buf_put(b, str_make(p, (size_t)(s.p - p)));
	}
}
