/*
 * verify_others - what other servers keep of an account, against ours:
 * subscriptions, maildirsize, Courier's list of UIDs. (verify_export.c has
 * what we write for Dovecot in each mailbox.)
 *
 * All are notes: they are copies, and who writes them last may be another.
 */
#include "service/store/verify_int.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "system/fs/fs.h"

#define COURIER_LIST  "courierimapuiddb"
#define COURIER_MAX   ((size_t)2 << 30)
#define SIZE_MAX_FILE 65536 /* of maildirsize: anew at 5120 */

/* ---- subscriptions ---- */

static bool
is_listed(const struct layout *l, struct str text, const char *name)
{
	char norm[STORE_MAX_NAME + 1];
	struct str line;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		if (subs_name(l, line, false, norm) && strcmp(norm, name) == 0)
			return true;
	}
	return false;
}

/* Names in the file that are not subscribed. */
static size_t
count_unknown(struct verify *v, const struct tree *t, struct str text)
{
	char norm[STORE_MAX_NAME + 1];
	struct str line;
	size_t n = 0;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		n += subs_name(&v->a.layout, line, false, norm) &&
		     !tree_is_subscribed(t, str_from(norm));
	}
	return n;
}

/*
 * Judged where we keep it, which a copy of it in acct/ tells. Sessions write
 * it when they close.
 */
void
verify_subscriptions(struct verify *v, const struct tree *t)
{
	struct buf ours, theirs;
	size_t lacks = 0, extra, i;
	int fd = v->a.layout.is_fs ? fs_open_dir(v->a.indexfd, "acct") :
				     fs_open_dir(v->a.rootfd, "quire/acct");

	buf_init(&ours, SUBS_MAX);
	buf_init(&theirs, SUBS_MAX);
	if (fd != -1 && subs_read(&v->a.layout, fd, "subscriptions", &ours) &&
	    subs_read(&v->a.layout, v->a.rootfd, "subscriptions", &theirs)) {
		for (i = 0; i < t->nsubs; i++)
			lacks += !is_listed(
			    &v->a.layout, buf_str(&theirs), t->subs[i]);
		extra = count_unknown(v, t, buf_str(&theirs));
		if (lacks + extra > 0 &&
		    str_eq(buf_str(&ours), buf_str(&theirs)))
			verify_found(v, VERIFY_NOTE, "subscriptions", 0,
			    "subscriptions",
			    "lacks %zu names and has %zu too many: the next "
			    "session that closes writes it, or quire "
			    "export-state",
			    lacks, extra);
		else if (lacks + extra > 0)
			verify_found(v, VERIFY_NOTE, "subscriptions-foreign", 0,
			    "subscriptions",
			    "another server changed it (%zu names less, %zu "
			    "more): the next session takes it in",
			    lacks, extra);
	}
	buf_release(&ours);
	buf_release(&theirs);
	if (fd != -1)
		close(fd);
}

/* ---- maildirsize ---- */

/* The sum of its lines; false: it has none, or one that is no sum. */
static bool
sum_lines(struct str text, int64_t *octets, int64_t *messages)
{
	struct str line, word;
	bool first = true;

	*octets = *messages = 0;
	while (text.n > 0) {
		int64_t v[2] = { 0, 0 };
		unsigned i;

		str_cut(&text, '\n', &line);
		if (first || str_trim(line).n == 0) {
			first = false; /* the limits */
			continue;
		}
		for (i = 0; i < 2; i++) {
			uint64_t n;
			bool minus;

			line = str_trim(line);
			str_cut(&line, ' ', &word);
			minus = word.n > 0 && word.p[0] == '-';
			if (!str_uint(str_sub(word, minus, word.n),
				(uint64_t)1 << 60, &n))
				return false;
			v[i] = minus ? -(int64_t)n : (int64_t)n;
		}
		*octets += v[0];
		*messages += v[1];
	}
	return !first;
}

/* Whoever is killed between a file and its line leaves a difference. */
void
verify_maildirsize(struct verify *v)
{
	int64_t octets, messages;
	struct buf b;

	buf_init(&b, SIZE_MAX_FILE);
	if (fs_read_file(v->a.rootfd, "maildirsize", &b, NULL) == 0) {
		if (!sum_lines(buf_str(&b), &octets, &messages))
			verify_found(v, VERIFY_NOTE, "maildirsize", 0,
			    "maildirsize",
			    "has lines that are none: remove it, it is "
			    "counted anew");
		else if (octets != (int64_t)v->octets ||
			 messages != (int64_t)v->files)
			verify_found(v, VERIFY_NOTE, "maildirsize", 0,
			    "maildirsize",
			    "says %lld octets in %lld messages; there are "
			    "%llu in %llu: at 5120 octets of lines all is "
			    "counted again",
			    (long long)octets, (long long)messages,
			    (unsigned long long)v->octets,
			    (unsigned long long)v->files);
	}
	buf_release(&b);
}

/* ---- Courier ---- */

/* We take it over once and do not write it: how far has it fallen behind? */
void
verify_courier(struct box *b)
{
	const struct view *v = &b->m.v;
	const struct uid_line *u;
	struct uidlist l;
	struct buf text;
	unsigned long other = 0, missing = 0;
	uint32_t row;

	buf_init(&text, COURIER_MAX);
	if (fs_read_file(b->m.dirfd, COURIER_LIST, &text, NULL) == 0 &&
	    uidlist_parse(buf_str(&text), false, &l)) {
		for (row = 0; row < v->n; row++) {
			if ((v->st[row] & ST_GHOST) != 0)
				continue;
			u = uidlist_find(&l, v->uhash[row]);
			missing += u == NULL;
			other += u != NULL && u->uid != v->uid[row];
		}
		if (l.uidvalidity != b->m.j.uidvalidity || other > 0)
			verify_found(b->v, VERIFY_NOTE, "courier-list", 0,
			    COURIER_LIST,
			    "UIDVALIDITY %u (ours %u), %lu messages have "
			    "another UID and %lu none: clients that went back "
			    "to Courier would read all again",
			    l.uidvalidity, b->m.j.uidvalidity, other, missing);
		uidlist_release(&l);
	}
	buf_release(&text);
}
