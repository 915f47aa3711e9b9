/*
 * deliver - jobs into mailboxes, many in one commit.
 *
 * What is waiting in the channel is taken together: each message is written
 * in tmp/, then all are synced, then those to be filed now are filed by one
 * directory sync and one journal transaction, then all are answered.
 *
 * With waits_if_new a message for one is prepared and held too, if it is the
 * first of its sender (senders.h): smtpd lets it wait. Whoever was filed is
 * known from then on.
 *
 * A message for several recipients is prepared by all their mdas before any
 * files it, so that a full disk of one refuses it for all. What makes each
 * answer true, if the machine stops right after it:
 *
 *   PREPARED 250   the file is in tmp/, synced with its date; nobody was told
 *		    that it is delivered, so tmp/ may be swept
 *   DELIVERED 250  mailbox_commit() returned: the directory's sync, then the
 *		    journal's. Between its rename and the journal the file is
 *		    there and not acknowledged; the token in its name tells
 *		    the next deliverer (mailbox_has_delivery())
 *   smtpd's 250    every DELIVERED of the message came. A stop between the
 *		    first and the last leaves copies that the sender, who has
 *		    no 250, will send again (RFC 1047)
 */
#ifndef MDA_DELIVER_H
#define MDA_DELIVER_H

#include <stdint.h>

#include "base/err.h"
#include "known.h"
#include "service/store/account.h"
#include "service/store/incoming.h"
#include "service/store/senders.h"
#include "system/ipc/msg.h"

#define DELIVER_BATCH 32

enum deliver_kind {
	DELIVER_PREPARE, /* until COMMIT or ABORT */
	DELIVER_FILE,	 /* now: at_once, or prepared before */
};

struct deliver_job {
	uint32_t id;
	enum deliver_kind kind;
	struct mailbox *mailbox; /* of in */
	struct incoming *in;	 /* NULL: nothing to be filed */
	bool is_reject;		 /* in is a refused copy, for Rejects */
	struct known_key key;	 /* of that message as it came */
	uint64_t size;
	bool has_sender; /* whose mail it is, to be known from then on */
	struct sender sender;
	bool is_first; /* nothing of that sender was filed before */
	bool is_filed; /* in the mailbox it was sent to */
	uint16_t code; /* the answer */
	char enhanced[12], text[256];
};

/* Where an owner's mail goes. */
struct deliver_store {
	struct account *account;
	struct mailbox *inbox, *rejects; /* NULL: not open */
	struct known known;		 /* of rejects */
	struct str authserv_id, hostname;
};

/* Write header and message into tmp/; on failure the answer says why. */
void deliver_prepare(struct deliver_store *, struct deliver_job *,
    const struct msg_deliver *, int fd);
/* Make durable what was just written. */
void deliver_sync(struct deliver_job *, size_t n);
/* File those of this mailbox whose kind says so; each has its answer then.
 * false: that failed, and may be the handle's fault. */
bool deliver_commit(struct mailbox *, struct deliver_job *, size_t n);
/* Those that were filed: their senders are known. After the answers. */
void deliver_note_senders(struct account *, struct deliver_job *, size_t n);
void deliver_answer(
    struct deliver_job *, int code, const char *enhanced, struct str text);
/* The SMTP reply for a store error. */
void deliver_failed(struct deliver_job *, const struct err *);

#endif
