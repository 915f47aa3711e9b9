/*
 * Tagged answers and capabilities.
 */
#include "imap.h"

#include <errno.h>
#include <string.h>

#include "format/imap/print.h"

/* An unparsed rest is echoed up to here. */
#define MAX_ECHO 100

static void
reply(struct session *s, struct str tag, const char *word, const char *code,
    const char *text)
{
	out_put(&s->out, tag.n == 0 ? STR("*") : tag);
	out_puts(&s->out, word);
	if (code != NULL) {
		out_puts(&s->out, "[");
		out_puts(&s->out, code);
		out_puts(&s->out, "] ");
	}
	imap_print_text(&s->out.b, str_from(text), s->is_utf8);
	out_puts(&s->out, "\r\n");
}

void
reply_ok(struct session *s, struct str tag, const char *code, const char *text)
{
	reply(s, tag, " OK ", code, text);
	s->bad = 0;
}

void
reply_no(struct session *s, struct str tag, const char *code, const char *text)
{
	reply(s, tag, " NO ", code, text);
	s->bad = 0;
}

void
reply_expunged(struct session *s, struct str tag, uint32_t n, const char *text)
{
	struct buf code;

	if (n == 0 || !s->has_qresync || s->mbox == NULL) {
		reply_ok(s, tag, NULL, text);
		return;
	}
	buf_init(&code, 100);
	buf_puts(&code, "HIGHESTMODSEQ ");
	buf_put_uint(&code, mailbox_counts(s->mbox)->highestmodseq);
	reply_ok(s, tag, buf_cstr(&code), text);
	buf_release(&code);
}

void
reply_bad(struct session *s, struct str tag, const char *code, const char *why,
    struct str rest)
{
	struct buf b;

	buf_init(&b, 1024);
	buf_puts(&b, why);
	if (rest.n > 0) {
		buf_puts(&b, " at \"");
		buf_put(&b, str_sub(rest, 0, MAX_ECHO));
		buf_puts(&b, rest.n > MAX_ECHO ? "...\"" : "\"");
	}
	reply(s, tag, " BAD ", code, buf_cstr(&b));
	buf_release(&b);
	if (++s->bad >= s->limits->bad_max)
		session_bye(s, IMAP_END_REFUSED, "too many errors");
}

/* The response code of a failure (RFC 5530, RFC 9051, 7.1). */
static const char *
err_code(const struct err *e)
{
	switch (e->kind) {
	case ERR_SPACE:
		return "OVERQUOTA";
	case ERR_TEMP:
		if (e->sys == EAGAIN || e->sys == EBUSY ||
		    e->sys == ETIMEDOUT || e->sys == EDEADLK)
			return "INUSE";
		return "UNAVAILABLE";
	case ERR_PERM:
		break;
	}
	return e->sys == ENOENT ? "EXPUNGEISSUED" : "CANNOT";
}

void
reply_err(struct session *s, struct str tag, const struct err *e)
{
	if (e->kind != ERR_PERM)
		session_log(s, 0, "imap.store_failed", e->text);
	reply_no(s, tag, err_code(e), e->text);
}

void
reply_account(struct session *s, struct str tag, enum account_result r,
    const struct err *e)
{
	switch (r) {
	case ACCOUNT_OK:
		return;
	case ACCOUNT_NOTFOUND:
		reply_no(s, tag, "NONEXISTENT", "no such mailbox");
		return;
	case ACCOUNT_EXISTS:
		reply_no(s, tag, "ALREADYEXISTS", "mailbox already exists");
		return;
	case ACCOUNT_HASCHILDREN:
		reply_no(s, tag, "HASCHILDREN",
		    "mailbox has children, delete them first");
		return;
	case ACCOUNT_BADNAME:
		reply_no(s, tag, "CANNOT",
		    e->text[0] == '\0' ? "not a valid mailbox name" : e->text);
		return;
	case ACCOUNT_BADUSE:
		reply_no(s, tag, "USEATTR",
		    "special use is not possible or already taken");
		return;
	case ACCOUNT_FORBIDDEN:
		reply_no(s, tag, "CANNOT",
		    e->text[0] == '\0' ? "not possible with this mailbox" :
					 e->text);
		return;
	case ACCOUNT_ERROR:
		reply_err(s, tag, e);
		return;
	}
}

static const char *const capabilities[] = {
	"IMAP4rev2",
	"IMAP4rev1",
	"ENABLE",
	"LITERAL+",
	"IDLE",
	"BINARY",
	"UNSELECT",
	"UIDPLUS",
	"ESEARCH",
	"SEARCHRES",
	"MOVE",
	"UTF8=ACCEPT",
	"LIST-EXTENDED",
	"LIST-STATUS",
	"SPECIAL-USE",
	"CREATE-SPECIAL-USE",
	"CHILDREN",
	"NAMESPACE",
	"ID",
	"CONDSTORE",
	"QRESYNC",
	"STATUS=SIZE",
	"SAVEDATE",
	"WITHIN",
	"MULTIAPPEND",
	"PREVIEW",
	"OBJECTID",
	"INPROGRESS",
	"REPLACE",
};

bool
capability_is_on(struct session *s, struct str name)
{
	struct str off = str_from(s->start->disabled), one;

	while (off.n > 0) {
		str_cut(&off, ' ', &one);
		if (str_eq_nocase(one, name))
			return false;
	}
	return true;
}

void
put_capabilities(struct session *s)
{
	size_t i;

	out_puts(&s->out, "CAPABILITY");
	for (i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++) {
		if (!capability_is_on(s, str_from(capabilities[i])))
			continue;
		out_puts(&s->out, " ");
		out_puts(&s->out, capabilities[i]);
	}
	/* RFC 7889, 5 */
	out_puts(&s->out, " APPENDLIMIT=");
	out_uint(&s->out, s->limits->append_max);
}
