/*
 * quire-check: what DNS says about mail from strangers (service/mailauth).
 *
 * Processes of its own (pool.h) answer smtpd's questions; the resolver has the
 * cache. It reads no message itself. Beyond POOL_MAX questions under way others
 * wait in the channel until one of these is answered or gives way.
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
#include <unistd.h>

#include "pool.h"
#include "profile.h"
#include "system/daemon/daemon.h"
#include "system/log/log.h"

struct check {
	struct daemon d;
	struct check_setup setup;
	struct config *config;
	struct confine_filter narrow;
	struct pool pool;
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
	struct psl *psl = psl_load();
	struct config *c = config_snapshot(buf_str(&k->d.config));
	struct err e;

	if ((k->config = c) == NULL)
		exit(78);
	if (c->checks.resolver.n > 0)
		o.servers = arena_cstr(&c->arena, c->checks.resolver);
	o.trust_ad = c->checks.trust_ad;
	/* within the limit another server is asked */
	if (c->limits.check_ms < (uint64_t)DNS_TRIES * DNS_TIMEOUT_MS)
		o.timeout_ms = (unsigned)c->limits.check_ms;
	if (psl == NULL || dns_new(&s->dns, &o, &e) == -1) {
		LOG_ERROR("check.setup",
		    F_CSTR(
			"err", psl == NULL ? "no public suffix list" : e.text));
		exit(78);
	}
	s->psl = psl;
	s->keys = dkim_keys_new();
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

static void
serve_front(struct check *k)
{
	int fd = daemon_peer_fd(&k->d, PROG_SMTPD, 0);
	struct ipc_msg m;

	while (fd != -1 && pool_has_room(&k->pool))
		switch (
		    ipc_recv(fd, &m, k->recv_buf, sizeof(k->recv_buf), false)) {
		case IPC_AGAIN:
			return;
		case IPC_CLOSED:
			daemon_peer_lost(&k->d, fd);
			return;
		case IPC_OK:
			pool_ask(&k->pool, fd, &m);
			ipc_close_fds(&m); /* of what was refused */
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
drain_signals(struct check *k)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof(info)) > 0)
		;
	pool_reap(&k->pool);
}

static void
run(struct check *k)
{
	static struct pollfd p[3 + POOL_CHILDREN];
	bool no_spare = false; /* it could not be had: not at once again */

	for (;;) {
		bool reads = pool_has_room(&k->pool) && !k->is_ending;
		int wait = pool_expire(&k->pool), ready;
		bool spare =
		    !k->is_ending && !no_spare && queue_wants_spare(&k->pool);
		unsigned n;

		p[0] = (struct pollfd){ .fd = k->d.ctl, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = k->signals, .events = POLLIN };
		p[2] = (struct pollfd){
			.fd = reads ? daemon_peer_fd(&k->d, PROG_SMTPD, 0) : -1,
			.events = POLLIN
		};
		n = pool_poll(&k->pool, p + 3, POOL_CHILDREN);
		if (k->is_ending && k->pool.n_busy + k->pool.n_waiting == 0)
			return;
		ready = poll(p, 3 + n, spare ? 0 : wait);
		if (ready == -1 && errno != EINTR)
			return;
		no_spare = ready == 0 && spare && !pool_add_spare(&k->pool);
		if (ready == 0 && spare)
			continue;
		pool_done(&k->pool, p + 3, n);
		drain_signals(k);
		if (reads)
			serve_front(k);
		pool_start(&k->pool);
		if (p[0].revents != 0 && !serve_quired(k))
			return;
	}
}

int
main(void)
{
	struct check *k = calloc(1, sizeof(*k));
	struct err e;

	if (k == NULL)
		return 71;
	daemon_init(&k->d, "quire-check");
	configure(k);
	pool_init(&k->pool, &k->setup, &k->narrow);
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
