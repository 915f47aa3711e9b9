/*
 * txn - the bytes of a journal: its header and its transactions.
 *
 * A transaction is accepted only where it says it stands, with its whole
 * length inside the file and its CRC, seeded by the file's salt, right.
 */
#include "service/store/journal_room_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/date.h"
#include "base/pack.h"

#define TXN_MAGIC 0x314e5854u /* "TXN1" */
#define FOOT_MASK 0x5a5a5a5au

/* incompatible features */
#define FEAT_INDEX 1u /* it goes on from an index */

static const char *const magics[] = { "QJRNL\0\0\1", "QACCT\0\0\1" };

/* ---- header ---- */

/*
 * 0 u8[8] magic | 8 u32 version | 12 u32 hdr_len | 16 u64 gen
 * 24 u64 base_modseq | 32 u8[16] mailboxid | 48 u32 uidvalidity | 52 u32 salt
 * 56 u64 prev_end | 64 u32 crc of the index's head | 68 u32 feat_incompat
 * 72 u32 feat_compat | 76 u32 zero | 80 u64 created | 88 u64 carry_end
 * 96 u64 st_ino | 104 u64 index_gen | 112 u64 base_off
 * 120 u32 cache_no | 124 u32 crc32c of 0..123
 */
void
journal_head_pack(char p[JOURNAL_HEAD], const struct journal *j, uint64_t ino)
{
	memset(p, 0, JOURNAL_HEAD);
	memcpy(p, magics[j->kind], 8);
	le32_put(p + 8, 1);
	le32_put(p + 12, JOURNAL_HEAD);
	le64_put(p + 16, j->gen);
	le64_put(p + 24, j->modseq);
	memcpy(p + 32, j->mailboxid, 16);
	le32_put(p + 48, j->uidvalidity);
	le32_put(p + 52, j->salt);
	le64_put(p + 56, j->prev_end);
	le32_put(p + 64, j->index_crc);
	le32_put(p + 68, j->index_gen != 0 ? FEAT_INDEX : 0);
	le64_put(p + 80, (uint64_t)date_now());
	le64_put(p + 88, j->carry_end);
	le64_put(p + 96, ino);
	le64_put(p + 104, j->index_gen);
	le64_put(p + 112, j->base_off);
	le32_put(p + 120, j->cache_no);
	le32_put(p + 124, crc32c(0, p, 124));
}

bool
journal_head_is_newer(const char *p)
{
	return le32_get(p + 124) == crc32c(0, p, 124) &&
	       (le32_get(p + 8) != 1 || (le32_get(p + 68) & ~FEAT_INDEX) != 0);
}

bool
journal_head_unpack(const char *p, struct journal *j)
{
	if (memcmp(p, magics[j->kind], 8) != 0 ||
	    le32_get(p + 12) != JOURNAL_HEAD ||
	    le32_get(p + 124) != crc32c(0, p, 124))
		return false;
	/* an incompatible feature is one we would misread */
	if (le32_get(p + 8) != 1 || (le32_get(p + 68) & ~FEAT_INDEX) != 0)
		return false;
	j->gen = le64_get(p + 16);
	j->modseq = le64_get(p + 24);
	memcpy(j->mailboxid, p + 32, 16);
	j->uidvalidity = le32_get(p + 48);
	j->salt = le32_get(p + 52);
	j->created = le64_get(p + 80);
	j->ino = le64_get(p + 96);
	j->prev_end = le64_get(p + 56);
	j->index_crc = le32_get(p + 64);
	j->carry_end = le64_get(p + 88);
	j->index_gen = le64_get(p + 104);
	j->base_off = le64_get(p + 112);
	j->cache_no = le32_get(p + 120);
	return true;
}

/* ---- transactions ---- */

/* Whole length of what claims to stand at p, 0 if nothing can. */
uint32_t
txn_len(const char *p, uint64_t off, uint64_t room)
{
	uint32_t len = le32_get(p + 4);

	if (le32_get(p) != TXN_MAGIC || len < TXN_HEAD + TXN_FOOT ||
	    len > room || len > TXN_MAX || len % 8 != 0 ||
	    le64_get(p + 16) != off)
		return 0;
	return len;
}

static uint32_t
txn_crc(uint32_t salt, const char *p, uint32_t len)
{
	static const char zero[4];
	uint32_t crc = crc32c(salt, p, 8);

	crc = crc32c(crc, zero, 4);
	return crc32c(crc, p + 12, len - 12 - TXN_FOOT);
}

static void
txn_head_unpack(const char *p, struct txn *t)
{
	t->len = le32_get(p + 4);
	t->nops = le16_get(p + 12);
	t->flags = le16_get(p + 14);
	t->off = le64_get(p + 16);
	t->modseq = le64_get(p + 24);
	t->time_us = (int64_t)le64_get(p + 32);
	t->c.uidnext = le32_get(p + 40);
	t->c.exists = le32_get(p + 44);
	t->c.deleted = le32_get(p + 48);
	t->c.unseen = le32_get(p + 52);
	t->c.unread = le32_get(p + 56);
	t->boot = le32_get(p + 60);
	t->c.bytes = le64_get(p + 64);
	t->c.deleted_bytes = le64_get(p + 72);
}

bool
txn_has_ends(const char *p, uint32_t len)
{
	return le32_get(p + len - 8) == len &&
	       le32_get(p + len - 4) == (le32_get(p + 8) ^ FOOT_MASK);
}

bool
txn_unpack(const struct journal *j, const char *p, uint32_t len, struct txn *t)
{
	if (txn_crc(j->salt, p, len) != le32_get(p + 8) ||
	    !txn_has_ends(p, len))
		return false;
	txn_head_unpack(p, t);
	t->ops = str_make(p + TXN_HEAD, len - TXN_HEAD - TXN_FOOT);
	return true;
}

void
txn_seal(struct journal *j, struct ops *o, const struct txn *t)
{
	struct buf *b = &o->b;
	uint32_t len = (uint32_t)b->n + TXN_FOOT, crc;
	char *p = b->p;

	le32_put(p, TXN_MAGIC);
	le32_put(p + 4, len);
	le16_put(p + 12, t->nops);
	le16_put(p + 14, t->flags);
	le64_put(p + 16, t->off);
	le64_put(p + 24, t->modseq);
	le64_put(p + 32, (uint64_t)t->time_us);
	le32_put(p + 40, t->c.uidnext);
	le32_put(p + 44, t->c.exists);
	le32_put(p + 48, t->c.deleted);
	le32_put(p + 52, t->c.unseen);
	le32_put(p + 56, t->c.unread);
	le32_put(p + 60, t->boot);
	le64_put(p + 64, t->c.bytes);
	le64_put(p + 72, t->c.deleted_bytes);
	crc = txn_crc(j->salt, p, len);
	le32_put(p + 8, crc);
	pack_u32(b, len);
	pack_u32(b, crc ^ FOOT_MASK);
}
