#include "format/mime/mime_int.h"

/* field-name = 1*ftext; spaces before the colon are obsolete but seen
 * (RFC 5322, 3.6.8 and 4.5) */
size_t
mime_field_name(struct str line)
{
	size_t n = 0, colon;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 &&
	       line.p[n] != ':')
		n++;
	for (colon = n; colon < line.n; colon++)
		if (line.p[colon] != ' ' && line.p[colon] != '\t')
			break;
	return colon < line.n && line.p[colon] == ':' ? n : 0;
}

/* The next line of *s with its line end. */
static struct str
next_line(struct str *s)
{
	size_t n = str_find(*s, '\n');
	struct str line = str_sub(*s, 0, n < s->n ? n + 1 : n);

	*s = str_sub(*s, line.n, s->n);
	return line;
}

static bool
is_blank(struct str line)
{
	return str_eq(line, STR("\n")) || str_eq(line, STR("\r\n"));
}

static bool
is_folded(struct str s)
{
	return s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t');
}

bool
mime_field_next(struct str *block, struct mime_field *f)
{
	struct str rest = *block, line, after;
	size_t colon;

	for (;;) {
		after = rest;
		line = next_line(&after);
		if (line.n == 0 || is_blank(line)) {
			*block = rest;
			return false;
		}
		if ((f->name.n = mime_field_name(line)) > 0)
			break;
		rest = after; /* a line that is no field is passed over */
	}
	while (is_folded(after))
		next_line(&after);
	f->whole = str_make(line.p, (size_t)(after.p - line.p));
	f->name.p = line.p;
	colon = str_find(line, ':');
	f->value = str_sub(f->whole, colon + 1, f->whole.n);
	if (str_ends(f->value, STR("\n")))
		f->value.n--;
	if (str_ends(f->value, STR("\r")))
		f->value.n--;
	*block = after;
	return true;
}

bool
mime_field_find(struct str block, struct str name, struct mime_field *f)
{
	while (mime_field_next(&block, f))
		if (str_eq_nocase(f->name, name))
			return true;
	return false;
}

size_t
mime_header_length(struct str s)
{
	struct str rest = s, line = next_line(&rest);

	if (line.n > 0 && !is_blank(line) && mime_field_name(line) == 0 &&
	    !str_starts(line, STR("From ")) && !str_starts(line, STR(">From ")))
		return 0;
	while (line.n > 0 && !is_blank(line))
		line = next_line(&rest);
	return s.n - rest.n;
}

static bool
is_named(struct str name, const struct str *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_eq_nocase(name, names[i]))
			return true;
	return false;
}

void
mime_field_select(struct buf *out, struct str block, const struct str *names,
    size_t n, bool except)
{
	struct mime_field f;

	while (mime_field_next(&block, &f))
		if (is_named(f.name, names, n) != except)
			buf_put(out, f.whole);
}

void
mime_unfold(struct buf *out, struct str value)
{
	struct str line;

	value = str_trim(value);
	while (value.n > 0) {
		str_cut(&value, '\n', &line);
		while (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_put(out, line);
	}
}
