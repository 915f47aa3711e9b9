/* Is it the first message of its sender, and how long would that take? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "explain.h"
#include "service/store/account.h"
#include "service/store/senders.h"

struct look {
	struct sender sender;
	bool is_read, is_known;
	int64_t day;
};

static int
look(void *arg, const struct quire_maildir *m)
{
	struct look *l = arg;
	const struct account_opts opts = { .hostname = "localhost",
		.readonly = true,
		.is_fs = m->is_fs,
		.indexfd = m->indexfd };
	struct account *a;
	struct err e;

	if (account_open(&a, m->fd, &opts, &e) == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", m->path, e.text);
	l->is_known = senders_has(a, &l->sender, date_now(), &l->day);
	l->is_read = true;
	account_close(&a);
	return 0;
}

static void
ask(struct explain *x, const struct config_account *a, struct look *l)
{
	char *dir = str_dup(a->maildir);
	char *index = a->layout == LAYOUT_FS ? str_dup(a->index_root) : NULL;
	const struct quire_places places = { .dir = dir,
		.index = index,
		.is_look = true,
		.act = look,
		.arg = l };

	if (access(dir, F_OK) == -1 && errno == ENOENT)
		l->is_read = true; /* no mail has come yet */
	else
		(void)quire_maildirs(x->quire, &places);
	free(dir);
	free(index);
}

/* "2000 ms at listener a, 15000 ms at listener b" */
static void
put_delays(struct buf *b, const struct config *c)
{
	const struct config_listener *l;
	size_t i, n = 0;

	for (i = 0; i < c->nlisteners; i++) {
		l = &c->listeners[i];
		if (l->ports[SERVICE_SMTP] == 0 || l->no_limits ||
		    l->first_time_ms == 0)
			continue;
		buf_printf(b, "%s%llu ms at listener %.*s",
		    n++ == 0 ? "waits " : ", ",
		    (unsigned long long)l->first_time_ms, STR_ARG(l->name));
	}
	if (n == 0)
		buf_puts(b, "no listener lets it wait");
}

static void
explain_known(struct explain *x, const struct config_account *a,
    const struct mailauth_result *r, const struct look *l)
{
	struct date d;

	date_from_seconds(&d, l->day * 86400, 0);
	explain_step(x, "first", "known",
	    "%.*s has written to account %.*s before, last noted on "
	    "%04d-%02d-%02d",
	    STR_ARG(r->author), STR_ARG(a->name), d.year, d.month, d.day);
}

static void
explain_account(struct explain *x, const struct config_account *a,
    const struct mailauth_result *r)
{
	bool is_confirmed = mailauth_alignment(r) == MAILAUTH_ALIGNED;
	struct look l = { 0 };
	struct buf delays;

	if (!a->delays_first_time) {
		explain_step(x, "first", "exempt",
		    "account %.*s lets no sender wait", STR_ARG(a->name));
		return;
	}
	sender_init(&l.sender, r->author, is_confirmed);
	if (r->author.n > 0)
		ask(x, a, &l);
	if (l.is_known) {
		explain_known(x, a, r, &l);
		return;
	}
	buf_init(&delays, 8192);
	put_delays(&delays, x->config);
	if (r->author.n == 0)
		explain_step(x, "first", "unknown",
		    "From names no one author: %s", buf_cstr(&delays));
	else if (!l.is_read)
		explain_step(x, "first", "unread",
		    "whom account %.*s knows cannot be read; if it does not "
		    "know %.*s: %s",
		    STR_ARG(a->name), STR_ARG(r->author), buf_cstr(&delays));
	else
		explain_step(x, "first", "unknown",
		    "%.*s (%sconfirmed) has not written to account %.*s: %s",
		    STR_ARG(r->author), is_confirmed ? "" : "not ",
		    STR_ARG(a->name), buf_cstr(&delays));
	buf_release(&delays);
}

/* Each account once, however many addresses of it are named. */
void
explain_first(struct explain *x, const struct mailauth_result *r)
{
	const struct config_account *v[EXPLAIN_MAX_RCPTS];
	size_t i, k, n = 0;

	for (i = 0; i < x->n_rcpts && x->config != NULL; i++) {
		if (config_find(x->config, x->rcpt[i].local, x->rcpt[i].domain,
			&v[n]) != RCPT_OK)
			continue;
		for (k = 0; v[k] != v[n]; k++)
			;
		if (k < n)
			continue;
		explain_account(x, v[n++], r);
	}
}
