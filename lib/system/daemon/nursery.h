/*
 * nursery - forks workers without exec and gives each to its mailbox owner.
 *
 * A nursery holds CAP_SETUID and CAP_SETGID and nothing else, parses only
 * quired's fixed-size orders, and has no secrets: a fork costs 0.1 ms where
 * an exec costs 1-2. After NURSERY_FORKS forks it ends, and quired starts a
 * fresh one (new address space layout); the orders wait in the channel.
 */
#ifndef DAEMON_NURSERY_H
#define DAEMON_NURSERY_H

#include "system/daemon/daemon.h"

#define NURSERY_FORKS 5000

struct nursery_job {
	int chan;  /* stream or channel to the front */
	int dir;   /* the mail root */
	int index; /* another directory of the owner, or -1 */
	int marks; /* a file that is not the owner's, to write to, or -1 */
	const char *account, *login;
	const struct daemon *daemon;
};

struct nursery_spec {
	const char *name;
	const struct confine_profile *nursery, *worker;
	/* Runs in the child, as the owner, confined; its value is the exit
	 * status. */
	int (*work)(const struct nursery_job *);
	/* Run once before confinement: load what workers inherit. */
	void (*prepare)(struct daemon *);
};

int nursery_run(const struct nursery_spec *);

#endif
