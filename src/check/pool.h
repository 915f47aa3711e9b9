/*
 * pool - the processes that answer, one question at a time each.
 *
 * Answers of slow name servers take up to a minute and messages are hostile,
 * so each question has a process to itself while it is under way; a process
 * that answered is given another, up to POOL_QUESTIONS. One that dies is
 * answered for with 451, so is whoever has too many questions under way: who
 * brings mail keeps it. An address, its neighbourhood and its network have
 * their share at most, since who waits for a name server of his own keeps
 * places that others need; and when all places are taken a question that has
 * been under way for POOL_FAIR_MS gives way with 451 (yield.c).
 *
 * At most POOL_YOUNG processes begin at the same time; then questions wait,
 * and that of the network with fewest under way is next (queue.c). Processes
 * for a network with more than POOL_CROWD run when no other wants to, and
 * begin one by one. While questions are under way one process more stands
 * ready: a fork takes as long as most messages.
 */
#ifndef CHECK_POOL_H
#define CHECK_POOL_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "format/limit/limit.h"
#include "system/daemon/confine.h"
#include "system/ipc/ipc.h"
#include "worker.h"

#define POOL_MAX       256 /* questions under way */
#define POOL_IDLE_MAX  8   /* processes that wait for another */
#define POOL_IDLE_S    10  /* so long */
#define POOL_QUESTIONS 200 /* then a fresh one */
#define POOL_FAIR_MS   3000
#define POOL_LEAVING   64  /* told to end */
#define POOL_YOUNG     4   /* forked, not working yet */
#define POOL_CROWD     32  /* of a network: it gets the processor last */
#define POOL_WAITING   128 /* two descriptors each */
#define POOL_CHILDREN  (POOL_MAX + POOL_IDLE_MAX + POOL_LEAVING)

struct pool_child {
	pid_t pid; /* 0: free */
	/* to it: questions; from it: that it is done; -1: told to end */
	int link;
	bool is_busy, is_young;
	unsigned served;
	int64_t idle_ms; /* since then */
	/* what it is busy with, since then */
	int64_t begun_ms;
	uint32_t id;
	int chan;
	struct limit_addr remote;
};

/* A question without a process. */
struct pool_waiting {
	uint64_t number; /* in order of coming */
	int chan;	 /* -1: free */
	char *body;	 /* of msg */
	struct ipc_msg msg;
	struct limit_addr remote;
};

struct pool {
	const struct check_setup *setup;
	const struct confine_filter *narrow; /* of a child */
	struct pool_child children[POOL_CHILDREN];
	unsigned n_busy, n_idle, n_leaving, n_young;
	struct pool_waiting waiting[POOL_WAITING];
	unsigned n_waiting;
	uint64_t number;
	struct limit *clients; /* whose questions are under way */
	uint64_t max_client[LIMIT_CLASSES];
};

void pool_init(
    struct pool *, const struct check_setup *, const struct confine_filter *);
/* A question with its descriptors, which are taken; answered on chan, by a
 * child or here. */
void pool_ask(struct pool *, int chan, struct ipc_msg *);
/* May there be one more question? */
bool pool_has_room(const struct pool *);
/* Give those that wait to children, as far as that goes now. */
void pool_start(struct pool *);
/* A process for the next question, for when there is nothing else to do and
 * queue_wants_spare(). false: it cannot be had. */
bool pool_add_spare(struct pool *);
/* Descriptors to wait for, at most n; how many there are. */
unsigned pool_poll(const struct pool *, struct pollfd *, unsigned n);
/* Those pool_poll() gave, after poll(): who is done. */
void pool_done(struct pool *, const struct pollfd *, unsigned n);
/* After SIGCHLD: answer for those who could not. */
void pool_reap(struct pool *);
/* Let those go that waited for long; milliseconds until there is something to
 * do again, or -1. */
int pool_expire(struct pool *);

/* queue.c: false: there is no room for it; whose turn it is, NULL: nobody
 * waits; he waits no longer */
bool
queue_put(struct pool *, int chan, struct ipc_msg *, const struct limit_addr *);
struct pool_waiting *queue_next(struct pool *);
void queue_take(struct pool *, struct pool_waiting *);
/* Is it one of a network that has more than POOL_CROWD? */
bool queue_is_crowd(const struct pool *, const struct pool_waiting *);
/* May it have a process now, as many as there are and begin? */
bool queue_may_begin(const struct pool *, const struct pool_waiting *);
/* Would the next one find no process but a new one? That takes as long as most
 * messages. Nobody needs one where nothing is asked. */
bool queue_wants_spare(const struct pool *);

/* yield.c: whose question gives way; NULL: nobody had his time yet */
struct pool_child *pool_victim(struct pool *, int64_t now_ms);
/* Milliseconds until somebody has. */
int pool_yield_ms(const struct pool *, int64_t now_ms);

#endif
