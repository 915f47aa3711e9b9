/*
 * adopt_all - every mailbox of an account, opened once.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

void
adopt_problem(struct adopt_box *box, const char *kind, const char *file,
    const char *fmt, ...)
{
	struct adopt_problem *p;
	va_list ap;

	if (box == NULL || box->nproblems++ >= ADOPT_PROBLEMS)
		return;
	p = &box->problem[box->nproblems - 1];
	p->kind = kind;
	p->file = file == NULL ? NULL : xstrdup(file);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

struct in_account {
	struct account *a;
	struct adopt_box *box;
};

/* Directories that are mailboxes to who has LAYOUT=fs. */
static void
check_layout(struct account *a, struct adopt_box *box)
{
	DIR *d = a->layout.is_fs ? NULL : fs_read_dir(a->rootfd, ".");
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' &&
		    layout_is_maildir(a->rootfd, de->d_name))
			adopt_problem(box, "layout", de->d_name,
			    "a Maildir that Maildir++ does not show: if the "
			    "other server has LAYOUT=fs, say layout fs");
	closedir(d);
}

static int
check_name(void *arg, const char *dir, struct err *e)
{
	struct in_account *in = arg;
	char norm[STORE_MAX_NAME + 1];
	const char *why;

	(void)e;
	if (!look_name(in->a, dir, norm, &why))
		adopt_problem(in->box, "folder-name", dir, "%s", why);
	return 0;
}

static void
check_hidden(void *arg, const char *path, const char *why)
{
	struct in_account *in = arg;

	adopt_problem(in->box, "folder-name", path, "%s", why);
}

/* What concerns the account is told with its INBOX. */
static void
check_folders(struct account *a, struct adopt_box *box)
{
	struct in_account in = { a, box };

	check_layout(a, box);
	layout_each(a, check_name, &in, NULL);
	layout_each_hidden(a, check_hidden, &in);
}

void
adopt_box_release(struct adopt_box *box)
{
	size_t i;

	for (i = 0; i < box->nproblems && i < ADOPT_PROBLEMS; i++)
		free(box->problem[i].file);
}

/* Who only looks finds out what would fail; a snapshot is for looking. */
static void
check_rights(struct mailbox *m, struct adopt_box *box)
{
	if (m->readonly && m->qfd == -1 &&
	    faccessat(m->dirfd, ".", W_OK, AT_EACCESS) == -1 && errno == EACCES)
		adopt_problem(box, "unwritable", NULL,
		    "its owner or its mode keeps us from adopting it");
}

static void
look(struct account *a, struct str name, struct adopt_box *box)
{
	const struct mailbox_counts *c;
	struct mailbox *m;
	struct err e = { 0 };

	a->adopting = box;
	if (account_open_mailbox(a, name, true, &m, &e) != ACCOUNT_OK) {
		box->kind = "unreadable";
		adopt_problem(box, "unreadable", NULL, "%s", e.text);
	} else {
		c = mailbox_counts(m);
		box->uidvalidity = c->uidvalidity;
		box->uidnext = c->uidnext;
		box->messages = c->messages;
		box->keywords = mailbox_keywords(m);
		check_rights(m, box);
		mailbox_close(&m);
	}
	a->adopting = NULL;
}

int
store_adopt(int rootfd, const struct adopt_opts *opts,
    void (*box)(void *, const struct adopt_box *), void *arg, struct err *e)
{
	/* the other server's files stay as they are; a session brings them
	 * up to date when it is to */
	struct account_opts how = { .hostname = opts->hostname,
		.readonly = opts->dry_run,
		.is_fs = opts->is_fs,
		.indexfd = opts->indexfd,
		.exports = ACCOUNT_EXPORT_NONE };
	const struct mailbox_info *list;
	struct account *a;
	char **names;
	size_t n, i, found = 0;

	if (account_open(&a, rootfd, &how, e) == -1)
		return -1;
	n = account_list(a, &list);
	names = xreallocarray(NULL, n + 1, sizeof(*names));
	for (i = 0; i < n; i++)
		if (list[i].exists)
			names[found++] = str_dup(list[i].name);
	for (i = 0; i < found; i++) {
		struct adopt_box b = { .name = str_from(names[i]),
			.kind = "quire",
			.is_subscribed =
			    tree_is_subscribed(&a->tree, str_from(names[i])) };

		if (folder_is_inbox(b.name))
			check_folders(a, &b);
		look(a, b.name, &b);
		box(arg, &b);
		adopt_box_release(&b);
		free(names[i]);
	}
	free(names);
	account_close(&a);
	return 0;
}
