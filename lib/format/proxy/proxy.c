#include "format/proxy/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cur.h"

#define V1_MAX	107 /* "PROXY TCP6" with the longest of everything, CRLF */
#define SHORT	15  /* "PROXY UNKNOWN\r\n": the shortest header of all */
#define V2_HEAD 16

static const struct str v2_signature = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

/* One address of family af, as every printer would write it. */
static bool
put_address(int af, struct str text, char out[PROXY_TEXT])
{
	unsigned char ip[16];
	char s[PROXY_TEXT];

	if (text.n >= sizeof(s) || str_has(text, '\0'))
		return false;
	str_copy(text, s, sizeof(s));
	return inet_pton(af, s, ip) == 1 &&
	       inet_ntop(af, ip, out, PROXY_TEXT) != NULL;
}

static bool
take_address(struct cur *c, int af, char out[PROXY_TEXT])
{
	struct str s = cur_until(c, ' ');

	return cur_byte(c, ' ') && put_address(af, s, out);
}

/* 1 to 5 digits without a leading zero */
static bool
take_port(struct cur *c, uint16_t *port)
{
	struct str s = cur_rest(c);
	uint64_t v;

	if (s.n > 1 && s.p[0] == '0' && s.p[1] >= '0' && s.p[1] <= '9')
		return false;
	if (!cur_dec(c, 65535, &v))
		return false;
	*port = (uint16_t)v;
	return true;
}

/* "PROXY" SP ("TCP4" / "TCP6") SP src SP dst SP port SP port CRLF, or
 * "PROXY UNKNOWN" anything CRLF */
static bool
parse_v1(struct str line, struct proxy_header *h)
{
	struct cur c;
	int af;

	cur_init(&c, line);
	if (!cur_try_str(&c, STR("PROXY ")))
		return false;
	if (cur_try_str(&c, STR("UNKNOWN"))) {
		h->is_local = true;
		return cur_left(&c) == 0 || cur_at(&c, ' ');
	}
	if (cur_try_str(&c, STR("TCP4 ")))
		af = AF_INET;
	else if (cur_try_str(&c, STR("TCP6 ")))
		af = AF_INET6;
	else
		return false;
	return take_address(&c, af, h->source) &&
	       take_address(&c, af, h->destination) &&
	       take_port(&c, &h->source_port) && cur_byte(&c, ' ') &&
	       take_port(&c, &h->destination_port) && cur_done(&c);
}

static enum proxy_result
read_v1(struct str in, struct proxy_header *h, size_t *need)
{
	size_t lf = str_find(in, '\n');

	*need = 1;
	if (lf == in.n)
		return in.n < V1_MAX ? PROXY_MORE : PROXY_BAD;
	if (lf + 1 != in.n || lf == 0 || in.p[lf - 1] != '\r')
		return PROXY_BAD;
	return parse_v1(str_sub(in, 0, lf - 1), h) ? PROXY_OK : PROXY_BAD;
}

static unsigned
be16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Addresses, then ports, then TLVs. */
static bool
take_v2_addresses(struct str body, int af, size_t each, struct proxy_header *h)
{
	if (body.n < 2 * each + 4)
		return false;
	h->source_port = (uint16_t)be16(body.p + 2 * each);
	h->destination_port = (uint16_t)be16(body.p + 2 * each + 2);
	return inet_ntop(af, body.p, h->source, PROXY_TEXT) != NULL &&
	       inet_ntop(af, body.p + each, h->destination, PROXY_TEXT) != NULL;
}

/*
 *	signature 12 | version, command 1 | family, transport 1 | length 2 | ..
 */
static bool
parse_v2(struct str in, struct proxy_header *h)
{
	struct str body = str_sub(in, V2_HEAD, in.n);
	unsigned char command = (unsigned char)in.p[12];

	if (command == 0x20) { /* LOCAL: whatever follows is not looked at */
		h->is_local = true;
		return true;
	}
	if (command != 0x21)
		return false;
	switch ((unsigned char)in.p[13]) {
	case 0x00: /* unspecified */
		h->is_local = true;
		return true;
	case 0x11: /* TCP over IPv4 */
		return take_v2_addresses(body, AF_INET, 4, h);
	case 0x21: /* TCP over IPv6 */
		return take_v2_addresses(body, AF_INET6, 16, h);
	default: /* UDP, UNIX and what has no meaning: not here */
		return false;
	}
}

enum proxy_result
proxy_parse(struct str in, struct proxy_header *h, size_t *need)
{
	size_t n;

	*h = (struct proxy_header){ 0 };
	*need = 0;
	if (in.n < SHORT) {
		*need = SHORT - in.n;
		return PROXY_MORE;
	}
	if (!str_starts(in, v2_signature))
		return read_v1(in, h, need);
	if (in.n < V2_HEAD) {
		*need = V2_HEAD - in.n;
		return PROXY_MORE;
	}
	n = V2_HEAD + be16(in.p + 14);
	if (n > PROXY_MAX || in.n > n)
		return PROXY_BAD;
	*need = n - in.n;
	if (*need > 0)
		return PROXY_MORE;
	return parse_v2(in, h) ? PROXY_OK : PROXY_BAD;
}

static bool
mapped(struct str text, unsigned char ip[16], bool *is_v4)
{
	static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };
	char s[PROXY_TEXT];

	if (text.n >= sizeof(s) || str_has(text, '\0'))
		return false;
	str_copy(text, s, sizeof(s));
	*is_v4 = inet_pton(AF_INET, s, ip + 12) == 1;
	if (*is_v4)
		memcpy(ip, prefix, sizeof(prefix));
	return *is_v4 || inet_pton(AF_INET6, s, ip) == 1;
}

bool
proxy_net_parse(struct proxy_net *net, struct str text)
{
	size_t slash = str_find(text, '/');
	uint64_t bits;
	bool is_v4;
	struct cur c;

	if (!mapped(str_sub(text, 0, slash), net->ip, &is_v4))
		return false;
	bits = is_v4 ? 32 : 128;
	if (slash < text.n) {
		cur_init(&c, str_sub(text, slash + 1, text.n));
		if (!cur_dec(&c, bits, &bits) || !cur_done(&c))
			return false;
	}
	net->bits = (unsigned)bits + (is_v4 ? 96 : 0);
	return true;
}

bool
proxy_net_has(const struct proxy_net *net, struct str address)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	unsigned char ip[16];
	bool is_v4;

	return mapped(address, ip, &is_v4) && memcmp(ip, net->ip, whole) == 0 &&
	       (rest == 0 || (ip[whole] ^ net->ip[whole]) >> (8 - rest) == 0);
}
