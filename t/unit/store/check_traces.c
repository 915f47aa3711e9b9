/*
 * The traces by which reviewers lost mail or flags on paper, played: each test
 * is one of them, and fails without the rule that was made because of it.
 */
#include "t_store.h"

#include <errno.h>
#include <sys/wait.h>

#include "service/store/index_int.h"

static const char hello[] = "Subject: hello\r\n\r\nworld\r\n";

/* ---- what happens at a system call ---- */

static const char *at_call; /* the next of these ... */
static int at_n;	    /* ... but so many */
static const char *at_sh;   /* others do this then; NULL: we are killed */

static int
step(const char *call)
{
	if (at_call == NULL || strcmp(call, at_call) != 0 || --at_n != 0)
		return 0;
	if (at_sh == NULL)
		_exit(77);
	at_call = NULL;
	t_sh(at_sh);
	return 0;
}

static void
arm(const char *call, int n, const char *sh)
{
	at_call = call;
	at_n = n;
	at_sh = sh;
	store_step = step;
}

static void
disarm(void)
{
	store_step = NULL;
}

/* Another process does it and is killed before the n-th such call. */
static void
killed(void (*act)(struct account *), const char *call, int n)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		at_call = call;
		at_n = n;
		at_sh = NULL;
		act(t_account());
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 77,
	    "not killed at %s", call);
}

static unsigned
flags_of(struct mailbox *m, uint32_t uid)
{
	uint32_t seq = mailbox_seq(m, uid);
	struct message msg;

	ck_assert_uint_ne(seq, 0);
	mailbox_get(m, seq, &msg);
	return msg.flags;
}

static void
is_served(struct mailbox *m, uint32_t uid)
{
	char *text = t_text(m, uid);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, hello);
	free(text);
}

static void
new_index(struct mailbox *m)
{
	struct err e = { 0 };
	uint64_t gen = m->j.gen;

	m->must_generate = true;
	if (generation_make(m, &e) == -1)
		ck_abort_msg("%s", e.text);
	ck_assert_uint_gt(m->j.gen, gen);
}

/* Others make the directory one that must be read. */
static void
look(struct mailbox *m)
{
	t_sh("printf 'x: y\\n\\n' >cur/$(date +%s%N).other:2,");
	ck_assert(scan_is_due(m));
	t_sync(m, NULL);
}

static struct account *home;
static struct mailbox *inbox;

static void
enter(void)
{
	home = t_account();
	inbox = t_mailbox(home, "INBOX");
}

/* One message, and everybody at rest. */
static void
begin(void)
{
	enter();
	ck_assert_uint_eq(t_add(inbox, hello, 0), 1);
	t_sync(inbox, NULL);
}

static void
leave(void)
{
	mailbox_close(&inbox);
	account_close(&home);
}

static void
end(void)
{
	disarm();
	leave();
	t_verify();
}

/* ---- a rename has three states ---- */

static void
set_seen(struct account *a)
{
	struct mailbox *m = t_mailbox(a, "INBOX");

	store_step = step;
	t_store(m, 1, 1, FLAGS_ADD, FLAG_SEEN);
}

static void
clear_seen(struct account *a)
{
	struct mailbox *m = t_mailbox(a, "INBOX");

	store_step = step;
	t_store(m, 1, 1, FLAGS_REMOVE, FLAG_SEEN);
}

/* The name still says no \Seen: that is not somebody's wish. */
START_TEST(killed_between_ok_and_rename_new_index_scan_seen_stays)
{
	begin();
	leave();
	killed(set_seen, "rename", 1);
	t_sh("ls cur/*:2, >/dev/null");
	enter();
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	new_index(inbox);
	look(inbox);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	t_sh("ls cur/*:2,S >/dev/null");
	end();
}
END_TEST

/* The name says \Seen, which was taken back: it is not set again. */
START_TEST(killed_after_rename_taken_back_new_index_scan_not_seen)
{
	begin();
	leave();
	killed(set_seen, "pwrite", 3); /* STORE, pub, FNDONE */
	t_sh("ls cur/*:2,S >/dev/null");
	killed(clear_seen, "rename", 1);
	enter();
	new_index(inbox);
	mailbox_release(inbox); /* and nobody has looked at the names */
	account_close(&home);
	enter();
	look(inbox);
	ck_assert_uint_eq(flags_of(inbox, 1), 0);
	t_sh("ls cur/*:2, >/dev/null");
	end();
}
END_TEST

/* DONE, and the power cut took the rename back. */
START_TEST(done_rename_lost_with_the_power_seen_stays)
{
	begin();
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	leave();
	t_sh("for f in cur/*:2,S; do mv $f ${f%S}; done");
	store_boot = 12345;
	enter();
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	t_sh("ls cur/*:2,S >/dev/null");
	end();
	store_boot = 0;
}
END_TEST

/* Two of ours, one after the other; the cut took both back, or the second. */
START_TEST(two_renames_lost_with_the_power_flags_stay)
{
	begin();
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	leave();
	t_sh(_i == 0 ? "for f in cur/*:2,FS; do mv $f ${f%FS}; done" :
		       "for f in cur/*:2,FS; do mv $f ${f%FS}S; done");
	store_boot = 12345;
	enter();
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN | FLAG_FLAGGED);
	t_sync(inbox, NULL);
	t_sh("ls cur/*:2,FS >/dev/null");
	/* now such a name is somebody's wish */
	t_sh("for f in cur/*:2,FS; do mv $f ${f%FS}; done");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), 0);
	end();
	store_boot = 0;
}
END_TEST

/* What others did, and we have told, the cut takes from the names only. */
START_TEST(rename_of_others_lost_with_the_power_seen_stays)
{
	begin();
	t_sh("for f in cur/*:2,; do mv $f ${f}S; done");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	leave();
	t_sh("for f in cur/*:2,S; do mv $f ${f%S}; done");
	store_boot = 12345;
	enter();
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	t_sync(inbox, NULL);
	t_sh("ls cur/*:2,S >/dev/null");
	end();
	store_boot = 0;
}
END_TEST

/* The same names without a power cut are somebody's wish. */
START_TEST(done_name_turned_back_in_this_boot_not_seen)
{
	begin();
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	t_sh("for f in cur/*:2,S; do mv $f ${f%S}; done");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), 0);
	end();
}
END_TEST

/* And so they are when the directory was synced since, by a new index. */
START_TEST(durable_name_turned_back_in_another_boot_not_seen)
{
	begin();
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	new_index(inbox);
	leave();
	t_sh("for f in cur/*:2,S; do mv $f ${f%S}; done");
	store_boot = 12345;
	enter();
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), 0);
	end();
	store_boot = 0;
}
END_TEST

/* Who renames it between our FN and our rename is merged. */
START_TEST(renamed_by_others_before_our_rename_both_win)
{
	begin();
	arm("rename", 1, "for f in cur/*:2,; do mv $f ${f}F; done");
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	disarm();
	t_sync(inbox, NULL);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN | FLAG_FLAGGED);
	t_sync(inbox, NULL);
	t_sh("ls cur/*:2,FS >/dev/null");
	end();
}
END_TEST

/* Another file has the name that ours is to get: it is not replaced. */
START_TEST(name_taken_before_our_rename_nothing_is_lost)
{
	begin();
	arm("rename", 1,
	    "for f in cur/*:2,; do printf 'b: 2\\n\\n' >${f}S; done");
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	disarm();
	t_sync(inbox, NULL);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 2);
	is_served(inbox, 1);
	t_sh("grep -q '^b: 2' cur/*");
	end();
}
END_TEST

/* ---- a scan never unlinks ---- */

static const char second_name[] = "for f in cur/*:2,; do ln $f ${f}S; done";
static const char first_away[] = "rm cur/*:2,";

/* Somebody may be between link and unlink. */
START_TEST(second_name_young_both_stay)
{
	begin();
	t_sh(second_name);
	t_sync(inbox, NULL);
	t_sync(inbox, NULL);
	t_sh("test $(ls cur | wc -l) = 2");
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	/* he was: it is one rename, to other flags */
	t_sh(first_away);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	is_served(inbox, 1);
	end();
}
END_TEST

START_TEST(second_name_old_is_put_aside)
{
	begin();
	store_young_s = -1;
	t_sh(second_name);
	t_sync(inbox, NULL);
	t_sync(inbox, NULL);
	t_sh("test $(ls cur | wc -l) = 1");
	t_sh("test $(ls quire/exp | wc -l) = 1");
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	is_served(inbox, 1);
	end();
	store_young_s = 60;
}
END_TEST

/* We put one aside and they remove the other: the message is still there. */
START_TEST(two_parties_each_see_a_second_name)
{
	begin();
	store_young_s = -1;
	t_sh(second_name);
	/* whichever of the two we are about to move, they take the other */
	arm("rename", 1, _i == 0 ? "rm cur/*:2," : "rm cur/*:2,S");
	t_sync(inbox, NULL);
	disarm();
	t_sync(inbox, NULL);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	is_served(inbox, 1);
	t_sh("test $(ls cur | wc -l) = 1");
	end();
	store_young_s = 60;
}
END_TEST

/* Two of us at once: both sessions find it, one moves it. */
START_TEST(two_sessions_each_see_a_second_name)
{
	struct mailbox *o;

	begin();
	o = t_mailbox(home, "INBOX");
	store_young_s = -1;
	t_sh(second_name);
	t_sync(inbox, NULL);
	t_sync(o, NULL);
	t_sync(inbox, NULL);
	t_sync(o, NULL);
	t_sh("test $(ls cur | wc -l) = 1");
	ck_assert_uint_eq(mailbox_count(o), 1);
	is_served(o, 1);
	mailbox_close(&o);
	end();
	store_young_s = 60;
}
END_TEST

static void
copy_one(struct account *a)
{
	struct mailbox *m = t_mailbox(a, "INBOX"), *to = t_mailbox(a, "Trash");
	struct copy_result r;
	struct ranges uids;

	ranges_init(&uids, 1);
	ranges_add(&uids, 1, 1);
	store_step = step;
	mailbox_copy(m, to, &uids, &r, NULL);
}

/* What a COPY that was killed has left is no message, and not unlinked. */
START_TEST(killed_between_link_and_add_of_copy)
{
	struct mailbox *to;

	begin();
	leave();
	killed(copy_one, "pwrite", 1);
	t_sh("test $(ls .Trash/cur | wc -l) = 1");
	home = t_account();
	inbox = t_mailbox(home, "INBOX");
	to = t_mailbox(home, "Trash");
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 0);
	t_sh("test $(ls .Trash/cur | wc -l) = 1");
	mailbox_close(&to);
	store_young_s = 1;
	sleep(3);
	/* the times are what they were, a look is due */
	t_sh("touch .Trash/cur");
	to = t_mailbox(home, "Trash");
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 0);
	t_sh("test $(ls .Trash/quire/exp | wc -l) = 1");
	mailbox_close(&to);
	is_served(inbox, 1);
	end();
	store_young_s = 60;
}
END_TEST

/* A copy looks the same when others move it to another folder. */
START_TEST(copy_moved_by_others_is_a_message)
{
	struct mailbox *to;
	struct copy_result r;
	struct ranges uids;
	struct err e = { 0 };

	begin();
	to = t_mailbox(home, "Trash");
	ranges_init(&uids, 1);
	ranges_add(&uids, 1, 1);
	ck_assert_int_eq(mailbox_copy(inbox, to, &uids, &r, &e), 0);
	copy_result_release(&r);
	ranges_release(&uids);
	mailbox_close(&to);
	to = t_mailbox(home, "Archive");
	t_sync(to, NULL);
	store_young_s = 1;
	sleep(3);
	t_sh("mv .Trash/cur/* .Archive/cur/");
	sleep(3);
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 1);
	is_served(to, 1);
	mailbox_close(&to);
	to = t_mailbox(home, "Trash");
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 0);
	mailbox_close(&to);
	end();
	store_young_s = 60;
}
END_TEST

/* ---- MOVE between its two syncs ---- */

static void
move_one(struct account *a)
{
	struct mailbox *m = t_mailbox(a, "INBOX"), *to = t_mailbox(a, "Trash");
	struct copy_result r;
	struct ranges uids;

	ranges_init(&uids, 1);
	ranges_add(&uids, 1, 1);
	store_step = step;
	mailbox_move(m, to, &uids, &r, NULL);
}

/* pwrite 1 and 2 are the target's journal and pub, 3 and 4 the source's, 5 is
 * MOVEDONE. */
#define AT_PUB	    2
#define AT_SOURCE   3
#define AT_MOVEDONE 5

/* After it: the target's journal has it, the source's not yet. */
static void
half_a_move(int at)
{
	begin();
	leave();
	killed(move_one, "pwrite", at);
	home = t_account();
}

static uint32_t
live(const char *name)
{
	struct mailbox_counts c;
	struct err e;

	ck_assert_int_eq(
	    account_status(home, str_from(name), &c, &e), ACCOUNT_OK);
	return c.messages;
}

START_TEST(move_killed_between_the_syncs_is_finished)
{
	struct mailbox *to;

	half_a_move(_i == 0 ? AT_PUB : AT_SOURCE);
	/* who opens only the source still sees it */
	inbox = t_mailbox(home, "INBOX");
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	to = t_mailbox(home, "Trash");
	ck_assert_uint_eq(mailbox_count(to), 1);
	is_served(to, 1);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 0);
	mailbox_close(&to);
	end();
	home = t_account();
	ck_assert_uint_eq(live("INBOX"), 0);
	ck_assert_uint_eq(live("Trash"), 1);
	account_close(&home);
}
END_TEST

/* The target's is expunged before anybody finished: the source's stays. */
START_TEST(move_killed_between_the_syncs_target_expunged)
{
	struct mailbox *to;
	struct err e = { 0 };

	begin();
	to = t_mailbox(home, "Trash");
	t_sync(to, NULL);
	mailbox_close(&inbox);
	killed(move_one, "pwrite", _i == 0 ? AT_PUB : AT_SOURCE);
	/* by one who died before he finished the MOVE, as he should have */
	ck_assert_int_eq(mailbox_lock_only(to, &e), 0);
	ck_assert_uint_eq(to->v.nmoves, 1);
	op_begin(&to->ops, OP_EXPUNGE, 0);
	op_u32(&to->ops, 1);
	op_u32(&to->ops, EXPUNGE_OWN);
	op_u64(&to->ops, to->v.uhash[0]);
	op_end(&to->ops);
	ck_assert_int_eq(mailbox_append(to, 0, false, true, &e), 0);
	mailbox_unlock(to);
	t_sync(to, NULL);
	ck_assert_uint_eq(mailbox_count(to), 0);
	ck_assert_uint_eq(to->v.nmoves, 0);
	mailbox_close(&to);
	inbox = t_mailbox(home, "INBOX");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	is_served(inbox, 1);
	end();
}
END_TEST

/* The source was restored: that UID is another message now. */
START_TEST(move_to_finish_source_is_another_message)
{
	struct mailbox *to;
	struct err e = { 0 };

	begin();
	to = t_mailbox(home, "Trash");
	ck_assert_uint_eq(t_add(to, "Subject: other\r\n\r\n", 0), 1);
	ck_assert_int_eq(mailbox_lock_only(to, &e), 0);
	op_move_begin(&to->ops, OP_MOVEFROM, inbox->j.mailboxid);
	op_u32(&to->ops, 1);
	op_u32(&to->ops, 1);
	op_end(&to->ops);
	ck_assert_int_eq(mailbox_append(to, 0, false, true, &e), 0);
	mailbox_unlock(to);
	t_add(to, "Subject: other\r\n\r\n", 0);
	ck_assert_uint_eq(to->v.nmoves, 0);
	mailbox_close(&to);
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 1);
	end();
}
END_TEST

/* All acknowledged, then the power: MOVEDONE, never synced, is lost, and so is
 * nothing else. */
START_TEST(move_acknowledged_movedone_lost)
{
	struct mailbox *to;
	uint64_t end_of_move;

	begin();
	leave();
	killed(move_one, "pwrite", AT_MOVEDONE);
	store_boot = 12345;
	home = t_account();
	to = t_mailbox(home, "Trash");
	ck_assert_uint_eq(mailbox_count(to), 1);
	end_of_move = to->j.end;
	ck_assert_int_eq(t_remove(to, 1, 1), 0);
	ck_assert_uint_gt(to->j.end, end_of_move);
	mailbox_close(&to);
	inbox = t_mailbox(home, "INBOX");
	t_sync(inbox, NULL);
	ck_assert_uint_eq(mailbox_count(inbox), 0);
	end();
	store_boot = 0;
}
END_TEST

/* ---- after EIO ---- */

static char calls[2000]; /* writes and syncs of the journal, in order */
static int fail_syncs;

static int
failing(const char *call)
{
	size_t n = strlen(calls);

	if (strncmp(call, "pwrite", 6) == 0 || strcmp(call, "sync_data") == 0)
		snprintf(calls + n, sizeof(calls) - n, "%s ", call);
	if (fail_syncs > 0 && strcmp(call, "sync_data") == 0) {
		fail_syncs--;
		return EIO;
	}
	return 0;
}

static void
fail_next_syncs(int n)
{
	calls[0] = '\0';
	fail_syncs = n;
	store_step = failing;
}

/*
 * The bytes whose sync failed stand in the page cache, and on no disk. Nobody
 * is shown them; and before anything is acknowledged behind them, all that no
 * sync has seen is written again, because the next one would succeed without.
 * (Then room is made again, which was given back with the bytes.)
 */
START_TEST(eio_then_reread)
{
	struct mailbox *o;

	begin();
	o = t_mailbox(home, "INBOX");
	/* its FNDONE waits for the next sync */
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_SEEN), 0);
	ck_assert_uint_lt(inbox->j.synced, inbox->j.end);
	fail_next_syncs(1);
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_FLAGGED), -1);
	disarm();
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN);
	t_sync(o, NULL);
	ck_assert_uint_eq(flags_of(o, 1), FLAG_SEEN);
	mailbox_close(&o);
	o = t_mailbox(home, "INBOX");
	ck_assert_uint_eq(flags_of(o, 1), FLAG_SEEN);
	mailbox_close(&o);
	fail_next_syncs(0);
	ck_assert_int_eq(t_store(inbox, 1, 1, FLAGS_ADD, FLAG_ANSWERED), 0);
	disarm();
	ck_assert_msg(str_starts(str_from(calls),
			  STR("pwrite pwrite2 sync_data pwrite pwrite2 "
			      "pwrite pwrite2 sync_data ")),
	    "%s", calls);
	ck_assert_uint_eq(flags_of(inbox, 1), FLAG_SEEN | FLAG_ANSWERED);
	end();
}
END_TEST

/* The same when the one who got EIO is no more: another finds the bytes. */
START_TEST(eio_and_killed_then_reread)
{
	struct mailbox *o;

	begin();
	o = t_mailbox(home, "INBOX");
	mailbox_close(&inbox);
	killed(set_seen, "sync_data", 1);
	/* not published: not shown, though they can be read */
	ck_assert_int_eq(mailbox_follow(o, NULL), 0);
	ck_assert_uint_eq(flags_of(o, 1), 0);
	/* nor when they cannot be made durable */
	fail_next_syncs(1000);
	ck_assert_int_eq(t_store(o, 1, 1, FLAGS_ADD, FLAG_FLAGGED), -1);
	ck_assert_msg(
	    str_starts(str_from(calls), STR("pwrite pwrite2 sync_data ")), "%s",
	    calls);
	ck_assert_int_ne(
	    account_open_mailbox(home, STR("INBOX"), false, &inbox, NULL),
	    ACCOUNT_OK);
	fail_next_syncs(0);
	ck_assert_int_eq(t_store(o, 1, 1, FLAGS_ADD, FLAG_FLAGGED), 0);
	disarm();
	ck_assert_msg(
	    str_starts(str_from(calls), STR("pwrite pwrite2 sync_data ")), "%s",
	    calls);
	/* durable now, and so is what nobody had acknowledged */
	ck_assert_uint_eq(flags_of(o, 1), FLAG_SEEN | FLAG_FLAGGED);
	inbox = o;
	end();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("traces");

	t_case(s, killed_between_ok_and_rename_new_index_scan_seen_stays, 1);
	t_case(s, killed_after_rename_taken_back_new_index_scan_not_seen, 1);
	t_case(s, done_rename_lost_with_the_power_seen_stays, 1);
	t_case(s, two_renames_lost_with_the_power_flags_stay, 2);
	t_case(s, rename_of_others_lost_with_the_power_seen_stays, 1);
	t_case(s, done_name_turned_back_in_this_boot_not_seen, 1);
	t_case(s, durable_name_turned_back_in_another_boot_not_seen, 1);
	t_case(s, renamed_by_others_before_our_rename_both_win, 1);
	t_case(s, name_taken_before_our_rename_nothing_is_lost, 1);
	t_case(s, second_name_young_both_stay, 1);
	t_case(s, second_name_old_is_put_aside, 1);
	t_case(s, two_parties_each_see_a_second_name, 2);
	t_case(s, two_sessions_each_see_a_second_name, 1);
	t_case(s, killed_between_link_and_add_of_copy, 1);
	t_case(s, copy_moved_by_others_is_a_message, 1);
	t_case(s, move_killed_between_the_syncs_is_finished, 2);
	t_case(s, move_killed_between_the_syncs_target_expunged, 2);
	t_case(s, move_to_finish_source_is_another_message, 1);
	t_case(s, move_acknowledged_movedone_lost, 1);
	t_case(s, eio_then_reread, 1);
	t_case(s, eio_and_killed_then_reread, 1);
	return t_run(s);
}
