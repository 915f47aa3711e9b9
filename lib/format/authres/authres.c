#include "format/authres/authres.h"

#include <string.h>

#include "base/cur.h"

/* token, RFC 2045, 5.1; UTF-8 by RFC 8601, 5.1 */
static bool
is_token(unsigned char ch)
{
	return ch > ' ' && ch != 0x7f &&
	       !str_has(STR("()<>@,;:\\\"/[]?="), (char)ch);
}

static bool
is_keyword(unsigned char ch)
{
	return ascii_isalnum((char)ch) || ch == '-' || ch == '_';
}

static bool
is_space(unsigned char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

/* lenient: addresses, base64 and paths without quotes as well */
static bool
is_pvalue(unsigned char ch)
{
	return ch > ' ' && ch != 0x7f && ch != ';' && ch != '(' && ch != '"';
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"		RFC 5322, 3.2.2 */
static bool
comment(struct cur *c)
{
	unsigned depth = 0;

	do {
		if (cur_left(c) == 0)
			return cur_fail(c, "comment without end");
		if (cur_try(c, '\\')) {
			if (cur_left(c) == 0)
				return cur_fail(c, "comment without end");
		} else if (cur_at(c, '(')) {
			if (++depth > AUTHRES_MAX_NESTING)
				return cur_fail(c, "comments nest too deep");
		} else if (cur_at(c, ')'))
			depth--;
		cur_skip(c, 1);
	} while (depth > 0);
	return true;
}

static bool
cfws(struct cur *c)
{
	do
		cur_span(c, is_space);
	while (cur_at(c, '(') && comment(c));
	return cur_ok(c);
}

/* quoted-string, RFC 5322, 3.2.4 */
static bool
quoted(struct arena *a, struct cur *c, struct str *out)
{
	char *p = arena_alloc(a, cur_left(c) + 1);
	size_t n = 0;

	if (!cur_byte(c, '"'))
		return false;
	while (!cur_try(c, '"')) {
		cur_try(c, '\\');
		if (cur_left(c) == 0)
			return cur_fail(c, "quoted string without end");
		if (!str_has(STR("\r\n"), *c->p))
			p[n++] = *c->p;
		cur_skip(c, 1);
	}
	*out = str_make(p, n);
	return true;
}

/* value = token / quoted-string			RFC 2045, 5.1 */
static bool
value(
    struct arena *a, struct cur *c, bool (*is)(unsigned char), struct str *out)
{
	if (cur_at(c, '"'))
		return quoted(a, c, out);
	*out = cur_span(c, is);
	return out->n > 0 || cur_fail(c, "value expected");
}

static bool
keyword(struct cur *c, struct str *out)
{
	*out = cur_span(c, is_keyword);
	return out->n > 0 || cur_fail(c, "keyword expected");
}

static bool
equals(struct cur *c)
{
	return cfws(c) && cur_byte(c, '=') && cfws(c);
}

/* methodspec = [CFWS] method [CFWS] "=" [CFWS] result
 * method = Keyword [ [CFWS] "/" [CFWS] method-version ] RFC 8601, 2.2 */
static bool
methodspec(struct cur *c, struct authres_method *m)
{
	uint64_t version;

	if (!cfws(c) || !keyword(c, &m->method) || !cfws(c))
		return false;
	if (cur_try(c, '/') && (!cfws(c) || !cur_dec(c, 1000, &version)))
		return false;
	return equals(c) && keyword(c, &m->result) && cfws(c);
}

/* reasonspec = "reason" [CFWS] "=" [CFWS] value
 * propspec = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue
 *							RFC 8601, 2.2 */
static bool
reason_or_prop(struct arena *a, struct cur *c, struct authres_method *m)
{
	struct authres_prop p;

	if (!keyword(c, &p.ptype) || !cfws(c))
		return false;
	if (cur_at(c, '=') && str_eq_nocase(p.ptype, STR("reason")) &&
	    m->n_props == 0)
		return equals(c) && value(a, c, is_token, &m->reason) &&
		       cfws(c);
	if (!cur_byte(c, '.') || !cfws(c) || !keyword(c, &p.property) ||
	    !equals(c) || !value(a, c, is_pvalue, &p.value) || !cfws(c))
		return false;
	if (m->n_props == AUTHRES_MAX_PROPS)
		return cur_fail(c, "too many properties");
	m->props[m->n_props++] = p;
	return true;
}

/* authserv-id [ CFWS authres-version ]			RFC 8601, 2.2 */
static bool
identifier(struct arena *a, struct cur *c, struct str *out)
{
	uint64_t version;

	if (!cfws(c) || !value(a, c, is_token, out) || !cfws(c))
		return false;
	if (cur_left(c) > 0 && ascii_isdigit(*c->p))
		return cur_dec(c, 1, &version) && cfws(c);
	return true;
}

static bool
is_no_result(struct cur c)
{
	return cfws(&c) && cur_try_nocase(&c, STR("none")) && cfws(&c) &&
	       cur_done(&c);
}

/* resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
 *							RFC 8601, 2.2 */
static bool
payload(struct arena *a, struct cur *c, struct authres *out)
{
	struct authres_method *m;

	if (!identifier(a, c, &out->authserv_id))
		return false;
	if (cur_at(c, ';')) {
		struct cur rest = *c;

		cur_skip(&rest, 1);
		if (is_no_result(rest))
			return true;
	}
	out->v = arena_alloc(a, AUTHRES_MAX_METHODS * sizeof(*out->v));
	while (cur_try(c, ';')) {
		if (!cfws(c))
			return false;
		if (cur_done(c) && out->n > 0)
			break; /* a last ";" is common */
		if (out->n == AUTHRES_MAX_METHODS)
			return cur_fail(c, "too many methods");
		m = &out->v[out->n++];
		memset(m, 0, sizeof(*m));
		m->reason = m->comment = STR("");
		if (!methodspec(c, m))
			return false;
		while (cur_left(c) > 0 && !cur_at(c, ';'))
			if (!reason_or_prop(a, c, m))
				return false;
	}
	if (out->n == 0)
		return cur_fail(c, "no result");
	return cur_done(c) || cur_fail(c, "\";\" expected");
}

bool
authres_parse(
    struct arena *a, struct str text, struct authres *out, const char **why)
{
	struct cur c;

	*out = (struct authres){ .authserv_id = STR("") };
	cur_init(&c, text);
	if (payload(a, &c, out))
		return true;
	*why = c.why;
	return false;
}

bool
authres_claims(struct str text, struct str authserv_id)
{
	struct arena a;
	struct str id = STR(""), token;
	struct cur c, t;
	bool claims;

	arena_init(&a, text.n + 65536);
	cur_init(&c, text);
	/* what we cannot read somebody else may; a path or address before
	 * the id is none of ours, behind it is what others may pass over */
	claims = !cfws(&c) || !value(&a, &c, is_pvalue, &id);
	cur_init(&t, id);
	token = cur_span(&t, is_token);
	claims = claims || str_eq_nocase(id, authserv_id) ||
		 str_eq_nocase(token, authserv_id) ||
		 (str_ends(id, STR(".")) &&
		     str_eq_nocase(str_sub(id, 0, id.n - 1), authserv_id));
	arena_release(&a);
	return claims;
}

struct str
authres_prop(
    const struct authres_method *m, struct str ptype, struct str property)
{
	size_t i;

	for (i = 0; i < m->n_props; i++)
		if (str_eq_nocase(m->props[i].ptype, ptype) &&
		    str_eq_nocase(m->props[i].property, property))
			return m->props[i].value;
	return (struct str){ NULL, 0 };
}

/* What is not printable becomes "?", specials are quoted. */
static void
put_escaped(struct buf *b, struct str s, struct str specials)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch < ' ' || ch == 0x7f)
			ch = '?';
		if (str_has(specials, (char)ch))
			buf_putc(b, '\\');
		buf_putc(b, (char)ch);
	}
}

/* token, mailbox or name as it is; all else quoted */
static void
put_value(struct buf *b, struct str s, bool is_prop)
{
	size_t i, ats = 0;

	for (i = 0; i < s.n; i++) {
		if (is_prop && s.p[i] == '@' && ats++ == 0 && i + 1 < s.n)
			continue;
		if (!is_token((unsigned char)s.p[i]))
			break;
	}
	if (i == s.n && s.n > 0) {
		buf_put(b, s);
		return;
	}
	buf_putc(b, '"');
	put_escaped(b, s, STR("\"\\"));
	buf_putc(b, '"');
}

static void
put_method(struct buf *b, const struct authres_method *m)
{
	size_t i;

	buf_printf(
	    b, ";\r\n\t%.*s=%.*s", STR_ARG(m->method), STR_ARG(m->result));
	if (m->comment.n > 0) {
		buf_puts(b, " (");
		put_escaped(b, m->comment, STR("()\\"));
		buf_putc(b, ')');
	}
	if (m->reason.n > 0) {
		buf_puts(b, " reason=");
		put_value(b, m->reason, false);
	}
	for (i = 0; i < m->n_props; i++) {
		buf_printf(b, "\r\n\t%.*s.%.*s=", STR_ARG(m->props[i].ptype),
		    STR_ARG(m->props[i].property));
		put_value(b, m->props[i].value, true);
	}
}

void
authres_print(struct buf *b, const struct authres *r)
{
	size_t i;

	put_value(b, r->authserv_id, false);
	if (r->n == 0)
		buf_puts(b, "; none");
	for (i = 0; i < r->n; i++)
		put_method(b, &r->v[i]);
}
