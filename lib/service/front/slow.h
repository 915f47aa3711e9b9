/*
 * slow - who guesses passwords or sent spam is served slowly: replies octet by
 * octet, a tick before each read (slow-octet). It costs us a timer and a small
 * buffer, and nobody else waits. The numbers are those of when the client came.
 *
 *	slow_put()  --a tick for each octet--> go_on()
 *	slow_read() --one tick--------------> go_on()
 */
#ifndef FRONT_SLOW_H
#define FRONT_SLOW_H

#include "service/front/front.h"

struct slow {
	struct ev_loop *loop;
	struct conn *conn;
	struct buf out; /* not yet handed to the conn */
	ev_timer tick;
	int64_t deadline, patience_ms;
	void (*go_on)(void *user);
	void *user;
};

void slow_init(
    struct slow *, const struct front *, void (*go_on)(void *), void *user);
void slow_release(struct slow *);
bool slow_can(const struct slow *);	   /* not with slow-octet 0 */
bool slow_is_pending(const struct slow *); /* output waits for ticks */
void slow_put(struct slow *, struct conn *, struct str);
void slow_flush(struct slow *); /* all of it, now */
void slow_read(struct slow *, struct conn *);

#endif
