/*
 * link - a front's channel to a peer program, on its loop.
 *
 * The peer may die and come back: then quired sends a new channel, and what
 * was asked of the old one is lost, which `lost` is told.
 */
#ifndef IO_LINK_H
#define IO_LINK_H

#include <ev.h>
#include <stdbool.h>

#include "system/ipc/ipc.h"

struct link {
	struct ev_loop *loop;
	ev_io io;
	int fd; /* -1: not there now */
	void (*message)(void *user, struct ipc_msg *);
	void (*lost)(void *user, int fd); /* the owner closes it */
	void *user;
	const char *name; /* of the peer, for the log */
	char recv_buf[IPC_MAX];
};

void link_init(struct link *, struct ev_loop *, const char *name,
    void (*message)(void *, struct ipc_msg *), void (*lost)(void *, int fd),
    void *user);
/* Use this channel from now on (-1: none). The descriptor is borrowed. */
void link_use(struct link *, int fd);
/* false: not sent, the peer is not there or does not read. */
bool link_send(struct link *, const struct buf *);
bool link_send_fd(struct link *, const struct buf *, int fd);

#endif
