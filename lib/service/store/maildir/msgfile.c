/*
 * msgfile - reading a message as IMAP serves it, with CRLF line ends.
 *
 * 1. A file is cut into chunks of CHUNK file bytes; chunk k starts at served
 *    offset start[k]. Reading anywhere costs one chunk, so many partial
 *    FETCHes of a large message do not read it many times.
 * 2. A LF gets a CR unless one stands before it; a RAW file is served as it
 *    is. The size is counted, never taken from a name.
 * 3. A packed file is decoded once, before anything is said of it; chunks
 *    are then those of its contents.
 * 4. The mailbox keeps the last large message open: clients read one in
 *    hundreds of partial FETCHes, each a command of its own.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

#define CHUNK	 65536
#define KEEP_MIN (256 * 1024)	     /* a smaller one is read again as fast */
#define MAX_FILE ((uint64_t)4 << 30) /* bounds the checkpoints */

struct msgfile {
	unsigned refs; /* of who reads it, and of the mailbox that keeps it */
	uint32_t uid;
	int fd;
	struct decoded packed;
	bool is_packed, is_raw, is_indexed;
	uint64_t file_size, size; /* of a packed one: of its contents */
	size_t nchunks;
	size_t room;	 /* CHUNK, or less for a small file */
	uint64_t *start; /* nchunks + 1 */
	size_t loaded;	 /* chunk in out, nchunks if none */
	char *out;	 /* 2 * room */
	size_t out_n;
	char *in; /* room + 1: the byte before the chunk first */
};

/* Line feeds in p[0..n) without a CR before; *prev is the byte before p. */
static size_t
bare_lfs(const char *p, size_t n, char *prev)
{
	const char *at = p, *end = p + n, *lf;
	size_t count = 0;

	while (
	    at < end && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		char before = lf == p ? *prev : lf[-1];

		count += before != '\r';
		at = lf + 1;
	}
	if (n > 0)
		*prev = end[-1];
	return count;
}

static size_t
expand(const char *p, size_t n, char prev, char *out)
{
	const char *at = p, *end = p + n, *lf;
	char *o = out;

	while (
	    at < end && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		char before = lf == p ? prev : lf[-1];

		memcpy(o, at, (size_t)(lf - at));
		o += lf - at;
		if (before != '\r')
			*o++ = '\r';
		*o++ = '\n';
		at = lf + 1;
	}
	memcpy(o, at, (size_t)(end - at));
	return (size_t)(o - out) + (size_t)(end - at);
}

/* ---- counting ---- */

struct count {
	uint64_t total;
	char prev;
	bool is_raw;
};

static int
count_piece(void *arg, struct str s, struct err *e)
{
	struct count *c = arg;

	(void)e;
	c->total += s.n;
	if (!c->is_raw)
		c->total += bare_lfs(s.p, s.n, &c->prev);
	return 0;
}

bool
msgfile_measure(int fd, bool is_raw, uint64_t *size, struct err *e)
{
	struct count c = { .is_raw = is_raw };
	char buf[16384];
	uint64_t off = 0;
	ssize_t n;
	struct str piece;

	while ((n = fs_pread_all(fd, buf, sizeof(buf), off)) > 0) {
		piece = str_make(buf, (size_t)n);
		if (off == 0 && !is_raw &&
		    packed_kind(piece, NULL) != PACKED_NOT)
			break;
		count_piece(&c, piece, NULL);
		off += (uint64_t)n;
	}
	if (n > 0 && packed_decode(fd, PACKED_MAX, count_piece, &c, e) == -1)
		return false;
	if (n == -1)
		err_sys(e, "read message");
	*size = c.total;
	return n != -1;
}

bool
msgfile_measure_once(int fd, bool is_raw, uint64_t *size)
{
	struct err e = { 0 };
	struct stat st;

	if (msgfile_measure(fd, is_raw, size, &e))
		return true;
	if (e.kind != ERR_PERM || fstat(fd, &st) == -1)
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

/* ---- reading ---- */

static ssize_t
read_at(const struct msgfile *f, char *p, size_t n, uint64_t off)
{
	return f->is_packed ? decoded_read(&f->packed, p, n, off) :
			      fs_pread_all(f->fd, p, n, off);
}

static ssize_t
read_chunk(struct msgfile *f, size_t k)
{
	uint64_t off = (uint64_t)k * CHUNK;
	ssize_t n;

	f->in[0] = 0;
	if (k > 0 && read_at(f, f->in, 1, off - 1) == -1)
		return -1;
	n = read_at(f, f->in + 1, f->room, off);
	return n;
}

static int
load_chunk(struct msgfile *f, size_t k, struct err *e)
{
	ssize_t n;

	if (f->in == NULL) {
		f->in = xmalloc(f->room + 1);
		f->out = xmalloc(2 * f->room);
		f->loaded = SIZE_MAX;
	}
	if (f->loaded == k)
		return 0;
	if ((n = read_chunk(f, k)) == -1)
		return err_sys(e, "read message");
	f->out_n = expand(f->in + 1, (size_t)n, f->in[0], f->out);
	f->loaded = k;
	return 0;
}

/* Count every chunk once. The last stays loaded: for small files, all. */
static int
make_index(struct msgfile *f, struct err *e)
{
	uint64_t at = 0;
	size_t k;

	if (f->is_indexed)
		return 0;
	f->nchunks = (size_t)((f->file_size + CHUNK - 1) / CHUNK);
	f->start = xreallocarray(f->start, f->nchunks + 1, sizeof(*f->start));
	f->room = f->file_size < CHUNK ? (size_t)f->file_size : CHUNK;
	for (k = 0; k < f->nchunks; k++) {
		f->start[k] = at;
		if (load_chunk(f, k, e) == -1)
			return -1;
		at += f->out_n;
	}
	f->start[k] = f->size = at;
	f->is_indexed = true;
	return 0;
}

uint64_t
msgfile_size(struct msgfile *f)
{
	if (f->is_raw)
		return f->file_size;
	/* an unreadable file shows at the first read */
	return make_index(f, NULL) == -1 ? 0 : f->size;
}

static ssize_t
read_crlf(struct msgfile *f, uint64_t off, char *p, size_t n, struct err *e)
{
	size_t lo = 0, hi, done = 0;

	if (make_index(f, e) == -1)
		return -1;
	if (off >= f->size)
		return 0;
	hi = f->nchunks;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->start[mid] <= off)
			lo = mid;
		else
			hi = mid;
	}
	for (; done < n && lo < f->nchunks; lo++) {
		size_t at, take;

		if (load_chunk(f, lo, e) == -1)
			return -1;
		/* shrunk under our hands: what is missing reads as the end */
		at = (size_t)(off + done - f->start[lo]);
		if (at >= f->out_n)
			break;
		take = f->out_n - at < n - done ? f->out_n - at : n - done;
		memcpy(p + done, f->out + at, take);
		done += take;
	}
	return (ssize_t)done;
}

ssize_t
msgfile_read(struct msgfile *f, uint64_t off, char *p, size_t n, struct err *e)
{
	ssize_t got;

	if (!f->is_raw)
		return read_crlf(f, off, p, n, e);
	got = read_at(f, p, n, off);
	if (got == -1)
		err_sys(e, "read message");
	return got;
}

/* Kept, it needs its checkpoints only. */
static void
park(struct msgfile *f)
{
	free(f->in);
	free(f->out);
	f->in = f->out = NULL;
}

void
msgfile_free(struct msgfile **fp)
{
	struct msgfile *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	park(f);
	if (--f->refs > 0)
		return;
	if (f->fd != -1)
		close(f->fd);
	decoded_release(&f->packed);
	free(f->start);
	free(f);
}

/* ---- opening ---- */

static int
no_file(uint32_t uid, struct err *e)
{
	int sys = errno;

	err_sys(e, "open message %u", uid);
	if (sys == ENOENT && e != NULL)
		e->kind = ERR_PERM;
	return -1;
}

static int
open_row(struct mailbox *m, uint32_t row, struct msgfile *f, struct err *e)
{
	struct stat st;

	f->uid = m->v.uid[row];
	f->packed.fd = -1;
	f->fd = row_open(m, row);
	if (f->fd == -1 || fstat(f->fd, &st) == -1)
		return no_file(f->uid, e);
	f->file_size = (uint64_t)st.st_size;
	/* the search may have moved rows */
	row = view_row(&m->v, f->uid);
	f->is_raw = row < m->v.n && (m->v.st[row] & ST_RAW) != 0;
	if (!f->is_raw && packed_sniff(f->fd) != PACKED_NOT) {
		if (packed_load(f->fd, m->j.readonly ? -1 : m->tmpfd,
			&f->packed, e) == -1)
			return err_prefix(e, "message %u", f->uid);
		f->is_packed = true;
		f->file_size = f->packed.n;
	}
	if (f->file_size > MAX_FILE)
		return err_set(e, ERR_PERM, "message %u is too large", f->uid);
	return 0;
}

int
mailbox_open_message(
    struct mailbox *m, uint32_t uid, struct msgfile **out, struct err *e)
{
	uint32_t row = view_row(&m->v, uid);
	struct msgfile *f;

	*out = NULL;
	if (row == m->v.n) {
		errno = ENOENT;
		return no_file(uid, e);
	}
	if (m->kept != NULL && m->kept->uid == uid) {
		m->kept->refs++;
		*out = m->kept;
		return 0;
	}
	f = xcalloc(1, sizeof(*f));
	f->refs = 1;
	if (open_row(m, row, f, e) == -1) {
		msgfile_free(&f);
		return -1;
	}
	if (f->file_size >= KEEP_MIN) {
		msgfile_free(&m->kept);
		m->kept = f;
		f->refs++;
	}
	*out = f;
	return 0;
}
