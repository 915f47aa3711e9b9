#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "smtpd.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * Each recipient's mda files the message in its owner's Maildir. quired
 * starts it on request and gives us a channel; it stays a few seconds for
 * more. A recipient is answered 250 only by what the mda said after its
 * commit. When an mda dies before it answered, another is given the same
 * order, marked so that it looks whether the message was filed; if there is
 * none to be had the answer is 451 and the client keeps the message.
 */
#define MAX_TRIES 3

static const struct smtp_verdict gone = { 451, "4.3.0",
	STR_INIT("the mailbox did not answer, try again later") };

static void
job_free(struct smtpd *f, struct job *j)
{
	idtable_drop(&f->jobs, j->id);
	buf_release(&j->order);
	if (j->fd != -1)
		close(j->fd);
	free(j);
}

static void
log_delivered(struct client *cl, size_t rcpt, const struct smtp_verdict *v)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	struct buf to, from;

	buf_init(&to, 1024);
	buf_init(&from, 1024);
	addr_print(&to, &mail->rcpts[rcpt].addr);
	addr_print_path(&from, &mail->reverse_path);
	log_set_sid(str_from(cl->cid));
	LOG_INFO(v->code == 250 ? "delivered" : "undelivered",
	    F_STR("rcpt", buf_str(&to)), F_STR("sender", buf_str(&from)),
	    F_INT("size", mail->size), F_INT("code", v->code),
	    F_STR("text", v->text));
	log_set_sid(STR(""));
	buf_release(&to);
	buf_release(&from);
}

/* One recipient has its verdict; the last one lets the session go on. */
static void
finish(struct smtpd *f, struct job *j, const struct smtp_verdict *v)
{
	struct client *cl = idtable_get(&f->clients, j->client);
	size_t rcpt = j->rcpt;

	job_free(f, j);
	if (cl == NULL || cl->wait != WAIT_DELIVER)
		return;
	log_delivered(cl, rcpt, v);
	smtp_session_result(cl->session, rcpt, v);
	if (--cl->jobs > 0)
		return;
	spool_close(f, &cl->spool);
	smtp_session_delivered(cl->session);
	cl->wait = WAIT_INPUT;
	client_run(cl);
}

static void
mda_free(struct mda *m)
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
		ev_io_stop(f->loop, &m->io);
		close(m->fd);
	}
	free(m->account);
	free(m);
}

static void send_waiting(struct mda *);
static struct mda *find_mda(struct smtpd *, struct str account);

static void
add_waiting(struct mda *m, struct job *j)
{
	j->next = NULL;
	*m->waiting_tail = j;
	m->waiting_tail = &j->next;
}

/*
 * The mda is gone: what it had is undecided. Another one may look; can_retry
 * is false when quired said that there is none to be had.
 */
static void
mda_lost(struct mda *m, bool can_retry)
{
	struct smtpd *f = m->front;
	struct job *sent = m->sent, *waiting = m->waiting, *j;
	char *account = xstrdup(m->account);

	mda_free(m);
	while ((j = sent) != NULL) {
		sent = j->next;
		/* the last octet is is_retry, see msg.h */
		j->order.p[j->order.n - 1] = 1;
		if (can_retry && ++j->tries < MAX_TRIES)
			add_waiting(find_mda(f, str_from(account)), j);
		else
			finish(f, j, &gone);
	}
	while ((j = waiting) != NULL) {
		waiting = j->next;
		if (can_retry)
			add_waiting(find_mda(f, str_from(account)), j);
		else
			finish(f, j, &gone);
	}
	free(account);
}

static void
answered(struct mda *m, struct ipc_msg *msg)
{
	struct smtpd *f = m->front;
	struct msg_delivered d;
	struct smtp_verdict v;
	struct job **at, *j;
	char enhanced[16];

	if (msg->type != MSG_DELIVERED || !msg_unpack_delivered(msg, &d))
		return;
	for (at = &m->sent; *at != NULL; at = &(*at)->next)
		if ((*at)->id == msg->id)
			break;
	if ((j = *at) == NULL)
		return;
	*at = j->next;
	str_copy(d.enhanced, enhanced, sizeof(enhanced));
	v = (struct smtp_verdict){ d.code, enhanced, d.text };
	finish(f, j, &v);
}

static void
mda_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct mda *m = w->data;
	struct smtpd *f = m->front;
	uint32_t id = m->id;
	struct ipc_msg msg;

	/* finish() may end anything, also this mda */
	while (idtable_get(&f->mdas, id) == m)
		switch (ipc_recv(
		    m->fd, &msg, f->recv_buf, sizeof(f->recv_buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			mda_lost(m, true);
			return;
		case IPC_OK:
			answered(m, &msg);
			ipc_close_fds(&msg);
		}
}

static void
send_waiting(struct mda *m)
{
	struct job *j;

	while (m->fd != -1 && (j = m->waiting) != NULL) {
		enum ipc_result rc = ipc_send(m->fd, &j->order, &j->fd, 1);

		if (rc == IPC_CLOSED) {
			mda_lost(m, true);
			return;
		}
		if (rc == IPC_AGAIN)
			return; /* answers make room, see mda_cb */
		m->waiting = j->next;
		if (m->waiting == NULL)
			m->waiting_tail = &m->waiting;
		/* order and descriptor stay until the answer */
		j->next = m->sent;
		m->sent = j;
	}
}

static struct mda *
find_mda(struct smtpd *f, struct str account)
{
	struct msg_start start = { .front = PROG_SMTPD, .account = account };
	struct mda *m;
	struct buf b;

	for (m = f->mda_list; m != NULL; m = m->next)
		if (str_eq(str_from(m->account), account))
			return m;
	m = xcalloc(1, sizeof(*m));
	m->front = f;
	m->fd = -1;
	m->account = str_dup(account);
	m->waiting_tail = &m->waiting;
	m->id = idtable_put(&f->mdas, m);
	m->next = f->mda_list;
	f->mda_list = m;
	buf_init(&b, IPC_MAX);
	msg_pack_start(&b, m->id, &start);
	le16_put(b.p, MSG_MDA_START);
	if (ipc_send(f->d.ctl, &b, NULL, 0) != IPC_OK)
		LOG_ERROR("mda.order", F_CSTR("err", "quired is not there"));
	buf_release(&b);
	return m;
}

void
deliver_mda_started(struct smtpd *f, struct ipc_msg *msg)
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
	ev_io_start(f->loop, &m->io);
	send_waiting(m);
}

static void
put_header(struct client *cl, const struct smtp_mail *mail,
    const struct smtp_rcpt *rcpt, struct buf *out)
{
	struct smtp_trace t;

	smtp_session_trace(cl->session, &t);
	t.time = date_now();
	t.zone_min = date_local_zone(t.time);
	/* one recipient must not learn of the others */
	t.rcpt = &rcpt->addr;
	t.peer_name = str_from(cl->check.peer_name);
	/* features 1.10, newest first */
	smtp_delivered_to_put(out, &rcpt->addr);
	smtp_return_path_put(out, &mail->reverse_path);
	buf_put(out, buf_str(&cl->check.header));
	smtp_received_put(out, &t);
}

static bool
pack_job(struct client *cl, const struct smtp_mail *mail,
    const struct smtp_rcpt *rcpt, struct job *j)
{
	struct buf sender, to, header;
	struct msg_deliver d = { .size = cl->spool.size,
		.sid = str_from(cl->cid) };

	fs_random(&d.token, sizeof(d.token));

	buf_init(&sender, 1024);
	buf_init(&to, 1024);
	buf_init(&header, IPC_MAX);
	addr_print_path(&sender, &mail->reverse_path);
	addr_print(&to, &rcpt->addr);
	put_header(cl, mail, rcpt, &header);
	d.sender = buf_str(&sender);
	d.recipient = buf_str(&to);
	d.header = buf_str(&header);
	buf_init(&j->order, IPC_MAX);
	msg_pack_deliver(&j->order, j->id, &d);
	buf_release(&sender);
	buf_release(&to);
	buf_release(&header);
	return !j->order.full && !header.full;
}

/* Which account; it may have gone since RCPT. */
static const struct config_account *
account_of(struct smtpd *f, const struct smtp_rcpt *rcpt)
{
	const struct config_account *a;
	struct str domain =
	    rcpt->is_postmaster ? f->config->hostname : rcpt->addr.domain;

	return config_find(f->config, rcpt->addr.local, domain, &a) == RCPT_OK ?
		   a :
		   NULL;
}

static struct mda *
start_job(struct client *cl, const struct smtp_mail *mail, size_t i)
{
	struct smtpd *f = cl->front;
	const struct smtp_rcpt *rcpt = &mail->rcpts[i];
	const struct config_account *a = account_of(f, rcpt);
	struct job *j;
	struct mda *m;

	if (a == NULL)
		return NULL;
	j = xcalloc(1, sizeof(*j));
	j->client = cl->id;
	j->rcpt = i;
	j->id = idtable_put(&f->jobs, j);
	j->fd = dup(cl->spool.fd);
	if (j->id == 0 || j->fd == -1 || !pack_job(cl, mail, rcpt, j)) {
		job_free(f, j);
		return NULL;
	}
	m = find_mda(f, a->name);
	add_waiting(m, j);
	return m;
}

/* WANT_DELIVER: a job for each recipient that is to get it. */
void
deliver_start(struct client *cl)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	struct smtpd *f = cl->front;
	struct mda *m, *next;
	size_t i;

	cl->wait = WAIT_DELIVER;
	cl->jobs = 1; /* ours, so that it cannot end before all are made */
	for (i = 0; i < mail->n_rcpts; i++) {
		if (mail->rcpts[i].is_unknown)
			continue;
		if (start_job(cl, mail, i) == NULL)
			smtp_session_result(cl->session, i, &gone);
		else
			cl->jobs++;
	}
	for (m = f->mda_list; m != NULL; m = next) {
		next = m->next;
		if (m->waiting != NULL)
			send_waiting(m);
	}
	if (--cl->jobs == 0) {
		spool_close(f, &cl->spool);
		smtp_session_delivered(cl->session);
		cl->wait = WAIT_INPUT;
	}
}
