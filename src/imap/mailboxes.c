/*
 * CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051, 6.3.4-6.3.8;
 * RFC 6154, 3; RFC 8474, 4.1), ENABLE (RFC 5161) and ID (RFC 2971).
 */
#include "format/imap/print.h"
#include "imap.h"

/* clang-format off */
static const struct {
	struct str name;
	unsigned use;
} uses[] = {
	{ STR_INIT("\\All"),     USE_ALL },
	{ STR_INIT("\\Archive"), USE_ARCHIVE },
	{ STR_INIT("\\Drafts"),  USE_DRAFTS },
	{ STR_INIT("\\Flagged"), USE_FLAGGED },
	{ STR_INIT("\\Junk"),    USE_JUNK },
	{ STR_INIT("\\Sent"),    USE_SENT },
	{ STR_INIT("\\Trash"),   USE_TRASH },
};
/* clang-format on */

static bool
use_bits(const struct imap_strs *names, unsigned *bits)
{
	size_t i, j;

	*bits = 0;
	for (i = 0; i < names->n; i++) {
		for (j = 0; j < sizeof(uses) / sizeof(*uses); j++)
			if (str_eq_nocase(names->v[i], uses[j].name))
				break;
		if (j == sizeof(uses) / sizeof(*uses))
			return false;
		*bits |= uses[j].use;
	}
	return true;
}

/* false: answered */
static bool
normalize(struct session *s, const struct imap_command *c, struct str in,
    char out[STORE_MAX_NAME + 1], const char *code)
{
	const char *why;

	if (account_normalize(in, out, &why))
		return true;
	reply_no(s, c->tag, code, why);
	return false;
}

/* RFC 9051, 6.3.4: tell a client what its name became. */
static void
put_new_name(struct session *s, struct str asked, struct str name)
{
	if (!s->is_rev2 || str_eq(asked, name))
		return;
	out_puts(&s->out, "* LIST () \"/\" ");
	imap_print_mailbox(&s->out.b, name, true);
	out_puts(&s->out, " (\"OLDNAME\" (");
	imap_print_mailbox(&s->out.b, asked, true);
	out_puts(&s->out, "))\r\n");
}

void
run_create(struct session *s, const struct imap_command *c)
{
	char name[STORE_MAX_NAME + 1];
	const struct mailbox_info *info;
	enum account_result r;
	struct err e = { 0 };
	struct buf code;
	unsigned use;

	if (!normalize(s, c, c->mailbox, name, "CANNOT"))
		return;
	if (!use_bits(&c->u.create.use, &use)) {
		reply_no(s, c->tag, "USEATTR", "unknown special use");
		return;
	}
	r = account_create(s->account, str_from(name), use, &e);
	if (r != ACCOUNT_OK) {
		reply_account(s, c->tag, r, &e);
		return;
	}
	put_new_name(s, c->mailbox, str_from(name));
	changes_tell(s, true);
	buf_init(&code, 100);
	if ((info = account_find(s->account, str_from(name))) != NULL) {
		buf_puts(&code, "MAILBOXID (");
		imap_print_objectid(&code, 'F', info->mailboxid);
		buf_putc(&code, ')');
	}
	reply_ok(s, c->tag, code.n > 0 ? buf_cstr(&code) : NULL, "CREATE done");
	buf_release(&code);
}

void
run_delete(struct session *s, const struct imap_command *c)
{
	const struct mailbox_info *info;
	char name[STORE_MAX_NAME + 1];
	enum account_result r;
	struct err e = { 0 };
	bool is_selected;

	if (!normalize(s, c, c->mailbox, name, "NONEXISTENT"))
		return;
	info = account_find(s->account, str_from(name));
	if (info != NULL && info->has_children) {
		/* leaves only, so that nothing is orphaned by one command */
		reply_account(s, c->tag, ACCOUNT_HASCHILDREN, &e);
		return;
	}
	is_selected =
	    s->mbox != NULL && str_eq(str_from(name), buf_str(&s->name));
	r = account_delete(s->account, str_from(name), &e);
	if (r != ACCOUNT_OK) {
		reply_account(s, c->tag, r, &e);
		return;
	}
	if (is_selected) {
		session_unselect(s);
		out_puts(&s->out, "* OK [CLOSED] it was selected\r\n");
	}
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, "DELETE done");
}

/* The selected mailbox, or a parent of it, has a new name. */
static void
follow_rename(struct session *s, struct str from, struct str to)
{
	struct str old = buf_str(&s->name);
	struct buf b;

	if (s->mbox == NULL || str_eq(from, STR("INBOX")) ||
	    !str_starts(old, from) || (old.n > from.n && old.p[from.n] != '/'))
		return;
	buf_init(&b, s->name.max);
	buf_put(&b, to);
	buf_put(&b, str_sub(old, from.n, old.n));
	buf_clear(&s->name);
	buf_put(&s->name, buf_str(&b));
	buf_release(&b);
}

void
run_rename(struct session *s, const struct imap_command *c)
{
	char from[STORE_MAX_NAME + 1], to[STORE_MAX_NAME + 1];
	enum account_result r;
	struct err e = { 0 };

	if (!normalize(s, c, c->mailbox, from, "NONEXISTENT") ||
	    !normalize(s, c, c->u.rename_to, to, "CANNOT"))
		return;
	r = account_rename(s->account, str_from(from), str_from(to), &e);
	if (r != ACCOUNT_OK) {
		reply_account(s, c->tag, r, &e);
		return;
	}
	follow_rename(s, str_from(from), str_from(to));
	put_new_name(s, c->u.rename_to, str_from(to));
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, "RENAME done");
}

void
run_subscribe(struct session *s, const struct imap_command *c)
{
	bool on = c->verb == IMAP_SUBSCRIBE;
	char name[STORE_MAX_NAME + 1];
	enum account_result r;
	struct err e = { 0 };

	if (!normalize(s, c, c->mailbox, name, "CANNOT"))
		return;
	r = account_subscribe(s->account, str_from(name), on, &e);
	if (r != ACCOUNT_OK) {
		reply_account(s, c->tag, r, &e);
		return;
	}
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, on ? "SUBSCRIBE done" : "UNSUBSCRIBE done");
}

static void
put_enabled(struct session *s, const char *name)
{
	out_puts(&s->out, " ");
	out_puts(&s->out, name);
}

/* RFC 5161, 3.1: what is not known or not offered is ignored. */
void
run_enable(struct session *s, const struct imap_command *c)
{
	const struct imap_strs *names = &c->u.enable;
	bool condstore = false;
	size_t i;

	out_puts(&s->out, "* ENABLED");
	for (i = 0; i < names->n; i++) {
		if (!capability_is_on(s, names->v[i]))
			continue;
		if (str_eq_nocase(names->v[i], STR("IMAP4rev2"))) {
			s->is_rev2 = s->is_utf8 = true;
			put_enabled(s, "IMAP4rev2");
		} else if (str_eq_nocase(names->v[i], STR("UTF8=ACCEPT"))) {
			s->is_utf8 = true;
			put_enabled(s, "UTF8=ACCEPT");
		} else if (str_eq_nocase(names->v[i], STR("QRESYNC"))) {
			s->has_qresync = condstore = true;
			put_enabled(s, "QRESYNC");
		} else if (str_eq_nocase(names->v[i], STR("CONDSTORE"))) {
			condstore = true;
			put_enabled(s, "CONDSTORE");
		}
	}
	out_puts(&s->out, "\r\n");
	if (condstore)
		condstore_enable(s);
	reply_ok(s, c->tag, NULL, "ENABLE done");
}

void
run_id(struct session *s, const struct imap_command *c)
{
	const struct imap_strs *names = &c->u.id.names;
	struct buf b;
	size_t i;

	out_puts(&s->out,
	    "* ID (\"name\" \"Quire\" \"version\" \"" QUIRE_VERSION "\")\r\n");
	buf_init(&b, 1000);
	for (i = 0; i < names->n; i++)
		if (c->u.id.values.v[i].p != NULL)
			buf_printf(&b, "%s%.*s=%.*s", i > 0 ? " " : "",
			    STR_ARG(names->v[i]), STR_ARG(c->u.id.values.v[i]));
	if (b.n > 0)
		session_log(s, 2, "imap.id", buf_cstr(&b));
	buf_release(&b);
	reply_ok(s, c->tag, NULL, "ID done");
}
