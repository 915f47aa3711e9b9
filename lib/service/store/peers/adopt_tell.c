/*
 * adopt_tell - what the admin is told of a mailbox that is adopted, or would
 * be; nothing while nobody asked.
 */
#include "service/store/adopt_int.h"

#include <fcntl.h>
#include <unistd.h>

#include "service/store/packed_int.h"
#include "system/fs/fs.h"

void
adopt_tell_list(struct adoption *a)
{
	static const char *const kinds[] = { [UIDLIST_NONE] = "bare",
		[UIDLIST_DOVECOT3] = "dovecot-3",
		[UIDLIST_DOVECOT1] = "dovecot-1",
		[UIDLIST_COURIER] = "courier" };

	if (a->box == NULL)
		return;
	a->box->kind = kinds[a->list.kind];
	if (a->list.is_broken)
		adopt_problem(a->box, "uidlist", NULL,
		    "the list of UIDs has no usable header: all messages get "
		    "new UIDs, and clients load them again");
	if (a->list.nbad > 0)
		adopt_problem(a->box, "uidlist", NULL,
		    "%zu lines of the list of UIDs make no sense: the messages "
		    "they meant get new UIDs",
		    a->list.nbad);
}

/* Lines of the list without a file; of several of one name the last counts. */
static uint64_t
count_gone(const struct adoption *a)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < a->list.n; i++)
		n += !a->is_used[i] &&
		     (i == 0 || a->list.v[i].uhash != a->list.v[i - 1].uhash);
	return n;
}

void
adopt_tell_files(struct adoption *a, size_t clashes)
{
	size_t i;

	if (a->box == NULL)
		return;
	for (i = 0; i < a->files.n; i++) {
		a->box->kept += a->files.v[i].uid != 0;
		a->box->fresh += a->files.v[i].uid == 0;
	}
	a->box->gone = count_gone(a);
	if (clashes > 0)
		adopt_problem(a->box, "uidlist", NULL,
		    "%zu files have a UID that another file has in the list: "
		    "they get new UIDs",
		    clashes);
}

/* Others may show it. */
void
adopt_tell_no_message(
    struct adoption *a, const char *file, const struct stat *st)
{
	if (file[0] != '.')
		adopt_problem(a->box, "no-message", file,
		    st != NULL ?
			"no regular file (links are not followed): not shown" :
			"a name with control characters, or without a part "
			"before its flags: rename it, it is not shown");
}

static void
tell_packed(struct adoption *a, const char *file, int dirfd)
{
	struct err e = { 0 };
	uint64_t size;
	int fd = fs_open_file(dirfd, file, O_RDONLY, 0);

	if (fd == -1) {
		err_sys(&e, "open");
		adopt_problem(a->box, "unreadable", file, "%s", e.text);
		return;
	}
	if (packed_sniff(fd) != PACKED_NOT) {
		a->box->compressed++;
		if (!msgfile_measure(fd, false, &size, &e))
			adopt_problem(a->box, "unreadable", file, "%s", e.text);
	}
	close(fd);
}

void
adopt_tell_file(struct adoption *a, const char *file, int dirfd,
    const struct name *n, const struct stat *st)
{
	const struct arrival *f = &a->files.v[a->files.n - 1];

	if (a->box == NULL)
		return;
	a->box->renames += f->dir == 1 && n->has_info;
	/* what has the length its name says is what it says */
	if (n->size != (uint64_t)st->st_size)
		tell_packed(a, file, dirfd);
}

/* Letters that nobody has given a name, or none that IMAP allows. */
void
adopt_tell_letters(struct adoption *a)
{
	const struct view *v = &a->m->v;
	char letters[FN_LETTERS + 1];
	size_t n = 0;
	unsigned i;

	for (i = 0; i < FN_LETTERS; i++)
		if ((a->letters >> (6 + i) & 1) != 0 &&
		    (i >= v->nkeywords ||
			str_starts(v->keywords[i], STR("$Unused-"))))
			letters[n++] = (char)('a' + i);
	letters[n] = '\0';
	if (n > 0)
		adopt_problem(a->box, "keywords", NULL,
		    "names have keywords by letter (%s) that dovecot-keywords "
		    "does not name, or not as IMAP can",
		    letters);
}
