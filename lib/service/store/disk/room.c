/*
 * Room on a full disk.
 *
 * 1. Files kept for their grace after an expunge are nobody's mail any more:
 *    they go before new mail is refused (doc/format-store.md, "exp/").
 * 2. A session that still shows such a message gets NO for its body, nothing
 *    worse.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "service/store/store_int.h"
#include "system/fs/fs.h"

#define ROOM_MAX 4096 /* files looked at in one go */

struct kept {
	char name[64];
	int64_t since;
};

static int
older(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return x->since < y->since ? -1 : x->since > y->since;
}

static size_t
list_kept(DIR *d, struct kept *v)
{
	struct dirent *de;
	struct stat st;
	size_t n = 0;

	while (n < ROOM_MAX && (de = readdir(d)) != NULL) {
		if (!str_copy(
			str_from(de->d_name), v[n].name, sizeof(v[n].name)) ||
		    de->d_name[0] == '.' ||
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
			-1 ||
		    !S_ISREG(st.st_mode))
			continue;
		v[n++].since = st.st_ctime;
	}
	return n;
}

bool
mailbox_make_room(struct mailbox *m, uint64_t octets)
{
	DIR *d = fs_read_dir(m->qfd, "exp");
	struct kept *v;
	uint64_t freed = 0;
	struct stat st;
	size_t n, i;

	if (d == NULL)
		return false;
	v = xreallocarray(NULL, ROOM_MAX, sizeof(*v));
	n = list_kept(d, v);
	qsort(v, n, sizeof(*v), older);
	for (i = 0; i < n && freed < octets; i++)
		if (fstatat(dirfd(d), v[i].name, &st, AT_SYMLINK_NOFOLLOW) ==
			0 &&
		    step_unlink(dirfd(d), v[i].name) == 0)
			freed += (uint64_t)st.st_blocks * 512;
	free(v);
	closedir(d);
	return freed > 0;
}
