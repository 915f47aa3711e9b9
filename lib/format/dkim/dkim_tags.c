#include "base/b64.h"
#include "base/cur.h"
#include "format/dkim/dkim.h"

static const struct str status_names[] = {
	[DKIM_NONE] = STR_INIT("none"),
	[DKIM_NEUTRAL] = STR_INIT("neutral"),
	[DKIM_PASS] = STR_INIT("pass"),
	[DKIM_FAIL] = STR_INIT("fail"),
	[DKIM_POLICY] = STR_INIT("policy"),
	[DKIM_TEMPERROR] = STR_INIT("temperror"),
	[DKIM_PERMERROR] = STR_INIT("permerror"),
};

const char *
dkim_status_name(enum dkim_status s)
{
	return status_names[s].p;
}

bool
dkim_status_from(struct str name, enum dkim_status *out)
{
	int v;

	for (v = DKIM_NONE; v <= DKIM_PERMERROR; v++)
		if (str_eq_nocase(name, status_names[v])) {
			*out = (enum dkim_status)v;
			return true;
		}
	return false;
}

const char *
dkim_algorithm_name(enum dkim_algorithm a)
{
	switch (a) {
	case DKIM_RSA_SHA256:
		return "rsa-sha256";
	case DKIM_RSA_SHA1:
		return "rsa-sha1";
	case DKIM_ED25519_SHA256:
		return "ed25519-sha256";
	}
	return "?";
}

/* ALNUMPUNC, RFC 6376, 3.2 */
static bool
is_tag_char(unsigned char ch)
{
	return ascii_isalnum((char)ch) || ch == '_';
}

/* VALCHAR and FWS, RFC 6376, 3.2; UTF-8 by RFC 8616, 3 */
static bool
is_value(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch == 0x7f ||
		    (ch < ' ' && ch != '\t' && ch != '\r' && ch != '\n'))
			return false;
	}
	return true;
}

/* tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 *							RFC 6376, 3.2 */
static bool
tag_spec(struct str spec, struct dkim_tags *out, const char **why)
{
	struct str name, value = spec;
	struct cur c;
	size_t i;

	if (!str_cut(&value, '=', &name)) {
		*why = "tag without value";
		return false;
	}
	name = str_trim(name);
	value = str_trim(value);
	cur_init(&c, name);
	cur_span(&c, is_tag_char);
	if (name.n == 0 || !ascii_isalpha(name.p[0]) || !cur_done(&c)) {
		*why = "bad tag name";
		return false;
	}
	if (!is_value(value)) {
		*why = "bad tag value";
		return false;
	}
	for (i = 0; i < out->n; i++)
		if (str_eq(out->v[i].name, name)) {
			*why = "tag given twice";
			return false;
		}
	if (out->n == DKIM_MAX_TAGS) {
		*why = "too many tags";
		return false;
	}
	out->v[out->n].name = name;
	out->v[out->n++].value = value;
	return true;
}

/* tag-list = tag-spec *( ";" tag-spec ) [ ";" ]	RFC 6376, 3.2 */
bool
dkim_tags_parse(struct str s, struct dkim_tags *out, const char **why)
{
	struct str spec;

	out->n = 0;
	while (str_cut(&s, ';', &spec))
		if (!tag_spec(spec, out, why))
			return false;
	if (str_trim(spec).n == 0 && out->n > 0)
		return true;
	return tag_spec(spec, out, why);
}

struct str
dkim_tag(const struct dkim_tags *t, struct str name)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (str_eq(t->v[i].name, name))
			return t->v[i].value;
	return (struct str){ NULL, 0 };
}

static bool
is_fws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
dkim_base64(struct arena *a, struct str s, struct str *octets)
{
	struct buf text, bin;
	size_t i, n;
	bool ok;

	buf_init(&text, s.n + 1);
	buf_init(&bin, s.n + 1);
	for (i = 0; i < s.n; i += n + 1) {
		for (n = 0; i + n < s.n && !is_fws(s.p[i + n]);)
			n++;
		buf_put(&text, str_sub(s, i, n));
	}
	ok = b64_decode(&bin, buf_str(&text));
	*octets = ok ? arena_str(a, buf_str(&bin)) : STR("");
	buf_release(&text);
	buf_release(&bin);
	return ok;
}
