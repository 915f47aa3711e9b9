#include "service/config/config_int.h"

/* Writes only what differs in form from a hand-written file: everything. */
static void
put(struct buf *b, unsigned depth, const char *name, struct str v)
{
	if (v.p == NULL)
		return;
	while (depth-- > 0)
		buf_putc(b, '\t');
	buf_puts(b, name);
	buf_putc(b, ' ');
	conf_print_value(b, v);
	buf_putc(b, '\n');
}

static void
put_uint(struct buf *b, unsigned depth, const char *name, uint64_t v,
    const char *unit)
{
	while (depth-- > 0)
		buf_putc(b, '\t');
	buf_printf(b, "%s %llu%s\n", name, (unsigned long long)v, unit);
}

static void
put_bool(struct buf *b, unsigned depth, const char *name, bool v)
{
	put(b, depth, name, v ? STR("yes") : STR("no"));
}

static void
put_list(
    struct buf *b, unsigned depth, const char *name, const struct conf_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		put(b, depth, name, l->v[i]);
}

static void
put_listener(struct buf *b, const struct config_listener *l)
{
	unsigned i;

	buf_puts(b, "listener ");
	conf_print_value(b, l->name);
	buf_puts(b, " {\n");
	put_list(b, 1, "address", &l->addresses);
	for (i = 0; i < SERVICES; i++)
		if (l->ports[i] != 0)
			put_uint(b, 1, service_names[i], l->ports[i], "");
	put_bool(b, 1, "plain-login", l->plain_login);
	put_bool(b, 1, "no-limits", l->no_limits);
	put_bool(b, 1, "proxy", l->has_proxy);
	put_list(b, 1, "proxy-from", &l->proxy_from);
	put_list(b, 1, "xclient-from", &l->xclient_from);
	put_uint(b, 1, "first-time-sender-delay", l->first_time_ms, "ms");
	buf_puts(b, "}\n");
}

static void
put_domain(struct buf *b, const struct config_domain *d)
{
	buf_puts(b, "domain ");
	conf_print_value(b, d->name);
	buf_puts(b, " {\n");
	put(b, 1, "separators", d->separators);
	put_bool(b, 1, "case-sensitive", d->is_case_sensitive);
	if (d->catch_all.n > 0)
		put(b, 1, "catch-all", d->catch_all);
	put_bool(b, 1, "require-alignment", d->requires_alignment);
	if (d->dmarc_reports.n > 0)
		put(b, 1, "dmarc-reports", d->dmarc_reports);
	if (d->tls_reports.n > 0)
		put(b, 1, "tls-reports", d->tls_reports);
	buf_puts(b, "}\n");
}

static void
put_account(struct buf *b, const struct config_account *a)
{
	buf_puts(b, "account ");
	conf_print_value(b, a->name);
	buf_puts(b, " {\n");
	if (a->user.n > 0)
		put(b, 1, "user", a->user);
	if (a->uid != UINT32_MAX)
		put_uint(b, 1, "uid", a->uid, "");
	if (a->gid != UINT32_MAX)
		put_uint(b, 1, "gid", a->gid, "");
	put(b, 1, "maildir", a->maildir);
	if (a->layout == LAYOUT_FS) {
		put(b, 1, "layout", STR("fs"));
		put(b, 1, "index-root", a->index_root);
	}
	put_list(b, 1, "address", &a->addresses);
	if (a->password_source == PASSWORD_SYSTEM)
		put(b, 1, "password", STR("system"));
	put(b, 1, "rejects", a->rejects);
	put_bool(b, 1, "require-alignment", a->requires_alignment);
	put_bool(b, 1, "first-time-sender-delay", a->delays_first_time);
	buf_puts(b, "}\n");
}

static void
put_three(struct buf *b, const char *name, const uint64_t v[3])
{
	buf_printf(b, "\t%s %llu %llu %llu\n", name, (unsigned long long)v[0],
	    (unsigned long long)v[1], (unsigned long long)v[2]);
}

static void
put_limits(struct buf *b, const struct config_limits *l)
{
	buf_puts(b, "limits {\n");
	put_uint(b, 1, "message-size", l->message_size, "");
	put_uint(b, 1, "recipients", l->recipients, "");
	put_uint(b, 1, "connections", l->connections, "");
	put_three(b, "connection-rate", l->connection_rate);
	put_three(b, "connections-per-ip", l->connections_per_ip);
	put_three(b, "failed-logins-minute", l->failed_logins_minute);
	put_three(b, "failed-logins-day", l->failed_logins_day);
	put_uint(b, 1, "failed-messages", l->failed_messages, "");
	put_uint(b, 1, "slow-after", l->slow_after, "");
	put_uint(b, 1, "slow-octet", l->slow_octet_ms, "ms");
	put_uint(b, 1, "slow-spare", l->slow_spare_ms, "ms");
	put_uint(b, 1, "login-wait", l->login_wait_ms, "ms");
	put_uint(b, 1, "unknown-recipients", l->unknown_rcpts_ms, "ms");
	put_uint(b, 1, "smtp-read", l->smtp_read_ms, "ms");
	put_uint(b, 1, "smtp-data", l->smtp_data_ms, "ms");
	put_uint(b, 1, "imap-login", l->imap_login_ms, "ms");
	put_uint(b, 1, "tls-handshake", l->handshake_ms, "ms");
	put_uint(b, 1, "write", l->write_ms, "ms");
	put_uint(b, 1, "check", l->check_ms, "ms");
	buf_puts(b, "}\n");
}

static void
put_checks(struct buf *b, const struct config_checks *k)
{
	static const char *const switches[] = { "auto", "yes", "no" };

	buf_puts(b, "checks {\n");
	put(b, 1, "enable", str_from(switches[k->enable]));
	if (k->resolver.n > 0)
		put(b, 1, "resolver", k->resolver);
	put_bool(b, 1, "trust-ad", k->trust_ad);
	put_list(b, 1, "dnsbl", &k->dnsbl);
	if (k->authserv_id.n > 0)
		put(b, 1, "authserv-id", k->authserv_id);
	if (k->organization == ORGANIZATION_TREE_WALK)
		put(b, 1, "organization", STR("tree-walk"));
	buf_puts(b, "}\n");
}

static void
put_tls(struct buf *b, const struct config *c)
{
	const struct config_tls_host *h;

	buf_puts(b, "tls {\n");
	put(b, 1, "certificate", c->tls_certificate);
	put(b, 1, "key", c->tls_key);
	put(b, 1, "minimum",
	    c->tls_minimum == TLS_MINIMUM_1_3 ? STR("1.3") : STR("1.2"));
	for (h = c->tls_hosts; h != NULL; h = h->next) {
		buf_puts(b, "\thost ");
		conf_print_value(b, h->name);
		buf_puts(b, " {\n");
		put(b, 2, "certificate", h->certificate);
		put(b, 2, "key", h->key);
		buf_puts(b, "\t}\n");
	}
	buf_puts(b, "}\n");
}

void
config_print(struct buf *b, const struct config *c)
{
	static const char *const levels[] = { "error", "warn", "info", "debug",
		"trace", "traceauth", "tracedata" };
	static const char *const exports[] = { "auto", "none", "dovecot" };
	const struct config_domain *d;
	const struct config_account *a;
	size_t i;

	put_bool(b, 0, "snapshot", true);
	put(b, 0, "hostname", c->hostname);
	put(b, 0, "state-dir", c->state_dir);
	put(b, 0, "run-dir", c->run_dir);
	put(b, 0, "log-level", str_from(levels[c->log_level]));
	put_uint(b, 0, "min-uid", c->min_uid, "");
	put_list(b, 0, "mail-roots", &c->mail_roots);
	if (c->postmaster.n > 0)
		put(b, 0, "postmaster", c->postmaster);
	if (c->any_domain.n > 0)
		put(b, 0, "any-domain", c->any_domain);
	put_bool(b, 0, "error-localparts", c->error_localparts);
	put_bool(b, 0, "single-user", c->is_single_user);
	put_bool(b, 0, "sync-fast", c->sync_fast);
	put(b, 0, "export", str_from(exports[c->exports]));
	put(b, 0, "coexist",
	    c->coexist == COEXIST_DOVECOT ? STR("dovecot") : STR("none"));
	if (c->tls_key.n > 0)
		put_tls(b, c);
	put_limits(b, &c->limits);
	put_checks(b, &c->checks);
	for (i = 0; i < c->nlisteners; i++)
		put_listener(b, &c->listeners[i]);
	for (d = c->domains; d != NULL; d = d->next)
		put_domain(b, d);
	for (a = c->accounts; a != NULL; a = a->next)
		put_account(b, a);
}
