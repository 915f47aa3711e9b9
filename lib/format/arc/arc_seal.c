#include "format/arc/arc.h"

#include <inttypes.h>

#include "base/b64.h"
#include "format/arc/arc_int.h"
#include "format/mime/mime.h"

#define B64_LINE  64	/* characters of base64 a line */
#define FIELD_MAX 65536 /* octets of one of our fields */

struct arc_seal {
	struct arena *arena;
	struct str header;
	struct arc_sealer by;
	struct arc_chain chain;
	struct str names[DKIM_MAX_SIGNED]; /* h= */
	size_t n_names;
	struct dkim_body *body;
	size_t body_hash;
};

static void
add_name(struct arc_seal *s, struct str name)
{
	struct str header = s->header;
	struct mime_field f;

	while (mime_field_next(&header, &f))
		if (str_eq_nocase(str_trim(f.name), name) &&
		    s->n_names < DKIM_MAX_SIGNED)
			s->names[s->n_names++] = name;
}

struct arc_seal *
arc_seal_begin(struct arena *a, struct str header, const struct arc_sealer *by)
{
	struct arc_seal *s = arena_zalloc(a, sizeof(*s));
	size_t i;

	s->arena = a;
	s->header = header;
	s->by = *by;
	arc_collect(header, &s->chain);
	for (i = 0; by->headers != NULL && i < by->n_headers; i++)
		add_name(s, by->headers[i]);
	for (i = 0; by->headers == NULL && i < dkim_n_default_headers; i++)
		add_name(s, dkim_default_headers[i]);
	if (by->headers == NULL) /* RFC 8617, 4.1.2 */
		add_name(s, STR("DKIM-Signature"));
	s->body = dkim_body_new();
	s->body_hash = dkim_body_want(s->body, by->body_canon, false, 0);
	return s;
}

void
arc_seal_body(struct arc_seal *s, struct str in)
{
	dkim_body_push(s->body, in);
}

static void
put_base64(struct buf *b, struct str octets)
{
	struct str rest;
	struct buf text;

	buf_init(&text, 2 * octets.n + 16);
	b64_encode(&text, octets);
	for (rest = buf_str(&text); rest.n > 0;
	     rest = str_sub(rest, B64_LINE, rest.n)) {
		buf_puts(b, "\r\n\t");
		buf_put(b, str_sub(rest, 0, B64_LINE));
	}
	buf_release(&text);
}

/* name, instance and what both signatures have */
static void
put_start(struct arc_seal *s, struct buf *b, enum arc_field which,
    unsigned instance, enum dkim_algorithm algorithm)
{
	buf_put(b, arc_field_names[which]);
	buf_printf(b, ": i=%u; a=%s; t=%" PRId64 ";", instance,
	    dkim_algorithm_name(algorithm), s->by.now);
	buf_printf(b, "\r\n\td=%.*s;", STR_ARG(s->by.domain));
	buf_printf(b, "\r\n\ts=%.*s;", STR_ARG(s->by.selector));
}

/* Sign text and the field that ends in "b="; add the value. */
static int
finish_field(struct arc_seal *s, struct buf *field, struct buf *text,
    enum dkim_canon canon, struct err *e)
{
	struct str signature;

	dkim_canon_sig_field(text, buf_str(field), canon);
	if (field->full || text->full)
		return err_set(e, ERR_PERM, "header too large to seal");
	if (dkim_make(s->arena, s->by.key, buf_str(text), &signature, e) == -1)
		return -1;
	put_base64(field, signature);
	buf_puts(field, "\r\n");
	return 0;
}

static int
make_message_signature(struct arc_seal *s, unsigned instance,
    enum dkim_algorithm algorithm, struct buf *b, struct err *e)
{
	static const char *const canon[] = { "simple", "relaxed" };
	const uint8_t *hash;
	struct buf text;
	uint64_t n;
	size_t i;
	int rc;

	put_start(s, b, ARC_AMS, instance, algorithm);
	buf_printf(b, " c=%s/%s;\r\n\th=", canon[s->by.header_canon],
	    canon[s->by.body_canon]);
	for (i = 0; i < s->n_names; i++)
		buf_printf(b, "%s%.*s", i == 0 ? "" : ":\r\n\t ",
		    STR_ARG(s->names[i]));
	hash = dkim_body_hash(s->body, s->body_hash, &n);
	buf_puts(b, ";\r\n\tbh=");
	put_base64(b, str_make((const char *)hash, 32));
	buf_puts(b, ";\r\n\tb=");
	buf_init(&text, 2 * s->header.n + 2 * FIELD_MAX);
	if (!dkim_canon_header(
		&text, s->header, s->names, s->n_names, s->by.header_canon))
		rc = err_set(e, ERR_PERM, "too many header fields to seal");
	else
		rc = finish_field(s, b, &text, s->by.header_canon, e);
	buf_release(&text);
	return rc;
}

static int
make_seal(struct arc_seal *s, unsigned instance, enum dkim_algorithm algorithm,
    struct buf *b, struct err *e)
{
	struct buf text;
	int rc;

	put_start(s, b, ARC_AS, instance, algorithm);
	buf_printf(b, " cv=%s;\r\n\tb=", arc_cv_name(s->by.cv));
	buf_init(&text, 2 * s->header.n + 4 * FIELD_MAX);
	/* RFC 8617, 5.1.2: of a failed chain only the own set */
	arc_sealed_text(
	    &text, &s->chain, s->by.cv == ARC_FAIL ? instance : 1, instance);
	rc = finish_field(s, b, &text, DKIM_RELAXED, e);
	buf_release(&text);
	return rc;
}

/* RFC 8617, 5.1, steps 2 and 3. 0: it cannot be sealed. */
static unsigned
next_instance(const struct arc_seal *s, struct err *e)
{
	const struct arc_chain *ch = &s->chain;
	struct str last = ch->set[ch->n].field[ARC_AS];
	enum arc_cv cv;

	if (ch->n > 0 && last.p != NULL && arc_seal_cv(last, &cv) &&
	    cv == ARC_FAIL) {
		err_set(e, ERR_PERM, "chain is marked as failed");
		return 0;
	}
	if (ch->n == ARC_MAX_SETS) {
		err_set(e, ERR_PERM, "chain is full");
		return 0;
	}
	if ((ch->n > 0) != (s->by.cv != ARC_NONE) && ch->why == NULL) {
		err_set(e, ERR_PERM, "chain status does not fit the message");
		return 0;
	}
	return ch->n + 1;
}

static int
seal(struct arc_seal *s, struct buf *field, struct buf *out, struct err *e)
{
	enum dkim_algorithm algorithm;
	struct arc_set *set;
	unsigned instance;
	int i;

	if (dkim_key_algorithm(s->by.key, &algorithm, e) == -1 ||
	    (instance = next_instance(s, e)) == 0)
		return -1;
	set = &s->chain.set[instance];
	*set = (struct arc_set){ 0 };
	buf_put(&field[ARC_AAR], arc_field_names[ARC_AAR]);
	buf_printf(&field[ARC_AAR], ": i=%u; %.*s\r\n", instance,
	    STR_ARG(s->by.authres));
	set->field[ARC_AAR] = buf_str(&field[ARC_AAR]);
	if (make_message_signature(
		s, instance, algorithm, &field[ARC_AMS], e) == -1)
		return -1;
	set->field[ARC_AMS] = buf_str(&field[ARC_AMS]);
	if (make_seal(s, instance, algorithm, &field[ARC_AS], e) == -1)
		return -1;
	for (i = ARC_N_FIELDS; i-- > 0;) {
		if (field[i].full)
			return err_set(e, ERR_PERM, "set is too large");
		buf_put(out, buf_str(&field[i]));
	}
	return out->full ? err_set(e, ERR_PERM, "set is too large") : 0;
}

int
arc_seal_finish(struct arc_seal **sp, struct buf *out, struct err *e)
{
	struct buf field[ARC_N_FIELDS];
	struct arc_seal *s = *sp;
	int i, rc;

	dkim_body_finish(s->body);
	for (i = 0; i < ARC_N_FIELDS; i++)
		buf_init(&field[i], FIELD_MAX);
	rc = seal(s, field, out, e);
	for (i = 0; i < ARC_N_FIELDS; i++)
		buf_release(&field[i]);
	dkim_body_free(&s->body);
	*sp = NULL;
	return rc;
}
