/*
 * Where an account's marks lie (service/store, "marks"): marks/NAME in the
 * state directory, which is not in the mail tree and not its owner's. Workers
 * get it as a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/config/config.h"
#include "system/fs/fs.h"

static char *
marks_dir(const struct config *c)
{
	return xasprintf("%.*s/marks", STR_ARG(c->state_dir));
}

int
config_open_marks(
    const struct config *c, const struct config_account *a, struct err *e)
{
	char *dir = marks_dir(c);
	char *name = str_dup(a->name);
	int dirfd, fd = -1;

	dirfd = fs_mkdir_p(dir, 0700, e) == -1 ?
		    -1 :
		    open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* a name is no path */
	if (dirfd != -1 && !str_has(a->name, '/'))
		fd = fs_open_file(dirfd, name, O_RDWR | O_CREAT, 0600);
	if (fd == -1)
		err_sys(e, "open %s/%s", dir, name);
	if (dirfd != -1)
		close(dirfd);
	free(dir);
	free(name);
	return fd;
}

int
config_forget_marks(const struct config *c, struct str account, struct err *e)
{
	char *dir = marks_dir(c), *name = str_dup(account);
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	/* no state yet, no marks */
	if (dirfd == -1 ? errno != ENOENT :
			  !str_has(account, '/') &&
			      unlinkat(dirfd, name, 0) == -1 && errno != ENOENT)
		rc = err_sys(e, "remove %s/%s", dir, name);
	if (dirfd != -1)
		close(dirfd);
	free(dir);
	free(name);
	return rc;
}
