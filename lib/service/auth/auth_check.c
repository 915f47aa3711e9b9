/* Making and checking hashes. */
#include "service/auth/auth.h"

#include <crypt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/utf8.h"
#include "base/xalloc.h"

#define DEFAULT_MEMORY	   (19 << 20) /* with 2 passes: 13 ms */
#define DEFAULT_PASSES	   2
#define MAX_CRYPT	   384 /* libxcrypt's limits for hash and password */
#define MAX_CRYPT_PASSWORD 512

static enum auth_answer
answer(bool is_right)
{
	return is_right ? AUTH_RIGHT : AUTH_WRONG;
}

static enum auth_answer
check_argon2(struct str hash, struct str password)
{
	char text[crypto_pwhash_STRBYTES];

	if (!str_copy(hash, text, sizeof(text)))
		return AUTH_CANNOT_CHECK;
	return answer(
	    crypto_pwhash_str_verify(text, password.p, password.n) == 0);
}

/* libxcrypt's own entry tells errors by NULL, and sanitizers, whose wrapper
 * of crypt_r() looks the library up too late, leave it alone. */
static const char *
run_crypt(const char *password, const char *hash, struct crypt_data *data)
{
#ifdef CRYPT_OUTPUT_SIZE
	return crypt_rn(password, hash, data, (int)sizeof(*data));
#else
	return crypt_r(password, hash, data);
#endif
}

/* crypt(3) takes strings: a password with a NUL has no hash there. */
static enum auth_answer
check_crypt(struct str hash, struct str password)
{
	struct crypt_data *data;
	char text[MAX_CRYPT], pass[MAX_CRYPT_PASSWORD];
	const char *got;
	enum auth_answer a = AUTH_CANNOT_CHECK;

	if (hash.n == 0 || !str_copy(hash, text, sizeof(text)))
		return AUTH_CANNOT_CHECK;
	if (str_has(password, '\0') || !str_copy(password, pass, sizeof(pass)))
		return AUTH_WRONG;
	data = xcalloc(1, sizeof(*data));
	got = run_crypt(pass, text, data);
	/* an error is a string that begins with "*" */
	if (got != NULL && got[0] != '*')
		a = answer(str_from(got).n == hash.n &&
			   sodium_memcmp(got, hash.p, hash.n) == 0);
	sodium_memzero(data, sizeof(*data));
	sodium_memzero(pass, sizeof(pass));
	free(data);
	return a;
}

static enum auth_answer
check_plain(struct str hash, struct str password)
{
	return answer(hash.n == password.n &&
		      sodium_memcmp(hash.p, password.p, hash.n) == 0);
}

/* base64 of SHA-512 of password and salt, then the salt */
static enum auth_answer
check_ssha512(struct str hash, struct str password)
{
	crypto_hash_sha512_state st;
	uint8_t digest[crypto_hash_sha512_BYTES];
	enum auth_answer a = AUTH_CANNOT_CHECK;
	struct buf b;

	buf_init(&b, AUTH_MAX_RECORD);
	if (b64_decode(&b, hash) && b.n >= sizeof(digest)) {
		crypto_hash_sha512_init(&st);
		crypto_hash_sha512_update(
		    &st, (const unsigned char *)password.p, password.n);
		crypto_hash_sha512_update(&st,
		    (const unsigned char *)b.p + sizeof(digest),
		    b.n - sizeof(digest));
		crypto_hash_sha512_final(&st, digest);
		a = answer(sodium_memcmp(digest, b.p, sizeof(digest)) == 0);
	}
	buf_release(&b);
	return a;
}

static const struct {
	struct str prefix;
	bool is_kept; /* the prefix is part of the hash */
	enum auth_answer (*check)(struct str hash, struct str password);
} schemes[] = {
	{ STR_INIT("{ARGON2ID}"), false, check_argon2 },
	{ STR_INIT("{ARGON2I}"), false, check_argon2 },
	{ STR_INIT("{BLF-CRYPT}"), false, check_crypt },
	{ STR_INIT("{SHA512-CRYPT}"), false, check_crypt },
	{ STR_INIT("{SHA256-CRYPT}"), false, check_crypt },
	{ STR_INIT("{CRYPT}"), false, check_crypt },
	{ STR_INIT("{SSHA512}"), false, check_ssha512 },
	{ STR_INIT("{PLAIN}"), false, check_plain },
	{ STR_INIT("$argon2"), true, check_argon2 },
	{ STR_INIT("$"), true, check_crypt },
};

static enum auth_answer
check_one(struct str hash, struct str password)
{
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (str_starts_nocase(hash, schemes[i].prefix))
			return schemes[i].check(
			    schemes[i].is_kept ?
				hash :
				str_sub(hash, schemes[i].prefix.n, SIZE_MAX),
			    password);
	return AUTH_CANNOT_CHECK;
}

/* Ours is of the normal form; others hashed what the client sent. */
enum auth_answer
auth_check(struct str hash, struct str password)
{
	struct buf b;
	enum auth_answer a;

	if (password.n == 0 || password.n > SASL_MAX_PASSWORD)
		return AUTH_WRONG;
	buf_init(&b, 4 * SASL_MAX_PASSWORD);
	if (!sasl_prep_password(&b, password))
		buf_put(&b, password);
	a = check_one(hash, buf_str(&b));
	if (a == AUTH_WRONG && !str_eq(buf_str(&b), password))
		a = check_one(hash, password);
	if (b.n > 0)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
	return a;
}

static size_t
characters(struct str s)
{
	size_t n = 0;

	while (s.n > 0 && utf8_next(&s) != -1)
		n++;
	return n;
}

static int
hash_password(struct arena *a, struct str password,
    const struct auth_cost *cost, struct auth_record *r, struct err *e)
{
	char text[crypto_pwhash_STRBYTES];
	struct buf b;

	if (crypto_pwhash_str_alg(text, password.p, password.n,
		cost->passes == 0 ? DEFAULT_PASSES : cost->passes,
		cost->memory == 0 ? DEFAULT_MEMORY : cost->memory,
		crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(e, ERR_TEMP, "no memory to hash a password");
	buf_init(&b, sizeof(text) + 16);
	buf_puts(&b, "{ARGON2ID}");
	buf_puts(&b, text);
	r->hash = arena_str(a, buf_str(&b));
	buf_release(&b);
	return 0;
}

int
auth_derive(struct arena *a, struct str name, struct str password,
    const struct auth_cost *cost, struct auth_record *r, struct err *e)
{
	static const struct auth_cost defaults = { 0 };
	struct buf b;
	int rc = -1;

	if (cost == NULL)
		cost = &defaults;
	*r = (struct auth_record){ .has_scram = true };
	buf_init(&b, 4 * SASL_MAX_PASSWORD);
	if (!sasl_prep_username(&b, name) || str_has(name, ':')) {
		err_set(e, ERR_PERM, "not a login name");
		goto done;
	}
	r->name = arena_str(a, buf_str(&b));
	buf_clear(&b);
	if (!sasl_prep_password(&b, password)) {
		err_set(e, ERR_PERM,
		    "password has characters that are not allowed");
		goto done;
	}
	if (characters(buf_str(&b)) < AUTH_MIN_PASSWORD) {
		err_set(e, ERR_PERM, "password has less than %d characters",
		    AUTH_MIN_PASSWORD);
		goto done;
	}
	if (hash_password(a, buf_str(&b), cost, r, e) == -1)
		goto done;
	r->scram.iterations =
	    cost->iterations == 0 ? AUTH_ITERATIONS : cost->iterations;
	r->scram.n_salt = 16;
	randombytes_buf(r->scram.salt, r->scram.n_salt);
	sasl_scram_derive(&r->scram, buf_str(&b));
	rc = 0;
done:
	if (b.n > 0)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
	return rc;
}
