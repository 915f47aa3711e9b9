/*
 * The octets of a message: BODY[..] and BINARY (RFC 9051, 6.4.5.1; RFC 3516).
 * They pass through the output buffer in chunks.
 */
#include <stdlib.h>

#include "fetch.h"
#include "format/imap/print.h"

/* partial = "<" number64 "." nz-number64 ">" */
static struct span
clip(struct span span, const struct imap_fetch_item *it)
{
	if (!it->has_partial)
		return span;
	if (it->offset >= span.n)
		return (struct span){ span.at + span.n, 0 };
	span.at += it->offset;
	span.n -= it->offset;
	if (span.n > it->count)
		span.n = it->count;
	return span;
}

/* Exactly span.n octets must follow once their number was said. Straight
 * into the output buffer. */
static int
put_span(struct msg *g, struct span span)
{
	struct out *o = &g->s->out;

	while (span.n > 0 && !o->is_dead) {
		size_t want = span.n < MSG_CHUNK ? (size_t)span.n : MSG_CHUNK;
		char *p = buf_reserve(&o->b, want);
		ssize_t got;

		if (p == NULL)
			return err_set(&g->err, ERR_TEMP, "output is full");
		got = msgfile_read(g->file, span.at, p, want, &g->err);
		if (got == -1)
			return -1;
		if (got == 0)
			return err_set(&g->err, ERR_TEMP,
			    "message is shorter than it was");
		buf_grow(&o->b, (size_t)got);
		span.at += (uint64_t)got;
		span.n -= (uint64_t)got;
		out_check(o);
	}
	return 0;
}

static void
put_literal_head(struct out *o, const char *head, uint64_t n)
{
	out_puts(o, head);
	out_uint(o, n);
	out_puts(o, "}\r\n");
}

static bool
to_buf(void *arg, struct str s)
{
	buf_put(arg, s);
	return !((struct buf *)arg)->full;
}

/* HEADER.FIELDS of the message or of one inside: selected fields and an
 * empty line. */
static int
put_fields(struct msg *g, const struct imap_fetch_item *it, struct span span)
{
	const struct imap_section *sec = &it->section;
	struct buf block, fields;
	struct str s;
	bool is_kept = section_is_kept(sec);
	int rc = 0;

	buf_init(&block, MSG_MAX_HEADER);
	buf_init(&fields, MSG_MAX_HEADER + 2);
	if (sec->path_n > 0)
		rc = msg_read(g, span, to_buf, &block);
	if (rc == 0) {
		mime_field_select(&fields,
		    sec->path_n > 0 ? buf_str(&block) :
		    is_kept	    ? g->parsed.fields :
				      buf_str(&g->header),
		    sec->fields.v, sec->fields.n,
		    sec->what == IMAP_SECTION_FIELDS_NOT);
		buf_puts(&fields, "\r\n");
		span = clip((struct span){ 0, fields.n }, it);
		s = str_sub(buf_str(&fields), (size_t)span.at, (size_t)span.n);
		put_literal_head(&g->s->out, "{", s.n);
		out_put(&g->s->out, s);
	}
	buf_release(&block);
	buf_release(&fields);
	return rc;
}

int
fetch_section(struct msg *g, const struct imap_fetch_item *it)
{
	struct out *o = &g->s->out;
	const struct mime_part *part;
	struct span span = { 0 };
	int found = 1;

	if (!section_is_kept(&it->section))
		found = msg_section(g, &it->section, &span, &part);
	else if (parsed_fields(g) == -1)
		return -1;
	if (found == -1)
		return -1;
	imap_print_section(&o->b, it, g->s->is_utf8);
	out_puts(o, " ");
	if (found == 0) {
		out_puts(o, "NIL");
		return 0;
	}
	if (it->section.what == IMAP_SECTION_FIELDS ||
	    it->section.what == IMAP_SECTION_FIELDS_NOT)
		return put_fields(g, it, span);
	span = clip(span, it);
	put_literal_head(o, "{", span.n);
	return put_span(g, span);
}

/* ---- BINARY: decoded twice, to know the number and to send ---- */

struct decode {
	struct mime_decoder dec;
	struct buf out;	     /* of one chunk */
	uint64_t n;	     /* decoded so far */
	uint64_t skip, left; /* what is sent of it */
	struct out *to;	     /* NULL: count */
};

static void
take(struct decode *d)
{
	struct str s = buf_str(&d->out);

	d->n += s.n;
	if (d->to != NULL) {
		size_t skip = s.n < d->skip ? s.n : (size_t)d->skip;

		d->skip -= skip;
		s = str_sub(s, skip, s.n);
		if (s.n > d->left)
			s.n = (size_t)d->left;
		d->left -= s.n;
		out_put(d->to, s);
		out_check(d->to);
	}
	buf_clear(&d->out);
}

static bool
decode_chunk(void *arg, struct str s)
{
	struct decode *d = arg;

	mime_decoder_push(&d->dec, s, &d->out);
	take(d);
	return d->to == NULL || d->left > 0;
}

static int
decode_span(
    struct msg *g, struct span span, enum mime_encoding enc, struct decode *d)
{
	int rc;

	mime_decoder_init(&d->dec, enc);
	buf_init(&d->out, MSG_CHUNK + 1000);
	rc = msg_read(g, span, decode_chunk, d);
	mime_decoder_finish(&d->dec, &d->out);
	take(d);
	buf_release(&d->out);
	return rc;
}

/* What stands for no particular encoding is sent as it is. */
static int
put_binary(struct msg *g, const struct imap_fetch_item *it, struct span span,
    enum mime_encoding enc)
{
	struct out *o = &g->s->out;
	struct decode d = { 0 };
	struct span part;

	if (enc == MIME_ENC_NONE)
		d.n = span.n;
	else if (decode_span(g, span, enc, &d) == -1)
		return -1;
	if (it->kind == IMAP_FETCH_BINARY_SIZE) {
		out_uint(o, d.n);
		return 0;
	}
	part = clip((struct span){ 0, d.n }, it);
	put_literal_head(o, "~{", part.n);
	if (part.n == 0)
		return 0;
	if (enc == MIME_ENC_NONE)
		return put_span(g, (struct span){ span.at + part.at, part.n });
	d = (struct decode){ .skip = part.at, .left = part.n, .to = o };
	if (decode_span(g, span, enc, &d) == -1)
		return -1;
	return d.left == 0 ? 0 :
			     err_set(&g->err, ERR_TEMP, "message has changed");
}

int
fetch_binary(struct msg *g, const struct imap_fetch_item *it, const char **code)
{
	struct out *o = &g->s->out;
	const struct mime_part *part;
	enum mime_encoding enc;
	struct span span;
	int found = msg_section(g, &it->section, &span, &part);

	if (found == -1)
		return -1;
	imap_print_section(&o->b, it, g->s->is_utf8);
	out_puts(o, " ");
	/* a multipart and the whole message have no encoding of their own */
	enc = part == NULL || part->is_multipart || part->is_message ?
		  MIME_ENC_NONE :
		  part->encoding;
	if (found == 1 && enc != MIME_ENC_UNKNOWN)
		return put_binary(g, it, span, enc);
	if (found == 1)
		*code = "UNKNOWN-CTE";
	out_puts(o, it->kind == IMAP_FETCH_BINARY_SIZE ? "0" : "NIL");
	return 0;
}
