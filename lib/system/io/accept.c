#include "system/io/accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "system/log/log.h"

static void
addr_text(const struct sockaddr_storage *ss, char out[ADDR_TEXT])
{
	const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)ss;
	int family = ss->ss_family;
	const void *ip = NULL;

	out[0] = '\0';
	if (family == AF_INET)
		ip = &((const struct sockaddr_in *)ss)->sin_addr;
	else if (family == AF_INET6)
		ip = &s6->sin6_addr;
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
		/* on a [::] that was passed to us: IPv4 all the same */
		family = AF_INET;
		ip = &s6->sin6_addr.s6_addr[12];
	}
	if (ip != NULL)
		inet_ntop(family, ip, out, ADDR_TEXT);
}

int
accept_next(int listener, char remote[ADDR_TEXT])
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int on = 1, fd;

	fd = accept4(
	    listener, (struct sockaddr *)&ss, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE)
			LOG_ERROR("accept", F_CSTR("err", strerror(errno)));
		return errno == EINVAL ? ACCEPT_CLOSED : ACCEPT_NONE;
	}
	/* answers are whole: waiting for more to send only delays them */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	addr_text(&ss, remote);
	return fd;
}

void
accept_local_address(int fd, char local[ADDR_TEXT])
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	local[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
		addr_text(&ss, local);
}

void
accept_refuse(int fd, const char *line)
{
	ssize_t n = send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
	close(fd);
}
