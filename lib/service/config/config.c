#include "service/config/config.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "format/addr/addr.h"
#include "service/config/config_int.h"
#include "system/fs/fs.h"

struct config_entry {
	struct str key; /* address in normal form; p == NULL: free */
	const struct config_account *account;
	uint64_t hash;
};

static struct config *
config_new(void)
{
	struct config *c = xcalloc(1, sizeof(*c));

	arena_init(&c->arena, (size_t)1 << 30);
	config_defaults(c);
	return c;
}

void
config_free(struct config **cp)
{
	struct config *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	free(c->index);
	arena_release(&c->arena);
	free(c);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of a directory's *.conf files, sorted; NULL-ended. */
static char **
list_conf(int dirfd, const char *dir, size_t *n)
{
	int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *de;
	char **v = NULL;

	*n = 0;
	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return NULL;
	}
	while ((de = readdir(d)) != NULL) {
		struct str s = str_from(de->d_name);

		if (s.n <= 5 || s.p[0] == '.' || !str_ends(s, STR(".conf")))
			continue;
		v = xreallocarray(v, *n + 1, sizeof(*v));
		v[(*n)++] = xasprintf("%s/%s", dir, de->d_name);
	}
	closedir(d);
	if (*n > 0)
		qsort(v, *n, sizeof(*v), compare_names);
	return v;
}

/* One file per domain or account: the file's name is the block's. */
static void
load_dir(struct config *c, int dirfd, const char *dir, bool accounts,
    struct conf_errors *errors)
{
	size_t n, i;
	char **v = list_conf(dirfd, dir, &n);

	for (i = 0; i < n; i++) {
		struct str base = str_from(v[i] + strlen(dir) + 1);
		struct conf_node node = { .has_block = true };

		node.name = str_from(accounts ? "account" : "domain");
		node.values = arena_alloc(&c->arena, sizeof(struct str));
		node.values[0] =
		    arena_str(&c->arena, str_sub(base, 0, base.n - 5));
		node.n = 1;
		node.where = &node.pos;
		node.pos =
		    (struct conf_pos){ arena_cstr(&c->arena, str_from(v[i])), 1,
			    1 };
		node.child = conf_read(&c->arena, dirfd, v[i], errors);
		if (accounts)
			config_account_block(&c->arena, c, &node, errors);
		else
			config_domain_block(&c->arena, c, &node, errors);
		free(v[i]);
	}
	free(v);
}

static uint64_t
key_hash(struct str key)
{
	return str_hash(key, 0x9e3779b97f4a7c15ULL);
}

static struct config_entry *
find_entry(const struct config *c, struct str key)
{
	uint64_t h = key_hash(key);
	size_t i = h & (c->index_size - 1);

	while (c->index[i].key.p != NULL) {
		if (c->index[i].hash == h && str_eq(c->index[i].key, key))
			break;
		i = (i + 1) & (c->index_size - 1);
	}
	return &c->index[i];
}

static void
build_index(struct config *c, struct conf_errors *errors)
{
	struct config_account *a;
	size_t total = 0, i;

	for (a = c->accounts; a != NULL; a = a->next)
		total += a->addresses.n;
	for (c->index_size = 16; c->index_size < total * 2;)
		c->index_size *= 2;
	c->index = xcalloc(c->index_size, sizeof(*c->index));
	for (a = c->accounts; a != NULL; a = a->next)
		for (i = 0; i < a->addresses.n; i++) {
			struct config_entry *e =
			    find_entry(c, a->addresses.v[i]);

			if (e->key.p != NULL) {
				if (e->account != a)
					conf_error(errors, &a->pos,
					    "address %.*s belongs to account "
					    "%.*s already",
					    STR_ARG(e->key),
					    STR_ARG(e->account->name));
				continue;
			}
			*e = (struct config_entry){ a->addresses.v[i], a,
				key_hash(a->addresses.v[i]) };
		}
}

static struct config *
finish(struct config *c, struct conf_errors *errors)
{
	/* first the check: it brings addresses into their normal form */
	config_check(c, errors);
	build_index(c, errors);
	if (errors->n > 0)
		config_free(&c);
	return c;
}

struct config *
config_load(int dirfd, struct conf_errors *errors)
{
	struct config *c = config_new();

	config_apply(
	    c, conf_read(&c->arena, dirfd, "quire.conf", errors), errors);
	load_dir(c, dirfd, "domains", false, errors);
	load_dir(c, dirfd, "accounts", true, errors);
	return finish(c, errors);
}

struct config *
config_parse(struct str snapshot, struct conf_errors *errors)
{
	struct config *c = config_new();

	config_apply(
	    c, conf_parse(&c->arena, "snapshot", snapshot, -1, errors), errors);
	return finish(c, errors);
}

const struct config_listener *
config_listener(const struct config *c, struct str name)
{
	size_t i;

	for (i = 0; i < c->nlisteners; i++)
		if (str_eq(c->listeners[i].name, name))
			return &c->listeners[i];
	return NULL;
}

const struct config_account *
config_account(const struct config *c, struct str name)
{
	const struct config_account *a;

	for (a = c->accounts; a != NULL; a = a->next)
		if (str_eq(a->name, name))
			return a;
	return NULL;
}

const struct config_domain *
config_domain(const struct config *c, struct str name)
{
	const struct config_domain *d;

	for (d = c->domains; d != NULL; d = d->next)
		if (str_eq(d->name, name))
			return d;
	return NULL;
}

static const struct config_account *
find_key(const struct config *c, struct str local, struct str domain)
{
	const struct config_account *found;
	struct buf b;

	buf_init(&b, 1024);
	buf_put(&b, local);
	buf_putc(&b, '@');
	buf_put(&b, domain);
	found = find_entry(c, buf_str(&b))->account;
	buf_release(&b);
	return found;
}

/* RFC 5321, 4.5.1, and RFC 2142, 4: every domain has them */
static bool
is_role(struct str local)
{
	return str_eq_nocase(local, STR("postmaster")) ||
	       str_eq_nocase(local, STR("abuse"));
}

static bool
has_address_in(const struct config_account *a, struct str domain)
{
	size_t i, at;

	for (i = 0; i < a->addresses.n; i++) {
		struct str s = a->addresses.v[i];

		for (at = s.n; at > 0 && s.p[at - 1] != '@'; at--)
			;
		if (str_eq(str_sub(s, at, s.n), domain))
			return true;
	}
	return false;
}

/* Who has the role where nobody was given it. */
static const struct config_account *
role_account(const struct config *c, struct str domain)
{
	const struct config_account *a;

	if (c->postmaster.n > 0)
		return config_account(c, c->postmaster);
	for (a = c->accounts; a != NULL; a = a->next)
		if (has_address_in(a, domain))
			return a;
	return c->accounts;
}

/* local and domain are in normal form */
static const struct config_account *
find_address(const struct config *c, const struct config_domain *d,
    struct str local, struct str domain)
{
	const struct config_account *a = find_key(c, local, domain);
	struct str seps = d == NULL ? STR("+") : d->separators;
	size_t i;

	for (i = 1; a == NULL && i < local.n; i++)
		if (str_has(seps, local.p[i])) {
			a = find_key(c, str_sub(local, 0, i), domain);
			break;
		}
	if (a == NULL && is_role(local))
		a = find_key(c, STR("postmaster"), domain);
	if (a == NULL)
		a = find_entry(c, domain)->account; /* "@domain" */
	if (a == NULL && d != NULL && d->catch_all.n > 0)
		a = config_account(c, d->catch_all);
	if (a == NULL && is_role(local))
		a = role_account(c, domain);
	return a;
}

/* The domain in normal form into b; its settings, NULL if not ours. */
static const struct config_domain *
find_domain(const struct config *c, struct str domain, struct buf *b)
{
	if (!addr_domain_unicode(b, domain))
		return NULL;
	return config_domain(c, buf_str(b));
}

enum config_rcpt
config_find(const struct config *c, struct str local, struct str domain,
    const struct config_account **out)
{
	const struct config_domain *d;
	struct arena a;
	struct buf name;

	*out = NULL;
	buf_init(&name, 1024);
	arena_init(&a, 65536);
	d = find_domain(c, domain, &name);
	if (d != NULL)
		*out = find_address(c, d,
		    addr_normalize_local(&a, local, !d->is_case_sensitive),
		    buf_str(&name));
	if (*out == NULL && c->any_domain.n > 0)
		*out = config_account(c, c->any_domain);
	buf_release(&name);
	arena_release(&a);
	if (*out != NULL)
		return RCPT_OK;
	return d != NULL ? RCPT_NOUSER : RCPT_NODOMAIN;
}

static bool
is_local(const struct config_domain *d, struct arena *a, struct str set,
    struct str local)
{
	bool lower = !d->is_case_sensitive;

	return set.n > 0 && str_eq(addr_normalize_local(a, set, lower),
				addr_normalize_local(a, local, lower));
}

void
config_rules(const struct config *c, struct str local, struct str domain,
    const struct config_account *account, struct config_rules *out)
{
	const struct config_domain *d;
	struct arena a;
	struct buf name;

	*out = (struct config_rules){ .requires_alignment =
					  account->requires_alignment };
	buf_init(&name, 1024);
	arena_init(&a, 65536);
	d = find_domain(c, domain, &name);
	if (d != NULL) {
		out->requires_alignment |= d->requires_alignment;
		out->is_dmarc_reports =
		    is_local(d, &a, d->dmarc_reports, local);
		out->is_tls_reports = is_local(d, &a, d->tls_reports, local);
	}
	buf_release(&name);
	arena_release(&a);
}

const struct config_account *
config_postmaster(const struct config *c)
{
	const struct config_account *a;

	if (config_find(c, STR("postmaster"), c->hostname, &a) == RCPT_OK)
		return a;
	return role_account(c, c->hostname);
}

bool
config_has_checks(const struct config *c)
{
	return c->checks.enable == CHECKS_YES ||
	       (c->checks.enable == CHECKS_AUTO && !c->is_single_user);
}

struct str
config_authserv_id(const struct config *c)
{
	return c->checks.authserv_id.n > 0 ? c->checks.authserv_id :
					     c->hostname;
}

const struct config_account *
config_login(const struct config *c, struct str login)
{
	const struct config_account *found = config_account(c, login);
	const struct config_domain *d;
	struct arena a;
	struct buf name;
	size_t at = login.n;

	while (at > 0 && login.p[at - 1] != '@')
		at--;
	if (found != NULL || at <= 1)
		return found;
	buf_init(&name, 1024);
	arena_init(&a, 65536);
	d = find_domain(c, str_sub(login, at, login.n), &name);
	if (d != NULL)
		found = find_key(c,
		    addr_normalize_local(
			&a, str_sub(login, 0, at - 1), !d->is_case_sensitive),
		    buf_str(&name));
	buf_release(&name);
	arena_release(&a);
	return found;
}
