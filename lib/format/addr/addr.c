#include "format/addr/addr.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/utf8.h"

/* atext: RFC 5322, 3.2.3 */
static bool
is_atext(unsigned char c)
{
	return ascii_isalnum((char)c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* One UTF-8 character that is not ASCII: RFC 6531, 3.3 */
static bool
try_utf8(struct cur *c, unsigned flags, struct buf *out)
{
	struct str rest = cur_rest(c);
	size_t n;

	if (cur_peek(c) < 0x80)
		return false;
	if (!(flags & ADDR_UTF8))
		return cur_fail(c, "UTF-8 needs SMTPUTF8");
	if (utf8_next(&rest) == -1)
		return cur_fail(c, "invalid UTF-8");
	n = (size_t)(rest.p - c->p);
	buf_put(out, str_make(c->p, n));
	return cur_skip(c, n);
}

/* Atom = 1*atext, with UTF-8 */
static bool
parse_atom(struct cur *c, unsigned flags, struct buf *out)
{
	size_t before = out->n;

	do
		buf_put(out, cur_span(c, is_atext));
	while (try_utf8(c, flags, out));
	return cur_ok(c) && (out->n > before || out->full ||
				cur_fail(c, "local part expected"));
}

/* Dot-string = Atom *("." Atom)  RFC 5321, 4.1.2 */
static bool
parse_dot_string(struct cur *c, unsigned flags, struct buf *out)
{
	do
		if (!parse_atom(c, flags, out))
			return false;
	while (cur_try(c, '.') && (buf_putc(out, '.'), true));
	return true;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE  RFC 5321, 4.1.2 */
static bool
parse_quoted(struct cur *c, unsigned flags, struct buf *out)
{
	int ch;

	if (!cur_byte(c, '"'))
		return false;
	while (!cur_try(c, '"')) {
		if (try_utf8(c, flags, out))
			continue;
		cur_try(c, '\\');
		ch = cur_peek(c);
		if (ch < ' ' || ch > '~')
			return cur_fail(c, "bad quoted local part");
		buf_putc(out, (char)ch);
		cur_skip(c, 1);
	}
	return cur_ok(c);
}

/* Local-part = Dot-string / Quoted-string */
static bool
parse_local(struct arena *a, struct cur *c, unsigned flags, struct str *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, ADDR_MAX_LOCAL);
	ok = cur_at(c, '"') ? parse_quoted(c, flags, &b) :
			      parse_dot_string(c, flags, &b);
	if (ok && b.full)
		ok = cur_fail(c, "local part too long");
	if (ok)
		*out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return ok;
}

static bool
is_let_dig(unsigned char c)
{
	return ascii_isalnum((char)c);
}

/* sub-domain = Let-dig [Ldh-str] / U-label  RFC 5321, 4.1.2; 6531, 3.3 */
static bool
parse_sub_domain(struct cur *c, unsigned flags, struct buf *scratch)
{
	const char *start = c->p;
	bool is_ascii = true;

	for (;;) {
		if (cur_span(c, is_let_dig).n > 0)
			continue;
		if (try_utf8(c, flags, scratch)) {
			is_ascii = false;
			continue;
		}
		if (c->p == start || !cur_try(c, '-'))
			break;
	}
	if (!cur_ok(c))
		return false;
	if (c->p == start || c->p[-1] == '-')
		return cur_fail(c, "bad domain");
	/* of others it is the A-label that counts */
	if (is_ascii && c->p - start > ADDR_MAX_LABEL)
		return cur_fail(c, "label of the domain too long");
	return true;
}

bool
addr_parse_domain(struct cur *c, unsigned flags, struct str *out)
{
	const char *start = c->p;
	struct buf scratch;

	buf_init(&scratch, 0); /* the octets are taken from the input */
	do
		if (!parse_sub_domain(c, flags, &scratch))
			return false;
	while (cur_try(c, '.'));
	*out = str_make(start, (size_t)(c->p - start));
	return out->n <= ADDR_MAX_DOMAIN || cur_fail(c, "domain too long");
}

/* address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"
 * RFC 5321, 4.1.3; other tags are not registered and not taken */
bool
addr_parse_literal(struct cur *c, struct addr *out)
{
	const char *start = c->p;
	char text[INET6_ADDRSTRLEN];
	struct str s;
	bool six;

	if (!cur_byte(c, '['))
		return false;
	six = cur_try_nocase(c, STR("IPv6:"));
	s = cur_until(c, ']');
	if (!cur_byte(c, ']'))
		return false;
	if (memchr(s.p, '\0', s.n) != NULL ||
	    !str_copy(s, text, sizeof(text)) ||
	    inet_pton(six ? AF_INET6 : AF_INET, text, out->ip) != 1)
		return cur_fail(c, "bad address literal");
	out->kind = six ? ADDR_IPV6 : ADDR_IPV4;
	out->domain = str_make(start, (size_t)(c->p - start));
	return true;
}

bool
addr_parse(struct arena *a, struct cur *c, unsigned flags, struct addr *out)
{
	*out = (struct addr){ .kind = ADDR_NAME };
	if (!parse_local(a, c, flags, &out->local))
		return false;
	if (!cur_try(c, '@'))
		return cur_fail(c, "\"@\" expected");
	if (cur_at(c, '[')) {
		if (!addr_parse_literal(c, out))
			return false;
	} else if (!addr_parse_domain(c, flags, &out->domain))
		return false;
	out->domain = arena_str(a, out->domain);
	return true;
}

bool
addr_from_str(struct arena *a, struct str s, unsigned flags, struct addr *out)
{
	struct cur c;

	cur_init(&c, s);
	return addr_parse(a, &c, flags, out) && cur_done(&c);
}

/* A-d-l = At-domain *( "," At-domain )  RFC 5321, 4.1.2 */
static bool
parse_route(struct cur *c, unsigned flags, struct str *out)
{
	const char *start = c->p;
	struct str domain;

	do
		if (!cur_byte(c, '@') || !addr_parse_domain(c, flags, &domain))
			return false;
	while (cur_try(c, ','));
	*out = str_make(start, (size_t)(c->p - start));
	return cur_byte(c, ':');
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">"; "<>"; "<Postmaster>" */
bool
addr_parse_path(
    struct arena *a, struct cur *c, unsigned flags, struct addr_path *out)
{
	*out = (struct addr_path){ .kind = ADDR_PATH, .route = STR("") };
	out->addr.local = out->addr.domain = STR("");
	if (!cur_try(c, '<'))
		return cur_fail(c, "\"<\" expected");
	if (cur_try(c, '>')) {
		out->kind = ADDR_PATH_NULL;
		return true;
	}
	if (cur_look_nocase(c, STR("postmaster>"))) {
		out->kind = ADDR_PATH_POSTMASTER;
		out->addr.local = STR("postmaster");
		return cur_skip(c, STR("postmaster>").n);
	}
	if (cur_at(c, '@') && !parse_route(c, flags, &out->route))
		return false;
	out->route = arena_str(a, out->route);
	return addr_parse(a, c, flags, &out->addr) &&
	       (cur_try(c, '>') || cur_fail(c, "\">\" expected"));
}

static bool
is_dot_string(struct str s)
{
	size_t i;

	if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x80 &&
		    !is_atext((unsigned char)s.p[i]) &&
		    (s.p[i] != '.' || s.p[i - 1] == '.'))
			return false;
	return true;
}

void
addr_print_local(struct buf *b, struct str local)
{
	size_t i;

	if (is_dot_string(local)) {
		buf_put(b, local);
		return;
	}
	buf_putc(b, '"');
	for (i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buf_putc(b, '\\');
		buf_putc(b, local.p[i]);
	}
	buf_putc(b, '"');
}

void
addr_print(struct buf *b, const struct addr *a)
{
	addr_print_local(b, a->local);
	if (a->domain.n > 0) {
		buf_putc(b, '@');
		buf_put(b, a->domain);
	}
}

void
addr_print_path(struct buf *b, const struct addr_path *p)
{
	buf_putc(b, '<');
	if (p->kind != ADDR_PATH_NULL)
		addr_print(b, &p->addr);
	buf_putc(b, '>');
}

bool
addr_is_ascii(const struct addr *a)
{
	return utf8_is_ascii(a->local) && utf8_is_ascii(a->domain);
}
