/*
 * names - names of message files in a Maildir.
 *
 * 1. What identifies a message is the unique part, up to the first ',' or
 *    ':': mbsync inserts ",U=7" behind it and others change ":2,S".
 * 2. A name we make never repeats: time, process, counter and 64 random bits.
 *    Its shape (".M<usec>P<pid>Q<n>R<16 hex>") tells a scan that somebody is
 *    about to register the file.
 */
#include "service/store/store_int.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "system/fs/fs.h"

static const char letters[] = "DFPRST";

static int
letter_bit(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		return 6 + (c - 'a');
	at = c == '\0' ? NULL : strchr(letters, c);
	return at == NULL ? -1 : (int)(at - letters);
}

static void
parse_info(struct str info, struct name *n)
{
	size_t i, x = 0;

	for (i = 0; i < info.n; i++) {
		int bit = letter_bit(info.p[i]);

		if (bit >= 0)
			n->fn |= 1u << bit;
		else if (x < sizeof(n->extra_buf) - 1 &&
			 memchr(n->extra_buf, info.p[i], x) == NULL)
			n->extra_buf[x++] = info.p[i];
	}
	n->extra = str_make(n->extra_buf, x);
}

/* The run of digits (or hex digits) at the start of *s. */
static struct str
digits(struct str *s, bool hex)
{
	struct str all = *s;
	size_t i = 0;

	while (i < all.n &&
	       (hex ? ascii_hexval(all.p[i]) >= 0 : ascii_isdigit(all.p[i])))
		i++;
	*s = str_sub(all, i, all.n);
	return str_sub(all, 0, i);
}

static bool
part(struct str *s, char key, bool hex, struct str *value)
{
	if (s->n == 0 || s->p[0] != key)
		return false;
	*s = str_sub(*s, 1, s->n);
	*value = digits(s, hex);
	return value->n > 0;
}

/* <sec>.M<usec>P<pid>Q<ctr>R<16 hex>[C].<host> */
static void
parse_unique(struct str s, struct name *n)
{
	struct str v;
	uint64_t num;

	n->usec = -1;
	v = digits(&s, false);
	if (!str_uint(v, INT64_MAX, &num))
		return;
	n->seconds = (int64_t)num;
	if (s.n == 0 || s.p[0] != '.')
		return;
	s = str_sub(s, 1, s.n);
	if (!part(&s, 'M', false, &v) || !str_uint(v, INT32_MAX, &num))
		return;
	n->usec = (int64_t)num;
	if (!part(&s, 'P', false, &v) || !part(&s, 'Q', false, &v) ||
	    !part(&s, 'R', true, &v) || v.n < 16)
		return;
	if (s.n > 0 && s.p[0] == 'C') {
		n->is_copy = true;
		s = str_sub(s, 1, s.n);
	} else if (v.n == 17 && v.p[16] == 'C')
		n->is_copy = true; /* 'C' is a hex digit too */
	n->is_ours = s.n > 0 && s.p[0] == '.';
}

static void
parse_field(struct str field, struct name *n)
{
	if (str_starts(field, STR("S=")))
		str_uint(str_sub(field, 2, field.n), INT64_MAX, &n->size);
	else if (str_starts(field, STR("W=")))
		str_uint(str_sub(field, 2, field.n), INT64_MAX, &n->wsize);
}

bool
name_parse(struct str file, struct name *n)
{
	size_t colon, i;
	struct str rest, field;

	memset(n, 0, sizeof(*n));
	n->extra = STR("");
	if (file.n == 0 || file.n > NAME_LEN || file.p[0] == '.')
		return false;
	for (i = 0; i < file.n; i++)
		if ((unsigned char)file.p[i] < ' ' || file.p[i] == '/')
			return false;
	colon = str_search(file, STR(":2,"));
	n->base = str_sub(file, 0, colon);
	if (n->base.n == 0)
		return false;
	if (colon < file.n) {
		n->has_info = true;
		parse_info(str_sub(file, colon + 3, file.n), n);
	}
	rest = n->base;
	n->unique = rest;
	n->unique.n = str_find(rest, ',');
	if (str_find(rest, ':') < n->unique.n)
		n->unique.n = str_find(rest, ':');
	if (n->unique.n == 0)
		n->unique = n->base;
	parse_unique(n->unique, n);
	rest = str_sub(rest, n->unique.n, rest.n);
	while (rest.n > 0) {
		str_cut(&rest, ',', &field);
		parse_field(field, n);
	}
	return true;
}

uint64_t
name_hash(struct str s)
{
	uint64_t h = s.n * 0x9e3779b97f4a7c15ULL, w;

	while (s.n > 0) {
		size_t n = s.n < 8 ? s.n : 8;

		w = 0;
		memcpy(&w, s.p, n);
		h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
		s.p += n;
		s.n -= n;
	}
	return (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
}

void
name_hashes(struct str base, uint64_t *uhash, uint32_t *bhash)
{
	size_t n = str_find(base, ',');

	if (str_find(base, ':') < n)
		n = str_find(base, ':');
	*uhash = name_hash(str_sub(base, 0, n == 0 ? base.n : n));
	*bhash = crc32c(0, base.p, base.n);
}

int
name_cmp(const struct name *a, const struct name *b)
{
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	if (a->usec != b->usec)
		return a->usec < b->usec ? -1 : 1;
	return str_cmp(a->base, b->base);
}

void
name_make(char out[NAME_LEN + 1], const char *hostname, bool is_copy)
{
	static unsigned counter;
	int64_t us = date_now_us();
	uint64_t rnd;
	char host[65];
	size_t i;

	fs_random(&rnd, sizeof(rnd));
	for (i = 0; i < 64 && hostname[i] != '\0'; i++)
		host[i] = ascii_isalnum(hostname[i]) || hostname[i] == '-' ||
				  hostname[i] == '.' ?
			      hostname[i] :
			      '_';
	host[i] = '\0';
	snprintf(out, NAME_LEN + 1, "%lld.M%lldP%ldQ%uR%016llx%s.%s",
	    (long long)(us / 1000000), (long long)(us % 1000000),
	    (long)getpid(), ++counter, (unsigned long long)rnd,
	    is_copy ? "C" : "", host);
}

void
name_add_sizes(char name[NAME_LEN + 1], uint64_t size, uint64_t wsize)
{
	size_t n = strlen(name);

	if (size != 0)
		snprintf(name + n, NAME_LEN + 1 - n, ",S=%llu",
		    (unsigned long long)size);
	n += strlen(name + n);
	if (wsize != 0)
		snprintf(name + n, NAME_LEN + 1 - n, ",W=%llu",
		    (unsigned long long)wsize);
}

bool
name_with_info(
    char out[NAME_LEN + 1], struct str base, uint32_t fn, struct str extra)
{
	char set[64];
	size_t n = 0;
	int c, bit;

	/* all letters in ASCII order, as the Maildir format asks */
	for (c = '!'; c < 127 && n < sizeof(set) - 1; c++) {
		bit = letter_bit((char)c);
		if (bit >= 0 ? (fn >> bit & 1) != 0 :
			       memchr(extra.p, c, extra.n) != NULL)
			set[n++] = (char)c;
	}
	if (base.n + 3 + n > NAME_LEN)
		return false;
	memcpy(out, base.p, base.n);
	memcpy(out + base.n, ":2,", 3);
	memcpy(out + base.n + 3, set, n);
	out[base.n + 3 + n] = '\0';
	return true;
}

void
emailid_of(struct str unique, uint8_t out[16])
{
	uint8_t full[32];

	sha256(unique, full);
	memcpy(out, full, 16);
}
