/*
 * The stream against the truth: thousands of random steps by several sessions
 * and by others, and readers of different age who compare what they are told
 * since their token with what is different since they looked. QUIRE_SEED,
 * QUIRE_STEPS.
 */
#include "t_store.h"

#include <dirent.h>
#include <errno.h>

#include "service/store/changes.h"
#include "service/store/index_int.h"

#define SESSIONS 3
#define READERS	 4
#define NAMES	 6 /* besides INBOX: a b a/c d e f, made and removed */
#define BOXES	 200

static const char *const names[NAMES] = { "a", "b", "a/c", "d", "e", "f" };

static uint64_t rnd_state;
static long seed, step;
static const char *what = "";

#define CHECK(cond)    \
	ck_assert_msg( \
	    (cond), "seed %ld step %ld (%s): %s", seed, step, what, #cond)

static uint32_t
rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 33) % n;
}

static struct account *writer[SESSIONS];

/* ---- what there is ---- */

struct look {
	struct seen {
		char name[STORE_MAX_NAME + 1];
		bool exists, is_subscribed;
		uint8_t id[16];
		struct mailbox_counts c;
	} v[BOXES];
	size_t n;
};

static void
look(struct account *a, struct look *l)
{
	const struct mailbox_info *list;
	size_t n, i;
	struct err e = { 0 };

	CHECK(account_refresh(a, &e) == 0);
	n = account_list(a, &list);
	CHECK(n <= BOXES);
	*l = (struct look){ .n = n };
	for (i = 0; i < n; i++) {
		struct seen *s = &l->v[i];

		str_copy(list[i].name, s->name, sizeof(s->name));
		s->exists = list[i].exists;
		s->is_subscribed = list[i].is_subscribed;
		memcpy(s->id, list[i].mailboxid, 16);
	}
	for (i = 0; i < n; i++)
		if (l->v[i].exists)
			CHECK(account_status(a, str_from(l->v[i].name),
				  &l->v[i].c, &e) == ACCOUNT_OK);
}

static const struct seen *
seen_id(const struct look *l, const uint8_t id[16])
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].exists && memcmp(l->v[i].id, id, 16) == 0)
			return &l->v[i];
	return NULL;
}

/* ---- readers ---- */

static struct reader {
	struct account *a;
	char token[CHANGES_TOKEN];
	struct look known;
} readers[READERS];

static long told, unknown, spurious;

static const struct change *
find(const struct changes *c, enum change_kind kind, const uint8_t *id,
    const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].kind == kind &&
		    (id == NULL || memcmp(c->v[i].mailboxid, id, 16) == 0) &&
		    (name == NULL || strcmp(c->v[i].name, name) == 0))
			return &c->v[i];
	return NULL;
}

static void
compare_box(const struct seen *was, const struct seen *is,
    const struct changes *c, bool whole)
{
	const struct change *x = find(c, CHANGED_MAILBOX, is->id, NULL);

	if (was == NULL) {
		CHECK(whole || find(c, CHANGED_CREATED, is->id, NULL) != NULL);
		return;
	}
	if (strcmp(was->name, is->name) != 0)
		CHECK(whole ||
		      find(c, CHANGED_RENAMED, is->id, is->name) != NULL);
	if (was->c.highestmodseq == is->c.highestmodseq) {
		spurious += x != NULL;
		return;
	}
	CHECK(x != NULL);
	CHECK(strcmp(x->name, is->name) == 0);
	CHECK(x->since <= was->c.highestmodseq);
	told++;
}

static void
compare(struct reader *r, const struct look *now, const struct changes *c)
{
	bool whole = find(c, CHANGED_TREE, NULL, NULL) != NULL;
	size_t i;

	for (i = 0; i < now->n; i++)
		if (now->v[i].exists)
			compare_box(seen_id(&r->known, now->v[i].id),
			    &now->v[i], c, whole);
	for (i = 0; i < r->known.n; i++) {
		const struct seen *was = &r->known.v[i];

		if (was->exists && seen_id(now, was->id) == NULL)
			CHECK(whole ||
			      find(c, CHANGED_DELETED, was->id, NULL) != NULL);
	}
	for (i = 0; i < now->n; i++) {
		const struct seen *is = &now->v[i];
		size_t k;

		for (k = 0; k < r->known.n; k++)
			if (strcmp(r->known.v[k].name, is->name) == 0)
				break;
		if (k < r->known.n &&
		    r->known.v[k].is_subscribed != is->is_subscribed)
			CHECK(whole ||
			      find(c,
				  is->is_subscribed ? CHANGED_SUBSCRIBED :
						      CHANGED_UNSUBSCRIBED,
				  NULL, is->name) != NULL);
	}
}

static void
ask(struct reader *r)
{
	static struct look now;
	struct changes c;
	struct err e = { 0 };

	/* first, so that what others did is noticed before it is asked for */
	look(r->a, &now);
	CHECK(changes_since(r->a, r->token, &c, &e) == 0);
	CHECK(!c.is_pending);
	CHECK(c.token[0] != '\0');
	if (c.is_unknown)
		unknown++;
	else
		compare(r, &now, &c);
	memcpy(r->token, c.token, sizeof(r->token));
	r->known = now;
	changes_release(&c);
}

/* ---- steps ---- */

static const char *
any_name(void)
{
	return rnd(3) == 0 ? "INBOX" : names[rnd(NAMES)];
}

static struct mailbox *
any_mailbox(struct account *a)
{
	struct mailbox *m = NULL;

	(void)account_open_mailbox(a, str_from(any_name()), false, &m, NULL);
	return m;
}

static void
change_messages(struct account *a)
{
	struct mailbox *m = any_mailbox(a), *to = any_mailbox(a);
	struct copy_result res;
	struct ranges r;
	uint32_t n, uid = 0;
	struct message msg;

	if (m == NULL || to == NULL)
		goto done;
	n = mailbox_count(m);
	if (n > 0) {
		mailbox_get(m, 1 + rnd(n), &msg);
		uid = msg.uid;
	}
	ranges_init(&r, 4);
	ranges_add(&r, uid, uid + rnd(3));
	if (n < 3 || (n < 20 && rnd(3) == 0))
		CHECK(t_add(m, "Subject: x\r\n\r\nx\r\n", (uint16_t)rnd(32)) !=
		      0);
	else if (rnd(3) == 0)
		CHECK(t_remove(m, uid, uid) == 0);
	else if (rnd(2) == 0 || strcmp(any_name(), "INBOX") == 0)
		CHECK(t_store(m, uid, uid + rnd(3), (int)rnd(3),
			  (uint16_t)rnd(32)) == 0);
	else if (memcmp(m->j.mailboxid, to->j.mailboxid, 16) != 0 &&
		 (rnd(2) == 0 ? mailbox_move(m, to, &r, &res, NULL) :
				mailbox_copy(m, to, &r, &res, NULL)) == 0)
		copy_result_release(&res);
	ranges_release(&r);
done:
	mailbox_close(&m);
	mailbox_close(&to);
}

static void
change_tree(struct account *a)
{
	const char *name = names[rnd(NAMES)];

	switch (rnd(4)) {
	case 0:
		account_create(a, str_from(name), 0, NULL);
		break;
	case 1:
		if (rnd(2) == 0)
			account_delete(a, str_from(name), NULL);
		break;
	case 2:
		account_rename(
		    a, str_from(name), str_from(names[rnd(NAMES)]), NULL);
		break;
	case 3:
		account_subscribe(a, str_from(name), rnd(2), NULL);
		break;
	}
}

static void
change_as_others(void)
{
	char *cmd;

	switch (rnd(5)) {
	case 0:
		cmd = xasprintf("echo 'Subject: o' > new/%ld.M1P%ld.other",
		    1000 + step, step);
		break;
	case 1:
		cmd = xasprintf("f=$(ls cur | head -1); [ -z \"$f\" ] || "
				"mv \"cur/$f\" \"cur/${f%%%%:*}:2,F%s\" "
				"2>/dev/null || :",
		    rnd(2) ? "S" : "");
		break;
	case 2:
		cmd = xasprintf("f=$(ls cur new | grep other | head -1); "
				"[ -z \"$f\" ] || rm -f cur/$f new/$f");
		break;
	case 3:
		cmd = xasprintf("[ -e .d ] && rm -r .d || "
				"mkdir -p .d/cur .d/new .d/tmp");
		break;
	default:
		cmd = xasprintf("[ ! -e .e ] || [ -e .f ] || mv .e .f");
	}
	t_sh(cmd);
	free(cmd);
}

static void
one_step(void)
{
	struct account **w = &writer[rnd(SESSIONS)];

	switch (rnd(24)) {
	default:
		what = "messages";
		change_messages(*w);
		break;
	case 0:
	case 1:
	case 2:
		what = "tree";
		change_tree(*w);
		break;
	case 3:
		what = "others";
		change_as_others();
		break;
	case 4:
		what = "reopen";
		account_close(w);
		*w = t_account();
		break;
	case 5:
		what = "lost";
		if (rnd(20) == 0)
			t_sh("rm -f quire/acct/stream");
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		what = "ask";
		ask(&readers[rnd(READERS - 1)]);
		break;
	case 11:
		what = "ask late";
		if (rnd(8) == 0)
			ask(&readers[READERS - 1]);
		break;
	}
}

START_TEST(model)
{
	const char *v = getenv("QUIRE_STEPS");
	long steps = v != NULL ? strtol(v, NULL, 10) : 4000;
	int k;

	v = getenv("QUIRE_SEED");
	seed = v != NULL ? strtol(v, NULL, 10) : (long)getpid();
	printf("# seed %ld\n", seed);
	fflush(stdout);
	rnd_state = 88172645463325252ULL ^ (uint64_t)seed << 20;
	rnd(2);
	store_tail_min = 2048;
	store_tree_min = 4096;
	store_stream_records = 40 + (uint32_t)seed % 200;
	for (k = 0; k < SESSIONS; k++)
		writer[k] = t_account();
	for (k = 0; k < READERS; k++) {
		readers[k].a = t_account();
		ask(&readers[k]);
	}
	for (step = 0; step < steps; step++)
		one_step();
	for (k = 0; k < READERS; k++) {
		ask(&readers[k]);
		account_close(&readers[k].a);
	}
	for (k = 0; k < SESSIONS; k++)
		account_close(&writer[k]);
	printf("# told %ld, unknown %ld, for nothing %ld\n", told, unknown,
	    spurious);
	ck_assert_int_gt(told, steps / 20);
	ck_assert_int_lt(unknown, told / 2);
	ck_assert_int_lt(spurious, told / 10);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("changes model");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_test(t, model);
	tcase_set_timeout(t, 600);
	suite_add_tcase(suite, t);
	return t_run(suite);
}
