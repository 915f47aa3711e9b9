/* Transfer encodings (RFC 2045, 6.7 and 6.8), as streams. */
#include "format/mime/mime.h"

#include <string.h>

#include "base/b64.h"

#define QP_LINE	    76 /* RFC 2045, 6.7, rule 5 */
#define BASE64_LINE 57 /* octets that make 76 characters */

static const int8_t sextets[256] = {
#define X -1
	/* clang-format off */
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, 62, X, X, X, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, X, X, X,
	X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
	X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
/* clang-format on */
#undef X
};

void
mime_decoder_init(struct mime_decoder *d, enum mime_encoding encoding)
{
	*d = (struct mime_decoder){ .encoding = encoding };
}

/* What is left of a quantum: 2 sextets are one octet, 3 are two. */
static void
base64_rest(struct mime_decoder *d, char **to)
{
	if (d->n_bits == 1)
		d->is_bad = true;
	if (d->n_bits >= 2)
		*(*to)++ = (char)(d->bits >> (6 * d->n_bits - 8));
	if (d->n_bits == 3)
		*(*to)++ = (char)(d->bits >> 2);
	d->bits = 0;
	d->n_bits = 0;
}

/* Padding ends a quantum, and another may follow: encoded pieces that were
 * joined are read as what they were. */
static void
base64(struct mime_decoder *d, struct str in, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)in.p, *end = p + in.n;
	char *start = buf_reserve(out, in.n + 4), *to = start;

	if (start == NULL)
		return;
	while (p < end) {
		int v;

		if (d->n_bits == 0 && end - p >= 4) {
			int a = sextets[p[0]], b = sextets[p[1]],
			    c = sextets[p[2]], e = sextets[p[3]];

			if ((a | b | c | e) >= 0) {
				*to++ = (char)(a << 2 | b >> 4);
				*to++ = (char)(b << 4 | c >> 2);
				*to++ = (char)(c << 6 | e);
				p += 4;
				continue;
			}
		}
		v = sextets[*p];
		if (v >= 0) {
			d->bits = d->bits << 6 | (uint32_t)v;
			if (++d->n_bits == 4) {
				*to++ = (char)(d->bits >> 16);
				*to++ = (char)(d->bits >> 8);
				*to++ = (char)d->bits;
				d->bits = 0;
				d->n_bits = 0;
			}
		} else if (*p == '=')
			base64_rest(d, &to);
		else if (*p != '\r' && *p != '\n' && *p != ' ' && *p != '\t')
			d->is_bad = true;
		p++;
	}
	buf_grow(out, (size_t)(to - start));
}

/* What is held until more is seen; nothing in QP_TEXT. */
enum {
	QP_TEXT,
	QP_SPACE,   /* spaces: dropped if the line ends here */
	QP_CR,	    /* those and CR */
	QP_EQUALS,  /* "=" */
	QP_HEX,	    /* "=" and a hexadecimal digit */
	QP_SOFT,    /* "=" and spaces */
	QP_SOFT_CR, /* those and CR */
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* It was not what it looked like: it stands for itself. */
static bool
qp_flush(struct mime_decoder *d, struct buf *out)
{
	if (d->state >= QP_EQUALS)
		d->is_bad = true;
	buf_put(out, str_make(d->held, d->n_held));
	d->n_held = 0;
	d->state = QP_TEXT;
	return false;
}

static bool
qp_hold(struct mime_decoder *d, char c, int state)
{
	d->held[d->n_held++] = c;
	d->state = (uint8_t)state;
	return true;
}

static bool
qp_put_and_drop(struct mime_decoder *d, struct str s, struct buf *out)
{
	buf_put(out, s);
	d->n_held = 0;
	d->state = QP_TEXT;
	return true;
}

/* false: the held octets have been flushed, give the octet again.
 * hex-octet, transport-padding, soft line break: RFC 2045, 6.7 */
static bool
qp_octet(struct mime_decoder *d, char c, struct buf *out)
{
	char octet;

	if (d->n_held == sizeof(d->held))
		return qp_flush(d, out);
	switch (d->state) {
	case QP_TEXT:
		if (c == '=')
			return qp_hold(d, c, QP_EQUALS);
		if (c == '\r' || is_space(c))
			return qp_hold(d, c, c == '\r' ? QP_CR : QP_SPACE);
		buf_putc(out, c);
		return true;
	case QP_SPACE:
		if (c == '\n')
			return qp_put_and_drop(d, STR("\n"), out);
		if (c == '\r' || is_space(c))
			return qp_hold(d, c, c == '\r' ? QP_CR : QP_SPACE);
		return qp_flush(d, out);
	case QP_CR:
		if (c == '\n')
			return qp_put_and_drop(d, STR("\r\n"), out);
		return qp_flush(d, out);
	case QP_EQUALS:
		if (ascii_hexval(c) >= 0)
			return qp_hold(d, c, QP_HEX);
		/* FALLTHROUGH */
	case QP_SOFT:
		if (c == '\r' || is_space(c))
			return qp_hold(d, c, c == '\r' ? QP_SOFT_CR : QP_SOFT);
		/* FALLTHROUGH */
	case QP_SOFT_CR:
		if (c == '\n')
			return qp_put_and_drop(d, STR(""), out);
		return qp_flush(d, out);
	case QP_HEX:
		if (ascii_hexval(c) < 0)
			return qp_flush(d, out);
		octet = (char)(ascii_hexval(d->held[1]) << 4 | ascii_hexval(c));
		return qp_put_and_drop(d, str_make(&octet, 1), out);
	}
	return true;
}

/* Octets at the start that stand for themselves whatever comes. */
static size_t
qp_plain(struct str s)
{
	size_t n;

	for (n = 0; n < s.n; n++) {
		char c = s.p[n];

		if (c == '=' || c == '\r')
			break;
		if (is_space(c) &&
		    (n + 1 == s.n || s.p[n + 1] <= ' ' || s.p[n + 1] == '='))
			break;
	}
	return n;
}

static void
qp(struct mime_decoder *d, struct str in, struct buf *out)
{
	size_t n;

	while (in.n > 0) {
		n = d->state == QP_TEXT ? qp_plain(in) : 0;
		if (n > 0)
			buf_put(out, str_sub(in, 0, n));
		else
			n = qp_octet(d, in.p[0], out) ? 1 : 0;
		in = str_sub(in, n, SIZE_MAX);
	}
}

void
mime_decoder_push(struct mime_decoder *d, struct str in, struct buf *out)
{
	switch (d->encoding) {
	case MIME_ENC_BASE64:
		base64(d, in, out);
		return;
	case MIME_ENC_QP:
		qp(d, in, out);
		return;
	case MIME_ENC_NONE:
	case MIME_ENC_UNKNOWN:
		buf_put(out, in);
		return;
	}
}

bool
mime_decoder_finish(struct mime_decoder *d, struct buf *out)
{
	char rest[4], *to = rest;

	if (d->encoding == MIME_ENC_BASE64) {
		if (d->n_bits > 0)
			d->is_bad = true;
		base64_rest(d, &to);
		buf_put(out, str_make(rest, (size_t)(to - rest)));
	}
	/* spaces at the end are padding, "=" is a soft break */
	if (d->state == QP_HEX)
		qp_flush(d, out);
	if (d->state == QP_CR)
		buf_putc(out, '\r');
	d->n_held = 0;
	d->state = QP_TEXT;
	return !d->is_bad;
}

static void
qp_put(struct buf *b, char c, bool plain, size_t *column)
{
	static const char hex[] = "0123456789ABCDEF";

	if (*column + (plain ? 1 : 3) > QP_LINE - 1) {
		buf_puts(b, "=\r\n");
		*column = 0;
	}
	if (plain) {
		buf_putc(b, c);
		*column += 1;
		return;
	}
	buf_putc(b, '=');
	buf_putc(b, hex[(unsigned char)c >> 4]);
	buf_putc(b, hex[c & 15]);
	*column += 3;
}

void
mime_qp_encode(struct buf *b, struct str s)
{
	size_t i, column = 0;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool at_end = i + 1 == s.n ||
			      str_starts(str_sub(s, i + 1, 2), STR("\r\n"));

		if (str_starts(str_sub(s, i, 2), STR("\r\n"))) {
			buf_puts(b, "\r\n");
			column = 0;
			i++;
		} else if (c == ' ' || c == '\t')
			qp_put(b, c, !at_end, &column);
		else
			qp_put(b, c, c > ' ' && c < 127 && c != '=', &column);
	}
}

void
mime_base64_encode(struct buf *b, struct str s)
{
	for (; s.n > 0; s = str_sub(s, BASE64_LINE, SIZE_MAX)) {
		b64_encode(b, str_sub(s, 0, BASE64_LINE));
		buf_puts(b, "\r\n");
	}
}
