#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/dmarc/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Lines: From, two identifiers, then what each name asked for has. */
static void
walk(struct str in)
{
	struct str names[2], line;
	struct dmarc_options o = {
		.is_tree_walk = true, .identifiers = names, .n_identifiers = 2
	};
	struct dmarc_dkim dkim = { .status = DKIM_PASS };
	struct dmarc_input input = {
		.spf = SPF_PASS, .dkim = &dkim, .n_dkim = 1
	};
	struct dns_record v = { .type = DNS_TXT };
	struct dmarc_result r;
	struct arena a;
	struct dmarc *d;
	int asked = 0;

	arena_init(&a, 4 << 20);
	str_cut(&in, '\n', &o.from);
	str_cut(&in, '\n', &names[0]);
	str_cut(&in, '\n', &names[1]);
	d = dmarc_begin(&a, &o);
	while (dmarc_question(d) != NULL) {
		struct dns_answer an = { .status = DNS_NODATA, .v = &v };

		assert(++asked <= 3 * DMARC_MAX_WALK + 3);
		assert(dns_name_valid(dmarc_question(d)->name));
		str_cut(&in, '\n', &line);
		v.text = line;
		an.n = line.n > 0;
		if (an.n > 0)
			an.status = line.p[0] == '!' ? DNS_TEMPFAIL : DNS_OK;
		dmarc_answer(d, &an);
	}
	input.spf_domain = names[0];
	dkim.domain = names[1];
	dmarc_evaluate(d, &input, &r);
	arena_release(&a);
}

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
	walk(in);
	return 0;
}
