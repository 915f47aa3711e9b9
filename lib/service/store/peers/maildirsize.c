/*
 * maildirsize - the quota file of Maildir++, kept for those who look at it:
 * maildrop, Courier, Dovecot's quota. Only where there is one.
 *
 *     104857600S,10000C        the limits, never changed here
 *     5232819 1377             a count of everything
 *     2711 1                   then what came and went
 *     -2711 -1
 *
 * 1. Who files or removes a message owes a line: octets of the file, 1. Lines
 *    are gathered in memory and appended in one write.
 * 2. A file of LIMIT octets is counted anew, and so is one whose account lost
 *    a folder. All folders count, as for Dovecot.
 * 3. A stop loses lines: the next count is right again.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

#define FILE_NAME "maildirsize"
#define LIMIT	  5120 /* octets, from the Maildir++ description */
#define HEAD_MAX  1024

void
maildirsize_find(struct account *a)
{
	struct stat st;

	a->owed.is_kept =
	    !a->opts.readonly &&
	    fstatat(a->rootfd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

void
maildirsize_add(struct account *a, int64_t octets, int64_t messages)
{
	if (a == NULL || !a->owed.is_kept)
		return;
	a->owed.octets += octets;
	a->owed.messages += messages;
}

void
maildirsize_filed(struct account *a, const char *name)
{
	struct name n;

	if (a != NULL && a->owed.is_kept && name_parse(str_from(name), &n))
		maildirsize_add(a, (int64_t)n.size, 1);
}

void
maildirsize_recount(struct account *a)
{
	a->owed.must_count = true;
}

/* ---- counting ---- */

static void
count_dir(int parentfd, const char *sub, struct owed *sum)
{
	DIR *d = fs_read_dir(parentfd, sub);
	struct dirent *de;
	struct stat st;
	struct name n;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		if (!name_parse(str_from(de->d_name), &n))
			continue;
		if (n.size == 0 && fstatat(dirfd(d), de->d_name, &st,
				       AT_SYMLINK_NOFOLLOW) == 0)
			n.size = (uint64_t)st.st_size;
		sum->octets += (int64_t)n.size;
		sum->messages++;
	}
	closedir(d);
}

static void
count_all(struct account *a, struct owed *sum)
{
	char dir[NAME_LEN + 1];
	size_t i;
	int fd;

	*sum = (struct owed){ 0 };
	for (i = 0; i < a->tree.n; i++) {
		if (!account_dir(a, str_from(a->tree.v[i].name), dir) ||
		    (fd = fs_open_dir(a->rootfd, dir)) == -1)
			continue;
		count_dir(fd, "cur", sum);
		count_dir(fd, "new", sum);
		close(fd);
	}
}

/* The limits stay as they stand, then one line for everything. */
static int
recount(struct account *a, struct str limits, struct err *e)
{
	char tmp[64];
	struct owed sum;
	struct stat st;
	struct buf b;
	int fd, rc = -1;

	snprintf(tmp, sizeof(tmp), "tmp/" FILE_NAME ".%ld", (long)getpid());
	step_unlink(a->rootfd, tmp);
	fd = step_creat(a->rootfd, tmp);
	if (fd == -1)
		return err_sys(e, "create %s", tmp);
	if (fstatat(a->rootfd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_mode & 0777) != 0600)
		(void)fchmod(fd, st.st_mode & 0777);
	count_all(a, &sum);
	buf_init(&b, HEAD_MAX + 64);
	buf_put(&b, limits);
	buf_printf(&b, "\n%lld %lld\n", (long long)sum.octets,
	    (long long)sum.messages);
	if (step_write(fd, buf_str(&b)) == 0 &&
	    step_replace(a->rootfd, tmp, FILE_NAME) == 0)
		rc = 0;
	else {
		err_sys(e, "write " FILE_NAME);
		step_unlink(a->rootfd, tmp);
	}
	buf_release(&b);
	close(fd);
	return rc;
}

/* ---- writing ---- */

static int
append_line(int fd, const struct owed *o, struct err *e)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%lld %lld\n",
	    (long long)o->octets, (long long)o->messages);

	return step_write(fd, str_make(line, (size_t)n)) == -1 ?
		   err_sys(e, "write " FILE_NAME) :
		   0;
}

int
maildirsize_write(struct account *a, struct err *e)
{
	struct owed *o = &a->owed;
	char head[HEAD_MAX];
	struct stat st;
	struct str limits, rest;
	ssize_t n;
	int fd, rc;

	if (!o->is_kept ||
	    (o->octets == 0 && o->messages == 0 && !o->must_count))
		return 0;
	fd = fs_open_file(a->rootfd, FILE_NAME, O_RDWR | O_APPEND, 0);
	if (fd == -1 && errno == ENOENT) {
		o->is_kept = false; /* somebody keeps it no more */
		return 0;
	}
	if (fd == -1 || fstat(fd, &st) == -1 ||
	    (n = fs_pread_all(fd, head, sizeof(head), 0)) == -1) {
		rc = err_sys(e, "open " FILE_NAME);
		if (fd != -1)
			close(fd);
		return rc;
	}
	rest = str_make(head, (size_t)n);
	if (!str_cut(&rest, '\n', &limits))
		rc = err_set(e, ERR_PERM, FILE_NAME " has no first line");
	else if (o->must_count || st.st_size >= LIMIT)
		rc = recount(a, limits, e);
	else
		rc = append_line(fd, o, e);
	close(fd);
	if (rc == 0) {
		o->octets = o->messages = 0;
		o->must_count = false;
	}
	return rc;
}
