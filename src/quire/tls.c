/* tls - would the fronts take these certificates? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/xalloc.h"
#include "quire.h"
#include "system/io/tls.h"

static int
check(struct str packed, struct err *e)
{
	const struct tls_opts o = { .minimum = TLS1_2_VERSION };
	struct tls_cert *v = xcalloc(CONFIG_MAX_TLS_HOSTS + 1, sizeof(*v));
	size_t n = tls_certs_unpack(packed, v, CONFIG_MAX_TLS_HOSTS + 1);
	SSL_CTX *ctx = tls_server_ctx(v, n, &o, e);

	SSL_CTX_free(ctx);
	free(v);
	return ctx == NULL ? -1 : 0;
}

int
quire_check_tls(struct quire *q)
{
	struct err e = { 0 };
	struct buf certs;
	int rc = 0;

	buf_init(&certs, CONFIG_MAX_CERTS);
	if (config_read_certs(q->config, &certs, &e) == -1) {
		/* quired may be root, whom we are not */
		if (e.sys == EACCES)
			fprintf(stderr, "quire: not checked: %s\n", e.text);
		else
			rc = quire_fail(EX_CONFIG, "%s", e.text);
	} else if (certs.n > 0 && check(buf_str(&certs), &e) == -1)
		rc = quire_fail(EX_CONFIG, "%s", e.text);
	if (certs.p != NULL)
		explicit_bzero(certs.p, certs.n);
	buf_release(&certs);
	return rc;
}
