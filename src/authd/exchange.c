#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "authd.h"
#include "base/b64.h"
#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * An exchange is one SASL dialogue of one connection:
 *
 *	CLIENT --response--> step --CHALLENGE--> CLIENT
 *	                         --WANT_PASSWORD--> HASH or USERDB --> step
 *	                         --verdict--> gone
 */

static void advance(struct authd *, struct exchange *, enum sasl_step);

static void
set_password(struct exchange *x, struct str password)
{
	if (x->password != NULL) {
		sodium_memzero(x->password, strlen(x->password));
		free(x->password);
	}
	x->password = password.p == NULL ? NULL : str_dup(password);
}

static void
drop(struct authd *a, struct exchange *x)
{
	struct exchange **at;

	for (at = &a->exchanges; *at != NULL; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	a->nexchanges--;
	sasl_server_free(&x->sasl);
	set_password(x, (struct str){ 0 });
	arena_release(&x->arena);
	buf_release(&x->nonce);
	buf_release(&x->exporter);
	buf_release(&x->end_point);
	free(x);
}

static struct exchange *
find(struct authd *a, const struct daemon_peer *front, uint32_t conn)
{
	struct exchange *x;

	for (x = a->exchanges; x != NULL; x = x->next)
		if (x->conn == conn && x->front == front)
			return x;
	return NULL;
}

static struct exchange *
find_id(struct authd *a, uint32_t id)
{
	struct exchange *x;

	for (x = a->exchanges; x != NULL; x = x->next)
		if (x->id == id)
			return x;
	return NULL;
}

static void
reply(struct daemon_peer *front, uint32_t conn, uint8_t verdict,
    struct str account, struct str login, struct str final)
{
	struct msg_auth_result r = { .verdict = verdict,
		.account = account,
		.login = login,
		.text = STR(""),
		.final = final };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_auth_result(&b, conn, &r);
	if (front->fd != -1)
		(void)ipc_send(front->fd, &b, NULL, 0);
	buf_release(&b);
}

/* IMAP: the session is quired's to start; its front gets it from there. */
static bool
ask_session(struct authd *a, const struct exchange *x)
{
	struct msg_start s = { x->front->kind, x->front->instance,
		str_from(x->account), str_from(x->login) };
	struct buf b;
	bool ok;

	buf_init(&b, IPC_MAX);
	msg_pack_start(&b, x->conn, &s);
	ok = ipc_send(a->d.ctl, &b, NULL, 0) == IPC_OK;
	buf_release(&b);
	return ok;
}

static void
accepted(struct authd *a, struct exchange *x)
{
	enum auth_verdict v = AUTH_OK;

	tries_succeeded(a, x);
	if (x->password != NULL)
		cache_put(a, str_from(x->account), x->record.hash,
		    str_from(x->password));
	if (x->front->kind == PROG_IMAPD && !ask_session(a, x))
		v = AUTH_TEMP;
	reply(x->front, x->conn, (uint8_t)v, str_from(x->account),
	    str_from(x->login),
	    x->front->kind == PROG_IMAPD ? STR("") : sasl_server_data(x->sasl));
	drop(a, x);
}

static void
refused(
    struct authd *a, struct exchange *x, enum auth_verdict v, const char *why)
{
	bool is_guess = v == AUTH_BAD || v == AUTH_BINDING;
	bool is_counted = is_guess && tries_failed(a, x);

	/* for fail2ban; the name is the client's, so it is escaped */
	LOG_INFO("login.failed", F_CSTR("username", x->login),
	    F_CSTR("remote", x->remote), F_CSTR("mechanism", x->mechanism),
	    F_CSTR("service", x->service), F_CSTR("why", why),
	    F_INT("counted", is_counted));
	reply(x->front, x->conn, (uint8_t)v, STR(""), STR(""),
	    x->sasl == NULL ? STR("") : sasl_server_data(x->sasl));
	drop(a, x);
}

/* Whatever the password is: nobody is to learn it now. */
static void
limited(struct authd *a, struct exchange *x)
{
	LOG_INFO("login.limited", F_CSTR("username", x->login),
	    F_CSTR("remote", x->remote), F_CSTR("service", x->service));
	reply(x->front, x->conn, AUTH_LIMITED, STR(""), STR(""), STR(""));
	drop(a, x);
}

/* The exchange for who debugs a client: SCRAM's messages prove a password
 * without telling it, the others are not shown at any level. */
static void
trace(const struct exchange *x, const char *way, struct str data)
{
	bool is_scram = str_starts(str_from(x->mechanism), STR("SCRAM"));

	LOG_AT(LOG_LEVEL_TRACEAUTH, "auth.step",
	    F_CSTR("mechanism", x->mechanism), F_CSTR("remote", x->remote),
	    F_CSTR("way", way),
	    F_STR("data", is_scram ? data : STR("withheld")));
}

static void
challenge(struct exchange *x, struct str data)
{
	struct buf b;

	trace(x, "out", data);
	buf_init(&b, IPC_MAX);
	msg_pack_blob(&b, MSG_AUTH_CHALLENGE, x->conn, data);
	if (x->front->fd != -1)
		(void)ipc_send(x->front->fd, &b, NULL, 0);
	buf_release(&b);
	x->waiting = EX_CLIENT;
	x->deadline = date_mono_ms() + EXCHANGE_MS;
}

/* Who logs in: the account's name, or nothing. */
static const struct config_account *
identify(struct authd *a, struct exchange *x)
{
	const struct config_account *acc;

	str_copy(sasl_server_user(x->sasl), x->login, sizeof(x->login));
	acc = config_login(a->config, str_from(x->login));
	str_copy(
	    acc == NULL ? STR("") : acc->name, x->account, sizeof(x->account));
	return acc;
}

static void
ask_userdb(
    struct authd *a, struct exchange *x, const struct config_account *acc)
{
	struct msg_user_query q = { .name = acc->user,
		.password = sasl_server_password(x->sasl),
		.service = str_from(x->service),
		.has_password = true };
	int fd = daemon_peer_fd(&a->d, PROG_USERDB, 0);
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_user_query(&b, x->id, &q);
	x->waiting = EX_USERDB;
	x->deadline = date_mono_ms() + EXCHANGE_MS;
	if (fd == -1 || ipc_send(fd, &b, NULL, 0) != IPC_OK)
		refused(a, x, AUTH_TEMP, "userdb is not there");
	if (b.p != NULL)
		sodium_memzero(b.p, b.n);
	buf_release(&b);
}

/* Its record; AUTH_NO_RECORD also for a name that is not there. */
static enum auth_found
load(struct authd *a, struct exchange *x, const struct config_account *acc)
{
	enum auth_found found = AUTH_NO_RECORD;
	struct err e;

	x->record = (struct auth_record){ 0 };
	arena_clear(&x->arena);
	if (acc != NULL && acc->password_source == PASSWORD_OWN)
		found = auth_read(
		    &x->arena, a->d.auth_dir, acc->name, &x->record, &e);
	if (found == AUTH_ERROR) {
		LOG_ERROR(
		    "auth.record", F_CSTR("account", x->account), F_ERR(&e));
		refused(a, x, AUTH_TEMP, "its record cannot be read");
	}
	if (found == AUTH_FOUND && x->record.is_disabled)
		found = AUTH_NO_RECORD;
	return found;
}

static void
want_password(struct authd *a, struct exchange *x)
{
	const struct config_account *acc = identify(a, x);
	struct str password = sasl_server_password(x->sasl);

	tries_password(a, x, password);
	if (acc != NULL && acc->password_source == PASSWORD_SYSTEM) {
		ask_userdb(a, x, acc);
		return;
	}
	switch (load(a, x, acc)) {
	case AUTH_FOUND:
		break;
	case AUTH_NO_RECORD:
		/* the same work as for a name that exists */
		x->record.hash = buf_str(&a->dummy_hash);
		x->account[0] = '\0';
		break;
	case AUTH_ERROR:
		return;
	}
	if (x->account[0] != '\0' &&
	    cache_has(a, str_from(x->account), x->record.hash, password)) {
		advance(a, x, sasl_server_checked(x->sasl, true));
		return;
	}
	set_password(x, password);
	x->waiting = EX_HASH;
	x->deadline = INT64_MAX; /* the worker's own */
	if (!hash_submit(a, x->id, x->record.hash, password))
		refused(a, x, AUTH_TEMP, "too many logins wait");
}

static void
want_scram(struct authd *a, struct exchange *x)
{
	enum auth_found found = load(a, x, identify(a, x));

	if (found != AUTH_ERROR)
		advance(a, x,
		    sasl_server_looked_up(
			x->sasl, found == AUTH_FOUND && x->record.has_scram ?
				     &x->record.scram :
				     NULL));
}

static void
advance(struct authd *a, struct exchange *x, enum sasl_step step)
{
	switch (step) {
	case SASL_CHALLENGE:
		challenge(x, sasl_server_data(x->sasl));
		break;
	case SASL_WANT_PASSWORD:
		want_password(a, x);
		break;
	case SASL_WANT_SCRAM:
		want_scram(a, x);
		break;
	case SASL_OK:
		if (!tries_left(a, x)) {
			limited(a, x);
			break;
		}
		/* IMAP has no room for a last word in its OK (RFC 9051,
		 * 6.2.2): it goes as a challenge, answered by nothing */
		if (x->front->kind == PROG_IMAPD && !x->is_done &&
		    sasl_server_data(x->sasl).n > 0) {
			x->is_done = true;
			challenge(x, sasl_server_data(x->sasl));
		} else
			accepted(a, x);
		break;
	case SASL_BAD:
		if (!tries_left(a, x)) {
			limited(a, x);
			break;
		}
		refused(a, x, AUTH_BAD,
		    x->account[0] == '\0' ? "no such account" :
					    "wrong password");
		break;
	case SASL_BINDING:
		refused(a, x, AUTH_BINDING, "channel binding");
		break;
	case SASL_SYNTAX:
		refused(a, x, AUTH_SYNTAX, "malformed exchange");
		break;
	}
}

static void
make_nonce(struct buf *b)
{
	char raw[18];

	fs_random(raw, sizeof(raw));
	b64_encode(b, str_make(raw, sizeof(raw)));
}

static void
begin(struct authd *a, struct daemon_peer *front, struct ipc_msg *m)
{
	struct msg_auth_start s;
	struct exchange *x;

	if (!msg_unpack_auth_start(m, &s) || a->nexchanges >= MAX_EXCHANGES) {
		reply(front, m->id, AUTH_TEMP, STR(""), STR(""), STR(""));
		return;
	}
	x = find(a, front, m->id);
	if (x != NULL)
		drop(a, x);
	x = xcalloc(1, sizeof(*x));
	x->front = front;
	x->conn = m->id;
	x->id = ++a->counter == 0 ? ++a->counter : a->counter;
	x->next = a->exchanges;
	a->exchanges = x;
	a->nexchanges++;
	str_copy(s.mechanism, x->mechanism, sizeof(x->mechanism));
	str_copy(s.remote, x->remote, sizeof(x->remote));
	str_copy(s.service, x->service, sizeof(x->service));
	x->is_counted = !s.no_limits && limit_addr_parse(&x->addr, s.remote);
	if (!tries_left(a, x)) {
		limited(a, x);
		return;
	}
	/* what the state borrows lives as long as the exchange */
	arena_init(&x->arena, 65536);
	buf_init(&x->nonce, 64);
	buf_init(&x->exporter, 256);
	buf_init(&x->end_point, 256);
	make_nonce(&x->nonce);
	buf_put(&x->exporter, s.exporter);
	buf_put(&x->end_point, s.end_point);
	x->config = (struct sasl_config){ .nonce = buf_str(&x->nonce),
		.secret = str_make(
		    (const char *)a->server_key, sizeof(a->server_key)),
		.iterations = AUTH_ITERATIONS,
		.plus_advertised = s.plus_advertised,
		.exporter = buf_str(&x->exporter),
		.end_point = buf_str(&x->end_point) };
	x->sasl = sasl_server_new(str_from(x->mechanism), &x->config);
	if (x->sasl == NULL)
		refused(a, x, AUTH_MECHANISM, "no such mechanism");
	else
		advance(
		    a, x, sasl_server_step(x->sasl, s.has_initial, s.initial));
}

void
exchange_message(struct authd *a, struct daemon_peer *front, struct ipc_msg *m)
{
	struct exchange *x;
	struct str data;

	if (m->type == MSG_AUTH_START) {
		begin(a, front, m);
		return;
	}
	x = find(a, front, m->id);
	if (x == NULL)
		return; /* expired meanwhile: it has its answer */
	if (m->type == MSG_AUTH_STEP && x->waiting == EX_CLIENT &&
	    msg_unpack_blob(m, &data)) {
		trace(x, "in", data);
		if (x->is_done)
			accepted(a, x);
		else
			advance(a, x, sasl_server_step(x->sasl, true, data));
	} else
		drop(a, x); /* cancelled, or out of order */
}

void
exchange_hash_done(struct authd *a, uint32_t id, uint32_t verdict)
{
	struct exchange *x = find_id(a, id);

	if (x == NULL || x->waiting != EX_HASH)
		return; /* its client hung up */
	if (verdict == AUTH_TEMP) {
		refused(a, x, AUTH_TEMP, "hash not computed");
		return;
	}
	if (verdict != AUTH_OK || x->account[0] == '\0') {
		set_password(x, (struct str){ 0 });
		advance(a, x, sasl_server_checked(x->sasl, false));
	} else
		advance(a, x, sasl_server_checked(x->sasl, true));
}

void
exchange_user_reply(
    struct authd *a, uint32_t id, const struct msg_user_reply *r)
{
	struct exchange *x = find_id(a, id);

	if (x == NULL || x->waiting != EX_USERDB)
		return;
	if (r->result == 2)
		refused(a, x, AUTH_TEMP, "user database");
	else
		advance(a, x, sasl_server_checked(x->sasl, r->result == 0));
}

void
exchange_expire(struct authd *a, int64_t now)
{
	struct exchange *x, *next;

	for (x = a->exchanges; x != NULL; x = next) {
		next = x->next;
		if (now > x->deadline)
			refused(a, x, AUTH_TEMP, "timed out");
	}
}

void
exchange_drop_front(struct authd *a, const struct daemon_peer *front)
{
	struct exchange *x, *next;

	for (x = a->exchanges; x != NULL; x = next) {
		next = x->next;
		if (x->front == front)
			drop(a, x);
	}
}
