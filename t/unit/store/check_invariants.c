/*
 * verify, continued: invariants that no shell command breaks, because what
 * breaks them has a right checksum.
 */
#include "t_store.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/date.h"
#include "service/store/verify.h"

struct both {
	struct account *a;
	struct mailbox *m;
	struct err e;
};

/* ---- breaking them ---- */

static void
tree_op(struct both *b)
{
	if (account_append(b->a, true, &b->e) == -1)
		ck_abort_msg("tree: %s", b->e.text);
}

static void
second_name(struct both *b)
{
	op_mbox_pack(&b->a->ops,
	    &(struct node){
		.name = (char *)"Archive", .id = { 7 }, .uidvalidity = 7 });
	tree_op(b);
}

static void
second_uidvalidity(struct both *b)
{
	const struct node *n = tree_find(&b->a->tree, STR("Archive"));

	op_mbox_pack(&b->a->ops, &(struct node){ .name = (char *)"Neu",
				     .id = { 7 },
				     .uidvalidity = n->uidvalidity });
	tree_op(b);
}

static void
second_use(struct both *b)
{
	const struct node *n = tree_find(&b->a->tree, STR("Drafts"));

	op_begin(&b->a->ops, OP_USE, 0);
	op_bytes(&b->a->ops, str_make((const char *)n->id, 16));
	op_u32(&b->a->ops, USE_SENT);
	op_end(&b->a->ops);
	tree_op(b);
}

static void
half_deleted(struct both *b)
{
	const struct node *n = tree_find(&b->a->tree, STR("Drafts"));

	op_begin(&b->a->ops, OP_DELBEGIN, 0);
	op_bytes(&b->a->ops, str_make((const char *)n->id, 16));
	op_end(&b->a->ops);
	tree_op(b);
}

static void
mailbox_op(struct both *b)
{
	if (journal_append(&b->m->j, &b->m->ops, 0, b->m->j.modseq, &b->m->v.c,
		true, &b->e) == -1)
		ck_abort_msg("mailbox: %s", b->e.text);
	journal_publish(&b->m->j, &b->m->v.c, b->m->v.scan, NULL);
	ops_clear(&b->m->ops);
	b->m->is_dead = true;
}

static void
unknown_op(struct both *b)
{
	op_begin(&b->m->ops, 9999, 0);
	op_u32(&b->m->ops, 1);
	op_end(&b->m->ops);
	mailbox_op(b);
}

static void
half_moved(struct both *b)
{
	const struct node *n = tree_find(&b->a->tree, STR("Archive"));

	op_begin(&b->m->ops, OP_MOVEFROM, 0);
	op_bytes(&b->m->ops, str_make((const char *)n->id, 16));
	op_u32(&b->m->ops, 1);
	op_u32(&b->m->ops, 1);
	op_end(&b->m->ops);
	mailbox_op(b);
}

static void
generate(struct both *b)
{
	mailbox_unlock(b->m);
	b->m->must_generate = true;
	t_sync(b->m, NULL);
	t_sh("test -e quire/index.*");
	ck_assert_int_eq(mailbox_lock(b->m, &b->e), 0);
}

static void
other_index(struct both *b)
{
	b->m->v.idate[0]++;
	generate(b);
}

static void
other_counters(struct both *b)
{
	b->m->v.c.unseen++;
	generate(b);
}

static void
same_uid(struct both *b)
{
	b->m->v.uid[1] = b->m->v.uid[0];
	generate(b);
}

static void
lost_index(struct both *b)
{
	generate(b);
	b->m->is_dead = true;
	t_sh("rm quire/index.*");
}

static void
lost_all_before(struct both *b)
{
	generate(b);
	b->m->is_dead = true;
	t_sh("rm quire/index.* quire/journal.*");
}

static void
flip(const char *glob)
{
	char *cmd = xasprintf("f=`ls %s`; n=$((`stat -c %%s $f` - 40)); "
			      "printf '\\377' | dd of=$f bs=1 seek=$n "
			      "conv=notrunc 2>/dev/null",
	    glob);

	t_sh(cmd);
	free(cmd);
}

static void
bad_records(struct both *b)
{
	generate(b);
	b->m->is_dead = true;
	flip("quire/recs.*");
}

static void
bad_index(struct both *b)
{
	generate(b);
	b->m->is_dead = true;
	t_sh("printf wrong | dd of=`ls quire/index.*` bs=1 seek=4096 "
	     "conv=notrunc 2>/dev/null");
}

/* What others made of a file is taken in first. */
static void
take_in(struct both *b, const char *cmd)
{
	mailbox_unlock(b->m);
	t_sh(cmd);
	t_sync(b->m, NULL);
	ck_assert_int_eq(mailbox_lock(b->m, &b->e), 0);
}

static void
wrong_name(struct both *b)
{
	take_in(b, "printf 'a:\\n\\n' >cur/100.m,S=99:2,");
}

static void
one_emailid(struct both *b)
{
	take_in(b, "printf 'a:\\n\\n' >cur/100.m:2,;"
		   "printf 'b:\\n\\n' >cur/100.m,U=5:2,");
}

static void
not_decodable(struct both *b)
{
	take_in(b, "printf '\\037\\213\\010nonsense' >cur/100.m:2,");
}

/* ---- and seeing it ---- */

static const struct {
	const char *kind;
	enum verify_severity severity;
	void (*how)(struct both *);
	const char *cmd;
} rows[] = {
	{ "mailbox-name", VERIFY_ERROR, second_name, NULL },
	{ "uidvalidity", VERIFY_WARNING, second_uidvalidity, NULL },
	{ "special-use", VERIFY_ERROR, second_use, NULL },
	{ "unfinished", VERIFY_NOTE, half_deleted, NULL },
	{ "unfinished", VERIFY_NOTE, half_moved, NULL },
	{ "journal-op", VERIFY_ERROR, unknown_op, NULL },
	{ "not-compared", VERIFY_NOTE, unknown_op, NULL },
	{ "index-differs", VERIFY_ERROR, other_index, NULL },
	{ "counters", VERIFY_ERROR, other_counters, NULL },
	{ "uid", VERIFY_ERROR, same_uid, NULL },
	{ "index", VERIFY_ERROR, lost_index, NULL },
	{ "index", VERIFY_ERROR, bad_index, NULL },
	{ "index-lost", VERIFY_ERROR, lost_all_before, NULL },
	{ "records", VERIFY_ERROR, bad_records, NULL },
	{ "size-name", VERIFY_NOTE, wrong_name, NULL },
	{ "emailid-twice", VERIFY_NOTE, one_emailid, NULL },
	{ "unreadable", VERIFY_ERROR, not_decodable, NULL },
	{ "no-message", VERIFY_WARNING, NULL, "mkdir cur/dir" },
	{ "no-message", VERIFY_WARNING, NULL, "echo >'new/a\tb'" },
	{ "folder-name", VERIFY_WARNING, NULL, "ln -s .Archive .Link" },
	{ "folder-name", VERIFY_WARNING, NULL, "mkdir -p .Archive./cur" },
	{ "exp-extra", VERIFY_NOTE, NULL,
	    "mkdir -p quire/exp; echo >quire/exp/extra.0123456789abcdef" },
};

static unsigned hits, others;
static const char *wanted;
static enum verify_severity severity;

static void
found(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (strcmp(f->kind, wanted) == 0 && f->severity == severity)
		hits++;
	else
		others += f->severity == VERIFY_ERROR;
}

static struct verify_totals
verify(const char *kind, enum verify_severity how)
{
	struct verify_opts o = { .deep = true };
	struct verify_totals t = { 0 };
	struct err e = { 0 };

	wanted = kind;
	severity = how;
	hits = others = 0;
	if (store_verify(t_rootfd, &o, found, NULL, &t, &e) == -1)
		ck_abort_msg("verify: %s", e.text);
	return t;
}

static uint64_t
count_of(const struct verify_totals *t, const char *kind)
{
	unsigned i;

	for (i = 0; i < t->nkinds; i++)
		if (strcmp(t->kinds[i].kind, kind) == 0)
			return t->kinds[i].n;
	return 0;
}

static void
begin(struct both *b)
{
	unsigned i;

	*b = (struct both){ 0 };
	b->a = t_account();
	b->m = t_mailbox(b->a, "Archive");
	mailbox_close(&b->m);
	b->m = t_mailbox(b->a, "INBOX");
	for (i = 0; i < 5; i++)
		ck_assert_uint_ne(t_add(b->m, "a: b\r\n\r\n", i % 2), 0);
	t_sync(b->m, NULL);
}

START_TEST(each)
{
	struct verify_totals t;
	struct both b;

	begin(&b);
	t = verify(rows[_i].kind, rows[_i].severity);
	ck_assert_uint_eq(hits + others, 0);
	ck_assert_uint_eq(count_of(&t, rows[_i].kind), 0);
	if (rows[_i].cmd != NULL)
		t_sh(rows[_i].cmd);
	else {
		ck_assert_int_eq(account_lock(b.a, &b.e), 0);
		ck_assert_int_eq(mailbox_lock(b.m, &b.e), 0);
		rows[_i].how(&b);
		mailbox_unlock(b.m);
		account_unlock(b.a);
	}
	t = verify(rows[_i].kind, rows[_i].severity);
	ck_assert_msg(hits > 0, "%s", rows[_i].kind);
	ck_assert_uint_eq(count_of(&t, rows[_i].kind), hits);
	ck_assert_uint_ge(t.severity[rows[_i].severity], hits);
	b.m->is_dead = true;
	mailbox_close(&b.m);
	account_close(&b.a);
}
END_TEST

START_TEST(owner)
{
	struct both b;

	begin(&b);
	mailbox_close(&b.m);
	account_close(&b.a);
	if (geteuid() != 0)
		return; /* cannot give files away */
	t_sh("chown 12345 `find new cur -type f | head -1` quire/journal");
	verify("owner", VERIFY_WARNING);
	ck_assert_uint_eq(hits, 2);
}
END_TEST

/* A mailbox that never stands still is not called wrong. */
START_TEST(busy)
{
	struct both b;
	pid_t pid;

	begin(&b);
	t_sh("echo >cur/100.m:2,");
	t_sync(b.m, NULL);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	while (pid == 0) {
		renameat(t_rootfd, "cur/100.m:2,", t_rootfd, "cur/100.m:2,S");
		renameat(t_rootfd, "cur/100.m:2,S", t_rootfd, "cur/100.m:2,");
	}
	verify("busy", VERIFY_NOTE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_uint_eq(hits, 1);
	ck_assert_uint_eq(others, 0);
	b.m->is_dead = true;
	mailbox_close(&b.m);
	account_close(&b.a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("invariants");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, each, 0, (int)N(rows));
	tcase_add_test(t, owner);
	tcase_add_test(t, busy);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t_run(s);
}
