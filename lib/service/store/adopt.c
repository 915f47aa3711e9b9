/* adopt - minimal */
#include "service/store/store_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "system/fs/fs.h"

int
adopt_mailbox(struct mailbox *m, uint32_t uidvalidity,
    const uint8_t mailboxid[16], struct err *e)
{
	struct journal_spec spec = { .kind = JOURNAL_MAILBOX,
		.uidvalidity = uidvalidity };
	struct stat st;
	int rc = 0;

	memcpy(spec.mailboxid, mailboxid, 16);
	spec.modseq = (uint64_t)date_now() << 20;
	if (journal_open_lock(&m->j, e) == -1 ||
	    fs_lock(m->j.lockfd, LOCK_WRITER, true, STORE_LOCK_MS, e) == -1)
		return -1;
	if (fstatat(m->qfd, "journal", &st, 0) == -1)
		rc = journal_create(&m->j, &spec, e);
	fs_unlock(m->j.lockfd, LOCK_WRITER);
	return rc;
}

void
adopt_keywords_write(struct mailbox *m)
{
}

static int
fill_account(void *arg, struct journal *j, struct err *e)
{
	static const struct {
		const char *name;
		unsigned use;
	} defaults[] = { { "INBOX", 0 }, { "Drafts", USE_DRAFTS },
		{ "Sent", USE_SENT }, { "Trash", USE_TRASH },
		{ "Junk", USE_JUNK }, { "Archive", USE_ARCHIVE } };
	struct account *a = arg;
	struct counters none = { 0 };
	struct ops o;
	size_t i;
	int rc = 0;

	ops_init(&o);
	for (i = 0; rc == 0 && i < 6; i++) {
		struct node node = { .use = defaults[i].use,
			.name = (char *)defaults[i].name,
			.uidvalidity = (uint32_t)date_now() + (uint32_t)i };
		char dir[NAME_LEN + 1];
		struct buf b;

		account_dir(str_from(node.name), dir);
		buf_init(&b, 400);
		if (step_mkdir(a->rootfd, dir) == -1)
			rc = err_sys(e, "mkdir");
		buf_puts(&b, dir);
		buf_puts(&b, "/cur");
		if (step_mkdir(a->rootfd, buf_cstr(&b)) == -1)
			rc = err_sys(e, "mkdir");
		buf_release(&b);
		fs_random(node.id, 16);
		op_mbox_pack(&o, &node);
		op_begin(&o, OP_SUB, 0);
		op_bytes(&o, str_from(node.name));
		op_end(&o);
	}
	if (rc == 0)
		rc = journal_append(j, &o, 0, 1, &none, false, e);
	ops_release(&o);
	return rc;
}

int
account_adopt(struct account *a, struct err *e)
{
	struct journal_spec spec = { .kind = JOURNAL_ACCOUNT,
		.uidvalidity = 1,
		.fill = fill_account,
		.arg = a };
	struct stat st;
	int rc = 0;

	spec.modseq = 1;
	if (journal_open_lock(&a->j, e) == -1 ||
	    fs_lock(a->j.lockfd, LOCK_WRITER, true, STORE_LOCK_MS, e) == -1)
		return -1;
	if (fstatat(a->acctfd, "journal", &st, 0) == -1)
		rc = journal_create(&a->j, &spec, e);
	fs_unlock(a->j.lockfd, LOCK_WRITER);
	return rc;
}
