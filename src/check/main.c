/*
 * quire-check: what DNS says about mail from strangers (service/mailauth).
 *
 * It forks a process for each question of smtpd's, since answers of slow
 * name servers take up to a minute and messages are hostile; the resolver
 * has the cache. It reads no message itself. A child that dies is answered
 * for with 451, so is whoever has too many questions under way: who brings
 * mail keeps it. An address, its neighbourhood and its network have their
 * share at most, since who waits for a name server of his own keeps places
 * that others need. Beyond CHECK_MAX children questions wait in the channel.
 *
 * resolv.conf and the public suffix list can only be read before
 * confinement, so after a reload of the configuration it ends, when its
 * children have, and quired starts another.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/limit/limit.h"
#include "profile.h"
#include "system/daemon/daemon.h"
#include "system/fs/fs.h"
#include "system/log/log.h"
#include "worker.h"

#define CHECK_MAX 256

/* Of an address, its neighbourhood and its network: the others have room. */
static const uint64_t max_client[LIMIT_CLASSES] = { 32, 64, 128 };

struct child {
	pid_t pid; /* 0: free */
	uint32_t id;
	int chan;
	struct limit_addr remote;
};

struct check {
	struct daemon d;
	struct check_setup setup;
	struct config *config;
	struct confine_filter narrow;
	struct child children[CHECK_MAX];
	unsigned n;
	struct limit *clients; /* whose children they are */
	int signals;
	bool is_ending;
	char recv_buf[IPC_MAX];
};

/* What the resolver client has to say. */
static void
log_dns(void *arg, enum hook_level level, const char *event, const char *text)
{
	LOG_DEBUG("check.dns", F_CSTR("text", text));
}

static void
configure(struct check *k)
{
	struct mailauth_setup *s = &k->setup.mailauth;
	static const struct hooks hooks = { .log = log_dns };
	struct dns_opts o = { .hooks = &hooks };
	struct conf_errors errors;
	struct psl *psl = psl_load();
	struct config *c;
	struct err e;

	conf_errors_init(&errors);
	k->config = c = config_parse(buf_str(&k->d.config), &errors);
	if (c == NULL) {
		LOG_ERROR("config", F_STR("err", buf_str(&errors.text)));
		exit(78);
	}
	if (c->checks.resolver.n > 0)
		o.servers = arena_cstr(&c->arena, c->checks.resolver);
	o.trust_ad = c->checks.trust_ad;
	if (psl == NULL || dns_new(&s->dns, &o, &e) == -1) {
		LOG_ERROR("check.setup",
		    F_CSTR(
			"err", psl == NULL ? "no public suffix list" : e.text));
		exit(78);
	}
	s->psl = psl;
	s->hostname = c->hostname;
	s->dnsbl = c->checks.dnsbl.v;
	s->n_dnsbl = c->checks.dnsbl.n;
	s->is_tree_walk = c->checks.organization == ORGANIZATION_TREE_WALK;
	s->limit_ms = (unsigned)c->limits.check_ms;
	k->setup.authserv_id = config_authserv_id(c);
	if (config_has_checks(c))
		LOG_INFO("check.resolver",
		    F_CSTR("resolver",
			o.servers == NULL ? "resolv.conf" : o.servers),
		    F_INT("dnssec", dns_is_trusted(s->dns)));
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Answer for those who could not. */
static void
reap(struct check *k)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	unsigned i;

	while (read(k->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHECK_MAX; i++) {
			struct child *c = &k->children[i];

			if (c->pid != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
				LOG_ERROR("worker.crashed",
				    F_INT("worker", pid),
				    F_INT("signal", WIFSIGNALED(status) ?
							WTERMSIG(status) :
							0),
				    F_CSTR("cause", "a message being checked"));
				check_refuse(c->chan, c->id);
			}
			close(c->chan);
			limit_drop(k->clients, &c->remote);
			c->pid = 0;
			k->n--;
			break;
		}
}

/* A free place, unless this client has its share already. */
static struct child *
place_for(struct check *k, const struct limit_addr *remote)
{
	unsigned i;

	if (!limit_would(k->clients, remote, max_client, 0))
		return NULL;
	for (i = 0; i < CHECK_MAX; i++)
		if (k->children[i].pid == 0)
			return &k->children[i];
	return NULL;
}

static void
work(struct check *k, int chan, struct ipc_msg *m)
{
	struct err e;

	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (confine_load(&k->narrow, &e) == -1) {
		LOG_ERROR("check.confine", F_ERR(&e));
		_exit(71);
	}
	_exit(check_work(&k->setup, chan, m));
}

static void
question(struct check *k, int chan, struct ipc_msg *m)
{
	struct ipc_msg copy = *m; /* reading moves the cursor */
	struct child *c;
	struct limit_addr remote;
	struct msg_check q;
	pid_t pid = -1;

	if (m->type < MSG_CHECK || m->type > MSG_CHECK_SPF ||
	    !msg_unpack_check(&copy, &q) ||
	    !limit_addr_parse(&remote, q.remote)) {
		LOG_ERROR("check.message", F_INT("type", m->type));
		check_refuse(chan, m->id);
		return;
	}
	c = place_for(k, &remote);
	if (c != NULL && (pid = fork()) == 0)
		work(k, chan, m);
	if (c == NULL || pid == -1) {
		LOG_WARN("check.busy", F_STR("remote", q.remote),
		    F_INT("children", k->n));
		check_refuse(chan, m->id);
		return;
	}
	c->pid = pid;
	c->id = m->id;
	c->chan = dup(chan);
	c->remote = remote;
	limit_add(k->clients, &remote, 0);
	k->n++;
}

static void
serve_front(struct check *k)
{
	int fd = daemon_peer_fd(&k->d, PROG_SMTPD, 0);
	struct ipc_msg m;

	while (fd != -1 && k->n < CHECK_MAX)
		switch (
		    ipc_recv(fd, &m, k->recv_buf, sizeof(k->recv_buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			daemon_peer_lost(&k->d, fd);
			return;
		case IPC_OK:
			question(k, fd, &m);
			ipc_close_fds(&m);
		}
}

/* false: quired is gone or wants us to end. */
static bool
serve_quired(struct check *k)
{
	struct ipc_msg m;

	switch (daemon_receive(&k->d, &m)) {
	case DAEMON_STOP:
	case DAEMON_LOST:
		return false;
	case DAEMON_CONFIG:
		serve_front(k); /* what was asked of us */
		k->is_ending = true;
		break;
	case DAEMON_MESSAGE:
		ipc_close_fds(&m);
		break;
	case DAEMON_PEER:
	case DAEMON_NONE:
		break;
	}
	return true;
}

static void
run(struct check *k)
{
	for (;;) {
		bool reads = k->n < CHECK_MAX && !k->is_ending;
		struct pollfd p[3] = {
			{ .fd = k->d.ctl, .events = POLLIN },
			{ .fd = k->signals, .events = POLLIN },
			{ .fd = reads ? daemon_peer_fd(&k->d, PROG_SMTPD, 0) :
					-1,
			    .events = POLLIN },
		};

		if (k->is_ending && k->n == 0)
			return;
		if (poll(p, 3, -1) == -1 && errno != EINTR)
			return;
		reap(k);
		if (reads)
			serve_front(k);
		if (p[0].revents != 0 && !serve_quired(k))
			return;
	}
}

int
main(void)
{
	struct check *k = calloc(1, sizeof(*k));
	uint64_t seed;
	struct err e;

	if (k == NULL)
		return 71;
	daemon_init(&k->d, "quire-check");
	configure(k);
	fs_random(&seed, sizeof(seed));
	k->clients = limit_new(0, LIMIT_CLASSES * CHECK_MAX, seed);
	k->signals = open_signals();
	if (k->signals == -1 || confine_compile(&k->narrow, &check_profile,
				    &check_child_profile, &e) == -1) {
		LOG_ERROR("check.setup", F_CSTR("err", "no signals or filter"));
		return 71;
	}
	daemon_confine(&k->d, &check_profile, NULL, 0);
	run(k);
	return 0;
}
