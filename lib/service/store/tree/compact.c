/*
 * compact - the account's journal written anew when most of it is history.
 *
 * 1. Under byte 0: journal.tmp with one transaction that says the tree, and
 *    the last UIDVALIDITY, which must never be given out again; synced. The
 *    journal gets its second name, journal.G; journal.tmp takes its name;
 *    fsync of the directory. A stop leaves one or the other, and both say the
 *    same.
 * 2. Sessions that follow the old one find another file under the name and
 *    read the tree from it.
 * 3. One generation before is kept: special uses and subscriptions are in no
 *    other file. When the journal is lost the tree begins with what that says,
 *    and the folders that are there.
 * 4. Not while a RENAME or DELETE has not come to its end.
 */
#include "service/store/index_int.h"
#include "service/store/layout_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "system/fs/fs.h"

#define GROWN 4 /* times what it began with */

uint64_t store_tree_min = 256 * 1024; /* costs a millisecond to read */

bool
compact_is_due(const struct account *a)
{
	return !a->opts.readonly && a->tree.nmoving == 0 &&
	       a->tree.ndeleting == 0 && a->j.end > store_tree_min &&
	       a->j.end > GROWN * a->j.carry_end;
}

void
tree_pack(struct ops *o, const struct tree *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		op_mbox_pack(o, &t->v[i]);
	for (i = 0; i < t->nsubs; i++) {
		op_begin(o, OP_SUB, 0);
		op_bytes(o, str_from(t->subs[i]));
		op_end(o);
	}
	op_begin(o, OP_UIDVALIDITY, OP_OPTIONAL);
	op_u32(o, t->uidvalidity);
	op_u32(o, 0);
	op_end(o);
}

static int
fill(void *arg, struct journal *j, struct err *e)
{
	static const struct counters none;
	struct account *a = arg;

	return journal_append(j, &a->ops, 0, j->modseq, &none, false, e);
}

/* In place of the journal there is, or is not. Its byte 0 is held. */
static int
write_anew(struct account *a, struct err *e)
{
	struct journal_spec spec = { .kind = JOURNAL_ACCOUNT,
		.uidvalidity = 1,
		.modseq = a->j.modseq,
		.fill = fill,
		.arg = a };
	int rc;

	ops_clear(&a->ops);
	tree_pack(&a->ops, &a->tree);
	spec.carry_end = JOURNAL_HEAD + a->ops.b.n + TXN_FOOT;
	rc = journal_create(&a->j, &spec, e);
	ops_clear(&a->ops);
	return rc;
}

int
account_compact(struct account *a, struct err *e)
{
	uint64_t gen = a->j.gen;
	char name[32];

	index_name("journal", gen, name);
	if (step_unlink(a->acctfd, name) == -1 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	if (step_link(a->acctfd, "journal", a->acctfd, name) == -1)
		return err_sys(e, "keep %s", name);
	if (write_anew(a, e) == -1) {
		/* the old one stands: go on with it */
		a->j.gen = gen;
		return account_load(a, NULL) == -1 ? -1 : 1;
	}
	journal_publish(&a->j, &(struct counters){ 0 }, NULL, NULL);
	index_name("journal", gen - 1, name);
	(void)step_unlink(a->acctfd, name);
	return 0;
}

void
compact_if_due(struct account *a)
{
	struct err e = { 0 };

	if (compact_is_due(a) && account_compact(a, &e) != 0)
		account_log(a, 1, "store.compact", e.text);
}

/* ---- when it is lost ---- */

static uint64_t
last_kept(const struct account *a)
{
	DIR *d = fs_read_dir(a->acctfd, ".");
	struct dirent *de;
	uint64_t last = 0, k;

	if (d == NULL)
		return 0;
	while ((de = readdir(d)) != NULL)
		if (index_is_name(de->d_name, "journal", &k) && k > last)
			last = k;
	closedir(d);
	return last;
}

int
account_regain(struct account *a, struct err *e)
{
	uint64_t gen = last_kept(a);
	struct journal kept;
	struct stat st;
	char name[32];
	int rc;

	if (gen == 0)
		return 0;
	index_name("journal", gen, name);
	journal_init(&kept, JOURNAL_ACCOUNT, a->acctfd, true);
	if (journal_open_as(&kept, name, NULL) == -1 ||
	    fstat(kept.fd, &st) == -1)
		return 0;
	tree_release(&a->tree);
	/* damaged: as far as it goes */
	(void)journal_read(
	    &kept, (uint64_t)st.st_size, tree_apply, &a->tree, NULL);
	journal_release(&kept);
	if (a->tree.n == 0)
		return 0;
	account_log(a, 0, "store.rescued",
	    "the account's journal is gone: begun with the one before");
	/* readers of the lost one must not take this for it */
	a->j.gen = gen + 1;
	a->j.modseq = kept.modseq + 1;
	stream_note_tree_anew(a);
	rc = write_anew(a, e);
	return rc == -1 ? -1 : 1;
}
