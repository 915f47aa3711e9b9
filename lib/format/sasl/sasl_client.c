/* Client side of the same mechanisms. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/xalloc.h"
#include "format/sasl/sasl_int.h"

#define MAX_ITERATIONS 1000000 /* a server may not keep us busy: 2 s */
#define MIN_ITERATIONS 4096    /* RFC 7677, 4 */

struct sasl_client {
	enum sasl_client_step (*respond)(
	    struct sasl_client *, struct str, struct buf *);
	const struct sasl_client_config *config;
	bool is_plus;
	unsigned at;
	struct buf gs2_header, first_bare;
	uint8_t server_signature[32];
};

static enum sasl_client_step
plain(struct sasl_client *c, struct str challenge, struct buf *out)
{
	if (c->at > 0)
		return challenge.n == 0 ? SASL_CLIENT_DONE : SASL_CLIENT_BAD;
	buf_putc(out, '\0');
	buf_put(out, c->config->user);
	buf_putc(out, '\0');
	buf_put(out, c->config->password);
	return SASL_CLIENT_SEND;
}

static enum sasl_client_step
login(struct sasl_client *c, struct str challenge, struct buf *out)
{
	if (c->at == 1)
		buf_put(out, c->config->user);
	else if (c->at == 2)
		buf_put(out, c->config->password);
	return c->at > 2 ? SASL_CLIENT_DONE : SASL_CLIENT_SEND;
}

static enum sasl_client_step
scram_first(struct sasl_client *c, struct buf *out)
{
	const struct sasl_client_config *f = c->config;

	if (c->is_plus) {
		buf_puts(&c->gs2_header, "p=");
		buf_put(&c->gs2_header, f->binding_type);
	} else
		buf_putc(&c->gs2_header, f->server_lacks_plus ? 'y' : 'n');
	buf_puts(&c->gs2_header, ",,");
	buf_puts(&c->first_bare, "n=");
	scram_name_encode(&c->first_bare, f->user);
	buf_puts(&c->first_bare, ",r=");
	buf_put(&c->first_bare, f->nonce);
	buf_put(out, buf_str(&c->gs2_header));
	buf_put(out, buf_str(&c->first_bare));
	return SASL_CLIENT_SEND;
}

/* "c=" base64 "," "r=" nonce: the final message without its proof */
static void
put_without_proof(struct sasl_client *c, struct str nonce, struct buf *out)
{
	struct buf bound;

	buf_init(&bound, SASL_MAX_MESSAGE);
	buf_put(&bound, buf_str(&c->gs2_header));
	if (c->is_plus)
		buf_put(&bound, c->config->binding);
	buf_puts(out, "c=");
	b64_encode(out, buf_str(&bound));
	buf_puts(out, ",r=");
	buf_put(out, nonce);
	buf_release(&bound);
}

static void
prove(struct sasl_client *c, const struct sasl_scram *k,
    struct str auth_message, struct buf *out)
{
	uint8_t salted[32], key[32], stored[32], signature[32];
	struct str password = c->config->password;
	struct buf b;
	size_t i;

	buf_init(&b, 4 * SASL_MAX_PASSWORD);
	if (sasl_prep_password(&b, password))
		password = buf_str(&b);
	sasl_hi(password, k->salt, k->n_salt, k->iterations, salted);
	scram_hmac(salted, STR("Server Key"), key);
	scram_hmac(key, auth_message, c->server_signature);
	scram_hmac(salted, STR("Client Key"), key);
	crypto_hash_sha256(stored, key, sizeof(key));
	scram_hmac(stored, auth_message, signature);
	for (i = 0; i < 32; i++)
		key[i] ^= signature[i];
	buf_puts(out, ",p=");
	b64_encode(out, str_make((char *)key, 32));
	sodium_memzero(salted, sizeof(salted));
	if (b.n > 0)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
}

static enum sasl_client_step
scram_final(struct sasl_client *c, struct str challenge, struct buf *out)
{
	struct sasl_scram k = { 0 };
	struct str nonce, salt, count;
	struct buf b, auth_message;
	struct cur at;
	uint64_t iterations;
	bool ok;

	cur_init(&at, challenge);
	buf_init(&b, SASL_MAX_SALT);
	ok = scram_attr(&at, 'r', &nonce) && cur_byte(&at, ',') &&
	     scram_attr(&at, 's', &salt) && cur_byte(&at, ',') &&
	     scram_attr(&at, 'i', &count) && nonce.n > c->config->nonce.n &&
	     str_starts(nonce, c->config->nonce) && b64_decode(&b, salt) &&
	     b.n > 0 && str_uint(count, MAX_ITERATIONS, &iterations) &&
	     iterations >= MIN_ITERATIONS;
	if (!ok) {
		buf_release(&b);
		return SASL_CLIENT_BAD;
	}
	k.iterations = (uint32_t)iterations;
	k.n_salt = b.n;
	memcpy(k.salt, b.p, b.n);
	buf_release(&b);
	put_without_proof(c, nonce, out);
	buf_init(&auth_message, 4 * SASL_MAX_MESSAGE);
	buf_put(&auth_message, buf_str(&c->first_bare));
	buf_putc(&auth_message, ',');
	buf_put(&auth_message, challenge);
	buf_putc(&auth_message, ',');
	buf_put(&auth_message, buf_str(out));
	prove(c, &k, buf_str(&auth_message), out);
	buf_release(&auth_message);
	return SASL_CLIENT_SEND;
}

static enum sasl_client_step
scram_verify(struct sasl_client *c, struct str challenge)
{
	struct cur at;
	struct str value;
	struct buf b;
	bool ok;

	buf_init(&b, 64);
	cur_init(&at, challenge);
	ok = scram_attr(&at, 'v', &value) && b64_decode(&b, value) &&
	     b.n == 32 && sodium_memcmp(b.p, c->server_signature, 32) == 0;
	buf_release(&b);
	return ok ? SASL_CLIENT_DONE : SASL_CLIENT_BAD;
}

static enum sasl_client_step
scram(struct sasl_client *c, struct str challenge, struct buf *out)
{
	if (c->at == 0)
		return scram_first(c, out);
	if (c->at == 1)
		return scram_final(c, challenge, out);
	return scram_verify(c, challenge);
}

struct sasl_client *
sasl_client_new(struct str mechanism, const struct sasl_client_config *config)
{
	struct sasl_client *c = xcalloc(1, sizeof(*c));

	c->config = config;
	c->is_plus = str_eq_nocase(mechanism, STR("SCRAM-SHA-256-PLUS"));
	if (str_eq_nocase(mechanism, STR("PLAIN")))
		c->respond = plain;
	else if (str_eq_nocase(mechanism, STR("LOGIN")))
		c->respond = login;
	else if (c->is_plus || str_eq_nocase(mechanism, STR("SCRAM-SHA-256")))
		c->respond = scram;
	else {
		free(c);
		return NULL;
	}
	buf_init(&c->gs2_header, SASL_MAX_MESSAGE);
	buf_init(&c->first_bare, SASL_MAX_MESSAGE);
	return c;
}

void
sasl_client_free(struct sasl_client **pc)
{
	struct sasl_client *c = *pc;

	if (c == NULL)
		return;
	buf_release(&c->gs2_header);
	buf_release(&c->first_bare);
	sodium_memzero(c->server_signature, sizeof(c->server_signature));
	free(c);
	*pc = NULL;
}

enum sasl_client_step
sasl_client_step(struct sasl_client *c, struct str challenge, struct buf *out)
{
	enum sasl_client_step step;

	buf_clear(out);
	if (challenge.p == NULL)
		challenge = STR("");
	step = c->respond(c, challenge, out);
	c->at++;
	return out->full ? SASL_CLIENT_BAD : step;
}
