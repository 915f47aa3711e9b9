#include <stddef.h>
#include <string.h>

#include "base/cur.h"
#include "format/addr/addr.h"
#include "format/proxy/proxy.h"
#include "service/config/config_int.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const log_targets[] = { "stderr", "syslog", "file", NULL };
static const char *const log_levels[] = { "error", "warn", "info", "debug",
	"trace", "traceauth", "tracedata", NULL };
static const char *const exports[] = { "auto", "none", "dovecot", NULL };
static const char *const switches[] = { "auto", "yes", "no", NULL };
static const char *const organizations[] = { "psl", "tree-walk", NULL };
static const char *const layouts[] = { "host", "maildir++", "fs", NULL };
static const char *const coexist[] = { "none", "dovecot", NULL };
static const char *const sources[] = { "own", "system", NULL };

#define L(f) offsetof(struct config_limits, f)
static const struct {
	const char *name;
	size_t offset;
} three_rows[] = {
	{ "connection-rate", L(connection_rate) },
	{ "connections-per-ip", L(connections_per_ip) },
	{ "failed-logins-minute", L(failed_logins_minute) },
	{ "failed-logins-day", L(failed_logins_day) },
};

/* For an address, its neighbourhood and its network. */
static void
three_numbers(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	uint64_t v[3];
	size_t i;

	for (i = 0; i < 3 && i < n->n; i++) {
		struct cur c;

		cur_init(&c, n->values[i]);
		if (!cur_dec(&c, 1000000000, &v[i]) || !cur_done(&c))
			break;
	}
	if (i < 3 || n->n != 3 || n->has_block) {
		conf_error(e, &n->pos,
		    "'%.*s' takes three numbers: of an address, of its /26 "
		    "(IPv6: /48) and of its /21 (/32); 0 is no limit",
		    STR_ARG(n->name));
		return;
	}
	for (i = 0; i < N(three_rows); i++)
		if (str_eq(n->name, str_from(three_rows[i].name)))
			memcpy(
			    (char *)out + three_rows[i].offset, v, sizeof(v));
}

/* clang-format off */
static const struct conf_row limit_rows[] = {
	{ "message-size",	CONF_SIZE, L(message_size), 1024, 1ULL << 40 },
	{ "recipients",		CONF_UINT, L(recipients), 100, 100000 },
	{ "connections",	CONF_UINT, L(connections), 1, 1000000 },
	{ "connection-rate",	CONF_BLOCK, .block = three_numbers },
	{ "connections-per-ip",	CONF_BLOCK, .block = three_numbers },
	{ "failed-logins-minute", CONF_BLOCK, .block = three_numbers },
	{ "failed-logins-day",	CONF_BLOCK, .block = three_numbers },
	{ "failed-messages",	CONF_UINT, L(failed_messages), 0, 1000000 },
	{ "slow-after",		CONF_UINT, L(slow_after), 0, 1000000 },
	{ "slow-octet",		CONF_TIME, L(slow_octet_ms), 0, 60000 },
	{ "slow-spare",		CONF_TIME, L(slow_spare_ms), 0, 3600000 },
	{ "login-wait",		CONF_TIME, L(login_wait_ms), 0, 3600000 },
	{ "unknown-recipients",	CONF_TIME, L(unknown_rcpts_ms), 0, 3600000 },
	{ "smtp-read",		CONF_TIME, L(smtp_read_ms), 100, 3600000 },
	{ "smtp-data",		CONF_TIME, L(smtp_data_ms), 1000, 86400000 },
	{ "imap-login",		CONF_TIME, L(imap_login_ms), 100, 3600000 },
	{ "tls-handshake",	CONF_TIME, L(handshake_ms), 100, 3600000 },
	{ "write",		CONF_TIME, L(write_ms), 100, 3600000 },
	{ "check",		CONF_TIME, L(check_ms), 100, 300000 },
};

/* A sender waits ten minutes for the reply to its last dot (RFC 5321,
 * 4.5.3.2.6); five of them may go to checks, one is to spare. */
#define FIRST_TIME_MAX_MS 240000

#define S(f) offsetof(struct config_listener, f)
static const struct conf_row listener_rows[] = {
	{ "address",	  CONF_LIST, S(addresses) },
	{ "smtp",	  CONF_PORT, S(ports[SERVICE_SMTP]) },
	{ "submission",	  CONF_PORT, S(ports[SERVICE_SUBMISSION]) },
	{ "submissions",  CONF_PORT, S(ports[SERVICE_SUBMISSIONS]) },
	{ "imap",	  CONF_PORT, S(ports[SERVICE_IMAP]) },
	{ "imaps",	  CONF_PORT, S(ports[SERVICE_IMAPS]) },
	{ "plain-login",  CONF_BOOL, S(plain_login) },
	{ "no-limits",	  CONF_BOOL, S(no_limits) },
	{ "proxy",	  CONF_BOOL, S(has_proxy) },
	{ "proxy-from",	  CONF_LIST, S(proxy_from) },
	{ "xclient-from", CONF_LIST, S(xclient_from) },
	{ "first-time-sender-delay", CONF_TIME, S(first_time_ms), 0,
	    FIRST_TIME_MAX_MS },
};

#define D(f) offsetof(struct config_domain, f)
static const struct conf_row domain_rows[] = {
	{ "separators",	    CONF_STR,  D(separators) },
	{ "case-sensitive", CONF_BOOL, D(is_case_sensitive) },
	{ "catch-all",	    CONF_STR,  D(catch_all) },
	{ "require-alignment", CONF_BOOL, D(requires_alignment) },
	{ "dmarc-reports",  CONF_STR,  D(dmarc_reports) },
	{ "tls-reports",    CONF_STR,  D(tls_reports) },
};

#define A(f) offsetof(struct config_account, f)
static const struct conf_row account_rows[] = {
	{ "user",     CONF_STR,	 A(user) },
	{ "uid",      CONF_UINT, A(uid), 0, UINT32_MAX - 1 },
	{ "gid",      CONF_UINT, A(gid), 0, UINT32_MAX - 1 },
	{ "maildir",  CONF_STR,	 A(maildir) },
	{ "layout",   CONF_WORD, A(layout), .words = layouts },
	{ "index-root", CONF_STR, A(index_root) },
	{ "address",  CONF_LIST, A(addresses) },
	{ "password", CONF_WORD, A(password_source), .words = sources },
	{ "rejects",  CONF_STR,	 A(rejects) },
	{ "require-alignment", CONF_BOOL, A(requires_alignment) },
	{ "first-time-sender-delay", CONF_BOOL, A(delays_first_time) },
};

#define K(f) offsetof(struct config, checks.f)
static const struct conf_row check_rows[] = {
	{ "enable",	 CONF_WORD, K(enable), .words = switches },
	{ "resolver",	 CONF_STR,  K(resolver) },
	{ "trust-ad",	 CONF_BOOL, K(trust_ad) },
	{ "dnsbl",	 CONF_LIST, K(dnsbl) },
	{ "authserv-id", CONF_STR,  K(authserv_id) },
	{ "organization", CONF_WORD, K(organization), .words = organizations },
};
#define U(p) offsetof(struct config, user[p])
static const struct conf_row user_rows[] = {
	{ "smtpd",  CONF_STR, U(PROG_SMTPD) },
	{ "imapd",  CONF_STR, U(PROG_IMAPD) },
	{ "authd",  CONF_STR, U(PROG_AUTHD) },
	{ "userdb", CONF_STR, U(PROG_USERDB) },
	{ "mda",    CONF_STR, U(PROG_MDA) },
	{ "imap",   CONF_STR, U(PROG_IMAP) },
	{ "check",  CONF_STR, U(PROG_CHECK) },
};
/* clang-format on */

bool
config_wants_block(const struct conf_node *n, bool named, struct conf_errors *e)
{
	if (n->has_block && n->n == (named ? 1 : 0))
		return true;
	conf_error(e, &n->pos, "'%.*s' is a block: %.*s%s { ... }",
	    STR_ARG(n->name), STR_ARG(n->name), named ? " NAME" : "");
	return false;
}

static void
limits_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;

	if (config_wants_block(n, false, e))
		conf_apply(a, &c->limits, limit_rows, N(limit_rows), n->child,
		    "limit", e);
}

/* IP, IP:PORT, [IPv6] or [IPv6]:PORT, as c-ares takes them. */
static bool
is_resolver(struct str s)
{
	struct proxy_net addr;
	struct str ip, port = { NULL, 0 };
	uint64_t v;

	if (str_starts(s, STR("["))) {
		s = str_sub(s, 1, s.n);
		if (!str_cut(&s, ']', &ip) || !str_has(ip, ':') ||
		    (s.n > 0 && s.p[0] != ':'))
			return false;
		if (s.n > 0)
			port = str_sub(s, 1, s.n);
	} else {
		ip = s;
		if (str_find(s, ':') < s.n &&
		    !str_has(str_sub(s, str_find(s, ':') + 1, s.n), ':')) {
			port = s;
			str_cut(&port, ':', &ip);
		}
	}
	return !str_has(ip, '/') && proxy_net_parse(&addr, ip) &&
	       (port.p == NULL || (str_uint(port, 65535, &v) && v > 0));
}

/* quire-check could not start with them, and mail would be put off. */
static void
check_resolvers(
    struct str all, const struct conf_pos *pos, struct conf_errors *e)
{
	struct str one;
	bool more = all.n > 0;

	while (more) {
		more = str_cut(&all, ',', &one);
		if (!is_resolver(one))
			conf_error(e, pos,
			    "resolver '%.*s' is not IP, IP:PORT or "
			    "[IPv6]:PORT, several with commas between them",
			    STR_ARG(one));
	}
}

static void
checks_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;

	if (!config_wants_block(n, false, e))
		return;
	conf_apply(
	    a, out, check_rows, N(check_rows), n->child, "check setting", e);
	check_resolvers(c->checks.resolver, &n->pos, e);
	if (c->checks.dnsbl.n > CONFIG_MAX_DNSBL)
		conf_error(
		    e, &n->pos, "more than %d dnsbl zones", CONFIG_MAX_DNSBL);
}

static void
users_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	if (config_wants_block(n, false, e))
		conf_apply(
		    a, out, user_rows, N(user_rows), n->child, "program", e);
}

static void
check_nets(const struct conf_list *nets, const struct conf_pos *pos,
    struct conf_errors *e)
{
	struct proxy_net net;
	size_t i;

	for (i = 0; i < nets->n; i++)
		if (!proxy_net_parse(&net, nets->v[i]))
			conf_error(e, pos,
			    "'%.*s' is not a network, give IP or IP/BITS",
			    STR_ARG(nets->v[i]));
}

static void
check_proxy(const struct config_listener *l, struct conf_errors *e)
{
	check_nets(&l->proxy_from, &l->pos, e);
	check_nets(&l->xclient_from, &l->pos, e);
	if (l->has_proxy != (l->proxy_from.n > 0))
		conf_error(e, &l->pos,
		    "listener '%.*s': 'proxy yes' and 'proxy-from NETWORK ...' "
		    "go together",
		    STR_ARG(l->name));
}

static void
listener_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;
	struct config_listener *l;
	size_t i;

	if (!config_wants_block(n, true, e))
		return;
	if (c->nlisteners == CONFIG_MAX_LISTENERS) {
		conf_error(
		    e, &n->pos, "more than %d listeners", CONFIG_MAX_LISTENERS);
		return;
	}
	for (i = 0; i < c->nlisteners; i++)
		if (str_eq(c->listeners[i].name, n->values[0]))
			conf_error(e, &n->where[0],
			    "listener '%.*s' is given twice",
			    STR_ARG(n->values[0]));
	if (c->listeners == NULL)
		c->listeners = arena_zalloc(
		    a, CONFIG_MAX_LISTENERS * sizeof(*c->listeners));
	l = &c->listeners[c->nlisteners++];
	l->name = n->values[0];
	l->pos = n->pos;
	l->first_time_ms = 15000;
	conf_apply(a, l, listener_rows, N(listener_rows), n->child,
	    "listener setting", e);
	if (l->addresses.n == 0)
		conf_error(e, &n->pos,
		    "listener '%.*s' has no address, give 'address IP ...'",
		    STR_ARG(l->name));
	check_proxy(l, e);
}

struct str
config_normal_domain(struct arena *a, struct str s, const struct conf_pos *pos,
    struct conf_errors *e)
{
	struct buf b;

	buf_init(&b, 1024);
	if (addr_domain_unicode(&b, s))
		s = arena_str(a, buf_str(&b));
	else
		conf_error(e, pos, "'%.*s' is not a domain name", STR_ARG(s));
	buf_release(&b);
	return s;
}

void
config_domain_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;
	struct config_domain *d, **tail = &c->domains;

	if (!config_wants_block(n, true, e))
		return;
	d = arena_zalloc(a, sizeof(*d));
	d->name = config_normal_domain(a, n->values[0], &n->where[0], e);
	d->separators = STR("+");
	d->pos = n->pos;
	if (config_domain(c, d->name) != NULL)
		conf_error(e, &n->where[0], "domain '%.*s' is given twice",
		    STR_ARG(d->name));
	conf_apply(
	    a, d, domain_rows, N(domain_rows), n->child, "domain setting", e);
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = d;
	c->ndomains++;
}

void
config_account_block(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;
	struct config_account *acc, **tail = &c->accounts;

	if (!config_wants_block(n, true, e))
		return;
	acc = arena_zalloc(a, sizeof(*acc));
	acc->name = n->values[0];
	acc->rejects = STR("Rejects");
	acc->delays_first_time = true;
	acc->uid = acc->gid = UINT32_MAX;
	acc->pos = n->pos;
	if (config_account(c, acc->name) != NULL)
		conf_error(e, &n->where[0], "account '%.*s' is given twice",
		    STR_ARG(acc->name));
	conf_apply(a, acc, account_rows, N(account_rows), n->child,
	    "account setting", e);
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = acc;
	c->naccounts++;
}

static void
log_row(struct arena *a, void *out, const struct conf_node *n,
    struct conf_errors *e)
{
	struct config *c = out;
	size_t i;

	for (i = 0; n->n > 0 && log_targets[i] != NULL; i++)
		if (str_eq(n->values[0], str_from(log_targets[i])) &&
		    n->n == (i == LOG_TO_FILE ? 2u : 1u)) {
			c->log_to = (int)i;
			if (i == LOG_TO_FILE)
				c->log_file = n->values[1];
			return;
		}
	conf_error(
	    e, &n->pos, "'log' takes: log stderr, log syslog, log file PATH");
}

/* clang-format off */
#define C(f) offsetof(struct config, f)
static const struct conf_row rows[] = {
	{ "hostname",	      CONF_STR,	  C(hostname) },
	{ "state-dir",	      CONF_STR,	  C(state_dir) },
	{ "run-dir",	      CONF_STR,	  C(run_dir) },
	{ "log",	      CONF_BLOCK, .block = log_row },
	{ "log-level",	      CONF_WORD,  C(log_level), .words = log_levels },
	{ "mail-roots",	      CONF_LIST,  C(mail_roots) },
	{ "layout",	      CONF_WORD,  C(layout), .words = layouts },
	{ "index-root",	      CONF_STR,	  C(index_root) },
	{ "min-uid",	      CONF_UINT,  C(min_uid), 1, UINT32_MAX - 1 },
	{ "postmaster",	      CONF_STR,	  C(postmaster) },
	{ "any-domain",	      CONF_STR,	  C(any_domain) },
	{ "error-localparts", CONF_BOOL,  C(error_localparts) },
	{ "single-user",      CONF_BOOL,  C(is_single_user) },
	{ "sync-fast",	      CONF_BOOL,  C(sync_fast) },
	{ "export",	      CONF_WORD,  C(exports), .words = exports },
	{ "coexist",	      CONF_WORD,  C(coexist), .words = coexist },
	{ "tls",	      CONF_BLOCK, .block = config_tls_block },
	{ "users",	      CONF_BLOCK, .block = users_block },
	{ "limits",	      CONF_BLOCK, .block = limits_block },
	{ "checks",	      CONF_BLOCK, .block = checks_block },
	{ "listener",	      CONF_BLOCK, .block = listener_block },
	{ "snapshot",	      CONF_BOOL,  C(is_snapshot) },
	{ "domain",	      CONF_BLOCK, .block = config_domain_block },
	{ "account",	      CONF_BLOCK, .block = config_account_block },
};
/* clang-format on */

void
config_defaults(struct config *c)
{
	c->state_dir = STR("/var/lib/quire");
	c->run_dir = STR("/run/quire");
	c->log_level = 2;
	c->min_uid = 500;
	c->user[PROG_SMTPD] = STR("quire-smtpd");
	c->user[PROG_IMAPD] = STR("quire-imapd");
	c->user[PROG_AUTHD] = STR("quire-auth");
	c->user[PROG_USERDB] = STR("quire-auth");
	c->user[PROG_MDA] = STR("quire-nursery");
	c->user[PROG_IMAP] = STR("quire-nursery");
	c->user[PROG_CHECK] = STR("quire-check");
	c->limits = (struct config_limits){
		.message_size = 100 << 20,
		.recipients = 1000,
		.connections = 10000,
		/* thrice as much for each wider network (limit.h) */
		.connection_rate = { 300, 900, 2700 },
		.connections_per_ip = { 30, 90, 270 },
		.failed_logins_minute = { 10, 30, 90 },
		.failed_logins_day = { 50, 150, 450 },
		.failed_messages = 10,
		.slow_after = 3,
		.slow_octet_ms = 1000,
		.slow_spare_ms = 5000,
		.login_wait_ms = 1000,
		.unknown_rcpts_ms = 5000,
		.smtp_read_ms = 30000,
		.smtp_data_ms = 30 * 60000,
		.imap_login_ms = 30000,
		.handshake_ms = 60000,
		.write_ms = 30000,
		.check_ms = 60000,
	};
}

void
config_apply(
    struct config *c, const struct conf_node *n, struct conf_errors *errors)
{
	conf_apply(&c->arena, c, rows, N(rows), n, "word", errors);
}
