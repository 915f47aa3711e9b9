/*
 * scan - taking in what others did to the Maildir.
 *
 * 1. The directories are read only when their state is not the one the
 *    journal knows; whoever is about to register files of ours is waited for
 *    (byte 4), who renames is waited for (byte 3).
 * 2. Names are merged three ways: the name we know, the name now, the flags.
 *    Both sides' changes survive; of the same bit the later scan's.
 * 3. A scan never unlinks. What is one name too many goes to quire/exp.
 * 4. A file is gone when its names are, in directories that stood still
 *    while they were read. When everything is gone nothing is believed.
 */
#include "service/store/scan_int.h"

#include <stdlib.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define REGISTER_MS 50 /* a deliverer needs one sync */

bool
scan_is_due(struct mailbox *m)
{
	int fds[2] = { m->curfd, m->newfd }, i;
	struct stat st;

	if (m->must_scan)
		return true;
	for (i = 0; i < 2; i++) {
		if (fstat(fds[i], &st) == -1 ||
		    (stat_mtime(&st) == m->v.scan[i].mtime &&
			racy_due_ms(m, i) != 0))
			continue;
		if (stat_mtime(&st) != m->young_mtime[i] ||
		    date_mono_ms() >= m->young_until)
			return true;
	}
	return false;
}

/* ---- writing it down ---- */

static int
diff_cmp(const void *va, const void *vb)
{
	const struct diff *a = va, *b = vb;

	if (a->add != b->add)
		return a->add < b->add ? -1 : 1;
	if (a->rem != b->rem)
		return a->rem < b->rem ? -1 : 1;
	if (a->kwadd != b->kwadd)
		return a->kwadd < b->kwadd ? -1 : 1;
	if (a->kwrem != b->kwrem)
		return a->kwrem < b->kwrem ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static bool
same_masks(const struct diff *a, const struct diff *b)
{
	return a->add == b->add && a->rem == b->rem && a->kwadd == b->kwadd &&
	       a->kwrem == b->kwrem;
}

static void
pack_flags(struct scan *s)
{
	struct view *v = &s->m->v;
	struct ops *o = &s->m->ops;
	size_t i = 0, k;

	if (s->ndiffs > 1)
		qsort(s->diffs, s->ndiffs, sizeof(*s->diffs), diff_cmp);
	while (i < s->ndiffs) {
		struct diff *d = &s->diffs[i];
		struct op_flags f = { .add = d->add,
			.rem = d->rem,
			.kwadd = d->kwadd,
			.kwrem = d->kwrem };

		for (k = i; k < s->ndiffs && same_masks(&s->diffs[k], d);)
			k++;
		if ((f.add | f.rem) != 0 || (f.kwadd | f.kwrem) != 0) {
			op_flags_begin(o, &f);
			for (; i < k; i++) {
				op_u32(o, v->uid[s->diffs[i].row]);
				op_u32(o, v->uid[s->diffs[i].row]);
			}
			op_end(o);
			s->has_changes = true;
		}
		i = k;
	}
}

static void
pack_merged(struct scan *s)
{
	struct view *v = &s->m->v;
	struct ops *o = &s->m->ops;
	bool is_renamed = false;
	size_t i;

	for (i = 0; i < s->ndiffs; i++)
		if (s->diffs[i].base != NULL) {
			struct op_name r = { v->uid[s->diffs[i].row],
				str_from(s->diffs[i].base),
				str_from(s->diffs[i].extra) };

			op_name_pack(o, OP_RENAME, &r);
			is_renamed = true;
		}
	if (is_renamed)
		export_forget(s->m);
	if (s->ndiffs == 0)
		return;
	op_begin(o, OP_MERGED, 0);
	for (i = 0; i < s->ndiffs; i++) {
		op_u32(o, v->uid[s->diffs[i].row]);
		op_u32(o, s->diffs[i].fn);
		op_u32(o, s->diffs[i].where);
	}
	op_end(o);
}

static void
pack_new(struct scan *s)
{
	struct mailbox *m = s->m;
	uint64_t modseq = journal_next_modseq(&m->j);
	uint32_t uid = m->v.c.uidnext;
	size_t i;

	arrivals_sort(&s->new);
	for (i = 0; i < s->new.n &&uid < UINT32_MAX; i++) {
		struct arrival *f = &s->new.v[i];

		if (s->new.n <= MEASURE_MAX)
			arrival_measure(m, f);
		coexist_touch(m);
		uid = import_uid(&s->import, f->uid, uid);
		arrival_pack(&m->ops, &m->v, f, uid++, modseq);
		s->has_changes = true;
	}
	s->has_changes |= import_pack(m, &s->import, uid);
}

/*
 * Both directories were read as they stood: what was expunged before has been
 * moved away by now, or is not there.
 */
static void
pack_buried(struct scan *s)
{
	size_t i;

	if (!s->stood_still || !s->reads[0] || !s->reads[1] || s->ngone == 0)
		return;
	op_begin(&s->m->ops, OP_BURIED, 0);
	for (i = 0; i < s->ngone; i++)
		if (!s->gone[i].is_stuck) {
			op_u32(&s->m->ops, s->gone[i].uid);
			op_u32(&s->m->ops, s->gone[i].uid);
		}
	op_end(&s->m->ops);
}

static void
pack_state(struct scan *s)
{
	uint32_t i;

	for (i = 0; i < 2; i++) {
		struct op_scan o = { .dir = i,
			.is_stable = 1,
			.dev = s->st[i].st_dev,
			.ino = s->st[i].st_ino,
			.mtime = stat_mtime(&s->st[i]),
			.nfiles = s->nfiles };

		if (s->reads[i] && (s->m->v.scan[i].mtime != o.mtime ||
				       !s->m->v.scan[i].is_stable))
			op_scan_pack(&s->m->ops, &o);
	}
}

/* Letters that only dovecot-keywords can name, or P without its keyword. */
static int
define_letters(struct scan *s, struct err *e)
{
	struct view *v = &s->m->v;
	struct op_name fwd = { 0, STR("$Forwarded"), STR("") };
	uint32_t used = 0, known;
	struct name n;
	size_t i;

	for (i = 0; i < s->ndiffs; i++)
		used |= s->diffs[i].fn;
	for (i = 0; i < s->new.n; i++)
		if (name_parse(str_from(s->new.v[i].file), &n))
			used |= n.fn;
	known = v->nkeywords >= FN_LETTERS ? ~0u : FN_LETTER(v->nkeywords) - 1;
	if ((used & ~known) == 0 && ((used & FN_P) == 0 || v->forwarded >= 0))
		return 0;
	/* apart, so that what follows can use them */
	keywords_read(s->m->dirfd, v, &s->m->ops, NULL);
	if (mailbox_append(s->m, TXN_FOREIGN, true, false, e) == -1)
		return -1;
	if ((used & FN_P) == 0 || v->forwarded >= 0 ||
	    v->nkeywords == STORE_MAX_KEYWORDS)
		return 0;
	fwd.number = v->nkeywords;
	op_name_pack(&s->m->ops, OP_KWDEF, &fwd);
	if (mailbox_append(s->m, TXN_FOREIGN, true, false, e) == -1)
		return -1;
	/* its letter will be in names: it must have one for others too */
	if (fwd.number < FN_LETTERS)
		keywords_write(s->m);
	return 0;
}

/*
 * What another server's list says of the new files. One it names and we have
 * not seen, in a directory that did not stand still, is there all the same:
 * then nothing new is taken in before it is found.
 */
static void
import(struct scan *s)
{
	struct mailbox *m = s->m;

	import_begin(m, &s->import);
	import_assign(m, &s->import, &s->new);
	import_compare(m, &s->import);
	if (s->stood_still || s->import.nunknown <= s->import.nfound)
		return;
	import_release(&s->import);
	s->import = (struct import){ .next = 1 };
	arrivals_release(&s->new);
	m->import_waits = true;
}

static int
settle(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	size_t missing;

	scan_judge_strays(s);
	import(s);
	if (define_letters(s, e) == -1)
		return -1;
	scan_judge_names(s);
	missing = scan_judge_missing(s);
	if (missing == 0 || scan_is_mass_loss(s, missing)) {
		s->is_loss = missing > 0;
		ops_clear(&m->ops);
	} else
		s->has_changes = true;
	pack_flags(s);
	pack_merged(s);
	pack_new(s);
	pack_buried(s);
	if (!s->is_unstable && !s->is_loss)
		pack_state(s);
	/* Makes true the UIDs that sessions are about to show. */
	return mailbox_append(
	    m, TXN_FOREIGN, !s->has_changes, s->has_changes, e);
}

static int
scan_locked(struct scan *s, struct err *e)
{
	struct mailbox *m = s->m;
	int rc, i;

	/* with the tail applied: perhaps it was one of us after all */
	if (mailbox_follow(m, e) == -1)
		return -1;
	if (m->is_dead || !scan_is_due(m))
		return 0;
	if (scan_read_stable(s, e) == -1 || mailbox_lock(m, e) == -1)
		return -1;
	rc = settle(s, e);
	ops_clear(&m->ops);
	mailbox_unlock(m);
	if (rc == 0)
		import_done(m, &s->import);
	import_release(&s->import);
	if (rc == -1)
		return -1;
	m->must_scan = !s->stood_still && m->must_scan;
	if (s->is_loss)
		mailbox_log(m, 0, "store.massloss",
		    "all files are gone: nothing is expunged");
	if (s->is_unstable || s->is_loss) {
		for (i = 0; i < 2; i++)
			m->young_mtime[i] = stat_mtime(&s->st[i]);
		m->young_until = date_mono_ms() + store_young_s * 1000;
	}
	return 0;
}

int
mailbox_scan(struct mailbox *m, struct err *e)
{
	struct scan s = { .m = m };
	struct err ignored;
	int rc = -1;

	if (mailbox_follow(m, e) == -1)
		return -1;
	if (m->is_dead || !scan_is_due(m))
		return 0;
	/* it gives out UIDs; a server that is at it has us look later */
	if (coexist_begin(m, COEXIST_SCAN_MS, e) == -1)
		return e != NULL && e->kind != ERR_TEMP ? -1 : 0;
	s.has_register = fs_lock(m->j.lockfd, LOCK_REGISTER, true, REGISTER_MS,
			     &ignored) == 0;
	if (fs_lock(m->j.lockfd, LOCK_SCAN, true, m->j.lock_ms, e) == 0) {
		rc = scan_locked(&s, e);
		fs_unlock(m->j.lockfd, LOCK_SCAN);
	}
	if (s.has_register)
		fs_unlock(m->j.lockfd, LOCK_REGISTER);
	coexist_end(m);
	scan_clear(&s);
	free(s.diffs);
	free(s.strays);
	return rc;
}
