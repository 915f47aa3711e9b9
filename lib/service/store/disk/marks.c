/*
 * marks - UIDNEXT and the highest modseq of each mailbox, in a file outside
 * the mail tree: by it a tree is known that was put back to a former day with
 * everything that is in it.
 *
 * 1. Evidence, no truth: a mark may be behind (it is not synced; somebody
 *    wrote who had none), torn, or made up. It never lowers anything, and one
 *    beyond reason is not believed.
 * 2. A slot for each mailbox (slots_int.h), written after its transaction is
 *    durable.
 * 3. The file comes as a descriptor: workers cannot open anything out of the
 *    mail tree.
 */
#include "service/store/slots_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

/* What is believed: more UIDs are not given out between two looks at a
 * mailbox, and modseqs are a clock (journal_next_modseq()). */
#define UIDS_MAX   10000000u
#define MODSEQ_MAX (86400ull << 20) /* ahead of the clock */

static const char magic[8] = "QMARKS\0\1";

struct marks {
	struct slots slots;
};

/* ---- bytes ---- */

/*
 * 0 u32 crc32c of 4..63 | 4 u32 uidvalidity | 8 u8[16] mailbox id
 * 24 u32 uidnext | 28 zero | 32 u64 modseq | 40 i64 time, us | 48 zero
 */
void
mark_pack(char p[MARK_SIZE], const struct mark *k)
{
	memset(p, 0, MARK_SIZE);
	le32_put(p + 4, k->uidvalidity);
	memcpy(p + 8, k->id, 16);
	le32_put(p + 24, k->uidnext);
	le64_put(p + 32, k->modseq);
	le64_put(p + 40, (uint64_t)date_now_us());
	le32_put(p, crc32c(0, p + 4, MARK_SIZE - 4));
}

bool
mark_unpack(const char *p, struct mark *k)
{
	if (le32_get(p) != crc32c(0, p + 4, MARK_SIZE - 4))
		return false;
	k->uidvalidity = le32_get(p + 4);
	memcpy(k->id, p + 8, 16);
	k->uidnext = le32_get(p + 24);
	k->modseq = le64_get(p + 32);
	return true;
}

/* ---- life ---- */

static bool
owner(const char *raw, uint8_t id[16])
{
	struct mark m;

	if (!mark_unpack(raw, &m))
		return false;
	memcpy(id, m.id, 16);
	return true;
}

void
marks_open(struct account *a)
{
	struct marks *k;
	int fd;

	if (!a->opts.has_marks || a->opts.readonly)
		return;
	fd = fcntl(a->opts.marksfd, F_DUPFD_CLOEXEC, 3);
	if (fd == -1)
		return;
	k = xcalloc(1, sizeof(*k));
	k->slots = (struct slots){
		.size = MARK_SIZE, .is_nameless = true, .owner = owner
	};
	if (slots_init(&k->slots, fd, magic) == -1) {
		account_log(a, 1, "store.marks", "the marks cannot be used");
		free(k);
		return;
	}
	a->marks = k;
}

void
marks_close(struct account *a)
{
	if (a->marks == NULL)
		return;
	slots_release(&a->marks->slots);
	free(a->marks);
	a->marks = NULL;
}

/* ---- what they say ---- */

static bool
is_credible(const struct mark *m, const struct mark *now)
{
	int64_t clock = date_now();
	uint64_t most =
	    clock > 0 && clock < 3300000000 ? (uint64_t)clock << 20 : 0;

	if (now->modseq > most)
		most = now->modseq;
	return m->uidnext <= UINT32_MAX - 2 * UIDS_MAX &&
	       (m->uidnext <= now->uidnext ||
		   m->uidnext - now->uidnext <= UIDS_MAX) &&
	       m->modseq <= most + MODSEQ_MAX;
}

enum marks_say
marks_ask(struct account *a, const struct mark *now, struct mark *m)
{
	char raw[SLOT_SIZE_MAX];

	if (a == NULL || a->marks == NULL)
		return MARKS_NOTHING;
	if (!slots_get(&a->marks->slots, now->id, raw) || !mark_unpack(raw, m))
		return MARKS_BEHIND;
	/* numbered anew since */
	if (m->uidvalidity < now->uidvalidity)
		return MARKS_BEHIND;
	if (m->uidvalidity > now->uidvalidity)
		m->uidnext = now->uidnext; /* those were other UIDs */
	if (!is_credible(m, now))
		return MARKS_ABSURD;
	if (m->uidnext > now->uidnext || m->modseq > now->modseq ||
	    m->uidvalidity > now->uidvalidity)
		return MARKS_AHEAD;
	return m->uidnext < now->uidnext || m->modseq < now->modseq ?
		   MARKS_BEHIND :
		   MARKS_NOTHING;
}

void
mark_mailbox(const struct mailbox *m, struct mark *k)
{
	*k = (struct mark){ .uidvalidity = m->j.uidvalidity,
		.uidnext = m->v.c.uidnext,
		.modseq = m->j.modseq };
	memcpy(k->id, m->j.mailboxid, 16);
}

void
marks_note(struct mailbox *m)
{
	struct account *a = m->account;
	char raw[MARK_SIZE];
	struct mark k;

	if (a == NULL || a->marks == NULL)
		return;
	mark_mailbox(m, &k);
	mark_pack(raw, &k);
	/* should it fail, it is behind */
	(void)slots_put(&a->marks->slots, k.id, raw);
}

bool
mailbox_is_behind_marks(const struct mailbox *m)
{
	struct mark now, mark;

	mark_mailbox(m, &now);
	return marks_ask(m->account, &now, &mark) == MARKS_AHEAD;
}
