/*
 * Every message between programs. The first octet chooses which; what is
 * read is written again as it was.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "system/ipc/msg.h"

#define HEADER 8

union any {
	struct msg_listener listener;
	struct msg_tag tag;
	struct msg_start start;
	struct msg_session session;
	struct msg_order order;
	struct msg_auth_start auth_start;
	struct str blob;
	struct msg_auth_result auth_result;
	struct msg_user_query user_query;
	struct msg_user_reply user_reply;
	struct msg_hash hash;
	struct msg_deliver deliver;
	struct msg_delivered delivered;
	struct msg_check check;
	struct msg_checked checked;
};

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* false: refused */
static bool
again(unsigned which, struct ipc_msg *g, struct buf *b)
{
	union any m;

	switch (which) {
	case 0:
		if (!msg_unpack_listener(g, &m.listener))
			return false;
		msg_pack_listener(b, g->id, &m.listener);
		return true;
	case 1:
		if (!msg_unpack_tag(g, &m.tag))
			return false;
		msg_pack_tag(b, MSG_PEER, &m.tag);
		return true;
	case 2:
		if (!msg_unpack_start(g, &m.start))
			return false;
		msg_pack_start(b, 1, &m.start);
		return true;
	case 3:
		if (!msg_unpack_session(g, &m.session))
			return false;
		msg_pack_session(b, MSG_SESSION, 1, &m.session);
		return true;
	case 4:
		if (!msg_unpack_order(g, &m.order))
			return false;
		msg_pack_order(b, &m.order);
		return true;
	case 5:
		if (!msg_unpack_auth_start(g, &m.auth_start))
			return false;
		msg_pack_auth_start(b, 1, &m.auth_start);
		return true;
	case 6:
		if (!msg_unpack_blob(g, &m.blob))
			return false;
		msg_pack_blob(b, MSG_AUTH_STEP, 1, m.blob);
		return true;
	case 7:
		if (!msg_unpack_auth_result(g, &m.auth_result))
			return false;
		msg_pack_auth_result(b, 1, &m.auth_result);
		return true;
	case 8:
		if (!msg_unpack_user_query(g, &m.user_query))
			return false;
		msg_pack_user_query(b, 1, &m.user_query);
		return true;
	case 9:
		if (!msg_unpack_user_reply(g, &m.user_reply))
			return false;
		msg_pack_user_reply(b, 1, &m.user_reply);
		return true;
	case 10:
		if (!msg_unpack_hash(g, &m.hash))
			return false;
		msg_pack_hash(b, 1, &m.hash);
		return true;
	case 11:
		if (!msg_unpack_deliver(g, &m.deliver))
			return false;
		msg_pack_deliver(b, 1, &m.deliver);
		return true;
	case 12:
		if (!msg_unpack_delivered(g, &m.delivered))
			return false;
		msg_pack_delivered(b, MSG_PREPARED, 1, &m.delivered);
		return true;
	case 14:
		if (!msg_unpack_check(g, &m.check))
			return false;
		msg_pack_check(b, MSG_CHECK, 1, &m.check);
		return true;
	default:
		if (!msg_unpack_checked(g, &m.checked))
			return false;
		msg_pack_checked(b, 1, &m.checked);
		return true;
	}
}

/* The handover has a length in front and no header. */
static void
handover(struct str in, struct buf *b)
{
	struct msg_handover m, m2;

	if (!msg_unpack_handover(in, &m))
		return;
	msg_pack_handover(b, &m);
	assert(!b->full && b->n == in.n + 4);
	assert(msg_unpack_handover(str_sub(buf_str(b), 4, in.n), &m2));
	assert(str_eq(m.tag, m2.tag) && str_eq(m.input, m2.input));
	assert(m.is_tls == m2.is_tls && m.has_fd == m2.has_fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ipc_msg g = { .type = MSG_CONFIG };
	struct str in;
	struct buf b;

	if (n == 0 || n > IPC_MAX - HEADER)
		return 0;
	in = str_make((const char *)data + 1, n - 1);
	buf_init(&b, HANDOVER_MAX + HEADER);
	if (data[0] % 16 == 13)
		handover(in, &b);
	else {
		cur_init(&g.body, in);
		if (again(data[0] % 16, &g, &b))
			assert(str_eq(
			    str_sub(buf_str(&b), HEADER, b.n - HEADER), in));
	}
	buf_release(&b);
	return 0;
}
