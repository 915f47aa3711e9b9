/*
 * cid - connection ids as outsiders see them: 22 characters that hide the
 * counter. AES-128 of the counter and 8 random bytes, base64url; `quire cid`
 * decodes what a user quotes from an error reply.
 */
#ifndef IO_CID_H
#define IO_CID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define CID_LEN 22

/* key: 16 bytes */
void cid_make(struct str key, uint64_t counter, char out[CID_LEN + 1]);
bool cid_open(struct str key, struct str cid, uint64_t *counter);

#endif
