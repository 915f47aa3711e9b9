/*
 * auth - SASL steps to authd and back; what they mean is decided there. Who
 * guesses passwords has to wait for the next attempt, longer each time.
 */
#include <sodium.h>

#include "base/b64.h"
#include "imapd.h"
#include "system/log/log.h"

#define MAX_FAILURES 10 /* then BYE */

/* A password was in it. */
static void
drop_held(struct client *cl)
{
	ev_timer_stop(cl->front->base.loop, &cl->wait);
	if (cl->held.p != NULL)
		sodium_memzero(cl->held.p, cl->held.n);
	buf_clear(&cl->held);
}

/* From then on replies are slow. */
static bool
is_guessing(const struct client *cl)
{
	const struct config_limits *l = &cl->front->base.config->limits;

	return l->slow_after > 0 && cl->failures >= l->slow_after &&
	       !cl->listener->no_limits && slow_can(&cl->slow);
}

static void
result(struct client *cl, const struct msg_auth_result *r)
{
	static const struct {
		enum metrics_imap how;
		const char *text;
	} texts[] = {
		[AUTH_BAD] = { METRICS_NO,
		    "[AUTHENTICATIONFAILED] wrong name or password" },
		[AUTH_MECHANISM] = { METRICS_NO,
		    "[CANNOT] no such mechanism here" },
		[AUTH_BINDING] = { METRICS_NO,
		    "[AUTHENTICATIONFAILED] channel binding does not match" },
		[AUTH_SYNTAX] = { METRICS_BAD,
		    "malformed authentication exchange" },
		[AUTH_TEMP] = { METRICS_NO,
		    "[UNAVAILABLE] cannot check passwords now, try later" },
		/* RFC 5530, 3 */
		[AUTH_LIMITED] = { METRICS_NO,
		    "[LIMIT] too many failed logins from your network, try "
		    "later" },
	};

	/* also of who is in already: the session may have been faster */
	metric_count(&cl->front->base.metrics
			  ->logins[cl->listener->service][r->verdict]);
	if (cl->state != CLIENT_AUTH)
		return;
	if (r->verdict == AUTH_OK) {
		/* quired's session may be here before or after this */
		cl->state = CLIENT_STARTING;
		cl->is_slow = false;
		slow_flush(&cl->slow);
		return;
	}
	drop_held(cl);
	if (r->verdict != AUTH_TEMP && r->verdict != AUTH_LIMITED)
		cl->failures++;
	cl->is_slow = is_guessing(cl);
	client_refuse(cl, texts[r->verdict].how, texts[r->verdict].text);
	if (cl->failures >= MAX_FAILURES) {
		LOG_INFO("disconnect", F_CSTR("remote", cl->remote),
		    F_CSTR("why", "too many failed logins"));
		client_bye(cl, "too many failed logins");
		return;
	}
	cl->state = CLIENT_GREETED;
	conn_pause(cl->conn, false);
	login_pump(cl);
}

static void
send_or_fail(struct client *cl, const struct buf *out)
{
	if (!link_send(&cl->front->auth.link, out))
		result(cl, &(struct msg_auth_result){ AUTH_TEMP });
}

static void
wait_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *cl = w->data;
	struct buf out;

	buf_init(&out, IPC_MAX);
	buf_put(&out, buf_str(&cl->held));
	drop_held(cl);
	log_set_sid(str_from(cl->cid));
	send_or_fail(cl, &out);
	log_set_sid(STR(""));
	front_release_secret(&out);
}

/* Each attempt longer than the one before. */
static double
wait_s(const struct client *cl)
{
	const struct config_limits *l = &cl->front->base.config->limits;

	if (cl->listener->no_limits || l->slow_after == 0 ||
	    cl->failures <= l->slow_after)
		return 0.;
	return (double)((cl->failures - l->slow_after) * l->login_wait_ms) /
	       1e3;
}

/* Who guesses waits; nobody else does. */
static void
send_or_hold(struct client *cl, struct buf *out)
{
	double wait = wait_s(cl);

	if (wait <= 0.) {
		send_or_fail(cl, out);
		return;
	}
	buf_put(&cl->held, buf_str(out));
	ev_timer_set(&cl->wait, wait, 0.);
	ev_timer_start(cl->front->base.loop, &cl->wait);
}

void
auth_init(struct client *cl)
{
	buf_init(&cl->held, IPC_MAX);
	ev_init(&cl->wait, wait_cb);
	cl->wait.data = cl;
}

void
auth_release(struct client *cl)
{
	drop_held(cl);
	buf_release(&cl->held);
}

void
auth_start(struct client *cl, struct msg_auth_start *m)
{
	struct buf out;

	buf_init(&out, IPC_MAX);
	m->remote = str_from(cl->remote);
	m->service = STR("imap");
	front_pack_auth_start(&out, cl->id, cl->listener, cl->conn, m);
	cl->state = CLIENT_AUTH;
	conn_pause(cl->conn, true);
	if (out.full)
		result(cl, &(struct msg_auth_result){ AUTH_SYNTAX });
	else
		send_or_hold(cl, &out);
	front_release_secret(&out);
}

/* The client's answer to a challenge. */
void
auth_line(struct client *cl, struct str line)
{
	struct buf b, out;

	buf_init(&b, 16384);
	buf_init(&out, IPC_MAX);
	line = str_trim(line);
	client_progress(cl);
	cl->state = CLIENT_AUTH;
	conn_pause(cl->conn, true);
	if (str_eq(line, STR("*")) || !b64_decode(&b, line)) {
		msg_pack_plain(&out, MSG_AUTH_CANCEL, cl->id);
		(void)link_send(&cl->front->auth.link, &out);
		cl->state = CLIENT_GREETED;
		conn_pause(cl->conn, false);
		client_refuse(cl, METRICS_BAD,
		    str_eq(line, STR("*")) ?
			"authentication cancelled" :
			"authentication answer is not base64");
	} else {
		msg_pack_blob(&out, MSG_AUTH_STEP, cl->id, buf_str(&b));
		send_or_fail(cl, &out);
	}
	front_release_secret(&b);
	front_release_secret(&out);
}

static void
challenge(struct client *cl, struct str data)
{
	struct buf b;

	if (cl->state != CLIENT_AUTH)
		return;
	buf_init(&b, 16384);
	b64_encode(&b, data);
	client_say(cl, "+ %s", buf_cstr(&b));
	buf_release(&b);
	cl->state = CLIENT_AUTH_LINE;
	imap_reader_want_line(cl->reader);
	conn_pause(cl->conn, false);
	login_pump(cl);
}

void
auth_message(struct front *f, struct ipc_msg *m)
{
	struct client *cl = idtable_get(&f->clients, m->id);
	struct msg_auth_result r;
	struct str data;

	if (cl == NULL)
		return; /* hung up meanwhile */
	log_set_sid(str_from(cl->cid));
	if (m->type == MSG_AUTH_CHALLENGE && msg_unpack_blob(m, &data))
		challenge(cl, data);
	else if (m->type == MSG_AUTH_RESULT && msg_unpack_auth_result(m, &r))
		result(cl, &r);
	else
		LOG_ERROR("auth.message", F_INT("type", m->type));
	log_set_sid(STR(""));
}

/* Those who wait for an authd that is gone get their answer now. */
void
auth_lost(struct front *f)
{
	const struct msg_auth_result temp = { .verdict = AUTH_TEMP };
	struct client *cl;
	uint32_t at = 0;

	while ((cl = idtable_each(&f->clients, &at)) != NULL)
		if (cl->state == CLIENT_AUTH)
			result(cl, &temp);
}
