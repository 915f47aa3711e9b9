/*
 * metrics - what the fronts count, and quired prints for `quire status
 * --metrics' in the text format of Prometheus.
 *
 * A front counts in a page that it shares with quired: counting costs no
 * message, who asks waits for nobody, and the counts outlive a front that
 * died. Only the front writes it and only quired reads it, so a front that
 * was taken over can lie about its own counts and nothing else.
 *
 * The series are a fixed set. Their labels come from tables, never from a
 * client, and all of them fit one message of the control socket (IPC_MAX).
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/imap/command.h"
#include "format/smtp/smtp.h"
#include "system/ipc/msg.h"

#define METRICS_CODES 27 /* of replies, see metrics_code() */

enum metrics_imap {
	METRICS_NO,
	METRICS_BAD,
	METRICS_BYE, /* not a word of IMAP */
	METRICS_IMAP
};

typedef _Atomic uint64_t metric; /* one writer: no lost counts */

struct metrics {
	metric connections[SERVICES], refused[SERVICES];
	metric logins[SERVICES][AUTH_VERDICTS];
	metric smtp_errors[SMTP_VERBS][METRICS_CODES];
	/* before login; IMAP_VERBS: no command of IMAP */
	metric imap_errors[IMAP_VERBS + 1][METRICS_IMAP];
};

static inline void
metric_count(metric *m)
{
	atomic_fetch_add_explicit(m, 1, memory_order_relaxed);
}

/* Which of smtp_errors[verb] a reply is; code: 400..599. */
size_t metrics_code(int code);

/* A page of zeros that cannot change its size; -1. */
int metrics_create(struct err *);
/* The page of that descriptor, for good; NULL. Readers cannot write. */
struct metrics *metrics_map(int fd, bool is_writer, struct err *);
/* The sum of these pages. */
void metrics_print(struct buf *, const struct metrics *const *, size_t n);

#endif
