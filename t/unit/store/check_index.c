/* Generations: indexes, records, and private files that others damage. */
#include "t_store.h"

#include <sys/stat.h>

#include "service/store/index_int.h"

#define LIVE 3

/* What every session must say of each message. */
struct known {
	uint32_t uid;
	unsigned flags;
	uint64_t size;
	uint8_t emailid[16];
	char name[NAME_LEN + 1];
};
static struct known *model;
static uint32_t nmodel;

static uint32_t
how_many(void)
{
	const char *v = getenv("QUIRE_MESSAGES");

	return v != NULL ? (uint32_t)strtoul(v, NULL, 10) : 10000;
}

/* Messages in batches, as an import does. */
static void
fill(struct mailbox *m, uint32_t n)
{
	struct incoming_opts o = { .flags = FLAG_SEEN };
	struct incoming *in[100];
	uint32_t uids[100], done, i;
	struct err e = { 0 };
	char text[100];

	for (done = 0; done < n; done += i) {
		for (i = 0; i < N(in) && done + i < n; i++) {
			snprintf(text, sizeof(text),
			    "Subject: %u\r\n\r\nbody\r\n", done + i);
			ck_assert_int_eq(incoming_new(&in[i], m, &o, &e), 0);
			incoming_write(in[i], str_from(text), &e);
		}
		ck_assert_int_eq(incoming_sync_many(in, i, &e), 0);
		if (mailbox_commit(m, in, i, uids, &e) == -1)
			ck_abort_msg("%s", e.text);
		while (i-- > 0)
			incoming_free(&in[i]);
		i = n - done < N(in) ? n - done : N(in);
	}
}

static void
learn(struct mailbox *m)
{
	struct message msg;
	uint32_t i;

	nmodel = mailbox_count(m);
	model = xreallocarray(model, nmodel, sizeof(*model));
	for (i = 0; i < nmodel; i++) {
		mailbox_get(m, i + 1, &msg);
		model[i] = (struct known){ msg.uid, msg.flags, msg.size };
		memcpy(model[i].emailid, msg.emailid, 16);
		str_copy(msg.name, model[i].name, sizeof(model[i].name));
	}
}

static void
compare(struct mailbox *m, const char *who)
{
	struct message msg;
	uint32_t i;

	ck_assert_msg(mailbox_count(m) == nmodel, "%s: %u messages, not %u",
	    who, mailbox_count(m), nmodel);
	for (i = 0; i < nmodel; i++) {
		mailbox_get(m, i + 1, &msg);
		ck_assert_msg(msg.uid == model[i].uid, "%s: UID %u, not %u",
		    who, msg.uid, model[i].uid);
		ck_assert_msg(msg.flags == model[i].flags,
		    "%s: flags of %u: %x, not %x", who, msg.uid, msg.flags,
		    model[i].flags);
		ck_assert_msg(
		    msg.size == model[i].size, "%s: size of %u", who, msg.uid);
		ck_assert_msg(str_eq(msg.name, str_from(model[i].name)),
		    "%s: name of %u", who, msg.uid);
		ck_assert_msg(memcmp(msg.emailid, model[i].emailid, 16) == 0,
		    "%s: EMAILID of %u", who, msg.uid);
	}
	ck_assert_uint_eq(mailbox_counts(m)->messages, nmodel);
}

/* The newest file of that kind, or the one before it. */
static bool
find(const char *what, bool before, char out[300])
{
	uint64_t gen[2] = { 0, 0 };
	char path[300];
	unsigned g;

	if (strchr(what, '.') == NULL) {
		snprintf(out, 300, "%s/quire/%s", t_root, what);
		return !before && access(out, F_OK) == 0;
	}
	for (g = 1; g < 1000; g++) {
		snprintf(path, sizeof(path), "%s/quire/%s%u", t_root, what, g);
		if (access(path, F_OK) == 0) {
			gen[1] = gen[0];
			gen[0] = g;
		}
	}
	snprintf(out, 300, "%s/quire/%s%llu", t_root, what,
	    (unsigned long long)gen[before]);
	return gen[before] != 0;
}

static void
flip(const char *path, double where)
{
	int fd = open(path, O_RDWR);
	struct stat st;
	char c;
	off_t at;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	at = (off_t)((double)st.st_size * where);
	if (at < st.st_size && pread(fd, &c, 1, at) == 1) {
		c ^= 16;
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	}
	close(fd);
}

static void
damage(const char *path, unsigned how)
{
	struct stat st;

	switch (how) {
	case 0:
		ck_assert_int_eq(unlink(path), 0);
		break;
	case 1:
		ck_assert_int_eq(truncate(path, 0), 0);
		break;
	case 2:
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(truncate(path, st.st_size / 2), 0);
		break;
	default:
		flip(path, (double[]){ 0.0, 0.3, 0.6, 0.999 }[how - 3]);
		break;
	}
}

static void
use_all(struct mailbox **live, unsigned k)
{
	struct mailbox_changes ch = { 0 };
	uint32_t uid = model[k * 37 % nmodel].uid, i;
	int how = k % 2 == 0 ? FLAGS_ADD : FLAGS_REMOVE;
	unsigned s;

	for (s = 0; s < LIVE; s++) {
		t_sync(live[s], &ch);
		for (i = 0; i < ch.n; i++)
			ck_assert_int_ne(ch.v[i].kind, CHANGE_UIDVALIDITY);
	}
	ck_assert_int_eq(
	    t_store(live[k % LIVE], uid, uid, how, FLAG_FLAGGED), 0);
	for (i = 0; i < nmodel; i++)
		if (model[i].uid == uid)
			model[i].flags =
			    how == FLAGS_ADD ?
				model[i].flags | FLAG_FLAGGED :
				model[i].flags & ~(unsigned)FLAG_FLAGGED;
	for (s = 0; s < LIVE; s++) {
		t_sync(live[s], &ch);
		for (i = 0; i < ch.n; i++)
			ck_assert_int_ne(ch.v[i].kind, CHANGE_UIDVALIDITY);
	}
	mailbox_changes_release(&ch);
}

static void
one_damage(struct mailbox **live, const char *what, bool before, unsigned how)
{
	static unsigned k;
	struct account *a;
	struct mailbox *m;
	char path[300], who[400];
	uint32_t uidvalidity = mailbox_counts(live[0])->uidvalidity;
	unsigned s;

	if (!find(what, before, path))
		return;
	damage(path, how);
	snprintf(who, sizeof(who), "%s, damage %u", strrchr(path, '/'), how);
	use_all(live, k++);
	for (s = 0; s < LIVE; s++)
		compare(live[s], who);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	compare(m, who);
	ck_assert_uint_eq(mailbox_counts(m)->uidvalidity, uidvalidity);
	mailbox_close(&m);
	account_close(&a);
	/* one damage at a time: what is kept twice is whole again */
	for (s = 0; s < 2; s++) {
		live[0]->must_generate = true;
		t_sync(live[0], NULL);
	}
}

/* Two generations, and a tail behind the second. */
static void
prepare(struct mailbox *m, uint32_t n)
{
	struct mailbox_changes ch = { 0 };
	uint32_t i;

	fill(m, n / 2);
	t_sync(m, &ch);
	m->must_generate = true;
	t_sync(m, &ch);
	fill(m, n - n / 2 - 50);
	ck_assert_int_eq(t_remove(m, 11, 20), 0);
	t_sync(m, &ch);
	m->must_generate = true;
	t_sync(m, &ch);
	fill(m, 50);
	for (i = 1; i < 10; i++)
		ck_assert_int_eq(t_store(m, i, i, FLAGS_ADD, FLAG_ANSWERED), 0);
	mailbox_changes_release(&ch);
}

START_TEST(private_files)
{
	static const char *const files[] = { "journal", "journal.", "index.",
		"recs.", "pub", "lock" };
	struct account *a[LIVE];
	struct mailbox *live[LIVE];
	unsigned s, i, how, before;

	for (s = 0; s < LIVE; s++) {
		a[s] = t_account();
		live[s] = t_mailbox(a[s], "INBOX");
	}
	prepare(live[0], how_many());
	for (s = 0; s < LIVE; s++)
		t_sync(live[s], NULL);
	learn(live[0]);
	for (s = 0; s < LIVE; s++)
		compare(live[s], "before");
	t_verify();
	for (i = 0; i < N(files); i++)
		for (before = 0; before < 2; before++)
			for (how = 0; how < 7; how++)
				one_damage(live, files[i], before != 0, how);
	/* all at once */
	t_sh("rm -r quire/journal* quire/index* quire/recs* quire/pub "
	     "quire/lock");
	use_all(live, 1000);
	for (s = 0; s < LIVE; s++)
		compare(live[s], "all removed");
	t_verify();
	for (s = 0; s < LIVE; s++) {
		mailbox_close(&live[s]);
		account_close(&a[s]);
	}
	t_verify();
}
END_TEST

/* Large enough to be mapped; cut under a session it ends that session. */
START_TEST(mapped_and_cut)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o;
	struct mailbox_changes ch = { 0 };
	struct message msg;
	char path[300];
	uint32_t i;

	fill(m, 20000);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert(m->v.is_mapped);
	ck_assert_uint_eq(mailbox_count(m), 20000);
	o = t_mailbox(a, "INBOX");
	/* rows beyond the room behind the columns */
	fill(m, 2000);
	ck_assert(!m->v.is_mapped);
	t_sync(o, NULL);
	ck_assert_uint_eq(mailbox_count(o), 22000);
	mailbox_close(&o);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert(m->v.is_mapped);
	ck_assert(find("index.", false, path));
	ck_assert_int_eq(truncate(path, 8192), 0);
	for (i = 1; i <= mailbox_count(m); i++)
		mailbox_get(m, i, &msg); /* whatever it says, it lives */
	t_sync(m, &ch);
	ck_assert_uint_eq(ch.n, 1);
	ck_assert_int_eq(ch.v[0].kind, CHANGE_UIDVALIDITY);
	mailbox_changes_release(&ch);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_count(m), 22000);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

/* A disk that lost the newest write of the journal's first sector, and a power
 * cut: no transaction agrees with that header, and yet they stood there. */
START_TEST(former_header)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	int i;

	fill(m, 5);
	m->must_generate = true;
	t_sync(m, NULL);
	for (i = 0; i < 20; i++) /* transactions */
		fill(m, 1);
	mailbox_close(&m);
	account_close(&a);
	t_sh("cd quire && dd if=$(echo journal.[0-9]*) of=journal bs=512 "
	     "count=1 conv=notrunc 2>/dev/null && cp journal ../damaged && "
	     "rm pub");
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	ck_assert_uint_eq(mailbox_count(m), 25);
	fill(m, 1);
	ck_assert_uint_eq(mailbox_count(m), 26);
	mailbox_close(&m);
	account_close(&a);
	t_sh("cmp damaged quire/journal.bad");
	t_verify();
}
END_TEST

/* Nothing that is wrong with an index goes unseen. */
START_TEST(index_every_byte)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	const char *why;
	struct index_head h;
	struct stat st;
	char path[300], c;
	uint64_t gen;
	off_t at;
	int fd;

	fill(m, 20);
	t_remove(m, 3, 5);
	m->must_generate = true;
	t_sync(m, NULL);
	gen = m->j.index_gen;
	ck_assert(find("index.", false, path));
	ck_assert(index_check(m->qfd, gen, &h, &why));
	fd = open(path, O_RDWR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (at = 0; at < st.st_size; at++) {
		ck_assert_int_eq(pread(fd, &c, 1, at), 1);
		c ^= 4;
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
		/* the zeros between the small part and the columns are free */
		if (index_check(m->qfd, gen, &h, &why))
			ck_assert_msg(
			    at >= 512 + (off_t)h.small_len && at < 4096,
			    "octet %ld is not covered", (long)at);
		c ^= 4;
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	}
	for (at = st.st_size - 1; at >= 0; at--) {
		ck_assert_int_eq(ftruncate(fd, at), 0);
		ck_assert(!index_check(m->qfd, gen, &h, &why));
		at -= at > 5000 ? 90 : 0;
	}
	close(fd);
	mailbox_close(&m);
	account_close(&a);
}
END_TEST

/* Expunges are told from before the change of generation. */
START_TEST(history)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	uint64_t before;
	struct ranges r;

	fill(m, 100);
	before = mailbox_counts(m)->highestmodseq;
	t_remove(m, 10, 19);
	t_remove(m, 21, 21);
	t_sync(m, NULL);
	m->must_generate = true;
	t_sync(m, NULL);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(m->j.end, JOURNAL_HEAD);
	ranges_init(&r, 10);
	ck_assert(mailbox_vanished(m, before, &r));
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(ranges_count(&r), 11);
	ranges_release(&r);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

static bool
has_entry(struct mailbox *m, uint32_t uid, const char *text)
{
	struct str got;

	return mailbox_cache_get(m, uid, 7, &got) &&
	       str_eq(got, str_from(text));
}

/* What was put is there for others, in the next generation too, and is never
 * another message's. */
START_TEST(cache)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX"), *o = t_mailbox(a, "INBOX");
	char path[300], big[3000];
	struct str got;
	uint32_t i;

	fill(m, 300);
	t_sync(o, NULL);
	mailbox_cache_put(m, 2, 7, STR("two"));
	mailbox_cache_put(m, 3, 7, STR(""));
	mailbox_cache_put(m, 999, 7, STR("nobody"));
	ck_assert(!mailbox_cache_get(m, 2, 7, &got));
	mailbox_cache_flush(m);
	ck_assert(has_entry(m, 2, "two") && has_entry(m, 3, ""));
	ck_assert(!mailbox_cache_get(m, 2, 8, &got));
	ck_assert(!mailbox_cache_get(m, 1, 7, &got));
	t_sync(o, NULL);
	ck_assert(has_entry(o, 2, "two"));
	m->must_generate = true;
	t_sync(m, NULL);
	mailbox_cache_put(m, 4, 7, STR("four"));
	t_sync(m, NULL);
	t_sync(o, NULL);
	ck_assert(has_entry(o, 2, "two") && has_entry(o, 4, "four"));
	mailbox_close(&o);
	o = t_mailbox(a, "INBOX");
	ck_assert(has_entry(o, 2, "two") && has_entry(o, 4, "four"));
	/* dead entries make the next generation begin another file */
	memset(big, 'x', sizeof(big));
	for (i = 0; i < 4000; i++)
		mailbox_cache_put(m, 5, 7, str_make(big, sizeof(big)));
	mailbox_cache_flush(m);
	m->must_generate = true;
	t_sync(m, NULL);
	t_sync(o, NULL);
	ck_assert(!mailbox_cache_get(o, 2, 7, &got));
	ck_assert(!find("cache.", false, path));
	mailbox_cache_put(o, 2, 7, STR("again"));
	t_sync(o, NULL);
	t_sync(m, NULL);
	ck_assert(has_entry(m, 2, "again"));
	ck_assert(find("cache.", false, path));
	/* damage is a miss, and so is another message's entry */
	flip(path, 0.7);
	mailbox_close(&o);
	o = t_mailbox(a, "INBOX");
	ck_assert(!mailbox_cache_get(o, 2, 7, &got));
	mailbox_cache_put(o, 2, 7, STR("whole"));
	t_sync(o, NULL);
	o->v.cache[6] = o->v.cache[1];
	ck_assert(has_entry(o, 2, "whole"));
	ck_assert(!mailbox_cache_get(o, 7, 7, &got));
	mailbox_close(&o);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("index");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, index_every_byte);
	tcase_add_test(t, history);
	tcase_add_test(t, cache);
	tcase_add_test(t, mapped_and_cut);
	tcase_add_test(t, private_files);
	tcase_add_test(t, former_header);
	tcase_set_timeout(t, 600);
	suite_add_tcase(suite, t);
	return t_run(suite);
}
