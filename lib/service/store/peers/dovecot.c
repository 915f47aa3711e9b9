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
hex16(struct str s, uint8_t out[16])
{
	size_t i;

	if (s.n != 32)
		return false;
	for (i = 0; i < 16; i++) {
		int hi = ascii_hexval(s.p[2 * i]);
		int lo = ascii_hexval(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool
u32_of(struct str s, uint32_t *out)
{
	uint64_t v;
	bool ok = str_uint(s, UINT32_MAX, &v);

	*out = (uint32_t)v;
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

	if (hex16(guid, out))
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
	int n = 0;

	str_cut(&line, ' ', &word);
	*is_v3 = str_eq(word, STR("3"));
	if (!*is_v3 && !str_eq(word, STR("1")))
		return false;
	while (line.n > 0) {
		str_cut(&line, ' ', &word);
		if (word.n == 0)
			continue;
		if (!*is_v3) {
			if (n++ == 0)
				u32_of(word, &l->uidvalidity);
			else
				u32_of(word, &l->uidnext);
		} else if (word.p[0] == 'V')
			u32_of(str_sub(word, 1, word.n), &l->uidvalidity);
		else if (word.p[0] == 'N')
			u32_of(str_sub(word, 1, word.n), &l->uidnext);
		else if (word.p[0] == 'G')
			l->has_id =
			    hex16(str_sub(word, 1, word.n), l->mailboxid);
	}
	return l->uidvalidity != 0;
}

static void
parse_line(struct str line, bool is_v3, struct uidlist *l)
{
	struct uid_line u = { 0 };
	struct str word;
	struct name n;

	str_cut(&line, ' ', &word);
	if (!u32_of(word, &u.uid))
		return;
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
		return;
	u.uhash = name_hash(n.unique);
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 256 : l->cap * 2;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = u;
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

bool
uidlist_parse(struct str text, bool header_only, struct uidlist *l)
{
	struct str line;
	bool is_v3;

	*l = (struct uidlist){ 0 };
	str_cut(&text, '\n', &line);
	if (!parse_header(line, l, &is_v3))
		return false;
	l->kind = is_v3 ? UIDLIST_DOVECOT3 : UIDLIST_DOVECOT1;
	while (!header_only && text.n > 0) {
		str_cut(&text, '\n', &line);
		parse_line(line, is_v3, l);
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
	for (i = 0; i < 2 && !ok; i++) {
		buf_init(&b, UIDLIST_MAX);
		if (fs_read_file(dirfd, names[i ^ first], &b, NULL) == 0) {
			was_there = true;
			ok = uidlist_parse(buf_str(&b), header_only, l);
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
		if (!str_uint(word, FN_LETTERS - 1, &i) || line.n == 0 ||
		    line.n > STORE_MAX_KEYWORD_LEN)
			continue;
		names[i] = line;
		if (i >= n)
			n = (unsigned)i + 1;
	}
	return n;
}

void
keywords_read(int dirfd, const struct view *v, struct ops *o)
{
	struct str names[FN_LETTERS] = { { NULL, 0 } };
	struct op_name k = { .extra = STR("") };
	struct buf b;
	unsigned n, i;

	buf_init(&b, KEYWORDS_MAX);
	n = fs_read_file(dirfd, KEYWORDS, &b, NULL) == 0 ?
		keywords_parse(buf_str(&b), names) :
		0;
	/* letters keep their numbers: a gap is filled by a name */
	for (i = v->nkeywords; i < n; i++) {
		char unused[] = "$Unused-a";

		unused[8] = (char)('a' + i);
		k.number = i;
		k.name = names[i].n > 0 ? names[i] : str_from(unused);
		op_name_pack(o, OP_KWDEF, &k);
	}
	buf_release(&b);
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
