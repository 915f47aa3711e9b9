#include "base/pack.h"

#include <string.h>

void
le16_put(void *p, uint16_t v)
{
	unsigned char *b = p;

	b[0] = (unsigned char)v;
	b[1] = (unsigned char)(v >> 8);
}

void
le32_put(void *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put((char *)p + 2, (uint16_t)(v >> 16));
}

void
le64_put(void *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put((char *)p + 4, (uint32_t)(v >> 32));
}

uint16_t
le16_get(const void *p)
{
	const unsigned char *b = p;

	return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t
le32_get(const void *p)
{
	return le16_get(p) | (uint32_t)le16_get((const char *)p + 2) << 16;
}

uint64_t
le64_get(const void *p)
{
	return le32_get(p) | (uint64_t)le32_get((const char *)p + 4) << 32;
}

void
pack_u8(struct buf *b, uint8_t v)
{
	buf_putc(b, (char)v);
}

void
pack_u16(struct buf *b, uint16_t v)
{
	char t[2];

	le16_put(t, v);
	buf_put(b, str_make(t, sizeof(t)));
}

void
pack_u32(struct buf *b, uint32_t v)
{
	char t[4];

	le32_put(t, v);
	buf_put(b, str_make(t, sizeof(t)));
}

void
pack_u64(struct buf *b, uint64_t v)
{
	char t[8];

	le64_put(t, v);
	buf_put(b, str_make(t, sizeof(t)));
}

void
pack_blob(struct buf *b, struct str s)
{
	if (s.n > UINT32_MAX) {
		b->full = true;
		return;
	}
	pack_u32(b, (uint32_t)s.n);
	buf_put(b, s);
}

void
pack_zero(struct buf *b, size_t n)
{
	char *p = buf_reserve(b, n);

	if (p != NULL) {
		memset(p, 0, n);
		buf_grow(b, n);
	}
}
