/*
 * session - one IMAP client after login (RFC 9051 and RFC 3501).
 *
 * Straight-line code over one account's store: it reads a command, runs it to
 * the end and answers. It may block, with a deadline on everything. The
 * nursery forks a process per connection and calls imap_session_run();
 * `quire-imap --preauth` is the same over standard input and output.
 *
 * The descriptors are borrowed; they may be sockets, pipes or one and the
 * same. Nothing is written to them after imap_session_run() returned.
 */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "service/store/account.h"

struct imap_limits {
	int idle_ms;	  /* without a byte from the client: BYE */
	int write_ms;	  /* the client takes nothing: cut */
	int notify_ms;	  /* a word in IDLE, so that a dead peer is noticed */
	unsigned bad_max; /* BAD answers in a row: BYE */
	unsigned append_messages; /* in one APPEND */
	uint64_t append_max;	  /* octets of one message */
	uint32_t tell_new;	  /* new messages told with their flags */
	size_t saved_max;	  /* ranges kept of "$" (RFC 5182) */
};
extern const struct imap_limits imap_limits_default;

struct imap_start {
	int in, out;
	int rootfd;		   /* the Maildir root */
	struct account_opts store; /* its log is the session's, too */
	const char *account;	   /* for logs */
	const char *login;	   /* the address used at login, for logs */
	const char *remote;	   /* the peer's address, for logs */
	bool is_tls;
	/* Tag of the LOGIN or AUTHENTICATE that the session itself answers
	 * with OK [CAPABILITY ..]; empty: greet with PREAUTH. */
	struct str tag;
	struct str input; /* bytes that came after that command */
	/* Capabilities not to be offered, separated by spaces; may be NULL. */
	const char *disabled;
	const struct imap_limits *limits; /* NULL: imap_limits_default */
};

enum imap_end {
	IMAP_END_LOGOUT,
	IMAP_END_CLOSED,  /* the client went away, or was idle too long */
	IMAP_END_REFUSED, /* cut: too many errors, lost place in the stream */
	IMAP_END_FAILED,  /* the account could not be opened */
};

/* An enum imap_end. */
int imap_session_run(const struct imap_start *);

#endif
