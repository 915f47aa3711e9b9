/*
 * recs - what is rarely asked of messages: names, EMAILIDs, dates.
 *
 * 1. Append-only; written and synced before the index that points into it.
 *    What no index points to is nobody's and does no harm.
 * 2. A record says whose it is and carries a CRC seeded by the file's salt:
 *    one that does not fit is as good as none (cold.c then asks the
 *    directory).
 *
 * Header, 64 octets: u8[8] "QRECS\0\0\1", u32 version, u32 salt, u8[16]
 * mailbox id, zeros, u32 CRC of 0..59. Record: u32 "REC1", u32 length of all,
 * u32 CRC of what follows, u32 uid, an ADD as in the journal.
 */
#include "service/store/index_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "system/fs/fs.h"

#define RECS_HEAD  64
#define REC_MAGIC  0x31434552u /* "REC1" */
#define REC_HEAD   16
#define OUT_PIECE  65536
#define RECS_MAGIC "QRECS\0\0\1"

static void
head_pack(char p[RECS_HEAD], const struct mailbox *m, uint32_t salt)
{
	memset(p, 0, RECS_HEAD);
	memcpy(p, RECS_MAGIC, 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, salt);
	memcpy(p + 16, m->j.mailboxid, 16);
	le32_put(p + 60, crc32c(0, p, 60));
}

static bool
head_unpack(const char p[RECS_HEAD], const struct mailbox *m, uint32_t *salt)
{
	if (memcmp(p, RECS_MAGIC, 8) != 0 || le32_get(p + 8) != 1 ||
	    memcmp(p + 16, m->j.mailboxid, 16) != 0 ||
	    le32_get(p + 60) != crc32c(0, p, 60))
		return false;
	*salt = le32_get(p + 12);
	return true;
}

static int
make_file(struct mailbox *m, struct recs *r, const char *name, struct err *e)
{
	char head[RECS_HEAD];
	int fd;

	if (step_unlink(m->qfd, name) == -1 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	fd = step_creat(m->qfd, name);
	if (fd == -1)
		return err_sys(e, "create %s", name);
	fs_random(&r->salt, sizeof(r->salt));
	head_pack(head, m, r->salt);
	if (step_pwrite(fd, str_make(head, RECS_HEAD), 0) == -1) {
		err_sys(e, "write %s", name);
		close(fd);
		return -1;
	}
	r->len = RECS_HEAD;
	r->count = 0;
	return fd;
}

int
recs_open(struct mailbox *m, struct recs *r, bool make, int *fd, struct err *e)
{
	char head[RECS_HEAD], name[32];

	index_name("recs", r->number, name);
	if (make) {
		*fd = make_file(m, r, name, e);
		return *fd == -1 ? -1 : 0;
	}
	*fd = fs_open_file(m->qfd, name, m->j.readonly ? O_RDONLY : O_RDWR, 0);
	if (*fd == -1)
		return err_sys(e, "open %s", name);
	if (fs_pread_all(*fd, head, RECS_HEAD, 0) == RECS_HEAD &&
	    head_unpack(head, m, &r->salt))
		return 0;
	close(*fd);
	*fd = -1;
	return err_set(e, ERR_PERM, "%s: damaged header", name);
}

void
recs_writer_init(struct recs_writer *w, int fd, struct recs *r)
{
	*w = (struct recs_writer){ .fd = fd, .recs = r, .at = r->len };
	ops_init(&w->ops);
	buf_init(&w->out, 4 * OUT_PIECE);
}

void
recs_writer_release(struct recs_writer *w)
{
	ops_release(&w->ops);
	buf_release(&w->out);
}

static int
write_out(struct recs_writer *w, struct err *e)
{
	if (w->out.n > 0 && step_pwrite(w->fd, buf_str(&w->out), w->at) == -1)
		return err_sys(e, "write records");
	w->at += w->out.n;
	buf_clear(&w->out);
	return 0;
}

int
recs_add(
    struct recs_writer *w, const struct op_add *a, uint64_t *off, struct err *e)
{
	struct str op;
	size_t at = w->out.n, len;

	ops_clear(&w->ops);
	op_add_pack(&w->ops, a);
	op = str_sub(buf_str(&w->ops.b), TXN_HEAD, w->ops.b.n);
	len = REC_HEAD + op.n;
	pack_u32(&w->out, REC_MAGIC);
	pack_u32(&w->out, (uint32_t)len);
	pack_u32(&w->out, 0);
	pack_u32(&w->out, a->uid);
	buf_put(&w->out, op);
	le32_put(w->out.p + at + 8,
	    crc32c(w->recs->salt, w->out.p + at + 12, len - 12));
	*off = w->recs->len;
	w->recs->len += len;
	w->recs->count++;
	return w->out.n >= OUT_PIECE ? write_out(w, e) : 0;
}

int
recs_flush(struct recs_writer *w, struct err *e)
{
	if (write_out(w, e) == -1)
		return -1;
	/* Makes the records durable, before the index that points to them. */
	return step_sync_data(w->fd) == -1 ? err_sys(e, "sync records") : 0;
}

bool
recs_unpack(const struct recs *r, struct str p, uint32_t uid, struct op *op)
{
	struct cur c;
	uint32_t len;

	if (p.n < REC_HEAD || le32_get(p.p) != REC_MAGIC)
		return false;
	len = le32_get(p.p + 4);
	if (len < REC_HEAD || len > p.n || le32_get(p.p + 12) != uid ||
	    le32_get(p.p + 8) != crc32c(r->salt, p.p + 12, len - 12))
		return false;
	cur_init(&c, str_make(p.p + REC_HEAD, len - REC_HEAD));
	return op_next(&c, op);
}
