/*
 * flags - STORE and keywords.
 *
 * 1. The journal is the truth; names follow, when the client has its answer
 *    (mailbox_tidy()). Up to MIRROR_NOW messages have their intents in the
 *    same transaction.
 * 2. UNCHANGEDSINCE is judged under the lock, at the end of the journal.
 */
#include "service/store/store_int.h"

#include <string.h>

#include "base/pack.h"

/* ---- keywords ---- */

unsigned
mailbox_keywords(struct mailbox *m)
{
	return m->v.nkeywords;
}

struct str
mailbox_keyword(struct mailbox *m, unsigned bit)
{
	return bit < m->v.nkeywords ? m->v.keywords[bit] : STR("");
}

int
mailbox_keyword_bit(struct mailbox *m, struct str name)
{
	unsigned i;

	for (i = 0; i < m->v.nkeywords; i++)
		if (str_eq_nocase(m->v.keywords[i], name))
			return (int)i;
	return -1;
}

/* An IMAP atom: it is printed in replies and in dovecot-keywords. */
bool
keyword_is_valid(struct str name)
{
	size_t i;

	if (name.n == 0 || name.n > STORE_MAX_KEYWORD_LEN)
		return false;
	for (i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c >= 127 || strchr("(){%*\"\\]", c) != NULL)
			return false;
	}
	return true;
}

int
mailbox_keyword_define(
    struct mailbox *m, struct str name, unsigned *bit, struct err *e)
{
	struct op_name k = { .name = name, .extra = STR("") };
	int at = mailbox_keyword_bit(m, name), rc = 0;

	if (at >= 0) {
		*bit = (unsigned)at;
		return 0;
	}
	if (m->readonly)
		return err_set(e, ERR_PERM, "mailbox is read-only");
	if (!keyword_is_valid(name))
		return err_set(e, ERR_PERM, "not a keyword");
	/* Dovecot gives out letters under this lock */
	if (coexist_begin(m, m->j.lock_ms, e) == -1)
		return -1;
	if (mailbox_lock(m, e) == -1) {
		coexist_end(m);
		return -1;
	}
	/* Others may have given out the next letter. A list that is not the
	 * one we wrote is taken in first. */
	keywords_read(m->dirfd, &m->v, &m->ops, NULL);
	rc = mailbox_append(m, TXN_FOREIGN, true, false, e);
	/* somebody else may have defined it meanwhile */
	if (rc == 0 && (at = mailbox_keyword_bit(m, name)) < 0) {
		if (m->v.nkeywords == STORE_MAX_KEYWORDS)
			rc = err_set(e, ERR_PERM, "all %d keywords in use",
			    STORE_MAX_KEYWORDS);
		else {
			k.number = (uint32_t)m->v.nkeywords;
			op_name_pack(&m->ops, OP_KWDEF, &k);
			/* its first use syncs */
			rc = mailbox_append(m, 0, true, false, e);
			at = (int)k.number;
		}
		if (rc == 0 && at < FN_LETTERS)
			keywords_write(m);
	}
	mailbox_unlock(m);
	coexist_end(m);
	if (rc == 0)
		*bit = (unsigned)at;
	return rc;
}

/* ---- STORE ---- */

static void
new_flags(const struct flag_change *fc, uint16_t *flags, uint64_t *kw)
{
	switch (fc->how) {
	case FLAGS_ADD:
		*flags |= fc->flags;
		*kw |= fc->keywords;
		break;
	case FLAGS_REMOVE:
		*flags &= (uint16_t)~fc->flags;
		*kw &= ~fc->keywords;
		break;
	case FLAGS_REPLACE:
		*flags = fc->flags;
		*kw = fc->keywords;
		break;
	}
	*flags &= FLAG_ALL;
}

static void
to_masks(const struct flag_change *fc, struct op_flags *f)
{
	*f = (struct op_flags){ 0 };
	if (fc->how != FLAGS_REMOVE) {
		f->add = fc->flags;
		f->kwadd = fc->keywords;
	}
	if (fc->how == FLAGS_REMOVE) {
		f->rem = fc->flags;
		f->kwrem = fc->keywords;
	} else if (fc->how == FLAGS_REPLACE) {
		f->rem = (uint16_t)~fc->flags & FLAG_ALL;
		f->kwrem = ~fc->keywords;
	}
}

struct store {
	struct mailbox *m;
	const struct flag_change *fc;
	struct ranges *changed, *modified;
	struct ranges revoked; /* a rename was meant and is meant no more */
	uint32_t first, last;  /* UIDs of the open run */
	uint32_t row;	       /* of last */
	size_t n;
};

static void
end_run(struct store *s)
{
	if (s->first == 0)
		return;
	op_u32(&s->m->ops, s->first);
	op_u32(&s->m->ops, s->last);
	if (s->changed != NULL)
		ranges_add(s->changed, s->first, s->last);
	s->first = 0;
}

static void
store_row(struct store *s, uint32_t row)
{
	struct view *v = &s->m->v;
	uint16_t flags = v->flags[row];
	uint64_t kw = v->kw[row];

	if ((v->st[row] & ST_GHOST) != 0) {
		/* the op skips ghosts, but not the list of changes */
		end_run(s);
		return;
	}
	if (s->fc->has_unchangedsince &&
	    v->modseq[row] > s->fc->unchangedsince) {
		if (s->modified != NULL)
			ranges_add(s->modified, v->uid[row], v->uid[row]);
		end_run(s);
		return;
	}
	new_flags(s->fc, &flags, &kw);
	if (flags == v->flags[row] && kw == v->kw[row]) {
		end_run(s);
		return;
	}
	if ((v->st[row] & ST_INTENT) != 0 &&
	    view_want_fn(v, flags, kw, v->fn[row]) == v->fn[row])
		ranges_add(&s->revoked, v->uid[row], v->uid[row]);
	/* A run holds over gaps between UIDs, not over rows left out. In the
	 * list of changes gaps are no harm: those UIDs do not exist. */
	if (s->first == 0 || row != s->row + 1) {
		end_run(s);
		s->first = v->uid[row];
	}
	s->last = v->uid[row];
	s->row = row;
	s->n++;
}

static void
store_range(struct store *s, uint32_t lo, uint32_t hi)
{
	struct view *v = &s->m->v;
	uint32_t row;

	for (row = view_lower(v, lo); row < v->shown && v->uid[row] <= hi;
	     row++)
		store_row(s, row);
}

/* Intents for the renames that follow. */
static void
add_intents(struct mailbox *m, const struct flag_change *fc,
    const struct ranges *changed)
{
	struct view *v = &m->v;
	uint32_t row, fn;
	uint16_t flags;
	uint64_t kw;
	size_t i;

	op_begin(&m->ops, OP_FN, 0);
	for (i = 0; i < changed->n; i++)
		for (row = view_lower(v, changed->v[i].lo);
		     row < v->n && v->uid[row] <= changed->v[i].hi; row++) {
			flags = v->flags[row];
			kw = v->kw[row];
			new_flags(fc, &flags, &kw);
			fn = view_want_fn(v, flags, kw, v->fn[row]);
			if ((v->st[row] & ST_GHOST) == 0 && fn != v->fn[row]) {
				op_u32(&m->ops, v->uid[row]);
				op_u32(&m->ops, fn);
			}
		}
	op_end(&m->ops);
}

/*
 * Set, and taken back before the rename: whose file has the old name still will
 * not be renamed. This says so, or the same change by others would be taken for
 * that rename.
 */
static void
withdraw_intents(struct mailbox *m, const struct ranges *revoked)
{
	struct view *v = &m->v;
	uint32_t row;
	size_t i;

	if (revoked->n == 0)
		return;
	op_begin(&m->ops, OP_MERGED, 0);
	for (i = 0; i < revoked->n; i++)
		for (row = view_lower(v, revoked->v[i].lo);
		     row < v->n && v->uid[row] <= revoked->v[i].hi; row++) {
			if (!row_is_called_as_known(m, row))
				continue;
			op_u32(&m->ops, v->uid[row]);
			op_u32(&m->ops, v->fn[row]);
			op_u32(&m->ops, row_where(v, row));
		}
	op_end(&m->ops);
}

static int
store_locked(struct mailbox *m, const struct ranges *uids, struct store *s,
    struct err *e)
{
	struct op_flags f;
	struct ranges mine;
	size_t i;
	int rc = 0;

	to_masks(s->fc, &f);
	op_flags_begin(&m->ops, &f);
	for (i = 0; i < uids->n; i++)
		store_range(s, uids->v[i].lo, uids->v[i].hi);
	end_run(s);
	op_end(&m->ops);
	if (s->n > 0) {
		if (s->n <= MIRROR_NOW) {
			/* the ranges just written */
			ranges_init(&mine, MIRROR_NOW);
			for (i = TXN_HEAD + OP_HEAD + 24; i + 8 <= m->ops.b.n;
			     i += 8)
				ranges_add(&mine, le32_get(m->ops.b.p + i),
				    le32_get(m->ops.b.p + i + 4));
			add_intents(m, s->fc, &mine);
			ranges_release(&mine);
		}
		withdraw_intents(m, &s->revoked);
		/* Makes true what the OK to STORE says. */
		rc = mailbox_append(m, 0, false, true, e);
	}
	ops_clear(&m->ops);
	return rc;
}

int
mailbox_store(struct mailbox *m, const struct ranges *uids,
    const struct flag_change *fc, struct ranges *changed,
    struct ranges *modified, struct err *e)
{
	struct store s = {
		.m = m, .fc = fc, .changed = changed, .modified = modified
	};
	size_t i;
	int rc;

	if (changed != NULL)
		ranges_clear(changed);
	if (modified != NULL)
		ranges_clear(modified);
	if (m->readonly)
		return err_set(e, ERR_PERM, "mailbox is read-only");
	m->is_read = true;
	if (mailbox_lock(m, e) == -1)
		return -1;
	ranges_init(&s.revoked, SIZE_MAX);
	rc = store_locked(m, uids, &s, e);
	if (rc == 0 && s.n > 0)
		for (i = 0; i < uids->n; i++) {
			view_mirror(&m->v, uids->v[i].lo);
			view_mirror(&m->v, uids->v[i].hi);
		}
	mailbox_unlock(m);
	ranges_release(&s.revoked);
	return rc;
}
