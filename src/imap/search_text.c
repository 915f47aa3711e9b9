/*
 * The search keys that read messages: header fields with their words
 * decoded, text with transfer encoding and charset undone (RFC 9051, 6.4.4).
 */
#include <stdlib.h>

#include "search.h"

/* A decoded field is searched up to here. */
#define MAX_FIELD (256 * 1024)

static bool
field_matches(struct needle *needle, struct str value, struct buf *tmp)
{
	buf_clear(tmp);
	mime_words_decode(tmp, value);
	needle_clear(needle);
	return needle_push(needle, buf_str(tmp));
}

/* HEADER field text; an empty text asks whether the field is there. */
int
search_header(struct msg *g, struct node *n)
{
	struct mime_field field;
	struct buf tmp;
	struct str block;
	bool found = false;

	if (parsed_has_field(n->key->field)) {
		if (parsed_fields(g) == -1)
			return -1;
		block = g->parsed.fields;
	} else {
		if (msg_header(g) == -1)
			return -1;
		block = buf_str(&g->header);
	}
	buf_init(&tmp, MAX_FIELD);
	while (!found && mime_field_next(&block, &field))
		if (str_eq_nocase(field.name, n->key->field))
			found = field_matches(&n->needle, field.value, &tmp);
	buf_release(&tmp);
	return found;
}

static bool
search_all_fields(struct needle *needle, struct str block)
{
	struct mime_field field;
	struct buf tmp;
	bool found = false;

	buf_init(&tmp, MAX_FIELD);
	while (!found && mime_field_next(&block, &field)) {
		buf_clear(&tmp);
		buf_put(&tmp, field.name);
		buf_puts(&tmp, ": ");
		mime_words_decode(&tmp, field.value);
		needle_clear(needle);
		found = needle_push(needle, buf_str(&tmp));
	}
	buf_release(&tmp);
	return found;
}

static void
to_needle(void *arg, struct str s)
{
	needle_push(arg, s);
}

struct reading {
	struct mime_text *text;
	struct needle *needle;
};

static bool
push(void *arg, struct str s)
{
	struct reading *r = arg;

	mime_text_push(r->text, s);
	return !r->needle->found;
}

static int
search_part(struct msg *g, const struct mime_part *p, struct needle *needle)
{
	struct reading r = { .needle = needle };
	int rc;

	if (!mime_part_is(p, STR("text"), STR("")))
		return 0;
	needle_clear(needle);
	if ((r.text = mime_text_new(p, to_needle, needle)) == NULL)
		return 0;
	rc = msg_read(g, (struct span){ p->body_at, p->body_n }, push, &r);
	mime_text_finish(&r.text);
	return rc == -1 ? -1 : needle->found;
}

static bool
to_buf(void *arg, struct str s)
{
	buf_put(arg, s);
	return true;
}

/* The header of a message inside is part of the text of the outer one. */
static int
search_inner_header(
    struct msg *g, const struct mime_part *p, struct needle *needle)
{
	struct span span = { p->child->header_at, p->child->header_n };
	struct buf block;
	int found = 0;

	if (span.n > MSG_MAX_HEADER)
		span.n = MSG_MAX_HEADER;
	buf_init(&block, MSG_MAX_HEADER);
	if (msg_read(g, span, to_buf, &block) == -1)
		found = -1;
	else
		found = search_all_fields(needle, buf_str(&block));
	buf_release(&block);
	return found;
}

int
search_text(struct msg *g, struct node *n, bool with_header)
{
	const struct mime_part *p;
	int found = 0;

	if (with_header) {
		if (msg_header(g) == -1)
			return -1;
		if (search_all_fields(&n->needle, buf_str(&g->header)))
			return 1;
	}
	if (msg_tree(g) == -1)
		return -1;
	for (p = g->root; p != NULL && found == 0; p = mime_part_walk(p))
		if (p->is_message && p->child != NULL)
			found = search_inner_header(g, p, &n->needle);
		else
			found = search_part(g, p, &n->needle);
	return found;
}

/* SENTBEFORE, SENTON, SENTSINCE: the day in the Date field, its time and zone
 * disregarded. A message without a date that can be read matches none. */
int
search_sent(struct msg *g, const struct imap_key *k)
{
	struct mime_field field;
	int64_t seconds, day;
	int zone_min;

	if (parsed_fields(g) == -1)
		return -1;
	if (!mime_field_find(g->parsed.fields, STR("Date"), &field) ||
	    !mime_date_parse(field.value, &seconds, &zone_min))
		return 0;
	seconds += (int64_t)zone_min * 60;
	day = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
	switch (k->kind) {
	case IMAP_KEY_SENTBEFORE:
		return day < k->day;
	case IMAP_KEY_SENTON:
		return day == k->day;
	default:
		return day >= k->day;
	}
}
