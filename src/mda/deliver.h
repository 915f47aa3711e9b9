/*
 * deliver - jobs into a mailbox, many in one commit.
 *
 * What is waiting in the channel is taken together: each message is written
 * in tmp/, then all are synced, then all are filed by one directory sync and
 * one journal transaction, then all are answered. Nothing is answered 250
 * before mailbox_commit() returned.
 */
#ifndef MDA_DELIVER_H
#define MDA_DELIVER_H

#include <stdint.h>

#include "base/err.h"
#include "service/store/account.h"
#include "service/store/incoming.h"
#include "system/ipc/msg.h"

#define DELIVER_BATCH 32

struct deliver_job {
	uint32_t id;
	struct incoming *in; /* NULL: refused already */
	struct msg_delivered answer;
	char text[256];
};

/* Write header and message into tmp/; on failure job->answer says why. */
void deliver_prepare(struct mailbox *, struct deliver_job *,
    const struct msg_deliver *, int fd, struct str authserv_id);
/* Sync and file all prepared ones; every job then has its answer. */
void deliver_commit(struct mailbox *, struct deliver_job *, size_t n);
/* The SMTP reply for a store error. */
void deliver_answer(struct deliver_job *, const struct err *);

#endif
