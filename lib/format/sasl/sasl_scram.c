/* SCRAM's keys and grammar; PBKDF2 on libsodium's HMAC. */
#include <sodium.h>
#include <string.h>

#include "format/sasl/sasl_int.h"

void
scram_hmac(const uint8_t key[32], struct str s, uint8_t out[32])
{
	crypto_auth_hmacsha256(out, (const unsigned char *)s.p, s.n, key);
}

/* The two key blocks of HMAC are hashed once and copied: four compressions
 * a round become two. */
void
sasl_hi(struct str password, const uint8_t *salt, size_t n_salt,
    uint32_t iterations, uint8_t out[32])
{
	static const uint8_t first[4] = { 0, 0, 0, 1 };
	crypto_auth_hmacsha256_state keyed, st;
	uint8_t u[32];
	uint32_t i;
	size_t k;

	crypto_auth_hmacsha256_init(
	    &keyed, (const unsigned char *)password.p, password.n);
	st = keyed;
	crypto_auth_hmacsha256_update(&st, salt, n_salt);
	crypto_auth_hmacsha256_update(&st, first, sizeof(first));
	crypto_auth_hmacsha256_final(&st, u);
	memcpy(out, u, 32);
	for (i = 1; i < iterations; i++) {
		st = keyed;
		crypto_auth_hmacsha256_update(&st, u, sizeof(u));
		crypto_auth_hmacsha256_final(&st, u);
		for (k = 0; k < 32; k++)
			out[k] ^= u[k];
	}
	sodium_memzero(&keyed, sizeof(keyed));
	sodium_memzero(&st, sizeof(st));
	sodium_memzero(u, sizeof(u));
}

/* SaltedPassword, ClientKey, StoredKey, ServerKey: RFC 5802, 3 */
void
sasl_scram_derive(struct sasl_scram *k, struct str password)
{
	uint8_t salted[32], client_key[32];
	struct buf b;

	buf_init(&b, 4 * SASL_MAX_PASSWORD);
	if (sasl_prep_password(&b, password))
		password = buf_str(&b);
	sasl_hi(password, k->salt, k->n_salt, k->iterations, salted);
	scram_hmac(salted, STR("Client Key"), client_key);
	crypto_hash_sha256(k->stored_key, client_key, sizeof(client_key));
	scram_hmac(salted, STR("Server Key"), k->server_key);
	sodium_memzero(salted, sizeof(salted));
	sodium_memzero(client_key, sizeof(client_key));
	if (b.n > 0)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
}

bool
sasl_scram_verify(const struct sasl_scram *k, struct str password)
{
	struct sasl_scram again = *k;

	sasl_scram_derive(&again, password);
	return sodium_memcmp(again.stored_key, k->stored_key, 32) == 0;
}

bool
scram_attr(struct cur *c, char name, struct str *value)
{
	if (!cur_byte(c, name) || !cur_byte(c, '='))
		return false;
	*value = cur_until(c, ',');
	return true;
}

/* saslname = 1*(value-safe-char / "=2C" / "=3D")  RFC 5802, 7 */
bool
scram_name_decode(struct buf *out, struct str s)
{
	struct cur c;

	cur_init(&c, s);
	while (cur_left(&c) > 0) {
		buf_put(out, cur_until(&c, '='));
		if (cur_left(&c) == 0)
			break;
		if (cur_try_nocase(&c, STR("=2C")))
			buf_putc(out, ',');
		else if (cur_try_nocase(&c, STR("=3D")))
			buf_putc(out, '=');
		else
			return false;
	}
	return out->n > 0 && !out->full;
}

void
scram_name_encode(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] == ',')
			buf_puts(out, "=2C");
		else if (s.p[i] == '=')
			buf_puts(out, "=3D");
		else
			buf_putc(out, s.p[i]);
}
