/*
 * Body canonicalization as a stream (RFC 6376, 3.4.3 and 3.4.4).
 *
 * Empty lines at the end do not count, so line ends are held back as a number
 * until something follows them; in relaxed form so is a run of white space,
 * which is one space before a character and nothing before a line end.
 */
#include "format/dkim/dkim.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define OUT_SIZE 4096
/* signatures, and as many ARC ones */
#define MAX_WANTS (2 * DKIM_MAX_SIGNATURES + 64)

struct want {
	bool has_length;
	uint64_t length; /* octets still to be hashed */
	uint64_t asked;
	EVP_MD_CTX *md;
	uint8_t hash[EVP_MAX_MD_SIZE];
};

struct stream {
	enum dkim_canon canon;
	bool has_cr, has_space;
	uint64_t crlfs; /* held back */
	uint64_t total; /* octets put out */
	char out[OUT_SIZE];
	size_t n;
	struct want want[MAX_WANTS];
	size_t n_wants;
};

struct dkim_body {
	struct stream stream[2]; /* by canon */
};

struct dkim_body *
dkim_body_new(void)
{
	struct dkim_body *b = xcalloc(1, sizeof(*b));

	b->stream[DKIM_SIMPLE].canon = DKIM_SIMPLE;
	b->stream[DKIM_RELAXED].canon = DKIM_RELAXED;
	return b;
}

void
dkim_body_free(struct dkim_body **bp)
{
	struct stream *s;
	size_t i, j;

	if (*bp == NULL)
		return;
	for (i = 0; i < 2; i++)
		for (s = &(*bp)->stream[i], j = 0; j < s->n_wants; j++)
			EVP_MD_CTX_free(s->want[j].md);
	free(*bp);
	*bp = NULL;
}

size_t
dkim_body_want(struct dkim_body *b, enum dkim_canon canon, bool has_length,
    uint64_t length)
{
	struct stream *s = &b->stream[canon];
	struct want *w;
	size_t i;

	for (i = 0; i < s->n_wants; i++)
		if (s->want[i].has_length == has_length &&
		    s->want[i].asked == length)
			return i * 2 + canon;
	assert(s->n_wants < MAX_WANTS);
	w = &s->want[s->n_wants++];
	w->has_length = has_length;
	w->length = w->asked = length;
	w->md = EVP_MD_CTX_new();
	if (w->md == NULL || EVP_DigestInit_ex(w->md, EVP_sha256(), NULL) != 1)
		abort();
	return i * 2 + canon;
}

/* What is in s->out, or what follows it. */
static void
flush(struct stream *s, const char *p, size_t n)
{
	struct want *w;
	size_t k;

	for (w = s->want; w < s->want + s->n_wants; w++) {
		k = n;
		if (w->has_length && k > w->length)
			k = (size_t)w->length;
		if (w->has_length)
			w->length -= k;
		if (k > 0)
			EVP_DigestUpdate(w->md, p, k);
	}
	s->total += n;
	if (p == s->out)
		s->n = 0;
}

static void
put(struct stream *s, const char *p, size_t n)
{
	if (n > OUT_SIZE - s->n)
		flush(s, s->out, s->n);
	if (n > OUT_SIZE)
		flush(s, p, n);
	else {
		memcpy(s->out + s->n, p, n);
		s->n += n;
	}
}

/* Characters follow: what was held back counts. */
static void
put_text(struct stream *s, const char *p, size_t n)
{
	for (; s->crlfs > 0; s->crlfs--)
		put(s, "\r\n", 2);
	if (s->has_space)
		put(s, " ", 1);
	s->has_space = false;
	put(s, p, n);
}

static bool
is_special(const struct stream *s, char c)
{
	return c == '\n' || c == '\r' ||
	       (s->canon == DKIM_RELAXED && (c == ' ' || c == '\t'));
}

/*
 * From a character on, how much of the text has the canonical form already:
 * words one space apart, lines that end in CRLF and are not the last. Most of
 * a body does, and is hashed as it lies.
 */
static const char *
canonical_span(const struct stream *s, const char *p, const char *end)
{
	for (;;) {
		while (p < end && !is_special(s, *p))
			p++;
		if (end - p > 1 && *p == ' ' && !is_special(s, p[1]))
			p++;
		else if (end - p > 2 && *p == '\r' && p[1] == '\n' &&
			 !is_special(s, p[2]))
			p += 2;
		else
			return p;
	}
}

static void
push(struct stream *s, struct str in)
{
	const char *p = in.p, *end = in.p + in.n, *q;

	while (p < end) {
		if (s->has_cr && *p != '\n')
			put_text(s, "\r", 1); /* a bare one is text */
		s->has_cr = *p == '\r';
		if (*p == '\n') {
			s->crlfs++;
			s->has_space = false;
		} else if (is_special(s, *p) && !s->has_cr)
			s->has_space = true;
		if (is_special(s, *p)) {
			p++;
			continue;
		}
		q = canonical_span(s, p, end);
		put_text(s, p, (size_t)(q - p));
		p = q;
	}
}

void
dkim_body_push(struct dkim_body *b, struct str in)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (b->stream[i].n_wants > 0)
			push(&b->stream[i], in);
}

void
dkim_body_finish(struct dkim_body *b)
{
	struct stream *s;
	struct want *w;

	for (s = b->stream; s < b->stream + 2; s++) {
		if (s->has_cr)
			put_text(s, "\r", 1);
		/* an empty body is CRLF in simple form, nothing in relaxed */
		if (s->canon == DKIM_SIMPLE || s->total + s->n > 0)
			put(s, "\r\n", 2);
		flush(s, s->out, s->n);
		for (w = s->want; w < s->want + s->n_wants; w++)
			EVP_DigestFinal_ex(w->md, w->hash, NULL);
	}
}

const uint8_t *
dkim_body_hash(const struct dkim_body *b, size_t i, uint64_t *n_total)
{
	const struct stream *s = &b->stream[i % 2];

	*n_total = s->total;
	return s->want[i / 2].hash;
}
