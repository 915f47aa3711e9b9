#include <getopt.h>
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
	} else if (n > ADOPT_PROBLEMS) {
		buf_puts(b, "problem ");
		tool_plain(b, box->name);
		buf_printf(b, " more: %llu others\n",
		    (unsigned long long)(n - ADOPT_PROBLEMS));
	}
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
adopt_maildir(void *arg, const struct quire_maildir *m)
{
	struct report *r = arg;
	struct err e = { 0 };

	r->account = m->account == NULL ? STR("") : m->account->name;
	r->opts.is_fs = m->is_fs;
	r->opts.indexfd = m->indexfd;
	if (store_adopt(m->fd, &r->opts, tell, r, &e) == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", m->path, e.text);
	return 0;
}

static int
parse(struct report *r, struct quire_places *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		QUIRE_PLACE_OPTIONS,
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'n':
			r->opts.dry_run = p->is_look = true;
			break;
		case 'j':
			r->json = true;
			break;
		default:
			if (!quire_place_option(p, c, optarg))
				return EX_USAGE;
		}
	p->names = argv + optind;
	p->n = argc - optind;
	if (p->dir != NULL ? p->n > 0 : p->index != NULL)
		return quire_fail(EX_USAGE,
		    "usage: quire adopt [--dry-run] [--json] [--maildir DIR "
		    "[--index-root DIR] | ACCOUNT...]");
	return 0;
}

int
cmd_adopt(struct quire *q, int argc, char **argv)
{
	struct report r = { .is_first = true, .opts.hostname = q->hostname };
	struct quire_places places = { .act = adopt_maildir, .arg = &r };
	int rc = parse(&r, &places, argc, argv);

	if (rc != 0)
		return rc;
	if (r.json)
		fputs("{\"found\":[", stdout);
	rc = quire_maildirs(q, &places);
	put_totals(&r);
	return rc != 0 ? rc : r.problems > 0 ? 1 : 0;
}
