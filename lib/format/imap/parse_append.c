/*
 * APPEND and REPLACE, whose message the reader hands over apart: what stands
 * before each literal, and behind the last (RFC 9051, 6.3.12; RFC 8508, 3).
 */
#include "format/imap/imap_int.h"
#include "format/imap/reader.h"

/* "UTF8" SP "(" literal8 ")"  RFC 6855, 4; only its beginning is here */
static bool
parse_append_head(struct parse *p, struct imap_append *a)
{
	struct imap_literal lit;

	if (cur_at(&p->c, '(') &&
	    (!parse_flag_list(p, false, &a->flags) || !parse_sp(p)))
		return false;
	if (cur_at(&p->c, '"')) {
		a->has_date = true;
		if (!parse_date_time(p, &a->date, &a->zone_min) || !parse_sp(p))
			return false;
	}
	if (cur_try_nocase(&p->c, STR("UTF8 (")))
		a->is_utf8 = true;
	if (!imap_literal_at_end(cur_rest(&p->c), &lit) || lit.at != 0)
		return cur_fail(&p->c, "expected a literal");
	if (a->is_utf8 && !lit.is_literal8)
		return cur_fail(&p->c, "UTF8 needs a literal8");
	return true;
}

/* replace = "REPLACE" SP seq-number SP mailbox append-message  RFC 8508, 5 */
static bool
parse_replaced(
    struct parse *p, const struct imap_command *cmd, struct imap_append *a)
{
	a->is_replace = true;
	a->is_uid = cmd->is_uid;
	if (!parse_sp(p) || !parse_set(p, true, &a->replaced))
		return false;
	if (a->replaced.n != 1 || a->replaced.v[0].from != a->replaced.v[0].to)
		return cur_fail(&p->c, "expected one message number");
	return true;
}

/* append = "APPEND" SP mailbox 1*append-message
 * append-message = append-opts SP append-data  RFC 3502, 5 */
enum imap_parse_result
imap_parse_append(struct arena *arena, struct str text, bool is_first,
    bool after_utf8, const struct imap_parse_opts *opts, struct imap_append *a,
    struct imap_parse_error *e)
{
	struct parse p = { .arena = arena, .is_utf8 = opts->is_utf8 };
	struct imap_command cmd = { 0 };
	enum imap_parse_result r;

	*a = (struct imap_append){ 0 };
	cur_init(&p.c, text);
	if (is_first) {
		r = parse_begin(&p, opts->state, &cmd);
		a->tag = cmd.tag;
		if (r != IMAP_PARSED)
			return parse_result(
			    &p, r == IMAP_UNKNOWN ? IMAP_SYNTAX : r, e);
		if (cmd.verb == IMAP_REPLACE && !parse_replaced(&p, &cmd, a))
			return parse_result(&p, IMAP_PARSED, e);
		if (!parse_sp(&p) || !parse_mailbox(&p, &a->mailbox))
			return parse_result(&p, IMAP_PARSED, e);
	} else if (after_utf8)
		cur_byte(&p.c, ')');
	if (parse_sp(&p))
		parse_append_head(&p, a);
	return parse_result(&p, IMAP_PARSED, e);
}

bool
imap_parse_append_end(struct str text, bool after_utf8)
{
	if (after_utf8) {
		if (!str_starts(text, STR(")")))
			return false;
		text = str_sub(text, 1, text.n);
	}
	return str_trim(text).n == 0;
}
