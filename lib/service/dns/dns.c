#include "service/dns/dns.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/dns/dns_int.h"
#include "system/fs/fs.h"

#define TRIES 3

/* One question under way; then, if need be, one for each step of its chain. */
struct query {
	struct dns *dns;
	struct arena *arena;
	const struct dns_question *q;
	struct dns_answer **out;
	struct dns_answer *answer; /* NULL until there is one */
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

/* Is every server one that only this machine reaches? */
static bool
all_loopback(ares_channel channel)
{
	struct ares_addr_node *servers = NULL, *s;
	bool all;

	if (ares_get_servers(channel, &servers) != ARES_SUCCESS)
		return false;
	all = servers != NULL;
	for (s = servers; s != NULL; s = s->next) {
		const unsigned char *ip = (const unsigned char *)&s->addr;
		static const unsigned char one[16] = { [15] = 1 };

		if (s->family == AF_INET ? ip[0] != 127 :
					   memcmp(ip, one, 16) != 0)
			all = false;
	}
	ares_free_data(servers);
	return all;
}

/* c-ares passes over `options trust-ad`; glibc and we do not. */
static bool
resolv_conf_trusts(void)
{
	struct buf b;
	struct str text, line, word;
	bool found = false;
	struct err e;

	buf_init(&b, 65536);
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", &b, &e) == 0) {
		text = buf_str(&b);
		while (text.n > 0) {
			str_cut(&text, '\n', &line);
			if (!str_starts(line, STR("options")))
				continue;
			while (line.n > 0) {
				str_cut(&line, ' ', &word);
				if (str_eq(str_trim(word), STR("trust-ad")))
					found = true;
			}
		}
	}
	buf_release(&b);
	return found;
}

/*
 * NOCHECKRESP: a SERVFAIL comes back as an answer, else a bogus name could
 * not be told from a broken server. EDNS with our size: else every answer
 * above 512 octets would be asked for again by TCP.
 */
static int
open_channel(struct dns *d, const struct dns_opts *o, struct err *e)
{
	struct ares_options opt = {
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS |
			 ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)(d->timeout_ms / TRIES),
		.tries = TRIES,
		.ednspsz = DNS_UDP_SIZE,
	};
	int rc;

	rc = ares_init_options(&d->channel, &opt,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		ARES_OPT_EDNSPSZ);
	if (rc == ARES_SUCCESS && o->servers != NULL)
		rc = ares_set_servers_ports_csv(d->channel, o->servers);
	if (rc != ARES_SUCCESS)
		return err_set(e, ERR_PERM, "resolver %s: %s",
		    o->servers == NULL ? "" : o->servers, ares_strerror(rc));
	return 0;
}

int
dns_new(struct dns **out, const struct dns_opts *o, struct err *e)
{
	struct dns *d;
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	if (rc != ARES_SUCCESS)
		return err_set(e, ERR_TEMP, "c-ares: %s", ares_strerror(rc));
	d = xcalloc(1, sizeof(*d));
	d->hooks = o->hooks;
	d->watched = -1;
	d->timeout_ms =
	    o->timeout_ms == 0 ? TRIES * DNS_TIMEOUT_MS : o->timeout_ms;
	if (open_channel(d, o, e) == -1) {
		free(d);
		return -1;
	}
	d->is_trusted = o->trust_ad || all_loopback(d->channel) ||
			(o->servers == NULL && resolv_conf_trusts());
	*out = d;
	return 0;
}

void
dns_free(struct dns **dp)
{
	struct dns *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	ares_destroy(d->channel);
	ares_library_cleanup();
	dns_cache_clear(d);
	free(d);
}

bool
dns_is_trusted(const struct dns *d)
{
	return d->is_trusted;
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
ask(struct query *query, const struct dns_question *q)
{
	struct buf b;
	bool ok;

	buf_init(&b, 1024);
	/* c-ares keeps the id we put in; its own are predictable enough */
	fs_random(&query->id, sizeof(query->id));
	ok = dnsmsg_query(&b, query->id, q, 0);
	if (ok)
		ares_send(query->dns->channel, (const unsigned char *)b.p,
		    (int)b.n, answered, query);
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
			if (!ask(query, &query->step))
				break;
			return;
		}
		if (!is_step(query, known))
			break;
		an->n_secure++;
	}
	finish(query);
}

static struct dns_answer *
read_answer(const struct query *query, const struct dns_question *q, int status,
    const unsigned char *p, int n)
{
	struct dns_answer *r = failure(query->arena);
	struct dnsmsg m;

	if (status == ARES_SUCCESS && n > 0 &&
	    dnsmsg_parse(
		query->arena, str_make((const char *)p, (size_t)n), &m, NULL) &&
	    dnsmsg_answers(&m, query->id, q))
		dnsmsg_result(query->arena, &m, q, query->dns->is_trusted, r);
	return r;
}

/* Called by c-ares, also from within ares_send() and ares_cancel(). */
static void
answered(void *arg, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct query *query = arg;
	bool is_step_of = query->answer != NULL;
	struct dns_answer *r = read_answer(
	    query, is_step_of ? &query->step : query->q, status, abuf, alen);

	if (!is_step_of) {
		query->answer = r;
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
	query = xcalloc(1, sizeof(*query));
	*query = (struct query){ .dns = d,
		.arena = a,
		.q = q,
		.out = out,
		.begun = date_mono_ms() };
	d->n_under_way++;
	if (ask(query, q))
		return;
	d->n_under_way--;
	free(query);
	*out = failure(a);
	(*out)->status = DNS_NXDOMAIN; /* no such name can exist */
}

/* Wait for the channel's sockets once, at most until the deadline. */
static void
turn(struct dns *d, int64_t deadline)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	struct pollfd p[ARES_GETSOCK_MAXNUM + 1];
	int bits = ares_getsock(d->channel, socks, ARES_GETSOCK_MAXNUM), i;
	struct timeval max, tv, *left;
	int64_t now = date_mono_ms(), ms = deadline > now ? deadline - now : 0;
	nfds_t n = 0;

	max.tv_sec = (time_t)(ms / 1000);
	max.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	left = ares_timeout(d->channel, &max, &tv);
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
	/* hanging up is told whatever is asked for; -1 is passed over */
	p[n] = (struct pollfd){ .fd = d->watched };
	(void)poll(p, n + 1,
	    (int)(left->tv_sec * 1000 + (left->tv_usec + 999) / 1000));
	if (d->watched != -1 && (p[n].revents & (POLLHUP | POLLERR)) != 0) {
		d->watched = -1;
		d->gone();
	}
	/* sockets close and open while we go through them: c-ares checks */
	for (i = 0; i < (int)n; i++)
		ares_process_fd(d->channel,
		    (p[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 ?
			p[i].fd :
			ARES_SOCKET_BAD,
		    (p[i].revents & POLLOUT) != 0 ? p[i].fd : ARES_SOCKET_BAD);
	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
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
	if (d->n_under_way > 0)
		ares_cancel(d->channel); /* each gets its failure now */
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
