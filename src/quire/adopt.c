#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/adopt.h"
#include "tools.h"

/* quire adopt: a line for each mailbox and each problem, and one of all. */

struct report {
	bool json, is_first;
	struct adopt_opts opts;
	struct str account; /* empty: a directory was named */
	uint64_t mailboxes, messages, problems;
};

static void
put_name(struct buf *b, bool json, struct str s)
{
	if (json)
		tool_json_string(b, s);
	else
		tool_plain(b, s);
}

static void
put_key(struct buf *b, bool json, const char *key)
{
	bool first = b->n > 0 && b->p[b->n - 1] == '{';

	if (json)
		buf_printf(b, "%s\"%s\":", first ? "" : ",", key);
	else
		buf_printf(b, " %s=", key);
}

static void
put_count(struct buf *b, bool json, const char *key, uint64_t n)
{
	put_key(b, json, key);
	buf_put_uint(b, n);
}

static void
put_word(struct buf *b, bool json, const char *key, struct str s)
{
	put_key(b, json, key);
	put_name(b, json, s);
}

/* What may be no UTF-8: a file's name. */
static void
put_file(struct buf *b, bool json, const char *file)
{
	char *clean = xstrdup(file), *p;

	for (p = clean; *p != '\0'; p++)
		if (json && (unsigned char)*p >= 0x80)
			*p = '?';
	put_word(b, json, "file", str_from(clean));
	free(clean);
}

static void
put_problem(struct report *r, struct buf *b, const struct adopt_box *box,
    const struct adopt_problem *p)
{
	if (r->json) {
		buf_printf(b, "{\"kind\":\"%s\"", p->kind);
		if (p->file != NULL)
			put_file(b, true, p->file);
		put_word(b, true, "text", str_from(p->text));
		buf_putc(b, '}');
		return;
	}
	buf_puts(b, "problem ");
	tool_plain(b, box->name);
	buf_printf(b, " %s", p->kind);
	if (r->account.n > 0)
		put_word(b, false, "account", r->account);
	if (p->file != NULL)
		put_file(b, false, p->file);
	buf_puts(b, ": ");
	tool_plain(b, str_from(p->text));
	buf_putc(b, '\n');
}

static void
put_problems(struct report *r, struct buf *b, const struct adopt_box *box)
{
	uint64_t n = box->nproblems, i;

	if (r->json)
		buf_puts(b, ",\"problems\":[");
	for (i = 0; i < n && i < ADOPT_PROBLEMS; i++) {
		if (r->json && i > 0)
			buf_putc(b, ',');
		put_problem(r, b, box, &box->problem[i]);
	}
	if (r->json) {
		buf_puts(b, "]");
		put_count(b, true, "problems-found", n);
	} else if (n > ADOPT_PROBLEMS)
		buf_printf(b, "problem %.*s more: %llu others\n",
		    STR_ARG(box->name),
		    (unsigned long long)(n - ADOPT_PROBLEMS));
}

static void
put_box(struct report *r, struct buf *b, const struct adopt_box *box)
{
	bool json = r->json;

	if (json) {
		buf_printf(b, "%s\n{", r->is_first ? "" : ",");
		put_word(b, json, "mailbox", box->name);
	} else {
		buf_puts(b, "mailbox ");
		tool_plain(b, box->name);
	}
	if (r->account.n > 0)
		put_word(b, json, "account", r->account);
	put_word(b, json, "kind", str_from(box->kind));
	put_count(b, json, "messages", box->messages);
	put_count(b, json, "uidvalidity", box->uidvalidity);
	put_count(b, json, "uidnext", box->uidnext);
	put_count(b, json, "uids-kept", box->kept);
	put_count(b, json, "uids-new", box->fresh);
	put_count(b, json, "files-gone", box->gone);
	put_count(b, json, "keywords", box->keywords);
	put_count(b, json, "compressed", box->compressed);
	put_count(b, json, "renames", box->renames);
	put_word(
	    b, json, "subscribed", box->is_subscribed ? STR("yes") : STR("no"));
	if (!json)
		buf_putc(b, '\n');
	put_problems(r, b, box);
	if (json)
		buf_putc(b, '}');
}

static void
tell(void *arg, const struct adopt_box *box)
{
	struct report *r = arg;
	struct buf b;

	buf_init(&b, 1 << 16);
	put_box(r, &b, box);
	fputs(buf_cstr(&b), stdout);
	buf_release(&b);
	r->is_first = false;
	r->mailboxes++;
	r->messages += box->messages;
	r->problems += box->nproblems;
}

static void
put_totals(const struct report *r)
{
	struct buf b;

	buf_init(&b, 1 << 12);
	if (r->json)
		buf_puts(&b, "],\n");
	else
		buf_puts(&b, r->opts.dry_run ? "would adopt" : "adopted");
	if (r->json)
		buf_printf(
		    &b, "\"dry-run\":%s", r->opts.dry_run ? "true" : "false");
	put_count(&b, r->json, "mailboxes", r->mailboxes);
	put_count(&b, r->json, "messages", r->messages);
	put_count(&b, r->json, "problems", r->problems);
	puts(buf_cstr(&b));
	if (r->json)
		puts("}");
	buf_release(&b);
}

static int
adopt_dir(struct report *r, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct owner was;
	struct err e = { 0 };

	if (fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	rc = owner_begin(&was, fd, path);
	if (rc == 0) {
		if (store_adopt(fd, &r->opts, tell, r, &e) == -1)
			rc = quire_fail(EX_NOINPUT, "%s: %s", path, e.text);
		owner_end(&was);
	}
	close(fd);
	return rc;
}

static int
adopt_account(struct report *r, const struct config_account *a)
{
	char *path = str_dup(a->maildir);
	int rc;

	r->account = a->name;
	/* no mail has come yet: there is nothing to adopt */
	rc = access(path, F_OK) == -1 && errno == ENOENT ? 0 :
							   adopt_dir(r, path);
	free(path);
	return rc;
}

static int
adopt_accounts(struct quire *q, struct report *r, char **names, int n)
{
	const struct config_account *a;
	char *hostname;
	int rc = quire_open_dir(q), worst = 0, i;

	if (rc != 0 || (rc = quire_config(q)) != 0)
		return rc;
	hostname = str_dup(q->config->hostname);
	r->opts.hostname = hostname;
	for (i = 0; i < n && worst == 0; i++)
		if (config_account(q->config, str_from(names[i])) == NULL)
			worst = quire_fail(
			    EX_NOUSER, "%s: no such account", names[i]);
	for (i = 0; i < n && worst == 0; i++)
		worst = adopt_account(
		    r, config_account(q->config, str_from(names[i])));
	for (a = q->config->accounts; n == 0 && a != NULL; a = a->next) {
		rc = adopt_account(r, a);
		worst = rc != 0 ? rc : worst;
	}
	free(hostname);
	return worst;
}

int
cmd_adopt(struct quire *q, int argc, char **argv)
{
	struct report r = { .is_first = true };
	char host[256] = "localhost", **names = argv;
	const char *dir = NULL;
	int i, n = 0, rc;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--dry-run") == 0)
			r.opts.dry_run = true;
		else if (strcmp(argv[i], "--json") == 0)
			r.json = true;
		else if (strcmp(argv[i], "--maildir") == 0 && i + 1 < argc)
			dir = argv[++i];
		else if (argv[i][0] != '-')
			names[n++] = argv[i];
		else
			n = -argc;
	if (n < 0 || (dir != NULL && n > 0))
		return quire_fail(EX_USAGE,
		    "usage: quire adopt [--dry-run] [--json] "
		    "[--maildir DIR | ACCOUNT...]");
	if (gethostname(host, sizeof(host) - 1) == 0)
		r.opts.hostname = host;
	else
		r.opts.hostname = "localhost";
	if (r.json)
		fputs("{\"found\":[", stdout);
	rc = dir != NULL ? adopt_dir(&r, dir) : adopt_accounts(q, &r, names, n);
	put_totals(&r);
	return rc != 0 ? rc : r.problems > 0 ? 1 : 0;
}
