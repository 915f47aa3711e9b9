#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct str
str_from(const char *cstr)
{
	return cstr == NULL ? (struct str){ "", 0 } :
			      (struct str){ cstr, strlen(cstr) };
}

struct str
str_make(const char *p, size_t n)
{
	return (struct str){ p, n };
}

struct str
str_sub(struct str s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	if (s.p == NULL) /* NULL + 0 is undefined */
		return (struct str){ NULL, 0 };
	return (struct str){ s.p + from, n };
}

char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

bool
ascii_isdigit(char c)
{
	return c >= '0' && c <= '9';
}

bool
ascii_isalpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

bool
ascii_isalnum(char c)
{
	return ascii_isdigit(c) || ascii_isalpha(c);
}

int
ascii_hexval(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && str_cmp_nocase(a, b) == 0;
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

int
str_cmp_nocase(struct str a, struct str b)
{
	size_t i, n = a.n < b.n ? a.n : b.n;

	for (i = 0; i < n; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) -
			(unsigned char)ascii_lower(b.p[i]);
		if (d != 0)
			return d;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool
str_starts_nocase(struct str s, struct str prefix)
{
	return s.n >= prefix.n &&
	       str_eq_nocase(str_sub(s, 0, prefix.n), prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

size_t
str_find(struct str s, char c)
{
	const char *q = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return q == NULL ? s.n : (size_t)(q - s.p);
}

bool
str_has(struct str s, char c)
{
	return str_find(s, c) < s.n;
}

size_t
str_search(struct str s, struct str needle)
{
	const char *q;

	if (needle.n == 0)
		return 0;
	q = s.n == 0 ? NULL : memmem(s.p, s.n, needle.p, needle.n);
	return q == NULL ? s.n : (size_t)(q - s.p);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
str_cut(struct str *s, char c, struct str *head)
{
	size_t at = str_find(*s, c);

	*head = str_sub(*s, 0, at);
	if (at == s->n) {
		*s = str_sub(*s, s->n, 0);
		return false;
	}
	*s = str_sub(*s, at + 1, s->n);
	return true;
}

bool
str_uint(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned d;

		if (!ascii_isdigit(s.p[i]))
			return false;
		d = (unsigned)(s.p[i] - '0');
		if (v > (max - d) / 10 || d > max)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool
str_hex(struct str s, uint8_t *out, size_t n)
{
	size_t i;

	if (s.n % 2 != 0 || s.n / 2 != n)
		return false;
	for (i = 0; i < n; i++) {
		int hi = ascii_hexval(s.p[2 * i]);
		int lo = ascii_hexval(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

char *
str_dup(struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

bool
str_copy(struct str s, char *dst, size_t size)
{
	if (s.n >= size) {
		if (size > 0)
			dst[0] = '\0';
		return false;
	}
	if (s.n > 0)
		memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return true;
}

uint64_t
str_hash(struct str s, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ seed;
	size_t i;

	for (i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
	return h ^ (h >> 29);
}
