/*
 * STORE (RFC 9051, 6.4.6; RFC 7162, 3.1.3).
 */
#include "imap.h"

int
keywords_define(struct mailbox *m, const struct imap_flags *f, uint64_t *bits,
    struct err *e)
{
	unsigned bit;
	size_t i;

	*bits = 0;
	for (i = 0; i < f->n; i++) {
		if (mailbox_keyword_define(m, f->keywords[i], &bit, e) == -1)
			return -1;
		*bits |= 1ULL << bit;
	}
	return 0;
}

/* Removing does not make keywords. */
static uint64_t
keywords_known(struct mailbox *m, const struct imap_flags *f)
{
	uint64_t bits = 0;
	size_t i;
	int bit;

	for (i = 0; i < f->n; i++)
		if ((bit = mailbox_keyword_bit(m, f->keywords[i])) != -1)
			bits |= 1ULL << bit;
	return bits;
}

static uint64_t
keyword_bit(struct mailbox *m, struct str name)
{
	int bit = mailbox_keyword_bit(m, name);

	return bit == -1 ? 0 : 1ULL << bit;
}

/* $Junk and $NotJunk exclude each other: setting one takes the other away.
 * RFC 5788's registry says so of both. */
static uint64_t
junk_opposite(struct mailbox *m, uint64_t bits)
{
	uint64_t junk = keyword_bit(m, STR("$Junk"));
	uint64_t notjunk = keyword_bit(m, STR("$NotJunk"));

	if (junk != 0 && bits & junk && !(bits & notjunk))
		return notjunk;
	if (notjunk != 0 && bits & notjunk && !(bits & junk))
		return junk;
	return 0;
}

/* The new flags of all messages of the set, those left alone excepted. */
static void
put_new_flags(struct session *s, const struct ranges *seqs,
    const struct ranges *modified, bool is_uid)
{
	struct message m;
	uint32_t seq;
	size_t i;

	for (i = 0; i < seqs->n && !s->out.is_dead; i++)
		for (seq = seqs->v[i].lo; seq <= seqs->v[i].hi; seq++) {
			mailbox_get(s->mbox, seq, &m);
			if (!ranges_has(modified, m.uid))
				put_flags_update(s, seq, &m);
		}
}

/* RFC 7162, 3.1.3: after .SILENT the mod-sequence still is told. */
static void
put_new_modseqs(struct session *s, const struct ranges *changed)
{
	struct message m;
	uint32_t uid, seq;
	size_t i;

	for (i = 0; i < changed->n; i++)
		for (uid = changed->v[i].lo; uid <= changed->v[i].hi; uid++) {
			if ((seq = mailbox_seq(s->mbox, uid)) == 0)
				continue;
			mailbox_get(s->mbox, seq, &m);
			out_puts(&s->out, "* ");
			out_uint(&s->out, seq);
			out_puts(&s->out, " FETCH (UID ");
			out_uint(&s->out, m.uid);
			out_puts(&s->out, " ");
			put_modseq(s, m.modseq);
			out_puts(&s->out, ")\r\n");
			out_check(&s->out);
		}
}

/* [MODIFIED set]: UIDs for UID STORE, else numbers (RFC 7162, 3.1.3). */
static void
reply_modified(struct session *s, const struct imap_command *c,
    const struct ranges *modified)
{
	struct ranges seqs;
	struct buf code;
	uint32_t uid, seq;
	size_t i;

	ranges_init(&seqs, SET_MAX);
	buf_init(&code, OUT_MAX);
	buf_puts(&code, "MODIFIED ");
	if (c->is_uid)
		ranges_print(modified, &code);
	else {
		for (i = 0; i < modified->n; i++)
			for (uid = modified->v[i].lo; uid <= modified->v[i].hi;
			     uid++)
				if ((seq = mailbox_seq(s->mbox, uid)) != 0)
					ranges_add(&seqs, seq, seq);
		ranges_print(&seqs, &code);
	}
	reply_ok(s, c->tag, buf_cstr(&code), "some were changed by others");
	buf_release(&code);
	ranges_release(&seqs);
}

/* What STORE's arguments mean for this mailbox; -1: *e. */
static int
plan(struct session *s, const struct imap_store *st, struct flag_change *ch,
    uint64_t *opposite, struct err *e)
{
	unsigned known;

	*ch = (struct flag_change){ .flags = (uint16_t)st->flags.system,
		.has_unchangedsince = st->has_unchangedsince,
		.unchangedsince = st->unchangedsince };
	*opposite = 0;
	switch (st->how) {
	case IMAP_STORE_ADD:
		ch->how = FLAGS_ADD;
		break;
	case IMAP_STORE_REMOVE:
		ch->how = FLAGS_REMOVE;
		ch->keywords = keywords_known(s->mbox, &st->flags);
		return 0;
	case IMAP_STORE_REPLACE:
		ch->how = FLAGS_REPLACE;
		break;
	}
	known = mailbox_keywords(s->mbox);
	if (keywords_define(s->mbox, &st->flags, &ch->keywords, e) == -1)
		return -1;
	if (mailbox_keywords(s->mbox) > known)
		put_flags_response(s);
	if (st->how == IMAP_STORE_ADD)
		*opposite = junk_opposite(s->mbox, ch->keywords);
	return 0;
}

static int
apply(struct session *s, const struct flag_change *ch, uint64_t opposite,
    const struct ranges *uids, struct ranges *changed, struct ranges *modified,
    struct err *e)
{
	struct flag_change off = { .how = FLAGS_REMOVE, .keywords = opposite };

	if (uids->n == 0)
		return 0;
	if (mailbox_store(s->mbox, uids, ch, changed, modified, e) == -1)
		return -1;
	if (opposite != 0 && changed->n > 0)
		return mailbox_store(s->mbox, changed, &off, NULL, NULL, e);
	return 0;
}

void
run_store(struct session *s, const struct imap_command *c)
{
	const struct imap_store *st = &c->u.store;
	struct ranges seqs, uids, changed, modified;
	struct flag_change ch;
	uint64_t opposite;
	struct err e;

	if (s->is_examine) {
		reply_no(s, c->tag, "CANNOT", "mailbox is read-only");
		return;
	}
	if (!set_resolve(s, &st->set, c->is_uid, &seqs)) {
		ranges_release(&seqs);
		reply_bad(s, c->tag, NULL, "no such message number", STR(""));
		return;
	}
	if (st->has_unchangedsince)
		condstore_enable(s);
	set_to_uids(s, &seqs, &uids);
	ranges_init(&changed, SET_MAX);
	ranges_init(&modified, SET_MAX);
	if (plan(s, st, &ch, &opposite, &e) == -1) {
		if (e.kind == ERR_PERM)
			reply_no(s, c->tag, "LIMIT", e.text);
		else
			reply_err(s, c->tag, &e);
	} else if (apply(s, &ch, opposite, &uids, &changed, &modified, &e) ==
		   -1)
		reply_err(s, c->tag, &e);
	else {
		if (!st->is_silent)
			put_new_flags(s, &seqs, &modified, c->is_uid);
		else if (s->has_condstore)
			put_new_modseqs(s, &changed);
		changes_tell(s, c->is_uid);
		if (modified.n > 0)
			reply_modified(s, c, &modified);
		else
			reply_ok(s, c->tag, NULL, "STORE done");
	}
	ranges_release(&seqs);
	ranges_release(&uids);
	ranges_release(&changed);
	ranges_release(&modified);
}
