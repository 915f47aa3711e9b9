#include "format/dkim/dkim.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "format/mime/mime.h"

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* Line ends become CRLF, all else stays (RFC 6376, 3.4.1). */
static void
put_simple(struct buf *b, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_putc(b, '\r');
		buf_putc(b, s.p[i]);
	}
}

/* Unfolded, runs of white space are one space, none at the ends
 * (RFC 6376, 3.4.2). */
static void
put_relaxed_value(struct buf *b, struct str s)
{
	bool has_space = false;
	size_t i;

	s = str_trim(s);
	for (i = 0; i < s.n; i++) {
		if (is_wsp(s.p[i])) {
			has_space = true;
			continue;
		}
		if (s.p[i] == '\n' ||
		    (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
			continue;
		if (has_space)
			buf_putc(b, ' ');
		has_space = false;
		buf_putc(b, s.p[i]);
	}
}

static void
put_relaxed(struct buf *b, struct str name, struct str value)
{
	size_t i;

	name = str_trim(name);
	for (i = 0; i < name.n; i++)
		buf_putc(b, ascii_lower(name.p[i]));
	buf_putc(b, ':');
	put_relaxed_value(b, value);
}

/* The field without the line end behind it. */
static struct str
chomped(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

static void
put_field(struct buf *b, struct str whole, enum dkim_canon canon)
{
	struct str value = whole, name;

	if (canon == DKIM_SIMPLE) {
		put_simple(b, whole);
		return;
	}
	str_cut(&value, ':', &name);
	put_relaxed(b, name, value);
}

void
dkim_canon_field(struct buf *b, struct str whole, enum dkim_canon canon)
{
	put_field(b, chomped(whole), canon);
	buf_puts(b, "\r\n");
}

/* What stands between the "=" of b= and its ";" (RFC 6376, 3.7). */
static struct str
find_b(struct str value)
{
	struct str rest = value, spec, name;
	bool more;

	do {
		more = str_cut(&rest, ';', &spec);
		str_cut(&spec, '=', &name);
		if (str_eq(str_trim(name), STR("b")))
			return spec;
	} while (more);
	return str_sub(value, value.n, 0);
}

void
dkim_canon_sig_field(struct buf *b, struct str whole, enum dkim_canon canon)
{
	struct str value, name, cut;
	struct buf without;

	whole = value = chomped(whole);
	str_cut(&value, ':', &name);
	cut = find_b(value);
	buf_init(&without, whole.n + 1);
	buf_put(&without, str_make(whole.p, (size_t)(cut.p - whole.p)));
	buf_put(&without, str_make(cut.p + cut.n,
			      (size_t)(whole.p + whole.n - (cut.p + cut.n))));
	put_field(b, buf_str(&without), canon);
	buf_release(&without);
}

bool
dkim_canon_header(struct buf *b, struct str header, const struct str *names,
    size_t n, enum dkim_canon canon)
{
	struct mime_field *f = xmalloc(DKIM_MAX_FIELDS * sizeof(*f)), one;
	size_t n_fields = 0, i, j;
	bool ok = true;

	while (mime_field_next(&header, &one)) {
		if (n_fields == DKIM_MAX_FIELDS) {
			ok = false;
			break;
		}
		one.name = str_trim(one.name);
		f[n_fields++] = one;
	}
	for (i = 0; ok && i < n; i++)
		for (j = n_fields; j-- > 0;)
			if (f[j].name.n > 0 &&
			    str_eq_nocase(f[j].name, names[i])) {
				dkim_canon_field(b, f[j].whole, canon);
				f[j].name.n = 0; /* used */
				break;
			}
	free(f);
	return ok;
}
