/* explain - what the receive path does with a message, step by step. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "service/mailauth/mailauth.h"
#include "tools.h"

#define EXPLAIN_MAX_RCPTS 100

struct explain {
	struct tool t;
	const char *file;
	struct str from; /* as given */
	struct addr rcpt[EXPLAIN_MAX_RCPTS];
	size_t n_rcpts;
	struct quire *quire;
	struct config *config; /* or NULL */
	struct mailauth_setup setup;
	struct mailauth_client client;
	struct str message, header, body;
	unsigned n_steps;
	/* the first refusal; code 0: none yet */
	int code;
	const char *enhanced, *text, *reason;
};

/* One line, or one object: what was looked at, what came out, and why. */
void explain_step(struct explain *, const char *step, const char *result,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void explain_refuse(struct explain *, int code, const char *enhanced,
    const char *text, const char *reason);

/* explain_auth.c: everything that DNS says about the message */
void explain_auth(struct explain *);
/* explain_first.c: who knows the sender, and who lets it wait */
void explain_first(struct explain *, const struct mailauth_result *);

#endif
