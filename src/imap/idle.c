/*
 * IDLE (RFC 9051, 6.3.13; RFC 2177).
 *
 * Sleeps on two descriptors: the client's, and that of mailbox_watch(), which
 * is cleared before every look, so that a change between two looks wakes it
 * again. Where the system has no more watches it looks every
 * STORE_WATCH_POLL_MS.
 */
#include <errno.h>
#include <poll.h>

#include "base/date.h"
#include "imap.h"

/* What there is to tell when it begins waits so long. Thunderbird shows what
 * comes in one packet with the `+' only when it ends the IDLE; others want
 * nothing before the `+'. */
#define FIRST_LOOK_MS 50

static void
look(struct session *s)
{
	if (s->mbox == NULL)
		return;
	mailbox_watch_clear(s->mbox);
	changes_tell(s, true);
	out_flush(&s->out);
	mailbox_tidy(s->mbox);
}

struct wait {
	int watch;
	int64_t deadline, notify, first; /* monotonic ms; first: 0 was there */
};

static int
timeout_of(const struct session *s, const struct wait *w)
{
	int64_t now = date_mono_ms(), until = w->deadline;
	int due;

	if (w->notify < until)
		until = w->notify;
	if (w->first != 0 && w->first < until)
		until = w->first;
	if (s->mbox != NULL && w->watch == -1 &&
	    now + STORE_WATCH_POLL_MS < until)
		until = now + STORE_WATCH_POLL_MS;
	due = s->mbox == NULL ? -1 : mailbox_due_ms(s->mbox);
	if (due != -1 && now + due < until)
		until = now + due + 1;
	/* tidying exports, too */
	due = s->mbox == NULL ? -1 : mailbox_export_due_ms(s->mbox);
	if (due != -1 && now + due < until)
		until = now + due + 1;
	return until <= now ? 0 : (int)(until - now);
}

/* One sleep. True when the client has sent something, or is gone. */
static bool
sleep_once(struct session *s, struct wait *w)
{
	struct pollfd p[2] = {
		{ .fd = s->start->in, .events = POLLIN },
		/* -1 is skipped */
		{ .fd = w->first != 0 ? -1 : w->watch, .events = POLLIN },
	};
	int n = poll(p, 2, timeout_of(s, w));
	int64_t now = date_mono_ms();

	if (n == -1 && errno != EINTR)
		return true;
	if (n > 0 && p[0].revents != 0)
		return true;
	if (now >= w->deadline) {
		session_bye(s, IMAP_END_CLOSED, "inactive too long");
		return true;
	}
	if (now >= w->notify) {
		out_puts(&s->out, "* OK still here\r\n");
		w->notify = now + s->limits->notify_ms;
	}
	if (w->first == 0)
		look(s);
	else if (now >= w->first) {
		w->first = 0;
		look(s);
		if (imap_reader_rest(s->reader).n == 0)
			session_shrink(s);
	}
	out_flush(&s->out);
	if (s->out.is_dead)
		s->is_over = true;
	return s->is_over;
}

/* Until a line has come. False: the session is over. */
static bool
wait_done(struct session *s, struct wait *w, struct imap_event *e)
{
	for (;;) {
		while (imap_reader_next(s->reader, e) == IMAP_NEED_MORE) {
			while (!sleep_once(s, w))
				;
			if (s->is_over)
				return false;
			if (session_read(s, 0) == -1)
				return false;
		}
		return true;
	}
}

void
run_idle(struct session *s, const struct imap_command *c)
{
	struct wait w = { .watch = -1 };
	char tag[IMAP_MAX_TAG + 1];
	struct imap_event e;
	struct err err;
	struct str t;

	/* the tag is in the reader's text, which is given back */
	str_copy(c->tag, tag, sizeof(tag));
	if (s->mbox != NULL && (w.watch = mailbox_watch(s->mbox, &err)) == -1)
		session_log(s, 2, "imap.no_watch", err.text);
	out_puts(&s->out, "+ idling\r\n");
	out_flush(&s->out);
	imap_reader_want_line(s->reader);
	w.first = date_mono_ms() + FIRST_LOOK_MS;
	w.deadline = date_mono_ms() + s->limits->idle_ms;
	w.notify = date_mono_ms() + s->limits->notify_ms;
	if (!wait_done(s, &w, &e))
		return;
	t = str_from(tag);
	if (e.kind == IMAP_LINE &&
	    str_eq_nocase(str_trim(e.text), STR("DONE"))) {
		changes_tell(s, true);
		reply_ok(s, t, NULL, "IDLE done");
	} else
		reply_bad(s, t, NULL, "expected DONE",
		    e.kind == IMAP_LINE ? e.text : STR(""));
}
