#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "smtpd.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * A message to all its recipients, or to none: SMTP has one reply for all of
 * them, and who is told 4xx sends it to all again. So each copy is prepared
 * (written and synced) before any is filed; a temporary failure of one ends
 * it for all, with nothing filed. A recipient is answered 250 only by what
 * its mda said after its commit.
 *
 * A recipient that refuses for good beside others that accept: the sender is
 * told 250, so the copy is filed in Rejects, where its owner finds it.
 *
 * If all refuse it by policy the sender is told so, and each has a copy in
 * Rejects if that can be; whatever becomes of it, the refusal stands.
 *
 * The first message of a sender waits between the two (first.c).
 *
 * If a commit fails that was prepared, after others succeeded, the reply is
 * 4xx all the same: copies may come twice then, but none is lost.
 */
static const struct smtp_verdict gone = { 451, "4.3.0",
	STR_INIT("the mailbox cannot be reached now, try again later"), true };

void
deliver_free(struct job *j)
{
	if (j->client != NULL)
		TAILQ_REMOVE(&j->client->jobs, j, sibling);
	mda_drop(j);
	idtable_drop(&j->front->jobs, j->id);
	buf_release(&j->order);
	if (j->fd != -1)
		close(j->fd);
	free(j);
}

static struct smtp_verdict
verdict_of(const struct job *j)
{
	return (struct smtp_verdict){ j->code, j->enhanced, str_from(j->text),
		j->is_trouble };
}

static bool
is_temporary(int code)
{
	return code >= 400 && code < 500;
}

static void
log_delivered(
    struct client *cl, const struct job *j, const struct smtp_verdict *v)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	struct buf to, from;

	buf_init(&to, 1024);
	buf_init(&from, 1024);
	addr_print(&to, &mail->rcpts[j->rcpt].addr);
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

/* --- the end: results to the session --- */

/* The first temporary failure among the copies; NULL: none. */
static const struct job *
find_temporary(const struct client *cl)
{
	const struct job *j;

	for (j = TAILQ_FIRST(&cl->jobs); j != NULL; j = TAILQ_NEXT(j, sibling))
		if (is_temporary(j->code))
			return j;
	return NULL;
}

/* Each recipient has its verdict, or all have this one. */
static void
report(struct client *cl, const struct smtp_verdict *all)
{
	struct smtp_verdict v;
	struct job *j;

	for (j = TAILQ_FIRST(&cl->jobs); j != NULL;
	     j = TAILQ_NEXT(j, sibling)) {
		v = all != NULL ? *all : verdict_of(j);
		log_delivered(cl, j, &v);
		smtp_session_result(cl->session, j->rcpt, &v);
	}
}

static void
finish(struct client *cl, const struct smtp_verdict *all)
{
	struct smtpd *f = cl->front;
	struct job *j, *next;

	report(cl, all);
	for (j = TAILQ_FIRST(&cl->jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, sibling);
		if (j->state != JOB_ABORT)
			deliver_free(j);
	}
	deliver_forget(cl); /* the others are freed when ABORT is sent */
	spool_close(f, &cl->spool);
	smtp_session_delivered(cl->session);
	cl->wait = WAIT_INPUT;
}

/* Take back what is prepared. */
static void
abort_all(struct client *cl)
{
	struct job *j;

	for (j = TAILQ_FIRST(&cl->jobs); j != NULL;
	     j = TAILQ_NEXT(j, sibling)) {
		if (j->state != JOB_PREPARED || j->mda == NULL)
			continue;
		j->state = JOB_ABORT;
		mda_again(j);
	}
}

/* --- the middle: all are prepared, or one cannot be --- */

static bool
is_accepted(const struct client *cl)
{
	const struct job *j;

	for (j = TAILQ_FIRST(&cl->jobs); j != NULL; j = TAILQ_NEXT(j, sibling))
		if (j->code == 250)
			return true;
	return false;
}

static void
decide(struct client *cl)
{
	const struct job *bad = find_temporary(cl);
	struct smtp_verdict v;
	struct job *j;

	if (bad != NULL || !is_accepted(cl)) {
		if (bad != NULL)
			v = verdict_of(bad);
		abort_all(cl);
		finish(cl, bad != NULL ? &v : NULL);
		return;
	}
	if (first_waits(cl))
		return;
	for (j = TAILQ_FIRST(&cl->jobs); j != NULL;
	     j = TAILQ_NEXT(j, sibling)) {
		j->state = JOB_COMMIT;
		j->may_wait = false;
		cl->pending++;
		mda_again(j);
	}
}

/* All answered in this step. */
static void
step(struct client *cl)
{
	const struct job *j = TAILQ_FIRST(&cl->jobs), *bad;
	struct smtp_verdict v;

	if (j != NULL && j->state == JOB_PREPARED)
		decide(cl);
	else if ((bad = find_temporary(cl)) != NULL) {
		v = verdict_of(bad);
		finish(cl, &v);
	} else
		finish(cl, NULL);
}

static void
keep_verdict(struct job *j, int code, struct str enhanced, struct str text)
{
	/* a refusal stands, whatever became of the copy for Rejects; but one
	 * that cannot be prepared is nowhere, so the sender keeps the message
	 */
	if (j->is_refused && (j->state != JOB_PREPARE || !is_temporary(code)))
		return;
	j->code = code;
	j->is_refused = code >= 500;
	/* the mail system's own state (RFC 3463, 3.4), as mdas say it */
	j->is_trouble = str_starts(enhanced, STR("4.3."));
	(void)str_copy(enhanced, j->enhanced, sizeof(j->enhanced));
	(void)str_copy(
	    str_sub(text, 0, sizeof(j->text) - 1), j->text, sizeof(j->text));
}

void
deliver_answered(struct job *j, uint16_t type, int code, struct str enhanced,
    struct str text)
{
	struct client *cl = j->client;

	if (cl == NULL) {
		/* nobody waits: what is prepared is not wanted any more */
		if (type != MSG_PREPARED || is_temporary(code)) {
			deliver_free(j);
			return;
		}
		j->state = JOB_ABORT;
		mda_again(j);
		return;
	}
	keep_verdict(j, code, enhanced, text);
	if (j->state == JOB_ONCE && type == MSG_PREPARED) {
		/* it is to wait: from here on as one of several */
		msg_deliver_set(&j->order, false, false, false);
		j->state = JOB_PREPARE;
	}
	if (j->state == JOB_PREPARE) {
		j->state = JOB_PREPARED;
		if (is_temporary(code))
			mda_drop(j); /* it holds nothing for us */
	}
	if (--cl->pending > 0)
		return;
	step(cl);
	if (cl->wait == WAIT_INPUT)
		client_run(cl);
}

void
deliver_go_on(struct client *cl)
{
	/* not while one is prepared anew, whose mda died */
	if (cl->pending > 0)
		return;
	step(cl);
	mda_flush(cl->front);
	if (cl->wait == WAIT_INPUT)
		client_run(cl);
}

void
deliver_forget(struct client *cl)
{
	struct job *j;

	first_forget(cl);
	abort_all(cl);
	while ((j = TAILQ_FIRST(&cl->jobs)) != NULL) {
		TAILQ_REMOVE(&cl->jobs, j, sibling);
		j->client = NULL;
	}
	cl->pending = 0;
	mda_flush(cl->front);
}

/* --- the beginning: an order for each copy --- */

static void
put_header(struct client *cl, const struct smtp_mail *mail,
    const struct addr *rcpt, struct buf *out)
{
	struct smtp_trace t;

	smtp_session_trace(cl->session, &t);
	t.time = date_now();
	t.zone_min = date_local_zone(t.time);
	/* one recipient must not learn of the others */
	t.rcpt = rcpt;
	t.peer_name = str_from(cl->check.peer_name);
	/* newest first */
	smtp_delivered_to_put(out, rcpt);
	smtp_return_path_put(out, &mail->reverse_path);
	buf_put(out, buf_str(&cl->check.header));
	smtp_received_put(out, &t);
}

/* "dmarc-policy; 550 5.7.26 text" */
static void
put_refusal(struct buf *b, const struct smtp_rcpt *r)
{
	const struct smtp_verdict *v = &r->result;

	if (r->reason.n > 0)
		buf_put(b, r->reason);
	else
		buf_puts(b, "refused");
	buf_printf(b, "; %d %s %.*s", v->code,
	    v->enhanced == NULL ? "" : v->enhanced, STR_ARG(v->text));
}

static uint8_t
reports_of(const struct client *cl, const struct addr *rcpt,
    const struct config_account *a)
{
	struct config_rules r;

	config_rules(cl->front->base.config, rcpt->local, rcpt->domain, a, &r);
	return (uint8_t)((r.is_dmarc_reports ? DELIVER_DMARC_REPORTS : 0) |
			 (r.is_tls_reports ? DELIVER_TLS_REPORTS : 0));
}

static bool
pack_job(struct client *cl, const struct smtp_mail *mail,
    const struct config_account *a, bool at_once, struct job *j)
{
	const struct smtp_rcpt *rcpt = &mail->rcpts[j->rcpt];
	struct addr addr = rcpt->addr;
	struct buf sender, to, header, refusal;
	struct msg_deliver d = { .size = cl->spool.size,
		.sid = str_from(cl->cid),
		.rejects = a->rejects,
		.author = cl->check.author,
		.from = buf_str(&cl->check.from),
		.waits_if_new = at_once && j->may_wait,
		.at_once = at_once };

	if (rcpt->is_postmaster)
		addr.domain = cl->front->base.config->hostname;
	d.reports = reports_of(cl, &addr, a);
	fs_random(&d.token, sizeof(d.token));
	buf_init(&sender, 1024);
	buf_init(&to, 1024);
	buf_init(&refusal, 1024);
	buf_init(&header, IPC_MAX);
	addr_print_path(&sender, &mail->reverse_path);
	addr_print(&to, &addr);
	put_header(cl, mail, &addr, &header);
	if (j->is_refused)
		put_refusal(&refusal, rcpt);
	d.sender = buf_str(&sender);
	d.recipient = buf_str(&to);
	d.header = buf_str(&header);
	d.refusal = buf_str(&refusal);
	buf_init(&j->order, IPC_MAX);
	msg_pack_deliver(&j->order, j->id, &d);
	buf_release(&sender);
	buf_release(&to);
	buf_release(&refusal);
	buf_release(&header);
	return !j->order.full && !header.full;
}

/* Its verdict is there already. */
static void
preset(struct job *j, const struct smtp_verdict *v)
{
	j->is_refused = true;
	j->code = v->code;
	(void)str_copy(str_from(v->enhanced), j->enhanced, sizeof(j->enhanced));
	(void)str_copy(
	    str_sub(v->text, 0, sizeof(j->text) - 1), j->text, sizeof(j->text));
}

/* NULL: the account has gone since RCPT, or there is no room. */
static struct job *
start_job(struct client *cl, size_t i, bool at_once)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct smtp_rcpt *rcpt = &mail->rcpts[i];
	struct smtpd *f = cl->front;
	const struct config_account *a;
	struct job *j;

	if (rcpt_account(f->base.config, rcpt, &a) != RCPT_OK)
		return NULL;
	j = xcalloc(1, sizeof(*j));
	j->front = f;
	j->client = cl;
	j->rcpt = i;
	j->state = at_once ? JOB_ONCE : JOB_PREPARE;
	if (rcpt->is_unknown)
		preset(j, &rcpt->result);
	j->may_wait = !j->is_refused && first_may_wait(cl, a);
	TAILQ_INSERT_TAIL(&cl->jobs, j, sibling);
	j->id = idtable_put(&f->jobs, j);
	j->fd = dup(cl->spool.fd);
	j->size = cl->spool.size;
	if (j->id == 0 || j->fd == -1 || !pack_job(cl, mail, a, at_once, j)) {
		deliver_free(j);
		return NULL;
	}
	cl->pending++;
	mda_order(f, j, a->name);
	return j;
}

/* Refused already, but a mailbox of ours: its owner gets it in Rejects. */
static bool
is_refused_here(struct client *cl, const struct smtp_rcpt *r)
{
	const struct config_account *a;

	return r->is_unknown && r->result.code >= 500 &&
	       rcpt_account(cl->front->base.config, r, &a) == RCPT_OK;
}

/* A recipient that was refused for now before anything is delivered. */
static const struct smtp_verdict *
refused_for_now(const struct smtp_mail *mail)
{
	size_t i;

	for (i = 0; i < mail->n_rcpts; i++)
		if (mail->rcpts[i].is_unknown &&
		    is_temporary(mail->rcpts[i].result.code))
			return &mail->rcpts[i].result;
	return NULL;
}

void
deliver_refuse(struct client *cl, const struct smtp_verdict *v)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	struct smtp_verdict copy = *v;
	size_t i;

	for (i = 0; i < mail->n_rcpts; i++)
		smtp_session_result(cl->session, i, &copy);
	finish(cl, v);
}

/* A copy for each recipient of ours, where there are any. */
static void
start_rejects(struct client *cl)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct config_account *a;
	size_t i;

	for (i = 0; i < mail->n_rcpts; i++)
		if (mail->rcpts[i].reason.n > 0 &&
		    rcpt_account(cl->front->base.config, &mail->rcpts[i], &a) ==
			RCPT_OK &&
		    start_job(cl, i, true) == NULL)
			LOG_WARN("deliver.rejects",
			    F_CSTR("text", "a copy cannot be ordered"));
}

void
deliver_rejects(struct client *cl)
{
	cl->wait = WAIT_DELIVER;
	cl->pending = 0;
	start_rejects(cl);
	if (cl->pending == 0)
		finish(cl, NULL);
	else
		mda_flush(cl->front);
}

/* WANT_DELIVER: a job for each recipient that is to get it. */
void
deliver_start(struct client *cl)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct smtp_verdict *no = refused_for_now(mail);
	bool at_once = mail->n_rcpts == 1;
	size_t i;

	cl->wait = WAIT_DELIVER;
	cl->pending = 0;
	first_begin(cl);
	for (i = 0; i < mail->n_rcpts && no == NULL; i++) {
		if (mail->rcpts[i].is_unknown &&
		    !is_refused_here(cl, &mail->rcpts[i]))
			continue;
		if (start_job(cl, i, at_once) == NULL)
			no = &gone;
	}
	if (no != NULL) {
		deliver_forget(cl);
		deliver_refuse(cl, no);
		return;
	}
	mda_flush(cl->front);
}
