/*
 * SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051, 6.3.2, 6.3.3, 6.4.1, 6.4.2;
 * RFC 3501, 6.3.1; RFC 7162, 3.1.2).
 */
#include "format/imap/print.h"
#include "imap.h"

void
session_unselect(struct session *s)
{
	mailbox_close(&s->mbox);
	buf_clear(&s->name);
	ranges_clear(&s->saved);
	s->is_examine = false;
}

/* The untagged responses of a SELECT that worked. */
static void
put_selected(struct session *s)
{
	const struct mailbox_counts *c = mailbox_counts(s->mbox);
	struct out *o = &s->out;
	uint32_t unseen;

	put_flags_response(s);
	out_puts(o, "* ");
	out_uint(o, mailbox_count(s->mbox));
	out_puts(o, " EXISTS\r\n");
	if (!s->is_rev2) {
		out_puts(o, "* ");
		out_uint(o, c->recent);
		out_puts(o, " RECENT\r\n");
		if ((unseen = mailbox_first_unseen(s->mbox)) > 0) {
			out_puts(o, "* OK [UNSEEN ");
			out_uint(o, unseen);
			out_puts(o, "] first unseen message\r\n");
		}
	}
	out_puts(o, "* OK [UIDVALIDITY ");
	out_uint(o, c->uidvalidity);
	out_puts(o, "] UIDs are valid\r\n* OK [UIDNEXT ");
	out_uint(o, c->uidnext);
	out_puts(o, "] predicted next UID\r\n* OK [HIGHESTMODSEQ ");
	out_uint(o, c->highestmodseq == 0 ? 1 : c->highestmodseq);
	out_puts(o, "] highest\r\n* OK [MAILBOXID (");
	imap_print_objectid(&o->b, 'F', c->mailboxid);
	out_puts(o, ")] ok\r\n");
	if (s->is_rev2) {
		out_puts(o, "* LIST () \"/\" ");
		imap_print_mailbox(&o->b, buf_str(&s->name), s->is_utf8);
		out_puts(o, "\r\n");
	}
}

void
run_select(struct session *s, const struct imap_command *c)
{
	bool examine = c->verb == IMAP_EXAMINE;
	char name[STORE_MAX_NAME + 1];
	enum account_result r;
	const char *why;
	struct err e = { 0 };

	if (c->u.select.has_qresync && !s->has_qresync) {
		reply_bad(s, c->tag, NULL, "QRESYNC was not enabled", STR(""));
		return;
	}
	if (s->mbox != NULL) {
		session_unselect(s);
		out_puts(&s->out, "* OK [CLOSED] previous mailbox\r\n");
	}
	if (!account_normalize(c->mailbox, name, &why)) {
		reply_no(s, c->tag, "NONEXISTENT", why);
		return;
	}
	if (c->u.select.condstore)
		s->has_condstore = true;
	r = account_open_mailbox(
	    s->account, str_from(name), examine, &s->mbox, &e);
	if (r != ACCOUNT_OK) {
		s->mbox = NULL;
		reply_account(s, c->tag, r, &e);
		return;
	}
	/* what others put there since the journal was written; a client that
	 * only ever selects must see it, too */
	if (mailbox_sync(s->mbox, true, &s->changes, &e) == -1) {
		mailbox_close(&s->mbox);
		reply_err(s, c->tag, &e);
		return;
	}
	s->is_examine = examine || mailbox_is_readonly(s->mbox);
	buf_clear(&s->name);
	buf_puts(&s->name, name);
	put_selected(s);
	if (c->u.select.has_qresync)
		qresync_select(s, &c->u.select.qresync);
	reply_ok(s, c->tag, s->is_examine ? "READ-ONLY" : "READ-WRITE",
	    examine ? "EXAMINE done" : "SELECT done");
}

/* All of the view: 1 to the highest UID that the client was told. */
static void
add_all(struct session *s, struct ranges *uids)
{
	uint32_t count = mailbox_count(s->mbox);
	struct message m;

	if (count == 0)
		return;
	mailbox_get(s->mbox, count, &m);
	ranges_add(uids, 1, m.uid);
}

void
run_close(struct session *s, const struct imap_command *c)
{
	struct ranges uids;
	struct err e;
	int rc = 0;

	ranges_init(&uids, SET_MAX);
	if (c->verb == IMAP_CLOSE && !s->is_examine) {
		add_all(s, &uids);
		if (uids.n > 0)
			rc = mailbox_expunge(s->mbox, &uids, &e);
	}
	ranges_release(&uids);
	if (rc == -1) {
		/* still selected, the client may try again or UNSELECT */
		reply_err(s, c->tag, &e);
		return;
	}
	session_unselect(s);
	reply_ok(s, c->tag, NULL, "no mailbox is selected now");
}

/* expunge = "EXPUNGE"; uid-expunge = "EXPUNGE" SP sequence-set */
void
run_expunge(struct session *s, const struct imap_command *c)
{
	struct ranges seqs, uids;
	struct err e;
	uint32_t n;
	int rc = 0;

	if (s->is_examine) {
		reply_no(s, c->tag, "CANNOT", "mailbox is read-only");
		return;
	}
	if (c->is_uid) {
		set_resolve(s, &c->u.set, true, &seqs);
		set_to_uids(s, &seqs, &uids);
		ranges_release(&seqs);
	} else {
		ranges_init(&uids, SET_MAX);
		add_all(s, &uids);
	}
	if (uids.n > 0)
		rc = mailbox_expunge(s->mbox, &uids, &e);
	ranges_release(&uids);
	n = changes_tell(s, true);
	if (rc == -1)
		reply_err(s, c->tag, &e);
	else
		reply_expunged(s, c->tag, n, "EXPUNGE done");
}
