/*
 * dns - asking: questions go out together, a chain of names is followed for
 * what is authentic in it, and whoever waits is told in time. Whom is asked:
 * servers.c.
 */
#include "service/dns/dns.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#include <ares.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/dns/dns_int.h"
#include "system/fs/fs.h"

/* One question under way; then, if need be, one for each step of its chain. */
struct query {
	struct dns *dns;
	struct arena *arena;
	const struct dns_question *q;
	struct dns_answer **out;
	struct dns_answer *answer; /* NULL until there is one */
	struct dns_answer *first;  /* not usable; others are asked */
	struct dns_question step;
	uint16_t id;
	int64_t begun; /* monotonic ms */
};

static struct dns_answer *
failure(struct arena *a)
{
	struct dns_answer *r = arena_zalloc(a, sizeof(*r));

	r->status = DNS_TEMPFAIL;
	r->ede = -1;
	return r;
}

static void
tell(const struct query *query, const struct dns_answer *r)
{
	const struct hooks *h = query->dns->hooks;
	int64_t ms = date_mono_ms() - query->begun;

	hook_count(h, "dns_answers", dns_status_name(r->status));
	hook_took(h, "dns_answer_ms", dns_type_name(query->q->type), ms);
	hook_log(h, HOOK_DEBUG, "dns", "%s %.*s: %s in %lld ms",
	    dns_type_name(query->q->type), STR_ARG(query->q->name),
	    dns_status_name(r->status), (long long)ms);
}

static void
finish(struct query *query)
{
	struct dns_answer *r = query->answer;

	dns_cache_put(query->dns, query->q, r);
	tell(query, r);
	*query->out = r;
	query->dns->n_under_way--;
	free(query);
}

static void answered(void *, int, int, unsigned char *, int);

/* false: there can be no such name. The query may be gone when it returns. */
static bool
ask(struct query *query, ares_channel channel, const struct dns_question *q)
{
	struct buf b;
	bool ok;

	buf_init(&b, 1024);
	/* c-ares keeps the id we put in; its own are predictable enough */
	fs_random(&query->id, sizeof(query->id));
	ok = dnsmsg_query(&b, query->id, q, 0);
	if (ok)
		ares_send(channel, (const unsigned char *)b.p, (int)b.n,
		    answered, query);
	buf_release(&b);
	return ok;
}

/*
 * Is the next step what the chain says, and authentic? A resolver that is
 * trusted says AD of it then; one that names another target now, or does not
 * answer, leaves it at what was known.
 */
static bool
is_step(const struct query *query, const struct dns_answer *r)
{
	const struct dns_answer *an = query->answer;

	return r->is_secure && r->n == 1 &&
	       dns_name_eq(r->v[0].name, an->chain[an->n_secure].name);
}

static void
next_step(struct query *query)
{
	struct dns_answer *an = query->answer, *known;

	while (an->n_secure < an->n_chain) {
		query->step = (struct dns_question){ DNS_CNAME,
			an->chain[an->n_secure].owner };
		known = dns_cache_get(query->dns, query->arena, &query->step);
		if (known == NULL) {
			if (!ask(query, query->dns->channel, &query->step))
				break;
			return;
		}
		if (!is_step(query, known))
			break;
		an->n_secure++;
	}
	finish(query);
}

/* The message is unpacked apart: of a thousand records each may bring its
 * owner's name, which nobody wants to know again. */
static struct dns_answer *
read_answer(const struct query *query, const struct dns_question *q, int status,
    const unsigned char *p, int n)
{
	struct dns_answer found, *r = NULL;
	struct arena scratch;
	struct dnsmsg m;
	size_t i;

	arena_init(&scratch, DNSMSG_ARENA_MAX);
	if (status == ARES_SUCCESS && n > 0 &&
	    dnsmsg_parse(
		&scratch, str_make((const char *)p, (size_t)n), &m, NULL) &&
	    dnsmsg_answers(&m, query->id, q)) {
		dnsmsg_result(&scratch, &m, q, query->dns->is_trusted, &found);
		for (i = 0; i < found.n; i++)
			found.v[i].owner = STR("");
		if (dns_answer_size(&found) <= DNS_ANSWER_MAX)
			r = dns_answer_copy(query->arena, &found);
	}
	arena_release(&scratch);
	return r != NULL ? r : failure(query->arena);
}

/*
 * A server that has no usable answer is not the last word if there are others.
 * One that says that validation failed is: a resolver that validates nothing
 * would believe the forgery.
 */
static bool
ask_others(struct query *query, int status, struct dns_answer *r)
{
	if (query->dns->others == NULL || query->first != NULL ||
	    status != ARES_SUCCESS || r->status != DNS_TEMPFAIL)
		return false;
	query->first = r;
	return ask(query, query->dns->others, query->q);
}

/* A server that is there takes its time for some names only: it is slow if
 * nothing was answered in time while this was waited for. */
static void
see_time(struct dns *d, const struct query *query, int status, int timeouts)
{
	if (timeouts == 0 && status == ARES_SUCCESS)
		d->in_time = date_mono_ms();
	else if (timeouts > 0 && d->in_time < query->begun)
		d->is_first_slow = true;
}

/* Called by c-ares, also from within ares_send() and ares_cancel(). */
static void
answered(void *arg, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct query *query = arg;
	bool is_step_of = query->answer != NULL;
	struct dns_answer *r = read_answer(
	    query, is_step_of ? &query->step : query->q, status, abuf, alen);

	see_time(query->dns, query, status, timeouts);
	if (!is_step_of && ask_others(query, status, r))
		return;
	if (!is_step_of) {
		query->answer =
		    query->first != NULL && dns_failed(r) ? query->first : r;
		r = query->answer;
		if (query->dns->is_trusted && !r->is_secure && !dns_failed(r))
			next_step(query);
		else
			finish(query);
		return;
	}
	dns_cache_put(query->dns, &query->step, r);
	if (is_step(query, r)) {
		query->answer->n_secure++;
		next_step(query);
	} else
		finish(query);
}

void
dns_send(struct dns *d, struct arena *a, const struct dns_question *q,
    struct dns_answer **out)
{
	struct query *query;

	*out = d->n_under_way >= DNS_MAX_QUESTIONS ? failure(a) :
						     dns_cache_get(d, a, q);
	if (*out != NULL) {
		hook_count(d->hooks, "dns_answers", "cached");
		return;
	}
	if (d->is_first_slow && d->n_under_way == 0)
		dns_demote_first(d);
	query = xcalloc(1, sizeof(*query));
	*query = (struct query){ .dns = d,
		.arena = a,
		.q = q,
		.out = out,
		.begun = date_mono_ms() };
	d->n_under_way++;
	if (ask(query, d->channel, q))
		return;
	d->n_under_way--;
	free(query);
	*out = failure(a);
	(*out)->status = DNS_NXDOMAIN; /* no such name can exist */
}

/* A channel's sockets into p; how many. *left becomes its next deadline. */
static nfds_t
sockets_of(ares_channel channel, struct pollfd *p, struct timeval *left)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	int bits = ares_getsock(channel, socks, ARES_GETSOCK_MAXNUM), i;
	struct timeval max = *left, tv;
	nfds_t n = 0;

	*left = *ares_timeout(channel, &max, &tv);
	/* c-ares' own macros shift a signed 1 by 31 */
	for (i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		unsigned readable = (unsigned)bits >> i & 1;
		unsigned writable =
		    (unsigned)bits >> (i + ARES_GETSOCK_MAXNUM) & 1;
		short events =
		    (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));

		if (events != 0)
			p[n++] =
			    (struct pollfd){ .fd = socks[i], .events = events };
	}
	return n;
}

/* Sockets close and open while we go through them: c-ares checks. */
static void
process(ares_channel channel, const struct pollfd *p, nfds_t n)
{
	nfds_t i;

	for (i = 0; i < n; i++)
		ares_process_fd(channel,
		    (p[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 ?
			p[i].fd :
			ARES_SOCKET_BAD,
		    (p[i].revents & POLLOUT) != 0 ? p[i].fd : ARES_SOCKET_BAD);
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* Wait for the sockets once, at most until the deadline. */
static void
turn(struct dns *d, int64_t deadline)
{
	struct pollfd p[2 * ARES_GETSOCK_MAXNUM + 1];
	int64_t now = date_mono_ms(), ms = deadline > now ? deadline - now : 0;
	struct timeval left = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	nfds_t n = sockets_of(d->channel, p, &left), n_first = n;

	if (d->others != NULL)
		n += sockets_of(d->others, p + n, &left);
	/* hanging up is told whatever is asked for; -1 is passed over */
	p[n] = (struct pollfd){ .fd = d->watched };
	(void)poll(
	    p, n + 1, (int)(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000));
	if (d->watched != -1 && (p[n].revents & (POLLHUP | POLLERR)) != 0) {
		d->watched = -1;
		d->gone();
	}
	process(d->channel, p, n_first);
	if (d->others != NULL)
		process(d->others, p + n_first, n - n_first);
}

void
dns_wait(struct dns *d, int64_t deadline)
{
	size_t before = d->n_under_way;

	while (d->n_under_way > 0 && d->n_under_way == before &&
	       date_mono_ms() < deadline)
		turn(d, deadline);
}

void
dns_watch(struct dns *d, int fd, void (*gone)(void))
{
	d->watched = fd;
	d->gone = gone;
}

void
dns_cancel(struct dns *d)
{
	if (d->n_under_way == 0)
		return;
	ares_cancel(d->channel); /* each gets its failure now */
	if (d->others != NULL)
		ares_cancel(d->others);
}

void
dns_ask(struct dns *d, struct arena *a, const struct dns_question *q, size_t n,
    struct dns_answer **out)
{
	int64_t deadline = date_mono_ms() + d->timeout_ms;
	size_t i;

	assert(d->n_under_way == 0);
	for (i = 0; i < n; i++)
		dns_send(d, a, &q[i], &out[i]);
	while (d->n_under_way > 0 && date_mono_ms() < deadline)
		dns_wait(d, deadline);
	dns_cancel(d);
}

const struct dns_answer *
dns_lookup(struct dns *d, struct arena *a, const struct dns_question *q)
{
	struct dns_answer *out;

	dns_ask(d, a, q, 1, &out);
	return out;
}
