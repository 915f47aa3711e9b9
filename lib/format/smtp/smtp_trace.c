/* Trace fields (RFC 5321, 4.4), written for the top of a message. */
#include "format/smtp/smtp.h"

#include "base/date.h"

/* Text of the client inside a field: nothing that ends a token or a line. */
static void
put_safe(struct buf *b, struct str s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		buf_putc(b, ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
				    str_has(STR("-._[]:+/="), c) ?
				c :
				'?');
	}
}

/* Protocol names: RFC 3848, RFC 6531, 4.3 */
static void
put_with(struct buf *b, const struct smtp_trace *t)
{
	if (t->is_smtputf8)
		buf_puts(b, t->is_lmtp ? "UTF8LMTP" : "UTF8SMTP");
	else if (t->is_lmtp)
		buf_puts(b, "LMTP");
	else
		buf_puts(b, t->is_esmtp ? "ESMTP" : "SMTP");
	if (t->is_tls && (t->is_esmtp || t->is_smtputf8 || t->is_lmtp))
		buf_putc(b, 'S');
	if (t->is_auth && (t->is_esmtp || t->is_smtputf8 || t->is_lmtp))
		buf_putc(b, 'A');
}

/* address-literal, RFC 5321, 4.1.3 */
static void
put_literal(struct buf *b, struct str ip)
{
	buf_puts(b, str_has(ip, ':') ? "[IPv6:" : "[");
	put_safe(b, ip);
	buf_putc(b, ']');
}

/* Time-stamp-line = "Received:" FWS Stamp  RFC 5321, 4.4 */
void
smtp_received_put(struct buf *b, const struct smtp_trace *t)
{
	buf_puts(b, "Received: from ");
	put_safe(b, t->helo);
	if (!t->hide_peer) {
		buf_puts(b, " (");
		if (t->peer_name.n > 0) {
			put_safe(b, t->peer_name);
			buf_putc(b, ' ');
		}
		put_literal(b, t->peer_ip);
		buf_putc(b, ')');
	}
	buf_puts(b, "\r\n\tby ");
	put_safe(b, t->local_host);
	if (t->local_ip.n > 0) {
		buf_puts(b, " (");
		put_literal(b, t->local_ip);
		buf_putc(b, ')');
	}
	buf_puts(b, "\r\n\tvia tcp with ");
	put_with(b, t);
	if (t->is_requiretls) /* RFC 8689, 4.1: after "with", before "id" */
		buf_puts(b, " (requiretls)");
	buf_puts(b, " id ");
	put_safe(b, t->cid);
	if (t->tls.n > 0) {
		buf_puts(b, "\r\n\t(");
		buf_put(b, t->tls);
		buf_putc(b, ')');
	}
	if (t->rcpt != NULL) {
		buf_puts(b, "\r\n\tfor <");
		addr_print(b, t->rcpt);
		buf_putc(b, '>');
	}
	buf_puts(b, ";\r\n\t");
	date_print_rfc5322(b, t->time, t->zone_min);
	buf_puts(b, "\r\n");
}

/* Return-path-line = "Return-Path:" FWS Reverse-path CRLF */
void
smtp_return_path_put(struct buf *b, const struct addr_path *p)
{
	buf_puts(b, "Return-Path: ");
	addr_print_path(b, p);
	buf_puts(b, "\r\n");
}

void
smtp_delivered_to_put(struct buf *b, const struct addr *a)
{
	buf_puts(b, "Delivered-To: ");
	addr_print(b, a);
	buf_puts(b, "\r\n");
}
