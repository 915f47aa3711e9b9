/*
 * PREVIEW (RFC 8970): the first words of a message. White space is collapsed;
 * quoted lines, markup, styles and scripts are left out.
 */
#include <string.h>

#include "base/utf8.h"
#include "msg.h"

#define MAX_CHARS 200	      /* RFC 8970, 3.1 */
#define MAX_RAW	  (64 * 1024) /* octets of the part that are looked at */
#define MAX_NAME  12	      /* of a tag or an entity that matters */

struct preview {
	struct buf *out;
	unsigned chars;
	bool wants_space;
	struct mime_text *text;
	/* text/plain */
	bool in_quote, at_line;
	/* text/html */
	bool is_html;
	char in; /* '<' a tag, '&' an entity, 0 text */
	char name[MAX_NAME];
	size_t name_n;
	bool is_named;	  /* the name of the tag is complete */
	const char *skip; /* inside this element */
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

/* A line that is not "> quoted". */
static void
take_plain(struct preview *p, int32_t cp)
{
	if (p->at_line && cp == '>')
		p->in_quote = true;
	p->at_line = cp == '\n';
	if (p->at_line)
		p->in_quote = false;
	if (!p->in_quote)
		put_char(p, cp);
}

static void
end_tag(struct preview *p)
{
	static const char *const hidden[] = { "style", "script", "head",
		"title" };
	struct str name = str_make(p->name, p->name_n);
	size_t i;

	p->in = 0;
	p->wants_space |= p->chars > 0;
	if (p->skip != NULL) {
		if (name.n > 1 && name.p[0] == '/' &&
		    str_eq_nocase(
			str_sub(name, 1, MAX_NAME), str_from(p->skip)))
			p->skip = NULL;
		return;
	}
	for (i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (str_eq_nocase(name, str_from(hidden[i])))
			p->skip = hidden[i];
}

/* The few entities that stand in ordinary text. */
static void
end_entity(struct preview *p)
{
	static const struct {
		struct str name;
		int32_t cp;
	} entities[] = {
		{ STR_INIT("amp"), '&' },
		{ STR_INIT("lt"), '<' },
		{ STR_INIT("gt"), '>' },
		{ STR_INIT("quot"), '"' },
		{ STR_INIT("apos"), '\'' },
		{ STR_INIT("#39"), '\'' },
		{ STR_INIT("nbsp"), ' ' },
	};
	struct str name = str_make(p->name, p->name_n);
	size_t i;

	p->in = 0;
	for (i = 0; i < sizeof(entities) / sizeof(*entities); i++)
		if (str_eq(name, entities[i].name))
			put_char(p, entities[i].cp);
}

static void
take_html(struct preview *p, int32_t cp)
{
	if (p->in == 0 && (cp == '<' || (cp == '&' && p->skip == NULL))) {
		p->in = (char)cp;
		p->name_n = 0;
		p->is_named = false;
	} else if (p->in == '<' && cp == '>')
		end_tag(p);
	else if (p->in == '&' && (cp == ';' || cp == ' ' || cp == '<'))
		end_entity(p);
	else if (p->in != 0) {
		p->is_named |= cp <= ' ';
		if (!p->is_named && p->name_n < MAX_NAME && cp < 0x80)
			p->name[p->name_n++] = (char)cp;
	} else if (p->skip == NULL)
		put_char(p, cp);
}

static void
take(void *arg, struct str s)
{
	struct preview *p = arg;
	int32_t cp;

	while (s.n > 0 && p->chars < MAX_CHARS) {
		if ((cp = utf8_next(&s)) == -1)
			s = str_sub(s, 1, s.n);
		else if (p->is_html)
			take_html(p, cp);
		else
			take_plain(p, cp);
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
