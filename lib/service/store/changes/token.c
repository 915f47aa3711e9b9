/*
 * token - where a reader of the stream has got to, as text:
 *
 *     <stream id, 16 hex>.<next record>.<CRC of the one before, 8 hex>
 *         [-<record in flight>]...
 *
 * The CRC tells whether the file still is what was read: a file that was cut
 * and has grown again, or was put back from a copy, has another record there.
 */
#include <inttypes.h>
#include <stdio.h>

#include "service/store/stream_int.h"

static bool
parse_hex(struct str *s, size_t digits, uint64_t *out)
{
	size_t i;

	*out = 0;
	if (s->n < digits)
		return false;
	for (i = 0; i < digits; i++) {
		char c = s->p[i];

		if (c >= '0' && c <= '9')
			*out = *out << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*out = *out << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*s = str_sub(*s, digits, s->n);
	return true;
}

static bool
parse_mark(struct str *s, char mark)
{
	if (s->n == 0 || s->p[0] != mark)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

static bool
parse_number(struct str *s, uint64_t *out)
{
	size_t n = 0;
	bool ok;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	ok = str_uint(str_sub(*s, 0, n), UINT64_MAX / 2, out);
	*s = str_sub(*s, n, s->n);
	return ok;
}

bool
stream_token_parse(struct str s, struct stream_token *t)
{
	uint64_t crc;

	*t = (struct stream_token){ 0 };
	if (!parse_hex(&s, 16, &t->id) || !parse_mark(&s, '.') ||
	    !parse_number(&s, &t->next) || !parse_mark(&s, '.') ||
	    !parse_hex(&s, 8, &crc))
		return false;
	t->crc = (uint32_t)crc;
	while (s.n > 0) {
		uint64_t *at = &t->pending[t->npending];

		if (t->npending == STREAM_PENDING || !parse_mark(&s, '-') ||
		    !parse_number(&s, at) || *at >= t->next ||
		    (t->npending > 0 && *at <= at[-1]))
			return false;
		t->npending++;
	}
	return true;
}

void
stream_token_print(const struct stream_token *t, char out[CHANGES_TOKEN])
{
	size_t n;
	unsigned i;

	n = (size_t)snprintf(out, CHANGES_TOKEN,
	    "%016" PRIx64 ".%" PRIu64 ".%08" PRIx32, t->id, t->next, t->crc);
	for (i = 0; i < t->npending; i++)
		n += (size_t)snprintf(
		    out + n, CHANGES_TOKEN - n, "-%" PRIu64, t->pending[i]);
}
