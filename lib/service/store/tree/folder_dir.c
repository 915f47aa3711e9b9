/*
 * folder_dir - the directory of a new mailbox: Maildir++ here, LAYOUT=fs in
 * nested.c.
 */
#include "service/store/folders_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

static int
make_parts(int fd, struct err *e)
{
	static const char *const dirs[] = { "cur", "new", "tmp" };
	int marker;
	size_t i;

	for (i = 0; i < 3; i++)
		if (step_mkdir(fd, dirs[i]) == -1)
			return err_sys(e, "make folder");
	/* Courier and maildrop look for it */
	marker = step_creat(fd, "maildirfolder");
	if (marker == -1 && errno != EEXIST)
		return err_sys(e, "make folder");
	if (marker != -1)
		close(marker);
	return step_sync(fd) == -1 ? err_sys(e, "sync folder") : 0;
}

void
folder_unmake(struct account *a, const uint8_t id[16], const char *dir)
{
	static const char *const parts[] = { "cur", "new", "tmp", "quire" };
	char tmp[64] = "quire/acct/tmp/";
	size_t i;
	int fd;

	if (a->layout.is_fs) {
		nested_unmake(a, dir);
		return;
	}
	state_hex(id, tmp + strlen(tmp));
	if (step_rename(a->rootfd, dir, a->rootfd, tmp) == -1 ||
	    (fd = fs_open_dir(a->rootfd, tmp)) == -1)
		return;
	for (i = 0; i < 4; i++)
		unlinkat(fd, parts[i], AT_REMOVEDIR);
	unlinkat(fd, "maildirfolder", 0);
	unlinkat(fd, UIDLIST, 0);
	close(fd);
	unlinkat(a->rootfd, tmp, AT_REMOVEDIR);
}

int
folder_make(
    struct account *a, const struct node *node, const char *dir, struct err *e)
{
	char tmp[64] = "quire/acct/tmp/";
	int fd, rc;

	if (a->layout.is_fs)
		return nested_make(a, dir, e);
	state_hex(node->id, tmp + strlen(tmp));
	if (step_mkdir(a->rootfd, tmp) == -1 ||
	    (fd = fs_open_dir(a->rootfd, tmp)) == -1)
		return err_sys(e, "make folder");
	rc = make_parts(fd, e);
	if (rc == 0)
		rc = export_new_folder(a, fd, node, e);
	close(fd);
	if (rc == -1)
		return -1;
	if (step_rename(a->rootfd, tmp, a->rootfd, dir) == -1)
		return err_sys(e, "make folder %s", dir);
	/* Makes the folder durable under its name. */
	if (step_sync(a->rootfd) == -1) {
		err_sys(e, "make folder %s", dir);
		folder_unmake(a, node->id, dir);
		return -1;
	}
	return 0;
}
