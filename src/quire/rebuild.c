#include "service/store/rebuild.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "quire.h"
#include "tools.h"

/*
 * quire rebuild: a line for each mailbox, with what stayed and what did not;
 * what no list and no name can say is lost.
 */
struct rebuilding {
	struct quire *quire;
	struct rebuild_opts opts;
	bool json;
	unsigned long n;
};

static void
put(struct buf *b, bool json, const char *key, uint64_t n)
{
	buf_printf(b, json ? ",\"%s\":" : " %s=", key);
	buf_put_uint(b, n);
}

static void
put_word(struct buf *b, bool json, const char *key, const char *word)
{
	buf_printf(b, json ? ",\"%s\":\"%s\"" : " %s=%s", key, word);
}

/* What is only in a journal; more where there is no list either. */
static const char *
lost_of(const struct rebuild_box *b)
{
	return strcmp(b->from, "bare") == 0 ?
		   "uids,uidvalidity,keywords,emailids,savedates,zones,"
		   "expunges" :
		   "savedates,zones,expunges";
}

static void
rebuilt(void *arg, const struct rebuild_box *box)
{
	struct rebuilding *r = arg;
	bool json = r->json;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (json) {
		buf_puts(
		    &b, r->n == 0 ? "\n{\"mailbox\":" : ",\n{\"mailbox\":");
		tool_json_string(&b, box->name);
	} else
		tool_plain(&b, box->name);
	put_word(&b, json, "from", box->from);
	put(&b, json, "messages", box->messages);
	put(&b, json, "uidvalidity", box->uidvalidity);
	put(&b, json, "uidnext", box->uidnext);
	put(&b, json, "uids-kept", box->kept);
	put(&b, json, "uids-new", box->fresh);
	if (box->had_journal) {
		put(&b, json, "uidvalidity-was", box->was_uidvalidity);
		put(&b, json, "renumbered", box->renumbered);
		put(&b, json, "flags-changed", box->reflagged);
		put(&b, json, "files-gone", box->gone);
		put(&b, json, "keywords-lost", box->nkeywords);
	}
	put_word(&b, json, "lost", lost_of(box));
	if (json)
		buf_putc(&b, '}');
	else
		buf_putc(&b, '\n');
	fputs(buf_cstr(&b), stdout);
	r->n++;
	buf_release(&b);
}

static int
rebuild_maildir(void *arg, const struct quire_maildir *m)
{
	struct rebuilding *r = arg;
	struct account_opts opts = quire_account_opts(r->quire, m);
	struct err e;

	if (store_rebuild(m->fd, &opts, &r->opts, rebuilt, r, &e) == -1)
		return quire_fail(EX_DATAERR, "%s: %s", m->path, e.text);
	return 0;
}

static int
parse(struct rebuilding *r, struct quire_places *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "new-uidvalidity", no_argument, NULL, 'v' },
		QUIRE_PLACE_OPTIONS,
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'j':
			r->json = true;
			break;
		case 'v':
			r->opts.new_uidvalidity = true;
			break;
		default:
			if (!quire_place_option(p, c, optarg))
				return EX_USAGE;
		}
	if (p->dir == NULL && optind == argc)
		return quire_fail(
		    EX_USAGE, "say which: an ACCOUNT, or --maildir DIR");
	return 0;
}

int
cmd_rebuild(struct quire *q, int argc, char **argv)
{
	struct rebuilding r = { .quire = q };
	struct quire_places p = { .act = rebuild_maildir, .arg = &r };
	int rc = parse(&r, &p, argc, argv);

	if (rc != 0)
		return rc;
	p.names = argv + optind;
	p.n = p.dir == NULL ? 1 : 0;
	r.opts.names = argv + optind + p.n;
	r.opts.n = argc - optind - p.n;
	if (r.json)
		fputs("{\"rebuilt\":[", stdout);
	rc = quire_maildirs(q, &p);
	if (r.json)
		puts("]}");
	else if (r.opts.new_uidvalidity && r.n > 0)
		puts("# clients load these mailboxes again. Dovecot goes on "
		     "with the new numbers where there\n# was a "
		     "dovecot-uidlist; Courier would number anew once more.");
	return rc;
}
