/*
 * crc32c - Castagnoli CRC (RFC 3720, B.4), SSE4.2 where the CPU has it.
 * crc32c(0, "123456789") is 0xe3069283; feed the result back in to go on.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
