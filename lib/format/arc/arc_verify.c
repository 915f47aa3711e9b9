#include "format/arc/arc.h"

#include <string.h>

#include "format/arc/arc_int.h"
#include "format/mime/mime.h"

/*
 * A signature and the key for it: seals by instance, in place 0 the latest
 * message signature, behind the seals the former ones from the second latest
 * on, if they are wanted.
 */
struct checking {
	struct dkim_sig sig;
	struct dkim_key key;
	struct dns_question question;
	size_t body_hash; /* of a message signature */
	bool is_answered, is_temporary;
	const char *why; /* it cannot hold */
};

struct arc_verify {
	struct arena *arena;
	struct str header;
	struct arc_options options;
	struct arc_chain chain;
	struct checking *v; /* NULL: nothing to check */
	size_t n;
	struct dkim_body *body;
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

/* What is wrong with it, or NULL. */
static const char *
read_message_signature(
    struct arc_verify *v, unsigned instance, struct checking *c)
{
	struct dkim_sig *sig = &c->sig;
	const char *why = NULL;
	size_t i;

	if (!dkim_sig_parse(v->arena,
		arc_value(v->chain.set[instance].field[ARC_AMS]),
		DKIM_ARC_SIGNATURE, sig, &why))
		return why;
	for (i = 0; i < sig->n_headers; i++) /* RFC 8617, 4.1.2 */
		if (str_eq_nocase(sig->headers[i], arc_field_names[ARC_AS]))
			return "message signature covers a seal";
	if (sig->x != -1 && sig->x < v->options.now)
		return "message signature has expired";
	if (!dkim_key_question(v->arena, sig, &c->question))
		return "key name is too long";
	c->body_hash = dkim_body_want(
	    v->body, sig->body_canon, sig->has_length, sig->length);
	return NULL;
}

/* The instance of what stands in a place behind the seals. */
static unsigned
former(const struct arc_verify *v, size_t i)
{
	return 2 * v->chain.n - (unsigned)i;
}

/* RFC 8617, 5.2, step 5: none behind one that cannot hold is looked at. */
static void
read_former(struct arc_verify *v)
{
	struct checking *c;

	while (v->n < 2 * v->chain.n) {
		c = &v->v[v->n];
		c->why = read_message_signature(v, former(v, v->n), c);
		if (c->why != NULL)
			break;
		v->n++;
	}
}

/* Everything that is to be asked for; false: nothing is. */
static bool
read_sets(struct arc_verify *v)
{
	unsigned n = v->chain.n;
	const char *why;

	v->v = arena_zalloc(v->arena, 2 * n * sizeof(*v->v));
	v->n = n + 1;
	if (!read_seals(v))
		return false;
	why = read_message_signature(v, n, &v->v[0]);
	if (why != NULL)
		return fail(v, why);
	if (v->options.wants_oldest_pass)
		read_former(v);
	return true;
}

struct arc_verify *
arc_verify_begin(
    struct arena *a, struct str header, const struct arc_options *options)
{
	struct arc_verify *v = arena_zalloc(a, sizeof(*v));
	struct arc_chain *ch = &v->chain;
	struct str instance;

	v->arena = a;
	v->header = header;
	v->options = *options;
	v->body = dkim_body_new();
	arc_collect(header, ch);
	v->result = (struct arc_result){ .n_sets = ch->n,
		.sealer = STR(""),
		.authres = STR(""),
		.oldest_pass = ARC_NOT_KNOWN };
	if (ch->n == 0 && ch->why == NULL)
		return v; /* ARC_NONE */
	if (!check_structure(v))
		return v;
	v->result.authres = arc_value(ch->set[ch->n].field[ARC_AAR]);
	str_cut(&v->result.authres, ';', &instance);
	v->result.is_secure = true; /* until an answer is not */
	if (!read_sets(v))
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
	return v->v == NULL || i >= v->n ? NULL : &v->v[i].question;
}

/* The one key record of the answer (RFC 6376, 6.1.2). What is wrong, or
 * NULL. */
static const char *
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
		return n > 1 ? "more than one key record" : why;
	if (c->key.p.n == 0)
		return "key is revoked";
	if (!c->key.allows_sha256 || !c->key.allows_email)
		return "key is not for this";
	return NULL;
}

void
arc_verify_answer(struct arc_verify *v, size_t i, const struct dns_answer *an)
{
	struct checking *c;

	if (arc_verify_question(v, i) == NULL)
		return;
	c = &v->v[i];
	c->is_answered = true;
	c->is_temporary = dns_failed(an);
	c->why = c->is_temporary ? "no answer for a key" : find_key(v, c, an);
	if (i <= v->chain.n && !an->is_secure)
		v->result.is_secure = false;
}

/* The signature of the field over the text so far and the field itself. What
 * is wrong, or NULL. */
static const char *
check_field(struct arc_verify *v, const struct checking *c, struct buf *text,
    struct str field, enum dkim_canon canon)
{
	const char *why = NULL;
	unsigned bits;

	dkim_canon_sig_field(text, field, canon);
	if (text->full)
		return "header is too large";
	(void)dkim_check(v->options.keys, c->sig.algorithm, &c->key,
	    buf_str(text), c->sig.b, &bits, &why);
	return why;
}

/* RFC 8617, 5.2, steps 4 and 5. What is wrong, or NULL. */
static const char *
check_message(struct arc_verify *v, unsigned instance, const struct checking *c,
    struct buf *text)
{
	const struct dkim_sig *sig = &c->sig;
	const uint8_t *hash;
	uint64_t n;

	hash = dkim_body_hash(v->body, c->body_hash, &n);
	if (sig->has_length && sig->length > n)
		return "l= is more than the body has";
	if (sig->bh.n != 32 || memcmp(sig->bh.p, hash, 32) != 0)
		return "body hash does not match";
	buf_clear(text);
	if (!dkim_canon_header(text, v->header, sig->headers, sig->n_headers,
		sig->header_canon))
		return "too many header fields";
	return check_field(v, c, text, v->chain.set[instance].field[ARC_AMS],
	    sig->header_canon);
}

/* RFC 8617, 5.2, step 5 */
static int
oldest_pass(struct arc_verify *v, struct buf *text)
{
	const struct checking *c;
	size_t i;

	for (i = v->chain.n + 1; i < 2 * v->chain.n; i++) {
		c = &v->v[i];
		if (i < v->n && (!c->is_answered || c->is_temporary))
			return ARC_NOT_KNOWN;
		if (c->why != NULL ||
		    check_message(v, former(v, i), c, text) != NULL)
			return (int)former(v, i) + 1;
	}
	return 0;
}

/* RFC 8617, 5.2, step 6. What is wrong, or NULL. */
static const char *
check_seals(struct arc_verify *v, struct buf *text)
{
	const char *why = NULL;
	unsigned i;

	for (i = v->chain.n; i > 0 && why == NULL; i--) {
		buf_clear(text);
		arc_sealed_text(text, &v->chain, 1, i);
		why = check_field(v, &v->v[i], text,
		    v->chain.set[i].field[ARC_AS], DKIM_RELAXED);
	}
	return why;
}

/* Are all keys there that the chain needs? */
static bool
has_keys(struct arc_verify *v)
{
	const struct checking *c;

	for (c = v->v; c <= v->v + v->chain.n; c++) {
		if (!c->is_answered || c->is_temporary)
			v->result.is_temporary = true;
		if (!c->is_answered)
			fail(v, "no answer for a key");
		else if (c->why != NULL)
			fail(v, c->why);
	}
	return v->result.cv != ARC_FAIL;
}

static void
check_chain(struct arc_verify *v, struct buf *text)
{
	const char *why = check_message(v, v->chain.n, &v->v[0], text);

	if (why == NULL)
		why = check_seals(v, text);
	if (why != NULL) {
		fail(v, why);
		return;
	}
	v->result.cv = ARC_PASS;
	if (v->options.wants_oldest_pass)
		v->result.oldest_pass = oldest_pass(v, text);
}

const struct arc_result *
arc_verify_finish(struct arc_verify *v)
{
	struct buf text;

	dkim_body_finish(v->body);
	if (v->v != NULL && has_keys(v)) {
		buf_init(&text, 2 * v->header.n + 4096);
		check_chain(v, &text);
		buf_release(&text);
	}
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
