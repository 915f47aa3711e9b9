#include "base/crc32c.h"

#include <string.h>

#define POLY 0x82f63b78u

static uint32_t
crc_soft(uint32_t c, const unsigned char *p, size_t n)
{
	static uint32_t table[256];
	size_t i;

	if (table[1] == 0) {
		for (i = 0; i < 256; i++) {
			uint32_t v = (uint32_t)i;
			int k;

			for (k = 0; k < 8; k++)
				v = v & 1 ? v >> 1 ^ POLY : v >> 1;
			table[i] = v;
		}
	}
	while (n-- > 0)
		c = table[(c ^ *p++) & 0xff] ^ c >> 8;
	return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_sse(uint32_t c, const unsigned char *p, size_t n)
{
	uint64_t v, c64 = c;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		c64 = __builtin_ia32_crc32di(c64, v);
	}
	c = (uint32_t)c64;
	while (n-- > 0)
		c = __builtin_ia32_crc32qi(c, *p++);
	return c;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse(crc, p, n);
#endif
	return ~crc_soft(crc, p, n);
}
