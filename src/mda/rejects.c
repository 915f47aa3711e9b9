#include "rejects.h"

#include "base/ranges.h"

#define LOOK_MAX 4096 /* messages looked at in one go; they are the oldest */

const struct rejects_limits rejects_limits_default = { REJECTS_KEEP_S,
	REJECTS_MAX, REJECTS_OCTETS };

static bool
is_ours(struct mailbox *m, uint32_t uid)
{
	static const struct str mark = STR_INIT("X-Quire-Reason: ");
	struct msgfile *f;
	char head[16];
	ssize_t n;

	if (mailbox_open_message(m, uid, &f, NULL) == -1)
		return false;
	n = msgfile_read(f, 0, head, sizeof(head), NULL);
	msgfile_free(&f);
	return n == (ssize_t)mark.n && str_eq(str_make(head, mark.n), mark);
}

int
rejects_expire(struct mailbox *m, int64_t now, const struct rejects_limits *l,
    struct err *e)
{
	struct mailbox_changes changes = { 0 };
	uint32_t count, seq, gone = 0;
	uint64_t octets;
	struct message msg;
	struct ranges r;
	int rc = mailbox_sync(m, true, &changes, e);

	mailbox_changes_release(&changes);
	if (rc == -1)
		return -1;
	count = mailbox_count(m);
	octets = mailbox_counts(m)->size;
	ranges_init(&r, LOOK_MAX);
	for (seq = 1; seq <= count && seq <= LOOK_MAX; seq++) {
		mailbox_get(m, seq, &msg);
		if (msg.is_expunged ||
		    (msg.internaldate > now - l->keep_s &&
			count - gone <= l->max && octets <= l->max_octets))
			continue;
		if (!is_ours(m, msg.uid))
			continue;
		ranges_add(&r, msg.uid, msg.uid);
		gone++;
		octets -= msg.size;
	}
	if (gone > 0)
		rc = mailbox_remove(m, &r, e);
	ranges_release(&r);
	return rc;
}
