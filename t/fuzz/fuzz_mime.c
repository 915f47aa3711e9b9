#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "format/mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
sink(void *arg, struct str s)
{
	assert(utf8_valid(s));
}

static void
check(const struct mime_part *p, struct str msg)
{
	const struct mime_part *up = p->parent;
	struct mime_text *t;

	assert(p->body_at + p->body_n <= msg.n);
	if (up != NULL)
		assert(p->header_at >= up->body_at &&
		       p->body_at + p->body_n <= up->body_at + up->body_n);
	assert(!p->is_multipart || p->child != NULL);
	assert(!p->is_message || (p->child != NULL && p->child->next == NULL));
	if ((t = mime_text_new(p, sink, NULL)) == NULL)
		return;
	mime_text_push(t, str_sub(msg, p->body_at, p->body_n));
	mime_text_finish(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str msg = str_make((const char *)data, n);
	struct mime_parser *parser;
	const struct mime_part *p, *q;
	struct arena a;
	struct buf b;
	size_t i;

	arena_init(&a, 2 * MIME_ARENA_MAX);
	buf_init(&b, 8 * n + 64);
	parser = mime_parser_new(&a, 0);
	for (i = 0; i < n; i += 7)
		mime_parser_push(parser, str_sub(msg, i, 7));
	q = mime_parser_finish(&parser);
	for (p = mime_parse(&a, msg, 0); p != NULL;
	     p = mime_part_walk(p), q = mime_part_walk(q)) {
		check(p, msg);
		assert(p->header_at == q->header_at && p->body_n == q->body_n);
		assert(str_eq(p->type, q->type));
		if (p->envelope != NULL) {
			mime_addrs_print(&b, &p->envelope->from);
			buf_clear(&b);
			mime_words_decode(&b, p->envelope->subject);
			assert(utf8_valid(buf_str(&b)) || b.full);
			buf_clear(&b);
		}
	}
	assert(q == NULL);
	buf_release(&b);
	arena_release(&a);
	return 0;
}
