/* What the files of the session share. */
#ifndef SMTPD_SESSION_INT_H
#define SMTPD_SESSION_INT_H

#include "session.h"

#include "base/arena.h"

/*
 *	START --EHLO--> READY --MAIL--> MAIL --RCPT--> RCPT --DATA--> DATA
 *	                 | ^                                            |
 *	            AUTH | |  <---------- verdict, RSET, EHLO ----------+
 *	                 v |
 *	                AUTH --last word--> AUTH_LAST
 *
 * STARTTLS and XCLIENT lead back to START. CLOSING takes no more commands.
 */
enum session_state {
	ST_START,
	ST_READY,
	ST_MAIL,
	ST_RCPT,
	ST_DATA,
	ST_AUTH,
	ST_AUTH_LAST,
	ST_CLOSING,
};
#define IN(state) (1u << ST_##state)

struct smtp_session {
	const struct smtp_options *opt;
	enum session_state state;
	enum smtp_want want;
	enum smtp_verb verb; /* being run */
	struct buf out;
	struct arena line_arena; /* of one command */
	struct arena mail_arena; /* of one transaction */
	bool is_tls, has_binding, is_esmtp, is_authed, is_slow, is_first;
	struct buf tls, helo, account;
	unsigned n_errors, n_auth_failed, n_failed_data, n_good_data;

	/* after a delay or a discard: this reply (code 0: none), then this */
	struct smtp_verdict later;
	enum smtp_want want_later;
	unsigned delay_ms;

	struct xclient xclient; /* of the command in hand */
	struct smtp_auth_step auth;
	enum smtp_auth_verdict auth_last; /* in ST_AUTH_LAST */

	struct smtp_command params; /* of MAIL */
	struct smtp_mail mail;
	size_t cap_rcpts;
	struct smtp_rcpt rcpt; /* in question */

	struct smtp_data data;
	struct buf chunk;
	bool has_store_error;
	struct smtp_verdict store_error; /* text in mail_arena */
};

/* The only place that sets the state. */
void session_enter(struct smtp_session *, enum session_state);
void session_say(struct smtp_session *, const struct smtp_verdict *);
void session_reply(
    struct smtp_session *, int code, const char *enhanced, struct str text);
/* The same, counted as the client's mistake. */
void session_error(
    struct smtp_session *, int code, const char *enhanced, struct str text);
/* Ask, wait, discard; then say this. */
void session_later(
    struct smtp_session *, enum smtp_want, const struct smtp_verdict *);
void session_reset_mail(struct smtp_session *);
struct smtp_verdict
session_keep(struct smtp_session *, const struct smtp_verdict *);

/* Who is it? Nothing is known: after TLS is up, after XCLIENT. */
void session_forget(struct smtp_session *);

/* session_cmd.c */
void session_command(struct smtp_session *, struct str line);
/* session_auth.c */
void session_run_auth(struct smtp_session *, const struct smtp_command *);
void session_auth_line(struct smtp_session *, struct str line);
void session_put_mechanisms(const struct smtp_session *, struct buf *);
/* session_data.c */
void session_data_begin(struct smtp_session *);
void session_data_input(struct smtp_session *, struct str *in);
/* An error that this local part asks for (localserve); code 0: none. */
struct smtp_verdict session_test_error(struct str local, bool *is_timeout);

#endif
