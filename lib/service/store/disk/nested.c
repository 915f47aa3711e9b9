/*
 * nested - making, moving and removing mailboxes of LAYOUT=fs.
 *
 * 1. cur/ comes last: with it a directory is a mailbox. A stop before leaves
 *    a directory that is none.
 * 2. A directory may hold mailboxes besides being one: removing it takes its
 *    files, cur/, new/ and tmp/, and itself only when nothing is left.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

static const char *const parts[] = { "tmp", "new", "cur" };

/* The directory a path's last element is in; *last is that element. */
static int
open_parent(const struct account *a, const char *path, const char **last)
{
	const char *slash = strrchr(path, '/');
	char dir[NAME_LEN + 1];

	*last = slash == NULL ? path : slash + 1;
	if (!str_copy(slash == NULL ? STR(".") :
				      str_make(path, (size_t)(slash - path)),
		dir, sizeof(dir))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return fs_open_dir(a->rootfd, dir);
}

/* With the directories above; each durable under its name. */
static int
make_path(struct account *a, struct str path)
{
	char dir[NAME_LEN + 1];
	const char *last;
	size_t i;
	int fd, rc = 0;

	for (i = 1; i <= path.n && rc == 0; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (!str_copy(str_sub(path, 0, i), dir, sizeof(dir)) ||
		    (fd = open_parent(a, dir, &last)) == -1)
			return -1;
		rc = step_mkdir(fd, last);
		if (rc == 0)
			rc = step_sync(fd);
		close(fd);
	}
	return rc;
}

int
nested_make(struct account *a, const char *dir, struct err *e)
{
	int fd = -1, rc = make_path(a, str_from(dir));
	size_t i;

	if (rc == 0)
		rc = fd = fs_open_dir(a->rootfd, dir);
	for (i = 0; i < 3 && rc != -1; i++)
		rc = step_mkdir(fd, parts[i]);
	/* Makes durable that it is a mailbox. */
	if (rc != -1)
		rc = step_sync(fd);
	if (rc == -1) {
		err_sys(e, "make folder %s", dir);
		if (fd != -1)
			nested_unmake(a, dir);
	}
	if (fd != -1)
		close(fd);
	return rc == -1 ? -1 : 0;
}

static void
remove_empty(struct account *a, const char *dir)
{
	const char *last;
	int fd = open_parent(a, dir, &last);

	if (fd == -1)
		return;
	unlinkat(fd, last, AT_REMOVEDIR);
	close(fd);
}

void
nested_unmake(struct account *a, const char *dir)
{
	int fd = fs_open_dir(a->rootfd, dir);
	size_t i;

	if (fd == -1)
		return;
	for (i = 3; i-- > 0;)
		unlinkat(fd, parts[i], AT_REMOVEDIR);
	unlinkat(fd, "quire.id", 0);
	close(fd);
	remove_empty(a, dir);
}

/* ---- removing ---- */

/* On another file system there is no deleted/ to put them into. */
static void
remove_messages(int parentfd, const char *sub)
{
	DIR *d = fs_read_dir(parentfd, sub);
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		if (de->d_type != DT_DIR)
			step_unlink(dirfd(d), de->d_name);
	closedir(d);
	unlinkat(parentfd, sub, AT_REMOVEDIR);
}

static int
bury_entry(int fd, const char *name, bool is_dir, int to)
{
	if (step_rename(fd, name, to, name) == 0 || errno == ENOENT)
		return 0;
	if (errno != EXDEV && errno != EEXIST)
		return -1;
	if (is_dir)
		remove_messages(fd, name);
	else
		step_unlink(fd, name);
	return 0;
}

/* cur/ first: without it it is no mailbox. */
static int
bury_entries(int fd, int to)
{
	int rc = 0, copy = dup(fd);
	DIR *d = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *de;
	size_t i;

	for (i = 3; i-- > 0 && rc == 0;)
		rc = bury_entry(fd, parts[i], true, to);
	if (d == NULL) {
		if (copy != -1)
			close(copy);
		return -1;
	}
	rewinddir(d);
	while (rc == 0 && (de = readdir(d)) != NULL)
		if (de->d_type == DT_REG)
			rc = bury_entry(fd, de->d_name, false, to);
	closedir(d);
	return rc;
}

int
nested_bury(
    struct account *a, const char *dir, const uint8_t id[16], struct err *e)
{
	char to[64] = "deleted/", hex[STATE_ID_HEX];
	int fd = fs_open_dir(a->rootfd, dir), tofd, rc;

	if (fd == -1)
		return errno == ENOENT ? 0 : err_sys(e, "open folder %s", dir);
	state_hex(id, hex);
	memcpy(to + strlen(to), hex, STATE_ID_HEX);
	tofd =
	    step_mkdir(a->indexfd, to) == -1 ? -1 : fs_open_dir(a->indexfd, to);
	rc = tofd == -1 ? -1 : bury_entries(fd, tofd);
	if (rc == 0)
		rc = step_sync(fd);
	if (rc == 0 && step_rename(a->indexfd, hex, tofd, "quire") == -1 &&
	    errno != ENOENT && errno != EEXIST)
		rc = -1;
	if (rc == -1)
		err_sys(e, "delete folder %s", dir);
	else
		remove_empty(a, dir);
	if (tofd != -1)
		close(tofd);
	close(fd);
	return rc;
}

/* ---- moving ---- */

int
nested_move(struct account *a, const char *from, const char *to, struct err *e)
{
	const char *last_from, *last_to, *slash = strrchr(to, '/');
	int fromfd = open_parent(a, from, &last_from), tofd = -1, rc = -1;
	char above[NAME_LEN + 1];

	if (fromfd == -1) /* went with the directory above */
		return errno == ENOENT ? 0 : err_sys(e, "open folder");
	if ((slash == NULL ||
		make_path(a, str_make(to, (size_t)(slash - to))) == 0) &&
	    (tofd = open_parent(a, to, &last_to)) != -1) {
		rc = step_rename(fromfd, last_from, tofd, last_to);
		/* ENOENT: done before. EEXIST: others were there. */
		if (rc == -1 && (errno == ENOENT || errno == EEXIST))
			rc = 0;
	}
	if (rc == 0 && (step_sync(tofd) == -1 || step_sync(fromfd) == -1))
		rc = -1;
	if (rc == -1)
		err_sys(e, "rename folder %s", from);
	slash = strrchr(from, '/');
	if (rc == 0 && slash != NULL &&
	    str_copy(
		str_make(from, (size_t)(slash - from)), above, sizeof(above)))
		remove_empty(a, above); /* held only this one */
	close(fromfd);
	if (tofd != -1)
		close(tofd);
	return rc;
}
