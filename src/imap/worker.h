/* worker - a session forked by the nursery: takes the connection over from
 * the front and runs it. */
#ifndef IMAP_WORKER_H
#define IMAP_WORKER_H

#include "system/daemon/nursery.h"

int imap_work(const struct nursery_job *);

#endif
