#include "smtpd.h"
#include "system/log/log.h"

/* SASL steps to authd and back; what they mean is decided there. */

static void
result(struct client *cl, const struct msg_auth_result *r)
{
	static const enum smtp_auth_verdict verdicts[] = {
		[AUTH_OK] = SMTP_AUTH_OK,
		[AUTH_BAD] = SMTP_AUTH_BAD,
		[AUTH_MECHANISM] = SMTP_AUTH_SYNTAX,
		[AUTH_BINDING] = SMTP_AUTH_BINDING,
		[AUTH_SYNTAX] = SMTP_AUTH_SYNTAX,
		[AUTH_TEMP] = SMTP_AUTH_TEMP,
		[AUTH_LIMITED] = SMTP_AUTH_LIMITED,
	};

	metric_count(&cl->front->base.metrics
			  ->logins[cl->listener->service][r->verdict]);
	if (r->verdict == AUTH_OK)
		LOG_INFO("login", F_STR("account", r->account),
		    F_STR("login", r->login), F_CSTR("remote", cl->remote),
		    F_INT("tls", conn_is_tls(cl->conn)));
	smtp_session_auth_is(
	    cl->session, verdicts[r->verdict], r->final, r->account);
}

/* Nobody could be asked. */
static void
fail(struct client *cl, enum auth_verdict v)
{
	cl->wait = WAIT_INPUT;
	result(cl, &(struct msg_auth_result){ .verdict = (uint8_t)v });
}

static void
pack_first(
    struct client *cl, const struct smtp_auth_step *step, struct buf *out)
{
	struct msg_auth_start m = { .mechanism = step->mechanism,
		.remote = str_from(cl->remote),
		.service = STR("smtp"),
		.has_initial = step->has_response,
		.initial = step->response };

	front_pack_auth_start(out, cl->id, cl->listener, cl->conn, &m);
}

/* Sets wait to WAIT_AUTH, or answers at once when nobody can be asked. */
void
auth_step(struct client *cl)
{
	const struct smtp_auth_step *step = smtp_session_auth(cl->session);
	struct buf out;

	buf_init(&out, IPC_MAX);
	if (step->is_first)
		pack_first(cl, step, &out);
	else
		msg_pack_blob(&out, MSG_AUTH_STEP, cl->id, step->response);
	cl->wait = WAIT_AUTH;
	if (out.full)
		fail(cl, AUTH_SYNTAX);
	else if (!link_send(&cl->front->auth.link, &out))
		fail(cl, AUTH_TEMP);
	front_release_secret(&out);
}

void
auth_cancel(struct client *cl)
{
	struct buf out;

	buf_init(&out, 64);
	msg_pack_plain(&out, MSG_AUTH_CANCEL, cl->id);
	(void)link_send(&cl->front->auth.link, &out);
	buf_release(&out);
}

void
auth_message(struct front *f, struct ipc_msg *m)
{
	struct client *cl = idtable_get(&f->clients, m->id);
	struct msg_auth_result r;
	struct str data;

	if (cl == NULL || cl->wait != WAIT_AUTH)
		return;
	log_set_sid(str_from(cl->cid));
	if (m->type == MSG_AUTH_CHALLENGE && msg_unpack_blob(m, &data))
		smtp_session_auth_is(
		    cl->session, SMTP_AUTH_CHALLENGE, data, STR(""));
	else if (m->type == MSG_AUTH_RESULT && msg_unpack_auth_result(m, &r))
		result(cl, &r);
	else {
		LOG_ERROR("auth.message", F_INT("type", m->type));
		log_set_sid(STR(""));
		return;
	}
	cl->wait = WAIT_INPUT;
	client_run(cl);
}

void
auth_lost(struct front *f)
{
	struct client *cl;
	uint32_t at = 0;

	while ((cl = idtable_each(&f->clients, &at)) != NULL)
		if (cl->wait == WAIT_AUTH) {
			fail(cl, AUTH_TEMP);
			client_run(cl);
		}
}
