/*
 * imapd - the IMAP front: connections, TLS and login; after that a relay
 * (or, without TLS, not even that: the session gets the descriptor).
 *
 *	GREETED --LOGIN, AUTHENTICATE--> AUTH --challenge--> AUTH_LINE --> AUTH
 *	AUTH --refused--> GREETED
 *	AUTH --accepted--> STARTING --session from quired--> RELAY
 *
 * It parses IMAP before login and nothing after it, and opens no file.
 */
#ifndef IMAPD_H
#define IMAPD_H

#include "format/imap/command.h"
#include "format/imap/reader.h"
#include "service/front/slow.h"
#include "system/io/cid.h"

/* Over this much waiting for one side, reading from the other pauses. */
#define RELAY_HIGH (64 * 1024)

enum client_state {
	CLIENT_TLS,	  /* imaps: handshake before the greeting */
	CLIENT_GREETED,	  /* commands before login */
	CLIENT_STARTTLS,  /* OK sent, handshake runs */
	CLIENT_AUTH,	  /* authd has it */
	CLIENT_AUTH_LINE, /* waiting for the client's SASL answer */
	CLIENT_STARTING,  /* accepted; quired starts the session */
	CLIENT_RELAY,	  /* TLS here, IMAP there */
	CLIENT_AWAY,	  /* the session has the socket; we hold its end */
};

struct imapd;

struct client {
	struct imapd *front;
	uint32_t id;
	enum client_state state;
	struct conn *conn;    /* to the client; NULL when away */
	struct conn *session; /* to the session, or NULL */
	struct imap_reader *reader;
	struct arena arena;
	const struct daemon_listener *listener;
	struct limit_addr addr; /* of remote */
	bool is_counted;	/* by the door */
	char remote[ADDR_TEXT], tag[IMAP_MAX_TAG + 1];
	unsigned verb; /* of the command in hand; IMAP_VERBS: none we know */
	char cid[CID_LEN + 1];
	uint64_t number;
	bool is_first;	 /* no valid command yet */
	bool is_pumping; /* in login_pump(): an answer came at once */
	unsigned failures;
	/* who guesses, until a login succeeds: replies octet by octet, and a
	 * tick before each read (is_ticking) */
	bool is_slow, is_ticking;
	struct slow slow;
	struct buf held; /* an attempt, until `wait' is over */
	ev_timer wait;
	ev_timer login; /* until the next whole command */
};

struct imapd {
	struct front base;
	struct front_link auth;
};

/* login.c: commands before login */
void login_greet(struct client *);
void login_input(struct client *); /* parse what is there */
void login_read(struct client *);  /* the same, in time */
void login_pump(struct client *);  /* commands that were read already */
void login_go_on(void *);	   /* the client was slowed down until now */

/* auth.c: names and passwords, by way of authd */
void auth_init(struct client *);
void auth_release(struct client *);
/* mechanism and initial response are set. The state is CLIENT_AUTH then, or
 * the client has its answer and may be gone. */
void auth_start(struct client *, struct msg_auth_start *);
void auth_line(struct client *, struct str line); /* base64, to a challenge */
void auth_message(struct front *, struct ipc_msg *);
void auth_lost(struct front *);

/* client.c: a connection's life */
void client_start(struct front *, const struct front_peer *);
void client_free(struct client *);
void client_bye(struct client *, const char *text);
/* A command was complete: the clock for the next one starts. */
void client_progress(struct client *);
void client_say(struct client *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The command's tagged NO or BAD, counted; text with its response code. */
void client_refuse(struct client *, enum metrics_imap, const char *text);

/* relay.c: after login */
void relay_start(struct client *, int fd);

#endif
