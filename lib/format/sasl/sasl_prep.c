/*
 * PRECIS profiles (RFC 8264, 8265) on libunistring. The classes follow RFC
 * 8264, 9, for the Unicode version the library has.
 */
#include "format/sasl/sasl.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

#include "base/utf8.h"

#define VIRAMA 9 /* canonical combining class (RFC 5892, A.1 and A.2) */

/* JoinControl: only behind a virama; the rule's joining-type half, which is
 * for scripts that passwords are not written in, is not here. */
static bool
is_good_join(ucs4_t cp, ucs4_t before)
{
	return (cp == 0x200c || cp == 0x200d) &&
	       uc_combining_class(before) == VIRAMA;
}

/* Unassigned, Controls, PrecisIgnorableProperties, OldHangulJamo */
static bool
is_disallowed(ucs4_t cp)
{
	return uc_is_general_category_withtable(
		   cp, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cn |
			   UC_CATEGORY_MASK_Cs | UC_CATEGORY_MASK_Co) ||
	       uc_is_property(cp, UC_PROPERTY_DEFAULT_IGNORABLE_CODE_POINT) ||
	       uc_is_property(cp, UC_PROPERTY_NOT_A_CHARACTER) ||
	       (cp >= 0x1100 && cp < 0x1200) || (cp >= 0xa960 && cp < 0xa980) ||
	       (cp >= 0xd7b0 && cp < 0xd800);
}

static bool
is_freeform(ucs4_t cp, ucs4_t before)
{
	return is_good_join(cp, before) || !is_disallowed(cp);
}

static bool
has_compat(ucs4_t cp)
{
	ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
	int tag;

	return uc_decomposition(cp, &tag, parts) > 0 &&
	       tag != UC_DECOMP_CANONICAL;
}

/* LetterDigits or ASCII7, nothing that has a compatibility form */
static bool
is_identifier(ucs4_t cp, ucs4_t before)
{
	if (cp < 0x80)
		return cp > ' ' && cp < 127;
	if (is_good_join(cp, before))
		return true;
	return uc_is_general_category_withtable(
		   cp, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu |
			   UC_CATEGORY_MASK_Lo | UC_CATEGORY_MASK_Nd |
			   UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
			   UC_CATEGORY_MASK_Mc) &&
	       !is_disallowed(cp) && !has_compat(cp);
}

static bool
all(struct str s, bool (*is)(ucs4_t, ucs4_t))
{
	int32_t cp, before = 0;

	while (s.n > 0) {
		if ((cp = utf8_next(&s)) == -1 ||
		    !is((ucs4_t)cp, (ucs4_t)before))
			return false;
		before = cp;
	}
	return true;
}

static bool
put_normal(struct buf *out, struct str s, bool (*is)(ucs4_t, ucs4_t))
{
	size_t n, at = out->n;
	uint8_t *p =
	    u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);

	if (p == NULL)
		return false;
	buf_put(out, str_make((char *)p, n));
	free(p);
	if (!out->full && n > 0 && all(str_sub(buf_str(out), at, n), is))
		return true;
	buf_truncate(out, at);
	return false;
}

/* Spaces of all kinds become U+0020, then NFC; RFC 8265, 4.2.2 */
bool
sasl_prep_password(struct buf *out, struct str s)
{
	struct buf mapped;
	int32_t cp;
	bool ok;

	if (s.n == 0 || s.n > SASL_MAX_PASSWORD || !utf8_valid(s))
		return false;
	buf_init(&mapped, SASL_MAX_PASSWORD);
	while (s.n > 0) {
		cp = utf8_next(&s);
		utf8_put(
		    &mapped, uc_is_general_category(cp, UC_SPACE_SEPARATOR) ?
				 ' ' :
				 (uint32_t)cp);
	}
	ok = put_normal(out, buf_str(&mapped), is_freeform);
	buf_release(&mapped);
	return ok;
}

/* Full and half width forms become the ordinary ones, RFC 8265, 3.3.2 */
static ucs4_t
unwide(ucs4_t cp)
{
	ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
	int tag;

	if (uc_decomposition(cp, &tag, parts) == 1 &&
	    (tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW))
		return parts[0];
	return cp;
}

bool
sasl_prep_username(struct buf *out, struct str s)
{
	struct buf mapped;
	uint8_t *low;
	size_t n;
	bool ok;

	if (s.n == 0 || s.n > SASL_MAX_NAME || !utf8_valid(s))
		return false;
	buf_init(&mapped, 3 * SASL_MAX_NAME);
	while (s.n > 0)
		utf8_put(&mapped, unwide((ucs4_t)utf8_next(&s)));
	low = u8_tolower(
	    (const uint8_t *)mapped.p, mapped.n, NULL, NULL, NULL, &n);
	buf_release(&mapped);
	if (low == NULL)
		return false;
	ok = put_normal(out, str_make((char *)low, n), is_identifier);
	free(low);
	return ok;
}
