/*
 * proxied - connections that a proxy passes on: its header is read before
 * there is a conn, octet-exactly, since TLS may follow at once.
 *
 * At most PROXIED_MAX wait for their header at a time, each for timeout_ms.
 */
#ifndef DOOR_PROXIED_H
#define DOOR_PROXIED_H

#include <ev.h>

#include "format/proxy/proxy.h"

#define PROXIED_MAX 1000

/* The header is there; the descriptor is the callee's. fd -1: it never came,
 * why says what was wrong. The header's words are valid during the call. */
typedef void proxied_fn(void *user, int fd, const char *remote,
    const struct proxy_header *, const char *why);
/* Takes the descriptor. false: too many wait, it was closed. */
bool proxied_start(struct ev_loop *, int fd, const char *remote,
    unsigned timeout_ms, proxied_fn *, void *user);

#endif
