/* What the fields of a header say about a part, and walks over the tree. */
#include "format/mime/mime_int.h"

#include <string.h>

/* content := type "/" subtype *(";" parameter)  RFC 2045, 5.1 */
static void
content_type(struct arena *a, struct mime_part *p, struct str value)
{
	struct cur c;
	struct str type, subtype;

	if (p->type.p != NULL)
		return;
	cur_init(&c, value);
	mime_lex_cfws(&c, NULL);
	type = cur_span(&c, mime_is_token);
	mime_lex_cfws(&c, NULL);
	if (type.n == 0 || !cur_try(&c, '/'))
		return; /* RFC 2045, 5.2: then it is text/plain */
	mime_lex_cfws(&c, NULL);
	subtype = cur_span(&c, mime_is_token);
	if (subtype.n == 0)
		return;
	p->type = mime_keep_lower(a, type);
	p->subtype = mime_keep_lower(a, subtype);
	mime_params_parse(a, &c, &p->raw_params, &p->params);
}

static const struct {
	struct str name;
	enum mime_encoding encoding;
} encodings[] = {
	{ STR_INIT("7bit"), MIME_ENC_NONE },
	{ STR_INIT("8bit"), MIME_ENC_NONE },
	{ STR_INIT("binary"), MIME_ENC_NONE },
	{ STR_INIT("quoted-printable"), MIME_ENC_QP },
	{ STR_INIT("base64"), MIME_ENC_BASE64 },
};

/* encoding := "Content-Transfer-Encoding" ":" mechanism  RFC 2045, 6.1 */
static void
transfer_encoding(struct arena *a, struct mime_part *p, struct str value)
{
	struct cur c;
	struct str name;
	size_t i;

	if (p->encoding_name.p != NULL)
		return;
	cur_init(&c, value);
	mime_lex_cfws(&c, NULL);
	name = cur_span(&c, mime_is_token);
	if (name.n == 0)
		return;
	p->encoding_name = mime_keep_lower(a, name);
	p->encoding = MIME_ENC_UNKNOWN;
	for (i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		if (str_eq(p->encoding_name, encodings[i].name))
			p->encoding = encodings[i].encoding;
}

/* disposition := disposition-type *(";" disposition-parm)  RFC 2183, 2 */
static void
disposition(struct arena *a, struct mime_part *p, struct str value)
{
	struct cur c;
	struct str type;

	if (p->disposition.p != NULL)
		return;
	cur_init(&c, value);
	mime_lex_cfws(&c, NULL);
	type = cur_span(&c, mime_is_token);
	if (type.n == 0)
		return;
	p->disposition = mime_keep_lower(a, type);
	mime_params_parse(
	    a, &c, &p->raw_disposition_params, &p->disposition_params);
}

/* Language-List = Language-Tag *("," Language-Tag)  RFC 3282, 2 */
static void
languages(struct arena *a, struct mime_part *p, struct str value)
{
	struct str list[MIME_MAX_PARAMS];
	struct cur c;
	size_t n = 0;

	cur_init(&c, value);
	while (cur_left(&c) > 0 && n < MIME_MAX_PARAMS) {
		mime_lex_cfws(&c, NULL);
		list[n] = cur_span(&c, mime_is_token);
		if (list[n].n > 0) {
			list[n] = arena_str(a, list[n]);
			n++;
		} else
			cur_skip(&c, cur_left(&c) > 0 ? 1 : 0);
	}
	if (n == 0 || p->n_languages > 0)
		return;
	p->languages = arena_alloc(a, n * sizeof(*list));
	memcpy(p->languages, list, n * sizeof(*list));
	p->n_languages = n;
}

static void
keep_first(struct arena *a, struct str *to, struct str value)
{
	if (to->p == NULL)
		*to = mime_keep(a, value);
}

static void
content_id(struct arena *a, struct mime_part *p, struct str value)
{
	keep_first(a, &p->id, value);
}

static void
description(struct arena *a, struct mime_part *p, struct str value)
{
	keep_first(a, &p->description, value);
}

static void
md5(struct arena *a, struct mime_part *p, struct str value)
{
	keep_first(a, &p->md5, value);
}

static void
location(struct arena *a, struct mime_part *p, struct str value)
{
	keep_first(a, &p->location, value);
}

static const struct {
	struct str name;
	void (*take)(struct arena *, struct mime_part *, struct str);
} content_fields[] = {
	{ STR_INIT("Type"), content_type },
	{ STR_INIT("Transfer-Encoding"), transfer_encoding },
	{ STR_INIT("Disposition"), disposition },
	{ STR_INIT("ID"), content_id },
	{ STR_INIT("Description"), description },
	{ STR_INIT("MD5"), md5 },
	{ STR_INIT("Language"), languages },
	{ STR_INIT("Location"), location },
};

/* Repeated destination fields add up; of the others the first counts. */
static const struct {
	struct str name;
	size_t at;
	bool is_addrs, adds_up;
} envelope_fields[] = {
#define E(f) offsetof(struct mime_envelope, f)
	{ STR_INIT("Date"), E(date), false, false },
	{ STR_INIT("Subject"), E(subject), false, false },
	{ STR_INIT("In-Reply-To"), E(in_reply_to), false, false },
	{ STR_INIT("Message-Id"), E(message_id), false, false },
	{ STR_INIT("From"), E(from), true, false },
	{ STR_INIT("Sender"), E(sender), true, false },
	{ STR_INIT("Reply-To"), E(reply_to), true, false },
	{ STR_INIT("To"), E(to), true, true },
	{ STR_INIT("Cc"), E(cc), true, true },
	{ STR_INIT("Bcc"), E(bcc), true, true },
#undef E
};

static void
take_addrs(
    struct arena *a, struct mime_addrs *to, struct str value, bool adds_up)
{
	struct mime_addrs more;
	struct mime_addr *v;

	if (to->n > 0 && (!adds_up || to->n >= MIME_MAX_ADDRS))
		return;
	mime_addrs_parse(a, value, &more);
	if (to->n > 0 && more.n > 0) {
		v = arena_regrow(a, to->v, to->n * sizeof(*v),
		    (to->n + more.n) * sizeof(*v));
		memcpy(v + to->n, more.v, more.n * sizeof(*v));
		*to = (struct mime_addrs){ v, to->n + more.n };
	} else if (more.n > 0)
		*to = more;
}

static bool
envelope_field(
    struct arena *a, struct mime_envelope *e, struct str name, struct str value)
{
	size_t i;

	for (i = 0; i < sizeof(envelope_fields) / sizeof(envelope_fields[0]);
	     i++) {
		void *to = (char *)e + envelope_fields[i].at;

		if (!str_eq_nocase(name, envelope_fields[i].name))
			continue;
		if (envelope_fields[i].is_addrs)
			take_addrs(a, to, value, envelope_fields[i].adds_up);
		else
			keep_first(a, to, value);
		return true;
	}
	return false;
}

bool
mime_part_field(
    struct arena *a, struct mime_part *p, struct str name, struct str value)
{
	size_t i;

	if (!str_starts_nocase(name, STR("Content-")))
		return p->envelope != NULL &&
		       envelope_field(a, p->envelope, name, value);
	name = str_sub(name, STR("Content-").n, SIZE_MAX);
	for (i = 0; i < sizeof(content_fields) / sizeof(content_fields[0]); i++)
		if (str_eq_nocase(name, content_fields[i].name)) {
			content_fields[i].take(a, p, value);
			return true;
		}
	return false;
}

void
mime_part_settle(struct arena *a, struct mime_part *p, bool in_digest)
{
	struct mime_envelope *e = p->envelope;

	if (p->type.p == NULL) {
		p->type = in_digest ? STR("message") : STR("text");
		p->subtype = in_digest ? STR("rfc822") : STR("plain");
	}
	p->is_multipart = str_eq(p->type, STR("multipart"));
	p->is_message = mime_part_is(p, STR("message"), STR("rfc822")) ||
			mime_part_is(p, STR("message"), STR("global"));
	/* RFC 2045, 6.4: nothing but 7bit, 8bit and binary is allowed on
	 * these; whoever encodes the parts as a whole is not understood by
	 * anyone */
	if (p->is_multipart || p->is_message)
		p->encoding = MIME_ENC_NONE;
	if (e == NULL)
		return;
	e->has_sender = e->sender.n > 0;
	e->has_reply_to = e->reply_to.n > 0;
	if (!e->has_sender)
		e->sender = e->from;
	if (!e->has_reply_to)
		e->reply_to = e->from;
}

bool
mime_part_is(const struct mime_part *p, struct str type, struct str subtype)
{
	return str_eq_nocase(p->type, type) &&
	       (subtype.n == 0 || str_eq_nocase(p->subtype, subtype));
}

/* Part n of a multipart; of anything else only part 1, itself. */
static const struct mime_part *
numbered(const struct mime_part *p, uint32_t n)
{
	const struct mime_part *c;

	if (!p->is_multipart)
		return n == 1 ? p : NULL;
	for (c = p->child; c != NULL && c->number != n; c = c->next)
		;
	return c;
}

/* section-part = nz-number *("." nz-number)  RFC 9051, 6.4.5.1 */
const struct mime_part *
mime_part_find(const struct mime_part *root, const uint32_t *path, size_t n)
{
	const struct mime_part *p = root;
	size_t i;

	for (i = 0; i < n && p != NULL; i++) {
		if (i > 0 && p->is_message)
			p = p->child;
		else if (i > 0 && !p->is_multipart)
			return NULL; /* nothing inside a leaf */
		p = numbered(p, path[i]);
	}
	return p;
}

const struct mime_part *
mime_part_walk(const struct mime_part *p)
{
	if (p->child != NULL)
		return p->child;
	while (p != NULL && p->next == NULL)
		p = p->parent;
	return p == NULL ? NULL : p->next;
}
