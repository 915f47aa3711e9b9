/*
 * SEARCH (RFC 9051, 6.4.4; RFC 3501, 6.4.4; RFC 4731; RFC 5032; RFC 5182;
 * RFC 7162, 3.1.5; RFC 8474, 6; RFC 8514).
 */
#include "base/utf8.h"
#include "format/imap/imap_int.h"

enum arg {
	NO_ARG,
	ASTRING, /* into text; `field` names the header */
	FIELD,	 /* header-fld-name SP astring */
	KEYWORD,
	NUMBER,
	INTERVAL,
	MODSEQ,
	DAY,
	SET,
	OBJECTID,
};

/* clang-format off */
static const struct {
	struct str name;
	enum imap_key_kind kind;
	enum arg arg;
	unsigned flag;
	bool is_not;
	struct str field;
} keys[] = {
	{ STR_INIT("ALL"),        IMAP_KEY_ALL,     NO_ARG, 0, false, { 0 } },
	{ STR_INIT("ANSWERED"),   IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_ANSWERED, false, { 0 } },
	{ STR_INIT("BCC"),        IMAP_KEY_HEADER,  ASTRING, 0, false, STR_INIT("Bcc") },
	{ STR_INIT("BEFORE"),     IMAP_KEY_BEFORE,  DAY, 0, false, { 0 } },
	{ STR_INIT("BODY"),       IMAP_KEY_BODY,    ASTRING, 0, false, { 0 } },
	{ STR_INIT("CC"),         IMAP_KEY_HEADER,  ASTRING, 0, false, STR_INIT("Cc") },
	{ STR_INIT("DELETED"),    IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_DELETED, false, { 0 } },
	{ STR_INIT("DRAFT"),      IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_DRAFT, false, { 0 } },
	{ STR_INIT("EMAILID"),    IMAP_KEY_EMAILID, OBJECTID, 0, false, { 0 } },
	{ STR_INIT("FLAGGED"),    IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_FLAGGED, false, { 0 } },
	{ STR_INIT("FROM"),       IMAP_KEY_HEADER,  ASTRING, 0, false, STR_INIT("From") },
	{ STR_INIT("HEADER"),     IMAP_KEY_HEADER,  FIELD, 0, false, { 0 } },
	{ STR_INIT("KEYWORD"),    IMAP_KEY_KEYWORD, KEYWORD, 0, false, { 0 } },
	{ STR_INIT("LARGER"),     IMAP_KEY_LARGER,  NUMBER, 0, false, { 0 } },
	{ STR_INIT("MODSEQ"),     IMAP_KEY_MODSEQ,  MODSEQ, 0, false, { 0 } },
	{ STR_INIT("OLD"),        IMAP_KEY_RECENT,  NO_ARG, 0, true, { 0 } },
	{ STR_INIT("OLDER"),      IMAP_KEY_OLDER,   INTERVAL, 0, false, { 0 } },
	{ STR_INIT("ON"),         IMAP_KEY_ON,      DAY, 0, false, { 0 } },
	{ STR_INIT("RECENT"),     IMAP_KEY_RECENT,  NO_ARG, 0, false, { 0 } },
	{ STR_INIT("SAVEDATESUPPORTED"), IMAP_KEY_SAVEDATESUPPORTED, NO_ARG, 0, false, { 0 } },
	{ STR_INIT("SAVEDBEFORE"), IMAP_KEY_SAVEDBEFORE, DAY, 0, false, { 0 } },
	{ STR_INIT("SAVEDON"),    IMAP_KEY_SAVEDON, DAY, 0, false, { 0 } },
	{ STR_INIT("SAVEDSINCE"), IMAP_KEY_SAVEDSINCE, DAY, 0, false, { 0 } },
	{ STR_INIT("SEEN"),       IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_SEEN, false, { 0 } },
	{ STR_INIT("SENTBEFORE"), IMAP_KEY_SENTBEFORE, DAY, 0, false, { 0 } },
	{ STR_INIT("SENTON"),     IMAP_KEY_SENTON,  DAY, 0, false, { 0 } },
	{ STR_INIT("SENTSINCE"),  IMAP_KEY_SENTSINCE, DAY, 0, false, { 0 } },
	{ STR_INIT("SINCE"),      IMAP_KEY_SINCE,   DAY, 0, false, { 0 } },
	{ STR_INIT("SMALLER"),    IMAP_KEY_SMALLER, NUMBER, 0, false, { 0 } },
	{ STR_INIT("SUBJECT"),    IMAP_KEY_HEADER,  ASTRING, 0, false, STR_INIT("Subject") },
	{ STR_INIT("TEXT"),       IMAP_KEY_TEXT,    ASTRING, 0, false, { 0 } },
	{ STR_INIT("THREADID"),   IMAP_KEY_THREADID, OBJECTID, 0, false, { 0 } },
	{ STR_INIT("TO"),         IMAP_KEY_HEADER,  ASTRING, 0, false, STR_INIT("To") },
	{ STR_INIT("UID"),        IMAP_KEY_UID,     SET, 0, false, { 0 } },
	{ STR_INIT("UNANSWERED"), IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_ANSWERED, true, { 0 } },
	{ STR_INIT("UNDELETED"),  IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_DELETED, true, { 0 } },
	{ STR_INIT("UNDRAFT"),    IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_DRAFT, true, { 0 } },
	{ STR_INIT("UNFLAGGED"),  IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_FLAGGED, true, { 0 } },
	{ STR_INIT("UNKEYWORD"),  IMAP_KEY_KEYWORD, KEYWORD, 0, true, { 0 } },
	{ STR_INIT("UNSEEN"),     IMAP_KEY_FLAG,    NO_ARG, IMAP_FLAG_SEEN, true, { 0 } },
	{ STR_INIT("YOUNGER"),    IMAP_KEY_YOUNGER, INTERVAL, 0, false, { 0 } },
};
/* clang-format on */
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static struct imap_key *
key_new(struct parse *p, enum imap_key_kind kind)
{
	struct imap_key *k;

	if (p->keys == IMAP_MAX_KEYS) {
		cur_fail(&p->c, "too many search keys");
		return NULL;
	}
	p->keys++;
	k = arena_zalloc(p->arena, sizeof(*k));
	k->kind = kind;
	return k;
}

static struct imap_key *
key_not(struct parse *p, struct imap_key *child)
{
	struct imap_key *k = child == NULL ? NULL : key_new(p, IMAP_KEY_NOT);

	if (k != NULL)
		k->child = child;
	return k;
}

static bool
parse_text(struct parse *p, struct str *out)
{
	if (!parse_sp(p) || !parse_astring(p, out))
		return false;
	if (utf8_valid(*out))
		return true;
	p->is_badcharset = true;
	return cur_fail(&p->c, "search text is not UTF-8");
}

/* search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
 * search-modseq-ext = SP entry-name SP entry-type-req ; read, no difference:
 * there is one mod-sequence for all of a message. RFC 7162, 3.1.5 */
static bool
parse_search_modseq(struct parse *p, uint64_t *out)
{
	struct str entry;

	if (!parse_sp(p))
		return false;
	if (cur_at(&p->c, '"')) {
		if (!parse_string(p, &entry) || !parse_sp(p))
			return false;
		if (!parse_word(p, STR("priv")) &&
		    !parse_word(p, STR("shared")) && !parse_word(p, STR("all")))
			return cur_fail(&p->c, "unknown entry type");
		if (!parse_sp(p))
			return false;
	}
	return parse_modseq(p, true, out);
}

static bool
parse_key_arg(struct parse *p, enum arg arg, struct imap_key *k)
{
	uint32_t seconds;

	switch (arg) {
	case NO_ARG:
		return true;
	case FIELD:
		return parse_sp(p) && parse_astring(p, &k->field) &&
		       parse_text(p, &k->text);
	case ASTRING:
		return parse_text(p, &k->text);
	case KEYWORD:
	case OBJECTID:
		return parse_sp(p) && parse_atom(p, &k->text);
	case NUMBER:
		return parse_sp(p) && parse_number(p, &k->number);
	case INTERVAL: /* nz-number, RFC 5032, 4 */
		if (!parse_sp(p) || !parse_nz_number(p, &seconds))
			return false;
		k->number = seconds;
		return true;
	case MODSEQ:
		return parse_search_modseq(p, &k->number);
	case DAY:
		return parse_sp(p) && parse_date(p, &k->day);
	case SET:
		return parse_sp(p) && parse_set(p, true, &k->set);
	}
	return false;
}

static struct imap_key *parse_search_key(struct parse *, unsigned depth);

/* search-key *(SP search-key), as a list of children of an AND */
static struct imap_key *
parse_and(struct parse *p, unsigned depth)
{
	struct imap_key *and = key_new(p, IMAP_KEY_AND), **tail;

	if (and == NULL)
		return NULL;
	tail = &and->child;
	do {
		if ((*tail = parse_search_key(p, depth)) == NULL)
			return NULL;
		tail = &(*tail)->next;
	} while (cur_try(&p->c, ' ') &&
		 (cur_peek(&p->c) != -1 ||
		     cur_fail(&p->c, "expected a search key")));
	return cur_ok(&p->c) ? and : NULL;
}

static struct imap_key *
parse_or(struct parse *p, unsigned depth)
{
	struct imap_key *k = key_new(p, IMAP_KEY_OR);

	if (k == NULL || !parse_sp(p) ||
	    (k->child = parse_search_key(p, depth)) == NULL || !parse_sp(p))
		return NULL;
	k->child->next = parse_search_key(p, depth);
	return k->child->next == NULL ? NULL : k;
}

/* sequence-set as a key, "$" included */
static struct imap_key *
parse_seq_key(struct parse *p)
{
	struct imap_key *k = key_new(p, IMAP_KEY_SEQ);

	return k != NULL && parse_set(p, true, &k->set) ? k : NULL;
}

static struct imap_key *
parse_named_key(struct parse *p)
{
	struct imap_key *k;
	size_t i;

	for (i = 0; i < N_KEYS; i++)
		if (parse_word(p, keys[i].name))
			break;
	if (i == N_KEYS) {
		cur_fail(&p->c, "unknown search key");
		return NULL;
	}
	if ((k = key_new(p, keys[i].kind)) == NULL)
		return NULL;
	k->flag = keys[i].flag;
	k->field = keys[i].field;
	if (!parse_key_arg(p, keys[i].arg, k))
		return NULL;
	return keys[i].is_not ? key_not(p, k) : k;
}

/* NEW = (RECENT UNSEEN)  RFC 3501, 6.4.4 */
static struct imap_key *
key_new_recent(struct parse *p)
{
	struct imap_key *and = key_new(p, IMAP_KEY_AND), *seen;

	if (and == NULL || (and->child = key_new(p, IMAP_KEY_RECENT)) == NULL ||
	    (seen = key_new(p, IMAP_KEY_FLAG)) == NULL)
		return NULL;
	seen->flag = IMAP_FLAG_SEEN;
	and->child->next = key_not(p, seen);
	return and->child->next == NULL ? NULL : and;
}

static struct imap_key *
parse_search_key(struct parse *p, unsigned depth)
{
	struct imap_key *k;

	if (depth == IMAP_MAX_DEPTH) {
		cur_fail(&p->c, "search keys nested too deeply");
		return NULL;
	}
	if (cur_try(&p->c, '(')) {
		k = parse_and(p, depth + 1);
		return k != NULL && cur_byte(&p->c, ')') ? k : NULL;
	}
	if (cur_at(&p->c, '*') || cur_at(&p->c, '$') ||
	    ascii_isdigit((char)cur_peek(&p->c)))
		return parse_seq_key(p);
	if (parse_word(p, STR("NOT")))
		return parse_sp(p) ?
			   key_not(p, parse_search_key(p, depth + 1)) :
			   NULL;
	if (parse_word(p, STR("OR")))
		return parse_or(p, depth + 1);
	if (parse_word(p, STR("NEW")))
		return key_new_recent(p);
	return parse_named_key(p);
}

/* search-return-opts = SP "RETURN" SP "(" [search-return-opt
 *                      *(SP search-return-opt)] ")" */
static bool
parse_return(struct parse *p, struct imap_search *s)
{
	s->has_return = true;
	if (!parse_sp(p) || !cur_byte(&p->c, '('))
		return false;
	if (cur_try(&p->c, ')'))
		return s->want_all = true;
	do
		if (parse_word(p, STR("MIN")))
			s->want_min = true;
		else if (parse_word(p, STR("MAX")))
			s->want_max = true;
		else if (parse_word(p, STR("COUNT")))
			s->want_count = true;
		else if (parse_word(p, STR("ALL")))
			s->want_all = true;
		else if (parse_word(p, STR("SAVE")))
			s->want_save = true;
		else
			return cur_fail(&p->c, "unknown search result option");
	while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* "CHARSET" SP charset ; charset = atom / quoted */
static bool
parse_charset(struct parse *p, struct imap_search *s)
{
	struct str charset;

	if (!parse_sp(p) || !parse_astring(p, &charset) || !parse_sp(p))
		return false;
	s->has_charset = true;
	if (str_eq_nocase(charset, STR("UTF-8")) ||
	    str_eq_nocase(charset, STR("US-ASCII")))
		return true;
	p->is_badcharset = true;
	return cur_fail(&p->c, "unknown charset");
}

static bool
uses_modseq(const struct imap_key *k)
{
	for (; k != NULL; k = k->next)
		if (k->kind == IMAP_KEY_MODSEQ || uses_modseq(k->child))
			return true;
	return false;
}

/* search = "SEARCH" [search-return-opts] SP search-program
 * search-program = ["CHARSET" SP charset SP] search-key *(SP search-key) */
bool
parse_search(struct parse *p, struct imap_search *s)
{
	if (!parse_sp(p))
		return false;
	if (parse_word(p, STR("RETURN")) &&
	    (!parse_return(p, s) || !parse_sp(p)))
		return false;
	if (parse_word(p, STR("CHARSET")) && !parse_charset(p, s))
		return false;
	if ((s->key = parse_and(p, 0)) == NULL)
		return cur_fail(&p->c, "expected a search key");
	s->uses_modseq = uses_modseq(s->key);
	return true;
}
