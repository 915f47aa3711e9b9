/*
 * normalize - what a mailbox may be called: UTF-8 in NFC without control
 * characters (RFC 9051, 5.1), in parts between "/", and nothing that a
 * directory could not be called.
 */
#include "service/store/store_int.h"

#include <string.h>
#include <uninorm.h>

#include "base/utf8.h"

static bool
bad_char(struct str s, const char **why)
{
	size_t i;

	if (!utf8_valid(s)) {
		*why = "not UTF-8";
		return true;
	}
	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127) {
			*why = "control character";
			return true;
		}
	return false;
}

static bool
bad_part(struct str name, const char **why)
{
	struct str part;

	while (name.n > 0) {
		bool more = str_cut(&name, '/', &part);

		if (part.n == 0 || (more && name.n == 0)) {
			*why = "empty part";
			return true;
		}
		if (str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
			*why = "\".\" and \"..\" are no names";
			return true;
		}
	}
	return false;
}

bool
account_normalize(struct str in, char out[STORE_MAX_NAME + 1], const char **why)
{
	struct buf dir;
	size_t n = STORE_MAX_NAME;
	struct str name;
	bool ok;

	if (in.n > 0 && in.p[in.n - 1] == '/')
		in.n--;
	if (in.n == 0 || in.n > STORE_MAX_NAME) {
		*why = in.n == 0 ? "empty name" : "name too long";
		return false;
	}
	if (bad_char(in, why))
		return false;
	if (u8_normalize(UNINORM_NFC, (const uint8_t *)in.p, in.n,
		(uint8_t *)out, &n) != (uint8_t *)out) {
		*why = "name too long";
		return false;
	}
	out[n] = '\0';
	name = str_make(out, n);
	if (str_eq_nocase(str_sub(name, 0, str_find(name, '/')), STR("INBOX")))
		memcpy(out, "INBOX", 5);
	*why = NULL;
	if (out[0] == '#')
		*why = "a name must not begin with '#'";
	else if (out[0] == '/' || bad_part(name, why))
		*why = *why == NULL ? "empty part" : *why;
	if (*why != NULL)
		return false;
	buf_init(&dir, 2 * NAME_LEN);
	ok = folder_to_dir(name, &dir);
	buf_release(&dir);
	if (!ok)
		*why = "name too long for a directory";
	return ok;
}
