#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "quire.h"
#include "system/fs/fs.h"

/* A new one belongs to whom the Maildir belongs. */
static int
make_index(const char *path, int maildir)
{
	struct stat st;
	struct err e;

	if (fs_mkdir_p(path, 0700, &e) == -1)
		return quire_fail(EX_CANTCREAT, "%s", e.text);
	if (geteuid() == 0 && (fstat(maildir, &st) == -1 ||
				  chown(path, st.st_uid, st.st_gid) == -1))
		return quire_fail(EX_OSERR, "%s: %s", path, strerror(errno));
	return 0;
}

/* The nearest directory that is there, of one that may not be. */
static int
open_nearest(const char *path)
{
	char *at = xstrdup(path), *slash;
	int fd;

	while ((fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1 &&
	       errno == ENOENT && (slash = strrchr(at, '/')) != NULL)
		slash[slash == at] = '\0';
	if (fd == -1 && errno == ENOENT)
		fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(at);
	return fd;
}

/* With LAYOUT=fs others would take our directories for mailboxes. */
static bool
is_within(const char *path, int maildir)
{
	struct stat top, st, above;
	int fd = open_nearest(path), up;
	bool found = false;

	if (fd == -1 || fstat(maildir, &top) == -1 || fstat(fd, &st) == -1)
		goto done;
	for (;;) {
		found = st.st_ino == top.st_ino && st.st_dev == top.st_dev;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (found || up == -1 || fstat(up, &above) == -1 ||
		    (above.st_ino == st.st_ino && above.st_dev == st.st_dev))
			break;
		close(fd);
		fd = up;
		st = above;
	}
	if (up != -1)
		close(up);
done:
	if (fd != -1)
		close(fd);
	return found;
}

static int
open_index(struct quire_maildir *m, const char *path, bool make)
{
	int rc = 0;

	m->indexfd = -1;
	if (path == NULL)
		return 0;
	if (is_within(path, m->fd))
		return quire_fail(EX_USAGE,
		    "%s: an index root must be outside of the Maildir", path);
	m->is_fs = true;
	m->indexfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->indexfd == -1 && errno == ENOENT) {
		if (!make)
			return 0;
		rc = make_index(path, m->fd);
		if (rc == 0)
			m->indexfd =
			    open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return rc != 0 || m->indexfd != -1 ?
		   rc :
		   quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
}

/* Without the state directory's rights it goes on without. */
static void
open_marks(struct quire_maildir *m, const struct quire *q, bool is_look)
{
	struct err e;

	if (m->account == NULL || is_look)
		return;
	m->marksfd = config_open_marks(q->config, m->account, &e);
	m->has_marks = m->marksfd != -1;
}

/* A wrong name must not become a Maildir. */
static bool
is_maildir(int fd)
{
	struct stat st;

	return fstatat(fd, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int
in_dir(const struct quire *q, const struct quire_places *p, const char *path,
    const char *index, const struct config_account *account)
{
	struct quire_maildir m = { .account = account, .path = path };
	struct owner was;
	int rc;

	m.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m.fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	if (account == NULL && !is_maildir(m.fd)) {
		close(m.fd);
		return quire_fail(
		    EX_NOINPUT, "%s: no Maildir, it has no cur/", path);
	}
	open_marks(&m, q, p->is_look);
	rc = open_index(&m, index, !p->is_look);
	if (rc == 0)
		rc = owner_begin(&was, m.fd, path);
	if (rc == 0) {
		rc = p->act(p->arg, &m);
		owner_end(&was);
	}
	if (m.indexfd != -1)
		close(m.indexfd);
	if (m.has_marks)
		close(m.marksfd);
	close(m.fd);
	return rc;
}

static bool
is_named(const struct config_account *a, char *const *names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (str_eq(a->name, str_from(names[i])))
			return true;
	return n == 0;
}

static int
in_account(const struct quire *q, const struct quire_places *p,
    const struct config_account *a)
{
	char *path = str_dup(a->maildir);
	char *index = a->layout == LAYOUT_FS ? str_dup(a->index_root) : NULL;
	struct stat st;
	int rc = 0;

	/* no mail has come yet */
	if (p->n > 0 || stat(path, &st) == 0 || errno != ENOENT)
		rc = in_dir(q, p, path, index, a);
	free(path);
	free(index);
	return rc;
}

int
quire_maildirs(struct quire *q, const struct quire_places *p)
{
	const struct config_account *a;
	int i, rc, worst = 0;

	if (p->dir != NULL)
		return in_dir(q, p, p->dir, p->index, NULL);
	if ((rc = quire_open_dir(q)) != 0 || (rc = quire_config(q)) != 0)
		return rc;
	for (i = 0; i < p->n; i++)
		if (config_account(q->config, str_from(p->names[i])) == NULL)
			return quire_fail(
			    EX_NOUSER, "no account %s", p->names[i]);
	for (a = q->config->accounts; a != NULL; a = a->next) {
		if (!is_named(a, p->names, p->n))
			continue;
		rc = in_account(q, p, a);
		if (rc != 0 && worst == 0)
			worst = rc;
	}
	return worst;
}

struct account_opts
quire_account_opts(const struct quire *q, const struct quire_maildir *m)
{
	return (struct account_opts){ .hostname = q->hostname,
		.is_fs = m->is_fs,
		.indexfd = m->indexfd,
		.has_marks = m->has_marks,
		.marksfd = m->marksfd,
		.coexist = quire_coexists(q) };
}

bool
quire_place_option(struct quire_places *p, int c, char *value)
{
	if (c == 'm')
		p->dir = value;
	else if (c == 'i')
		p->index = value;
	return c == 'm' || c == 'i';
}

bool
quire_coexists(const struct quire *q)
{
	return q->config != NULL && q->config->coexist == COEXIST_DOVECOT;
}
