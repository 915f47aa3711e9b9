/*
 * front - what the programs that clients connect to have in common: the
 * channel to quired, configuration and keys, listeners, who may come in, and
 * an end at which clients are told.
 *
 *	accept --> [header of a proxy] --> limits --> ops->start()
 *
 * A program's own struct begins with a struct front; ops get it back.
 */
#ifndef FRONT_H
#define FRONT_H

#include <ev.h>

#include "base/idtable.h"
#include "service/config/config.h"
#include "service/door/door.h"
#include "service/door/proxied.h"
#include "service/metrics/metrics.h"
#include "system/daemon/daemon.h"
#include "system/io/accept.h"
#include "system/io/conn.h"
#include "system/io/link.h"
#include "system/io/tls.h"
#include "system/ipc/msg.h"

struct front;

/* A connection that may come in. */
struct front_peer {
	const struct daemon_listener *listener;
	int fd; /* the callee's */
	const char *remote;
	const char *local; /* as a proxy says, or NULL */
	/* by the door, until door_leave(); NULL: not counted */
	const struct limit_addr *counted;
};

struct front_ops {
	const char *prog;
	const struct confine_profile *profile;
	bool has_tickets; /* of TLS sessions */
	/* clients borrow from the configuration they began with: it stays */
	bool keeps_configs;
	/* said to who is refused: all places taken, too many of them */
	const char *busy, *crowded;
	void (*start)(struct front *, const struct front_peer *);
	/* Is that peer one whose own address does not count? NULL: nobody's */
	bool (*is_trusted)(const struct front *, const struct daemon_listener *,
	    const char *remote);
	void (*message)(struct front *, struct ipc_msg *); /* quired's */
	void (*stop)(struct front *);			   /* tell clients */
};

/* A channel to another of our programs. When that dies, what it was asked is
 * lost and a new channel comes when it was started again. */
struct front_link {
	struct link link;
	struct front *front;
	enum prog prog;
	void (*said)(struct front *, struct ipc_msg *);
	void (*lost)(struct front *);
	struct front_link *next;
};

/* Of d.listeners[] in the same place. */
struct front_accept {
	ev_io io;
	struct daemon_listener *listener;
};

struct front {
	struct daemon d;
	struct ev_loop *loop;
	struct config *config;
	SSL_CTX *tls;	       /* NULL: none is configured */
	SSL_CTX *tls_any_name; /* for who asks for a name of others */
	struct door door;
	struct idtable clients;
	uint64_t counter; /* of connections: the log's cid */
	struct metrics *metrics;
	struct conn_timeouts timeouts;
	bool stopping;
	const struct front_ops *ops;
	struct front_link *links;
	ev_io ctl;
	struct front_accept accepts[DAEMON_MAX_LISTENERS];
	ev_timer stop_timer;
};

/* Up to the configuration; 0 or the exit status. */
int front_init(struct front *, const struct front_ops *);
/* Before front_run(). */
void front_link_init(struct front_link *, struct front *, enum prog,
    void (*said)(struct front *, struct ipc_msg *),
    void (*lost)(struct front *));
/* Confine with these directories, then serve until quired says stop. */
void front_run(struct front *, const struct confine_dir *, size_t n);
/* How a handshake on this listener begins. */
SSL_CTX *front_tls(const struct front *, const struct daemon_listener *);
/* A client is gone: was it the last one we waited for? */
void front_left(struct front *);

/* authd.c */
/* MSG_AUTH_START of a client: *m, in which mechanism, initial response,
 * remote and service are set, and what there is to say of the connection. */
void front_pack_auth_start(struct buf *, uint32_t id,
    const struct daemon_listener *, struct conn *, struct msg_auth_start *);

/* For buffers that a password was in. */
void front_release_secret(struct buf *);

/* enter.c */
/* Those who wait there; false: it takes no connections any more. */
bool front_accept(struct front *, const struct daemon_listener *);
/* A client is somebody else than its address said: counted anew. DOOR_OPEN,
 * or the limit; *a and *is_counted are the client's. */
enum door_verdict
front_enter_again(struct front *, const struct daemon_listener *,
    const char *remote, struct limit_addr *a, bool *is_counted);

#endif
