/*
 * wants - what a session wants and cannot do itself (enum smtp_want):
 * verdicts, a place for the message, TLS, time.
 */
#include "smtpd.h"
#include "system/log/log.h"

static void
want_mail(struct client *cl)
{
	static const struct smtp_verdict not_yours = { 550, "5.7.1",
		STR_INIT("you may not send with this sender address") };
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct config *c = cl->front->base.config;
	const struct config_account *a = NULL;

	/* submission: the sender must be an address of the account; the
	 * null path is for receipts (RFC 6409, 5) */
	if (smtp_session_is_authenticated(cl->session) &&
	    mail->reverse_path.kind == ADDR_PATH) {
		(void)config_find(c, mail->reverse_path.addr.local,
		    mail->reverse_path.addr.domain, &a);
		if (a == NULL ||
		    !str_eq(a->name, smtp_session_account(cl->session))) {
			smtp_session_mail_is(cl->session, &not_yours);
			return;
		}
	}
	check_sender(cl);
}

enum config_rcpt
rcpt_account(const struct config *c, const struct smtp_rcpt *r,
    const struct config_account **a)
{
	if (!r->is_postmaster)
		return config_find(c, r->addr.local, r->addr.domain, a);
	*a = config_postmaster(c);
	return *a == NULL ? RCPT_NOUSER : RCPT_OK;
}

void
client_rcpt(struct client *cl)
{
	const struct smtp_rcpt *r = smtp_session_rcpt(cl->session);
	const struct config *c = cl->front->base.config;
	const struct config_account *a;

	if (!check_allows_rcpt(cl))
		return;
	switch (rcpt_account(c, r, &a)) {
	case RCPT_OK:
		smtp_session_rcpt_is(cl->session, RCPT_LOCAL, NULL);
		break;
	case RCPT_NOUSER:
		smtp_session_rcpt_is(cl->session, RCPT_UNKNOWN, NULL);
		break;
	case RCPT_NODOMAIN:
		smtp_session_rcpt_is(cl->session, RCPT_FOREIGN, NULL);
		break;
	}
}

static void
verdict_of(const struct err *e, struct smtp_verdict *v)
{
	LOG_ERROR("spool", F_ERR(e));
	*v = e->kind == ERR_SPACE ?
		 (struct smtp_verdict){ 452, "4.3.1",
			 STR("no room now, try again later"), true } :
		 (struct smtp_verdict){ 451, "4.3.0",
			 STR("cannot take mail now, try again later"), true };
}

static void
want_data(struct client *cl)
{
	struct smtp_verdict v;
	struct err e;

	spool_close(cl->front, &cl->spool);
	if (spool_open(cl->front, &cl->spool, &e) == -1) {
		verdict_of(&e, &v);
		smtp_session_data_is(cl->session, &v);
		return;
	}
	ev_timer_set(&cl->data,
	    (double)cl->front->base.config->limits.smtp_data_ms / 1e3, 0.);
	ev_timer_start(cl->front->base.loop, &cl->data);
	smtp_session_data_is(cl->session, NULL);
}

static void
want_chunk(struct client *cl)
{
	struct smtp_verdict v;
	struct err e;

	LOG_AT(LOG_LEVEL_TRACEDATA, "smtp.data",
	    F_STR("data", smtp_session_chunk(cl->session)));
	if (spool_write(cl->front, &cl->spool, smtp_session_chunk(cl->session),
		&e) == -1) {
		verdict_of(&e, &v);
		smtp_session_chunk_is(cl->session, &v);
	} else
		smtp_session_chunk_is(cl->session, NULL);
}

static void
want_deliver(struct client *cl)
{
	struct smtp_verdict v;
	struct err e;

	ev_timer_stop(cl->front->base.loop, &cl->data);
	if (spool_seal(&cl->spool, &e) == -1) {
		verdict_of(&e, &v);
		deliver_refuse(cl, &v);
	} else
		check_message(cl);
}

static void
want_delay(struct client *cl)
{
	unsigned ms = smtp_session_delay(cl->session);

	/* on loopback nobody is kept waiting, but for the test's own wish */
	if (cl->listener->no_limits && ms < 600000)
		ms = 0;
	cl->wait = WAIT_DELAY;
	ev_timer_set(&cl->delay, ms / 1e3, 0.);
	ev_timer_start(cl->front->base.loop, &cl->delay);
}

/* quire-check may take a while: what was said so far goes out. */
static bool
is_answered(struct client *cl)
{
	if (cl->wait != WAIT_CHECK)
		return true;
	client_flush(cl);
	return false;
}

/* Does what was said have to reach the peer before this? */
static bool
is_behind_replies(enum smtp_want want)
{
	return want == WANT_INPUT || want == WANT_FLUSH || want == WANT_CLOSE ||
	       want == WANT_DELAY || want == WANT_STARTTLS;
}

bool
client_serve(struct client *cl, enum smtp_want want)
{
	if (is_behind_replies(want)) {
		client_flush(cl);
		if (slow_is_pending(&cl->slow)) {
			cl->wait = WAIT_SLOW; /* then it is asked again */
			return false;
		}
	}
	switch (want) {
	case WANT_INPUT:
		cl->wait = WAIT_INPUT;
		return false;
	case WANT_FLUSH:
		if (conn_queued(cl->conn) == 0)
			return true;
		cl->wait = WAIT_DRAIN;
		return false;
	case WANT_CLOSE:
		client_close(cl);
		return false;
	case WANT_DELAY:
		want_delay(cl);
		return false;
	case WANT_STARTTLS:
		cl->wait = WAIT_TLS;
		conn_start_tls(
		    cl->conn, front_tls(&cl->front->base, cl->listener));
		return false;
	case WANT_AUTH:
		auth_step(cl);
		client_flush(cl);
		return cl->wait != WAIT_AUTH;
	case WANT_AUTH_CANCEL:
		auth_cancel(cl);
		smtp_session_auth_cancelled(cl->session);
		return true;
	case WANT_XCLIENT:
		xclient_take(cl);
		return true;
	case WANT_HELO:
		check_helo(cl);
		return is_answered(cl);
	case WANT_MAIL:
		want_mail(cl);
		return is_answered(cl);
	case WANT_RCPT:
		client_rcpt(cl);
		return is_answered(cl);
	case WANT_DATA:
		want_data(cl);
		return true;
	case WANT_CHUNK:
		cl->has_progress = true;
		want_chunk(cl);
		return true;
	case WANT_DISCARD:
		ev_timer_stop(cl->front->base.loop, &cl->data);
		spool_close(cl->front, &cl->spool);
		smtp_session_discarded(cl->session);
		return true;
	case WANT_DELIVER:
		want_deliver(cl);
		client_flush(cl);
		return cl->wait != WAIT_DELIVER && cl->wait != WAIT_CHECK;
	}
	return false;
}
