/*
 * pub - how far a journal may be read, and its counters for STATUS: a cache
 * of 128 octets, overwritten in place and never synced.
 */
#include "service/store/journal_room_int.h"

#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "system/fs/fs.h"

#define PUB_MAGIC 0x42555051u /* "QPUB" */

/*
 * 0 u32 "QPUB" | 4 u32 boot | 8 u64 end | 16 u64 modseq | 24 u64 cur mtime
 * 32 u64 new mtime | 40 u64 gen | 48 u32 uidvalidity | 52 u32 uidnext
 * 56 u32 exists | 60 u32 deleted | 64 u32 unseen | 68 u32 unread
 * 72 u64 bytes | 80 u64 deleted bytes | 88 u8[16] mailboxid
 * 104 u64 cur ino | 112 zero | 124 u32 crc32c of 0..123
 */
static bool
is_pub(const char *raw)
{
	return le32_get(raw) == PUB_MAGIC &&
	       le32_get(raw + 124) == crc32c(0, raw, 124);
}

bool
pub_owner(const char *raw, uint8_t id[16])
{
	if (!is_pub(raw))
		return false;
	memcpy(id, raw + 88, 16);
	return true;
}

bool
pub_unpack(const char raw[PUB_SIZE], struct pub *p)
{
	if (!is_pub(raw) || le32_get(raw + 4) != boot_id())
		return false;
	p->boot = le32_get(raw + 4);
	p->end = le64_get(raw + 8);
	p->modseq = le64_get(raw + 16);
	p->cur_mtime = le64_get(raw + 24);
	p->new_mtime = le64_get(raw + 32);
	p->gen = (uint32_t)le64_get(raw + 40);
	p->uidvalidity = le32_get(raw + 48);
	p->c.uidnext = le32_get(raw + 52);
	p->c.exists = le32_get(raw + 56);
	p->c.deleted = le32_get(raw + 60);
	p->c.unseen = le32_get(raw + 64);
	p->c.unread = le32_get(raw + 68);
	p->c.bytes = le64_get(raw + 72);
	p->c.deleted_bytes = le64_get(raw + 80);
	memcpy(p->mailboxid, raw + 88, 16);
	p->cur_ino = le64_get(raw + 104);
	return true;
}

void
pub_read(struct journal *j)
{
	memset(j->pub_raw, 0, PUB_SIZE);
	j->pub_ok =
	    j->pubfd != -1 &&
	    fs_pread_all(j->pubfd, j->pub_raw, PUB_SIZE, 0) == PUB_SIZE &&
	    pub_unpack(j->pub_raw, &j->pub) && j->pub.gen == (uint32_t)j->gen;
}

static void
pub_pack(char raw[PUB_SIZE], const struct journal *j, const struct counters *c,
    const struct scan_state *dirs)
{
	memset(raw, 0, PUB_SIZE);
	le32_put(raw, PUB_MAGIC);
	le32_put(raw + 4, boot_id());
	le64_put(raw + 8, j->end);
	le64_put(raw + 16, j->modseq);
	if (dirs != NULL) {
		le64_put(raw + 24, dirs[0].mtime);
		le64_put(raw + 32, dirs[1].mtime);
		le64_put(raw + 104, dirs[0].ino);
	}
	le64_put(raw + 40, j->gen);
	le32_put(raw + 48, j->uidvalidity);
	le32_put(raw + 52, c->uidnext);
	le32_put(raw + 56, c->exists);
	le32_put(raw + 60, c->deleted);
	le32_put(raw + 64, c->unseen);
	le32_put(raw + 68, c->unread);
	le64_put(raw + 72, c->bytes);
	le64_put(raw + 80, c->deleted_bytes);
	memcpy(raw + 88, j->mailboxid, 16);
	le32_put(raw + 124, crc32c(0, raw, 124));
}

void
journal_publish(struct journal *j, const struct counters *c,
    const struct scan_state *dirs, struct account *a)
{
	char raw[PUB_SIZE];

	pub_pack(raw, j, c, dirs);
	if (a != NULL)
		pubs_put(a, raw);
	/* Failing is no error: others see the file grown past pub and mend
	 * it. */
	if (step_pwrite(j->pubfd, str_make(raw, PUB_SIZE), 0) == 0) {
		memcpy(j->pub_raw, raw, PUB_SIZE);
		j->pub_ok = pub_unpack(raw, &j->pub);
	}
}

bool
journal_is_quiet(struct journal *j)
{
	char raw[PUB_SIZE];
	struct stat st;

	if (!j->pub_ok || fs_pread_all(j->pubfd, raw, PUB_SIZE, 0) != PUB_SIZE)
		return false;
	if (memcmp(raw, j->pub_raw, PUB_SIZE) != 0 || j->pub.end != j->end)
		return false;
	if (fstat(j->fd, &st) == -1 || st.st_nlink == 0)
		return false;
	if (j->mtime == stat_mtime(&st))
		return (uint64_t)st.st_size >= j->end;
	if (journal_tail(j) != TAIL_BLANK)
		return false;
	/* who appends publishes; a write without that is somebody else's */
	j->must_audit = j->mtime != 0;
	if (j->mtime == 0)
		j->mtime = stat_mtime(&st);
	return !j->must_audit;
}
