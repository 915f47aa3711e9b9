/*
 * COPY and MOVE (RFC 9051, 6.4.7 and 6.4.8; RFC 4315, 3; RFC 6851).
 */
#include "imap.h"

/* An ascending array as a set. */
static void
put_uids(struct buf *b, const uint32_t *v, size_t n)
{
	size_t i = 0, from;

	while (i < n) {
		from = i++;
		while (i < n && v[i] == v[i - 1] + 1)
			i++;
		if (from > 0)
			buf_putc(b, ',');
		buf_put_uint(b, v[from]);
		if (i - 1 > from) {
			buf_putc(b, ':');
			buf_put_uint(b, v[i - 1]);
		}
	}
}

/* COPYUID SP nz-number SP uid-set SP uid-set  RFC 4315, 3 */
static void
copyuid(struct buf *b, const struct copy_result *r)
{
	buf_puts(b, "COPYUID ");
	buf_put_uint(b, r->uidvalidity);
	buf_putc(b, ' ');
	put_uids(b, r->from, r->n);
	buf_putc(b, ' ');
	put_uids(b, r->to, r->n);
}

/* NULL: answered. */
static struct mailbox *
open_target(struct session *s, const struct imap_command *c, bool *is_same)
{
	char name[STORE_MAX_NAME + 1];
	struct mailbox *dst = NULL;
	struct err e = { 0 };
	enum account_result r;
	const char *why;

	if (!account_normalize(c->mailbox, name, &why)) {
		reply_no(s, c->tag, "CANNOT", why);
		return NULL;
	}
	*is_same = str_eq(str_from(name), buf_str(&s->name));
	r = account_open_mailbox(s->account, str_from(name), false, &dst, &e);
	if (r == ACCOUNT_NOTFOUND)
		reply_no(s, c->tag, "TRYCREATE", "no such mailbox");
	else if (r != ACCOUNT_OK)
		reply_account(s, c->tag, r, &e);
	else
		return dst;
	return NULL;
}

/* The set, resolved. false: answered. */
static bool
resolve(struct session *s, const struct imap_command *c, struct ranges *uids)
{
	struct ranges seqs;
	bool ok = false;

	ranges_init(uids, SET_MAX);
	if (!set_resolve(s, &c->u.set, c->is_uid, &seqs))
		reply_bad(s, c->tag, NULL, "no such message number", STR(""));
	else if (!c->is_uid && set_has_ghost(s, &seqs))
		/* RFC 2180, 4.4.1: all or none */
		reply_no(s, c->tag, "EXPUNGEISSUED",
		    "some messages are no longer there");
	else {
		set_to_uids(s, &seqs, uids);
		ok = true;
	}
	ranges_release(&seqs);
	return ok;
}

static void
finish(struct session *s, const struct imap_command *c,
    const struct copy_result *r)
{
	bool move = c->verb == IMAP_MOVE;
	struct buf code;
	uint32_t n;

	if (r->n == 0) {
		changes_tell(s, true);
		reply_ok(s, c->tag, NULL, "no messages");
		return;
	}
	buf_init(&code, OUT_MAX);
	copyuid(&code, r);
	if (move)
		/* before the EXPUNGEs (RFC 6851, 4.3) */
		reply_ok(s, STR(""), buf_cstr(&code), "moved");
	n = changes_tell(s, true);
	if (move)
		reply_expunged(s, c->tag, n, "MOVE done");
	else
		reply_ok(s, c->tag, buf_cstr(&code), "COPY done");
	buf_release(&code);
}

void
run_copy(struct session *s, const struct imap_command *c)
{
	bool move = c->verb == IMAP_MOVE, is_same = false;
	struct copy_result r = { 0 };
	struct mailbox *dst = NULL;
	struct ranges uids;
	struct err e;
	int rc = 0;

	if (move && s->is_examine) {
		reply_no(s, c->tag, "CANNOT", "mailbox is read-only");
		return;
	}
	if (resolve(s, c, &uids) &&
	    (dst = open_target(s, c, &is_same)) != NULL) {
		if (move && is_same)
			reply_no(s, c->tag, "CANNOT",
			    "messages are in that mailbox already");
		else {
			if (uids.n > 0)
				rc = move ? mailbox_move(
						s->mbox, dst, &uids, &r, &e) :
					    mailbox_copy(
						s->mbox, dst, &uids, &r, &e);
			if (rc == -1)
				reply_err(s, c->tag, &e);
			else
				finish(s, c, &r);
		}
	}
	copy_result_release(&r);
	mailbox_close(&dst);
	ranges_release(&uids);
}
