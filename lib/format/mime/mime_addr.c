/*
 * Address lists (RFC 5322, 3.4 and 4.4; UTF-8 by RFC 6532, 3.2).
 *
 * One pass, no going back: the words that come first are collected both as a
 * phrase and as a local part, and the delimiter after them decides which of
 * the two they were.
 */
#include "format/mime/mime_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct list {
	struct arena *arena;
	struct cur c;
	struct mime_addr *v; /* on the heap until the count is known */
	size_t n, cap;
	struct buf phrase, local, domain;
	struct str comment; /* the last one of this address */
	bool has_words;	    /* so that "" is one */
	bool in_group;
};

static void
add(struct list *l, const struct mime_addr *a)
{
	if (l->n == MIME_MAX_ADDRS)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 4 : l->cap * 2;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = *a;
}

/* atext and dots, and whatever else is no delimiter here */
static bool
is_word(unsigned char c)
{
	switch (c) {
	case '(':
	case ')':
	case '<':
	case '>':
	case ',':
	case ';':
	case ':':
	case '@':
	case '"':
	case 127:
		return false;
	}
	return c > ' ';
}

static struct str
keep(struct list *l, const struct buf *b)
{
	return arena_str(l->arena, buf_str(b));
}

/* phrase = 1*word / obs-phrase; obs-local-part = word *("." word) */
static void
words(struct list *l)
{
	const char *before;
	struct str s;
	size_t at;

	buf_clear(&l->phrase);
	buf_clear(&l->local);
	l->has_words = false;
	for (;;) {
		before = l->c.p;
		mime_lex_cfws(&l->c, &l->comment);
		s = cur_span(&l->c, is_word);
		if (s.n == 0 && !cur_at(&l->c, '"'))
			return;
		l->has_words = true;
		if (s.p > before && l->phrase.n > 0)
			buf_putc(&l->phrase, ' ');
		at = l->local.n;
		buf_put(&l->local, s);
		if (s.n == 0)
			mime_lex_quoted(&l->c, &l->local);
		buf_put(&l->phrase, str_sub(buf_str(&l->local), at, SIZE_MAX));
	}
}

/* domain = dot-atom / domain-literal / obs-domain  RFC 5322, 3.4.1 */
static void
domain(struct list *l)
{
	struct str s;

	buf_clear(&l->domain);
	mime_lex_cfws(&l->c, &l->comment);
	if (cur_at(&l->c, '[')) {
		for (; l->c.p < l->c.end && *l->c.p != ']'; l->c.p++)
			if (!mime_is_wsp((unsigned char)*l->c.p))
				buf_putc(&l->domain, *l->c.p);
		buf_putc(&l->domain, ']');
		cur_try(&l->c, ']');
		return;
	}
	for (;;) {
		s = cur_span(&l->c, is_word);
		buf_put(&l->domain, s);
		mime_lex_cfws(&l->c, &l->comment);
		if (s.n == 0 || (s.p[s.n - 1] != '.' && !cur_at(&l->c, '.')))
			return;
	}
}

/* obs-route = *(CFWS / ",") "@" domain *("," ["@" domain]) ":" */
static struct str
route(struct list *l)
{
	struct buf adl;
	struct str s;

	buf_init(&adl, cur_left(&l->c) + 1);
	while (cur_try(&l->c, '@')) {
		domain(l);
		if (adl.n > 0)
			buf_putc(&adl, ',');
		buf_putc(&adl, '@');
		buf_put(&adl, buf_str(&l->domain));
		while (mime_lex_cfws(&l->c, NULL), cur_try(&l->c, ','))
			;
	}
	s = keep(l, &adl);
	buf_release(&adl);
	return s;
}

static bool
is_end(unsigned char c)
{
	return c == '>' || c == ',' || c == ';';
}

/* angle-addr = "<" [obs-route] addr-spec ">", after the "<" */
static void
angle(struct list *l, struct mime_addr *a)
{
	struct str s;

	buf_clear(&l->domain);
	mime_lex_cfws(&l->c, NULL);
	if (cur_at(&l->c, '@')) {
		s = route(l);
		if (cur_try(&l->c, ':')) {
			a->adl = s;
			buf_clear(&l->domain);
		}
	}
	words(l);
	if (cur_try(&l->c, '@'))
		domain(l);
	while (l->c.p < l->c.end && !is_end((unsigned char)*l->c.p))
		l->c.p++;
	cur_try(&l->c, '>');
	a->mailbox = keep(l, &l->local);
	a->host = keep(l, &l->domain);
}

static struct str
comment_name(struct list *l)
{
	struct str s = l->comment;

	return s.p == NULL || str_trim(s).n == 0 ? (struct str){ NULL, 0 } :
						   mime_keep(l->arena, s);
}

/* address = mailbox / group  RFC 5322, 3.4 */
static void
address(struct list *l)
{
	const char *start = l->c.p;
	struct mime_addr a = { .kind = MIME_ADDR };

	l->comment = (struct str){ NULL, 0 };
	words(l);
	if (cur_try(&l->c, '<')) {
		if (l->phrase.n > 0)
			a.name = keep(l, &l->phrase);
		angle(l, &a);
	} else if (cur_try(&l->c, '@')) {
		a.mailbox = keep(l, &l->local);
		domain(l);
		a.host = keep(l, &l->domain);
		if (cur_at(&l->c, '<')) { /* me@here.example <me@...> */
			a.name = mime_keep(l->arena,
			    str_make(start, (size_t)(l->c.p - start)));
			cur_skip(&l->c, 1);
			angle(l, &a);
		}
	} else if (cur_at(&l->c, ':') && !l->in_group) {
		cur_skip(&l->c, 1);
		a.kind = MIME_GROUP_BEGIN;
		a.mailbox = keep(l, &l->phrase);
		l->in_group = true;
		add(l, &a);
		return;
	} else if (l->has_words) {
		a.mailbox = keep(l, &l->phrase);
		a.host = arena_str(l->arena, STR(""));
	} else
		return;
	mime_lex_cfws(&l->c, &l->comment);
	if (a.name.p == NULL)
		a.name = comment_name(l);
	add(l, &a);
}

/* What is left of a broken address, up to its "," or ";". */
static void
skip_junk(struct list *l)
{
	struct buf none;

	buf_init(&none, 0);
	while (
	    cur_left(&l->c) > 0 && !cur_at(&l->c, ',') && !cur_at(&l->c, ';')) {
		if (cur_at(&l->c, '"'))
			mime_lex_quoted(&l->c, &none);
		else if (cur_at(&l->c, '('))
			mime_lex_cfws(&l->c, NULL);
		else
			cur_skip(&l->c, 1);
	}
}

/* address-list = (address *("," address)) / obs-addr-list */
void
mime_addrs_parse(struct arena *arena, struct str raw, struct mime_addrs *out)
{
	struct list l = { .arena = arena };
	struct mime_addr end = { .kind = MIME_GROUP_END };
	const char *start;
	bool at_group;

	cur_init(&l.c, mime_or_empty(raw));
	buf_init(&l.phrase, raw.n + 1);
	buf_init(&l.local, raw.n + 1);
	buf_init(&l.domain, raw.n + 1);
	while (mime_lex_cfws(&l.c, NULL), cur_left(&l.c) > 0) {
		if (cur_try(&l.c, ','))
			continue;
		if (cur_try(&l.c, ';')) {
			if (l.in_group)
				add(&l, &end);
			l.in_group = false;
			continue;
		}
		at_group = l.in_group;
		start = l.c.p;
		address(&l);
		if (l.c.p == start)
			cur_skip(&l.c, 1);
		else if (at_group == l.in_group)
			skip_junk(&l);
	}
	if (l.in_group)
		add(&l, &end);
	out->n = l.n;
	out->v = NULL;
	if (l.n > 0) {
		out->v = arena_alloc(arena, l.n * sizeof(*l.v));
		memcpy(out->v, l.v, l.n * sizeof(*l.v));
	}
	free(l.v);
	buf_release(&l.phrase);
	buf_release(&l.local);
	buf_release(&l.domain);
}

/* Written as it is if every octet is, else as a quoted-string. */
static void
put_quoted(struct buf *b, struct str s, const char *also, bool may_space)
{
	size_t i;
	bool plain = s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.';

	for (i = 0; i < s.n && plain; i++) {
		char c = s.p[i];

		plain =
		    ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
		    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
		    (c != '\0' && strchr(also, c) != NULL);
		if (c == ' ')
			plain = may_space && i > 0 && i + 1 < s.n &&
				s.p[i - 1] != ' ';
		if (c == '.' && i > 0 && s.p[i - 1] == '.')
			plain = false;
	}
	if (plain) {
		buf_put(b, s);
		return;
	}
	buf_putc(b, '"');
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(b, '\\');
		buf_putc(b, s.p[i]);
	}
	buf_putc(b, '"');
}

static void
put_addr(struct buf *b, const struct mime_addr *a)
{
	bool angle = a->name.p != NULL || a->adl.p != NULL;

	if (a->name.p != NULL) {
		put_quoted(b, a->name, "", true);
		buf_putc(b, ' ');
	}
	if (angle)
		buf_putc(b, '<');
	if (a->adl.p != NULL) {
		buf_put(b, a->adl);
		buf_putc(b, ':');
	}
	put_quoted(b, a->mailbox, ".", false);
	if (a->host.n > 0) {
		buf_putc(b, '@');
		buf_put(b, a->host);
	}
	if (angle)
		buf_putc(b, '>');
}

void
mime_addrs_print(struct buf *b, const struct mime_addrs *l)
{
	bool first = true;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct mime_addr *a = &l->v[i];

		if (a->kind == MIME_GROUP_END) {
			buf_putc(b, ';');
			first = false;
			continue;
		}
		if (!first)
			buf_puts(b, ", ");
		first = a->kind == MIME_GROUP_BEGIN;
		if (first) {
			put_quoted(b, a->mailbox, "", true);
			buf_puts(b, ": ");
		} else
			put_addr(b, a);
	}
}
