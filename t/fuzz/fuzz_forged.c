#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/forged/forged.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
filter(struct str in, size_t step, struct buf *out)
{
	static const struct forged_names names = { STR_INIT("mx.test"),
		STR_INIT("host.test"), STR_INIT("a@b") };
	struct forged f;

	forged_init(&f, &names);
	for (; in.n > 0; in = str_sub(in, step, in.n))
		forged_push(&f, str_sub(in, 0, step), out);
	forged_finish(&f, out);
	forged_release(&f);
}

/* The same in one piece and octet by octet, and nothing is left to remove. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = n > 0 ? str_make((const char *)data, n) : STR("");
	struct buf whole, bytes, again;

	buf_init(&whole, n + 1);
	buf_init(&bytes, n + 1);
	buf_init(&again, n + 1);
	filter(in, n + 1, &whole);
	filter(in, 1, &bytes);
	assert(!whole.full && str_eq(buf_str(&whole), buf_str(&bytes)));
	filter(buf_str(&whole), n + 1, &again);
	assert(str_eq(buf_str(&whole), buf_str(&again)));
	buf_release(&whole);
	buf_release(&bytes);
	buf_release(&again);
	return 0;
}
