/*
 * dovecot - files other servers keep in a Maildir: dovecot-uidlist (version 3,
 * and 1 as Courier's courierimapuiddb), dovecot-keywords, subscriptions.
 *
 * Read leniently, as their writers do: a line that makes no sense is skipped,
 * a header that makes none means that there is no list.
 */
#include "service/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/date.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"

#define UIDLIST_MAX  ((size_t)2 << 30)
#define KEYWORDS     "dovecot-keywords"
#define KEYWORDS_MAX 65536

void
uidlist_release(struct uidlist *l)
{
	free(l->v);
	*l = (struct uidlist){ 0 };
}

static bool
u32_of(struct str s, uint32_t *out)
{
	uint64_t v = 0;
	bool ok = str_uint(s, UINT32_MAX, &v);

	*out = ok ? (uint32_t)v : 0;
	return ok && v != 0;
}

/*
 * The G of a line. Dovecot's GUID of a message is its base name, and stays so
 * in copies: one with a name of its own says here what it is a copy of.
 */
static bool
emailid_of_guid(struct str guid, uint8_t out[16])
{
	struct name n;

	if (str_hex(guid, out, 16))
		return true;
	if (!name_parse(guid, &n))
		return false;
	emailid_of(n.unique, out);
	return true;
}

/* "3 V<uidvalidity> N<nextuid> G<guid>" or "1 <uidvalidity> <nextuid>" */
static bool
parse_header(struct str line, struct uidlist *l, bool *is_v3)
{
	struct str word;
	bool ok = true;
	int n = 0;

	str_cut(&line, ' ', &word);
	*is_v3 = str_eq(word, STR("3"));
	if (!*is_v3 && !str_eq(word, STR("1")))
		return false;
	while (line.n > 0) {
		str_cut(&line, ' ', &word);
		if (word.n == 0)
			continue;
		if (!*is_v3)
			ok &= u32_of(
			    word, n++ == 0 ? &l->uidvalidity : &l->uidnext);
		else if (word.p[0] == 'V')
			ok &= u32_of(str_sub(word, 1, word.n), &l->uidvalidity);
		else if (word.p[0] == 'N')
			ok &= u32_of(str_sub(word, 1, word.n), &l->uidnext);
		else if (word.p[0] == 'G')
			l->has_id =
			    str_hex(str_sub(word, 1, word.n), l->mailboxid, 16);
	}
	return ok && l->uidvalidity != 0 && l->uidnext < UIDLIST_UID_MAX;
}

static bool
parse_line(struct str line, bool is_v3, struct uidlist *l)
{
	struct uid_line u = { 0 };
	struct str word;
	struct name n;

	str_cut(&line, ' ', &word);
	if (!u32_of(word, &u.uid) || u.uid >= UIDLIST_UID_MAX)
		return false;
	/* given out, whatever it meant */
	if (u.uid > l->uid_max)
		l->uid_max = u.uid;
	while (is_v3 && line.n > 0 && line.p[0] != ':') {
		str_cut(&line, ' ', &word);
		if (word.n == 0)
			continue;
		if (word.p[0] == 'W')
			str_uint(str_sub(word, 1, word.n), INT64_MAX, &u.vsize);
		else if (word.p[0] == 'G')
			u.has_guid =
			    emailid_of_guid(str_sub(word, 1, word.n), u.guid);
	}
	if (is_v3)
		line = str_sub(line, 1, line.n);
	if (!name_parse(line, &n))
		return false;
	u.uhash = name_hash(n.unique);
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 256 : l->cap * 2;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = u;
	return true;
}

static int
line_cmp(const void *va, const void *vb)
{
	const struct uid_line *a = va, *b = vb;

	if (a->uhash != b->uhash)
		return a->uhash < b->uhash ? -1 : 1;
	/* a name appended again later has the later number */
	return a->uid > b->uid ? -1 : a->uid < b->uid;
}

/* No name ends in a CR: who has them put them there by an editor. */
static bool
cut_line(struct str *text, struct str *line)
{
	bool is_whole = str_cut(text, '\n', line);

	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return is_whole;
}

bool
uidlist_parse(struct str text, bool header_only, struct uidlist *l)
{
	struct str line;
	bool is_v3;

	*l = (struct uidlist){ 0 };
	cut_line(&text, &line);
	if (!parse_header(line, l, &is_v3)) {
		*l = (struct uidlist){ 0 };
		return false;
	}
	l->kind = is_v3 ? UIDLIST_DOVECOT3 : UIDLIST_DOVECOT1;
	while (!header_only && text.n > 0) {
		bool is_whole = cut_line(&text, &line);

		if (!parse_line(line, is_v3, l) || !is_whole)
			l->nbad++;
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), line_cmp);
	return true;
}

const struct uid_line *
uidlist_find(const struct uidlist *l, uint64_t uhash)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].uhash < uhash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->n && l->v[lo].uhash == uhash ? &l->v[lo] : NULL;
}

/* What cannot be read is not taken for missing: that would cost all it says. */
static int
read_theirs(int dirfd, const char *name, struct buf *b, struct err *e)
{
	struct err why = { 0 };

	if (fs_read_file(dirfd, name, b, &why) == 0)
		return 0;
	if (why.sys == ENOENT)
		return -1;
	return err_set(e, ERR_TEMP,
	    "%s; what it says would be lost: make it readable, or remove it",
	    why.text);
}

/* Of two servers' lists the one written last is the one in use. */
bool
uidlist_read(int dirfd, bool header_only, struct uidlist *l)
{
	static const char *const names[] = { "dovecot-uidlist",
		"courierimapuiddb" };
	struct stat st[2];
	int first = 0, i;
	struct buf b;
	bool ok = false, was_there = false;

	for (i = 0; i < 2; i++)
		if (fstatat(dirfd, names[i], &st[i], AT_SYMLINK_NOFOLLOW) == -1)
			st[i].st_mtim.tv_sec = 0;
	if (st[1].st_mtim.tv_sec > st[0].st_mtim.tv_sec)
		first = 1;
	*l = (struct uidlist){ 0 };
	for (i = 0; i < 2 && !ok && l->unread.text[0] == '\0'; i++) {
		buf_init(&b, UIDLIST_MAX);
		if (read_theirs(dirfd, names[i ^ first], &b, &l->unread) == 0) {
			was_there = true;
			/* one that is cut may lack digits */
			ok = str_find(buf_str(&b), '\n') < b.n &&
			     uidlist_parse(buf_str(&b), header_only, l);
		}
		if (ok && (i ^ first) == 1)
			l->kind = UIDLIST_COURIER;
		buf_release(&b);
	}
	l->is_broken = was_there && !ok;
	return ok;
}

/* ---- dovecot-keywords: "<letter number> <name>" per line ---- */

unsigned
keywords_parse(struct str text, struct str names[FN_LETTERS])
{
	struct str line, word;
	unsigned n = 0;
	uint64_t i;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		str_cut(&line, ' ', &word);
		line = str_trim(line);
		if (!str_uint(word, FN_LETTERS - 1, &i) ||
		    !keyword_is_valid(line))
			continue;
		names[i] = line;
		if (i >= n)
			n = (unsigned)i + 1;
	}
	return n;
}

/* Is the i-th name another one's already? IMAP knows no case. */
static bool
is_taken(const struct view *v, const struct str *names, unsigned i)
{
	unsigned j;

	for (j = 0; j < i; j++)
		if (str_eq_nocase(
			j < v->nkeywords ? v->keywords[j] : names[j], names[i]))
			return true;
	return false;
}

int
keywords_read(int dirfd, const struct view *v, struct ops *o, struct err *e)
{
	struct str names[FN_LETTERS] = { { NULL, 0 } };
	struct op_name k = { .extra = STR("") };
	struct err why = { 0 };
	struct buf b;
	unsigned n = 0, i;

	buf_init(&b, KEYWORDS_MAX);
	if (read_theirs(dirfd, KEYWORDS, &b, &why) == 0)
		n = keywords_parse(buf_str(&b), names);
	/* letters keep their numbers: a gap is filled by a name */
	for (i = v->nkeywords; i < n; i++) {
		char unused[] = "$Unused-a";

		unused[8] = (char)('a' + i);
		k.number = i;
		k.name = names[i].n > 0 && !is_taken(v, names, i) ?
			     names[i] :
			     str_from(unused);
		op_name_pack(o, OP_KWDEF, &k);
	}
	buf_release(&b);
	if (why.text[0] == '\0')
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}

/* Dovecot reads the list again when its mtime is another second. */
static void
advance_mtime(int dirfd, int fd)
{
	struct timespec ts[2] = { { .tv_sec = (time_t)date_now() } };
	struct stat st;

	if (fstatat(dirfd, KEYWORDS, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtim.tv_sec >= ts[0].tv_sec)
		ts[0].tv_sec = st.st_mtim.tv_sec + 1;
	ts[1] = ts[0];
	(void)futimens(fd, ts);
}

/*
 * Not synced: the journal has them, this is for others to read. Under byte 0;
 * what keeps Dovecot from writing it too is dovecot-uidlist.lock, its own
 * .lock is only a temporary file.
 */
void
keywords_write(struct mailbox *m)
{
	struct buf b;
	unsigned i;
	int fd;

	buf_init(&b, KEYWORDS_MAX);
	for (i = 0; i < m->v.nkeywords && i < FN_LETTERS; i++)
		buf_printf(&b, "%u %.*s\n", i, STR_ARG(m->v.keywords[i]));
	step_unlink(m->dirfd, KEYWORDS ".lock"); /* of one who died */
	fd = step_creat(m->dirfd, KEYWORDS ".lock");
	if (fd != -1) {
		bool ok = step_write(fd, buf_str(&b)) == 0;

		advance_mtime(m->dirfd, fd);
		if (!ok ||
		    step_replace(m->dirfd, KEYWORDS ".lock", KEYWORDS) == -1)
			step_unlink(m->dirfd, KEYWORDS ".lock");
		close(fd);
	}
	buf_release(&b);
}
