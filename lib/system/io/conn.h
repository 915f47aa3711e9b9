/*
 * conn - a connection on a libev loop: socket, TLS (OpenSSL), time-outs and
 * the output queue, turned into events.
 *
 * Input is offered as what has arrived and not yet been consumed; the owner
 * consumes what it understands and is called again when more came. Output is
 * queued and sent as the peer takes it; a peer that reads nothing while
 * output waits is cut after write_timeout, and at most CONN_MAX_OUT bytes are
 * held for it (a conn_write() past that ends the connection).
 *
 * The callback may call conn_close() or conn_abort(); the struct stays valid
 * until the callback returned, then CONN_CLOSED never follows.
 */
#ifndef IO_CONN_H
#define IO_CONN_H

#include <ev.h>
#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/str.h"

#define CONN_MAX_IN  (64 * 1024)  /* unconsumed input; then reading pauses */
#define CONN_MAX_OUT (256 * 1024) /* queued output */

struct conn;

enum conn_event {
	CONN_INPUT,   /* more input; see conn_input() */
	CONN_DRAINED, /* the output queue became empty */
	CONN_TLS_UP,  /* handshake done */
	CONN_EOF,     /* the peer will send no more (half-close) */
	CONN_CLOSED,  /* gone: error, time-out; conn_why() says why. The conn
		       * is freed after the callback. */
};

struct conn_timeouts {
	unsigned read_ms;  /* without input while reading is wanted */
	unsigned write_ms; /* output queued, nothing taken */
	unsigned handshake_ms;
};

typedef void conn_fn(struct conn *, enum conn_event, void *user);

/* Takes the descriptor over (made non-blocking). */
struct conn *conn_new(struct ev_loop *, int fd, const struct conn_timeouts *,
    conn_fn *, void *user);
/* Somebody else gets the events from now on. */
void conn_set_fn(struct conn *, conn_fn *, void *user);
/* Start a TLS handshake as server. Unconsumed input ends the connection:
 * plain bytes behind STARTTLS are an attack (RFC 3207, 6). */
void conn_start_tls(struct conn *, SSL_CTX *);
SSL *conn_ssl(struct conn *);	       /* NULL without TLS */
bool conn_is_tls(const struct conn *); /* handshake complete */

struct str conn_input(struct conn *);
void conn_consume(struct conn *, size_t n);
/* Stop or resume reading from the peer (back-pressure). */
void conn_pause(struct conn *, bool pause);

void conn_write(struct conn *, struct str);
size_t conn_queued(const struct conn *);
void conn_set_read_timeout(struct conn *, unsigned ms);
/* End output after the queue has been sent (shutdown for writing). */
void conn_finish(struct conn *);
/* Send what is queued, then close; no more events. */
void conn_close(struct conn *);
/* Close now; no more events. */
void conn_abort(struct conn *);
/* Take the plain descriptor out (no TLS, nothing queued): the conn is then
 * finished as after conn_abort(). Unconsumed input must be taken before. */
int conn_steal(struct conn *);

const char *conn_why(const struct conn *);
int conn_fd(const struct conn *);

#endif
