/* fuzz_packed - a compressed message file with arbitrary contents. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/store/packed_int.h"
#include "system/fs/fs.h"

#define MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
count(void *arg, struct str s, struct err *e)
{
	uint64_t *n = arg;

	(void)e;
	*n += s.n;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoded d;
	uint64_t n = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 ||
	    fs_write_all(fd, str_make((const char *)data, size)) == -1)
		abort();
	/* both ways see the same, and no more than is allowed */
	if (packed_decode(fd, MAX, count, &n, NULL) == 0) {
		if (n > MAX || packed_load(fd, -1, &d, NULL) == -1 || d.n != n)
			abort();
		decoded_release(&d);
	} else if (n > MAX)
		abort();
	close(fd);
	return 0;
}
