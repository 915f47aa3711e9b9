#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quired.h"
#include "system/fs/fs.h"

static int
open_socket(const char *ip, uint16_t port, struct err *e)
{
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	struct sockaddr_in s4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	bool is6 = inet_pton(AF_INET6, ip, &s6.sin6_addr) == 1;
	int fd, on = 1;

	if (!is6 && inet_pton(AF_INET, ip, &s4.sin_addr) != 1)
		return err_set(e, ERR_PERM, "'%s' is not an IP address", ip);
	fd = socket(is6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_sys(e, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, is6 ? (struct sockaddr *)&s6 : (struct sockaddr *)&s4,
		is6 ? sizeof(s6) : sizeof(s4)) == -1 ||
	    listen(fd, 1024) == -1) {
		int sys = errno;

		err_sys(e, "listen on %s port %u%s", ip, port,
		    sys == EACCES     ? " (needs root below 1024)" :
		    sys == EADDRINUSE ? " (another program has it: ss -ltnp)" :
					"");
		close(fd);
		return -1;
	}
	return fd;
}

static int
open_one(struct quired *q, const struct config_listener *l, struct str ip,
    enum service service, struct err *e)
{
	struct listener *out = &q->listeners[q->nlisteners];

	if (q->nlisteners == MAX_LISTENERS)
		return err_set(e, ERR_PERM, "more than %d listening sockets",
		    MAX_LISTENERS);
	*out = (struct listener){ .service = service,
		.plain_login = l->plain_login,
		.no_limits = l->no_limits,
		.port = (uint16_t)l->ports[service] };
	str_copy(l->name, out->name, sizeof(out->name));
	if (!str_copy(ip, out->address, sizeof(out->address)))
		return err_set(
		    e, ERR_PERM, "'%.*s' is not an IP address", STR_ARG(ip));
	out->fd = open_socket(out->address, out->port, e);
	if (out->fd == -1)
		return -1;
	q->nlisteners++;
	return 0;
}

int
listen_open(struct quired *q, struct err *e)
{
	size_t i, k;
	unsigned s;

	for (i = 0; i < q->set.config->nlisteners; i++) {
		const struct config_listener *l = &q->set.config->listeners[i];

		for (k = 0; k < l->addresses.n; k++)
			for (s = 0; s < SERVICES; s++)
				if (l->ports[s] != 0 &&
				    open_one(q, l, l->addresses.v[k],
					(enum service)s, e) == -1)
					return -1;
	}
	return 0;
}

void
listen_print(const struct quired *q, struct buf *b)
{
	unsigned i;

	for (i = 0; i < q->nlisteners; i++) {
		const struct listener *l = &q->listeners[i];
		bool is6 = strchr(l->address, ':') != NULL;

		buf_printf(b, "listening  %-12s %s%s%s:%u\n",
		    service_names[l->service], is6 ? "[" : "", l->address,
		    is6 ? "]" : "", l->port);
	}
}
