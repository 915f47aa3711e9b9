/*
 * pubs - a copy of each mailbox's `pub`, in one file of the account, so that
 * STATUS of a mailbox opens nothing: of what that costs, opening is half.
 *
 * 1. The copy is written before `pub`, and both before anything is
 *    acknowledged: it is never behind what somebody was told.
 * 2. It says what `pub` would say, and no more: it counts in the boot it is
 *    of, and while the mailbox's directories are as it says (status.c).
 * 3. Who cannot write a copy, or finds a damaged one, removes the file. Each
 *    look sees to it that the file has its name still.
 */
#include "service/store/slots_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

static const char magic[8] = "QPUBS\0\0\1";

struct pubs {
	struct slots slots;
};

void
pubs_close(struct account *a)
{
	if (a->pubs == NULL)
		return;
	slots_release(&a->pubs->slots);
	free(a->pubs);
	a->pubs = NULL;
}

/* Open, and the file of that name? */
static bool
are_there(struct account *a)
{
	struct fs_id id;
	struct pubs *p;
	int fd;

	if (a->pubs != NULL && fs_identify(a->pubs->slots.fd, "", &id) &&
	    id.nlink > 0)
		return true;
	pubs_close(a);
	if (a->opts.readonly || a->acctfd == -1)
		return false;
	fd = step_open(a->acctfd, "pubs");
	if (fd == -1)
		return false;
	p = xcalloc(1, sizeof(*p));
	p->slots = (struct slots){ .size = PUB_SIZE, .owner = pub_owner };
	if (slots_init(&p->slots, fd, magic) == -1) {
		free(p);
		(void)step_unlink(a->acctfd, "pubs");
		return false;
	}
	a->pubs = p;
	return true;
}

bool
pubs_get(struct account *a, const uint8_t id[16], struct pub *p)
{
	char raw[SLOT_SIZE_MAX];

	return are_there(a) && slots_get(&a->pubs->slots, id, raw) &&
	       pub_unpack(raw, p);
}

void
pubs_put(struct account *a, const char raw[PUB_SIZE])
{
	uint8_t id[16];

	if (a == NULL || a->opts.readonly || !pub_owner(raw, id))
		return;
	if (!are_there(a) || slots_put(&a->pubs->slots, id, raw) == -1) {
		pubs_close(a);
		(void)step_unlink(a->acctfd, "pubs");
	}
}
