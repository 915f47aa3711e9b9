/*
 * courier - keywords as Courier keeps them, in courierimapkeywords/:
 *
 *     :list       the keywords' names, a line each; an empty line; then
 *                 "<base name>:<number> <number> ..", from 0, for each message
 *     <base name> of one message, newer than :list: names, a line each
 *     .<time>.<base name>   such a file once it is in :list
 *
 * Read leniently: a line that makes no sense is skipped.
 */
#include "service/store/courier_int.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "system/fs/fs.h"

#define DIR_NAME "courierimapkeywords"
#define LIST_MAX ((size_t)256 << 20)
#define FILE_MAX 65536

void
courier_keywords_release(struct courier_keywords *k)
{
	size_t i;

	for (i = 0; i < k->nnames; i++)
		free((char *)k->names[i].p);
	free(k->v);
	*k = (struct courier_keywords){ 0 };
}

/* Number of a name among all, -1 if there is no room for it. */
static int
name_number(struct courier_keywords *k, struct str name)
{
	size_t i;

	for (i = 0; i < k->nnames; i++)
		if (str_eq_nocase(k->names[i], name))
			return (int)i;
	if (!keyword_is_valid(name) || k->nnames == STORE_MAX_KEYWORDS) {
		k->lost++;
		return -1;
	}
	k->names[k->nnames] = str_make(str_dup(name), name.n);
	return (int)k->nnames++;
}

static void
put(struct courier_keywords *k, struct str file, uint64_t set, bool is_newer)
{
	struct name n;

	if (!name_parse(file, &n))
		return;
	if (k->n == k->cap) {
		k->cap = k->cap == 0 ? 64 : k->cap * 2;
		k->v = xreallocarray(k->v, k->cap, sizeof(*k->v));
	}
	k->v[k->n++] = (struct courier_message){
		.uhash = name_hash(n.unique), .set = set, .is_newer = is_newer
	};
}

static uint64_t
numbers(struct courier_keywords *k, const int *number, size_t n, struct str s)
{
	uint64_t set = 0, i;
	struct str word;

	while (s.n > 0) {
		str_cut(&s, ' ', &word);
		if (!str_uint(word, UINT32_MAX, &i))
			continue;
		if (i < n && number[i] >= 0)
			set |= 1ULL << number[i];
		else
			k->lost++;
	}
	return set;
}

void
courier_list_parse(struct courier_keywords *k, struct str text)
{
	int number[STORE_MAX_KEYWORDS];
	struct str line, file;
	size_t n = 0;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		if (line.n == 0)
			break;
		if (n < STORE_MAX_KEYWORDS)
			number[n++] = name_number(k, line);
	}
	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		/* the numbers follow the last colon: a name may have others */
		for (file = line; file.n > 0 && file.p[file.n - 1] != ':';)
			file.n--;
		if (file.n < 2)
			continue;
		put(k, str_sub(file, 0, file.n - 1),
		    numbers(k, number, n, str_sub(line, file.n, line.n)),
		    false);
	}
}

void
courier_file_parse(struct courier_keywords *k, struct str file, struct str text)
{
	uint64_t set = 0;
	struct str line;
	int i;

	while (text.n > 0) {
		str_cut(&text, '\n', &line);
		if (line.n > 0 && (i = name_number(k, line)) >= 0)
			set |= 1ULL << i;
	}
	put(k, file, set, true);
}

static int
message_cmp(const void *va, const void *vb)
{
	const struct courier_message *a = va, *b = vb;

	if (a->uhash != b->uhash)
		return a->uhash < b->uhash ? -1 : 1;
	return (int)b->is_newer - (int)a->is_newer;
}

static void
read_files(struct courier_keywords *k, int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *de;
	struct buf b;

	if (d == NULL) {
		close(fd);
		return;
	}
	while ((de = readdir(d)) != NULL) {
		/* no message's name begins so */
		if (de->d_name[0] == '.' || de->d_name[0] == ':')
			continue;
		buf_init(&b, FILE_MAX);
		if (fs_read_file(fd, de->d_name, &b, NULL) == 0)
			courier_file_parse(
			    k, str_from(de->d_name), buf_str(&b));
		buf_release(&b);
	}
	closedir(d);
}

void
courier_keywords_read(int dirfd, struct courier_keywords *k)
{
	int fd = fs_open_dir(dirfd, DIR_NAME);
	struct buf b;

	*k = (struct courier_keywords){ 0 };
	if (fd == -1)
		return;
	buf_init(&b, LIST_MAX);
	if (fs_read_file(fd, ":list", &b, NULL) == 0)
		courier_list_parse(k, buf_str(&b));
	buf_release(&b);
	read_files(k, fd);
	if (k->n > 1)
		qsort(k->v, k->n, sizeof(*k->v), message_cmp);
}

uint64_t
courier_keywords_of(const struct courier_keywords *k, uint64_t uhash)
{
	size_t lo = 0, hi = k->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->v[mid].uhash < uhash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < k->n && k->v[lo].uhash == uhash ? k->v[lo].set : 0;
}
