#include "format/dnsmsg/dnsmsg_int.h"

#include <string.h>

bool
dnsmsg_u8(struct cur *c, uint8_t *out)
{
	return cur_u8(c, out);
}

bool
dnsmsg_u16(struct cur *c, uint16_t *out)
{
	uint8_t hi, lo;

	*out = 0;
	if (!cur_u8(c, &hi) || !cur_u8(c, &lo))
		return false;
	*out = (uint16_t)(hi << 8 | lo);
	return true;
}

bool
dnsmsg_u32(struct cur *c, uint32_t *out)
{
	uint16_t hi, lo;

	*out = 0;
	if (!dnsmsg_u16(c, &hi) || !dnsmsg_u16(c, &lo))
		return false;
	*out = (uint32_t)hi << 16 | lo;
	return true;
}

bool
dnsmsg_copy(struct dnsmsg_in *in, struct str s, struct str *out)
{
	char *p = arena_try(in->arena, s.n + 1);

	if (p == NULL)
		return cur_fail(&in->c, "message takes too much memory");
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	*out = str_make(p, s.n);
	return true;
}

/* One label in presentation form: at most four characters an octet. */
static void
put_label(char *text, size_t *n, struct str label)
{
	size_t i;

	if (*n > 0)
		text[(*n)++] = '.';
	for (i = 0; i < label.n; i++) {
		unsigned v = (unsigned char)label.p[i];

		if (v > ' ' && v < 0x7f && v != '.' && v != '\\') {
			text[(*n)++] = (char)v;
			continue;
		}
		text[(*n)++] = '\\';
		if (v == '.' || v == '\\') {
			text[(*n)++] = (char)v;
			continue;
		}
		text[(*n)++] = (char)('0' + v / 100);
		text[(*n)++] = (char)('0' + v / 10 % 10);
		text[(*n)++] = (char)('0' + v % 10);
	}
}

/*
 * domain-name = *label ( root / pointer )		RFC 1035, 4.1.4
 *
 * A pointer has to go back to before the run of labels it ends, so each jump
 * brings a smaller offset and the walk ends. The cursor ends after the name's
 * own octets; jumps read with a copy.
 */
bool
dnsmsg_name(struct dnsmsg_in *in, struct str *out)
{
	struct cur *own = &in->c, far, *c = own;
	char text[4 * DNS_MAX_NAME];
	size_t n = 0, octets = 1, run;
	struct str label;
	uint8_t len, low;

	run = (size_t)(c->p - in->wire.p);
	for (;;) {
		if (!dnsmsg_u8(c, &len))
			return cur_fail(own, "name ends too early");
		if (len == 0)
			break;
		if ((len & 0xc0) == 0xc0) {
			size_t to;

			if (!dnsmsg_u8(c, &low))
				return cur_fail(own, "name ends too early");
			to = (size_t)(len & 0x3f) << 8 | low;
			if (to >= run)
				return cur_fail(
				    own, "pointer does not go back");
			run = to;
			cur_init(&far, in->wire);
			c = &far;
			if (!cur_skip(c, to))
				return cur_fail(own, "pointer out of message");
			continue;
		}
		if (len > DNS_MAX_LABEL)
			return cur_fail(own, "bad label type");
		octets += len + 1u;
		if (octets > DNS_MAX_NAME)
			return cur_fail(own, "name too long");
		if (!cur_take(c, len, &label))
			return cur_fail(own, "name ends too early");
		put_label(text, &n, label);
	}
	if (n == 0)
		text[n++] = '.';
	return dnsmsg_copy(in, str_make(text, n), out);
}

/* 1*character-string, joined				RFC 1035, 3.3.14 */
static bool
rdata_txt(struct dnsmsg_in *in, struct dns_record *r)
{
	struct cur *c = &in->c;
	struct str s;
	size_t n = 0;
	uint8_t len;
	char *p;

	if ((p = arena_try(in->arena, cur_left(c) + 1)) == NULL)
		return cur_fail(c, "message takes too much memory");
	do {
		if (!dnsmsg_u8(c, &len) || !cur_take(c, len, &s))
			return false;
		if (s.n > 0)
			memcpy(p + n, s.p, s.n);
		n += s.n;
	} while (!cur_done(c));
	p[n] = '\0';
	r->text = str_make(p, n);
	return true;
}

/* flags, tag length, tag, value			RFC 8659, 4.1 */
static bool
rdata_caa(struct dnsmsg_in *in, struct dns_record *r)
{
	struct cur *c = &in->c;
	struct str tag, value;
	uint8_t n;

	if (!dnsmsg_u8(c, &r->caa.flags) || !dnsmsg_u8(c, &n) ||
	    !cur_take(c, n, &tag) || !cur_take(c, cur_left(c), &value))
		return false;
	return dnsmsg_copy(in, tag, &r->caa.tag) &&
	       dnsmsg_copy(in, value, &r->caa.value);
}

static bool
rdata_soa(struct dnsmsg_in *in, struct dns_record *r)
{
	struct cur *c = &in->c;

	return dnsmsg_name(in, &r->soa.mname) &&
	       dnsmsg_name(in, &r->soa.rname) &&
	       dnsmsg_u32(c, &r->soa.serial) &&
	       dnsmsg_u32(c, &r->soa.refresh) && dnsmsg_u32(c, &r->soa.retry) &&
	       dnsmsg_u32(c, &r->soa.expire) && dnsmsg_u32(c, &r->soa.minimum);
}

static bool
rdata_address(struct dnsmsg_in *in, struct dns_record *r, size_t n)
{
	struct str s;

	if (!cur_take(&in->c, n, &s))
		return false;
	memcpy(r->ip, s.p, n);
	return true;
}

/* usage, selector, matching type, data			RFC 6698, 2.1 */
static bool
rdata_tlsa(struct dnsmsg_in *in, struct dns_record *r)
{
	struct cur *c = &in->c;
	struct str s;

	return dnsmsg_u8(c, &r->tlsa.usage) &&
	       dnsmsg_u8(c, &r->tlsa.selector) &&
	       dnsmsg_u8(c, &r->tlsa.matching) &&
	       cur_take(c, cur_left(c), &s) &&
	       dnsmsg_copy(in, s, &r->tlsa.data);
}

bool
dnsmsg_rdata(struct dnsmsg_in *in, struct dns_record *r, bool *is_known)
{
	struct cur *c = &in->c;

	*is_known = true;
	switch ((int)r->type) {
	case DNS_A:
		return rdata_address(in, r, 4);
	case DNS_AAAA:
		return rdata_address(in, r, 16);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return dnsmsg_name(in, &r->name);
	case DNS_MX:
		return dnsmsg_u16(c, &r->mx.preference) &&
		       dnsmsg_name(in, &r->mx.exchange);
	case DNS_TXT:
		return rdata_txt(in, r);
	case DNS_SRV: /* RFC 2782 */
		return dnsmsg_u16(c, &r->srv.priority) &&
		       dnsmsg_u16(c, &r->srv.weight) &&
		       dnsmsg_u16(c, &r->srv.port) &&
		       dnsmsg_name(in, &r->srv.target);
	case DNS_TLSA:
		return rdata_tlsa(in, r);
	case DNS_CAA:
		return rdata_caa(in, r);
	case DNS_SOA:
		return rdata_soa(in, r);
	}
	*is_known = false;
	return true;
}
