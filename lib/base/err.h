/*
 * err - why an operation failed.
 *
 * Failing functions return -1 and fill a struct err. The kind answers mail's
 * first question: may a later try help? Verdicts ("no such mailbox") are not
 * errors but values; bugs are assert().
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_TEMP,  /* trying later may help: I/O, memory, full disk, busy */
	ERR_PERM,  /* it will not: malformed, refused, not supported */
	ERR_SPACE, /* temporary, and it is room that is missing (disk, quota) */
};

struct err {
	enum err_kind kind;
	int sys; /* errno, or 0 */
	char text[200];
};

/* All return -1. err may be NULL. */
int err_set(struct err *, enum err_kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* From errno; the kind follows from it. `what` names the operation. */
int err_sys(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Put words in front of what is already there. */
int err_prefix(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
