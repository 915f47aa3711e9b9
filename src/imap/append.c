/*
 * APPEND (RFC 9051, 6.3.12; RFC 3502, MULTIAPPEND; RFC 4315, 3; RFC 6855, 4;
 * RFC 7889) and REPLACE (RFC 8508).
 *
 * The octets go from the reader to the store as they come. All messages of a
 * command are prepared and synced, then filed in one commit. An error is
 * answered when the client has said all it will say: at once if it waits for
 * a "+", else after its literal, which is thrown away.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "imap.h"
#include "service/store/incoming.h"

struct run {
	struct session *s;
	char tag[IMAP_MAX_TAG + 1];
	char name[STORE_MAX_NAME + 1];
	struct mailbox *dst; /* borrowed from the session */
	struct incoming **in;
	size_t n, cap;
	bool after_utf8;
	struct ranges replaced; /* UID of the message to be replaced */
	bool is_replace;
	/* the answer, once there is an error */
	bool is_bad;
	const char *no_code;
	char why[300];
};

void
append_forget(struct session *s)
{
	mailbox_close(&s->target);
	buf_clear(&s->target_name);
}

static bool
fail(struct run *r, const char *code, const char *why)
{
	if (r->why[0] == '\0') {
		r->no_code = code;
		str_copy(str_sub(str_from(why), 0, sizeof(r->why) - 1), r->why,
		    sizeof(r->why));
	}
	return false;
}

static bool
fail_err(struct run *r, const struct err *e)
{
	session_log(r->s, 0, "imap.append_failed", e->text);
	return fail(r,
	    e->kind == ERR_SPACE ? "OVERQUOTA" :
	    e->kind == ERR_TEMP	 ? "UNAVAILABLE" :
				   "CANNOT",
	    e->text);
}

static bool
open_target(struct run *r, struct str mailbox)
{
	struct session *s = r->s;
	enum account_result res;
	struct err e = { 0 };
	const char *why;

	if (!account_normalize(mailbox, r->name, &why))
		return fail(r, "CANNOT", why);
	if (s->target != NULL &&
	    str_eq(str_from(r->name), buf_str(&s->target_name))) {
		r->dst = s->target;
		return true;
	}
	append_forget(s);
	res = account_open_mailbox(
	    s->account, str_from(r->name), false, &s->target, &e);
	switch (res) {
	case ACCOUNT_OK:
		buf_puts(&s->target_name, r->name);
		r->dst = s->target;
		return true;
	case ACCOUNT_NOTFOUND:
		return fail(r, "TRYCREATE", "no such mailbox");
	case ACCOUNT_ERROR:
		return fail_err(r, &e);
	case ACCOUNT_EXISTS:
	case ACCOUNT_HASCHILDREN:
	case ACCOUNT_BADNAME:
	case ACCOUNT_BADUSE:
	case ACCOUNT_FORBIDDEN:
		break;
	}
	return fail(r, "CANNOT", "not possible with this mailbox");
}

static bool
new_incoming(struct run *r, const struct imap_append *a)
{
	struct incoming_opts o = { .flags = (uint16_t)a->flags.system,
		.has_date = a->has_date,
		.internaldate = a->date,
		.zone_min = (int16_t)a->zone_min };
	struct err e;

	if (keywords_define(r->dst, &a->flags, &o.keywords, &e) == -1)
		return e.kind == ERR_PERM ? fail(r, "LIMIT", e.text) :
					    fail_err(r, &e);
	if (r->n == r->cap) {
		r->cap = r->cap == 0 ? 4 : r->cap * 2;
		r->in = xreallocarray(r->in, r->cap, sizeof(struct incoming *));
	}
	if (incoming_new(&r->in[r->n], r->dst, &o, &e) == -1)
		return fail_err(r, &e);
	r->n++;
	return true;
}

/* REPLACE: the message must be there and may be removed. */
static bool
find_replaced(struct run *r, const struct imap_append *a)
{
	struct session *s = r->s;
	struct ranges seqs;
	bool ok;

	r->is_replace = true;
	if (s->is_examine)
		return fail(r, "CANNOT", "mailbox is read-only");
	ok = set_resolve(s, &a->replaced, a->is_uid, &seqs) &&
	     ranges_count(&seqs) == 1;
	if (!ok)
		fail(r, NULL, "no such message");
	else if (set_has_ghost(s, &seqs))
		ok = fail(r, "EXPUNGEISSUED", "message is no longer there");
	else
		set_to_uids(s, &seqs, &r->replaced);
	ranges_release(&seqs);
	return ok;
}

/* May this message come? */
static bool
admit(struct run *r, const struct imap_event *ev)
{
	struct session *s = r->s;
	struct imap_parse_opts opts = { .is_utf8 = s->is_utf8,
		.state = s->mbox == NULL ? IMAP_IN_AUTH : IMAP_IN_SELECTED };
	struct imap_parse_error pe;
	struct imap_append a;

	if (imap_parse_append(&s->arena, ev->text, ev->is_first, r->after_utf8,
		&opts, &a, &pe) != IMAP_PARSED) {
		r->is_bad = true;
		return fail(r, NULL, pe.why);
	}
	r->after_utf8 = a.is_utf8;
	if (a.is_utf8 && !s->is_utf8) {
		r->is_bad = true;
		return fail(r, NULL, "UTF8 was not enabled");
	}
	if (a.is_replace && !find_replaced(r, &a))
		return false;
	if (ev->is_first && !open_target(r, a.mailbox))
		return false;
	if (r->is_replace && !ev->is_first) {
		r->is_bad = true;
		return fail(r, NULL, "REPLACE takes one message");
	}
	if (ev->size == 0)
		/* RFC 3502, 6.3.11 */
		return fail(r, NULL, "APPEND cancelled, nothing was added");
	if (ev->size > s->limits->append_max)
		return fail(r, "TOOBIG", "message is too large");
	if (r->n >= s->limits->append_messages)
		return fail(r, "LIMIT", "too many messages in one APPEND");
	return new_incoming(r, &a);
}

/* Take one literal. An error on the way is kept, the octets are not. */
static bool
take_data(struct run *r)
{
	struct incoming *in = r->in[r->n - 1];
	struct imap_event e;
	struct err err;
	bool ok = true;

	for (;;) {
		switch (session_next(r->s, &e)) {
		case IMAP_DATA:
			if (ok && incoming_write(in, e.text, &err) == -1)
				ok = fail_err(r, &err);
			break;
		case IMAP_DATA_END:
			if (ok && incoming_sync(in, &err) == -1)
				fail_err(r, &err);
			return true;
		default:
			return false; /* the session is over */
		}
	}
}

/*
 * After REPLACE's message is filed: the old one goes. Should that fail, both
 * are there and the client is told; none is lost.
 */
static void
finish_replace(struct run *r, const char *code)
{
	struct session *s = r->s;
	struct err e;
	int rc;

	/* before the EXPUNGE, whose number would else be of another message
	 * (RFC 8508, 4.3) */
	reply_ok(s, STR(""), code, "replacement is filed");
	rc = mailbox_remove(s->mbox, &r->replaced, &e);
	if (rc == -1) {
		changes_tell(s, true);
		reply_err(s, str_from(r->tag), &e);
	} else
		reply_expunged(
		    s, str_from(r->tag), changes_tell(s, true), "REPLACE done");
}

static void
put_answer(struct run *r, const uint32_t *uids)
{
	struct session *s = r->s;
	struct ranges set;
	struct buf code;
	size_t i;

	ranges_init(&set, SET_MAX);
	buf_init(&code, OUT_MAX);
	for (i = 0; i < r->n; i++)
		ranges_add(&set, uids[i], uids[i]);
	buf_puts(&code, "APPENDUID ");
	buf_put_uint(&code, mailbox_counts(r->dst)->uidvalidity);
	buf_putc(&code, ' ');
	ranges_print(&set, &code);
	if (r->is_replace)
		finish_replace(r, buf_cstr(&code));
	else {
		changes_tell(s, true);
		reply_ok(s, str_from(r->tag), buf_cstr(&code), "APPEND done");
	}
	ranges_release(&set);
	buf_release(&code);
}

static void
finish(struct run *r)
{
	struct session *s = r->s;
	struct str tag = str_from(r->tag);
	uint32_t *uids;
	struct err e;

	if (r->why[0] == '\0') {
		uids = xcalloc(r->n, sizeof(*uids));
		if (mailbox_commit(r->dst, r->in, r->n, uids, &e) == 0)
			put_answer(r, uids);
		else {
			append_forget(s);
			reply_err(s, tag, &e);
		}
		free(uids);
		return;
	}
	changes_tell(s, true);
	if (r->is_bad)
		reply_bad(s, tag, NULL, r->why, STR(""));
	else
		reply_no(s, tag, r->no_code, r->why);
}

/* One message after another, until the command is over. True: answer it. */
static bool
take_all(struct run *r, const struct imap_event *first)
{
	struct session *s = r->s;
	struct imap_event e = *first;

	for (;;) {
		if (r->why[0] != '\0' || !admit(r, &e)) {
			imap_reader_refuse(s->reader);
			return true;
		}
		imap_reader_accept(s->reader);
		if (e.is_sync)
			out_puts(&s->out, "+ go ahead\r\n");
		if (!take_data(r))
			return false;
		arena_clear(&s->arena);
		switch (session_next(s, &e)) {
		case IMAP_APPEND:
			break;
		case IMAP_APPEND_END:
			if (!imap_parse_append_end(e.text, r->after_utf8)) {
				r->is_bad = true;
				fail(r, NULL, "junk after the literal");
			}
			return true;
		case IMAP_BAD:
			r->is_bad = true;
			fail(r, "TOOBIG", e.why);
			if (e.is_fatal)
				session_bye(s, IMAP_END_REFUSED,
				    "cannot tell where the next command is");
			return true;
		default:
			return false;
		}
	}
}

void
run_append(struct session *s, const struct imap_event *first)
{
	struct run r = { .s = s };
	size_t i;

	str_copy(imap_reader_tag(s->reader), r.tag, sizeof(r.tag));
	if (take_all(&r, first))
		finish(&r);
	for (i = 0; i < r.n; i++)
		incoming_free(&r.in[i]);
	ranges_release(&r.replaced);
	free(r.in);
}
