/*
 * worker - one question of smtpd's.
 *
 * Whatever a message does to the parsers, only this message is lost: the
 * process that forked us answers for us if we do not.
 */
#ifndef CHECK_WORKER_H
#define CHECK_WORKER_H

#include "service/config/config.h"
#include "service/mailauth/mailauth.h"
#include "system/ipc/msg.h"

#define CHECK_MAX_HEADER (1 << 20) /* octets; longer ones are refused */

struct check_setup {
	struct mailauth_setup mailauth;
	struct str authserv_id;
};

/* Answers on chan; descriptors stay the caller's. */
void check_work(const struct check_setup *, int chan, struct ipc_msg *);
/* Leave the processor to others, for good: this process is to answer no other
 * question. */
void check_step_back(void);
/* Has it, because one took so long or by check_step_back()? */
bool check_was_slow(void);
/* For somebody who died: "not possible now". */
void check_refuse(int chan, uint32_t id);

#endif
