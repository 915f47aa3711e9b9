#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/dnsmsg/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct dns_answer an;
	struct dnsmsg m, again;
	struct arena a;
	struct buf b;
	size_t i;

	arena_init(&a, DNSMSG_ARENA_MAX);
	buf_init(&b, 4096);
	if (dnsmsg_parse(&a, str_make((const char *)data, n), &m, NULL)) {
		/* every name that was read can be written */
		for (i = 0; i < m.n_answer; i++)
			assert(dns_name_valid(m.answer[i].owner));
		if (m.has_question) {
			dnsmsg_result(&a, &m, &m.question, n % 2, &an);
			assert(an.status != DNS_OK || an.n > 0);
			dns_answer_copy(&a, &an);
			assert(dnsmsg_query(&b, m.id, &m.question, 0));
			assert(dnsmsg_parse(&a, buf_str(&b), &again, NULL));
			assert(
			    dns_name_eq(m.question.name, again.question.name));
		}
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
