/* Arguments of XCLIENT; what is printed reads the same. */
#include <assert.h>
#include <stdint.h>

#include "format/xclient/xclient.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
same(const struct xclient *a, const struct xclient *b)
{
	unsigned i;

	for (i = 0; i < XCLIENT_ATTRIBUTES; i++) {
		assert(a->v[i].state == b->v[i].state);
		assert(a->v[i].state != XCLIENT_GIVEN ||
		       str_eq(a->v[i].text, b->v[i].text));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xclient x, again;
	const char *why;
	struct arena a;
	struct buf b;

	arena_init(&a, 1 << 16);
	buf_init(&b, 1 << 16);
	if (size <= 2048 &&
	    xclient_parse(&a, str_make((const char *)data, size), &x, &why)) {
		xclient_print(&b, &x);
		assert(xclient_parse(&a, buf_str(&b), &again, &why));
		same(&x, &again);
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
