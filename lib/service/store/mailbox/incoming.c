/*
 * incoming - a message on its way in, as long as it is in tmp/ (what becomes
 * of it: filing.c).
 *
 * Nothing is renamed out of tmp/ that was not synced there with its date.
 */
#include "service/store/incoming_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

#define OUT_CHUNK 32768

int
incoming_new(struct incoming **out, struct mailbox *m,
    const struct incoming_opts *opts, struct err *e)
{
	struct incoming *in;

	if (m->readonly)
		return err_set(e, ERR_PERM, "mailbox is read-only");
	in = xcalloc(1, sizeof(*in));
	in->m = m;
	in->opts = *opts;
	if (!in->opts.has_date) {
		in->opts.internaldate = date_now();
		in->opts.zone_min =
		    (int16_t)date_local_zone(in->opts.internaldate);
	}
	buf_init(&in->out, 4 * OUT_CHUNK);
	name_make(in->name, account_hostname(m->account), false);
	if (opts->token != 0)
		name_set_token(in->name, opts->token);
	str_copy(str_from(in->name), in->tmp, sizeof(in->tmp));
	in->fd = step_creat(m->tmpfd, in->tmp);
	if (in->fd == -1) {
		err_sys(e, "create message");
		free(in);
		return -1;
	}
	*out = in;
	return 0;
}

static int
flush(struct incoming *in, struct err *e)
{
	if (in->out.n == 0)
		return 0;
	if (step_write(in->fd, buf_str(&in->out)) == -1)
		return err_sys(e, "write message");
	buf_clear(&in->out);
	return 0;
}

/*
 * A bare LF or NUL turned up: what was written so far had CRLF only, so
 * giving each LF its CR back restores it exactly.
 */
static int
become_raw(struct incoming *in, struct err *e)
{
	uint64_t n = in->stored, lfs = 0, from, to;
	char chunk[4096], out[2 * sizeof(chunk)];
	ssize_t got;

	in->is_raw = true;
	if (flush(in, e) == -1)
		return -1;
	for (from = 0; from < n; from += (uint64_t)got) {
		const char *p = chunk, *end;

		got = fs_pread_all(in->fd, chunk, sizeof(chunk), from);
		if (got <= 0)
			return err_sys(e, "read message back");
		for (end = chunk + got;
		     (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
			lfs++;
	}
	/* from the end, so that nothing unread is overwritten */
	for (from = n, to = n + lfs; from > 0 && from != to;) {
		size_t len =
		    from < sizeof(chunk) ? (size_t)from : sizeof(chunk);
		size_t o = sizeof(out);

		if (fs_pread_all(in->fd, chunk, len, from - len) !=
		    (ssize_t)len)
			return err_sys(e, "read message back");
		from -= len;
		while (len > 0) {
			out[--o] = chunk[--len];
			if (chunk[len] == '\n')
				out[--o] = '\r';
		}
		to -= sizeof(out) - o;
		if (step_pwrite(
			in->fd, str_make(out + o, sizeof(out) - o), to) == -1)
			return err_sys(e, "write message");
	}
	in->stored = n + lfs;
	if (lseek(in->fd, (off_t)in->stored, SEEK_SET) == -1)
		return err_sys(e, "seek message");
	return 0;
}

/* Would LF storage lose something at this LF? CRLF alone comes back. */
static bool
lf_is_plain(const struct incoming *in, const char *start, const char *lf)
{
	char before = lf > start ? lf[-1] : in->last;
	char before2 = lf > start + 1 ? lf[-2] :
		       lf > start     ? in->last :
					in->last2;

	return before == '\r' && before2 != '\r';
}

static bool
is_plain(const struct incoming *in, struct str s)
{
	const char *p = s.p, *end = s.p + s.n;

	if (memchr(s.p, '\0', s.n) != NULL)
		return false;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (!lf_is_plain(in, s.p, p))
			return false;
		p++;
	}
	return true;
}

/* Drops the CR before each LF; a CR at the end waits for what follows. */
static void
put_plain(struct incoming *in, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *lf;
	char *begin = buf_reserve(&in->out, s.n + 1), *to = begin;

	if (begin == NULL)
		return; /* full, as after any other put */
	if (in->last == '\r' && in->holds_cr && s.p[0] != '\n')
		*to++ = '\r';
	in->holds_cr = end[-1] == '\r';
	if (in->holds_cr)
		end--;
	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf > p) /* all but its CR */
			to = mempcpy(to, p, (size_t)(lf - p) - 1);
		*to++ = '\n';
		p = lf + 1;
	}
	to = mempcpy(to, p, (size_t)(end - p));
	buf_grow(&in->out, (size_t)(to - begin));
	in->stored += (size_t)(to - begin);
}

static int
write_piece(struct incoming *in, struct str s, struct err *e)
{
	if (!in->is_raw && !is_plain(in, s)) {
		if (become_raw(in, e) == -1)
			return -1;
		if (in->holds_cr) {
			buf_putc(&in->out, '\r');
			in->stored++;
		}
	}
	if (in->is_raw) {
		buf_put(&in->out, s);
		in->stored += s.n;
	} else
		put_plain(in, s);
	in->last2 = s.n > 1 ? s.p[s.n - 2] : in->last;
	in->last = s.p[s.n - 1];
	in->size += s.n;
	return in->out.n >= OUT_CHUNK ? flush(in, e) : 0;
}

int
incoming_write(struct incoming *in, struct str s, struct err *e)
{
	while (s.n > 0) {
		struct str piece = str_sub(s, 0, OUT_CHUNK);

		if (write_piece(in, piece, e) == -1)
			return -1;
		s = str_sub(s, piece.n, s.n);
	}
	return 0;
}

uint64_t
incoming_size(const struct incoming *in)
{
	return in->size;
}

int
incoming_finish(struct incoming *in, struct err *e)
{
	struct timespec ts[2];

	if (in->is_finished)
		return 0;
	if (!in->is_raw && in->holds_cr) {
		buf_putc(&in->out, '\r');
		in->stored++;
		in->holds_cr = false;
	}
	if (flush(in, e) == -1)
		return -1;
	/* a text that begins like a packed file must not be unpacked */
	if (!in->is_raw && packed_sniff(in->fd) != PACKED_NOT &&
	    become_raw(in, e) == -1)
		return -1;
	/* other servers show a file's mtime as the date of arrival */
	ts[0].tv_sec = ts[1].tv_sec = (time_t)in->opts.internaldate;
	ts[0].tv_nsec = ts[1].tv_nsec = 0;
	if (futimens(in->fd, ts) == -1)
		return err_sys(e, "set date of message");
	/* a hint: where several wait for their sync, the disk has them all
	 * under way when the first one is waited for */
	(void)sync_file_range(in->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	/* it may be held a while, with a thousand others */
	buf_shrink(&in->out);
	in->is_finished = true;
	return 0;
}

static void
set_synced(struct incoming *in)
{
	if (!in->is_synced)
		name_add_sizes(in->name, in->stored, in->size);
	in->is_synced = true;
}

static int
make_durable(struct incoming *in, struct err *e)
{
	/* `fast`: on ext4, XFS and btrfs a sync of the file after its rename
	 * carries the name too (mailbox_commit) */
	if (account_fast_sync(in->m->account)) {
		set_synced(in);
		return 0;
	}
	/* Makes the contents durable; the name in tmp/ is worth nothing. */
	if (step_sync(in->fd) == -1)
		return err_sys(e, "sync message");
	set_synced(in);
	return 0;
}

int
incoming_sync(struct incoming *in, struct err *e)
{
	if (in->is_synced)
		return 0;
	return incoming_finish(in, e) == -1 ? -1 : make_durable(in, e);
}

int
incoming_sync_many(struct incoming **in, size_t n, struct err *e)
{
	bool one_fs = n >= SYNCFS_MIN;
	size_t i;

	for (i = 0; i < n; i++) {
		if (incoming_finish(in[i], e) == -1)
			return -1;
		/* other mailboxes may lie on other file systems */
		one_fs &= in[i]->m == in[0]->m;
	}
	if (one_fs && !account_fast_sync(in[0]->m->account)) {
		/* Makes all their contents durable, at one flush of the disk */
		if (step_sync_fs(in[0]->fd) == -1)
			return err_sys(e, "sync messages");
		for (i = 0; i < n; i++)
			set_synced(in[i]);
		return 0;
	}
	for (i = 0; i < n; i++)
		if (!in[i]->is_synced && make_durable(in[i], e) == -1)
			return -1;
	return 0;
}

void
incoming_free(struct incoming **inp)
{
	struct incoming *in = *inp;

	if (in == NULL)
		return;
	*inp = NULL;
	close(in->fd);
	if (!in->is_filed)
		step_unlink(in->m->tmpfd, in->tmp);
	buf_release(&in->out);
	free(in);
}
