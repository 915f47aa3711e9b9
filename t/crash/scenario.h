/*
 * scenario - one run of all the operations of the store, with a model of what
 * was acknowledged, in memory that a parent shares with the child that plays.
 */
#ifndef CRASH_SCENARIO_H
#define CRASH_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_INST 32
#define MAX_ALT	 16

enum { INBOX, ARCHIVE, X, XY, Z, ZY, OLD, NBOXES };
struct model {
	bool box[NBOXES];
	bool foo; /* subscribed */
	int n;
	struct inst {
		int text, box;
		unsigned flags; /* keyword: 256 */
	} v[MAX_INST];
};

/* What the child has done so far: any of these states may be found. */
struct shared {
	bool is_open;
	int nsure, nmaybe;
	struct model sure[MAX_ALT], maybe[2 * MAX_ALT];
	long steps;
	char what[32], call[16];
	uint32_t uid_max;
};
extern struct shared *sh;	/* the caller maps it */
extern bool scenario_is_beside; /* as if Dovecot ran too */

void scenario_begin(void);
/* In the child: 0 when it came to its end. */
int scenario_play(int rootfd);
/* Is what is there one of the states that may be? NULL, or what is wrong. */
const char *scenario_check(int rootfd);

#endif
