/*
 * msg - every message between our programs: its struct, one pack and one
 * unpack (doc/ipc.md says who sends what to whom).
 *
 * msg_pack_X() writes a whole message into buf, ready for ipc_send().
 * msg_unpack_X() reads a received one; false for anything malformed. Strings
 * are borrows of the message. All lengths are bounded by IPC_MAX.
 */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include "system/ipc/ipc.h"

enum msg_type {
	/* quired to every child */
	MSG_CONFIG = 1, /* descriptor: sealed configuration snapshot */
	MSG_LISTENER,	/* descriptor: listening socket; the id is its own */
	MSG_UNLISTEN,	/* kind: id of one to be closed at GO */
	MSG_PEER,	/* descriptor: channel to another program */
	MSG_SECRET,	/* descriptor: sealed file (certificates, key) */
	MSG_DIR,	/* descriptor: a directory */
	MSG_METRICS,	/* descriptor: the page where a front counts */
	MSG_GO,		/* all of it has been sent: confine and begin */
	MSG_LOGLEVEL,
	MSG_STOP, /* no new work; end when the rest is done */
	/* children to quired */
	MSG_READY,
	MSG_START,     /* authd: start a mail-reading session for a front */
	MSG_MDA_START, /* smtpd: an mda for this account */
	/* quired to fronts */
	MSG_SESSION, /* descriptor: stream to the new session */
	MSG_MDA,     /* descriptor: channel to the mda */
	/* quired to nurseries */
	MSG_ORDER, /* descriptors: channel, mail directory [, index] */
	/* front to authd and back */
	MSG_AUTH_START,
	MSG_AUTH_STEP,
	MSG_AUTH_CANCEL,
	MSG_AUTH_CHALLENGE,
	MSG_AUTH_RESULT,
	/* authd to userdb and back */
	MSG_USER_QUERY,
	MSG_USER_REPLY,
	/* authd to its hash workers and back */
	MSG_HASH_CHECK,
	MSG_HASH_RESULT,
	/* smtpd to mda and back */
	MSG_DELIVER, /* descriptor: the message */
	MSG_PREPARED,
	MSG_COMMIT, /* file what was prepared with that id */
	MSG_ABORT,  /* forget it; no answer */
	MSG_DELIVERED,
	/* smtpd to check and back */
	MSG_CHECK,	  /* descriptor: the message */
	MSG_CHECK_HELO,	  /* is there such a host? */
	MSG_CHECK_SENDER, /* may mail come from that domain? */
	MSG_CHECK_SPF,	  /* only SPF of the envelope */
	MSG_CHECKED,
	/* quire (command line) to quired and back */
	MSG_CONTROL,
	MSG_CONTROL_TEXT,
	MSG_CONTROL_END,
	MSG_TYPES
};

enum prog {
	PROG_SMTPD,
	PROG_IMAPD,
	PROG_AUTHD,
	PROG_USERDB,
	PROG_MDA,
	PROG_IMAP,
	PROG_CHECK,
	PROGS
};
extern const char *const prog_names[PROGS]; /* "quire-smtpd" .. */

enum service {
	SERVICE_SMTP,
	SERVICE_SUBMISSION,
	SERVICE_SUBMISSIONS,
	SERVICE_IMAP,
	SERVICE_IMAPS,
	SERVICES
};
extern const char *const service_names[SERVICES]; /* "smtp" .. */

struct msg_listener {
	uint8_t service;
	bool plain_login; /* login without TLS is allowed here */
	bool no_limits;	  /* loopback of localserve: no delays */
	struct str name, address;
};
void msg_pack_listener(struct buf *, uint32_t id, const struct msg_listener *);
bool msg_unpack_listener(struct ipc_msg *, struct msg_listener *);

/* PEER, SECRET, DIR, LOGLEVEL: a small number or two and a name */
struct msg_tag {
	uint32_t kind, instance;
	struct str name;
};
/* SECRET_TLS: of each certificate its name, chain and key, packed as blobs;
 * the first is the hostname's; empty: there is no TLS */
enum { SECRET_TLS, SECRET_CID };
enum { DIR_AUTH, DIR_SPOOL };
void msg_pack_tag(struct buf *, uint16_t type, const struct msg_tag *);
bool msg_unpack_tag(struct ipc_msg *, struct msg_tag *);
void msg_pack_plain(struct buf *, uint16_t type, uint32_t id);

/* id is the front's connection */
struct msg_start {
	uint32_t front, instance; /* enum prog and which of them */
	struct str account, login;
};
void msg_pack_start(struct buf *, uint32_t id, const struct msg_start *);
bool msg_unpack_start(struct ipc_msg *, struct msg_start *);

/* SESSION and MDA to the front; without descriptor: why */
struct msg_session {
	bool ok;
	struct str account, login, why;
};
void msg_pack_session(
    struct buf *, uint16_t type, uint32_t id, const struct msg_session *);
bool msg_unpack_session(struct ipc_msg *, struct msg_session *);

struct msg_order {
	uint32_t uid, gid;
	struct str account, login;
	/* Besides the channel and the mail directory there are, in this
	 * order, these descriptors. */
	bool has_index, has_marks;
};
void msg_pack_order(struct buf *, const struct msg_order *);
bool msg_unpack_order(struct ipc_msg *, struct msg_order *);

struct msg_auth_start {
	struct str mechanism, remote, service;
	bool is_tls, plus_advertised, has_initial;
	bool no_limits; /* failures of this peer are not counted */
	struct str initial, exporter, end_point;
};
void
msg_pack_auth_start(struct buf *, uint32_t id, const struct msg_auth_start *);
bool msg_unpack_auth_start(struct ipc_msg *, struct msg_auth_start *);
/* AUTH_STEP and AUTH_CHALLENGE: one blob */
void msg_pack_blob(struct buf *, uint16_t type, uint32_t id, struct str);
bool msg_unpack_blob(struct ipc_msg *, struct str *);

enum auth_verdict {
	AUTH_OK,
	AUTH_BAD,	/* wrong name or password */
	AUTH_MECHANISM, /* unknown mechanism, or not allowed here */
	AUTH_BINDING,	/* channel binding mismatch */
	AUTH_SYNTAX,	/* malformed exchange */
	AUTH_TEMP,	/* not possible now */
	AUTH_LIMITED,	/* too many failures, the password was not tried */
	AUTH_VERDICTS
};
struct msg_auth_result {
	uint8_t verdict;			/* enum auth_verdict */
	struct str account, login, text, final; /* final: data with success */
};
void
msg_pack_auth_result(struct buf *, uint32_t id, const struct msg_auth_result *);
bool msg_unpack_auth_result(struct ipc_msg *, struct msg_auth_result *);

/* user look-up; with has_password also PAM */
struct msg_user_query {
	struct str name, password, service;
	bool has_password;
};
struct msg_user_reply {
	uint8_t result; /* 0 found / right, 1 not, 2 temporary */
	uint32_t uid, gid;
	struct str home;
};
void
msg_pack_user_query(struct buf *, uint32_t id, const struct msg_user_query *);
bool msg_unpack_user_query(struct ipc_msg *, struct msg_user_query *);
void
msg_pack_user_reply(struct buf *, uint32_t id, const struct msg_user_reply *);
bool msg_unpack_user_reply(struct ipc_msg *, struct msg_user_reply *);

/* a password against a stored record; HASH_RESULT is a plain with the
 * verdict as kind */
struct msg_hash {
	struct str record, password;
};
void msg_pack_hash(struct buf *, uint32_t id, const struct msg_hash *);
bool msg_unpack_hash(struct ipc_msg *, struct msg_hash *);

/* Messages of more octets have an mda of their own: the others of a mailbox
 * do not wait until they are written. */
#define MSG_DELIVER_LARGE (128 << 10)

struct msg_deliver {
	struct str sender, recipient, sid;
	struct str header;  /* trace header fields to put in front, CRLF */
	uint64_t size;	    /* of the message in the descriptor */
	struct str rejects; /* mailbox for copies that are refused */
	struct str refusal; /* why this one is; empty: it is to be delivered */
	uint64_t token;	    /* the same when it is ordered again */
	uint8_t reports;    /* DELIVER_.. */
	/* Whose mail it is, where that is to be remembered: the address in
	 * From in normal form, empty: none to be told. */
	uint8_t author; /* AUTHOR_.. */
	struct str from;
	/* at_once only of a sender whose mail was filed before; the first is
	 * answered PREPARED, as without at_once */
	bool waits_if_new;
	/* false: write and sync it, answer PREPARED, wait for COMMIT or ABORT;
	 * true: file it, answer DELIVERED */
	bool at_once;
	bool is_retry; /* its first deliverer died: look before filing */
};
/* of nobody who is to be remembered; nobody stands for the domain in From;
 * SPF or DKIM does */
enum { AUTHOR_NONE, AUTHOR_UNCONFIRMED, AUTHOR_CONFIRMED };
/* The recipient is where such reports go. */
enum { DELIVER_DMARC_REPORTS = 1, DELIVER_TLS_REPORTS = 2 };
/* PREPARED and DELIVERED */
struct msg_delivered {
	uint16_t code; /* 250, 4xx, 5xx */
	struct str enhanced, text;
	bool is_first; /* PREPARED: none of its sender was filed before */
};
/* How it is to be done is in the last octets: change it in a packed message. */
void
msg_deliver_set(struct buf *, bool waits_if_new, bool at_once, bool is_retry);
void msg_pack_deliver(struct buf *, uint32_t id, const struct msg_deliver *);
bool msg_unpack_deliver(struct ipc_msg *, struct msg_deliver *);
void msg_pack_delivered(
    struct buf *, uint16_t type, uint32_t id, const struct msg_delivered *);
bool msg_unpack_delivered(struct ipc_msg *, struct msg_delivered *);

/* CHECK and its kin: who brings a message, and where from */
struct msg_check {
	struct str remote, helo, sid;
	bool is_null;		  /* the reverse path is "<>" */
	struct str local, domain; /* else: its sides */
	bool is_tls;
	uint64_t size; /* of the message in the descriptor */
};
struct msg_checked {
	uint16_t code; /* 250, 4xx, 5xx */
	struct str enhanced, text;
	struct str reason;    /* a word */
	struct str peer_name; /* verified reverse name, or empty */
	struct str header;    /* fields to put in front, CRLF */
	bool spf_pass;	      /* of the reverse path */
	uint8_t alignment;    /* of From: CHECKED_.. */
	struct str from;      /* its one address in normal form, or empty */
	bool is_unwanted;     /* the message speaks against itself: spam, or
			       * not allowed by its own domain */
};
/* Nobody could say: 451, and the message is not taken. */
extern const struct msg_checked msg_checked_unknown;
enum { CHECKED_ALIGNED, CHECKED_NOT_ALIGNED, CHECKED_UNKNOWN };
void msg_pack_check(
    struct buf *, uint16_t type, uint32_t id, const struct msg_check *);
bool msg_unpack_check(struct ipc_msg *, struct msg_check *);
void msg_pack_checked(struct buf *, uint32_t id, const struct msg_checked *);
bool msg_unpack_checked(struct ipc_msg *, struct msg_checked *);

/*
 * imapd to the session: the first thing on the stream, behind its length as
 * u32; with the client's descriptor when there is no TLS to keep.
 */
struct msg_handover {
	struct str tag; /* of LOGIN or AUTHENTICATE, answered by the session */
	struct str remote; /* address, for the log */
	struct str sid;	   /* connection, for the log */
	struct str input;  /* read already and not yet used */
	bool is_tls, has_fd;
};
#define HANDOVER_MAX (128 * 1024)
void msg_pack_handover(struct buf *, const struct msg_handover *);
bool msg_unpack_handover(struct str, struct msg_handover *);

enum control_op {
	CONTROL_STATUS,
	CONTROL_RELOAD,
	CONTROL_STOP,
	CONTROL_LOGLEVEL, /* name: level */
	CONTROL_METRICS,
	CONTROLS
};

#endif
