/*
 * OpenSSL's part. It refuses neither SHA-1 nor 512-bit RSA in plain
 * signatures, so the minima of RFC 8301 are enforced here.
 */
#include "format/dkim/dkim_int.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/b64.h"

#define ED25519_KEY 32 /* octets, RFC 8032 */

static bool
sha256(struct str text, uint8_t out[32])
{
	return EVP_Digest(text.p, text.n, out, NULL, EVP_sha256(), NULL) == 1;
}

/* Into a SEQUENCE that is all there is. */
static bool
enter_sequence(const unsigned char **p, const unsigned char *end)
{
	int tag, class, bits;
	long len;

	bits = ASN1_get_object(p, &len, &tag, &class, end - *p);
	return (bits & 0x80) == 0 && (bits & V_ASN1_CONSTRUCTED) != 0 &&
	       tag == V_ASN1_SEQUENCE && class == V_ASN1_UNIVERSAL &&
	       len == end - *p;
}

/* Of SubjectPublicKeyInfo (RFC 5280, 4.1) with rsaEncryption: the octets of
 * its BIT STRING; NULL if it is something else. */
static ASN1_BIT_STRING *
rsa_bits(const unsigned char *p, const unsigned char *end)
{
	ASN1_BIT_STRING *bits = NULL;
	X509_ALGOR *algor;
	const ASN1_OBJECT *oid;

	if (!enter_sequence(&p, end) ||
	    (algor = d2i_X509_ALGOR(NULL, &p, end - p)) == NULL)
		return NULL;
	X509_ALGOR_get0(&oid, NULL, NULL, algor);
	if (OBJ_obj2nid(oid) == NID_rsaEncryption)
		bits = d2i_ASN1_BIT_STRING(NULL, &p, end - p);
	X509_ALGOR_free(algor);
	if (bits != NULL && p != end) {
		ASN1_BIT_STRING_free(bits);
		bits = NULL;
	}
	return bits;
}

static EVP_PKEY *
rsa_from_numbers(const ASN1_INTEGER *n, const ASN1_INTEGER *e)
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(n, NULL);
	BIGNUM *be = ASN1_INTEGER_to_BN(e, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (bn != NULL && be != NULL && build != NULL && ctx != NULL &&
	    !BN_is_negative(bn) && !BN_is_negative(be) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(be);
	return key;
}

/* RSAPublicKey (RFC 8017, A.1.1) */
static EVP_PKEY *
rsa_public(const unsigned char *p, const unsigned char *end)
{
	ASN1_INTEGER *n = NULL, *e = NULL;
	EVP_PKEY *key = NULL;

	if (enter_sequence(&p, end) &&
	    (n = d2i_ASN1_INTEGER(NULL, &p, end - p)) != NULL &&
	    (e = d2i_ASN1_INTEGER(NULL, &p, end - p)) != NULL && p == end)
		key = rsa_from_numbers(n, e);
	ASN1_INTEGER_free(n);
	ASN1_INTEGER_free(e);
	return key;
}

/*
 * RSAPublicKey by the text of RFC 6376, 3.6.1, SubjectPublicKeyInfo by its
 * examples (erratum 3017). Taken apart by steps: d2i_PUBKEY() of OpenSSL 3
 * takes five times as long as checking the signature.
 */
static EVP_PKEY *
rsa_key(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	ASN1_BIT_STRING *bits = rsa_bits(p, p + der.n);
	EVP_PKEY *key;

	if (bits == NULL)
		return rsa_public(p, p + der.n);
	p = ASN1_STRING_get0_data(bits);
	key = rsa_public(p, p + ASN1_STRING_length(bits));
	ASN1_BIT_STRING_free(bits);
	return key;
}

static EVP_PKEY *
public_key(struct dkim_keys *keys, const struct dkim_key *record)
{
	EVP_PKEY *key;

	if (!record->is_rsa)
		return record->p.n != ED25519_KEY ?
			   NULL :
			   EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
			       (const unsigned char *)record->p.p, record->p.n);
	if ((key = dkim_keys_get(keys, record->p)) == NULL &&
	    (key = rsa_key(record->p)) != NULL)
		dkim_keys_put(keys, record->p, key);
	return key;
}

static enum dkim_status
check_rsa(EVP_PKEY *key, const uint8_t hash[32], struct str signature,
    const char **why)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		  EVP_PKEY_verify(ctx, (const unsigned char *)signature.p,
		      signature.n, hash, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	*why = ok ? NULL : "signature does not verify";
	return ok ? DKIM_PASS : DKIM_FAIL;
}

/* RFC 8463, 3: the SHA-256 digest is the message of PureEdDSA */
static enum dkim_status
check_ed25519(EVP_PKEY *key, const uint8_t hash[32], struct str signature,
    const char **why)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL &&
		  EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		  EVP_DigestVerify(ctx, (const unsigned char *)signature.p,
		      signature.n, hash, 32) == 1;

	EVP_MD_CTX_free(ctx);
	*why = ok ? NULL : "signature does not verify";
	return ok ? DKIM_PASS : DKIM_FAIL;
}

static enum dkim_status
check_with(EVP_PKEY *key, const struct dkim_key *record, struct str text,
    struct str signature, const char **why)
{
	unsigned bits = (unsigned)EVP_PKEY_get_bits(key);
	uint8_t hash[32];

	if (record->is_rsa && bits < DKIM_MIN_RSA_BITS) {
		*why = "RSA key is too short";
		return DKIM_PERMERROR;
	}
	if (record->is_rsa && bits > DKIM_MAX_RSA_BITS) {
		*why = "RSA key is too long";
		return DKIM_PERMERROR;
	}
	if (!sha256(text, hash)) {
		*why = "no SHA-256";
		return DKIM_TEMPERROR;
	}
	return record->is_rsa ? check_rsa(key, hash, signature, why) :
				check_ed25519(key, hash, signature, why);
}

enum dkim_status
dkim_check(struct dkim_keys *keys, enum dkim_algorithm algorithm,
    const struct dkim_key *record, struct str text, struct str signature,
    unsigned *bits, const char **why)
{
	enum dkim_status status = DKIM_PERMERROR;
	EVP_PKEY *key;

	*bits = 0;
	if (algorithm == DKIM_RSA_SHA1) {
		*why = "rsa-sha1 is historic";
		return DKIM_PERMERROR;
	}
	if (record->is_rsa != (algorithm == DKIM_RSA_SHA256)) {
		*why = "key is of another type";
		return DKIM_PERMERROR;
	}
	if ((key = public_key(keys, record)) == NULL)
		*why = "key cannot be read";
	else {
		*bits = (unsigned)EVP_PKEY_get_bits(key);
		status = check_with(key, record, text, signature, why);
	}
	EVP_PKEY_free(key);
	return status;
}

int
dkim_key_algorithm(
    const struct evp_pkey_st *key, enum dkim_algorithm *out, struct err *e)
{
	int id = EVP_PKEY_get_base_id(key);

	*out = id == EVP_PKEY_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
	if (id != EVP_PKEY_RSA && id != EVP_PKEY_ED25519)
		return err_set(e, ERR_PERM, "key is neither RSA nor Ed25519");
	if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < DKIM_MIN_RSA_BITS)
		return err_set(e, ERR_PERM, "RSA key is shorter than %d bits",
		    DKIM_MIN_RSA_BITS);
	return 0;
}

int
dkim_make(struct arena *a, struct evp_pkey_st *key, struct str text,
    struct str *signature, struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum dkim_algorithm algorithm;
	const unsigned char *in;
	uint8_t hash[32];
	size_t n, in_n;
	char *p;
	int rc = -1;

	if (dkim_key_algorithm(key, &algorithm, e) == -1)
		goto done;
	in = (const unsigned char *)text.p;
	in_n = text.n;
	if (algorithm == DKIM_ED25519_SHA256 && sha256(text, hash)) {
		in = hash;
		in_n = sizeof(hash);
	}
	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, NULL,
		algorithm == DKIM_RSA_SHA256 ? EVP_sha256() : NULL, NULL,
		key) != 1 ||
	    EVP_DigestSign(ctx, NULL, &n, in, in_n) != 1) {
		err_set(e, ERR_PERM, "cannot sign with this key");
		goto done;
	}
	p = arena_alloc(a, n);
	if (EVP_DigestSign(ctx, (unsigned char *)p, &n, in, in_n) != 1) {
		err_set(e, ERR_PERM, "cannot sign with this key");
		goto done;
	}
	*signature = str_make(p, n);
	rc = 0;
done:
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
dkim_print_key(struct buf *b, struct evp_pkey_st *key, struct err *e)
{
	unsigned char raw[ED25519_KEY], *der = NULL;
	enum dkim_algorithm algorithm;
	size_t n = sizeof(raw);
	int len;

	if (dkim_key_algorithm(key, &algorithm, e) == -1)
		return -1;
	if (algorithm == DKIM_ED25519_SHA256) {
		if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
			return err_set(e, ERR_PERM, "key has no public part");
		buf_puts(b, "v=DKIM1; h=sha256; k=ed25519; p=");
		b64_encode(b, str_make((const char *)raw, n));
		return 0;
	}
	if ((len = i2d_PUBKEY(key, &der)) <= 0)
		return err_set(e, ERR_PERM, "key has no public part");
	buf_puts(b, "v=DKIM1; h=sha256; k=rsa; p=");
	b64_encode(b, str_make((const char *)der, (size_t)len));
	OPENSSL_free(der);
	return 0;
}
