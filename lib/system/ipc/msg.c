#include "system/ipc/msg.h"

#include "base/pack.h"

const char *const prog_names[PROGS] = { "quire-smtpd", "quire-imapd",
	"quire-authd", "quire-userdb", "quire-mda", "quire-imap",
	"quire-check" };
const char *const service_names[SERVICES] = { "smtp", "submission",
	"submissions", "imap", "imaps" };

const struct msg_checked msg_checked_unknown = { .code = 451,
	.enhanced = STR_INIT("4.3.0"),
	.text = STR_INIT("cannot check this now, try again later"),
	.reason = STR_INIT("check-failed"),
	.peer_name = STR_INIT(""),
	.header = STR_INIT(""),
	.from = STR_INIT("") };

static bool
take_bool(struct cur *c, bool *out)
{
	uint8_t v;

	if (!cur_u8(c, &v))
		return false;
	if (v > 1)
		return cur_fail(c, "not a boolean");
	*out = v;
	return true;
}

void
msg_pack_listener(struct buf *b, uint32_t id, const struct msg_listener *m)
{
	ipc_begin(b, MSG_LISTENER, id);
	pack_u8(b, m->service);
	pack_u8(b, m->plain_login);
	pack_u8(b, m->no_limits);
	pack_blob(b, m->name);
	pack_blob(b, m->address);
}

bool
msg_unpack_listener(struct ipc_msg *g, struct msg_listener *m)
{
	struct cur *c = &g->body;

	return cur_u8(c, &m->service) && m->service < SERVICES &&
	       take_bool(c, &m->plain_login) && take_bool(c, &m->no_limits) &&
	       cur_blob(c, &m->name) && cur_blob(c, &m->address) && cur_done(c);
}

void
msg_pack_tag(struct buf *b, uint16_t type, const struct msg_tag *m)
{
	ipc_begin(b, type, 0);
	pack_u32(b, m->kind);
	pack_u32(b, m->instance);
	pack_blob(b, m->name);
}

bool
msg_unpack_tag(struct ipc_msg *g, struct msg_tag *m)
{
	struct cur *c = &g->body;

	return cur_u32(c, &m->kind) && cur_u32(c, &m->instance) &&
	       cur_blob(c, &m->name) && cur_done(c);
}

void
msg_pack_plain(struct buf *b, uint16_t type, uint32_t id)
{
	ipc_begin(b, type, id);
}

void
msg_pack_start(struct buf *b, uint32_t id, const struct msg_start *m)
{
	ipc_begin(b, MSG_START, id);
	pack_u32(b, m->front);
	pack_u32(b, m->instance);
	pack_blob(b, m->account);
	pack_blob(b, m->login);
}

bool
msg_unpack_start(struct ipc_msg *g, struct msg_start *m)
{
	struct cur *c = &g->body;

	return cur_u32(c, &m->front) && m->front < PROGS &&
	       cur_u32(c, &m->instance) && cur_blob(c, &m->account) &&
	       cur_blob(c, &m->login) && cur_done(c);
}

void
msg_pack_session(
    struct buf *b, uint16_t type, uint32_t id, const struct msg_session *m)
{
	ipc_begin(b, type, id);
	pack_u8(b, m->ok);
	pack_blob(b, m->account);
	pack_blob(b, m->login);
	pack_blob(b, m->why);
}

bool
msg_unpack_session(struct ipc_msg *g, struct msg_session *m)
{
	struct cur *c = &g->body;

	return take_bool(c, &m->ok) && cur_blob(c, &m->account) &&
	       cur_blob(c, &m->login) && cur_blob(c, &m->why) && cur_done(c);
}

void
msg_pack_order(struct buf *b, const struct msg_order *m)
{
	ipc_begin(b, MSG_ORDER, 0);
	pack_u32(b, m->uid);
	pack_u32(b, m->gid);
	pack_blob(b, m->account);
	pack_blob(b, m->login);
	pack_u8(b, m->has_index);
	pack_u8(b, m->has_marks);
}

bool
msg_unpack_order(struct ipc_msg *g, struct msg_order *m)
{
	struct cur *c = &g->body;

	return cur_u32(c, &m->uid) && cur_u32(c, &m->gid) &&
	       cur_blob(c, &m->account) && cur_blob(c, &m->login) &&
	       take_bool(c, &m->has_index) && take_bool(c, &m->has_marks) &&
	       cur_done(c);
}

void
msg_pack_auth_start(struct buf *b, uint32_t id, const struct msg_auth_start *m)
{
	ipc_begin(b, MSG_AUTH_START, id);
	pack_blob(b, m->mechanism);
	pack_blob(b, m->remote);
	pack_blob(b, m->service);
	pack_u8(b, m->is_tls);
	pack_u8(b, m->plus_advertised);
	pack_u8(b, m->has_initial);
	pack_u8(b, m->no_limits);
	pack_blob(b, m->initial);
	pack_blob(b, m->exporter);
	pack_blob(b, m->end_point);
}

bool
msg_unpack_auth_start(struct ipc_msg *g, struct msg_auth_start *m)
{
	struct cur *c = &g->body;

	return cur_blob(c, &m->mechanism) && cur_blob(c, &m->remote) &&
	       cur_blob(c, &m->service) && take_bool(c, &m->is_tls) &&
	       take_bool(c, &m->plus_advertised) &&
	       take_bool(c, &m->has_initial) && take_bool(c, &m->no_limits) &&
	       cur_blob(c, &m->initial) && cur_blob(c, &m->exporter) &&
	       cur_blob(c, &m->end_point) && cur_done(c);
}

void
msg_pack_blob(struct buf *b, uint16_t type, uint32_t id, struct str s)
{
	ipc_begin(b, type, id);
	pack_blob(b, s);
}

bool
msg_unpack_blob(struct ipc_msg *g, struct str *s)
{
	return cur_blob(&g->body, s) && cur_done(&g->body);
}

void
msg_pack_auth_result(
    struct buf *b, uint32_t id, const struct msg_auth_result *m)
{
	ipc_begin(b, MSG_AUTH_RESULT, id);
	pack_u8(b, m->verdict);
	pack_blob(b, m->account);
	pack_blob(b, m->login);
	pack_blob(b, m->text);
	pack_blob(b, m->final);
}

bool
msg_unpack_auth_result(struct ipc_msg *g, struct msg_auth_result *m)
{
	struct cur *c = &g->body;

	return cur_u8(c, &m->verdict) && m->verdict < AUTH_VERDICTS &&
	       cur_blob(c, &m->account) && cur_blob(c, &m->login) &&
	       cur_blob(c, &m->text) && cur_blob(c, &m->final) && cur_done(c);
}

void
msg_pack_user_query(struct buf *b, uint32_t id, const struct msg_user_query *m)
{
	ipc_begin(b, MSG_USER_QUERY, id);
	pack_blob(b, m->name);
	pack_blob(b, m->password);
	pack_blob(b, m->service);
	pack_u8(b, m->has_password);
}

bool
msg_unpack_user_query(struct ipc_msg *g, struct msg_user_query *m)
{
	struct cur *c = &g->body;

	return cur_blob(c, &m->name) && cur_blob(c, &m->password) &&
	       cur_blob(c, &m->service) && take_bool(c, &m->has_password) &&
	       cur_done(c);
}

void
msg_pack_user_reply(struct buf *b, uint32_t id, const struct msg_user_reply *m)
{
	ipc_begin(b, MSG_USER_REPLY, id);
	pack_u8(b, m->result);
	pack_u32(b, m->uid);
	pack_u32(b, m->gid);
	pack_blob(b, m->home);
}

bool
msg_unpack_user_reply(struct ipc_msg *g, struct msg_user_reply *m)
{
	struct cur *c = &g->body;

	return cur_u8(c, &m->result) && m->result <= 2 && cur_u32(c, &m->uid) &&
	       cur_u32(c, &m->gid) && cur_blob(c, &m->home) && cur_done(c);
}

void
msg_pack_hash(struct buf *b, uint32_t id, const struct msg_hash *m)
{
	ipc_begin(b, MSG_HASH_CHECK, id);
	pack_blob(b, m->record);
	pack_blob(b, m->password);
}

bool
msg_unpack_hash(struct ipc_msg *g, struct msg_hash *m)
{
	struct cur *c = &g->body;

	return cur_blob(c, &m->record) && cur_blob(c, &m->password) &&
	       cur_done(c);
}

void
msg_pack_deliver(struct buf *b, uint32_t id, const struct msg_deliver *m)
{
	ipc_begin(b, MSG_DELIVER, id);
	pack_blob(b, m->sender);
	pack_blob(b, m->recipient);
	pack_blob(b, m->sid);
	pack_blob(b, m->header);
	pack_u64(b, m->size);
	pack_blob(b, m->rejects);
	pack_blob(b, m->refusal);
	pack_u64(b, m->token);
	pack_u8(b, m->reports);
	pack_u8(b, m->author);
	pack_blob(b, m->from);
	pack_u8(b, m->waits_if_new);
	pack_u8(b, m->at_once);
	pack_u8(b, m->is_retry);
}

void
msg_deliver_set(struct buf *b, bool waits_if_new, bool at_once, bool is_retry)
{
	b->p[b->n - 3] = waits_if_new;
	b->p[b->n - 2] = at_once;
	b->p[b->n - 1] = is_retry;
}

bool
msg_unpack_deliver(struct ipc_msg *g, struct msg_deliver *m)
{
	struct cur *c = &g->body;

	return cur_blob(c, &m->sender) && cur_blob(c, &m->recipient) &&
	       cur_blob(c, &m->sid) && cur_blob(c, &m->header) &&
	       cur_u64(c, &m->size) && cur_blob(c, &m->rejects) &&
	       cur_blob(c, &m->refusal) && cur_u64(c, &m->token) &&
	       cur_u8(c, &m->reports) && cur_u8(c, &m->author) &&
	       m->author <= AUTHOR_CONFIRMED && cur_blob(c, &m->from) &&
	       take_bool(c, &m->waits_if_new) && take_bool(c, &m->at_once) &&
	       take_bool(c, &m->is_retry) && cur_done(c);
}

void
msg_pack_delivered(
    struct buf *b, uint16_t type, uint32_t id, const struct msg_delivered *m)
{
	ipc_begin(b, type, id);
	pack_u16(b, m->code);
	pack_blob(b, m->enhanced);
	pack_blob(b, m->text);
	pack_u8(b, m->is_first);
}

bool
msg_unpack_delivered(struct ipc_msg *g, struct msg_delivered *m)
{
	struct cur *c = &g->body;

	return cur_u16(c, &m->code) && m->code >= 200 && m->code < 600 &&
	       cur_blob(c, &m->enhanced) && cur_blob(c, &m->text) &&
	       take_bool(c, &m->is_first) && cur_done(c);
}

void
msg_pack_check(
    struct buf *b, uint16_t type, uint32_t id, const struct msg_check *m)
{
	ipc_begin(b, type, id);
	pack_blob(b, m->remote);
	pack_blob(b, m->helo);
	pack_blob(b, m->sid);
	pack_u8(b, m->is_null);
	pack_blob(b, m->local);
	pack_blob(b, m->domain);
	pack_u8(b, m->is_tls);
	pack_u64(b, m->size);
}

bool
msg_unpack_check(struct ipc_msg *g, struct msg_check *m)
{
	struct cur *c = &g->body;

	return cur_blob(c, &m->remote) && cur_blob(c, &m->helo) &&
	       cur_blob(c, &m->sid) && take_bool(c, &m->is_null) &&
	       cur_blob(c, &m->local) && cur_blob(c, &m->domain) &&
	       take_bool(c, &m->is_tls) && cur_u64(c, &m->size) && cur_done(c);
}

void
msg_pack_checked(struct buf *b, uint32_t id, const struct msg_checked *m)
{
	ipc_begin(b, MSG_CHECKED, id);
	pack_u16(b, m->code);
	pack_blob(b, m->enhanced);
	pack_blob(b, m->text);
	pack_blob(b, m->reason);
	pack_blob(b, m->peer_name);
	pack_blob(b, m->header);
	pack_u8(b, m->spf_pass);
	pack_u8(b, m->alignment);
	pack_blob(b, m->from);
	pack_u8(b, m->is_unwanted);
}

bool
msg_unpack_checked(struct ipc_msg *g, struct msg_checked *m)
{
	struct cur *c = &g->body;

	return cur_u16(c, &m->code) && m->code >= 200 && m->code < 600 &&
	       cur_blob(c, &m->enhanced) && cur_blob(c, &m->text) &&
	       cur_blob(c, &m->reason) && cur_blob(c, &m->peer_name) &&
	       cur_blob(c, &m->header) && take_bool(c, &m->spf_pass) &&
	       cur_u8(c, &m->alignment) && m->alignment <= CHECKED_UNKNOWN &&
	       cur_blob(c, &m->from) && take_bool(c, &m->is_unwanted) &&
	       cur_done(c);
}

void
msg_pack_handover(struct buf *b, const struct msg_handover *m)
{
	size_t at = b->n;

	pack_u32(b, 0);
	pack_blob(b, m->tag);
	pack_blob(b, m->remote);
	pack_blob(b, m->sid);
	pack_blob(b, m->input);
	pack_u8(b, m->is_tls);
	pack_u8(b, m->has_fd);
	if (!b->full)
		le32_put(b->p + at, (uint32_t)(b->n - at - 4));
}

bool
msg_unpack_handover(struct str s, struct msg_handover *m)
{
	struct cur c;

	cur_init(&c, s);
	return cur_blob(&c, &m->tag) && cur_blob(&c, &m->remote) &&
	       cur_blob(&c, &m->sid) && cur_blob(&c, &m->input) &&
	       take_bool(&c, &m->is_tls) && take_bool(&c, &m->has_fd) &&
	       cur_done(&c);
}
