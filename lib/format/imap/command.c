#include "format/imap/command.h"

#include "format/imap/chars.h"
#include "format/imap/imap_int.h"
#include "format/imap/reader.h"

static bool
parse_none(struct parse *p, struct imap_command *cmd)
{
	return true;
}

/* id = "ID" SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)
 * RFC 2971, 4 */
static bool
parse_id(struct parse *p, struct imap_command *cmd)
{
	struct imap_strs *names = &cmd->u.id.names;
	struct imap_strs *values = &cmd->u.id.values;

	if (!parse_sp(p))
		return false;
	if (parse_word(p, STR("NIL")))
		return true;
	if (!cur_byte(&p->c, '('))
		return false;
	if (cur_try(&p->c, ')'))
		return true;
	do {
		if (!parse_room(p, (void **)&names->v, names->n,
			sizeof(struct str), IMAP_MAX_ID) ||
		    !parse_room(p, (void **)&values->v, values->n,
			sizeof(struct str), IMAP_MAX_ID))
			return false;
		if (!parse_string(p, &names->v[names->n]) || !parse_sp(p) ||
		    !parse_nstring(p, &values->v[values->n]))
			return false;
		names->n++;
		values->n++;
	} while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

static bool
is_base64(unsigned char c)
{
	return ascii_isalnum((char)c) || c == '+' || c == '/' || c == '=';
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]
 * initial-resp = (base64 / "=")  RFC 4959, 3 */
static bool
parse_authenticate(struct parse *p, struct imap_command *cmd)
{
	if (!parse_sp(p) || !parse_atom(p, &cmd->u.authenticate.mechanism))
		return false;
	if (!cur_try(&p->c, ' '))
		return true;
	cmd->u.authenticate.has_initial = true;
	cmd->u.authenticate.initial = cur_span(&p->c, is_base64);
	if (cmd->u.authenticate.initial.n == 0)
		return cur_fail(&p->c, "expected base64");
	if (str_eq(cmd->u.authenticate.initial, STR("=")))
		cmd->u.authenticate.initial = STR("");
	return true;
}

/* login = "LOGIN" SP userid SP password */
static bool
parse_login(struct parse *p, struct imap_command *cmd)
{
	return parse_sp(p) && parse_astring(p, &cmd->u.login.user) &&
	       parse_sp(p) && parse_astring(p, &cmd->u.login.password);
}

/* enable = "ENABLE" 1*(SP capability) */
static bool
parse_enable(struct parse *p, struct imap_command *cmd)
{
	struct imap_strs *s = &cmd->u.enable;

	do
		if (!parse_sp(p) ||
		    !parse_room(p, (void **)&s->v, s->n, sizeof(struct str),
			IMAP_MAX_ITEMS) ||
		    !parse_atom(p, &s->v[s->n++]))
			return false;
	while (cur_at(&p->c, ' '));
	return true;
}

static bool
parse_one_mailbox(struct parse *p, struct imap_command *cmd)
{
	return parse_sp(p) && parse_mailbox(p, &cmd->mailbox);
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static bool
parse_seq_match(struct parse *p, struct imap_qresync *q)
{
	return cur_byte(&p->c, '(') && parse_set(p, false, &q->match_seqs) &&
	       parse_sp(p) && parse_set(p, false, &q->match_uids) &&
	       cur_byte(&p->c, ')');
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
 * [SP seq-match-data] ")"  RFC 7162, 7 */
static bool
parse_qresync(struct parse *p, struct imap_qresync *q)
{
	if (!parse_sp(p) || !cur_byte(&p->c, '(') ||
	    !parse_nz_number(p, &q->uidvalidity) || !parse_sp(p) ||
	    !parse_modseq(p, false, &q->modseq))
		return false;
	if (cur_try(&p->c, ' ')) {
		if (!cur_at(&p->c, '(')) {
			if (!parse_set(p, false, &q->known_uids))
				return false;
			if (cur_try(&p->c, ' ') && !parse_seq_match(p, q))
				return false;
		} else if (!parse_seq_match(p, q))
			return false;
	}
	return cur_byte(&p->c, ')');
}

/* select = "SELECT" SP mailbox [select-params]  RFC 4466, 2.3
 * select-params = SP "(" select-param *(SP select-param) ")" */
static bool
parse_select(struct parse *p, struct imap_command *cmd)
{
	if (!parse_one_mailbox(p, cmd))
		return false;
	if (!cur_try_str(&p->c, STR(" (")))
		return true;
	do
		if (parse_word(p, STR("CONDSTORE")))
			cmd->u.select.condstore = true;
		else if (parse_word(p, STR("QRESYNC"))) {
			cmd->u.select.has_qresync = true;
			if (!parse_qresync(p, &cmd->u.select.qresync))
				return false;
		} else
			return cur_fail(&p->c, "unknown SELECT parameter");
	while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* use-attr = "\" atom  RFC 6154, 6 */
static bool
parse_use(struct parse *p, struct imap_strs *s)
{
	const char *from = p->c.p;
	struct str atom;

	if (!cur_byte(&p->c, '\\') || !parse_atom(p, &atom) ||
	    !parse_room(p, (void **)&s->v, s->n, sizeof(atom), IMAP_MAX_ITEMS))
		return false;
	s->v[s->n++] = str_make(from, atom.n + 1);
	return true;
}

/* create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]
 * create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"  RFC 6154, 3 */
static bool
parse_create(struct parse *p, struct imap_command *cmd)
{
	if (!parse_one_mailbox(p, cmd))
		return false;
	if (!cur_try_str(&p->c, STR(" (")))
		return true;
	do {
		if (!parse_word(p, STR("USE")))
			return cur_fail(&p->c, "unknown CREATE parameter");
		if (!parse_sp(p) || !cur_byte(&p->c, '('))
			return false;
		if (cur_try(&p->c, ')'))
			continue;
		do
			if (!parse_use(p, &cmd->u.create.use))
				return false;
		while (cur_try(&p->c, ' '));
		if (!cur_byte(&p->c, ')'))
			return false;
	} while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* rename = "RENAME" SP mailbox SP mailbox */
static bool
parse_rename(struct parse *p, struct imap_command *cmd)
{
	return parse_one_mailbox(p, cmd) && parse_sp(p) &&
	       parse_mailbox(p, &cmd->u.rename_to);
}

static bool
parse_list_cmd(struct parse *p, struct imap_command *cmd)
{
	return parse_list(p, &cmd->u.list);
}

static bool
parse_lsub_cmd(struct parse *p, struct imap_command *cmd)
{
	return parse_lsub(p, &cmd->u.list);
}

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" */
static bool
parse_status(struct parse *p, struct imap_command *cmd)
{
	return parse_one_mailbox(p, cmd) && parse_sp(p) &&
	       parse_status_atts(p, &cmd->u.status);
}

/* APPEND or REPLACE without a literal: the reader hands over those with one
 * apart */
static bool
parse_append_bare(struct parse *p, struct imap_command *cmd)
{
	return cur_fail(&p->c, "expected a message as a literal");
}

/* uid-expunge = "EXPUNGE" SP sequence-set */
static bool
parse_expunge(struct parse *p, struct imap_command *cmd)
{
	return !cmd->is_uid || (parse_sp(p) && parse_set(p, true, &cmd->u.set));
}

static bool
parse_search_cmd(struct parse *p, struct imap_command *cmd)
{
	return parse_search(p, &cmd->u.search);
}

static bool
parse_fetch_cmd(struct parse *p, struct imap_command *cmd)
{
	return parse_fetch(p, cmd->is_uid, &cmd->u.fetch);
}

/* store-modifiers = SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"
 * RFC 7162, 7 */
static bool
parse_store_modifiers(struct parse *p, struct imap_store *s)
{
	if (!cur_try(&p->c, '('))
		return true;
	s->has_unchangedsince = true;
	if (!parse_word(p, STR("UNCHANGEDSINCE")))
		return cur_fail(&p->c, "unknown STORE modifier");
	return parse_sp(p) && parse_modseq(p, true, &s->unchangedsince) &&
	       cur_byte(&p->c, ')') && parse_sp(p);
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP
 *                   (flag-list / (flag *(SP flag))) */
static bool
parse_store(struct parse *p, struct imap_command *cmd)
{
	struct imap_store *s = &cmd->u.store;

	if (!parse_sp(p) || !parse_set(p, true, &s->set) || !parse_sp(p) ||
	    !parse_store_modifiers(p, s))
		return false;
	if (cur_try(&p->c, '+'))
		s->how = IMAP_STORE_ADD;
	else if (cur_try(&p->c, '-'))
		s->how = IMAP_STORE_REMOVE;
	if (parse_word(p, STR("FLAGS.SILENT")))
		s->is_silent = true;
	else if (!parse_word(p, STR("FLAGS")))
		return cur_fail(&p->c, "expected FLAGS");
	return parse_sp(p) && parse_flag_list(p, true, &s->flags);
}

/* copy = "COPY" SP sequence-set SP mailbox */
static bool
parse_copy(struct parse *p, struct imap_command *cmd)
{
	return parse_sp(p) && parse_set(p, true, &cmd->u.set) && parse_sp(p) &&
	       parse_mailbox(p, &cmd->mailbox);
}

#define NONAUTH	 IMAP_IN_NONAUTH
#define AUTH	 (IMAP_IN_AUTH | IMAP_IN_SELECTED)
#define SELECTED IMAP_IN_SELECTED
#define ANY	 (NONAUTH | AUTH)

/* clang-format off */
static const struct rule {
	struct str name;
	enum imap_verb verb;
	unsigned in;
	bool has_uid;
	bool (*parse)(struct parse *, struct imap_command *);
} rules[] = {
	{ STR_INIT("CAPABILITY"),   IMAP_CAPABILITY,   ANY,      false, parse_none },         /* RFC 9051, 6.1.1 */
	{ STR_INIT("NOOP"),         IMAP_NOOP,         ANY,      false, parse_none },         /* RFC 9051, 6.1.2 */
	{ STR_INIT("LOGOUT"),       IMAP_LOGOUT,       ANY,      false, parse_none },         /* RFC 9051, 6.1.3 */
	{ STR_INIT("ID"),           IMAP_ID,           ANY,      false, parse_id },           /* RFC 2971, 3.1 */
	{ STR_INIT("STARTTLS"),     IMAP_STARTTLS,     NONAUTH,  false, parse_none },         /* RFC 9051, 6.2.1 */
	{ STR_INIT("AUTHENTICATE"), IMAP_AUTHENTICATE, NONAUTH,  false, parse_authenticate }, /* RFC 9051, 6.2.2 */
	{ STR_INIT("LOGIN"),        IMAP_LOGIN,        NONAUTH,  false, parse_login },        /* RFC 9051, 6.2.3 */
	{ STR_INIT("ENABLE"),       IMAP_ENABLE,       AUTH,     false, parse_enable },       /* RFC 9051, 6.3.1 */
	{ STR_INIT("SELECT"),       IMAP_SELECT,       AUTH,     false, parse_select },       /* RFC 9051, 6.3.2 */
	{ STR_INIT("EXAMINE"),      IMAP_EXAMINE,      AUTH,     false, parse_select },       /* RFC 9051, 6.3.3 */
	{ STR_INIT("CREATE"),       IMAP_CREATE,       AUTH,     false, parse_create },       /* RFC 9051, 6.3.4 */
	{ STR_INIT("DELETE"),       IMAP_DELETE,       AUTH,     false, parse_one_mailbox },  /* RFC 9051, 6.3.5 */
	{ STR_INIT("RENAME"),       IMAP_RENAME,       AUTH,     false, parse_rename },       /* RFC 9051, 6.3.6 */
	{ STR_INIT("SUBSCRIBE"),    IMAP_SUBSCRIBE,    AUTH,     false, parse_one_mailbox },  /* RFC 9051, 6.3.7 */
	{ STR_INIT("UNSUBSCRIBE"),  IMAP_UNSUBSCRIBE,  AUTH,     false, parse_one_mailbox },  /* RFC 9051, 6.3.8 */
	{ STR_INIT("LIST"),         IMAP_LIST,         AUTH,     false, parse_list_cmd },     /* RFC 9051, 6.3.9 */
	{ STR_INIT("LSUB"),         IMAP_LSUB,         AUTH,     false, parse_lsub_cmd },     /* RFC 3501, 6.3.9 */
	{ STR_INIT("NAMESPACE"),    IMAP_NAMESPACE,    AUTH,     false, parse_none },         /* RFC 9051, 6.3.10 */
	{ STR_INIT("STATUS"),       IMAP_STATUS,       AUTH,     false, parse_status },       /* RFC 9051, 6.3.11 */
	{ STR_INIT("APPEND"),       IMAP_APPEND_CMD,   AUTH,     false, parse_append_bare },  /* RFC 9051, 6.3.12 */
	{ STR_INIT("REPLACE"),      IMAP_REPLACE,      SELECTED, true,  parse_append_bare },  /* RFC 8508, 3 */
	{ STR_INIT("IDLE"),         IMAP_IDLE,         AUTH,     false, parse_none },         /* RFC 9051, 6.3.13 */
	{ STR_INIT("CHECK"),        IMAP_CHECK,        SELECTED, false, parse_none },         /* RFC 3501, 6.4.1 */
	{ STR_INIT("CLOSE"),        IMAP_CLOSE,        SELECTED, false, parse_none },         /* RFC 9051, 6.4.1 */
	{ STR_INIT("UNSELECT"),     IMAP_UNSELECT,     SELECTED, false, parse_none },         /* RFC 9051, 6.4.2 */
	{ STR_INIT("EXPUNGE"),      IMAP_EXPUNGE,      SELECTED, true,  parse_expunge },      /* RFC 9051, 6.4.3 */
	{ STR_INIT("SEARCH"),       IMAP_SEARCH,       SELECTED, true,  parse_search_cmd },   /* RFC 9051, 6.4.4 */
	{ STR_INIT("FETCH"),        IMAP_FETCH,        SELECTED, true,  parse_fetch_cmd },    /* RFC 9051, 6.4.5 */
	{ STR_INIT("STORE"),        IMAP_STORE,        SELECTED, true,  parse_store },        /* RFC 9051, 6.4.6 */
	{ STR_INIT("COPY"),         IMAP_COPY,         SELECTED, true,  parse_copy },         /* RFC 9051, 6.4.7 */
	{ STR_INIT("MOVE"),         IMAP_MOVE,         SELECTED, true,  parse_copy },         /* RFC 9051, 6.4.8 */
};
/* clang-format on */

static const struct rule *
find_rule(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (str_eq_nocase(rules[i].name, name))
			return &rules[i];
	return NULL;
}

struct str
imap_verb_name(enum imap_verb verb)
{
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].verb == verb)
			return rules[i].name;
	return STR("");
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
static bool
parse_tag(struct parse *p, struct str *tag)
{
	const char *from = p->c.p;

	*tag = cur_span(&p->c, imap_is_tag);
	if (tag->n > 0 && tag->n <= IMAP_MAX_TAG && cur_try(&p->c, ' '))
		return true;
	*tag = str_make(from, 0);
	return cur_fail(&p->c, "expected a tag");
}

/* The verb, with "UID" SP before it. */
static enum imap_parse_result
parse_verb(struct parse *p, struct imap_command *cmd, const struct rule **r)
{
	const char *from = p->c.p;
	struct str name = cur_span(&p->c, imap_is_atom);

	if (str_eq_nocase(name, STR("UID")) && cur_try(&p->c, ' ')) {
		cmd->is_uid = true;
		name = cur_span(&p->c, imap_is_atom);
	}
	*r = find_rule(name);
	if (*r == NULL || (cmd->is_uid && !(*r)->has_uid)) {
		p->c.p = from;
		cur_fail(&p->c, "unknown command");
		return IMAP_UNKNOWN;
	}
	cmd->verb = (*r)->verb;
	return IMAP_PARSED;
}

/* Tag and verb, and whether it is allowed now. */
static enum imap_parse_result
begin(struct parse *p, unsigned state, struct imap_command *cmd,
    const struct rule **rule)
{
	enum imap_parse_result r;

	if (!parse_tag(p, &cmd->tag))
		return IMAP_SYNTAX;
	if ((r = parse_verb(p, cmd, rule)) != IMAP_PARSED)
		return r;
	if (((*rule)->in & state) == 0) {
		cur_fail(&p->c, "command is not allowed now");
		return IMAP_WRONG_STATE;
	}
	return IMAP_PARSED;
}

enum imap_parse_result
parse_begin(struct parse *p, unsigned state, struct imap_command *cmd)
{
	const struct rule *rule;

	return begin(p, state, cmd, &rule);
}

enum imap_parse_result
parse_result(
    const struct parse *p, enum imap_parse_result r, struct imap_parse_error *e)
{
	if (r == IMAP_PARSED && !cur_ok(&p->c))
		r = p->is_badcharset ? IMAP_BADCHARSET : IMAP_SYNTAX;
	e->why = p->c.why == NULL ? "" : p->c.why;
	e->rest = cur_rest(&p->c);
	return r;
}

enum imap_parse_result
imap_parse(struct arena *arena, struct str text,
    const struct imap_parse_opts *opts, struct imap_command *cmd,
    struct imap_parse_error *e)
{
	struct parse p = { .arena = arena, .is_utf8 = opts->is_utf8 };
	const struct rule *rule = NULL;
	enum imap_parse_result r;

	*cmd = (struct imap_command){ 0 };
	cur_init(&p.c, text);
	r = begin(&p, opts->state, cmd, &rule);
	if (r == IMAP_PARSED && rule->parse(&p, cmd)) {
		while (cur_try(&p.c, ' '))
			;
		if (!cur_done(&p.c))
			cur_fail(&p.c, "junk at the end");
	}
	return parse_result(&p, r, e);
}
