#include "format/imap/print.h"

#include <string.h>

#include "base/date.h"
#include "base/utf8.h"
#include "format/imap/chars.h"
#include "format/imap/utf7.h"

/* Longer strings go as literals: some clients bound a line. */
#define MAX_QUOTED 1000

static bool
can_quote(struct str s, bool is_utf8)
{
	bool ascii = true;
	size_t i;

	if (s.n > MAX_QUOTED)
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x80)
			ascii = false;
		else if (!imap_is_quotable(c) && c != '"' && c != '\\')
			return false;
	}
	return ascii || (is_utf8 && utf8_valid(s));
}

static void
put_quoted(struct buf *b, struct str s)
{
	size_t i, from = 0;

	buf_putc(b, '"');
	for (i = 0; i < s.n; i++)
		if (s.p[i] == '"' || s.p[i] == '\\') {
			buf_put(b, str_sub(s, from, i - from));
			buf_putc(b, '\\');
			from = i;
		}
	buf_put(b, str_sub(s, from, s.n));
	buf_putc(b, '"');
}

static void
put_literal(struct buf *b, struct str s)
{
	const char *nul;

	buf_putc(b, '{');
	buf_put_uint(b, s.n);
	buf_puts(b, "}\r\n");
	while ((nul = memchr(s.p, '\0', s.n)) != NULL) {
		size_t n = (size_t)(nul - s.p);

		buf_put(b, str_sub(s, 0, n));
		buf_putc(b, ' ');
		s = str_sub(s, n + 1, s.n);
	}
	buf_put(b, s);
}

void
imap_print_string(struct buf *b, struct str s, bool is_utf8)
{
	if (can_quote(s, is_utf8))
		put_quoted(b, s);
	else
		put_literal(b, s);
}

void
imap_print_nstring(struct buf *b, struct str s, bool is_utf8)
{
	if (s.p == NULL)
		buf_put(b, STR("NIL"));
	else
		imap_print_string(b, s, is_utf8);
}

void
imap_print_astring(struct buf *b, struct str s, bool is_utf8)
{
	size_t i;

	for (i = 0; i < s.n && imap_is_astring((unsigned char)s.p[i]); i++)
		;
	if (s.n > 0 && i == s.n && !str_eq_nocase(s, STR("NIL")))
		buf_put(b, s);
	else
		imap_print_string(b, s, is_utf8);
}

void
imap_print_mailbox(struct buf *b, struct str name, bool is_utf8)
{
	struct buf enc;

	if (is_utf8 || (utf8_is_ascii(name) && !str_has(name, '&'))) {
		imap_print_astring(b, name, is_utf8);
		return;
	}
	buf_init(&enc, name.n * 8 + 16);
	imap_utf7_encode(&enc, name);
	imap_print_astring(b, buf_str(&enc), false);
	buf_release(&enc);
}

void
imap_print_text(struct buf *b, struct str s, bool is_utf8)
{
	bool as_is = is_utf8 && utf8_valid(s);
	size_t i;

	for (i = 0; i < s.n && i < IMAP_MAX_TEXT_OUT; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			buf_putc(b, ' ');
		else if (c >= 0x80 && !as_is)
			buf_putc(b, '?');
		else
			buf_putc(b, (char)c);
	}
	/* not in the middle of a character */
	while (as_is && i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80)
		buf_putc(b, s.p[i++]);
}

void
imap_print_system_flags(struct buf *b, unsigned flags)
{
	static const char *const names[] = { "\\Seen", "\\Answered",
		"\\Flagged", "\\Deleted", "\\Draft" };
	bool is_first = true;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(flags >> i & 1))
			continue;
		if (!is_first)
			buf_putc(b, ' ');
		is_first = false;
		buf_puts(b, names[i]);
	}
}

static void
put_section_spec(struct buf *b, const struct imap_section *s, bool is_utf8)
{
	static const char *const names[] = { "", "HEADER", "HEADER.FIELDS (",
		"HEADER.FIELDS.NOT (", "TEXT", "MIME" };
	size_t i;

	for (i = 0; i < s->path_n; i++) {
		if (i > 0)
			buf_putc(b, '.');
		buf_put_uint(b, s->path[i]);
	}
	if (s->what == IMAP_SECTION_ALL)
		return;
	if (s->path_n > 0)
		buf_putc(b, '.');
	buf_puts(b, names[s->what]);
	for (i = 0; i < s->fields.n; i++) {
		if (i > 0)
			buf_putc(b, ' ');
		imap_print_astring(b, s->fields.v[i], is_utf8);
	}
	if (s->fields.n > 0)
		buf_putc(b, ')');
}

void
imap_print_section(
    struct buf *b, const struct imap_fetch_item *item, bool is_utf8)
{
	if (item->name.n > 0) {
		buf_put(b, item->name);
		return;
	}
	buf_puts(b, item->kind == IMAP_FETCH_BINARY	 ? "BINARY[" :
		    item->kind == IMAP_FETCH_BINARY_SIZE ? "BINARY.SIZE[" :
							   "BODY[");
	put_section_spec(b, &item->section, is_utf8);
	buf_putc(b, ']');
	if (item->has_partial) {
		buf_putc(b, '<');
		buf_put_uint(b, item->offset);
		buf_putc(b, '>');
	}
}

void
imap_print_objectid(struct buf *b, char prefix, const uint8_t id[16])
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	buf_putc(b, prefix);
	for (i = 0; i < 16; i++) {
		buf_putc(b, hex[id[i] >> 4]);
		buf_putc(b, hex[id[i] & 15]);
	}
}

void
imap_print_date_time(struct buf *b, int64_t seconds, int zone_min)
{
	buf_putc(b, '"');
	date_print_imap(b, seconds, zone_min);
	buf_putc(b, '"');
}
