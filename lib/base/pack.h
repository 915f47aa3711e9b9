/*
 * pack - append little-endian integers and blobs to a buf; what cur_u16(),
 * cur_u32(), cur_u64() and cur_blob() read back.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdint.h>

#include "base/buf.h"

void pack_u8(struct buf *, uint8_t);
void pack_u16(struct buf *, uint16_t);
void pack_u32(struct buf *, uint32_t);
void pack_u64(struct buf *, uint64_t);
void pack_blob(struct buf *, struct str); /* u32 length, bytes */
void pack_zero(struct buf *, size_t n);

/* the same in place, for files with fixed offsets */
void le16_put(void *, uint16_t);
void le32_put(void *, uint32_t);
void le64_put(void *, uint64_t);
uint16_t le16_get(const void *);
uint32_t le32_get(const void *);
uint64_t le64_get(const void *);

#endif
