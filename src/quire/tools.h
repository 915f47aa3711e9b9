/*
 * tools - what an admin asks the protocol modules: one line of output each,
 * KEY=VALUE, or with --json one object.
 *
 * Options anywhere among the arguments: --json, --resolver IP:PORT,
 * --dns-timeout TIME (milliseconds, or with s).
 */
#ifndef TOOLS_H
#define TOOLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "quire.h"
#include "service/dns/dns.h"

struct tool {
	bool json;
	const char *resolver;
	unsigned dns_timeout_ms;
	struct arena arena;
	struct dns *dns; /* after tool_dns() */
	struct buf out;
	unsigned n_out;
	bool is_silent; /* the command has printed itself */
};

/* Take the common options out of argv; 0, or an exit status. */
int tool_begin(struct tool *, int *argc, char **argv);
/* Connect to the resolver; 0, or an exit status. */
int tool_dns(struct tool *);
/* A domain as people write it, without the dot of the root at its end
 * (RFC 1034, 3.1). Not for addresses, which must not have it (RFC 5321,
 * 4.1.2). */
struct str tool_domain(const char *arg);
void tool_put(struct tool *, const char *key, struct str value);
void tool_put_bool(struct tool *, const char *key, bool);
void tool_put_int(struct tool *, const char *key, int64_t);
/* With --json an array, else "ONE, TWO". */
void
tool_put_list(struct tool *, const char *key, const struct str *v, size_t n);
/* In quotes; of what is not UTF-8 an octet stands as the character of that
 * number. */
void tool_json_string(struct buf *, struct str s);
/* In a line of KEY=VALUE control characters would make a second line. */
void tool_plain(struct buf *, struct str s);
/* Print and free; returns status. */
int tool_end(struct tool *, int status);

#endif
