/*
 * Sessions driven from scripts. A script is lines of
 *   C: text     sent by the first client; "^" is CRLF
 *   D: text     by the second one, on the same Maildir
 *   S: text     comes next in what the last sender was answered
 *   N: text     does not come in it at all
 * The answer to a line is everything up to its tagged response, or to "+ "
 * when the line ends in a literal or in IDLE.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/imap/session.h"
#include "base/buf.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

struct client {
	int fd;
	pid_t pid;
	struct buf got;	 /* since the last line was sent */
	struct buf tag;	 /* of the command that is running */
	bool is_waiting; /* it answered "+ " */
};

struct run {
	char dir[64];
	struct client c[2];
	struct imap_limits limits;
};

static void
client_start(struct run *t, struct client *c, const char *tag)
{
	int i;
	struct imap_start start = { .account = "test",
		.login = "",
		.remote = "",
		.store.hostname = "host",
		.tag = str_from(tag),
		.input = STR(""),
		.limits = &t->limits };
	int sv[2];

	ck_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	buf_init(&c->got, 64 << 20);
	buf_init(&c->tag, 100);
	if ((c->pid = fork()) == 0) {
		close(sv[0]);
		for (i = 0; i < 2; i++)
			close(t->c[i].fd); /* not ours to hold open */
		start.in = start.out = sv[1];
		start.rootfd = open(t->dir, O_RDONLY | O_DIRECTORY);
		_exit(imap_session_run(&start));
	}
	close(sv[1]);
	c->fd = sv[0];
}

/* Until the tagged answer to `tag` (or "+ "), or the end. */
static bool
is_complete(struct client *c, struct str tag)
{
	struct str got = buf_str(&c->got), line;

	while (got.n > 0) {
		if (!str_cut(&got, '\n', &line))
			return false;
		c->is_waiting = str_starts(line, STR("+ "));
		if (str_starts(line, tag) && line.n > tag.n &&
		    line.p[tag.n] == ' ')
			return true;
		if (c->is_waiting && got.n == 0)
			return true;
	}
	return false;
}

static void
receive(struct client *c, struct str tag)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char b[65536];
	ssize_t n;

	while (!is_complete(c, tag)) {
		if (poll(&p, 1, 5000) <= 0)
			ck_abort_msg("no answer to %.*s:\n%s", STR_ARG(tag),
			    buf_cstr(&c->got));
		if ((n = read(c->fd, b, sizeof(b))) <= 0)
			return;
		buf_put(&c->got, str_make(b, (size_t)n));
	}
}

static void
unfold(struct buf *b, struct str text)
{
	size_t i;

	buf_init(b, 1 << 20);
	for (i = 0; i < text.n; i++)
		if (text.p[i] == '^')
			buf_puts(b, "\r\n");
		else
			buf_putc(b, text.p[i]);
}

static void
say(struct client *c, struct str text)
{
	struct str tag;
	struct buf b;

	unfold(&b, text);
	buf_puts(&b, "\r\n");
	buf_clear(&c->got);
	ck_assert(write(c->fd, b.p, b.n) == (ssize_t)b.n);
	buf_release(&b);
	if (!c->is_waiting) {
		str_cut(&text, ' ', &tag);
		buf_clear(&c->tag);
		buf_put(&c->tag, tag);
	}
	receive(c, buf_str(&c->tag));
}

static void
run_line(struct run *t, struct str line, struct client **last, size_t *from)
{
	struct str text = str_sub(line, 3, line.n), rest, want;
	struct buf b;
	size_t at;

	unfold(&b, text);
	want = buf_str(&b);

	switch (line.p[0]) {
	case 'C':
	case 'D':
		*last = &t->c[line.p[0] == 'D'];
		if ((*last)->fd == -1) {
			client_start(t, *last, "");
			receive(*last, STR("*"));
		}
		say(*last, text);
		*from = 0;
		break;
	case 'S':
		rest = str_sub(buf_str(&(*last)->got), *from, SIZE_MAX);
		at = str_search(rest, want);
		ck_assert_msg(at < rest.n, "not there: %.*s\nin: %s",
		    STR_ARG(text), buf_cstr(&(*last)->got));
		*from += at + want.n;
		break;
	case 'N':
		rest = buf_str(&(*last)->got);
		ck_assert_msg(str_search(rest, want) == rest.n,
		    "there: %.*s\nin: %s", STR_ARG(text),
		    buf_cstr(&(*last)->got));
		break;
	default:
		ck_abort_msg("bad script line %.*s", STR_ARG(line));
	}
	buf_release(&b);
}

static void
run_begin(struct run *t)
{
	*t = (struct run){ .limits = imap_limits_default };
	snprintf(t->dir, sizeof(t->dir), "/tmp/check_session.XXXXXX");
	ck_assert(mkdtemp(t->dir) != NULL);
	t->c[0].fd = t->c[1].fd = -1;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	return remove(path);
}

static void
run_end(struct run *t)
{
	int i, status;

	for (i = 0; i < 2; i++)
		if (t->c[i].fd != -1) {
			close(t->c[i].fd);
			waitpid(t->c[i].pid, &status, 0);
			ck_assert(WIFEXITED(status));
			buf_release(&t->c[i].got);
			buf_release(&t->c[i].tag);
		}
	nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
run_script(struct run *t, const char *script)
{
	struct str text = str_from(script), line;
	struct client *last = NULL;
	size_t from = 0;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		if (line.n > 0)
			run_line(t, line, &last, &from);
	}
}

#define MSG1 "Subject: one^From: A <a@x.org>^^first^"		     /* 42 */
#define MSG2 "Subject: two^Date: 1 Feb 2000 10:00:00 +0000^^second^" /* 57 */

/* Two messages in INBOX. */
#define TWO                                               \
	"C: p1 APPEND INBOX (\\Seen kw) {42+}^" MSG1 "\n" \
	"S: p1 OK [APPENDUID \n"                          \
	"C: p2 APPEND INBOX {57+}^" MSG2 "\n"             \
	"S: p2 OK [APPENDUID \n"

/* clang-format off */
static const struct script {
	const char *name, *text;
} scripts[] = {
{ "greeting and any state",
	"C: a CAPABILITY\nS: * CAPABILITY IMAP4rev2 IMAP4rev1 \nS: a OK\n"
	"C: b NOOP\nS: b OK\n"
	"C: c ID (\"name\" \"x\")\nS: * ID (\"name\" \"Quire\"\nS: c OK\n"
	"C: d NAMESPACE\nS: * NAMESPACE ((\"\" \"/\")) NIL NIL\nS: d OK\n"
	"C: e LOGOUT\nS: * BYE\nS: e OK\n" },
/* features A2, A3: an error is told with what was not understood, and the
 * session goes on */
{ "syntax errors",
	"C: a FOO bar\nS: a BAD unknown command at \"FOO bar\"\n"
	"C: b SELECT\nS: b BAD expected a space\n"
	"C: c SELECT INBOX junk\nS: c BAD junk at the end at \"junk\"\n"
		"C: d LOGIN a b\nS: d BAD already logged in\n"
	"C: e FETCH 1 FLAGS\nS: e BAD no mailbox is selected\n"
	"C: f APPEND INBOX\nS: f BAD expected a message\n"
	"C: g NOOP\nS: g OK\n" },
{ "select, rev1",
	TWO
	"C: a SELECT inbox\n"
	"S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft kw)\n"
	"S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft kw \\*)]\n"
	"S: * 2 EXISTS\nS: * 2 RECENT\nS: * OK [UNSEEN 2]\nS: * OK [UIDVALIDITY \n"
	"S: * OK [UIDNEXT 3]\nS: * OK [HIGHESTMODSEQ \nS: * OK [MAILBOXID (F\n"
	"S: a OK [READ-WRITE]\n"
	"N: * LIST\n"
	"C: b SELECT Sent\nS: * OK [CLOSED]\nS: * 0 EXISTS\nS: b OK\n"
	"C: c SELECT nowhere\nS: * OK [CLOSED]\nS: c NO [NONEXISTENT]\n"
	"C: d CLOSE\nS: d BAD no mailbox\n"
	"C: e EXAMINE INBOX\nS: PERMANENTFLAGS ()\nS: e OK [READ-ONLY]\n"
	"C: f STORE 1 FLAGS ()\nS: f NO [CANNOT]\n"
	"C: g EXPUNGE\nS: g NO [CANNOT]\n"
	"C: h MOVE 1 Sent\nS: h NO [CANNOT]\n"
	"C: i FETCH 2 BODY[]\nS: {57}\nS: second\nS: i OK\nN: Seen\n"
	"C: j UNSELECT\nS: j OK\n" },
{ "select, rev2",
	TWO
	"C: a ENABLE IMAP4rev2 FOO\nS: * ENABLED IMAP4rev2^\nS: a OK\n"
	"C: b SELECT INBOX\nS: * 2 EXISTS\nS: * LIST () \"/\" INBOX\nS: b OK\nN: RECENT\nN: UNSEEN\n"
	"C: c SEARCH ALL\nS: * ESEARCH (TAG \"c\") ALL 1:2\nS: c OK\n"
	"C: d UID SEARCH KEYWORD nope\nS: * ESEARCH (TAG \"d\") UID^\nS: d OK\n"
	"C: e CREATE \"\303\244/b\"\nS: e OK\n"
	"C: f LIST \"\" \"\303\244*\"\nS: \"\303\244\"\nS: \"\303\244/b\"\nS: f OK\n" },
{ "names in modified UTF-7",
	"C: a CREATE &AOQ-/b\nS: a OK [MAILBOXID (F\n"
	"C: b LIST \"\" &AOQ-%\nS: * LIST (\\HasChildren) \"/\" &AOQ-^\nS: b OK\nN: \303\n"
	"C: c SELECT &AOQ-/b\nS: c OK\n"
	"C: d CREATE &AOQ-/b\nS: d NO [ALREADYEXISTS]\n"
	"C: e ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: e OK\n"
	"C: f STATUS \"\303\244/b\" (MESSAGES)\nS: * STATUS \"\303\244/b\" (MESSAGES 0)\nS: f OK\n" },
{ "create, delete, rename",
	"C: a CREATE a/b/c/\nS: a OK\n"
	"C: b LIST \"\" a*\nS: a^\nS: a/b^\nS: a/b/c^\nS: b OK\n"
	"C: c DELETE a\nS: c NO [HASCHILDREN]\n"
	"C: d RENAME a x/y\nS: d OK\n"
	"C: e LIST \"\" x*\nS: x^\nS: x/y^\nS: x/y/b^\nS: x/y/b/c^\nS: e OK\n"
	"C: f DELETE x/y/b/c\nS: f OK\n"
	"C: g DELETE x/y/b/c\nS: g NO [NONEXISTENT]\n"
	"C: h DELETE INBOX\nS: h NO [CANNOT]\n"
	"C: i RENAME nope z\nS: i NO [NONEXISTENT]\n"
	"C: j RENAME x Sent\nS: j NO [ALREADYEXISTS]\n"
	"C: k CREATE INBOX\nS: k NO [ALREADYEXISTS]\n"
	"C: l CREATE \"#x\"\nS: l NO [CANNOT]\n"
	"C: m CREATE a//b\nS: m NO [CANNOT]\n"
	"C: n CREATE My (USE (\\Sent))\nS: n NO [USEATTR]\n"
	"C: o CREATE My (USE (\\Foo))\nS: o NO [USEATTR]\n"
	"C: p CREATE \"\"\nS: p NO [CANNOT]\n" },
/* features A31 */
{ "rename INBOX",
	TWO
	"C: a RENAME INBOX old\nS: a OK\n"
	"C: b STATUS old (MESSAGES UIDNEXT)\nS: (MESSAGES 2 UIDNEXT 3)\n"
	"C: c STATUS INBOX (MESSAGES)\nS: (MESSAGES 0)\n" },
{ "list",
	"C: a LIST \"\" \"\"\nS: * LIST (\\Noselect) \"/\" \"\"\nS: a OK\n"
	"C: b LIST \"\" *\nS: INBOX^\nS: \\Archive\nS: \\Drafts\nS: \\Junk\nS: \\Sent\nS: \\Trash\nS: b OK\n"
	"C: c LIST \"\" inb%\nS: INBOX^\nS: c OK\n"
	"C: d CREATE k/l\nS: d OK\nC: e UNSUBSCRIBE k\nS: e OK\n"
	"C: f LIST (SUBSCRIBED) \"\" k*\nS: (\\HasNoChildren \\Subscribed) \"/\" k/l\nS: f OK\n"
	"C: g LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\nS: \"/\" k (\"CHILDINFO\" (\"SUBSCRIBED\"))\nS: g OK\n"
	"C: h LIST (SPECIAL-USE) \"\" *\nS: Archive\nS: h OK\nN: INBOX\n"
	"C: i LIST \"\" (INBOX Sent) RETURN (STATUS (MESSAGES UIDNEXT))\nS: \"/\" INBOX\nS: * STATUS INBOX (MESSAGES 0 UIDNEXT 1)\nS: * STATUS Sent (MESSAGES 0\nS: i OK\n"
	"C: j LSUB \"\" %\nS: * LSUB (\\Noselect \\HasChildren) \"/\" k^\nS: j OK\nN: k/l\n"
	"C: k LIST k/ %\nS: k/l\nS: k OK\n"
	"C: l SUBSCRIBE gone\nS: l OK\n"
	"C: m LIST (SUBSCRIBED) \"\" gone\nS: \\NonExistent\nS: \\Subscribed\nS: m OK\n"
	"C: n LIST \"\" gone\nS: n OK\nN: * LIST\n" },
{ "status",
	TWO
	"C: a STATUS inbox (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT APPENDLIMIT DELETED-STORAGE MAILBOXID)\n"
	"S: * STATUS INBOX (MESSAGES 2 RECENT \nS: UIDNEXT 3 UIDVALIDITY \nS: UNSEEN 1 DELETED 0 SIZE 99 APPENDLIMIT 9223372036854775807 DELETED-STORAGE 0 MAILBOXID (F\nS: a OK\n"
	"C: b STATUS nope (MESSAGES)\nS: b NO [NONEXISTENT]\n"
	"C: c SELECT INBOX\nS: c OK\n"
	"C: d STATUS INBOX (HIGHESTMODSEQ)\nS: * STATUS INBOX (HIGHESTMODSEQ \nS: d OK\n" },
{ "append",
	"C: a APPEND nope {3}\nS: a NO [TRYCREATE]\n"
	"C: b APPEND INBOX (\\Flagged a]) {3+}^abc\nS: b BAD\n"
	"C: c APPEND INBOX {0}\nS: c NO\n"
	"C: d APPEND INBOX \" 7-Feb-1994 21:52:25 -0800\" {42}\nS: + \n"
	"C: " MSG1 "\nS: d OK [APPENDUID \n" }, /* see t_say */
{ "append, more",
	/* header only, bare LF, two at once */
	"C: a APPEND INBOX (\\Seen) \" 7-Feb-1994 21:52:25 -0800\" {10+}^Subject: x\nS: a OK [APPENDUID \n"
	"C: b APPEND INBOX {11+}^a: b^^c^ (\\Draft $Junk) {12+}^a: b^^de^\nS: b OK [APPENDUID \nS:  2:3]\n"
	"C: c SELECT INBOX\nS: * 3 EXISTS\nS: c OK\n"
	"C: d FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)\n"
	"S: * 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE \" 7-Feb-1994 21:52:25 -0800\" RFC822.SIZE 10)\n"
	"S: * 2 FETCH (FLAGS (\\Recent) \n"
	"S: * 3 FETCH (FLAGS (\\Draft $Junk \\Recent) \nS: d OK\n"
	"C: e APPEND INBOX {11+}^a: b^^c^\nS: * 4 EXISTS\nS: e OK\n"
	"C: f APPEND INBOX {11+}^a: b^^c^ junk\nS: f BAD\n"
	"C: g APPEND INBOX UTF8 (~{11+}^a: b^^c^)\nS: g BAD UTF8 was not enabled\n"
	"C: h ENABLE UTF8=ACCEPT\nS: h OK\n"
	"C: i APPEND INBOX UTF8 (~{11+}^a: b^^c^)\nS: * 5 EXISTS\nS: i OK\n"
	"C: j APPEND INBOX {11+}^a: b^^c^ {0+}^\nS: j NO\nN: EXISTS\n" },
{ "fetch",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b FETCH 1 (UID FLAGS)\nS: * 1 FETCH (UID 1 FLAGS (\\Seen kw \\Recent))^b OK\n"
	"C: c FETCH 2 BODY[]\nS: * 2 FETCH (BODY[] {57}^Subject: two^\nS: second^)^\nS: * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\nS: c OK\n"
	"C: d FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (FROM)] BODY.PEEK[HEADER.FIELDS.NOT (From)])\n"
	"S: BODY[HEADER] {35}\nS: BODY[TEXT] {7}^first^\nS: BODY[HEADER.FIELDS (FROM)] {21}^From: A <a@x.org>^^ BODY[HEADER.FIELDS.NOT (From)] {16}^Subject: one^^)\nS: d OK\n"
	"C: e FETCH 1 BODY.PEEK[]<9.3>\nS: * 1 FETCH (BODY[]<9> {3}^one)\nS: e OK\n"
	"C: f FETCH 1 BODY.PEEK[]<1000.3>\nS: BODY[]<1000> {0}^)\nS: f OK\n"
	"C: g FETCH 1 (RFC822.HEADER RFC822.SIZE)\nS: RFC822.HEADER {35}\nS: RFC822.SIZE 42)\nS: g OK\n"
	"C: h UID FETCH 1:* FLAGS\nS: * 1 FETCH (UID 1 FLAGS \nS: * 2 FETCH (UID 2 FLAGS \nS: h OK\n"
	"C: i UID FETCH 50 FLAGS\nS: i OK\nN: FETCH (\n"
	/* features A32: n:* is the last one when n is larger */
	"C: j UID FETCH 50:* UID\nS: * 2 FETCH (UID 2)^j OK\n"
	"C: k FETCH 50:* UID\nS: * 2 FETCH (UID 2)^k OK\n"
	"C: l FETCH 3 UID\nS: l BAD\n"
	"C: m FETCH 1 (ENVELOPE BODY)\nS: ENVELOPE (NIL \"one\" ((\"A\" NIL \"a\" \"x.org\")) \nS: BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1))\nS: m OK\n"
	"C: n FETCH 1 (BODY.PEEK[1] BODY.PEEK[2] BINARY.PEEK[1] BINARY.SIZE[1])\nS: BODY[1] {7}^first^ BODY[2] NIL BINARY[1] ~{7}^first^ BINARY.SIZE[1] 7)\nS: n OK\n"
	"C: o FETCH 1:2 PREVIEW\nS: * 1 FETCH (PREVIEW \"first\")^* 2 FETCH (PREVIEW \"second\")\nS: o OK\n"
	"C: p FETCH 1 (EMAILID THREADID SAVEDATE)\nS: EMAILID (M\nS: THREADID NIL SAVEDATE \"\nS: p OK\n" },
/* RFC 8508 */
{ "replace",
	TWO
	"C: x REPLACE 1 INBOX {11+}^a: b^^c^\nS: x BAD\n"
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b REPLACE 1 INBOX (\\Draft) {11+}^a: b^^c^\nS: * OK [APPENDUID \nS: 3]\nS: * 1 EXPUNGE\nS: * 2 EXISTS\nS: b OK\n"
	"C: c UID REPLACE 3 Drafts {11+}^a: b^^d^\nS: * OK [APPENDUID \nS: * 2 EXPUNGE\nS: c OK\n"
	"C: d UID REPLACE 3 Drafts {11+}^a: b^^d^\nS: d NO\n"
	"C: e REPLACE 7 Drafts {11+}^a: b^^d^\nS: e NO\n"
	"C: f REPLACE 1 nope {11+}^a: b^^d^\nS: f NO [TRYCREATE]\n"
	"C: g REPLACE 1 Drafts {11+}^a: b^^d^ {11+}^a: b^^d^\nS: g BAD\nN: EXPUNGE\n"
	"C: h STATUS Drafts (MESSAGES)\nS: (MESSAGES 1)\n" },
{ "too many keywords",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b STORE 1 +FLAGS.SILENT (k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14 k15 k16 k17 k18 k19 k20 k21 k22 k23 k24 k25 k26 k27 k28 k29 k30 k31 k32 k33 k34 k35 k36 k37 k38 k39 k40 k41 k42 k43 k44 k45 k46 k47 k48 k49 k50 k51 k52 k53 k54 k55 k56 k57 k58 k59 k60 k61 k62 k63 k64)\nS: b NO [LIMIT]\n"
	"C: c STORE 1 +FLAGS.SILENT (\\Flagged)\nS: c OK\n" },
{ "preview",
	"C: a APPEND INBOX {149+}^Content-Type: text/html^^<html><head><title>no</title><style>p{x}</style></head>^<body class=\"a\"><p>Hi  &amp; <b>bye</b>&nbsp;</p></body></html>^\nS: a OK\n"
	"C: b APPEND INBOX {49+}^a: b^^> quoted^>> more^  one ^^ two\tthree^\nS: b OK\n"
	"C: c SELECT INBOX\nS: c OK\n"
	"C: d FETCH 1:2 PREVIEW\nS: (PREVIEW \"Hi & bye\")\nS: (PREVIEW \"one two three\")\nS: d OK\n" },
{ "store",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b STORE 1 +FLAGS (\\Flagged new)\nS: * FLAGS (\nS: kw new)\nS: * 1 FETCH (UID 1 FLAGS (\\Seen \\Flagged kw new \\Recent))\nS: b OK\n"
	"C: c STORE 1:2 -FLAGS.SILENT (\\Seen kw nope)\nS: c OK\nN: FETCH\n"
	"C: d FETCH 1:2 FLAGS\nS: * 1 FETCH (FLAGS (\\Flagged new \\Recent))^* 2 FETCH (FLAGS (\\Recent))\nS: d OK\n"
	"C: e UID STORE 2 FLAGS \\Draft\nS: * 2 FETCH (UID 2 FLAGS (\\Draft \\Recent))\nS: e OK\n"
	"C: f UID STORE 99 +FLAGS \\Draft\nS: f OK\nN: FETCH\n"
	"C: g STORE 9 +FLAGS \\Draft\nS: g BAD\n"
	/* $Junk and $NotJunk exclude each other */
	"C: h STORE 2 +FLAGS ($Junk)\nS: (\\Draft $Junk \\Recent)\nS: h OK\n"
	"C: i STORE 2 +FLAGS ($NotJunk)\nS: (\\Draft $NotJunk \\Recent)\nS: i OK\n" },
{ "condstore",
	TWO
	"C: a SELECT INBOX (CONDSTORE)\nS: HIGHESTMODSEQ\nS: a OK\n"
	"C: b STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)\nS: b OK [MODIFIED 1]\nN: Flagged\n"
	"C: c UID STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)\nS: c OK [MODIFIED 1:2]\n"
	"C: d STORE 1 (UNCHANGEDSINCE 9000000000000000000) +FLAGS.SILENT (\\Flagged)\nS: * 1 FETCH (UID 1 MODSEQ (\nS: d OK\nN: FLAGS\n"
	"C: e FETCH 1:2 (UID) (CHANGEDSINCE 9000000000000000000)\nS: e OK\nN: FETCH (\n"
	"C: f FETCH 1:2 UID (CHANGEDSINCE 1)\nS: * 1 FETCH (UID 1 MODSEQ (\nS: * 2 FETCH (UID 2 MODSEQ (\nS: f OK\n"
	"C: z UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)\nS: * 1 FETCH (UID 1 FLAGS (\nS: MODSEQ (\nS: * 2 FETCH (UID 2 FLAGS (\nS: z OK\n"
	"C: g SEARCH MODSEQ 1\nS: * SEARCH 1 2 (MODSEQ \nS: g OK\n"
	"C: h SEARCH MODSEQ 9000000000000000000\nS: * SEARCH^\nS: h OK\n" },
{ "condstore comes with a command",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b FETCH 1 MODSEQ\nS: * OK [HIGHESTMODSEQ \nS: MODSEQ (\nS: b OK\n"
	"C: c STORE 1 +FLAGS \\Draft\nS: MODSEQ (\nS: c OK\n"
	"C: d FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\nS: d BAD\n"
	"C: e UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\nS: e BAD\n" },
{ "copy and move",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b COPY 1:2 Sent\nS: b OK [COPYUID \nS:  1:2 1:2] \n"
	"C: c COPY 1 nope\nS: c NO [TRYCREATE]\n"
	"C: d UID COPY 77 Sent\nS: d OK\nN: COPYUID\n"
	"C: e MOVE 1 Archive\nS: * OK [COPYUID \nS:  1 1] \nS: * 1 EXPUNGE\nS: e OK\n"
	"C: f MOVE 1 INBOX\nS: f NO [CANNOT]\n"
	"C: g COPY 1 INBOX\nS: * 2 EXISTS\nS: g OK [COPYUID \n"
	"C: h UID MOVE 1:* Trash\nS: * OK [COPYUID \nS: EXPUNGE\nS: EXPUNGE\nS: h OK\n"
	"C: i FETCH 1 FLAGS\nS: i BAD\n"
	"C: j STATUS Trash (MESSAGES)\nS: (MESSAGES 2)\n" },
{ "expunge",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b STORE 1:2 +FLAGS.SILENT \\Deleted\nS: b OK\n"
	/* features A32 */
	"C: c UID EXPUNGE 77\nS: c OK\nN: EXPUNGE^\n"
	"C: d UID EXPUNGE 77:*\nS: * 2 EXPUNGE\nS: d OK\n"
	"C: e EXPUNGE\nS: * 1 EXPUNGE\nS: e OK\n"
	"C: f APPEND INBOX (\\Deleted) {11+}^a: b^^c^\nS: f OK\n"
	"C: g CLOSE\nS: g OK\nN: EXPUNGE\n"
	"C: h STATUS INBOX (MESSAGES UIDNEXT)\nS: (MESSAGES 0 UIDNEXT 4)\n" },
{ "search",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"C: b SEARCH ALL\nS: * SEARCH 1 2^b OK\n"
	"C: c SEARCH SEEN\nS: * SEARCH 1^\n"
	"C: d SEARCH UNSEEN\nS: * SEARCH 2^\n"
	"C: e SEARCH KEYWORD KW\nS: * SEARCH 1^\n"
	"C: f SEARCH SUBJECT ONE\nS: * SEARCH 1^\n"
	"C: g SEARCH FROM a@x\nS: * SEARCH 1^\n"
	"C: h SEARCH HEADER Date \"\"\nS: * SEARCH 2^\n"
	"C: i SEARCH BODY SECOND\nS: * SEARCH 2^\n"
	"C: j SEARCH TEXT first\nS: * SEARCH 1^\n"
	"C: k SEARCH TEXT subject\nS: * SEARCH 1 2^\n"
	"C: l SEARCH BODY subject\nS: * SEARCH^\n"
	/* the day itself counts */
	"C: m SEARCH SENTSINCE 1-Feb-2000\nS: * SEARCH 2^\n"
	"C: n SEARCH SENTON 1-Feb-2000\nS: * SEARCH 2^\n"
	"C: o SEARCH SENTBEFORE 1-Feb-2000\nS: * SEARCH^\n"
	"C: p SEARCH LARGER 50\nS: * SEARCH 2^\n"
	"C: q SEARCH OR LARGER 60 SMALLER 50\nS: * SEARCH 1^\n"
	"C: r SEARCH NOT 1\nS: * SEARCH 2^\n"
	"C: s UID SEARCH UID 50:*\nS: * SEARCH 2^\n"
	"C: t SEARCH YOUNGER 3600 SINCE 1-Jan-2020\nS: * SEARCH 1 2^\n"
	"C: u SEARCH OLDER 3600\nS: * SEARCH^\n"
	"C: v SEARCH CHARSET KOI8-R ALL\nS: v NO [BADCHARSET (US-ASCII UTF-8)]\n"
	"C: w SEARCH RETURN (MIN MAX COUNT) ALL\nS: * ESEARCH (TAG \"w\") MIN 1 MAX 2 COUNT 2^\n"
	"C: x SEARCH RETURN () UNSEEN\nS: * ESEARCH (TAG \"x\") ALL 2^\n"
	"C: y SEARCH RETURN (COUNT) KEYWORD nope\nS: * ESEARCH (TAG \"y\") COUNT 0^\n"
	"C: z SEARCH RETURN (SAVE) UNSEEN\nS: z OK\nN: SEARCH (\n"
	"C: A FETCH $ UID\nS: * 2 FETCH (UID 2)^A OK\n"
	"C: B SEARCH NOT $\nS: * SEARCH 1^\n"
	"C: C SEARCH RECENT\nS: * SEARCH 1 2^\n"
	"C: D SEARCH SAVEDSINCE 1-Jan-2020 SAVEDATESUPPORTED\nS: * SEARCH 1 2^\n"
	"C: E SEARCH 1:50\nS: E OK\n" },
{ "search in charsets",
	"C: a APPEND INBOX {141+}^Subject: =?iso-8859-1?q?Gr=FC=DFe?=^Content-Type: text/plain; charset=utf-8^Content-Transfer-Encoding: base64^^R3LDvMOfZSBhdXMgS8O2bG4K^\nS: a OK\n"
	"C: b SELECT INBOX\nS: b OK\n"
	"C: c SEARCH CHARSET UTF-8 SUBJECT {8+}^gR\303\234\303\237e \nS: c OK\n"
	"C: d SEARCH CHARSET UTF-8 SUBJECT {7+}^gR\303\234\303\237e\nS: * SEARCH 1^\n"
	"C: e SEARCH CHARSET UTF-8 BODY {6+}^K\303\226LN \nS: * SEARCH^\n"
	"C: f SEARCH CHARSET UTF-8 BODY {5+}^K\303\226LN\nS: * SEARCH 1^\n"
	"C: g SEARCH BODY R3LD\nS: * SEARCH^\n" },
/* RFC 9051, 7.5.1 */
{ "EXPUNGE is kept back",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"D: x SELECT INBOX\nS: x OK\n"
	"D: y STORE 1 +FLAGS.SILENT \\Deleted\nS: y OK\n"
	"D: z EXPUNGE\nS: * 1 EXPUNGE\n"
	"C: b FETCH 1:2 FLAGS\nS: * 1 FETCH\nS: * 2 FETCH\nS: b OK\nN: EXPUNGE\n"
	"C: c FETCH 1 BODY.PEEK[TEXT]\nS: first\nS: c OK\n"
	"C: d SEARCH ALL\nS: d OK\nN: EXPUNGE\n"
	"C: e STORE 2 +FLAGS \\Flagged\nS: e OK\nN: EXPUNGE\n"
	"C: f COPY 1 Sent\nS: f NO [EXPUNGEISSUED]\n"
	"C: g UID FETCH 1:* UID\nS: * 1 EXPUNGE\nS: g OK\n"
	"C: h FETCH 1 UID\nS: (UID 2)\n" },
{ "changes of others",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"D: x SELECT INBOX\nS: x OK\n"
	"D: y STORE 2 +FLAGS (\\Answered other)\nS: y OK\n"
	"C: b NOOP\nS: * FLAGS (\nS: other)\nS: * 2 FETCH (UID 2 FLAGS (\\Answered other\nS: b OK\n"
	"C: c NOOP\nS: c OK\nN: FETCH\n"
	"D: z APPEND INBOX {11+}^a: b^^c^\nS: z OK\n"
	"C: d NOOP\nS: * 3 EXISTS\nS: * 3 FETCH (UID 3 FLAGS (\nS: d OK\n" },
{ "deleted by others",
	"C: a CREATE x\nS: a OK\nC: b SELECT x\nS: b OK\n"
	"D: y DELETE x\nS: y OK\n"
	"C: c NOOP\nS: * BYE\n" },
{ "delete the selected one",
	"C: a CREATE x\nS: a OK\nC: b SELECT x\nS: b OK\n"
	"C: c DELETE x\nS: * OK [CLOSED]\nS: c OK\n"
	"C: d FETCH 1 UID\nS: d BAD no mailbox\n" },
/* features A29 */
{ "idle",
	TWO
	"C: a SELECT INBOX\nS: a OK\n"
	"D: x SELECT INBOX\nS: x OK\n"
	"C: idle IDLE\nS: + \n"
	"D: y STORE 1 +FLAGS (\\Answered)\nS: y OK\n"
	"D: z STORE 2 +FLAGS (\\Answered)\nS: z OK\n"
	"D: z2 APPEND INBOX {11+}^a: b^^c^\nS: z2 OK\n"
	"C: DONE\nS: idle OK\n"
	"C: b NOOP\nS: b OK\n"
	"C: c FETCH 1:3 FLAGS\nS: \\Answered\nS: \\Answered\nS: * 3 FETCH\nS: c OK\n"
	"C: idle IDLE\nS: + \n"
	"C: junk\n" },
{ "the stream after errors",
	"C: a SELECT {200000}\nS: a BAD [TOOBIG]\n"
	"C: b NOOP\nS: b OK\n"
	"C: c SELECT {5+}^INBOX junk\nS: c BAD\n"
	"C: d NOOP\nS: d OK\n"
	"C: e SELECT {200000+}\nS: e BAD [TOOBIG]\nS: * BYE\n" },
{ "not enabled",
	"C: a SELECT INBOX (QRESYNC (1 2))\nS: a BAD\n"
	"C: b ENABLE FOO\nS: * ENABLED^\nS: b OK\n" },
/* RFC 7162, 3.2 */
{ "qresync",
	TWO
	"C: p3 APPEND INBOX {11+}^a: b^^c^\nS: p3 OK\n"
	"C: p4 APPEND INBOX {11+}^a: b^^d^\nS: p4 OK\n"
	"C: a ENABLE QRESYNC\nS: * ENABLED QRESYNC^\nS: a OK\n"
	"C: b SELECT INBOX (QRESYNC (1 1))\nS: * 4 EXISTS\nS: b OK\nN: FETCH\nN: VANISHED\n"
	"C: c STORE 2 +FLAGS.SILENT \\Deleted\nS: c OK\n"
	"C: d EXPUNGE\nS: * VANISHED 2^\nS: d OK [HIGHESTMODSEQ \nN: EXPUNGE^\n"
	"C: e MOVE 2 Sent\nS: * OK [COPYUID \nS: * VANISHED 3^\nS: e OK [HIGHESTMODSEQ \n"
	"C: f UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 1 VANISHED)\nS: * VANISHED (EARLIER) 2:3^\nS: * 1 FETCH (UID 1 FLAGS (\nS: MODSEQ (\nS: * 2 FETCH (UID 4\nS: f OK\n"
	"C: g UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 9000000000000000000 VANISHED)\nS: g OK\nN: VANISHED\n" },
};
/* clang-format on */

START_TEST(session_scripts)
{
	struct run t;

	run_begin(&t);
	run_script(&t, scripts[_i].text);
	run_end(&t);
}
END_TEST

/* The answer holds "[NAME number]"; take the number. */
static unsigned long long
code_number(struct client *c, const char *name)
{
	const char *at = strstr(buf_cstr(&c->got), name);

	ck_assert(at != NULL);
	return strtoull(at + strlen(name) + 1, NULL, 10);
}

/* A client that was away learns what it missed; with sequence match data
 * only what it cannot know (RFC 7162, 3.2.5). */
START_TEST(session_qresync)
{
	unsigned long long validity, modseq;
	struct run t;
	struct buf b;

	run_begin(&t);
	run_script(&t,
	    TWO "C: p3 APPEND INBOX {11+}^a: b^^c^\nS: p3 OK\n"
		"C: a ENABLE QRESYNC\nS: a OK\nC: b SELECT INBOX\nS: b OK\n");
	validity = code_number(&t.c[0], "UIDVALIDITY");
	modseq = code_number(&t.c[0], "HIGHESTMODSEQ");
	run_script(&t, "C: c STORE 2 +FLAGS.SILENT \\Deleted\nS: c OK\n"
		       "C: d EXPUNGE\nS: d OK\n"
		       "C: e STORE 2 +FLAGS.SILENT \\Flagged\nS: e OK\n");
	buf_init(&b, 4096);
	buf_printf(&b,
	    "C: f SELECT INBOX (QRESYNC (%llu %llu))\n"
	    "S: * VANISHED (EARLIER) 2^\nS: * 2 FETCH (UID 3 FLAGS (\\Flagged\n"
	    "S: f OK\nN: * 1 FETCH\n"
	    "C: g SELECT INBOX (QRESYNC (%llu %llu 3:9))\n"
	    "S: * 2 FETCH (UID 3\nS: g OK\nN: VANISHED\n"
	    "C: h SELECT INBOX (QRESYNC (%llu %llu 1:9 (1,2 1,3)))\n"
	    "S: * 2 FETCH\nS: h OK\nN: VANISHED\n"
	    "C: i SELECT INBOX (QRESYNC (%llu 9000000000000000000))\n"
	    "S: i OK\nN: VANISHED\nN: FETCH\n",
	    validity, modseq, validity, modseq, validity, modseq, validity);
	run_script(&t, buf_cstr(&b));
	buf_release(&b);
	run_end(&t);
}
END_TEST

/* What the server says without a word from the client, until it says that. */
static void
wait_for(struct client *c, const char *text)
{
	int i;

	for (i = 0; i < 50 && strstr(buf_cstr(&c->got), text) == NULL; i++) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		char b[4096];
		ssize_t n;

		if (poll(&p, 1, 200) > 0 && (n = read(c->fd, b, sizeof(b))) > 0)
			buf_put(&c->got, str_make(b, (size_t)n));
	}
	ck_assert_msg(
	    strstr(buf_cstr(&c->got), text) != NULL, "%s", buf_cstr(&c->got));
}

#define BOTH TWO "C: a SELECT INBOX\nS: a OK\nD: x SELECT INBOX\nS: x OK\n"

/* IDLE reports by itself, two changes in quick succession too. */
START_TEST(session_idle_wakes)
{
	struct run t;

	run_begin(&t);
	run_script(&t, BOTH "C: i IDLE\nS: + \n"
			    "D: y STORE 1 +FLAGS (\\Answered)\n"
			    "D: z STORE 2 +FLAGS (\\Answered)\n");
	buf_clear(&t.c[0].got);
	wait_for(&t.c[0], "* 2 FETCH");
	ck_assert(strstr(buf_cstr(&t.c[0].got), "* 1 FETCH") != NULL);
	run_end(&t);
}
END_TEST

/* What there was before comes neither before the `+' nor with it. */
START_TEST(session_idle_begins)
{
	struct run t;

	run_begin(&t);
	run_script(&t, BOTH "D: y STORE 1 +FLAGS (\\Answered)\nS: y OK\n"
			    "C: i IDLE\nS: + \nN: FETCH\n");
	ck_assert(strstr(buf_cstr(&t.c[0].got), "FETCH") == NULL);
	wait_for(&t.c[0], "* 1 FETCH");
	run_end(&t);
}
END_TEST

static int
unlink_first(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	/* the first message filed is the smaller one */
	if (flag == FTW_F && strstr(path, "/cur/") != NULL && st->st_size < 45)
		return unlink(path) == 0 ? 1 : -1;
	return 0;
}

/* A message whose file is gone: NO, and the others are served. */
START_TEST(session_missing_file)
{
	struct run t;

	run_begin(&t);
	run_script(&t, TWO "C: a SELECT INBOX\nS: a OK\n");
	ck_assert(nftw(t.dir, unlink_first, 16, FTW_PHYS) == 1);
	run_script(&t,
	    "C: b FETCH 1:2 (UID BODY.PEEK[TEXT])\n"
	    "S: * 2 FETCH (UID 2 \nS: second\nS: b NO [EXPUNGEISSUED]\n"
	    "N: * 1 FETCH\n"
	    "C: c NOOP\nS: c OK\n");
	run_end(&t);
}
END_TEST

/* Limits: silence, a client that reads nothing, too many errors. */
START_TEST(session_limits)
{
	struct run t;
	struct buf many;
	char b[4096];
	ssize_t n;
	int i, status;

	run_begin(&t);
	t.limits.idle_ms = 100;
	run_script(&t, "C: a NOOP\nS: a OK\n");
	n = read(t.c[0].fd, b, sizeof(b));
	ck_assert(n > 5 && memcmp(b, "* BYE", 5) == 0);
	run_end(&t);

	run_begin(&t);
	t.limits.bad_max = 3;
	run_script(&t,
	    "C: a X\nS: a BAD\nC: b X\nS: b BAD\nC: c NOOP\nS: c OK\n"
	    "C: d X\nS: d BAD\nC: e X\nS: e BAD\nC: f X\nS: f BAD\nS: BYE\n");
	run_end(&t);

	run_begin(&t);
	t.limits.write_ms = 200;
	run_script(&t, "C: a NOOP\nS: a OK\n");
	/* many in a write: the system counts small ones as large */
	buf_init(&many, 1 << 20);
	for (i = 0; i < 4000; i++)
		buf_puts(&many, "a CAPABILITY\r\n");
	while (send(t.c[0].fd, many.p, many.n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	buf_release(&many);
	ck_assert(waitpid(t.c[0].pid, &status, 0) == t.c[0].pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == IMAP_END_CLOSED);
	close(t.c[0].fd);
	buf_release(&t.c[0].got);
	buf_release(&t.c[0].tag);
	t.c[0].fd = -1;
	run_end(&t);
}
END_TEST

/* The session answers LOGIN itself, and begins with what came after it. */
START_TEST(session_takes_over)
{
	struct run t;
	struct imap_start start = { .account = "test",
		.store.hostname = "host",
		.tag = STR("t1"),
		.input = STR("t2 NOO"),
		.disabled = "MOVE IDLE",
		.limits = &imap_limits_default };
	int sv[2];
	struct client c = { .fd = -1 };

	run_begin(&t);
	ck_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	buf_init(&c.got, 65536);
	if ((c.pid = fork()) == 0) {
		close(sv[0]);
		start.in = start.out = sv[1];
		start.rootfd = open(t.dir, O_RDONLY | O_DIRECTORY);
		_exit(imap_session_run(&start));
	}
	close(sv[1]);
	c.fd = sv[0];
	ck_assert(write(c.fd, "P\r\n", 3) == 3);
	receive(&c, STR("t2"));
	ck_assert(str_starts(
	    buf_str(&c.got), STR("t1 OK [CAPABILITY IMAP4rev2 IMAP4rev1 ")));
	ck_assert(strstr(buf_cstr(&c.got), " MOVE ") == NULL);
	ck_assert(strstr(buf_cstr(&c.got), "\r\nt2 OK ") != NULL);
	close(c.fd);
	waitpid(c.pid, NULL, 0);
	buf_release(&c.got);
	run_end(&t);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("imap session");
	TCase *t = tcase_create("all");
	SRunner *r;

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, session_scripts, 0, N(scripts));
	tcase_add_test(t, session_qresync);
	tcase_add_test(t, session_idle_wakes);
	tcase_add_test(t, session_idle_begins);
	tcase_add_test(t, session_missing_file);
	tcase_add_test(t, session_limits);
	tcase_add_test(t, session_takes_over);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
