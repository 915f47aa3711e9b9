#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "quire.h"

static int
in_dir(const char *path, const struct config_account *account,
    int (*act)(void *, const struct quire_maildir *), void *arg)
{
	struct quire_maildir m = { .account = account, .path = path };
	struct owner was;
	int rc;

	m.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m.fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	rc = owner_begin(&was, m.fd, path);
	if (rc == 0) {
		rc = act(arg, &m);
		owner_end(&was);
	}
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

int
quire_maildirs(struct quire *q, const char *dir, char *const *names, int n,
    int (*act)(void *, const struct quire_maildir *), void *arg)
{
	const struct config_account *a;
	struct stat st;
	char *path;
	int i, rc, worst = 0;

	if (dir != NULL)
		return in_dir(dir, NULL, act, arg);
	if ((rc = quire_open_dir(q)) != 0 || (rc = quire_config(q)) != 0)
		return rc;
	for (i = 0; i < n; i++)
		if (config_account(q->config, str_from(names[i])) == NULL)
			return quire_fail(EX_NOUSER, "no account %s", names[i]);
	for (a = q->config->accounts; a != NULL; a = a->next) {
		if (!is_named(a, names, n))
			continue;
		path = str_dup(a->maildir);
		/* no mail has come yet */
		if (n > 0 || stat(path, &st) == 0 || errno != ENOENT)
			rc = in_dir(path, a, act, arg);
		free(path);
		if (rc != 0 && worst == 0)
			worst = rc;
	}
	return worst;
}
