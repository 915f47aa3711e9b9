/*
 * PREVIEW (RFC 8970): the first words of a message, white space collapsed,
 * quoted lines and markup left out.
 */
#include <string.h>

#include "base/utf8.h"
#include "msg.h"

#define MAX_CHARS 200	      /* RFC 8970, 3.1 */
#define MAX_RAW	  (64 * 1024) /* octets of the part that are looked at */

struct preview {
	struct buf *out;
	unsigned chars;
	bool is_html, in_tag, in_quote, at_line, wants_space;
	struct mime_text *text;
};

static void
put_char(struct preview *p, int32_t cp)
{
	if (cp == ' ' || cp == '\t' || cp == '\r' || cp == '\n' || cp == 0xa0) {
		p->wants_space = p->chars > 0;
		return;
	}
	if (cp < 0x20 || cp == 0x7f || p->chars >= MAX_CHARS)
		return;
	if (p->wants_space && p->chars + 1 < MAX_CHARS) {
		buf_putc(p->out, ' ');
		p->chars++;
	}
	p->wants_space = false;
	utf8_put(p->out, (uint32_t)cp);
	p->chars++;
}

/* The text of a line that is not "> quoted", or what is outside of tags. */
static void
take(void *arg, struct str s)
{
	struct preview *p = arg;
	int32_t cp;

	while (s.n > 0 && p->chars < MAX_CHARS) {
		if ((cp = utf8_next(&s)) == -1) {
			s = str_sub(s, 1, s.n);
			continue;
		}
		if (p->is_html && (cp == '<' || p->in_tag)) {
			p->in_tag = cp != '>';
			p->wants_space |= cp == '>' && p->chars > 0;
			continue;
		}
		if (!p->is_html && p->at_line && cp == '>')
			p->in_quote = true;
		p->at_line = cp == '\n';
		if (p->at_line)
			p->in_quote = false;
		if (!p->in_quote)
			put_char(p, cp);
	}
}

static bool
push(void *arg, struct str s)
{
	struct preview *p = arg;

	mime_text_push(p->text, s);
	return p->chars < MAX_CHARS;
}

/* The first text/plain that is not an attachment, else the first text. */
static const struct mime_part *
choose(const struct mime_part *root)
{
	const struct mime_part *p, *other = NULL;

	for (p = root; p != NULL; p = mime_part_walk(p)) {
		if (p->is_multipart ||
		    str_eq_nocase(p->disposition, STR("attachment")))
			continue;
		if (mime_part_is(p, STR("text"), STR("plain")))
			return p;
		if (other == NULL && mime_part_is(p, STR("text"), STR("html")))
			other = p;
	}
	return other;
}

int
msg_preview(struct msg *g, struct buf *out)
{
	struct preview p = { .out = out, .at_line = true };
	const struct mime_part *part;
	struct span span;
	int rc;

	if (msg_tree(g) == -1)
		return -1;
	if ((part = choose(g->root)) == NULL)
		return 0;
	p.is_html = mime_part_is(part, STR("text"), STR("html"));
	if ((p.text = mime_text_new(part, take, &p)) == NULL)
		return 0;
	span = (struct span){ part->body_at,
		part->body_n < MAX_RAW ? part->body_n : MAX_RAW };
	rc = msg_read(g, span, push, &p);
	mime_text_finish(&p.text);
	return rc;
}
