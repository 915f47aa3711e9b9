/*
 * layout - where the mailboxes of an account lie, and under which names.
 *
 * 1. Maildir++: ".A.b" below the root. LAYOUT=fs, as Dovecot calls it: "A/b",
 *    and every directory with a cur/ is a mailbox. INBOX is the root itself.
 * 2. Names are modified UTF-7, or UTF-8 where the other server wrote so, and
 *    decomposed where they came from macOS; never is a folder renamed for
 *    that. An ASCII name without '&' has one form, and costs no look at the
 *    disk.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistd.h>

#include "base/utf8.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

/* Names have 1000 octets at most, so no mailbox lies deeper; a tree that does
 * is no tree of mailboxes. */
#define MAX_DEPTH 64
#define DOT	  "&AC4-" /* a '.' where it would mean something else */

/* ---- names to directories ---- */

static bool
is_reserved(struct str part)
{
	return str_eq(part, STR("cur")) || str_eq(part, STR("new")) ||
	       str_eq(part, STR("tmp"));
}

/* One element below its parent. Others hide what begins with a dot. */
static bool
put_part(struct buf *b, struct str part, bool is_utf8)
{
	if (is_reserved(part))
		return false;
	if (part.n > 0 && part.p[0] == '.') {
		buf_puts(b, DOT);
		part = str_sub(part, 1, part.n);
	}
	if (is_utf8)
		buf_put(b, part);
	else
		mutf7_encode(b, part);
	return true;
}

static bool
nested_dir(struct str name, bool is_utf8, struct buf *b)
{
	struct str part;

	while (name.n > 0) {
		str_cut(&name, '/', &part);
		if (!put_part(b, part, is_utf8))
			return false;
		if (name.n > 0)
			buf_putc(b, '/');
	}
	return !b->full && b->n > 0 && b->n <= NAME_LEN;
}

static bool
form(const struct layout *l, struct str name, bool is_utf8,
    char out[NAME_LEN + 1])
{
	struct buf b;
	bool ok;

	buf_init(&b, 4 * NAME_LEN);
	ok = l->is_fs ? nested_dir(name, is_utf8, &b) :
	     is_utf8  ? folder_to_dir_utf8(name, &b) :
			folder_to_dir(name, &b);
	ok = ok && str_copy(buf_str(&b), out, NAME_LEN + 1);
	buf_release(&b);
	return ok;
}

static bool
has_two_forms(struct str name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] >= 0x80 || name.p[i] == '&')
			return true;
	return false;
}

/* As macOS writes names, and who copied from there has them. */
static bool
find_decomposed(
    const struct layout *l, int rootfd, struct str name, char out[NAME_LEN + 1])
{
	uint8_t nfd[4 * STORE_MAX_NAME];
	size_t n = sizeof(nfd);
	struct stat st;
	int i;

	if (u8_normalize(
		UNINORM_NFD, (const uint8_t *)name.p, name.n, nfd, &n) != nfd)
		return false;
	name = str_make((const char *)nfd, n);
	for (i = 0; i < 2; i++)
		if (form(l, name, (i == 0) == l->is_utf8, out) &&
		    fstatat(rootfd, out, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

bool
layout_dir(
    const struct layout *l, int rootfd, struct str name, char out[NAME_LEN + 1])
{
	char other[NAME_LEN + 1];
	struct stat st;

	if (folder_is_inbox(name))
		return str_copy(STR("."), out, NAME_LEN + 1);
	if (!form(l, name, l->is_utf8, out))
		return false;
	if (!has_two_forms(name) ||
	    fstatat(rootfd, out, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if ((form(l, name, !l->is_utf8, other) &&
		fstatat(rootfd, other, &st, AT_SYMLINK_NOFOLLOW) == 0) ||
	    find_decomposed(l, rootfd, name, other))
		return str_copy(str_from(other), out, NAME_LEN + 1);
	return true;
}

/* ---- and back ---- */

static bool
is_text(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return utf8_valid(s);
}

static bool
take_part(struct str part, struct buf *out)
{
	size_t start = out->n;

	if (part.n == 0 || part.p[0] == '.' || is_reserved(part))
		return false;
	if (str_starts(part, STR(DOT))) {
		buf_putc(out, '.');
		part = str_sub(part, sizeof(DOT) - 1, part.n);
	}
	if (!mutf7_decode(out, part)) {
		if (!is_text(part))
			return false;
		buf_truncate(out, start);
		buf_put(out, part);
	}
	return memchr(out->p + start, '/', out->n - start) == NULL;
}

bool
layout_name(const struct layout *l, struct str dir, struct buf *out)
{
	struct str part;

	if (!l->is_fs)
		return folder_from_dir(dir, out);
	while (dir.n > 0) {
		str_cut(&dir, '/', &part);
		if (!take_part(part, out))
			return false;
		if (dir.n > 0)
			buf_putc(out, '/');
	}
	return !out->full && out->n > 0;
}

void
layout_count(struct layout_census *c, const char *dir)
{
	size_t i;

	for (i = 0; dir[i] != '\0'; i++)
		if ((unsigned char)dir[i] >= 0x80) {
			c->utf8++;
			return;
		}
	/* "&AC4-" is ours in both */
	i = str_find(str_from(dir), '&');
	if (dir[i] != '\0' && !str_starts(str_from(dir + i), STR(DOT)))
		c->mutf7++;
}

/* ---- what is there ---- */

bool
layout_is_maildir(int rootfd, const char *dir)
{
	struct stat st;
	int fd = fs_open_dir(rootfd, dir);
	bool ok;

	if (fd == -1)
		return false;
	ok = fstatat(fd, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	     S_ISDIR(st.st_mode);
	close(fd);
	return ok;
}

void
walked_release(struct walked *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct walked){ 0 };
}

static void
walked_add(struct walked *w, const char *dir)
{
	if (w->n == w->cap) {
		w->cap = w->cap == 0 ? 16 : w->cap * 2;
		w->v = xreallocarray(w->v, w->cap, sizeof(*w->v));
	}
	w->v[w->n++] = xstrdup(dir);
}

static uint64_t
mix(uint64_t stamp, const struct stat *st)
{
	stamp = (stamp ^ stat_mtime(st)) * 0x9e3779b97f4a7c15ULL;
	return (stamp ^ stamp >> 29 ^ st->st_ino) | 1;
}

uint64_t
layout_stamp(const struct account *a)
{
	uint64_t stamp = 0;
	struct stat st;
	size_t i;

	if (fstat(a->rootfd, &st) == -1)
		return 0;
	if (!a->layout.is_fs)
		return stat_mtime(&st);
	for (i = 0; i < a->walked.n; i++) {
		if (fstatat(a->rootfd, a->walked.v[i], &st,
			AT_SYMLINK_NOFOLLOW) == -1)
			return 0;
		stamp = mix(stamp, &st);
	}
	return stamp;
}

struct walk {
	struct account *a;
	layout_found *fn;
	void *arg;
	unsigned depth;
};

static int walk_dir(struct walk *, const char *dir, struct err *);

static int
walk_entry(struct walk *w, const char *parent, const char *entry, struct err *e)
{
	char path[NAME_LEN + 1];
	struct buf b;
	bool ok;

	buf_init(&b, NAME_LEN + 1);
	if (w->a->layout.is_fs && strcmp(parent, ".") != 0)
		buf_printf(&b, "%s/", parent);
	buf_puts(&b, entry);
	ok = str_copy(buf_str(&b), path, sizeof(path));
	buf_release(&b);
	/* too long: no name of ours would lead there */
	if (!ok || w->a->walked.n > STORE_MAX_MAILBOXES)
		return 0;
	if (layout_is_maildir(w->a->rootfd, path) &&
	    w->fn(w->arg, path, e) == -1)
		return -1;
	return w->a->layout.is_fs ? walk_dir(w, path, e) : 0;
}

static bool
is_name(const struct layout *l, const char *entry)
{
	if (!l->is_fs)
		return entry[0] == '.' && entry[1] != '.' && entry[1] != '\0';
	return entry[0] != '.' && !is_reserved(str_from(entry));
}

static bool
is_candidate(const struct layout *l, const struct dirent *de)
{
	return (de->d_type == DT_DIR || de->d_type == DT_UNKNOWN) &&
	       is_name(l, de->d_name);
}

static int
walk_dir(struct walk *w, const char *dir, struct err *e)
{
	struct account *a = w->a;
	DIR *d = fs_read_dir(a->rootfd, dir);
	struct dirent *de;
	struct stat st;
	int rc = 0;

	/* below the root: a file, or gone again */
	if (d == NULL || fstat(dirfd(d), &st) == -1 || w->depth == MAX_DEPTH) {
		if (d != NULL)
			closedir(d);
		return w->depth > 0 ? 0 : err_sys(e, "read Maildir");
	}
	if (a->layout.is_fs) {
		walked_add(&a->walked, dir);
		a->root_mtime = mix(a->root_mtime, &st);
	} else
		a->root_mtime = stat_mtime(&st);
	w->depth++;
	while (rc == 0 && (errno = 0, de = readdir(d)) != NULL)
		if (is_candidate(&a->layout, de))
			rc = walk_entry(w, dir, de->d_name, e);
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "read Maildir");
	w->depth--;
	closedir(d);
	return rc;
}

int
layout_each(struct account *a, layout_found *fn, void *arg, struct err *e)
{
	struct walk w = { .a = a, .fn = fn, .arg = arg };

	walked_release(&a->walked);
	a->root_mtime = 0;
	return walk_dir(&w, ".", e);
}

/* Why nobody sees what is there; NULL: it is a mailbox, or none. */
static const char *
hidden_why(int dirfd, const struct dirent *de)
{
	struct stat st;
	struct buf b;
	int fd;
	bool is_maildir, is_seen;

	if (de->d_type == DT_LNK) {
		buf_init(&b, PATH_MAX);
		buf_printf(&b, "%s/cur", de->d_name);
		is_maildir = fstatat(dirfd, buf_cstr(&b), &st, 0) == 0;
		buf_release(&b);
		return is_maildir ? "a link to a Maildir: links are not "
				    "followed, its mail is not shown" :
				    NULL;
	}
	if (de->d_type != DT_DIR)
		return NULL;
	fd = fs_open_dir(dirfd, de->d_name);
	is_seen = (fd != -1 && fstatat(fd, "cur", &st, 0) == 0) ||
		  errno == ENOENT || errno == ENOTDIR;
	if (fd != -1)
		close(fd);
	if (is_seen)
		return NULL;
	return "its owner or its mode keeps it closed: its mail is not shown";
}

static void
hidden_in(struct account *a, const char *dir, layout_hidden *fn, void *arg)
{
	DIR *d = fs_read_dir(a->rootfd, dir);
	struct dirent *de;
	const char *why;
	struct buf b;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (!is_name(&a->layout, de->d_name) ||
		    (why = hidden_why(dirfd(d), de)) == NULL)
			continue;
		buf_init(&b, PATH_MAX);
		if (strcmp(dir, ".") != 0)
			buf_printf(&b, "%s/", dir);
		buf_puts(&b, de->d_name);
		fn(arg, buf_cstr(&b), why);
		buf_release(&b);
	}
	closedir(d);
}

void
layout_each_hidden(struct account *a, layout_hidden *fn, void *arg)
{
	size_t i;

	if (!a->layout.is_fs)
		hidden_in(a, ".", fn, arg);
	for (i = 0; i < a->walked.n; i++)
		hidden_in(a, a->walked.v[i], fn, arg);
}
