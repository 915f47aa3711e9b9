#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/arc/arc.h"
#include "format/mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A line with the key record, then a message. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str msg = n > 0 ? str_make((const char *)data, n) : STR("");
	const struct arc_options o = { .now = 1000, .wants_oldest_pass = true };
	struct dns_record record = { .type = DNS_TXT };
	struct dns_answer an = { .v = &record, .n = 1 };
	const struct arc_result *r;
	struct arc_verify *v;
	struct arena a;
	size_t i, split;

	str_cut(&msg, '\n', &record.text);
	split = mime_header_length(msg);
	arena_init(&a, 16 << 20);
	v = arc_verify_begin(&a, str_sub(msg, 0, split), &o);
	arc_verify_body(v, str_sub(msg, split, msg.n));
	for (i = 0; arc_verify_question(v, i) != NULL; i++)
		arc_verify_answer(v, i, &an);
	r = arc_verify_finish(v);
	assert((r->cv == ARC_FAIL) == (r->why != NULL));
	assert(r->oldest_pass <= (int)r->n_sets);
	arc_verify_free(&v);
	arena_release(&a);
	return 0;
}
