/*
 * FETCH (RFC 9051, 6.4.5 and 7.5.2; RFC 3501, 6.4.5; RFC 3516; RFC 7162,
 * 3.1.4; RFC 8474, 5; RFC 8514, 4.3; RFC 8970).
 */
#include "fetch.h"

#include <errno.h>

#include "format/imap/print.h"

enum {
	NEEDS_FILE = 1 << 0,
	NEEDS_FIELDS = 1 << 1,
	NEEDS_TREE = 1 << 2,
	SETS_SEEN = 1 << 3,
	NEEDS_PRINT = 1 << 4, /* the structure, if it is not kept printed */
};

struct run {
	struct session *s;
	const struct imap_command *c;
	const struct imap_fetch *f;
	struct msg msg;
	unsigned needs;
	bool add_uid, add_modseq;
	struct ranges seen; /* UIDs to be marked */
	uint32_t n_gone, n_failed;
	struct err err;	  /* of the first that failed */
	const char *code; /* [UNKNOWN-CTE] */
};

/* HEADER.FIELDS of fields that are kept need no file. */
bool
section_is_kept(const struct imap_section *sec)
{
	size_t i;

	if (sec->what != IMAP_SECTION_FIELDS || sec->path_n > 0)
		return false;
	for (i = 0; i < sec->fields.n; i++)
		if (!parsed_has_field(sec->fields.v[i]))
			return false;
	return true;
}

static unsigned
item_needs(const struct imap_fetch_item *it)
{
	unsigned needs = 0;

	switch (it->kind) {
	case IMAP_FETCH_UID:
	case IMAP_FETCH_FLAGS:
	case IMAP_FETCH_MODSEQ:
	case IMAP_FETCH_INTERNALDATE:
	case IMAP_FETCH_SAVEDATE:
	case IMAP_FETCH_SIZE:
	case IMAP_FETCH_EMAILID:
	case IMAP_FETCH_THREADID:
		return 0;
	case IMAP_FETCH_ENVELOPE:
		return NEEDS_FIELDS;
	case IMAP_FETCH_BODY_STRUCT:
	case IMAP_FETCH_BODYSTRUCTURE:
		return NEEDS_TREE | NEEDS_PRINT;
	case IMAP_FETCH_PREVIEW:
		return NEEDS_TREE;
	case IMAP_FETCH_SECTION:
	case IMAP_FETCH_BINARY:
	case IMAP_FETCH_BINARY_SIZE:
		needs = NEEDS_FILE;
		if (section_is_kept(&it->section))
			needs = NEEDS_FIELDS;
		else if (it->section.path_n > 0)
			needs |= NEEDS_TREE;
		if (!it->is_peek)
			needs |= SETS_SEEN;
		return needs;
	}
	return 0;
}

static void
put_savedate(struct out *o, const struct message *m)
{
	out_puts(o, "SAVEDATE ");
	if (m->savedate == 0)
		out_puts(o, "NIL");
	else
		imap_print_date_time(&o->b, m->savedate, 0);
}

static void
put_emailid(struct out *o, const struct message *m)
{
	out_puts(o, "EMAILID (");
	imap_print_objectid(&o->b, 'M', m->emailid);
	out_puts(o, ")");
}

static int
put_envelope(struct msg *g)
{
	const struct mime_part *head;

	if (parsed_fields(g) == -1)
		return -1;
	head = mime_parse(&g->s->msg_arena, g->parsed.fields, 0);
	out_puts(&g->s->out, "ENVELOPE ");
	imap_print_envelope(&g->s->out.b, head->envelope, g->s->is_utf8);
	return 0;
}

static int
put_structure(struct msg *g, bool is_extended)
{
	struct out *o = &g->s->out;
	const struct parsed *p = &g->parsed;

	if (parsed_tree(g) == -1)
		return -1;
	out_puts(o, is_extended ? "BODYSTRUCTURE " : "BODY ");
	if (p->structure.p != NULL && p->body.p != NULL)
		out_put(o, is_extended ? p->structure : p->body);
	else if (msg_tree(g) == -1)
		return -1;
	else
		imap_print_body(&o->b, g->root, is_extended, g->s->is_utf8);
	return 0;
}

static int
put_preview(struct msg *g)
{
	if (parsed_tree(g) == -1)
		return -1;
	out_puts(&g->s->out, "PREVIEW ");
	imap_print_string(&g->s->out.b, g->parsed.preview, g->s->is_utf8);
	return 0;
}

/* One item; -1: the message cannot be read. */
static int
put_item(struct run *r, const struct imap_fetch_item *it)
{
	struct out *o = &r->s->out;
	struct msg *g = &r->msg;

	switch (it->kind) {
	case IMAP_FETCH_UID:
		out_puts(o, "UID ");
		out_uint(o, g->m.uid);
		break;
	case IMAP_FETCH_FLAGS:
		put_flags(r->s, &g->m);
		break;
	case IMAP_FETCH_MODSEQ:
		put_modseq(r->s, g->m.modseq);
		break;
	case IMAP_FETCH_INTERNALDATE:
		out_puts(o, "INTERNALDATE ");
		imap_print_date_time(&o->b, g->m.internaldate, g->m.zone_min);
		break;
	case IMAP_FETCH_SAVEDATE:
		put_savedate(o, &g->m);
		break;
	case IMAP_FETCH_SIZE:
		out_puts(o, "RFC822.SIZE ");
		out_uint(o, g->file != NULL ? g->size : g->m.size);
		break;
	case IMAP_FETCH_EMAILID:
		put_emailid(o, &g->m);
		break;
	case IMAP_FETCH_THREADID:
		out_puts(o, "THREADID NIL");
		break;
	case IMAP_FETCH_ENVELOPE:
		return put_envelope(g);
	case IMAP_FETCH_BODY_STRUCT:
	case IMAP_FETCH_BODYSTRUCTURE:
		return put_structure(g, it->kind == IMAP_FETCH_BODYSTRUCTURE);
	case IMAP_FETCH_PREVIEW:
		return put_preview(g);
	case IMAP_FETCH_SECTION:
		return fetch_section(g, it);
	case IMAP_FETCH_BINARY:
	case IMAP_FETCH_BINARY_SIZE:
		return fetch_binary(g, it, &r->code);
	}
	return 0;
}

/* Everything that can fail, before a word about the message is said. */
static int
prepare(struct run *r)
{
	if (r->needs & NEEDS_FILE && msg_open(&r->msg) == -1)
		return -1;
	if (r->needs & NEEDS_TREE && parsed_tree(&r->msg) == -1)
		return -1;
	if (r->needs & NEEDS_FIELDS && parsed_fields(&r->msg) == -1)
		return -1;
	if (r->needs & NEEDS_PRINT && r->msg.parsed.structure.p == NULL &&
	    msg_tree(&r->msg) == -1)
		return -1;
	return 0;
}

static void
failed(struct run *r)
{
	if (r->n_gone + r->n_failed == 0)
		r->err = r->msg.err;
	if (r->msg.err.sys == ENOENT || r->msg.m.is_expunged)
		r->n_gone++;
	else
		r->n_failed++;
}

static void
put_space(struct out *o, bool *any)
{
	if (*any)
		out_puts(o, " ");
	*any = true;
}

/* A message that cannot be read any further: unsay it, or, when the client
 * has its beginning, cut the connection; the octets promised are not there. */
static void
take_back(struct run *r, size_t begin, unsigned long flushes)
{
	struct out *o = &r->s->out;

	if (o->flushes == flushes && !o->b.full) {
		buf_truncate(&o->b, begin);
		failed(r);
		return;
	}
	session_log(r->s, 0, "imap.read_failed", r->msg.err.text);
	o->is_dead = r->s->is_over = true;
}

static void
fetch_one(struct run *r, uint32_t seq)
{
	struct out *o = &r->s->out;
	unsigned long flushes = o->flushes;
	size_t i, begin = o->b.n;
	bool any = false;

	msg_set(&r->msg, seq);
	if (r->f->has_changedsince && r->msg.m.modseq <= r->f->changedsince)
		return;
	if (r->needs != 0 && prepare(r) == -1) {
		failed(r);
		return;
	}
	out_puts(o, "* ");
	out_uint(o, seq);
	out_puts(o, " FETCH (");
	if (r->add_uid) {
		put_space(o, &any);
		out_puts(o, "UID ");
		out_uint(o, r->msg.m.uid);
	}
	for (i = 0; i < r->f->n; i++) {
		put_space(o, &any);
		if (put_item(r, &r->f->items[i]) == -1) {
			take_back(r, begin, flushes);
			return;
		}
	}
	if (r->add_modseq) {
		put_space(o, &any);
		put_modseq(r->s, r->msg.m.modseq);
	}
	out_puts(o, ")\r\n");
	if (o->b.n >= OUT_FLUSH || o->b.full)
		out_flush(o);
	if (r->needs & SETS_SEEN && !(r->msg.m.flags & FLAG_SEEN))
		ranges_add(&r->seen, r->msg.m.uid, r->msg.m.uid);
}

/* \Seen for all that were read, in one transaction. */
static void
mark_seen(struct run *r)
{
	struct flag_change ch = { .how = FLAGS_ADD, .flags = FLAG_SEEN };
	struct ranges changed;
	struct message m;
	uint32_t seq, uid;
	struct err e;
	size_t i;

	if (r->seen.n == 0 || r->s->is_examine || r->s->is_over)
		return;
	ranges_init(&changed, SET_MAX);
	if (mailbox_store(r->s->mbox, &r->seen, &ch, &changed, NULL, &e) == -1)
		/* the text was served; that it was read is told later */
		session_log(r->s, 1, "imap.seen_failed", e.text);
	for (i = 0; i < changed.n; i++)
		for (uid = changed.v[i].lo; uid <= changed.v[i].hi; uid++) {
			if ((seq = mailbox_seq(r->s->mbox, uid)) == 0)
				continue;
			mailbox_get(r->s->mbox, seq, &m);
			put_flags_update(r->s, seq, &m);
		}
	ranges_release(&changed);
}

static void
answer(struct run *r)
{
	struct str tag = r->c->tag;

	if (r->n_failed > 0)
		reply_err(r->s, tag, &r->err);
	else if (r->n_gone > 0)
		/* RFC 5530, 3; RFC 2180, 4.1.3 */
		reply_no(r->s, tag, "EXPUNGEISSUED",
		    "some messages are no longer there");
	else if (r->code != NULL)
		reply_no(r->s, tag, r->code,
		    "a part has an unknown transfer encoding");
	else
		reply_ok(r->s, tag, NULL, "FETCH done");
}

static void
plan(struct run *r)
{
	bool has_uid = false, has_modseq = false;
	size_t i;

	for (i = 0; i < r->f->n; i++) {
		r->needs |= item_needs(&r->f->items[i]);
		has_uid |= r->f->items[i].kind == IMAP_FETCH_UID;
		has_modseq |= r->f->items[i].kind == IMAP_FETCH_MODSEQ;
	}
	r->add_uid = r->c->is_uid && !has_uid;
	/* RFC 7162, 3.1.4.1 */
	r->add_modseq = r->f->has_changedsince && !has_modseq;
	if (has_modseq || r->f->has_changedsince)
		condstore_enable(r->s);
}

/* RFC 7162, 3.2.6 */
static void
put_vanished(struct run *r)
{
	struct ranges uids;

	set_uids(r->s, &r->f->set, &uids);
	put_vanished_earlier(r->s, &uids, r->f->changedsince);
	ranges_release(&uids);
}

void
run_fetch(struct session *s, const struct imap_command *c)
{
	struct run r = { .s = s, .c = c, .f = &c->u.fetch };
	struct ranges seqs;
	uint32_t seq;
	size_t i;

	if (c->u.fetch.vanished && !s->has_qresync) {
		reply_bad(s, c->tag, NULL, "QRESYNC was not enabled", STR(""));
		return;
	}
	if (!set_resolve(s, &c->u.fetch.set, c->is_uid, &seqs)) {
		ranges_release(&seqs);
		reply_bad(s, c->tag, NULL, "no such message number", STR(""));
		return;
	}
	plan(&r);
	if (r.f->vanished)
		put_vanished(&r);
	msg_init(&r.msg, s);
	ranges_init(&r.seen, SET_MAX);
	for (i = 0; i < seqs.n && !s->is_over; i++)
		for (seq = seqs.v[i].lo; seq <= seqs.v[i].hi; seq++) {
			fetch_one(&r, seq);
			if (s->out.is_dead || s->is_over)
				break;
		}
	msg_release(&r.msg);
	ranges_release(&seqs);
	mark_seen(&r);
	ranges_release(&r.seen);
	/* no EXPUNGE while a command with numbers is running
	 * (RFC 9051, 7.5.1) */
	changes_tell(s, c->is_uid);
	answer(&r);
}
