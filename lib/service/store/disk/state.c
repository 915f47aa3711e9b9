/*
 * state - where our own files lie.
 *
 * 1. Maildir++: quire/ in the mailbox's directory, which no other program
 *    takes for a mailbox.
 * 2. LAYOUT=fs: there every directory is one. So they are in the index root,
 *    a directory elsewhere: acct/ for the account, <id in hex>/ for each
 *    mailbox. Beside cur/ lies only a file, quire.id, 22 characters: the id
 *    in base64url. Who moves the folder moves it along.
 */
#include "service/store/layout_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/fs/fs.h"

#define ID_FILE	 "quire.id"
#define ID_CHARS 22

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
state_hex(const uint8_t id[16], char out[STATE_ID_HEX])
{
	static const char hex[] = "0123456789abcdef";
	int i;

	for (i = 0; i < 16; i++) {
		out[2 * i] = hex[id[i] >> 4];
		out[2 * i + 1] = hex[id[i] & 15];
	}
	out[32] = '\0';
}

/* ---- quire.id ---- */

/* base64url without padding (RFC 4648, 5) */
static void
id_print(const uint8_t id[16], char out[ID_CHARS])
{
	uint32_t bits = 0;
	unsigned n = 0, i, k = 0;

	for (i = 0; i < 16; i++) {
		bits = bits << 8 | id[i];
		for (n += 8; n >= 6;) {
			n -= 6;
			out[k++] = digits[bits >> n & 63];
		}
	}
	out[k] = digits[bits << (6 - n) & 63];
}

static bool
id_parse(struct str s, uint8_t id[16])
{
	uint32_t bits = 0;
	unsigned n = 0, k = 0;
	char again[ID_CHARS];
	size_t i;

	if (s.n != ID_CHARS)
		return false;
	for (i = 0; i < s.n; i++) {
		const char *at = s.p[i] == '\0' ? NULL : strchr(digits, s.p[i]);

		if (at == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(at - digits);
		if ((n += 6) >= 8 && k < 16) {
			n -= 8;
			id[k++] = (uint8_t)(bits >> n);
		}
	}
	/* one id, one form */
	id_print(id, again);
	return memcmp(again, s.p, ID_CHARS) == 0;
}

bool
state_id(int dirfd, uint8_t id[16])
{
	struct buf b;
	bool ok;

	buf_init(&b, 64);
	ok = fs_read_file(dirfd, ID_FILE, &b, NULL) == 0 &&
	     id_parse(str_trim(buf_str(&b)), id);
	buf_release(&b);
	return ok;
}

static bool
has_id(int dirfd, const uint8_t id[16])
{
	uint8_t there[16];

	return state_id(dirfd, there) && memcmp(there, id, 16) == 0;
}

/* Lost in a power cut it is written again by the next open. */
static int
id_write(int dirfd, const uint8_t id[16])
{
	char text[ID_CHARS];
	int fd, rc;

	id_print(id, text);
	step_unlink(dirfd, ID_FILE ".tmp");
	fd = step_creat(dirfd, ID_FILE ".tmp");
	if (fd == -1)
		return -1;
	rc = step_write(fd, str_make(text, sizeof(text)));
	close(fd);
	return rc == 0 ? step_replace(dirfd, ID_FILE ".tmp", ID_FILE) : -1;
}

/* By one at a time: they would take each other's file away. */
static int
id_make(const struct account *a, int dirfd, const uint8_t id[16])
{
	int rc = 0, error;

	if (fs_lock(a->j.lockfd, LOCK_ID, true, a->j.lock_ms, NULL) == -1)
		return -1;
	if (!has_id(dirfd, id))
		rc = id_write(dirfd, id);
	error = errno;
	fs_unlock(a->j.lockfd, LOCK_ID);
	errno = error;
	return rc;
}

/* ---- */

static int
open_made(int dirfd, const char *name, bool make)
{
	if (make && step_mkdir(dirfd, name) == -1)
		return -1;
	return fs_open_dir(dirfd, name);
}

int
state_open(
    const struct account *a, int dirfd, const uint8_t mailboxid[16], bool make)
{
	char hex[STATE_ID_HEX];

	if (!a->layout.is_fs)
		return open_made(dirfd, "quire", make);
	if (make && !has_id(dirfd, mailboxid) &&
	    id_make(a, dirfd, mailboxid) == -1)
		return -1;
	state_hex(mailboxid, hex);
	if (a->indexfd == -1) { /* a look, before there is one */
		errno = ENOENT;
		return -1;
	}
	return open_made(a->indexfd, hex, make);
}

bool
state_read_id(
    struct account *a, const char *dir, uint8_t id[16], uint32_t *uidvalidity)
{
	int dirfd = fs_open_dir(a->rootfd, dir), qfd;
	char head[JOURNAL_HEAD];
	struct journal j;
	bool ok = false;

	if (dirfd == -1)
		return false;
	journal_init(&j, JOURNAL_MAILBOX, -1, true);
	if (!a->layout.is_fs || state_id(dirfd, id)) {
		qfd = state_open(a, dirfd, id, false);
		if (qfd != -1) {
			j.fd = fs_open_file(qfd, "journal", O_RDONLY, 0);
			close(qfd);
		}
		ok = j.fd != -1 &&
		     journal_pread(&j, head, sizeof(head), 0) == JOURNAL_HEAD &&
		     journal_head_unpack(head, &j);
	}
	if (ok) {
		memcpy(id, j.mailboxid, 16);
		*uidvalidity = j.uidvalidity;
	}
	journal_release(&j);
	close(dirfd);
	return ok;
}

void
state_forget(struct account *a, const char *dir)
{
	int fd = a->opts.readonly ? -1 : fs_open_dir(a->rootfd, dir), qfd;

	if (fd == -1)
		return;
	if (a->layout.is_fs)
		step_unlink(fd, ID_FILE);
	else if ((qfd = fs_open_dir(fd, "quire")) != -1) {
		step_replace(qfd, "journal", "journal.copied");
		close(qfd);
	}
	close(fd);
}

int
state_open_account(struct account *a, struct err *e)
{
	bool make = !a->opts.readonly, is_fs = a->layout.is_fs;
	struct stat st;
	int base;

	if (!is_fs && fstatat(a->rootfd, ID_FILE, &st, 0) == 0)
		return err_set(e, ERR_PERM,
		    "this tree is kept with layout fs (there is " ID_FILE
		    "): its index root is needed");
	base = is_fs ? a->indexfd : open_made(a->rootfd, "quire", make);
	if (base == -1 && is_fs)
		errno = ENOENT;
	a->acctfd = base == -1 ? -1 : open_made(base, "acct", make);
	if (make && a->acctfd != -1 &&
	    (is_fs ? step_mkdir(base, "deleted") :
		     step_mkdir(a->acctfd, "tmp") == -1 ||
			 step_mkdir(a->acctfd, "deleted") == -1)) {
		close(a->acctfd);
		a->acctfd = -1;
	}
	if (!is_fs && base != -1) {
		int sys = errno;

		close(base);
		errno = sys;
	}
	/* a look at a Maildir never adopted: there is none to open */
	if (a->acctfd == -1 && !(a->opts.readonly && errno == ENOENT))
		return err_sys(e, "open the account's state");
	return 0;
}
