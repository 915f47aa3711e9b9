/*
 * tls - TLS contexts for servers, and the channel bindings of RFC 9266 and
 * RFC 5929.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Certificate chain and key as PEM texts. Minimum TLS 1.2, tickets as said,
 * small buffers. NULL and *err. */
SSL_CTX *tls_server_ctx(
    struct str chain_pem, struct str key_pem, bool tickets, struct err *);
/* "tls-exporter" (RFC 9266): 32 bytes, only under TLS 1.3. */
bool tls_exporter(SSL *, struct buf *);
/* "tls-server-end-point" (RFC 5929, 4.1): digest of our certificate. */
bool tls_server_end_point(SSL *, struct buf *);

#endif
