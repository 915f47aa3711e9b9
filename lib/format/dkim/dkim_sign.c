#include "format/dkim/dkim.h"

#include <inttypes.h>
#include <string.h>

#include "base/b64.h"
#include "format/mime/mime.h"

#define LINE_MAX_COL                                            \
	72 /* lines of the field stay below 78, RFC 5322, 2.1.1 \
	    */

const struct str dkim_default_headers[] = {
	STR_INIT("From"),
	STR_INIT("To"),
	STR_INIT("Cc"),
	STR_INIT("Bcc"),
	STR_INIT("Reply-To"),
	STR_INIT("References"),
	STR_INIT("In-Reply-To"),
	STR_INIT("Subject"),
	STR_INIT("Date"),
	STR_INIT("Message-Id"),
	STR_INIT("Content-Type"),
};
const size_t dkim_n_default_headers =
    sizeof(dkim_default_headers) / sizeof(dkim_default_headers[0]);

struct signing {
	struct dkim_signer by;
	struct str names[DKIM_MAX_SIGNED]; /* h= */
	size_t n_names;
	size_t body; /* which hash */
};

struct dkim_sign {
	struct arena *arena;
	struct str header;
	struct dkim_body *body;
	struct signing *v;
	size_t n;
};

static size_t
count_fields(struct str header, struct str name)
{
	struct mime_field f;
	size_t n = 0;

	while (mime_field_next(&header, &f))
		n += str_eq_nocase(str_trim(f.name), name);
	return n;
}

/*
 * h=: each name as often as the field is there, so that none can be added
 * between signed ones, and once more when oversigning, so that none can be
 * added at all (RFC 6376, 5.4 and 8.15).
 */
static void
select_names(struct signing *s, struct str header)
{
	const struct str *names = s->by.headers;
	size_t n = s->by.n_headers, i, k;

	if (names == NULL) {
		names = dkim_default_headers;
		n = dkim_n_default_headers;
	}
	for (i = 0; i < n; i++) {
		k = count_fields(header, names[i]) + s->by.is_oversigning;
		for (; k > 0 && s->n_names < DKIM_MAX_SIGNED; k--)
			s->names[s->n_names++] = names[i];
	}
}

struct dkim_sign *
dkim_sign_begin(struct arena *a, struct str header,
    const struct dkim_signer *signers, size_t n)
{
	struct dkim_sign *d = arena_zalloc(a, sizeof(*d));
	size_t i;

	if (n > DKIM_MAX_SIGNATURES)
		n = DKIM_MAX_SIGNATURES;
	d->arena = a;
	d->header = header;
	d->body = dkim_body_new();
	d->v = arena_zalloc(a, n * sizeof(*d->v) + 1);
	d->n = n;
	for (i = 0; i < n; i++) {
		d->v[i].by = signers[i];
		select_names(&d->v[i], header);
		d->v[i].body =
		    dkim_body_want(d->body, signers[i].body_canon, false, 0);
	}
	return d;
}

void
dkim_sign_body(struct dkim_sign *d, struct str in)
{
	dkim_body_push(d->body, in);
}

/* A tag or a piece of one, on a new line if this one has no room. */
static void
put_word(struct buf *b, size_t *column, struct str word, bool has_space)
{
	if (*column + word.n + 1 > LINE_MAX_COL) {
		buf_puts(b, "\r\n\t");
		*column = 8;
	} else if (has_space) {
		buf_putc(b, ' ');
		++*column;
	}
	buf_put(b, word);
	*column += word.n;
}

static void
put_tag(struct buf *b, size_t *column, const char *name, struct str value,
    const char *end)
{
	struct buf word;

	buf_init(&word, 2048);
	buf_printf(&word, "%s=%.*s%s", name, STR_ARG(value), end);
	put_word(b, column, buf_str(&word), true);
	buf_release(&word);
}

static void
put_time(struct buf *b, size_t *column, const char *name, int64_t t)
{
	struct buf text;

	buf_init(&text, 32);
	buf_printf(&text, "%" PRId64, t);
	put_tag(b, column, name, buf_str(&text), ";");
	buf_release(&text);
}

/* base64 in pieces that fit lines */
static void
put_base64(struct buf *b, size_t *column, struct str octets)
{
	struct str rest, piece;
	struct buf text;
	size_t room;

	buf_init(&text, octets.n * 2 + 16);
	b64_encode(&text, octets);
	for (rest = buf_str(&text); rest.n > 0;) {
		room = LINE_MAX_COL - 9;
		if (*column + 1 < LINE_MAX_COL)
			room = LINE_MAX_COL - *column - 1;
		piece = str_sub(rest, 0, room);
		rest = str_sub(rest, piece.n, rest.n);
		put_word(b, column, piece, false);
	}
	buf_release(&text);
}

static void
put_names(struct buf *b, size_t *column, const struct signing *s)
{
	struct buf word;
	size_t i;

	put_tag(b, column, "h", s->n_names > 0 ? s->names[0] : STR(""),
	    s->n_names > 1 ? ":" : ";");
	buf_init(&word, 1024);
	for (i = 1; i < s->n_names; i++) {
		buf_clear(&word);
		buf_put(&word, s->names[i]);
		buf_putc(&word, i + 1 < s->n_names ? ':' : ';');
		put_word(b, column, buf_str(&word), false);
	}
	buf_release(&word);
}

static const char *
canon_name(const struct dkim_signer *by)
{
	static const char *const names[2][2] = {
		{ "simple/simple", "simple/relaxed" },
		{ "relaxed/simple", "relaxed/relaxed" },
	};

	return names[by->header_canon][by->body_canon];
}

/* The field up to its last tag, "b=". */
static void
put_field(struct buf *b, size_t *column, const struct signing *s,
    enum dkim_algorithm algorithm, struct str body_hash)
{
	const struct dkim_signer *by = &s->by;
	struct buf start;

	buf_init(&start, 128);
	buf_printf(&start, "DKIM-Signature: v=1; a=%s;",
	    dkim_algorithm_name(algorithm));
	buf_put(b, buf_str(&start));
	*column = start.n;
	buf_release(&start);
	put_tag(b, column, "c", str_from(canon_name(by)), ";");
	put_tag(b, column, "d", by->domain, ";");
	put_tag(b, column, "s", by->selector, ";");
	if (by->auid.n > 0)
		put_tag(b, column, "i", by->auid, ";");
	put_time(b, column, "t", by->now);
	if (by->expire_s > 0)
		put_time(b, column, "x", by->now + by->expire_s);
	put_names(b, column, s);
	put_tag(b, column, "bh", STR(""), "");
	put_base64(b, column, body_hash);
	buf_putc(b, ';');
	++*column;
	put_tag(b, column, "b", STR(""), "");
}

static int
sign_one(struct dkim_sign *d, const struct signing *s, struct buf *out,
    struct err *e)
{
	enum dkim_algorithm algorithm;
	struct str signature;
	struct buf field, text;
	const uint8_t *hash;
	size_t column = 0;
	uint64_t n;
	int rc = -1;

	if (dkim_key_algorithm(s->by.key, &algorithm, e) == -1)
		return -1;
	hash = dkim_body_hash(d->body, s->body, &n);
	buf_init(&field, 65536);
	buf_init(&text, 2 * d->header.n + 2 * 65536);
	put_field(
	    &field, &column, s, algorithm, str_make((const char *)hash, 32));
	if (!dkim_canon_header(
		&text, d->header, s->names, s->n_names, s->by.header_canon)) {
		err_set(e, ERR_PERM, "too many header fields to sign");
		goto done;
	}
	dkim_canon_sig_field(&text, buf_str(&field), s->by.header_canon);
	if (field.full || text.full) {
		err_set(e, ERR_PERM, "header too large to sign");
		goto done;
	}
	if (dkim_make(d->arena, s->by.key, buf_str(&text), &signature, e) == -1)
		goto done;
	/* the value of b= is no part of what was signed, nor are its folds */
	put_base64(&field, &column, signature);
	buf_puts(&field, "\r\n");
	buf_put(out, buf_str(&field));
	rc = 0;
done:
	buf_release(&field);
	buf_release(&text);
	return rc;
}

int
dkim_sign_finish(struct dkim_sign **dp, struct buf *out, struct err *e)
{
	struct dkim_sign *d = *dp;
	size_t i;
	int rc = 0;

	dkim_body_finish(d->body);
	for (i = 0; i < d->n && rc == 0; i++)
		rc = sign_one(d, &d->v[i], out, e);
	if (rc == 0 && out->full)
		rc = err_set(e, ERR_PERM, "signatures are too large");
	dkim_body_free(&d->body);
	*dp = NULL;
	return rc;
}
