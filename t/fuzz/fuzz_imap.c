/* IMAP: the reader and the parsers of what it hands over. The first octet
 * chooses the chunk size and the options. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "format/imap/command.h"
#include "format/imap/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
on_event(struct arena *a, struct imap_reader *r, const struct imap_event *e,
    const struct imap_parse_opts *opts)
{
	struct imap_parse_error err;
	struct imap_append append;
	struct imap_command cmd;

	if (e->kind == IMAP_COMMAND) {
		if (imap_parse(a, e->text, opts, &cmd, &err) == IMAP_PARSED &&
		    cmd.verb == IMAP_IDLE)
			imap_reader_want_line(r);
	} else if (e->kind == IMAP_APPEND) {
		if (imap_parse_append(a, e->text, e->is_first, opts->is_utf8,
			opts, &append, &err) == IMAP_PARSED)
			imap_reader_accept(r);
		else
			imap_reader_refuse(r);
	}
	arena_clear(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct imap_parse_opts opts = { .state = IMAP_IN_SELECTED };
	struct imap_reader_opts ropts = { .has_append = true };
	struct imap_reader *r;
	struct imap_event e;
	struct arena a;
	size_t chunk, i;

	if (n == 0)
		return 0;
	opts.is_utf8 = data[0] & 1;
	if (data[0] & 2)
		opts.state = IMAP_IN_NONAUTH;
	ropts.has_append = (data[0] & 4) == 0;
	chunk = (size_t)(data[0] >> 3) + 1;
	arena_init(&a, IMAP_ARENA_MAX);
	r = imap_reader_new(&ropts);
	for (i = 1; i < n; i += chunk) {
		imap_reader_push(r, str_make((const char *)data + i,
					n - i < chunk ? n - i : chunk));
		while (imap_reader_next(r, &e) != IMAP_NEED_MORE)
			on_event(&a, r, &e, &opts);
	}
	imap_reader_free(&r);
	arena_release(&a);
	return 0;
}
