/* tools_file - messages and keys that a tool is given as files, and the options
 * of those that verify and sign them. */
#ifndef TOOLS_FILE_H
#define TOOLS_FILE_H

#include <openssl/evp.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct tools_signing {
	const char *key, *domain, *selector, *authserv, *headers;
	int64_t now; /* --now or --time, else the clock's */
	char **rest;
	int n_rest;
};
/* 0, or an exit status after the reason was told. has_seal: --authserv and
 * --headers too. */
int tools_signing_args(struct tools_signing *, int argc, char **argv,
    bool has_seal, const char *usage);

#define TOOLS_MAX_FILE (256 << 20) /* by hand; the server streams */

/* "-" is standard input. Header and body, views of b; 0, or an exit status
 * after the reason was told. */
int tools_read_message(
    const char *path, struct buf *b, struct str *header, struct str *body);
/* A private key in PEM form; NULL after the reason was told. */
EVP_PKEY *tools_read_key(const char *path);

#endif
