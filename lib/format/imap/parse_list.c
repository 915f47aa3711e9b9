/*
 * LIST, LSUB and the items of STATUS (RFC 9051, 6.3.9 and 6.3.11; RFC 5258;
 * RFC 5819; RFC 6154; RFC 3501, 6.3.9).
 */
#include "format/imap/imap_int.h"

/* clang-format off */
static const struct {
	struct str name;
	unsigned bit;
} status_atts[] = {
	{ STR_INIT("MESSAGES"),        IMAP_STATUS_MESSAGES },
	{ STR_INIT("RECENT"),          IMAP_STATUS_RECENT },
	{ STR_INIT("UIDNEXT"),         IMAP_STATUS_UIDNEXT },
	{ STR_INIT("UIDVALIDITY"),     IMAP_STATUS_UIDVALIDITY },
	{ STR_INIT("UNSEEN"),          IMAP_STATUS_UNSEEN },
	{ STR_INIT("DELETED"),         IMAP_STATUS_DELETED },
	{ STR_INIT("SIZE"),            IMAP_STATUS_SIZE },
	{ STR_INIT("HIGHESTMODSEQ"),   IMAP_STATUS_HIGHESTMODSEQ },
	{ STR_INIT("APPENDLIMIT"),     IMAP_STATUS_APPENDLIMIT },
	{ STR_INIT("DELETED-STORAGE"), IMAP_STATUS_DELETED_STORAGE },
	{ STR_INIT("MAILBOXID"),       IMAP_STATUS_MAILBOXID },
};
/* clang-format on */

/* "(" status-att *(SP status-att) ")" */
bool
parse_status_atts(struct parse *p, unsigned *bits)
{
	const size_t n = sizeof(status_atts) / sizeof(*status_atts);
	size_t i;

	*bits = 0;
	if (!cur_byte(&p->c, '('))
		return false;
	do {
		for (i = 0; i < n; i++)
			if (parse_word(p, status_atts[i].name))
				break;
		if (i == n)
			return cur_fail(&p->c, "unknown STATUS item");
		*bits |= status_atts[i].bit;
	} while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")" */
static bool
parse_select_opts(struct parse *p, struct imap_list *l)
{
	if (!cur_byte(&p->c, '('))
		return false;
	if (cur_try(&p->c, ')'))
		return true;
	do
		if (parse_word(p, STR("SUBSCRIBED")))
			l->select_subscribed = l->return_subscribed = true;
		else if (parse_word(p, STR("REMOTE")))
			l->select_remote = true;
		else if (parse_word(p, STR("RECURSIVEMATCH")))
			l->select_recursive = true;
		else if (parse_word(p, STR("SPECIAL-USE")))
			l->select_use = l->return_use = true;
		else
			return cur_fail(&p->c, "unknown selection option");
	while (cur_try(&p->c, ' '));
	/* RFC 5258, 3.1: it modifies a base option */
	if (l->select_recursive && !l->select_subscribed && !l->select_use)
		return cur_fail(&p->c, "RECURSIVEMATCH needs another option");
	return cur_byte(&p->c, ')');
}

/* list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")" */
static bool
parse_return_opts(struct parse *p, struct imap_list *l)
{
	if (!parse_sp(p) || !cur_byte(&p->c, '('))
		return false;
	if (cur_try(&p->c, ')'))
		return true;
	do
		if (parse_word(p, STR("SUBSCRIBED")))
			l->return_subscribed = true;
		else if (parse_word(p, STR("CHILDREN")))
			l->return_children = true;
		else if (parse_word(p, STR("SPECIAL-USE")))
			l->return_use = true;
		else if (parse_word(p, STR("STATUS"))) {
			if (!parse_sp(p) || !parse_status_atts(p, &l->status))
				return false;
		} else
			return cur_fail(&p->c, "unknown return option");
	while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

static bool
parse_pattern(struct parse *p, struct imap_list *l)
{
	struct str pattern;

	if (!parse_list_mailbox(p, &pattern) ||
	    !parse_room(p, (void **)&l->patterns.v, l->patterns.n,
		sizeof(pattern), IMAP_MAX_ITEMS))
		return false;
	l->patterns.v[l->patterns.n++] = pattern;
	return true;
}

/* mbox-or-pat = list-mailbox / patterns
 * patterns = "(" list-mailbox *(SP list-mailbox) ")" */
static bool
parse_mbox_or_pat(struct parse *p, struct imap_list *l)
{
	if (!cur_try(&p->c, '('))
		return parse_pattern(p, l);
	l->is_extended = true;
	do
		if (!parse_pattern(p, l))
			return false;
	while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat
 *        [SP list-return-opts] */
bool
parse_list(struct parse *p, struct imap_list *l)
{
	if (!parse_sp(p))
		return false;
	if (cur_at(&p->c, '(')) {
		l->is_extended = true;
		if (!parse_select_opts(p, l) || !parse_sp(p))
			return false;
	}
	if (!parse_mailbox(p, &l->reference) || !parse_sp(p) ||
	    !parse_mbox_or_pat(p, l))
		return false;
	if (cur_try_nocase(&p->c, STR(" RETURN"))) {
		l->is_extended = true;
		return parse_return_opts(p, l);
	}
	return true;
}

/* lsub = "LSUB" SP mailbox SP list-mailbox  RFC 3501, 9 */
bool
parse_lsub(struct parse *p, struct imap_list *l)
{
	l->select_subscribed = true;
	return parse_sp(p) && parse_mailbox(p, &l->reference) && parse_sp(p) &&
	       parse_pattern(p, l);
}
