/*
 * Random operations by three sessions and by other programs, against a model
 * in memory. QUIRE_SEED and QUIRE_STEPS choose the run; a failure prints the
 * seed and the step. With QUIRE_BREAK the model itself is wrong about \Draft,
 * which must be found.
 */
#include "t_store.h"

#include <dirent.h>

#include "service/store/index_int.h"

#define SESSIONS 3
#define MAX_MSGS 20000
#define KEYWORD	 256u /* in the model's flags */

struct msg {
	bool is_live, is_known; /* known: has a UID of this mailbox */
	unsigned flags;
	int text;
	uint64_t modseq;
	bool is_foreign_gone; /* its file was deleted by others */
};

/* What the store must say. Index: UID. */
static struct msg box[2][MAX_MSGS];
static uint32_t top[2]; /* highest UID given */

static struct session {
	struct account *a;
	struct mailbox *m;
	uint32_t uids[MAX_MSGS]; /* as a client would number them */
	uint32_t n;
	uint64_t seen; /* some HIGHESTMODSEQ it had */
} s[SESSIONS];
static struct mailbox *archive;
static struct account *archive_account;

static uint64_t rnd_state;
static int next_text;
static long step, seed;
static const char *what;

#define CHECK(c) \
	ck_assert_msg(c, "seed %ld step %ld (%s): %s", seed, step, what, #c)

static uint32_t
rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 16) % n;
}

/* One of n. Half of the runs are about few messages, so that what is done to
 * one of them meets what is done to the same. */
static uint32_t
one_of(uint32_t n)
{
	return seed / 8 % 2 == 0 ? rnd(n) : n - 1 - rnd(n < 6 ? n : 6);
}

static unsigned
flags_of(struct mailbox *m, const struct message *msg)
{
	int bit = mailbox_keyword_bit(m, STR("work"));

	return msg->flags |
	       (bit >= 0 && (msg->keywords >> bit & 1) != 0 ? KEYWORD : 0);
}

/* ---- what a session sees ---- */

static void
grow_to_count(struct session *x)
{
	struct message msg;

	while (x->n < mailbox_count(x->m)) {
		mailbox_get(x->m, x->n + 1, &msg);
		CHECK(x->n == 0 || msg.uid > x->uids[x->n - 1]);
		x->uids[x->n++] = msg.uid;
	}
}

static unsigned
expected(uint32_t uid)
{
	unsigned flags = box[0][uid].flags;

	return getenv("QUIRE_BREAK") != NULL && (flags & FLAG_DRAFT) != 0 ?
		   flags ^ FLAG_SEEN :
		   flags;
}

/* As a session does when its client has its answer. In half of the runs others
 * are quicker most of the time. */
static void
tidy(struct session *x)
{
	if (seed / 16 % 2 == 0 || rnd(8) == 0)
		mailbox_tidy(x->m);
}

static void
sync_session(struct session *x, bool may_expunge)
{
	struct mailbox_changes ch = { 0 };
	struct mailbox_counts told;
	struct message msg;
	struct err e = { 0 };
	uint32_t live = 0;
	size_t i;

	CHECK(mailbox_sync(x->m, may_expunge, &ch, &e) == 0);
	for (i = 0; i < ch.n; i++) {
		struct mailbox_change *c = &ch.v[i];

		switch (c->kind) {
		case CHANGE_EXPUNGED:
			CHECK(may_expunge);
			CHECK(c->seq >= 1 && c->seq <= x->n);
			CHECK(x->uids[c->seq - 1] == c->uid);
			memmove(x->uids + c->seq - 1, x->uids + c->seq,
			    (x->n - c->seq) * sizeof(x->uids[0]));
			x->n--;
			break;
		case CHANGE_NEW:
			if (c->seq > x->n)
				x->uids[x->n++] = c->uid;
			CHECK(c->seq <= x->n);
			CHECK(x->uids[c->seq - 1] == c->uid);
			break;
		case CHANGE_FLAGS:
			CHECK(c->seq <= x->n && x->uids[c->seq - 1] == c->uid);
			break;
		case CHANGE_KEYWORDS:
			break;
		case CHANGE_UIDVALIDITY:
			CHECK(false);
		}
	}
	mailbox_changes_release(&ch);
	CHECK(x->n == mailbox_count(x->m));
	for (i = 0; i < x->n; i++) {
		mailbox_get(x->m, (uint32_t)i + 1, &msg);
		CHECK(msg.uid == x->uids[i]);
		live += !msg.is_expunged;
		if (may_expunge)
			CHECK(!msg.is_expunged);
		if (box[0][msg.uid].is_known) {
			CHECK(msg.is_expunged || box[0][msg.uid].is_live);
			CHECK(msg.is_expunged ||
			      flags_of(x->m, &msg) == expected(msg.uid));
		}
	}
	CHECK(mailbox_counts(x->m)->messages == live);
	/* others that do not have it open are told the same */
	CHECK(account_status(s[rnd(SESSIONS)].a, STR("INBOX"), &told, &e) ==
	      ACCOUNT_OK);
	CHECK(told.messages == live &&
	      told.uidnext == mailbox_counts(x->m)->uidnext &&
	      told.unseen == mailbox_counts(x->m)->unseen);
	x->seen = mailbox_counts(x->m)->highestmodseq;
	tidy(x);
}

static int
text_of(struct mailbox *m, uint32_t uid)
{
	char *p = t_text(m, uid);
	uint64_t n;
	int text = -1;

	if (p == NULL)
		return -1;
	if (str_starts(str_from(p), STR("Subject: ")) &&
	    str_uint(str_sub(str_from(p), 9, str_find(str_from(p), '\r') - 9),
		1u << 30, &n))
		text = (int)n;
	free(p);
	return text;
}

/* New messages whose UIDs the store chose (foreign files, copies). */
static void
learn(int b, struct mailbox *m)
{
	struct message msg;
	uint32_t i;
	int text;

	for (i = mailbox_count(m); i >= 1; i--) {
		mailbox_get(m, i, &msg);
		if (msg.uid <= top[b])
			break;
	}
	for (i++; i <= mailbox_count(m); i++) {
		mailbox_get(m, i, &msg);
		CHECK(msg.uid < MAX_MSGS && msg.uid > top[b]);
		text = text_of(m, msg.uid);
		mailbox_get(m, i, &msg);
		box[b][msg.uid] = (struct msg){ .is_live = true,
			.is_known = true,
			.flags = flags_of(m, &msg),
			.text = text,
			.modseq = msg.modseq };
		top[b] = msg.uid;
	}
}

static uint64_t
max_modseq(void)
{
	uint64_t max = 0;
	uint32_t i;

	for (i = 1; i <= top[0]; i++)
		if (box[0][i].modseq > max)
			max = box[0][i].modseq;
	return max;
}

/* ---- operations ---- */

static void
op_append(struct session *x)
{
	struct incoming *in[3];
	uint32_t uids[3], n = 1 + rnd(3), i;
	unsigned flags = rnd(4) == 0 ? rnd(32) : 0;
	struct incoming_opts o = { .flags = (uint16_t)flags, .is_new = rnd(2) };
	struct err e = { 0 };
	char body[200];

	for (i = 0; i < n; i++) {
		snprintf(body, sizeof(body), "Subject: %d\r\n\r\n%.*s\r\n",
		    next_text + (int)i, (int)rnd(100),
		    "................................................"
		    "....................................................");
		CHECK(incoming_new(&in[i], x->m, &o, &e) == 0);
		CHECK(incoming_write(in[i], str_from(body), &e) == 0);
		CHECK(incoming_sync(in[i], &e) == 0);
	}
	CHECK(mailbox_commit(x->m, in, n, uids, &e) == 0);
	grow_to_count(x);
	for (i = 0; i < n; i++) {
		incoming_free(&in[i]);
		CHECK(uids[i] > top[0]);
		top[0] = uids[i];
		box[0][uids[i]] = (struct msg){ .is_live = true,
			.is_known = true,
			.flags = flags,
			.text = next_text++ };
	}
}

/* A range of what the session shows. */
static bool
pick(struct session *x, struct ranges *r)
{
	uint32_t lo, hi;

	ranges_init(r, 4);
	if (x->n == 0)
		return false;
	lo = one_of(x->n);
	hi = rnd(10) == 0 ? x->n - 1 : lo + rnd(4);
	if (hi >= x->n)
		hi = x->n - 1;
	ranges_add(r, x->uids[lo], x->uids[hi]);
	return true;
}

static bool
is_shown(const struct session *x, uint32_t uid)
{
	uint32_t lo = 0, hi = x->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (x->uids[mid] < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n && x->uids[lo] == uid;
}

static void
op_store(struct session *x)
{
	struct flag_change fc = { .how = (int)rnd(3),
		.flags = (uint16_t)rnd(32) };
	struct ranges r, changed, modified;
	unsigned model_flags = fc.flags, bit, old;
	struct message msg;
	struct err e = { 0 };
	uint64_t before = max_modseq();
	uint32_t uid;

	if (!pick(x, &r))
		return;
	if (rnd(3) == 0) {
		CHECK(mailbox_keyword_define(x->m, STR("work"), &bit, &e) == 0);
		fc.keywords = 1ULL << bit;
		model_flags |= KEYWORD;
	}
	if (rnd(4) == 0) {
		fc.has_unchangedsince = true;
		fc.unchangedsince = x->seen;
	}
	ranges_init(&changed, 1000);
	ranges_init(&modified, 1000);
	CHECK(mailbox_store(x->m, &r, &fc, &changed, &modified, &e) == 0);
	tidy(x);
	for (uid = r.v[0].lo; uid <= r.v[0].hi; uid++) {
		struct msg *g = &box[0][uid];

		if (!g->is_live || !is_shown(x, uid)) {
			continue;
		}
		if (ranges_has(&modified, uid)) {
			CHECK(fc.has_unchangedsince);
			CHECK(g->modseq == 0 || g->modseq > fc.unchangedsince);
			continue;
		}
		if (fc.has_unchangedsince && g->modseq != 0)
			CHECK(g->modseq <= fc.unchangedsince);
		old = g->flags;
		if (fc.how == FLAGS_ADD)
			g->flags |= model_flags;
		else if (fc.how == FLAGS_REMOVE)
			g->flags &= ~model_flags;
		else
			g->flags = model_flags;
		CHECK(ranges_has(&changed, uid) == (old != g->flags));
		mailbox_get(x->m, mailbox_seq(x->m, uid), &msg);
		CHECK(flags_of(x->m, &msg) == g->flags);
		if (old != g->flags)
			CHECK(msg.modseq > before);
		g->modseq = msg.modseq;
	}
	ranges_release(&r);
	ranges_release(&changed);
	ranges_release(&modified);
}

static void
op_expunge(struct session *x)
{
	bool all = rnd(2);
	struct ranges r;
	struct err e = { 0 };
	uint32_t uid;

	if (!pick(x, &r))
		return;
	CHECK((all ? mailbox_remove(x->m, &r, &e) :
		     mailbox_expunge(x->m, &r, &e)) == 0);
	for (uid = r.v[0].lo; uid <= r.v[0].hi; uid++)
		if (is_shown(x, uid) &&
		    (all || (box[0][uid].flags & FLAG_DELETED) != 0))
			box[0][uid].is_live = false;
	ranges_release(&r);
}

static void
op_transfer(struct session *x, bool is_move)
{
	struct copy_result res;
	struct ranges r;
	struct err e = { 0 };
	struct message msg;
	size_t i;

	if (!pick(x, &r))
		return;
	CHECK((is_move ? mailbox_move(x->m, archive, &r, &res, &e) :
			 mailbox_copy(x->m, archive, &r, &res, &e)) == 0);
	learn(1, archive);
	for (i = 0; i < res.n; i++) {
		struct msg *from = &box[0][res.from[i]],
			   *to = &box[1][res.to[i]];

		CHECK(from->is_live && to->is_known);
		CHECK(to->text == from->text && to->flags == from->flags);
		CHECK(res.from[i] >= r.v[0].lo && res.from[i] <= r.v[0].hi);
		mailbox_get(archive, mailbox_seq(archive, res.to[i]), &msg);
		CHECK(!msg.is_expunged);
		if (is_move)
			from->is_live = false;
	}
	copy_result_release(&res);
	ranges_release(&r);
}

static void
open_session(struct session *x)
{
	x->a = t_account();
	x->m = t_mailbox(x->a, "INBOX");
	x->n = 0;
	grow_to_count(x);
	sync_session(x, true);
}

static void
op_reopen(struct session *x)
{
	mailbox_close(&x->m);
	account_close(&x->a);
	open_session(x);
}

/* Names of one second differ in their numbers. */
static int
by_age(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* The names in cur/ in the order in which they were made: the directory's own
 * differs from run to run, and a seed is to mean the same run again. */
static uint32_t
read_cur(const char *path, char **names, uint32_t max)
{
	DIR *d = opendir(path);
	struct dirent *de;
	uint32_t n = 0;

	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && n < max)
			names[n++] = xstrdup(de->d_name);
	closedir(d);
	qsort(names, n, sizeof(names[0]), by_age);
	return n;
}

/* A random file of cur/: its name, and the message it is. */
static uint32_t
pick_file(char name[300])
{
	static char *names[MAX_MSGS];
	char *path = xasprintf("%s/cur", t_root), *full, text[64] = "";
	uint32_t n = read_cur(path, names, MAX_MSGS), i, uid;
	uint64_t number = 0;
	int fd;

	name[0] = '\0';
	if (n > 0)
		str_copy(str_from(names[one_of(n)]), name, 300);
	for (i = 0; i < n; i++)
		free(names[i]);
	full = xasprintf("%s/%s", path, name);
	fd = name[0] == '\0' ? -1 : open(full, O_RDONLY);
	if (fd != -1) {
		ssize_t got = read(fd, text, sizeof(text) - 1);

		(void)got;
		close(fd);
		str_uint(str_sub(str_from(text), 9,
			     str_find(str_from(text), '\n') - 9),
		    1u << 30, &number);
	}
	free(full);
	free(path);
	for (uid = 1; fd != -1 && uid <= top[0]; uid++)
		if (box[0][uid].is_known && box[0][uid].is_live &&
		    box[0][uid].text == (int)number)
			return uid;
	return 0;
}

static void
move_file(const char *from, const char *to)
{
	char *a = xasprintf("%s/cur/%s", t_root, from),
	     *b = xasprintf("%s/cur/%s", t_root, to);

	ck_assert_int_eq(rename(a, b), 0);
	free(a);
	free(b);
}

static void
foreign_flags(struct session *x)
{
	static const struct {
		char letter;
		unsigned flag;
	} map[] = { { 'F', FLAG_FLAGGED }, { 'S', FLAG_SEEN },
		{ 'R', FLAG_ANSWERED }, { 'T', FLAG_DELETED },
		{ 'D', FLAG_DRAFT } };
	char name[300], to[400];
	uint32_t uid = pick_file(name);
	unsigned k = rnd(5);
	struct name n;
	uint32_t bit[] = { FN_F, FN_S, FN_R, FN_T, FN_D };

	if (uid == 0 || !name_parse(str_from(name), &n))
		return;
	CHECK(name_with_info(to, n.base, n.fn ^ bit[k], n.extra));
	move_file(name, to);
	if (((n.fn ^ bit[k]) & bit[k]) != 0)
		box[0][uid].flags |= map[k].flag;
	else
		box[0][uid].flags &= ~map[k].flag;
	box[0][uid].modseq = 0; /* new, not known which */
	sync_session(x, rnd(2));
}

static void
foreign_rename(struct session *x)
{
	char name[300], to[300];
	uint32_t uid = pick_file(name);
	struct name n;

	if (uid == 0 || !name_parse(str_from(name), &n))
		return;
	snprintf(to, sizeof(to), "%.*s,U=%u:2,%s", STR_ARG(n.unique), uid,
	    strstr(name, ":2,") != NULL ? strstr(name, ":2,") + 3 : "");
	if (strcmp(name, to) == 0)
		return;
	move_file(name, to);
	sync_session(x, rnd(2));
}

static void
foreign_delete(struct session *x)
{
	char name[300], *full;
	uint32_t uid = pick_file(name);

	if (uid == 0)
		return;
	full = xasprintf("%s/cur/%s", t_root, name);
	unlink(full);
	free(full);
	box[0][uid].is_live = false;
	box[0][uid].is_foreign_gone = true;
	sync_session(x, rnd(2));
}

static void
foreign_add(struct session *x)
{
	bool is_new = rnd(2);
	char *full =
	    xasprintf("%s/%s/%ld.M%uP1.other%s", t_root, is_new ? "new" : "cur",
		1000000000L + step, rnd(1000000), is_new ? "" : ":2,FS");
	FILE *f = fopen(full, "w");

	fprintf(f, "Subject: %d\n\nforeign\n", next_text++);
	fclose(f);
	free(full);
	sync_session(x, rnd(2));
	learn(0, x->m);
	CHECK(box[0][top[0]].text == next_text - 1);
	CHECK(box[0][top[0]].flags ==
	      (is_new ? 0u : (unsigned)(FLAG_FLAGGED | FLAG_SEEN)));
}

static void
op_read(struct session *x)
{
	uint32_t uid;

	if (x->n == 0)
		return;
	uid = x->uids[one_of(x->n)];
	if (box[0][uid].is_foreign_gone)
		t_text(x->m, uid);
	else {
		int text = text_of(x->m, uid);

		ck_assert_msg(text == box[0][uid].text,
		    "seed %ld step %ld: UID %u (live %d) reads %d, not %d",
		    seed, step, uid, box[0][uid].is_live, text,
		    box[0][uid].text);
	}
	/* reading may have looked at the journal */
	CHECK(mailbox_count(x->m) == x->n);
}

/* ---- everything at once ---- */

static void
compare_all(void)
{
	struct counters c;
	uint32_t i, uid, live;
	int k;

	/* files of expunged messages are moved in batches */
	for (i = 0; i == 0 || (i < 100 && s[0].m->v.ngone > 0); i++)
		sync_session(&s[0], true);
	for (k = 0; k < SESSIONS; k++) {
		struct session *x = &s[k];

		sync_session(x, true);
		for (uid = 1, live = 0, i = 0; uid <= top[0]; uid++) {
			if (!box[0][uid].is_live)
				continue;
			live++;
			CHECK(i < x->n && x->uids[i] == uid);
			i++;
		}
		CHECK(x->n == live);
		view_recount(&x->m->v, &c);
		CHECK(memcmp(&c, &x->m->v.c, sizeof(c)) == 0);
		CHECK(x->m->v.ngone == 0);
		sync_session(x, true);
	}
	/* names follow in batches */
	for (k = 0; k < SESSIONS; k++)
		for (i = 0;
		     i < 100 && s[k].m->v.mirror_lo <= s[k].m->v.mirror_hi; i++)
			sync_session(&s[k], true);
	sync_session(&s[0], true);
	for (i = 0; i < s[0].m->v.n; i++)
		CHECK(view_want_fn(&s[0].m->v, s[0].m->v.flags[i],
			  s[0].m->v.kw[i], s[0].m->v.fn[i]) == s[0].m->v.fn[i]);
}

static void
one_step(void)
{
	struct session *x = &s[rnd(SESSIONS)];

	switch (rnd(16)) {
	case 0:
	case 1:
	case 2:
		what = "append";
		op_append(x);
		break;
	case 3:
	case 4:
	case 5:
		what = "store";
		op_store(x);
		break;
	case 6:
		what = "expunge";
		op_expunge(x);
		break;
	case 7:
		what = "copy";
		if (rnd(2) == 0)
			op_transfer(x, false);
		break;
	case 8:
		what = "move";
		if (rnd(2) == 0)
			op_transfer(x, true);
		break;
	case 9:
	case 10:
		what = "sync";
		sync_session(x, rnd(2));
		break;
	case 11:
		what = "reopen";
		if (rnd(4) == 0)
			op_reopen(x);
		break;
	case 12:
		what = "foreign flags";
		foreign_flags(x);
		break;
	case 13:
		what = "foreign delete";
		if (rnd(3) == 0)
			foreign_delete(x);
		else
			foreign_rename(x);
		break;
	case 14:
		what = "foreign add";
		foreign_add(x);
		break;
	case 15:
		what = "read";
		op_read(x);
		break;
	}
}

/*
 * Each step's choices depend on the seed and its number only, so that a run
 * without some of its steps is still the same run: t/crash/shrink.py looks
 * for the fewest that fail. QUIRE_KEEP is a list of ranges, "7,12-90".
 */
static bool
is_kept(long n)
{
	const char *p = getenv("QUIRE_KEEP");
	long lo, hi;
	char *end;

	if (p == NULL)
		return true;
	while (*p != '\0') {
		lo = hi = strtol(p, &end, 10);
		if (*end == '-')
			hi = strtol(end + 1, &end, 10);
		if (n >= lo && n <= hi)
			return true;
		if (*end != ',')
			return false;
		p = end + 1;
	}
	return false;
}

static void
seed_step(long n)
{
	int i;

	rnd_state = 88172645463325252ULL ^ (uint64_t)seed << 20 ^
		    ((uint64_t)n * 0x9e3779b97f4a7c15ULL);
	rnd_state |= rnd_state == 0;
	for (i = 0; i < 4; i++)
		rnd(2);
}

START_TEST(model)
{
	const char *v = getenv("QUIRE_STEPS");
	long steps = v != NULL ? strtol(v, NULL, 10) : 3000;
	int k;

	v = getenv("QUIRE_SEED");
	seed = v != NULL ? strtol(v, NULL, 10) : (long)getpid();
	printf("# seed %ld\n", seed);
	fflush(stdout);
	/* generations come and go under the sessions */
	store_tail_min = 512 << seed % 8;
	what = "open";
	for (k = 0; k < SESSIONS; k++)
		open_session(&s[k]);
	archive_account = t_account();
	archive = t_mailbox(archive_account, "Archive");
	for (step = 0; step < steps; step++) {
		seed_step(step);
		if (is_kept(step))
			one_step();
		if (step % 40 == 39) {
			what = "compare";
			compare_all();
		}
	}
	t_verify(); /* beside the sessions, and after them */
	for (k = 0; k < SESSIONS; k++) {
		mailbox_close(&s[k].m);
		account_close(&s[k].a);
	}
	mailbox_close(&archive);
	account_close(&archive_account);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("model");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, model);
	tcase_set_timeout(t, 600);
	suite_add_tcase(suite, t);
	return t_run(suite);
}
