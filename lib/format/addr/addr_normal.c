/* Normal forms: NFC local parts, IDNA domains. */
#include "format/addr/addr.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>

#include "base/utf8.h"

/* IDNA2008 with the mapping of UTS 46 (lower case, NFC) */
#define IDN_FLAGS \
	(IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES)

#define MAX_NAME 253 /* 255 octets on the wire, RFC 1035, 2.3.4 */

static bool
has_a_label(struct str name)
{
	struct str label;
	bool more = true;

	while (more) {
		more = str_cut(&name, '.', &label);
		if (str_starts_nocase(label, STR("xn--")))
			return true;
	}
	return false;
}

static bool
is_domain(struct str s, unsigned flags)
{
	struct cur c;
	struct str whole;

	if (flags == 0 && s.n > MAX_NAME)
		return false;
	cur_init(&c, s);
	return addr_parse_domain(&c, flags, &whole) && cur_done(&c);
}

/* Names of plain letters need no library. */
static bool
lower_if_plain(struct buf *out, struct str name)
{
	size_t i;

	if (has_a_label(name) || !is_domain(name, 0))
		return false;
	for (i = 0; i < name.n; i++)
		buf_putc(out, ascii_lower(name.p[i]));
	return true;
}

/*
 * The syntax is checked before, since libidn2 drops a "_" and lets empty
 * labels pass, and after, since full stops of other scripts become dots.
 */
static char *
to_ascii(struct str name)
{
	char text[ADDR_MAX_DOMAIN + 1];
	uint8_t *p = NULL;
	char *ascii;

	if (!is_domain(name, ADDR_UTF8) || !str_copy(name, text, sizeof(text)))
		return NULL;
	if (idn2_lookup_u8((uint8_t *)text, &p, IDN_FLAGS) != IDN2_OK)
		return NULL;
	ascii = (char *)p;
	if (!is_domain(str_from(ascii), 0)) {
		free(ascii);
		return NULL;
	}
	return ascii;
}

bool
addr_domain_ascii(struct buf *out, struct str name)
{
	char *ascii;

	if (lower_if_plain(out, name))
		return true;
	if ((ascii = to_ascii(name)) == NULL)
		return false;
	buf_puts(out, ascii);
	free(ascii);
	return true;
}

bool
addr_domain_unicode(struct buf *out, struct str name)
{
	char *ascii, *text = NULL;
	bool ok;

	if (lower_if_plain(out, name))
		return true;
	if ((ascii = to_ascii(name)) == NULL)
		return false;
	ok = idn2_to_unicode_8z8z(ascii, &text, 0) == IDN2_OK;
	if (ok)
		buf_puts(out, text);
	free(text);
	free(ascii);
	return ok;
}

struct str
addr_normalize_local(struct arena *a, struct str local, bool fold_case)
{
	uint8_t *p;
	size_t i, n;
	char *low;

	if (utf8_is_ascii(local)) {
		low = arena_cstr(a, local);
		for (i = 0; fold_case && i < local.n; i++)
			low[i] = ascii_lower(low[i]);
		return str_make(low, local.n);
	}
	if (!utf8_valid(local))
		return arena_str(a, local);
	if (fold_case)
		p = u8_casefold((const uint8_t *)local.p, local.n, NULL,
		    UNINORM_NFC, NULL, &n);
	else
		p = u8_normalize(
		    UNINORM_NFC, (const uint8_t *)local.p, local.n, NULL, &n);
	if (p == NULL)
		return arena_str(a, local);
	local = arena_str(a, str_make((char *)p, n));
	free(p);
	return local;
}

bool
addr_normalize(
    struct arena *a, const struct addr *in, bool fold_case, struct addr *out)
{
	struct buf b;
	size_t i;
	bool ok = true;
	char *p;

	*out = *in;
	out->local = addr_normalize_local(a, in->local, fold_case);
	if (in->kind != ADDR_NAME || in->domain.n == 0) {
		p = arena_cstr(a, in->domain);
		for (i = 0; i < in->domain.n; i++)
			p[i] = ascii_lower(p[i]);
		out->domain.p = p;
		return true;
	}
	/* four octets a character, of a name that has at most 255 of them */
	buf_init(&b, 4 * ADDR_MAX_DOMAIN);
	ok = addr_domain_unicode(&b, in->domain) && !b.full;
	if (ok)
		out->domain = arena_str(a, buf_str(&b));
	buf_release(&b);
	return ok;
}

struct str
addr_base_local(struct str local, struct str separators)
{
	size_t i;

	for (i = 1; i < local.n; i++)
		if (str_has(separators, local.p[i]))
			return str_sub(local, 0, i);
	return local;
}
