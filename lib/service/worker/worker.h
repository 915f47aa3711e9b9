/*
 * worker - what the processes that open an account have in common: a nursery
 * reads the configuration once, before it is confined, and its workers
 * inherit what they need of it.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdint.h>

#include "service/store/account.h"
#include "system/daemon/nursery.h"

struct worker_settings {
	char hostname[256], authserv_id[256];
	bool fast_sync, coexist; /* as in struct account_opts */
	enum account_export exports;
	uint64_t write_ms;     /* what a stranger has for taking a reply */
	uint64_t message_size; /* octets */
};

/* A nursery_spec's prepare. Without a valid configuration, which is logged,
 * defaults stay. */
void worker_prepare(struct daemon *);
const struct worker_settings *worker_settings(void);
/* How to open the account of that job; the store's log is ours. Borrows from
 * the settings and from the job. */
struct account_opts worker_account_opts(const struct nursery_job *);

#endif
