/*
 * lost - the names of messages whose records cannot be read: taken from the
 * directories, once, by the hashes that the rows have.
 *
 * A rare state: it ends with the next generation, which writes all records
 * anew. What the record alone knew is made up: EMAILID from the name, as it
 * was given; a copy's from our export, if there is one.
 */
#include "service/store/index_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

struct lost_names {
	struct lost_name {
		uint64_t uhash;
		char *file;
	} * v;
	size_t n, cap;
	uint64_t mtime[2]; /* of the directories when they were read */
	struct uidlist list;
};

void
lost_release(struct lost_names **lp)
{
	struct lost_names *l = *lp;
	size_t i;

	if (l == NULL)
		return;
	*lp = NULL;
	for (i = 0; i < l->n; i++)
		free(l->v[i].file);
	free(l->v);
	uidlist_release(&l->list);
	free(l);
}

static int
lost_cmp(const void *va, const void *vb)
{
	const struct lost_name *a = va, *b = vb;

	return a->uhash < b->uhash ? -1 : a->uhash > b->uhash;
}

static void
read_names(struct lost_names *l, int dirfd, const char *sub)
{
	DIR *d = fs_read_dir(dirfd, sub);
	struct dirent *de;
	struct name n;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (!name_parse(str_from(de->d_name), &n))
			continue;
		if (l->n == l->cap) {
			l->cap = l->cap == 0 ? 64 : l->cap * 2;
			l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
		}
		l->v[l->n++] = (struct lost_name){ name_hash(n.unique),
			xstrdup(de->d_name) };
	}
	closedir(d);
}

static struct lost_names *
names_of(struct mailbox *m)
{
	uint64_t mtime[2] = { 0, 0 };
	struct stat st;

	if (fstat(m->curfd, &st) == 0)
		mtime[0] = stat_mtime(&st);
	if (fstat(m->newfd, &st) == 0)
		mtime[1] = stat_mtime(&st);
	if (m->lost != NULL &&
	    memcmp(m->lost->mtime, mtime, sizeof(mtime)) == 0)
		return m->lost;
	lost_release(&m->lost);
	m->lost = xcalloc(1, sizeof(*m->lost));
	memcpy(m->lost->mtime, mtime, sizeof(mtime));
	read_names(m->lost, m->dirfd, "cur");
	read_names(m->lost, m->dirfd, "new");
	if (m->lost->n > 1)
		qsort(m->lost->v, m->lost->n, sizeof(*m->lost->v), lost_cmp);
	uidlist_read(m->dirfd, false, &m->lost->list);
	return m->lost;
}

bool
lost_find(struct mailbox *m, uint32_t row, struct cold *out)
{
	struct lost_names *l = names_of(m);
	struct lost_name key = { m->v.uhash[row], NULL }, *at;
	const struct uid_line *u;
	struct name n;

	at = l->n == 0 ? NULL :
			 bsearch(&key, l->v, l->n, sizeof(*l->v), lost_cmp);
	if (at == NULL || !name_parse(str_from(at->file), &n) ||
	    !str_copy(n.base, m->name, sizeof(m->name)) ||
	    !str_copy(n.extra, m->extra, sizeof(m->extra)))
		return false;
	out->base = str_from(m->name);
	out->extra = str_from(m->extra);
	emailid_of(n.unique, out->emailid);
	u = n.is_copy ? uidlist_find(&l->list, key.uhash) : NULL;
	if (u != NULL && u->has_guid)
		memcpy(out->emailid, u->guid, 16);
	return true;
}
