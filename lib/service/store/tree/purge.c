/*
 * purge - deleted folders lie in acct/deleted for a while, then they go.
 *
 * A directory's ctime is the time it came here. What is left behind by a stop
 * in the middle is found again, being as old as before.
 */
#include "service/store/store_int.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "system/fs/fs.h"

#define BUDGET 5000 /* entries in one go: nobody waits long for a close */
#define DEPTH  8    /* of what a folder may contain */

int64_t store_deleted_grace = 7 * 86400; /* seconds; tests change it */

/* false: the budget is used up, or something could not be removed */
static bool
remove_tree(int parentfd, const char *name, int depth, unsigned *budget)
{
	DIR *d = fs_read_dir(parentfd, name);
	struct dirent *de;
	bool ok = true;

	if (d == NULL)
		return false;
	while (ok && (de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		if (*budget == 0)
			ok = false;
		else if (step_unlink(dirfd(d), de->d_name) == 0)
			(*budget)--;
		else
			ok = depth < DEPTH && remove_tree(dirfd(d), de->d_name,
						  depth + 1, budget);
	}
	closedir(d);
	return ok && unlinkat(parentfd, name, AT_REMOVEDIR) == 0;
}

void
account_purge(struct account *a)
{
	int64_t now = date_now();
	unsigned budget = BUDGET;
	struct dirent *de;
	struct stat st;
	DIR *d;

	if (account_is_readonly(a) || a->acctfd == -1 ||
	    (d = fs_read_dir(a->acctfd, "deleted")) == NULL)
		return;
	while (budget > 0 && (de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' &&
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
			0 &&
		    now - st.st_ctime >= store_deleted_grace)
			remove_tree(dirfd(d), de->d_name, 0, &budget);
	closedir(d);
}
