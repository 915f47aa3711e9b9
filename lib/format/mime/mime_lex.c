#include "format/mime/mime_int.h"

struct str
mime_or_empty(struct str s)
{
	return s.p == NULL ? STR("") : s;
}

bool
mime_is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* token := 1*<any CHAR except SPACE, CTLs, or tspecials>  RFC 2045, 5.1 */
bool
mime_is_token(unsigned char c)
{
	switch (c) {
	case '(':
	case ')':
	case '<':
	case '>':
	case '@':
	case ',':
	case ';':
	case ':':
	case '\\':
	case '"':
	case '/':
	case '[':
	case ']':
	case '?':
	case '=':
	case 127:
		return false;
	}
	return c > ' ';
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"  RFC 5322, 3.2.2 */
static void
comment(struct cur *c, struct str *inside)
{
	size_t depth = 0;
	const char *start = c->p + 1;

	for (; c->p < c->end; c->p++) {
		if (*c->p == '\\' && c->end - c->p > 1)
			c->p++;
		else if (*c->p == '(')
			depth++;
		else if (*c->p == ')' && --depth == 0)
			break;
	}
	if (inside != NULL)
		*inside = str_make(start, (size_t)(c->p - start));
	cur_try(c, ')');
}

/* CFWS = (1*([FWS] comment) [FWS]) / FWS  RFC 5322, 3.2.2 */
void
mime_lex_cfws(struct cur *c, struct str *inside)
{
	for (;;) {
		cur_span(c, mime_is_wsp);
		if (!cur_at(c, '('))
			return;
		comment(c, inside);
	}
}

/* quoted-string = DQUOTE *([FWS] qcontent) [FWS] DQUOTE  RFC 5322, 3.2.4 */
void
mime_lex_quoted(struct cur *c, struct buf *out)
{
	cur_try(c, '"');
	for (; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\r' || *c->p == '\n')
			continue;
		if (*c->p == '\\' && c->end - c->p > 1)
			c->p++;
		buf_putc(out, *c->p);
	}
	cur_try(c, '"');
}

struct str
mime_keep(struct arena *a, struct str value)
{
	char *to;
	size_t i, n = 0;

	value = str_trim(value);
	to = arena_alloc(a, value.n + 1);
	for (i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			to[n++] = value.p[i];
	to[n] = '\0';
	return str_make(to, n);
}

struct str
mime_keep_lower(struct arena *a, struct str value)
{
	struct str s = arena_str(a, value);
	char *p = (char *)(uintptr_t)s.p;
	size_t i;

	for (i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return s;
}
