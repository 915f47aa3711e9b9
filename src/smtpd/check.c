/*
 * Questions to quire-check about mail from strangers.
 *
 * A client waits for one at a time. Whatever happens to the question, it is
 * answered: by quire-check, by its deadline here, or when the channel is
 * lost. Without an answer mail is put off with 451 and never taken by
 * accident.
 */
#include "format/authres/authres.h"
#include "smtpd.h"
#include "system/log/log.h"

#define GRACE_MS 5000 /* beyond what quire-check may take by itself */

bool
check_is_on(const struct client *cl)
{
	return cl->options.kind == SMTP_MX &&
	       config_has_checks(cl->front->base.config);
}

static void
pack(struct client *cl, uint16_t type, struct buf *out)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct addr_path *path = &mail->reverse_path;
	struct msg_check m = { .remote = str_from(cl->remote),
		.helo = smtp_session_helo(cl->session),
		.sid = str_from(cl->cid),
		.is_null = path->kind != ADDR_PATH,
		.local = path->addr.local,
		.domain = path->addr.domain,
		.is_tls = smtp_session_is_tls(cl->session),
		.size = type == MSG_CHECK ? cl->spool.size : 0 };

	msg_pack_check(out, type, cl->check.id, &m);
}

/* The message itself is refused, for every recipient. */
static void
refuse_all(struct client *cl, const struct smtp_verdict *v, struct str reason)
{
	size_t n = smtp_session_mail(cl->session)->n_rcpts, i;

	for (i = 0; i < n; i++)
		smtp_session_refuse_rcpt(cl->session, i, v, reason);
	deliver_rejects(cl);
}

/* What this recipient asks of From; NULL: it has it. */
static const struct smtp_verdict *
misses(const struct client *cl, const struct smtp_rcpt *r,
    const struct msg_checked *a)
{
	static const struct smtp_verdict no = { 550, "5.7.26",
		STR_INIT("neither SPF nor DKIM confirms the domain in From, "
			 "as this recipient asks") };
	static const struct smtp_verdict not_now = { 451, "4.7.26",
		STR_INIT("the domain in From cannot be confirmed now, as this "
			 "recipient asks") };
	const struct config_account *account;
	struct config_rules rules;

	if (a->alignment == CHECKED_ALIGNED ||
	    rcpt_account(cl->front->base.config, r, &account) != RCPT_OK)
		return NULL;
	config_rules(cl->front->base.config, r->addr.local, r->addr.domain,
	    account, &rules);
	if (!rules.requires_alignment)
		return NULL;
	return a->alignment == CHECKED_UNKNOWN ? &not_now : &no;
}

/* Nothing speaks against the message, but not all may take it. */
static void
deliver_to_some(struct client *cl, const struct msg_checked *a)
{
	const struct smtp_mail *mail = smtp_session_mail(cl->session);
	const struct smtp_verdict *v;
	bool is_wanted = false, is_refused = false;
	size_t i;

	for (i = 0; i < mail->n_rcpts; i++) {
		v = misses(cl, &mail->rcpts[i], a);
		/* what may be taken later is in no Rejects */
		if (v != NULL)
			smtp_session_refuse_rcpt(cl->session, i, v,
			    v->code < 500 ? STR("") : STR("msg-auth-required"));
		is_wanted = is_wanted || !mail->rcpts[i].is_unknown;
		is_refused = is_refused || (v != NULL && v->code >= 500);
	}
	if (is_wanted || !is_refused) {
		deliver_start(cl);
		return;
	}
	smtp_session_set_slow(cl->session);
	deliver_rejects(cl);
}

/* What is said on top of it, and to the mdas. */
static void
message_is(struct client *cl, const struct smtp_verdict *v,
    const struct msg_checked *a)
{
	buf_clear(&cl->check.header);
	buf_put(&cl->check.header, a->header);
	buf_put(&cl->check.from, a->from);
	/* our own users are no strangers, wherever they come in */
	if (!smtp_session_is_authenticated(cl->session))
		cl->check.author = a->alignment == CHECKED_ALIGNED ?
				       AUTHOR_CONFIRMED :
				       AUTHOR_UNCONFIRMED;
	(void)str_copy(
	    a->peer_name, cl->check.peer_name, sizeof(cl->check.peer_name));
	if (a->is_unwanted) /* who sends such gets slow replies */
		smtp_session_set_slow(cl->session);
	if (v->code == 250)
		deliver_to_some(cl, a);
	else if (a->is_unwanted)
		refuse_all(cl, v, a->reason);
	else
		deliver_refuse(cl, v);
}

static void
answer(struct client *cl, const struct msg_checked *a)
{
	char enhanced[16];
	struct smtp_verdict v = { a->code, enhanced, a->text,
		a == &msg_checked_unknown };
	uint16_t type = cl->check.type;

	(void)str_copy(a->enhanced, enhanced, sizeof(enhanced));
	check_forget(cl);
	cl->wait = WAIT_INPUT;
	if (type == MSG_CHECK_HELO) /* in doubt a host may call itself so */
		smtp_session_helo_is(cl->session, v.code >= 500 ? &v : NULL);
	else if (type == MSG_CHECK_SENDER)
		smtp_session_mail_is(cl->session, &v);
	else if (type == MSG_CHECK_SPF) {
		cl->check.spf = a->spf_pass ? CHECK_SPF_PASS : CHECK_SPF_OTHER;
		client_rcpt(cl);
	} else
		message_is(cl, &v, a);
	if (cl->wait == WAIT_INPUT)
		client_run(cl);
}

static void
late_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;

	log_set_sid(str_from(cl->cid));
	LOG_WARN("check.failed", F_CSTR("err", "no answer in time"));
	log_set_sid(STR(""));
	answer(cl, &msg_checked_unknown);
}

void
check_init(struct client *cl)
{
	ev_init(&cl->check.late, late_cb);
	cl->check.late.data = cl;
	buf_init(&cl->check.header, IPC_MAX);
	buf_init(&cl->check.from, IPC_MAX);
}

void
check_release(struct client *cl)
{
	check_forget(cl);
	buf_release(&cl->check.header);
	buf_release(&cl->check.from);
}

void
check_forget(struct client *cl)
{
	ev_timer_stop(cl->front->base.loop, &cl->check.late);
	idtable_drop(&cl->front->checks, cl->check.id);
	cl->check.id = 0;
}

/* WAIT_CHECK, or answered at once when nobody can be asked. */
static void
ask(struct client *cl, uint16_t type)
{
	struct smtpd *f = cl->front;
	bool is_sent;
	struct buf b;

	cl->wait = WAIT_CHECK;
	cl->check.type = type;
	cl->check.id = idtable_put(&f->checks, cl);
	buf_init(&b, IPC_MAX);
	pack(cl, type, &b);
	is_sent = cl->check.id != 0 && !b.full &&
		  link_send_fd(&f->check.link, &b,
		      type == MSG_CHECK ? cl->spool.fd : -1);
	buf_release(&b);
	if (!is_sent) {
		answer(cl, &msg_checked_unknown);
		return;
	}
	ev_timer_set(&cl->check.late,
	    (double)(f->base.config->limits.check_ms + GRACE_MS) / 1e3, 0.);
	ev_timer_start(f->base.loop, &cl->check.late);
}

void
check_helo(struct client *cl)
{
	ask(cl, MSG_CHECK_HELO);
}

void
check_sender(struct client *cl)
{
	cl->check.spf = CHECK_SPF_UNKNOWN;
	/* the null path has no domain to ask about */
	if (!check_is_on(cl) ||
	    smtp_session_mail(cl->session)->reverse_path.kind != ADDR_PATH)
		smtp_session_mail_is(cl->session, NULL);
	else
		ask(cl, MSG_CHECK_SENDER);
}

/* Of our own user there is nothing to check but what is known (RFC 8601,
 * 2.7.4). The login name is nobody's business: it may not be an address. */
static void
put_login(struct client *cl)
{
	struct authres_method m = { .method = STR("auth"),
		.result = STR("pass"),
		.reason = STR(""),
		.comment = STR("") };
	struct authres r = { config_authserv_id(cl->front->base.config), &m,
		1 };
	const struct addr_path *path =
	    &smtp_session_mail(cl->session)->reverse_path;
	struct buf from;

	buf_init(&from, 1024);
	if (path->kind == ADDR_PATH) {
		addr_print(&from, &path->addr);
		m.props[m.n_props++] = (struct authres_prop){ STR("smtp"),
			STR("mailfrom"), buf_str(&from) };
	}
	buf_puts(&cl->check.header, "Authentication-Results: ");
	authres_print(&cl->check.header, &r);
	buf_puts(&cl->check.header, "\r\n");
	buf_release(&from);
}

void
check_message(struct client *cl)
{
	buf_clear(&cl->check.header);
	buf_clear(&cl->check.from);
	cl->check.author = AUTHOR_NONE;
	cl->check.peer_name[0] = '\0';
	if (smtp_session_is_authenticated(cl->session))
		put_login(cl);
	if (!check_is_on(cl))
		deliver_start(cl);
	else
		ask(cl, MSG_CHECK);
}

/*
 * More than one recipient is for senders whose domain says that they may send:
 * lists of addresses tried out at once come from others.
 */
bool
check_allows_rcpt(struct client *cl)
{
	static const struct smtp_verdict one = { 452, "4.5.3",
		STR_INIT("one recipient at a time from senders without SPF "
			 "pass") };

	if (!check_is_on(cl) || smtp_session_mail(cl->session)->n_rcpts == 0 ||
	    cl->check.spf == CHECK_SPF_PASS)
		return true;
	if (cl->check.spf == CHECK_SPF_UNKNOWN)
		ask(cl, MSG_CHECK_SPF);
	else
		smtp_session_rcpt_is(cl->session, RCPT_REFUSED, &one);
	return false;
}

void
check_answered(struct front *base, struct ipc_msg *m)
{
	struct smtpd *f = (struct smtpd *)base;
	struct client *cl = idtable_get(&f->checks, m->id);
	struct msg_checked a;

	if (cl == NULL)
		return;
	if (m->type == MSG_CHECKED && msg_unpack_checked(m, &a))
		answer(cl, &a);
	else {
		LOG_ERROR("check.message", F_INT("type", m->type));
		answer(cl, &msg_checked_unknown);
	}
}

void
check_lost(struct front *base)
{
	struct smtpd *f = (struct smtpd *)base;
	struct client *cl;
	uint32_t at = 0;

	/* an answer may end its client, and begin another question */
	while ((cl = idtable_each(&f->checks, &at)) != NULL)
		answer(cl, &msg_checked_unknown);
}
