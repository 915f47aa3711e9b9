#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/date.h"
#include "format/imap/command.h"
#include "format/imap/utf7.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/*
 * A parsed command is shown as text, so that a row is a line of input beside
 * what was understood.
 */
static void show_key(struct buf *, const struct imap_key *);

static void
show_str(struct buf *b, struct str s)
{
	if (s.p == NULL)
		buf_puts(b, " nil");
	else
		buf_printf(b, " '%.*s'", STR_ARG(s));
}

static void
show_set(struct buf *b, const struct imap_set *set)
{
	size_t i;

	buf_putc(b, ' ');
	if (set->is_saved)
		buf_putc(b, '$');
	for (i = 0; i < set->n; i++)
		buf_printf(b, "%s%u-%u", i > 0 ? "," : "", set->v[i].from,
		    set->v[i].to);
}

static void
show_flags(struct buf *b, const struct imap_flags *f)
{
	size_t i;

	buf_printf(b, " flags=%x", f->system);
	for (i = 0; i < f->n; i++)
		show_str(b, f->keywords[i]);
}

static void
show_section(struct buf *b, const struct imap_section *s)
{
	static const char *const what[] = { "", "HEADER", "FIELDS", "NOT",
		"TEXT", "MIME" };
	size_t i;

	buf_putc(b, '[');
	for (i = 0; i < s->path_n; i++)
		buf_printf(b, "%u.", s->path[i]);
	buf_puts(b, what[s->what]);
	for (i = 0; i < s->fields.n; i++)
		show_str(b, s->fields.v[i]);
	buf_putc(b, ']');
}

static void
show_fetch(struct buf *b, const struct imap_fetch *f)
{
	size_t i;

	show_set(b, &f->set);
	for (i = 0; i < f->n; i++) {
		const struct imap_fetch_item *it = &f->items[i];

		buf_printf(b, " %d%s%s", (int)it->kind, it->is_peek ? "" : "!",
		    it->is_lazy ? "lazy" : "");
		if (it->kind >= IMAP_FETCH_SECTION)
			show_section(b, &it->section);
		if (it->name.n > 0)
			buf_printf(b, "=%.*s", STR_ARG(it->name));
		if (it->has_partial)
			buf_printf(b, "<%llu.%llu>",
			    (unsigned long long)it->offset,
			    (unsigned long long)it->count);
	}
	if (f->has_changedsince)
		buf_printf(b, " since=%llu%s",
		    (unsigned long long)f->changedsince,
		    f->vanished ? " vanished" : "");
}

static const char *const key_names[] = { "ALL", "AND", "OR", "NOT", "SEQ",
	"UID", "FLAG", "KEYWORD", "RECENT", "LARGER", "SMALLER", "OLDER",
	"YOUNGER", "MODSEQ", "BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON",
	"SENTSINCE", "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "SAVEDATE",
	"HEADER", "BODY", "TEXT", "EMAILID", "THREADID" };

static void
show_key(struct buf *b, const struct imap_key *k)
{
	const struct imap_key *c;

	buf_printf(b, " (%s", key_names[k->kind]);
	for (c = k->child; c != NULL; c = c->next)
		show_key(b, c);
	if (k->set.n > 0 || k->set.is_saved)
		show_set(b, &k->set);
	if (k->kind == IMAP_KEY_FLAG)
		buf_printf(b, " %x", k->flag);
	if (k->kind >= IMAP_KEY_LARGER && k->kind <= IMAP_KEY_MODSEQ)
		buf_printf(b, " %llu", (unsigned long long)k->number);
	if (k->kind >= IMAP_KEY_BEFORE && k->kind <= IMAP_KEY_SAVEDSINCE)
		buf_printf(b, " %lld", (long long)k->day);
	if (k->kind == IMAP_KEY_HEADER)
		show_str(b, k->field);
	if (k->kind == IMAP_KEY_KEYWORD || k->kind >= IMAP_KEY_HEADER)
		show_str(b, k->text);
	buf_putc(b, ')');
}

static void
show_list(struct buf *b, const struct imap_list *l)
{
	size_t i;

	show_str(b, l->reference);
	for (i = 0; i < l->patterns.n; i++)
		show_str(b, l->patterns.v[i]);
	buf_printf(b, "%s sel=%d%d%d%d ret=%d%d%d st=%x",
	    l->is_extended ? " ext" : "", l->select_subscribed,
	    l->select_remote, l->select_recursive, l->select_use,
	    l->return_subscribed, l->return_children, l->return_use, l->status);
}

static void
show_search(struct buf *b, const struct imap_search *s)
{
	if (s->has_return)
		buf_printf(b, " ret=%d%d%d%d%d", s->want_min, s->want_max,
		    s->want_count, s->want_all, s->want_save);
	show_key(b, s->key);
}

static void
show_strs(struct buf *b, const struct imap_strs *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		show_str(b, s->v[i]);
}

static void
show_select(struct buf *b, const struct imap_command *c)
{
	const struct imap_qresync *q = &c->u.select.qresync;

	buf_puts(b, c->u.select.condstore ? " condstore" : "");
	if (!c->u.select.has_qresync)
		return;
	buf_printf(b, " qresync %u %llu", q->uidvalidity,
	    (unsigned long long)q->modseq);
	show_set(b, &q->known_uids);
	show_set(b, &q->match_seqs);
	show_set(b, &q->match_uids);
}

static void
show_store(struct buf *b, const struct imap_store *s)
{
	show_set(b, &s->set);
	buf_printf(b, " %s%s", &"=\0+\0-\0"[2 * s->how],
	    s -> is_silent ? "silent" : "");
	show_flags(b, &s->flags);
	if (s->has_unchangedsince)
		buf_printf(b, " unchanged=%llu",
		    (unsigned long long)s->unchangedsince);
}

static void
show_id(struct buf *b, const struct imap_command *c)
{
	show_strs(b, &c->u.id.names);
	buf_puts(b, " =");
	show_strs(b, &c->u.id.values);
}

static void
show_auth(struct buf *b, const struct imap_command *c)
{
	show_str(b, c->u.authenticate.mechanism);
	if (c->u.authenticate.has_initial)
		show_str(b, c->u.authenticate.initial);
}

static void
show(struct buf *b, const struct imap_command *c)
{
	struct str verb = imap_verb_name(c->verb);

	buf_printf(b, "%.*s %s%.*s", STR_ARG(c->tag), c->is_uid ? "UID " : "",
	    STR_ARG(verb));
	if (c->mailbox.p != NULL)
		show_str(b, c->mailbox);
	switch (c->verb) {
	case IMAP_ID:
		show_id(b, c);
		break;
	case IMAP_AUTHENTICATE:
		show_auth(b, c);
		break;
	case IMAP_LOGIN:
		show_str(b, c->u.login.user);
		show_str(b, c->u.login.password);
		break;
	case IMAP_ENABLE:
		show_strs(b, &c->u.enable);
		break;
	case IMAP_SELECT:
	case IMAP_EXAMINE:
		show_select(b, c);
		break;
	case IMAP_CREATE:
		show_strs(b, &c->u.create.use);
		break;
	case IMAP_RENAME:
		show_str(b, c->u.rename_to);
		break;
	case IMAP_LIST:
	case IMAP_LSUB:
		show_list(b, &c->u.list);
		break;
	case IMAP_STATUS:
		buf_printf(b, " %x", c->u.status);
		break;
	case IMAP_EXPUNGE:
	case IMAP_COPY:
	case IMAP_MOVE:
		show_set(b, &c->u.set);
		break;
	case IMAP_SEARCH:
		show_search(b, &c->u.search);
		break;
	case IMAP_FETCH:
		show_fetch(b, &c->u.fetch);
		break;
	case IMAP_STORE:
		show_store(b, &c->u.store);
		break;
	default:
		break;
	}
}

static enum imap_parse_result
parse(struct str in, unsigned state, bool utf8, struct buf *out,
    struct imap_parse_error *e)
{
	struct imap_parse_opts opts = { .state = state, .is_utf8 = utf8 };
	struct imap_command cmd;
	enum imap_parse_result r;
	struct arena a;
	/* exactly as long as the input, so that a reader past its end is
	 * seen by the sanitizers */
	char *copy = malloc(in.n + (in.n == 0));

	if (in.n > 0)
		memcpy(copy, in.p, in.n);
	arena_init(&a, IMAP_ARENA_MAX);
	r = imap_parse(&a, str_make(copy, in.n), &opts, &cmd, e);
	if (r == IMAP_PARSED && out != NULL)
		show(out, &cmd);
	arena_release(&a);
	free(copy);
	return r;
}

#define S(in, want)                                    \
	{                                              \
		STR_INIT("a " in), STR_INIT("a " want) \
	}
#define SEL	IMAP_IN_SELECTED
#define KEYS(x) "SEARCH (AND " x ")"

/* clang-format off */
static const struct good {
	struct str in, want;
} good[] = {
	/* RFC 9051, 6.1 */
	S("CAPABILITY", "CAPABILITY"),
	S("capability", "CAPABILITY"),
	S("NOOP", "NOOP"),
	S("NOOP ", "NOOP"),
	S("LOGOUT", "LOGOUT"),
	S("ID NIL", "ID ="),
	S("ID ()", "ID ="),
	S("ID (\"name\" \"x\" \"version\" NIL)", "ID 'name' 'version' = 'x' nil"),
	S("ID ({4}\r\nname NIL)", "ID 'name' = nil"),
	/* RFC 9051, 6.3 */
	S("ENABLE CONDSTORE IMAP4rev2", "ENABLE 'CONDSTORE' 'IMAP4rev2'"),
	S("SELECT inbox", "SELECT 'inbox'"),
	S("SELECT \"a b\"", "SELECT 'a b'"),
	S("SELECT \"a\\\"\\\\b\"", "SELECT 'a\"\\b'"),
	S("SELECT {3}\r\na b", "SELECT 'a b'"),
	S("SELECT {3+}\r\na\r\n", "SELECT 'a\r\n'"),
	S("SELECT \"\"", "SELECT ''"),
	S("SELECT a]b", "SELECT 'a]b'"),
	S("SELECT x (CONDSTORE)", "SELECT 'x' condstore"),
	S("EXAMINE x (condstore)", "EXAMINE 'x' condstore"),
	/* RFC 7162, 3.2.5 */
	S("SELECT x (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
	  "SELECT 'x' qresync 67890007 20050715194045000 41-41,43-211,214-541  "),
	S("SELECT x (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:3 2:4)) CONDSTORE)",
	  "SELECT 'x' condstore qresync 67890007 90060115194045000 41-211,214-541 1-3 2-4"),
	S("SELECT x (QRESYNC (1 2 (1 2)))", "SELECT 'x' qresync 1 2  1-1 2-2"),
	S("CREATE a/b/", "CREATE 'a/b/'"),
	/* RFC 6154, 3 */
	S("CREATE Every (USE (\\All))", "CREATE 'Every' '\\All'"),
	S("CREATE Sent (USE (\\Drafts \\Sent))", "CREATE 'Sent' '\\Drafts' '\\Sent'"),
	S("CREATE Sent (USE ())", "CREATE 'Sent'"),
	S("DELETE x", "DELETE 'x'"),
	S("RENAME x y", "RENAME 'x' 'y'"),
	S("SUBSCRIBE x", "SUBSCRIBE 'x'"),
	S("UNSUBSCRIBE x", "UNSUBSCRIBE 'x'"),
	S("LIST \"\" *", "LIST '' '*' sel=0000 ret=000 st=0"),
	S("LIST \"\" \"\"", "LIST '' '' sel=0000 ret=000 st=0"),
	S("LSUB \"\" %", "LSUB '' '%' sel=1000 ret=000 st=0"),
	/* RFC 5258, 5 */
	S("LIST (SUBSCRIBED) \"\" \"*\"", "LIST '' '*' ext sel=1000 ret=100 st=0"),
	S("LIST () \"\" \"%\" RETURN (CHILDREN)", "LIST '' '%' ext sel=0000 ret=010 st=0"),
	S("LIST (REMOTE) \"\" \"%\" RETURN (CHILDREN)", "LIST '' '%' ext sel=0100 ret=010 st=0"),
	S("LIST (REMOTE SUBSCRIBED) \"\" \"*\"", "LIST '' '*' ext sel=1100 ret=100 st=0"),
	S("LIST \"\" (\"INBOX\" \"Drafts\" Sent/%)", "LIST '' 'INBOX' 'Drafts' 'Sent/%' ext sel=0000 ret=000 st=0"),
	S("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\" RETURN ()", "LIST '' '%' ext sel=1010 ret=100 st=0"),
	S("LIST (SPECIAL-USE) \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)", "LIST '' '*' ext sel=0001 ret=101 st=0"),
	/* RFC 5819, 2 */
	S("LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN) CHILDREN)", "LIST '' '%' ext sel=0000 ret=010 st=11"),
	S("NAMESPACE", "NAMESPACE"),
	S("STATUS x (UIDNEXT MESSAGES)", "STATUS 'x' 5"),
	S("STATUS x (UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT DELETED-STORAGE MAILBOXID RECENT)", "STATUS 'x' 7fa"),
	S("IDLE", "IDLE"),
	/* RFC 9051, 6.4 */
	S("CHECK", "CHECK"),
	S("CLOSE", "CLOSE"),
	S("UNSELECT", "UNSELECT"),
	S("EXPUNGE", "EXPUNGE "),
	S("UID EXPUNGE 3000:3002", "UID EXPUNGE 3000-3002"),
	S("COPY 2:4 MEETING", "COPY 'MEETING' 2-4"),
	S("UID MOVE 42:69 foo", "UID MOVE 'foo' 42-69"),
	S("COPY $ x", "COPY 'x' $"),
	/* sets, RFC 9051, 9; 0 is "*" */
	S("COPY 1 x", "COPY 'x' 1-1"),
	S("COPY * x", "COPY 'x' 0-0"),
	S("COPY 4:* x", "COPY 'x' 4-0"),
	S("COPY *:4 x", "COPY 'x' 0-4"),
	S("COPY 2,4:7,9,12:* x", "COPY 'x' 2-2,4-7,9-9,12-0"),
	S("COPY 4294967295 x", "COPY 'x' 4294967295-4294967295"),
	S("STORE 2:4 +FLAGS (\\Deleted)", "STORE 2-4 + flags=8"),
	S("STORE 1 FLAGS ()", "STORE 1-1 = flags=0"),
	S("STORE 1 -flags.silent \\Seen \\Draft $Junk x", "STORE 1-1 -silent flags=11 '$Junk' 'x'"),
	S("STORE 1 +FLAGS (\\Recent \\SEEN)", "STORE 1-1 + flags=1"),
	S("STORE 1 +FLAGS a+b/c", "STORE 1-1 + flags=0 'a+b/c'"),
	S("STORE 1 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT \\Deleted", "STORE 1-1 +silent flags=8 unchanged=320162338"),
	S("STORE 1 (UNCHANGEDSINCE 0) FLAGS ()", "STORE 1-1 = flags=0 unchanged=0"),
	/* FETCH */
	S("FETCH 1 FLAGS", "FETCH 1-1 1"),
	S("FETCH 1 ALL", "FETCH 1-1 1 3 5 8"),
	S("FETCH 1 FAST", "FETCH 1-1 1 3 5"),
	S("FETCH 1 FULL", "FETCH 1-1 1 3 5 8 9"),
	S("FETCH 1 (UID FLAGS  MODSEQ INTERNALDATE)", "FETCH 1-1 0 1 2 3"),
	S("FETCH 1 (SAVEDATE RFC822.SIZE EMAILID THREADID ENVELOPE BODY BODYSTRUCTURE PREVIEW)", "FETCH 1-1 4 5 6 7 8 9 10 11"),
	S("FETCH 1 PREVIEW (LAZY)", "FETCH 1-1 11lazy"),
	S("FETCH 1 (PREVIEW (LAZY) UID)", "FETCH 1-1 11lazy 0"),
	S("FETCH 1 BODY[]", "FETCH 1-1 12![]"),
	S("FETCH 1 body.peek[header]", "FETCH 1-1 12[HEADER]"),
	S("FETCH 1 BODY[TEXT]<0.10>", "FETCH 1-1 12![TEXT]<0.10>"),
	S("FETCH 1 BODY[1]", "FETCH 1-1 12![1.]"),
	S("FETCH 1 BODY[1.2.3]<5.6>", "FETCH 1-1 12![1.2.3.]<5.6>"),
	S("FETCH 1 BODY[4.1.MIME]", "FETCH 1-1 12![4.1.MIME]"),
	S("FETCH 1 BODY[3.HEADER]", "FETCH 1-1 12![3.HEADER]"),
	S("FETCH 1 BODY.PEEK[HEADER.FIELDS (DATE \"From\")]", "FETCH 1-1 12[FIELDS 'DATE' 'From']"),
	S("FETCH 1 BODY[2.HEADER.FIELDS.NOT ({2}\r\nTo)]", "FETCH 1-1 12![2.NOT 'To']"),
	S("FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT)", "FETCH 1-1 12![]=RFC822 12[HEADER]=RFC822.HEADER 12![TEXT]=RFC822.TEXT"),
	S("FETCH 1 BINARY[1.2]<0.5>", "FETCH 1-1 13![1.2.]<0.5>"),
	S("FETCH 1 BINARY.PEEK[]", "FETCH 1-1 13[]"),
	S("FETCH 1 BINARY.SIZE[2]", "FETCH 1-1 14[2.]"),
	S("FETCH 1 FLAGS (CHANGEDSINCE 12345)", "FETCH 1-1 1 since=12345"),
	S("UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)", "UID FETCH 300-500 1 since=12345 vanished"),
	S("FETCH 1 FLAGS (CHANGEDSINCE 0)", "FETCH 1-1 1 since=0"),
	S("FETCH 1 FAST (CHANGEDSINCE 9)", "FETCH 1-1 1 3 5 since=9"),
	/* SEARCH */
	S("SEARCH ALL", KEYS("(ALL)")),
	S("SEARCH CHARSET UTF-8 TEXT {6}\r\nf\303\266\303\266x", KEYS("(TEXT 'f\303\266\303\266x')")),
	S("SEARCH CHARSET \"us-ascii\" ALL", KEYS("(ALL)")),
	S("SEARCH 1:5 UID 7:*", KEYS("(SEQ 1-5) (UID 7-0)")),
	S("SEARCH $", KEYS("(SEQ $)")),
	S("SEARCH UID $ SEEN", KEYS("(UID $) (FLAG 1)")),
	S("SEARCH ANSWERED DELETED DRAFT FLAGGED SEEN", KEYS("(FLAG 2) (FLAG 8) (FLAG 10) (FLAG 4) (FLAG 1)")),
	S("SEARCH UNANSWERED UNSEEN", KEYS("(NOT (FLAG 2)) (NOT (FLAG 1))")),
	S("SEARCH NEW OLD RECENT", KEYS("(AND (RECENT) (NOT (FLAG 1))) (NOT (RECENT)) (RECENT)")),
	S("SEARCH KEYWORD $Junk UNKEYWORD x", KEYS("(KEYWORD '$Junk') (NOT (KEYWORD 'x'))")),
	S("SEARCH BCC a CC b FROM c TO d SUBJECT e", KEYS("(HEADER 'Bcc' 'a') (HEADER 'Cc' 'b') (HEADER 'From' 'c') (HEADER 'To' 'd') (HEADER 'Subject' 'e')")),
	S("SEARCH HEADER Message-ID <x@y>", KEYS("(HEADER 'Message-ID' '<x@y>')")),
	S("SEARCH HEADER X-Y \"\"", KEYS("(HEADER 'X-Y' '')")),
	S("SEARCH BODY \"a b\" TEXT c", KEYS("(BODY 'a b') (TEXT 'c')")),
	/* RFC 9051, 9: a number ends where its digits end */
	S("SEARCH OR LARGER 123 SMALLER 456", KEYS("(OR (LARGER 123) (SMALLER 456))")),
	S("SEARCH LARGER 123 SMALLER 456 1", KEYS("(LARGER 123) (SMALLER 456) (SEQ 1-1)")),
	S("SEARCH OLDER 60 YOUNGER 3600", KEYS("(OLDER 60) (YOUNGER 3600)")),
	S("SEARCH MODSEQ 620162338", KEYS("(MODSEQ 620162338)")),
	S("SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", KEYS("(MODSEQ 620162338)")),
	S("SEARCH BEFORE 2-Jan-1970 ON \"1-jan-1970\" SINCE 01-JAN-1970", KEYS("(BEFORE 1) (ON 0) (SINCE 0)")),
	S("SEARCH SENTBEFORE 1-Feb-2000 SENTON 1-Feb-2000 SENTSINCE 1-Feb-2000", KEYS("(SENTBEFORE 10988) (SENTON 10988) (SENTSINCE 10988)")),
	S("SEARCH SAVEDBEFORE 1-Feb-2000 SAVEDON 1-Feb-2000 SAVEDSINCE 1-Feb-2000 SAVEDATESUPPORTED", KEYS("(SAVEDBEFORE 10988) (SAVEDON 10988) (SAVEDSINCE 10988) (SAVEDATE)")),
	S("SEARCH EMAILID M1234 THREADID T1", KEYS("(EMAILID 'M1234') (THREADID 'T1')")),
	S("SEARCH NOT SEEN", KEYS("(NOT (FLAG 1))")),
	S("SEARCH OR (SEEN 1) NOT (OR DRAFT ALL)", KEYS("(OR (AND (FLAG 1) (SEQ 1-1)) (NOT (AND (OR (FLAG 10) (ALL)))))")),
	S("SEARCH RETURN () ALL", "SEARCH ret=00010 (AND (ALL))"),
	S("SEARCH RETURN (MIN MAX COUNT ALL SAVE) CHARSET UTF-8 SEEN", "SEARCH ret=11111 (AND (FLAG 1))"),
	S("UID SEARCH RETURN (SAVE) SEEN", "UID SEARCH ret=00001 (AND (FLAG 1))"),
	/* RFC 3501, 5.1.3 */
	S("SELECT ~peter/mail/&U,BTFw-/&ZeVnLIqe-", "SELECT '~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236'"),
	S("SELECT a&-b", "SELECT 'a&b'"),
	S("SELECT a&b", "SELECT 'a&b'"),       /* lenient: not UTF-7 */
	S("SELECT \"\303\266\"", "SELECT '\303\266'"), /* lenient */
	S("LIST \"\" \"&AOQ-*\"", "LIST '' '\303\244*' sel=0000 ret=000 st=0"),
};
/* clang-format on */

START_TEST(parse_good)
{
	const struct good *g = &good[_i];
	struct imap_parse_error e;
	enum imap_parse_result r;
	struct buf b;

	buf_init(&b, 1 << 20);
	r = parse(g->in, SEL, false, &b, &e);
	ck_assert_msg(r == IMAP_PARSED, "%.*s: %s", STR_ARG(g->in), e.why);
	ck_assert_msg(str_eq(buf_str(&b), g->want),
	    "%.*s\n got: %.*s\nwant: %.*s", STR_ARG(g->in),
	    STR_ARG(buf_str(&b)), STR_ARG(g->want));
	buf_release(&b);
}
END_TEST

/* Every prefix of a good command is read without harm. */
START_TEST(parse_prefixes)
{
	struct imap_parse_error e;
	size_t n;

	for (n = 0; n < good[_i].in.n; n++)
		parse(str_sub(good[_i].in, 0, n), SEL, true, NULL, &e);
}
END_TEST

/* clang-format off */
static const struct {
	struct str in;
	enum imap_parse_result want;
	struct str rest; /* where it was not understood */
} bad[] = {
	{ STR_INIT(""),               IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a"),              IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("+ NOOP"),         IMAP_SYNTAX, STR_INIT("+ NOOP") },
	{ STR_INIT("a+b NOOP"),       IMAP_SYNTAX, STR_INIT("+b NOOP") },
	{ STR_INIT("a  NOOP"),        IMAP_UNKNOWN, STR_INIT(" NOOP") },
	{ STR_INIT("a"" "),           IMAP_UNKNOWN, STR_INIT("") },
	{ STR_INIT("a XYZZY 1"),      IMAP_UNKNOWN, STR_INIT("XYZZY 1") },
	{ STR_INIT("a UID NOOP"),     IMAP_UNKNOWN, STR_INIT("UID NOOP") },
	{ STR_INIT("a UID"),          IMAP_UNKNOWN, STR_INIT("UID") },
	{ STR_INIT("a NOOP x"),       IMAP_SYNTAX, STR_INIT("x") },
	{ STR_INIT("a NOOP\tx"),      IMAP_SYNTAX, STR_INIT("\tx") },
	{ STR_INIT("a LOGIN x y"),    IMAP_WRONG_STATE, STR_INIT(" x y") },
	{ STR_INIT("a STARTTLS"),     IMAP_WRONG_STATE, STR_INIT("") },
	{ STR_INIT("a SELECT"),       IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SELECT  x"),    IMAP_SYNTAX, STR_INIT(" x") },
	{ STR_INIT("a SELECT x y"),   IMAP_SYNTAX, STR_INIT("y") },
	{ STR_INIT("a SELECT x%"),    IMAP_SYNTAX, STR_INIT("%") },
	{ STR_INIT("a SELECT x*"),    IMAP_SYNTAX, STR_INIT("*") },
	{ STR_INIT("a SELECT (x)"),   IMAP_SYNTAX, STR_INIT("(x)") },
	{ STR_INIT("a SELECT x{"),    IMAP_SYNTAX, STR_INIT("{") },
	{ STR_INIT("a SELECT \"x"),   IMAP_SYNTAX, STR_INIT("\"x") },
	{ STR_INIT("a SELECT \"x\\"), IMAP_SYNTAX, STR_INIT("\"x\\") },
	{ STR_INIT("a SELECT \"\\x\""), IMAP_SYNTAX, STR_INIT("\"\\x\"") },
	{ STR_INIT("a SELECT x\rNOOP"), IMAP_SYNTAX, STR_INIT("\rNOOP") },
	{ STR_INIT("a SELECT {2}\r\nx"), IMAP_SYNTAX, STR_INIT("x") },
	{ STR_INIT("a SELECT {1}\nx"), IMAP_SYNTAX, STR_INIT("\nx") },
	{ STR_INIT("a SELECT {1}\r\n\0"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SELECT \"\377\""), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SELECT x ()"),  IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a SELECT x (FOO)"), IMAP_SYNTAX, STR_INIT("FOO)") },
	{ STR_INIT("a SELECT x (QRESYNC (0 1))"), IMAP_SYNTAX, STR_INIT(" 1))") },
	{ STR_INIT("a SELECT x (QRESYNC (1 0))"), IMAP_SYNTAX, STR_INIT("))") },
	{ STR_INIT("a SELECT x (QRESYNC (1 2 1:*))"), IMAP_SYNTAX, STR_INIT("*))") },
	{ STR_INIT("a CREATE x (USE (Sent))"), IMAP_SYNTAX, STR_INIT("Sent))") },
	{ STR_INIT("a RENAME x"),     IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a ENABLE"),       IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a ID (\"x\")"),   IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a ID"),           IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a LIST (RECURSIVEMATCH) \"\" *"), IMAP_SYNTAX, STR_INIT(") \"\" *") },
	{ STR_INIT("a LIST (REMOTE RECURSIVEMATCH) \"\" *"), IMAP_SYNTAX, STR_INIT(") \"\" *") },
	/* wildcards are not in the reference's astring */
	{ STR_INIT("a LIST a% \"x%\""), IMAP_SYNTAX, STR_INIT("% \"x%\"") },
	{ STR_INIT("a FETCH 1 ( UID )"), IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a LIST \"\" ()"), IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a LIST \"\" * RETURN (FOO)"), IMAP_SYNTAX, STR_INIT("FOO)") },
	{ STR_INIT("a STATUS x ()"),  IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a STATUS x MESSAGES"), IMAP_SYNTAX, STR_INIT("MESSAGES") },
	{ STR_INIT("a STATUS x (MESSAGESX)"), IMAP_SYNTAX, STR_INIT("MESSAGESX)") },
	{ STR_INIT("a APPEND x"),     IMAP_SYNTAX, STR_INIT(" x") },
	{ STR_INIT("a EXPUNGE 1"),    IMAP_SYNTAX, STR_INIT("1") },
	{ STR_INIT("a UID EXPUNGE"),  IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a COPY 0 x"),     IMAP_SYNTAX, STR_INIT(" x") },
	{ STR_INIT("a COPY 1, x"),    IMAP_SYNTAX, STR_INIT(" x") },
	{ STR_INIT("a COPY 1: x"),    IMAP_SYNTAX, STR_INIT(" x") },
	{ STR_INIT("a COPY 4294967296 x"), IMAP_SYNTAX, STR_INIT("4294967296 x") },
	{ STR_INIT("a COPY 1"),       IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a COPY -1 x"),    IMAP_SYNTAX, STR_INIT("-1 x") },
	{ STR_INIT("a STORE 1 FLAG ()"), IMAP_SYNTAX, STR_INIT("FLAG ()") },
	{ STR_INIT("a STORE 1 FLAGS"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a STORE 1 FLAGS (\\Foo)"), IMAP_SYNTAX, STR_INIT("\\Foo)") },
	{ STR_INIT("a STORE 1 FLAGS (a"), IMAP_SYNTAX, STR_INIT("") },
	/* atom-specials are not in a keyword (RFC 9051, 9) */
	{ STR_INIT("a STORE 1 FLAGS a]"), IMAP_SYNTAX, STR_INIT("]") },
	{ STR_INIT("a STORE 1 FLAGS a%"), IMAP_SYNTAX, STR_INIT("%") },
	{ STR_INIT("a STORE 1 FLAGS a\""), IMAP_SYNTAX, STR_INIT("\"") },
	{ STR_INIT("a STORE 1 FLAGS \303\266"), IMAP_SYNTAX, STR_INIT("\303\266") },
	{ STR_INIT("a STORE 1 (UNCHANGEDSINCE x) FLAGS ()"), IMAP_SYNTAX, STR_INIT("x) FLAGS ()") },
	{ STR_INIT("a FETCH 1"),      IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a FETCH 1 ()"),   IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a FETCH 1 (ALL)"), IMAP_SYNTAX, STR_INIT("ALL)") },
	{ STR_INIT("a FETCH 1 FLAGS UID"), IMAP_SYNTAX, STR_INIT("UID") },
	{ STR_INIT("a FETCH 1 BODYX"), IMAP_SYNTAX, STR_INIT("BODYX") },
	{ STR_INIT("a FETCH 1 BODY["), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a FETCH 1 BODY[0]"), IMAP_SYNTAX, STR_INIT("]") },
	{ STR_INIT("a FETCH 1 BODY[MIME]"), IMAP_SYNTAX, STR_INIT("MIME]") },
	{ STR_INIT("a FETCH 1 BODY[1.]"), IMAP_SYNTAX, STR_INIT("]") },
	{ STR_INIT("a FETCH 1 BODY[HEADER.FIELDS ()]"), IMAP_SYNTAX, STR_INIT(")]") },
	{ STR_INIT("a FETCH 1 BODY[]<0>"), IMAP_SYNTAX, STR_INIT(">") },
	{ STR_INIT("a FETCH 1 BODY[]<0.0>"), IMAP_SYNTAX, STR_INIT(">") },
	{ STR_INIT("a FETCH 1 BODY[]<9223372036854775808.1>"), IMAP_SYNTAX, STR_INIT("9223372036854775808.1>") },
	{ STR_INIT("a FETCH 1 BINARY[HEADER]"), IMAP_SYNTAX, STR_INIT("HEADER]") },
	{ STR_INIT("a FETCH 1 BINARY.SIZE[1]<0.1>"), IMAP_SYNTAX, STR_INIT("<0.1>") },
	{ STR_INIT("a FETCH 1 PREVIEW (FOO)"), IMAP_SYNTAX, STR_INIT("FOO)") },
	{ STR_INIT("a FETCH 1 FLAGS (VANISHED)"), IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a FETCH 1 FLAGS (CHANGEDSINCE )"), IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a SEARCH"),       IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH "),      IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH FOO"),   IMAP_SYNTAX, STR_INIT("FOO") },
	{ STR_INIT("a SEARCH ()"),    IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a SEARCH (ALL"),  IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH ALL)"),  IMAP_SYNTAX, STR_INIT(")") },
	{ STR_INIT("a SEARCH OR ALL"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH NOT"),   IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH LARGER"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH LARGER 12a"), IMAP_SYNTAX, STR_INIT("a") },
	{ STR_INIT("a SEARCH ON 30-Feb-2020"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH ON 1-Foo-2020"), IMAP_SYNTAX, STR_INIT("-2020") },
	{ STR_INIT("a SEARCH ON \"1-Jan-2020"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH OLDER 0"), IMAP_SYNTAX, STR_INIT("") },
	{ STR_INIT("a SEARCH RETURN (FOO) ALL"), IMAP_SYNTAX, STR_INIT("FOO) ALL") },
	{ STR_INIT("a SEARCH CHARSET KOI8-R ALL"), IMAP_BADCHARSET, STR_INIT("ALL") },
	{ STR_INIT("a SEARCH SUBJECT \"\377\""), IMAP_BADCHARSET, STR_INIT("") },
};
/* clang-format on */

START_TEST(parse_bad)
{
	struct imap_parse_error e;
	enum imap_parse_result r = parse(bad[_i].in, SEL, true, NULL, &e);

	ck_assert_msg(r == bad[_i].want, "%.*s: %d (%s)", STR_ARG(bad[_i].in),
	    (int)r, e.why);
	ck_assert(e.why[0] != '\0');
	/* the echo borrows from a copy that is gone: compare lengths */
	ck_assert_msg(e.rest.n == bad[_i].rest.n ||
			  (bad[_i].rest.n == 0 && e.rest.n <= 1),
	    "%.*s: rest %zu want %zu", STR_ARG(bad[_i].in), e.rest.n,
	    bad[_i].rest.n);
}
END_TEST

START_TEST(parse_before_login)
{
	static const struct good rows[] = {
		S("LOGIN bob pass", "LOGIN 'bob' 'pass'"),
		S("LOGIN \"b o\" {3}\r\np w", "LOGIN 'b o' 'p w'"),
		S("LOGIN {2+}\r\nbo \"\"", "LOGIN 'bo' ''"),
		S("AUTHENTICATE PLAIN", "AUTHENTICATE 'PLAIN'"),
		S("AUTHENTICATE plain AGJvYgBwdw==",
		    "AUTHENTICATE 'plain' 'AGJvYgBwdw=='"),
		S("AUTHENTICATE EXTERNAL =", "AUTHENTICATE 'EXTERNAL' ''"),
		S("STARTTLS", "STARTTLS"),
	};
	struct imap_parse_error e;
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(
	    parse(rows[_i].in, IMAP_IN_NONAUTH, false, &b, &e) == IMAP_PARSED);
	ck_assert_msg(
	    str_eq(buf_str(&b), rows[_i].want), "%.*s", STR_ARG(buf_str(&b)));
	ck_assert(parse(STR("a SELECT x"), IMAP_IN_NONAUTH, false, NULL, &e) ==
		  IMAP_WRONG_STATE);
	ck_assert(parse(STR("a FETCH 1 X"), IMAP_IN_AUTH, false, NULL, &e) ==
		  IMAP_WRONG_STATE);
	buf_release(&b);
}
END_TEST

/* Names after ENABLE UTF8=ACCEPT are what they are (RFC 6855, 3). */
START_TEST(parse_utf8_names)
{
	struct imap_parse_error e;
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(parse(STR("a SELECT \"&AOQ-\303\266\""), SEL, true, &b, &e) ==
		  IMAP_PARSED);
	ck_assert(str_eq(buf_str(&b), STR("a SELECT '&AOQ-\303\266'")));
	buf_release(&b);
}
END_TEST

/* Bounds: depth, keys, items. */
START_TEST(parse_bounds)
{
	struct imap_parse_error e;
	struct buf b;
	int i;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "a SEARCH ");
	for (i = 0; i < 10000; i++)
		buf_puts(&b, i & 1 ? "NOT " : "(");
	ck_assert(parse(buf_str(&b), SEL, true, NULL, &e) == IMAP_SYNTAX);
	ck_assert_str_eq(e.why, "search keys nested too deeply");
	buf_clear(&b);
	buf_puts(&b, "a SEARCH");
	for (i = 0; i <= IMAP_MAX_KEYS; i++)
		buf_puts(&b, " ALL");
	ck_assert(parse(buf_str(&b), SEL, true, NULL, &e) == IMAP_SYNTAX);
	ck_assert_str_eq(e.why, "too many search keys");
	buf_clear(&b);
	buf_puts(&b, "a FETCH 1 (UID");
	for (i = 0; i <= IMAP_MAX_ITEMS; i++)
		buf_puts(&b, " UID");
	ck_assert(parse(buf_str(&b), SEL, true, NULL, &e) == IMAP_SYNTAX);
	ck_assert_str_eq(e.why, "too many items");
	buf_clear(&b);
	buf_puts(&b, "a COPY 1");
	for (i = 1; i < 8000; i++)
		buf_puts(&b, ",1");
	buf_puts(&b, " x");
	ck_assert(parse(buf_str(&b), SEL, true, NULL, &e) == IMAP_PARSED);
	buf_release(&b);
}
END_TEST

/* clang-format off */
static const struct {
	struct str in;
	bool first, after, ok;
	struct str want;
} appends[] = {
	{ STR_INIT("a APPEND x {5}"), true, false, true, STR_INIT("'a' 'x' flags=0") },
	{ STR_INIT("a append {1}\r\nx {5}"), true, false, true, STR_INIT("'a' 'x' flags=0") },
	{ STR_INIT("a APPEND \"x y\" (\\Seen $Junk) {310}"), true, false, true, STR_INIT("'a' 'x y' flags=1 '$Junk'") },
	{ STR_INIT("a APPEND x () \" 7-Feb-1994 21:52:25 -0800\" ~{310+}"), true, false, true, STR_INIT("'a' 'x' flags=0 760686745 -480") },
	{ STR_INIT("a APPEND x \"07-Feb-1994 21:52:25 +0130\" {3}"), true, false, true, STR_INIT("'a' 'x' flags=0 760652545 90") },
	{ STR_INIT("a APPEND x (\\Draft) UTF8 (~{3+}"), true, false, true, STR_INIT("'a' 'x' flags=10 utf8") },
	{ STR_INIT("a REPLACE 4 Drafts (\\Draft) {5}"), true, false, true, STR_INIT("'a' 'Drafts' flags=10 replaces 4-4") },
	{ STR_INIT("a UID REPLACE * {1}\r\nx {5+}"), true, false, true, STR_INIT("'a' 'x' flags=0 replaces UID 0-0") },
	{ STR_INIT("a REPLACE 1:2 x {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a REPLACE $ x {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a REPLACE x {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT(" {3}"), false, false, true, STR_INIT("nil nil flags=0") },
	{ STR_INIT(" (\\Seen) {3}"), false, false, true, STR_INIT("nil nil flags=1") },
	{ STR_INIT(") UTF8 (~{3}"), false, true, true, STR_INIT("nil nil flags=0 utf8") },
	{ STR_INIT("a APPEND {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x y {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x (\\Seen {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x \"7-Feb-1994 21:52:25\" {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x \" 7-Feb-1994 25:52:25 +0000\" {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x \" 7-Feb-1994 21:52:25 +0060\" {5}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x UTF8 ({3+}"), true, false, false, STR_INIT("") },
	{ STR_INIT("a APPEND x \"\" {3}"), true, false, false, STR_INIT("") },
	{ STR_INIT("{3}"), false, false, false, STR_INIT("") },
	{ STR_INIT(" {3}"), false, true, false, STR_INIT("") },
};
/* clang-format on */

START_TEST(parse_appends)
{
	struct imap_parse_opts opts = { .state = IMAP_IN_SELECTED };
	struct imap_parse_error e;
	struct imap_append a;
	struct arena arena;
	enum imap_parse_result r;
	struct buf b;

	arena_init(&arena, IMAP_ARENA_MAX);
	buf_init(&b, 4096);
	r = imap_parse_append(&arena, appends[_i].in, appends[_i].first,
	    appends[_i].after, &opts, &a, &e);
	ck_assert_msg((r == IMAP_PARSED) == appends[_i].ok, "%s at %.*s", e.why,
	    STR_ARG(e.rest));
	if (appends[_i].ok) {
		show_str(&b, a.tag);
		show_str(&b, a.mailbox);
		show_flags(&b, &a.flags);
		if (a.has_date)
			buf_printf(
			    &b, " %lld %d", (long long)a.date, a.zone_min);
		if (a.is_utf8)
			buf_puts(&b, " utf8");
		if (a.is_replace) {
			buf_puts(&b, a.is_uid ? " replaces UID" : " replaces");
			show_set(&b, &a.replaced);
		}
		ck_assert_msg(
		    str_eq(str_sub(buf_str(&b), 1, b.n), appends[_i].want),
		    "%.*s", STR_ARG(buf_str(&b)));
	}
	ck_assert(imap_parse_append_end(STR(""), false));
	ck_assert(imap_parse_append_end(STR(" "), false));
	ck_assert(imap_parse_append_end(STR(")"), true));
	ck_assert(!imap_parse_append_end(STR(")"), false));
	ck_assert(!imap_parse_append_end(STR(""), true));
	buf_release(&b);
	arena_release(&arena);
}
END_TEST

/* clang-format off */
static const struct {
	struct str utf7, utf8;
} names[] = {
	{ STR_INIT("INBOX"), STR_INIT("INBOX") },
	{ STR_INIT("a&-b"), STR_INIT("a&b") },
	{ STR_INIT("&AOQ-"), STR_INIT("\303\244") },
	{ STR_INIT("&AOQA5A-"), STR_INIT("\303\244\303\244") },
	{ STR_INIT("&AOQA5ADk-x"), STR_INIT("\303\244\303\244\303\244x") },
	{ STR_INIT("&2D3eAA-"), STR_INIT("\360\237\230\200") },
	{ STR_INIT("&U,BTFw-/&ZeVnLIqe-"), STR_INIT("\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236") },
};
static const struct str bad_utf7[] = {
	STR_INIT("&"), STR_INIT("a&b"), STR_INIT("&AOQ"), STR_INIT("&AGE-"),
	STR_INIT("&2D0-"), STR_INIT("&3gA-"), STR_INIT("&AOR-"), STR_INIT("&AO-"),
	STR_INIT("&AOQ=-"), STR_INIT("\303\244"), STR_INIT("&AOQ-&AOQ-"), STR_INIT("a\tb"),
};
/* clang-format on */

START_TEST(utf7_names)
{
	struct buf b;

	buf_init(&b, 4096);
	imap_utf7_encode(&b, names[_i].utf8);
	ck_assert(str_eq(buf_str(&b), names[_i].utf7));
	buf_clear(&b);
	ck_assert(imap_utf7_decode(&b, names[_i].utf7));
	ck_assert(str_eq(buf_str(&b), names[_i].utf8));
	buf_release(&b);
}
END_TEST

START_TEST(utf7_refuses)
{
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(!imap_utf7_decode(&b, bad_utf7[_i]));
	buf_clear(&b);
	imap_utf7_encode(&b, STR("\377x")); /* U+FFFD */
	ck_assert(str_eq(buf_str(&b), STR("&,,0-x")));
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("imap parse");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_loop_test(t, parse_good, 0, N(good));
	tcase_add_loop_test(t, parse_prefixes, 0, N(good));
	tcase_add_loop_test(t, parse_bad, 0, N(bad));
	tcase_add_loop_test(t, parse_before_login, 0, 7);
	tcase_add_test(t, parse_utf8_names);
	tcase_add_test(t, parse_bounds);
	tcase_add_loop_test(t, parse_appends, 0, N(appends));
	tcase_add_loop_test(t, utf7_names, 0, N(names));
	tcase_add_loop_test(t, utf7_refuses, 0, N(bad_utf7));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
