/*
 * listen - the sockets of a configuration: those that a service manager
 * passed (passed.c), those that the configuration before had too, and the
 * rest bound anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quired.h"
#include "system/fs/fs.h"

/* A set in the making. */
struct opening {
	struct quired *q;
	struct listeners *next;
	struct err *e;
};

static const struct listener *
find(const struct listeners *set, const char *address, uint16_t port)
{
	unsigned i;

	for (i = 0; i < set->n; i++)
		if (set->v[i].port == port &&
		    strcmp(set->v[i].address, address) == 0)
			return &set->v[i];
	return NULL;
}

/* Can they not be bound both? One of them is for all addresses. */
static bool
overlaps(const struct listeners *set, const char *address, uint16_t port)
{
	bool is6 = strchr(address, ':') != NULL;
	const char *all = is6 ? "::" : "0.0.0.0";
	unsigned i;

	for (i = 0; i < set->n; i++) {
		const char *other = set->v[i].address;

		if (set->v[i].port == port &&
		    (strchr(other, ':') != NULL) == is6 &&
		    (strcmp(address, all) == 0 || strcmp(other, all) == 0))
			return true;
	}
	return false;
}

static const char *
hint(const struct opening *o, int sys, const char *ip, uint16_t port)
{
	if (sys == EACCES)
		return " (needs root below 1024)";
	if (sys != EADDRINUSE)
		return "";
	if (overlaps(o->next, ip, port))
		return " (another listener of this configuration has it)";
	if (overlaps(&o->q->set.listen, ip, port))
		return " (a socket of the present configuration has it: that "
		       "needs a restart)";
	return " (another program has it: ss -ltnp)";
}

static int
open_socket(const struct opening *o, const char *ip, uint16_t port)
{
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	struct sockaddr_in s4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	bool is6 = inet_pton(AF_INET6, ip, &s6.sin6_addr) == 1;
	int fd, on = 1;

	if (!is6)
		(void)inet_pton(AF_INET, ip, &s4.sin_addr);
	fd = socket(is6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_sys(o->e, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, is6 ? (struct sockaddr *)&s6 : (struct sockaddr *)&s4,
		is6 ? sizeof(s6) : sizeof(s4)) == -1 ||
	    listen(fd, 1024) == -1) {
		err_sys(o->e, "listen on %s port %u%s", ip, port,
		    hint(o, errno, ip, port));
		close(fd);
		return -1;
	}
	return fd;
}

/* As the kernel would print it, so that two spellings are one. */
static bool
normal_address(struct str s, char out[64])
{
	unsigned char raw[sizeof(struct in6_addr)];
	char text[64];
	int family = str_has(s, ':') ? AF_INET6 : AF_INET;

	return str_copy(s, text, sizeof(text)) &&
	       inet_pton(family, text, raw) == 1 &&
	       inet_ntop(family, raw, out, 64) != NULL;
}

static bool
is_same(const struct listener *a, const struct listener *b)
{
	return a->fd == b->fd && a->service == b->service &&
	       a->plain_login == b->plain_login &&
	       a->no_limits == b->no_limits && strcmp(a->name, b->name) == 0;
}

/* One more; its socket is passed, or the one it was before, or a new one. */
static int
add(struct opening *o, const struct config_listener *l, enum service service,
    const char *address, uint16_t port, const struct passed *passed)
{
	const struct listener *old = find(&o->q->set.listen, address, port);
	const struct listener *twice = find(o->next, address, port);
	struct listener *new = &o->next->v[o->next->n];

	if (twice != NULL)
		return err_set(o->e, ERR_PERM,
		    "%s port %u is given twice: listeners %s and %.*s", address,
		    port, twice->name, STR_ARG(l->name));
	if (o->next->n == MAX_LISTENERS)
		return err_set(o->e, ERR_PERM, "more than %d listening sockets",
		    MAX_LISTENERS);
	*new = (struct listener){ .service = service,
		.plain_login = l->plain_login,
		.no_limits = l->no_limits,
		.is_passed = passed != NULL,
		.port = port };
	(void)str_copy(l->name, new->name, sizeof(new->name));
	(void)str_copy(str_from(address), new->address, sizeof(new->address));
	new->fd = passed != NULL ? passed->fd :
		  old != NULL	 ? old->fd :
				   open_socket(o, address, port);
	if (new->fd == -1)
		return -1;
	if (old != NULL && is_same(old, new))
		new->id = old->id;
	else
		new->id = ++o->q->listener_ids;
	o->next->n++;
	return 0;
}

/* Those that were passed under its name, in place of all its addresses. */
static int
add_named(struct opening *o, const struct config_listener *l,
    enum service service, bool *any)
{
	struct passed *p;

	*any = false;
	for (p = o->q->passed; p < o->q->passed + o->q->npassed; p++) {
		if (!passed_has_name(p, l->name, service))
			continue;
		*any = p->is_used = p->is_used4 = true;
		if (add(o, l, service, p->address, p->port, p) == -1)
			return -1;
	}
	return 0;
}

static int
add_address(struct opening *o, const struct config_listener *l,
    enum service service, struct str ip)
{
	uint16_t port = (uint16_t)l->ports[service];
	struct passed *p;
	char address[64];

	if (!normal_address(ip, address))
		return err_set(
		    o->e, ERR_PERM, "'%.*s' is not an IP address", STR_ARG(ip));
	p = passed_find(o->q, address, port);
	if (p != NULL && strcmp(p->address, address) != 0) {
		p->is_used4 = true; /* [::] takes 0.0.0.0 as well */
		return 0;
	}
	if (p != NULL)
		p->is_used = true;
	return add(o, l, service, address, port, p);
}

static int
add_listener(struct opening *o, const struct config_listener *l)
{
	bool is_named;
	unsigned s;
	size_t i;

	for (s = 0; s < SERVICES; s++) {
		if (l->ports[s] == 0)
			continue;
		if (add_named(o, l, (enum service)s, &is_named) == -1)
			return -1;
		for (i = 0; i < l->addresses.n && !is_named; i++)
			if (add_address(
				o, l, (enum service)s, l->addresses.v[i]) == -1)
				return -1;
	}
	return 0;
}

int
listen_open(struct quired *q, const struct config *c, struct listeners *next,
    struct err *e)
{
	struct opening o = { q, next, e };
	size_t i;

	next->n = 0;
	passed_unuse(q);
	for (i = 0; i < c->nlisteners; i++)
		if (add_listener(&o, &c->listeners[i]) == -1)
			goto fail;
	if (passed_check(q, e) == 0)
		return 0;
fail:
	listen_close(next, &q->set.listen);
	return -1;
}

void
listen_close(struct listeners *set, const struct listeners *kept)
{
	unsigned i, k;

	for (i = 0; i < set->n; i++) {
		for (k = 0; k < kept->n; k++)
			if (kept->v[k].fd == set->v[i].fd)
				break;
		/* what was passed stays ours for another configuration */
		if (k < kept->n || set->v[i].is_passed)
			continue;
		/* a front that has not yet read that it is gone holds it open:
		 * its address must be free for the next reload all the same */
		(void)shutdown(set->v[i].fd, SHUT_RDWR);
		close(set->v[i].fd);
	}
	set->n = 0;
}

bool
listen_has(const struct listeners *set, uint32_t id)
{
	unsigned i;

	for (i = 0; i < set->n; i++)
		if (set->v[i].id == id)
			return true;
	return false;
}

void
listen_print(const struct quired *q, struct buf *b)
{
	unsigned i;

	for (i = 0; i < q->set.listen.n; i++) {
		const struct listener *l = &q->set.listen.v[i];
		bool is6 = strchr(l->address, ':') != NULL;

		buf_printf(b, "listening  %-12s %s%s%s:%u\n",
		    service_names[l->service], is6 ? "[" : "", l->address,
		    is6 ? "]" : "", l->port);
	}
}
