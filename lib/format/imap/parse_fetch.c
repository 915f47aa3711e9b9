/*
 * FETCH (RFC 9051, 6.4.5; RFC 3501, 6.4.5; RFC 3516; RFC 7162, 3.1.4;
 * RFC 8474, 5; RFC 8514; RFC 8970).
 */
#include "format/imap/imap_int.h"

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool
parse_header_list(struct parse *p, struct imap_strs *out)
{
	struct str name;

	if (!parse_sp(p) || !cur_byte(&p->c, '('))
		return false;
	do {
		if (!parse_astring(p, &name) ||
		    !parse_room(p, (void **)&out->v, out->n, sizeof(name),
			IMAP_MAX_ITEMS))
			return false;
		out->v[out->n++] = name;
	} while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')');
}

/* section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list /
 *                   "TEXT" ; section-text = section-msgtext / "MIME" */
static bool
parse_section_text(struct parse *p, struct imap_section *s)
{
	if (cur_try_nocase(&p->c, STR("HEADER.FIELDS.NOT"))) {
		s->what = IMAP_SECTION_FIELDS_NOT;
		return parse_header_list(p, &s->fields);
	}
	if (cur_try_nocase(&p->c, STR("HEADER.FIELDS"))) {
		s->what = IMAP_SECTION_FIELDS;
		return parse_header_list(p, &s->fields);
	}
	if (cur_try_nocase(&p->c, STR("HEADER")))
		s->what = IMAP_SECTION_HEADER;
	else if (cur_try_nocase(&p->c, STR("TEXT")))
		s->what = IMAP_SECTION_TEXT;
	else if (s->path_n > 0 && cur_try_nocase(&p->c, STR("MIME")))
		s->what = IMAP_SECTION_MIME;
	else
		return cur_fail(&p->c, "unknown section");
	return true;
}

/* section = "[" [section-msgtext / (section-part ["." section-text])] "]"
 * section-binary = "[" [section-part] "]" */
static bool
parse_section(struct parse *p, bool binary, struct imap_section *s)
{
	uint32_t number;

	if (!cur_byte(&p->c, '['))
		return false;
	if (cur_try(&p->c, ']'))
		return true;
	do {
		if (!ascii_isdigit((char)cur_peek(&p->c))) {
			if (binary)
				return cur_fail(&p->c, "expected a part");
			if (!parse_section_text(p, s))
				return false;
			break;
		}
		if (!parse_nz_number(p, &number) ||
		    !parse_room(p, (void **)&s->path, s->path_n, sizeof(number),
			IMAP_MAX_SECTION))
			return false;
		s->path[s->path_n++] = number;
	} while (cur_try(&p->c, '.'));
	return cur_byte(&p->c, ']');
}

/* partial = "<" number64 "." nz-number64 ">" */
static bool
parse_partial(struct parse *p, struct imap_fetch_item *item)
{
	if (!cur_try(&p->c, '<'))
		return true;
	item->has_partial = true;
	if (!parse_number(p, &item->offset) || !cur_byte(&p->c, '.') ||
	    !parse_number(p, &item->count))
		return false;
	if (item->count == 0)
		return cur_fail(&p->c, "partial of nothing");
	return cur_byte(&p->c, '>');
}

/* "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]  RFC 8970, 6 */
static bool
parse_preview(struct parse *p, struct imap_fetch_item *item)
{
	if (!cur_try_str(&p->c, STR(" (")))
		return true;
	if (!parse_word(p, STR("LAZY")))
		return cur_fail(&p->c, "unknown PREVIEW modifier");
	item->is_lazy = true;
	return cur_byte(&p->c, ')');
}

enum { PEEK = 1, SECTION = 2, BINARY = 4, PARTIAL = 8, PREVIEW = 16 };

/* Longer names before their prefixes. clang-format off */
static const struct {
	struct str name;
	enum imap_fetch_kind kind;
	unsigned has;
	enum imap_section_what what;
} atts[] = {
	{ STR_INIT("BINARY.PEEK["), IMAP_FETCH_BINARY,
	    PEEK | SECTION | BINARY | PARTIAL, 0 },
	{ STR_INIT("BINARY.SIZE["), IMAP_FETCH_BINARY_SIZE,
	    PEEK | SECTION | BINARY, 0 },
	{ STR_INIT("BINARY["), IMAP_FETCH_BINARY, SECTION | BINARY | PARTIAL,
	    0 },
	{ STR_INIT("BODY.PEEK["), IMAP_FETCH_SECTION, PEEK | SECTION | PARTIAL,
	    0 },
	{ STR_INIT("BODY["), IMAP_FETCH_SECTION, SECTION | PARTIAL, 0 },
	{ STR_INIT("BODYSTRUCTURE"), IMAP_FETCH_BODYSTRUCTURE, PEEK, 0 },
	{ STR_INIT("BODY"), IMAP_FETCH_BODY_STRUCT, PEEK, 0 },
	{ STR_INIT("RFC822.SIZE"), IMAP_FETCH_SIZE, PEEK, 0 },
	{ STR_INIT("RFC822.HEADER"), IMAP_FETCH_SECTION, PEEK,
	    IMAP_SECTION_HEADER },
	{ STR_INIT("RFC822.TEXT"), IMAP_FETCH_SECTION, 0, IMAP_SECTION_TEXT },
	{ STR_INIT("RFC822"), IMAP_FETCH_SECTION, 0, IMAP_SECTION_ALL },
	{ STR_INIT("UID"), IMAP_FETCH_UID, PEEK, 0 },
	{ STR_INIT("FLAGS"), IMAP_FETCH_FLAGS, PEEK, 0 },
	{ STR_INIT("INTERNALDATE"), IMAP_FETCH_INTERNALDATE, PEEK, 0 },
	{ STR_INIT("SAVEDATE"), IMAP_FETCH_SAVEDATE, PEEK, 0 },
	{ STR_INIT("ENVELOPE"), IMAP_FETCH_ENVELOPE, PEEK, 0 },
	{ STR_INIT("MODSEQ"), IMAP_FETCH_MODSEQ, PEEK, 0 },
	{ STR_INIT("EMAILID"), IMAP_FETCH_EMAILID, PEEK, 0 },
	{ STR_INIT("THREADID"), IMAP_FETCH_THREADID, PEEK, 0 },
	{ STR_INIT("PREVIEW"), IMAP_FETCH_PREVIEW, PEEK | PREVIEW, 0 },
};
/* clang-format on */

static bool
att_at(struct parse *p, size_t i)
{
	struct str name = atts[i].name;

	if (!(atts[i].has & SECTION))
		return parse_word(p, name);
	name.n--; /* the "[" is parse_section()'s */
	return cur_look_nocase(&p->c, atts[i].name) && cur_skip(&p->c, name.n);
}

/* fetch-att */
static bool
parse_fetch_att(struct parse *p, struct imap_fetch *f)
{
	struct imap_fetch_item item = { 0 };
	size_t i;

	for (i = 0; i < sizeof(atts) / sizeof(*atts); i++)
		if (att_at(p, i))
			break;
	if (i == sizeof(atts) / sizeof(*atts))
		return cur_fail(&p->c, "unknown FETCH item");
	item.kind = atts[i].kind;
	item.is_peek = atts[i].has & PEEK;
	item.section.what = atts[i].what;
	if (item.kind == IMAP_FETCH_SECTION && !(atts[i].has & SECTION))
		item.name = atts[i].name;
	if (atts[i].has & SECTION &&
	    !parse_section(p, atts[i].has & BINARY, &item.section))
		return false;
	if (atts[i].has & PARTIAL && !parse_partial(p, &item))
		return false;
	if (atts[i].has & PREVIEW && !parse_preview(p, &item))
		return false;
	if (!parse_room(
		p, (void **)&f->items, f->n, sizeof(item), IMAP_MAX_ITEMS))
		return false;
	f->items[f->n++] = item;
	return true;
}

/* "ALL" / "FULL" / "FAST" */
static bool
parse_macro(struct parse *p, struct imap_fetch *f)
{
	static const enum imap_fetch_kind kinds[] = { IMAP_FETCH_FLAGS,
		IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE, IMAP_FETCH_ENVELOPE,
		IMAP_FETCH_BODY_STRUCT };
	size_t i;

	if (parse_word(p, STR("FAST")))
		f->n = 3;
	else if (parse_word(p, STR("ALL")))
		f->n = 4;
	else if (parse_word(p, STR("FULL")))
		f->n = 5;
	else
		return false;
	f->items = arena_zalloc(p->arena, f->n * sizeof(*f->items));
	for (i = 0; i < f->n; i++) {
		f->items[i].kind = kinds[i];
		f->items[i].is_peek = true;
	}
	return true;
}

/* fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"
 * RFC 4466, 2.4; RFC 7162, 7. CHANGEDSINCE 0, which the grammar is without, is
 * what Thunderbird asks of a mailbox of which it knows no mod-sequence yet. */
static bool
parse_fetch_modifiers(struct parse *p, bool is_uid, struct imap_fetch *f)
{
	if (!cur_try_str(&p->c, STR(" (")))
		return true;
	do
		if (parse_word(p, STR("CHANGEDSINCE"))) {
			f->has_changedsince = true;
			if (!parse_sp(p) ||
			    !parse_modseq(p, true, &f->changedsince))
				return false;
		} else if (parse_word(p, STR("VANISHED")))
			f->vanished = true;
		else
			return cur_fail(&p->c, "unknown FETCH modifier");
	while (cur_try(&p->c, ' '));
	if (f->vanished && (!is_uid || !f->has_changedsince))
		return cur_fail(&p->c, "VANISHED needs UID and CHANGEDSINCE");
	return cur_byte(&p->c, ')');
}

/* fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
 *         "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers] */
bool
parse_fetch(struct parse *p, bool is_uid, struct imap_fetch *f)
{
	if (!parse_sp(p) || !parse_set(p, true, &f->set) || !parse_sp(p))
		return false;
	if (parse_macro(p, f))
		return parse_fetch_modifiers(p, is_uid, f);
	if (!cur_try(&p->c, '('))
		return parse_fetch_att(p, f) &&
		       parse_fetch_modifiers(p, is_uid, f);
	do {
		while (cur_try(&p->c, ' '))
			;
		if (!parse_fetch_att(p, f))
			return false;
	} while (cur_try(&p->c, ' '));
	return cur_byte(&p->c, ')') && parse_fetch_modifiers(p, is_uid, f);
}
