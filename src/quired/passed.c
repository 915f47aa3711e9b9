/*
 * passed - listening sockets from a service manager, by the protocol of
 * sd_listen_fds(3): LISTEN_FDS of them from descriptor 3 on, if LISTEN_PID is
 * us, and their names in LISTEN_FDNAMES, with colons between them.
 *
 * A socket named LISTENER.SERVICE is the one of that listener for that
 * service, wherever it is bound; any other is taken for the configured
 * address and port that it has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quired.h"
#include "system/fs/fs.h"

#define FIRST_FD 3

static bool
get_int(int fd, int level, int what, int *out)
{
	socklen_t n = sizeof(*out);

	return getsockopt(fd, level, what, out, &n) == 0;
}

static int
take_address(struct passed *p, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	const void *ip = NULL;
	int type = 0, listens = 0, v6only = 1;

	if (!get_int(p->fd, SOL_SOCKET, SO_TYPE, &type) ||
	    !get_int(p->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens) ||
	    getsockname(p->fd, (struct sockaddr *)&ss, &n) == -1)
		return err_sys(
		    e, "LISTEN_FDS: descriptor %d (%s)", p->fd, p->name);
	if (ss.ss_family == AF_INET) {
		ip = &((struct sockaddr_in *)&ss)->sin_addr;
		p->port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	} else if (ss.ss_family == AF_INET6) {
		ip = &((struct sockaddr_in6 *)&ss)->sin6_addr;
		p->port = ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
		(void)get_int(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only);
	}
	if (type != SOCK_STREAM || listens == 0 || ip == NULL)
		return err_set(e, ERR_PERM,
		    "LISTEN_FDS: descriptor %d (%s) is no listening TCP socket",
		    p->fd, p->name);
	(void)inet_ntop(ss.ss_family, ip, p->address, sizeof(p->address));
	p->is_dual = v6only == 0 && strcmp(p->address, "::") == 0;
	return 0;
}

static int
take_one(struct quired *q, int fd, struct str name, struct err *e)
{
	struct passed *p = &q->passed[q->npassed];

	*p = (struct passed){ .fd = fd };
	if (!str_copy(name, p->name, sizeof(p->name)))
		return err_set(e, ERR_PERM,
		    "LISTEN_FDNAMES: the name of descriptor %d is too long",
		    fd);
	if (take_address(p, e) == -1)
		return -1;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    fs_set_nonblock(fd, true) == -1)
		return err_sys(e, "LISTEN_FDS: descriptor %d", fd);
	q->npassed++;
	return 0;
}

static int
take_all(struct quired *q, struct str count, struct str names, struct err *e)
{
	struct str name;
	uint64_t n;
	int i;

	if (!str_uint(count, MAX_LISTENERS, &n))
		return err_set(e, ERR_PERM,
		    "LISTEN_FDS is '%.*s': a number up to %d is wanted",
		    STR_ARG(count), MAX_LISTENERS);
	for (i = 0; i < (int)n; i++) {
		str_cut(&names, ':', &name);
		if (take_one(q, FIRST_FD + i, name, e) == -1)
			return -1;
	}
	return 0;
}

int
passed_take(struct quired *q, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t n;
	int rc = 0;

	/* else they were for a program that started us */
	if (pid != NULL && count != NULL &&
	    str_uint(str_from(pid), INT32_MAX, &n) && (pid_t)n == getpid())
		rc = take_all(q, str_from(count),
		    str_from(names == NULL ? "" : names), e);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return rc;
}

void
passed_unuse(struct quired *q)
{
	unsigned i;

	for (i = 0; i < q->npassed; i++)
		q->passed[i].is_used = q->passed[i].is_used4 = false;
}

bool
passed_has_name(const struct passed *p, struct str listener, enum service s)
{
	struct str left = str_from(p->name),
		   service = str_from(service_names[s]);

	if (!str_starts(left, listener))
		return false;
	left = str_sub(left, listener.n, left.n);
	return left.n > 0 && left.p[0] == '.' &&
	       str_eq(str_sub(left, 1, left.n), service);
}

struct passed *
passed_find(struct quired *q, const char *address, uint16_t port)
{
	bool is_any4 = strcmp(address, "0.0.0.0") == 0;
	unsigned i;

	for (i = 0; i < q->npassed; i++) {
		struct passed *p = &q->passed[i];

		if (p->port == port && (strcmp(p->address, address) == 0 ||
					   (is_any4 && p->is_dual)))
			return p;
	}
	return NULL;
}

/* A socket that nobody answers on would leave its clients waiting. */
int
passed_check(const struct quired *q, struct err *e)
{
	unsigned i;

	for (i = 0; i < q->npassed; i++) {
		const struct passed *p = &q->passed[i];
		bool is6 = strchr(p->address, ':') != NULL;

		if (!p->is_used)
			return err_set(e, ERR_PERM,
			    "LISTEN_FDS: descriptor %d (%s) listens on "
			    "%s%s%s:%u, which no listener has",
			    p->fd, p->name, is6 ? "[" : "", p->address,
			    is6 ? "]" : "", p->port);
		if (p->is_dual && !p->is_used4)
			return err_set(e, ERR_PERM,
			    "LISTEN_FDS: descriptor %d (%s) takes IPv4 too: "
			    "add 'address 0.0.0.0', or BindIPv6Only=ipv6-only "
			    "to its unit",
			    p->fd, p->name);
	}
	return 0;
}
