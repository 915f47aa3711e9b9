#include "needle.h"

#include <string.h>

#include "base/utf8.h"

/* Far more than a chunk of mime_text, whose folded form is not longer. */
#define MAX_CHUNK 65536

/* Simple case folding for the scripts that have case and are common in mail;
 * what it does not know is compared as it is. */
static uint32_t
fold(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if (c >= 0xc0 && c <= 0xde)
		return c == 0xd7 ? c : c + 32;
	if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) ||
	    (c >= 0x14a && c <= 0x177) || (c >= 0x1e00 && c <= 0x1eff) ||
	    (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) ||
	    (c >= 0x4d0 && c <= 0x52f))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c & 1 ? c + 1 : c;
	if (c == 0x178)
		return 0xff;
	if (c >= 0x391 && c <= 0x3a9)
		return c + 32;
	if (c == 0x3c2) /* final sigma */
		return 0x3c3;
	if (c == 0x386)
		return 0x3ac;
	if (c >= 0x388 && c <= 0x38a)
		return c + 37;
	if (c >= 0x410 && c <= 0x42f)
		return c + 32;
	if (c >= 0x400 && c <= 0x40f)
		return c + 80;
	if (c >= 0x531 && c <= 0x556)
		return c + 48;
	return c;
}

void
fold_put(struct buf *b, struct str s)
{
	int32_t cp;
	size_t i;
	char *p;

	while (s.n > 0) {
		/* runs of ASCII, as most text is */
		for (i = 0; i < s.n && (unsigned char)s.p[i] < 0x80; i++)
			;
		if (i > 0) {
			if ((p = buf_reserve(b, i)) == NULL)
				return;
			buf_grow(b, i);
			for (; i > 0; i--, s.p++, s.n--)
				*p++ = ascii_lower(*s.p);
			continue;
		}
		if ((cp = utf8_next(&s)) != -1)
			utf8_put(b, fold((uint32_t)cp));
		else {
			buf_putc(b, *s.p);
			s = str_sub(s, 1, s.n);
		}
	}
}

void
needle_init(struct needle *n, struct str folded)
{
	*n = (struct needle){ .text = folded };
	buf_init(&n->hay, folded.n + 2 * MAX_CHUNK);
	n->found = folded.n == 0;
}

void
needle_release(struct needle *n)
{
	buf_release(&n->hay);
}

void
needle_clear(struct needle *n)
{
	buf_clear(&n->hay);
	n->found = n->text.n == 0;
}

bool
needle_push(struct needle *n, struct str s)
{
	while (!n->found && s.n > 0) {
		struct str piece = str_sub(s, 0, MAX_CHUNK);

		/* not in the middle of a character */
		while (piece.n < s.n && piece.n > MAX_CHUNK - 4 &&
		       ((unsigned char)s.p[piece.n] & 0xc0) == 0x80)
			piece.n--;
		s = str_sub(s, piece.n, s.n);
		fold_put(&n->hay, piece);
		n->found =
		    memmem(n->hay.p, n->hay.n, n->text.p, n->text.n) != NULL;
		if (n->hay.n >= n->text.n)
			buf_consume(&n->hay, n->hay.n - (n->text.n - 1));
	}
	return n->found;
}
