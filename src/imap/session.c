/*
 * The session's loop. States (RFC 9051, 3):
 *
 *   start --account opened--> AUTHENTICATED --SELECT--> SELECTED
 *                                  ^                       |
 *                                  +--CLOSE, UNSELECT,-----+
 *                                     a failed SELECT
 *   any --LOGOUT, end of input, deadline, BYE--> over
 *
 * SELECTED is mbox != NULL.
 */
#include "session.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "format/mime/mime.h"
#include "imap.h"

#define READ_CHUNK 16384
#define SHRINK_MS  3000 /* silent for so long: give memory back */

_Static_assert((int)IMAP_FLAG_SEEN == FLAG_SEEN &&
		   (int)IMAP_FLAG_ANSWERED == FLAG_ANSWERED &&
		   (int)IMAP_FLAG_FLAGGED == FLAG_FLAGGED &&
		   (int)IMAP_FLAG_DELETED == FLAG_DELETED &&
		   (int)IMAP_FLAG_DRAFT == FLAG_DRAFT,
    "the flags of parser and store are the same bits");

const struct imap_limits imap_limits_default = {
	.idle_ms = 30 * 60 * 1000, /* RFC 9051, 5.4 */
	.write_ms = 5 * 60 * 1000,
	.notify_ms = 2 * 60 * 1000,
	.bad_max = 100,
	.append_messages = 1000,
	.append_max = INT64_MAX,
	.tell_new = 1000,
	.saved_max = 100000,
};

void
session_log(struct session *s, int level, const char *event, const char *text)
{
	if (s->start->store.log != NULL)
		s->start->store.log(level, event, text);
}

void
session_bye(struct session *s, enum imap_end end, const char *text)
{
	if (s->is_over)
		return;
	out_printf(&s->out, "* BYE %s\r\n", text);
	s->end = end;
	s->is_over = true;
}

int
session_read(struct session *s, int timeout_ms)
{
	struct pollfd p = { .fd = s->start->in, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = poll(&p, 1, timeout_ms);
		if (n == 0)
			return 0;
		if (n == -1 && errno == EINTR)
			continue;
		if (s->in == NULL)
			s->in = xmalloc(READ_CHUNK);
		n = n == -1 ? -1 : read(s->start->in, s->in, READ_CHUNK);
		if (n == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		break;
	}
	if (n <= 0) {
		s->is_over = true;
		return -1;
	}
	imap_reader_push(s->reader, str_make(s->in, (size_t)n));
	return 1;
}

void
session_shrink(struct session *s)
{
	out_shrink(&s->out);
	imap_reader_shrink(s->reader);
	free(s->in);
	s->in = NULL;
	arena_release(&s->arena);
	arena_release(&s->msg_arena);
	mailbox_changes_release(&s->changes);
	malloc_trim(0);
}

/* What it has filed is exported though it says nothing more. As
 * session_read(). */
static int
read_exporting(struct session *s, int timeout_ms)
{
	int64_t until = date_mono_ms() + timeout_ms, left;
	int due, n;

	for (;;) {
		left = until - date_mono_ms();
		if (left < 0)
			left = 0;
		due = s->mbox == NULL ? -1 : mailbox_export_due_ms(s->mbox);
		if (due == -1 || due >= left)
			return session_read(s, (int)left);
		if ((n = session_read(s, due)) != 0)
			return n;
		mailbox_export(s->mbox);
	}
}

/* Wait for the client; one that stays silent for a while gets a smaller
 * session. As session_read(). */
static int
read_patiently(struct session *s)
{
	int n = 0, first = s->limits->idle_ms;

	if (first > SHRINK_MS && imap_reader_is_idle(s->reader)) {
		first = SHRINK_MS;
		if ((n = read_exporting(s, first)) != 0)
			return n;
		session_shrink(s);
		first = s->limits->idle_ms - SHRINK_MS;
	}
	return read_exporting(s, first);
}

enum imap_event_kind
session_next(struct session *s, struct imap_event *e)
{
	for (;;) {
		if (s->is_over)
			return IMAP_NEED_MORE;
		if (imap_reader_next(s->reader, e) == IMAP_CONTINUE) {
			out_puts(&s->out, "+ go ahead\r\n");
			continue;
		}
		if (e->kind != IMAP_NEED_MORE)
			return e->kind;
		out_flush(&s->out);
		if (s->out.is_dead) {
			s->is_over = true;
			return IMAP_NEED_MORE;
		}
		/* between two commands, not within one */
		if (s->mbox != NULL && imap_reader_is_idle(s->reader))
			mailbox_tidy(s->mbox);
		if (read_patiently(s) == 0)
			session_bye(s, IMAP_END_CLOSED, "inactive too long");
	}
}

static void
run_capability(struct session *s, const struct imap_command *c)
{
	out_puts(&s->out, "* ");
	put_capabilities(s);
	out_puts(&s->out, "\r\n");
	reply_ok(s, c->tag, NULL, "CAPABILITY done");
}

static void
run_noop(struct session *s, const struct imap_command *c)
{
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, "done");
}

static void
run_logout(struct session *s, const struct imap_command *c)
{
	session_bye(s, IMAP_END_LOGOUT, "logging out");
	reply_ok(s, c->tag, NULL, "LOGOUT done");
}

/* RFC 2342, 5: one personal namespace without a prefix */
static void
run_namespace(struct session *s, const struct imap_command *c)
{
	out_puts(&s->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	reply_ok(s, c->tag, NULL, "NAMESPACE done");
}

/* What only the front before login answers; the parser refuses them here. */
static void
run_never(struct session *s, const struct imap_command *c)
{
	reply_bad(s, c->tag, NULL, "already logged in", STR(""));
}

/* clang-format off */
static const struct {
	void (*run)(struct session *, const struct imap_command *);
} commands[] = {
	[IMAP_CAPABILITY]   = { run_capability },
	[IMAP_NOOP]         = { run_noop },
	[IMAP_LOGOUT]       = { run_logout },
	[IMAP_ID]           = { run_id },
	[IMAP_STARTTLS]     = { run_never },
	[IMAP_AUTHENTICATE] = { run_never },
	[IMAP_LOGIN]        = { run_never },
	[IMAP_ENABLE]       = { run_enable },
	[IMAP_SELECT]       = { run_select },
	[IMAP_EXAMINE]      = { run_select },
	[IMAP_CREATE]       = { run_create },
	[IMAP_DELETE]       = { run_delete },
	[IMAP_RENAME]       = { run_rename },
	[IMAP_SUBSCRIBE]    = { run_subscribe },
	[IMAP_UNSUBSCRIBE]  = { run_subscribe },
	[IMAP_LIST]         = { run_list },
	[IMAP_LSUB]         = { run_list },
	[IMAP_NAMESPACE]    = { run_namespace },
	[IMAP_STATUS]       = { run_status },
	[IMAP_APPEND_CMD]   = { run_never }, /* run_append() is given its events */
	[IMAP_REPLACE]      = { run_never }, /* the same */
	[IMAP_IDLE]         = { run_idle },
	[IMAP_CHECK]        = { run_noop },
	[IMAP_CLOSE]        = { run_close },
	[IMAP_UNSELECT]     = { run_close },
	[IMAP_EXPUNGE]      = { run_expunge },
	[IMAP_SEARCH]       = { run_search },
	[IMAP_FETCH]        = { run_fetch },
	[IMAP_STORE]        = { run_store },
	[IMAP_COPY]         = { run_copy },
	[IMAP_MOVE]         = { run_copy },
};
/* clang-format on */

static const char *
why_not_now(enum imap_verb verb)
{
	return verb == IMAP_LOGIN || verb == IMAP_AUTHENTICATE ||
		       verb == IMAP_STARTTLS ?
		   "already logged in" :
		   "no mailbox is selected";
}

static void
on_command(struct session *s, struct str text)
{
	struct imap_parse_opts opts = { .is_utf8 = s->is_utf8,
		.state = s->mbox == NULL ? IMAP_IN_AUTH : IMAP_IN_SELECTED };
	struct imap_parse_error e;
	struct imap_command c;

	switch (imap_parse(&s->arena, text, &opts, &c, &e)) {
	case IMAP_PARSED:
		append_forget(s);
		commands[c.verb].run(s, &c);
		break;
	case IMAP_SYNTAX:
	case IMAP_UNKNOWN:
		reply_bad(s, c.tag, NULL, e.why, e.rest);
		break;
	case IMAP_WRONG_STATE:
		reply_bad(s, c.tag, NULL, why_not_now(c.verb), STR(""));
		break;
	case IMAP_BADCHARSET:
		ranges_clear(&s->saved); /* RFC 5182, 2.1 */
		reply_no(s, c.tag, "BADCHARSET (US-ASCII UTF-8)", e.why);
		break;
	}
}

static void
on_bad(struct session *s, const struct imap_event *e)
{
	reply_bad(s, imap_reader_tag(s->reader), e->is_toobig ? "TOOBIG" : NULL,
	    e->why, STR(""));
	if (e->is_fatal)
		session_bye(s, IMAP_END_REFUSED,
		    "cannot tell where the next command begins");
}

static void
on_event(struct session *s, const struct imap_event *e)
{
	switch (e->kind) {
	case IMAP_COMMAND:
		on_command(s, e->text);
		break;
	case IMAP_APPEND:
		run_append(s, e);
		break;
	case IMAP_BAD:
		on_bad(s, e);
		break;
	case IMAP_LINE:
	case IMAP_DATA:
	case IMAP_DATA_END:
	case IMAP_APPEND_END:
	case IMAP_NEED_MORE:
	case IMAP_CONTINUE:
		/* whoever asked for them takes them */
		break;
	}
	out_check(&s->out);
	arena_clear(&s->arena);
	arena_clear(&s->msg_arena);
}

static void
greet(struct session *s)
{
	bool preauth = s->start->tag.n == 0;

	out_put(&s->out, preauth ? STR("*") : s->start->tag);
	out_puts(&s->out, preauth ? " PREAUTH [" : " OK [");
	put_capabilities(s);
	out_puts(&s->out, preauth ? "] Quire ready\r\n" : "] logged in\r\n");
}

/* The account cannot be opened: the login is not refused for ever. */
static void
greet_failed(struct session *s, const struct err *e)
{
	session_log(s, 0, "imap.account_failed", e->text);
	if (s->start->tag.n > 0)
		reply_no(s, s->start->tag, "UNAVAILABLE",
		    "mailbox is not available now, try again later");
	session_bye(s, IMAP_END_FAILED, "mailbox is not available now");
}

static void
session_init(struct session *s, const struct imap_start *start)
{
	struct imap_reader_opts ropts = { .has_append = true };

	*s = (struct session){ .start = start, .end = IMAP_END_CLOSED };
	s->limits =
	    start->limits == NULL ? &imap_limits_default : start->limits;
	out_init(&s->out, start->out, s->limits->write_ms);
	s->reader = imap_reader_new(&ropts);
	arena_init(&s->arena, IMAP_ARENA_MAX);
	arena_init(&s->msg_arena, MIME_ARENA_MAX);
	buf_init(&s->name, STORE_MAX_NAME * 2);
	buf_init(&s->target_name, STORE_MAX_NAME * 2);
	ranges_init(&s->saved, s->limits->saved_max);
}

static void
session_release(struct session *s)
{
	session_unselect(s);
	append_forget(s);
	account_close(&s->account);
	imap_reader_free(&s->reader);
	free(s->in);
	arena_release(&s->arena);
	arena_release(&s->msg_arena);
	buf_release(&s->name);
	buf_release(&s->target_name);
	ranges_release(&s->saved);
	mailbox_changes_release(&s->changes);
	out_release(&s->out);
}

int
imap_session_run(const struct imap_start *start)
{
	struct session s;
	struct imap_event e;
	struct err err;

	/* a client that went away is a failed write, not a signal */
	signal(SIGPIPE, SIG_IGN);
	session_init(&s, start);
	if (account_open(&s.account, start->rootfd, &start->store, &err) == -1)
		greet_failed(&s, &err);
	else {
		greet(&s);
		imap_reader_push(s.reader, start->input);
		while (session_next(&s, &e) != IMAP_NEED_MORE)
			on_event(&s, &e);
	}
	out_flush(&s.out);
	session_release(&s);
	return (int)s.end;
}
