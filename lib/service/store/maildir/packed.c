/*
 * packed - decoding gzip and Zstandard message files.
 *
 * 1. Memory is bounded: two buffers, the decoder's window (128 MiB at most,
 *    and only when the file's head asks for it), PACKED_SMALL octets of text.
 * 2. Members and frames may follow one another, as gzip and zstd allow. A
 *    file that ends within one, or has something else behind the last, is
 *    damaged; zeros behind it are padding.
 */
#include "service/store/packed_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define IN_SIZE	     16384
#define OUT_SIZE     65536
#define PACKED_SMALL (256 * 1024) /* most messages: no file is needed */
/* what `zstd --ultra -22` writes; more is refused by zstd itself too */
#define WINDOW_LOG_MAX 27

static const struct {
	struct str magic;
	enum packed kind;
	const char *name;
} formats[] = {
	{ STR_INIT("\x1f\x8b\x08"), PACKED_GZIP, "gzip" },
	{ STR_INIT("\x28\xb5\x2f\xfd"), PACKED_ZSTD, "zstd" },
	{ STR_INIT("BZh91AY&SY"), PACKED_OTHER, "bzip2" },
	{ STR_INIT("\xfd"
		   "7zXZ\0"),
	    PACKED_OTHER, "xz" },
	{ STR_INIT("\x04\x22\x4d\x18"), PACKED_OTHER, "lz4" },
	/* Dovecot's own frame for lz4 */
	{ STR_INIT("Dovecot-LZ4\x0d"), PACKED_OTHER, "lz4" },
};

enum packed
packed_kind(struct str first, const char **name)
{
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (str_starts(first, formats[i].magic)) {
			if (name != NULL)
				*name = formats[i].name;
			return formats[i].kind;
		}
	return PACKED_NOT;
}

enum packed
packed_sniff(int fd)
{
	char first[PACKED_MAGIC];
	ssize_t n = fs_pread_all(fd, first, sizeof(first), 0);

	return n <= 0 ? PACKED_NOT :
			packed_kind(str_make(first, (size_t)n), NULL);
}

/* ---- one decoder, two formats ---- */

struct decoder {
	enum packed kind;
	const char *name;
	z_stream gz;
	ZSTD_DStream *zstd;
	bool at_end; /* of a member or frame */
};

static bool
decoder_init(struct decoder *d)
{
	if (d->kind == PACKED_GZIP)
		/* 16: a gzip head, nothing else */
		return inflateInit2(&d->gz, 16 + MAX_WBITS) == Z_OK;
	d->zstd = ZSTD_createDStream();
	return d->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd,
				      ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

static void
decoder_release(struct decoder *d)
{
	if (d->kind == PACKED_GZIP)
		inflateEnd(&d->gz);
	ZSTD_freeDStream(d->zstd);
}

/* Takes some of *in, gives up to n octets in *got. false: damaged. */
static bool
step_gzip(struct decoder *d, struct str *in, char *out, size_t n, size_t *got)
{
	int rc;

	if (d->at_end) {
		if (in->n == 0)
			return true;
		if (inflateReset(&d->gz) != Z_OK)
			return false;
		d->at_end = false;
	}
	d->gz.next_in = (Bytef *)in->p;
	d->gz.avail_in = (uInt)in->n;
	d->gz.next_out = (Bytef *)out;
	d->gz.avail_out = (uInt)n;
	rc = inflate(&d->gz, Z_NO_FLUSH);
	*got = n - d->gz.avail_out;
	*in = str_make((const char *)d->gz.next_in, d->gz.avail_in);
	d->at_end = rc == Z_STREAM_END;
	/* Z_BUF_ERROR: it wants more input */
	return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR;
}

static bool
step_zstd(struct decoder *d, struct str *in, char *out, size_t n, size_t *got)
{
	ZSTD_inBuffer from = { in->p, in->n, 0 };
	ZSTD_outBuffer to = { out, n, 0 };
	size_t rc;

	if (d->at_end && in->n == 0)
		return true;
	rc = ZSTD_decompressStream(d->zstd, &to, &from);
	*got = to.pos;
	*in = str_sub(*in, from.pos, in->n);
	d->at_end = rc == 0;
	return !ZSTD_isError(rc);
}

static void
skip_zeros(struct str *s)
{
	while (s->n > 0 && s->p[0] == '\0')
		*s = str_sub(*s, 1, s->n);
}

static int
damaged(const struct decoder *d, struct err *e, const char *why)
{
	return err_set(e, ERR_PERM, "the file's %s contents are damaged: %s",
	    d->name, why);
}

struct run {
	struct decoder d;
	char *out;
	uint64_t total, max;
	packed_sink *fn;
	void *arg;
};

static int
push(struct run *r, struct str in, struct err *e)
{
	size_t got, before;
	bool ok;

	do {
		if (r->d.at_end)
			skip_zeros(&in);
		got = 0;
		before = in.n;
		ok = r->d.kind == PACKED_GZIP ?
			 step_gzip(&r->d, &in, r->out, OUT_SIZE, &got) :
			 step_zstd(&r->d, &in, r->out, OUT_SIZE, &got);
		r->total += got;
		if (r->total > r->max)
			return err_set(e, ERR_PERM,
			    "the file's %s contents are refused: more than "
			    "%llu octets when decoded",
			    r->d.name, (unsigned long long)r->max);
		if (got > 0 && r->fn(r->arg, str_make(r->out, got), e) != 0)
			return -1;
		if (!ok || (in.n > 0 && in.n == before && got == 0))
			return damaged(&r->d, e, "not decodable");
	} while (in.n > 0 || got == OUT_SIZE);
	return 0;
}

static int
decode_all(struct run *r, int fd, char *in, struct err *e)
{
	uint64_t off = 0;
	ssize_t n;

	while ((n = fs_pread_all(fd, in, IN_SIZE, off)) > 0) {
		if (push(r, str_make(in, (size_t)n), e) == -1)
			return -1;
		off += (uint64_t)n;
	}
	if (n == -1)
		return err_sys(e, "read message");
	return r->d.at_end ? 0 : damaged(&r->d, e, "they end early");
}

int
packed_decode(int fd, uint64_t max, packed_sink *fn, void *arg, struct err *e)
{
	struct run r = { .max = max, .fn = fn, .arg = arg };
	char first[PACKED_MAGIC], *in;
	ssize_t n = fs_pread_all(fd, first, sizeof(first), 0);
	int rc;

	if (n == -1)
		return err_sys(e, "read message");
	r.d.kind = packed_kind(str_make(first, (size_t)n), &r.d.name);
	if (r.d.kind == PACKED_NOT)
		return err_set(e, ERR_PERM, "the file is not compressed");
	if (r.d.kind == PACKED_OTHER)
		return err_set(e, ERR_PERM,
		    "the file is compressed with %s, which is not read here: "
		    "unpack it in its place",
		    r.d.name);
	if (!decoder_init(&r.d)) {
		decoder_release(&r.d);
		return err_set(e, ERR_TEMP, "no memory to decode a message");
	}
	in = xmalloc(IN_SIZE);
	r.out = xmalloc(OUT_SIZE);
	rc = decode_all(&r, fd, in, e);
	free(in);
	free(r.out);
	decoder_release(&r.d);
	return rc;
}

/* ---- the whole of it ---- */

struct load {
	struct decoded *to;
	int dirfd;
	size_t cap;
};

/* Without a name it goes with its descriptor, whatever happens to us. */
static int
spill(struct load *l, struct err *e)
{
	struct decoded *d = l->to;

	if (l->dirfd != -1)
		d->fd =
		    openat(l->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (d->fd == -1)
		d->fd = memfd_create("quire-message", MFD_CLOEXEC);
	if (d->fd == -1 ||
	    fs_write_all(d->fd, str_make(d->p, (size_t)d->n)) == -1)
		return err_sys(e, "keep decoded message");
	free(d->p);
	d->p = NULL;
	return 0;
}

static int
keep(void *arg, struct str s, struct err *e)
{
	struct load *l = arg;
	struct decoded *d = l->to;

	if (d->fd == -1 && s.n > PACKED_SMALL - d->n && spill(l, e) == -1)
		return -1;
	if (d->fd != -1) {
		if (fs_write_all(d->fd, s) == -1)
			return err_sys(e, "keep decoded message");
	} else {
		if (d->n + s.n > l->cap) {
			l->cap = l->cap == 0 ? OUT_SIZE : PACKED_SMALL;
			d->p = xrealloc(d->p, l->cap);
		}
		memcpy(d->p + d->n, s.p, s.n);
	}
	d->n += s.n;
	return 0;
}

int
packed_load(int fd, int dirfd, struct decoded *d, struct err *e)
{
	struct load l = { .to = d, .dirfd = dirfd };

	*d = (struct decoded){ .fd = -1 };
	if (packed_decode(fd, PACKED_MAX, keep, &l, e) == 0)
		return 0;
	decoded_release(d);
	return -1;
}

void
decoded_release(struct decoded *d)
{
	free(d->p);
	if (d->fd != -1)
		close(d->fd);
	*d = (struct decoded){ .fd = -1 };
}

ssize_t
decoded_read(const struct decoded *d, char *p, size_t n, uint64_t off)
{
	if (d->fd != -1)
		return fs_pread_all(d->fd, p, n, off);
	if (off >= d->n)
		return 0;
	if (n > d->n - off)
		n = (size_t)(d->n - off);
	memcpy(p, d->p + off, n);
	return (ssize_t)n;
}
