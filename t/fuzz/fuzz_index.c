/*
 * fuzz_index - an index with arbitrary contents, its CRCs made right, which
 * no fuzzer would guess: what reading it says must not hurt.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "service/store/index_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD	 512
#define FILE_MAX 65536

/* Lengths that fit each other, and CRCs that fit the contents. The length of
 * the file; 0: too short for any. */
static size_t
make_right(char *p, size_t size)
{
	size_t small = (size_t)le64_get(p + 72) % (size - HEAD + 1);
	size_t at = (HEAD + small + 4095) / 4096 * 4096, cap;

	if (small < 4 || at >= size)
		return 0;
	cap = (size - at) / VIEW_ROW_SIZE / 8 * 8;
	size = at + cap * VIEW_ROW_SIZE;
	if (cap == 0)
		return 0;
	le32_put(p + 56, (uint32_t)cap);
	le32_put(p + 52, le32_get(p + 52) % (uint32_t)(cap + 1));
	le64_put(p + 72, small);
	/* one block of columns: FILE_MAX */
	le32_put(p + HEAD + small - 4, crc32c(0, p + at, size - at));
	le32_put(p + 8, 1);
	le32_put(p + 12, HEAD);
	memcpy(p, "QINDX\0\0\1", 8);
	le64_put(p + 80, size);
	le32_put(p + 60, crc32c(0, p + HEAD, small));
	le32_put(p + 168, 0);
	le32_put(p + HEAD - 4, crc32c(0, p, HEAD - 4));
	return size;
}

static void
use(struct mailbox *m)
{
	struct view *v = &m->v;
	struct ranges r;
	struct cold cold;
	uint32_t i;

	view_settle(v);
	ranges_init(&r, 1000);
	mailbox_vanished(m, 0, &r);
	ranges_release(&r);
	for (i = 0; i < v->n && i < 100; i++) {
		view_row(v, v->uid[i]);
		row_cold(m, i, &cold);
	}
	for (i = 0; i < 200; i++)
		view_push(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/quire-fuzz-XXXXXX", *p;
	struct account a = { .opts = { 0 } };
	struct mailbox m = { .account = &a,
		.expfd = -1,
		.curfd = -1,
		.newfd = -1,
		.watchfd = -1 };
	struct journal j = { .index_gen = 1 };
	int fd;

	if (size < HEAD || size > FILE_MAX)
		return 0;
	p = malloc(size);
	memcpy(p, data, size);
	if ((size = make_right(p, size)) == 0) {
		free(p);
		return 0;
	}
	memcpy(j.mailboxid, p + 32, 16);
	j.index_crc = le32_get(p + HEAD - 4);
	m.dirfd = m.qfd = mkdtemp(dir) == NULL ? -1 : open(dir, O_RDONLY);
	if (m.qfd == -1)
		abort();
	fd = openat(m.qfd, "index.1", O_RDWR | O_CREAT, 0600);
	if (write(fd, p, size) != (ssize_t)size)
		abort();
	close(fd);
	free(p);
	mailbox_init_slots(&m);
	view_init(&m.v);
	m.v.is_loading = true;
	if (index_load(&m, &j, &m.v, NULL) == 0)
		use(&m);
	mailbox_close_slots(&m);
	view_release(&m.v);
	free(m.window);
	unlinkat(m.qfd, "index.1", 0);
	close(m.qfd);
	rmdir(dir);
	return 0;
}
