#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/dkim/dkim.h"
#include "format/mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A line with the key record, then a message. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str msg = n > 0 ? str_make((const char *)data, n) : STR("");
	struct dns_record record = { .type = DNS_TXT };
	struct dns_answer an = { .v = &record, .n = 1 };
	const struct dkim_options o = { .now = 1000 };
	const struct dkim_result *r;
	struct dkim_verify *v;
	struct arena a;
	size_t i, count, split;

	str_cut(&msg, '\n', &record.text);
	split = mime_header_length(msg);
	arena_init(&a, 16 << 20);
	v = dkim_verify_begin(&a, str_sub(msg, 0, split), &o);
	msg = str_sub(msg, split, msg.n);
	dkim_verify_body(v, str_sub(msg, 0, msg.n / 2));
	dkim_verify_body(v, str_sub(msg, msg.n / 2, msg.n));
	r = dkim_verify_results(v, &count, NULL);
	for (i = 0; i < count; i++)
		dkim_verify_answer(v, i, &an);
	dkim_verify_finish(v);
	for (i = 0; i < count; i++)
		assert((r[i].status == DKIM_PASS) == (r[i].why == NULL));
	dkim_verify_free(&v);
	arena_release(&a);
	return 0;
}
