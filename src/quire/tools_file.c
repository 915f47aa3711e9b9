#include "tools_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "quire.h"

/* "-" is standard input. The header ends before the empty line. */
int
tools_read_message(
    const char *path, struct buf *b, struct str *header, struct str *body)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO :
					  open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	size_t at;

	if (fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	while (n > 0) {
		char *p = buf_reserve(b, 65536);

		if (p == NULL)
			break;
		n = read(fd, p, 65536);
		if (n > 0)
			buf_grow(b, (size_t)n);
	}
	if (fd != STDIN_FILENO)
		close(fd);
	if (n != 0)
		return quire_fail(EX_IOERR,
		    "%s: cannot be read, or larger "
		    "than %d octets",
		    path, TOOLS_MAX_FILE);
	*header = buf_str(b);
	*body = STR("");
	at = str_search(*header, STR("\r\n\r\n"));
	if (at < header->n) {
		*body = str_sub(*header, at + 4, header->n);
		*header = str_sub(*header, 0, at + 2);
		return 0;
	}
	at = str_search(*header, STR("\n\n"));
	if (at < header->n) {
		*body = str_sub(*header, at + 2, header->n);
		*header = str_sub(*header, 0, at + 1);
	}
	return 0;
}

EVP_PKEY *
tools_read_key(const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "re");
	EVP_PKEY *key =
	    f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);

	if (f != NULL)
		fclose(f);
	if (key == NULL)
		quire_fail(EX_NOINPUT, "%s: no private key in PEM form",
		    path == NULL ? "--key" : path);
	return key;
}
