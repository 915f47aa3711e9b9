/*
 * The scenario of all operations, its model, and the comparison (scenario.h).
 */
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/export.h"
#include "service/store/incoming.h"
#include "service/store/index_int.h"
#include "service/store/store_int.h"
#include "service/store/verify.h"

struct shared *sh;
bool scenario_is_beside;

static const char *const boxes[NBOXES] = { "INBOX", "Archive", "x", "x/y", "z",
	"z/y", "old" };

/* ---- the model ---- */

static void
m_add(struct model *m, int box, int text, unsigned flags)
{
	m->v[m->n++] = (struct inst){ text, box, flags };
}

static struct inst *
m_find(struct model *m, int box, int text)
{
	int i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].box == box && m->v[i].text == text)
			return &m->v[i];
	return NULL;
}

static void
m_del(struct model *m, struct inst *at)
{
	*at = m->v[--m->n];
}

static void
m_rebox(struct model *m, int from, int to)
{
	int i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].box == from)
			m->v[i].box = to;
}

typedef void change(struct model *, int stage);

static void
deliver1(struct model *m, int stage)
{
	m_add(m, INBOX, 1, 0);
}

static void
deliver23(struct model *m, int stage)
{
	/* a stop between two renames: one is adopted by the next scan */
	m_add(m, INBOX, 2, FLAG_DRAFT);
	if (stage == 0)
		m_add(m, INBOX, 3, FLAG_DRAFT);
}

static void
flag1(struct model *m, int stage)
{
	if (m_find(m, INBOX, 1))
		m_find(m, INBOX, 1)->flags |= FLAG_FLAGGED;
}

static void
seen_all(struct model *m, int stage)
{
	int i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].box == INBOX)
			m->v[i].flags |= FLAG_SEEN;
}

static void
keyword_all(struct model *m, int stage)
{
	int i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].box == INBOX)
			m->v[i].flags |= 256;
}

static void
copy2(struct model *m, int stage)
{
	struct inst *at = m_find(m, INBOX, 2);

	if (at)
		m_add(m, ARCHIVE, 2, at->flags);
}

static void
move1(struct model *m, int stage)
{
	struct inst *at = m_find(m, INBOX, 1);

	if (at)
		at->box = ARCHIVE;
}

static void
remove3(struct model *m, int stage)
{
	if (m_find(m, INBOX, 3))
		m_del(m, m_find(m, INBOX, 3));
}

static void
deliver4(struct model *m, int stage)
{
	m_add(m, INBOX, 4, 0);
}

/* two recipients of one message: the commits come one after the other */
static void
both6(struct model *m, int stage)
{
	m_add(m, INBOX, 6, 0);
	if (stage == 0)
		m_add(m, ARCHIVE, 6, 0);
}

static void
nothing(struct model *m, int stage)
{
}

static void
create_xy(struct model *m, int stage)
{
	m->box[X] = true;
	m->box[XY] = m->box[XY] || stage == 0;
}

static void
deliver5(struct model *m, int stage)
{
	if (m->box[XY])
		m_add(m, XY, 5, 0);
}

static void
rename_x(struct model *m, int stage)
{
	if (!m->box[X])
		return;
	m->box[Z] = true;
	m->box[X] = false;
	m->box[ZY] = m->box[XY];
	m->box[XY] = false;
	m_rebox(m, XY, ZY);
}

static void
delete_zy(struct model *m, int stage)
{
	int i;

	m->box[ZY] = false;
	for (i = m->n - 1; i >= 0; i--)
		if (m->v[i].box == ZY)
			m_del(m, &m->v[i]);
}

static void
subscribe_foo(struct model *m, int stage)
{
	m->foo = true;
}

static void
rename_inbox(struct model *m, int stage)
{
	m->box[OLD] = true;
	if (stage == 0)
		m_rebox(m, INBOX, OLD);
}

static void
begin(const char *what, change *c, int stages)
{
	int i, s;

	snprintf(sh->what, sizeof(sh->what), "%s", what);
	for (i = 0; i < sh->nsure; i++)
		for (s = 0; s < stages; s++) {
			sh->maybe[i * stages + s] = sh->sure[i];
			c(&sh->maybe[i * stages + s], s);
		}
	sh->nmaybe = sh->nsure * stages;
}

/* may_stick: failing is allowed to have gone through */
static void
end(change *c, bool ok, bool may_stick)
{
	int i, n = sh->nsure;

	if (ok)
		for (i = 0; i < n; i++)
			c(&sh->sure[i], 0);
	else if (may_stick)
		for (i = 0; i < sh->nmaybe && sh->nsure < MAX_ALT; i++)
			sh->sure[sh->nsure++] = sh->maybe[i];
	sh->nmaybe = 0;
}

/* ---- the scenario ---- */

static struct account *acc;
static struct mailbox *in, *ar;

static uint32_t
prepare(struct mailbox *m, int text, uint16_t flags, bool is_new,
    struct incoming **out)
{
	struct incoming_opts o = { .flags = flags, .is_new = is_new };
	char body[64];

	snprintf(body, sizeof(body), "Subject: %d\r\n\r\nbody\r\n", text);
	*out = NULL;
	if (incoming_new(out, m, &o, NULL) == -1)
		return 0;
	return incoming_write(*out, str_from(body), NULL) == 0 &&
	       incoming_sync(*out, NULL) == 0;
}

static bool
deliver(struct mailbox *m, int first, int n, uint16_t flags, bool is_new)
{
	struct incoming *inc[4] = { NULL };
	uint32_t uids[4];
	bool ok = true;
	int i;

	for (i = 0; i < n; i++)
		ok &= prepare(m, first + i, flags, is_new, &inc[i]) != 0;
	ok = ok && mailbox_commit(m, inc, (size_t)n, uids, NULL) == 0;
	for (i = 0; i < n; i++) {
		incoming_free(&inc[i]);
		if (ok && m == in && uids[i] > sh->uid_max)
			sh->uid_max = uids[i];
	}
	return ok;
}

/* Prepared everywhere, then committed everywhere or aborted everywhere. */
static bool
deliver_both(int text, bool commits)
{
	struct incoming *a = NULL, *b = NULL;
	uint32_t uid = 0, other;
	bool ok = prepare(in, text, 0, true, &a) != 0 &&
		  prepare(ar, text, 0, true, &b) != 0;

	if (ok && commits) {
		ok = mailbox_commit(in, &a, 1, &uid, NULL) == 0;
		if (ok && uid > sh->uid_max)
			sh->uid_max = uid;
		ok = ok && mailbox_commit(ar, &b, 1, &other, NULL) == 0;
	}
	incoming_free(&a);
	incoming_free(&b);
	return ok;
}

static int
text_of(struct mailbox *m, uint32_t uid)
{
	struct msgfile *f;
	char p[64] = "";
	int text = -1;

	if (mailbox_open_message(m, uid, &f, NULL) == -1)
		return -1;
	if (msgfile_read(f, 0, p, sizeof(p) - 1, NULL) > 9 &&
	    strcmp(p + 10, "\r\n\r\nbody\r\n") == 0)
		text = p[9] - '0';
	msgfile_free(&f);
	return text;
}

/* Of the shown live messages: the one with that text (0: all) */
static void
uids_of(struct mailbox *m, int text, struct ranges *r)
{
	struct message msg;
	uint32_t i;

	ranges_init(r, 100);
	for (i = 1; i <= mailbox_count(m); i++) {
		mailbox_get(m, i, &msg);
		if (!msg.is_expunged &&
		    (text == 0 || text_of(m, msg.uid) == text))
			ranges_add(r, msg.uid, msg.uid);
	}
}

static bool
store(struct mailbox *m, int text, uint16_t flags, uint64_t kw)
{
	struct flag_change fc = {
		.how = FLAGS_ADD, .flags = flags, .keywords = kw
	};
	struct ranges r;
	int rc;

	uids_of(m, text, &r);
	rc = mailbox_store(m, &r, &fc, NULL, NULL, NULL);
	mailbox_tidy(m);
	ranges_release(&r);
	return rc == 0;
}

static void
sync_box(struct mailbox *m)
{
	struct mailbox_changes ch = { 0 };

	mailbox_sync(m, true, &ch, NULL);
	mailbox_changes_release(&ch);
	mailbox_tidy(m);
}

static bool
transfer(int text, bool is_move)
{
	struct copy_result res;
	struct ranges r;
	int rc;

	uids_of(in, text, &r);
	rc = is_move ? mailbox_move(in, ar, &r, &res, NULL) :
		       mailbox_copy(in, ar, &r, &res, NULL);
	if (rc == 0)
		copy_result_release(&res);
	ranges_release(&r);
	return rc == 0;
}

#define DO(name, change, stages, expr, may_stick) \
	do {                                      \
		begin(name, change, stages);      \
		end(change, expr, may_stick);     \
	} while (0)

static bool
keyword(void)
{
	unsigned bit;

	return mailbox_keyword_define(in, STR("work"), &bit, NULL) == 0 &&
	       store(in, 0, 0, 1ULL << bit);
}

static bool
remove_text(int text)
{
	struct ranges r;
	int rc;

	uids_of(in, text, &r);
	rc = mailbox_remove(in, &r, NULL);
	ranges_release(&r);
	return rc == 0;
}

static bool
deliver_xy(void)
{
	struct mailbox *m;
	bool ok;

	if (account_find(acc, STR("x/y")) == NULL ||
	    account_open_mailbox(acc, STR("x/y"), false, &m, NULL) !=
		ACCOUNT_OK)
		return false;
	ok = deliver(m, 5, 1, 0, true);
	mailbox_close(&m);
	return ok;
}

static bool
closes(void)
{
	sync_box(in);
	sync_box(ar);
	mailbox_close(&in);
	mailbox_close(&ar);
	return true;
}

/* Failing to open is an answer too when a call was made to fail. */
static bool
opens(int rootfd)
{
	struct account_opts o = { .hostname = "h",
		.exports = ACCOUNT_EXPORT_DOVECOT,
		.coexist = scenario_is_beside };

	if (account_open(&acc, rootfd, &o, NULL) == -1 &&
	    account_open(&acc, rootfd, &o, NULL) == -1)
		return false;
	if (account_find(acc, STR("Archive")) == NULL &&
	    account_create(acc, STR("Archive"), 0, NULL) != ACCOUNT_OK)
		return false;
	if (account_open_mailbox(acc, STR("INBOX"), false, &in, NULL) !=
		ACCOUNT_OK &&
	    account_open_mailbox(acc, STR("INBOX"), false, &in, NULL) !=
		ACCOUNT_OK)
		return false;
	return account_open_mailbox(acc, STR("Archive"), false, &ar, NULL) ==
		   ACCOUNT_OK ||
	       account_open_mailbox(acc, STR("Archive"), false, &ar, NULL) ==
		   ACCOUNT_OK;
}

static void
seen(void *arg, const struct export_box *b)
{
	(void)arg, (void)b;
}

int
scenario_play(int rootfd)
{
	if (!opens(rootfd))
		return 1;
	sh->is_open = true;
	DO("deliver1", deliver1, 1, deliver(in, 1, 1, 0, true), false);
	DO("deliver23", deliver23, 2, deliver(in, 2, 2, FLAG_DRAFT, false),
	    false);
	DO("flag1", flag1, 1, store(in, 1, FLAG_FLAGGED, 0), false);
	DO("seen", seen_all, 1, store(in, 0, FLAG_SEEN, 0), false);
	DO("keyword", keyword_all, 1, keyword(), false);
	sync_box(in);
	DO("copy2", copy2, 1, transfer(2, false), false);
	/* past its commit point a MOVE goes through sooner or later */
	DO("move1", move1, 1, transfer(1, true), true);
	DO("remove3", remove3, 1, remove_text(3), false);
	DO("deliver4", deliver4, 1, deliver(in, 4, 1, 0, true), false);
	/* a commit that fails after another: that one stays */
	DO("both6", both6, 2, deliver_both(6, true), true);
	DO("abort7", nothing, 1, deliver_both(7, false), false);
	DO("close", nothing, 1, closes(), false);
	DO("create", create_xy, 2,
	    account_create(acc, STR("x/y"), 0, NULL) == ACCOUNT_OK, true);
	DO("deliver5", deliver5, 1, deliver_xy(), false);
	DO("rename", rename_x, 1,
	    account_rename(acc, STR("x"), STR("z"), NULL) == ACCOUNT_OK, true);
	DO("delete", delete_zy, 1,
	    account_delete(acc, STR("z/y"), NULL) == ACCOUNT_OK, true);
	DO("subscribe", subscribe_foo, 1,
	    account_subscribe(acc, STR("foo"), true, NULL) == ACCOUNT_OK,
	    false);
	DO("inbox", rename_inbox, 2,
	    account_rename(acc, STR("INBOX"), STR("old"), NULL) == ACCOUNT_OK,
	    true);
	DO("export", nothing, 1, store_export(acc, true, seen, NULL, NULL) == 0,
	    false);
	account_close(&acc);
	return 0;
}

/* ---- what is found ---- */

static int
inst_cmp(const void *va, const void *vb)
{
	return memcmp(va, vb, sizeof(struct inst));
}

static void
print(const struct model *m, char *out, size_t size)
{
	struct model c = *m;
	size_t n = 0;
	int i;

	if (c.n > 0)
		qsort(c.v, (size_t)c.n, sizeof(c.v[0]), inst_cmp);
	for (i = X; i < NBOXES; i++)
		n += (size_t)snprintf(
		    out + n, size - n, "%s", c.box[i] ? boxes[i] : "-");
	n += (size_t)snprintf(out + n, size - n, " %d", c.foo);
	for (i = 0; i < c.n; i++)
		n += (size_t)snprintf(out + n, size - n, " %s:%d:%x",
		    boxes[c.v[i].box], c.v[i].text, c.v[i].flags);
}

static const char *
check_box(struct account *a, int box, struct model *out)
{
	struct mailbox *m;
	struct message msg;
	struct counters c;
	static char text_bad[400];
	const char *bad = NULL;
	struct err e = { 0 };
	uint32_t i;
	int pass, text;

	for (pass = 0; pass < 2 && bad == NULL; pass++) {
		if (account_open_mailbox(
			a, str_from(boxes[box]), false, &m, &e) != ACCOUNT_OK) {
			snprintf(text_bad, sizeof(text_bad),
			    "cannot open %s: %s", boxes[box], e.text);
			return text_bad;
		}
		sync_box(m);
		sync_box(m);
		view_recount(&m->v, &c);
		if (memcmp(&c, &m->v.c, sizeof(c)) != 0)
			bad = "counters are wrong";
		if (m->v.nmoves != 0)
			bad = "MOVE not finished";
		for (i = 1; i <= mailbox_count(m) && pass == 1; i++) {
			mailbox_get(m, i, &msg);
			text = text_of(m, msg.uid);
			if (text < 0)
				bad = "message unreadable";
			if (out->n < MAX_INST)
				m_add(out, box, text,
				    msg.flags | (msg.keywords != 0 ? 256 : 0));
			if (view_want_fn(&m->v, m->v.flags[i - 1],
				m->v.kw[i - 1],
				m->v.fn[i - 1]) != m->v.fn[i - 1])
				bad = "name does not follow";
		}
		if (box == INBOX && mailbox_counts(m)->uidnext <= sh->uid_max)
			bad = "UIDNEXT went back";
		if (box == INBOX && pass == 0) {
			/* it works again: and leaves no trace */
			uint32_t before = mailbox_count(m);
			struct ranges r;

			in = m;
			if (!deliver(m, 9, 1, 0, false))
				bad = "cannot deliver afterwards";
			ranges_init(&r, 1);
			ranges_add(&r, sh->uid_max, sh->uid_max);
			if (mailbox_remove(m, &r, NULL) == -1)
				bad = "cannot expunge afterwards";
			ranges_release(&r);
			sync_box(m);
			if (mailbox_count(m) != before)
				bad = "count is wrong";
		}
		mailbox_close(&m);
	}
	return bad;
}

static bool
same(const struct model *a, const struct model *b, char *ta, char *tb)
{
	print(a, ta, 1000);
	print(b, tb, 1000);
	return strcmp(ta, tb) == 0;
}

static void
say(int level, const char *event, const char *why)
{
	if (getenv("QUIRE_STEP") != NULL)
		printf("# %d %s: %s\n", level, event, why);
}

/* verify --deep has no error to tell. */
static void
unsound(void *arg, const struct verify_finding *f)
{
	static char text[400];
	const char **bad = arg;

	if ((f->severity != VERIFY_ERROR && strcmp(f->kind, "uidlist") != 0) ||
	    *bad != NULL)
		return;
	snprintf(text, sizeof(text), "verify: %.*s %s uid=%u: %s",
	    STR_ARG(f->mailbox), f->kind, f->uid, f->text);
	*bad = text;
}

static const char *
verify(int rootfd)
{
	static const struct verify_opts deep = { .deep = true };
	struct verify_totals totals = { 0 };
	const char *bad = NULL;

	if (store_verify(rootfd, &deep, unsound, &bad, &totals, NULL) == -1)
		bad = "cannot verify";
	return bad;
}

const char *
scenario_check(int rootfd)
{
	static char text[4200], found[1000], want[1000];
	struct account_opts o = { .hostname = "h",
		.log = say,
		.exports = ACCOUNT_EXPORT_DOVECOT,
		.coexist = scenario_is_beside };
	struct account *a;
	struct model real = { 0 };
	const struct mailbox_info *info;
	const char *bad = NULL;
	struct err e = { 0 };
	int i;

	if (account_open(&a, rootfd, &o, &e) == -1) {
		snprintf(text, sizeof(text), "cannot open: %s", e.text);
		return text;
	}
	if (account_find(a, STR("Archive")) == NULL)
		account_create(a, STR("Archive"), 0, NULL);
	/* targets of MOVEs first: opening them finishes what is owed */
	for (i = NBOXES - 1; i >= 0 && bad == NULL; i--) {
		info = account_find(a, str_from(boxes[i]));
		real.box[i] = info != NULL && info->exists;
		if (real.box[i])
			bad = check_box(a, i, &real);
	}
	info = account_find(a, STR("foo"));
	real.foo = info != NULL && info->is_subscribed;
	account_close(&a);
	if (bad == NULL)
		bad = verify(rootfd);
	if (bad != NULL || !sh->is_open)
		return bad;
	for (i = 0; i < sh->nsure; i++)
		if (same(&real, &sh->sure[i], found, want))
			return NULL;
	for (i = 0; i < sh->nmaybe; i++)
		if (same(&real, &sh->maybe[i], found, want))
			return NULL;
	same(&real, &sh->sure[0], found, want);
	snprintf(text, sizeof(text), "found %s\n#  want %s", found, want);
	return text;
}

void
scenario_begin(void)
{
	memset(sh, 0, sizeof(*sh));
	sh->nsure = 1;
	sh->sure[0].box[INBOX] = sh->sure[0].box[ARCHIVE] = true;
}
