/*
 * Charsets to UTF-8. The few that nearly all mail uses are done here; iconv
 * does the rest. Labels follow what senders mean (WHATWG's table in spirit):
 * latin1 is windows-1252, ks_c_5601 is its superset CP949.
 */
#include "format/mime/mime.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/xalloc.h"

#define MAX_LABEL 64 /* the longest registered one has 45 */
#define MAX_HELD  16 /* a character with its shift sequences */

enum way {
	WAY_UTF8,  /* bad octets become U+FFFD */
	WAY_GUESS, /* bad octets are windows-1252 */
	WAY_1252,
	WAY_ICONV,
};

struct mime_charset {
	enum way way;
	iconv_t cd;
	size_t unit; /* octets passed over after an error */
	char held[MAX_HELD];
	size_t n_held; /* begin of a character that is not yet whole */
};

static const struct {
	struct str label;
	enum way way;
	const char *iconv;
} labels[] = {
	{ STR_INIT("utf-8"), WAY_UTF8, NULL },
	{ STR_INIT("utf8"), WAY_UTF8, NULL },
	{ STR_INIT("unicode-1-1-utf-8"), WAY_UTF8, NULL },
	{ STR_INIT("us-ascii"), WAY_GUESS, NULL },
	{ STR_INIT("ascii"), WAY_GUESS, NULL },
	{ STR_INIT("ansi_x3.4-1968"), WAY_GUESS, NULL },
	{ STR_INIT("iso-8859-1"), WAY_1252, NULL },
	{ STR_INIT("iso8859-1"), WAY_1252, NULL },
	{ STR_INIT("iso_8859-1"), WAY_1252, NULL },
	{ STR_INIT("latin1"), WAY_1252, NULL },
	{ STR_INIT("latin-1"), WAY_1252, NULL },
	{ STR_INIT("windows-1252"), WAY_1252, NULL },
	{ STR_INIT("cp1252"), WAY_1252, NULL },
	{ STR_INIT("cp-1252"), WAY_1252, NULL },
	{ STR_INIT("x-cp1252"), WAY_1252, NULL },
	{ STR_INIT("iso-8859-8-i"), WAY_ICONV, "ISO-8859-8" },
	{ STR_INIT("iso-8859-8-e"), WAY_ICONV, "ISO-8859-8" },
	{ STR_INIT("iso-8859-6-i"), WAY_ICONV, "ISO-8859-6" },
	{ STR_INIT("iso-8859-6-e"), WAY_ICONV, "ISO-8859-6" },
	{ STR_INIT("iso-8859-9"), WAY_ICONV, "WINDOWS-1254" },
	{ STR_INIT("ks_c_5601-1987"), WAY_ICONV, "CP949" },
	{ STR_INIT("ks_c_5601-1989"), WAY_ICONV, "CP949" },
	{ STR_INIT("ks_c_5601"), WAY_ICONV, "CP949" },
	{ STR_INIT("ksc5601"), WAY_ICONV, "CP949" },
	{ STR_INIT("korean"), WAY_ICONV, "CP949" },
	{ STR_INIT("euc-kr"), WAY_ICONV, "CP949" },
	{ STR_INIT("windows-949"), WAY_ICONV, "CP949" },
	{ STR_INIT("shift_jis"), WAY_ICONV, "CP932" },
	{ STR_INIT("shift-jis"), WAY_ICONV, "CP932" },
	{ STR_INIT("x-sjis"), WAY_ICONV, "CP932" },
	{ STR_INIT("sjis"), WAY_ICONV, "CP932" },
	{ STR_INIT("windows-31j"), WAY_ICONV, "CP932" },
	{ STR_INIT("x-euc-jp"), WAY_ICONV, "EUC-JP" },
	{ STR_INIT("gb2312"), WAY_ICONV, "GB18030" },
	{ STR_INIT("gb_2312-80"), WAY_ICONV, "GB18030" },
	{ STR_INIT("gbk"), WAY_ICONV, "GB18030" },
	{ STR_INIT("x-gbk"), WAY_ICONV, "GB18030" },
	{ STR_INIT("big5"), WAY_ICONV, "BIG5-HKSCS" },
	{ STR_INIT("x-x-big5"), WAY_ICONV, "BIG5-HKSCS" },
	{ STR_INIT("iso-8859-11"), WAY_ICONV, "TIS-620" },
	{ STR_INIT("windows-874"), WAY_ICONV, "CP874" },
	{ STR_INIT("x-mac-roman"), WAY_ICONV, "MACINTOSH" },
	{ STR_INIT("x-mac-cyrillic"), WAY_ICONV, "MAC-CYRILLIC" },
	{ STR_INIT("unicode-1-1-utf-7"), WAY_ICONV, "UTF-7" },
	{ STR_INIT("koi8-ru"), WAY_ICONV, "KOI8-U" },
	{ STR_INIT("koi"), WAY_ICONV, "KOI8-R" },
	{ STR_INIT("cp-850"), WAY_ICONV, "CP850" },
	{ STR_INIT("cp-866"), WAY_ICONV, "CP866" },
	{ STR_INIT("x-cp1250"), WAY_ICONV, "CP1250" },
	{ STR_INIT("x-cp1251"), WAY_ICONV, "CP1251" },
};

/* windows-1252, 0x80-0x9f; the five holes stay C1 controls */
static const uint16_t high_1252[32] = { 0x20ac, 0x81, 0x201a, 0x192, 0x201e,
	0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d,
	0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013,
	0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178 };

/* A label as iconv may get it: registered characters only, so that neither
 * "//IGNORE" nor a path reaches it. */
static bool
clean_label(struct str label, char out[MAX_LABEL + 1])
{
	size_t i;

	label = str_trim(label);
	for (i = 0; i < label.n; i++)
		if (!ascii_isalnum(label.p[i]) &&
		    strchr("-_.:+()", label.p[i]) == NULL)
			return false;
	return label.n > 0 && memchr(label.p, '\0', label.n) == NULL &&
	       str_copy(label, out, MAX_LABEL + 1);
}

static enum way
find(struct str label, const char **name, char space[MAX_LABEL + 1])
{
	size_t i;

	if (!clean_label(label, space))
		return WAY_GUESS;
	label = str_from(space);
	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (str_eq_nocase(label, labels[i].label)) {
			*name = labels[i].iconv;
			return labels[i].way;
		}
	*name = space;
	return WAY_ICONV;
}

struct mime_charset *
mime_charset_new(struct str label)
{
	struct mime_charset *cs = xcalloc(1, sizeof(*cs));
	char space[MAX_LABEL + 1];
	const char *name = NULL;

	cs->way = find(label, &name, space);
	if (cs->way == WAY_ICONV) {
		cs->unit = strncasecmp(name, "UTF-32", 6) == 0 ? 4 :
			   strncasecmp(name, "UTF-16", 6) == 0 ||
				   strncasecmp(name, "UCS-2", 5) == 0 ?
								 2 :
								 1;
		cs->cd = iconv_open("UTF-8", name);
		if (cs->cd == (iconv_t)-1)
			cs->way = WAY_GUESS;
	}
	return cs;
}

bool
mime_charset_is_known(struct str label)
{
	struct mime_charset *cs = mime_charset_new(label);
	char space[MAX_LABEL + 1];
	const char *name;
	bool known =
	    cs->way != WAY_GUESS || (find(label, &name, space) == WAY_GUESS &&
					clean_label(label, space));

	mime_charset_free(&cs);
	return known;
}

void
mime_charset_free(struct mime_charset **pcs)
{
	if (*pcs != NULL && (*pcs)->way == WAY_ICONV)
		iconv_close((*pcs)->cd);
	free(*pcs);
	*pcs = NULL;
}

static void
put_1252(struct buf *out, unsigned char c)
{
	utf8_put(out, c >= 0x80 && c < 0xa0 ? high_1252[c - 0x80] : c);
}

/* The longest run of ASCII at the start goes as it is. */
static void
put_ascii(struct str *in, struct buf *out)
{
	size_t n = 0;
	uint64_t v;

	for (; in->n - n >= 8; n += 8) {
		memcpy(&v, in->p + n, 8);
		if (v & 0x8080808080808080ULL)
			break;
	}
	while (n < in->n && (unsigned char)in->p[n] < 0x80)
		n++;
	buf_put(out, str_sub(*in, 0, n));
	*in = str_sub(*in, n, SIZE_MAX);
}

/* May this be the begin of a valid character that more octets complete? */
static bool
is_utf8_begin(struct str s)
{
	char c[4];
	struct str whole = { c, 0 };
	static const char low[] = "\x80\x90\xa0\xbf";
	size_t n, k;
	unsigned char first = (unsigned char)s.p[0];

	n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (s.n >= n || first < 0xc2)
		return false;
	/* try each range a second octet may need to be in */
	for (k = 0; k < 4; k++) {
		memset(c, low[k], sizeof(c));
		memcpy(c, s.p, s.n);
		whole = str_make(c, n);
		if (utf8_next(&whole) != -1)
			return true;
	}
	return false;
}

/* Gives how many octets at the end wait for more. */
static size_t
from_utf8(struct mime_charset *cs, struct str in, struct buf *out, bool last)
{
	const char *p;

	while (put_ascii(&in, out), in.n > 0) {
		p = in.p;
		if (utf8_next(&in) != -1) {
			buf_put(out, str_make(p, (size_t)(in.p - p)));
			continue;
		}
		if (!last && in.n < 4 && is_utf8_begin(in))
			return in.n;
		if (cs->way == WAY_GUESS)
			put_1252(out, (unsigned char)in.p[0]);
		else
			utf8_put(out, 0xfffd);
		in = str_sub(in, 1, SIZE_MAX);
	}
	return 0;
}

static void
from_1252(struct str in, struct buf *out)
{
	while (put_ascii(&in, out), in.n > 0) {
		put_1252(out, (unsigned char)in.p[0]);
		in = str_sub(in, 1, SIZE_MAX);
	}
}

/* glibc's UCS-4 lets code points through that no UTF-8 has. */
static void
put_converted(struct buf *out, struct str s)
{
	if (utf8_valid(s))
		buf_put(out, s);
	else
		utf8_scrub(out, s);
}

static size_t
from_iconv(struct mime_charset *cs, struct str in, struct buf *out, bool last)
{
	char part[4096], *to, *from = (char *)(uintptr_t)in.p;
	size_t left = in.n, room, r, skip;

	while (left > 0) {
		to = part;
		room = sizeof(part);
		r = iconv(cs->cd, &from, &left, &to, &room);
		put_converted(out, str_make(part, sizeof(part) - room));
		if (r != (size_t)-1 || (errno == E2BIG && room < sizeof(part)))
			continue;
		if (errno == EINVAL && !last && left < MAX_HELD)
			return left;
		utf8_put(out, 0xfffd);
		skip = left < cs->unit ? left : cs->unit;
		from += skip;
		left -= skip;
	}
	if (last) {
		to = part;
		room = sizeof(part);
		iconv(cs->cd, NULL, NULL, &to, &room);
		put_converted(out, str_make(part, sizeof(part) - room));
	}
	return 0;
}

static size_t
convert(struct mime_charset *cs, struct str in, struct buf *out, bool last)
{
	switch (cs->way) {
	case WAY_UTF8:
	case WAY_GUESS:
		return from_utf8(cs, in, out, last);
	case WAY_1252:
		from_1252(in, out);
		return 0;
	case WAY_ICONV:
		return from_iconv(cs, in, out, last);
	}
	return 0;
}

/* Complete the held character octet by octet, then do the rest in one go. */
void
mime_charset_push(struct mime_charset *cs, struct str in, struct buf *out)
{
	size_t n;

	while (cs->n_held > 0 && in.n > 0) {
		cs->held[cs->n_held++] = in.p[0];
		in = str_sub(in, 1, SIZE_MAX);
		n = convert(cs, str_make(cs->held, cs->n_held), out,
		    cs->n_held == MAX_HELD);
		memmove(cs->held, cs->held + cs->n_held - n, n);
		cs->n_held = n;
	}
	if (in.n == 0)
		return;
	cs->n_held = convert(cs, in, out, false);
	memcpy(cs->held, in.p + in.n - cs->n_held, cs->n_held);
}

void
mime_charset_finish(struct mime_charset *cs, struct buf *out)
{
	convert(cs, str_make(cs->held, cs->n_held), out, true);
	cs->n_held = 0;
}
