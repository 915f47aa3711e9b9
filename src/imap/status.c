/*
 * STATUS (RFC 9051, 6.3.11; RFC 3501, 6.3.10; RFC 7162, 3.1.7; RFC 8438;
 * RFC 7889; RFC 8474, 4.3).
 */
#include "format/imap/print.h"
#include "imap.h"

static void
put_item(struct out *o, bool *any, const char *name)
{
	if (*any)
		out_puts(o, " ");
	out_puts(o, name);
	out_puts(o, " ");
	*any = true;
}

static void
put_number(struct out *o, bool *any, const char *name, uint64_t v)
{
	put_item(o, any, name);
	out_uint(o, v);
}

void
put_status(struct session *s, struct str name, unsigned items,
    const struct mailbox_counts *c)
{
	struct out *o = &s->out;
	const struct {
		unsigned bit;
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ IMAP_STATUS_MESSAGES, "MESSAGES", c->messages },
		{ IMAP_STATUS_RECENT, "RECENT", c->recent },
		{ IMAP_STATUS_UIDNEXT, "UIDNEXT", c->uidnext },
		{ IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", c->uidvalidity },
		{ IMAP_STATUS_UNSEEN, "UNSEEN", c->unseen },
		{ IMAP_STATUS_DELETED, "DELETED", c->deleted },
		{ IMAP_STATUS_SIZE, "SIZE", c->size },
		{ IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ",
		    c->highestmodseq == 0 ? 1 : c->highestmodseq },
		{ IMAP_STATUS_APPENDLIMIT, "APPENDLIMIT",
		    s->limits->append_max },
		{ IMAP_STATUS_DELETED_STORAGE, "DELETED-STORAGE",
		    c->deleted_size },
	};
	bool any = false;
	size_t i;

	out_puts(o, "* STATUS ");
	imap_print_mailbox(&o->b, name, s->is_utf8);
	out_puts(o, " (");
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (items & numbers[i].bit)
			put_number(o, &any, numbers[i].name, numbers[i].value);
	if (items & IMAP_STATUS_MAILBOXID) {
		put_item(o, &any, "MAILBOXID");
		out_puts(o, "(");
		imap_print_objectid(&o->b, 'F', c->mailboxid);
		out_puts(o, ")");
	}
	out_puts(o, ")\r\n");
	out_check(o);
}

void
run_status(struct session *s, const struct imap_command *c)
{
	char name[STORE_MAX_NAME + 1];
	struct mailbox_counts counts;
	enum account_result r;
	struct err e = { 0 };
	const char *why;

	if (!account_normalize(c->mailbox, name, &why)) {
		reply_no(s, c->tag, "NONEXISTENT", why);
		return;
	}
	r = account_status(s->account, str_from(name), &counts, &e);
	if (r != ACCOUNT_OK) {
		reply_account(s, c->tag, r, &e);
		return;
	}
	if (s->mbox != NULL && str_eq(str_from(name), buf_str(&s->name)))
		counts.recent = mailbox_counts(s->mbox)->recent;
	put_status(s, str_from(name), c->u.status, &counts);
	if (c->u.status & IMAP_STATUS_HIGHESTMODSEQ)
		condstore_enable(s);
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, "STATUS done");
}
