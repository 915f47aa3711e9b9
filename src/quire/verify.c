#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/utf8.h"
#include "service/store/verify.h"
#include "tools.h"

/* quire verify: a line for each finding, and one of what was checked */

static const char *const severities[] = { "note", "warning", "error" };

struct report {
	bool json;
	struct str account; /* empty: a directory was named */
	struct verify_totals totals;
	unsigned long n;
};

static void
put_string(struct buf *b, const char *key, struct str s)
{
	char *clean;
	size_t i;

	buf_printf(b, ",\"%s\":", key);
	if (utf8_valid(s)) {
		tool_json_string(b, s);
		return;
	}
	/* JSON has no bytes: what is no UTF-8 can only be hinted at */
	clean = str_dup(s);
	for (i = 0; i < s.n; i++)
		if ((unsigned char)clean[i] >= 0x80)
			clean[i] = '?';
	tool_json_string(b, str_make(clean, s.n));
	free(clean);
}

static void
put_json(struct report *r, struct buf *b, const struct verify_finding *f)
{
	buf_printf(b, "%s\n{\"severity\":\"%s\"", r->n == 0 ? "" : ",",
	    severities[f->severity]);
	if (r->account.n > 0)
		put_string(b, "account", r->account);
	if (f->mailbox.n > 0)
		put_string(b, "mailbox", f->mailbox);
	put_string(b, "kind", str_from(f->kind));
	if (f->uid != 0)
		buf_printf(b, ",\"uid\":%u", f->uid);
	if (f->file != NULL)
		put_string(b, "file", str_from(f->file));
	put_string(b, "text", str_from(f->text));
	buf_putc(b, '}');
}

static void
put_line(struct report *r, struct buf *b, const struct verify_finding *f)
{
	buf_printf(b, "%s ", severities[f->severity]);
	tool_plain(b, f->mailbox.n > 0 ? f->mailbox : STR("-"));
	buf_printf(b, " %s", f->kind);
	if (r->account.n > 0) {
		buf_puts(b, " account=");
		tool_plain(b, r->account);
	}
	if (f->uid != 0)
		buf_printf(b, " uid=%u", f->uid);
	if (f->file != NULL) {
		buf_puts(b, " file=");
		tool_plain(b, str_from(f->file));
	}
	buf_puts(b, ": ");
	tool_plain(b, str_from(f->text));
	buf_putc(b, '\n');
}

static void
found(void *arg, const struct verify_finding *f)
{
	struct report *r = arg;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (r->json)
		put_json(r, &b, f);
	else
		put_line(r, &b, f);
	r->n++;
	fputs(buf_cstr(&b), stdout);
	buf_release(&b);
}

static void
put_count(struct buf *b, bool json, const char *key, uint64_t n)
{
	bool first = b->n == 0 || b->p[b->n - 1] == '{';

	if (json)
		buf_printf(b, "%s\"%s\":", first ? "" : ",", key);
	else
		buf_printf(b, " %s=", key);
	buf_put_uint(b, n);
}

static void
put_totals(const struct report *r)
{
	const struct verify_totals *t = &r->totals;
	struct buf b;
	unsigned i;

	buf_init(&b, 1 << 16);
	put_count(&b, r->json, "mailboxes", t->mailboxes);
	put_count(&b, r->json, "messages", t->messages);
	put_count(&b, r->json, "notes", t->severity[VERIFY_NOTE]);
	put_count(&b, r->json, "warnings", t->severity[VERIFY_WARNING]);
	put_count(&b, r->json, "errors", t->severity[VERIFY_ERROR]);
	if (r->json)
		buf_puts(&b, ",\"kinds\":{");
	for (i = 0; i < t->nkinds; i++)
		put_count(&b, r->json, t->kinds[i].kind, t->kinds[i].n);
	if (r->json)
		printf("],\n%s}}\n", buf_cstr(&b));
	else
		printf("checked%s\n", buf_cstr(&b));
	buf_release(&b);
}

static int
verify_fd(
    struct report *r, int fd, const char *path, const struct verify_opts *opts)
{
	struct owner was;
	struct err e;
	int rc = owner_begin(&was, fd, path);

	if (rc != 0)
		return rc;
	if (store_verify(fd, opts, found, r, &r->totals, &e) == -1)
		rc = quire_fail(EX_NOINPUT, "%s: %s", path, e.text);
	owner_end(&was);
	return rc;
}

/* index: of LAYOUT=fs, else NULL */
static int
verify_dir(struct report *r, const char *path, const char *index,
    const struct verify_opts *opts)
{
	struct verify_opts o = *opts;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd == -1 && errno == ENOENT && r->account.n > 0) {
		r->totals.severity[VERIFY_NOTE]++;
		found(r, &(struct verify_finding){ .kind = "unopened",
			     .file = path,
			     .text = "no mail has come yet" });
		return 0;
	}
	if (fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	o.is_fs = index != NULL;
	o.indexfd = -1;
	if (index != NULL)
		o.indexfd = open(index, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (index != NULL && o.indexfd == -1 && errno != ENOENT)
		rc = quire_fail(EX_NOINPUT, "%s: %s", index, strerror(errno));
	else
		rc = verify_fd(r, fd, path, &o);
	if (o.indexfd != -1)
		close(o.indexfd);
	close(fd);
	return rc;
}

static int
verify_accounts(
    struct quire *q, struct report *r, const struct verify_opts *opts)
{
	const struct config_account *a;
	char *path, *index;
	int rc = quire_open_dir(q), worst;

	if (rc != 0 || (rc = quire_config(q)) != 0)
		return rc;
	for (a = q->config->accounts, worst = 0; a != NULL; a = a->next) {
		r->account = a->name;
		path = str_dup(a->maildir);
		index = a->layout == LAYOUT_FS ? str_dup(a->index_root) : NULL;
		rc = verify_dir(r, path, index, opts);
		if (rc != 0)
			worst = rc;
		free(index);
		free(path);
	}
	return worst;
}

int
cmd_verify(struct quire *q, int argc, char **argv)
{
	static const struct option options[] = {
		{ "deep", no_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "index-root", required_argument, NULL, 'i' },
		{ 0 },
	};
	struct verify_opts opts = { 0 };
	struct report r = { 0 };
	const char *dir = NULL, *index = NULL;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd':
			opts.deep = true;
			break;
		case 'j':
			r.json = true;
			break;
		case 'i':
			index = optarg;
			break;
		default:
			return EX_USAGE;
		}
	if (optind < argc)
		dir = argv[optind++];
	if (optind < argc || (index != NULL && dir == NULL))
		return quire_fail(EX_USAGE,
		    "usage: quire verify [--deep] [--json] [[--index-root DIR] "
		    "DIR]");
	if (r.json)
		fputs("{\"findings\":[", stdout);
	rc = dir != NULL ? verify_dir(&r, dir, index, &opts) :
			   verify_accounts(q, &r, &opts);
	put_totals(&r);
	if (rc != 0)
		return rc;
	return r.totals.severity[VERIFY_ERROR] > 0   ? 2 :
	       r.totals.severity[VERIFY_WARNING] > 0 ? 1 :
						       0;
}
