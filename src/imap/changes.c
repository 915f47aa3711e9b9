/*
 * What the server says unasked: EXISTS, EXPUNGE, FETCH (RFC 9051, 7.3-7.5).
 */
#include "format/imap/print.h"
#include "imap.h"

void
put_modseq(struct session *s, uint64_t modseq)
{
	out_puts(&s->out, "MODSEQ (");
	out_uint(&s->out, modseq == 0 ? 1 : modseq);
	out_puts(&s->out, ")");
}

/* `any`: something stands before the first one. */
static void
put_keywords(struct session *s, uint64_t keywords, bool any)
{
	unsigned bit;

	for (bit = 0; keywords != 0; bit++, keywords >>= 1)
		if (keywords & 1) {
			if (any)
				out_puts(&s->out, " ");
			out_put(&s->out, mailbox_keyword(s->mbox, bit));
			any = true;
		}
}

void
put_flags(struct session *s, const struct message *m)
{
	static const struct str system[FLAG_ALL + 1] = {
	/* clang-format off */
#define SE "\\Seen"
#define AN "\\Answered"
#define FL "\\Flagged"
#define DE "\\Deleted"
#define DR "\\Draft"
#define F(x) STR_INIT("FLAGS (" x)
		F(""), F(SE), F(AN), F(SE " " AN), F(FL), F(SE " " FL),
		F(AN " " FL), F(SE " " AN " " FL), F(DE), F(SE " " DE),
		F(AN " " DE), F(SE " " AN " " DE), F(FL " " DE),
		F(SE " " FL " " DE), F(AN " " FL " " DE),
		F(SE " " AN " " FL " " DE), F(DR), F(SE " " DR), F(AN " " DR),
		F(SE " " AN " " DR), F(FL " " DR), F(SE " " FL " " DR),
		F(AN " " FL " " DR), F(SE " " AN " " FL " " DR),
		F(DE " " DR), F(SE " " DE " " DR), F(AN " " DE " " DR),
		F(SE " " AN " " DE " " DR), F(FL " " DE " " DR),
		F(SE " " FL " " DE " " DR), F(AN " " FL " " DE " " DR),
		F(SE " " AN " " FL " " DE " " DR),
#undef F
		/* clang-format on */
	};
	struct str flags = system[m->flags & FLAG_ALL];
	bool any = (m->flags & FLAG_ALL) != 0;

	out_put(&s->out, flags);
	if (m->keywords != 0) {
		put_keywords(s, m->keywords, any);
		any = true;
	}
	if (!s->is_rev2 && mailbox_is_recent(s->mbox, m->uid))
		out_puts(&s->out, any ? " \\Recent" : "\\Recent");
	out_puts(&s->out, ")");
}

void
put_flags_update(struct session *s, uint32_t seq, const struct message *m)
{
	out_puts(&s->out, "* ");
	out_uint(&s->out, seq);
	out_puts(&s->out, " FETCH (UID ");
	out_uint(&s->out, m->uid);
	out_puts(&s->out, " ");
	put_flags(s, m);
	if (s->has_condstore) {
		out_puts(&s->out, " ");
		put_modseq(s, m->modseq);
	}
	out_puts(&s->out, ")\r\n");
	out_check(&s->out);
}

void
put_flags_response(struct session *s)
{
	uint64_t all = 0;
	unsigned n = mailbox_keywords(s->mbox);

	all = n >= 64 ? UINT64_MAX : (1ULL << n) - 1;
	out_puts(&s->out, "* FLAGS (");
	imap_print_system_flags(&s->out.b, FLAG_ALL);
	put_keywords(s, all, true);
	out_puts(&s->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!s->is_examine) {
		imap_print_system_flags(&s->out.b, FLAG_ALL);
		put_keywords(s, all, true);
		out_puts(&s->out, n < STORE_MAX_KEYWORDS ? " \\*)] " : ")] ");
		out_puts(&s->out, "flags that last\r\n");
	} else
		out_puts(&s->out, ")] nothing can be changed\r\n");
}

void
condstore_enable(struct session *s)
{
	if (s->has_condstore)
		return;
	s->has_condstore = true;
	if (s->mbox == NULL)
		return;
	/* RFC 7162, 3.1.2.1 wants it known from here on */
	out_puts(&s->out, "* OK [HIGHESTMODSEQ ");
	out_uint(&s->out, mailbox_counts(s->mbox)->highestmodseq);
	out_puts(&s->out, "] mod-sequences are on\r\n");
}

static uint32_t
count_recent(struct session *s)
{
	uint32_t n = 0, seq = mailbox_count(s->mbox);
	struct message m;

	/* recent messages are the last ones */
	for (; seq > 0; seq--, n++) {
		mailbox_get(s->mbox, seq, &m);
		if (!mailbox_is_recent(s->mbox, m.uid))
			break;
	}
	return n;
}

static void
put_exists(struct session *s)
{
	out_puts(&s->out, "* ");
	out_uint(&s->out, mailbox_count(s->mbox));
	out_puts(&s->out, " EXISTS\r\n");
	if (s->is_rev2)
		return;
	out_puts(&s->out, "* ");
	out_uint(&s->out, count_recent(s));
	out_puts(&s->out, " RECENT\r\n");
}

/* Expunges first, one after another as their numbers are meant; then the
 * rest, whose numbers are those of the view as it is now. */
static uint32_t
put_changes(struct session *s)
{
	uint32_t n_new = 0, n_gone = 0, told = 0;
	struct message m;
	size_t i;

	for (i = 0; i < s->changes.n; i++) {
		const struct mailbox_change *c = &s->changes.v[i];

		if (c->kind == CHANGE_KEYWORDS)
			put_flags_response(s);
		else if (c->kind == CHANGE_NEW)
			n_new++;
		else if (c->kind == CHANGE_EXPUNGED) {
			n_gone++;
			if (s->has_qresync)
				continue;
			out_puts(&s->out, "* ");
			out_uint(&s->out, c->seq);
			out_puts(&s->out, " EXPUNGE\r\n");
			out_check(&s->out);
		}
	}
	if (s->has_qresync && n_gone > 0)
		put_vanished_changes(s);
	if (n_new > 0)
		put_exists(s);
	for (i = 0; i < s->changes.n; i++) {
		const struct mailbox_change *c = &s->changes.v[i];
		uint32_t seq;

		if (c->kind != CHANGE_FLAGS && c->kind != CHANGE_NEW)
			continue;
		if (c->kind == CHANGE_NEW && ++told > s->limits->tell_new)
			continue;
		if ((seq = mailbox_seq(s->mbox, c->uid)) == 0)
			continue;
		mailbox_get(s->mbox, seq, &m);
		put_flags_update(s, seq, &m);
	}
	return n_gone;
}

uint32_t
changes_tell(struct session *s, bool may_expunge)
{
	struct err e;
	size_t i;

	if (s->mbox == NULL || s->is_over)
		return 0;
	if (mailbox_sync(s->mbox, may_expunge, &s->changes, &e) == -1) {
		/* the view stays as it was; the next command looks again */
		session_log(s, 1, "imap.sync_failed", e.text);
		return 0;
	}
	for (i = 0; i < s->changes.n; i++)
		if (s->changes.v[i].kind == CHANGE_UIDVALIDITY) {
			session_bye(s, IMAP_END_CLOSED,
			    "the mailbox was deleted or rebuilt");
			return 0;
		}
	return put_changes(s);
}
