/*
 * proxy - the header by which a proxy says who the client is: the PROXY
 * protocol, versions 1 (text) and 2 (binary), as HAProxy's proxy-protocol.txt
 * of 2020/03/05 has it.
 *
 * It stands before everything else, TLS too, so a reader must not take an
 * octet more than the header has: proxy_parse() says how many more certainly
 * belong to it. Bounded: PROXY_MAX octets, TLVs included, which are skipped.
 */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define PROXY_MAX  4096 /* ours; version 1 has at most 107 */
#define PROXY_TEXT 46	/* an address, with its NUL */

struct proxy_header {
	/* LOCAL, UNKNOWN or unspecified: the proxy's own connection (a health
	 * check), or a client that it cannot name; nothing below is set */
	bool is_local;
	char source[PROXY_TEXT], destination[PROXY_TEXT];
	uint16_t source_port, destination_port;
};

enum proxy_result {
	PROXY_MORE, /* *need octets more, at least, are the header's */
	PROXY_OK,   /* all of it was the header */
	PROXY_BAD,
};
enum proxy_result proxy_parse(struct str, struct proxy_header *, size_t *need);

/* "192.0.2.0/24", "2001:db8::/32" or an address: who is trusted to say so.
 * IPv4-mapped addresses are IPv4. */
struct proxy_net {
	unsigned char ip[16];
	unsigned bits;
};
bool proxy_net_parse(struct proxy_net *, struct str);
bool proxy_net_has(const struct proxy_net *, struct str address);

#endif
