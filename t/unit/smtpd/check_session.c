#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

/* A host that answers at once; what it was asked to do appears between the
 * replies as "<...>". */
struct host {
	struct smtp_session *s;
	struct buf script; /* replies and deeds */
	struct buf stored;
	unsigned steps; /* of the SASL exchange */
	bool is_tls_asked, is_closed;
};

static void
take_out(struct host *h)
{
	struct buf *out = smtp_session_out(h->s);

	buf_put(&h->script, buf_str(out));
	buf_clear(out);
}

/* PLAIN: right password "pass"; SCRAM: "first", then "right" or "wrong" */
static void
do_auth(struct host *h)
{
	const struct smtp_auth_step *a = smtp_session_auth(h->s);
	struct str none = STR(""), who = STR("me");

	if (str_eq(a->mechanism, STR("PLAIN"))) {
		if (!a->has_response)
			smtp_session_auth_is(
			    h->s, SMTP_AUTH_CHALLENGE, none, none);
		else if (str_eq(a->response, STR("\0me\0pass")))
			smtp_session_auth_is(h->s, SMTP_AUTH_OK, none, who);
		else if (str_eq(a->response, STR("temp")))
			smtp_session_auth_is(h->s, SMTP_AUTH_TEMP, none, none);
		else if (str_eq(a->response, STR("many")))
			smtp_session_auth_is(
			    h->s, SMTP_AUTH_LIMITED, none, none);
		else
			smtp_session_auth_is(h->s, SMTP_AUTH_BAD, none, none);
		return;
	}
	if (a->is_first && !a->has_response)
		smtp_session_auth_is(h->s, SMTP_AUTH_CHALLENGE, none, none);
	else if (str_eq(a->response, STR("first")))
		smtp_session_auth_is(
		    h->s, SMTP_AUTH_CHALLENGE, STR("server"), none);
	else if (str_eq(a->response, STR("right")))
		smtp_session_auth_is(h->s, SMTP_AUTH_OK, STR("v=ok"), who);
	else if (str_eq(a->response, STR("binding")))
		smtp_session_auth_is(
		    h->s, SMTP_AUTH_BINDING, STR("e=cb"), none);
	else
		smtp_session_auth_is(h->s, SMTP_AUTH_BAD, STR("e=no"), none);
}

static void
do_rcpt(struct host *h)
{
	const struct smtp_rcpt *r = smtp_session_rcpt(h->s);
	struct smtp_verdict v = { 450, "4.2.1", STR("disabled") };

	if (r->is_postmaster)
		smtp_session_rcpt_is(h->s, RCPT_LOCAL, NULL);
	else if (!str_eq_nocase(r->addr.domain, STR("here.example")))
		smtp_session_rcpt_is(h->s, RCPT_FOREIGN, NULL);
	else if (str_starts(r->addr.local, STR("unknown")))
		smtp_session_rcpt_is(h->s, RCPT_UNKNOWN, NULL);
	else if (str_eq(r->addr.local, STR("disabled")))
		smtp_session_rcpt_is(h->s, RCPT_REFUSED, &v);
	else
		smtp_session_rcpt_is(h->s, RCPT_LOCAL, NULL);
}

static void
do_deliver(struct host *h)
{
	const struct smtp_mail *m = smtp_session_mail(h->s);
	struct smtp_verdict full = { 452, "4.2.2", STR("over quota") };
	struct smtp_verdict spam = { 550, "5.7.1", STR("no thanks") };
	size_t i;

	ck_assert_uint_eq(m->size, h->stored.n);
	buf_puts(&h->script, "<deliver ");
	addr_print_path(&h->script, &m->reverse_path);
	for (i = 0; i < m->n_rcpts; i++) {
		if (m->rcpts[i].is_unknown)
			continue;
		buf_putc(&h->script, ' ');
		addr_print(&h->script, &m->rcpts[i].addr);
		smtp_session_result(h->s, i,
		    str_eq(m->rcpts[i].addr.local, STR("full")) ? &full :
		    str_eq(m->rcpts[i].addr.local, STR("spam")) ? &spam :
								  NULL);
	}
	buf_puts(&h->script, " [");
	buf_put(&h->script, buf_str(&h->stored));
	buf_puts(&h->script, "]>\r\n");
	buf_clear(&h->stored);
	smtp_session_delivered(h->s);
}

static void
do_chunk(struct host *h)
{
	struct smtp_verdict v = { 452, "4.3.1", STR("disk full") };

	buf_put(&h->stored, smtp_session_chunk(h->s));
	smtp_session_chunk_is(h->s,
	    str_search(buf_str(&h->stored), STR("DISKFULL")) < h->stored.n ?
		&v :
		NULL);
}

/* Who is not let in comes from 203.0.113.66. */
static void
do_xclient(struct host *h)
{
	const struct smtp_verdict v = { 421, "4.7.0", STR("too many") };
	const struct xclient *x = smtp_session_xclient(h->s);

	buf_puts(&h->script, "<xclient ");
	xclient_print(&h->script, x);
	buf_puts(&h->script, ">\r\n");
	smtp_session_xclient_is(h->s,
	    str_eq(x->v[XCLIENT_ADDR].text, STR("203.0.113.66")) ? &v : NULL);
}

/* Run until it wants input. */
static void
serve(struct host *h, struct str *in)
{
	struct smtp_verdict v = { 550, "5.7.1", STR("sender refused") };
	enum smtp_want want = WANT_FLUSH;

	while (want != WANT_INPUT && want != WANT_CLOSE && !h->is_closed) {
		want = smtp_session_run(h->s, in);
		take_out(h);
		switch (want) {
		case WANT_INPUT:
		case WANT_FLUSH:
			break;
		case WANT_CLOSE:
			buf_puts(&h->script, "<close>");
			h->is_closed = true;
			break;
		case WANT_DELAY:
			buf_printf(&h->script, "<delay %u>\r\n",
			    smtp_session_delay(h->s));
			smtp_session_delayed(h->s);
			break;
		case WANT_STARTTLS:
			buf_puts(&h->script, "<tls>\r\n");
			smtp_session_tls_is_up(h->s, STR("TLSv1.3"), true);
			break;
		case WANT_AUTH:
			do_auth(h);
			break;
		case WANT_AUTH_CANCEL:
			buf_puts(&h->script, "<cancel>\r\n");
			smtp_session_auth_cancelled(h->s);
			break;
		case WANT_XCLIENT:
			do_xclient(h);
			break;
		case WANT_HELO:
			smtp_session_helo_is(
			    h->s, str_eq(smtp_session_helo(h->s), STR("evil")) ?
				      &v :
				      NULL);
			break;
		case WANT_MAIL:
			smtp_session_mail_is(
			    h->s, str_eq(smtp_session_mail(h->s)
					     ->reverse_path.addr.local,
				      STR("evil")) ?
				      &v :
				      NULL);
			break;
		case WANT_RCPT:
			do_rcpt(h);
			break;
		case WANT_DATA:
			smtp_session_data_is(h->s, NULL);
			break;
		case WANT_CHUNK:
			do_chunk(h);
			break;
		case WANT_DISCARD:
			buf_puts(&h->script, "<discard>\r\n");
			buf_clear(&h->stored);
			smtp_session_discarded(h->s);
			break;
		case WANT_DELIVER:
			do_deliver(h);
			break;
		}
	}
}

static void
host_init(struct host *h, const struct smtp_options *o)
{
	*h = (struct host){ .s = smtp_session_new(o) };
	buf_init(&h->script, 1 << 22);
	buf_init(&h->stored, 1 << 22);
	smtp_session_greet(h->s);
}

static void
host_release(struct host *h)
{
	smtp_session_free(&h->s);
	buf_release(&h->script);
	buf_release(&h->stored);
}

#define T	1  /* TLS is up */
#define NOT	2  /* STARTTLS is not offered */
#define LS	4  /* localserve */
#define XC	8  /* may say XCLIENT */
#define USUAL	16 /* takes messages of the usual size */
#define HI	"220 here.example ESMTP Quire\r\n"
#define CID	" (cid xyz)\r\n"
#define OK1	"250 2.1.0 sender ok\r\n"
#define OK2	"250 2.1.5 recipient ok\r\n"
#define GO	"354 go ahead\r\n"
#define ACC	"250 2.6.0 message accepted\r\n"
#define HELO	"HELO me\r\n"
#define HELLO	"250 here.example\r\n"
#define MAIL	"MAIL FROM:<a@b.example>\r\n"
#define RCPT	"RCPT TO:<joe@here.example>\r\n"
#define LOGIN	"AUTH PLAIN AG1lAHBhc3M=\r\n"
#define WELCOME "235 2.7.0 welcome\r\n"
#define BADPW	"AUTH PLAIN AG1lAHBhc3o=\r\n"
#define MANY                                                             \
	"454 4.7.0 too many failed logins from your network, try again " \
	"later" CID
#define NOPW "535 5.7.8 bad user name or password" CID
#define WHAT "500 5.5.1 unknown command" CID
#define SUB                                                                   \
	"250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"             \
	"250-REQUIRETLS\r\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 "        \
	"PLAIN LOGIN\r\n"                                                     \
	"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-LIMITS RCPTMAX=5\r\n" \
	"250-SMTPUTF8\r\n250 XCLIENT NAME ADDR PORT PROTO HELO DESTADDR "     \
	"DESTPORT REVERSE_NAME\r\n"
#define TAIL                                          \
	"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n" \
	"250-LIMITS RCPTMAX=5\r\n250 SMTPUTF8\r\n"

static const struct {
	const char *what;
	enum smtp_kind kind;
	unsigned flags;
	const char *in, *want;
} dialogues[] = {
	{ "a message", SMTP_MX, 0,
	    HELO MAIL RCPT "DATA\r\nA: b\r\n\r\nx\r\n..y\r\n.\r\nQUIT\r\n",
	    HI HELLO OK1 OK2 GO "<deliver <a@b.example> joe@here.example "
				"[A: b\r\n\r\nx\r\n.y\r\n]>\r\n" ACC
				"221 2.0.0 bye\r\n<close>" },
	{ "EHLO of MX", SMTP_MX, 0, "EHLO x\r\n",
	    HI "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	       "250-STARTTLS\r\n" TAIL },
	{ "EHLO to a front", SMTP_MX, XC, "EHLO x\r\n",
	    HI "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	       "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
	       "250-LIMITS RCPTMAX=5\r\n250-SMTPUTF8\r\n250 XCLIENT NAME "
	       "ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME\r\n" },
	{ "XCLIENT, then all begins anew", SMTP_MX, XC,
	    HELO "XCLIENT ADDR=203.0.113.7 NAME=x.example\r\n" MAIL HELO MAIL,
	    HI HELLO "<xclient NAME=x.example ADDR=203.0.113.7>\r\n" HI
		     "503 5.5.1 say EHLO first, and only one MAIL at a "
		     "time" CID HELLO OK1 },
	{ "with the client's own HELO", SMTP_MX, XC,
	    "XCLIENT ADDR=203.0.113.7 HELO=evil PROTO=ESMTP\r\n" MAIL,
	    HI "<xclient ADDR=203.0.113.7 PROTO=ESMTP HELO=evil>\r\n" HI OK1 },
	{ "a client that is not let in", SMTP_MX, XC,
	    "XCLIENT ADDR=203.0.113.66\r\n" HELO,
	    HI "<xclient ADDR=203.0.113.66>\r\n421 4.7.0 too many" CID
	       "<close>" },
	{ "a login is forgotten, LOGIN is none", SMTP_SUBMISSION, XC | T,
	    "EHLO x\r\n" LOGIN "XCLIENT LOGIN=me\r\nEHLO x\r\n" MAIL,
	    HI SUB WELCOME "<xclient LOGIN=me>\r\n" HI SUB
			   "530 5.7.0 authentication required" CID },
	{ "errors of others do not count", SMTP_MX, XC,
	    HELO "FOO\r\nFOO\r\nFOO\r\nXCLIENT PORT=1\r\nFOO\r\nRSET\r\n",
	    HI HELLO WHAT WHAT WHAT "<xclient PORT=1>\r\n" HI WHAT
				    "250 2.0.0 all forgotten\r\n" },
	{ "XCLIENT from others", SMTP_MX, 0,
	    HELO "XCLIENT ADDR=203.0.113.7\r\n" MAIL,
	    HI HELLO "550 5.7.0 you may not speak for other clients" CID OK1 },
	{ "XCLIENT in a transaction", SMTP_MX, XC,
	    HELO MAIL "XCLIENT ADDR=203.0.113.7\r\n",
	    HI HELLO OK1 "503 5.5.1 a transaction is under way" CID },
	{ "XCLIENT, malformed", SMTP_MX, XC,
	    "XCLIENT\r\nXCLIENT ADDR=x\r\nXCLIENT FOO=x\r\n",
	    HI "501 5.5.4 argument expected" CID
	       "501 5.5.4 bad attribute value" CID
	       "501 5.5.4 unknown attribute" CID },
	{ "EHLO of MX under TLS", SMTP_MX, T, "EHLO x\r\n",
	    HI "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	       "250-REQUIRETLS\r\n" TAIL },
	/* RFC 8689, 3: not without TLS */
	{ "REQUIRETLS without TLS", SMTP_MX, 0,
	    HELO "MAIL FROM:<a@b.example> REQUIRETLS\r\n" MAIL,
	    HI HELLO "523 5.7.10 REQUIRETLS needs TLS" CID OK1 },
	{ "REQUIRETLS", SMTP_MX, T,
	    HELO "MAIL FROM:<a@b.example> REQUIRETLS\r\n", HI HELLO OK1 },
	{ "EHLO of submission", SMTP_SUBMISSION, 0, "EHLO x\r\n",
	    HI "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	       "250-STARTTLS\r\n" TAIL },
	{ "EHLO of submission under TLS", SMTP_SUBMISSION, T, "EHLO x\r\n",
	    HI "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	       "250-REQUIRETLS\r\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 "
	       "PLAIN LOGIN\r\n" TAIL },
	{ "STARTTLS forgets", SMTP_MX, 0, /* RFC 3207, 4.2 */
	    HELO "STARTTLS\r\nMAIL FROM:<>\r\nSTARTTLS\r\n",
	    HI HELLO "220 2.0.0 go ahead" CID "<tls>\r\n"
		     "503 5.5.1 say EHLO first, and only one MAIL at a time" CID
		     "503 5.5.1 already speaking TLS" CID },
	{ "no STARTTLS", SMTP_MX, NOT, "STARTTLS\r\n",
	    HI "502 5.5.1 TLS not available" CID },
	/* features.md 1.3.2 */
	{ "not SMTP", SMTP_MX, 0, "GET / HTTP/1.1\r\nHost: x\r\n",
	    HI "500 5.5.2 please try again speaking smtp" CID "<close>" },
	{ "unknown later", SMTP_MX, 0, "NOOP\r\nGET / HTTP/1.1\r\nNOOP\r\n",
	    HI "250 2.0.0 ok\r\n500 5.5.1 unknown command" CID
	       "250 2.0.0 ok\r\n" },
	{ "no echo before login", SMTP_MX, 0,
	    HELO "MAIL FROM:<a@b> <script>\r\n",
	    HI HELLO "501 5.5.4 parameter expected" CID },
	{ "echo after it", SMTP_SUBMISSION, T,
	    HELO LOGIN "MAIL FROM:<a@b> <script>\r\n",
	    HI HELLO WELCOME
	    "501 5.5.4 parameter expected at \"<script>\"" CID },
	{ "too many errors", SMTP_MX, 0, HELO "a\r\nb\r\nc\r\nd\r\nNOOP\r\n",
	    HI HELLO
	    "500 5.5.1 unknown command" CID "500 5.5.1 unknown command" CID
	    "500 5.5.1 unknown command" CID "500 5.5.1 unknown command" CID
	    "421 4.7.0 too many errors" CID "<close>" },
	{ "small ones", SMTP_MX, 0, "VRFY joe\r\nEXPN list\r\nHELP\r\nRSET\r\n",
	    HI "252 2.5.0 cannot verify, but will take messages and try\r\n"
	       "252 2.5.0 cannot verify, but will take messages and try\r\n"
	       "214 2.0.0 see RFC 5321\r\n250 2.0.0 all forgotten\r\n" },
	{ "order", SMTP_MX, 0, MAIL HELO RCPT "DATA\r\n" MAIL MAIL "DATA\r\n",
	    HI "503 5.5.1 say EHLO first, and only one MAIL at a time" CID HELLO
	       "503 5.5.1 MAIL first" CID
	       "503 5.5.1 MAIL and RCPT first" CID OK1
	       "503 5.5.1 say EHLO first, and only one MAIL at a time" CID
	       "421 4.7.0 too many errors" CID "<close>" },
	{ "RSET ends a transaction", SMTP_MX, 0,
	    HELO MAIL RCPT "RSET\r\nDATA\r\n",
	    HI HELLO OK1 OK2 "250 2.0.0 all forgotten\r\n"
			     "503 5.5.1 MAIL and RCPT first" CID },
	{ "HELO refused", SMTP_MX, 0, "HELO evil\r\n" MAIL HELO MAIL,
	    HI "550 5.7.1 sender refused" CID
	       "503 5.5.1 say EHLO first, and only one MAIL at a time" CID HELLO
		   OK1 },
	{ "sender refused", SMTP_MX, 0, HELO "MAIL FROM:<evil@b>\r\n" RCPT,
	    HI HELLO "550 5.7.1 sender refused" CID
		     "503 5.5.1 MAIL first" CID },
	{ "declared size", SMTP_MX, 0, HELO "MAIL FROM:<a@b> SIZE=1001\r\n",
	    HI HELLO "552 5.2.3 message too large" CID },
	{ "more than anybody takes", SMTP_MX, USUAL,
	    HELO "MAIL FROM:<a@b> SIZE=104857601\r\n",
	    HI HELLO "552 5.3.4 message too large" CID },
	/* features.md 1.8 */
	{ "no relay", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<x@other.example>\r\n"
		      "DATA\r\n",
	    HI HELLO OK1 "550 5.1.1 not a domain of this server" CID
			 "554 5.5.1 no valid recipients" CID },
	{ "unknown after DATA", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<unknown@here.example>\r\nDATA\r\nx\r\n.\r\n"
		      "NOOP\r\n",
	    HI HELLO OK1 OK2 GO "<discard>\r\n<delay 5000>\r\n"
				"550 5.1.1 no such user" CID
				"250 2.0.0 ok\r\n" },
	{ "one known, one not", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<unknown@here.example>\r\n" RCPT
		      "DATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 OK2 GO
	    "<deliver <a@b.example> joe@here.example [x\r\n]>\r\n" ACC },
	{ "postmaster", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<PostMaster>\r\nDATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 GO "<deliver <a@b.example> postmaster "
				"[x\r\n]>\r\n" ACC },
	{ "empty local part", SMTP_MX, 0, /* A55 */
	    HELO "MAIL FROM:<\"\"@b>\r\nRCPT TO:<\"\"@here.example>\r\n"
		 "DATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 GO "<deliver <\"\"@b> \"\"@here.example "
				"[x\r\n]>\r\n" ACC },
	{ "one recipient of a bounce", SMTP_MX, 0,
	    HELO "MAIL FROM:<>\r\n" RCPT RCPT,
	    HI HELLO OK1 OK2
	    "452 4.5.3 only one recipient for a null sender" CID },
	{ "too many recipients", SMTP_MX, 0,
	    HELO MAIL
	    "RCPT TO:<a@here.example>\r\nRCPT TO:<b@here.example>\r\n"
	    "RCPT TO:<c@here.example>\r\nRCPT TO:<d@here.example>\r\n" RCPT
	    "RCPT TO:<e@here.example>\r\n",
	    HI HELLO OK1 OK2 OK2 OK2 OK2 OK2
	    "452 4.5.3 too many recipients" CID },
	{ "the same recipient twice", SMTP_MX, 0,
	    HELO MAIL RCPT "RCPT TO:<joe@HERE.example>\r\nDATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 OK2 GO
	    "<deliver <a@b.example> joe@here.example [x\r\n]>\r\n" ACC },
	{ "recipient refused", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<disabled@here.example>\r\n",
	    HI HELLO OK1 "450 4.2.1 disabled" CID },
	{ "UTF-8", SMTP_MX, 0, /* RFC 6531 */
	    HELO "MAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\n"
		 "RCPT TO:<\xc3\xa4@here.example>\r\nRSET\r\n" MAIL
		 "RCPT TO:<\xc3\xa4@here.example>\r\n",
	    HI HELLO OK1 OK2 "250 2.0.0 all forgotten\r\n" OK1
			     "553 5.6.7 address needs SMTPUTF8" CID },
	/* results */
	{ "all fail alike", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<full@here.example>\r\nDATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 GO
	    "<deliver <a@b.example> full@here.example [x\r\n]>\r\n"
	    "452 4.2.2 over quota" CID },
	{ "all fail differently", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<full@here.example>\r\n"
		      "RCPT TO:<spam@here.example>\r\nDATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 OK2 GO
	    "<deliver <a@b.example> full@here.example"
	    " spam@here.example [x\r\n]>\r\n451-4.0.0 all recipients failed"
	    "\r\n451-4.0.0 full@here.example: 452 4.2.2 over quota\r\n"
	    "451 4.0.0 spam@here.example: 550 5.7.1 no thanks" CID },
	{ "smuggling", SMTP_MX, 0, /* features.md 1.9 */
	    HELO MAIL RCPT "DATA\r\nx\n.\nMAIL FROM:<c@d>\r\n.\r\nNOOP\r\n",
	    HI HELLO OK1 OK2 GO
	    "<discard>\r\n500 5.5.2 bare CR, or bare LF "
	    "around a dot: refused as an attempt at SMTP smuggling" CID
	    "250 2.0.0 ok\r\n" },
	{ "disk full", SMTP_MX, 0,
	    HELO MAIL RCPT "DATA\r\nDISKFULL\r\nmore\r\n.\r\nNOOP\r\n",
	    HI HELLO OK1 OK2 GO "<discard>\r\n452 4.3.1 disk full" CID
				"250 2.0.0 ok\r\n" },
	{ "loop", SMTP_MX, 0,
	    HELO MAIL RCPT "DATA\r\nReceived: a\r\nReceived: b\r\nReceived: "
			   "c\r\nReceived: d\r\n\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 GO "<discard>\r\n550 5.4.6 too many Received "
				"fields: a mail loop" CID },
	/* submission */
	{ "login first", SMTP_SUBMISSION, T, HELO MAIL,
	    HI HELLO "530 5.7.0 authentication required" CID },
	{ "TLS before login", SMTP_SUBMISSION, 0, HELO LOGIN,
	    HI HELLO "538 5.7.11 STARTTLS first" CID },
	{ "submission", SMTP_SUBMISSION, T,
	    HELO LOGIN MAIL
	    "RCPT TO:<x@other.example>\r\n"
	    "RCPT TO:<unknown@here.example>\r\nDATA\r\nA: b\r\n\r\n.\r\n",
	    HI HELLO WELCOME OK1 OK2
	    "550 5.1.1 no such user" CID GO
	    "<deliver <a@b.example> x@other.example [A: b\r\n\r\n]>\r\n" ACC },
	{ "submission without body", SMTP_SUBMISSION, T,
	    HELO LOGIN MAIL RCPT "DATA\r\nA: b\r\n.\r\n",
	    HI HELLO WELCOME OK1 OK2 GO
	    "<discard>\r\n554 5.6.0 message without a body" CID },
	/* AUTH, features.md 1.6 */
	{ "no AUTH on MX", SMTP_MX, T, HELO LOGIN,
	    HI HELLO "502 5.5.1 AUTH not available" CID },
	{ "PLAIN in two steps", SMTP_SUBMISSION, T,
	    HELO "AUTH PLAIN\r\nAG1lAHBhc3M=\r\n" LOGIN,
	    HI HELLO "334 \r\n" WELCOME "503 5.5.1 already authenticated" CID },
	{ "not within a transaction", SMTP_SUBMISSION, T, HELO LOGIN MAIL LOGIN,
	    HI HELLO WELCOME OK1
	    "503 5.5.1 not before EHLO nor within a transaction" CID },
	{ "unknown mechanism", SMTP_SUBMISSION, T,
	    HELO "AUTH NTLM\r\nAUTH CRAM-MD5\r\n",
	    HI HELLO "504 5.5.4 unknown mechanism" CID
		     "504 5.5.4 unknown mechanism" CID },
	{ "abort", SMTP_SUBMISSION, T, HELO "AUTH PLAIN\r\n*\r\nNOOP\r\n",
	    HI HELLO "334 \r\n<cancel>\r\n501 5.7.0 authentication aborted" CID
		     "250 2.0.0 ok\r\n" },
	{ "bad base64", SMTP_SUBMISSION, T, HELO "AUTH PLAIN\r\n!\r\nNOOP\r\n",
	    HI HELLO "334 \r\n<cancel>\r\n501 5.5.2 bad base64" CID
		     "250 2.0.0 ok\r\n" },
	{ "SCRAM", SMTP_SUBMISSION, T,
	    HELO "AUTH SCRAM-SHA-256 Zmlyc3Q=\r\ncmlnaHQ=\r\n\r\nNOOP\r\n",
	    HI HELLO "334 c2VydmVy\r\n334 dj1vaw==\r\n" WELCOME
		     "250 2.0.0 ok\r\n" },
	{ "SCRAM given up at the end", SMTP_SUBMISSION, T,
	    HELO "AUTH SCRAM-SHA-256 Zmlyc3Q=\r\ncmlnaHQ=\r\n*\r\n" MAIL,
	    HI HELLO "334 c2VydmVy\r\n334 dj1vaw==\r\n"
		     "501 5.7.0 authentication aborted" CID
		     "530 5.7.0 authentication required" CID },
	{ "SCRAM fails, the abort line is read", SMTP_SUBMISSION, T, /* A18 */
	    HELO "AUTH SCRAM-SHA-256 Zmlyc3Q=\r\nd3Jvbmc=\r\n*\r\nNOOP\r\n",
	    HI HELLO "334 c2VydmVy\r\n334 ZT1ubw==\r\n" NOPW
		     "250 2.0.0 ok\r\n" },
	{ "binding", SMTP_SUBMISSION, T,
	    HELO "AUTH SCRAM-SHA-256-PLUS Zmlyc3Q=\r\nYmluZGluZw==\r\n*\r\n",
	    HI HELLO "334 c2VydmVy\r\n334 ZT1jYg==\r\n"
		     "535 5.7.7 channel binding mismatch" CID },
	{ "not now", SMTP_SUBMISSION, T, HELO "AUTH PLAIN dGVtcA==\r\n",
	    HI HELLO "454 4.7.0 authentication not possible now" CID },
	/* nobody learns anything, however often they ask */
	{ "limited", SMTP_SUBMISSION, T,
	    HELO "AUTH PLAIN bWFueQ==\r\nAUTH PLAIN bWFueQ==\r\n",
	    HI HELLO MANY MANY },
	{ "delays", SMTP_SUBMISSION, T, /* features.md 1.5.3 */
	    HELO BADPW BADPW BADPW BADPW BADPW LOGIN,
	    HI HELLO NOPW NOPW NOPW NOPW "<delay 1000>\r\n" NOPW
					 "<delay 2000>\r\n" WELCOME },
	{ "too many failures", SMTP_SUBMISSION, T,
	    HELO BADPW BADPW BADPW BADPW BADPW BADPW "NOOP\r\n",
	    HI HELLO NOPW NOPW NOPW NOPW
	    "<delay 1000>\r\n" NOPW "<delay 2000>\r\n" NOPW
	    "421 4.7.0 too many failures" CID "<close>" },
	/* LMTP, RFC 2033 */
	{ "LMTP", SMTP_LMTP, 0,
	    "EHLO x\r\nLHLO x\r\n" MAIL RCPT "RCPT TO:<full@here.example>\r\n"
	    "RCPT TO:<unknown@here.example>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n",
	    "220 here.example LMTP Quire\r\n500 5.5.1 unknown command" CID
	    "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	    "250-STARTTLS\r\n" TAIL OK1 OK2 OK2 "550 5.1.1 no such user" CID GO
	    "<deliver <a@b.example> joe@here.example full@here.example "
	    "[x\r\n]>\r\n250 delivered\r\n452 4.2.2 over quota" CID
	    "250 2.0.0 ok\r\n" },
	{ "LMTP loop", SMTP_LMTP, 0,
	    "LHLO x\r\n" MAIL RCPT RCPT "DATA\r\na\r.\r\n.\r\nQUIT\r\n",
	    "220 here.example LMTP Quire\r\n"
	    "250-here.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
	    "250-STARTTLS\r\n" TAIL OK1 OK2 OK2 GO
	    "500 5.5.2 bare CR, or bare LF "
	    "around a dot: refused as an attempt at SMTP smuggling" CID
	    "500 5.5.2 bare CR, or bare LF "
	    "around a dot: refused as an attempt at SMTP smuggling" CID
	    "<discard>\r\n221 2.0.0 bye\r\n<close>" },
	/* localserve, features.md 1.13 */
	{ "errors at DATA", SMTP_MX, LS,
	    HELO MAIL
	    "RCPT TO:<x-temperror@here.example>\r\nDATA\r\nx\r\n"
	    ".\r\n" MAIL "RCPT TO:<x-permerror@here.example>\r\nDATA\r\nx\r\n"
	    ".\r\n" MAIL
	    "RCPT TO:<x599@here.example>\r\nDATA\r\nx\r\n.\r\n" MAIL
	    "RCPT TO:<x-timeout@here.example>\r\nDATA\r\nx\r\n.\r\n" MAIL
	    "RCPT TO:<x600@here.example>\r\nDATA\r\nx\r\n.\r\n",
	    HI HELLO OK1 OK2 GO
	    "<discard>\r\n"
	    "451 4.0.0 temporary error asked for by the address" CID OK1 OK2 GO
	    "<discard>\r\n"
	    "550 5.0.0 permanent error asked for by the address" CID OK1 OK2 GO
	    "<discard>\r\n"
	    "599 5.0.0 error asked for by the address" CID OK1 OK2 GO
	    "<discard>\r\n<delay 3600000>\r\n"
	    "451 4.0.0 temporary error asked for by the address" CID OK1 OK2 GO
	    "<deliver <a@b.example> x600@here.example [x\r\n]>\r\n" ACC },
	{ "errors at MAIL and RCPT", SMTP_MX, LS,
	    HELO "MAIL FROM:<mailfrom-temperror@b>\r\n"
		 "MAIL FROM:<mailfrom-timeout@b>\r\n" MAIL
		 "RCPT TO:<rcptto-permerror@here.example>\r\n"
		 "RCPT TO:<rcptto-421@here.example>\r\n",
	    HI HELLO
	    "451 4.0.0 temporary error asked for by the address" CID
	    "<delay 3600000>\r\n"
	    "451 4.0.0 temporary error asked for by the address" CID OK1
	    "550 5.0.0 permanent error asked for by the address" CID
	    "421 4.0.0 error asked for by the address" CID "<close>" },
	{ "not on a real server", SMTP_MX, 0,
	    HELO MAIL "RCPT TO:<rcptto-permerror@here.example>\r\n",
	    HI HELLO OK1 OK2 },
};

static struct smtp_options
options(enum smtp_kind kind, unsigned flags)
{
	struct smtp_options o = { .kind = kind,
		.hostname = STR("here.example"),
		.local_ip = STR("192.0.2.1"),
		.peer_ip = STR("192.0.2.2"),
		.cid = STR("xyz"),
		.has_starttls = !(flags & NOT),
		.is_localserve = flags & LS,
		.trusts_xclient = flags & XC,
		.checks_helo = true,
		.limits = smtp_limits_default };

	if (!(flags & USUAL))
		o.limits.max_size = 1000;
	o.limits.max_errors = 3;
	o.limits.max_rcpts = 5;
	o.limits.max_received = 3;
	o.limits.max_auth_failures = 6;
	return o;
}

START_TEST(dialogue)
{
	struct smtp_options o =
	    options(dialogues[_i].kind, dialogues[_i].flags);
	struct str all = str_from(dialogues[_i].in), in;
	struct host h;
	size_t k, at;

	host_init(&h, &o);
	if (dialogues[_i].flags & T)
		smtp_session_set_tls(h.s, STR("TLSv1.3"), true);
	in = all;
	serve(&h, &in);
	eq(buf_str(&h.script), str_from(dialogues[_i].want));
	host_release(&h);
	/* octet by octet; what is not taken stays in front */
	host_init(&h, &o);
	if (dialogues[_i].flags & T)
		smtp_session_set_tls(h.s, STR("TLSv1.3"), true);
	for (at = 0, k = 1; k <= all.n && !h.is_closed; k++) {
		in = str_sub(all, at, k - at);
		serve(&h, &in);
		at = k - in.n;
	}
	eq(buf_str(&h.script), str_from(dialogues[_i].want));
	host_release(&h);
}
END_TEST

START_TEST(pipelined_replies_are_one)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct smtp_session *s = smtp_session_new(&o);
	struct str in = STR("NOOP\r\nNOOP\r\nNOOP\r\nNO");

	ck_assert_int_eq(smtp_session_run(s, &in), WANT_INPUT);
	eq(in, STR("NO"));
	eq(buf_str(smtp_session_out(s)),
	    STR("250 2.0.0 ok\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n"));
	smtp_session_free(&s);
}
END_TEST

START_TEST(output_is_bounded)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct smtp_session *s = smtp_session_new(&o);
	struct buf b;
	struct str in;
	int i;

	buf_init(&b, 1 << 20);
	for (i = 0; i < 100000; i++)
		buf_puts(&b, "NOOP\r\n");
	in = buf_str(&b);
	ck_assert_int_eq(smtp_session_run(s, &in), WANT_FLUSH);
	ck_assert_uint_lt(smtp_session_out(s)->n, o.limits.max_out + 1000);
	buf_release(&b);
	smtp_session_free(&s);
}
END_TEST

START_TEST(long_lines)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct host h;
	struct buf b;
	struct str in;
	size_t n = _i == 0 ? 2046 : 2047;

	buf_init(&b, 4096);
	buf_puts(&b, "NOOP ");
	while (b.n < n)
		buf_putc(&b, 'x');
	buf_puts(&b, "\r\n");
	host_init(&h, &o);
	in = buf_str(&b);
	serve(&h, &in);
	eq(buf_str(&h.script),
	    _i == 0 ? STR(HI "250 2.0.0 ok\r\n") :
		      STR(HI "500 5.5.0 line too long" CID "<close>"));
	host_release(&h);
	buf_release(&b);
}
END_TEST

/* More than the limit: read to the end, then refused; the next one is fine.
 * After too many without success there is no next one (1.3.7). */
START_TEST(failed_messages)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct host h;
	struct str in;
	int i, k;
	bool good_first = _i == 1;

	host_init(&h, &o);
	in = STR(HELO);
	serve(&h, &in);
	if (good_first) {
		in = STR(MAIL RCPT "DATA\r\nx\r\n.\r\n");
		serve(&h, &in);
	}
	for (i = 0; i < 12; i++) {
		in = STR(MAIL RCPT "DATA\r\n");
		serve(&h, &in);
		for (k = 0; k < 100 && !h.is_closed; k++) {
			in = STR("0123456789012345678901234567890\r\n");
			serve(&h, &in);
		}
		buf_clear(&h.script);
		in = STR(".\r\n");
		serve(&h, &in);
		if (i < 11 || good_first)
			eq(buf_str(&h.script), STR("<discard>\r\n552 5.2.3 "
						   "message too large" CID));
	}
	ck_assert(h.is_closed != good_first);
	host_release(&h);
}
END_TEST

START_TEST(endings)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct host h;
	struct str in = STR(HELO MAIL RCPT "DATA\r\nhalf a mess");

	host_init(&h, &o);
	serve(&h, &in);
	buf_clear(&h.script);
	smtp_session_end(h.s, "4.3.2", STR("shutting down"));
	in = STR("age\r\n.\r\n");
	serve(&h, &in);
	eq(buf_str(&h.script), STR("421 4.3.2 shutting down" CID "<close>"));
	host_release(&h);
	/* an answer that comes after the end changes nothing */
	o.checks_helo = false;
	host_init(&h, &o);
	in = STR(HELO MAIL RCPT);
	take_out(&h);
	ck_assert_int_eq(smtp_session_run(h.s, &in), WANT_MAIL);
	smtp_session_end(h.s, "4.4.2", STR("timeout"));
	smtp_session_mail_is(h.s, NULL);
	ck_assert_int_eq(smtp_session_run(h.s, &in), WANT_CLOSE);
	ck_assert(str_ends(buf_str(smtp_session_out(h.s)), STR("timeout" CID)));
	host_release(&h);
	/* refused at the door */
	h.s = smtp_session_new(&o);
	smtp_session_refuse(h.s, 421, "4.7.0", STR("too many connections"));
	in = STR("");
	ck_assert_int_eq(smtp_session_run(h.s, &in), WANT_CLOSE);
	smtp_session_free(&h.s);
}
END_TEST

/* Refused recipients leave nothing behind: no memory grows with them. */
START_TEST(recipients_are_bounded)
{
	struct smtp_options o = options(SMTP_MX, 0);
	struct host h;
	struct str in = STR(HELO MAIL);
	int i;

	host_init(&h, &o);
	serve(&h, &in);
	for (i = 0; i < 100000; i++) {
		in = STR("RCPT TO:<disabled@here.example>\r\n");
		serve(&h, &in);
		buf_clear(&h.script);
	}
	ck_assert(!h.is_closed);
	host_release(&h);
}
END_TEST

START_TEST(trace_of_session)
{
	struct smtp_options o = options(SMTP_SUBMISSION, 0);
	struct host h;
	struct smtp_trace t;
	struct buf b;
	struct str in = STR("EHLO client.example\r\n" LOGIN);

	host_init(&h, &o);
	smtp_session_set_tls(h.s, STR("TLSv1.3 X"), true);
	serve(&h, &in);
	ck_assert(smtp_session_is_authenticated(h.s));
	eq(smtp_session_account(h.s), STR("me"));
	smtp_session_trace(h.s, &t);
	buf_init(&b, 1000);
	smtp_received_put(&b, &t);
	eq(buf_str(&b),
	    STR("Received: from client.example\r\n"
		"\tby here.example ([192.0.2.1])\r\n"
		"\tvia tcp with ESMTPSA id xyz\r\n\t(TLSv1.3 X);\r\n"
		"\tThu, 1 Jan 1970 00:00:00 +0000\r\n"));
	buf_release(&b);
	host_release(&h);
}
END_TEST

/* Slow after the third failed login or when the host says so, until a login
 * succeeds; neither TLS nor a new greeting ends it. */
START_TEST(slow)
{
	struct smtp_options o = options(SMTP_SUBMISSION, 0);
	struct host h;
	struct str in = STR("EHLO me\r\n");

	o.auth_without_tls = true;
	host_init(&h, &o);
	serve(&h, &in);
	if (_i == 0)
		in = STR(BADPW BADPW);
	serve(&h, &in);
	ck_assert(!smtp_session_is_slow(h.s));
	if (_i == 0)
		in = STR(BADPW);
	else
		smtp_session_set_slow(h.s);
	serve(&h, &in);
	ck_assert(smtp_session_is_slow(h.s));
	in = STR("STARTTLS\r\n");
	serve(&h, &in);
	in = STR("EHLO me\r\n");
	serve(&h, &in);
	ck_assert(smtp_session_is_tls(h.s));
	ck_assert(smtp_session_is_slow(h.s));
	in = STR(LOGIN);
	serve(&h, &in);
	ck_assert(smtp_session_is_authenticated(h.s));
	ck_assert(!smtp_session_is_slow(h.s));
	host_release(&h);
}
END_TEST

/* slow_after 0: never, and nobody waits; else as often as it says. */
START_TEST(slow_numbers)
{
	static const struct {
		unsigned after, login_wait_ms, is_slow_at;
		struct str delays[5];
	} rows[] = {
		{ 3, 1000, 3,
		    { STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT(""),
			STR_INIT("<delay 1000>\r\n") } },
		{ 1, 200, 1,
		    { STR_INIT(""), STR_INIT(""), STR_INIT("<delay 200>\r\n"),
			STR_INIT("<delay 400>\r\n"),
			STR_INIT("<delay 600>\r\n") } },
		{ 2, 0, 2,
		    { STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT(""),
			STR_INIT("") } },
		{ 0, 1000, 99,
		    { STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT(""),
			STR_INIT("") } },
	};
	struct smtp_options o = options(SMTP_SUBMISSION, 0);
	struct str in = STR("EHLO me\r\n");
	struct str want;
	struct host h;
	unsigned i;

	o.auth_without_tls = true;
	o.limits.slow_after = rows[_i].after;
	o.limits.login_wait_ms = rows[_i].login_wait_ms;
	host_init(&h, &o);
	serve(&h, &in);
	for (i = 0; i < 5; i++) {
		ck_assert(
		    smtp_session_is_slow(h.s) == (i >= rows[_i].is_slow_at));
		want = rows[_i].delays[i];
		buf_clear(&h.script);
		in = STR(BADPW);
		serve(&h, &in);
		eq(str_sub(buf_str(&h.script), 0, want.n), want);
		eq(str_sub(buf_str(&h.script), want.n, SIZE_MAX), STR(NOPW));
	}
	host_release(&h);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("session");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, dialogue, 0, N(dialogues));
	tcase_add_test(t, pipelined_replies_are_one);
	tcase_add_test(t, output_is_bounded);
	tcase_add_loop_test(t, long_lines, 0, 2);
	tcase_add_loop_test(t, failed_messages, 0, 2);
	tcase_add_test(t, endings);
	tcase_add_test(t, recipients_are_bounded);
	tcase_add_test(t, trace_of_session);
	tcase_add_loop_test(t, slow, 0, 2);
	tcase_add_loop_test(t, slow_numbers, 0, 4);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}
