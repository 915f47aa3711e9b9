/*
 * b64 - base64 (RFC 4648, 4) and its URL form without padding (RFC 4648, 5).
 */
#ifndef BASE_B64_H
#define BASE_B64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

void b64_encode(struct buf *, struct str);
void b64url_encode(struct buf *, struct str); /* no padding */
/* Strict: right alphabet and padding, zero spare bits, nothing else. */
bool b64_decode(struct buf *, struct str);
bool b64url_decode(struct buf *, struct str);

#endif
