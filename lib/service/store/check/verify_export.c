/*
 * verify_export - do dovecot-uidlist and dovecot-keywords say what the journal
 * says? It is what
 * Dovecot would go on with, and what `quire rebuild` would.
 *
 * Judged only while it is the list we wrote (quire/export): else another
 * server wrote to it, and the next session sees to that.
 */
#include "service/store/verify_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define UIDLIST_MAX ((size_t)2 << 30)
#define LETTERS_MAX 65536

struct list_check {
	struct box *b;
	uint8_t *seen; /* of each row: it has its line */
	uint32_t last;
	unsigned long wrong;
};

/* One of them is told by name, the rest counted. */
static void
wrong(struct list_check *c, uint32_t uid, const char *what)
{
	if (c->wrong++ == 0)
		verify_found(c->b->v, VERIFY_WARNING, "uidlist", uid, UIDLIST,
		    "%s: Dovecot would show other UIDs; quire export-state "
		    "writes it anew",
		    what);
}

static void
check_line(struct list_check *c, struct str line)
{
	struct view *v = &c->b->m.v;
	struct cold cold;
	struct str words, base;
	uint32_t uid, row;

	if (!uidlist_line(line, &uid, &words, &base)) {
		wrong(c, 0, "has a line that is none");
		return;
	}
	if (uid <= c->last)
		wrong(c, uid, "UIDs do not ascend");
	c->last = uid;
	row = view_row(v, uid);
	if (row == v->n || (v->st[row] & ST_GHOST) != 0)
		return; /* removed: such a line does no harm */
	if (row_cold(&c->b->m, row, &cold) &&
	    str_eq(base, str_sub(cold.base, 0, str_find(cold.base, ':'))))
		c->seen[row] = 1;
	else
		wrong(c, uid, "names another file");
}

static void
check_head(struct list_check *c, struct str line)
{
	const struct journal *j = &c->b->m.j;
	struct uidlist head;

	if (!uidlist_parse(line, true, &head) ||
	    head.uidvalidity != j->uidvalidity ||
	    (head.has_id && memcmp(head.mailboxid, j->mailboxid, 16) != 0))
		wrong(c, 0, "has another UIDVALIDITY or mailbox id");
}

static void
check_text(struct list_check *c, struct str text, uint32_t next)
{
	const struct view *v = &c->b->m.v;
	struct str line;
	uint32_t row;

	str_cut(&text, '\n', &line);
	check_head(c, line);
	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		check_line(c, line);
	}
	for (row = 0; row < v->n && v->uid[row] < next; row++)
		if ((v->st[row] & ST_GHOST) == 0 && !c->seen[row])
			wrong(c, v->uid[row], "lacks a message");
	if (c->wrong > 1)
		verify_found(c->b->v, VERIFY_WARNING, "uidlist", 0, UIDLIST,
		    "%lu differences in all", c->wrong);
}

/* A letter that others read as another keyword. */
static void
check_letters(struct box *b)
{
	const struct view *v = &b->m.v;
	struct str names[FN_LETTERS] = { { NULL, 0 } };
	struct buf text;
	unsigned i;

	buf_init(&text, LETTERS_MAX);
	if (fs_read_file(b->m.dirfd, "dovecot-keywords", &text, NULL) == 0) {
		keywords_parse(buf_str(&text), names);
		for (i = 0; i < v->nkeywords && i < FN_LETTERS; i++)
			if (!str_eq(names[i], v->keywords[i]) &&
			    !str_starts(v->keywords[i], STR("$Unused-")))
				verify_found(b->v, VERIFY_WARNING,
				    "keyword-letter", 0, "dovecot-keywords",
				    "letter %c is %.*s, and %.*s for others: "
				    "quire export-state writes it anew",
				    (char)('a' + i), STR_ARG(v->keywords[i]),
				    STR_ARG(names[i]));
	}
	buf_release(&text);
}

void
verify_export(struct box *b)
{
	struct list_check c = { .b = b };
	struct export_note note;
	struct stat st;
	struct buf text;

	check_letters(b);
	if (fstatat(b->m.dirfd, UIDLIST, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !export_note_read(b->m.qfd, &note))
		return;
	if (!export_note_agrees(&note, &st)) {
		verify_found(b->v, VERIFY_NOTE, "uidlist-foreign", 0, UIDLIST,
		    "another server wrote it: the next session takes it in");
		return;
	}
	buf_init(&text, UIDLIST_MAX);
	c.seen = xcalloc(b->m.v.n + 1, 1);
	if (fs_read_file(b->m.dirfd, UIDLIST, &text, NULL) == 0 &&
	    text.n == note.size)
		check_text(&c, buf_str(&text), note.next);
	free(c.seen);
	buf_release(&text);
}
