/* The mailbox operations, one session and two. */
#include "t_store.h"

#include <errno.h>
#include <poll.h>

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

START_TEST(append_and_read)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "inbox");
	struct message msg;
	char *text;

	ck_assert_uint_eq(mailbox_count(m), 0);
	ck_assert_uint_eq(t_add(m, hello, FLAG_SEEN), 1);
	ck_assert_uint_eq(t_add(m, "a: b\r\n\r\n", 0), 2);
	ck_assert_uint_eq(mailbox_count(m), 2);
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.size, sizeof(hello) - 1);
	ck_assert_uint_eq(msg.flags, FLAG_SEEN);
	ck_assert_uint_eq(mailbox_counts(m)->unseen, 1);
	ck_assert_uint_eq(mailbox_first_unseen(m), 2);
	text = t_text(m, 1);
	ck_assert_str_eq(text, hello);
	free(text);
	mailbox_close(&m);
	/* again from the journal */
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_count(m), 2);
	ck_assert_uint_eq(mailbox_counts(m)->uidnext, 3);
	text = t_text(m, 1);
	ck_assert_str_eq(text, hello);
	free(text);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(two_sessions)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	struct mailbox_changes ch = { 0 };
	struct message msg;
	struct err e;
	char *text;

	ck_assert_uint_eq(t_add(m, hello, 0), 1);
	ck_assert_uint_eq(t_add(m, hello, 0), 2);
	ck_assert_uint_eq(mailbox_count(o), 0);
	t_sync(o, &ch);
	ck_assert_uint_eq(ch.n, 2);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_NEW);
	ck_assert_uint_eq(mailbox_count(o), 2);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 0);
	t_sync(o, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_FLAGS);
	mailbox_get(o, 1, &msg);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	/* expunged elsewhere: stays readable until told */
	ck_assert_int_eq(t_remove(m, 1, 1), 0);
	ck_assert_int_eq(mailbox_sync(o, false, &ch, &e), 0);
	ck_assert_uint_eq(ch.n, 0);
	ck_assert_uint_eq(mailbox_count(o), 2);
	mailbox_get(o, 1, &msg);
	ck_assert(msg.is_expunged);
	text = t_text(o, 1);
	ck_assert_str_eq(text, hello);
	free(text);
	t_sync(o, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_EXPUNGED);
	ck_assert_uint_eq(ch.v[0].seq, 1);
	ck_assert_uint_eq(mailbox_count(o), 1);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 1);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
}
END_TEST

START_TEST(copies_and_moves)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *d = t_mailbox(a, "Archive");
	struct copy_result r;
	struct ranges all;
	struct message msg;
	struct err e = { 0 };
	uint8_t id[16];
	char *text;
	unsigned bit;

	ranges_init(&all, 1);
	ranges_add(&all, 1, UINT32_MAX);
	t_add(m, hello, FLAG_FLAGGED);
	t_add(m, hello, 0);
	ck_assert_int_eq(mailbox_keyword_define(m, STR("work"), &bit, &e), 0);
	ck_assert_int_eq(mailbox_copy(m, d, &all, &r, &e), 0);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.to[1], 2);
	copy_result_release(&r);
	ck_assert_uint_eq(mailbox_count(d), 2);
	mailbox_get(m, 1, &msg);
	memcpy(id, msg.emailid, 16);
	mailbox_get(d, 1, &msg);
	ck_assert_mem_eq(msg.emailid, id, 16);
	ck_assert_uint_eq(msg.flags, FLAG_FLAGGED);
	text = t_text(d, 1);
	ck_assert_str_eq(text, hello);
	free(text);
	ck_assert_int_eq(mailbox_move(m, d, &all, &r, &e), 0);
	ck_assert_uint_eq(r.n, 2);
	copy_result_release(&r);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 0);
	ck_assert_uint_eq(mailbox_count(d), 4);
	text = t_text(d, 4);
	ck_assert_str_eq(text, hello);
	free(text);
	ck_assert_uint_eq(d->v.nmoves, 0);
	ranges_release(&all);
	mailbox_close(&m);
	mailbox_close(&d);
	account_close(&a);
}
END_TEST

/* What comes in, whole and byte by byte, comes out again. */
static const struct {
	struct str in;
	bool is_raw;
} texts[] = {
	{ STR_INIT(""), false },
	{ STR_INIT("\r\n"), false },
	{ STR_INIT("a\r\nb\r\n\r\n\r\n"), false },
	{ STR_INIT("no end"), false },
	{ STR_INIT("cr at end\r"), false },
	{ STR_INIT("bare\rcr\r\n"), false },
	{ STR_INIT("a\r\nbare\nlf\r\n"), true },
	{ STR_INIT("\n"), true },
	{ STR_INIT("two\r\r\n"), true },
	{ STR_INIT("x\r\n\r\nnul\0there\r\n"), true },
	{ STR_INIT("a\r\nb\r\nc\r\nd\r\n\ne\r\n"), true },
};

START_TEST(line_ends)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct incoming_opts o = { 0 };
	struct str in = texts[_i].in;
	struct incoming *inc;
	struct message msg;
	struct msgfile *f;
	char out[100];
	uint32_t uid;
	size_t step, i;
	struct err e;

	for (step = 1; step <= in.n + 1; step++) {
		ck_assert_int_eq(incoming_new(&inc, m, &o, &e), 0);
		for (i = 0; i < in.n; i += step)
			ck_assert_int_eq(
			    incoming_write(inc, str_sub(in, i, step), &e), 0);
		ck_assert_int_eq(incoming_sync(inc, &e), 0);
		ck_assert_int_eq(mailbox_commit(m, &inc, 1, &uid, &e), 0);
		incoming_free(&inc);
		mailbox_get(m, mailbox_count(m), &msg);
		ck_assert_uint_eq(msg.size, in.n);
		ck_assert((m->v.st[m->v.n - 1] & ST_RAW) ==
			  (texts[_i].is_raw ? ST_RAW : 0));
		ck_assert_int_eq(mailbox_open_message(m, uid, &f, &e), 0);
		ck_assert_uint_eq(msgfile_size(f), in.n);
		for (i = 0; i < in.n; i++)
			ck_assert(msgfile_read(f, i, out, 1, &e) == 1 &&
				  out[0] == in.p[i]);
		ck_assert_int_eq(msgfile_read(f, in.n, out, 1, &e), 0);
		msgfile_free(&f);
	}
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

START_TEST(folders)
{
	struct account *a = t_account();
	const struct mailbox_info *list;
	struct mailbox_counts c;
	struct mailbox *m;
	struct err e = { 0 };

	ck_assert_uint_eq(account_list(a, &list), 6);
	ck_assert_int_eq(account_create(a, STR("a/b/c"), 0, &e), ACCOUNT_OK);
	ck_assert_int_eq(account_create(a, STR("a/b"), 0, &e), ACCOUNT_EXISTS);
	ck_assert_uint_eq(account_list(a, &list), 9);
	ck_assert(account_find(a, STR("a/b"))->has_children);
	m = t_mailbox(a, "a/b/c");
	t_add(m, hello, 0);
	mailbox_close(&m);
	ck_assert_int_eq(account_rename(a, STR("a"), STR("x"), &e), ACCOUNT_OK);
	/* the subscription stays (RFC 9051, 6.3.6), the mailbox does not */
	ck_assert(!account_find(a, STR("a/b"))->exists);
	ck_assert(account_find(a, STR("x/b"))->is_subscribed);
	ck_assert_int_eq(account_status(a, STR("x/b/c"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 1);
	ck_assert_int_eq(account_status(a, STR("x/b/c"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 1);
	ck_assert_int_eq(account_delete(a, STR("x/b/c"), &e), ACCOUNT_OK);
	ck_assert_int_eq(account_delete(a, STR("x/b/c"), &e), ACCOUNT_NOTFOUND);
	ck_assert_int_eq(
	    account_delete(a, STR("inbox"), &e), ACCOUNT_FORBIDDEN);
	account_close(&a);
	/* it lies there for a week */
	t_sh("test $(find quire/acct/deleted -name '*S=*' | wc -l) = 1");
	store_deleted_grace = 0;
	a = t_account();
	account_close(&a);
	store_deleted_grace = 7 * 86400;
	t_sh("test -z \"$(ls quire/acct/deleted)\"");
	a = t_account();
	ck_assert_ptr_nonnull(account_find(a, STR("x/b")));
	ck_assert(!account_find(a, STR("a"))->exists);
	account_close(&a);
}
END_TEST

START_TEST(many_at_once)
{
	struct account_opts opts = { .hostname = "h", .fast_sync = _i == 1 };
	struct account *a;
	struct mailbox *m;
	struct incoming_opts o = {
		.has_date = true, .internaldate = 1000000000, .zone_min = -90
	};
	struct incoming *in[12];
	uint32_t uids[12];
	struct message msg;
	struct err e;
	size_t i;

	ck_assert_int_eq(account_open(&a, t_rootfd, &opts, &e), 0);
	m = t_mailbox(a, "INBOX");
	for (i = 0; i < 12; i++) {
		ck_assert_int_eq(incoming_new(&in[i], m, &o, &e), 0);
		ck_assert_int_eq(incoming_write(in[i], STR("a: b\r\n"), &e), 0);
	}
	/* not prepared: refused, and nothing is filed */
	ck_assert_int_eq(mailbox_commit(m, in, 12, uids, &e), -1);
	ck_assert_int_eq(incoming_sync_many(in, 12, &e), 0);
	ck_assert_int_eq(mailbox_commit(m, in, 12, uids, &e), 0);
	for (i = 0; i < 12; i++) {
		ck_assert_uint_eq(uids[i], i + 1);
		incoming_free(&in[i]);
	}
	mailbox_get(m, 12, &msg);
	ck_assert_int_eq(msg.internaldate, 1000000000);
	ck_assert_int_eq(msg.zone_min, -90);
	/* one transaction: one modseq */
	ck_assert_uint_eq(m->v.modseq[0], m->v.modseq[11]);
	t_sh("test $(ls tmp | wc -l) = 0 && test $(ls cur | wc -l) = 12");
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

static bool
is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(watching)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	struct err e;
	int fd;

	t_sync(m, NULL);
	fd = mailbox_watch(m, &e);
	ck_assert_int_ne(fd, -1);
	ck_assert(!is_readable(fd));
	t_add(o, hello, 0);
	ck_assert(is_readable(fd));
	mailbox_watch_clear(m);
	ck_assert(!is_readable(fd));
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 1);
	mailbox_watch_clear(m);
	t_sh("printf 'x: y\\n\\n' >new/1.foreign");
	ck_assert(is_readable(fd));
	mailbox_watch_clear(m);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 2);
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
}
END_TEST

START_TEST(readonly)
{
	struct account_opts opts = { .hostname = "h", .readonly = true };
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct mailbox_counts c;
	struct err e;
	char *text;

	t_add(m, hello, 0);
	t_sync(m, NULL);
	mailbox_close(&m);
	/* EXAMINE: nothing by the session, but it still sees what comes */
	ck_assert_int_eq(
	    account_open_mailbox(a, STR("INBOX"), true, &m, &e), ACCOUNT_OK);
	ck_assert(mailbox_is_readonly(m));
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), -1);
	ck_assert_int_eq(t_remove(m, 1, 1), -1);
	ck_assert_uint_eq(t_add(m, hello, 0), 0);
	t_sh("printf 'x: y\\n\\n' >cur/1.foreign:2,");
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 2);
	mailbox_close(&m);
	account_close(&a);
	/* an account opened so: not a byte is written */
	t_sh("printf 'x: y\\n\\n' >cur/2.foreign:2,");
	t_sh("ls -lR --time-style=full-iso . >../before.$(basename $PWD)");
	ck_assert_int_eq(account_open(&a, t_rootfd, &opts, &e), 0);
	ck_assert_int_eq(
	    account_open_mailbox(a, STR("INBOX"), false, &m, &e), ACCOUNT_OK);
	t_sync(m, NULL);
	text = t_text(m, 1);
	ck_assert_str_eq(text, hello);
	free(text);
	ck_assert_int_eq(t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN), -1);
	ck_assert_int_eq(account_create(a, STR("x"), 0, &e), ACCOUNT_ERROR);
	mailbox_close(&m);
	/* never opened: what it would be */
	ck_assert_int_eq(account_status(a, STR("Sent"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 0);
	account_close(&a);
	t_sh("ls -lR --time-style=full-iso . |"
	     " cmp - ../before.$(basename $PWD)");
}
END_TEST

START_TEST(recent_and_vanished)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	struct ranges r;
	uint64_t before;

	t_add(m, hello, 0);
	t_add(m, hello, 0);
	ck_assert_uint_eq(mailbox_counts(m)->recent, 2);
	ck_assert(mailbox_is_recent(m, 1));
	t_sync(o, NULL);
	ck_assert(!mailbox_is_recent(o, 1));
	ck_assert_uint_eq(mailbox_counts(o)->recent, 0);
	ck_assert_uint_eq(mailbox_counts(m)->recent, 2);
	before = mailbox_counts(o)->highestmodseq;
	ranges_init(&r, 10);
	ck_assert_int_eq(t_remove(m, 1, 1), 0);
	/* o has not been told: it must not claim to know */
	mailbox_follow(o, NULL);
	ck_assert_uint_le(mailbox_counts(o)->highestmodseq, before);
	ck_assert(mailbox_vanished(o, before, &r) && r.n == 0);
	t_sync(o, NULL);
	ck_assert_uint_gt(mailbox_counts(o)->highestmodseq, before);
	ck_assert(mailbox_vanished(o, before, &r) && ranges_has(&r, 1));
	ranges_release(&r);
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
}
END_TEST

START_TEST(deleted_under_a_session)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "Trash");
	struct mailbox_changes ch = { 0 };
	struct mailbox_counts c;
	struct msgfile *f;
	struct err e;

	ck_assert_int_eq(
	    account_create(a, STR("t2"), USE_TRASH, &e), ACCOUNT_BADUSE);
	t_add(m, hello, 0);
	ck_assert_int_eq(mailbox_open_message(m, 77, &f, &e), -1);
	ck_assert(e.kind == ERR_PERM && e.sys == ENOENT);
	ck_assert_int_eq(account_delete(a, STR("Trash"), &e), ACCOUNT_OK);
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_UIDVALIDITY);
	ck_assert_uint_eq(t_add(m, hello, 0), 0);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	/* the name is free again, with another UIDVALIDITY */
	ck_assert_int_eq(
	    account_create(a, STR("t2"), USE_TRASH, &e), ACCOUNT_OK);
	ck_assert_int_eq(account_create(a, STR("Trash"), 0, &e), ACCOUNT_OK);
	ck_assert_int_eq(account_status(a, STR("Trash"), &c, &e), ACCOUNT_OK);
	ck_assert_uint_eq(c.messages, 0);
	account_close(&a);
}
END_TEST

/* A disk without room: what fails leaves nothing, expunging works. */
static bool is_full;

static int
full_disk(const char *call)
{
	struct stat st;

	/* the reserve is what a real file system would then use */
	if (!is_full || fstatat(t_rootfd, "quire/acct/reserve", &st, 0) == -1)
		return 0;
	return strcmp(call, "pwrite") == 0 || strcmp(call, "write") == 0 ||
		       strcmp(call, "creat") == 0 ?
		   ENOSPC :
		   0;
}

START_TEST(full_disk_can_be_emptied)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct flag_change fc = { .flags = FLAG_SEEN };
	struct ranges r;
	struct err e = { 0 };

	t_add(m, hello, 0);
	t_add(m, hello, 0);
	ranges_init(&r, 1);
	ranges_add(&r, 1, 1);
	store_step = full_disk;
	is_full = true;
	ck_assert_uint_eq(t_add(m, hello, 0), 0);
	ck_assert_int_eq(mailbox_store(m, &r, &fc, NULL, NULL, &e), -1);
	ck_assert_int_eq(e.kind, ERR_SPACE);
	ck_assert_int_eq(mailbox_remove(m, &r, &e), 0);
	store_step = NULL;
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 1);
	ck_assert_uint_eq(t_add(m, hello, 0), 3);
	ranges_release(&r);
	mailbox_close(&m);
	account_close(&a);
	/* the next session builds it up again */
	a = t_account();
	account_close(&a);
	t_sh("test -s quire/acct/reserve");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mailbox");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, append_and_read);
	tcase_add_test(t, two_sessions);
	tcase_add_test(t, copies_and_moves);
	tcase_add_loop_test(t, line_ends, 0, N(texts));
	tcase_add_test(t, folders);
	tcase_add_loop_test(t, many_at_once, 0, 2);
	tcase_add_test(t, watching);
	tcase_add_test(t, readonly);
	tcase_add_test(t, recent_and_vanished);
	tcase_add_test(t, deleted_under_a_session);
	tcase_add_test(t, full_disk_can_be_emptied);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t_run(s);
}
