/*
 * wire - a non-blocking stream socket, with TLS (OpenSSL, as server) or
 * without: what a read, a write or a handshake said, in the same words.
 */
#ifndef IO_WIRE_H
#define IO_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct wire {
	int fd;		 /* owned; -1: closed */
	SSL *ssl;	 /* NULL: plain */
	const char *why; /* of the last WIRE_ERROR; static or OpenSSL's */
};

enum wire_io {
	WIRE_DONE,
	WIRE_WAIT_READ,	 /* again when it is readable, */
	WIRE_WAIT_WRITE, /* or writable; with TLS also the other way round */
	WIRE_EOF,
	WIRE_ERROR,
};

/* *got, *sent: octets, 0 unless WIRE_DONE. */
enum wire_io wire_read(struct wire *, char *, size_t, size_t *got);
enum wire_io wire_write(struct wire *, struct str, size_t *sent);
/* TLS from now on; wire_accept() until the handshake is WIRE_DONE. false: no
 * memory. */
bool wire_start_tls(struct wire *, SSL_CTX *);
enum wire_io wire_accept(struct wire *);
/* No more from us: close_notify, or the half-close of a plain one. */
void wire_finish(struct wire *);
void wire_close(struct wire *);

#endif
