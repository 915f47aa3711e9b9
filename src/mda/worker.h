/* worker - an mda in its owner's place: orders in, verdicts out. */
#ifndef MDA_WORKER_H
#define MDA_WORKER_H

#include "system/daemon/nursery.h"

int mda_work(const struct nursery_job *);

#endif
