/* Command lines (RFC 5321, 4.1.1), a table of verbs and their grammar. */
#include "format/smtp/smtp.h"

#include "base/b64.h"
#include "base/utf8.h"
#include "format/smtp/smtp_int.h"

struct parse {
	struct arena *arena;
	struct cur c;
	unsigned flags;
	struct smtp_command *cmd;
	struct smtp_error *error;
};

bool
smtp_fail(
    struct smtp_error *e, int code, const char *enhanced, const char *text)
{
	e->code = code;
	e->enhanced = enhanced;
	e->text = text;
	return false;
}

static bool
syntax(struct parse *p, const char *text)
{
	return smtp_fail(p->error, 501, "5.5.4", text);
}

static bool
is_printable(unsigned char c)
{
	return c > ' ' && c != 127;
}

/* helo = "HELO" SP Domain; ehlo = "EHLO" SP ( Domain / address-literal )
 * What clients say is often neither; it is kept as text, and what follows a
 * first word is let pass. */
static bool
parse_hello(struct parse *p)
{
	p->cmd->name = cur_span(&p->c, is_printable);
	if (p->cmd->name.n == 0)
		return syntax(p, "domain or address literal expected");
	if (p->cmd->name.n > ADDR_MAX_DOMAIN)
		return syntax(p, "name too long");
	if (!utf8_valid(p->cmd->name))
		return syntax(p, "invalid UTF-8");
	p->c.p = p->c.end;
	return true;
}

static bool
is_mechanism(unsigned char c)
{
	return ascii_isalnum((char)c) || c == '-' || c == '_';
}

/* "AUTH" SP sasl-mech [SP initial-response]  RFC 4954, 4 */
static bool
parse_auth(struct parse *p)
{
	struct str name = cur_span(&p->c, is_mechanism), initial;
	struct buf b;
	char *upper;
	size_t i;
	bool ok;

	if (name.n == 0 || name.n > 20)
		return syntax(p, "SASL mechanism expected");
	upper = arena_cstr(p->arena, name);
	for (i = 0; i < name.n; i++)
		upper[i] = ascii_upper(upper[i]);
	p->cmd->mechanism = str_make(upper, name.n);
	if (!cur_try(&p->c, ' '))
		return true;
	initial = cur_span(&p->c, is_printable);
	p->cmd->has_initial = initial.n > 0;
	p->cmd->initial = STR("");
	if (initial.n == 0 || str_eq(initial, STR("=")))
		return true;
	buf_init(&b, initial.n);
	ok = b64_decode(&b, initial);
	if (ok)
		p->cmd->initial = arena_str(p->arena, buf_str(&b));
	buf_release(&b);
	if (!ok)
		return smtp_fail(p->error, 501, "5.5.2", "bad base64");
	return true;
}

/* mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]; a space after the
 * colon is no grammar but seen */
static bool
parse_mail(struct parse *p)
{
	if (!cur_try_nocase(&p->c, STR("FROM:")))
		return syntax(p, "FROM: expected");
	cur_try(&p->c, ' ');
	if (!addr_parse_path(p->arena, &p->c, ADDR_UTF8, &p->cmd->path))
		return smtp_fail(p->error, 501, "5.1.7", p->c.why);
	if (p->cmd->path.kind == ADDR_PATH_POSTMASTER)
		return smtp_fail(p->error, 501, "5.1.7", "domain expected");
	if (!smtp_params_parse(
		p->arena, &p->c, true, p->flags, p->cmd, p->error))
		return false;
	if (!addr_is_ascii(&p->cmd->path.addr) && !p->cmd->is_smtputf8)
		return smtp_fail(
		    p->error, 553, "5.6.7", "address needs SMTPUTF8");
	return true;
}

/* rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" /
 *	Forward-path ) [SP Rcpt-parameters] */
static bool
parse_rcpt(struct parse *p)
{
	if (!cur_try_nocase(&p->c, STR("TO:")))
		return syntax(p, "TO: expected");
	cur_try(&p->c, ' ');
	if (!addr_parse_path(p->arena, &p->c, ADDR_UTF8, &p->cmd->path))
		return smtp_fail(p->error, 501, "5.1.3", p->c.why);
	if (p->cmd->path.kind == ADDR_PATH_NULL)
		return smtp_fail(p->error, 501, "5.1.3", "address expected");
	if (!addr_is_ascii(&p->cmd->path.addr) && !(p->flags & SMTP_UTF8_PATHS))
		return smtp_fail(
		    p->error, 553, "5.6.7", "address needs SMTPUTF8");
	return smtp_params_parse(
	    p->arena, &p->c, false, p->flags, p->cmd, p->error);
}

static bool
parse_none(struct parse *p)
{
	return cur_left(&p->c) == 0 || syntax(p, "no argument expected");
}

/* "VRFY" SP String, "EXPN" SP String */
static bool
parse_string(struct parse *p)
{
	if (cur_left(&p->c) == 0)
		return syntax(p, "argument expected");
	p->c.p = p->c.end;
	return true;
}

static bool
parse_any(struct parse *p)
{
	p->c.p = p->c.end;
	return true;
}

/* RFC 5321, 4.1.1.1 - 4.1.1.10; RFC 2033, 4.1; RFC 3207, 4; RFC 4954, 4 */
static const struct {
	struct str name;
	enum smtp_verb verb;
	bool (*parse)(struct parse *);
} verbs[] = {
	{ STR_INIT("HELO"), SMTP_HELO, parse_hello },
	{ STR_INIT("EHLO"), SMTP_EHLO, parse_hello },
	{ STR_INIT("LHLO"), SMTP_LHLO, parse_hello },
	{ STR_INIT("STARTTLS"), SMTP_STARTTLS, parse_none },
	{ STR_INIT("AUTH"), SMTP_AUTH, parse_auth },
	{ STR_INIT("MAIL"), SMTP_MAIL, parse_mail },
	{ STR_INIT("RCPT"), SMTP_RCPT, parse_rcpt },
	{ STR_INIT("DATA"), SMTP_DATA, parse_none },
	{ STR_INIT("RSET"), SMTP_RSET, parse_none },
	{ STR_INIT("VRFY"), SMTP_VRFY, parse_string },
	{ STR_INIT("EXPN"), SMTP_EXPN, parse_string },
	{ STR_INIT("HELP"), SMTP_HELP, parse_any },
	{ STR_INIT("NOOP"), SMTP_NOOP, parse_any },
	{ STR_INIT("QUIT"), SMTP_QUIT, parse_none },
	{ STR_INIT("XCLIENT"), SMTP_XCLIENT, parse_string },
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* Index into the table, or N_VERBS. */
static size_t
find(struct str line, struct str *rest)
{
	struct str word;
	size_t i;

	*rest = line;
	str_cut(rest, ' ', &word);
	for (i = 0; i < N_VERBS; i++)
		if (str_eq_nocase(word, verbs[i].name))
			break;
	return i;
}

enum smtp_verb
smtp_verb_of(struct str line)
{
	struct str rest;
	size_t i = find(line, &rest);

	return i == N_VERBS ? SMTP_UNKNOWN : verbs[i].verb;
}

const char *
smtp_verb_name(enum smtp_verb verb)
{
	size_t i;

	for (i = 0; i < N_VERBS; i++)
		if (verbs[i].verb == verb)
			return verbs[i].name.p;
	return "";
}

bool
smtp_command_parse(struct arena *a, struct str line, unsigned flags,
    struct smtp_command *cmd, struct smtp_error *error)
{
	struct parse p = {
		.arena = a, .flags = flags, .cmd = cmd, .error = error
	};
	struct str rest;
	size_t i = find(line, &rest);
	bool ok;

	*cmd = (struct smtp_command){ .verb = SMTP_UNKNOWN };
	*error = (struct smtp_error){ .rest = line };
	if (i == N_VERBS)
		return smtp_fail(error, 500, "5.5.1", "unknown command");
	cmd->verb = verbs[i].verb;
	cmd->argument = rest = str_trim(rest);
	cur_init(&p.c, rest);
	ok = verbs[i].parse(&p);
	if (ok && cur_left(&p.c) > 0)
		ok = syntax(&p, "unexpected text after the command");
	error->rest = cur_rest(&p.c);
	return ok;
}
