#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "deliver.h"
#include "service/config/config.h"
#include "system/log/log.h"

#define IDLE_MS 5000 /* wait this long for more mail of the same owner */

struct worker {
	int chan;
	struct account *account;
	struct mailbox *inbox;
	struct deliver_job jobs[DELIVER_BATCH];
	char recv_buf[IPC_MAX];
};

static void
store_log(int level, const char *event, const char *text)
{
	LOG_AT(level == 0 ? LOG_LEVEL_ERROR :
	       level == 1 ? LOG_LEVEL_WARN :
			    LOG_LEVEL_INFO,
	    event, F_CSTR("text", text));
}

static int
open_store(struct worker *w, int dir, struct err *e)
{
	struct account_opts opts = { .log = store_log };

	mda_settings(&opts);
	if (w->account == NULL &&
	    account_open(&w->account, dir, &opts, e) == -1) {
		w->account = NULL;
		return -1;
	}
	if (w->inbox == NULL && account_open_mailbox(w->account, STR("INBOX"),
				    false, &w->inbox, e) != ACCOUNT_OK) {
		w->inbox = NULL;
		return -1;
	}
	return 0;
}

static void
answer(struct worker *w, const struct deliver_job *job)
{
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_delivered(&b, job->id, &job->answer);
	(void)ipc_send(w->chan, &b, NULL, 0);
	buf_release(&b);
}

/* One message of the channel; false when there is none or the end. */
static bool
take(struct worker *w, int dir, struct deliver_job *job, bool *closed)
{
	struct msg_deliver d;
	struct ipc_msg m;
	struct err e;

	switch (
	    ipc_recv(w->chan, &m, w->recv_buf, sizeof(w->recv_buf), false)) {
	case IPC_AGAIN:
		return false;
	case IPC_CLOSED:
		*closed = true;
		return false;
	case IPC_OK:
		break;
	}
	*job = (struct deliver_job){ .id = m.id };
	if (m.type != MSG_DELIVER || m.nfds != 1 ||
	    !msg_unpack_deliver(&m, &d)) {
		err_set(&e, ERR_TEMP, "malformed order");
		deliver_answer(job, &e);
	} else if (open_store(w, dir, &e) == -1)
		deliver_answer(job, &e);
	else {
		log_set_sid(d.sid);
		deliver_prepare(w->inbox, job, &d, m.fds[0], mda_authserv_id());
		LOG_DEBUG("deliver", F_STR("rcpt", d.recipient),
		    F_STR("sender", d.sender), F_INT("size", d.size));
		log_set_sid(STR(""));
	}
	ipc_close_fds(&m);
	return true;
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
abandon(struct worker *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		incoming_free(&w->jobs[i].in);
}

/* A failure may be the handle's: look at the disk afresh next time. */
static void
reopen_after_failure(struct worker *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (w->jobs[i].answer.code != 250) {
			mailbox_close(&w->inbox);
			account_close(&w->account);
			return;
		}
}

int
mda_work(const struct nursery_job *job)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct pollfd p = { .fd = job->chan, .events = POLLIN };
	bool closed = false;

	log_set_prog("quire-mda");
	w->chan = job->chan;
	while (!closed) {
		size_t n = 0, i;
		int ready = poll(&p, 1, IDLE_MS);

		if (ready == -1 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		while (n < DELIVER_BATCH &&
		       take(w, job->dir, &w->jobs[n], &closed))
			n++;
		if (is_orphan(w)) {
			abandon(w, n);
			break;
		}
		if (w->inbox != NULL)
			deliver_commit(w->inbox, w->jobs, n);
		for (i = 0; i < n; i++)
			answer(w, &w->jobs[i]);
		if (w->inbox != NULL)
			mailbox_export(w->inbox);
		reopen_after_failure(w, n);
	}
	mailbox_close(&w->inbox);
	account_close(&w->account);
	return 0;
}
