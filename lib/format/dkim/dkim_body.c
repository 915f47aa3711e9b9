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
#define BLOCK	 16 /* octets looked at in one step */
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
 * May these two stand side by side in the canonical form? Lines end in CRLF
 * and nothing else has CR or LF, words are one SP apart. Empty lines are fine:
 * whether they are the last ones is seen at the end of a span.
 */
static bool
is_odd_pair(const struct stream *s, char c, char next)
{
	return (c == '\r') != (next == '\n') ||
	       (s->canon == DKIM_RELAXED &&
		   (c == '\t' || (c == ' ' && is_special(s, next))));
}

/* The same of BLOCK pairs at once: BLOCK + 1 octets are read. Vectors of gcc
 * and clang are what the machine has, or are taken apart by the compiler. */
typedef signed char block __attribute__((vector_size(BLOCK)));

static bool
has_odd_pair(const struct stream *s, const char *p)
{
	uint64_t any[BLOCK / 8];
	block c, next, odd;

	memcpy(&c, p, BLOCK);
	memcpy(&next, p + 1, BLOCK);
	odd = (c == '\r') ^ (next == '\n');
	if (s->canon == DKIM_RELAXED)
		odd |= (c == '\t') |
		       ((c == ' ') &
			   ((next == ' ') | (next == '\t') | (next == '\r')));
	memcpy(any, &odd, BLOCK);
	return (any[0] | any[1]) != 0;
}

/*
 * From a character on, how much of the text has the canonical form already and
 * ends in a character. Most of a body does, and is hashed as it lies.
 */
static const char *
canonical_span(const struct stream *s, const char *p, const char *end)
{
	while (end - p > BLOCK && !has_odd_pair(s, p))
		p += BLOCK;
	while (end - p > 1 && !is_odd_pair(s, p[0], p[1]))
		p++;
	p++;
	while (is_special(s, p[-1]))
		p--;
	return p;
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
