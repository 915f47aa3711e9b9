/*
 * arrive - files that became messages without us: order, dates, sizes.
 */
#include "service/store/store_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

void
arrivals_release(struct arrivals *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		free(a->v[i].file);
	free(a->v);
	*a = (struct arrivals){ 0 };
}

bool
arrivals_add(struct arrivals *list, const char *file, uint32_t dir,
    const struct stat *st)
{
	struct arrival *a;
	struct name n;

	if (!S_ISREG(st->st_mode) || !name_parse(str_from(file), &n))
		return false;
	if (list->n == list->cap) {
		list->cap = list->cap == 0 ? 16 : list->cap * 2;
		list->v = xreallocarray(list->v, list->cap, sizeof(*list->v));
	}
	a = &list->v[list->n++];
	*a = (struct arrival){ .file = xstrdup(file),
		.dir = dir,
		.seconds = n.seconds,
		.usec = n.usec,
		.idate = st->st_mtim.tv_sec,
		.sdate = st->st_ctim.tv_sec,
		.base_n = n.base.n,
		.octets = (uint64_t)st->st_size,
		.is_plain = n.size == (uint64_t)st->st_size,
		.size = (uint64_t)st->st_size,
		.is_unsure = true };
	/* who writes W= has counted; S= is only a hint */
	arrival_sized(a, n.wsize);
	return true;
}

/* An octet is two at most, but a file may be less than its contents. */
void
arrival_sized(struct arrival *a, uint64_t vsize)
{
	uint64_t most = a->octets;

	if (!a->is_plain && most < PACKED_MAX)
		most = PACKED_MAX;
	if (vsize == 0 || vsize > 2 * most ||
	    (a->is_plain && vsize < a->octets))
		return;
	a->size = vsize;
	a->is_unsure = false;
}

bool
arrival_is_same_name(const struct arrival *a, const struct arrival *b)
{
	return a->base_n == b->base_n &&
	       memcmp(a->file, b->file, a->base_n) == 0;
}

/* By base names, so that two files of one come together. */
static int
file_cmp(const struct arrival *a, const struct arrival *b)
{
	int c =
	    str_cmp(str_make(a->file, a->base_n), str_make(b->file, b->base_n));

	return c != 0 ? c : strcmp(a->file, b->file);
}

static int
arrival_cmp(const void *va, const void *vb)
{
	const struct arrival *a = va, *b = vb;

	/* known numbers first, as they are */
	if (a->uid != b->uid && (a->uid != 0 || b->uid != 0)) {
		if (a->uid == 0 || b->uid == 0)
			return a->uid == 0 ? 1 : -1;
		return a->uid < b->uid ? -1 : 1;
	}
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	if (a->usec != b->usec)
		return a->usec < b->usec ? -1 : 1;
	return file_cmp(a, b);
}

void
arrivals_sort(struct arrivals *list)
{
	if (list->n > 1)
		qsort(list->v, list->n, sizeof(*list->v), arrival_cmp);
}

void
arrival_measure(struct mailbox *m, struct arrival *a)
{
	int fd;

	if (!a->is_unsure)
		return;
	fd = fs_open_file(
	    a->dir == 1 ? m->newfd : m->curfd, a->file, O_RDONLY, 0);
	if (fd == -1)
		return;
	a->is_unsure = !msgfile_measure_once(fd, false, &a->size);
	close(fd);
}

void
arrival_pack(struct ops *o, const struct view *v, const struct arrival *a,
    uint32_t uid, uint64_t modseq)
{
	struct op_add add = { .uid = uid,
		.size = a->size,
		.create_modseq = modseq,
		.idate = a->idate,
		.sdate = a->sdate,
		.zone_min = (int16_t)date_local_zone(a->idate),
		.bits = a->is_unsure ? ADD_UNSURE : 0 };
	struct name n;

	name_parse(str_from(a->file), &n);
	add.fn = n.fn;
	add.name = n.base;
	add.extra = n.extra;
	add.where = a->dir == 1 ? WHERE_NEW :
		    n.has_info	? WHERE_CUR :
				  WHERE_BARE;
	view_flags_of(v, add.fn, &add.flags, &add.kw);
	add.kw |= a->kw;
	if (a->has_guid)
		memcpy(add.emailid, a->emailid, 16);
	else
		emailid_of(n.unique, add.emailid);
	op_add_pack(o, &add);
}
