/* Parameters of MAIL and RCPT, one row each. */
#include "format/smtp/smtp.h"

#include "base/date.h"
#include "format/smtp/smtp_int.h"

struct param {
	struct arena *arena;
	struct str value;
	bool has_value;
	struct smtp_command *cmd;
	struct smtp_error *error;
};

static bool
bad(struct param *p, const char *text)
{
	return smtp_fail(p->error, 501, "5.5.4", text);
}

/* size-value ::= 1*20DIGIT  RFC 1870, 3 */
static bool
take_size(struct param *p)
{
	if (p->value.n > 20 || !str_uint(p->value, UINT64_MAX, &p->cmd->size))
		return bad(p, "bad SIZE");
	p->cmd->has_size = true;
	return true;
}

/* "BODY=" ( "7BIT" / "8BITMIME" )  RFC 6152, 2 */
static bool
take_body(struct param *p)
{
	if (str_eq_nocase(p->value, STR("7BIT")))
		p->cmd->body = SMTP_BODY_7BIT;
	else if (str_eq_nocase(p->value, STR("8BITMIME")))
		p->cmd->body = SMTP_BODY_8BIT;
	else
		return bad(p, "bad BODY");
	return true;
}

/* "AUTH=" ( xtext / "<>" )  RFC 4954, 5; the address is not used */
static bool
take_auth(struct param *p)
{
	struct addr addr;
	struct buf b;
	bool ok = true;

	p->cmd->has_auth = true;
	p->cmd->auth = STR("");
	if (str_eq(p->value, STR("<>")))
		return true;
	buf_init(&b, p->value.n + 1);
	ok = smtp_xtext_decode(&b, p->value) &&
	     addr_from_str(p->arena, buf_str(&b), ADDR_UTF8, &addr);
	if (ok)
		p->cmd->auth = arena_str(p->arena, buf_str(&b));
	buf_release(&b);
	return ok || bad(p, "bad AUTH");
}

static bool
take_smtputf8(struct param *p)
{
	p->cmd->is_smtputf8 = true;
	return true;
}

static bool
take_requiretls(struct param *p)
{
	p->cmd->is_requiretls = true;
	return true;
}

/* "HOLDFOR=" future-release-interval: 1*9DIGIT  RFC 4865, 4 */
static bool
take_hold_for(struct param *p)
{
	if (p->cmd->has_hold_until)
		return bad(p, "HOLDFOR and HOLDUNTIL");
	if (p->value.n > 9 ||
	    !str_uint(p->value, UINT64_MAX, &p->cmd->hold_for))
		return bad(p, "bad HOLDFOR");
	if (p->cmd->hold_for == 0)
		return bad(p, "bad HOLDFOR");
	if (p->cmd->hold_for > SMTP_MAX_HOLD)
		return smtp_fail(
		    p->error, 554, "5.5.4", "HOLDFOR too far ahead");
	p->cmd->has_hold_for = true;
	return true;
}

static bool
digits(struct cur *c, size_t n, int *out)
{
	struct str s;
	uint64_t v;

	if (!cur_take(c, n, &s) || !str_uint(s, 9999, &v))
		return cur_fail(c, "digits expected");
	*out = (int)v;
	return true;
}

/* time-offset = "Z" / ( "+" / "-" ) time-hour ":" time-minute */
static bool
zone(struct cur *c, int *out)
{
	int hour, minute;
	bool minus = cur_at(c, '-');

	*out = 0;
	if (cur_try_nocase(c, STR("Z")))
		return true;
	if (!cur_try(c, '-') && !cur_byte(c, '+'))
		return false;
	if (!digits(c, 2, &hour) || !cur_byte(c, ':') ||
	    !digits(c, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*out = (minus ? -1 : 1) * (hour * 60 + minute);
	return true;
}

/* date-time = full-date "T" full-time  RFC 3339, 5.6 */
static bool
take_hold_until(struct param *p)
{
	struct date d;
	struct cur c;

	if (p->cmd->has_hold_for)
		return bad(p, "HOLDFOR and HOLDUNTIL");
	cur_init(&c, p->value);
	if (!digits(&c, 4, &d.year) || !cur_byte(&c, '-') ||
	    !digits(&c, 2, &d.month) || !cur_byte(&c, '-') ||
	    !digits(&c, 2, &d.day) || !cur_try_nocase(&c, STR("T")) ||
	    !digits(&c, 2, &d.hour) || !cur_byte(&c, ':') ||
	    !digits(&c, 2, &d.minute) || !cur_byte(&c, ':') ||
	    !digits(&c, 2, &d.second) || !zone(&c, &d.zone_min) ||
	    !cur_done(&c) || !date_valid(&d))
		return bad(p, "bad HOLDUNTIL");
	p->cmd->hold_until = date_to_seconds(&d);
	p->cmd->has_hold_until = true;
	return true;
}

static const struct row {
	struct str name;
	bool takes_value;
	unsigned needs; /* a flag, or 0 */
	bool (*take)(struct param *);
} mail_params[] = {
	{ STR_INIT("SIZE"), true, 0, take_size },	   /* RFC 1870, 6 */
	{ STR_INIT("BODY"), true, 0, take_body },	   /* RFC 6152, 2 */
	{ STR_INIT("AUTH"), true, 0, take_auth },	   /* RFC 4954, 5 */
	{ STR_INIT("SMTPUTF8"), false, 0, take_smtputf8 }, /* RFC 6531, 3.4 */
	{ STR_INIT("REQUIRETLS"), false, SMTP_WITH_REQUIRETLS,
	    take_requiretls }, /* RFC 8689, 2 */
	{ STR_INIT("HOLDFOR"), true, SMTP_WITH_HOLD, take_hold_for },
	{ STR_INIT("HOLDUNTIL"), true, SMTP_WITH_HOLD, take_hold_until },
};
#define N_ROWS (sizeof(mail_params) / sizeof(mail_params[0]))

static bool
is_keyword(unsigned char c)
{
	return ascii_isalnum((char)c) || c == '-';
}

/* esmtp-value = 1*(%d33-60 / %d62-126); "=" is let pass as others do */
static bool
is_value(unsigned char c)
{
	return c > ' ' && c != 127;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value]  RFC 5321, 4.1.2 */
static bool
take_param(struct param *p, struct cur *c, bool is_mail, unsigned flags,
    unsigned *seen)
{
	struct str name = cur_span(c, is_keyword);
	size_t i;

	if (name.n == 0)
		return bad(p, "parameter expected");
	p->has_value = cur_try(c, '=');
	p->value = cur_span(c, is_value);
	for (i = 0; is_mail && i < N_ROWS; i++)
		if (str_eq_nocase(name, mail_params[i].name) &&
		    (mail_params[i].needs & ~flags) == 0)
			break;
	if (!is_mail || i == N_ROWS)
		return smtp_fail(p->error, 555, "5.3.3", "unknown parameter");
	if (*seen & 1u << i)
		return bad(p, "duplicate parameter");
	*seen |= 1u << i;
	if (p->has_value != mail_params[i].takes_value ||
	    (p->has_value && p->value.n == 0))
		return bad(p, p->has_value ? "bad parameter value" :
					     "parameter value expected");
	return mail_params[i].take(p);
}

bool
smtp_params_parse(struct arena *a, struct cur *c, bool is_mail, unsigned flags,
    struct smtp_command *cmd, struct smtp_error *error)
{
	struct param p = { .arena = a, .cmd = cmd, .error = error };
	unsigned seen = 0;

	while (cur_left(c) > 0) {
		if (!cur_try(c, ' '))
			return bad(&p, "space expected");
		while (cur_try(c, ' '))
			;
		if (!take_param(&p, c, is_mail, flags, &seen))
			return false;
	}
	return true;
}

bool
smtp_xtext_decode(struct buf *out, struct str s)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '+') {
			if (s.p[i] <= ' ' || s.p[i] == '=' || s.p[i] == 127)
				return false;
			buf_putc(out, s.p[i]);
			continue;
		}
		if (s.n - i < 3 || (hi = ascii_hexval(s.p[i + 1])) < 0 ||
		    (lo = ascii_hexval(s.p[i + 2])) < 0)
			return false;
		buf_putc(out, (char)(hi << 4 | lo));
		i += 2;
	}
	return !out->full;
}

void
smtp_xtext_encode(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] > ' ' && s.p[i] < 127 && s.p[i] != '+' &&
		    s.p[i] != '=')
			buf_putc(out, s.p[i]);
		else
			buf_printf(out, "+%02X", (unsigned char)s.p[i]);
}
