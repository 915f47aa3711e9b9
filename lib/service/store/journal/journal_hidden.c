/*
 * journal_hidden - a journal that is on no disk: what a Maildir that was
 * never adopted would have in its first one. Who may write nothing reads
 * mail through it.
 */
#include "service/store/journal_room_int.h"

#include <string.h>
#include <sys/mman.h>

#include "system/fs/fs.h"

int
journal_create_hidden(
    struct journal *j, const struct journal_spec *spec, struct err *e)
{
	char head[JOURNAL_HEAD];

	journal_release(j);
	j->fd = memfd_create("quire-journal", MFD_CLOEXEC);
	if (j->fd == -1)
		return err_sys(e, "create journal in memory");
	j->is_hidden = true;
	memcpy(j->mailboxid, spec->mailboxid, 16);
	j->uidvalidity = spec->uidvalidity;
	j->modseq = spec->modseq;
	fs_random(&j->salt, sizeof(j->salt));
	journal_head_pack(head, j, 0);
	if (fs_pwrite_all(j->fd, str_make(head, sizeof(head)), 0) == -1)
		return err_sys(e, "write journal in memory");
	j->size = j->end = JOURNAL_HEAD;
	return spec->fill == NULL ? 0 : spec->fill(spec->arg, j, e);
}

/* Applies what was filled in. */
int
journal_read_hidden(
    struct journal *j, journal_apply *apply, void *arg, struct err *e)
{
	uint64_t upto = j->end;

	j->end = JOURNAL_HEAD;
	return journal_read(j, upto, apply, arg, e);
}
