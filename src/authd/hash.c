#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sodium.h>

#include "authd.h"
#include "base/date.h"
#include "base/xalloc.h"
#include "profile.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

/*
 * A worker is a fork of authd before authd has opened any secret: it knows
 * only the pair it is asked about, holds one channel, and is limited in
 * memory and by its asker's deadline.
 */
#define WORKER_MEMORY (512UL << 20) /* argon2id takes 64 MiB */

static void
close_all_but(int keep)
{
	int fd;

	for (fd = 3; fd < 1024; fd++)
		if (fd != keep)
			close(fd);
}

static enum auth_verdict
verdict_of(struct str hash, struct str password)
{
	switch (auth_check(hash, password)) {
	case AUTH_RIGHT:
		return AUTH_OK;
	case AUTH_WRONG:
		return AUTH_BAD;
	case AUTH_CANNOT_CHECK:
		LOG_ERROR("hash.unknown",
		    F_CSTR("err", "a stored password has a scheme that is not "
				  "understood"));
		return AUTH_TEMP;
	}
	return AUTH_TEMP;
}

static _Noreturn void
work(int fd)
{
	static char buf[IPC_MAX];
	struct rlimit mem = { WORKER_MEMORY, WORKER_MEMORY };
	struct ipc_msg m;
	struct msg_hash h;
	struct buf out;
	bool isolated;
	struct err e;

	close_all_but(fd);
	if (!confine_is_off())
		(void)setrlimit(RLIMIT_AS, &mem);
	if (confine_enter(&hash_profile, NULL, 0, &isolated, &e) == -1)
		_exit(71);
	buf_init(&out, 256);
	while (ipc_recv(fd, &m, buf, sizeof(buf), true) == IPC_OK) {
		struct msg_tag tag = { AUTH_TEMP, 0, STR("") };

		ipc_close_fds(&m);
		if (m.type == MSG_HASH_CHECK && msg_unpack_hash(&m, &h))
			tag.kind = verdict_of(h.record, h.password);
		sodium_memzero(buf, sizeof(buf));
		tag.instance = m.id;
		msg_pack_tag(&out, MSG_HASH_RESULT, &tag);
		if (ipc_send(fd, &out, NULL, 0) != IPC_OK)
			break;
	}
	_exit(0);
}

int
hash_start(struct authd *a)
{
	unsigned i;

	for (i = 0; i < HASH_WORKERS; i++) {
		struct hash_worker *w = &a->workers[i];
		int fds[2];

		if (ipc_pair(fds) == -1)
			return -1;
		w->pid = fork();
		if (w->pid == 0)
			work(fds[1]);
		if (w->pid == -1)
			return -1;
		close(fds[1]);
		w->fd = fds[0];
		fs_set_nonblock(w->fd, true);
	}
	return 0;
}

static bool
give(struct hash_worker *w, uint32_t exchange, const struct buf *msg)
{
	if (w->fd == -1 || ipc_send(w->fd, msg, NULL, 0) != IPC_OK)
		return false;
	w->job = exchange;
	w->deadline = date_mono_ms() + HASH_MS;
	return true;
}

static void
job_free(struct hash_job *j)
{
	if (j->msg.p != NULL)
		sodium_memzero(j->msg.p, j->msg.n);
	buf_release(&j->msg);
	free(j);
}

bool
hash_submit(
    struct authd *a, uint32_t exchange, struct str record, struct str password)
{
	struct msg_hash h = { record, password };
	struct hash_job *j = xcalloc(1, sizeof(*j)), **tail = &a->queue;
	unsigned i;

	j->exchange = exchange;
	buf_init(&j->msg, IPC_MAX);
	msg_pack_hash(&j->msg, exchange, &h);
	for (i = 0; i < HASH_WORKERS; i++)
		if (a->workers[i].job == 0 &&
		    give(&a->workers[i], exchange, &j->msg)) {
			job_free(j);
			return true;
		}
	if (a->nqueue >= HASH_QUEUE || j->msg.full) {
		job_free(j);
		return false;
	}
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = j;
	a->nqueue++;
	return true;
}

static void
next_job(struct authd *a, struct hash_worker *w)
{
	struct hash_job *j;

	while (w->job == 0 && (j = a->queue) != NULL) {
		a->queue = j->next;
		a->nqueue--;
		if (!give(w, j->exchange, &j->msg))
			exchange_hash_done(a, j->exchange, AUTH_TEMP);
		job_free(j);
	}
}

/*
 * A worker that is gone or too slow: authd ends, too, and quired starts both
 * anew. Forking a new one here would copy the secrets authd has read since.
 */
static void
lost(struct authd *a, struct hash_worker *w, const char *why)
{
	LOG_ERROR("hash.worker", F_INT("worker", w->pid), F_CSTR("why", why));
	exit(70);
}

void
hash_receive(struct authd *a, struct hash_worker *w)
{
	struct msg_tag tag;
	struct ipc_msg m;

	switch (ipc_recv(w->fd, &m, a->recv_buf, sizeof(a->recv_buf), false)) {
	case IPC_AGAIN:
		return;
	case IPC_CLOSED:
		lost(a, w, "died");
		return;
	case IPC_OK:
		break;
	}
	ipc_close_fds(&m);
	if (m.type != MSG_HASH_RESULT || !msg_unpack_tag(&m, &tag) ||
	    tag.instance != w->job) {
		lost(a, w, "wrong answer");
		return;
	}
	w->job = 0;
	next_job(a, w);
	exchange_hash_done(a, tag.instance, tag.kind);
}

void
hash_tick(struct authd *a, int64_t now)
{
	unsigned i;

	for (i = 0; i < HASH_WORKERS; i++)
		if (a->workers[i].job != 0 && now > a->workers[i].deadline)
			lost(a, &a->workers[i], "too slow");
}
