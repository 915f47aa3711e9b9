/* tls - the rows of tls { ... }: the hostname's certificate, and others by
 * the name that clients ask for. */
#include <stddef.h>

#include "format/addr/addr.h"
#include "service/config/config_int.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const minima[] = { "1.2", "1.3", NULL };

/* clang-format off */
#define H(f) offsetof(struct config_tls_host, f)
static const struct conf_row host_rows[] = {
	{ "certificate", CONF_STR, H(certificate) },
	{ "key",	 CONF_STR, H(key) },
};
/* clang-format on */

/* As clients ask: A-labels, no dot at the end (RFC 6066, 3). */
static struct str
asked_name(struct arena *a, struct str s)
{
	struct str name = { NULL, 0 };
	struct buf b;

	buf_init(&b, 1024);
	if (addr_domain_ascii(&b, s))
		name = arena_str(a, buf_str(&b));
	buf_release(&b);
	return name;
}

static void
host_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;
	struct config_tls_host *h, **tail = &c->tls_hosts;

	if (!config_wants_block(n, true, e))
		return;
	if (c->ntls_hosts == CONFIG_MAX_TLS_HOSTS) {
		conf_error(e, &n->pos, "more than %d hosts with a certificate",
		    CONFIG_MAX_TLS_HOSTS);
		return;
	}
	h = arena_zalloc(a, sizeof(*h));
	h->name = asked_name(a, n->values[0]);
	h->pos = n->pos;
	if (h->name.n == 0)
		conf_error(e, &n->where[0], "'%.*s' is not a domain name",
		    STR_ARG(n->values[0]));
	conf_apply(
	    a, h, host_rows, N(host_rows), n->child, "tls host setting", e);
	if (h->certificate.n == 0 || h->key.n == 0)
		conf_error(e, &n->pos,
		    "tls host '%.*s' needs both 'certificate' and 'key'",
		    STR_ARG(n->values[0]));
	for (; *tail != NULL; tail = &(*tail)->next)
		if (str_eq((*tail)->name, h->name))
			conf_error(e, &n->where[0],
			    "tls host '%.*s' is given twice",
			    STR_ARG(n->values[0]));
	*tail = h;
	c->ntls_hosts++;
}

/* clang-format off */
static const struct conf_row rows[] = {
	{ "certificate", CONF_STR, offsetof(struct config, tls_certificate) },
	{ "key",	 CONF_STR, offsetof(struct config, tls_key) },
	{ "minimum",	 CONF_WORD, offsetof(struct config, tls_minimum),
	    .words = minima },
	{ "host",	 CONF_BLOCK, .block = host_block },
};
/* clang-format on */

void
config_tls_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	if (config_wants_block(n, false, e))
		conf_apply(a, out, rows, N(rows), n->child, "tls setting", e);
}

void
config_check_tls(struct config *c, struct conf_errors *e)
{
	struct conf_pos top = { "quire.conf", 0, 0 };
	const struct config_tls_host *h;
	size_t i;

	if ((c->tls_certificate.n > 0) != (c->tls_key.n > 0))
		conf_error(e, &top, "tls needs both 'certificate' and 'key'");
	for (i = 0; i < c->nlisteners; i++)
		if (c->tls_key.n == 0 &&
		    (c->listeners[i].ports[SERVICE_IMAPS] != 0 ||
			c->listeners[i].ports[SERVICE_SUBMISSIONS] != 0))
			conf_error(e, &c->listeners[i].pos,
			    "imaps and submissions need 'tls { certificate "
			    "FILE; key FILE }'");
	for (h = c->tls_hosts; h != NULL; h = h->next) {
		if (c->tls_key.n == 0)
			conf_error(e, &h->pos,
			    "'certificate' and 'key' of the hostname are "
			    "missing: clients that ask for no name get it");
		if (str_eq(h->name, asked_name(&c->arena, c->hostname)))
			conf_error(e, &h->pos,
			    "'%.*s' is the hostname: its certificate is that "
			    "of tls itself",
			    STR_ARG(h->name));
	}
}
