/* The text of a part as a stream: transfer encoding, charset, chunks. */
#include "format/mime/mime.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "base/xalloc.h"

#define STEP 4096 /* octets decoded at a time; each gives at most 4 (1252) */

struct mime_text {
	struct mime_decoder decoder;
	struct mime_charset *cs;
	struct buf bytes, text;
	mime_text_sink *sink;
	void *arg;
};

struct mime_text *
mime_text_new(const struct mime_part *part, mime_text_sink *sink, void *arg)
{
	struct mime_text *t;
	struct str charset = mime_param_get(&part->params, STR("charset"));

	if (!mime_part_is(part, STR("text"), STR("")))
		return NULL;
	t = xcalloc(1, sizeof(*t));
	mime_decoder_init(&t->decoder, part->encoding);
	t->cs = mime_charset_new(charset.p == NULL ? STR("us-ascii") : charset);
	buf_init(&t->bytes, 2 * STEP);
	buf_init(&t->text, 16 * STEP);
	t->sink = sink;
	t->arg = arg;
	return t;
}

/* Give the sink what there is, in chunks cut between characters. */
static void
drain(struct mime_text *t)
{
	struct str s;
	size_t n;

	mime_charset_push(t->cs, buf_str(&t->bytes), &t->text);
	buf_clear(&t->bytes);
	for (s = buf_str(&t->text); s.n > 0; s = str_sub(s, n, SIZE_MAX)) {
		n = s.n < MIME_TEXT_CHUNK ? s.n : MIME_TEXT_CHUNK;
		while (
		    n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
		if (n == 0)
			n = s.n < MIME_TEXT_CHUNK ? s.n : MIME_TEXT_CHUNK;
		t->sink(t->arg, str_sub(s, 0, n));
	}
	buf_clear(&t->text);
}

void
mime_text_push(struct mime_text *t, struct str raw)
{
	for (; raw.n > 0; raw = str_sub(raw, STEP, SIZE_MAX)) {
		mime_decoder_push(
		    &t->decoder, str_sub(raw, 0, STEP), &t->bytes);
		drain(t);
	}
}

void
mime_text_finish(struct mime_text **pt)
{
	struct mime_text *t = *pt;

	if (t == NULL)
		return;
	mime_decoder_finish(&t->decoder, &t->bytes);
	drain(t);
	mime_charset_finish(t->cs, &t->text);
	drain(t);
	mime_charset_free(&t->cs);
	buf_release(&t->bytes);
	buf_release(&t->text);
	free(t);
	*pt = NULL;
}
