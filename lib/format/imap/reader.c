#include "format/imap/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "format/imap/chars.h"

/*
 *           +--------------- line end: COMMAND ---------------+
 *           v                                                 |
 *   READ_LINE --"{n}"--> READ_LITERAL --n octets--> READ_LINE-+
 *       |  \--"{n}" of a message--> READ_ASK --accept--> READ_DATA --+
 *       |                              |refuse                       |
 *       | too much                     v                 READ_LINE <-+
 *       +----------------------> READ_SKIP <-> READ_SKIP_LITERAL
 */
enum state {
	READ_LINE,
	READ_LITERAL,
	READ_ASK,
	READ_DATA,
	READ_SKIP,
	READ_SKIP_LITERAL,
	READ_DEAD, /* is_fatal was said */
};

/* All lines of a command together; a line may be one of many pieces. */
#define MAX_LINES (4 * IMAP_MAX_LINE)
/* Enough of a skipped line to see a literal's head at its end. */
#define TAIL 40

struct imap_reader {
	struct imap_reader_opts opts;
	enum state state;
	struct str in;	  /* lent by the caller */
	struct buf text;  /* the command so far */
	size_t line;	  /* where the current line begins in text */
	size_t lines_n;	  /* octets of text that came in lines */
	size_t literals;  /* how many */
	size_t literal_n; /* octets of text that came in literals */
	uint64_t left;	  /* octets of the literal still to come */
	struct imap_literal ask;
	uint64_t skipped;
	const char *skip_why; /* NULL: the caller has answered */
	char tag[IMAP_MAX_TAG];
	size_t tag_n;
	bool is_done;	   /* text was handed out: begin anew */
	bool is_part;	   /* inside an APPEND, after a message */
	bool is_line_mode; /* imap_reader_want_line() */
	bool saw_tag;
};

struct imap_reader *
imap_reader_new(const struct imap_reader_opts *opts)
{
	struct imap_reader *r = xcalloc(1, sizeof(*r));

	r->opts = *opts;
	buf_init(&r->text, IMAP_MAX_TEXT + 2 * MAX_LINES);
	return r;
}

void
imap_reader_free(struct imap_reader **rp)
{
	if (*rp == NULL)
		return;
	buf_release(&(*rp)->text);
	free(*rp);
	*rp = NULL;
}

void
imap_reader_push(struct imap_reader *r, struct str in)
{
	assert(r->in.n == 0);
	r->in = in;
}

struct str
imap_reader_tag(const struct imap_reader *r)
{
	return str_make(r->tag, r->tag_n);
}

struct str
imap_reader_rest(const struct imap_reader *r)
{
	return r->in;
}

bool
imap_reader_is_idle(const struct imap_reader *r)
{
	return r->state == READ_LINE && !r->is_line_mode && !r->is_part &&
	       (r->is_done || r->text.n == 0);
}

void
imap_reader_shrink(struct imap_reader *r)
{
	if (!imap_reader_is_idle(r))
		return;
	buf_clear(&r->text);
	buf_shrink(&r->text);
}

/* literal = "{" number64 ["+"] "}" ; literal8 = "~" literal  RFC 9051, 9 */
bool
imap_literal_at_end(struct str line, struct imap_literal *out)
{
	size_t i = line.n, end;

	*out = (struct imap_literal){ .is_sync = true };
	if (i == 0 || line.p[--i] != '}')
		return false;
	if (i > 0 && line.p[i - 1] == '+') {
		out->is_sync = false;
		i--;
	}
	end = i;
	while (i > 0 && ascii_isdigit(line.p[i - 1]))
		i--;
	if (i == end || i == 0 || line.p[i - 1] != '{')
		return false;
	out->overflow =
	    !str_uint(str_sub(line, i, end - i), INT64_MAX, &out->size);
	out->at = i - 1;
	if (out->at > 0 && line.p[out->at - 1] == '~') {
		out->is_literal8 = true;
		out->at--;
	}
	return true;
}

/* tag = 1*<any ASTRING-CHAR except "+">  RFC 9051, 9 */
static void
note_tag(struct imap_reader *r)
{
	size_t i;

	if (r->saw_tag)
		return;
	r->saw_tag = true;
	r->tag_n = 0;
	for (i = 0; i < r->text.n && imap_is_tag((unsigned char)r->text.p[i]);
	     i++)
		;
	if (i > 0 && i <= IMAP_MAX_TAG &&
	    (i == r->text.n || r->text.p[i] == ' ')) {
		memcpy(r->tag, r->text.p, i);
		r->tag_n = i;
	}
}

static void
begin_anew(struct imap_reader *r)
{
	buf_clear(&r->text);
	r->line = r->lines_n = r->literals = r->literal_n = 0;
	r->skipped = 0;
	r->is_done = false;
	if (!r->is_part)
		r->saw_tag = false;
	r->state = READ_LINE;
}

/* The command is over; its text stays readable until the next call. */
static enum imap_event_kind
finish(struct imap_reader *r, struct imap_event *e, enum imap_event_kind kind)
{
	r->is_done = true;
	r->is_part = false;
	r->state = READ_LINE;
	return e->kind = kind;
}

static enum imap_event_kind
bad(struct imap_reader *r, struct imap_event *e, const char *why, bool is_fatal)
{
	note_tag(r);
	e->why = why;
	e->is_toobig = true;
	e->is_fatal = is_fatal;
	finish(r, e, IMAP_BAD);
	if (is_fatal)
		r->state = READ_DEAD;
	return IMAP_BAD;
}

static void
skip_begin(struct imap_reader *r, const char *why)
{
	note_tag(r);
	r->skip_why = why;
	r->skipped = r->text.n - r->line;
	r->state = READ_SKIP;
}

/* The offset of the mailbox name of an APPEND or REPLACE; SIZE_MAX if the
 * command is another one. */
static size_t
mailbox_at(struct str text)
{
	struct str rest = text, word;

	if (!str_cut(&rest, ' ', &word) || !str_cut(&rest, ' ', &word))
		return SIZE_MAX;
	if (str_eq_nocase(word, STR("APPEND")))
		return text.n - rest.n;
	if (str_eq_nocase(word, STR("UID")) && !str_cut(&rest, ' ', &word))
		return SIZE_MAX;
	/* RFC 8508: a message number stands before the mailbox */
	if (!str_eq_nocase(word, STR("REPLACE")) || !str_cut(&rest, ' ', &word))
		return SIZE_MAX;
	return text.n - rest.n;
}

/* Does this literal carry a message of an APPEND? See reader.h. */
static bool
is_message(const struct imap_reader *r, const struct imap_literal *lit)
{
	size_t at;

	if (!r->opts.has_append)
		return false;
	if (r->is_part)
		return true;
	at = mailbox_at(buf_str(&r->text));
	return at != SIZE_MAX && r->line + lit->at > at;
}

/* A line that ends in a literal's head is complete. */
static enum imap_event_kind
on_literal(
    struct imap_reader *r, struct imap_event *e, const struct imap_literal *lit)
{
	if (is_message(r, lit)) {
		if (lit->overflow)
			return bad(r, e, "literal too large", !lit->is_sync);
		r->ask = *lit;
		r->state = READ_ASK;
		e->text = buf_str(&r->text);
		e->size = lit->size;
		e->is_first = !r->is_part;
		e->is_sync = lit->is_sync;
		e->is_literal8 = lit->is_literal8;
		return e->kind = IMAP_APPEND;
	}
	if (lit->overflow || lit->size > IMAP_MAX_LITERAL)
		return bad(r, e, "literal too large", !lit->is_sync);
	if (r->literals == IMAP_MAX_LITERALS)
		return bad(r, e, "too many literals", !lit->is_sync);
	if (lit->size > IMAP_MAX_TEXT - r->literal_n)
		return bad(r, e, "command too large", !lit->is_sync);
	r->literals++;
	r->literal_n += lit->size;
	r->left = lit->size;
	r->state = READ_LITERAL;
	buf_put(&r->text, STR("\r\n"));
	return lit->is_sync ? (e->kind = IMAP_CONTINUE) : IMAP_NEED_MORE;
}

/*
 * Take a line's bytes from the input into text, without the line end. True
 * when the line is complete; on overflow the state is READ_SKIP.
 */
static bool
take_line(struct imap_reader *r)
{
	const char *lf = memchr(r->in.p, '\n', r->in.n);
	size_t n = lf == NULL ? r->in.n : (size_t)(lf - r->in.p);

	if (n > IMAP_MAX_LINE + 1 - (r->text.n - r->line) ||
	    n > MAX_LINES - r->lines_n) {
		/* keep enough to know the tag */
		size_t keep = IMAP_MAX_LINE + 1 - (r->text.n - r->line);

		keep = n < keep ? n : keep;
		buf_put(&r->text, str_sub(r->in, 0, keep));
		r->in = str_sub(r->in, keep, r->in.n);
		skip_begin(r, "line too long");
		return false;
	}
	buf_put(&r->text, str_make(r->in.p, n));
	r->lines_n += n;
	r->in = str_sub(r->in, lf == NULL ? n : n + 1, r->in.n);
	if (lf == NULL)
		return false;
	if (r->text.n > r->line && r->text.p[r->text.n - 1] == '\r')
		buf_truncate(&r->text, r->text.n - 1);
	return true;
}

static enum imap_event_kind
read_line(struct imap_reader *r, struct imap_event *e)
{
	struct imap_literal lit;
	struct str line;

	if (!take_line(r))
		return IMAP_NEED_MORE;
	line = str_sub(buf_str(&r->text), r->line, r->text.n);
	e->text = buf_str(&r->text);
	if (r->is_line_mode) {
		r->is_line_mode = false;
		return finish(r, e, IMAP_LINE);
	}
	note_tag(r);
	if (imap_literal_at_end(line, &lit))
		return on_literal(r, e, &lit);
	if (r->is_part)
		return finish(r, e, IMAP_APPEND_END);
	if (str_trim(e->text).n == 0) {
		begin_anew(r);
		return IMAP_NEED_MORE;
	}
	return finish(r, e, IMAP_COMMAND);
}

static void
read_literal(struct imap_reader *r)
{
	size_t n = r->in.n < r->left ? r->in.n : (size_t)r->left;

	buf_put(&r->text, str_make(r->in.p, n));
	r->in = str_sub(r->in, n, r->in.n);
	r->left -= n;
	if (r->left == 0) {
		r->line = r->text.n;
		r->state = READ_LINE;
	}
}

static enum imap_event_kind
read_data(struct imap_reader *r, struct imap_event *e)
{
	size_t n = r->in.n < r->left ? r->in.n : (size_t)r->left;

	if (r->left == 0) {
		r->is_part = true;
		begin_anew(r);
		return e->kind = IMAP_DATA_END;
	}
	if (n == 0)
		return IMAP_NEED_MORE;
	e->text = str_make(r->in.p, n);
	r->in = str_sub(r->in, n, r->in.n);
	r->left -= n;
	return e->kind = IMAP_DATA;
}

/* The end of a skipped line: over, or a literal to be skipped too. */
static enum imap_event_kind
skip_end(struct imap_reader *r, struct imap_event *e)
{
	struct str line = buf_str(&r->text);
	struct imap_literal lit;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (imap_literal_at_end(line, &lit) && !lit.is_sync) {
		if (r->skip_why != NULL || lit.overflow)
			return bad(r, e, "command too large", true);
		r->left = lit.size;
		r->state = READ_SKIP_LITERAL;
		return IMAP_NEED_MORE;
	}
	r->is_line_mode = false;
	if (r->skip_why != NULL)
		return bad(r, e, r->skip_why, false);
	r->is_part = false;
	begin_anew(r);
	return IMAP_NEED_MORE;
}

static enum imap_event_kind
read_skip(struct imap_reader *r, struct imap_event *e)
{
	const char *lf = memchr(r->in.p, '\n', r->in.n);
	size_t n = lf == NULL ? r->in.n : (size_t)(lf - r->in.p);
	struct str piece = str_make(r->in.p, n);

	if (n > IMAP_MAX_SKIP - r->skipped)
		return bad(r, e, "line too long", true);
	r->skipped += n;
	r->in = str_sub(r->in, lf == NULL ? n : n + 1, r->in.n);
	if (piece.n > TAIL)
		piece = str_sub(piece, piece.n - TAIL, TAIL);
	if (r->text.n > TAIL)
		buf_consume(&r->text, r->text.n - TAIL);
	buf_put(&r->text, piece);
	return lf == NULL ? IMAP_NEED_MORE : skip_end(r, e);
}

static void
read_skip_literal(struct imap_reader *r)
{
	size_t n = r->in.n < r->left ? r->in.n : (size_t)r->left;

	r->in = str_sub(r->in, n, r->in.n);
	r->left -= n;
	if (r->left == 0) {
		buf_clear(&r->text);
		r->skipped = 0;
		r->state = READ_SKIP;
	}
}

/* One step of the machine; IMAP_NEED_MORE: no event came of it. */
static enum imap_event_kind
step(struct imap_reader *r, struct imap_event *e)
{
	switch (r->state) {
	case READ_LINE:
		return read_line(r, e);
	case READ_LITERAL:
		read_literal(r);
		break;
	case READ_DATA:
		return read_data(r, e);
	case READ_SKIP:
		return read_skip(r, e);
	case READ_SKIP_LITERAL:
		read_skip_literal(r);
		break;
	case READ_ASK:
	case READ_DEAD:
		break;
	}
	return IMAP_NEED_MORE;
}

enum imap_event_kind
imap_reader_next(struct imap_reader *r, struct imap_event *e)
{
	assert(r->state != READ_ASK);
	*e = (struct imap_event){ .kind = IMAP_NEED_MORE };
	if (r->state == READ_DEAD) {
		r->in.n = 0;
		return IMAP_NEED_MORE;
	}
	if (r->is_done)
		begin_anew(r);
	/* a literal without octets and the end of data need no input */
	while (r->in.n > 0 || r->state == READ_DATA ||
	       ((r->state == READ_LITERAL || r->state == READ_SKIP_LITERAL) &&
		   r->left == 0)) {
		if (step(r, e) != IMAP_NEED_MORE)
			return e->kind;
		if (r->state == READ_DATA && r->left > 0 && r->in.n == 0)
			break;
	}
	return IMAP_NEED_MORE;
}

void
imap_reader_want_line(struct imap_reader *r)
{
	assert(r->state == READ_LINE);
	r->is_line_mode = true;
	/* the tag stays that of the command */
	if (r->is_done)
		begin_anew(r);
	r->saw_tag = true;
}

void
imap_reader_accept(struct imap_reader *r)
{
	assert(r->state == READ_ASK);
	r->left = r->ask.size;
	r->state = READ_DATA;
}

void
imap_reader_refuse(struct imap_reader *r)
{
	assert(r->state == READ_ASK);
	r->skip_why = NULL;
	buf_clear(&r->text);
	if (r->ask.is_sync) {
		/* the client sends nothing more of this command */
		r->is_part = false;
		begin_anew(r);
		return;
	}
	r->left = r->ask.size;
	r->state = READ_SKIP_LITERAL;
}
