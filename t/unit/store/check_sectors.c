/*
 * Sectors of the store's own files that a disk lost: each in turn, as it was
 * at an earlier moment, as zeros, as garbage, as what stood there in the file
 * of the generation before.
 *
 * What was synced: noticed, never a wrong answer, other messages unharmed.
 * What was not: as if it had not been written.
 *
 * A sample by default; QUIRE_MESSAGES and QUIRE_STRIDE=1 for more (make
 * crash-sectors).
 */
#include "t_store.h"

#include <sys/wait.h>

#include "service/store/changes.h"
#include "service/store/index_int.h"

enum { OLD, ZEROS, GARBAGE, FORMER, HOWS };
static const char *const hows[] = { "old", "zeros", "garbage", "former" };

static uint32_t
number(const char *name, uint32_t otherwise)
{
	const char *v = getenv(name);

	return v != NULL ? (uint32_t)strtoul(v, NULL, 10) : otherwise;
}

/* ---- the model ---- */

#define MAX_UID 4000
static struct known { /* by UID; number 0: was never given out */
	bool is_live;
	uint32_t text;
	unsigned flags;
	uint64_t size, keywords;
	uint8_t emailid[16];
	char name[NAME_LEN + 1];
} known[MAX_UID];
static uint32_t nlive, uidnext, uidvalidity, next_text;

static void
add(struct mailbox *m, uint32_t n, uint16_t flags)
{
	char text[100];
	uint32_t uid;

	for (; n > 0; n--) {
		next_text++;
		snprintf(text, sizeof(text), "Subject: %u\r\n\r\n%.*s\r\n",
		    next_text, (int)(next_text % 50),
		    "..................................................");
		uid = t_add(m, text, flags);
		ck_assert(uid > 0 && uid < MAX_UID);
		known[uid].text = next_text;
	}
}

static uint32_t
text_of(struct mailbox *m, uint32_t uid)
{
	char *text = t_text(m, uid);
	uint32_t n = 0;

	if (text != NULL)
		n = (uint32_t)strtoul(text + strlen("Subject: "), NULL, 10);
	free(text);
	return n;
}

static void
learn(struct mailbox *m)
{
	struct message msg;
	uint32_t i;

	for (i = 0; i < MAX_UID; i++)
		known[i].is_live = false;
	nlive = mailbox_count(m);
	for (i = 1; i <= nlive; i++) {
		struct known *k;

		mailbox_get(m, i, &msg);
		k = &known[msg.uid];
		k->is_live = true;
		k->flags = msg.flags;
		k->keywords = msg.keywords;
		k->size = msg.size;
		memcpy(k->emailid, msg.emailid, 16);
		str_copy(msg.name, k->name, sizeof(k->name));
	}
	uidnext = mailbox_counts(m)->uidnext;
	uidvalidity = mailbox_counts(m)->uidvalidity;
}

static bool
same(const struct known *k, const struct message *msg)
{
	return k->is_live && k->flags == msg->flags &&
	       k->keywords == msg->keywords && k->size == msg->size &&
	       str_eq(str_from(k->name), msg->name) &&
	       memcmp(k->emailid, msg->emailid, 16) == 0;
}

/* Nothing was lost that is not kept twice: everything is as it was. */
static void
check_equal(struct mailbox *m, const char *who)
{
	struct message msg;
	uint32_t i;

	ck_assert_msg(mailbox_count(m) == nlive, "%s: %u messages, not %u", who,
	    mailbox_count(m), nlive);
	ck_assert_msg(mailbox_counts(m)->uidvalidity == uidvalidity, "%s", who);
	for (i = 1; i <= nlive; i++) {
		mailbox_get(m, i, &msg);
		ck_assert_msg(msg.uid < MAX_UID && same(&known[msg.uid], &msg),
		    "%s: UID %u", who, msg.uid);
	}
}

/*
 * Transactions may be lost. Each message is there once, whole, under its UID
 * or under one that was never given out; flags and keywords are in the names.
 */
static void
check_unharmed(struct mailbox *m, const char *who, bool may_be_anew)
{
	bool *seen = xcalloc(next_text + 1, 1);
	bool is_anew = mailbox_counts(m)->uidvalidity != uidvalidity;
	struct message msg;
	uint32_t i, text;

	ck_assert_msg(!is_anew || may_be_anew, "%s: other UIDVALIDITY", who);
	ck_assert_msg(mailbox_count(m) == nlive, "%s: %u messages, not %u", who,
	    mailbox_count(m), nlive);
	for (i = 1; i <= nlive; i++) {
		const struct known *k;
		uint32_t uid;

		mailbox_get(m, i, &msg);
		uid = msg.uid;
		text = text_of(m, uid);
		ck_assert_msg(text > 0 && text <= next_text && !seen[text],
		    "%s: UID %u reads as %u", who, uid, text);
		seen[text] = true;
		mailbox_get(m, i, &msg);
		if (!is_anew && uid < uidnext) {
			ck_assert_msg(known[uid].text == text,
			    "%s: UID %u was %u, is %u", who, uid,
			    known[uid].text, text);
			ck_assert_msg(
			    known[uid].is_live, "%s: UID %u is back", who, uid);
		}
		for (k = known; k->text != text; k++)
			;
		ck_assert_msg(
		    k->is_live && k->flags == msg.flags && k->size == msg.size,
		    "%s: UID %u flags %x not %x", who, uid, msg.flags,
		    k->flags);
	}
	free(seen);
}

/* ---- files as they are at a moment ---- */

#define MAX_FILES 32
struct file {
	char path[300]; /* below the root */
	char *p;
	size_t n;
};
struct moment {
	struct file v[MAX_FILES];
	size_t n;
};
static struct moment before, now;
static char keep[300];

static void
take_dir(struct moment *at, const char *dir)
{
	int fd = openat(t_rootfd, dir, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *de;
	struct buf b;
	struct err e = { 0 };

	ck_assert_ptr_nonnull(d);
	while ((de = readdir(d)) != NULL) {
		struct file *f = &at->v[at->n];

		if (de->d_type != DT_REG || strcmp(de->d_name, "reserve") == 0)
			continue;
		ck_assert_uint_lt(at->n, MAX_FILES);
		snprintf(f->path, sizeof(f->path), "%s/%s", dir, de->d_name);
		buf_init(&b, 64 << 20);
		ck_assert_int_eq(fs_read_file(fd, de->d_name, &b, &e), 0);
		f->p = b.p;
		f->n = b.n;
		at->n++;
	}
	closedir(d);
}

static void
take(struct moment *at)
{
	at->n = 0;
	take_dir(at, "quire");
	take_dir(at, "quire/acct");
}

static const struct file *
find(const struct moment *at, const char *path)
{
	size_t i;

	for (i = 0; i < at->n; i++)
		if (strcmp(at->v[i].path, path) == 0)
			return &at->v[i];
	return NULL;
}

/* The tree as it is now, to come back to: links, so that inodes stay. */
static void
keep_tree(void)
{
	char *cmd;

	snprintf(keep, sizeof(keep), "%s.keep", t_root);
	cmd = xasprintf("mkdir '%s' && cp -al quire cur new '%s'", keep, keep);
	t_sh(cmd);
	free(cmd);
}

static void
put_file(const struct file *f, struct str content)
{
	int fd = openat(t_rootfd, f->path, O_WRONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(fs_pwrite_all(fd, content, 0), 0);
	close(fd);
}

/* To its length, with zeros. */
static void
lengthen(const struct file *f)
{
	int fd = openat(t_rootfd, f->path, O_WRONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, (off_t)f->n), 0);
	close(fd);
}

static size_t
end_of(const struct file *journal)
{
	return t_journal_end(journal->p, journal->n);
}

static void
restore_tree(void)
{
	char *cmd = xasprintf("rm -rf quire cur new && cp -al '%s'/* .", keep);
	size_t i;

	t_sh(cmd);
	free(cmd);
	for (i = 0; i < now.n; i++)
		put_file(&now.v[i], str_make(now.v[i].p, now.v[i].n));
}

static void
drop(void)
{
	struct moment *at[] = { &before, &now };
	size_t i, k;

	for (k = 0; k < 2; k++)
		for (i = 0; i < at[k]->n; i++)
			free(at[k]->v[i].p);
	before.n = now.n = 0;
	nftw(keep, t_rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- damage ---- */

/* The file of the generation before: "journal" to "journal.3" and so on. */
static const struct file *
former(const struct file *f)
{
	const struct file *best = NULL;
	char stem[300], *dot;
	size_t i;

	str_copy(str_from(f->path), stem, sizeof(stem));
	dot = strrchr(stem, '.');
	if (dot != NULL)
		*dot = '\0';
	for (i = 0; i < now.n; i++)
		if (&now.v[i] != f &&
		    strncmp(now.v[i].path, stem, strlen(stem)) == 0)
			best = &now.v[i];
	return best;
}

/* false: it would be as it is */
static bool
damage(const struct file *f, size_t off, size_t len, int how)
{
	const struct file *src = how == OLD    ? find(&before, f->path) :
				 how == FORMER ? former(f) :
						 NULL;
	char *p = xmalloc(f->n);
	size_t i;
	bool is_other;

	memcpy(p, f->p, f->n);
	if (len > f->n - off)
		len = f->n - off;
	for (i = off; i < off + len; i++)
		p[i] = how == GARBAGE ? (char)(i * 2654435761u >> 13) :
		       src != NULL && i < src->n ? src->p[i] :
						   0;
	is_other = memcmp(p, f->p, f->n) != 0 &&
		   (how == ZEROS || how == GARBAGE || src != NULL);
	if (is_other)
		put_file(f, str_make(p, f->n));
	free(p);
	return is_other;
}

/* ---- a mailbox with a history ---- */

/* longer than what is left of a sector behind a head that still stands */
static const char cached[] =
    "what parsing found out, and it found out more than fits into a line, for "
    "it was thorough; and when it was done it began again at the beginning, to "
    "be sure that nothing was missed";

static char token[CHANGES_TOKEN]; /* of the earlier moment */

static void
take_token(struct account *a)
{
	struct changes ch = { 0 };
	struct err e = { 0 };

	ck_assert_int_eq(changes_since(a, NULL, &ch, &e), 0);
	str_copy(str_from(ch.token), token, sizeof(token));
	changes_release(&ch);
}

/* INBOX has changed since then: to say nothing of it would be wrong. */
static void
check_changes(struct account *a, const char *who)
{
	struct changes ch = { 0 };
	struct err e = { 0 };
	bool is_told;
	size_t i;

	ck_assert_int_eq(changes_since(a, token, &ch, &e), 0);
	is_told = ch.is_unknown;
	for (i = 0; i < ch.n; i++)
		is_told |= ch.v[i].kind == CHANGED_MAILBOX &&
			   strcmp(ch.v[i].name, "INBOX") == 0;
	ck_assert_msg(is_told, "%s: changes are not told", who);
	changes_release(&ch);
}

static void
play(uint32_t n)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct flag_change fc = { .how = FLAGS_ADD };
	struct ranges r;
	struct err e = { 0 };
	unsigned bit;
	uint32_t i;

	memset(known, 0, sizeof(known));
	next_text = 0;
	for (i = 0; i < 2; i++) {
		add(m, n / 4, 0);
		t_store(m, 1 + i, 4 + i, FLAGS_ADD, FLAG_SEEN);
		t_sync(m, NULL);
		m->must_generate = true;
		t_sync(m, NULL);
	}
	/* a journal of its own behind the second index */
	add(m, n / 4, FLAG_ANSWERED);
	t_remove(m, 3, 3);
	t_store(m, 5, 9, FLAGS_REMOVE, FLAG_SEEN);
	mailbox_cache_put(m, 1, 1, str_from(cached));
	t_sync(m, NULL);
	take_token(a);
	take(&before);
	add(m, n - n / 4 * 3, 0);
	ck_assert_int_eq(mailbox_keyword_define(m, STR("work"), &bit, &e), 0);
	fc.keywords = 1u << bit;
	ranges_init(&r, 4);
	ranges_add(&r, 6, 12);
	ck_assert_int_eq(mailbox_store(m, &r, &fc, NULL, NULL, &e), 0);
	ranges_release(&r);
	t_store(m, n / 2, n, FLAGS_ADD, FLAG_FLAGGED);
	t_remove(m, n / 2 + 1, n / 2 + 2);
	for (i = 10; i < 20; i++)
		mailbox_cache_put(m, i, 1, str_from(cached));
	t_sync(m, NULL);
	learn(m);
	mailbox_close(&m);
	account_close(&a);
	take(&now);
	keep_tree();
}

static void
look(const struct file *f, const char *who, bool is_journal, bool is_head)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct str got;
	uint32_t i;

	t_sync(m, NULL);
	check_changes(a, who);
	if (is_journal)
		check_unharmed(m, who, is_head);
	else
		check_equal(m, who);
	for (i = 1; i < 30; i++)
		if (mailbox_cache_get(m, i, 1, &got))
			ck_assert_msg(str_eq(got, str_from(cached)), "%s", who);
	/* and it goes on: with a UID that is nobody's */
	ck_assert_msg(
	    t_add(m, "Subject: x\r\n\r\n", 0) >=
		(mailbox_counts(m)->uidvalidity == uidvalidity ? uidnext : 1),
	    "%s: UID given out again", who);
	if (strstr(f->path, "acct") != NULL) {
		ck_assert_msg(account_find(a, STR("Sent")) != NULL &&
				  account_find(a, STR("Sent"))->exists,
		    "%s: no Sent", who);
	}
	mailbox_close(&m);
	account_close(&a);
}

/* Each sector of each file, of those this test takes. */
START_TEST(synced)
{
	uint32_t stride = number("QUIRE_STRIDE", 5), k = 0, tried = 0;
	const size_t sizes[] = { 512, 4096 };
	size_t i, off;
	char who[200];
	unsigned s;
	int how;

	play(number("QUIRE_MESSAGES", 60));
	for (i = 0; i < now.n; i++)
		for (s = 0; s < 2; s++)
			for (off = 0; off < now.v[i].n; off += sizes[s])
				for (how = 0; how < HOWS; how++) {
					const struct file *f = &now.v[i];
					bool is_journal =
					    strcmp(f->path, "quire/journal") ==
					    0;

					if ((k++ + (uint32_t)_i) % stride != 0)
						continue;
					if (!damage(f, off, sizes[s], how))
						continue;
					/* in this boot, and after a reboot */
					store_boot = k % 2 ? 0 : 12345;
					snprintf(who, sizeof(who),
					    "%s at %zu, %zu octets, %s, boot "
					    "%u",
					    f->path, off, sizes[s], hows[how],
					    store_boot);
					if (getenv("QUIRE_VERBOSE") != NULL)
						printf("# %s\n", who),
						    fflush(stdout);
					look(f, who, is_journal, off == 0);
					tried++;
					restore_tree();
				}
	store_boot = 0;
	ck_assert_uint_gt(tried, 10);
	drop();
}
END_TEST

/* ---- what was not synced ---- */

static int
at_sync(const char *call)
{
	if (strcmp(call, "sync_data") == 0)
		_exit(77);
	return 0;
}

/* A STORE of many ranges, written and not yet synced. */
static void
store_unsynced(uint32_t n)
{
	struct flag_change fc = { .how = FLAGS_ADD, .flags = FLAG_DRAFT };
	struct mailbox *m;
	struct ranges r;
	uint32_t i;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		m = t_mailbox(t_account(), "INBOX");
		ranges_init(&r, n);
		for (i = 1; i < n; i += 2)
			ranges_add(&r, i, i);
		store_step = at_sync;
		mailbox_store(m, &r, &fc, NULL, NULL, NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

/* All of these sectors at once; bit i: the i-th behind `from` is lost. */
static void
lose(const struct file *f, size_t from, size_t sector, uint32_t lost, int how)
{
	char *p = xmalloc(f->n);
	size_t off = from / sector * sector, i;

	memcpy(p, f->p, f->n);
	for (; off < f->n; off += sector, lost >>= 1) {
		if ((lost & 1) == 0)
			continue;
		/* what was synced in that sector is there */
		for (i = off < from ? from : off; i < f->n && i < off + sector;
		     i++)
			p[i] =
			    how == GARBAGE ? (char)(i * 2654435761u >> 11) : 0;
	}
	put_file(f, str_make(p, f->n));
	free(p);
}

/* Any of the sectors of the last, unsynced transaction may be lost. */
START_TEST(unsynced)
{
	const struct file *f;
	const uint32_t n = 300;
	size_t from, sector = _i == 0 ? 512 : 4096, nsectors;
	uint32_t lost;
	int how;

	play(n);
	from = end_of(find(&now, "quire/journal"));
	store_unsynced(n);
	drop();
	take(&now);
	keep_tree();
	f = find(&now, "quire/journal");
	nsectors = end_of(f) / sector - from / sector + 1;
	ck_assert_uint_gt(nsectors, _i == 0 ? 2 : 0);
	ck_assert_uint_lt(nsectors, 8);
	store_boot = 12345;
	for (lost = 1; lost < 1u << nsectors; lost++)
		for (how = ZEROS; how <= GARBAGE; how++) {
			struct account *a;
			struct mailbox *m;
			char who[100];

			snprintf(who, sizeof(who), "lost %x of %zu, %s", lost,
			    nsectors, hows[how]);
			lose(f, from, sector, lost, how);
			a = t_account();
			m = t_mailbox(a, "INBOX");
			check_equal(m, who);
			t_sync(m, NULL);
			check_equal(m, who);
			mailbox_close(&m);
			account_close(&a);
			restore_tree();
		}
	store_boot = 0;
	drop();
}
END_TEST

/* The same cut short at every octet: there the file ends, or zeros begin. */
START_TEST(unsynced_cut)
{
	const struct file *f;
	struct account *a;
	struct mailbox *m;
	char who[100];
	size_t from, at, end;
	int rest;

	play(80);
	from = end_of(find(&now, "quire/journal"));
	store_unsynced(80);
	drop();
	take(&now);
	keep_tree();
	f = find(&now, "quire/journal");
	end = end_of(f);
	ck_assert_uint_gt(end, from);
	store_boot = 12345;
	for (at = from + (size_t)_i; at < end; at += 8)
		for (rest = 0; rest < 2; rest++) {
			snprintf(who, sizeof(who), "%s at %zu of %zu",
			    rest ? "zeros" : "cut", at, end);
			put_file(f, str_make(f->p, at));
			if (rest)
				lengthen(f);
			a = t_account();
			m = t_mailbox(a, "INBOX");
			check_equal(m, who);
			mailbox_close(&m);
			account_close(&a);
			restore_tree();
		}
	store_boot = 0;
	drop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sectors");

	t_case(s, synced, 1);
	t_case(s, unsynced, 2);
	t_case(s, unsynced_cut, 1);
	return t_run(s);
}
