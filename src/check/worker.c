#include "worker.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "base/date.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define CHUNK	    65536
#define CPU_S	    60	  /* of one message; 100 MiB to hash take one */
#define SLOW_US	    5000  /* of CPU: others first from then on */
#define PATIENCE_MS 10000 /* with a front that does not read */

/* The channel is shared with our siblings, each message is whole. */
static void
send_answer(int chan, uint32_t id, const struct msg_checked *a)
{
	struct pollfd p = { .fd = chan, .events = POLLOUT };
	struct buf b;

	buf_init(&b, IPC_MAX);
	msg_pack_checked(&b, id, a);
	while (ipc_send(chan, &b, NULL, 0) == IPC_AGAIN)
		if (poll(&p, 1, PATIENCE_MS) != 1)
			break;
	buf_release(&b);
}

void
check_refuse(int chan, uint32_t id)
{
	send_answer(chan, id, &msg_checked_unknown);
}

static volatile sig_atomic_t is_slow;

/* A process of this class runs when no other wants the processor, and leaves
 * it at once when one does. */
void
check_step_back(void)
{
	const struct sched_param none = { 0 };

	is_slow = 1;
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
}

/* The message as its descriptor has it, the header in memory. */
struct message {
	int fd;
	uint64_t size, body_at;
	struct buf *head; /* header and the start of the body */
	struct str header;
};

static int
read_header(struct message *m, struct err *e)
{
	struct str s;
	size_t end;

	do {
		uint64_t left = m->size - m->head->n;
		size_t want = left < CHUNK ? (size_t)left : CHUNK;
		char *p = buf_reserve(m->head, want);
		ssize_t n =
		    p == NULL ? 0 : fs_pread_all(m->fd, p, want, m->head->n);

		if (n < 0 || (size_t)n != want)
			return err_set(e, ERR_TEMP, "message is not whole");
		buf_grow(m->head, want);
		if (m->head->n > CHUNK)
			check_step_back(); /* nobody's ordinary header */
		s = buf_str(m->head);
		end = str_starts(s, STR("\r\n")) ?
			  0 :
			  str_search(s, STR("\r\n\r\n"));
	} while (end == s.n && s.n < m->size && s.n < CHECK_MAX_HEADER);
	if (end == s.n && s.n < m->size)
		return err_set(e, ERR_PERM, "header of more than %d octets",
		    CHECK_MAX_HEADER);
	m->header = str_sub(s, 0, end == 0 ? 0 : end + 2);
	m->body_at = m->header.n + (end == s.n ? 0 : 2);
	return 0;
}

static int
push_body(struct mailauth *ma, const struct message *m, struct err *e)
{
	static char buf[CHUNK];
	uint64_t off = m->body_at;

	while (off < m->size) {
		size_t want =
		    m->size - off < CHUNK ? (size_t)(m->size - off) : CHUNK;
		ssize_t n = fs_pread_all(m->fd, buf, want, off);

		if (n <= 0)
			return err_set(e, ERR_TEMP, "message is not whole");
		mailauth_body(ma, str_make(buf, (size_t)n));
		off += (uint64_t)n;
	}
	return 0;
}

static const uint8_t alignments[] = {
	[MAILAUTH_ALIGNED] = CHECKED_ALIGNED,
	[MAILAUTH_NOT_ALIGNED] = CHECKED_NOT_ALIGNED,
	[MAILAUTH_UNKNOWN] = CHECKED_UNKNOWN,
};

static void
log_result(const struct mailauth_result *r, const struct mailauth_decision *d)
{
	size_t i, passed = 0;

	for (i = 0; i < r->n_dkim; i++)
		passed += r->dkim[i].status == DKIM_PASS;
	LOG_INFO("checked", F_INT("code", d->code), F_CSTR("reason", d->reason),
	    F_CSTR("iprev", iprev_status_name(r->iprev.status)),
	    F_CSTR("spf", spf_verdict_name(r->spf->verdict)),
	    F_INT("dkim", r->n_dkim), F_INT("dkim_pass", passed),
	    F_CSTR("dmarc", dmarc_status_name(r->dmarc.status)),
	    F_STR("from", r->from), F_CSTR("arc", arc_cv_name(r->arc->cv)),
	    F_INT("late", r->is_late), F_INT("questions", r->n_questions),
	    F_INT("ms", r->elapsed_ms));
}

/* true: *out is the answer; its strings live in the arena. */
static bool
check_message(const struct check_setup *s, struct arena *a,
    const struct mailauth_client *c, struct message *m, struct msg_checked *out,
    struct err *e)
{
	const struct mailauth_result *r;
	struct mailauth_decision d;
	struct mailauth *ma;
	struct buf header;
	bool is_good;

	ma = mailauth_begin(a, &s->mailauth, c, m->header);
	if (push_body(ma, m, e) == -1) {
		mailauth_free(&ma);
		return false;
	}
	r = mailauth_finish(ma);
	mailauth_decide(r, &d);
	log_result(r, &d);
	buf_init(&header, IPC_MAX - 4096);
	mailauth_print(&header, ma, s->authserv_id);
	is_good = !header.full;
	*out = (struct msg_checked){ .code = (uint16_t)d.code,
		.enhanced = str_from(d.enhanced),
		.text = str_from(d.text),
		.reason = str_from(d.reason),
		.peer_name = r->iprev.name,
		.header = arena_str(a, buf_str(&header)),
		.spf_pass = r->spf->verdict == SPF_PASS,
		.alignment = alignments[mailauth_alignment(r)],
		.from = r->author,
		.is_unwanted = d.code != 250 && !d.is_trouble };
	mailauth_free(&ma);
	buf_release(&header);
	if (!is_good)
		err_set(e, ERR_TEMP, "results are too long");
	return is_good;
}

static void
answer_message(const struct check_setup *s, struct arena *a,
    const struct mailauth_client *c, int fd, const struct msg_check *q,
    struct buf *head, struct msg_checked *out)
{
	struct message m = { .fd = fd, .size = q->size, .head = head };
	struct err e;

	*out = msg_checked_unknown;
	if (read_header(&m, &e) == -1) {
		LOG_WARN("check.failed", F_ERR(&e));
		if (e.kind == ERR_PERM)
			*out = (struct msg_checked){ .code = 552,
				.enhanced = STR("5.3.4"),
				.text = STR("message header too large"),
				.reason = STR("header-size"),
				.peer_name = STR(""),
				.header = STR(""),
				.from = STR("") };
	} else if (!check_message(s, a, c, &m, out, &e)) {
		LOG_WARN("check.failed", F_ERR(&e));
		*out = msg_checked_unknown;
	}
}

/* HELO and MAIL FROM, before there is a message. */
static void
answer_envelope(const struct check_setup *s, struct arena *a,
    const struct mailauth_client *c, uint16_t type, struct msg_checked *out)
{
	struct mailauth_decision d = { 250, NULL, "", "spf", false };
	bool spf_pass = false;

	if (type == MSG_CHECK_HELO)
		mailauth_helo(a, &s->mailauth, c->helo, &d);
	else if (type == MSG_CHECK_SENDER)
		mailauth_sender(a, &s->mailauth, &c->reverse_path, &d);
	else
		spf_pass = mailauth_spf(a, &s->mailauth, c) == SPF_PASS;
	*out = (struct msg_checked){ .code = (uint16_t)d.code,
		.enhanced = str_from(d.enhanced),
		.text = str_from(d.text),
		.reason = str_from(d.reason),
		.peer_name = STR(""),
		.header = STR(""),
		.from = STR(""),
		.spf_pass = spf_pass };
}

static bool
client_of(const struct msg_check *q, struct mailauth_client *c)
{
	struct addr_path *p = &c->reverse_path;
	uint32_t draw;

	fs_random(&draw, sizeof(draw));
	c->helo = q->helo;
	c->now = date_now();
	c->draw = draw % 100; /* 2^32 % 100 favours by less than 1e-7 */
	p->kind = q->is_null ? ADDR_PATH_NULL : ADDR_PATH;
	p->addr.local = q->local;
	p->addr.domain = q->domain;
	p->addr.kind = str_starts(q->domain, STR("[")) ? ADDR_IPV4 : ADDR_NAME;
	return mailauth_client_ip(c, q->remote);
}

static void
on_slow(int sig)
{
	(void)sig;
	check_step_back();
}

/* Ordinary messages take a millisecond. A question that takes much more leaves
 * the processor to others; a process cannot come back from there. */
static void
watch_cpu(bool on)
{
	struct sigaction sa = { .sa_handler = on_slow, .sa_flags = SA_RESTART };
	struct itimerval t = { .it_value.tv_usec = on ? SLOW_US : 0 };

	if (on)
		(void)sigaction(SIGPROF, &sa, NULL);
	(void)setitimer(ITIMER_PROF, &t, NULL);
}

bool
check_was_slow(void)
{
	return is_slow != 0;
}

/* Of this question: the process has answered others before. */
static void
limit_cpu(void)
{
	struct rusage ru;
	struct rlimit cpu;

	getrusage(RUSAGE_SELF, &ru);
	getrlimit(RLIMIT_CPU, &cpu);
	cpu.rlim_cur =
	    (rlim_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) + CPU_S + 1;
	(void)setrlimit(RLIMIT_CPU, &cpu);
	watch_cpu(true);
}

void
check_work(const struct check_setup *s, int chan, struct ipc_msg *m)
{
	struct mailauth_client c = { 0 };
	struct msg_checked answer = msg_checked_unknown;
	struct msg_check q;
	struct arena a;
	struct buf head; /* the answer may point into it */

	limit_cpu();
	if (!msg_unpack_check(m, &q) || !client_of(&q, &c)) {
		LOG_ERROR("check.message", F_INT("type", m->type));
		check_refuse(chan, m->id);
		return;
	}
	log_set_sid(q.sid);
	arena_init(&a, MAILAUTH_ARENA + 6 * CHECK_MAX_HEADER);
	buf_init(&head, CHECK_MAX_HEADER + 2 * CHUNK);
	if (m->type != MSG_CHECK)
		answer_envelope(s, &a, &c, m->type, &answer);
	else if (m->nfds == 1)
		answer_message(s, &a, &c, m->fds[0], &q, &head, &answer);
	watch_cpu(false);
	send_answer(chan, m->id, &answer);
	buf_release(&head);
	arena_release(&a);
}
