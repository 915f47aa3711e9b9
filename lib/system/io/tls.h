/*
 * tls - TLS contexts for servers with one certificate or several, and the
 * channel bindings of RFC 9266 and RFC 5929.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A certificate and the name that clients ask for it by. */
struct tls_cert {
	struct str name;       /* A-labels */
	struct str chain, key; /* PEM */
};

struct tls_opts {
	int minimum; /* TLS1_2_VERSION, TLS1_3_VERSION */
	bool has_tickets;
	/* Who asks for a name that is not ours: is refused with
	 * unrecognized_name (RFC 6066, 3), or gets the first certificate. */
	bool is_strict;
};

/* From what quired sends (SECRET_TLS), into borrows of it: how many, at most
 * max; 0 for anything malformed. */
size_t tls_certs_unpack(struct str, struct tls_cert *v, size_t max);
/*
 * v[0] is for who asks for no name (or for an address, which is none), for
 * its own and for all others in its certificate; v[1..] are each for their
 * name. All strings are copied. NULL and *err.
 */
SSL_CTX *tls_server_ctx(
    const struct tls_cert *v, size_t n, const struct tls_opts *, struct err *);
/* "tls-exporter" (RFC 9266): 32 bytes, only under TLS 1.3. */
bool tls_exporter(SSL *, struct buf *);
/* "tls-server-end-point" (RFC 5929, 4.1): digest of our certificate. */
bool tls_server_end_point(SSL *, struct buf *);

/* tls_names.c: the first context chooses among v[1..], which it takes. */
struct tls_name {
	char *name;
	SSL_CTX *ctx;
};
void tls_names_free(struct tls_name *, size_t n);
bool tls_choose_by_name(SSL_CTX *first, struct str first_name, bool is_strict,
    struct tls_name *v, size_t n);

#endif
