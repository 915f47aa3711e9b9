/*
 * check - what the rows of the schema cannot say: references, what belongs
 * together, addresses in their normal form.
 */
#include "format/addr/addr.h"
#include "service/config/config_int.h"

static const struct config_domain *
own_domain(struct config *c, const struct config_account *a, struct str s,
    struct str domain, struct conf_errors *e)
{
	struct str name = config_normal_domain(&c->arena, domain, &a->pos, e);
	const struct config_domain *d = config_domain(c, name);

	if (d == NULL)
		conf_error(e, &a->pos,
		    "address '%.*s': domain '%.*s' is not configured, make "
		    "domains/%.*s.conf",
		    STR_ARG(s), STR_ARG(name), STR_ARG(name));
	return d;
}

/*
 * LOCAL@DOMAIN (quoted as in SMTP) or @DOMAIN into normal form: the local
 * part without quotes; the domain must be ours. In a snapshot it has that
 * form already, which a quoted one cannot be told from: is_snapshot.
 */
static void
check_address(
    struct config *c, struct config_account *a, size_t i, struct conf_errors *e)
{
	struct str s = a->addresses.v[i];
	const struct config_domain *d;
	struct addr addr = { 0 };
	struct buf b;

	if (c->is_snapshot)
		return;
	if (s.n > 1 && s.p[0] == '@')
		addr.domain = str_sub(s, 1, s.n);
	else if (!addr_from_str(&c->arena, s, ADDR_UTF8, &addr) ||
		 addr.kind != ADDR_NAME) {
		conf_error(e, &a->pos,
		    "'%.*s' is not an address, give LOCAL@DOMAIN or @DOMAIN",
		    STR_ARG(s));
		return;
	}
	d = own_domain(c, a, s, addr.domain, e);
	if (d == NULL)
		return;
	buf_init(&b, 1024);
	/* "" is a local part too; the catch-all has none: no '@' before it */
	if (s.p[0] != '@') {
		buf_put(&b, addr_normalize_local(
				&c->arena, addr.local, !d->is_case_sensitive));
		buf_putc(&b, '@');
	}
	buf_put(&b, d->name);
	a->addresses.v[i] = arena_str(&c->arena, buf_str(&b));
	buf_release(&b);
}

static bool
is_inside(struct str path, struct str dir)
{
	return str_starts(path, dir) &&
	       (path.n == dir.n || path.p[dir.n] == '/');
}

/* Where every directory is a mailbox our own files must be elsewhere. */
static void
check_layout(struct config *c, struct config_account *a, struct conf_errors *e)
{
	struct buf b;

	if (a->layout == LAYOUT_HOST)
		a->layout =
		    c->layout == LAYOUT_FS ? LAYOUT_FS : LAYOUT_MAILDIRPP;
	if (a->layout != LAYOUT_FS)
		return;
	buf_init(&b, 4096);
	if (a->index_root.n == 0 && c->index_root.n > 0)
		buf_printf(
		    &b, "%.*s/%.*s", STR_ARG(c->index_root), STR_ARG(a->name));
	else if (a->index_root.n == 0)
		buf_printf(&b, "%.*s/index/%.*s", STR_ARG(c->state_dir),
		    STR_ARG(a->name));
	if (b.n > 0)
		a->index_root = arena_str(&c->arena, buf_str(&b));
	buf_release(&b);
	if (a->index_root.p[0] != '/' || is_inside(a->index_root, a->maildir))
		conf_error(e, &a->pos,
		    "account '%.*s' has layout fs: its index-root must be an "
		    "absolute path outside its maildir",
		    STR_ARG(a->name));
}

static void
check_account(struct config *c, struct config_account *a, struct conf_errors *e)
{
	if (a->name.n == 0 || a->name.n > 200 || str_has(a->name, '/'))
		conf_error(
		    e, &a->pos, "bad account name '%.*s'", STR_ARG(a->name));
	if (a->maildir.n == 0 || a->maildir.p[0] != '/')
		conf_error(e, &a->pos,
		    "account '%.*s' needs 'maildir /ABSOLUTE/PATH'",
		    STR_ARG(a->name));
	if (!c->is_single_user && a->user.n == 0 &&
	    (a->uid == UINT32_MAX || a->gid == UINT32_MAX))
		conf_error(e, &a->pos,
		    "account '%.*s' needs 'user NAME', or 'uid' and 'gid'",
		    STR_ARG(a->name));
	if (!c->is_single_user && a->uid != UINT32_MAX && a->uid < c->min_uid)
		conf_error(e, &a->pos, "uid %llu is below min-uid %llu",
		    (unsigned long long)a->uid, (unsigned long long)c->min_uid);
}

void
config_check(struct config *c, struct conf_errors *e)
{
	struct conf_pos top = { "quire.conf", 0, 0 };
	const struct config_domain *d;
	struct config_account *a;
	size_t i;

	if (c->hostname.n == 0)
		conf_error(e, &top, "'hostname NAME' is missing");
	if (c->nlisteners == 0)
		conf_error(e, &top,
		    "no listener: give 'listener NAME { address IP ... }'");
	config_check_tls(c, e);
	if (c->coexist == COEXIST_DOVECOT && c->exports == EXPORTS_NONE)
		conf_error(e, &top,
		    "'coexist dovecot' needs the exports that 'export none' "
		    "switches off");
	for (a = c->accounts; a != NULL; a = a->next) {
		check_account(c, a, e);
		check_layout(c, a, e);
		for (i = 0; i < a->addresses.n; i++)
			check_address(c, a, i, e);
	}
	for (d = c->domains; d != NULL; d = d->next)
		if (d->catch_all.n > 0 &&
		    config_account(c, d->catch_all) == NULL)
			conf_error(e, &d->pos,
			    "catch-all names the unknown account '%.*s'",
			    STR_ARG(d->catch_all));
	if (c->postmaster.n > 0 && config_account(c, c->postmaster) == NULL)
		conf_error(e, &top,
		    "postmaster names the unknown account '%.*s'",
		    STR_ARG(c->postmaster));
	if (c->any_domain.n > 0 && config_account(c, c->any_domain) == NULL)
		conf_error(e, &top,
		    "any-domain names the unknown account '%.*s'",
		    STR_ARG(c->any_domain));
}
