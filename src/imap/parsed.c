/*
 * What a message's entry in the cache holds, and how it comes to be.
 *
 * Entry, version PARSED_VERSION: u8 1 (fields) or 3 (and the rest), blob of
 * fields; blobs of structure, body, preview; u32 number of parts, each u8
 * depth, u8 kind, u8 encoding, u8 0, u64 header_at, header_n, body_at, body_n,
 * outermost first. An empty structure is one that is not kept: it has 8-bit
 * text, which is printed in two ways.
 */
#include "parsed.h"

#include "base/cur.h"
#include "base/pack.h"
#include "format/imap/print.h"
#include "msg.h"

#define PARSED_VERSION 1
#define MAX_KEPT       (16 * 1024) /* more is read again each time */
#define MAX_PARTS      200
#define MAX_DEPTH      100

#define HAS_FIELDS 1
#define HAS_TREE   2

#define IS_MULTIPART 1
#define IS_MESSAGE   2

/* What ENVELOPE needs, and what clients ask for in lists of messages. */
static const struct str kept[] = {
	STR_INIT("Date"),
	STR_INIT("Subject"),
	STR_INIT("From"),
	STR_INIT("Sender"),
	STR_INIT("Reply-To"),
	STR_INIT("To"),
	STR_INIT("Cc"),
	STR_INIT("Bcc"),
	STR_INIT("In-Reply-To"),
	STR_INIT("Message-ID"),
	STR_INIT("References"),
	STR_INIT("Content-Type"),
	STR_INIT("Content-Description"),
	STR_INIT("Priority"),
	STR_INIT("X-Priority"),
	STR_INIT("Importance"),
	STR_INIT("Newsgroups"),
	STR_INIT("Lines"),
	STR_INIT("List-Id"),
	STR_INIT("List-Post"),
	STR_INIT("List-Subscribe"),
	STR_INIT("List-Unsubscribe"),
	STR_INIT("List-Unsubscribe-Post"),
	STR_INIT("Auto-Submitted"),
	STR_INIT("Disposition-Notification-To"),
	STR_INIT("X-Label"),
	STR_INIT("X-Original-To"),
	STR_INIT("X-Uniform-Type-Identifier"),
	STR_INIT("X-Universally-Unique-Identifier"),
};
#define NKEPT (sizeof(kept) / sizeof(kept[0]))

bool
parsed_has_field(struct str name)
{
	size_t i;

	for (i = 0; i < NKEPT; i++)
		if (str_eq_nocase(name, kept[i]))
			return true;
	return false;
}

/* ---- the parts ---- */

static unsigned
count_parts(const struct mime_part *root)
{
	const struct mime_part *p;
	unsigned n = 0;

	for (p = root; p != NULL && n <= MAX_PARTS; p = mime_part_walk(p))
		n++;
	return n;
}

static unsigned
depth_of(const struct mime_part *p)
{
	unsigned depth = 0;

	while ((p = p->parent) != NULL)
		depth++;
	return depth;
}

static void
pack_parts(struct buf *b, const struct mime_part *root)
{
	const struct mime_part *p;

	pack_u32(b, count_parts(root));
	for (p = root; p != NULL; p = mime_part_walk(p)) {
		pack_u8(b, (uint8_t)depth_of(p));
		pack_u8(b, (p->is_multipart ? IS_MULTIPART : 0) |
			       (p->is_message ? IS_MESSAGE : 0));
		pack_u8(b, (uint8_t)p->encoding);
		pack_u8(b, 0);
		pack_u64(b, p->header_at);
		pack_u64(b, p->header_n);
		pack_u64(b, p->body_at);
		pack_u64(b, p->body_n);
	}
}

static bool
unpack_part(struct cur *c, struct mime_part *p, uint8_t *depth)
{
	uint8_t kind, encoding, zero;

	if (!cur_u8(c, depth) || !cur_u8(c, &kind) || !cur_u8(c, &encoding) ||
	    !cur_u8(c, &zero) || !cur_u64(c, &p->header_at) ||
	    !cur_u64(c, &p->header_n) || !cur_u64(c, &p->body_at) ||
	    !cur_u64(c, &p->body_n) || encoding > MIME_ENC_UNKNOWN)
		return false;
	p->is_multipart = (kind & IS_MULTIPART) != 0;
	p->is_message = (kind & IS_MESSAGE) != 0;
	p->encoding = (enum mime_encoding)encoding;
	return true;
}

static const struct mime_part *
unpack_parts(struct arena *a, struct cur *c)
{
	struct mime_part *last[MAX_DEPTH + 1] = { NULL }, *v, *p;
	uint32_t n, i;
	uint8_t depth, before = 0;

	if (!cur_u32(c, &n) || n == 0 || n > MAX_PARTS)
		return NULL;
	v = arena_zalloc(a, n * sizeof(*v));
	for (i = 0; i < n; i++, before = depth) {
		p = &v[i];
		if (!unpack_part(c, p, &depth) || depth > MAX_DEPTH ||
		    (i == 0) != (depth == 0) || depth > before + 1)
			return NULL;
		p->number = 1;
		if (depth > 0) {
			p->parent = last[depth - 1];
			if (p->parent->child == NULL)
				p->parent->child = p;
			else {
				last[depth]->next = p;
				p->number = last[depth]->number + 1;
			}
		}
		last[depth] = p;
	}
	return v;
}

/* ---- the entry ---- */

static void
remember(struct msg *g)
{
	const struct parsed *p = &g->parsed;
	struct buf b;

	if (p->fields.n > MAX_KEPT ||
	    p->structure.n + p->body.n + p->preview.n > MAX_KEPT)
		return;
	buf_init(&b, 4 * MAX_KEPT);
	pack_u8(&b, p->has_tree ? HAS_FIELDS | HAS_TREE : HAS_FIELDS);
	pack_blob(&b, p->fields);
	if (p->has_tree) {
		pack_blob(&b, p->structure);
		pack_blob(&b, p->body);
		pack_blob(&b, p->preview);
		pack_parts(&b, p->parts);
	}
	if (!b.full)
		mailbox_cache_put(
		    g->s->mbox, g->m.uid, PARSED_VERSION, buf_str(&b));
	buf_release(&b);
}

static struct str
or_unknown(struct str s)
{
	if (s.n == 0)
		s.p = NULL;
	return s;
}

static void
recall(struct msg *g)
{
	struct parsed *p = &g->parsed, q = { .was_asked = true };
	struct arena *a = &g->s->msg_arena;
	struct str entry;
	struct cur c;
	uint8_t has;

	if (p->was_asked)
		return;
	p->was_asked = true;
	if (!mailbox_cache_get(g->s->mbox, g->m.uid, PARSED_VERSION, &entry))
		return;
	cur_init(&c, arena_str(a, entry));
	if (!cur_u8(&c, &has) || !cur_blob(&c, &q.fields))
		return;
	if ((has & HAS_TREE) != 0 && cur_blob(&c, &q.structure) &&
	    cur_blob(&c, &q.body) && cur_blob(&c, &q.preview))
		q.has_tree = (q.parts = unpack_parts(a, &c)) != NULL;
	if (!cur_ok(&c))
		return;
	q.structure = or_unknown(q.structure);
	q.body = or_unknown(q.body);
	*p = q;
}

/* ---- finding out ---- */

static int
find_fields(struct msg *g)
{
	struct buf b;

	if (msg_header(g) == -1)
		return -1;
	buf_init(&b, MSG_MAX_HEADER + 2);
	mime_field_select(&b, buf_str(&g->header), kept, NKEPT, false);
	buf_puts(&b, "\r\n");
	g->parsed.fields = arena_str(&g->s->msg_arena, buf_str(&b));
	buf_release(&b);
	return 0;
}

int
parsed_fields(struct msg *g)
{
	recall(g);
	if (g->parsed.fields.p != NULL)
		return 0;
	if (find_fields(g) == -1)
		return -1;
	remember(g);
	return 0;
}

static struct str
print_body(struct msg *g, bool is_extended)
{
	struct str s = { 0 };
	struct buf b;
	size_t i;

	buf_init(&b, MAX_KEPT);
	imap_print_body(&b, g->root, is_extended, false);
	for (i = 0; i < b.n && (unsigned char)b.p[i] < 0x80; i++)
		;
	if (!b.full && i == b.n)
		s = arena_str(&g->s->msg_arena, buf_str(&b));
	buf_release(&b);
	return s;
}

int
parsed_tree(struct msg *g)
{
	struct parsed *p = &g->parsed;
	struct buf text;

	recall(g);
	if (p->has_tree)
		return 0;
	if (msg_tree(g) == -1 || (p->fields.p == NULL && find_fields(g) == -1))
		return -1;
	buf_init(&text, 2000);
	if (msg_preview(g, &text) == -1) {
		buf_release(&text);
		return -1;
	}
	p->preview = arena_str(&g->s->msg_arena, buf_str(&text));
	buf_release(&text);
	p->structure = print_body(g, true);
	p->body = print_body(g, false);
	p->parts = g->root;
	p->has_tree = true;
	if (count_parts(g->root) <= MAX_PARTS)
		remember(g);
	return 0;
}

int
parsed_parts(struct msg *g)
{
	return parsed_tree(g);
}
