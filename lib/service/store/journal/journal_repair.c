/*
 * journal_repair - what the holder of byte 0 does about a journal that is
 * not as it should be: damage, a writer that died, a sync that failed.
 */
#include "service/store/journal_room_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define DAMAGE_MAX (1u << 30) /* of a file searched for later blocks */

bool
journal_has_later(const struct journal *j, uint64_t size)
{
	uint64_t n = size - j->end, at, budget;
	char *p;
	ssize_t got;
	bool found = false;

	if (n > DAMAGE_MAX)
		return true;
	p = xmalloc(n);
	got = journal_pread(j, p, n, j->end);
	n = got < 0 ? 0 : (uint64_t)got;
	budget = 8 * n + 4096;
	for (at = 8; at + TXN_HEAD + TXN_FOOT <= n && !found; at += 8) {
		uint32_t len = txn_len(p + at, j->end + at, n - at);

		if (len == 0)
			continue;
		/* a hostile file of nothing but heads costs bounded time */
		if (len > budget) {
			found = true;
			break;
		}
		budget -= len;
		/* its CRC may be of another salt: where the header is that of
		 * a former journal, none that stands behind it agrees */
		found = txn_has_ends(p + at, len);
	}
	free(p);
	return found;
}

/* Copy what can be saved into a new generation; the old file stays as .bad */
struct salvage {
	struct journal *j; /* the one that is damaged */
	struct journal from;
	char *p; /* its contents */
	uint64_t n;
};

int
salvage_each(struct salvage *s, journal_apply *apply, void *arg)
{
	uint64_t at = JOURNAL_HEAD, budget = 16 * s->n;
	struct txn t;

	while (at + TXN_HEAD + TXN_FOOT <= s->n) {
		uint32_t len = txn_len(s->p + at, at, s->n - at);

		if (len == 0 || len > budget ||
		    !txn_unpack(&s->from, s->p + at, len, &t)) {
			budget -= len < budget ? len : budget;
			at += 8;
			continue;
		}
		if (apply(arg, &t) == -1)
			return -1;
		at += len;
	}
	return 0;
}

static int
salvage_fill(void *arg, struct journal *to, struct err *e)
{
	struct salvage *s = arg;
	struct journal *j = s->j;
	struct ops ops;
	struct journal_carrier c = { to, &ops, e };
	int rc = 1;

	if (j->regain != NULL)
		rc = j->regain(j->regain_arg, s, to, e);
	j->was_salvaged = rc == 1;
	if (rc != 1)
		return rc;
	ops_init(&ops);
	rc = salvage_each(s, journal_carry_one, &c);
	ops_release(&ops);
	return rc;
}

static void
salvage_read(struct salvage *s, struct journal *j, uint64_t size)
{
	ssize_t got;

	*s = (struct salvage){ .j = j, .p = xmalloc(size) };
	s->from = (struct journal){ .kind = j->kind, .salt = j->salt };
	got = journal_pread(j, s->p, size, 0);
	s->n = got < 0 ? 0 : (uint64_t)got;
}

int
journal_salvage(struct journal *j, uint64_t size, struct err *e)
{
	struct salvage s;
	struct journal_spec spec = { .kind = j->kind,
		.uidvalidity = j->uidvalidity,
		.modseq = 1,
		/* not of the journal that stood before: readers start anew */
		.index_gen = j->index_gen,
		.index_crc = j->index_crc,
		.cache_no = j->cache_no,
		.base_off = j->base_off,
		.fill = salvage_fill,
		.arg = &s };
	int rc;

	if (size > DAMAGE_MAX)
		return err_set(e, ERR_PERM, "journal damaged at %llu",
		    (unsigned long long)j->end);
	memcpy(spec.mailboxid, j->mailboxid, 16);
	salvage_read(&s, j, size);
	if (step_unlink(j->dirfd, "journal.bad") == -1 && errno != ENOENT)
		rc = err_sys(e, "remove journal.bad");
	else if (step_link(j->dirfd, "journal", j->dirfd, "journal.bad") == -1)
		rc = err_sys(e, "keep damaged journal");
	else
		rc = journal_create(j, &spec, e);
	free(s.p);
	return rc;
}

static int
nothing(void *arg, const struct txn *t)
{
	(void)arg;
	(void)t;
	return 0;
}

bool
journal_is_whole(struct journal *j)
{
	char head[JOURNAL_HEAD];
	struct journal copy = *j;

	j->must_audit = false;
	copy.end = JOURNAL_HEAD;
	return journal_pread(j, head, sizeof(head), 0) == JOURNAL_HEAD &&
	       journal_head_unpack(head, &copy) &&
	       journal_read(&copy, j->end, nothing, NULL, NULL) == 0 &&
	       copy.end == j->end;
}

/* A writer died between its append and its publishing. */
int
journal_mend_pub(struct journal *j, struct err *e)
{
	uint64_t from = j->pub_ok ? j->pub.end : j->end;
	char *p;
	ssize_t n;
	int rc = 0;

	if (from < j->end) {
		/* A failed sync leaves pages that look written: write them
		 * again before trusting the next sync. */
		p = xmalloc(j->end - from);
		n = journal_pread(j, p, j->end - from, from);
		if (n < 0 || (uint64_t)n != j->end - from ||
		    step_pwrite(j->fd, str_make(p, (size_t)n), from) == -1)
			rc = err_sys(e, "write journal again");
		free(p);
	}
	if (rc == 0 && step_sync_data(j->fd) == -1)
		rc = err_sys(e, "sync journal");
	return rc;
}

/*
 * The kernel forgets about pages whose write failed: a later sync would
 * succeed without them. So they are made dirty again first.
 */
int
journal_heal(struct journal *j, struct err *e)
{
	uint64_t off = j->synced < JOURNAL_HEAD ? JOURNAL_HEAD : j->synced;
	char *p = xmalloc(READ_CHUNK);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && off < j->end) {
		size_t want =
		    j->end - off < READ_CHUNK ? j->end - off : READ_CHUNK;

		n = journal_pread(j, p, want, off);
		if (n <= 0 ||
		    step_pwrite(j->fd, str_make(p, (size_t)n), off) == -1)
			rc = err_sys(e, "write journal again");
		else
			off += (uint64_t)n;
	}
	free(p);
	if (rc == 0 && step_sync_data(j->fd) == -1)
		rc = err_sys(e, "sync journal");
	if (rc == 0) {
		j->is_broken = false;
		j->synced = j->end;
	}
	return rc;
}
