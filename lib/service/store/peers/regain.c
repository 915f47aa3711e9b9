/*
 * regain - what a damaged journal has lost and the files that we keep for
 * others still say: UIDs (dovecot-uidlist), names of keywords
 * (dovecot-keywords); flags are in the names of the messages.
 *
 * 1. It goes into the journal that takes the damaged one's place before that
 *    has its name, each ADD where its UID belongs: what still stands and comes
 *    later (flags, an expunge) applies to it.
 * 2. A UID is believed if the list is of this UIDVALIDITY, the message's file
 *    is there and is no other message's, and nothing that stands has given
 *    the UID out. All below those of the index are known.
 * 3. Byte 0 is held, so dovecot-uidlist.lock is not taken (its place is
 *    before): the list is replaced by rename and appended to by lines. Nor is
 *    byte 3: a file that a rename hides gets a new UID, as all did without
 *    this.
 * 4. The last transaction says that something was lost. A stop before the
 *    journal has its name leaves the damaged one, after it nothing to do.
 */
#include "service/store/index_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define ADDS_PER_TXN  1000 /* the file appears whole: any number will do */
#define READ_TRIES    5
#define UID_GAP	      1000 /* as many may be in no list */
#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_MAX  65536

struct regain {
	struct mailbox *m;
	struct salvage *from;
	struct journal *to;
	struct view v; /* of what stands; then of what was written */
	struct ops ops;
	uint32_t uid_min; /* lower ones are the index's, or were expunged */
	struct uidlist list;
	uint64_t *hashes; /* of the messages that are known, ascending */
	size_t nhashes;
	struct arrivals lost; /* by UID */
	size_t nwritten;
	struct str keywords[STORE_MAX_KEYWORDS];
	unsigned nkeywords;
	bool has_lost_keyword;
	struct ranges touched; /* UIDs of which clients may know more */
	struct err *e;
};

/* ---- what stands ---- */

/* The state that the journal goes on from. */
static bool
load_base(struct regain *r)
{
	struct journal *j = &r->m->j;

	view_release(&r->v);
	r->v.is_loading = true;
	return j->index_gen == 0 || index_load(r->m, j, &r->v, NULL) == 0;
}

static void
learn_keyword(struct regain *r, const struct op *op)
{
	struct op_name k;

	if (!op_name_unpack(op->body, &k) || k.number >= STORE_MAX_KEYWORDS ||
	    r->keywords[k.number].p != NULL)
		return;
	r->keywords[k.number] = str_make(str_dup(k.name), k.name.n);
	if (k.number >= r->nkeywords)
		r->nkeywords = k.number + 1;
}

static int
learn(void *arg, const struct txn *t)
{
	struct regain *r = arg;
	struct cur c;
	struct op op;

	cur_init(&c, t->ops);
	while (op_next(&c, &op))
		if (op.type == OP_KWDEF)
			learn_keyword(r, &op);
	return view_apply(&r->v, t);
}

static int
hash_cmp(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
}

static bool
learn_all(struct regain *r)
{
	uint32_t row;
	unsigned i;

	if (!load_base(r))
		return false;
	r->uid_min = r->v.c.uidnext;
	for (i = 0; i < r->v.nkeywords; i++)
		r->keywords[i] =
		    str_make(str_dup(r->v.keywords[i]), r->v.keywords[i].n);
	r->nkeywords = r->v.nkeywords;
	if (salvage_each(r->from, learn, r) == -1)
		return false;
	r->hashes = xreallocarray(NULL, r->v.n + 1, sizeof(*r->hashes));
	for (row = 0; row < r->v.n; row++)
		if ((r->v.st[row] & ST_GHOST) == 0)
			r->hashes[r->nhashes++] = r->v.uhash[row];
	qsort(r->hashes, r->nhashes, sizeof(*r->hashes), hash_cmp);
	return true;
}

/* ---- what others' files say ---- */

static bool
is_taken(const struct regain *r, struct str name)
{
	unsigned i;

	for (i = 0; i < STORE_MAX_KEYWORDS; i++)
		if (str_eq_nocase(r->keywords[i], name))
			return true;
	return false;
}

/* A letter keeps its number, so a definition that is lost can be told. */
static void
find_keywords(struct regain *r)
{
	struct str names[FN_LETTERS] = { { NULL, 0 } };
	struct buf b;
	unsigned n = 0, i;

	buf_init(&b, KEYWORDS_MAX);
	if (fs_read_file(r->m->dirfd, KEYWORDS_FILE, &b, NULL) == 0)
		n = keywords_parse(buf_str(&b), names);
	for (i = 0; i < n; i++) {
		if (names[i].n == 0 || r->keywords[i].p != NULL ||
		    is_taken(r, names[i]))
			continue;
		r->keywords[i] = str_make(str_dup(names[i]), names[i].n);
		r->has_lost_keyword = true;
		if (i >= r->nkeywords)
			r->nkeywords = i + 1;
	}
	buf_release(&b);
}

static void
find_file(struct regain *r, uint32_t dir, int dirfd, const char *file)
{
	const struct uid_line *u;
	struct arrival *f;
	struct stat st;
	struct name n;
	uint64_t hash;

	if (!name_parse(str_from(file), &n))
		return;
	hash = name_hash(n.unique);
	u = uidlist_find(&r->list, hash);
	if (u == NULL || u->uid < r->uid_min ||
	    view_row(&r->v, u->uid) != r->v.n ||
	    bsearch(&hash, r->hashes, r->nhashes, sizeof(hash), hash_cmp) !=
		NULL ||
	    fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !arrivals_add(&r->lost, file, dir, &st))
		return;
	f = &r->lost.v[r->lost.n - 1];
	f->uid = u->uid;
	f->has_guid = u->has_guid;
	memcpy(f->emailid, u->guid, 16);
	arrival_sized(f, u->vsize);
}

/* false: names changed meanwhile, and some may have been missed */
static bool
find_files_in(struct regain *r, uint32_t dir)
{
	DIR *d = fs_read_dir(r->m->dirfd, dir == 1 ? "new" : "cur");
	struct stat before, after;
	struct dirent *de;
	bool is_stable;

	if (d == NULL)
		return true;
	is_stable = fstat(dirfd(d), &before) == 0;
	while ((de = readdir(d)) != NULL)
		find_file(r, dir, dirfd(d), de->d_name);
	is_stable = is_stable && fstat(dirfd(d), &after) == 0 &&
		    stat_mtime(&before) == stat_mtime(&after);
	closedir(d);
	return is_stable;
}

/* Each UID once: of two files that claim it the other gets a new one. */
static void
settle(struct arrivals *l)
{
	size_t n = 0, i;

	arrivals_sort(l);
	for (i = 0; i < l->n; i++)
		if (n > 0 && l->v[n - 1].uid == l->v[i].uid)
			free(l->v[i].file);
		else
			l->v[n++] = l->v[i];
	l->n = n;
}

static void
find_files(struct regain *r)
{
	struct mailbox *m = r->m;
	bool is_stable = false;
	int tries;

	if (!m->account->exports || !uidlist_read(m->dirfd, false, &r->list) ||
	    r->list.kind == UIDLIST_COURIER ||
	    r->list.uidvalidity != m->j.uidvalidity) {
		/* nobody keeps it, or it is of another numbering */
		uidlist_release(&r->list);
		return;
	}
	for (tries = 0; tries < READ_TRIES && !is_stable; tries++) {
		arrivals_release(&r->lost);
		/* new/ first: that is the way they go */
		is_stable = find_files_in(r, 1);
		is_stable &= find_files_in(r, 0);
	}
	settle(&r->lost);
}

/* ---- writing ---- */

/* What is in r->ops, into the view and the journal. */
static int
append(struct regain *r, uint16_t flags, uint64_t modseq, uint32_t gap)
{
	struct txn t = { .off = r->to->end,
		.modseq = modseq,
		.boot = boot_id(),
		.ops = str_sub(buf_str(&r->ops.b), TXN_HEAD, r->ops.b.n) };
	int rc;

	if (r->ops.n == 0)
		return 0;
	if (view_apply(&r->v, &t) == -1)
		return err_set(r->e, ERR_PERM, "regain: %s", r->v.why);
	if (gap < UINT32_MAX - r->v.c.uidnext)
		r->v.c.uidnext += gap;
	rc =
	    journal_append(r->to, &r->ops, flags, modseq, &r->v.c, false, r->e);
	ops_clear(&r->ops);
	return rc;
}

/* Not newer than what comes behind it. */
static uint64_t
modseq_here(const struct regain *r)
{
	return r->to->modseq > r->v.modseq_now ? r->to->modseq :
						 r->v.modseq_now;
}

static int
write_keywords(struct regain *r)
{
	struct op_name k = { .extra = STR("") };
	unsigned i;

	for (i = r->v.nkeywords; r->has_lost_keyword && i < r->nkeywords; i++) {
		k.number = i;
		k.name = r->keywords[i];
		if (k.name.p != NULL)
			op_name_pack(&r->ops, OP_KWDEF, &k);
	}
	return append(r, TXN_FOREIGN, modseq_here(r), 0);
}

/* A UID between two that were added at once is nobody's: a new one then. */
static bool
is_in_order(const struct regain *r, const struct arrival *f)
{
	return r->v.n == 0 || f->uid > r->v.uid[r->v.n - 1];
}

static int
write_lost(struct regain *r, uint32_t below)
{
	struct arrivals *l = &r->lost;

	for (; r->nwritten < l->n && l->v[r->nwritten].uid < below;
	     r->nwritten++) {
		struct arrival *f = &l->v[r->nwritten];

		if (!is_in_order(r, f))
			continue;
		if (l->n <= MEASURE_MAX)
			arrival_measure(r->m, f);
		arrival_pack(&r->ops, &r->v, f, f->uid, modseq_here(r));
		ranges_add(&r->touched, f->uid, f->uid);
		if (r->ops.n >= ADDS_PER_TXN &&
		    append(r, TXN_FOREIGN, modseq_here(r), 0) == -1)
			return -1;
	}
	return append(r, TXN_FOREIGN, modseq_here(r), 0);
}

/*
 * UIDs that had been given out before this one: UIDs ascend, and what it says
 * of messages is of those that were there.
 */
static uint32_t
uids_before(const struct txn *t)
{
	struct op_add add;
	struct cur c;
	struct op op;

	cur_init(&c, t->ops);
	while (op_next(&c, &op))
		if (op.type == OP_ADD && op_add_unpack(op.body, &add))
			return add.uid;
	return t->c.uidnext;
}

/*
 * A scan compared a name with the one that we had given, which may be lost
 * with the flags it was for: what differs from the one that is left was
 * changed by others, or by us.
 */
static void
heal_row(struct regain *r, uint32_t row, uint32_t fn)
{
	const struct view *v = &r->v;
	uint32_t delta = v->fn[row] ^ fn;
	struct op_flags f = { 0 };

	if ((v->st[row] & ST_GHOST) != 0 || view_had_name(&r->v, row, fn) ||
	    ((v->st[row] & (ST_INTENT | ST_OLDBOOT)) != 0 && fn == v->fnx[row]))
		return;
	view_flags_of(v, delta & fn, &f.add, &f.kwadd);
	view_flags_of(v, delta & ~fn, &f.rem, &f.kwrem);
	if ((f.add & ~v->flags[row]) == 0 && (f.rem & v->flags[row]) == 0 &&
	    (f.kwadd & ~v->kw[row]) == 0 && (f.kwrem & v->kw[row]) == 0)
		return;
	op_flags_begin(&r->ops, &f);
	op_u32(&r->ops, v->uid[row]);
	op_u32(&r->ops, v->uid[row]);
	op_end(&r->ops);
	ranges_add(&r->touched, v->uid[row], v->uid[row]);
}

/* Where nothing was lost this says before what the transaction says again. */
static int
write_healed(struct regain *r, const struct txn *t)
{
	struct cur c;
	struct op op;
	size_t n, i;

	cur_init(&c, t->ops);
	while ((t->flags & TXN_FOREIGN) != 0 && op_next(&c, &op)) {
		if (op.type != OP_MERGED || !op_tuples(op.body, 3, &n))
			continue;
		for (i = 0; i < n; i++) {
			uint32_t row =
			    view_row(&r->v, op_tuple(op.body, 3, i, 0));

			if (row < r->v.n &&
			    op_tuple(op.body, 3, i, 2) != WHERE_NEW)
				heal_row(r, row, op_tuple(op.body, 3, i, 1));
		}
	}
	return append(r, TXN_FOREIGN, modseq_here(r), 0);
}

static int
write_one(void *arg, const struct txn *t)
{
	struct regain *r = arg;
	struct txn here = *t;
	int rc;

	if (write_lost(r, uids_before(t)) == -1 || write_healed(r, t) == -1)
		return -1;
	here.off = r->to->end;
	if (view_apply(&r->v, &here) == -1)
		return err_set(r->e, ERR_PERM, "regain: %s", r->v.why);
	rc = journal_carry(r->to, &r->ops, t, r->e);
	ops_clear(&r->ops);
	return rc;
}

/*
 * Clients may know other flags of what is back, and expunges that are lost;
 * what was recorded of the directories holds no more.
 */
static int
write_end(struct regain *r)
{
	const struct pub *p = &r->m->j.pub;
	struct op_flags same = { 0 };
	uint64_t modseq;
	size_t i;

	if (r->m->j.pub_ok && p->modseq > r->to->modseq)
		r->to->modseq = p->modseq;
	if (r->m->j.pub_ok && p->c.uidnext > r->v.c.uidnext)
		r->v.c.uidnext = p->c.uidnext;
	if (r->list.uidnext > r->v.c.uidnext)
		r->v.c.uidnext = r->list.uidnext;
	modseq = journal_next_modseq(r->to);
	op_words_pack(&r->ops, OP_BOOT, r->to->last_boot, UID_GAP);
	op_words_pack(&r->ops, OP_FLOOR, modseq, 0);
	for (i = 0; i < 2; i++)
		op_scan_pack(&r->ops, &(struct op_scan){ .dir = (uint32_t)i });
	if (r->touched.n > 0)
		op_flags_begin(&r->ops, &same);
	for (i = 0; i < r->touched.n; i++) {
		op_u32(&r->ops, r->touched.v[i].lo);
		op_u32(&r->ops, r->touched.v[i].hi);
	}
	if (r->touched.n > 0)
		op_end(&r->ops);
	return append(r, TXN_BOOT, modseq, UID_GAP);
}

static int
write_all(struct regain *r)
{
	if (write_keywords(r) == -1 ||
	    salvage_each(r->from, write_one, r) == -1 ||
	    write_lost(r, UINT32_MAX) == -1)
		return -1;
	return write_end(r);
}

int
mailbox_regain(
    void *arg, struct salvage *from, struct journal *to, struct err *e)
{
	struct mailbox *m = arg;
	struct regain r = { .m = m, .from = from, .to = to, .e = e };
	unsigned i;
	int rc = 1;

	view_init(&r.v);
	ops_init(&r.ops);
	ranges_init(&r.touched, 1 << 20);
	if (learn_all(&r)) {
		find_keywords(&r);
		find_files(&r);
		stream_note_adopted(m->account, to->mailboxid);
		rc = load_base(&r) ? write_all(&r) : 1;
	}
	mailbox_log(m, 0, "store.salvaged",
	    rc == 0 && r.lost.n > 0 ?
		"journal is damaged: UIDs it lost are in dovecot-uidlist" :
		"journal is damaged: what stands of it is kept");
	view_release(&r.v);
	ops_release(&r.ops);
	ranges_release(&r.touched);
	uidlist_release(&r.list);
	arrivals_release(&r.lost);
	free(r.hashes);
	for (i = 0; i < STORE_MAX_KEYWORDS; i++)
		free((char *)r.keywords[i].p);
	return rc;
}
