/*
 * Certificates by the name that a client asks for (RFC 6066, 3).
 *
 * The table belongs to the context that handshakes begin with, and dies with
 * it: a handshake that is under way when the configuration changes goes on
 * with the one it began with.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509v3.h>

#include "base/xalloc.h"
#include "system/io/tls.h"

struct names {
	char *first; /* of the context itself */
	bool is_strict;
	struct tls_name *v;
	size_t n;
};

void
tls_names_free(struct tls_name *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(v[i].name);
		SSL_CTX_free(v[i].ctx);
	}
	free(v);
}

static void
names_free(struct names *t)
{
	tls_names_free(t->v, t->n);
	free(t->first);
	free(t);
}

/* CRYPTO_EX_free: the last user of the context is gone. */
static void
free_cb(
    void *parent, void *p, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	if (p != NULL)
		names_free(p);
}

/* -1: out of memory, at the first use */
static int
slot(void)
{
	static int index = -1;

	if (index == -1)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_cb);
	return index;
}

static bool
is_address(const char *name)
{
	unsigned char raw[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, raw) == 1 ||
	       inet_pton(AF_INET6, name, raw) == 1;
}

static bool
is_first(const struct names *t, const SSL *ssl, const char *name)
{
	X509 *x = SSL_get_certificate(ssl);

	return strcasecmp(name, t->first) == 0 ||
	       (x != NULL && X509_check_host(x, name, 0, 0, NULL) == 1);
}

static int
choose_cb(SSL *ssl, int *alert, void *arg)
{
	const struct names *t = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	if (name == NULL || is_address(name))
		return SSL_TLSEXT_ERR_NOACK;
	for (i = 0; i < t->n; i++)
		if (strcasecmp(name, t->v[i].name) == 0) {
			if (SSL_set_SSL_CTX(ssl, t->v[i].ctx) == NULL)
				return SSL_TLSEXT_ERR_ALERT_FATAL;
			return SSL_TLSEXT_ERR_OK;
		}
	if (is_first(t, ssl, name))
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return t->is_strict ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

bool
tls_choose_by_name(SSL_CTX *ctx, struct str first, bool is_strict,
    struct tls_name *v, size_t n)
{
	struct names *t = xcalloc(1, sizeof(*t));

	*t = (struct names){ str_dup(first), is_strict, v, n };
	if (slot() == -1 || SSL_CTX_set_ex_data(ctx, slot(), t) != 1) {
		names_free(t);
		return false;
	}
	SSL_CTX_set_tlsext_servername_callback(ctx, choose_cb);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	return true;
}
