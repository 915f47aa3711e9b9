#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "system/conf/conf.h"
#include "system/fs/fs.h"

struct reader {
	struct arena *a;
	const char *file;
	const char *p, *end, *line_start;
	unsigned line;
	int dirfd;
	unsigned depth;
	unsigned includes;
	struct conf_errors *errors;
};

static struct conf_node *read_block(struct reader *, bool top);

void
conf_errors_init(struct conf_errors *e)
{
	buf_init(&e->text, 256 * 1024);
	e->n = 0;
}

void
conf_errors_release(struct conf_errors *e)
{
	buf_release(&e->text);
	e->n = 0;
}

void
conf_error(
    struct conf_errors *e, const struct conf_pos *pos, const char *fmt, ...)
{
	va_list ap;

	if (e->n++ >= CONF_MAX_ERRORS)
		return;
	if (pos->line > 0)
		buf_printf(
		    &e->text, "%s:%u:%u: ", pos->file, pos->line, pos->column);
	else
		buf_printf(&e->text, "%s: ", pos->file);
	va_start(ap, fmt);
	buf_vprintf(&e->text, fmt, ap);
	va_end(ap);
	buf_putc(&e->text, '\n');
}

static struct conf_pos
here(const struct reader *r)
{
	return (struct conf_pos){ r->file, r->line,
		(unsigned)(r->p - r->line_start) + 1 };
}

static bool
at_end(const struct reader *r)
{
	return r->p == r->end || r->errors->n >= CONF_MAX_ERRORS;
}

static void
newline(struct reader *r)
{
	r->p++;
	r->line++;
	r->line_start = r->p;
}

/* Blanks and a comment, up to the end of the line or the next word. */
static void
skip_blanks(struct reader *r)
{
	while (
	    r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
	if (r->p < r->end && *r->p == '#')
		while (r->p < r->end && *r->p != '\n')
			r->p++;
}

static void
skip_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

/* word = quoted / 1*(any but blank, '"', '#', '{', '}') */
static bool
read_word(struct reader *r, struct str *out)
{
	struct conf_pos pos = here(r);
	struct buf b;

	if (*r->p != '"') {
		const char *p = r->p;

		while (r->p < r->end && strchr(" \t\r\n{}\"", *r->p) == NULL)
			r->p++;
		*out = arena_str(r->a, str_make(p, (size_t)(r->p - p)));
		return out->n > 0;
	}
	buf_init(&b, 65536);
	for (r->p++; r->p < r->end && *r->p != '"' && *r->p != '\n'; r->p++) {
		if (*r->p == '\\' && r->end - r->p > 1 &&
		    (r->p[1] == '"' || r->p[1] == '\\'))
			r->p++;
		buf_putc(&b, *r->p);
	}
	if (r->p == r->end || *r->p == '\n') {
		conf_error(r->errors, &pos,
		    "quoted value without end, a '\"' is missing");
		buf_release(&b);
		return false;
	}
	r->p++;
	if (b.full)
		conf_error(
		    r->errors, &pos, "value longer than %zu bytes", b.max);
	*out = arena_str(r->a, buf_str(&b));
	buf_release(&b);
	return true;
}

/* The values after a name, until '{', '}' or the end of the line. */
static bool
read_values(struct reader *r, struct conf_node *node)
{
	size_t cap = 0;

	for (;;) {
		struct str v;
		struct conf_pos pos;

		skip_blanks(r);
		if (r->p == r->end || *r->p == '\n' || *r->p == '{' ||
		    *r->p == '}')
			return true;
		pos = here(r);
		if (!read_word(r, &v))
			return false;
		if (node->n == CONF_MAX_VALUES) {
			conf_error(r->errors, &pos, "more than %d values",
			    CONF_MAX_VALUES);
			return false;
		}
		if (node->n == cap) {
			size_t newcap = cap == 0 ? 4 : cap * 2;

			node->values = arena_regrow(r->a, node->values,
			    cap * sizeof(*node->values),
			    newcap * sizeof(*node->values));
			node->where = arena_regrow(r->a, node->where,
			    cap * sizeof(*node->where),
			    newcap * sizeof(*node->where));
			cap = newcap;
		}
		node->values[node->n] = v;
		node->where[node->n++] = pos;
	}
}

static struct conf_node *
parse_at(struct reader *r, const char *file, struct str text)
{
	struct reader sub = *r;

	sub.file = arena_cstr(r->a, str_from(file));
	sub.p = sub.line_start = text.p;
	sub.end = text.p + text.n;
	sub.line = 1;
	if (!utf8_valid(text) || memchr(text.p, 0, text.n) != NULL) {
		struct conf_pos pos = { sub.file, 0, 0 };

		conf_error(r->errors, &pos, "not a UTF-8 text file");
		return NULL;
	}
	return read_block(&sub, true);
}

/* include FILE: its nodes stand where the directive stood. */
static struct conf_node *
read_include(struct reader *r, const struct conf_node *node)
{
	struct conf_node *nodes = NULL;
	struct buf b;
	struct err e;

	if (node->n != 1 || node->has_block) {
		conf_error(
		    r->errors, &node->pos, "include takes one file name");
		return NULL;
	}
	if (r->dirfd == -1 || r->includes >= CONF_DEPTH) {
		conf_error(r->errors, &node->pos,
		    r->dirfd == -1 ? "include is not allowed here" :
				     "includes nested deeper than %d",
		    CONF_DEPTH);
		return NULL;
	}
	buf_init(&b, CONF_MAX_FILE);
	if (fs_read_file(r->dirfd, node->values[0].p, &b, &e) == -1)
		conf_error(r->errors, &node->where[0], "%s", e.text);
	else {
		r->includes++;
		nodes = parse_at(
		    r, node->values[0].p, arena_str(r->a, buf_str(&b)));
		r->includes--;
	}
	buf_release(&b);
	return nodes;
}

/* One directive; NULL if it was none or broken. */
static struct conf_node *
read_directive(struct reader *r)
{
	struct conf_node *node = arena_zalloc(r->a, sizeof(*node));

	node->pos = here(r);
	if (*r->p == '{') {
		conf_error(
		    r->errors, &node->pos, "'{' without a name before it");
		r->p++;
		skip_line(r);
		return NULL;
	}
	if (!read_word(r, &node->name) || !read_values(r, node)) {
		skip_line(r);
		return NULL;
	}
	if (r->p < r->end && *r->p == '{') {
		struct conf_pos pos = here(r);

		node->has_block = true;
		r->p++;
		if (r->depth >= CONF_DEPTH) {
			conf_error(r->errors, &pos,
			    "blocks nested deeper than %d", CONF_DEPTH);
			r->p = r->end;
			return NULL;
		}
		r->depth++;
		node->child = read_block(r, false);
		r->depth--;
		if (r->p == r->end)
			conf_error(r->errors, &pos,
			    "block without end, a '}' is missing");
		else
			r->p++;
	}
	return node;
}

/* Directives until '}' (left for the caller) or the end of the text. */
static struct conf_node *
read_block(struct reader *r, bool top)
{
	struct conf_node *first = NULL, **tail = &first;

	for (;;) {
		struct conf_node *node;

		skip_blanks(r);
		if (at_end(r))
			return first;
		if (*r->p == '\n') {
			newline(r);
			continue;
		}
		if (*r->p == '}') {
			struct conf_pos pos = here(r);

			if (!top)
				return first;
			conf_error(r->errors, &pos, "'}' without a '{'");
			r->p++;
			continue;
		}
		node = read_directive(r);
		if (node != NULL && str_eq(node->name, STR("include")))
			node = read_include(r, node);
		*tail = node;
		while (*tail != NULL)
			tail = &(*tail)->next;
	}
}

struct conf_node *
conf_parse(struct arena *a, const char *file, struct str text, int dirfd,
    struct conf_errors *errors)
{
	struct reader r = { .a = a, .dirfd = dirfd, .errors = errors };

	return parse_at(&r, file, arena_str(a, text));
}

struct conf_node *
conf_read(
    struct arena *a, int dirfd, const char *file, struct conf_errors *errors)
{
	struct conf_pos pos = { arena_cstr(a, str_from(file)), 0, 0 };
	struct conf_node *nodes = NULL;
	struct buf b;
	struct err e;

	buf_init(&b, CONF_MAX_FILE);
	if (fs_read_file(dirfd, file, &b, &e) == -1)
		conf_error(errors, &pos, "%s", e.text);
	else
		nodes = conf_parse(a, file, buf_str(&b), dirfd, errors);
	buf_release(&b);
	return nodes;
}

void
conf_print_value(struct buf *b, struct str v)
{
	size_t i;
	bool bare = v.n > 0;

	for (i = 0; i < v.n; i++)
		if (strchr(" \t#{}\"\\\n\r", v.p[i]) != NULL)
			bare = false;
	if (bare) {
		buf_put(b, v);
		return;
	}
	buf_putc(b, '"');
	for (i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_putc(b, '\\');
		buf_putc(b, v.p[i] == '\n' ? ' ' : v.p[i]);
	}
	buf_putc(b, '"');
}

void
conf_print(struct buf *b, const struct conf_node *n, unsigned depth)
{
	for (; n != NULL; n = n->next) {
		unsigned i;

		for (i = 0; i < depth; i++)
			buf_putc(b, '\t');
		conf_print_value(b, n->name);
		for (i = 0; i < n->n; i++) {
			buf_putc(b, ' ');
			conf_print_value(b, n->values[i]);
		}
		if (n->has_block) {
			buf_puts(b, " {\n");
			conf_print(b, n->child, depth + 1);
			for (i = 0; i < depth; i++)
				buf_putc(b, '\t');
			buf_puts(b, "}");
		}
		buf_putc(b, '\n');
	}
}
