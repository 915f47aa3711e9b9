#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "quire.h"
#include "system/fs/fs.h"

/*
 * A complete server in one directory, for one machine, as one unprivileged
 * user. The first run makes everything; later runs keep it.
 */

/* Who it runs as when root starts it and nobody else owns the mail: no
 * account has this number, and nothing else on the machine is its. */
#define LOCALSERVE_UID 64190

struct local {
	const char *dir, *ip, *maildir;
	long offset; /* -1: as before, or 1000 */
	bool init_only;
	uid_t uid;
	gid_t gid;
	char path[PATH_MAX], maildir_path[PATH_MAX];
};

static int
parse_args(struct local *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "ip", required_argument, NULL, 'i' },
		{ "port-offset", required_argument, NULL, 'p' },
		{ "maildir", required_argument, NULL, 'm' },
		{ "init-only", no_argument, NULL, 'n' },
		{ 0 },
	};
	uint64_t v;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd':
			l->dir = optarg;
			break;
		case 'i':
			l->ip = optarg;
			break;
		case 'p':
			if (!str_uint(str_from(optarg), 64000, &v))
				return quire_fail(EX_USAGE,
				    "--port-offset %s: a number from 0 to "
				    "64000",
				    optarg);
			l->offset = (long)v;
			break;
		case 'm':
			l->maildir = optarg;
			break;
		case 'n':
			l->init_only = true;
			break;
		default:
			return EX_USAGE;
		}
	if (optind != argc)
		return quire_fail(
		    EX_USAGE, "localserve: '%s' is too much", argv[optind]);
	return 0;
}

static bool
is_ip(const char *s)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, s, raw) == 1 ||
	       inet_pton(AF_INET6, s, raw) == 1;
}

/* Only there login without TLS is nobody else's to hear. */
static bool
is_loopback(const char *s)
{
	return strncmp(s, "127.", 4) == 0 || strcmp(s, "::1") == 0;
}

static char *
default_dir(void)
{
	const char *home = getenv("XDG_DATA_HOME");

	if (geteuid() == 0)
		return xstrdup("/var/lib/quire-localserve");
	if (home != NULL && home[0] == '/')
		return xasprintf("%s/quire-localserve", home);
	home = getenv("HOME");
	return xasprintf(
	    "%s/.local/share/quire-localserve", home == NULL ? "" : home);
}

/* As root: the owner of the mail, else of DIR, else the fixed uid. */
static int
choose_owner(struct local *l, bool is_new)
{
	struct stat st;

	l->uid = geteuid();
	l->gid = getegid();
	if (l->uid != 0)
		return 0;
	if (l->maildir != NULL) {
		if (stat(l->maildir, &st) == -1)
			return quire_fail(EX_NOINPUT, "--maildir %s: %s",
			    l->maildir, strerror(errno));
		if (st.st_uid == 0)
			return quire_fail(EX_NOPERM,
			    "--maildir %s belongs to root; mail must belong "
			    "to a user (chown it)",
			    l->maildir);
	} else if (stat(l->path, &st) == -1 || st.st_uid == 0 || is_new) {
		l->uid = l->gid = LOCALSERVE_UID;
		return 0;
	}
	l->uid = st.st_uid;
	l->gid = st.st_gid;
	return 0;
}

static int
open_local(struct quire *q, struct local *l, bool *is_new)
{
	struct err e;

	*is_new = access(l->dir, F_OK) == -1;
	if (fs_mkdir_p(l->dir, 0755, &e) == -1)
		return quire_fail(EX_CANTCREAT, "%s", e.text);
	if (realpath(l->dir, l->path) == NULL)
		return quire_fail(
		    EX_NOINPUT, "%s: %s", l->dir, strerror(errno));
	q->dir = l->path;
	q->dirfd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->dirfd == -1)
		return quire_fail(
		    EX_NOINPUT, "%s: %s", l->path, strerror(errno));
	return 0;
}

/* From here on everything is done as the owner. */
static int
become_owner(struct quire *q, struct local *l)
{
	if (geteuid() != 0)
		return 0;
	if (fchown(q->dirfd, l->uid, l->gid) == -1)
		return quire_fail(
		    EX_OSERR, "chown %s: %s", l->path, strerror(errno));
	if (setgroups(0, NULL) == -1 || setegid(l->gid) == -1 ||
	    seteuid(l->uid) == -1)
		return quire_fail(EX_OSERR, "change to uid %u: %s",
		    (unsigned)l->uid, strerror(errno));
	return 0;
}

static int
write_file(int dirfd, const char *name, struct buf *b, struct err *e)
{
	char tmp[256];
	int rc;

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	rc = b->full ? err_set(e, ERR_PERM, "%s is too long", name) :
		       fs_replace(dirfd, tmp, name, 0600, buf_str(b), e);
	buf_clear(b);
	return rc;
}

static int
write_main(struct quire *q, struct local *l, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b, 65536);
	buf_printf(&b,
	    "# Made by quire localserve; yours to change (quire.conf(5)).\n"
	    "hostname localhost\n"
	    "state-dir \"%s/state\"\n"
	    "run-dir \"%s/run\"\n"
	    "log stderr\n"
	    "single-user yes\n"
	    "any-domain quire          # mail to any address lands there\n"
	    "error-localparts yes      # see localserve in quire(8)\n"
	    "tls {\n"
	    "\tcertificate \"%s/cert.pem\"\n"
	    "\tkey \"%s/key.pem\"\n"
	    "}\n"
	    "# addresses and ports; rewritten when --ip or --port-offset are "
	    "given\n"
	    "include listen.conf\n",
	    l->path, l->path, l->path, l->path);
	rc = write_file(q->dirfd, "quire.conf", &b, e);
	buf_release(&b);
	return rc;
}

static int
write_listen(struct quire *q, struct local *l, struct err *e)
{
	long o = l->offset == -1 ? 1000 : l->offset;
	bool open = l->ip == NULL || is_loopback(l->ip);
	struct buf b;
	int rc;

	buf_init(&b, 65536);
	buf_printf(&b,
	    "# 1080 and 1443 (offset 1000) are kept for the web\n"
	    "listener local {\n"
	    "\taddress %s\n"
	    "\tsmtp %ld\n\tsubmission %ld\n\tsubmissions %ld\n"
	    "\timap %ld\n\timaps %ld\n"
	    "\tplain-login %s\n"
	    "\tno-limits %s\n"
	    "\tfirst-time-sender-delay 0s\n"
	    "}\n",
	    l->ip == NULL ? "127.0.0.1 ::1" : l->ip, 25 + o, 587 + o, 465 + o,
	    143 + o, 993 + o, open ? "yes" : "no", open ? "yes" : "no");
	rc = write_file(q->dirfd, "listen.conf", &b, e);
	buf_release(&b);
	return rc;
}

static int
write_account(struct quire *q, struct local *l, struct err *e)
{
	static const char *const addresses[] = { "quire@localhost" };
	struct new_account a = { .name = "quire",
		.maildir = l->maildir_path,
		.addresses = addresses,
		.naddresses = 1,
		.uid = -1,
		.gid = -1 };

	if (l->maildir != NULL) {
		if (realpath(l->maildir, l->maildir_path) == NULL)
			return err_sys(e, "--maildir %s", l->maildir);
	} else if (snprintf(l->maildir_path, sizeof(l->maildir_path),
		       "%s/mail/quire/Maildir",
		       l->path) >= (int)sizeof(l->maildir_path))
		return err_set(e, ERR_PERM, "path too long");
	return account_write(q->dirfd, &a, e);
}

/* Everything that is missing; what exists stays as the user left it. */
static int
make_all(struct quire *q, struct local *l, struct err *e)
{
	bool exists = faccessat(q->dirfd, "quire.conf", F_OK, 0) == 0;
	bool listens = faccessat(q->dirfd, "listen.conf", F_OK, 0) == 0;
	struct buf b;
	int rc = 0;

	if ((!listens || l->ip != NULL || l->offset != -1) &&
	    write_listen(q, l, e) == -1)
		return -1;
	if (faccessat(q->dirfd, "cert.pem", F_OK, 0) == -1 &&
	    certs_make(q->dirfd, e) == -1)
		return -1;
	if (mkdirat(q->dirfd, "domains", 0700) == -1 && errno != EEXIST)
		return err_sys(e, "mkdir domains");
	if (mkdirat(q->dirfd, "accounts", 0700) == -1 && errno != EEXIST)
		return err_sys(e, "mkdir accounts");
	if (faccessat(q->dirfd, "domains/localhost.conf", F_OK, 0) == -1) {
		buf_init(&b, 1024);
		buf_puts(&b, "# separators +\n");
		rc = write_file(q->dirfd, "domains/localhost.conf", &b, e);
		buf_release(&b);
	}
	if (rc == 0 &&
	    (l->maildir != NULL ||
		faccessat(q->dirfd, "accounts/quire.conf", F_OK, 0) == -1))
		rc = write_account(q, l, e);
	/* last: its presence says that all the rest is there */
	if (rc == 0 && !exists)
		rc = write_main(q, l, e);
	return rc;
}

static void
print_help(const struct local *l)
{
	printf("Quire localserve, everything is in %s\n"
	       "  mail to any address is delivered to the account quire\n"
	       "  login      quire@localhost   password  quirequire\n"
	       "  TLS        trust %s/ca.pem (certificate for localhost)\n"
	       "  administer quire -C %s status | account add | passwd | "
	       "stop\n",
	    l->path, l->path, l->path);
	fflush(stdout);
}

static int
start_quired(struct quire *q, struct local *l)
{
	char self[PATH_MAX], ids[64], *path, *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return quire_fail(EX_OSERR, "cannot find my own program");
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	path = xasprintf("%s/quired", self);
	snprintf(ids, sizeof(ids), "%u:%u", (unsigned)l->uid, (unsigned)l->gid);
	/* quired opens the programs before it gives up root itself */
	if (getuid() == 0 && (seteuid(0) == -1 || setegid(0) == -1))
		return quire_fail(EX_OSERR, "seteuid: %s", strerror(errno));
	execl(path, "quired", "-C", l->path, "-f", "-u", ids, (char *)NULL);
	return quire_fail(EX_OSERR, "%s: %s", path, strerror(errno));
}

int
cmd_localserve(struct quire *q, int argc, char **argv)
{
	struct local l = { .offset = -1 };
	struct err e;
	bool is_new;
	int rc = parse_args(&l, argc, argv);

	if (rc != 0)
		return rc;
	if (l.ip != NULL && !is_ip(l.ip))
		return quire_fail(
		    EX_USAGE, "--ip %s is not an IP address", l.ip);
	if (l.dir == NULL)
		l.dir = default_dir();
	if ((rc = open_local(q, &l, &is_new)) != 0 ||
	    (rc = choose_owner(&l, is_new)) != 0 ||
	    (rc = become_owner(q, &l)) != 0)
		return rc;
	if (make_all(q, &l, &e) == -1)
		return quire_fail(EX_CANTCREAT, "%s: %s", l.path, e.text);
	if ((rc = quire_config(q)) != 0)
		return rc;
	if (account_first_password(q, "quire", STR("quirequire"), &e) == -1)
		return quire_fail(EX_CANTCREAT, "%s", e.text);
	print_help(&l);
	if (l.init_only)
		return 0;
	return start_quired(q, &l);
}
