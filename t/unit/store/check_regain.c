/*
 * A journal that is damaged somewhere, and a mailbox that is only opened: all
 * that is also in the exports and in the names stays as it was.
 */
#include "t_store.h"

#include <sys/wait.h>

#include "service/store/index_int.h"

enum { ZEROS, FLIP, HOWS };
#define SECTOR 512

/* ---- a mailbox with a history, and what it is ---- */

#define MAX_UID 64
static struct known { /* by UID */
	bool is_live;
	uint32_t text;
	unsigned flags;
	uint64_t size;
	int64_t internaldate;
	uint8_t emailid[16];
	char keywords[64];
} known[MAX_UID];
static uint32_t nlive, uidnext, uidvalidity, ntexts;

static struct account *
opened(enum account_export exports)
{
	struct account_opts o = {
		.hostname = "mx.example", .exports = exports, .log = t_log
	};
	struct account *a;
	struct err e = { 0 };

	if (account_open(&a, t_rootfd, &o, &e) == -1)
		ck_abort_msg("account_open: %s", e.text);
	return a;
}

static void
add(struct mailbox *m, uint16_t flags)
{
	char text[64];

	ntexts++;
	snprintf(text, sizeof(text), "Subject: %u\r\n\r\n%.*s\r\n", ntexts,
	    (int)ntexts, "........................................");
	ck_assert_uint_ne(t_add(m, text, flags), 0);
}

static void
label(struct mailbox *m, const char *name, uint32_t lo, uint32_t hi)
{
	struct flag_change fc = { .how = FLAGS_ADD };
	struct ranges r;
	unsigned bit;

	ck_assert_int_eq(
	    mailbox_keyword_define(m, str_from(name), &bit, NULL), 0);
	fc.keywords = 1ULL << bit;
	ranges_init(&r, 1);
	ranges_add(&r, lo, hi);
	ck_assert_int_eq(mailbox_store(m, &r, &fc, NULL, NULL, NULL), 0);
	ranges_release(&r);
	mailbox_tidy(m);
}

static void
keywords_of(struct mailbox *m, uint64_t kw, char out[64])
{
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < 64; i++)
		if ((kw >> i & 1) != 0)
			snprintf(out + strlen(out), 64 - strlen(out), "%.*s ",
			    i < m->v.nkeywords ? (int)m->v.keywords[i].n : 1,
			    i < m->v.nkeywords ? m->v.keywords[i].p : "?");
}

static struct known
describe(struct mailbox *m, uint32_t seq, uint32_t *uid)
{
	struct message msg;
	struct known k = { .is_live = true };
	char *text;

	mailbox_get(m, seq, &msg);
	*uid = msg.uid;
	k.flags = msg.flags;
	k.size = msg.size;
	k.internaldate = msg.internaldate;
	memcpy(k.emailid, msg.emailid, 16);
	keywords_of(m, msg.keywords, k.keywords);
	text = t_text(m, msg.uid);
	ck_assert_ptr_nonnull(text);
	k.text = (uint32_t)strtoul(text + strlen("Subject: "), NULL, 10);
	free(text);
	return k;
}

static void
play(void)
{
	struct account *a = opened(ACCOUNT_EXPORT_DOVECOT);
	struct mailbox *m = t_mailbox(a, "INBOX");
	uint32_t i, uid;

	memset(known, 0, sizeof(known));
	ntexts = 0;
	for (i = 0; i < 6; i++)
		add(m, i % 2 ? FLAG_SEEN : 0);
	label(m, "work", 2, 3);
	t_remove(m, 4, 4);
	t_sync(m, NULL);
	m->must_generate = true;
	t_sync(m, NULL);
	for (i = 0; i < 4; i++)
		add(m, i % 2 ? FLAG_ANSWERED : 0);
	t_store(m, 1, 7, FLAGS_ADD, FLAG_FLAGGED);
	label(m, "play", 6, 8);
	t_remove(m, 5, 5);
	t_remove(m, 9, 9);
	for (i = 0; i < 4; i++)
		add(m, 0);
	t_store(m, 6, 11, FLAGS_ADD, FLAG_SEEN);
	t_store(m, 7, 7, FLAGS_REMOVE, FLAG_SEEN | FLAG_FLAGGED);
	label(m, "rest", 12, 13);
	t_sync(m, NULL);
	/* others give names too */
	t_sh("f=$(grep -l 'Subject: 11$' cur/*) && mv $f ${f%%,*},U=9,${f#*,}");
	t_sync(m, NULL);
	add(m, FLAG_DRAFT);
	t_sync(m, NULL);
	nlive = mailbox_count(m);
	for (i = 1; i <= nlive; i++) {
		struct known k = describe(m, i, &uid);

		ck_assert_uint_lt(uid, MAX_UID);
		known[uid] = k;
	}
	uidnext = mailbox_counts(m)->uidnext;
	uidvalidity = mailbox_counts(m)->uidvalidity;
	mailbox_close(&m);
	account_close(&a);
}

/* ---- what it must be afterwards ---- */

static bool
is_same(const struct known *a, const struct known *b)
{
	return b->is_live && a->text == b->text && a->flags == b->flags &&
	       a->size == b->size && a->internaldate == b->internaldate &&
	       memcmp(a->emailid, b->emailid, 16) == 0 &&
	       strcmp(a->keywords, b->keywords) == 0;
}

/* can_tell: UIDs that are lost are written elsewhere */
static void
check_same(struct mailbox *m, const char *who, bool can_tell)
{
	uint32_t i, n, uid;

	ck_assert_msg(mailbox_count(m) == nlive, "%s: %u messages, not %u", who,
	    mailbox_count(m), nlive);
	ck_assert_msg(mailbox_counts(m)->uidvalidity == uidvalidity, "%s", who);
	ck_assert_msg(mailbox_counts(m)->uidnext >= uidnext, "%s", who);
	for (i = 1; i <= nlive; i++) {
		struct known k = describe(m, i, &uid);

		if (uid >= uidnext && !can_tell) {
			for (n = 1; n < MAX_UID && known[n].text != k.text;)
				n++;
			ck_assert_msg(n < MAX_UID, "%s: UID %u", who, uid);
			continue;
		}
		ck_assert_msg(uid < MAX_UID && is_same(&k, &known[uid]),
		    "%s: UID %u is %u, flags %x, keywords %s; %u, %x, %s", who,
		    uid, k.text, k.flags, k.keywords,
		    uid < MAX_UID ? known[uid].text : 0,
		    uid < MAX_UID ? known[uid].flags : 0,
		    uid < MAX_UID ? known[uid].keywords : "");
	}
}

static size_t
journal_end(void)
{
	struct buf b;
	size_t end;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(fs_read_file(t_rootfd, "quire/journal", &b, NULL), 0);
	end = t_journal_end(b.p, b.n);
	buf_release(&b);
	return end;
}

static void
damage(size_t off, int how)
{
	int fd = openat(t_rootfd, "quire/journal", O_RDWR);
	char p[SECTOR] = { 0 };
	static const char zeros[SECTOR];
	ssize_t n = pread(fd, p, sizeof(p), (off_t)off);

	ck_assert_int_gt(n, 0);
	if (how == FLIP)
		p[off / SECTOR * 37 % (size_t)n] ^= 0x10;
	ck_assert_int_eq(
	    pwrite(fd, how == FLIP ? p : zeros, (size_t)n, (off_t)off), n);
	close(fd);
}

static bool
was_salvaged(void)
{
	return faccessat(t_rootfd, "quire/journal.bad", F_OK, 0) == 0;
}

static struct account *a;

static struct mailbox *
look(enum account_export exports)
{
	struct mailbox *m;

	a = opened(exports);
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	return m;
}

static void
done(struct mailbox *m, const char *who)
{
	uint32_t uid;

	uid = t_add(m, "Subject: 99\r\n\r\n", 0);
	ck_assert_msg(uid >= uidnext, "%s: UID %u given out again", who, uid);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}

/* ---- each sector ---- */

enum { ALONE, REBOOTED, WITH_SESSION, NO_LIST, OTHER_LIST, CASES };

static void
one(size_t off, int how, int what)
{
	bool can_tell = what < NO_LIST;
	enum account_export exports =
	    what == NO_LIST ? ACCOUNT_EXPORT_NONE : ACCOUNT_EXPORT_DOVECOT;
	struct account *b = NULL;
	struct mailbox *m, *o = NULL;
	char who[64];

	snprintf(who, sizeof(who), "%s at %zu, case %d",
	    how == ZEROS ? "zeros" : "a bit", off, what);
	if (what == WITH_SESSION) {
		b = opened(exports);
		o = t_mailbox(b, "INBOX");
		t_sync(o, NULL);
	}
	if (what == NO_LIST)
		t_sh("rm dovecot-uidlist");
	if (what == OTHER_LIST)
		t_sh("sed -i '1s/V[0-9]*/V7/' dovecot-uidlist");
	damage(off, how);
	store_boot = what == REBOOTED ? 12345 : 0;
	m = look(exports);
	/* what may be a write that a power cut tore is none that was lost:
	 * UIDs skip ahead */
	if (what == REBOOTED && !was_salvaged())
		can_tell = false;
	check_same(m, who, can_tell);
	if (o != NULL) {
		t_sync(o, NULL);
		check_same(o, who, true);
		ck_assert_msg(!o->is_dead, "%s: session lost", who);
	}
	done(m, who);
	store_boot = 0;
	mailbox_close(&o);
	account_close(&b);
}

START_TEST(sectors)
{
	int what = _i / HOWS, how = _i % HOWS;
	/* without its head a journal is none: adoption's matter */
	size_t off = what < NO_LIST ? 0 : SECTOR, end;

	play();
	for (end = journal_end(); off < end; off += SECTOR) {
		one(off, how, what);
		t_teardown();
		t_setup();
		play();
	}
}
END_TEST

/* ---- a stop anywhere ---- */

static int left;

static int
stop(const char *call)
{
	(void)call;
	if (left-- == 0)
		_exit(77);
	return 0;
}

START_TEST(stopped)
{
	struct mailbox *m;
	int status = 1, n;
	pid_t pid;

	for (n = 0; status != 0; n++) {
		play();
		damage(SECTOR, ZEROS);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			left = n;
			store_step = stop;
			m = look(ACCOUNT_EXPORT_DOVECOT);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 77 ||
						   WEXITSTATUS(status) == 0));
		m = look(ACCOUNT_EXPORT_DOVECOT);
		check_same(m, "stopped", true);
		done(m, "stopped");
		t_teardown();
		t_setup();
	}
	ck_assert_int_gt(n, 8);
}
END_TEST

/* ---- a list that is not true ---- */

/* All that came since the index is lost, but for what came last. */
START_TEST(lying_list)
{
	static const char *const lies[] = {
		/* the UID of a message that stands; one below the index's; one
		 * that two have; none that can be; a file that is not there */
		"sed -i 's/^12 /15 /' dovecot-uidlist",
		"sed -i 's/^12 /4 /' dovecot-uidlist",
		"sed -i 's/^12 /11 /' dovecot-uidlist",
		"sed -i 's/^12 /4294967295 /' dovecot-uidlist",
		"sed -i 's/^12 .*/12 :1.2.3/' dovecot-uidlist",
		"sed -i 's/^12 .*/12 /' dovecot-uidlist",
	};
	struct mailbox *m;
	uint32_t i, uid, nfresh = 0;
	struct known k;

	play();
	for (i = 1; i < 7; i++)
		damage(i * SECTOR, ZEROS);
	t_sh(lies[_i]);
	m = look(ACCOUNT_EXPORT_DOVECOT);
	ck_assert_uint_eq(mailbox_count(m), nlive);
	for (i = 1; i <= nlive; i++) {
		k = describe(m, i, &uid);
		nfresh += uid >= uidnext;
		ck_assert(uid >= uidnext || k.text == known[uid].text ||
			  (_i == 2 && uid == 11));
	}
	ck_assert_uint_eq(nfresh, 1);
	done(m, lies[_i]);
}
END_TEST

static int
at_rename(const char *call)
{
	if (strcmp(call, "rename") == 0)
		_exit(77);
	return 0;
}

/* An expunge that stands is one, also of a message whose ADD is lost. */
START_TEST(expunged)
{
	struct mailbox *m;
	size_t end, off;
	int status, i;
	pid_t pid;

	play();
	end = journal_end();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		m = look(ACCOUNT_EXPORT_DOVECOT);
		for (i = 0; i < 10; i++)
			t_store(m, 1, 1, i % 2 ? FLAGS_REMOVE : FLAGS_ADD,
			    FLAG_DRAFT);
		/* killed before its file is away */
		store_step = at_rename;
		t_remove(m, 15, 15);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	t_sh("grep -q 'Subject: 15$' cur/* && grep -q '^15 ' dovecot-uidlist");
	for (off = SECTOR; off < end; off += SECTOR)
		damage(off, ZEROS);
	known[15].is_live = false;
	nlive--;
	m = look(ACCOUNT_EXPORT_DOVECOT);
	ck_assert(was_salvaged());
	check_same(m, "expunged", true);
	done(m, "expunged");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("regain");

	t_case(s, sectors, CASES * HOWS);
	t_case(s, stopped, 1);
	t_case(s, lying_list, 6);
	t_case(s, expunged, 1);
	return t_run(s);
}
