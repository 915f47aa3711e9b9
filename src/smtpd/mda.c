#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pack.h"
#include "base/xalloc.h"
#include "smtpd.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * The mda of an account is started by quired on request, which gives us a
 * channel; it stays a few seconds for more. When it dies its jobs go to
 * another one: what was prepared is prepared again, and what may have been
 * filed is ordered with a mark, so that the next one looks. If there is none
 * to be had they are answered 451 and the client keeps the message.
 *
 * An mda takes what waits together, and all wait until the last is written
 * and synced. So large messages have an mda of their own: they do not hold up
 * the others of that mailbox.
 */
#define MAX_TRIES 3

/* No more orders to it. */
static void
leave(struct mda *m)
{
	struct smtpd *f = m->front;
	struct mda **at;

	for (at = &f->mda_list; *at != NULL; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	idtable_drop(&f->mdas, m->id);
	if (m->fd != -1) {
		ev_io_stop(f->base.loop, &m->io);
		close(m->fd);
		m->fd = -1;
	}
}

static void
ask_for_mda(struct mda *m)
{
	struct msg_start start = { .front = PROG_SMTPD,
		.account = str_from(m->account) };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_start(&b, m->id, &start);
	le16_put(b.p, MSG_MDA_START);
	if (ipc_send(m->front->base.d.ctl, &b, NULL, 0) != IPC_OK)
		LOG_ERROR("mda.order", F_CSTR("err", "quired is not there"));
	buf_release(&b);
}

static struct mda *
find_mda(struct smtpd *f, struct str account, bool is_large)
{
	struct mda *m;

	for (m = f->mda_list; m != NULL; m = m->next)
		if (m->is_large == is_large &&
		    str_eq(str_from(m->account), account))
			return m;
	m = xcalloc(1, sizeof(*m));
	m->front = f;
	m->fd = -1;
	m->account = str_dup(account);
	m->is_large = is_large;
	TAILQ_INIT(&m->waiting);
	TAILQ_INIT(&m->sent);
	m->id = idtable_put(&f->mdas, m);
	m->next = f->mda_list;
	f->mda_list = m;
	ask_for_mda(m);
	return m;
}

static void
unlink_job(struct job *j)
{
	if (j->mda == NULL)
		return;
	if (j->is_sent)
		TAILQ_REMOVE(&j->mda->sent, j, link);
	else
		TAILQ_REMOVE(&j->mda->waiting, j, link);
	j->mda = NULL;
}

void
mda_drop(struct job *j)
{
	unlink_job(j);
}

void
mda_order(struct smtpd *f, struct job *j, struct str account)
{
	unlink_job(j);
	j->mda = find_mda(f, account, j->size > MSG_DELIVER_LARGE);
	j->is_sent = false;
	TAILQ_INSERT_TAIL(&j->mda->waiting, j, link);
}

void
mda_again(struct job *j)
{
	struct mda *m = j->mda;

	unlink_job(j);
	j->mda = m;
	j->is_sent = false;
	TAILQ_INSERT_TAIL(&m->waiting, j, link);
}

/* What its mda had of this job is lost; the next one is to begin anew. */
static void
renew(struct job *j)
{
	switch (j->state) {
	case JOB_PREPARED:
		j->client->pending++;
		j->state = JOB_PREPARE;
		break;
	case JOB_COMMIT:
	case JOB_ONCE:
		msg_deliver_set(&j->order, j->may_wait, true, true);
		j->state = JOB_ONCE;
		break;
	case JOB_PREPARE:
	case JOB_ABORT:
		break;
	}
}

/* One job of an mda that is gone. */
static void
relocate(struct smtpd *f, struct job *j, struct str account, bool can_retry)
{
	bool was_sent = j->is_sent;

	unlink_job(j);
	if (j->client == NULL || j->state == JOB_ABORT)
		deliver_free(j);
	else if (j->state == JOB_COMMIT && j->is_refused)
		deliver_answered(
		    j, MSG_DELIVERED, 451, STR("4.3.0"), STR("lost"));
	else {
		renew(j);
		if (can_retry && (!was_sent || ++j->tries < MAX_TRIES))
			mda_order(f, j, account);
		else
			deliver_answered(j, MSG_DELIVERED, 451, STR("4.3.0"),
			    STR("the mailbox did not answer, try again "
				"later"));
	}
}

/* can_retry is false when quired said that there is none to be had. */
static void
mda_lost(struct mda *m, bool can_retry)
{
	struct smtpd *f = m->front;
	struct job *j;

	/* at first: what follows may end clients, and begin new jobs */
	leave(m);
	while ((j = TAILQ_FIRST(&m->sent)) != NULL ||
	       (j = TAILQ_FIRST(&m->waiting)) != NULL)
		relocate(f, j, str_from(m->account), can_retry);
	free(m->account);
	free(m);
	mda_flush(f);
}

static void
answered(struct mda *m, struct ipc_msg *msg)
{
	struct msg_delivered d;
	struct job *j = idtable_get(&m->front->jobs, msg->id);

	if ((msg->type != MSG_DELIVERED && msg->type != MSG_PREPARED) ||
	    !msg_unpack_delivered(msg, &d) || j == NULL || j->mda != m ||
	    !j->is_sent)
		return;
	j->is_first = j->may_wait && d.is_first && d.code == 250;
	deliver_answered(j, msg->type, d.code, d.enhanced, d.text);
}

static void
mda_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct mda *m = w->data;
	struct smtpd *f = m->front;
	uint32_t id = m->id;
	struct ipc_msg msg;

	/* an answer may end anything, also this mda */
	while (idtable_get(&f->mdas, id) == m)
		switch (ipc_recv(
		    m->fd, &msg, f->recv_buf, sizeof(f->recv_buf), false)) {
		case IPC_AGAIN:
			/* answers make room for orders */
			mda_flush(f);
			return;
		case IPC_CLOSED:
			mda_lost(m, true);
			return;
		case IPC_OK:
			answered(m, &msg);
			ipc_close_fds(&msg);
		}
}

static enum ipc_result
send_order(struct mda *m, struct job *j)
{
	enum ipc_result rc;
	struct buf b;

	if (j->state == JOB_PREPARE || j->state == JOB_ONCE)
		return ipc_send(m->fd, &j->order, &j->fd, 1);
	buf_init(&b, 64);
	msg_pack_plain(
	    &b, j->state == JOB_COMMIT ? MSG_COMMIT : MSG_ABORT, j->id);
	rc = ipc_send(m->fd, &b, NULL, 0);
	buf_release(&b);
	return rc;
}

static void
send_waiting(struct mda *m)
{
	struct job *j;

	while (m->fd != -1 && (j = TAILQ_FIRST(&m->waiting)) != NULL) {
		enum ipc_result rc = send_order(m, j);

		/* answers make room, see mda_cb; that it is gone is seen
		 * there too, where nothing of ours is half done */
		if (rc != IPC_OK)
			return;
		if (j->state == JOB_ABORT) {
			deliver_free(j);
			continue;
		}
		/* order and descriptor stay until the last answer */
		TAILQ_REMOVE(&m->waiting, j, link);
		TAILQ_INSERT_TAIL(&m->sent, j, link);
		j->is_sent = true;
	}
}

void
mda_flush(struct smtpd *f)
{
	struct mda *m;

	for (m = f->mda_list; m != NULL; m = m->next)
		send_waiting(m);
}

void
mda_started(struct smtpd *f, struct ipc_msg *msg)
{
	struct mda *m = idtable_get(&f->mdas, msg->id);
	struct msg_session s;

	if (m == NULL || !msg_unpack_session(msg, &s) || m->fd != -1)
		return;
	if (!s.ok || msg->nfds != 1) {
		mda_lost(m, false);
		return;
	}
	m->fd = ipc_take_fd(msg, 0);
	fs_set_nonblock(m->fd, true);
	ev_io_init(&m->io, mda_cb, m->fd, EV_READ);
	m->io.data = m;
	ev_io_start(f->base.loop, &m->io);
	send_waiting(m);
}
