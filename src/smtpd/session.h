/*
 * session - an SMTP dialogue, server side: MX, submission and LMTP.
 *
 * A state and no socket: bytes in, replies out, questions to the host. The
 * host is the event loop, or a test with strings:
 *
 *	for (;;) {
 *		want = smtp_session_run(s, &in);   takes from in what it can
 *		switch (want) {
 *		case WANT_INPUT:                   send out, wait for more
 *		case WANT_RCPT:                    look the address up, later:
 *			smtp_session_rcpt_is(s, RCPT_LOCAL, NULL);
 *		...
 *
 * Replies collect in smtp_session_out() while commands are in hand, so that
 * pipelined ones are answered in one packet (RFC 2920, 3.2): send it when the
 * session wants anything. Nothing is asked twice: run() repeats the question
 * until its answer came. Octets left in `in` at WANT_STARTTLS came before
 * TLS: end the connection, or let the handshake choke on them.
 *
 * What is bounded stands in struct smtp_limits. Time-outs are the host's.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "format/addr/addr.h"
#include "format/smtp/smtp.h"
#include "format/xclient/xclient.h"

enum smtp_kind {
	SMTP_MX,	 /* mail from anywhere for us; never relays */
	SMTP_SUBMISSION, /* mail of our users to anywhere, after AUTH */
	SMTP_LMTP,	 /* mail from a trusted neighbour (RFC 2033) */
};

struct smtp_limits {
	size_t max_line;      /* octets of a command */
	size_t max_auth_line; /* of a response in AUTH (RFC 4954, 4) */
	size_t max_rcpts;     /* announced as RCPTMAX (RFC 9422) */
	size_t max_out;	      /* replies not yet taken */
	uint64_t max_size;    /* of a message */
	unsigned max_errors;  /* refused commands; then 421 */
	unsigned max_auth_failures;
	unsigned max_failed_data;  /* without a single success; 0: any */
	unsigned max_received;	   /* Received fields: a loop */
	unsigned slow_after;	   /* failed logins; 0: never */
	unsigned login_wait_ms;	   /* for each beyond slow_after */
	unsigned unknown_delay_ms; /* when all recipients are unknown */
	unsigned test_delay_ms;	   /* localserve's "timeout" */
};
extern const struct smtp_limits smtp_limits_default;

/* A reply. */
struct smtp_verdict {
	int code; /* 250: fine */
	const char *enhanced;
	struct str text;
	bool is_trouble; /* of this server: no doing of the client's */
};

/* Borrowed for the life of the session, the strings too. */
struct smtp_options {
	enum smtp_kind kind;
	struct str hostname, local_ip, peer_ip;
	struct str cid;	       /* as error replies show it */
	bool has_starttls;     /* it can be offered */
	bool offers_auth;      /* always on submission */
	bool auth_without_tls; /* only where the wire is trusted */
	bool checks_helo;      /* MX: a HELO name must be there */
	bool is_localserve;    /* local parts that make errors */
	bool trusts_xclient;   /* the peer speaks for others */
	struct smtp_limits limits;
	/* Each reply, for log and counters; may be NULL. */
	void (*on_reply)(
	    void *arg, enum smtp_verb, const struct smtp_verdict *);
	void *arg;
};

enum smtp_want {
	WANT_INPUT,	  /* nothing: feed more */
	WANT_FLUSH,	  /* too much output waits: send it, run again */
	WANT_CLOSE,	  /* send the output, then close */
	WANT_DELAY,	  /* wait smtp_session_delay() ms: _delayed() */
	WANT_STARTTLS,	  /* send the output, shake hands: _tls_is_up() */
	WANT_AUTH,	  /* one SASL step, smtp_session_auth(): _auth_is() */
	WANT_AUTH_CANCEL, /* forget that exchange: _auth_cancelled() */
	WANT_XCLIENT,	  /* it speaks for that client: _xclient_is() */
	WANT_HELO,	  /* is there such a host? _helo_is() */
	WANT_MAIL,	  /* may this sender send? _mail_is() */
	WANT_RCPT,	  /* who is that? smtp_session_rcpt(): _rcpt_is() */
	WANT_DATA,	  /* make room for a message: _data_is() */
	WANT_CHUNK,	  /* store smtp_session_chunk(): _chunk_is() */
	WANT_DISCARD,	  /* throw away what was stored: _discarded() */
	WANT_DELIVER,	  /* the message is complete: _result() for each
			   * recipient, then _delivered() */
};

struct smtp_rcpt {
	struct addr addr;
	bool is_postmaster; /* "<Postmaster>", no domain */
	bool is_unknown;    /* was accepted only to be refused: not to be
			     * delivered, its result is there */
	struct smtp_verdict result;
	struct str reason; /* of a refusal by policy: a word */
};

struct smtp_mail {
	struct addr_path reverse_path;
	const struct smtp_command *params; /* SIZE and the like */
	struct smtp_rcpt *rcpts;
	size_t n_rcpts;
	uint64_t size; /* at WANT_DELIVER */
	bool is_8bit;
};

struct smtp_auth_step {
	struct str mechanism; /* upper case */
	bool is_first, has_response;
	struct str response; /* decoded */
};

enum smtp_auth_verdict {
	SMTP_AUTH_CHALLENGE, /* data goes to the client */
	SMTP_AUTH_OK,	     /* data is the server's last word (SCRAM) */
	SMTP_AUTH_BAD,	     /* wrong name or password; data as well */
	SMTP_AUTH_BINDING,   /* channel binding does not match */
	SMTP_AUTH_DISABLED,  /* login not allowed */
	SMTP_AUTH_SYNTAX,    /* malformed exchange */
	SMTP_AUTH_TEMP,	     /* not possible now */
	SMTP_AUTH_LIMITED,   /* too many failures; nothing was tried */
};

enum smtp_rcpt_verdict {
	RCPT_LOCAL,   /* there is such a mailbox */
	RCPT_UNKNOWN, /* our domain, no such local part */
	RCPT_FOREIGN, /* not our domain */
	RCPT_REFUSED, /* as the verdict says */
};

struct smtp_session;
struct smtp_session *smtp_session_new(const struct smtp_options *);
void smtp_session_free(struct smtp_session **);
/* The greeting, or (with code 421 or 554) a refusal, after which it closes. */
void smtp_session_greet(struct smtp_session *);
void smtp_session_refuse(
    struct smtp_session *, int code, const char *enhanced, struct str text);
/* TLS from the first octet (465): before the greeting. */
void
smtp_session_set_tls(struct smtp_session *, struct str tls, bool has_binding);

enum smtp_want smtp_session_run(struct smtp_session *, struct str *in);
/* Replies to send; the host consumes what it took. */
struct buf *smtp_session_out(struct smtp_session *);

unsigned smtp_session_delay(const struct smtp_session *);
const struct smtp_auth_step *smtp_session_auth(const struct smtp_session *);
const struct smtp_mail *smtp_session_mail(const struct smtp_session *);
/* The recipient in question at WANT_RCPT. */
const struct smtp_rcpt *smtp_session_rcpt(const struct smtp_session *);
struct str smtp_session_chunk(const struct smtp_session *);
/* At WANT_XCLIENT. */
const struct xclient *smtp_session_xclient(const struct smtp_session *);

/* answers; a NULL verdict is "fine" */
void smtp_session_delayed(struct smtp_session *);
void
smtp_session_tls_is_up(struct smtp_session *, struct str tls, bool has_binding);
void smtp_session_auth_is(struct smtp_session *, enum smtp_auth_verdict,
    struct str data, struct str account);
void smtp_session_auth_cancelled(struct smtp_session *);
/* Fine: all that was known of the client is forgotten; options have its
 * address now. Else it closes. */
void
smtp_session_xclient_is(struct smtp_session *, const struct smtp_verdict *);
void smtp_session_helo_is(struct smtp_session *, const struct smtp_verdict *);
void smtp_session_mail_is(struct smtp_session *, const struct smtp_verdict *);
void smtp_session_rcpt_is(
    struct smtp_session *, enum smtp_rcpt_verdict, const struct smtp_verdict *);
void smtp_session_data_is(struct smtp_session *, const struct smtp_verdict *);
void smtp_session_chunk_is(struct smtp_session *, const struct smtp_verdict *);
void smtp_session_discarded(struct smtp_session *);
void smtp_session_result(
    struct smtp_session *, size_t rcpt, const struct smtp_verdict *);
void smtp_session_delivered(struct smtp_session *);

/* At WANT_DELIVER: this recipient is not to have it; a word says why. */
void smtp_session_refuse_rcpt(struct smtp_session *, size_t rcpt,
    const struct smtp_verdict *, struct str reason);

/* 421 and close, whatever it is doing: 4.3.2 shutdown, 4.4.2 time-out */
void
smtp_session_end(struct smtp_session *, const char *enhanced, struct str text);

/* Replies octet by octet and late reading: after failed logins, or when the
 * host said so (spam). */
bool smtp_session_is_slow(const struct smtp_session *);
void smtp_session_set_slow(struct smtp_session *);
bool smtp_session_is_authenticated(const struct smtp_session *);
bool smtp_session_is_tls(const struct smtp_session *);
struct str smtp_session_account(const struct smtp_session *);
struct str smtp_session_helo(const struct smtp_session *);
/* All but peer_name, rcpt and the time. */
void smtp_session_trace(const struct smtp_session *, struct smtp_trace *);

#endif
