#include "format/spf/spf_int.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
	struct str name;
	enum spf_mech mech;
	enum { NO, MAY, MUST } domain; /* ":" domain-spec */
	bool has_cidr;
} mechs[] = {
	/* RFC 7208, 5.1 to 5.7 */
	{ STR_INIT("all"), SPF_ALL, NO, false },
	{ STR_INIT("include"), SPF_INCLUDE, MUST, false },
	{ STR_INIT("a"), SPF_A, MAY, true },
	{ STR_INIT("mx"), SPF_MX, MAY, true },
	{ STR_INIT("ptr"), SPF_PTR, MAY, false },
	{ STR_INIT("ip4"), SPF_IP4, NO, false },
	{ STR_INIT("ip6"), SPF_IP6, NO, false },
	{ STR_INIT("exists"), SPF_EXISTS, MUST, false },
};

/* version = "v=spf1", then SP or the end		RFC 7208, 4.5 */
bool
spf_is_record(struct str text)
{
	struct str v = STR("v=spf1");

	return str_starts_nocase(text, v) &&
	       (text.n == v.n || text.p[v.n] == ' ');
}

/* "0" / %x31-39 *DIGIT, at most max			RFC 7208, 5.6 */
static bool
prefix_length(struct cur *c, uint64_t max, uint64_t *out)
{
	if (cur_at(c, '0') && cur_left(c) > 1 && ascii_isdigit(c->p[1]))
		return cur_fail(c, "cidr length with leading zero");
	return cur_dec(c, max, out);
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
 *							RFC 7208, 5.6 */
static bool
dual_cidr_length(struct cur *c, struct spf_cidr *out)
{
	*out = (struct spf_cidr){ .v4 = 32, .v6 = 128 };
	if (cur_at(c, '/') && !cur_look(c, STR("//")))
		if (!cur_byte(c, '/') || !prefix_length(c, 32, &out->v4))
			return false;
	if (cur_look(c, STR("//")))
		if (!cur_skip(c, 2) || !prefix_length(c, 128, &out->v6))
			return false;
	return cur_done(c) || cur_fail(c, "junk after cidr length");
}

static size_t
digits_before(struct str s, size_t i)
{
	while (i > 0 && ascii_isdigit(s.p[i - 1]))
		i--;
	return i;
}

/*
 * Where the dual-cidr-length at the end of s starts, or s.n. A domain-spec
 * may have slashes of its own, so it is found from behind.
 */
static size_t
find_cidr(struct str s)
{
	size_t i = digits_before(s, s.n), j;

	if (i == s.n || i == 0 || s.p[i - 1] != '/')
		return s.n;
	i--;
	if (i == 0 || s.p[i - 1] != '/')
		return i; /* only an ip4-cidr-length */
	i--;
	j = digits_before(s, i);
	return j < i && j > 0 && s.p[j - 1] == '/' ? j - 1 : i;
}

/* toplabel = ( *alphanum ALPHA *alphanum ) /
 *	( 1*alphanum "-" *( alphanum / "-" ) alphanum )	RFC 7208, 7.1 */
static bool
is_toplabel(struct str s)
{
	bool has_alpha = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (!ascii_isalnum(s.p[i]) && s.p[i] != '-')
			return false;
		if (!ascii_isdigit(s.p[i]))
			has_alpha = true;
	}
	return s.n > 0 && has_alpha && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

/* domain-spec = macro-string domain-end		RFC 7208, 7.1
 * domain-end = ( "." toplabel [ "." ] ) / macro-expand */
static bool
domain_spec(struct cur *c, struct str s, struct str *out)
{
	struct spf_piece piece = { 0 };
	struct str last;
	struct cur m;
	size_t dot;

	*out = s;
	if (s.n == 0)
		return cur_fail(c, "domain expected");
	cur_init(&m, s);
	while (spf_piece_next(&m, false, &piece))
		;
	if (!cur_ok(&m))
		return cur_fail(c, m.why);
	if (piece.literal.n == 0)
		return true; /* ends in a macro */
	last = piece.literal;
	if (last.p[last.n - 1] == '.')
		last.n--;
	for (dot = last.n; dot > 0 && last.p[dot - 1] != '.'; dot--)
		;
	if (dot == 0 || !is_toplabel(str_sub(last, dot, last.n)))
		return cur_fail(c, "domain has no good top label");
	return true;
}

/* ( ip4-network [ ip4-cidr-length ] ) / ( ip6-network [ ip6-cidr-length ] )
 *							RFC 7208, 5.6 */
static bool
ip_network(struct cur *c, struct spf_term *t)
{
	bool is_ipv6 = t->mech == SPF_IP6;
	struct str ip = cur_until(c, '/');
	uint64_t *bits = is_ipv6 ? &t->cidr.v6 : &t->cidr.v4;
	char text[INET6_ADDRSTRLEN];

	if (!str_copy(ip, text, sizeof(text)) || memchr(ip.p, 0, ip.n) ||
	    inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, t->ip) != 1)
		return cur_fail(c, "bad network");
	if (cur_try(c, '/') && !prefix_length(c, is_ipv6 ? 128 : 32, bits))
		return false;
	return cur_done(c) || cur_fail(c, "junk after network");
}

/* What stands behind the mechanism's name. */
static bool
mechanism_rest(struct cur *c, size_t row, struct spf_term *t)
{
	struct str rest;
	struct cur cidr;
	size_t at;

	t->cidr = (struct spf_cidr){ .v4 = 32, .v6 = 128 };
	if (t->mech == SPF_IP4 || t->mech == SPF_IP6)
		return cur_byte(c, ':') && ip_network(c, t);
	rest = cur_rest(c);
	if (mechs[row].has_cidr) {
		at = find_cidr(rest);
		cur_init(&cidr, str_sub(rest, at, rest.n));
		if (!dual_cidr_length(&cidr, &t->cidr))
			return cur_fail(c, cidr.why);
		rest = str_sub(rest, 0, at);
	}
	if (rest.n == 0)
		return mechs[row].domain != MUST ||
		       cur_fail(c, "domain expected");
	if (mechs[row].domain == NO || rest.p[0] != ':')
		return cur_fail(c, "junk after mechanism");
	return domain_spec(c, str_sub(rest, 1, rest.n), &t->domain);
}

static bool
is_name(unsigned char ch)
{
	return ascii_isalnum((char)ch) || ch == '-' || ch == '_' || ch == '.';
}

/* directive = [ qualifier ] mechanism			RFC 7208, 4.6.1 */
static bool
directive(struct cur *c, struct spf_term *t)
{
	struct str name;
	size_t i;

	*t = (struct spf_term){ .text = cur_rest(c), .qualifier = '+' };
	if (cur_left(c) > 0 && str_has(STR("+-?~"), *c->p)) {
		t->qualifier = *c->p;
		cur_skip(c, 1);
	}
	name = cur_span(c, is_name);
	for (i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++)
		if (str_eq_nocase(name, mechs[i].name)) {
			t->mech = mechs[i].mech;
			return mechanism_rest(c, i, t);
		}
	return cur_fail(c, "unknown mechanism");
}

/* modifier = redirect / explanation / unknown-modifier	RFC 7208, 4.6.1 */
static bool
modifier(struct cur *c, struct str name, struct spf_record *r)
{
	struct str value = cur_rest(c), *where;

	if (str_eq_nocase(name, STR("redirect")))
		where = &r->redirect;
	else if (str_eq_nocase(name, STR("exp")))
		where = &r->exp;
	else
		return spf_macro_valid(value, false) ||
		       cur_fail(c, "bad macro in unknown modifier");
	if (where->p != NULL)
		return cur_fail(c, "modifier given twice");
	return domain_spec(c, value, where);
}

static bool
term(struct cur *c, struct spf_record *r)
{
	struct cur start = *c;
	struct str name;

	if (cur_left(c) > 0 && ascii_isalpha(*c->p)) {
		name = cur_span(c, is_name);
		if (cur_try(c, '='))
			return modifier(c, name, r);
	}
	*c = start;
	if (r->n == SPF_MAX_TERMS)
		return cur_fail(c, "too many terms");
	return directive(c, &r->terms[r->n++]);
}

/* record = version *( 1*SP ( directive / modifier ) ) *SP
 *							RFC 7208, 4.5 */
void
spf_record_parse(struct arena *a, struct str text, struct spf_record *r)
{
	struct str rest = text, word;
	size_t i, spaces = 0;
	struct cur c;

	*r = (struct spf_record){ 0 };
	for (i = 0; i < text.n && spaces < SPF_MAX_TERMS; i++)
		spaces += text.p[i] == ' ';
	r->terms = arena_alloc(a, (spaces + 1) * sizeof(*r->terms));
	str_cut(&rest, ' ', &word); /* the version */
	while (rest.n > 0 && r->why == NULL) {
		str_cut(&rest, ' ', &word);
		if (word.n == 0)
			continue;
		cur_init(&c, word);
		if (!term(&c, r))
			r->why = c.why;
	}
}
