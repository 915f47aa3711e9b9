#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/smtp/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The data reader gives the same in one piece and in pieces of step. */
static void
data(struct str all, size_t step, struct buf *out, struct smtp_data *d,
    size_t *rest)
{
	struct str in = all;
	size_t at;
	bool done = false;

	smtp_data_init(d, 1000);
	for (at = 0; at < all.n && !done; at += step) {
		in = str_sub(all, at, step);
		done = smtp_data_push(d, &in, out);
	}
	*rest = done ? all.n - (size_t)(in.p - all.p) : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str in = str_make((const char *)p, n), line;
	struct smtp_command cmd;
	struct smtp_error error;
	struct smtp_reply_parser reply;
	struct smtp_data d1, d2;
	struct arena a;
	struct buf b1, b2;
	size_t rest1, rest2;

	arena_init(&a, 1 << 22);
	buf_init(&b1, 1 << 20);
	buf_init(&b2, 1 << 20);
	data(in, n + 1, &b1, &d1, &rest1);
	data(in, 1 + n % 3, &b2, &d2, &rest2);
	assert(str_eq(buf_str(&b1), buf_str(&b2)) || d1.is_over);
	assert(rest1 == rest2 && d1.is_smuggled == d2.is_smuggled);
	assert(d1.is_over == d2.is_over && d1.n_received == d2.n_received);
	while (in.n > 0) {
		str_cut(&in, '\n', &line);
		if (!smtp_command_parse(&a, line, 7, &cmd, &error))
			assert(error.code >= 500 && error.text != NULL);
		arena_clear(&a);
	}
	smtp_reply_init(&reply);
	in = str_make((const char *)p, n);
	while (in.n > 0 && smtp_reply_push(&reply, &in) != SMTP_REPLY_BAD)
		;
	smtp_reply_release(&reply);
	buf_release(&b1);
	buf_release(&b2);
	arena_release(&a);
	return 0;
}
