#include "deliver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/forged/forged.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define CHUNK 65536

void
deliver_answer(struct deliver_job *job, const struct err *e)
{
	struct msg_delivered *a = &job->answer;

	switch (e->kind) {
	case ERR_SPACE:
		*a = (struct msg_delivered){ 452, STR("4.3.1"),
			STR("no room in the mailbox now, try again later") };
		break;
	case ERR_TEMP:
	case ERR_PERM:
		/* whatever is wrong with the Maildir may be repaired: the
		 * sender keeps the message */
		*a = (struct msg_delivered){ 451, STR("4.3.0"),
			STR("cannot write to the mailbox now, try again "
			    "later") };
		break;
	}
	LOG_ERROR("deliver.failed", F_ERR(e), F_INT("code", a->code));
}

/* What arrives, without fields that only we may have written. */
static int
copy_message(
    struct incoming *in, int fd, uint64_t size, struct forged *f, struct err *e)
{
	char chunk[CHUNK];
	struct buf out;
	uint64_t off = 0;
	int rc = 0;

	buf_init(&out, CHUNK + FORGED_MAX_FIELD + FORGED_MAX_NAME);
	while (off < size && rc == 0) {
		size_t want = size - off < CHUNK ? size - off : CHUNK;
		ssize_t n = fs_pread_all(fd, chunk, want, off);

		if (n == -1)
			rc = err_sys(e, "read the message");
		else if (n == 0)
			rc = err_set(e, ERR_TEMP,
			    "message is %llu octets, %llu were announced",
			    (unsigned long long)off, (unsigned long long)size);
		else {
			forged_push(f, str_make(chunk, (size_t)n), &out);
			off += (uint64_t)n;
			if (off == size)
				forged_finish(f, &out);
			rc = incoming_write(in, buf_str(&out), e);
			buf_clear(&out);
		}
	}
	buf_release(&out);
	return rc;
}

static int
prepare(struct mailbox *m, struct deliver_job *job, const struct msg_deliver *d,
    int fd, struct str authserv_id, struct err *e)
{
	const struct incoming_opts opts = { .is_new = true, .token = d->token };
	struct forged f;
	int rc;

	if (incoming_new(&job->in, m, &opts, e) == -1) {
		job->in = NULL;
		return -1;
	}
	forged_init(&f, authserv_id);
	rc = incoming_write(job->in, d->header, e);
	if (rc == 0)
		rc = copy_message(job->in, fd, d->size, &f, e);
	if (rc == 0)
		rc = incoming_finish(job->in, e);
	if (rc == 0 && f.n > 0)
		LOG_INFO("deliver.forged", F_INT("fields", f.n));
	forged_release(&f);
	if (rc == -1)
		incoming_free(&job->in);
	return rc;
}

void
deliver_prepare(struct mailbox *m, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct str authserv_id)
{
	struct err e;
	int rc = d->is_retry ? mailbox_has_delivery(m, d->token, &e) : 0;

	if (rc == 1) {
		LOG_INFO("deliver.again", F_STR("rcpt", d->recipient),
		    F_CSTR("text", "filed already by one that died"));
		job->answer = (struct msg_delivered){ 250, STR("2.1.5"),
			STR("delivered") };
		return;
	}
	if (rc == 0)
		rc = prepare(m, job, d, fd, authserv_id, &e);
	/* before mail is refused, what is only kept in case goes */
	if (rc == -1 && e.kind == ERR_SPACE &&
	    mailbox_make_room(m, d->size * 4 + (1 << 20)))
		rc = prepare(m, job, d, fd, authserv_id, &e);
	if (rc == -1)
		deliver_answer(job, &e);
}

static void
delivered(struct deliver_job *job, uint32_t uid)
{
	int n =
	    snprintf(job->text, sizeof(job->text), "delivered (uid %u)", uid);

	job->answer = (struct msg_delivered){ 250, STR("2.1.5"),
		str_make(job->text, (size_t)n) };
}

/* All at once; if that fails, one by one, to see whose fault it is. */
static void
sync_all(struct deliver_job *jobs, size_t n)
{
	struct incoming *in[DELIVER_BATCH];
	size_t count = 0, i;
	struct err e;

	for (i = 0; i < n; i++)
		if (jobs[i].in != NULL)
			in[count++] = jobs[i].in;
	if (incoming_sync_many(in, count, &e) == 0)
		return;
	for (i = 0; i < n; i++)
		if (jobs[i].in != NULL && incoming_sync(jobs[i].in, &e) == -1) {
			deliver_answer(&jobs[i], &e);
			incoming_free(&jobs[i].in);
		}
}

void
deliver_commit(struct mailbox *m, struct deliver_job *jobs, size_t n)
{
	struct incoming *in[DELIVER_BATCH];
	uint32_t uids[DELIVER_BATCH];
	size_t count = 0, i, k = 0;
	struct err e;
	int rc;

	sync_all(jobs, n);
	for (i = 0; i < n; i++)
		if (jobs[i].in != NULL)
			in[count++] = jobs[i].in;
	if (count == 0)
		return;
	/* durable when it returns: this is what makes the 250 true */
	rc = mailbox_commit(m, in, count, uids, &e);
	for (i = 0; i < n; i++) {
		if (jobs[i].in == NULL)
			continue;
		if (rc == 0)
			delivered(&jobs[i], uids[k++]);
		else
			deliver_answer(&jobs[i], &e);
		incoming_free(&jobs[i].in);
	}
}
