#include "base/cur.h"

#include <string.h>

void
cur_init(struct cur *c, struct str s)
{
	const char *p = s.p == NULL ? "" : s.p; /* NULL + 0 is undefined */

	*c = (struct cur){ p, p + s.n, NULL };
}

bool
cur_ok(const struct cur *c)
{
	return c->why == NULL;
}

bool
cur_fail(struct cur *c, const char *why)
{
	if (c->why == NULL)
		c->why = why;
	return false;
}

bool
cur_done(const struct cur *c)
{
	return c->why == NULL && c->p == c->end;
}

size_t
cur_left(const struct cur *c)
{
	return c->why != NULL ? 0 : (size_t)(c->end - c->p);
}

struct str
cur_rest(const struct cur *c)
{
	return (struct str){ c->p, (size_t)(c->end - c->p) };
}

bool
cur_at(const struct cur *c, char ch)
{
	return cur_left(c) > 0 && *c->p == ch;
}

bool
cur_look(const struct cur *c, struct str s)
{
	return c->why == NULL && str_starts(cur_rest(c), s);
}

bool
cur_look_nocase(const struct cur *c, struct str s)
{
	return c->why == NULL && str_starts_nocase(cur_rest(c), s);
}

int
cur_peek(const struct cur *c)
{
	return cur_left(c) == 0 ? -1 : (unsigned char)*c->p;
}

bool
cur_try(struct cur *c, char ch)
{
	if (!cur_at(c, ch))
		return false;
	c->p++;
	return true;
}

bool
cur_try_str(struct cur *c, struct str s)
{
	if (!cur_look(c, s))
		return false;
	c->p += s.n;
	return true;
}

bool
cur_try_nocase(struct cur *c, struct str s)
{
	if (!cur_look_nocase(c, s))
		return false;
	c->p += s.n;
	return true;
}

bool
cur_byte(struct cur *c, char ch)
{
	return cur_try(c, ch) || cur_fail(c, "unexpected character");
}

bool
cur_skip(struct cur *c, size_t n)
{
	if (n > cur_left(c))
		return cur_fail(c, "input ends too early");
	c->p += n;
	return true;
}

bool
cur_take(struct cur *c, size_t n, struct str *out)
{
	const char *p = c->p;

	*out = (struct str){ p, 0 };
	if (!cur_ok(c) || !cur_skip(c, n))
		return false;
	out->n = n;
	return true;
}

bool
cur_dec(struct cur *c, uint64_t max, uint64_t *out)
{
	const char *p = c->p;
	struct str digits;

	*out = 0;
	if (!cur_ok(c))
		return false;
	while (p < c->end && ascii_isdigit(*p))
		p++;
	digits = (struct str){ c->p, (size_t)(p - c->p) };
	if (digits.n == 0)
		return cur_fail(c, "number expected");
	if (!str_uint(digits, max, out))
		return cur_fail(c, "number out of range");
	c->p = p;
	return true;
}

struct str
cur_span(struct cur *c, bool (*is)(unsigned char))
{
	const char *p = c->p;

	if (cur_ok(c))
		while (c->p < c->end && is((unsigned char)*c->p))
			c->p++;
	return (struct str){ p, (size_t)(c->p - p) };
}

struct str
cur_until(struct cur *c, char ch)
{
	struct str s = { c->p, 0 };

	if (cur_ok(c)) {
		s.n = str_find(cur_rest(c), ch);
		c->p += s.n;
	}
	return s;
}

static bool
little(struct cur *c, size_t n, uint64_t *out)
{
	struct str s;

	*out = 0;
	if (!cur_take(c, n, &s))
		return false;
	while (n-- > 0)
		*out = *out << 8 | (unsigned char)s.p[n];
	return true;
}

bool
cur_u8(struct cur *c, uint8_t *out)
{
	uint64_t v;
	bool ok = little(c, 1, &v);

	*out = (uint8_t)v;
	return ok;
}

bool
cur_u16(struct cur *c, uint16_t *out)
{
	uint64_t v;
	bool ok = little(c, 2, &v);

	*out = (uint16_t)v;
	return ok;
}

bool
cur_u32(struct cur *c, uint32_t *out)
{
	uint64_t v;
	bool ok = little(c, 4, &v);

	*out = (uint32_t)v;
	return ok;
}

bool
cur_u64(struct cur *c, uint64_t *out)
{
	return little(c, 8, out);
}

bool
cur_blob(struct cur *c, struct str *out)
{
	uint32_t n;

	*out = (struct str){ "", 0 };
	return cur_u32(c, &n) && cur_take(c, n, out);
}
