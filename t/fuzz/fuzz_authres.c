#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/authres/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = n > 0 ? str_make((const char *)data, n) : STR("");
	struct authres r, again;
	struct arena a;
	const char *why;
	struct buf b;

	arena_init(&a, 16 << 20);
	buf_init(&b, 1 << 20);
	authres_claims(in, STR("mx.test"));
	if (authres_parse(&a, in, &r, &why)) {
		authres_print(&b, &r);
		assert(authres_parse(&a, buf_str(&b), &again, &why));
		assert(r.n == again.n);
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
