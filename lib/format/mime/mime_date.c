/* Date fields (RFC 5322, 3.3 and 4.3) and message identifiers (3.6.4). */
#include "format/mime/mime_int.h"

#include "base/date.h"

static bool
is_alpha(unsigned char c)
{
	return ascii_isalpha((char)c);
}

static bool
is_digit(unsigned char c)
{
	return ascii_isdigit((char)c);
}

/* Digits with CFWS before them. */
static bool
number(struct cur *c, int max, int *out, size_t *digits)
{
	const char *p;
	uint64_t v;

	mime_lex_cfws(c, NULL);
	p = c->p;
	if (!cur_dec(c, (uint64_t)max, &v))
		return false;
	*out = (int)v;
	if (digits != NULL)
		*digits = (size_t)(c->p - p);
	return true;
}

/* [ day-of-week "," ] day month year  RFC 5322, 3.3 */
static bool
date(struct cur *c, struct date *d)
{
	size_t digits;

	mime_lex_cfws(c, NULL);
	if (cur_span(c, is_alpha).n > 0) { /* the comma is forgotten at times */
		mime_lex_cfws(c, NULL);
		cur_try(c, ',');
		cur_try(c, '.');
	}
	if (!number(c, 31, &d->day, NULL))
		return false;
	mime_lex_cfws(c, NULL);
	cur_try(c, '-'); /* RFC 850 wrote 06-Nov-94 */
	d->month = date_month_of(str_sub(cur_span(c, is_alpha), 0, 3));
	mime_lex_cfws(c, NULL);
	cur_try(c, '-');
	if (d->month == 0 || !number(c, 9999, &d->year, &digits))
		return false;
	/* obs-year: RFC 5322, 4.3 */
	if (digits == 2)
		d->year += d->year < 50 ? 2000 : 1900;
	else if (digits == 3)
		d->year += 1900;
	return true;
}

/* hour ":" minute [ ":" second ] */
static bool
time_of_day(struct cur *c, struct date *d)
{
	if (!number(c, 23, &d->hour, NULL))
		return false;
	mime_lex_cfws(c, NULL);
	if (!cur_try(c, ':') || !number(c, 59, &d->minute, NULL))
		return false;
	mime_lex_cfws(c, NULL);
	return !cur_try(c, ':') || number(c, 60, &d->second, NULL);
}

static const struct {
	struct str name;
	int hours;
} zones[] = {
	{ STR_INIT("UT"), 0 },
	{ STR_INIT("GMT"), 0 },
	{ STR_INIT("EDT"), -4 },
	{ STR_INIT("EST"), -5 },
	{ STR_INIT("CDT"), -5 },
	{ STR_INIT("CST"), -6 },
	{ STR_INIT("MDT"), -6 },
	{ STR_INIT("MST"), -7 },
	{ STR_INIT("PDT"), -7 },
	{ STR_INIT("PST"), -8 },
};

/* zone = ("+" / "-") 4DIGIT / obs-zone; one that is not understood, or is
 * missing, is -0000 (RFC 5322, 4.3) */
static int
zone(struct cur *c)
{
	struct str name, digits;
	uint64_t v;
	size_t i;
	bool minus;

	mime_lex_cfws(c, NULL);
	if (cur_at(c, '+') || cur_at(c, '-')) {
		minus = cur_at(c, '-');
		cur_skip(c, 1);
		digits = cur_span(c, is_digit);
		if (digits.n != 4 || !str_uint(digits, 9959, &v) ||
		    v % 100 > 59 || v / 100 > 23)
			return 0;
		v = v / 100 * 60 + v % 100;
		return minus ? -(int)v : (int)v;
	}
	name = cur_span(c, is_alpha);
	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (str_eq_nocase(name, zones[i].name))
			return zones[i].hours * 60;
	return 0;
}

bool
mime_date_parse(struct str value, int64_t *seconds, int *zone_min)
{
	struct date d = { 0 };
	struct cur c;

	cur_init(&c, mime_or_empty(value));
	if (!date(&c, &d) || !time_of_day(&c, &d))
		return false;
	d.zone_min = zone(&c);
	if (!date_valid(&d))
		return false;
	*seconds = date_to_seconds(&d);
	*zone_min = d.zone_min;
	return true;
}

/* msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]  RFC 5322, 3.6.4;
 * read as whatever stands between angle brackets without white space */
bool
mime_msgid_next(struct str *rest, struct str *id)
{
	struct cur c;
	const char *start;

	cur_init(&c, mime_or_empty(*rest));
	for (;;) {
		mime_lex_cfws(&c, NULL);
		start = c.p;
		if (cur_left(&c) == 0)
			break;
		if (!cur_try(&c, '<')) {
			cur_skip(&c, 1);
			continue;
		}
		while (cur_left(&c) > 0 && !mime_is_wsp((unsigned char)*c.p) &&
		       *c.p != '<' && *c.p != '>')
			c.p++;
		if (!cur_at(&c, '>') || c.p - start < 2)
			continue;
		cur_skip(&c, 1);
		*id = str_make(start, (size_t)(c.p - start));
		*rest = cur_rest(&c);
		return true;
	}
	*rest = STR("");
	return false;
}
