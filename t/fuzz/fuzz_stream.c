/*
 * fuzz_stream - a token, a line end, and a stream with arbitrary records whose
 * CRCs are made right: reading it must not hurt, and what is told must come
 * from it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "service/store/stream_read_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 8192

static const uint64_t id = 0x0123456789abcdef;

static void
write_stream(int dirfd, const char *body, size_t n)
{
	struct stream_head h = {
		.boot = boot_id(), .salt = 1, .id = id, .records = 1000
	};
	char head[STREAM_HEAD], record[STREAM_RECORD];
	int fd = openat(dirfd, "stream", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat st;
	size_t i;

	if (fd == -1 || fstat(fd, &st) == -1)
		abort();
	h.ino = st.st_ino;
	/* where the tokens of the corpus are from */
	h.base = n > 0 ? (unsigned char)body[0] % 4 * 5 : 0;
	stream_head_pack(head, &h);
	if (write(fd, head, sizeof(head)) != sizeof(head))
		abort();
	for (i = 0; i < n; i += STREAM_RECORD) {
		size_t len = n - i < STREAM_RECORD ? n - i : STREAM_RECORD;

		memset(record, 0, sizeof(record));
		memcpy(record, body + i, len);
		/* a bit says whether it is to be damaged */
		if ((record[0] & 128) == 0) {
			le16_put(record + 4,
			    (uint16_t)(1 + ((unsigned char)record[4] & 3)));
			le64_put(record + 48, h.base);
			le32_put(record,
			    crc32c(h.salt, record + 4, STREAM_RECORD - 4));
		}
		if (write(fd, record, len) != (ssize_t)len)
			abort();
	}
	close(fd);
}

static void
read_stream(struct account *a, const struct stream_token *from)
{
	struct stream_token next, again;
	struct telling t = { 0 };
	char text[CHANGES_TOKEN];
	struct stream_files f;
	enum stream_state is = stream_files_open(a, &f);

	if (is == STREAM_GOOD)
		is = stream_files_tell(a, &f, from, &next, &t);
	if (is == STREAM_GOOD) {
		stream_token_print(&next, text);
		if (!stream_token_parse(str_from(text), &again) ||
		    memcmp(&again, &next, sizeof(next)) != 0 ||
		    next.next < from->next || next.next > f.end)
			abort();
	}
	telling_release(&t);
	stream_files_close(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/quire-fuzz-XXXXXX";
	struct account a = { .rootfd = -1, .indexfd = -1 };
	struct str rest = str_make((const char *)data, size), line;
	struct stream_token from;

	if (size > BODY_MAX)
		return 0;
	str_cut(&rest, '\n', &line);
	if (!stream_token_parse(line, &from))
		from = (struct stream_token){ .id = id };
	a.opts.readonly = true;
	a.acctfd = mkdtemp(dir) == NULL ? -1 : open(dir, O_RDONLY);
	if (a.acctfd == -1)
		abort();
	write_stream(a.acctfd, rest.p, rest.n);
	read_stream(&a, &from);
	unlinkat(a.acctfd, "stream", 0);
	close(a.acctfd);
	rmdir(dir);
	return 0;
}
