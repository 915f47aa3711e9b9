/* Looking at a Maildir of another server, and taking it over. */
#include "t_store.h"

#include "service/store/adopt.h"

static void
put_file(const char *path, const char *text)
{
	char *full = xasprintf("%s/%s", t_root, path);
	FILE *f = fopen(full, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	free(full);
}

/* Everything of every file but when it was read, and the contents. */
#define STATE                                                           \
	"{ find . -printf '%p %y %m %T@ %C@ %s %n %u %g %i\\n' | sort;" \
	" find . -type f -exec cat {} +; } | cksum"

static void
state_keep(void)
{
	t_sh(STATE " >../state.$(basename $PWD)");
}

static void
state_is_kept(void)
{
	t_sh(STATE " | cmp - ../state.$(basename $PWD)");
}

struct seen {
	struct adopt_box v[8];
	char name[8][32];
	size_t n;
};

static void
take(void *arg, const struct adopt_box *box)
{
	struct seen *s = arg;

	ck_assert_uint_lt(s->n, N(s->v));
	s->v[s->n] = *box;
	ck_assert(str_copy(box->name, s->name[s->n], 32));
	s->n++;
}

static const struct adopt_box *
box(const struct seen *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return &s->v[i];
	ck_abort_msg("no mailbox %s", name);
	return NULL;
}

static void
adopt(bool dry_run, struct seen *s)
{
	struct adopt_opts o = { .hostname = "h", .dry_run = dry_run };
	struct err e = { 0 };

	*s = (struct seen){ 0 };
	if (store_adopt(t_rootfd, &o, take, s, &e) == -1)
		ck_abort_msg("adopt: %s", e.text);
}

static void
make_tree(void)
{
	t_sh("mkdir -p cur new tmp .Sent/cur .Sent/new .Sent/tmp .Old/cur");
	put_file("dovecot-uidlist",
	    "3 V1234567 N20 G0123456789abcdef0123456789abcdef\n"
	    "5 W20 :1000.P1.h\n"
	    "7 :1001.P1.h,S=4\n"
	    "8 :1003.P1.h\n"
	    "9 :1002.gone\n");
	put_file("dovecot-keywords", "0 work\n");
	put_file("subscriptions", "Sent\n");
	put_file("cur/1000.P1.h:2,Sa", "a:\n\n");
	put_file("cur/1001.P1.h,S=4:2,", "b:\n\n");
	/* no server leaves it so, a crash may */
	put_file("new/1003.P1.h:2,F", "c:\n\n");
	put_file("new/1004.P1.h", "d:\n\n");
	put_file(".Sent/courierimapuiddb", "1 777 12\n3 1000.x\n");
	put_file(".Sent/cur/1000.x:2,S", "a:\n\n");
	put_file(".Old/cur/1000.y", "a:\n\n");
}

static void
check_report(const struct seen *s)
{
	const struct adopt_box *b = box(s, "INBOX");

	ck_assert_uint_eq(s->n, 3);
	ck_assert_str_eq(b->kind, "dovecot-3");
	ck_assert_uint_eq(b->uidvalidity, 1234567);
	ck_assert_uint_eq(b->messages, 4);
	ck_assert_uint_eq(b->kept, 3);
	ck_assert_uint_eq(b->fresh, 1);
	ck_assert_uint_eq(b->gone, 1);
	ck_assert_uint_eq(b->uidnext, 21);
	ck_assert_uint_eq(b->keywords, 1);
	ck_assert_uint_eq(b->renames, 1);
	ck_assert_uint_eq(b->nproblems, 0);
	b = box(s, "Sent");
	ck_assert_str_eq(b->kind, "courier");
	ck_assert_uint_eq(b->uidvalidity, 777);
	ck_assert_uint_eq(b->kept, 1);
	ck_assert(b->is_subscribed);
	b = box(s, "Old");
	ck_assert_str_eq(b->kind, "bare");
	ck_assert_uint_eq(b->fresh, 1);
	ck_assert(!b->is_subscribed);
}

START_TEST(dry_run)
{
	struct seen s;

	make_tree();
	state_keep();
	adopt(true, &s);
	check_report(&s);
	state_is_kept();
	/* and it is what then happens */
	adopt(false, &s);
	check_report(&s);
	adopt(false, &s);
	ck_assert_str_eq(box(&s, "Sent")->kind, "quire");
	state_keep();
	adopt(true, &s);
	ck_assert_uint_eq(box(&s, "INBOX")->messages, 4);
	ck_assert_str_eq(box(&s, "INBOX")->kind, "quire");
	state_is_kept();
	t_verify();
}
END_TEST

START_TEST(problems)
{
	struct seen s;

	t_sh("mkdir cur new tmp");
	put_file("dovecot-uidlist", "4 nonsense\n");
	put_file("cur/1.h:2,", "\x1f\x8b\x08nonsense");
	state_keep();
	adopt(true, &s);
	state_is_kept();
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.v[0].nproblems, 2);
	ck_assert_str_eq(s.v[0].problem[0].kind, "uidlist");
	ck_assert_str_eq(s.v[0].problem[1].kind, "unreadable");
}
END_TEST

START_TEST(empty)
{
	struct seen s;

	state_keep();
	adopt(true, &s);
	state_is_kept();
	/* what is no Maildir is said to be none */
	ck_assert_uint_eq(s.n, 1);
	ck_assert_str_eq(s.v[0].problem[0].kind, "unreadable");
}
END_TEST

/* Read-only: a session on mail that nobody adopted. */
START_TEST(readonly)
{
	struct account_opts opts = { .hostname = "h", .readonly = true };
	struct mailbox_counts c;
	struct copy_result r;
	struct account *a;
	struct mailbox *m;
	struct message msg;
	struct ranges all;
	struct err e;
	char *text;

	make_tree();
	state_keep();
	ck_assert_int_eq(account_open(&a, t_rootfd, &opts, &e), 0);
	ck_assert_int_eq(account_status(a, STR("Sent"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.uidvalidity, 777);
	ck_assert_int_eq(
	    account_open_mailbox(a, STR("INBOX"), false, &m, &e), ACCOUNT_OK);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.uid, 5);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	ck_assert_uint_eq(msg.keywords, 1);
	mailbox_get(m, 3, &msg);
	ck_assert_uint_eq(msg.uid, 8);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	text = t_text(m, 8);
	ck_assert_str_eq(text, "c:\r\n\r\n");
	free(text);
	text = t_text(m, 20);
	ck_assert_str_eq(text, "d:\r\n\r\n");
	free(text);
	/* nothing can be changed */
	ranges_init(&all, 1);
	ranges_add(&all, 1, UINT32_MAX);
	ck_assert_int_eq(mailbox_copy(m, m, &all, &r, &e), -1);
	ck_assert_int_eq(t_store(m, 5, 5, FLAGS_ADD, FLAG_DELETED), -1);
	ck_assert_int_eq(t_remove(m, 5, 5), -1);
	ck_assert_uint_eq(t_add(m, "x: y\r\n\r\n", 0), 0);
	ck_assert_int_eq(account_create(a, STR("x"), 0, &e), ACCOUNT_ERROR);
	ck_assert_int_eq(account_delete(a, STR("Sent"), &e), ACCOUNT_ERROR);
	ck_assert_int_eq(
	    account_rename(a, STR("Sent"), STR("y"), &e), ACCOUNT_ERROR);
	ck_assert_int_eq(
	    account_subscribe(a, STR("Old"), true, &e), ACCOUNT_ERROR);
	ck_assert_int_eq(account_refresh(a, &e), 0);
	t_sync(m, NULL);
	ranges_release(&all);
	mailbox_close(&m);
	account_close(&a);
	state_is_kept();
}
END_TEST

/* A file with flags in new/ keeps the UID of the list, also once it moved. */
START_TEST(flags_in_new)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;

	make_tree();
	t_sh("mkdir .Old/new .Old/tmp");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_get(m, 3, &msg);
	ck_assert_uint_eq(msg.uid, 8);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	t_sh("test -f cur/1003.P1.h:2,F");
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("adopt");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, dry_run);
	tcase_add_test(t, problems);
	tcase_add_test(t, empty);
	tcase_add_test(t, readonly);
	tcase_add_test(t, flags_in_new);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
