/*
 * The grammar's words: atoms, strings, numbers, sets, flags, dates
 * (RFC 9051, 9). Commands are in command.c and parse_*.c.
 */
#include <string.h>

#include "base/date.h"
#include "base/utf8.h"
#include "format/imap/chars.h"
#include "format/imap/imap_int.h"
#include "format/imap/utf7.h"

#define FIRST_ROOM 8

bool
parse_room(struct parse *p, void **v, size_t n, size_t size, size_t max)
{
	if (n >= max)
		return cur_fail(&p->c, "too many items");
	/* room for 0, 8, 16, 32 .. */
	if (n == 0 || (n >= FIRST_ROOM && (n & (n - 1)) == 0)) {
		size_t cap = n == 0 ? FIRST_ROOM : n * 2;

		*v = arena_regrow(p->arena, *v, n * size, cap * size);
	}
	return true;
}

bool
parse_sp(struct parse *p)
{
	if (cur_try(&p->c, ' '))
		return true;
	return cur_fail(&p->c, "expected a space");
}

bool
parse_word_at(const struct parse *p, struct str word)
{
	struct str rest = cur_rest(&p->c);

	return cur_ok(&p->c) && str_starts_nocase(rest, word) &&
	       (rest.n == word.n ||
		   !imap_is_atom((unsigned char)rest.p[word.n]));
}

bool
parse_word(struct parse *p, struct str word)
{
	return parse_word_at(p, word) && cur_skip(&p->c, word.n);
}

/* atom = 1*ATOM-CHAR */
bool
parse_atom(struct parse *p, struct str *out)
{
	*out = cur_span(&p->c, imap_is_atom);
	return out->n > 0 || cur_fail(&p->c, "expected an atom");
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; UTF-8 as in RFC 9051, 4.3 */
static bool
parse_quoted(struct parse *p, struct str *out)
{
	const char *s = p->c.p + 1, *at;
	size_t escapes = 0;
	char *copy;

	for (at = s; at < p->c.end && *at != '"'; at++) {
		if (*at == '\r' || *at == '\n' || *at == '\0')
			return cur_fail(&p->c, "control character in quotes");
		if (*at != '\\')
			continue;
		escapes++;
		if (++at >= p->c.end || (*at != '"' && *at != '\\'))
			return cur_fail(&p->c, "bad escape in quotes");
	}
	if (at >= p->c.end)
		return cur_fail(&p->c, "quote is not closed");
	*out = str_make(s, (size_t)(at - s));
	p->c.p = at + 1;
	if (escapes == 0)
		return true;
	copy = arena_alloc(p->arena, out->n);
	out->p = copy;
	out->n -= escapes;
	for (; s < at; s++) {
		if (*s == '\\')
			s++;
		*copy++ = *s;
	}
	return true;
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8 */
static bool
parse_literal(struct parse *p, struct str *out)
{
	uint64_t n;

	if (!cur_byte(&p->c, '{') || !cur_dec(&p->c, INT64_MAX, &n))
		return false;
	cur_try(&p->c, '+');
	if (!cur_byte(&p->c, '}') || !cur_byte(&p->c, '\r') ||
	    !cur_byte(&p->c, '\n'))
		return false;
	if (n > cur_left(&p->c))
		return cur_fail(&p->c, "literal is not complete");
	if (!cur_take(&p->c, (size_t)n, out))
		return false;
	if (memchr(out->p, '\0', out->n) != NULL)
		return cur_fail(&p->c, "NUL in a literal");
	return true;
}

/* string = quoted / literal */
bool
parse_string(struct parse *p, struct str *out)
{
	*out = str_make("", 0);
	if (cur_at(&p->c, '"'))
		return parse_quoted(p, out);
	if (cur_at(&p->c, '{'))
		return parse_literal(p, out);
	return cur_fail(&p->c, "expected a string");
}

/* astring = 1*ASTRING-CHAR / string */
bool
parse_astring(struct parse *p, struct str *out)
{
	*out = cur_span(&p->c, imap_is_astring);
	return out->n > 0 || parse_string(p, out);
}

/* nstring = string / nil */
bool
parse_nstring(struct parse *p, struct str *out)
{
	if (parse_word(p, STR("NIL"))) {
		*out = str_make(NULL, 0);
		return true;
	}
	return parse_string(p, out);
}

/* A mailbox name to UTF-8 (RFC 3501, 5.1.3; RFC 9051, 5.1). */
static bool
decode_name(struct parse *p, struct str *name)
{
	struct buf b;
	bool ok;

	if (p->is_utf8 || !str_has(*name, '&')) {
		/* without a shift both forms of ASCII are the same */
		if (!utf8_valid(*name))
			return cur_fail(&p->c, "mailbox name is not UTF-8");
		return true;
	}
	buf_init(&b, name->n * 3 + 16);
	ok = imap_utf7_decode(&b, *name) && !b.full;
	if (ok)
		*name = arena_str(p->arena, buf_str(&b));
	buf_release(&b);
	if (!ok && !utf8_valid(*name))
		return cur_fail(&p->c, "mailbox name is not modified UTF-7");
	return true;
}

/* mailbox = "INBOX" / astring */
bool
parse_mailbox(struct parse *p, struct str *out)
{
	return parse_astring(p, out) && decode_name(p, out);
}

/* list-mailbox = 1*list-char / string */
bool
parse_list_mailbox(struct parse *p, struct str *out)
{
	*out = cur_span(&p->c, imap_is_list);
	if (out->n == 0 && !parse_string(p, out))
		return false;
	return decode_name(p, out);
}

/* number64 = 1*DIGIT */
bool
parse_number(struct parse *p, uint64_t *out)
{
	return cur_dec(&p->c, INT64_MAX, out);
}

/* nz-number = digit-nz *DIGIT */
bool
parse_nz_number(struct parse *p, uint32_t *out)
{
	uint64_t n;

	*out = 0;
	if (!cur_dec(&p->c, UINT32_MAX, &n))
		return false;
	if (n == 0)
		return cur_fail(&p->c, "zero is not a number here");
	*out = (uint32_t)n;
	return true;
}

/* mod-sequence-value = 1*DIGIT; -valzer = "0" / ..  RFC 7162, 7 */
bool
parse_modseq(struct parse *p, bool may_be_zero, uint64_t *out)
{
	if (!cur_dec(&p->c, INT64_MAX, out))
		return false;
	return *out > 0 || may_be_zero ||
	       cur_fail(&p->c, "mod-sequence must not be zero");
}

/* seq-number = nz-number / "*" */
static bool
parse_seq_number(struct parse *p, bool may_star, uint32_t *out)
{
	if (may_star && cur_try(&p->c, '*')) {
		*out = IMAP_STAR;
		return true;
	}
	return parse_nz_number(p, out);
}

/* sequence-set = (seq-number / seq-range) ["," sequence-set] / "$" */
bool
parse_set(struct parse *p, bool may_star, struct imap_set *set)
{
	struct imap_span one;

	*set = (struct imap_set){ NULL, 0, false };
	if (may_star && cur_try(&p->c, '$'))
		return set->is_saved = true;
	do {
		if (!parse_seq_number(p, may_star, &one.from))
			return false;
		one.to = one.from;
		if (cur_try(&p->c, ':') &&
		    !parse_seq_number(p, may_star, &one.to))
			return false;
		if (!parse_room(
			p, (void **)&set->v, set->n, sizeof(one), IMAP_MAX_SET))
			return false;
		set->v[set->n++] = one;
	} while (cur_try(&p->c, ','));
	return true;
}

/* clang-format off */
static const struct {
	struct str name;
	unsigned flag;
} system_flags[] = {
	{ STR_INIT("\\Seen"),     IMAP_FLAG_SEEN },
	{ STR_INIT("\\Answered"), IMAP_FLAG_ANSWERED },
	{ STR_INIT("\\Flagged"),  IMAP_FLAG_FLAGGED },
	{ STR_INIT("\\Deleted"),  IMAP_FLAG_DELETED },
	{ STR_INIT("\\Draft"),    IMAP_FLAG_DRAFT },
	{ STR_INIT("\\Recent"),   0 }, /* the server's; passed over */
};
/* clang-format on */

/* flag = "\Answered" / .. / flag-keyword / flag-extension */
static bool
parse_flag(struct parse *p, struct imap_flags *f)
{
	struct str name;
	size_t i;

	if (!cur_at(&p->c, '\\')) {
		if (!parse_atom(p, &name) ||
		    !parse_room(p, (void **)&f->keywords, f->n, sizeof(name),
			IMAP_MAX_FLAGS))
			return false;
		f->keywords[f->n++] = name;
		return true;
	}
	for (i = 0; i < sizeof(system_flags) / sizeof(*system_flags); i++)
		if (parse_word(p, system_flags[i].name)) {
			f->system |= system_flags[i].flag;
			return true;
		}
	return cur_fail(&p->c, "unknown system flag");
}

/* flag-list = "(" [flag *(SP flag)] ")"; bare: / (flag *(SP flag)) */
bool
parse_flag_list(struct parse *p, bool bare, struct imap_flags *f)
{
	bool is_list = cur_try(&p->c, '(');

	*f = (struct imap_flags){ 0 };
	if (!is_list && !bare)
		return cur_fail(&p->c, "expected a list of flags");
	if (is_list && cur_try(&p->c, ')'))
		return true;
	do
		if (!parse_flag(p, f))
			return false;
	while (cur_try(&p->c, ' '));
	return !is_list || cur_byte(&p->c, ')');
}

static bool
parse_digits(struct parse *p, size_t n, int *out)
{
	struct str s;
	uint64_t v;

	if (!cur_take(&p->c, n, &s))
		return false;
	if (!str_uint(s, 9999, &v))
		return cur_fail(&p->c, "bad digits in a date");
	*out = (int)v;
	return true;
}

/* date-month "-" date-year */
static bool
parse_month_year(struct parse *p, struct date *d)
{
	struct str month;

	if (!cur_byte(&p->c, '-') || !cur_take(&p->c, 3, &month))
		return false;
	if ((d->month = date_month_of(month)) == 0)
		return cur_fail(&p->c, "no such month");
	return cur_byte(&p->c, '-') && parse_digits(p, 4, &d->year);
}

/* date = date-text / DQUOTE date-text DQUOTE */
bool
parse_date(struct parse *p, int64_t *day)
{
	struct date d = { 0 };
	bool quoted = cur_try(&p->c, '"');
	uint64_t n;

	if (!cur_dec(&p->c, 31, &n))
		return false;
	d.day = (int)n;
	if (!parse_month_year(p, &d))
		return false;
	if (!date_valid(&d))
		return cur_fail(&p->c, "no such date");
	*day = date_days_of(d.year, d.month, d.day);
	return !quoted || cur_byte(&p->c, '"');
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT */
static bool
parse_time(struct parse *p, struct date *d)
{
	return parse_digits(p, 2, &d->hour) && cur_byte(&p->c, ':') &&
	       parse_digits(p, 2, &d->minute) && cur_byte(&p->c, ':') &&
	       parse_digits(p, 2, &d->second);
}

/* zone = ("+" / "-") 4DIGIT */
static bool
parse_zone(struct parse *p, struct date *d)
{
	bool west = cur_at(&p->c, '-');
	int hhmm = 0;

	if (!cur_try(&p->c, '-') && !cur_byte(&p->c, '+'))
		return false;
	if (!parse_digits(p, 4, &hhmm))
		return false;
	d->zone_min = hhmm / 100 * 60 + hhmm % 100;
	if (hhmm % 100 > 59 || d->zone_min > 24 * 60)
		return cur_fail(&p->c, "no such zone");
	if (west)
		d->zone_min = -d->zone_min;
	return true;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP
 *             zone DQUOTE ; one digit without the space is taken too */
bool
parse_date_time(struct parse *p, int64_t *seconds, int *zone_min)
{
	struct date d = { 0 };
	uint64_t n;

	if (!cur_byte(&p->c, '"'))
		return false;
	cur_try(&p->c, ' ');
	if (!cur_dec(&p->c, 31, &n))
		return false;
	d.day = (int)n;
	if (!parse_month_year(p, &d) || !parse_sp(p) || !parse_time(p, &d) ||
	    !parse_sp(p) || !parse_zone(p, &d) || !cur_byte(&p->c, '"'))
		return false;
	if (!date_valid(&d))
		return cur_fail(&p->c, "no such date");
	*seconds = date_to_seconds(&d);
	*zone_min = d.zone_min;
	return true;
}
