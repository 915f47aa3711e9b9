#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "quire.h"
#include "system/fs/fs.h"
#include "system/io/cid.h"

int
cmd_cid(struct quire *q, int argc, char **argv)
{
	uint64_t number;
	struct buf key;
	struct err e;
	char *dir;
	int fd, rc;

	if (argc != 2)
		return quire_fail(EX_USAGE, "usage: quire cid ID");
	if ((rc = quire_config(q)) != 0)
		return rc;
	buf_init(&key, 4096);
	dir = str_dup(q->config->state_dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fs_read_file(fd, "cid.key", &key, &e) == -1)
		rc = quire_fail(EX_NOINPUT, "no key in %s", dir);
	else if (!cid_open(buf_str(&key), str_from(argv[1]), &number))
		rc = quire_fail(
		    EX_DATAERR, "'%s' is not a connection id", argv[1]);
	else
		/* a wrong key gives a huge number */
		printf("cid=%llu\n", (unsigned long long)number);
	if (fd != -1)
		close(fd);
	free(dir);
	buf_release(&key);
	return rc;
}
