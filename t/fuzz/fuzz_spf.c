#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/spf/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Lines of the input are the answers, in the order of the questions: TXT
 * takes one whole, other types count its octets. */
static void
answer(struct str *in, const struct dns_question *q, struct dns_answer *an)
{
	static struct dns_record v[16];
	struct str line;
	size_t i;

	str_cut(in, '\n', &line);
	memset(v, 0, sizeof(v));
	*an = (struct dns_answer){ .v = v };
	if (line.n == 0) {
		an->status = DNS_NODATA;
		return;
	}
	an->status = line.p[0] == '!' ? DNS_TEMPFAIL : DNS_OK;
	an->n = an->status != DNS_OK ? 0 : q->type == DNS_TXT ? 1 : line.n % 15;
	for (i = 0; i < an->n; i++) {
		v[i].owner = q->name;
		v[i].type = q->type;
		if (q->type == DNS_TXT)
			v[i].text = line;
		else if (q->type == DNS_MX)
			v[i].mx.exchange = str_sub(line, i, line.n);
		else if (q->type == DNS_PTR)
			v[i].name = str_sub(line, i, 100);
		else
			memcpy(v[i].ip, "\x0a\0\0\1", 4);
	}
	if (an->status == DNS_OK && an->n == 0)
		an->status = DNS_NXDOMAIN;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct spf_client cl = { .ip = { 10, 0, 0, 1 } };
	struct str in = n > 0 ? str_make((const char *)data, n) : STR("");
	struct dns_answer an;
	struct arena a;
	struct spf *s;
	struct buf b;

	cl.is_ipv6 = n % 2;
	str_cut(&in, '\n', &cl.local);
	str_cut(&in, '\n', &cl.domain);
	str_cut(&in, '\n', &cl.helo);
	arena_init(&a, SPF_ARENA_MAX);
	buf_init(&b, 65536);
	s = spf_begin(&a, &cl);
	while (spf_next(s) == SPF_NEED_DNS) {
		answer(&in, spf_question(s), &an);
		spf_answer(s, &an);
	}
	spf_print_received(&b, s);
	assert(!b.full && str_ends(buf_str(&b), STR("\r\n")));
	buf_release(&b);
	arena_release(&a);
	return 0;
}
