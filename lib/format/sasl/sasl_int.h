/* SCRAM's parts that server and client share (RFC 5802). */
#ifndef SASL_INT_H
#define SASL_INT_H

#include "base/cur.h"
#include "format/sasl/sasl.h"

void scram_hmac(const uint8_t key[32], struct str, uint8_t out[32]);
/* "x=value" up to the next "," or the end; false (failing c) if the
 * attribute is another one. */
bool scram_attr(struct cur *c, char name, struct str *value);
/* saslname: "," and "=" are "=2C" and "=3D"; RFC 5802, 5.1 */
bool scram_name_decode(struct buf *, struct str);
void scram_name_encode(struct buf *, struct str);

#endif
