#include "format/spf/spf_int.h"

static const struct str names[] = {
	[SPF_NEED_DNS] = STR_INIT("?"),
	[SPF_NONE] = STR_INIT("none"),
	[SPF_NEUTRAL] = STR_INIT("neutral"),
	[SPF_PASS] = STR_INIT("pass"),
	[SPF_FAIL] = STR_INIT("fail"),
	[SPF_SOFTFAIL] = STR_INIT("softfail"),
	[SPF_TEMPERROR] = STR_INIT("temperror"),
	[SPF_PERMERROR] = STR_INIT("permerror"),
};

const char *
spf_verdict_name(enum spf_verdict v)
{
	return names[v].p;
}

bool
spf_verdict_from(struct str name, enum spf_verdict *out)
{
	int v;

	for (v = SPF_NONE; v <= SPF_PERMERROR; v++)
		if (str_eq_nocase(name, names[v])) {
			*out = (enum spf_verdict)v;
			return true;
		}
	return false;
}

/* Text of strangers inside a comment or quoted-string: what would end it is
 * quoted, what is not printable ASCII becomes "?". */
static void
put_quoted(struct buf *b, struct str s, struct str specials)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~') {
			buf_putc(b, '?');
			continue;
		}
		if (str_has(specials, s.p[i]))
			buf_putc(b, '\\');
		buf_putc(b, s.p[i]);
	}
}

static bool
is_dot_atom(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '.' &&
		    (i == 0 || i == s.n - 1 || s.p[i - 1] == '.'))
			return false;
		if (!ascii_isalnum(s.p[i]) &&
		    !str_has(STR("!#$%&'*+-/=?^_`{|}~."), s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
 *							RFC 7208, 9.1 */
static void
put_pair(struct buf *b, const char *key, struct str value)
{
	buf_printf(b, ";\r\n\t%s=", key);
	if (is_dot_atom(value)) {
		buf_put(b, value);
		return;
	}
	buf_putc(b, '"');
	put_quoted(b, value, STR("\"\\"));
	buf_putc(b, '"');
}

static void
put_comment(struct buf *b, const struct spf *s, struct str ip)
{
	static const char *const says[] = {
		[SPF_NEED_DNS] = "has not decided about",
		[SPF_NONE] = "says nothing about",
		[SPF_NEUTRAL] = "neither permits nor denies",
		[SPF_PASS] = "designates",
		[SPF_FAIL] = "does not designate",
		[SPF_SOFTFAIL] = "probably does not designate",
		[SPF_TEMPERROR] = "could not be asked about",
		[SPF_PERMERROR] = "has no valid policy for",
	};

	buf_puts(b, " (domain of ");
	put_quoted(b, s->sender, STR("()\\"));
	buf_printf(b, " %s %.*s, %s dnssec)", says[s->result.verdict],
	    STR_ARG(ip),
	    s->result.is_secure && s->result.n_questions > 0 ? "with" :
							       "without");
}

/* "Received-SPF:" [CFWS] result FWS [comment FWS] [ key-value-list ] CRLF
 *							RFC 7208, 9.1 */
void
spf_print_received(struct buf *b, const struct spf *s)
{
	const struct spf_result *r = &s->result;
	struct str ip = spf_ip_text(s->arena, &s->client);

	buf_printf(b, "Received-SPF: %s", spf_verdict_name(r->verdict));
	put_comment(b, s, ip);
	buf_puts(b, "\r\n\tclient-ip=");
	/* the colons of IPv6 are no atom */
	buf_printf(b, s->client.is_ipv6 ? "\"%.*s\"" : "%.*s", STR_ARG(ip));
	put_pair(b, "envelope-from", s->sender);
	put_pair(b, "helo", s->client.helo);
	if (s->client.receiver.n > 0)
		put_pair(b, "receiver", s->client.receiver);
	put_pair(b, "identity",
	    r->identity == SPF_HELO ? STR("helo") : STR("mailfrom"));
	if (r->mechanism.n > 0)
		put_pair(b, "mechanism", r->mechanism);
	if (r->problem != NULL)
		put_pair(b, "problem", str_from(r->problem));
	buf_puts(b, "\r\n");
}
