#include "msg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/xalloc.h"

void
msg_init(struct msg *g, struct session *s)
{
	*g = (struct msg){ .s = s };
	buf_init(&g->header, MSG_MAX_HEADER);
}

static void
forget(struct msg *g)
{
	msgfile_free(&g->file);
	g->has_header = false;
	if (g->parsed.was_asked || g->root != NULL)
		arena_clear(&g->s->msg_arena);
	g->parsed = (struct parsed){ 0 };
	g->root = NULL;
}

void
msg_release(struct msg *g)
{
	forget(g);
	buf_release(&g->header);
}

void
msg_set(struct msg *g, uint32_t seq)
{
	if (g->file != NULL || g->parsed.was_asked)
		forget(g);
	g->seq = seq;
	mailbox_get(g->s->mbox, seq, &g->m);
}

int
msg_open(struct msg *g)
{
	if (g->file != NULL)
		return 0;
	if (mailbox_open_message(g->s->mbox, g->m.uid, &g->file, &g->err) ==
	    -1) {
		g->file = NULL;
		return -1;
	}
	g->size = msgfile_size(g->file);
	return 0;
}

/* Read n octets at `at`, fewer only at the end of the file. */
static ssize_t
read_full(struct msg *g, uint64_t at, char *p, size_t n)
{
	size_t got = 0;
	ssize_t one;

	while (got < n) {
		one =
		    msgfile_read(g->file, at + got, p + got, n - got, &g->err);
		if (one == -1)
			return -1;
		if (one == 0)
			break;
		got += (size_t)one;
	}
	return (ssize_t)got;
}

int
msg_header(struct msg *g)
{
	size_t step = 4096, from;
	ssize_t got;
	char *p;

	if (g->has_header)
		return 0;
	if (msg_open(g) == -1)
		return -1;
	buf_clear(&g->header);
	for (;;) {
		size_t want = step, length;

		if (want > MSG_MAX_HEADER - g->header.n)
			want = MSG_MAX_HEADER - g->header.n;
		if (want == 0 || (p = buf_reserve(&g->header, want)) == NULL)
			break;
		from = g->header.n;
		if ((got = read_full(g, from, p, want)) == -1)
			return -1;
		buf_grow(&g->header, (size_t)got);
		length = mime_header_length(buf_str(&g->header));
		if (length < g->header.n || (size_t)got < want) {
			buf_truncate(&g->header, length);
			break;
		}
		/* the end may be exactly here: one more look decides */
		step *= 2;
	}
	g->has_header = true;
	return 0;
}

int
msg_read(struct msg *g, struct span span, msg_sink *fn, void *arg)
{
	char *chunk = xmalloc(MSG_CHUNK);
	int rc = -1;

	while (span.n > 0) {
		size_t want = span.n < MSG_CHUNK ? (size_t)span.n : MSG_CHUNK;
		ssize_t got =
		    msgfile_read(g->file, span.at, chunk, want, &g->err);

		if (got == -1)
			goto done;
		if (got == 0 || !fn(arg, str_make(chunk, (size_t)got)))
			break;
		span.at += (uint64_t)got;
		span.n -= (uint64_t)got;
	}
	rc = 0;
done:
	free(chunk);
	return rc;
}

static bool
push_parser(void *arg, struct str s)
{
	mime_parser_push(arg, s);
	return true;
}

int
msg_tree(struct msg *g)
{
	struct mime_parser *parser;

	if (g->root != NULL)
		return 0;
	if (msg_open(g) == -1)
		return -1;
	parser = mime_parser_new(&g->s->msg_arena, 0);
	if (msg_read(g, (struct span){ 0, g->size }, push_parser, parser) ==
	    -1) {
		mime_parser_free(&parser);
		return -1;
	}
	g->root = mime_parser_finish(&parser);
	return 0;
}

/* HEADER and TEXT of the message itself need no tree. */
static int
top_section(struct msg *g, const struct imap_section *sec, struct span *span)
{
	uint64_t n;

	if (msg_open(g) == -1)
		return -1;
	if (sec->what == IMAP_SECTION_ALL) {
		*span = (struct span){ 0, g->size };
		return 1;
	}
	if (msg_header(g) == -1)
		return -1;
	n = g->header.n;
	*span = sec->what == IMAP_SECTION_TEXT ?
		    (struct span){ n, g->size - n } :
		    (struct span){ 0, n };
	return 1;
}

/* section-text of a part (RFC 9051, 6.4.5.1) */
static int
part_section(const struct mime_part *p, const struct imap_section *sec,
    struct span *span)
{
	switch (sec->what) {
	case IMAP_SECTION_ALL:
		*span = (struct span){ p->body_at, p->body_n };
		return 1;
	case IMAP_SECTION_MIME:
		*span = (struct span){ p->header_at, p->header_n };
		return 1;
	case IMAP_SECTION_HEADER:
	case IMAP_SECTION_FIELDS:
	case IMAP_SECTION_FIELDS_NOT:
	case IMAP_SECTION_TEXT:
		break;
	}
	/* these are of a message inside */
	if (!p->is_message || p->child == NULL)
		return 0;
	p = p->child;
	*span = sec->what == IMAP_SECTION_TEXT ?
		    (struct span){ p->body_at, p->body_n } :
		    (struct span){ p->header_at, p->header_n };
	return 1;
}

int
msg_section(struct msg *g, const struct imap_section *sec, struct span *span,
    const struct mime_part **part)
{
	const struct mime_part *p;
	int found;

	*part = NULL;
	if (sec->path_n == 0)
		return top_section(g, sec, span);
	if (parsed_parts(g) == -1 || msg_open(g) == -1)
		return -1;
	p = mime_part_find(g->parsed.parts, sec->path, sec->path_n);
	if (p == NULL)
		return 0;
	*part = p;
	found = part_section(p, sec, span);
	if (found == 1 && (span->at > g->size || span->n > g->size - span->at))
		return 0;
	return found;
}
