/*
 * slots - a file of one slot for each mailbox (slots_int.h).
 */
#include "service/store/slots_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define LOCK_MS	   1000
#define LEARN_SIZE 8192 /* octets read at once */

static uint64_t
place(const struct slots *s, uint32_t slot)
{
	return ((uint64_t)slot + 1) * s->size; /* behind the head */
}

/* Slots that others have taken since. */
static void
learn(struct slots *s)
{
	char raw[LEARN_SIZE];
	ssize_t n, at;

	while (s->n < SLOTS_MAX && (n = fs_pread_all(s->fd, raw, sizeof(raw),
					place(s, s->n))) >= (ssize_t)s->size) {
		s->v = xreallocarray(
		    s->v, s->n + (size_t)n / s->size, sizeof(*s->v));
		for (at = 0; at + (ssize_t)s->size <= n; at += s->size) {
			struct slot *new = &s->v[s->n++];

			*new = (struct slot){ .next = 0 };
			if (!s->owner(raw + at, new->id)) {
				s->ntorn++;
				continue;
			}
			new->next = s->bucket[new->id[0] & SLOTS_MASK];
			s->bucket[new->id[0] & SLOTS_MASK] = s->n;
		}
	}
}

static void
forget(struct slots *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->ntorn = 0;
	memset(s->bucket, 0, sizeof(s->bucket));
}

static bool
known(const struct slots *s, const uint8_t id[16], uint32_t *slot)
{
	uint32_t i;

	for (i = s->bucket[id[0] & SLOTS_MASK]; i != 0; i = s->v[i - 1].next)
		if (memcmp(s->v[i - 1].id, id, 16) == 0) {
			*slot = i - 1;
			return true;
		}
	return false;
}

bool
slots_get(struct slots *s, const uint8_t id[16], char *raw)
{
	uint8_t owner[16];
	uint32_t slot;

	if (!known(s, id, &slot))
		learn(s);
	return known(s, id, &slot) &&
	       fs_pread_all(s->fd, raw, s->size, place(s, slot)) ==
		   (ssize_t)s->size &&
	       s->owner(raw, owner) && memcmp(owner, id, 16) == 0;
}

static int
take(struct slots *s, const uint8_t id[16], const char *raw)
{
	uint32_t slot;
	int rc = -1;

	if (fs_lock(s->fd, 0, true, LOCK_MS, NULL) == -1)
		return -1;
	/* its slot may have been written when we read it; now it is not, as
	 * that takes the lock the caller has */
	if (s->ntorn > 0)
		forget(s);
	learn(s);
	if (!known(s, id, &slot))
		slot = s->ntorn > 0 && !s->is_nameless ? SLOTS_MAX : s->n;
	if (slot < SLOTS_MAX)
		rc = step_slot(s->fd, str_make(raw, s->size), place(s, slot));
	learn(s);
	fs_unlock(s->fd, 0);
	return rc;
}

int
slots_put(struct slots *s, const uint8_t id[16], const char *raw)
{
	uint32_t slot;

	return known(s, id, &slot) ?
		   step_slot(s->fd, str_make(raw, s->size), place(s, slot)) :
		   take(s, id, raw);
}

static bool
has_head(const struct slots *s, const char magic[8])
{
	char head[SLOT_SIZE_MAX] = { 0 }, raw[SLOT_SIZE_MAX];
	ssize_t n = fs_pread_all(s->fd, raw, s->size, 0);

	memcpy(head, magic, 8);
	le32_put(head + 8, s->size);
	le32_put(head + s->size - 4, crc32c(0, head, s->size - 4));
	if (n == (ssize_t)s->size && memcmp(raw, head, s->size) == 0)
		return true;
	if (n != 0 && !s->is_nameless)
		return false;
	return step_truncate(s->fd, 0) == 0 &&
	       step_slot(s->fd, str_make(head, s->size), 0) == 0;
}

int
slots_init(struct slots *s, int fd, const char magic[8])
{
	s->fd = fd;
	if (fs_lock(fd, 0, true, LOCK_MS, NULL) == -1 || !has_head(s, magic)) {
		close(fd);
		s->fd = -1;
		return -1;
	}
	fs_unlock(fd, 0);
	return 0;
}

void
slots_release(struct slots *s)
{
	if (s->fd != -1)
		close(s->fd);
	forget(s);
	s->fd = -1;
}
