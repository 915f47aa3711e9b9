#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "quire.h"
#include "system/fs/fs.h"

#define DAYS 3650

/*
 * A CA of this directory's own, so that clients can be told to trust
 * ca.pem and then verify for real, and a certificate for localhost.
 */
static bool
add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool
set_serial(X509 *x)
{
	unsigned char raw[16];
	BIGNUM *bn;
	bool ok;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return false;
	raw[0] &= 0x7f; /* positive */
	bn = BN_bin2bn(raw, sizeof(raw), NULL);
	ok = bn != NULL &&
	     BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) != NULL;
	BN_free(bn);
	return ok;
}

static X509 *
make(const char *cn, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_NAME *name;
	bool ok;

	if (x == NULL)
		return NULL;
	name = X509_get_subject_name(x);
	ok = X509_set_version(x, 2) == 1 && set_serial(x) &&
	     X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
	     X509_time_adj_ex(X509_getm_notAfter(x), DAYS, 0, NULL) != NULL &&
	     X509_set_pubkey(x, key) == 1 &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		 (const unsigned char *)cn, -1, -1, 0) == 1 &&
	     X509_set_issuer_name(x,
		 issuer == NULL ? name : X509_get_subject_name(issuer)) == 1 &&
	     add_ext(x, issuer == NULL ? x : issuer, NID_subject_key_identifier,
		 "hash");
	if (ok && issuer == NULL)
		ok = add_ext(x, x, NID_basic_constraints,
			 "critical,CA:TRUE,pathlen:0") &&
		     add_ext(
			 x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
	else if (ok)
		ok =
		    add_ext(x, issuer, NID_authority_key_identifier, "keyid") &&
		    add_ext(x, issuer, NID_subject_alt_name,
			"DNS:localhost,IP:127.0.0.1,IP:::1") &&
		    add_ext(x, issuer, NID_key_usage,
			"critical,digitalSignature") &&
		    add_ext(x, issuer, NID_ext_key_usage, "serverAuth");
	if (!ok || X509_sign(x, issuer == NULL ? key : issuer_key,
		       EVP_sha256()) == 0) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int
save(int dirfd, const char *name, X509 *first, X509 *second, EVP_PKEY *key,
    struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char tmp[64];
	char *p;
	long n;
	int rc = -1;

	if (bio != NULL &&
	    (first == NULL || PEM_write_bio_X509(bio, first) == 1) &&
	    (second == NULL || PEM_write_bio_X509(bio, second) == 1) &&
	    (key == NULL || PEM_write_bio_PrivateKey(
				bio, key, NULL, NULL, 0, NULL, NULL) == 1) &&
	    (n = BIO_get_mem_data(bio, &p)) > 0) {
		snprintf(tmp, sizeof(tmp), "%s.tmp", name);
		rc = fs_replace(dirfd, tmp, name, key == NULL ? 0644 : 0600,
		    str_make(p, (size_t)n), e);
	} else
		err_set(e, ERR_PERM, "cannot write %s", name);
	BIO_free(bio);
	return rc;
}

int
certs_make(int dirfd, struct err *e)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = NULL, *cert = NULL;
	int rc = -1;

	if (ca_key != NULL && key != NULL)
		ca = make("Quire localserve CA", ca_key, NULL, NULL);
	if (ca != NULL)
		cert = make("localhost", key, ca, ca_key);
	if (cert == NULL)
		err_set(e, ERR_PERM, "cannot make a certificate");
	/* the CA's key is not kept: nobody else can use this CA */
	else if (save(dirfd, "ca.pem", ca, NULL, NULL, e) == 0 &&
		 save(dirfd, "key.pem", NULL, NULL, key, e) == 0 &&
		 save(dirfd, "cert.pem", cert, ca, NULL, e) == 0)
		rc = 0;
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return rc;
}
