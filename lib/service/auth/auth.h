/*
 * auth - what is kept of passwords, on disk and checked (doc/format-auth.md).
 *
 * A record is made from a password once: an argon2id hash for PLAIN and
 * LOGIN, SCRAM-SHA-256 keys for SCRAM. Lines of Dovecot passwd-files are
 * records too. auth_derive() and auth_check() are slow by design: never in
 * an event loop.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "format/sasl/sasl.h"

#define AUTH_MIN_PASSWORD 8    /* characters, after normalising */
#define AUTH_MAX_RECORD	  8192 /* octets of a line */
#define AUTH_ITERATIONS                                     \
	16384 /* RFC 7677, 4, wants 4096 at least, and says \
	       * that 15000 are better */
struct auth_record {
	struct str name;
	struct str hash; /* "{SCHEME}...", or "" if there is none */
	bool is_disabled;
	bool has_scram;
	struct sasl_scram scram;
};

/* Cost of new records; zeros mean the defaults (19 MiB, 2 passes: 13 ms). */
struct auth_cost {
	size_t memory;
	unsigned long long passes;
	uint32_t iterations;
};

enum auth_answer {
	AUTH_RIGHT,
	AUTH_WRONG,
	AUTH_CANNOT_CHECK, /* scheme or hash not understood */
};

/* One line without its LF; false if it is no record (also comments). */
bool auth_record_parse(struct arena *, struct str line, struct auth_record *);
void auth_record_print(struct buf *, const struct auth_record *);
/* The first record of that name in a passwd-file. */
bool auth_record_find(
    struct arena *, struct str file, struct str name, struct auth_record *);

/* A record for a password; -1 if the password is refused. */
int auth_derive(struct arena *, struct str name, struct str password,
    const struct auth_cost *, struct auth_record *, struct err *);
enum auth_answer auth_check(struct str hash, struct str password);

/* Records as files of the directory. */
enum auth_found {
	AUTH_FOUND,
	AUTH_NO_RECORD,
	AUTH_ERROR, /* see err */
};
enum auth_found auth_read(struct arena *, int dirfd, struct str name,
    struct auth_record *, struct err *);
int auth_write(int dirfd, const struct auth_record *, struct err *);
int auth_remove(int dirfd, struct str name, struct err *);

#endif
