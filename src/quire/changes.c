#include "service/store/changes.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "quire.h"
#include "tools.h"

/*
 * quire changes: what changed in an account since a token that an earlier
 * call printed; a line for each change, and one with the next token.
 */
#define UNKNOWN	 1 /* exit status: look at everything */
#define WAIT_MAX 86400

struct watching {
	struct quire *quire;
	const char *token;
	uint64_t wait_s;
	bool json;
};

static void
put_line(struct buf *b, const struct change *c)
{
	buf_puts(b, change_word(c->kind));
	if (c->kind == CHANGED_MAILBOX)
		buf_printf(b, " since=%llu", (unsigned long long)c->since);
	if (c->kind != CHANGED_TREE && c->kind != CHANGED_SUBSCRIBED &&
	    c->kind != CHANGED_UNSUBSCRIBED) {
		buf_puts(b, " id=");
		buf_put_hex(b, c->mailboxid, 16);
	}
	if (c->old_name[0] != '\0') {
		buf_puts(b, " from=");
		tool_plain(b, str_from(c->old_name));
	}
	/* last: it may have spaces */
	if (c->name[0] != '\0') {
		buf_puts(b, " name=");
		tool_plain(b, str_from(c->name));
	}
	buf_putc(b, '\n');
}

static void
put_json(struct buf *b, const struct change *c)
{
	buf_printf(b, "{\"change\":\"%s\"", change_word(c->kind));
	if (c->name[0] != '\0') {
		buf_puts(b, ",\"name\":");
		tool_json_string(b, str_from(c->name));
	}
	if (c->old_name[0] != '\0') {
		buf_puts(b, ",\"from\":");
		tool_json_string(b, str_from(c->old_name));
	}
	if (c->kind == CHANGED_MAILBOX)
		buf_printf(b, ",\"since\":%llu", (unsigned long long)c->since);
	buf_puts(b, ",\"id\":\"");
	buf_put_hex(b, c->mailboxid, 16);
	buf_puts(b, "\"}");
}

static void
print(const struct watching *w, const struct changes *c)
{
	struct buf b;
	size_t i;

	if (w->json)
		printf("{\"unknown\":%s,\"token\":\"%s\",\"changes\":[",
		    c->is_unknown ? "true" : "false", c->token);
	else if (c->is_unknown)
		puts("unknown");
	for (i = 0; i < c->n; i++) {
		buf_init(&b, 1 << 16);
		if (w->json)
			put_json(&b, &c->v[i]);
		else
			put_line(&b, &c->v[i]);
		printf("%s%s", w->json && i > 0 ? ",\n" : "", buf_cstr(&b));
		buf_release(&b);
	}
	if (w->json)
		puts("]}");
	else if (c->token[0] != '\0')
		printf("token %s\n", c->token);
}

static int
changes_of(void *arg, const struct quire_maildir *m)
{
	struct watching *w = arg;
	struct account_opts opts = quire_account_opts(w->quire, m);
	struct account *a;
	struct changes c;
	struct err e;
	int rc;

	if (account_open(&a, m->fd, &opts, &e) == -1)
		return quire_fail(EX_DATAERR, "%s: %s", m->path, e.text);
	rc = changes_wait(a, w->token, (int)(w->wait_s * 1000), &c, &e);
	if (rc == -1)
		rc = quire_fail(EX_IOERR, "%s: %s", m->path, e.text);
	else {
		print(w, &c);
		rc = c.is_unknown ? UNKNOWN : 0;
		changes_release(&c);
	}
	account_close(&a);
	return rc;
}

static int
parse(struct watching *w, struct quire_places *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "since", required_argument, NULL, 's' },
		{ "wait", required_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		QUIRE_PLACE_OPTIONS,
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's':
			w->token = optarg;
			break;
		case 'w':
			if (!str_uint(str_from(optarg), WAIT_MAX, &w->wait_s))
				return quire_fail(EX_USAGE,
				    "--wait takes seconds, up to %d", WAIT_MAX);
			break;
		case 'j':
			w->json = true;
			break;
		default:
			if (!quire_place_option(p, c, optarg))
				return EX_USAGE;
		}
	p->names = argv + optind;
	p->n = argc - optind;
	if (p->n != (p->dir == NULL ? 1 : 0))
		return quire_fail(
		    EX_USAGE, "give one account, or --maildir DIR");
	return 0;
}

int
cmd_changes(struct quire *q, int argc, char **argv)
{
	struct watching w = { .quire = q };
	struct quire_places places = { .act = changes_of, .arg = &w };
	int rc = parse(&w, &places, argc, argv);

	return rc != 0 ? rc : quire_maildirs(q, &places);
}
