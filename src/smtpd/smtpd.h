/*
 * smtpd - the SMTP front: connections, TLS and the dialogue (session.h),
 * messages into a memfd or the spool, verdicts from each recipient's mda.
 *
 * A client waits for one thing at a time (client_wait); while it does, its
 * input is paused, so what it pipelined stays in order.
 */
#ifndef SMTPD_H
#define SMTPD_H

#include <sys/queue.h>

#include "session.h"
#include "service/front/slow.h"
#include "system/io/cid.h"

#define SPOOL_MEMORY	   (1 << 20)  /* a message beyond it goes to disk */
#define SPOOL_MEMORY_TOTAL (64 << 20) /* of all messages being received */

enum client_wait {
	WAIT_INPUT,
	WAIT_DRAIN, /* the peer takes its replies too slowly */
	WAIT_TLS,
	WAIT_SLOW, /* for a tick (service/front/slow.h) */
	WAIT_DELAY,
	WAIT_AUTH,
	WAIT_CHECK,
	WAIT_DELIVER,
};

/* What quire-check is asked, and what it said about this message. */
struct client_check {
	uint32_t id;   /* of the question under way, 0: none */
	uint16_t type; /* MSG_CHECK.. */
	enum { CHECK_SPF_UNKNOWN, CHECK_SPF_PASS, CHECK_SPF_OTHER } spf;
	ev_timer late;
	uint8_t author; /* AUTHOR_.. of msg_deliver, and its address */
	struct buf from;
	struct buf header;
	char peer_name[256];
};

struct spool {
	int fd;	    /* -1: none */
	int reader; /* of a file, or -1 */
	bool is_memory;
	uint64_t size;
};

struct smtpd;
struct job;
TAILQ_HEAD(job_list, job);

struct client {
	struct smtpd *front;
	uint32_t id;
	struct conn *conn;
	struct smtp_session *session;
	struct smtp_options options;
	const struct daemon_listener *listener;
	enum client_wait wait;
	struct spool spool;
	struct client_check check;
	struct job_list jobs;
	unsigned pending; /* jobs without an answer in this step */
	bool is_running, has_progress;
	ev_timer delay, idle, data;
	struct slow slow;
	struct {
		ev_timer timer; /* active: it waits */
		bool is_over;	/* of this message: it has waited */
	} first;
	struct limit_addr addr; /* of remote */
	bool is_counted;	/* by the door */
	char remote[ADDR_TEXT], local[ADDR_TEXT], cid[CID_LEN + 1], tls[96];
	uint64_t number;
};

/*
 * One recipient's copy of one client's message:
 *
 *	PREPARE --PREPARED--> PREPARED --all are--> COMMIT --DELIVERED--> done
 *	   ^                     |  |
 *	   +----- mda died ------+  +--one cannot--> ABORT --sent--> gone
 *
 * A single recipient's is ONCE: the mda files it when it is written, or, the
 * first of a sender that is to wait, says PREPARED as for several. A COMMIT
 * whose mda died is ONCE too: the next one looks whether it was filed.
 */
enum job_state {
	JOB_PREPARE,
	JOB_PREPARED,
	JOB_COMMIT,
	JOB_ONCE,
	JOB_ABORT,
};

struct job {
	struct smtpd *front;
	uint32_t id;
	struct client *client; /* NULL: it is gone */
	size_t rcpt;
	enum job_state state;
	bool is_refused; /* its copy is for Rejects */
	bool may_wait;	 /* if it is the first of its sender, */
	bool is_first;	 /* which it is */
	int code;	 /* its verdict; 0: none yet */
	char enhanced[16], text[256];
	bool is_trouble; /* smtp_verdict's */
	struct mda *mda;
	bool is_sent;
	TAILQ_ENTRY(job) link;	  /* of the mda */
	TAILQ_ENTRY(job) sibling; /* of the client */
	struct buf order;	  /* MSG_DELIVER */
	int fd;			  /* the message */
	uint64_t size;
	unsigned tries;
};

/* The mda of one account, for large messages or for the others. */
struct mda {
	struct smtpd *front;
	uint32_t id;
	char *account;
	bool is_large;
	int fd; /* -1: asked for, not yet there */
	ev_io io;
	struct job_list waiting, sent; /* orders not sent, not answered */
	struct mda *next;
};

struct smtpd {
	struct front base;
	struct idtable jobs, mdas, checks;
	struct mda *mda_list;
	uint64_t spooled;
	struct front_link auth, check;
	char recv_buf[IPC_MAX];
};

/* xclient.c: clients whose front says that they are somebody else */
bool xclient_is_front(
    const struct front *, const struct daemon_listener *, const char *remote);
void xclient_take(struct client *);

/* client.c */
void client_start(struct front *, const struct front_peer *);
void client_run(struct client *);   /* go on after an answer */
void client_flush(struct client *); /* send what the session said */
/* The client is gone afterwards: by its own wish, or told why. */
void client_close(struct client *);
void client_end(struct client *, const char *enhanced, const char *text);

/* wants.c */
/* false: the client waits (cl->wait says for what) or is gone. */
bool client_serve(struct client *, enum smtp_want);
void client_rcpt(struct client *);
/* Whose mailbox is it? */
enum config_rcpt rcpt_account(const struct config *, const struct smtp_rcpt *,
    const struct config_account **);

/* first.c: for senders that are new to a recipient */
void first_init(struct client *);
/* Is mail of this client for that account to wait if it is the first? */
bool first_may_wait(const struct client *, const struct config_account *);
void first_begin(struct client *); /* another message */
/* All are prepared: does one wait? Then deliver_go_on() when it is over. */
bool first_waits(struct client *);
bool first_is_on(const struct client *);
void first_forget(struct client *);

/* auth.c */
void auth_step(struct client *);
void auth_cancel(struct client *);
void auth_message(struct front *, struct ipc_msg *);
void auth_lost(struct front *);

/* check.c: what strangers bring, see quire-check */
bool check_is_on(const struct client *);
void check_init(struct client *);
void check_release(struct client *);
void check_forget(struct client *); /* the question under way */
void check_helo(struct client *);
void check_sender(struct client *);
/* false: refused, or it will call client_rcpt() again */
bool check_allows_rcpt(struct client *);
void check_message(struct client *); /* then deliver_start() */
void check_answered(struct front *, struct ipc_msg *);
void check_lost(struct front *);

/* spool.c: the message while it is received */
int spool_open(struct smtpd *, struct spool *, struct err *);
int spool_write(struct smtpd *, struct spool *, struct str, struct err *);
/* No more changes, by whoever gets the descriptor. */
int spool_seal(struct spool *, struct err *);
void spool_sweep(struct smtpd *);
void spool_close(struct smtpd *, struct spool *);

/* deliver.c: a message to all its recipients, or to none */
void deliver_start(struct client *);
/* All are refused by policy: only copies for Rejects. */
void deliver_rejects(struct client *);
/* The same verdict for all; nothing is under way. */
void deliver_refuse(struct client *, const struct smtp_verdict *);
void deliver_forget(struct client *); /* the client is gone */
void deliver_go_on(struct client *);  /* it has waited, see first.c */
/* The mda's answer, or that there is none to be had. */
void deliver_answered(struct job *, uint16_t type, int code,
    struct str enhanced, struct str text);
void deliver_free(struct job *);

/* mda.c: channels to the accounts' mdas */
void mda_order(struct smtpd *, struct job *, struct str account);
void mda_flush(struct smtpd *); /* send what mda_order() and its kin queued */
void mda_again(struct job *);	/* the next order of a job: COMMIT, ABORT */
void mda_drop(struct job *);	/* no more orders */
void mda_started(struct smtpd *, struct ipc_msg *);

#endif
