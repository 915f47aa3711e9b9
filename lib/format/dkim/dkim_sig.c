#include "format/dkim/dkim.h"

#include <string.h>

/* Tags are read one after the other; the first reason stays. */
struct reading {
	struct arena *arena;
	struct dkim_tags tags;
	const char *why;
};

static bool
refuse(struct reading *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
	return false;
}

static bool
need(struct reading *r, struct str name, struct str *out, const char *why)
{
	*out = dkim_tag(&r->tags, name);
	if (out->p != NULL && out->n > 0)
		return true;
	*out = STR("");
	return refuse(r, why);
}

/* The next of a colon-separated list, white space gone. */
static bool
next_item(struct str *list, struct str *item)
{
	if (list->n == 0)
		return false;
	str_cut(list, ':', item);
	*item = str_trim(*item);
	return true;
}

static bool
has_item(struct str list, struct str wanted)
{
	struct str item;

	while (next_item(&list, &item))
		if (str_eq_nocase(item, wanted))
			return true;
	return false;
}

/* sig-a-tag, RFC 6376, 3.5; RFC 8463, 3 */
static bool
read_algorithm(struct reading *r, struct dkim_sig *sig)
{
	static const enum dkim_algorithm all[] = { DKIM_RSA_SHA256,
		DKIM_RSA_SHA1, DKIM_ED25519_SHA256 };
	struct str a;
	size_t i;

	if (!need(r, STR("a"), &a, "no algorithm"))
		return false;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (str_eq_nocase(a, str_from(dkim_algorithm_name(all[i])))) {
			sig->algorithm = all[i];
			return true;
		}
	return refuse(r, "unknown algorithm");
}

static bool
read_canon(struct reading *r, struct str s, enum dkim_canon *out)
{
	*out = str_eq_nocase(s, STR("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
	return *out == DKIM_RELAXED || str_eq_nocase(s, STR("simple")) ||
	       refuse(r, "unknown canonicalization");
}

/* sig-c-tag = alg [ "/" alg ], "simple" where it is not there
 *							RFC 6376, 3.5 */
static bool
read_canons(struct reading *r, struct dkim_sig *sig)
{
	struct str c = dkim_tag(&r->tags, STR("c")), header;

	if (c.p == NULL)
		return true;
	if (!str_cut(&c, '/', &header))
		c = STR("simple");
	return read_canon(r, header, &sig->header_canon) &&
	       read_canon(r, c, &sig->body_canon);
}

/* 1*12DIGIT, RFC 6376, 3.5; what is longer is as good as never */
static bool
read_time(struct reading *r, struct str name, int64_t *out)
{
	struct str s = dkim_tag(&r->tags, name);
	uint64_t v;
	size_t i;

	*out = -1;
	if (s.p == NULL)
		return true;
	for (i = 0; i < s.n; i++)
		if (!ascii_isdigit(s.p[i]))
			return refuse(r, "bad time");
	if (s.n == 0)
		return refuse(r, "bad time");
	*out = str_uint(s, 999999999999, &v) ? (int64_t)v : 999999999999;
	return true;
}

/* sig-h-tag = hdr-name *( ":" hdr-name )		RFC 6376, 3.5 */
static bool
read_headers(struct reading *r, struct dkim_sig *sig)
{
	struct str list, name;
	bool has_from = false;

	if (!need(r, STR("h"), &list, "no signed fields"))
		return false;
	while (next_item(&list, &name)) {
		if (name.n == 0)
			return refuse(r, "empty name in h=");
		if (sig->n_headers == DKIM_MAX_SIGNED)
			return refuse(r, "too many names in h=");
		has_from |= str_eq_nocase(name, STR("from"));
		sig->headers[sig->n_headers++] = name;
	}
	/* RFC 6376, 5.4 */
	return has_from || refuse(r, "From is not signed");
}

/* sig-l-tag = 1*76DIGIT				RFC 6376, 3.5 */
static bool
read_length(struct reading *r, struct dkim_sig *sig)
{
	struct str l = dkim_tag(&r->tags, STR("l"));

	if (l.p == NULL)
		return true;
	sig->has_length = true;
	return str_uint(l, INT64_MAX, &sig->length) ||
	       refuse(r, "bad body length");
}

static int
hex_pair(struct str s)
{
	int hi, lo;

	if (s.n < 2 || (hi = ascii_hexval(s.p[0])) == -1 ||
	    (lo = ascii_hexval(s.p[1])) == -1)
		return -1;
	return hi << 4 | lo;
}

/* dkim-quoted-printable, RFC 6376, 2.11 */
static struct str
quoted_printable(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t i, n = 0;
	int v;

	for (i = 0; i < s.n; i++) {
		if (str_has(STR(" \t\r\n"), s.p[i]))
			continue;
		v = s.p[i] == '=' ? hex_pair(str_sub(s, i + 1, 2)) : -1;
		if (v != -1)
			i += 2;
		p[n++] = v != -1 ? (char)v : s.p[i];
	}
	return str_make(p, n);
}

/* sig-i-tag = [ Local-part ] "@" domain-name, at or below d=
 *							RFC 6376, 3.5 */
static bool
read_auid(struct reading *r, struct dkim_sig *sig)
{
	struct str i = dkim_tag(&r->tags, STR("i")), domain;
	char *p;
	size_t at;

	if (i.p == NULL) {
		p = arena_alloc(r->arena, sig->domain.n + 1);
		p[0] = '@';
		memcpy(p + 1, sig->domain.p, sig->domain.n);
		sig->auid = str_make(p, sig->domain.n + 1);
		return true;
	}
	sig->auid = quoted_printable(r->arena, i);
	for (at = sig->auid.n; at > 0 && sig->auid.p[at - 1] != '@'; at--)
		;
	if (at == 0)
		return refuse(r, "i= without @");
	domain = str_sub(sig->auid, at, sig->auid.n);
	return dns_name_within(domain, sig->domain) ||
	       refuse(r, "i= is not within d=");
}

/* instance = 1*2DIGIT, 1 to 50				RFC 8617, 4.2.1 */
static bool
read_instance(struct reading *r, struct dkim_sig *sig)
{
	uint64_t v;

	if (!str_uint(dkim_tag(&r->tags, STR("i")), 50, &v) || v == 0)
		return refuse(r, "bad instance");
	sig->instance = (unsigned)v;
	return true;
}

static bool
read_octets(struct reading *r, struct str text, struct str *out)
{
	return dkim_base64(r->arena, text, out) || refuse(r, "bad base64");
}

static bool
read_query(struct reading *r)
{
	struct str q = dkim_tag(&r->tags, STR("q"));

	return q.p == NULL || has_item(q, STR("dns/txt")) ||
	       refuse(r, "unknown query method");
}

/* RFC 6376, 3.5: a name with more than one label, A-labels or U-labels */
static bool
is_domain(struct str s)
{
	return dns_name_valid(s) && str_has(s, '.');
}

bool
dkim_sig_parse(struct arena *a, struct str value, enum dkim_sig_kind kind,
    struct dkim_sig *sig, const char **why)
{
	struct reading r = { .arena = a };
	struct str v, bh;
	bool ok;

	*sig = (struct dkim_sig){ .t = -1, .x = -1 };
	sig->domain = sig->selector = sig->auid = sig->b_text = STR("");
	sig->b = sig->bh = STR("");
	if (!dkim_tags_parse(value, &r.tags, why))
		return false;
	v = dkim_tag(&r.tags, STR("v"));
	/* what names it comes first, so that a refusal can say whose it is */
	ok = need(&r, STR("d"), &sig->domain, "no domain") &&
	     need(&r, STR("s"), &sig->selector, "no selector") &&
	     need(&r, STR("b"), &sig->b_text, "no signature");
	if (kind == DKIM_SIGNATURE)
		ok = ok && (str_eq(v, STR("1")) || refuse(&r, "bad version"));
	ok = ok && (is_domain(sig->domain) || refuse(&r, "bad domain")) &&
	     (dns_name_valid(sig->selector) || refuse(&r, "bad selector")) &&
	     read_algorithm(&r, sig) && read_octets(&r, sig->b_text, &sig->b) &&
	     read_time(&r, STR("t"), &sig->t);
	if (kind == DKIM_SIGNATURE)
		ok = ok && read_auid(&r, sig);
	else
		ok = ok && read_instance(&r, sig);
	if (kind == DKIM_ARC_SEAL) /* RFC 8617, 4.1.3 */
		ok = ok && (dkim_tag(&r.tags, STR("h")).p == NULL ||
			       refuse(&r, "h= in a seal"));
	else
		ok = ok && need(&r, STR("bh"), &bh, "no body hash") &&
		     read_octets(&r, bh, &sig->bh) && read_canons(&r, sig) &&
		     read_headers(&r, sig) && read_length(&r, sig) &&
		     read_query(&r) && read_time(&r, STR("x"), &sig->x);
	if (ok && sig->x != -1 && sig->t != -1 && sig->x < sig->t)
		ok = refuse(&r, "expires before it was made");
	*why = r.why;
	return ok;
}

/* RFC 6376, 3.6.1 */
bool
dkim_key_parse(
    struct arena *a, struct str text, struct dkim_key *key, const char **why)
{
	struct reading r = { .arena = a };
	struct str v, k, h, s, t, p;
	bool ok = true;

	*key = (struct dkim_key){ .is_rsa = true, .p = STR("") };
	if (!dkim_tags_parse(text, &r.tags, why))
		return false;
	v = dkim_tag(&r.tags, STR("v"));
	k = dkim_tag(&r.tags, STR("k"));
	h = dkim_tag(&r.tags, STR("h"));
	s = dkim_tag(&r.tags, STR("s"));
	t = dkim_tag(&r.tags, STR("t"));
	p = dkim_tag(&r.tags, STR("p"));
	if (v.p != NULL &&
	    (!str_eq(v, STR("DKIM1")) || !str_eq(r.tags.v[0].name, STR("v"))))
		ok = refuse(&r, "key record of another version");
	if (k.p != NULL && str_eq_nocase(k, STR("ed25519")))
		key->is_rsa = false;
	else if (k.p != NULL && !str_eq_nocase(k, STR("rsa")))
		ok = refuse(&r, "unknown key type");
	key->allows_sha1 = h.p == NULL || has_item(h, STR("sha1"));
	key->allows_sha256 = h.p == NULL || has_item(h, STR("sha256"));
	key->allows_email =
	    s.p == NULL || has_item(s, STR("*")) || has_item(s, STR("email"));
	key->allows_tlsrpt = s.p == NULL || has_item(s, STR("*")) ||
			     has_item(s, STR("tlsrpt")); /* RFC 8460, 3 */
	key->is_testing = t.p != NULL && has_item(t, STR("y"));
	key->is_strict = t.p != NULL && has_item(t, STR("s"));
	if (p.p == NULL)
		ok = refuse(&r, "key record without key");
	else
		ok = ok && read_octets(&r, p, &key->p);
	*why = r.why;
	return ok;
}

bool
dkim_key_question(
    struct arena *a, const struct dkim_sig *sig, struct dns_question *q)
{
	struct buf b;

	buf_init(&b, sig->selector.n + sig->domain.n + 32);
	buf_put(&b, sig->selector);
	buf_puts(&b, "._domainkey.");
	buf_put(&b, sig->domain);
	*q = (struct dns_question){ DNS_TXT, arena_str(a, buf_str(&b)) };
	buf_release(&b);
	return dns_name_valid(q->name);
}
