#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/addr/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct addr_path p, again;
	struct addr normal, twice;
	struct arena a;
	struct buf b;
	struct cur c;

	arena_init(&a, 1 << 20);
	buf_init(&b, 4096);
	cur_init(&c, str_make((const char *)data, n));
	if (addr_parse_path(&a, &c, ADDR_UTF8, &p)) {
		addr_print_path(&b, &p);
		cur_init(&c, buf_str(&b));
		assert(addr_parse_path(&a, &c, ADDR_UTF8, &again));
		assert(cur_done(&c) && p.kind == again.kind);
		assert(str_eq(p.addr.local, again.addr.local));
		assert(str_eq(p.addr.domain, again.addr.domain));
		if (addr_normalize(&a, &p.addr, n % 2, &normal)) {
			assert(addr_normalize(&a, &normal, n % 2, &twice));
			assert(str_eq(normal.local, twice.local));
			assert(str_eq(normal.domain, twice.domain));
		}
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
