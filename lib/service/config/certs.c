/* certs - the files that tls { ... } names, for who may read them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pack.h"
#include "service/config/config.h"
#include "system/fs/fs.h"

#define MAX_FILE (1 << 20)

static int
read_pem(struct str path, struct buf *out, struct err *e)
{
	char *p = str_dup(path);
	int fd = open(p, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;
	struct stat st;
	char *room;

	if (fd == -1 || fstat(fd, &st) == -1)
		err_sys(e, "%s", p);
	else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
		err_set(e, ERR_PERM, "%s: not a file below 1 MiB", p);
	else if (st.st_size == 0)
		err_set(e, ERR_PERM, "%s: is empty", p);
	else if ((room = buf_reserve(out, (size_t)st.st_size)) == NULL ||
		 fs_pread_all(fd, room, (size_t)st.st_size, 0) != st.st_size)
		err_sys(e, "read %s", p);
	else {
		buf_grow(out, (size_t)st.st_size);
		rc = 0;
	}
	if (fd != -1)
		close(fd);
	free(p);
	return rc;
}

/* One more behind the others. */
static int
add(struct buf *out, struct str name, struct str chain_path,
    struct str key_path, struct err *e)
{
	struct buf chain, key;
	int rc = -1;

	buf_init(&chain, MAX_FILE);
	buf_init(&key, MAX_FILE);
	if (read_pem(chain_path, &chain, e) == 0 &&
	    read_pem(key_path, &key, e) == 0) {
		pack_blob(out, name);
		pack_blob(out, buf_str(&chain));
		pack_blob(out, buf_str(&key));
		rc = out->full ? err_set(e, ERR_PERM,
				     "certificates: too large together") :
				 0;
	}
	buf_release(&chain);
	if (key.p != NULL)
		explicit_bzero(key.p, key.n);
	buf_release(&key);
	return rc;
}

int
config_read_certs(const struct config *c, struct buf *out, struct err *e)
{
	const struct config_tls_host *h;

	if (c->tls_key.n == 0)
		return 0;
	if (add(out, c->hostname, c->tls_certificate, c->tls_key, e) == -1)
		return -1;
	for (h = c->tls_hosts; h != NULL; h = h->next)
		if (add(out, h->name, h->certificate, h->key, e) == -1)
			return -1;
	return 0;
}
