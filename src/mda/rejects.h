/*
 * rejects - how long refused copies are kept.
 *
 * Only what we filed there goes: messages that begin with X-Quire-Reason,
 * which nobody but us may write. What its owner put into that mailbox stays.
 */
#ifndef MDA_REJECTS_H
#define MDA_REJECTS_H

#include <stdint.h>

#include "base/err.h"
#include "service/store/mailbox.h"

#define REJECTS_KEEP_S (14 * 86400)
#define REJECTS_MAX    1000
#define REJECTS_OCTETS (256ULL << 20)
#define REJECTS_COPY                                      \
	(16ULL << 20) /* larger ones only where it is the \
		       * recipient's one chance to see them */

struct rejects_limits {
	int64_t keep_s;
	uint32_t max; /* of the mailbox */
	uint64_t max_octets;
};
extern const struct rejects_limits rejects_limits_default;

/* Expunge those older than keep_s, and the oldest beyond the maxima. */
int rejects_expire(
    struct mailbox *, int64_t now, const struct rejects_limits *, struct err *);

#endif
