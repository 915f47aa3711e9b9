#include "format/spf/spf_int.h"

#include <inttypes.h>
#include <string.h>

/*
 * What one expansion may come to, and how much it may read for it: "%{l1}" of
 * a local part of dots gives nothing however often it is written. Past it the
 * name is no name. 253 octets of it count.
 */
#define EXPAND_MAX 8192

static bool
is_literal(unsigned char ch)
{
	return ch > 0x20 && ch < 0x7f && ch != '%'; /* macro-literal */
}

static bool
is_explain_literal(unsigned char ch)
{
	return ch == ' ' || is_literal(ch);
}

static bool
is_delimiter(unsigned char ch)
{
	return str_has(STR(".-+,/_="), (char)ch);
}

/* "%{" macro-letter transformers *delimiter "}"	RFC 7208, 7.1
 * transformers = *DIGIT [ "r" ] */
static bool
macro(struct cur *c, bool is_exp, struct spf_piece *out)
{
	struct str letters = is_exp ? STR("slodiphvcrt") : STR("slodiphv");
	uint64_t digits;

	if (cur_left(c) == 0 || !str_has(letters, ascii_lower(*c->p)))
		return cur_fail(c, "bad macro letter");
	out->letter = ascii_lower(*c->p);
	out->is_upper = out->letter != *c->p;
	cur_skip(c, 1);
	if (cur_left(c) > 0 && ascii_isdigit(*c->p)) {
		if (!cur_dec(c, 1000000, &digits))
			return false;
		if (digits == 0) /* RFC 7208, 7.3 */
			return cur_fail(c, "macro keeps no part");
		out->digits = (unsigned)digits;
	}
	out->is_reversed = cur_try_nocase(c, STR("r"));
	out->delimiters = cur_span(c, is_delimiter);
	return cur_byte(c, '}');
}

/* macro-string = *( macro-expand / macro-literal )	RFC 7208, 7.1 */
bool
spf_piece_next(struct cur *c, bool is_exp, struct spf_piece *out)
{
	if (cur_left(c) == 0)
		return false;
	*out = (struct spf_piece){ 0 };
	if (!cur_try(c, '%')) {
		out->literal =
		    cur_span(c, is_exp ? is_explain_literal : is_literal);
		return out->literal.n > 0 ||
		       cur_fail(c, "bad character in macro string");
	}
	if (cur_try(c, '{'))
		return macro(c, is_exp, out);
	out->letter = '%';
	if (cur_try(c, '%') || cur_try(c, '_') || cur_try(c, '-')) {
		out->letter = c->p[-1];
		return true;
	}
	return cur_fail(c, "bad macro");
}

bool
spf_macro_valid(struct str s, bool is_exp)
{
	struct spf_piece piece;
	struct cur c;

	cur_init(&c, s);
	while (spf_piece_next(&c, is_exp, &piece))
		;
	return cur_ok(&c);
}

/* RFC 7208, 7.3: IPv6 as nibbles with dots */
static struct str
dotted_ip(struct arena *a, const struct spf_client *cl)
{
	static const char hex[] = "0123456789abcdef";
	char *p;
	int i;

	if (!cl->is_ipv6)
		return spf_ip_text(a, cl);
	p = arena_alloc(a, 64);
	for (i = 0; i < 16; i++) {
		p[4 * i] = hex[cl->ip[i] >> 4];
		p[4 * i + 1] = '.';
		p[4 * i + 2] = hex[cl->ip[i] & 15];
		p[4 * i + 3] = '.';
	}
	return str_make(p, 63);
}

/* %{p}: the domain, a name below it, any, or "unknown" (RFC 7208, 7.3).
 * false: DNS is needed. */
static bool
validated_name(struct spf *s, bool is_exp, struct str domain, struct str *out)
{
	struct spf_names names;
	size_t i;

	if (!spf_validated_names(s, !is_exp, &names))
		return false;
	*out = names.n > 0 ? names.v[0] : STR("unknown");
	for (i = names.n; i-- > 0;)
		if (dns_name_within(names.v[i], domain))
			*out = names.v[i];
	for (i = 0; i < names.n; i++)
		if (dns_name_eq(names.v[i], domain))
			*out = names.v[i];
	return true;
}

static struct str
decimal(struct arena *a, int64_t v)
{
	struct str out;
	struct buf b;

	buf_init(&b, 32);
	buf_printf(&b, "%" PRId64, v);
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

/* RFC 7208, 7.2 */
static bool
letter_value(
    struct spf *s, char letter, bool is_exp, struct str domain, struct str *out)
{
	const struct spf_client *cl = &s->client;

	*out = STR("");
	switch (letter) {
	case 's':
		*out = s->sender;
		break;
	case 'l':
		*out = cl->local;
		break;
	case 'o':
		*out = cl->domain;
		break;
	case 'd':
		*out = domain;
		break;
	case 'i':
		*out = dotted_ip(s->arena, cl);
		break;
	case 'p':
		return validated_name(s, is_exp, domain, out);
	case 'v':
		*out = cl->is_ipv6 ? STR("ip6") : STR("in-addr");
		break;
	case 'h':
		*out = cl->helo;
		break;
	case 'c':
		*out = spf_ip_text(s->arena, cl);
		break;
	case 'r':
		*out = cl->receiver.n > 0 ? cl->receiver : STR("unknown");
		break;
	case 't':
		*out = decimal(s->arena, cl->now);
		break;
	case '%':
		*out = STR("%");
		break;
	case '_':
		*out = STR(" ");
		break;
	case '-':
		*out = STR("%20");
		break;
	}
	return true;
}

/* RFC 7208, 7.3: uppercase macros are URL escaped (RFC 3986, 2.3). In a name
 * a backslash of the client's is one character, not the start of an escape. */
static void
put_escaped(struct buf *b, struct str s, bool is_escaped, bool is_raw)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (is_raw && s.p[i] == '\\' && !is_escaped)
			buf_puts(b, "\\\\");
		else if (!is_escaped || ascii_isalnum(s.p[i]) ||
			 str_has(STR("-._~"), s.p[i]))
			buf_putc(b, s.p[i]);
		else
			buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
}

/* Split at delimiters, turn round, keep the last ones, join with dots. */
static void
put_transformed(
    struct buf *b, struct str value, const struct spf_piece *m, bool is_raw)
{
	/* a value is at most s, two client strings and "@" */
	struct str parts[2 * SPF_MAX_INPUT + 2];
	struct str delimiters = m->delimiters.n > 0 ? m->delimiters : STR(".");
	size_t n = 0, i, from = 0, start = 0;

	for (i = 0; i <= value.n; i++)
		if (i == value.n || str_has(delimiters, value.p[i])) {
			parts[n++] = str_sub(value, start, i - start);
			start = i + 1;
		}
	if (m->digits > 0 && m->digits < n)
		from = n - m->digits;
	for (i = from; i < n; i++) {
		if (i > from)
			buf_putc(b, '.');
		put_escaped(b, parts[m->is_reversed ? n - 1 - i : i],
		    m->is_upper, is_raw);
	}
}

static bool
expand(struct spf *s, struct str text, struct str domain, bool is_exp,
    struct buf *b)
{
	struct spf_piece piece;
	struct str value;
	size_t n_read = 0;
	struct cur c;

	cur_init(&c, text);
	while (!b->full && spf_piece_next(&c, is_exp, &piece)) {
		if (piece.literal.n > 0) {
			buf_put(b, piece.literal);
			continue;
		}
		if (!letter_value(s, piece.letter, is_exp, domain, &value))
			return false;
		if ((n_read += value.n) > EXPAND_MAX)
			b->full = true;
		else if (ascii_isalpha(piece.letter))
			put_transformed(b, value, &piece,
			    !is_exp && str_has(STR("slohc"), piece.letter));
		else
			buf_put(b, value);
	}
	return true;
}

bool
spf_expand_domain(
    struct spf *s, struct str spec, struct str domain, struct str *out)
{
	struct str name, label;
	struct buf b;
	bool ok;

	buf_init(&b, EXPAND_MAX);
	ok = expand(s, spec, domain, false, &b);
	name = b.full ? STR("") : buf_str(&b);
	while (name.n > SPF_MAX_NAME) /* RFC 7208, 7.3: cut on the left */
		str_cut(&name, '.', &label);
	*out = arena_str(s->arena, name);
	buf_release(&b);
	return ok;
}

bool
spf_expand_text(
    struct spf *s, struct str text, struct str domain, struct str *out)
{
	struct buf b;
	bool ok;

	*out = STR("");
	if (!spf_macro_valid(text, true))
		return true;
	buf_init(&b, SPF_MAX_EXPLAIN);
	ok = expand(s, text, domain, true, &b);
	if (ok && !b.full)
		*out = arena_str(s->arena, buf_str(&b));
	buf_release(&b);
	return ok;
}
