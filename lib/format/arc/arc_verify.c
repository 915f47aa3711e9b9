#include "format/arc/arc.h"

#include <string.h>

#include "format/arc/arc_int.h"
#include "format/mime/mime.h"

/* A signature and the key for it: seals by instance, and in place 0 the
 * latest message signature. */
struct checking {
	struct dkim_sig sig;
	struct dkim_key key;
	struct dns_question question;
	bool is_answered;
};

struct arc_verify {
	struct arena *arena;
	struct str header;
	int64_t now;
	struct dkim_keys *keys;
	struct arc_chain chain;
	struct checking *v; /* chain.n + 1 of them; NULL: nothing to check */
	struct dkim_body *body;
	size_t body_hash;
	struct arc_result result;
};

static bool
fail(struct arc_verify *v, const char *why)
{
	v->result.cv = ARC_FAIL;
	if (v->result.why == NULL)
		v->result.why = why;
	return false;
}

/* RFC 8617, 5.2, steps 2 and 3 */
static bool
check_structure(struct arc_verify *v)
{
	const struct arc_chain *ch = &v->chain;
	enum arc_cv cv;
	unsigned i;
	int j;

	if (ch->why != NULL)
		return fail(v, ch->why);
	if (ch->set[ch->n].field[ARC_AS].p != NULL &&
	    arc_seal_cv(ch->set[ch->n].field[ARC_AS], &cv) && cv == ARC_FAIL)
		return fail(v, "chain is marked as failed");
	for (i = 1; i <= ch->n; i++) {
		for (j = 0; j < ARC_N_FIELDS; j++)
			if (ch->set[i].field[j].p == NULL)
				return fail(v, "set is not complete");
		if (!arc_seal_cv(ch->set[i].field[ARC_AS], &cv) ||
		    cv != (i == 1 ? ARC_NONE : ARC_PASS))
			return fail(v, "cv= does not fit");
	}
	return true;
}

static bool
read_seals(struct arc_verify *v)
{
	const char *why = NULL;
	unsigned i;

	for (i = 1; i <= v->chain.n; i++) {
		if (!dkim_sig_parse(v->arena,
			arc_value(v->chain.set[i].field[ARC_AS]), DKIM_ARC_SEAL,
			&v->v[i].sig, &why))
			return fail(v, why);
		if (!dkim_key_question(
			v->arena, &v->v[i].sig, &v->v[i].question))
			return fail(v, "key name is too long");
	}
	v->result.sealer = v->v[v->chain.n].sig.domain;
	return true;
}

static bool
read_message_signature(struct arc_verify *v)
{
	struct dkim_sig *sig = &v->v[0].sig;
	const char *why = NULL;
	size_t i;

	if (!dkim_sig_parse(v->arena,
		arc_value(v->chain.set[v->chain.n].field[ARC_AMS]),
		DKIM_ARC_SIGNATURE, sig, &why))
		return fail(v, why);
	for (i = 0; i < sig->n_headers; i++) /* RFC 8617, 4.1.2 */
		if (str_eq_nocase(sig->headers[i], arc_field_names[ARC_AS]))
			return fail(v, "message signature covers a seal");
	if (sig->x != -1 && sig->x < v->now)
		return fail(v, "message signature has expired");
	if (!dkim_key_question(v->arena, sig, &v->v[0].question))
		return fail(v, "key name is too long");
	v->body_hash = dkim_body_want(
	    v->body, sig->body_canon, sig->has_length, sig->length);
	return true;
}

struct arc_verify *
arc_verify_begin(
    struct arena *a, struct str header, int64_t now, struct dkim_keys *keys)
{
	struct arc_verify *v = arena_zalloc(a, sizeof(*v));
	struct arc_chain *ch = &v->chain;
	struct str instance;

	v->arena = a;
	v->header = header;
	v->now = now;
	v->keys = keys;
	v->body = dkim_body_new();
	arc_collect(header, ch);
	v->result = (struct arc_result){
		.n_sets = ch->n, .sealer = STR(""), .authres = STR("")
	};
	if (ch->n == 0 && ch->why == NULL)
		return v; /* ARC_NONE */
	if (!check_structure(v))
		return v;
	v->result.authres = arc_value(ch->set[ch->n].field[ARC_AAR]);
	str_cut(&v->result.authres, ';', &instance);
	v->v = arena_zalloc(a, (ch->n + 1) * sizeof(*v->v));
	v->result.is_secure = true; /* until an answer is not */
	if (!read_seals(v) || !read_message_signature(v))
		v->v = NULL;
	return v;
}

void
arc_verify_body(struct arc_verify *v, struct str in)
{
	dkim_body_push(v->body, in);
}

const struct dns_question *
arc_verify_question(const struct arc_verify *v, size_t i)
{
	return v->v == NULL || i > v->chain.n ? NULL : &v->v[i].question;
}

/* The one key record of the answer (RFC 6376, 6.1.2). */
static bool
find_key(struct arc_verify *v, struct checking *c, const struct dns_answer *an)
{
	const char *why = "no key record";
	struct dkim_key key;
	size_t i, n = 0;

	for (i = 0; i < an->n; i++)
		if (dkim_key_parse(v->arena, an->v[i].text, &key, &why)) {
			c->key = key;
			n++;
		}
	if (n != 1)
		return fail(v, n > 1 ? "more than one key record" : why);
	if (c->key.p.n == 0)
		return fail(v, "key is revoked");
	if (!c->key.allows_sha256 || !c->key.allows_email)
		return fail(v, "key is not for this");
	return true;
}

void
arc_verify_answer(struct arc_verify *v, size_t i, const struct dns_answer *an)
{
	struct checking *c;

	if (arc_verify_question(v, i) == NULL)
		return;
	c = &v->v[i];
	c->is_answered = true;
	if (!an->is_secure)
		v->result.is_secure = false;
	if (dns_failed(an)) {
		v->result.is_temporary = true;
		fail(v, "no answer for a key");
	} else
		find_key(v, c, an);
}

/* The signature of the field over the text so far and the field itself. */
static bool
check_field(struct arc_verify *v, const struct checking *c, struct buf *text,
    struct str field, enum dkim_canon canon)
{
	const char *why = NULL;
	unsigned bits;

	dkim_canon_sig_field(text, field, canon);
	if (text->full)
		return fail(v, "header is too large");
	return dkim_check(v->keys, c->sig.algorithm, &c->key, buf_str(text),
		   c->sig.b, &bits, &why) == DKIM_PASS ||
	       fail(v, why);
}

/* RFC 8617, 5.2, step 4 */
static bool
check_message(struct arc_verify *v, struct buf *text)
{
	const struct dkim_sig *sig = &v->v[0].sig;
	const uint8_t *hash;
	uint64_t n;

	hash = dkim_body_hash(v->body, v->body_hash, &n);
	if (sig->has_length && sig->length > n)
		return fail(v, "l= is more than the body has");
	if (sig->bh.n != 32 || memcmp(sig->bh.p, hash, 32) != 0)
		return fail(v, "body hash does not match");
	if (!dkim_canon_header(text, v->header, sig->headers, sig->n_headers,
		sig->header_canon))
		return fail(v, "too many header fields");
	return check_field(v, &v->v[0], text,
	    v->chain.set[v->chain.n].field[ARC_AMS], sig->header_canon);
}

/* RFC 8617, 5.2, step 6 */
static bool
check_seals(struct arc_verify *v, struct buf *text)
{
	unsigned i;

	for (i = v->chain.n; i > 0; i--) {
		buf_clear(text);
		arc_sealed_text(text, &v->chain, 1, i);
		if (!check_field(v, &v->v[i], text,
			v->chain.set[i].field[ARC_AS], DKIM_RELAXED))
			return false;
	}
	return true;
}

const struct arc_result *
arc_verify_finish(struct arc_verify *v)
{
	struct buf text;
	unsigned i;

	dkim_body_finish(v->body);
	for (i = 0; v->v != NULL && i <= v->chain.n; i++)
		if (!v->v[i].is_answered) {
			v->result.is_temporary = true;
			fail(v, "no answer for a key");
		}
	buf_init(&text, 2 * v->header.n + 4096);
	if (v->v != NULL && v->result.cv != ARC_FAIL &&
	    check_message(v, &text) && check_seals(v, &text))
		v->result.cv = ARC_PASS;
	buf_release(&text);
	dkim_body_free(&v->body);
	return &v->result;
}

void
arc_verify_free(struct arc_verify **vp)
{
	if (*vp != NULL)
		dkim_body_free(&(*vp)->body);
	*vp = NULL;
}
