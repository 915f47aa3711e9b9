/*
 * ipc - framed messages with descriptors between our programs (doc/ipc.md).
 *
 * A channel is an AF_UNIX SOCK_SEQPACKET socketpair: messages are atomic and
 * keep their borders. A message is a u16 type, a u16 zero, a u32 id (of the
 * connection or job it is about) and a payload written with pack_*() and read
 * with cur_*(). At most IPC_MAX bytes and IPC_FDS descriptors. What comes in
 * is treated like the network's: bounded, checked, refused as a whole; a
 * peer that breaks the rules has its channel closed.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cur.h"

#define IPC_MAX (64 * 1024)
#define IPC_FDS 4

struct ipc_msg {
	uint16_t type;
	uint32_t id;
	struct cur body; /* points into the receiver's buffer */
	int fds[IPC_FDS];
	unsigned nfds;
};

enum ipc_result {
	IPC_OK,
	IPC_AGAIN,  /* nothing there, or no room; try when ready */
	IPC_CLOSED, /* the peer is gone or broke the rules */
};

int ipc_pair(int fds[2]); /* close-on-exec, blocking; -1 with errno */
/* Start and send a message. The buf holds header and payload. */
void ipc_begin(struct buf *, uint16_t type, uint32_t id);
enum ipc_result
ipc_send(int fd, const struct buf *, const int *fds, unsigned nfds);
/* buf of at least IPC_MAX bytes; descriptors arrive close-on-exec. */
enum ipc_result
ipc_recv(int fd, struct ipc_msg *, char *buf, size_t size, bool wait);
/* Take descriptor i out of the message; -1 if it is not there. */
int ipc_take_fd(struct ipc_msg *, unsigned i);
/* Close what nobody took. */
void ipc_close_fds(struct ipc_msg *);

#endif
