#include "format/dkim/dkim.h"

#include <stdlib.h>
#include <string.h>

#include "format/mime/mime.h"

struct checking {
	struct dkim_sig sig;
	struct dkim_key key;
	struct dns_question question;
	struct str field; /* whole */
	size_t body;	  /* which hash */
	bool is_answered;
};

struct dkim_verify {
	struct arena *arena;
	struct str header;
	struct dkim_options options;
	struct dkim_body *body;
	struct checking *v[DKIM_MAX_SIGNATURES];
	struct dkim_result result[DKIM_MAX_SIGNATURES];
	size_t n, n_skipped;
	bool is_tls_report;
};

static bool
settle(struct dkim_result *r, enum dkim_status status, const char *why)
{
	r->status = status;
	r->why = why;
	return false;
}

/* RFC 6376, 6.1.1. false: it is settled without key and body. */
static bool
check_signature(
    const struct dkim_verify *v, struct checking *c, struct dkim_result *r)
{
	const struct dkim_options *o = &v->options;
	const char *why = NULL;
	struct str value = c->field, name;

	str_cut(&value, ':', &name);
	if (!dkim_sig_parse(v->arena, value, DKIM_SIGNATURE, &c->sig, &why))
		return settle(r, DKIM_PERMERROR, why);
	if (c->sig.algorithm == DKIM_RSA_SHA1) { /* RFC 8301, 3.1 */
		r->is_weak = true;
		return settle(r, DKIM_PERMERROR, "rsa-sha1 is historic");
	}
	if (o->is_public_suffix != NULL &&
	    o->is_public_suffix(o->arg, c->sig.domain))
		return settle(r, DKIM_PERMERROR, "d= is a public suffix");
	if (c->sig.x != -1 && c->sig.x < o->now)
		return settle(r, DKIM_PERMERROR, "signature has expired");
	if (c->sig.t != -1 && c->sig.t > o->now + DKIM_FUTURE_S)
		return settle(r, DKIM_PERMERROR, "signed in the future");
	return dkim_key_question(v->arena, &c->sig, &c->question) ||
	       settle(r, DKIM_PERMERROR, "key name is too long");
}

static void
add_signature(struct dkim_verify *v, struct str field)
{
	struct checking *c = arena_zalloc(v->arena, sizeof(*c));
	struct dkim_result *r = &v->result[v->n];

	v->v[v->n++] = c;
	c->field = field;
	*r = (struct dkim_result){ .status = DKIM_NEUTRAL, .sig = &c->sig };
	if (!check_signature(v, c, r))
		return;
	c->body = dkim_body_want(
	    v->body, c->sig.body_canon, c->sig.has_length, c->sig.length);
	r->question = &c->question;
}

struct dkim_verify *
dkim_verify_begin(
    struct arena *a, struct str header, const struct dkim_options *options)
{
	struct dkim_verify *v = arena_zalloc(a, sizeof(*v));
	struct str rest = header;
	struct mime_field f;

	v->arena = a;
	v->header = header;
	v->options = *options;
	v->body = dkim_body_new();
	while (mime_field_next(&rest, &f)) {
		if (str_eq_nocase(str_trim(f.name), STR("TLS-Report-Domain")))
			v->is_tls_report = true; /* RFC 8460, 5.3 */
		if (!str_eq_nocase(str_trim(f.name), STR("DKIM-Signature")))
			continue;
		if (v->n == DKIM_MAX_SIGNATURES)
			v->n_skipped++;
		else
			add_signature(v, f.whole);
	}
	return v;
}

void
dkim_verify_body(struct dkim_verify *v, struct str in)
{
	dkim_body_push(v->body, in);
}

const struct dkim_result *
dkim_verify_results(const struct dkim_verify *v, size_t *n, size_t *n_skipped)
{
	*n = v->n;
	if (n_skipped != NULL)
		*n_skipped = v->n_skipped;
	return v->result;
}

/* The one key record among the answers (RFC 6376, 3.6.2.2: more than one is
 * undefined). */
static bool
find_key(struct dkim_verify *v, struct checking *c, struct dkim_result *r,
    const struct dns_answer *an)
{
	const char *why = "no key record";
	struct dkim_key key;
	size_t i, n = 0;

	for (i = 0; i < an->n; i++)
		if (dkim_key_parse(v->arena, an->v[i].text, &key, &why)) {
			c->key = key;
			if (++n > 1)
				return settle(r, DKIM_PERMERROR,
				    "more than one key record");
		}
	return n == 1 || settle(r, DKIM_PERMERROR, why);
}

/* RFC 6376, 6.1.2 */
static bool
check_key(
    const struct dkim_verify *v, struct checking *c, struct dkim_result *r)
{
	size_t at = str_find(c->sig.auid, '@');

	if (c->key.p.n == 0)
		return settle(r, DKIM_PERMERROR, "key is revoked");
	if (!c->key.allows_sha256)
		return settle(r, DKIM_PERMERROR, "key is not for SHA-256");
	/* RFC 8460, 3: such a key is for reports alone */
	if (!c->key.allows_email && !(c->key.allows_tlsrpt && v->is_tls_report))
		return settle(r, DKIM_PERMERROR, "key is not for mail");
	while (str_has(str_sub(c->sig.auid, at + 1, c->sig.auid.n), '@'))
		at += 1 + str_find(
			      str_sub(c->sig.auid, at + 1, c->sig.auid.n), '@');
	if (c->key.is_strict &&
	    !dns_name_eq(
		str_sub(c->sig.auid, at + 1, c->sig.auid.n), c->sig.domain))
		return settle(
		    r, DKIM_PERMERROR, "i= is not d=, as the key asks");
	return true;
}

void
dkim_verify_answer(struct dkim_verify *v, size_t i, const struct dns_answer *an)
{
	struct dkim_result *r = &v->result[i];
	struct checking *c = v->v[i];

	if (r->question == NULL)
		return;
	r->question = NULL;
	r->is_secure = an->is_secure;
	r->insecure_at = arena_str(v->arena, dns_insecure_at(an));
	if (dns_failed(an))
		settle(r, DKIM_TEMPERROR, "no answer for the key");
	else if (dns_is_void(an))
		settle(r, DKIM_PERMERROR, "no key record");
	else if (find_key(v, c, r, an)) {
		r->key = &c->key;
		c->is_answered = check_key(v, c, r);
	}
}

/* RFC 6376, 6.1.3 */
static void
check_message(struct dkim_verify *v, struct checking *c, struct dkim_result *r)
{
	struct dkim_sig *sig = &c->sig;
	const uint8_t *hash;
	struct buf b;
	uint64_t n;

	hash = dkim_body_hash(v->body, c->body, &n);
	if (sig->has_length && sig->length > n) {
		settle(r, DKIM_PERMERROR, "l= is more than the body has");
		return;
	}
	if (sig->has_length)
		r->n_unsigned = n - sig->length;
	if (sig->bh.n != 32 || memcmp(sig->bh.p, hash, 32) != 0) {
		settle(r, DKIM_FAIL, "body hash does not match");
		return;
	}
	buf_init(&b, 2 * v->header.n + 4096);
	if (!dkim_canon_header(
		&b, v->header, sig->headers, sig->n_headers, sig->header_canon))
		settle(r, DKIM_PERMERROR, "too many header fields");
	else {
		dkim_canon_sig_field(&b, c->field, sig->header_canon);
		r->status = dkim_check(v->options.keys, sig->algorithm, &c->key,
		    buf_str(&b), sig->b, &r->bits, &r->why);
		r->is_weak =
		    c->key.is_rsa && r->bits > 0 && r->bits < DKIM_MIN_RSA_BITS;
	}
	buf_release(&b);
}

void
dkim_verify_finish(struct dkim_verify *v)
{
	size_t i;

	dkim_body_finish(v->body);
	for (i = 0; i < v->n; i++) {
		if (v->result[i].question != NULL)
			settle(&v->result[i], DKIM_TEMPERROR,
			    "no answer for the key");
		else if (v->v[i]->is_answered)
			check_message(v, v->v[i], &v->result[i]);
	}
	dkim_body_free(&v->body);
}

void
dkim_verify_free(struct dkim_verify **vp)
{
	if (*vp != NULL)
		dkim_body_free(&(*vp)->body);
	*vp = NULL;
}
