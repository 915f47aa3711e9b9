#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "deliver.h"
#include "rejects.h"
#include "service/worker/worker.h"
#include "system/daemon/slice.h"
#include "system/log/log.h"

#define IDLE_MS	    5000 /* wait this long for more mail of the same owner */
#define MAX_HELD    4096 /* messages prepared and not yet decided */
#define MAX_WAITING 256	 /* then new senders do not wait: nor must others */
#define TIDY_EACH   500	 /* refused copies; else when the worker ends */
#define TIDY_OCTETS (REJECTS_OCTETS / 4)

struct worker {
	int chan;
	const struct nursery_job *job;
	struct deliver_store store;
	struct deliver_job jobs[DELIVER_BATCH];
	struct deliver_job *held; /* they wait for COMMIT or ABORT */
	size_t n_held, cap_held;
	unsigned n_rejects; /* filed since the last look at their age */
	uint64_t reject_octets;
	char recv_buf[IPC_MAX];
};

static int
open_store(struct worker *w, struct err *e)
{
	struct account_opts opts = worker_account_opts(w->job);
	struct deliver_store *s = &w->store;

	s->authserv_id = str_from(worker_settings()->authserv_id);
	s->hostname = str_from(worker_settings()->hostname);
	if (s->account == NULL &&
	    account_open(&s->account, w->job->dir, &opts, e) == -1) {
		s->account = NULL;
		return -1;
	}
	if (s->inbox == NULL && account_open_mailbox(s->account, STR("INBOX"),
				    false, &s->inbox, e) != ACCOUNT_OK) {
		s->inbox = NULL;
		return -1;
	}
	return 0;
}

static void
close_store(struct worker *w)
{
	mailbox_close(&w->store.inbox);
	mailbox_close(&w->store.rejects);
	known_release(&w->store.known);
	account_close(&w->store.account);
}

static void
answer(struct worker *w, const struct deliver_job *job)
{
	const struct msg_delivered a = { job->code, str_from(job->enhanced),
		str_from(job->text), job->is_first };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_delivered(&b,
	    job->kind == DELIVER_PREPARE ? MSG_PREPARED : MSG_DELIVERED,
	    job->id, &a);
	(void)ipc_send(w->chan, &b, NULL, 0);
	buf_release(&b);
}

/* --- what was prepared and is not yet decided --- */

static void
hold(struct worker *w, struct deliver_job *job)
{
	if (w->n_held == w->cap_held) {
		w->cap_held = w->cap_held == 0 ? 16 : w->cap_held * 2;
		w->held = xreallocarray(w->held, w->cap_held, sizeof(*w->held));
	}
	w->held[w->n_held++] = *job;
}

static bool
take_held(struct worker *w, uint32_t id, struct deliver_job *out)
{
	size_t i;

	for (i = 0; i < w->n_held; i++)
		if (w->held[i].id == id) {
			*out = w->held[i];
			w->held[i] = w->held[--w->n_held];
			return true;
		}
	return false;
}

/* --- orders --- */

static void
order_deliver(struct worker *w, struct deliver_job *job, struct ipc_msg *m)
{
	struct msg_deliver d;
	struct err e;

	if (m->nfds != 1 || !msg_unpack_deliver(m, &d)) {
		err_set(&e, ERR_TEMP, "malformed order");
		deliver_failed(job, &e);
		return;
	}
	if (d.size > MSG_DELIVER_LARGE)
		slice_set(SLICE_BULK, NICE_BULK);
	job->kind = d.at_once ? DELIVER_FILE : DELIVER_PREPARE;
	if (w->n_held >= MAX_HELD)
		deliver_answer(job, 452, "4.5.3",
		    STR("too many messages under way, try again later"));
	else if (open_store(w, &e) == -1)
		deliver_failed(job, &e);
	else {
		log_set_sid(d.sid);
		deliver_prepare(&w->store, job, &d, m->fds[0]);
		job->is_first = job->is_first && w->n_held < MAX_WAITING;
		if (d.waits_if_new && job->is_first && job->in != NULL)
			job->kind = DELIVER_PREPARE;
		LOG_DEBUG("deliver", F_STR("rcpt", d.recipient),
		    F_STR("sender", d.sender), F_INT("size", d.size),
		    F_INT("reports", d.reports));
		log_set_sid(STR(""));
	}
}

static void
order_commit(struct worker *w, struct deliver_job *job)
{
	if (!take_held(w, job->id, job))
		deliver_answer(job, 451, "4.3.0",
		    STR("no such message is prepared, try again later"));
	job->kind = DELIVER_FILE;
}

static void
order_abort(struct worker *w, uint32_t id)
{
	struct deliver_job job;

	if (take_held(w, id, &job))
		incoming_free(&job.in);
}

enum taken {
	TAKEN_NOTHING, /* there is nothing, or the end */
	TAKEN_JOB,
	TAKEN_DONE, /* no answer is due */
};

/* One message of the channel. */
static enum taken
take(struct worker *w, struct deliver_job *job, bool *closed)
{
	enum taken taken = TAKEN_JOB;
	struct ipc_msg m;

	switch (
	    ipc_recv(w->chan, &m, w->recv_buf, sizeof(w->recv_buf), false)) {
	case IPC_AGAIN:
		return TAKEN_NOTHING;
	case IPC_CLOSED:
		*closed = true;
		return TAKEN_NOTHING;
	case IPC_OK:
		break;
	}
	*job = (struct deliver_job){ .id = m.id, .kind = DELIVER_FILE };
	if (m.type == MSG_DELIVER)
		order_deliver(w, job, &m);
	else if (m.type == MSG_COMMIT)
		order_commit(w, job);
	else {
		if (m.type == MSG_ABORT)
			order_abort(w, m.id);
		else
			LOG_ERROR("mda.order", F_INT("type", m.type));
		taken = TAKEN_DONE;
	}
	ipc_close_fds(&m);
	return taken;
}

/*
 * Nobody is left to acknowledge these: their senders keep them and will come
 * again, so filing them now would only make them twice.
 */
static bool
is_orphan(const struct worker *w)
{
	struct pollfd p = { .fd = w->chan };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
abandon(struct deliver_job *jobs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		incoming_free(&jobs[i].in);
}

/*
 * A failure may be the handle's: look at the disk afresh next time. What is
 * held needs the handle, and may be held for minutes; where filing failed it
 * would fail too, so it is given up: its COMMIT is answered 451.
 */
static void
reopen_after_failure(struct worker *w, size_t n, bool is_commit)
{
	size_t i;

	if (is_commit) {
		abandon(w->held, w->n_held);
		w->n_held = 0;
	}
	for (i = 0; i < n && w->n_held == 0; i++)
		if (w->jobs[i].code >= 400 && w->jobs[i].code < 500) {
			close_store(w);
			return;
		}
}

static void
tidy_rejects(struct worker *w)
{
	struct err e;

	if (w->n_rejects == 0 || w->store.rejects == NULL)
		return;
	w->n_rejects = 0;
	w->reject_octets = 0;
	if (rejects_expire(w->store.rejects, date_now(),
		&rejects_limits_default, &e) == -1)
		LOG_ERROR("deliver.failed", F_ERR(&e));
}

/* A refused copy was filed, or could not be: code 4xx. */
static void
count_reject(struct worker *w, const struct deliver_job *job)
{
	struct known *k = &w->store.known;

	if (!job->is_reject)
		return;
	if (job->code >= 400 && job->code < 500)
		known_release(k);
	else if (!known_has(k, &job->key))
		known_add(k, &job->key);
	w->n_rejects++;
	w->reject_octets += job->size;
}

static void
finish(struct worker *w, size_t n)
{
	struct deliver_store *s = &w->store;
	bool is_filed = true;
	size_t i;

	deliver_sync(w->jobs, n);
	if (s->inbox != NULL)
		is_filed = deliver_commit(s->inbox, w->jobs, n);
	if (s->rejects != NULL)
		(void)deliver_commit(s->rejects, w->jobs, n);
	for (i = 0; i < n; i++) {
		struct deliver_job *job = &w->jobs[i];

		answer(w, job);
		/* a temporary failure ends the whole message: nothing more
		 * will be said about this job */
		if (job->kind == DELIVER_PREPARE &&
		    (job->code < 400 || job->code >= 500))
			hold(w, job);
		else if (job->kind == DELIVER_PREPARE)
			incoming_free(&job->in);
		else
			count_reject(w, job);
	}
	if (s->account != NULL)
		deliver_note_senders(s->account, w->jobs, n);
	if (w->n_rejects >= TIDY_EACH || w->reject_octets >= TIDY_OCTETS)
		tidy_rejects(w);
	if (s->inbox != NULL)
		mailbox_export(s->inbox);
	if (s->rejects != NULL)
		mailbox_export(s->rejects);
	reopen_after_failure(w, n, !is_filed);
}

int
mda_work(const struct nursery_job *job)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct pollfd p = { .fd = job->chan, .events = POLLIN };
	bool closed = false;

	log_set_prog("quire-mda");
	w->job = job;
	w->chan = job->chan;
	while (!closed) {
		enum taken taken = TAKEN_DONE;
		int ready = poll(&p, 1, IDLE_MS);
		size_t n = 0;

		if ((ready == -1 && errno == EINTR) ||
		    (ready == 0 && w->n_held > 0))
			continue;
		if (ready <= 0)
			break;
		while (n < DELIVER_BATCH && taken != TAKEN_NOTHING) {
			taken = take(w, &w->jobs[n], &closed);
			n += taken == TAKEN_JOB;
		}
		if (is_orphan(w)) {
			abandon(w->jobs, n);
			break;
		}
		finish(w, n);
	}
	abandon(w->held, w->n_held);
	free(w->held);
	tidy_rejects(w);
	close_store(w);
	return 0;
}
