/*
 * authd - what goes to it: the first message of a login, which says of the
 * connection what SASL mechanisms may bind to (system/io/tls.h).
 */
#include "service/front/front.h"

#include <sodium.h>

void
front_release_secret(struct buf *b)
{
	if (b->p != NULL)
		sodium_memzero(b->p, b->n);
	buf_release(b);
}

void
front_pack_auth_start(struct buf *out, uint32_t id,
    const struct daemon_listener *l, struct conn *c, struct msg_auth_start *m)
{
	struct buf exporter, end_point;
	SSL *ssl = conn_ssl(c);

	buf_init(&exporter, 64);
	buf_init(&end_point, 128);
	if (ssl != NULL) {
		(void)tls_exporter(ssl, &exporter);
		(void)tls_server_end_point(ssl, &end_point);
	}
	m->is_tls = m->plus_advertised = conn_is_tls(c);
	m->no_limits = l->no_limits;
	m->exporter = buf_str(&exporter);
	m->end_point = buf_str(&end_point);
	msg_pack_auth_start(out, id, m);
	buf_release(&exporter);
	buf_release(&end_point);
}
