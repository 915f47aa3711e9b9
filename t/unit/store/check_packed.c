/* Messages that another server keeps compressed. */
#include "t_store.h"

#include <errno.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "service/store/packed_int.h"

/* ---- making packed files ---- */

static void
put_gzip(struct buf *out, struct str s)
{
	z_stream z = { 0 };
	char *p;

	ck_assert_int_eq(
	    deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	p = buf_reserve(out, deflateBound(&z, s.n));
	z.next_in = (Bytef *)s.p;
	z.avail_in = (uInt)s.n;
	z.next_out = (Bytef *)p;
	z.avail_out = (uInt)deflateBound(&z, s.n);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_grow(out, z.total_out);
	deflateEnd(&z);
}

static void
put_zstd(struct buf *out, struct str s)
{
	size_t room = ZSTD_compressBound(s.n), n;
	char *p = buf_reserve(out, room);

	n = ZSTD_compress(p, room, s.p, s.n, 3);
	ck_assert(!ZSTD_isError(n));
	buf_grow(out, n);
}

typedef void packer(struct buf *, struct str);
static packer *const packers[] = { put_gzip, put_zstd };

static int
file_of(struct str s)
{
	int fd = memfd_create("packed", 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fs_write_all(fd, s), 0);
	return fd;
}

static void
put_bytes(const char *path, struct str s)
{
	int fd = openat(t_rootfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fs_write_all(fd, s), 0);
	close(fd);
}

static int
collect(void *arg, struct str s, struct err *e)
{
	(void)e;
	buf_put(arg, s);
	return 0;
}

static int
unpack(struct str packed, uint64_t max, struct buf *out, struct err *e)
{
	int fd = file_of(packed), rc;

	buf_clear(out);
	rc = packed_decode(fd, max, collect, out, e);
	close(fd);
	return rc;
}

/* ---- the decoder ---- */

static const char text[] = "Subject: hello\n\nworld\nworld\nworld\n";

static const struct {
	const char *before, *after; /* more of the same file */
	size_t nbefore, nafter;
	bool again; /* the text twice, in two members or frames */
	bool ok;
} shapes[] = {
	{ "", "", 0, 0, false, true }, { "", "", 0, 0, true, true },
	{ "", "\0\0\0\0\0", 0, 5, false, true }, /* padding */
	{ "", "\0\0\0\0\0", 0, 5, true, true },
	{ "", "junk", 0, 4, false, false },
	{ "", "\x1f\x8b\x08", 0, 3, false, false }, /* a second one cut off */
	{ "", "\x28\xb5\x2f\xfd", 0, 4, false, false },
	{ "\x20", "", 1, 0, false, false }, /* not packed */
};

START_TEST(shape)
{
	unsigned k = (unsigned)_i % 2;
	size_t i = (size_t)_i / 2;
	struct buf in, out;
	struct err e = { 0 };

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_put(&in, str_make(shapes[i].before, shapes[i].nbefore));
	packers[k](&in, STR(text));
	if (shapes[i].again)
		packers[k](&in, STR(text));
	buf_put(&in, str_make(shapes[i].after, shapes[i].nafter));
	ck_assert_int_eq(
	    unpack(buf_str(&in), PACKED_MAX, &out, &e) == 0, shapes[i].ok);
	if (shapes[i].ok) {
		ck_assert_uint_eq(
		    out.n, (sizeof(text) - 1) * (shapes[i].again ? 2 : 1));
		ck_assert(str_starts(buf_str(&out), STR(text)));
	} else
		ck_assert_int_eq(e.kind, ERR_PERM);
	buf_release(&in);
	buf_release(&out);
}
END_TEST

START_TEST(cut_anywhere)
{
	struct buf in, out;
	struct err e;
	size_t n;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	packers[_i](&in, STR(text));
	for (n = 0; n < in.n; n++) {
		e = (struct err){ 0 };
		ck_assert_int_eq(
		    unpack(str_sub(buf_str(&in), 0, n), PACKED_MAX, &out, &e),
		    -1);
		ck_assert_int_eq(e.kind, ERR_PERM);
		/* what comes out before the error is the text's beginning */
		ck_assert(str_starts(STR(text), buf_str(&out)));
	}
	buf_release(&in);
	buf_release(&out);
}
END_TEST

/* Neither format's checks miss a changed text silently; zstd frames of the
 * simple kind carry no checksum, so only a crash or a hang would be wrong. */
START_TEST(flipped_bits)
{
	struct buf in, out;
	struct err e;
	size_t i;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	packers[_i](&in, STR(text));
	for (i = 4 * 8; i < in.n * 8; i++) {
		in.p[i / 8] ^= (char)(1 << i % 8);
		if (unpack(buf_str(&in), 1 << 20, &out, &e) == 0 && _i == 0)
			ck_assert(str_eq(buf_str(&out), STR(text)));
		in.p[i / 8] ^= (char)(1 << i % 8);
	}
	buf_release(&in);
	buf_release(&out);
}
END_TEST

START_TEST(limit)
{
	char *zeros = xcalloc(1, 1 << 20);
	struct buf in, out;
	struct err e = { 0 };

	buf_init(&in, 2 << 20);
	buf_init(&out, 2 << 20);
	packers[_i](&in, str_make(zeros, 1 << 20));
	ck_assert_int_eq(unpack(buf_str(&in), 1 << 20, &out, &e), 0);
	ck_assert_uint_eq(out.n, 1 << 20);
	ck_assert_int_eq(unpack(buf_str(&in), (1 << 20) - 1, &out, &e), -1);
	ck_assert_int_eq(e.kind, ERR_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "1048575 octets"));
	free(zeros);
	buf_release(&in);
	buf_release(&out);
}
END_TEST

START_TEST(other_formats)
{
	static const struct {
		struct str magic;
		const char *name;
	} rows[] = {
		{ STR_INIT("BZh91AY&SYxxxxxx"), "bzip2" },
		{ STR_INIT("\xfd"
			   "7zXZ\0\0\0\0\0\0\0"),
		    "xz" },
		{ STR_INIT("\x04\x22\x4d\x18xxxxxxxxx"), "lz4" },
		{ STR_INIT("Dovecot-LZ4\x0dxxxx"), "lz4" },
	};
	struct buf out;
	struct err e = { 0 };

	buf_init(&out, 100);
	ck_assert_int_eq(unpack(rows[_i].magic, PACKED_MAX, &out, &e), -1);
	ck_assert_int_eq(e.kind, ERR_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, rows[_i].name));
	buf_release(&out);
}
END_TEST

/* ---- through the store ---- */

/* Text of about n octets in lines, no two alike. */
static void
long_text(struct buf *b, size_t n, const char *eol)
{
	unsigned i;

	buf_printf(b, "Subject: long%s%s", eol, eol);
	for (i = 0; b->n < n; i++)
		buf_printf(b, "%u %u lines%s", i, i * 2654435761u, eol);
}

static void
to_crlf(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_putc(out, '\r');
		buf_putc(out, s.p[i]);
	}
}

static const struct {
	size_t n;
	const char *eol;
} lengths[] = { { 1, "\n" }, { 1, "\r\n" }, { 65000, "\n" }, { 70000, "\r\n" },
	{ 300000, "\n" }, { 2000000, "\n" }, { 2000000, "\r\n" } };

START_TEST(read_packed)
{
	unsigned k = (unsigned)_i % 2;
	size_t row = (size_t)_i / 2, off;
	struct buf plain, want, packed;
	struct account *a;
	struct mailbox *m;
	struct message msg;
	struct msgfile *f, *first = NULL;
	struct err e = { 0 };
	char got[5000], *all;

	buf_init(&plain, 8 << 20);
	buf_init(&want, 8 << 20);
	buf_init(&packed, 8 << 20);
	long_text(&plain, lengths[row].n, lengths[row].eol);
	to_crlf(&want, buf_str(&plain));
	packers[k](&packed, buf_str(&plain));
	t_sh("mkdir cur new tmp");
	/* as Dovecot names it: S= tells the contents */
	put_bytes("cur/1000.M1P1.h,S=12020:2,S", buf_str(&packed));
	a = t_account();
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, 1, &msg);
	ck_assert_uint_eq(msg.size, want.n);
	all = t_text(m, 1);
	ck_assert(str_eq(str_make(all, want.n), buf_str(&want)));
	free(all);
	/* forwards and backwards, each a command of its own */
	for (off = 0; off < 2 * want.n; off += want.n / 40 + 1) {
		size_t at = off < want.n ? off : 2 * want.n - off;
		struct str s = str_sub(buf_str(&want), at, sizeof(got));

		ck_assert_int_eq(mailbox_open_message(m, 1, &f, &e), 0);
		if (first == NULL)
			first = f;
		/* a large one is decoded once */
		if (want.n > 600000)
			ck_assert_ptr_eq(f, first);
		ck_assert_int_eq(
		    msgfile_read(f, at, got, sizeof(got), &e), (ssize_t)s.n);
		ck_assert(str_eq(str_make(got, s.n), s));
		msgfile_free(&f);
	}
	mailbox_close(&m);
	account_close(&a);
	t_verify();
	buf_release(&plain);
	buf_release(&want);
	buf_release(&packed);
}
END_TEST

START_TEST(copy_packed)
{
	struct account *a;
	struct mailbox *m, *to;
	struct copy_result r;
	struct ranges all;
	struct err e = { 0 };
	struct message msg;
	struct buf packed;
	char *p;

	buf_init(&packed, 1 << 20);
	packers[_i](&packed, STR(text));
	t_sh("mkdir cur new tmp .x .x/cur .x/new .x/tmp");
	put_bytes("cur/1000.M1P1.h,S=34:2,S", buf_str(&packed));
	put_bytes("cur/1001.M1P1.h,S=34:2,S", buf_str(&packed));
	a = t_account();
	m = t_mailbox(a, "INBOX");
	to = t_mailbox(a, "x");
	ranges_init(&all, 1);
	ranges_add(&all, 1, 1);
	ck_assert_int_eq(mailbox_copy(m, to, &all, &r, &e), 0);
	copy_result_release(&r);
	ranges_clear(&all);
	ranges_add(&all, 2, 2);
	ck_assert_int_eq(mailbox_move(m, to, &all, &r, &e), 0);
	copy_result_release(&r);
	ranges_release(&all);
	t_sync(to, NULL);
	mailbox_get(to, 2, &msg);
	ck_assert_uint_eq(msg.size, sizeof(text) - 1 + 5);
	ck_assert(str_search(msg.name, STR(",S=")) == msg.name.n);
	ck_assert(str_search(msg.name, STR(",W=39")) < msg.name.n);
	p = t_text(to, 2);
	ck_assert_str_eq(
	    p, "Subject: hello\r\n\r\nworld\r\nworld\r\nworld\r\n");
	free(p);
	t_sh("test $(stat -c %h cur/1000*) = 2");
	mailbox_close(&m);
	mailbox_close(&to);
	account_close(&a);
	t_verify();
	buf_release(&packed);
}
END_TEST

/* Of one message only: the others are served, sizes are told, no crash. */
START_TEST(damaged)
{
	struct account *a;
	struct mailbox *m;
	struct message msg;
	struct msgfile *f;
	struct err e = { 0 };
	struct buf packed;

	buf_init(&packed, 1 << 20);
	packers[_i](&packed, STR(text));
	t_sh("mkdir cur new tmp");
	put_bytes("cur/1000.M1P1.h:2,S", buf_str(&packed));
	put_bytes(
	    "cur/1001.M1P1.h:2,S", str_sub(buf_str(&packed), 0, packed.n / 2));
	a = t_account();
	m = t_mailbox(a, "INBOX");
	mailbox_get(m, 2, &msg);
	ck_assert_uint_eq(msg.size, packed.n / 2);
	ck_assert_int_eq(mailbox_open_message(m, 2, &f, &e), -1);
	ck_assert_int_eq(e.kind, ERR_PERM);
	ck_assert_int_ne(e.sys, ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "message 2: "));
	ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
	ck_assert_int_eq(mailbox_open_message(m, 1, &f, &e), 0);
	ck_assert_uint_eq(msgfile_size(f), sizeof(text) - 1 + 5);
	msgfile_free(&f);
	mailbox_close(&m);
	account_close(&a);
	buf_release(&packed);
}
END_TEST

START_TEST(bomb)
{
	uint64_t n = PACKED_MAX + 1;
	char *zeros = xcalloc(1, n);
	struct account *a;
	struct mailbox *m;
	struct msgfile *f;
	struct err e = { 0 };
	struct buf packed;

	buf_init(&packed, (size_t)2 * n);
	put_zstd(&packed, str_make(zeros, n));
	free(zeros);
	t_sh("mkdir cur new tmp");
	put_bytes("cur/1000.M1P1.h:2,S", buf_str(&packed));
	a = t_account();
	m = t_mailbox(a, "INBOX");
	ck_assert_int_eq(mailbox_open_message(m, 1, &f, &e), -1);
	ck_assert_int_eq(e.kind, ERR_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "refused"));
	mailbox_close(&m);
	account_close(&a);
	buf_release(&packed);
}
END_TEST

/* What a client stores is served as it was, also when it begins so. */
START_TEST(appended)
{
	static const char *const texts[] = {
		"\x1f\x8b\x08 no gzip\r\n\r\nx\r\n",
		"\x28\xb5\x2f\xfd: 1\r\n\r\nx\r\n", "BZh91AY&SY: a\r\n\r\n"
	};
	struct account *a = t_account();
	struct mailbox *m = t_mailbox(a, "INBOX");
	char *p;

	ck_assert_uint_eq(t_add(m, texts[_i], 0), 1);
	t_sync(m, NULL);
	p = t_text(m, 1);
	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p, texts[_i]);
	free(p);
	mailbox_close(&m);
	account_close(&a);
	t_verify();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("packed");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, t_setup, t_teardown);
	tcase_add_loop_test(t, shape, 0, 2 * (int)N(shapes));
	tcase_add_loop_test(t, cut_anywhere, 0, 2);
	tcase_add_loop_test(t, flipped_bits, 0, 2);
	tcase_add_loop_test(t, limit, 0, 2);
	tcase_add_loop_test(t, other_formats, 0, 4);
	tcase_add_loop_test(t, read_packed, 0, 2 * (int)N(lengths));
	tcase_add_loop_test(t, copy_packed, 0, 2);
	tcase_add_loop_test(t, damaged, 0, 2);
	tcase_add_test(t, bomb);
	tcase_add_loop_test(t, appended, 0, 3);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t_run(s);
}
