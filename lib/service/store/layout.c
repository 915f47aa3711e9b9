/*
 * layout - where the mailboxes of an account lie.
 *
 * 1. Maildir++: ".A.b" below the root, INBOX the root itself.
 * 2. Names are modified UTF-7, or UTF-8 where the other server wrote so;
 *    never is a folder renamed for that. An ASCII name without '&' has one
 *    form, and costs no look at the disk.
 */
#include "service/store/store_int.h"

#include <fcntl.h>

static bool
has_two_forms(struct str name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] >= 0x80 || name.p[i] == '&')
			return true;
	return false;
}

static bool
form(struct str name, bool is_utf8, char out[NAME_LEN + 1])
{
	struct buf b;
	bool ok;

	buf_init(&b, 4 * NAME_LEN);
	ok = (is_utf8 ? folder_to_dir_utf8(name, &b) :
			folder_to_dir(name, &b)) &&
	     str_copy(buf_str(&b), out, NAME_LEN + 1);
	buf_release(&b);
	return ok;
}

bool
layout_dir(int rootfd, bool is_utf8, struct str name, char out[NAME_LEN + 1])
{
	char other[NAME_LEN + 1];
	struct stat st;

	if (folder_is_inbox(name))
		return str_copy(STR("."), out, NAME_LEN + 1);
	if (!form(name, is_utf8, out))
		return false;
	if (!has_two_forms(name) ||
	    fstatat(rootfd, out, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (form(name, !is_utf8, other) &&
	    fstatat(rootfd, other, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return str_copy(str_from(other), out, NAME_LEN + 1);
	return true;
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
	if (dir[i] != '\0' && !str_starts(str_from(dir + i), STR("&AC4-")))
		c->mutf7++;
}
