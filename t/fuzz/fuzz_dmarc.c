#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/dmarc/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = n > 0 ? str_make((const char *)data, n) : STR("");
	struct dmarc_record r, again;
	const char *why;
	struct buf b;

	buf_init(&b, 1 << 20);
	if (dmarc_record_parse(in, &r, &why)) {
		dmarc_record_print(&b, &r);
		assert(dmarc_record_parse(buf_str(&b), &again, &why));
		assert(r.p == again.p && r.sp == again.sp);
		assert(r.pct == again.pct && r.fo == again.fo);
		assert(r.rua.n == again.rua.n && r.ruf.n == again.ruf.n);
	}
	buf_release(&b);
	return 0;
}
