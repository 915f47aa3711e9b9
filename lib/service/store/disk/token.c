/*
 * A delivery that may have been done already.
 *
 * Whoever ordered a delivery and lost the deliverer before its answer does
 * not know whether the message was filed. The order's token is the random
 * part of the file name, so the next deliverer can tell:
 *
 * 1. In the journal: it was filed, all of it.
 * 2. Only in new/: the file was synced before its rename; the directory is
 *    synced here, and a scan registers it.
 * 3. Nowhere: nothing was filed, what lies in tmp/ is swept later.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "service/store/store_int.h"
#include "system/fs/fs.h"

#define LOOK_BACK 20000 /* messages; an unanswered order is seconds old */

static void
mark_of(uint64_t token, char out[24])
{
	snprintf(out, 24, "R%016llx.", (unsigned long long)token);
}

void
name_set_token(char *name, uint64_t token)
{
	char mark[24], *at = strchr(name, 'R');

	mark_of(token, mark);
	if (at != NULL && strlen(at) > 17)
		memcpy(at, mark, 17);
}

static bool
in_view(struct mailbox *m, struct str mark)
{
	uint32_t seq = mailbox_count(m), left = LOOK_BACK;
	struct message msg;

	for (; seq > 0 && left > 0; seq--, left--) {
		mailbox_get(m, seq, &msg);
		if (str_search(msg.name, mark) < msg.name.n)
			return true;
	}
	return false;
}

static int
in_new(struct mailbox *m, struct str mark, struct err *e)
{
	DIR *d = fs_read_dir(m->dirfd, "new");
	int rc = 0;
	struct dirent *de;

	if (d == NULL)
		return err_sys(e, "new/");
	while (rc == 0 && (de = readdir(d)) != NULL) {
		struct str name = str_from(de->d_name);

		rc = str_search(name, mark) < name.n;
	}
	/* the rename may not have reached the disk: it must before anybody is
	 * told that the message is filed */
	if (rc == 1 && fs_sync_dir(dirfd(d)) == -1)
		rc = err_sys(e, "sync new/");
	closedir(d);
	return rc;
}

int
mailbox_has_delivery(struct mailbox *m, uint64_t token, struct err *e)
{
	char mark[24];

	mark_of(token, mark);
	if (in_view(m, str_from(mark)))
		return 1;
	return in_new(m, str_from(mark), e);
}
