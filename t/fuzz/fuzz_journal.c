/*
 * fuzz_journal - a journal with arbitrary contents. An even first byte: the
 * rest is the file. An odd one: the rest is the ops of one transaction, whose
 * CRC no fuzzer would guess.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/store/store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
apply_ops(struct str ops)
{
	struct view v;
	struct txn t = {
		.off = JOURNAL_HEAD, .modseq = 5, .boot = boot_id(), .ops = ops
	};
	struct counters c;

	view_init(&v);
	v.is_loading = true;
	view_apply(&v, &t);
	view_settle(&v);
	t.modseq = 6;
	view_apply(&v, &t); /* twice is as good as once */
	view_recount(&v, &c);
	view_release(&v);
}

static void
read_file(struct str bytes)
{
	char dir[] = "/tmp/quire-fuzz-XXXXXX";
	int dirfd = mkdtemp(dir) == NULL ? -1 : open(dir, O_RDONLY), fd;
	struct journal j;
	struct view v;

	if (dirfd == -1)
		abort();
	fd = openat(dirfd, "journal", O_RDWR | O_CREAT, 0600);
	if (write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
		abort();
	close(fd);
	view_init(&v);
	v.is_loading = true;
	journal_init(&j, JOURNAL_MAILBOX, dirfd, true);
	if (journal_open(&j, NULL) == 0)
		journal_follow(&j, view_apply, &v, NULL);
	journal_release(&j);
	view_release(&v);
	unlinkat(dirfd, "journal", 0);
	close(dirfd);
	rmdir(dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		apply_ops(str_make((const char *)data + 1, size - 1));
	else
		read_file(str_make((const char *)data + 1, size - 1));
	return 0;
}
