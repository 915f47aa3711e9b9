#include "format/xclient/xclient.h"

#include <arpa/inet.h>

#include "base/utf8.h"
#include "format/smtp/smtp.h"

static const struct str unavailable = STR_INIT("[UNAVAILABLE]");
static const struct str tempunavail = STR_INIT("[TEMPUNAVAIL]");
static const struct str ipv6_prefix = STR_INIT("IPV6:");

/* --- values: each gives the text to keep, or p == NULL --- */

static const struct str bad = { NULL, 0 };

/* One word that may go into logs and header fields. */
static struct str
take_word(struct arena *a, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127)
			return bad;
	return utf8_valid(s) ? arena_str(a, s) : bad;
}

static struct str
take_login(struct arena *a, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return bad;
	return utf8_valid(s) ? arena_str(a, s) : bad;
}

static struct str
take_address(struct arena *a, struct str s)
{
	char text[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
	unsigned char ip[16];
	int af = AF_INET;

	if (str_starts_nocase(s, ipv6_prefix)) {
		af = AF_INET6;
		s = str_sub(s, ipv6_prefix.n, s.n);
	}
	if (str_has(s, '\0') || !str_copy(s, text, sizeof(text)) ||
	    inet_pton(af, text, ip) != 1 ||
	    inet_ntop(af, ip, out, sizeof(out)) == NULL)
		return bad;
	return arena_str(a, str_from(out));
}

static struct str
take_port(struct arena *a, struct str s)
{
	uint64_t port;

	return str_uint(s, 65535, &port) ? arena_str(a, s) : bad;
}

static struct str
take_proto(struct arena *a, struct str s)
{
	if (str_eq_nocase(s, STR("ESMTP")))
		return STR("ESMTP");
	return str_eq_nocase(s, STR("SMTP")) ? STR("SMTP") : bad;
}

static const struct {
	struct str name;
	bool may_lack; /* the words for "there is none" are values */
	struct str (*take)(struct arena *, struct str);
} attributes[] = {
	[XCLIENT_NAME] = { STR_INIT("NAME"), true, take_word },
	[XCLIENT_ADDR] = { STR_INIT("ADDR"), true, take_address },
	[XCLIENT_PORT] = { STR_INIT("PORT"), true, take_port },
	[XCLIENT_PROTO] = { STR_INIT("PROTO"), false, take_proto },
	[XCLIENT_HELO] = { STR_INIT("HELO"), true, take_word },
	[XCLIENT_LOGIN] = { STR_INIT("LOGIN"), true, take_login },
	[XCLIENT_DESTADDR] = { STR_INIT("DESTADDR"), true, take_address },
	[XCLIENT_DESTPORT] = { STR_INIT("DESTPORT"), true, take_port },
	[XCLIENT_REVERSE_NAME] = { STR_INIT("REVERSE_NAME"), true, take_word },
};

const char *
xclient_name(enum xclient_attribute i)
{
	return attributes[i].name.p;
}

static bool
take_value(
    struct arena *a, unsigned i, struct str text, struct xclient_value *out)
{
	if (attributes[i].may_lack && str_eq_nocase(text, unavailable))
		out->state = XCLIENT_UNAVAILABLE;
	else if (attributes[i].may_lack && str_eq_nocase(text, tempunavail))
		out->state = XCLIENT_TEMPUNAVAIL;
	else {
		if (text.n == 0 || text.n > XCLIENT_MAX_NAME)
			return false;
		out->text = attributes[i].take(a, text);
		out->state = XCLIENT_GIVEN;
	}
	return out->state != XCLIENT_GIVEN || out->text.p != NULL;
}

/* attribute-name "=" xtext */
static const char *
take_attribute(struct arena *a, struct str word, struct xclient *x)
{
	struct str name, value = word;
	struct buf text;
	unsigned i;
	bool ok;

	if (!str_cut(&value, '=', &name))
		return "attribute=value expected";
	for (i = 0; i < XCLIENT_ATTRIBUTES; i++)
		if (str_eq_nocase(name, attributes[i].name))
			break;
	if (i == XCLIENT_ATTRIBUTES)
		return "unknown attribute";
	if (x->v[i].state != XCLIENT_ABSENT)
		return "attribute given twice";
	buf_init(&text, value.n + 1);
	ok = smtp_xtext_decode(&text, value) &&
	     take_value(a, i, buf_str(&text), &x->v[i]);
	buf_release(&text);
	return ok ? NULL : "bad attribute value";
}

bool
xclient_parse(
    struct arena *a, struct str s, struct xclient *x, const char **why)
{
	struct str word;
	unsigned n = 0;

	*x = (struct xclient){ 0 };
	*why = NULL;
	while (s.n > 0 && *why == NULL) {
		str_cut(&s, ' ', &word);
		if (word.n == 0)
			continue;
		n++;
		*why = take_attribute(a, word, x);
	}
	if (n == 0)
		*why = "attribute=value expected";
	return *why == NULL;
}

void
xclient_print(struct buf *b, const struct xclient *x)
{
	const char *between = "";
	unsigned i;

	for (i = 0; i < XCLIENT_ATTRIBUTES; i++) {
		const struct xclient_value *v = &x->v[i];

		if (v->state == XCLIENT_ABSENT)
			continue;
		buf_printf(b, "%s%s=", between, xclient_name(i));
		between = " ";
		if (v->state == XCLIENT_UNAVAILABLE)
			buf_put(b, unavailable);
		else if (v->state == XCLIENT_TEMPUNAVAIL)
			buf_put(b, tempunavail);
		else {
			if (attributes[i].take == take_address &&
			    str_has(v->text, ':'))
				buf_put(b, ipv6_prefix);
			smtp_xtext_encode(b, v->text);
		}
	}
}
