#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "quire.h"

static int
connect_control(struct quire *q)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path, sizeof(un.sun_path), "%.*s/control",
	    STR_ARG(q->config->run_dir));
	int fd;

	if (n < 0 || (size_t)n >= sizeof(un.sun_path))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Texts until END; the server going away ends a stop. */
static int
read_answer(int fd, bool quiet)
{
	static char buf[IPC_MAX];
	struct msg_tag tag;
	struct ipc_msg m;
	struct str text;

	while (ipc_recv(fd, &m, buf, sizeof(buf), true) == IPC_OK) {
		ipc_close_fds(&m);
		if (m.type == MSG_CONTROL_TEXT && msg_unpack_blob(&m, &text)) {
			if (!quiet)
				fwrite(text.p, 1, text.n, stdout);
		} else if (m.type == MSG_CONTROL_END &&
			   msg_unpack_tag(&m, &tag))
			return (int)tag.kind;
		else
			return EX_PROTOCOL;
	}
	return 0;
}

int
quire_control(
    struct quire *q, enum control_op what, const char *arg, bool quiet)
{
	struct msg_tag tag = { what, 0, str_from(arg) };
	int fd = connect_control(q), rc = -1;
	struct buf b;

	if (fd == -1)
		return -1;
	buf_init(&b, IPC_MAX);
	msg_pack_tag(&b, MSG_CONTROL, &tag);
	if (ipc_send(fd, &b, NULL, 0) == IPC_OK)
		rc = read_answer(fd, quiet);
	buf_release(&b);
	close(fd);
	return rc;
}

static int
ask(struct quire *q, enum control_op what, const char *arg)
{
	int rc = quire_config(q);

	if (rc != 0)
		return rc;
	rc = quire_control(q, what, arg, false);
	if (rc == -1)
		return quire_fail(EX_UNAVAILABLE,
		    "no quired is running for %s (no answer at %.*s/control)",
		    q->dir, STR_ARG(q->config->run_dir));
	return rc;
}

int
quire_reload_if_running(struct quire *q)
{
	int rc = quire_control(q, CONTROL_RELOAD, NULL, false);

	return rc == -1 ? 0 : rc;
}

int
cmd_status(struct quire *q, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--metrics") == 0)
		return ask(q, CONTROL_METRICS, NULL);
	if (argc != 1)
		return quire_fail(EX_USAGE, "usage: quire status [--metrics]");
	return ask(q, CONTROL_STATUS, NULL);
}

int
cmd_stop(struct quire *q, int argc, char **argv)
{
	return ask(q, CONTROL_STOP, NULL);
}

int
cmd_reload(struct quire *q, int argc, char **argv)
{
	int rc = quire_config(q);

	/* quired hands PEM on without looking into it: tell it here */
	if (rc == 0)
		rc = quire_check_tls(q);
	return rc == 0 ? ask(q, CONTROL_RELOAD, NULL) : rc;
}

int
cmd_loglevel(struct quire *q, int argc, char **argv)
{
	return ask(q, CONTROL_LOGLEVEL, argc > 1 ? argv[1] : NULL);
}

int
cmd_config(struct quire *q, int argc, char **argv)
{
	int rc;

	if (argc != 2 || strcmp(argv[1], "check") != 0)
		return quire_fail(EX_USAGE, "usage: quire config check");
	rc = quire_config(q);
	if (rc == 0)
		rc = quire_check_tls(q);
	if (rc == 0)
		printf("%s: no errors, %zu domains, %zu accounts\n", q->dir,
		    q->config->ndomains, q->config->naccounts);
	return rc;
}
