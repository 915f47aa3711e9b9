#include <inttypes.h>

#include "format/dmarc/dmarc_int.h"

#define RI_DEFAULT 86400 /* RFC 7489, 6.3 */

static const struct str policies[] = {
	[DMARC_POLICY_NONE] = STR_INIT("none"),
	[DMARC_QUARANTINE] = STR_INIT("quarantine"),
	[DMARC_REJECT] = STR_INIT("reject"),
};

const char *
dmarc_policy_name(enum dmarc_policy p)
{
	return policies[p].p;
}

/* One tag of the list; its name and value trimmed. */
static bool
next_tag(struct str *rest, struct str *name, struct str *value)
{
	struct str spec;

	while (rest->n > 0) {
		str_cut(rest, ';', &spec);
		*value = spec;
		if (!str_cut(value, '=', name))
			continue;
		*name = str_trim(*name);
		*value = str_trim(*value);
		return true;
	}
	return false;
}

/* The first tag of that name; p == NULL: none */
static struct str
find_tag(struct str text, const char *wanted)
{
	struct str name, value;

	while (next_tag(&text, &name, &value))
		if (str_eq_nocase(name, str_from(wanted)))
			return value;
	return (struct str){ NULL, 0 };
}

/* dmarc-version = "v" *WSP "=" *WSP "DMARC1", first	RFC 7489, 6.4 */
bool
dmarc_is_record(struct str text)
{
	struct str first, name;

	str_cut(&text, ';', &first);
	return str_cut(&first, '=', &name) &&
	       str_eq(str_trim(name), STR("v")) &&
	       str_eq(str_trim(first), STR("DMARC1"));
}

static bool
read_policy(struct str s, enum dmarc_policy *out)
{
	int p;

	for (p = DMARC_POLICY_NONE; p <= DMARC_REJECT; p++)
		if (str_eq_nocase(s, policies[p])) {
			*out = (enum dmarc_policy)p;
			return true;
		}
	return false;
}

/* dmarc-uri = URI [ "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] ]
 *							RFC 7489, 6.4 */
static bool
read_uri(struct str s, struct dmarc_uri *out)
{
	struct str size = s, uri;
	unsigned shift = 0;

	*out = (struct dmarc_uri){ .uri = s };
	if (str_cut(&size, '!', &uri)) {
		if (size.n > 0 && !ascii_isdigit(size.p[size.n - 1])) {
			switch (ascii_lower(size.p[--size.n])) {
			case 'k':
				shift = 10;
				break;
			case 'm':
				shift = 20;
				break;
			case 'g':
				shift = 30;
				break;
			case 't':
				shift = 40;
				break;
			default:
				return false;
			}
		}
		if (!str_uint(size, UINT64_MAX >> shift, &out->max_octets))
			return false;
		out->max_octets <<= shift;
		out->uri = str_trim(uri);
	}
	/* a scheme and something behind it */
	return str_find(out->uri, ':') > 0 &&
	       str_find(out->uri, ':') + 1 < out->uri.n;
}

static void
read_uris(struct str list, struct dmarc_uris *out)
{
	struct str item;

	while (list.n > 0 && out->n < DMARC_MAX_URIS) {
		str_cut(&list, ',', &item);
		if (read_uri(str_trim(item), &out->v[out->n]))
			out->n++;
	}
}

static unsigned
read_fo(struct str list)
{
	static const char letters[] = "01ds";
	struct str item;
	unsigned fo = 0;
	size_t i;

	while (list.n > 0) {
		str_cut(&list, ':', &item);
		item = str_trim(item);
		for (i = 0; item.n == 1 && i < 4; i++)
			if (ascii_lower(item.p[0]) == letters[i])
				fo |= 1u << i;
	}
	return fo == 0 ? DMARC_FO_ALL : fo;
}

enum dmarc_psd
dmarc_record_psd(struct str text)
{
	struct str v = find_tag(text, "psd");

	if (str_eq_nocase(v, STR("y")))
		return DMARC_PSD_YES;
	return str_eq_nocase(v, STR("n")) ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
}

bool
dmarc_record_parse(struct str text, struct dmarc_record *out, const char **why)
{
	struct str p = find_tag(text, "p"), sp = find_tag(text, "sp");
	uint64_t v;

	*out = (struct dmarc_record){ .pct = 100, .ri = RI_DEFAULT };
	if (!dmarc_is_record(text)) {
		*why = "not a DMARC record";
		return false;
	}
	read_uris(find_tag(text, "rua"), &out->rua);
	read_uris(find_tag(text, "ruf"), &out->ruf);
	out->fo = read_fo(find_tag(text, "fo"));
	out->is_strict_dkim = str_eq_nocase(find_tag(text, "adkim"), STR("s"));
	out->is_strict_spf = str_eq_nocase(find_tag(text, "aspf"), STR("s"));
	if (str_uint(find_tag(text, "pct"), 100, &v))
		out->pct = (unsigned)v;
	if (str_uint(find_tag(text, "ri"), UINT32_MAX, &v))
		out->ri = (uint32_t)v;
	out->is_test = str_eq_nocase(find_tag(text, "t"), STR("y"));
	out->psd = dmarc_record_psd(text);
	out->has_sp = sp.p != NULL;
	if (read_policy(p, &out->p) &&
	    (!out->has_sp || read_policy(sp, &out->sp))) {
		if (!out->has_sp)
			out->sp = out->p;
		out->has_np = read_policy(find_tag(text, "np"), &out->np);
		if (!out->has_np)
			out->np = out->sp;
		return true;
	}
	/* RFC 7489, 6.6.3: then it is there for its reports only */
	out->p = out->sp = out->np = DMARC_POLICY_NONE;
	out->has_sp = false;
	*why = "no valid policy in the record";
	return out->rua.n > 0;
}

static void
print_uris(struct buf *b, const char *name, const struct dmarc_uris *u)
{
	size_t i;

	for (i = 0; i < u->n; i++) {
		if (i == 0)
			buf_printf(b, "; %s=", name);
		else
			buf_putc(b, ',');
		buf_put(b, u->v[i].uri);
		if (u->v[i].max_octets > 0)
			buf_printf(b, "!%" PRIu64, u->v[i].max_octets);
	}
}

void
dmarc_record_print(struct buf *b, const struct dmarc_record *r)
{
	static const char letters[] = "01ds";
	const char *separator = "; fo=";
	unsigned i;

	buf_printf(b, "v=DMARC1; p=%s", dmarc_policy_name(r->p));
	if (r->has_sp)
		buf_printf(b, "; sp=%s", dmarc_policy_name(r->sp));
	if (r->has_np)
		buf_printf(b, "; np=%s", dmarc_policy_name(r->np));
	if (r->psd != DMARC_PSD_UNKNOWN)
		buf_puts(b, r->psd == DMARC_PSD_YES ? "; psd=y" : "; psd=n");
	if (r->is_test)
		buf_puts(b, "; t=y");
	if (r->is_strict_dkim)
		buf_puts(b, "; adkim=s");
	if (r->is_strict_spf)
		buf_puts(b, "; aspf=s");
	if (r->pct != 100)
		buf_printf(b, "; pct=%u", r->pct);
	if (r->ri != RI_DEFAULT)
		buf_printf(b, "; ri=%" PRIu32, r->ri);
	for (i = 0; i < 4 && r->fo != DMARC_FO_ALL; i++)
		if (r->fo & 1u << i) {
			buf_printf(b, "%s%c", separator, letters[i]);
			separator = ":";
		}
	print_uris(b, "rua", &r->rua);
	print_uris(b, "ruf", &r->ruf);
}
