/*
 * read - the stream from a token on: which records stand, by mailbox, and
 * which are still in flight.
 *
 * 1. What does not fit (another id, a place that is not there or has another
 *    record before it, a CRC, a file that is shorter than a writer saw it) is
 *    "unknown"; a damaged file is removed, so that another begins.
 * 2. A first token is the end of the stream, and after it a record for each
 *    mailbox whose byte 0 is held: what its holder noted may lie before that
 *    end or in a file that is lost. Who takes byte 0 later notes it behind.
 */
#include "service/store/stream_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/stream_read_int.h"
#include "system/fs/fs.h"

/* ---- the files ---- */

void
stream_files_close(struct stream_files *f)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (f->fd[i] != -1)
			close(f->fd[i]);
	f->fd[0] = f->fd[1] = -1;
}

static bool
open_one(struct account *a, const char *name, int *fd, struct stream_head *h,
    uint64_t *n)
{
	struct stat st;

	*fd = fs_open_file(a->acctfd, name, O_RDONLY, 0);
	if (*fd == -1)
		return false;
	if (!stream_head_read(*fd, h) || fstat(*fd, &st) == -1 ||
	    (st.st_size - STREAM_HEAD) % STREAM_RECORD != 0)
		return false;
	*n = (uint64_t)(st.st_size - STREAM_HEAD) / STREAM_RECORD;
	/* what stands behind was written again into the next */
	if (*n > h->records)
		*n = h->records;
	return true;
}

enum stream_state
stream_files_open(struct account *a, struct stream_files *f)
{
	struct stream_head old;
	uint64_t n;

	*f = (struct stream_files){ .fd = { -1, -1 } };
	if (a->acctfd == -1 ||
	    !open_one(a, "stream", &f->fd[0], &f->head, &f->end)) {
		bool is_there = f->fd[0] != -1;

		stream_files_close(f);
		return is_there ? STREAM_DAMAGED : STREAM_NONE;
	}
	f->salt[0] = f->head.salt;
	f->first = f->head.base;
	f->end += f->head.base;
	if (f->head.base == 0 ||
	    !open_one(a, "stream.old", &f->fd[1], &old, &n) ||
	    old.id != f->head.id || n != old.records ||
	    old.base + old.records != f->head.base)
		return STREAM_GOOD;
	f->salt[1] = old.salt;
	f->first = old.base;
	return STREAM_GOOD;
}

/* false: it is not there, or not what was written */
bool
stream_files_read(
    const struct stream_files *f, uint64_t at, struct stream_record *r)
{
	unsigned k = at < f->head.base;
	uint64_t base = k == 0 ? f->head.base : f->first;
	char raw[STREAM_RECORD];

	if (at < f->first || at >= f->end)
		return false;
	return fs_pread_all(f->fd[k], raw, sizeof(raw),
		   STREAM_HEAD + (at - base) * STREAM_RECORD) ==
		   STREAM_RECORD &&
	       stream_record_unpack(raw, f->salt[k], r) && r->seen <= at;
}

/* ---- mailboxes told of ---- */

static struct told *
told_of(struct telling *t, const uint8_t id[16], bool is_tree)
{
	uint32_t *at = &t->bucket[id[0] | (id[1] & 3) << 8];
	uint32_t i;

	for (i = *at; i != 0; i = t->v[i - 1].next)
		if (memcmp(t->v[i - 1].j.id, id, 16) == 0 &&
		    t->v[i - 1].j.is_tree == is_tree)
			return &t->v[i - 1];
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 32 : t->cap * 2;
		t->v = xreallocarray(t->v, t->cap, sizeof(*t->v));
	}
	t->v[t->n] = (struct told){ .j.is_tree = is_tree, .next = *at };
	memcpy(t->v[t->n].j.id, id, 16);
	*at = (uint32_t)++t->n;
	return &t->v[t->n - 1];
}

void
telling_release(struct telling *t)
{
	free(t->v);
	t->v = NULL;
}

static void
tell_tree(
    struct telling *t, const struct account *a, const struct stream_record *r)
{
	t->has_tree = true;
	/* what it says can only be read in the journal it was written to */
	if (r->kind == STREAM_TREE_NEW || r->gen != a->j.gen)
		t->is_tree_whole = true;
	else if (t->tree_from == 0 || r->before < t->tree_from)
		t->tree_from = r->before;
}

static void
tell_mailbox(struct told *b, const struct stream_record *r)
{
	if (!b->has_changed || r->before < b->since)
		b->since = r->before;
	b->has_changed = true;
}

/* ---- from a token ---- */

/* false: it must wait, and there is no more room in the token for it */
static bool
consider(struct account *a, struct telling *t, struct stream_token *next,
    const struct stream_record *r, uint64_t at)
{
	bool is_tree = r->kind == STREAM_TREE || r->kind == STREAM_TREE_NEW;
	struct told *b = told_of(t, r->id, is_tree);

	switch (stream_judge(a, r, &b->j)) {
	case STREAM_STANDS:
		if (is_tree)
			tell_tree(t, a, r);
		else
			tell_mailbox(b, r);
		break;
	case STREAM_VOID:
		break;
	case STREAM_IN_FLIGHT:
		if (next->npending == STREAM_PENDING)
			return false;
		next->pending[next->npending++] = at;
	}
	return true;
}

static bool
fits(const struct stream_files *f, const struct stream_token *t)
{
	struct stream_record last;

	return t->id == f->head.id && t->next >= f->first &&
	       t->next <= f->end &&
	       (t->next == 0 ? t->crc == 0 :
			       stream_files_read(f, t->next - 1, &last) &&
				   last.crc == t->crc);
}

/* Those that were in flight, then what came since. */
enum stream_state
stream_files_tell(struct account *a, const struct stream_files *f,
    const struct stream_token *from, struct stream_token *next,
    struct telling *t)
{
	struct stream_record r;
	unsigned i;

	if (!fits(f, from))
		return STREAM_NONE;
	*next = *from;
	next->npending = 0;
	for (i = 0; i < from->npending; i++) {
		if (!stream_files_read(f, from->pending[i], &r))
			return from->pending[i] < f->first ? STREAM_NONE :
							     STREAM_DAMAGED;
		consider(a, t, next, &r, from->pending[i]);
	}
	for (; next->next < f->end; next->next++) {
		if (!stream_files_read(f, next->next, &r))
			return STREAM_DAMAGED;
		if (!consider(a, t, next, &r, next->next))
			break;
		next->crc = r.crc;
	}
	return STREAM_GOOD;
}

/* ---- a first token ---- */

static bool
any_is_held(struct account *a)
{
	struct judged j;
	bool held = stream_is_held(a, NULL, &j);
	size_t i;

	for (i = 0; i < a->tree.n && !held; i++)
		held = stream_is_held(a, &a->tree.v[i], &j);
	return held;
}

static void
note_held(struct account *a)
{
	struct judged j;
	size_t i;

	if (stream_is_held(a, NULL, &j))
		stream_note_held(a, &j);
	for (i = 0; i < a->tree.n; i++)
		if (stream_is_held(a, &a->tree.v[i], &j))
			stream_note_held(a, &j);
}

bool
stream_first_token(struct account *a, struct stream_token *t)
{
	struct stream_files f;
	struct stream_record last = { .crc = 0 };
	enum stream_state is;
	bool ok;

	*t = (struct stream_token){ 0 };
	if (a->opts.readonly ? any_is_held(a) : stream_open(a, NULL) == -1)
		return false;
	is = stream_files_open(a, &f);
	if (is == STREAM_GOOD && f.end > 0 &&
	    !stream_files_read(&f, f.end - 1, &last))
		is = STREAM_DAMAGED;
	if (is == STREAM_DAMAGED && !a->opts.readonly)
		stream_spoil(a, "damaged: readers begin anew");
	*t = (struct stream_token){
		.id = f.head.id, .next = f.end, .crc = last.crc
	};
	ok = is == STREAM_GOOD;
	stream_files_close(&f);
	if (ok && !a->opts.readonly)
		note_held(a);
	return ok;
}
