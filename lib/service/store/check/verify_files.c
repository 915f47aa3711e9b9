/*
 * verify_files - the messages of a mailbox and its files: what verify_names.c
 * has read is judged, then each file is looked at. One that moves under our
 * eyes is skipped.
 */
#include "service/store/verify_names_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/packed_int.h"
#include "system/fs/fs.h"

/* ---- files without a message ---- */

static void
judge_second(struct files *f, const struct stray *x, const struct stat *st)
{
	bool is_young = f->v->now - st->st_ctim.tv_sec <= YOUNG_S;
	uint32_t uid = f->b->m.v.uid[x->row];

	if (f->ino[x->row] == st->st_ino)
		verify_found(f->v, is_young ? VERIFY_NOTE : VERIFY_WARNING,
		    "two-names", uid, x->file,
		    "a second name of the message's file: a session puts it "
		    "aside after a minute");
	else
		verify_found(f->v, VERIFY_WARNING, "two-files", uid, x->file,
		    "a second file of the message's name: the next session "
		    "makes it a message of its own");
}

static void
judge_ours(struct files *f, const struct stray *x, const struct name *n,
    const struct stat *st)
{
	if (f->v->now - st->st_ctim.tv_sec <= YOUNG_S)
		verify_found(f->v, VERIFY_NOTE, "not-taken-in", 0, x->file,
		    "no message yet: somebody is about to register it");
	else if (n->size != 0 && n->size != (uint64_t)st->st_size)
		verify_found(f->v, VERIFY_WARNING, "unfinished-file", 0,
		    x->file,
		    "%lld octets: half written and never acknowledged; remove "
		    "it",
		    (long long)st->st_size);
	else
		verify_found(f->v, VERIFY_ERROR, "stray-file", 0, x->file,
		    "no message, and nobody registered it for a minute: the "
		    "next session takes it in");
}

static void
judge_strays(struct files *f)
{
	struct view *v = &f->b->m.v;
	unsigned long foreign = f->lost;
	uint64_t uhash;
	uint32_t bhash;
	struct name n;
	struct stat st;
	size_t i;

	for (i = 0; i < f->nstrays; i++) {
		struct stray *x = &f->strays[i];

		if (fstatat(files_dirfd(f, x->dir), x->file, &st,
			AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISREG(st.st_mode) || !name_parse(str_from(x->file), &n))
			continue;
		name_hashes(n.base, &uhash, &bhash);
		if (x->is_second)
			judge_second(f, x, &st);
		else if (x->row < v->n && !f->seen[x->row]) {
			f->seen[x->row] = 1;
			f->ino[x->row] = st.st_ino;
			verify_found(f->v, VERIFY_NOTE, "renamed",
			    v->uid[x->row], x->file,
			    "others renamed it, not yet taken in");
		} else if (files_is_gone(f, uhash))
			continue; /* removed, about to be buried */
		else if (n.is_ours)
			judge_ours(f, x, &n, &st);
		else
			foreign++;
	}
	if (foreign > 0)
		verify_found(f->v, VERIFY_NOTE, "not-taken-in", 0, NULL,
		    "%lu files of others are no messages yet: the next session "
		    "takes them in",
		    foreign);
}

/* ---- messages without a file ---- */

static void
judge_missing(struct files *f)
{
	struct mailbox *m = &f->b->m;
	char exp[32], base[NAME_LEN + 1] = "";
	struct cold cold;
	struct stat st;
	struct buf b;
	uint32_t row;

	for (row = 0; row < m->v.n; row++) {
		if (f->seen[row])
			continue;
		if (row_cold(m, row, &cold))
			str_copy(cold.base, base, sizeof(base));
		buf_init(&b, sizeof(exp));
		buf_printf(&b, "exp/%u", m->v.uid[row]);
		verify_found(f->v, VERIFY_ERROR, "missing", m->v.uid[row], base,
		    fstatat(m->qfd, buf_cstr(&b), &st, AT_SYMLINK_NOFOLLOW) ==
			    0 ?
			"has no file in cur/ or new/, but one in quire/exp: "
			"put it back" :
			"has no file: restore it from a backup; the next "
			"session takes it for deleted");
		buf_release(&b);
	}
}

/* ---- files that are one, messages that are one ---- */

struct owned { /* of a message */
	uint8_t emailid[16];
	uint64_t ino;
	uint32_t row;
	bool is_copy;
};

static int
ino_cmp(const void *va, const void *vb)
{
	const struct owned *a = va, *b = vb;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int
emailid_cmp(const void *va, const void *vb)
{
	const struct owned *a = va, *b = vb;

	return memcmp(a->emailid, b->emailid, 16);
}

static size_t
owned_make(struct files *f, struct owned *o)
{
	struct mailbox *m = &f->b->m;
	struct cold cold;
	struct name n;
	uint32_t row;
	size_t count = 0;

	for (row = 0; row < m->v.n; row++) {
		if (!f->seen[row])
			continue;
		if (!row_cold(m, row, &cold)) {
			verify_found(f->v, VERIFY_ERROR, "journal-op",
			    m->v.uid[row], "journal", "its ADD is not there");
			continue;
		}
		o[count] = (struct owned){ .ino = f->ino[row],
			.row = row,
			.is_copy = name_parse(cold.base, &n) && n.is_copy };
		memcpy(o[count++].emailid, cold.emailid, 16);
	}
	return count;
}

static void
judge_twins(struct files *f)
{
	const uint32_t *uid = f->b->m.v.uid;
	struct owned *o = xreallocarray(NULL, f->b->m.v.n + 1, sizeof(*o));
	size_t n = owned_make(f, o), i;

	/* a COPY within the mailbox is a link and has the same EMAILID */
	qsort(o, n, sizeof(*o), ino_cmp);
	for (i = 1; i < n; i++)
		if (ino_cmp(&o[i - 1], &o[i]) == 0 &&
		    emailid_cmp(&o[i - 1], &o[i]) != 0)
			verify_found(f->v, VERIFY_WARNING, "shared-file",
			    uid[o[i].row], NULL,
			    "is the same file as UID %u: others linked it",
			    uid[o[i - 1].row]);
	qsort(o, n, sizeof(*o), emailid_cmp);
	for (i = 1; i < n; i++)
		if (emailid_cmp(&o[i - 1], &o[i]) == 0 && !o[i].is_copy &&
		    !o[i - 1].is_copy && o[i].ino != o[i - 1].ino)
			verify_found(f->v, VERIFY_NOTE, "emailid-twice",
			    uid[o[i].row], NULL,
			    "has the EMAILID of UID %u and is no copy of it",
			    uid[o[i - 1].row]);
	free(o);
}

/* ---- each file ---- */

/* S= of a compressed file tells its contents. */
static bool
is_packed(struct files *f, const char *file, uint32_t dir)
{
	int fd = fs_open_file(files_dirfd(f, dir), file, O_RDONLY, 0);
	bool yes = fd != -1 && packed_sniff(fd) != PACKED_NOT;

	if (fd != -1)
		close(fd);
	return yes;
}

static void
check_size(struct files *f, const char *file, uint32_t dir, uint32_t row,
    const struct name *n, const struct stat *st)
{
	const struct view *v = &f->b->m.v;
	bool differs = n->size != 0 && n->size != (uint64_t)st->st_size;

	if (differs && (n->is_ours || !is_packed(f, file, dir)))
		verify_found(f->v, n->is_ours ? VERIFY_ERROR : VERIFY_NOTE,
		    n->is_ours ? "size" : "size-name", v->uid[row], file,
		    n->is_ours ?
			"%lld octets, not what S= says: the file was changed; "
			"restore it from a backup" :
			"%lld octets, not what S= says: edited",
		    (long long)st->st_size);
	if (n->is_ours && n->wsize != 0 && n->wsize != v->size[row])
		verify_found(f->v, VERIFY_ERROR, "vsize", v->uid[row], file,
		    "W= is not the %llu octets of the journal",
		    (unsigned long long)v->size[row]);
}

static void
check_contents(struct files *f, const char *file, uint32_t dir, uint32_t row,
    const struct name *n)
{
	const struct view *v = &f->b->m.v;
	int fd = fs_open_file(files_dirfd(f, dir), file, O_RDONLY, 0);
	struct err e = { 0 };
	uint64_t size;

	if (fd == -1 && errno == ENOENT)
		return;
	if (fd == -1)
		err_sys(&e, "open");
	if (fd == -1 ||
	    !msgfile_measure(fd, (v->st[row] & ST_RAW) != 0, &size, &e))
		verify_found(f->v, VERIFY_ERROR, "unreadable", v->uid[row],
		    file, "%s", e.text);
	else if ((v->st[row] & ST_UNSURE) == 0 && size != v->size[row])
		verify_found(f->v, n->is_ours ? VERIFY_ERROR : VERIFY_WARNING,
		    "vsize", v->uid[row], file,
		    "%llu octets with CRLF, the journal says %llu: %s",
		    (unsigned long long)size, (unsigned long long)v->size[row],
		    n->is_ours ? "the file was changed" : "W= was wrong");
	if (fd != -1)
		close(fd);
}

static void
check_file(struct files *f, const char *file, uint32_t dir, uint64_t ino)
{
	struct name n;
	struct stat st;
	bool is_exact;
	uint32_t row;

	(void)ino;
	if (!name_parse(str_from(file), &n))
		return;
	row = files_find(f, &n, &is_exact);
	if (!is_exact ||
	    fstatat(files_dirfd(f, dir), file, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	f->v->octets += n.size != 0 ? n.size : (uint64_t)st.st_size;
	f->v->files++;
	verify_owner(f->v, f->b->m.v.uid[row], file, &st, f->b->owner, 0400);
	check_size(f, file, dir, row, &n, &st);
	if (f->v->opts->deep)
		check_contents(f, file, dir, row, &n);
}

void
verify_files(struct box *b)
{
	struct files f = { .b = b, .v = b->v };

	if (files_read(&f)) {
		judge_strays(&f);
		judge_missing(&f);
		judge_twins(&f);
		f.is_last = true;
		files_each(&f, check_file);
	} else
		verify_found(b->v, VERIFY_NOTE, "busy", 0, NULL,
		    "files were not compared: the mailbox kept changing");
	files_release(&f);
}
