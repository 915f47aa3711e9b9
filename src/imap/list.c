/*
 * LIST and LSUB (RFC 9051, 6.3.9 and 7.3.1; RFC 5258; RFC 5819; RFC 6154;
 * RFC 3501, 6.3.9).
 */
#include <string.h>

#include "format/imap/print.h"
#include "imap.h"

/*
 * Does the name match? "*" is any run of characters, "%" any without the
 * separator. Going back to the last "*" is enough, and to the last "%" within
 * one element, so that the time is bounded by name times pattern.
 */
static bool
glob(struct str p, struct str name)
{
	size_t i = 0, j = 0, star = SIZE_MAX, star_at = 0;
	size_t pct = SIZE_MAX, pct_at = 0;

	while (i < name.n) {
		if (j < p.n && p.p[j] == '*') {
			star = j++;
			star_at = i;
			pct = SIZE_MAX;
		} else if (j < p.n && p.p[j] == '%') {
			pct = j++;
			pct_at = i;
		} else if (j < p.n && p.p[j] == name.p[i]) {
			i++;
			j++;
		} else if (pct != SIZE_MAX && name.p[pct_at] != '/') {
			i = ++pct_at;
			j = pct + 1;
		} else if (star != SIZE_MAX) {
			i = ++star_at;
			j = star + 1;
			pct = SIZE_MAX;
		} else
			return false;
	}
	while (j < p.n && (p.p[j] == '*' || p.p[j] == '%'))
		j++;
	return j == p.n;
}

/* INBOX is matched without case (RFC 9051, 5.1). */
static bool
match_pattern(struct str reference, struct str pattern, struct str name)
{
	struct buf b;
	struct str inbox = STR("INBOX");
	bool ok;

	buf_init(&b, reference.n + pattern.n + 1);
	buf_put(&b, reference);
	buf_put(&b, pattern);
	if (b.n >= inbox.n && str_starts_nocase(buf_str(&b), inbox) &&
	    (b.n == inbox.n || strchr("/*%", b.p[inbox.n]) != NULL))
		memcpy(b.p, inbox.p, inbox.n);
	ok = glob(buf_str(&b), name);
	if (!ok && str_eq(name, inbox) && b.n > 0 && b.n <= 2 * inbox.n) {
		size_t i;

		/* "inb%" */
		for (i = 0; i < b.n; i++)
			b.p[i] = ascii_upper(b.p[i]);
		ok = glob(buf_str(&b), inbox);
	}
	buf_release(&b);
	return ok;
}

static bool
matches(const struct imap_list *l, struct str name)
{
	size_t i;

	for (i = 0; i < l->patterns.n; i++)
		if (match_pattern(l->reference, l->patterns.v[i], name))
			return true;
	return false;
}

/* Selection options (RFC 9051, 6.3.9.1), without RECURSIVEMATCH. */
static bool
is_selected(const struct imap_list *l, const struct mailbox_info *m)
{
	if (l->select_subscribed && !m->is_subscribed)
		return false;
	if (l->select_use && m->use == 0)
		return false;
	/* without SUBSCRIBED the list is of mailboxes and their parents */
	return l->select_subscribed || m->exists || m->has_children;
}

static void
put_attribute(struct out *o, bool *any, const char *name)
{
	if (*any)
		out_puts(o, " ");
	out_puts(o, name);
	*any = true;
}

static void
put_attributes(
    struct session *s, const struct imap_list *l, const struct mailbox_info *m)
{
	static const char *const uses[] = { "\\All", "\\Archive", "\\Drafts",
		"\\Flagged", "\\Junk", "\\Sent", "\\Trash" };
	bool any = false;
	size_t i;

	if (!m->exists)
		/* RFC 5258 is in rev2 and comes with LIST-EXTENDED */
		put_attribute(&s->out, &any,
		    s->is_rev2 || l->is_extended ? "\\NonExistent" :
						   "\\Noselect");
	put_attribute(&s->out, &any,
	    m->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (m->is_subscribed && l->return_subscribed)
		put_attribute(&s->out, &any, "\\Subscribed");
	for (i = 0; i < sizeof(uses) / sizeof(*uses); i++)
		if (m->use >> i & 1)
			put_attribute(&s->out, &any, uses[i]);
}

static void
put_list(struct session *s, const char *word, const struct imap_list *l,
    const struct mailbox_info *m, bool childinfo)
{
	struct out *o = &s->out;

	out_puts(o, "* ");
	out_puts(o, word);
	out_puts(o, " (");
	put_attributes(s, l, m);
	out_puts(o, ") \"/\" ");
	imap_print_mailbox(&o->b, m->name, s->is_utf8);
	if (childinfo)
		/* RFC 9051, 6.3.9.6 */
		out_puts(o, l->select_subscribed ?
				" (\"CHILDINFO\" (\"SUBSCRIBED\"))" :
				" (\"CHILDINFO\" (\"SPECIAL-USE\"))");
	out_puts(o, "\r\n");
	out_check(o);
}

static void
put_list_status(
    struct session *s, const struct imap_list *l, const struct mailbox_info *m)
{
	struct mailbox_counts counts;
	char name[STORE_MAX_NAME + 1];
	struct err e;

	/* the info is borrowed until the account is asked again */
	if (!m->exists || !str_copy(m->name, name, sizeof(name)))
		return;
	if (account_status(s->account, str_from(name), &counts, &e) ==
	    ACCOUNT_OK)
		put_status(s, str_from(name), l->status, &counts);
}

/*
 * Has a descendant that the selection options take? (RECURSIVEMATCH)
 * Descendants stand together, since the list is sorted by octets, INBOX at
 * its head apart.
 */
static bool
has_selected_child(const struct imap_list *l, const struct mailbox_info *v,
    size_t n, struct str parent)
{
	char text[STORE_MAX_NAME + 2];
	size_t lo = 1, hi = n, mid;
	struct str prefix;

	if (parent.n + 1 >= sizeof(text))
		return false;
	memcpy(text, parent.p, parent.n);
	text[parent.n] = '/';
	prefix = str_make(text, parent.n + 1);
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (str_cmp(v[mid].name, prefix) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && str_starts(v[lo].name, prefix); lo++)
		if (is_selected(l, &v[lo]))
			return true;
	return false;
}

static void
list_all(struct session *s, const struct imap_list *l)
{
	const struct mailbox_info *v;
	size_t n = account_list(s->account, &v), i;

	for (i = 0; i < n; i++) {
		bool selected = is_selected(l, &v[i]), child = false;
		struct mailbox_info one = v[i];

		if (!matches(l, v[i].name))
			continue;
		if (l->select_recursive)
			child = has_selected_child(l, v, n, one.name);
		if (!selected && !child)
			continue;
		put_list(s, "LIST", l, &one, child);
		if (l->status != 0) {
			put_list_status(s, l, &one);
			/* asked the account in between: borrow again */
			n = account_list(s->account, &v);
		}
	}
}

/* RFC 3501, 6.3.9: a "%" whose match only has subscribed descendants is
 * reported with \Noselect. */
static void
lsub_all(struct session *s, const struct imap_list *l)
{
	const struct mailbox_info *v;
	size_t n = account_list(s->account, &v), i;

	for (i = 0; i < n; i++) {
		struct mailbox_info one = v[i];

		if (!matches(l, one.name))
			continue;
		if (!one.is_subscribed) {
			if (!str_ends(l->patterns.v[0], STR("%")) ||
			    !has_selected_child(l, v, n, one.name))
				continue;
			one.exists = false;
		} else
			one.exists = true; /* LSUB does not tell */
		put_list(s, "LSUB", l, &one, false);
	}
}

void
run_list(struct session *s, const struct imap_command *c)
{
	const struct imap_list *l = &c->u.list;
	bool lsub = c->verb == IMAP_LSUB;
	struct err e;

	if (!l->is_extended && l->patterns.n == 1 && l->patterns.v[0].n == 0) {
		/* the separator and the root (RFC 9051, 6.3.9) */
		out_puts(&s->out, lsub ? "* LSUB" : "* LIST");
		out_puts(&s->out, " (\\Noselect) \"/\" \"\"\r\n");
	} else {
		if (account_refresh(s->account, &e) == -1) {
			reply_err(s, c->tag, &e);
			return;
		}
		if (lsub)
			lsub_all(s, l);
		else
			list_all(s, l);
	}
	if (l->status & IMAP_STATUS_HIGHESTMODSEQ)
		condstore_enable(s);
	changes_tell(s, true);
	reply_ok(s, c->tag, NULL, lsub ? "LSUB done" : "LIST done");
}
