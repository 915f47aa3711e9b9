/*
 * ENVELOPE, BODY and BODYSTRUCTURE from the tree of a message
 * (RFC 9051, 7.5.2 and 9).
 */
#include "format/imap/print.h"

struct out {
	struct buf *b;
	bool is_utf8, is_extended;
};

static void
put_sp(struct out *o)
{
	buf_putc(o->b, ' ');
}

static void
put_nstring(struct out *o, struct str s)
{
	imap_print_nstring(o->b, s, o->is_utf8);
}

/* A string that may not be NIL. */
static void
put_string(struct out *o, struct str s)
{
	imap_print_string(o->b, s.p == NULL ? STR("") : s, o->is_utf8);
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" ;
 * a NIL host is group syntax, so that of a mailbox is never NIL */
static void
put_address(struct out *o, const struct mime_addr *a)
{
	const struct str nil = { NULL, 0 };

	buf_putc(o->b, '(');
	put_nstring(o, a->kind == MIME_ADDR ? a->name : nil);
	put_sp(o);
	put_nstring(o, a->kind == MIME_ADDR ? a->adl : nil);
	put_sp(o);
	if (a->kind == MIME_GROUP_END)
		put_nstring(o, nil);
	else
		put_string(o, a->mailbox);
	put_sp(o);
	if (a->kind == MIME_ADDR)
		put_string(o, a->host);
	else
		put_nstring(o, nil);
	buf_putc(o->b, ')');
}

/* "(" 1*address ")" / nil */
static void
put_addresses(struct out *o, const struct mime_addrs *l)
{
	size_t i;

	if (l->n == 0) {
		buf_puts(o->b, "NIL");
		return;
	}
	buf_putc(o->b, '(');
	for (i = 0; i < l->n; i++)
		put_address(o, &l->v[i]);
	buf_putc(o->b, ')');
}

/* envelope = "(" env-date SP env-subject SP env-from SP env-sender SP
 *            env-reply-to SP env-to SP env-cc SP env-bcc SP
 *            env-in-reply-to SP env-message-id ")" */
static void
put_envelope(struct out *o, const struct mime_envelope *e)
{
	const struct mime_addrs *lists[] = { &e->from, &e->sender, &e->reply_to,
		&e->to, &e->cc, &e->bcc };
	size_t i;

	buf_putc(o->b, '(');
	put_nstring(o, e->date);
	put_sp(o);
	put_nstring(o, e->subject);
	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		put_sp(o);
		put_addresses(o, lists[i]);
	}
	put_sp(o);
	put_nstring(o, e->in_reply_to);
	put_sp(o);
	put_nstring(o, e->message_id);
	buf_putc(o->b, ')');
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void
put_params(struct out *o, const struct mime_params *l)
{
	size_t i;

	if (l->n == 0) {
		buf_puts(o->b, "NIL");
		return;
	}
	for (i = 0; i < l->n; i++) {
		buf_putc(o->b, i == 0 ? '(' : ' ');
		put_string(o, l->v[i].name);
		put_sp(o);
		put_string(o, l->v[i].value);
	}
	buf_putc(o->b, ')');
}

/* [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]] */
static void
put_extension(struct out *o, const struct mime_part *p)
{
	size_t i;

	put_sp(o);
	if (p->disposition.p == NULL)
		buf_puts(o->b, "NIL");
	else {
		buf_putc(o->b, '(');
		put_string(o, p->disposition);
		put_sp(o);
		put_params(o, &p->raw_disposition_params);
		buf_putc(o->b, ')');
	}
	put_sp(o);
	if (p->n_languages == 0)
		buf_puts(o->b, "NIL");
	else if (p->n_languages == 1)
		put_string(o, p->languages[0]);
	else {
		for (i = 0; i < p->n_languages; i++) {
			buf_putc(o->b, i == 0 ? '(' : ' ');
			put_string(o, p->languages[i]);
		}
		buf_putc(o->b, ')');
	}
	put_sp(o);
	put_nstring(o, p->location);
}

/* body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP
 *               body-fld-enc SP body-fld-octets */
static void
put_fields(struct out *o, const struct mime_part *p)
{
	if (p->raw_params.n == 0 && mime_part_is(p, STR("text"), STR("plain")))
		/* RFC 2045, 5.2: what no Content-Type means */
		buf_puts(o->b, "(\"charset\" \"us-ascii\")");
	else
		put_params(o, &p->raw_params);
	put_sp(o);
	put_nstring(o, p->id);
	put_sp(o);
	put_nstring(o, p->description);
	put_sp(o);
	put_string(
	    o, p->encoding_name.p == NULL ? STR("7bit") : p->encoding_name);
	put_sp(o);
	buf_put_uint(o->b, p->body_n);
}

/* What stands in for a part that the grammar wants and the message lacks. */
static void
put_empty_body(struct out *o)
{
	buf_puts(o->b, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
		       "\"7bit\" 0 0");
	if (o->is_extended)
		buf_puts(o->b, " NIL NIL NIL NIL");
	buf_putc(o->b, ')');
}

static void put_body(struct out *, const struct mime_part *);

/* body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart] */
static void
put_multipart(struct out *o, const struct mime_part *p)
{
	const struct mime_part *c;

	if (p->child == NULL)
		put_empty_body(o);
	for (c = p->child; c != NULL; c = c->next)
		put_body(o, c);
	put_sp(o);
	put_string(o, p->subtype);
	if (!o->is_extended)
		return;
	put_sp(o);
	put_params(o, &p->raw_params);
	put_extension(o, p);
}

/* body-type-msg = media-message SP body-fields SP envelope SP body SP
 *                 body-fld-lines ; what follows the fields */
static void
put_message(struct out *o, const struct mime_part *p)
{
	static const struct mime_envelope none;
	const struct mime_part *c = p->is_message ? p->child : NULL;

	put_sp(o);
	put_envelope(o, c == NULL || c->envelope == NULL ? &none : c->envelope);
	put_sp(o);
	if (c == NULL)
		put_empty_body(o);
	else
		put_body(o, c);
}

/* body-type-1part = (body-type-basic / body-type-msg / body-type-text)
 *                   [SP body-ext-1part] */
static void
put_1part(struct out *o, const struct mime_part *p)
{
	bool is_message = p->is_message ||
			  mime_part_is(p, STR("message"), STR("rfc822")) ||
			  mime_part_is(p, STR("message"), STR("global"));

	put_string(o, p->type);
	put_sp(o);
	put_string(o, p->subtype);
	put_sp(o);
	put_fields(o, p);
	if (is_message)
		put_message(o, p);
	if (is_message || mime_part_is(p, STR("text"), STR(""))) {
		put_sp(o);
		buf_put_uint(o->b, p->body_lines);
	}
	if (!o->is_extended)
		return;
	put_sp(o);
	put_nstring(o, p->md5);
	put_extension(o, p);
}

/* body = "(" (body-type-1part / body-type-mpart) ")" ; the depth is bounded
 * by MIME_MAX_DEPTH */
static void
put_body(struct out *o, const struct mime_part *p)
{
	buf_putc(o->b, '(');
	if (p->is_multipart)
		put_multipart(o, p);
	else
		put_1part(o, p);
	buf_putc(o->b, ')');
}

void
imap_print_envelope(struct buf *b, const struct mime_envelope *e, bool is_utf8)
{
	struct out o = { .b = b, .is_utf8 = is_utf8 };

	put_envelope(&o, e);
}

void
imap_print_body(
    struct buf *b, const struct mime_part *p, bool is_extended, bool is_utf8)
{
	struct out o = { b, is_utf8, is_extended };

	put_body(&o, p);
}
