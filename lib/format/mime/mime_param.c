/*
 * Parameters of Content-Type and Content-Disposition: RFC 2045, 5.1, with
 * RFC 2231 continuations and charsets. Read leniently: values with
 * specials or spaces without quotes, a missing ";", words of RFC 2047
 * inside quotes (all common in the mail that exists).
 */
#include "format/mime/mime_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define MAX_SECTION 999 /* RFC 2231 sets none; a value has a few */

struct piece {
	struct str name;  /* without "*0*" */
	struct str value; /* as written */
	unsigned section; /* of name*N */
	bool is_section;  /* has *N */
	bool is_extended; /* ends in "*": percent-encoded */
	bool done;
};

/* attribute := token; may be followed by "*" digits and "*" (RFC 2231, 7) */
static struct piece
take_name(struct str name)
{
	struct piece p = { .name = name };
	struct str digits;
	uint64_t v;
	size_t star;

	if (str_ends(p.name, STR("*"))) {
		p.is_extended = true;
		p.name.n--;
	}
	star = str_find(p.name, '*');
	digits = str_sub(p.name, star + 1, SIZE_MAX);
	if (star < p.name.n && str_uint(digits, MAX_SECTION, &v)) {
		p.is_section = true;
		p.section = (unsigned)v;
		p.name.n = star;
	}
	return p;
}

static bool
is_value(unsigned char c)
{
	return !mime_is_wsp(c) && c != ';' && c != '(' && c != '"';
}

/* Does a new parameter begin here, its ";" being forgotten? */
static bool
at_param(const struct cur *at)
{
	struct cur c = *at;
	struct str name = cur_span(&c, mime_is_token);

	return name.n > 0 && name.n < 64 && cur_at(&c, '=');
}

/* value := token / quoted-string, or what people write instead */
static void
take_value(struct cur *c, struct buf *out)
{
	struct str s;

	buf_clear(out);
	mime_lex_cfws(c, NULL);
	if (cur_at(c, '"')) {
		mime_lex_quoted(c, out);
		return;
	}
	for (;;) {
		s = cur_span(c, is_value);
		buf_put(out, s);
		mime_lex_cfws(c, NULL);
		if (s.n == 0 || cur_left(c) == 0 || cur_at(c, ';') ||
		    cur_at(c, '"') || at_param(c))
			break;
		buf_putc(out, ' ');
	}
	while (out->n > 0 && mime_is_wsp((unsigned char)out->p[out->n - 1]))
		buf_truncate(out, out->n - 1);
}

/* charset and language of "charset'language'value"; RFC 2231, 4 */
static struct str
cut_charset(struct str *value)
{
	struct str charset, language, rest = *value;

	if (!str_cut(&rest, '\'', &charset) || !str_cut(&rest, '\'', &language))
		return STR("utf-8");
	*value = rest;
	return charset.n == 0 ? STR("utf-8") : charset;
}

static void
put_percent(struct buf *out, struct str s)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && s.n - i > 2 &&
		    (hi = ascii_hexval(s.p[i + 1])) >= 0 &&
		    (lo = ascii_hexval(s.p[i + 2])) >= 0) {
			buf_putc(out, (char)(hi << 4 | lo));
			i += 2;
		} else
			buf_putc(out, s.p[i]);
	}
}

static const struct piece *
find_section(struct piece *v, size_t n, struct str name, unsigned section)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i].is_section && v[i].section == section &&
		    str_eq(v[i].name, name))
			return &v[i];
	return NULL;
}

/* All sections of the parameter that v[at] belongs to, in order. */
static void
join(struct piece *v, size_t n, size_t at, struct buf *bytes,
    struct str *charset)
{
	const struct piece *p = &v[at];
	struct str value;
	unsigned section = 0;

	if (p->is_section && (p = find_section(v, n, p->name, 0)) == NULL)
		p = &v[at]; /* no first section: take what there is */
	for (; p != NULL;
	     p = p->is_section ? find_section(v, n, p->name, section) : NULL) {
		value = p->value;
		if (section == 0 && p->is_extended)
			*charset = cut_charset(&value);
		section = p->section + 1;
		if (p->is_extended)
			put_percent(bytes, value);
		else
			buf_put(bytes, value);
	}
}

/* Nothing in it to decode: nearly all values. */
static bool
is_plain_text(struct str s)
{
	return utf8_is_ascii(s) && str_search(s, STR("=?")) == s.n;
}

static struct str
decode(struct arena *a, struct piece *v, size_t n, size_t at)
{
	struct str charset = { NULL, 0 }, s;
	struct mime_charset *cs;
	struct buf bytes, out;

	buf_init(&bytes, MIME_MAX_FIELD);
	buf_init(&out, MIME_MAX_FIELD);
	join(v, n, at, &bytes, &charset);
	if (charset.p == NULL && is_plain_text(buf_str(&bytes)))
		buf_put(&out, buf_str(&bytes));
	else if (charset.p == NULL)
		mime_words_decode(&out, buf_str(&bytes));
	else {
		cs = mime_charset_new(charset);
		mime_charset_push(cs, buf_str(&bytes), &out);
		mime_charset_finish(cs, &out);
		mime_charset_free(&cs);
	}
	s = arena_str(a, buf_str(&out));
	buf_release(&bytes);
	buf_release(&out);
	return s;
}

/* An extended form wins over a plain one of the same name (RFC 6266, 4.3,
 * says what mail readers do too). */
static size_t
best_form(const struct piece *v, size_t n, size_t at)
{
	size_t i;

	for (i = at; i < n; i++)
		if (str_eq(v[i].name, v[at].name) &&
		    (v[i].is_extended || v[i].is_section))
			return i;
	return at;
}

static void
decode_all(struct arena *a, struct piece *v, size_t n, struct mime_params *out)
{
	size_t i, k;

	out->n = 0;
	out->v = n == 0 ? NULL : arena_alloc(a, n * sizeof(*out->v));
	for (i = 0; i < n; i++) {
		if (v[i].done)
			continue;
		out->v[out->n].name = arena_str(a, v[i].name);
		out->v[out->n++].value = decode(a, v, n, best_form(v, n, i));
		for (k = i; k < n; k++)
			if (str_eq(v[k].name, v[i].name))
				v[k].done = true;
	}
}

void
mime_params_parse(struct arena *a, struct cur *c, struct mime_params *raw,
    struct mime_params *decoded)
{
	struct piece *v;
	struct mime_param list[MIME_MAX_PARAMS];
	struct str name;
	struct buf value;
	size_t i, n = 0;

	buf_init(&value, MIME_MAX_FIELD);
	while (cur_left(c) > 0 && n < MIME_MAX_PARAMS) {
		mime_lex_cfws(c, NULL);
		name = cur_span(c, mime_is_token);
		mime_lex_cfws(c, NULL);
		if (name.n == 0 || !cur_try(c, '=')) {
			if (!cur_try(c, ';'))
				cur_skip(c, name.n == 0 ? 1 : 0);
			continue;
		}
		take_value(c, &value);
		list[n].name = mime_keep_lower(a, name);
		list[n++].value = arena_str(a, buf_str(&value));
	}
	buf_release(&value);
	raw->n = n;
	raw->v = n == 0 ? NULL : arena_alloc(a, n * sizeof(*raw->v));
	v = n == 0 ? NULL : arena_zalloc(a, n * sizeof(*v));
	for (i = 0; i < n; i++) {
		raw->v[i] = list[i];
		v[i] = take_name(list[i].name);
		v[i].value = list[i].value;
	}
	decode_all(a, v, n, decoded);
}

struct str
mime_param_get(const struct mime_params *l, struct str name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name))
			return l->v[i].value;
	return (struct str){ NULL, 0 };
}
