#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/pack.h"
#include "system/fs/fs.h"
#include "system/daemon/daemon.h"
#include "system/ipc/ipc.h"
#include "system/log/log.h"

void
pool_init(struct pool *p, const struct check_setup *setup,
    const struct confine_filter *narrow)
{
	static const uint64_t max_client[LIMIT_CLASSES] = { 32, 64, 128 };
	uint64_t seed;

	unsigned i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < POOL_WAITING; i++)
		p->waiting[i].chan = -1;
	p->setup = setup;
	p->narrow = narrow;
	memcpy(p->max_client, max_client, sizeof(max_client));
	fs_random(&seed, sizeof(seed));
	p->clients =
	    limit_new(0, LIMIT_CLASSES * (POOL_MAX + POOL_WAITING), seed);
}

/* What a child says. */
enum {
	SAYS_DONE,
	SAYS_SLOW, /* done, and not to be asked again */
	SAYS_BEGUN,
};

/* ---- in the child ---- */

/* The descriptors of a question: where the answer goes, then its own. */
static bool
take_chan(struct ipc_msg *m, int *chan)
{
	if (m->nfds == 0)
		return false;
	*chan = m->fds[0];
	m->nfds--;
	memmove(m->fds, m->fds + 1, m->nfds * sizeof(m->fds[0]));
	return true;
}

static void
unwanted(void)
{
	_exit(0);
}

static void
serve(const struct check_setup *setup, int link)
{
	static char buf[IPC_MAX];
	struct ipc_msg m;
	char says = SAYS_BEGUN;
	int chan;

	dns_watch(setup->mailauth.dns, link, unwanted);
	if (write(link, &says, 1) != 1)
		_exit(0);
	while (ipc_recv(link, &m, buf, sizeof(buf), true) == IPC_OK) {
		if (!take_chan(&m, &chan))
			_exit(71);
		check_work(setup, chan, &m);
		ipc_close_fds(&m);
		close(chan);
		says = check_was_slow() ? SAYS_SLOW : SAYS_DONE;
		if (write(link, &says, 1) != 1)
			break;
	}
	_exit(0);
}

/* Of all that its parent has it keeps the log and the link: what a message
 * may make of it has no way to quired, to smtpd or to a sibling. */
static int
keep_only(int link)
{
	if (link != DAEMON_CTL && dup2(link, DAEMON_CTL) == -1)
		_exit(71);
	if (close_range(DAEMON_CTL + 1, ~0U, 0) == -1) {
		LOG_ERROR("check.confine", F_CSTR("err", strerror(errno)));
		_exit(71);
	}
	return DAEMON_CTL;
}

static void
be_child(struct pool *p, int link, bool is_crowded)
{
	sigset_t none;
	struct err e;

	link = keep_only(link);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (confine_load(p->narrow, &e) == -1) {
		LOG_ERROR("check.confine", F_ERR(&e));
		_exit(71);
	}
	if (is_crowded)
		check_step_back();
	serve(p->setup, link);
}

/* ---- its places ---- */

static struct pool_child *
new_child(struct pool *p, bool is_crowded)
{
	struct pool_child *c = p->children;
	int link[2];

	while (c < p->children + POOL_CHILDREN && c->pid != 0)
		c++;
	if (c == p->children + POOL_CHILDREN || ipc_pair(link) == -1)
		return NULL;
	*c = (struct pool_child){
		.link = link[0], .chan = -1, .is_young = true
	};
	c->pid = fork();
	if (c->pid == 0)
		be_child(p, link[1], is_crowded);
	close(link[1]);
	if (c->pid != -1) {
		p->n_idle++;
		p->n_young++;
		return c;
	}
	close(link[0]);
	c->pid = 0;
	return NULL;
}

/* The one that waited least: what it needs is in the caches. A crowd has none
 * of those: its own run when no other wants to. */
static struct pool_child *
idle_child(struct pool *p, bool is_crowded)
{
	struct pool_child *c, *found = NULL;

	if (is_crowded)
		return new_child(p, true);
	for (c = p->children; c < p->children + POOL_CHILDREN; c++)
		if (c->pid != 0 && !c->is_busy && c->link != -1 &&
		    (found == NULL || c->idle_ms > found->idle_ms))
			found = c;
	return found != NULL ? found : new_child(p, false);
}

static void
has_begun(struct pool *p, struct pool_child *c)
{
	if (c->is_young)
		p->n_young--;
	c->is_young = false;
}

/* It ends when it sees that nobody asks any more, also while it waits for a
 * name server. */
static void
let_go(struct pool *p, struct pool_child *c)
{
	has_begun(p, c);
	close(c->link);
	c->link = -1;
	p->n_idle--;
	p->n_leaving++;
}

static void
end_question(struct pool *p, struct pool_child *c)
{
	close(c->chan);
	c->chan = -1;
	c->is_busy = false;
	c->idle_ms = date_mono_ms();
	limit_drop(p->clients, &c->remote);
	p->n_busy--;
	p->n_idle++;
}

static bool
hand_over(struct pool_child *c, int chan, const struct ipc_msg *m)
{
	int fds[IPC_FDS] = { chan };
	struct buf b;
	bool ok;

	if (m->nfds >= IPC_FDS)
		return false;
	memcpy(fds + 1, m->fds, m->nfds * sizeof(fds[0]));
	buf_init(&b, IPC_MAX);
	ipc_begin(&b, m->type, m->id);
	buf_put(&b, str_make(m->body.p, (size_t)(m->body.end - m->body.p)));
	ok = ipc_send(c->link, &b, fds, m->nfds + 1) == IPC_OK;
	buf_release(&b);
	return ok;
}

/* ---- questions ---- */

/* A place for somebody else; the one who had it is answered for. */
static void
yield(struct pool *p)
{
	struct pool_child *c = pool_victim(p, date_mono_ms());

	if (c == NULL)
		return;
	LOG_WARN("check.busy", F_CSTR("text", "the oldest gives way"),
	    F_INT("worker", c->pid), F_INT("children", p->n_busy));
	check_refuse(c->chan, c->id);
	end_question(p, c);
	let_go(p, c);
}

static bool
has_place(const struct pool *p)
{
	return p->n_busy < POOL_MAX ||
	       (p->n_leaving < POOL_LEAVING &&
		   pool_yield_ms(p, date_mono_ms()) == 0);
}

static bool
start(struct pool *p, struct pool_waiting *w)
{
	struct pool_child *c;
	unsigned tries;

	/* one that waits may have died: it is not noticed before this */
	for (tries = 0; tries <= POOL_IDLE_MAX; tries++) {
		c = idle_child(p, queue_is_crowd(p, w));
		if (c == NULL)
			return false;
		if (hand_over(c, w->chan, &w->msg)) {
			c->is_busy = true;
			c->begun_ms = date_mono_ms();
			c->served++;
			c->id = w->msg.id;
			c->chan = dup(w->chan);
			c->remote = w->remote;
			p->n_idle--;
			p->n_busy++;
			return true;
		}
		let_go(p, c);
	}
	return false;
}

void
pool_start(struct pool *p)
{
	struct pool_waiting *w;

	while ((w = queue_next(p)) != NULL && queue_may_begin(p, w) &&
	       has_place(p)) {
		if (p->n_busy >= POOL_MAX)
			yield(p);
		if (!start(p, w)) {
			check_refuse(w->chan, w->msg.id);
			limit_drop(p->clients, &w->remote);
		}
		queue_take(p, w);
	}
}

void
pool_ask(struct pool *p, int chan, struct ipc_msg *m)
{
	struct ipc_msg copy = *m; /* reading moves the cursor */
	struct limit_addr remote;
	struct msg_check q;

	if (m->type < MSG_CHECK || m->type > MSG_CHECK_SPF ||
	    !msg_unpack_check(&copy, &q) ||
	    !limit_addr_parse(&remote, q.remote)) {
		LOG_ERROR("check.message", F_INT("type", m->type));
		check_refuse(chan, m->id);
	} else if (!limit_would(p->clients, &remote, p->max_client, 0) ||
		   !queue_put(p, chan, m, &remote)) {
		LOG_WARN("check.busy", F_STR("remote", q.remote),
		    F_INT("children", p->n_busy));
		check_refuse(chan, m->id);
	} else
		limit_add(p->clients, &remote, 0);
}

bool
pool_has_room(const struct pool *p)
{
	return p->n_waiting < POOL_WAITING;
}

bool
pool_add_spare(struct pool *p)
{
	struct pool_child *c = new_child(p, false);

	if (c == NULL)
		return false;
	c->idle_ms = date_mono_ms();
	return true;
}

/* May it have something to say? */
static bool
speaks(const struct pool_child *c)
{
	return c->pid != 0 && c->link != -1 && (c->is_busy || c->is_young);
}

unsigned
pool_poll(const struct pool *p, struct pollfd *v, unsigned n)
{
	const struct pool_child *c;
	unsigned k = 0;

	for (c = p->children; c < p->children + POOL_CHILDREN && k < n; c++)
		if (speaks(c))
			v[k++] =
			    (struct pollfd){ .fd = c->link, .events = POLLIN };
	return k;
}

void
pool_done(struct pool *p, const struct pollfd *v, unsigned n)
{
	struct pool_child *c;
	unsigned i;
	char says;

	for (i = 0; i < n; i++) {
		if (v[i].revents == 0)
			continue;
		for (c = p->children; c < p->children + POOL_CHILDREN; c++)
			if (speaks(c) && c->link == v[i].fd)
				break;
		/* one that died is told by SIGCHLD, with the reason */
		if (c == p->children + POOL_CHILDREN ||
		    recv(c->link, &says, 1, MSG_DONTWAIT) != 1)
			continue;
		has_begun(p, c);
		if (says == SAYS_BEGUN)
			continue;
		end_question(p, c);
		if (says == SAYS_SLOW || c->served >= POOL_QUESTIONS ||
		    p->n_idle > POOL_IDLE_MAX)
			let_go(p, c);
	}
}

static void
died(struct pool *p, struct pool_child *c, int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || c->is_busy)
		LOG_ERROR("worker.crashed", F_INT("worker", c->pid),
		    F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		    F_CSTR("cause", "a message being checked"));
	if (c->is_busy) {
		check_refuse(c->chan, c->id);
		end_question(p, c);
	}
	if (c->link != -1)
		let_go(p, c);
	p->n_leaving--;
	c->pid = 0;
}

void
pool_reap(struct pool *p)
{
	struct pool_child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (c = p->children; c < p->children + POOL_CHILDREN; c++)
			if (c->pid == pid)
				died(p, c, status);
}

int
pool_expire(struct pool *p)
{
	int64_t now = date_mono_ms(), left, next = -1;
	struct pool_child *c;

	if (p->n_busy >= POOL_MAX && pool_yield_ms(p, now) > 0)
		next = pool_yield_ms(p, now);
	for (c = p->children; c < p->children + POOL_CHILDREN; c++) {
		if (c->pid == 0 || c->is_busy || c->link == -1)
			continue;
		left = c->idle_ms + POOL_IDLE_S * 1000 - now;
		if (left <= 0)
			let_go(p, c);
		else if (next == -1 || left < next)
			next = left;
	}
	return (int)next;
}
