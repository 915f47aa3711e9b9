/* Names, ops and the journal's framing, against damage of all kinds. */
#include "t_store.h"

#include "base/pack.h"

/* ---- names ---- */

static const struct {
	const char *file, *unique, *base, *extra;
	uint32_t fn;
	uint64_t size, wsize;
	bool ok, has_info;
} names[] = {
	{ "1.P.h", "1.P.h", "1.P.h", "", 0, 0, 0, true, false },
	{ "1.P.h:2,", "1.P.h", "1.P.h", "", 0, 0, 0, true, true },
	{ "1.P.h:2,FSa", "1.P.h", "1.P.h", "", FN_F | FN_S | FN_LETTER(0), 0, 0,
	    true, true },
	{ "1.P.h,S=5,W=7:2,Xz", "1.P.h", "1.P.h,S=5,W=7", "X", FN_LETTER(25), 5,
	    7, true, true },
	{ "1.P.h,U=9,S=5:2,S", "1.P.h", "1.P.h,U=9,S=5", "", FN_S, 5, 0, true,
	    true },
	{ "1:1,x", "1", "1:1,x", "", 0, 0, 0, true, false },
	{ ",odd", ",odd", ",odd", "", 0, 0, 0, true, false },
	{ "1,S=99999999999999999999:2,", "1", "1,S=99999999999999999999", "", 0,
	    0, 0, true, true },
	{ ".dot", NULL, NULL, NULL, 0, 0, 0, false, false },
	{ ":2,S", NULL, NULL, NULL, 0, 0, 0, false, false },
	{ "a\001b", NULL, NULL, NULL, 0, 0, 0, false, false },
	{ "", NULL, NULL, NULL, 0, 0, 0, false, false },
};

START_TEST(name_table)
{
	struct name n;
	char back[NAME_LEN + 1];

	ck_assert(name_parse(str_from(names[_i].file), &n) == names[_i].ok);
	if (!names[_i].ok)
		return;
	ck_assert(str_eq(n.unique, str_from(names[_i].unique)));
	ck_assert(str_eq(n.base, str_from(names[_i].base)));
	ck_assert(str_eq(n.extra, str_from(names[_i].extra)));
	ck_assert_uint_eq(n.fn, names[_i].fn);
	ck_assert_uint_eq(n.size, names[_i].size);
	ck_assert_uint_eq(n.wsize, names[_i].wsize);
	ck_assert(n.has_info == names[_i].has_info);
	if (n.has_info) {
		ck_assert(name_with_info(back, n.base, n.fn, n.extra));
		ck_assert_str_eq(back, names[_i].file);
	}
}
END_TEST

START_TEST(name_ours)
{
	char made[NAME_LEN + 1];
	struct name n;

	name_make(made, "mx.example/\n:", _i == 1);
	name_add_sizes(made, 10, 12);
	ck_assert(name_parse(str_from(made), &n));
	ck_assert(n.is_ours && n.is_copy == (_i == 1));
	ck_assert_uint_eq(n.size, 10);
	ck_assert_uint_eq(n.wsize, 12);
	ck_assert(name_parse(STR("1700000000.M1P2Q3R0.h"), &n) && !n.is_ours);
	ck_assert(name_parse(STR("1700000000.M12P2.h,S=1"), &n));
	ck_assert_int_eq(n.usec, 12);
}
END_TEST

START_TEST(sha_vectors)
{
	static const uint8_t abc[4] = { 0xba, 0x78, 0x16, 0xbf },
			     two[4] = { 0x24, 0x8d, 0x6a, 0x61 },
			     none[4] = { 0xe3, 0xb0, 0xc4, 0x42 };
	uint8_t out[32];

	/* FIPS 180-4's examples */
	sha256(STR("abc"), out);
	ck_assert_mem_eq(out, abc, 4);
	sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	    out);
	ck_assert_mem_eq(out, two, 4);
	sha256(STR(""), out);
	ck_assert_mem_eq(out, none, 4);
}
END_TEST

/* ---- mailbox names ---- */

static const struct {
	const char *name, *dir;
} dirs[] = {
	{ "Sent", ".Sent" },
	{ "a/b/c", ".a.b.c" },
	{ "Entw\xc3\xbcrfe", ".Entw&APw-rfe" },
	{ "a&b", ".a&-b" },
	{ "v1.2/x", ".v1&AC4-2.x" },
	{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", ".&ZeVnLIqe-" },
	{ "\xf0\x9f\x98\x80", ".&2D3eAA-" },
	{ "x \xf0\x9f\x98\x80 y", ".x &2D3eAA- y" },
};

START_TEST(dir_table)
{
	struct buf b;

	buf_init(&b, 1000);
	ck_assert(folder_to_dir(str_from(dirs[_i].name), &b));
	ck_assert_str_eq(buf_cstr(&b), dirs[_i].dir);
	buf_clear(&b);
	ck_assert(folder_from_dir(str_from(dirs[_i].dir), &b));
	ck_assert_str_eq(buf_cstr(&b), dirs[_i].name);
	buf_release(&b);
}
END_TEST

static const char *const bad_dirs[] = { "", ".", "..", ".a..b", "x", ".&ZeV",
	".a\001", ".&AGE-" /* 'a' must not be encoded */, ".&2D0-", ".a/b" };

START_TEST(bad_dir_table)
{
	struct buf b;

	buf_init(&b, 1000);
	if (folder_from_dir(str_from(bad_dirs[_i]), &b))
		/* taken as UTF-8: then it must be what it was */
		ck_assert(str_has(str_from(bad_dirs[_i]), '&'));
	buf_release(&b);
}
END_TEST

static const struct {
	const char *in, *out;
} norms[] = {
	{ "inbox", "INBOX" },
	{ "InBox/x", "INBOX/x" },
	{ "a/", "a" },
	{ "e\xcc\x81", "\xc3\xa9" },
	{ "a//b", NULL },
	{ "/a", NULL },
	{ "a/../b", NULL },
	{ "#news", NULL },
	{ "a\tb", NULL },
	{ "\xff", NULL },
	{ "", NULL },
	{ "/", NULL },
};

START_TEST(normalize_table)
{
	char out[STORE_MAX_NAME + 1];
	const char *why = NULL;
	bool ok = account_normalize(str_from(norms[_i].in), out, &why);

	ck_assert(ok == (norms[_i].out != NULL));
	if (ok)
		ck_assert_str_eq(out, norms[_i].out);
	else
		ck_assert_ptr_nonnull(why);
}
END_TEST

/* ---- ops ---- */

START_TEST(ops_cut)
{
	struct op_add a = { .uid = 7,
		.fn = 5,
		.kw = 1ULL << 63,
		.size = 1ULL << 40,
		.idate = -5,
		.zone_min = -90,
		.where = WHERE_NEW,
		.name = STR("base"),
		.extra = STR("X") },
		      b;
	struct ops o;
	struct cur c;
	struct op op;
	size_t n;

	ops_init(&o);
	op_add_pack(&o, &a);
	cur_init(&c, str_sub(buf_str(&o.b), TXN_HEAD, o.b.n));
	ck_assert(op_next(&c, &op) && op.type == OP_ADD && cur_done(&c));
	ck_assert(op_add_unpack(op.body, &b));
	ck_assert(b.uid == 7 && b.kw == a.kw && b.size == a.size &&
		  b.idate == -5 && b.zone_min == -90 && b.where == WHERE_NEW &&
		  str_eq(b.name, a.name) && str_eq(b.extra, a.extra));
	for (n = 0; n < op.body.n; n++)
		ck_assert(!op_add_unpack(str_sub(op.body, 0, n), &b));
	for (n = 1; n < o.b.n - TXN_HEAD; n++) {
		cur_init(&c, str_sub(buf_str(&o.b), TXN_HEAD, n));
		ck_assert(!op_next(&c, &op) && !cur_ok(&c));
	}
	ops_release(&o);
}
END_TEST

/* ---- the journal ---- */

#define MAX_STATES 200
static struct {
	uint64_t end, hash;
} states[MAX_STATES];
static size_t nstates;

static uint64_t
view_hash(const struct view *v)
{
	uint64_t h = v->c.uidnext * 31u + v->c.unseen * 7u + v->c.bytes;
	uint32_t i;

	for (i = 0; i < v->n; i++)
		h = (h ^ v->uid[i] ^ (uint64_t)v->flags[i] << 32 ^
			(uint64_t)v->st[i] << 40 ^ v->kw[i] << 50) *
			0x100000001b3ULL +
		    v->modseq[i] + v->fn[i];
	return h + v->modseq_now;
}

static int
note_state(void *arg, const struct txn *t)
{
	int rc = view_apply(arg, t);

	ck_assert_int_eq(rc, 0);
	ck_assert_uint_lt(nstates, MAX_STATES);
	states[nstates].end = t->off + t->len;
	states[nstates++].hash = view_hash(arg);
	return 0;
}

/* A mailbox with a little of everything; its journal's bytes. */
static struct buf
make_journal(void)
{
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	struct buf b;
	struct view v;
	struct journal j;
	struct err e;
	unsigned bit;
	int i, qfd;

	for (i = 0; i < 4; i++)
		t_add(m, "Subject: x\r\n\r\nbody\r\n", i & 1 ? FLAG_SEEN : 0);
	mailbox_keyword_define(m, STR("work"), &bit, &e);
	t_store(m, 1, 3, FLAGS_ADD, FLAG_FLAGGED);
	t_remove(m, 2, 2);
	t_sync(m, NULL);
	t_store(m, 1, 4, FLAGS_REPLACE, FLAG_SEEN);
	mailbox_close(&m);
	account_close(&a);
	qfd = openat(t_rootfd, "quire", O_RDONLY);
	buf_init(&b, 1 << 20);
	ck_assert_int_eq(fs_read_file(qfd, "journal", &b, &e), 0);
	unlinkat(qfd, "pub", 0);
	view_init(&v);
	v.is_loading = true;
	journal_init(&j, JOURNAL_MAILBOX, qfd, true);
	ck_assert_int_eq(journal_open(&j, &e), 0);
	states[0].end = JOURNAL_HEAD;
	states[0].hash = view_hash(&v);
	nstates = 1;
	ck_assert_int_eq(journal_follow(&j, note_state, &v, &e), 1);
	ck_assert_uint_eq(j.end, t_journal_end(b.p, b.n));
	b.n = j.end;
	ck_assert_uint_gt(nstates, 8);
	journal_release(&j);
	view_release(&v);
	close(qfd);
	return b;
}

static off_t room; /* zeros behind what read_bytes() writes */

/* What a reader makes of these bytes: the end it stops at, 0 if it refuses. */
static uint64_t
read_bytes(int qfd, struct str s, uint64_t *hash)
{
	struct journal j;
	struct view v;
	uint64_t end = 0;
	int fd = openat(qfd, "journal", O_WRONLY | O_TRUNC);

	ck_assert_int_eq(fs_write_all(fd, s), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)s.n + room), 0);
	close(fd);
	view_init(&v);
	v.is_loading = true;
	journal_init(&j, JOURNAL_MAILBOX, qfd, true);
	if (journal_open(&j, NULL) == 0 &&
	    journal_follow(&j, view_apply, &v, NULL) != -1)
		end = j.end;
	*hash = view_hash(&v);
	journal_release(&j);
	view_release(&v);
	return end;
}

static bool
is_state(uint64_t end, uint64_t hash)
{
	size_t i;

	for (i = 0; i < nstates; i++)
		if (states[i].end == end)
			return states[i].hash == hash;
	return false;
}

static bool
is_zero(const struct buf *b, size_t from, size_t to)
{
	while (from < to && b->p[from] == 0)
		from++;
	return from == to;
}

START_TEST(truncated)
{
	struct buf b = make_journal();
	int qfd = openat(t_rootfd, "quire", O_RDONLY);
	uint64_t hash, end;
	size_t n;

	/* whether the file ends there or zeros begin */
	room = _i == 0 ? 0 : 4096;
	for (n = 0; n <= b.n; n++) {
		end = read_bytes(qfd, str_sub(buf_str(&b), 0, n), &hash);
		/* what was cut may have been zeros */
		if (n < JOURNAL_HEAD && !(room && is_zero(&b, n, JOURNAL_HEAD)))
			ck_assert_uint_eq(end, 0);
		else if (n < JOURNAL_HEAD)
			ck_assert_uint_eq(end, JOURNAL_HEAD);
		else
			ck_assert_msg(end <= (room ? (n + 7) / 8 * 8 : n) &&
					  is_state(end, hash),
			    "cut at %zu", n);
	}
	room = 0;
	close(qfd);
	buf_release(&b);
}
END_TEST

START_TEST(flipped)
{
	struct buf b = make_journal();
	int qfd = openat(t_rootfd, "quire", O_RDONLY);
	uint64_t hash, end;
	size_t i;

	for (i = 0; i < b.n * 8; i++) {
		b.p[i / 8] ^= (char)(1 << i % 8);
		end = read_bytes(qfd, buf_str(&b), &hash);
		b.p[i / 8] ^= (char)(1 << i % 8);
		ck_assert_msg(end == 0 || is_state(end, hash), "bit %zu", i);
		ck_assert_msg(end <= i / 8, "bit %zu believed", i);
	}
	close(qfd);
	buf_release(&b);
}
END_TEST

/* The writer's repair: a torn tail is cut, damage in the middle is not. */
START_TEST(repaired)
{
	struct buf b = make_journal();
	int qfd = openat(t_rootfd, "quire", O_RDONLY), fd;
	size_t at = JOURNAL_HEAD + 1 + (size_t)_i * 157;
	struct account *a;
	struct mailbox *m;
	struct stat st;
	uint32_t uid, next;
	uint64_t hash;

	if (at >= b.n)
		at = b.n - 1;
	room = _i % 4 < 2 ? 0 : 5000;
	/* even: cut there; odd: one byte wrong there */
	if (_i % 2 == 1)
		b.p[at] ^= 0x55;
	read_bytes(qfd, str_sub(buf_str(&b), 0, _i % 2 == 1 ? b.n : at), &hash);
	room = 0;
	unlinkat(qfd, "pub", 0);
	a = t_account();
	m = t_mailbox(a, "INBOX");
	t_sync(m, NULL);
	/* three files are in cur/: all are messages, once each */
	ck_assert_uint_eq(mailbox_count(m), 3);
	next = mailbox_counts(m)->uidnext;
	uid = t_add(m, "a: b\r\n\r\n", 0);
	ck_assert_uint_ge(uid, next);
	t_sync(m, NULL);
	mailbox_close(&m);
	m = t_mailbox(a, "INBOX");
	ck_assert_uint_eq(mailbox_count(m), 4);
	mailbox_close(&m);
	account_close(&a);
	fd = fstatat(qfd, "journal.bad", &st, 0);
	if (_i % 2 == 0)
		ck_assert_int_eq(fd, -1);
	else if (at + 600 < b.n)
		ck_assert_int_eq(fd, 0);
	close(qfd);
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("journal");
	TCase *t = tcase_create("pure"), *d = tcase_create("disk");

	tcase_add_loop_test(t, name_table, 0, N(names));
	tcase_add_loop_test(t, name_ours, 0, 2);
	tcase_add_test(t, sha_vectors);
	tcase_add_loop_test(t, dir_table, 0, N(dirs));
	tcase_add_loop_test(t, bad_dir_table, 0, N(bad_dirs));
	tcase_add_loop_test(t, normalize_table, 0, N(norms));
	tcase_add_test(t, ops_cut);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(d, t_setup, t_teardown);
	tcase_add_loop_test(d, truncated, 0, 2);
	tcase_add_test(d, flipped);
	tcase_add_loop_test(d, repaired, 0, 24);
	tcase_set_timeout(d, 120);
	suite_add_tcase(s, d);
	return t_run(s);
}
