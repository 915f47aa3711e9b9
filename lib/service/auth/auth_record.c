/* Records as text (doc/format-auth.md). */
#include "service/auth/auth.h"

#include <string.h>

#include "base/b64.h"
#include "base/cur.h"

#define SCRAM_KEY STR("quire_scram_sha_256=")

/* base64 up to the next "," */
static bool
take_octets(struct cur *c, void *out, size_t min, size_t max, size_t *n)
{
	struct buf b;
	bool ok;

	buf_init(&b, max);
	ok = b64_decode(&b, cur_until(c, ',')) && b.n >= min;
	if (ok) {
		memcpy(out, b.p, b.n);
		*n = b.n;
	}
	buf_release(&b);
	return ok || cur_fail(c, "bad base64");
}

/* iterations "," salt "," StoredKey "," ServerKey */
static bool
parse_scram(struct str value, struct sasl_scram *k)
{
	struct cur c;
	uint64_t iterations;
	size_t n;

	cur_init(&c, value);
	if (!cur_dec(&c, 10000000, &iterations) || iterations == 0 ||
	    !cur_byte(&c, ',') ||
	    !take_octets(&c, k->salt, 1, sizeof(k->salt), &k->n_salt) ||
	    !cur_byte(&c, ',') || !take_octets(&c, k->stored_key, 32, 32, &n) ||
	    !cur_byte(&c, ',') || !take_octets(&c, k->server_key, 32, 32, &n) ||
	    !cur_done(&c))
		return false;
	k->iterations = (uint32_t)iterations;
	return true;
}

static bool
parse_extra(struct str extra, struct auth_record *r)
{
	struct str word;
	bool more = true;

	while (more) {
		more = str_cut(&extra, ' ', &word);
		if (!str_starts(word, SCRAM_KEY))
			continue;
		r->has_scram = parse_scram(
		    str_sub(word, SCRAM_KEY.n, SIZE_MAX), &r->scram);
		if (!r->has_scram)
			return false;
	}
	return true;
}

bool
auth_record_parse(struct arena *a, struct str line, struct auth_record *r)
{
	struct str field;
	int i;

	*r = (struct auth_record){ .name = STR("") };
	if (line.n == 0 || line.n > AUTH_MAX_RECORD || line.p[0] == '#' ||
	    memchr(line.p, '\0', line.n) != NULL)
		return false;
	if (!str_cut(&line, ':', &field) || field.n == 0)
		return false;
	r->name = arena_str(a, field);
	str_cut(&line, ':', &field);
	r->is_disabled = str_starts(field, STR("!"));
	r->hash = arena_str(a, str_sub(field, r->is_disabled, SIZE_MAX));
	for (i = 0; i < 5; i++)
		str_cut(&line, ':', &field);
	return parse_extra(line, r);
}

void
auth_record_print(struct buf *b, const struct auth_record *r)
{
	const struct sasl_scram *k = &r->scram;

	buf_put(b, r->name);
	buf_puts(b, r->is_disabled ? ":!" : ":");
	buf_put(b, r->hash);
	buf_puts(b, "::::::");
	if (r->has_scram) {
		buf_put(b, SCRAM_KEY);
		buf_put_uint(b, k->iterations);
		buf_putc(b, ',');
		b64_encode(b, str_make((const char *)k->salt, k->n_salt));
		buf_putc(b, ',');
		b64_encode(b, str_make((const char *)k->stored_key, 32));
		buf_putc(b, ',');
		b64_encode(b, str_make((const char *)k->server_key, 32));
	}
	buf_putc(b, '\n');
}

bool
auth_record_find(
    struct arena *a, struct str file, struct str name, struct auth_record *r)
{
	struct str line, rest, first;

	while (file.n > 0) {
		str_cut(&file, '\n', &line);
		rest = line = str_trim(line);
		if (str_cut(&rest, ':', &first) && str_eq(first, name) &&
		    auth_record_parse(a, line, r))
			return true;
	}
	return false;
}
