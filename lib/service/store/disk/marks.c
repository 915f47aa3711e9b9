/*
 * marks - UIDNEXT and the highest modseq of each mailbox, in a file outside
 * the mail tree: by it a tree is known that was put back to a former day with
 * everything that is in it.
 *
 * 1. Evidence, no truth: a mark may be behind (it is not synced; somebody
 *    wrote who had none), torn, or made up. It never lowers anything, and one
 *    beyond reason is not believed.
 * 2. A slot belongs to a mailbox id for ever and is written by who holds
 *    byte 0 of that mailbox, after his transaction is durable. A new slot is
 *    taken at the end, under byte 0 of this file.
 * 3. The file comes as a descriptor: workers cannot open anything out of the
 *    mail tree.
 */
#include "service/store/store_int.h"

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

#define SLOT	  64
#define SLOTS_MAX (2 * STORE_MAX_MAILBOXES) /* deleted ones may come back */
#define LOCK_MS	  1000
#define HEAD_MASK 255

/* What is believed: more UIDs are not given out between two looks at a
 * mailbox, and modseqs are a clock (journal_next_modseq()). */
#define UIDS_MAX   10000000u
#define MODSEQ_MAX (86400ull << 20) /* ahead of the clock */

static const char magic[8] = "QMARKS\0\1";

struct marks {
	int fd;
	uint32_t nslots; /* of the file that are known here */
	struct slot {
		uint8_t id[16];
		uint32_t next; /* in its bucket, + 1 */
	} * v;
	uint32_t bucket[HEAD_MASK + 1];
};

/* ---- bytes ---- */

/*
 * 0 u32 crc32c of 4..63 | 4 u32 uidvalidity | 8 u8[16] mailbox id
 * 24 u32 uidnext | 28 zero | 32 u64 modseq | 40 i64 time, us | 48 zero
 */
void
mark_pack(char p[SLOT], const struct mark *k)
{
	memset(p, 0, SLOT);
	le32_put(p + 4, k->uidvalidity);
	memcpy(p + 8, k->id, 16);
	le32_put(p + 24, k->uidnext);
	le64_put(p + 32, k->modseq);
	le64_put(p + 40, (uint64_t)date_now_us());
	le32_put(p, crc32c(0, p + 4, SLOT - 4));
}

bool
mark_unpack(const char *p, struct mark *k)
{
	if (le32_get(p) != crc32c(0, p + 4, SLOT - 4))
		return false;
	k->uidvalidity = le32_get(p + 4);
	memcpy(k->id, p + 8, 16);
	k->uidnext = le32_get(p + 24);
	k->modseq = le64_get(p + 32);
	return true;
}

/* ---- slots ---- */

static uint64_t
place(uint32_t slot)
{
	return ((uint64_t)slot + 1) * SLOT; /* behind the head */
}

/* Slots that others have taken since; torn ones are nobody's. */
static void
learn(struct marks *k)
{
	char raw[64 * SLOT];
	struct mark m;
	ssize_t n, at;

	while ((n = fs_pread_all(k->fd, raw, sizeof(raw), place(k->nslots))) >=
		   SLOT &&
	       k->nslots < SLOTS_MAX) {
		k->v = xreallocarray(
		    k->v, k->nslots + (size_t)(n / SLOT), sizeof(*k->v));
		for (at = 0; at + SLOT <= n; at += SLOT) {
			struct slot *s = &k->v[k->nslots++];

			*s = (struct slot){ .next = 0 };
			if (!mark_unpack(raw + at, &m))
				continue;
			memcpy(s->id, m.id, 16);
			s->next = k->bucket[m.id[0] & HEAD_MASK];
			k->bucket[m.id[0] & HEAD_MASK] = k->nslots;
		}
	}
}

static bool
find(const struct marks *k, const uint8_t id[16], uint32_t *slot)
{
	uint32_t i;

	for (i = k->bucket[id[0] & HEAD_MASK]; i != 0; i = k->v[i - 1].next)
		if (memcmp(k->v[i - 1].id, id, 16) == 0) {
			*slot = i - 1;
			return true;
		}
	return false;
}

static bool
read_slot(const struct marks *k, uint32_t slot, struct mark *m)
{
	char raw[SLOT];

	return fs_pread_all(k->fd, raw, SLOT, place(slot)) == SLOT &&
	       mark_unpack(raw, m);
}

static void
write_slot(const struct marks *k, uint32_t slot, const struct mark *m)
{
	char raw[SLOT];

	mark_pack(raw, m);
	/* should it fail, it is behind */
	(void)step_pwrite(k->fd, str_make(raw, SLOT), place(slot));
}

static void
add_slot(struct marks *k, const struct mark *m)
{
	uint32_t slot;

	if (fs_lock(k->fd, 0, true, LOCK_MS, NULL) == -1)
		return;
	learn(k);
	if (find(k, m->id, &slot) || k->nslots < SLOTS_MAX)
		write_slot(k, find(k, m->id, &slot) ? slot : k->nslots, m);
	learn(k);
	fs_unlock(k->fd, 0);
}

/* ---- life ---- */

static bool
has_head(int fd)
{
	char head[SLOT] = { 0 }, raw[SLOT];
	ssize_t n = fs_pread_all(fd, raw, SLOT, 0);

	memcpy(head, magic, 8);
	le32_put(head + 8, SLOT);
	le32_put(head + 60, crc32c(0, head, 60));
	if (n == SLOT && memcmp(raw, head, SLOT) == 0)
		return true;
	/* empty, or nothing of ours: begun anew, which forgets and no more */
	return step_truncate(fd, 0) == 0 &&
	       step_pwrite(fd, str_make(head, SLOT), 0) == 0;
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
	if (fs_lock(fd, 0, true, LOCK_MS, NULL) == -1 || !has_head(fd)) {
		account_log(a, 1, "store.marks", "the marks cannot be used");
		close(fd);
		return;
	}
	fs_unlock(fd, 0);
	k = a->marks = xcalloc(1, sizeof(*k));
	k->fd = fd;
	learn(k);
}

void
marks_close(struct account *a)
{
	if (a->marks == NULL)
		return;
	close(a->marks->fd);
	free(a->marks->v);
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
	uint32_t slot;

	if (a == NULL || a->marks == NULL)
		return MARKS_NOTHING;
	if (!find(a->marks, now->id, &slot))
		learn(a->marks);
	if (!find(a->marks, now->id, &slot) || !read_slot(a->marks, slot, m) ||
	    memcmp(m->id, now->id, 16) != 0)
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
	struct mark k;
	uint32_t slot;

	if (a == NULL || a->marks == NULL)
		return;
	mark_mailbox(m, &k);
	if (find(a->marks, k.id, &slot))
		write_slot(a->marks, slot, &k);
	else
		add_slot(a->marks, &k);
}

bool
mailbox_is_behind_marks(const struct mailbox *m)
{
	struct mark now, mark;

	mark_mailbox(m, &now);
	return marks_ask(m->account, &now, &mark) == MARKS_AHEAD;
}
