/*
 * daemon - how every program that quired starts comes up.
 *
 * Order: take configuration, sockets, channels and keys from quired (on
 * descriptor DAEMON_CTL), until GO; open what needs rights; drop ids;
 * confine; say READY; loop. Nothing under /etc is opened by a child.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "system/daemon/confine.h"
#include "system/ipc/msg.h"

#define DAEMON_CTL	     3
#define DAEMON_MAX_LISTENERS 128 /* quired's, before and after a reload */
#define DAEMON_MAX_PEERS     32

/* Never freed: connections borrow from the one they came in by. */
struct daemon_listener {
	int fd;
	uint32_t id;
	bool is_gone; /* the program closes it and frees its slot */
	uint8_t service;
	bool plain_login, no_limits;
	char name[64], address[64];
};

struct daemon_peer {
	int fd; /* -1: gone for now */
	uint32_t kind, instance;
};

struct daemon {
	const char *name;
	int ctl;
	struct buf config; /* the snapshot's text */
	struct daemon_listener *listeners[DAEMON_MAX_LISTENERS]; /* or NULL */
	struct daemon_peer peers[DAEMON_MAX_PEERS];
	unsigned npeers;
	struct buf tls, cid_key; /* certificates and keys, 16 bytes */
	int auth_dir, spool_dir; /* -1 if not given */
	int metrics;		 /* descriptor of the page, -1 */
	uid_t uid;
	gid_t gid;
	char recv_buf[IPC_MAX];
};

/* What a message of quired meant. */
enum daemon_event {
	DAEMON_NONE,   /* taken care of, or nothing there */
	DAEMON_CONFIG, /* GO after a reload: d->config, keys, listeners */
	DAEMON_PEER,   /* d->peers changed; see d->npeers, fd */
	DAEMON_STOP,
	DAEMON_MESSAGE, /* not ours: *m is for the program */
	DAEMON_LOST,	/* quired is gone: end */
};

/* Receives until GO. Ends the process if not started by quired. */
void daemon_init(struct daemon *, const char *name);
/* Drop ids, confine, READY. Ends the process on failure. */
void daemon_confine(struct daemon *, const struct confine_profile *,
    const struct confine_dir *, size_t n);
/* One message from quired, without waiting. For DAEMON_MESSAGE the caller
 * must ipc_close_fds(m) in the end. */
enum daemon_event daemon_receive(struct daemon *, struct ipc_msg *m);
int daemon_peer_fd(const struct daemon *, uint32_t kind, uint32_t instance);
/* Mark a peer's channel as gone (quired will send a new one). */
void daemon_peer_lost(struct daemon *, int fd);
/* setgroups, setgid, setuid, when root; checked. */
int daemon_drop(uid_t, gid_t, struct err *);

#endif
