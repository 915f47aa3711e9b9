#include "system/io/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/cur.h"
#include "base/xalloc.h"

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

static SSL_CTX *
one_ctx(const struct tls_cert *c, const struct tls_opts *o, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct err why;

	if (ctx == NULL) {
		fail(e, "TLS context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, o->minimum);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!o->has_tickets) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
	}
	if (use_chain(ctx, c->chain, &why) == -1 ||
	    use_key(ctx, c->key, &why) == -1) {
		err_set(e, why.kind, "certificate of %.*s: %s",
		    STR_ARG(c->name), why.text);
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

size_t
tls_certs_unpack(struct str packed, struct tls_cert *v, size_t max)
{
	struct cur c;
	size_t n = 0;

	cur_init(&c, packed);
	while (n < max && !cur_done(&c) && cur_blob(&c, &v[n].name) &&
	       cur_blob(&c, &v[n].chain) && cur_blob(&c, &v[n].key))
		n++;
	return cur_done(&c) ? n : 0;
}

SSL_CTX *
tls_server_ctx(
    const struct tls_cert *v, size_t n, const struct tls_opts *o, struct err *e)
{
	struct tls_name *names = xcalloc(n, sizeof(*names));
	SSL_CTX *first = one_ctx(&v[0], o, e);
	size_t i;

	for (i = 1; i < n && first != NULL; i++) {
		names[i - 1].ctx = one_ctx(&v[i], o, e);
		if (names[i - 1].ctx == NULL)
			break;
		names[i - 1].name = str_dup(v[i].name);
	}
	/* the names are the table's from here on, also if it fails */
	if (first == NULL || i < n)
		tls_names_free(names, i == 0 ? 0 : i - 1);
	else if (tls_choose_by_name(
		     first, v[0].name, o->is_strict, names, n - 1))
		return first;
	else
		err_set(e, ERR_TEMP, "out of memory for TLS");
	SSL_CTX_free(first);
	return NULL;
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
