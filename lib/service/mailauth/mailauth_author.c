/* Who wrote it: From, as far as it names one. */
#include "format/mime/mime.h"
#include "service/mailauth/mailauth_int.h"

/* More of an address is nobody's: RFC 5321, 4.5.3.1, allows 320 octets. */
#define MAX_ADDRESS 1024

/* The value of the only From field. */
static bool
from_field(struct str header, struct str *value)
{
	struct mime_field f;
	unsigned n = 0;

	while (mime_field_next(&header, &f))
		if (str_eq_nocase(str_trim(f.name), STR("From"))) {
			*value = f.value;
			n++;
		}
	return n == 1;
}

struct str
mailauth_author(struct arena *a, struct str header)
{
	struct addr addr = { .kind = ADDR_NAME };
	struct mime_addrs from;
	struct str value, text = STR("");
	struct buf b;

	if (!from_field(header, &value))
		return text;
	mime_addrs_parse(a, value, &from);
	if (from.n != 1 || from.v[0].kind != MIME_ADDR ||
	    from.v[0].mailbox.n == 0 || from.v[0].host.n == 0)
		return text;
	addr.local = from.v[0].mailbox;
	addr.domain = from.v[0].host;
	if (addr.domain.p[0] == '[')
		addr.kind = ADDR_IPV4; /* or any literal: taken as it is */
	/* whether case counts only its own server knows: here it does not */
	if (!addr_normalize(a, &addr, true, &addr))
		return text;
	buf_init(&b, MAX_ADDRESS);
	addr_print(&b, &addr);
	if (!b.full)
		text = arena_str(a, buf_str(&b));
	buf_release(&b);
	return text;
}
