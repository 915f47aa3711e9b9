/*
 * plan_int.h - the next generation before it has begun (plan.c), for who
 * makes the journal that goes on from it (generation.c).
 */
#ifndef STORE_PLAN_INT_H
#define STORE_PLAN_INT_H

#include "service/store/index_int.h"

struct plan {
	struct index_head h;
	uint64_t *rec, *goner; /* where each record stands now */
	struct recs_writer w;
	int fd;
	bool is_all; /* a new file of records */
	uint32_t cache_no;
};

/*
 * Records and index of what the view is now, durable when it returns 0; the
 * plan says where they are. Under byte 1, or whatever else keeps others from
 * doing the same. plan_release() in any case.
 */
int generation_plan(struct mailbox *, struct plan *, struct err *);
void plan_release(struct plan *);

#endif
