/*
 * packed - message files that another server keeps compressed: gzip (RFC
 * 1952) and Zstandard (RFC 8878), told by their first octets as Dovecot's
 * zlib plugin tells them.
 *
 * No message begins so: a header field begins with a printable character
 * and has a colon. What clients store with such a beginning is kept RAW
 * (incoming.c) and is never taken for packed.
 */
#ifndef STORE_PACKED_INT_H
#define STORE_PACKED_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Octets a packed file may decode to. A bomb of 250 kB makes as much, and
 * each look at it costs a second; no server takes in a message so long (ours
 * stops at 100 MB, the largest limits in use are near 150 MB).
 */
#define PACKED_MAX ((uint64_t)256 << 20)

enum packed {
	PACKED_NOT,
	PACKED_GZIP,
	PACKED_ZSTD,
	PACKED_OTHER, /* known, but there is no decoder here */
};
#define PACKED_MAGIC 12 /* octets that tell */

/* What a file begins so for; *name is what to call it. */
enum packed packed_kind(struct str first, const char **name);
/* The same of a file. An unreadable one is not packed. */
enum packed packed_sniff(int fd);

typedef int packed_sink(void *arg, struct str, struct err *);
/*
 * Decode the file from its start through fn, at most max octets. -1 with
 * ERR_PERM: it is damaged, too large, or PACKED_OTHER, and err says which.
 * What fn returns other than 0 ends it with -1.
 */
int
packed_decode(int fd, uint64_t max, packed_sink *fn, void *arg, struct err *);

/* The whole decoded contents: small ones in memory, others in a file without
 * a name in dirfd (-1: in memory that is a file). */
struct decoded {
	char *p; /* NULL: fd has them */
	int fd;
	uint64_t n;
};
int packed_load(int fd, int dirfd, struct decoded *, struct err *);
void decoded_release(struct decoded *);
ssize_t decoded_read(const struct decoded *, char *p, size_t n, uint64_t off);

#endif
