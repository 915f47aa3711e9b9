#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "quired.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

static int
bind_control(const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (!str_copy(str_from(path), un.sun_path, sizeof(un.sun_path)))
		return err_set(e, ERR_PERM,
		    "control socket path %s is longer than %zu", path,
		    sizeof(un.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_sys(e, "socket");
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
		close(fd);
		return err_set(e, ERR_TEMP,
		    "a quired is already running here (%s answers)", path);
	}
	unlink(path); /* of a quired that was killed */
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1 ||
	    chmod(path, 0600) == -1 || listen(fd, MAX_CONTROLS) == -1) {
		err_sys(e, "control socket %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

int
control_open(struct quired *q, struct err *e)
{
	char *dir = str_dup(q->set.config->run_dir);
	char *path = xasprintf("%s/control", dir);
	unsigned i;

	for (i = 0; i < MAX_CONTROLS; i++)
		q->controls[i].fd = -1;
	q->control_fd =
	    fs_mkdir_p(dir, 0711, e) == -1 ? -1 : bind_control(path, e);
	free(dir);
	free(path);
	return q->control_fd == -1 ? -1 : 0;
}

void
control_close(struct quired *q)
{
	char *path = xasprintf("%.*s/control", STR_ARG(q->set.config->run_dir));

	unlink(path);
	free(path);
	close(q->control_fd);
}

void
control_accept(struct quired *q)
{
	int fd =
	    accept4(q->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t n = sizeof(who);
	unsigned i;

	if (fd == -1)
		return;
	for (i = 0; i < MAX_CONTROLS && q->controls[i].fd != -1; i++)
		;
	if (i == MAX_CONTROLS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == -1 ||
	    (who.uid != 0 && who.uid != geteuid())) {
		close(fd);
		return;
	}
	q->controls[i].fd = fd;
}

static void
say(struct control *c, struct str text)
{
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_blob(&b, MSG_CONTROL_TEXT, 0, text);
	(void)ipc_send(c->fd, &b, NULL, 0);
	buf_release(&b);
}

static void
end(struct control *c, uint32_t status)
{
	struct msg_tag tag = { status, 0, STR("") };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_tag(&b, MSG_CONTROL_END, &tag);
	(void)ipc_send(c->fd, &b, NULL, 0);
	buf_release(&b);
	close(c->fd);
	c->fd = -1;
}

static void
status(struct quired *q, struct control *c)
{
	int64_t now = date_mono_ms();
	struct buf b;
	unsigned i;

	buf_init(&b, IPC_MAX - 64);
	buf_printf(&b, "%-13s %8s %6s %9s %s\n", "PROGRAM", "PID", "UP",
	    "RESTARTS", "STATE");
	buf_printf(&b, "%-13s %8d %5llds %9d %s\n", "quired", (int)getpid(),
	    (long long)(now - q->started) / 1000, 0,
	    q->stopping ? "stopping" : "running");
	for (i = 0; i < PROGS; i++) {
		const struct child *k = &q->child[i];

		buf_printf(&b, "%-13s %8d %5llds %9u %s\n", prog_names[i],
		    (int)k->pid,
		    (long long)(k->pid == 0 ? 0 : now - k->started) / 1000,
		    k->restarts,
		    k->pid == 0 ? "waiting" :
		    k->is_ready ? "running" :
				  "starting");
	}
	buf_printf(&b,
	    "accounts %zu, domains %zu, sessions started %llu, "
	    "deliverers started %llu\n",
	    q->set.config->naccounts, q->set.config->ndomains,
	    (unsigned long long)q->sessions, (unsigned long long)q->deliveries);
	listen_print(q, &b);
	say(c, buf_str(&b));
	buf_release(&b);
	end(c, 0);
}

static void
put_own_metrics(const struct quired *q, struct buf *b)
{
	unsigned i;

	buf_puts(b, "# HELP quire_info The version that runs.\n"
		    "# TYPE quire_info gauge\n"
		    "quire_info{version=\"" QUIRE_VERSION "\"} 1\n"
		    "# HELP quire_program_running Is it up?\n"
		    "# TYPE quire_program_running gauge\n");
	for (i = 0; i < PROGS; i++)
		buf_printf(b, "quire_program_running{program=\"%s\"} %d\n",
		    prog_names[i],
		    q->child[i].pid != 0 && q->child[i].is_ready);
	buf_puts(b, "# HELP quire_program_restarts_total How often it died "
		    "and was started again.\n"
		    "# TYPE quire_program_restarts_total counter\n");
	for (i = 0; i < PROGS; i++)
		buf_printf(b,
		    "quire_program_restarts_total{program=\"%s\"} %u\n",
		    prog_names[i], q->child[i].restarts);
	buf_printf(b,
	    "# HELP quire_sessions_total Sessions of users started.\n"
	    "# TYPE quire_sessions_total counter\n"
	    "quire_sessions_total %llu\n"
	    "# HELP quire_deliverers_total Deliverers started.\n"
	    "# TYPE quire_deliverers_total counter\n"
	    "quire_deliverers_total %llu\n",
	    (unsigned long long)q->sessions, (unsigned long long)q->deliveries);
}

static void
metrics(struct quired *q, struct control *c)
{
	const struct metrics *v[PROGS];
	struct buf b;
	size_t n = 0;
	unsigned i;

	for (i = 0; i < PROGS; i++)
		if (q->child[i].metrics != NULL)
			v[n++] = q->child[i].metrics;
	buf_init(&b, IPC_MAX - 64);
	put_own_metrics(q, &b);
	metrics_print(&b, v, n);
	assert(!b.full); /* check_metrics: all series at their largest fit */
	say(c, buf_str(&b));
	buf_release(&b);
	end(c, 0);
}

static void
reload(struct quired *q, struct control *c)
{
	struct buf errors;
	int rc;

	buf_init(&errors, IPC_MAX - 64);
	rc = settings_reload(q, &errors);
	if (rc == -1) {
		say(c, STR("configuration not changed, it has errors:\n"));
		say(c, buf_str(&errors));
	}
	end(c, rc == -1);
	buf_release(&errors);
}

static void
loglevel(struct quired *q, struct control *c, struct str name)
{
	if (name.n > 0) {
		enum log_level level;

		if (!log_level_parse(name, &level)) {
			say(c, STR("levels: error warn info debug trace "
				   "traceauth tracedata\n"));
			end(c, 1);
			return;
		}
		q->level = level;
		children_loglevel(q);
	}
	say(c, str_from(log_level_name(q->level)));
	say(c, STR("\n"));
	end(c, 0);
}

void
control_receive(struct quired *q, struct control *c)
{
	struct ipc_msg m;
	struct msg_tag tag;

	switch (ipc_recv(c->fd, &m, q->recv_buf, sizeof(q->recv_buf), false)) {
	case IPC_AGAIN:
		return;
	case IPC_CLOSED:
		close(c->fd);
		c->fd = -1;
		return;
	case IPC_OK:
		break;
	}
	ipc_close_fds(&m);
	if (m.type != MSG_CONTROL || !msg_unpack_tag(&m, &tag) ||
	    tag.kind >= CONTROLS) {
		end(c, 64);
		return;
	}
	switch ((enum control_op)tag.kind) {
	case CONTROL_STATUS:
		status(q, c);
		break;
	case CONTROL_RELOAD:
		reload(q, c);
		break;
	case CONTROL_STOP:
		LOG_INFO("stop", F_CSTR("by", "control"));
		children_stop(q, date_mono_ms());
		/* stays open until we end: the asker sees it close */
		break;
	case CONTROL_LOGLEVEL:
		loglevel(q, c, tag.name);
		break;
	case CONTROL_METRICS:
		metrics(q, c);
		break;
	case CONTROLS:
		break;
	}
}
