#include "system/io/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static int
fail(struct err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(
	    e, ERR_PERM, "%s: %s", what, why == NULL ? "unknown error" : why);
}

static int
use_chain(SSL_CTX *ctx, struct str pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int rc = 0;

	if (x == NULL || SSL_CTX_use_certificate(ctx, x) != 1)
		rc = fail(e, "certificate");
	X509_free(x);
	while (
	    rc == 0 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			rc = fail(e, "certificate chain");
		}
	ERR_clear_error(); /* the end of the file is an error to PEM */
	BIO_free(bio);
	return rc;
}

static int
use_key(SSL_CTX *ctx, struct str pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	int rc = 0;

	if (key == NULL || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		rc = fail(e, "private key");
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

SSL_CTX *
tls_server_ctx(struct str chain, struct str key, bool tickets, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL) {
		fail(e, "TLS context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!tickets) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
	}
	if (use_chain(ctx, chain, e) == -1 || use_key(ctx, key, e) == -1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

bool
tls_exporter(SSL *ssl, struct buf *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	char *p = buf_reserve(out, 32);

	/* before 1.3 it is safe only with extended master secret; there
	 * tls-server-end-point serves */
	if (SSL_version(ssl) < TLS1_3_VERSION || p == NULL ||
	    SSL_export_keying_material(ssl, (unsigned char *)p, 32, label,
		sizeof(label) - 1, NULL, 0, 0) != 1)
		return false;
	buf_grow(out, 32);
	return true;
}

bool
tls_server_end_point(SSL *ssl, struct buf *out)
{
	X509 *x = SSL_get_certificate(ssl);
	int md_nid = NID_undef;
	unsigned n = 0;
	char *p = buf_reserve(out, EVP_MAX_MD_SIZE);
	const EVP_MD *md;

	if (x == NULL || p == NULL ||
	    X509_get_signature_info(x, &md_nid, NULL, NULL, NULL) != 1 ||
	    md_nid == NID_undef)
		return false;
	if (md_nid == NID_md5 || md_nid == NID_sha1)
		md_nid = NID_sha256; /* RFC 5929, 4.1 */
	md = EVP_get_digestbynid(md_nid);
	if (md == NULL || X509_digest(x, md, (unsigned char *)p, &n) != 1)
		return false;
	buf_grow(out, n);
	return true;
}
