#include "deliver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/date.h"
#include "format/forged/forged.h"
#include "rejects.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define CHUNK 65536

void
deliver_answer(
    struct deliver_job *job, int code, const char *enhanced, struct str text)
{
	job->code = (uint16_t)code;
	(void)str_copy(
	    str_from(enhanced), job->enhanced, sizeof(job->enhanced));
	(void)str_copy(str_sub(text, 0, sizeof(job->text) - 1), job->text,
	    sizeof(job->text));
}

void
deliver_failed(struct deliver_job *job, const struct err *e)
{
	switch (e->kind) {
	case ERR_SPACE:
		deliver_answer(job, 452, "4.3.1",
		    STR("no room in the mailbox now, try again later"));
		break;
	case ERR_TEMP:
	case ERR_PERM:
		/* whatever is wrong with the Maildir may be repaired: the
		 * sender keeps the message */
		deliver_answer(job, 451, "4.3.0",
		    STR("cannot write to the mailbox now, try again later"));
		break;
	}
	LOG_ERROR("deliver.failed", F_ERR(e), F_INT("code", job->code));
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

/* Of a refused copy: why, and of what (known.h). */
static void
put_refusal(struct buf *b, const struct deliver_job *job, struct str refusal)
{
	size_t i;

	buf_puts(b, "X-Quire-Reason: ");
	for (i = 0; i < refusal.n && i < 512; i++)
		buf_putc(b,
		    (unsigned char)refusal.p[i] < ' ' || refusal.p[i] == 0x7f ?
			'?' :
			refusal.p[i]);
	buf_puts(b, "\r\n");
	known_put_field(b, &job->key);
}

/* Our fields, newest first. */
static int
write_header(struct deliver_job *job, const struct msg_deliver *d,
    struct str refusal, struct err *e)
{
	struct buf b;
	int rc = 0;

	if (refusal.n > 0) {
		buf_init(&b, 1024);
		put_refusal(&b, job, refusal);
		rc = incoming_write(job->in, buf_str(&b), e);
		buf_release(&b);
	}
	return rc == 0 ? incoming_write(job->in, d->header, e) : -1;
}

static int
write_copy(const struct incoming_opts *opts, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct str refusal, struct forged *f,
    struct err *e)
{
	if (incoming_new(&job->in, job->mailbox, opts, e) == -1) {
		job->in = NULL;
		return -1;
	}
	if (write_header(job, d, refusal, e) == 0 &&
	    copy_message(job->in, fd, d->size, f, e) == 0 &&
	    incoming_finish(job->in, e) == 0)
		return 0;
	incoming_free(&job->in);
	return -1;
}

/* refusal: empty if it is to be delivered. */
static int
prepare(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct str refusal, bool *is_loop,
    struct err *e)
{
	struct incoming_opts opts = { .is_new = true, .token = d->token };
	const struct forged_names names = { s->authserv_id, s->hostname,
		d->recipient };
	bool has_room = true;
	struct forged f;
	int rc;

	if (refusal.n > 0)
		opts = (struct incoming_opts){ .flags = FLAG_SEEN };
	do {
		forged_init(&f, &names);
		rc = write_copy(&opts, job, d, fd, refusal, &f, e);
		*is_loop = f.is_loop;
		if (rc == 0 && f.n > 0)
			LOG_INFO("deliver.forged", F_INT("fields", f.n));
		forged_release(&f);
		/* before mail is refused, what is only kept in case goes */
		has_room =
		    rc == -1 && e->kind == ERR_SPACE && has_room &&
		    mailbox_make_room(job->mailbox, d->size * 4 + (1 << 20));
	} while (has_room);
	return rc;
}

/* The mailbox for refused copies; made when it is first needed. */
static int
open_rejects(struct deliver_store *s, struct str name, struct err *e)
{
	enum account_result rc;

	if (s->rejects != NULL)
		return 0;
	rc = account_open_mailbox(s->account, name, false, &s->rejects, e);
	if (rc == ACCOUNT_NOTFOUND) {
		rc = account_create(s->account, name, 0, e);
		if (rc == ACCOUNT_OK || rc == ACCOUNT_EXISTS)
			rc = account_open_mailbox(
			    s->account, name, false, &s->rejects, e);
	}
	if (rc == ACCOUNT_OK)
		return 0;
	s->rejects = NULL;
	if (rc != ACCOUNT_ERROR && rc != ACCOUNT_BADNAME)
		err_set(e, ERR_TEMP, "mailbox %.*s cannot be opened",
		    STR_ARG(name));
	return -1;
}

/*
 * With at_once the sender is told of the refusal: the copy is a courtesy, and
 * a large one is left out. Else it is told 250, and this is all there is.
 */
static int
prepare_reject(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct str refusal, struct err *e)
{
	bool is_loop;
	int rc;

	if (d->at_once && d->size > REJECTS_COPY) {
		LOG_INFO("deliver.rejects", F_CSTR("text", "too large"));
		return 0;
	}
	if (open_rejects(s, d->rejects, e) == -1 ||
	    known_key(fd, d->size, &job->key, e) == -1)
		return -1;
	known_load(&s->known, s->rejects);
	if (known_has(&s->known, &job->key)) {
		LOG_INFO("deliver.rejects", F_CSTR("text", "is there already"));
		return 0;
	}
	job->is_reject = true;
	job->size = d->size;
	job->mailbox = s->rejects;
	rc = prepare(s, job, d, fd, refusal, &is_loop, e);
	/* what waits for its COMMIT may never be filed: known when it is */
	if (rc == 0 && d->at_once)
		known_add(&s->known, &job->key);
	return rc;
}

/* It was here before: who forwards to whom goes in a circle. */
static int
refuse_loop(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct err *e)
{
	incoming_free(&job->in);
	deliver_answer(job, 550, "5.4.6",
	    STR("this message was here before: a mail loop"));
	/* alone it goes back to its sender, who is told */
	return d->at_once ? 0 :
			    prepare_reject(s, job, d, fd,
				STR("mail-loop; it was here before"), e);
}

static int
prepare_delivery(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d, int fd, struct err *e)
{
	bool is_loop = false;
	int rc = d->is_retry ? mailbox_has_delivery(s->inbox, d->token, e) : 0;

	if (rc == 1) {
		LOG_INFO("deliver.again", F_STR("rcpt", d->recipient),
		    F_CSTR("text", "filed already by one that died"));
		job->is_filed = true;
		return 0;
	}
	job->mailbox = s->inbox;
	if (rc == 0)
		rc = prepare(s, job, d, fd, STR(""), &is_loop, e);
	return rc == 0 && is_loop ? refuse_loop(s, job, d, fd, e) : rc;
}

/* Who does not say who it is comes for the first time, always. */
static void
look_up_sender(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d)
{
	int64_t day;

	if (d->author == AUTHOR_NONE)
		return;
	job->has_sender = d->from.n > 0;
	sender_init(&job->sender, d->from, d->author == AUTHOR_CONFIRMED);
	job->is_first = !job->has_sender || !senders_has(s->account,
						&job->sender, date_now(), &day);
}

void
deliver_prepare(struct deliver_store *s, struct deliver_job *job,
    const struct msg_deliver *d, int fd)
{
	struct err e;
	int rc;

	deliver_answer(job, 250, "2.1.5", STR("delivered"));
	if (d->refusal.n > 0)
		rc = prepare_reject(s, job, d, fd, d->refusal, &e);
	else
		rc = prepare_delivery(s, job, d, fd, &e);
	if (rc == -1)
		deliver_failed(job, &e);
	else if (job->mailbox == s->inbox || job->is_filed)
		look_up_sender(s, job, d);
}

/* All at once; if that fails, one by one, to see whose fault it is. */
void
deliver_sync(struct deliver_job *jobs, size_t n)
{
	struct incoming *in[DELIVER_BATCH];
	size_t count = 0, i;
	struct err e;

	for (i = 0; i < n; i++)
		if (jobs[i].in != NULL)
			in[count++] = jobs[i].in;
	if (count == 0 || incoming_sync_many(in, count, &e) == 0)
		return;
	for (i = 0; i < n; i++)
		if (jobs[i].in != NULL && incoming_sync(jobs[i].in, &e) == -1) {
			deliver_failed(&jobs[i], &e);
			incoming_free(&jobs[i].in);
		}
}

static bool
is_due(const struct deliver_job *job, const struct mailbox *m)
{
	return job->in != NULL && job->kind == DELIVER_FILE &&
	       job->mailbox == m;
}

static void
filed(struct deliver_job *job, uint32_t uid)
{
	if (job->is_reject)
		LOG_INFO("deliver.rejects", F_INT("uid", uid));
	else {
		snprintf(
		    job->text, sizeof(job->text), "delivered (uid %u)", uid);
		job->is_filed = true;
	}
}

bool
deliver_commit(struct mailbox *m, struct deliver_job *jobs, size_t n)
{
	struct incoming *in[DELIVER_BATCH];
	uint32_t uids[DELIVER_BATCH];
	size_t count = 0, i, k = 0;
	struct err e;
	int rc;

	for (i = 0; i < n; i++)
		if (is_due(&jobs[i], m))
			in[count++] = jobs[i].in;
	if (count == 0)
		return true;
	/* durable when it returns: this is what makes the 250 true */
	rc = mailbox_commit(m, in, count, uids, &e);
	if (rc == -1 && e.kind == ERR_SPACE && mailbox_make_room(m, 1 << 20))
		rc = mailbox_commit(m, in, count, uids, &e);
	for (i = 0; i < n; i++) {
		if (!is_due(&jobs[i], m))
			continue;
		if (rc == 0)
			filed(&jobs[i], uids[k++]);
		else
			deliver_failed(&jobs[i], &e);
		incoming_free(&jobs[i].in);
	}
	return rc == 0;
}

void
deliver_note_senders(struct account *a, struct deliver_job *jobs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (jobs[i].is_filed && jobs[i].has_sender)
			senders_note(a, &jobs[i].sender, date_now());
}
