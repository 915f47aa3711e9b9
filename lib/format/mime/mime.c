/*
 * The parser: a stack of open parts, and the message line by line.
 *
 *	root (multipart/mixed, boundary X)        stack[0]
 *	  1  text/plain                           closed at the second --X
 *	  2  message/rfc822                       stack[1]
 *	       child (multipart/..., boundary Y)  stack[2]
 *	         1  text/plain                    stack[3], the top
 *
 * A line in a header is collected; a line in a body is only counted, unless
 * it begins with "-": then it is held until its end to be compared with the
 * boundaries on the stack. A boundary closes all that is open below the
 * multipart it belongs to. The line end before it is its own, so bodies
 * that it closes end where that line end begins (eol_at).
 */
#include "format/mime/mime.h"

#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "format/mime/mime_int.h"

/* A single field may take this much of the arena (10000 addresses of one
 * octet each, twice); with less left nothing more is kept. */
#define ARENA_RESERVE (4 << 20)

struct open_part {
	struct mime_part *part, *last_child;
	struct str boundary; /* n == 0: none, or its closing one was seen */
	uint64_t lines_at;   /* lines before the body */
};

struct mime_parser {
	struct arena *arena;
	size_t arena_start;
	unsigned flags;
	struct mime_part *root;
	struct open_part stack[MIME_MAX_DEPTH];
	size_t depth; /* of the stack; the top is the current part */
	size_t n_parts, kept;
	bool in_header;	  /* of the top */
	bool is_first;	  /* line of that header */
	bool is_skipping; /* the line begun is only counted */
	char last;	  /* octet before the next one */
	uint64_t pos;	  /* of the next octet, in the coordinates asked for */
	uint64_t line_at; /* where this line begins */
	uint64_t eol_at;  /* where the line end before it begins */
	uint64_t lines;	  /* line ends before this line */
	struct buf line;  /* a line that came in pieces, clipped */
	struct buf field; /* the header field being collected */
};

static struct open_part *
top(struct mime_parser *p)
{
	return &p->stack[p->depth - 1];
}

static bool
has_room(const struct mime_parser *p)
{
	return p->arena->used - p->arena_start < MIME_ARENA_MAX - ARENA_RESERVE;
}

/* A new part at this offset on the stack, its header about to come. */
static struct mime_part *
open_part(struct mime_parser *p, uint64_t at, bool is_message)
{
	struct mime_part *part = arena_zalloc(p->arena, sizeof(*part));
	struct open_part *up;

	part->header_at = part->body_at = at;
	part->number = 1;
	if (p->depth > 0) {
		up = top(p);
		part->parent = up->part;
		if (up->last_child != NULL) {
			up->last_child->next = part;
			part->number = up->last_child->number + 1;
		} else
			up->part->child = part;
		up->last_child = part;
	}
	if (is_message && !(p->flags & MIME_NO_ENVELOPE))
		part->envelope =
		    arena_zalloc(p->arena, sizeof(*part->envelope));
	assert(p->depth < MIME_MAX_DEPTH);
	p->stack[p->depth++] = (struct open_part){ .part = part };
	p->n_parts++;
	p->in_header = p->is_first = true;
	return part;
}

static bool
may_open(const struct mime_parser *p)
{
	return p->depth < MIME_MAX_DEPTH && p->n_parts < MIME_MAX_PARTS &&
	       has_room(p);
}

static void
end_field(struct mime_parser *p)
{
	struct str line = buf_str(&p->field), name, value;

	name = str_sub(line, 0, mime_field_name(line));
	value = str_sub(line, str_find(line, ':') + 1, SIZE_MAX);
	if (name.n > 0 && has_room(p) && p->kept < MIME_MAX_KEPT &&
	    mime_part_field(p->arena, top(p)->part, name, value))
		p->kept += line.n;
	buf_clear(&p->field);
}

static struct str
boundary_of(const struct mime_part *part)
{
	struct str s = mime_param_get(&part->raw_params, STR("boundary"));

	if (s.p == NULL)
		s = mime_param_get(&part->params, STR("boundary"));
	while (s.n > 0 && mime_is_wsp((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s.n > MIME_MAX_BOUNDARY ? str_sub(s, 0, 0) : s;
}

/*
 * The header of the top ends here and its body begins. What cannot be
 * looked into for want of room is a leaf.
 */
static void
end_header(struct mime_parser *p, uint64_t at, uint64_t lines)
{
	struct open_part *o = top(p);
	struct mime_part *part = o->part;
	bool in_digest =
	    part->parent != NULL &&
	    mime_part_is(part->parent, STR("multipart"), STR("digest"));

	end_field(p);
	mime_part_settle(p->arena, part, in_digest);
	part->header_n = at - part->header_at;
	part->body_at = at;
	o->lines_at = lines;
	p->in_header = false;
	if ((part->is_multipart || part->is_message) && !may_open(p)) {
		part->is_multipart = part->is_message = false;
		part->type = STR("application");
		part->subtype = STR("octet-stream");
	}
	if (part->is_multipart)
		o->boundary = boundary_of(part);
	if (part->is_message)
		open_part(p, at, true);
}

/* An empty part, so that every multipart has one (mime.h). */
static void
add_empty(struct mime_parser *p, uint64_t at)
{
	open_part(p, at, false);
	p->in_header = false;
	mime_part_settle(p->arena, top(p)->part, false);
	p->depth--;
}

/*
 * Close the top; its body ends at the offset `at` or, when parts inside go
 * further, where they end. Gives that end.
 */
static uint64_t
close_top(struct mime_parser *p, uint64_t at, uint64_t lines)
{
	struct open_part *o = top(p);
	struct mime_part *part = o->part;

	if (at < part->body_at)
		at = part->body_at;
	part->body_n = at - part->body_at;
	lines = lines > o->lines_at ? lines - o->lines_at : 0;
	part->body_lines = lines > UINT32_MAX ? UINT32_MAX : (uint32_t)lines;
	if (part->is_multipart && part->child == NULL) {
		assert(p->depth < MIME_MAX_DEPTH); /* by end_header() */
		add_empty(p, at);
	}
	p->depth--;
	return at;
}

/* The multipart whose boundary this line is: its place on the stack, or -1.
 * delimiter := CRLF "--" boundary; any text may follow  RFC 2046, 5.1.1 */
static int
match_boundary(const struct mime_parser *p, struct str line, bool *is_last)
{
	struct str rest = str_sub(line, 2, SIZE_MAX), b;
	int found = -1;
	size_t i, longest = 0;

	if (!str_starts(line, STR("--")))
		return -1;
	for (i = p->depth; i-- > 0;) {
		b = p->stack[i].boundary;
		if (b.n > longest && str_starts(rest, b)) {
			found = (int)i;
			longest = b.n;
		}
	}
	*is_last = str_starts(str_sub(rest, longest, SIZE_MAX), STR("--"));
	return found;
}

static void
take_boundary(struct mime_parser *p, size_t at, bool is_last)
{
	uint64_t end = p->eol_at;
	/* one line end of the closed bodies is the boundary's */
	uint64_t lines = p->lines > 0 ? p->lines - 1 : 0;

	while (p->depth > at + 1) {
		while (p->in_header)
			end_header(p, p->line_at, p->lines);
		end = close_top(p, end, lines);
	}
	p->in_header = false;
	if (is_last)
		p->stack[at].boundary.n = 0;
	else if (may_open(p))
		open_part(p, p->pos, false);
}

static bool
is_mbox_from(struct str line)
{
	return str_starts(line, STR("From ")) ||
	       str_starts(line, STR(">From "));
}

/* A line of a header, without its line end. false: it is of the body. */
static bool
header_line(struct mime_parser *p, struct str line)
{
	bool is_first = p->is_first;

	p->is_first = false;
	if (line.n == 0) {
		end_header(p, p->pos, p->lines + 1);
		return true;
	}
	if (is_first && mime_field_name(line) == 0 && !is_mbox_from(line)) {
		end_header(p, p->line_at, p->lines);
		return false;
	}
	if (line.p[0] == ' ' || line.p[0] == '\t') {
		if (p->field.n > 0) {
			buf_putc(&p->field, '\n');
			buf_put(&p->field, line);
		}
		return true;
	}
	end_field(p);
	if (mime_field_name(line) > 0)
		buf_put(&p->field, str_sub(line, 0, MIME_MAX_FIELD));
	return true;
}

/* A whole line that matters; pos is already behind it. */
static void
take_line(struct mime_parser *p, struct str line)
{
	bool is_last;
	int at;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	at = match_boundary(p, line, &is_last);
	if (at >= 0) {
		take_boundary(p, (size_t)at, is_last);
		return;
	}
	/* a digest's part without header has a message inside that gets the
	 * same line; hence the loop */
	while (p->in_header && !header_line(p, line))
		;
}

/* The octets of one line, or of a piece of one, go by. */
static void
advance(struct mime_parser *p, struct str s)
{
	p->pos += s.n;
	p->last = s.p[s.n - 1];
}

/* The same for a piece that ends in LF: *eol is where the line end begins. */
static void
advance_line(struct mime_parser *p, struct str s, uint64_t *eol)
{
	char before = s.n > 1 ? s.p[s.n - 2] : p->last;

	p->pos += s.n;
	if (before == '\r')
		*eol = p->pos - 2;
	else {
		*eol = p->pos - 1;
		if (p->flags & MIME_LF)
			p->pos++;
	}
	p->last = '\n';
}

static void
finish_line(struct mime_parser *p, struct str line, uint64_t eol)
{
	if (!p->is_skipping)
		take_line(p, line);
	p->is_skipping = false;
	buf_clear(&p->line);
	p->eol_at = eol;
	p->line_at = p->pos;
	p->lines++;
}

static void
hold(struct mime_parser *p, struct str s)
{
	buf_put(&p->line, str_sub(s, 0, p->line.max - p->line.n));
}

void
mime_parser_push(struct mime_parser *p, struct str in)
{
	struct str s;
	size_t lf;
	uint64_t eol;

	while (in.n > 0) {
		if (p->pos == p->line_at && !p->in_header && in.p[0] != '-')
			p->is_skipping = true;
		lf = str_find(in, '\n');
		s = str_sub(in, 0, lf + 1);
		in = str_sub(in, s.n, SIZE_MAX);
		if (lf == s.n) {
			if (!p->is_skipping)
				hold(p, s);
			advance(p, s);
			return;
		}
		advance_line(p, s, &eol);
		s.n--;
		if (p->line.n > 0) {
			hold(p, s);
			s = buf_str(&p->line);
		}
		finish_line(p, s, eol);
	}
}

struct mime_parser *
mime_parser_new(struct arena *arena, unsigned flags)
{
	struct mime_parser *p = xcalloc(1, sizeof(*p));

	p->arena = arena;
	p->arena_start = arena->used;
	p->flags = flags;
	buf_init(&p->line, MIME_MAX_FIELD);
	buf_init(&p->field, MIME_MAX_FIELD);
	p->root = open_part(p, 0, true);
	return p;
}

void
mime_parser_free(struct mime_parser **pp)
{
	struct mime_parser *p = *pp;

	if (p == NULL)
		return;
	buf_release(&p->line);
	buf_release(&p->field);
	free(p);
	*pp = NULL;
}

struct mime_part *
mime_parser_finish(struct mime_parser **pp)
{
	struct mime_parser *p = *pp;
	struct mime_part *root = p->root;

	if (p->pos > p->line_at && !p->is_skipping) {
		/* the last line has no line end */
		take_line(p, buf_str(&p->line));
		p->line_at = p->pos;
	}
	while (p->depth > 0) {
		while (p->in_header)
			end_header(p, p->pos, p->lines);
		close_top(p, p->pos, p->lines);
	}
	mime_parser_free(pp);
	return root;
}

struct mime_part *
mime_parse(struct arena *arena, struct str s, unsigned flags)
{
	struct mime_parser *p = mime_parser_new(arena, flags);

	mime_parser_push(p, s);
	return mime_parser_finish(&p);
}
