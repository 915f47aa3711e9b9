#include "format/dnsmsg/dnsmsg.h"

#include "base/cur.h"

/* "\" DDD / "\" any / any: one octet of a label (RFC 1035, 5.1) */
static bool
octet(struct cur *c, unsigned *out)
{
	struct str s;
	unsigned v = 0;
	int i;

	if (!cur_try(c, '\\')) {
		if (!cur_take(c, 1, &s))
			return false;
		*out = (unsigned char)s.p[0];
		return true;
	}
	if (cur_left(c) == 0 || !ascii_isdigit(*c->p)) {
		if (!cur_take(c, 1, &s))
			return false;
		*out = (unsigned char)s.p[0];
		return true;
	}
	if (!cur_take(c, 3, &s))
		return false;
	for (i = 0, v = 0; i < 3; i++) {
		if (!ascii_isdigit(s.p[i]))
			return cur_fail(c, "bad escape in name");
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*out = v;
	return v <= 255 || cur_fail(c, "bad escape in name");
}

/* Wire form into w, its length in *n. */
static bool
encode(struct str name, unsigned char w[DNS_MAX_NAME], size_t *n)
{
	size_t at = 0, len = 0; /* of the label's length octet */
	struct cur c;
	unsigned v = 0;

	*n = 1;
	cur_init(&c, name);
	if (str_eq(name, STR("."))) {
		w[0] = 0;
		return true;
	}
	while (!cur_done(&c)) {
		if (cur_try(&c, '.')) {
			if (len == 0)
				return false; /* an empty label */
			w[at] = (unsigned char)len;
			at = *n;
			if (++*n > DNS_MAX_NAME)
				return false;
			len = 0;
			continue;
		}
		if (!octet(&c, &v) || ++len > DNS_MAX_LABEL ||
		    *n >= DNS_MAX_NAME)
			return false;
		w[(*n)++] = (unsigned char)v;
	}
	if (at == 0 && len == 0)
		return false; /* nothing at all */
	w[at] = (unsigned char)len;
	if (len > 0) { /* no dot at the end */
		if (*n >= DNS_MAX_NAME)
			return false;
		w[(*n)++] = 0;
	}
	return true;
}

bool
dns_name_to_wire(struct buf *b, struct str name)
{
	unsigned char w[DNS_MAX_NAME];
	size_t n;

	if (!encode(name, w, &n))
		return false;
	buf_put(b, str_make((const char *)w, n));
	return true;
}

bool
dns_name_valid(struct str name)
{
	unsigned char w[DNS_MAX_NAME];
	size_t n;

	return encode(name, w, &n);
}

/* Without its last dot; "a\." ends in none. */
static struct str
undotted(struct str name)
{
	size_t i, slashes = 0;

	if (name.n < 2 || name.p[name.n - 1] != '.')
		return name;
	for (i = name.n - 1; i > 0 && name.p[i - 1] == '\\'; i--)
		slashes++;
	return slashes % 2 == 0 ? str_sub(name, 0, name.n - 1) : name;
}

bool
dns_name_eq(struct str a, struct str b)
{
	unsigned char wa[DNS_MAX_NAME], wb[DNS_MAX_NAME];
	size_t na, nb;

	a = undotted(a);
	b = undotted(b);
	if (str_eq_nocase(a, b))
		return true;
	/* only escapes can write one name in two ways: "a b", "a\032b" */
	if (!str_has(a, '\\') && !str_has(b, '\\'))
		return false;
	return encode(a, wa, &na) && encode(b, wb, &nb) &&
	       str_eq_nocase(str_make((const char *)wa, na),
		   str_make((const char *)wb, nb));
}

/* What follows the first label and its dot; "" if nothing does. */
static struct str
behind_label(struct str name)
{
	struct cur c;
	unsigned v;

	cur_init(&c, name);
	while (cur_left(&c) > 0 && !cur_at(&c, '.'))
		if (!octet(&c, &v))
			return STR("");
	(void)cur_try(&c, '.');
	return cur_rest(&c);
}

unsigned
dns_name_labels(struct str name)
{
	unsigned n = 0;

	for (name = undotted(name); name.n > 0 && !str_eq(name, STR("."));
	     name = behind_label(name))
		n++;
	return n;
}

struct str
dns_name_last(struct str name, unsigned n)
{
	unsigned i = dns_name_labels(name);

	for (; i > n; i--)
		name = behind_label(name);
	return name;
}

bool
dns_name_within(struct str name, struct str parent)
{
	unsigned n = dns_name_labels(parent);

	return n == 0 ? str_eq(parent, STR(".")) :
			dns_name_eq(dns_name_last(name, n), parent);
}

struct str
dns_name_reverse(struct arena *a, const uint8_t *ip, bool is_ipv6)
{
	static const char hex[] = "0123456789abcdef";
	struct str s;
	struct buf b;
	int i;

	buf_init(&b, DNS_MAX_NAME);
	if (is_ipv6) {
		for (i = 15; i >= 0; i--)
			buf_printf(
			    &b, "%c.%c.", hex[ip[i] & 15], hex[ip[i] >> 4]);
		buf_puts(&b, "ip6.arpa");
	} else
		buf_printf(
		    &b, "%u.%u.%u.%u.in-addr.arpa", ip[3], ip[2], ip[1], ip[0]);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}
