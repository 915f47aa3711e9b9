/*
 * What reviewers asked of a store beside its crash order (check_traces.c):
 * hints that are not believed, files put back or replaced, neighbours who hold
 * locks, and operations that are refused whole.
 */
#include "t_store.h"

#include <errno.h>
#include <sys/wait.h>

#include "service/store/index_int.h"

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

static struct account *home;
static struct mailbox *inbox;

static void
begin(void)
{
	home = t_account();
	inbox = t_mailbox(home, "INBOX");
	t_sync(inbox, NULL);
}

static void
end(void)
{
	store_step = NULL;
	mailbox_close(&inbox);
	account_close(&home);
	t_verify();
}

static uint64_t
size_of(struct mailbox *m, uint32_t uid)
{
	uint32_t seq = mailbox_seq(m, uid);
	struct message msg;

	ck_assert_uint_ne(seq, 0);
	mailbox_get(m, seq, &msg);
	return msg.size;
}

static void
emailid_of_uid(struct mailbox *m, uint32_t uid, uint8_t out[16])
{
	struct message msg;

	ck_assert_uint_ne(mailbox_seq(m, uid), 0);
	mailbox_get(m, mailbox_seq(m, uid), &msg);
	memcpy(out, msg.emailid, 16);
}

/* ---- S= is a hint ---- */

START_TEST(wrong_S_of_others_is_measured)
{
	begin();
	t_sh("printf 'a: b\\n\\nx\\n' >cur/1000.P1.host,S=12020:2,");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	ck_assert_uint_eq(size_of(inbox, 1), 11);
	end();
}
END_TEST

/* Of ours nobody was told of a file that is not whole ... */
START_TEST(wrong_S_of_ours_unregistered_is_no_message)
{
	char name[NAME_LEN + 1], *cmd;

	begin();
	store_young_s = -1;
	name_make(name, "mx.example", false);
	name_add_sizes(name, 100, 104);
	cmd = xasprintf("printf 'a: b\\n\\n' >cur/%s:2,", name);
	t_sh(cmd);
	free(cmd);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 0);
	t_sh("test $(ls cur | wc -l) = 1"); /* and nothing is removed */
	mailbox_close(&inbox);
	account_close(&home);
	store_young_s = 60;
}
END_TEST

/* ... but what the journal names is served, whatever became of it. */
START_TEST(wrong_S_of_ours_registered_is_served)
{
	char *text;

	begin();
	ck_assert_uint_eq(t_add(inbox, hello, 0), 1);
	t_sync(inbox, NULL);
	t_sh("printf 'more\\n' >>$(ls -d cur/*)");
	t_sync(inbox, NULL);
	text = t_text(inbox, 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, "Subject: hello\r\n\r\nworld\r\nmore\r\n");
	free(text);
	mailbox_close(&inbox);
	account_close(&home);
}
END_TEST

/* ---- files restored and replaced ---- */

/* Who still has the old one waits for who has the new one. */
START_TEST(lock_replaced_under_sessions)
{
	struct mailbox *o;
	struct err e = { 0 };
	int status;
	pid_t pid;

	begin();
	t_sh("rm quire/lock && : >quire/lock");
	o = t_mailbox(home, "INBOX");
	ck_assert_int_eq(mailbox_lock(o, &e), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(t_add(inbox, hello, 0) == 1 ? 0 : 1);
	usleep(300000);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	mailbox_unlock(o);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_uint_eq(t_add(inbox, hello, 0), 2);
	ck_assert_uint_eq(t_add(o, hello, 0), 3);
	mailbox_close(&o);
	end();
}
END_TEST

/* Shorter than pub promises, and nobody has it open: as a restored one. */
/* An older one was copied over it: it ends earlier, or zeros begin there. */
START_TEST(journal_shorter_than_pub)
{
	uint64_t was;
	char *path;

	begin();
	t_add(inbox, hello, 0);
	t_sync(inbox, NULL);
	was = inbox->j.end;
	t_add(inbox, hello, 0);
	ck_assert_uint_eq(t_add(inbox, hello, 0), 3);
	mailbox_release(inbox); /* no time for a new index */
	account_close(&home);
	path = xasprintf("%s/quire/journal", t_root);
	ck_assert_int_eq(truncate(path, (off_t)was), 0);
	if (_i == 1)
		ck_assert_int_eq(truncate(path, 1 << 16), 0);
	free(path);
	begin();
	ck_assert_uint_gt(t_add(inbox, hello, 0), 100000);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 4);
	end();
}
END_TEST

/* Under a session: it knows what stood there, and says so again. */
START_TEST(journal_put_back_under_a_session)
{
	struct buf was;
	struct err e;
	struct stat st;
	int fd;

	begin();
	t_add(inbox, hello, 0);
	buf_init(&was, 1 << 20);
	ck_assert_int_eq(fs_read_file(inbox->qfd, "journal", &was, &e), 0);
	t_add(inbox, hello, 0);
	ck_assert_uint_eq(t_add(inbox, hello, FLAG_SEEN), 3);
	fd = openat(inbox->qfd, "journal", O_WRONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((size_t)st.st_size, was.n); /* as long as before */
	ck_assert_int_eq(fs_pwrite_all(fd, buf_str(&was), 0), 0);
	close(fd);
	buf_release(&was);
	ck_assert_uint_eq(t_add(inbox, hello, 0), 4);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 4);
	end();
	begin();
	ck_assert_uint_eq(mailbox_count(inbox), 4);
	ck_assert_uint_eq(mailbox_counts(inbox)->unseen, 3);
	end();
}
END_TEST

/* ---- what others move keeps its EMAILID ---- */

START_TEST(moved_by_others_keeps_emailid)
{
	struct mailbox *to;
	uint8_t before[16], after[16];

	begin();
	ck_assert_uint_eq(t_add(inbox, hello, FLAG_FLAGGED), 1);
	t_sync(inbox, NULL);
	emailid_of_uid(inbox, 1, before);
	to = t_mailbox(home, "Archive");
	t_sync(to, NULL);
	store_young_s = -1; /* moved long after it came */
	t_sh("mv cur/* .Archive/cur/");
	t_sync(to, NULL);
	t_sync(inbox, NULL);
	store_young_s = 60;
	ck_assert_uint_eq(mailbox_count(inbox), 0);
	ck_assert_uint_eq(mailbox_count(to), 1);
	emailid_of_uid(to, 1, after);
	ck_assert_mem_eq(before, after, 16);
	mailbox_close(&to);
	end();
}
END_TEST

/* ---- reading what moves under the reader ---- */

#define BIG (50u << 20)

/* What this process has read, from whatever. */
static uint64_t
read_octets(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long n = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "rchar: %llu", &n), 1);
	fclose(f);
	return n;
}

/* 800 partial FETCHes of a large message, each a command of its own. */
START_TEST(partial_reads_have_checkpoints)
{
	char *path, *text = xmalloc(BIG), got[99];
	struct msgfile *f;
	struct err e = { 0 };
	uint64_t off, before;
	unsigned i;
	int fd;

	begin();
	for (i = 0; i < BIG; i += 2)
		memcpy(text + i, "x\n", 2);
	path = xasprintf("%s/cur/1.big:2,", t_root);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(fs_write_all(fd, str_make(text, BIG)), 0);
	close(fd);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(size_of(inbox, 1), BIG / 2 * 3);
	off = BIG / 2 * 3 - 99;
	before = read_octets();
	for (i = 0; i < 800; i++, off -= 15000) {
		ck_assert_int_eq(mailbox_open_message(inbox, 1, &f, &e), 0);
		ck_assert_int_eq(msgfile_read(f, off, got, 99, &e), 99);
		ck_assert(memcmp(got, "x\r\nx\r\n", 6) == 0);
		msgfile_free(&f);
	}
	/* the file once, then a chunk each */
	ck_assert_uint_lt(
	    read_octets() - before, BIG + 1000 * 2 * 65536 + 1000000);
	free(path);
	free(text);
	end();
}
END_TEST

/* What another session moved is read where it is now, when exp/ has given it
 * up; as long as it is there. */
START_TEST(moved_by_another_session_is_served)
{
	struct mailbox *o, *to;
	struct mailbox_changes ch = { 0 };
	struct copy_result r;
	struct ranges uids;
	struct err e = { 0 };
	char *text;
	uint32_t i;

	begin();
	for (i = 0; i < 5; i++)
		t_add(inbox, hello, 0);
	t_sync(inbox, NULL);
	o = t_mailbox(home, "INBOX");
	to = t_mailbox(home, "Archive");
	t_add(to, "Subject: first\r\n\r\n", 0);
	ranges_init(&uids, 2);
	ranges_add(&uids, 2, 3);
	ranges_add(&uids, 5, 5);
	ck_assert_int_eq(mailbox_move(inbox, to, &uids, &r, &e), 0);
	ck_assert_uint_eq(r.n, 3);
	t_sync(inbox, NULL);
	t_sh("rm quire/exp/*");
	for (i = 1; i <= 5; i++) {
		text = t_text(o, i);
		ck_assert_ptr_nonnull(text);
		ck_assert_str_eq(text, hello);
		free(text);
	}
	/* it has other flags there, and another name */
	ck_assert_int_eq(
	    t_store(to, r.to[1], r.to[1], FLAGS_ADD, FLAG_SEEN), 0);
	text = t_text(o, 3);
	ck_assert_ptr_nonnull(text);
	free(text);
	ck_assert_int_eq(t_remove(to, r.to[2], r.to[2]), 0);
	ck_assert_ptr_null(t_text(o, 5));
	/* told, it is no more asked for */
	t_sync(o, &ch);
	ck_assert_uint_eq(ch.n, 3);
	ck_assert_uint_eq(mailbox_count(o), 2);
	ck_assert_uint_eq(o->v.nmoved, 0);
	mailbox_changes_release(&ch);
	copy_result_release(&r);
	ranges_release(&uids);
	mailbox_close(&o);
	mailbox_close(&to);
	end();
}
END_TEST

/* Of what others renamed or removed all is found by one look. */
START_TEST(one_directory_read_per_offset)
{
	struct message msg;
	char *text, *cmd;
	uint32_t i, k;

	begin();
	for (i = 0; i < 20; i++)
		t_add(inbox, hello, 0);
	t_sync(inbox, NULL);
	for (i = 1; i <= 20; i++) {
		mailbox_get(inbox, i, &msg);
		cmd = i <= 10 ? xasprintf("mv cur/%.*s:2, cur/%.*s,U=%u:2,FS",
				    STR_ARG(msg.name), STR_ARG(msg.name), i) :
				xasprintf("rm cur/%.*s:2,", STR_ARG(msg.name));
		t_sh(cmd);
		free(cmd);
	}
	for (k = 0; k < 3; k++)
		for (i = 1; i <= 20; i++) {
			text = t_text(inbox, i);
			ck_assert((text != NULL) == (i <= 10));
			free(text);
		}
	ck_assert_uint_eq(inbox->nsearches, 1);
	/* once more, and nothing of it in the journal yet */
	t_sh("for f in cur/*; do mv $f ${f%:2,*}:2,RS; done");
	for (i = 1; i <= 20; i++) {
		text = t_text(inbox, i);
		ck_assert((text != NULL) == (i <= 10));
		free(text);
	}
	ck_assert_uint_eq(inbox->nsearches, 2);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 10);
	end();
}
END_TEST

/* ---- a session that slept through generations ---- */

START_TEST(lag_past_kept_generations)
{
	struct mailbox_changes ch = { 0 };
	struct mailbox *o;
	struct err e = { 0 };
	uint32_t i, uidvalidity;
	char *text;

	begin();
	for (i = 0; i < 6; i++)
		t_add(inbox, hello, 0);
	t_sync(inbox, NULL);
	o = t_mailbox(home, "INBOX");
	t_sync(o, NULL);
	uidvalidity = mailbox_counts(o)->uidvalidity;
	for (i = 1; i <= 4; i++) {
		if (i == 2)
			ck_assert_int_eq(t_remove(inbox, 3, 3), 0);
		if (i == 3)
			t_store(inbox, 5, 5, FLAGS_ADD, FLAG_SEEN);
		t_add(inbox, hello, 0);
		t_sync(inbox, NULL);
		inbox->must_generate = true;
		ck_assert_int_eq(generation_make(inbox, &e), 0);
	}
	/* before it is told: what it shows can be read */
	text = t_text(o, 3);
	ck_assert_ptr_nonnull(text);
	free(text);
	t_sync(o, &ch);
	ck_assert_uint_eq(ch.n, 1 + 1 + 4);
	ck_assert(ch.v[0].kind == CHANGE_EXPUNGED && ch.v[0].uid == 3);
	ck_assert(ch.v[1].kind == CHANGE_FLAGS && ch.v[1].uid == 5);
	for (i = 2; i < ch.n; i++)
		ck_assert(ch.v[i].kind == CHANGE_NEW && ch.v[i].uid == 5 + i);
	ck_assert_uint_eq(mailbox_counts(o)->uidvalidity, uidvalidity);
	mailbox_changes_release(&ch);
	mailbox_close(&o);
	end();
}
END_TEST

/* ---- hostile or old surroundings ---- */

static int refused_errno;

static int
no_links(const char *call)
{
	return strcmp(call, "link") == 0 ? refused_errno : 0;
}

/* vfat, other file systems between folders, protected_hardlinks */
START_TEST(copy_where_links_are_refused)
{
	static const int errnos[] = { EPERM, EXDEV, EMLINK };
	struct copy_result r;
	struct ranges uids;
	struct mailbox *to;
	struct err e = { 0 };
	char *text;

	begin();
	to = t_mailbox(home, "Archive");
	t_add(inbox, hello, FLAG_SEEN);
	ranges_init(&uids, 1);
	ranges_add(&uids, 1, 1);
	refused_errno = errnos[_i];
	store_step = no_links;
	if (mailbox_copy(inbox, to, &uids, &r, &e) == -1)
		ck_abort_msg("%s", e.text);
	store_step = NULL;
	ck_assert_uint_eq(r.n, 1);
	text = t_text(to, r.to[0]);
	ck_assert_str_eq(text, hello);
	free(text);
	copy_result_release(&r);
	ranges_release(&uids);
	mailbox_close(&to);
	end();
}
END_TEST

/* Somebody keeps byte 4 for ever: scans go on, without files of our shape. */
START_TEST(register_lock_held_by_others)
{
	int fd;
	char *path;
	struct err e = { 0 };

	begin();
	path = xasprintf("%s/quire/lock", t_root);
	fd = open(path, O_RDWR);
	free(path);
	ck_assert_int_eq(fs_lock(fd, LOCK_REGISTER, false, 0, &e), 0);
	t_sh("printf 'a: b\\n\\n' >cur/1.foreign:2,");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	close(fd);
	end();
}
END_TEST

/* All files gone stops expunges, and only them. */
START_TEST(mass_loss_delivery_goes_on)
{
	uint32_t i, uid;
	char *text;

	begin();
	for (i = 0; i < 110; i++)
		t_add(inbox, hello, 0);
	t_sync(inbox, NULL);
	t_sh("mkdir away && mv cur/* away/");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 110);
	uid = t_add(inbox, hello, 0);
	ck_assert_uint_eq(uid, 111);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(t_store(inbox, uid, uid, FLAGS_ADD, FLAG_SEEN), 0);
	text = t_text(inbox, uid);
	ck_assert_ptr_nonnull(text);
	free(text);
	t_sh("mv away/* cur/ && rmdir away");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 111);
	end();
}
END_TEST

/* ---- what is refused has changed nothing ---- */

START_TEST(refused_and_nothing_written)
{
	static const char snapshot[] =
	    "(ls -lR --time-style=full-iso . ; find . -type f ! -name pub "
	    "-exec cksum {} + | sort)";
	char *before, *after;
	struct err e = { 0 };

	begin();
	ck_assert_int_eq(account_create(home, STR("a/b"), 0, &e), ACCOUNT_OK);
	before = xasprintf("%s >../before.$(basename $PWD)", snapshot);
	after = xasprintf("%s | cmp - ../before.$(basename $PWD)", snapshot);
	t_sh(before);
	ck_assert_int_eq(account_create(home, STR("new/deep"), USE_SENT, &e),
	    ACCOUNT_BADUSE);
	ck_assert_int_eq(
	    account_create(home, STR("a/b"), USE_ALL, &e), ACCOUNT_EXISTS);
	ck_assert_int_eq(
	    account_create(home, STR("x//y"), 0, &e), ACCOUNT_BADNAME);
	ck_assert_int_eq(
	    account_rename(home, STR("a"), STR("Sent"), &e), ACCOUNT_EXISTS);
	ck_assert_int_eq(
	    account_rename(home, STR("a"), STR("a/b/c"), &e), ACCOUNT_BADNAME);
	ck_assert_int_eq(account_rename(home, STR("none"), STR("q/r"), &e),
	    ACCOUNT_NOTFOUND);
	ck_assert_int_eq(
	    account_delete(home, STR("INBOX"), &e), ACCOUNT_FORBIDDEN);
	t_sh(after);
	free(before);
	free(after);
	end();
}
END_TEST

/*
 * A session that is two generations behind shows messages whose records it
 * cannot read any more. Those whose files still wait to be moved to exp/ are
 * read all the same.
 */
START_TEST(gone_and_two_generations_behind_is_served)
{
	struct account *a = t_account(), *b = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(b, "INBOX");
	struct mailbox_changes ch = { 0 };
	uint32_t n = MIRROR_NOW + 10;
	struct err e = { 0 };
	char *text;
	int i;

	/* names as others make them: nothing but the unique part */
	t_sh(
	    "for i in $(seq 74); do echo hello >cur/1.M${i}P1.other:2,S; done");
	t_sync(o, NULL);
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(o), n);
	t_remove(m, 1, n);
	for (i = 0; i < 2; i++) {
		m->must_generate = true;
		ck_assert_int_eq(generation_make(m, &e), 0);
	}
	ck_assert_uint_eq(m->v.ngone, 10);
	ck_assert_int_eq(mailbox_sync(o, false, &ch, &e), 0);
	ck_assert_uint_eq(ch.n, 0);
	mailbox_changes_release(&ch);
	for (i = 1; i <= (int)n; i++) {
		text = t_text(o, (uint32_t)i);
		ck_assert_msg(text != NULL, "UID %d cannot be read", i);
		free(text);
	}
	mailbox_close(&m);
	mailbox_close(&o);
	account_close(&a);
	account_close(&b);
	t_verify();
}
END_TEST

/*
 * A flag is set and taken back before its rename was made; then others set it.
 * That is no rename of ours.
 */
START_TEST(taken_back_before_its_rename_then_set_by_others)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct flag_change fc = { .flags = FLAG_FLAGGED };
	struct message msg;
	struct ranges r;
	struct err e = { 0 };
	int i;

	t_sh("echo one >new/1.M1P1.other; echo two >cur/1.M2P1.other; "
	     "echo three >cur/1.M3P1.other:2,S");
	t_sync(m, NULL);
	ranges_init(&r, 1);
	ranges_add(&r, 1, 3);
	for (i = 0; i < 2; i++) {
		fc.how = i == 0 ? FLAGS_ADD : FLAGS_REMOVE;
		ck_assert_int_eq(mailbox_store(m, &r, &fc, NULL, NULL, &e), 0);
	}
	ranges_release(&r);
	t_sh("for i in 1 2; do mv [nc]*/1.M${i}P1.other* "
	     "cur/1.M${i}P1.other:2,F;"
	     " done; mv cur/1.M3P1.other:2,S cur/1.M3P1.other:2,FS");
	t_sync(m, NULL);
	t_sync(m, NULL);
	for (i = 1; i <= 3; i++) {
		mailbox_get(m, (uint32_t)i, &msg);
		ck_assert_msg((msg.flags & FLAG_FLAGGED) != 0, "%d", i);
	}
	t_sh("ls cur | grep -c :2,F | grep -qx 3");
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("review");

	t_case(s, wrong_S_of_others_is_measured, 1);
	t_case(s, wrong_S_of_ours_unregistered_is_no_message, 1);
	t_case(s, wrong_S_of_ours_registered_is_served, 1);
	t_case(s, lock_replaced_under_sessions, 1);
	t_case(s, journal_shorter_than_pub, 2);
	t_case(s, journal_put_back_under_a_session, 1);
	t_case(s, moved_by_others_keeps_emailid, 1);
	t_case(s, partial_reads_have_checkpoints, 1);
	t_case(s, moved_by_another_session_is_served, 1);
	t_case(s, one_directory_read_per_offset, 1);
	t_case(s, lag_past_kept_generations, 1);
	t_case(s, copy_where_links_are_refused, 3);
	t_case(s, register_lock_held_by_others, 1);
	t_case(s, mass_loss_delivery_goes_on, 1);
	t_case(s, refused_and_nothing_written, 1);
	t_case(s, gone_and_two_generations_behind_is_served, 1);
	t_case(s, taken_back_before_its_rename_then_set_by_others, 1);
	return t_run(s);
}
