/* tools_file - messages and keys that a tool is given as files. */
#ifndef TOOLS_FILE_H
#define TOOLS_FILE_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/str.h"

#define TOOLS_MAX_FILE (256 << 20) /* by hand; the server streams */

/* "-" is standard input. Header and body, views of b; 0, or an exit status
 * after the reason was told. */
int tools_read_message(
    const char *path, struct buf *b, struct str *header, struct str *body);
/* A private key in PEM form; NULL after the reason was told. */
EVP_PKEY *tools_read_key(const char *path);

#endif
