/* Records as files, one for each account (doc/format-auth.md). */
#include "service/auth/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "system/fs/fs.h"

#define HEADER	 STR("# quire-auth 1\n")
#define MAX_FILE 240 /* of NAME_MAX (255), ".tmp-" has to fit too */

/* Letters that stand for themselves in the name of a file. */
static bool
is_plain(char c, bool is_first)
{
	return ascii_isalnum(c) || str_has(STR("@-_+"), c) ||
	       (c == '.' && !is_first);
}

static bool
file_name(struct str name, char out[MAX_FILE + 1])
{
	struct buf b;
	bool ok;
	size_t i;

	buf_init(&b, MAX_FILE);
	for (i = 0; i < name.n; i++)
		if (is_plain(name.p[i], i == 0))
			buf_putc(&b, name.p[i]);
		else
			buf_printf(&b, "%%%02X", (unsigned char)name.p[i]);
	ok = name.n > 0 && !b.full && str_copy(buf_str(&b), out, MAX_FILE + 1);
	buf_release(&b);
	return ok;
}

static enum auth_found
parse_file(struct arena *a, struct str text, struct str name,
    struct auth_record *r, struct err *e)
{
	struct str line;

	if (!str_starts(text, HEADER)) {
		err_set(e, ERR_PERM, "not a quire-auth file of version 1");
		return AUTH_ERROR;
	}
	text = str_sub(text, HEADER.n, SIZE_MAX);
	if (!str_cut(&text, '\n', &line) || !auth_record_parse(a, line, r) ||
	    !str_eq(r->name, name)) {
		err_set(e, ERR_PERM, "damaged record");
		return AUTH_ERROR;
	}
	return AUTH_FOUND;
}

enum auth_found
auth_read(struct arena *a, int dirfd, struct str name, struct auth_record *r,
    struct err *e)
{
	char file[MAX_FILE + 1];
	enum auth_found found;
	struct err why = { 0 };
	struct buf b;

	if (!file_name(name, file))
		return AUTH_NO_RECORD;
	buf_init(&b, 2 * AUTH_MAX_RECORD);
	if (fs_read_file(dirfd, file, &b, &why) == -1) {
		found = why.sys == ENOENT ? AUTH_NO_RECORD : AUTH_ERROR;
		if (e != NULL)
			*e = why;
	} else
		found = parse_file(a, buf_str(&b), name, r, e);
	if (found == AUTH_ERROR)
		err_prefix(e, "auth/%s", file);
	buf_release(&b);
	return found;
}

int
auth_write(int dirfd, const struct auth_record *r, struct err *e)
{
	char file[MAX_FILE + 1], tmp[MAX_FILE + 8];
	struct buf b;
	int rc;

	if (!file_name(r->name, file))
		return err_set(e, ERR_PERM, "name too long");
	/* no account's file begins with a dot */
	snprintf(tmp, sizeof(tmp), ".tmp-%s", file);
	buf_init(&b, 2 * AUTH_MAX_RECORD);
	buf_put(&b, HEADER);
	auth_record_print(&b, r);
	if (b.full)
		rc = err_set(e, ERR_PERM, "record too long");
	else {
		/* what a crash left behind */
		unlinkat(dirfd, tmp, 0);
		rc = fs_replace(dirfd, tmp, file, 0600, buf_str(&b), e);
	}
	buf_release(&b);
	return rc;
}

int
auth_remove(int dirfd, struct str name, struct err *e)
{
	char file[MAX_FILE + 1];

	if (!file_name(name, file))
		return err_set(e, ERR_PERM, "no such account");
	if (unlinkat(dirfd, file, 0) == -1)
		return err_sys(e, "unlink auth/%s", file);
	return fs_sync_dir(dirfd) == -1 ? err_sys(e, "sync auth") : 0;
}
