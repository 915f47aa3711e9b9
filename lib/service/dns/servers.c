/*
 * servers - which name servers are asked, in what order and for how long, and
 * whether their word that an answer is authentic counts.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "service/dns/dns_int.h"
#include "system/fs/fs.h"

static unsigned
count_servers(ares_channel channel)
{
	struct ares_addr_node *servers = NULL, *s;
	unsigned n = 0;

	if (ares_get_servers(channel, &servers) != ARES_SUCCESS)
		return 0;
	for (s = servers; s != NULL; s = s->next)
		n++;
	ares_free_data(servers);
	return n;
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

static bool
next_word(struct str *line, struct str *word)
{
	size_t n = 0;

	*line = str_trim(*line);
	while (n < line->n && !str_has(STR(" \t"), line->p[n]))
		n++;
	*word = str_sub(*line, 0, n);
	*line = str_sub(*line, n, line->n);
	return n > 0;
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
			while (next_word(&line, &word))
				if (str_eq(word, STR("trust-ad")))
					found = true;
		}
	}
	buf_release(&b);
	return found;
}

/*
 * c-ares asks every server in turn and doubles the time each round. Of one, we
 * give up before it does; of several, all rounds fit in.
 */
static void
set_tries(struct ares_options *opt, unsigned timeout_ms, unsigned n)
{
	uint64_t round = timeout_ms / DNS_TRIES;

	opt->tries = DNS_TRIES;
	if (n > 1 && round > DNS_FIRST_TRY_MS) {
		round = DNS_FIRST_TRY_MS;
		opt->tries = 1;
		while (n * round * ((2u << opt->tries) - 1) <= timeout_ms)
			opt->tries++;
	}
	opt->timeout = (int)round;
}

/*
 * NOCHECKRESP: a SERVFAIL comes back as an answer, else a bogus name could
 * not be told from a broken server. EDNS with our size: else every answer
 * above 512 octets would be asked for again by TCP.
 */
static int
open_channel(const struct dns *d, const struct dns_opts *o, int flags,
    unsigned n_servers, ares_channel *out, struct err *e)
{
	struct ares_options opt = {
		.flags = flags | ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH |
			 ARES_FLAG_NOALIASES,
		.ednspsz = DNS_UDP_SIZE,
	};
	int rc;

	set_tries(&opt, d->timeout_ms, n_servers);
	rc = ares_init_options(out, &opt,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		ARES_OPT_EDNSPSZ);
	if (rc == ARES_SUCCESS && o->servers != NULL)
		rc = ares_set_servers_ports_csv(*out, o->servers);
	if (rc != ARES_SUCCESS)
		return err_set(e, ERR_PERM, "resolver %s: %s",
		    o->servers == NULL ? "" : o->servers, ares_strerror(rc));
	return 0;
}

/* Only c-ares knows how many servers resolv.conf gives, and takes the length
 * of tries only with them. */
static int
open_channels(struct dns *d, const struct dns_opts *o, struct err *e)
{
	const int flags = ARES_FLAG_NOCHECKRESP;
	unsigned n;

	if (open_channel(d, o, flags, 1, &d->channel, e) == -1)
		return -1;
	if ((n = count_servers(d->channel)) <= 1)
		return 0;
	ares_destroy(d->channel);
	d->channel = NULL;
	if (open_channel(d, o, flags, n, &d->channel, e) == -1)
		return -1;
	return open_channel(d, o, 0, n, &d->others, e);
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
	    o->timeout_ms == 0 ? DNS_TRIES * DNS_TIMEOUT_MS : o->timeout_ms;
	if (open_channels(d, o, e) == -1) {
		dns_free(&d);
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
	if (d->channel != NULL)
		ares_destroy(d->channel);
	if (d->others != NULL)
		ares_destroy(d->others);
	ares_library_cleanup();
	dns_cache_clear(d);
	free(d);
}

bool
dns_is_trusted(const struct dns *d)
{
	return d->is_trusted;
}

void
dns_demote_first(struct dns *d)
{
	struct ares_addr_port_node *servers = NULL, *s;

	d->is_first_slow = false;
	if (d->others == NULL ||
	    ares_get_servers_ports(d->channel, &servers) != ARES_SUCCESS)
		return;
	for (s = servers; s->next != NULL; s = s->next)
		;
	s->next = servers;
	s = servers;
	servers = s->next;
	s->next = NULL;
	(void)ares_set_servers_ports(d->channel, servers);
	(void)ares_set_servers_ports(d->others, servers);
	ares_free_data(servers);
}
