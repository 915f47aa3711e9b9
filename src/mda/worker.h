/* worker - an mda in its owner's place: orders in, verdicts out. */
#ifndef MDA_WORKER_H
#define MDA_WORKER_H

#include "service/store/account.h"
#include "system/daemon/nursery.h"

int mda_work(const struct nursery_job *);
/* What the workers inherit from the configuration. */
void mda_settings(struct account_opts *);
/* The name that our Authentication-Results are given under. */
struct str mda_authserv_id(void);
struct str mda_hostname(void);

#endif
