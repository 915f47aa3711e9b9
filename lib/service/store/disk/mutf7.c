/*
 * mutf7 - mailbox names on disk: modified UTF-7 (RFC 3501, 5.1.3), as Dovecot
 * and Courier write them, and Maildir++ folders (".Archive.2024").
 *
 * A name that is not valid modified UTF-7 but valid UTF-8 is taken as UTF-8
 * (Courier 5 writes so, Dovecot can be set up so); such a folder keeps its
 * directory (layout.c).
 */
#include "service/store/store_int.h"

#include <string.h>

#include "base/utf8.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool
is_direct(uint32_t cp)
{
	return cp >= ' ' && cp < 127 && cp != '&';
}

/* "&" *modified-base64 "-" */
static bool
decode_run(struct buf *out, struct str run)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < run.n; i++) {
		const char *at =
		    run.p[i] == '\0' ? NULL : strchr(digits, run.p[i]);
		uint32_t unit;

		if (at == NULL)
			return false;
		bits = (bits << 6 | (uint32_t)(at - digits)) & 0xfffffff;
		if ((n += 6) < 16)
			continue;
		n -= 16;
		unit = bits >> n & 0xffff;
		if (high != 0) {
			if (unit < 0xdc00 || unit > 0xdfff)
				return false;
			utf8_put(out, 0x10000 + ((high - 0xd800) << 10) +
					  (unit - 0xdc00));
			high = 0;
		} else if (unit >= 0xd800 && unit < 0xdc00)
			high = unit;
		else if ((unit >= 0xdc00 && unit < 0xe000) || is_direct(unit))
			return false;
		else
			utf8_put(out, unit);
	}
	/* no half character, spare bits zero */
	return high == 0 && n < 6 && (bits & ((1u << n) - 1)) == 0;
}

bool
mutf7_decode(struct buf *out, struct str s)
{
	struct str run;

	while (s.n > 0) {
		unsigned char c = (unsigned char)s.p[0];

		s = str_sub(s, 1, s.n);
		if (c != '&') {
			if (c < ' ' || c >= 127)
				return false;
			buf_putc(out, (char)c);
			continue;
		}
		if (!str_cut(&s, '-', &run))
			return false;
		if (run.n == 0)
			buf_putc(out, '&');
		else if (!decode_run(out, run))
			return false;
	}
	return !out->full;
}

struct encoder {
	struct buf *out;
	uint32_t bits;
	unsigned n;
	bool is_open;
};

static void
put_unit(struct encoder *x, uint32_t unit)
{
	if (!x->is_open)
		buf_putc(x->out, '&');
	x->is_open = true;
	x->bits = (x->bits << 16 | unit) & 0x3fffff;
	for (x->n += 16; x->n >= 6;) {
		x->n -= 6;
		buf_putc(x->out, digits[x->bits >> x->n & 63]);
	}
}

static void
close_run(struct encoder *x)
{
	if (!x->is_open)
		return;
	if (x->n > 0)
		buf_putc(x->out, digits[x->bits << (6 - x->n) & 63]);
	buf_putc(x->out, '-');
	*x = (struct encoder){ x->out, 0, 0, false };
}

void
mutf7_encode(struct buf *out, struct str s)
{
	struct encoder x = { out, 0, 0, false };
	int32_t cp;

	while (s.n > 0 && (cp = utf8_next(&s)) != -1) {
		if (is_direct((uint32_t)cp) || cp == '&') {
			close_run(&x);
			buf_puts(out, cp == '&' ? "&-" : "");
			if (cp != '&')
				buf_putc(out, (char)cp);
		} else if (cp < 0x10000)
			put_unit(&x, (uint32_t)cp);
		else {
			put_unit(&x, 0xd800 + (((uint32_t)cp - 0x10000) >> 10));
			put_unit(
			    &x, 0xdc00 + (((uint32_t)cp - 0x10000) & 0x3ff));
		}
	}
	close_run(&x);
}

/* ---- Maildir++ ---- */

bool
folder_is_inbox(struct str name)
{
	return str_eq(name, STR("INBOX"));
}

/*
 * '/' becomes '.'. A '.' inside an element has no form of its own in
 * Maildir++; it is written as modified UTF-7, which others show as it is.
 */
static bool
to_dir(struct str name, bool is_utf8, struct buf *out)
{
	struct str part;
	size_t start = out->n;

	while (name.n > 0) {
		str_cut(&name, '/', &part);
		buf_putc(out, '.');
		while (part.n > 0) {
			size_t n = str_find(part, '.');

			if (is_utf8)
				buf_put(out, str_sub(part, 0, n));
			else
				mutf7_encode(out, str_sub(part, 0, n));
			if (n < part.n)
				buf_puts(out, "&AC4-");
			part = str_sub(part, n + 1, part.n);
		}
	}
	return !out->full && out->n > start + 1 && out->n - start <= NAME_LEN;
}

bool
folder_to_dir(struct str name, struct buf *out)
{
	return to_dir(name, false, out);
}

bool
folder_to_dir_utf8(struct str name, struct buf *out)
{
	return to_dir(name, true, out);
}

static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return true;
	return false;
}

bool
folder_from_dir(struct str dir, struct buf *out)
{
	struct str part, whole;
	size_t dot;

	if (dir.n < 2 || dir.p[0] != '.' || dir.p[1] == '.')
		return false;
	dir = str_sub(dir, 1, dir.n);
	while (dir.n > 0) {
		size_t start = out->n;

		str_cut(&dir, '.', &part);
		if (part.n == 0)
			return false;
		whole = part;
		/* our own form of a '.' */
		while ((dot = str_search(part, STR("&AC4-"))) < part.n) {
			if (!mutf7_decode(out, str_sub(part, 0, dot)))
				break;
			buf_putc(out, '.');
			part = str_sub(part, dot + 5, part.n);
		}
		if (!mutf7_decode(out, part)) {
			if (!utf8_valid(whole) || has_control(whole))
				return false;
			buf_truncate(out, start);
			buf_put(out, whole);
		}
		if (memchr(out->p + start, '/', out->n - start) != NULL)
			return false;
		if (dir.n > 0)
			buf_putc(out, '/');
	}
	return !out->full && out->n > 0;
}
