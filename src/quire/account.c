#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "base/xalloc.h"
#include "quire.h"
#include "service/auth/auth.h"
#include "system/fs/fs.h"

int
account_write(int dirfd, const struct new_account *a, struct err *e)
{
	char name[300], tmp[310];
	struct buf b;
	int i, rc;

	if (snprintf(name, sizeof(name), "accounts/%s.conf", a->name) >=
		(int)sizeof(name) ||
	    strchr(a->name, '/') != NULL || a->name[0] == '.')
		return err_set(e, ERR_PERM, "bad account name '%s'", a->name);
	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	buf_init(&b, 65536);
	buf_puts(&b, "maildir ");
	conf_print_value(&b, str_from(a->maildir));
	buf_putc(&b, '\n');
	if (a->user != NULL)
		buf_printf(&b, "user %s\n", a->user);
	if (a->uid != -1)
		buf_printf(&b, "uid %ld\n", a->uid);
	if (a->gid != -1)
		buf_printf(&b, "gid %ld\n", a->gid);
	for (i = 0; i < a->naddresses; i++) {
		buf_puts(&b, "address ");
		conf_print_value(&b, str_from(a->addresses[i]));
		buf_putc(&b, '\n');
	}
	rc = fs_replace(dirfd, tmp, name, 0600, buf_str(&b), e);
	buf_release(&b);
	return rc;
}

static int
open_auth(struct quire *q, struct err *e)
{
	char *state = str_dup(q->config->state_dir);
	char *path = xasprintf("%s/auth", state);
	struct stat st;
	int fd = -1;

	if (fs_mkdir_p(path, 0700, e) == 0) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			err_sys(e, "%s", path);
		/* authd reads them as the directory's owner */
		else if (geteuid() == 0 && fstat(fd, &st) == 0 &&
			 st.st_uid != 0 && seteuid(st.st_uid) == -1)
			err_sys(e, "change to uid %u", (unsigned)st.st_uid);
	}
	free(path);
	free(state);
	return fd;
}

static void
close_auth(int fd)
{
	if (fd != -1)
		close(fd);
	if (getuid() == 0 && geteuid() != 0 && seteuid(0) == -1)
		exit(EX_OSERR);
}

int
account_set_password(
    struct quire *q, const char *name, struct str password, struct err *e)
{
	static const struct auth_cost usual = { 0 };
	struct auth_record r;
	struct arena a;
	int fd = open_auth(q, e), rc = -1;

	if (fd == -1)
		return -1;
	arena_init(&a, 65536);
	if (auth_derive(&a, str_from(name), password, &usual, &r, e) == 0)
		rc = auth_write(fd, &r, e);
	arena_release(&a);
	close_auth(fd);
	return rc;
}

int
account_first_password(
    struct quire *q, const char *name, struct str password, struct err *e)
{
	enum auth_found found = AUTH_ERROR;
	struct auth_record r;
	struct arena a;
	int fd = open_auth(q, e);

	if (fd == -1)
		return -1;
	arena_init(&a, 65536);
	found = auth_read(&a, fd, str_from(name), &r, e);
	arena_release(&a);
	close_auth(fd);
	switch (found) {
	case AUTH_FOUND:
		return 0;
	case AUTH_NO_RECORD:
		return account_set_password(q, name, password, e);
	case AUTH_ERROR:
		break;
	}
	return -1;
}

/* With a configuration that has become wrong the file goes again. */
static int
check_or_undo(struct quire *q, const char *name)
{
	char path[300];
	int rc = quire_config(q);

	if (rc != 0) {
		snprintf(path, sizeof(path), "accounts/%s.conf", name);
		(void)unlinkat(q->dirfd, path, 0);
	}
	return rc;
}

static char *
default_maildir(struct quire *q, const char *name)
{
	const struct config *c = q->config;

	if (c->mail_roots.n > 0)
		return xasprintf(
		    "%.*s/%s/Maildir", STR_ARG(c->mail_roots.v[0]), name);
	if (c->is_single_user)
		return xasprintf("%s/mail/%s/Maildir", q->dir, name);
	return NULL;
}

static int
parse_add(struct new_account *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "maildir", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "uid", required_argument, NULL, 'U' },
		{ "gid", required_argument, NULL, 'G' },
		{ 0 },
	};
	uint64_t v;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'm':
			a->maildir = optarg;
			break;
		case 'u':
			a->user = optarg;
			break;
		case 'U':
		case 'G':
			if (!str_uint(str_from(optarg), UINT32_MAX - 1, &v))
				return quire_fail(
				    EX_USAGE, "'%s' is not a number", optarg);
			*(c == 'U' ? &a->uid : &a->gid) = (long)v;
			break;
		default:
			return EX_USAGE;
		}
	if (argc - optind < 2)
		return quire_fail(
		    EX_USAGE, "usage: quire account add NAME ADDRESS...");
	a->name = argv[optind];
	a->addresses = (const char *const *)argv + optind + 1;
	a->naddresses = argc - optind - 1;
	return 0;
}

static int
add(struct quire *q, int argc, char **argv)
{
	struct new_account a = { .uid = -1, .gid = -1 };
	char *made = NULL;
	struct err e;
	int rc = parse_add(&a, argc, argv);

	if (rc != 0 || (rc = quire_config(q)) != 0)
		return rc;
	if (config_account(q->config, str_from(a.name)) != NULL)
		return quire_fail(
		    EX_CANTCREAT, "account %s exists already", a.name);
	if (a.maildir == NULL)
		a.maildir = made = default_maildir(q, a.name);
	if (a.maildir == NULL)
		return quire_fail(EX_USAGE,
		    "say where the mail goes: --maildir DIR, or set "
		    "mail-roots in quire.conf");
	/* also of one whose file was removed by hand */
	if (config_forget_marks(q->config, str_from(a.name), &e) == -1) {
		free(made);
		return quire_fail(EX_CANTCREAT, "%s", e.text);
	}
	config_free(&q->config);
	if (account_write(q->dirfd, &a, &e) == -1)
		rc = quire_fail(EX_CANTCREAT, "%s", e.text);
	else if ((rc = check_or_undo(q, a.name)) == 0) {
		printf("account %s, mail in %s; set its password with: quire "
		       "-C %s passwd %s\n",
		    a.name, a.maildir, q->dir, a.name);
		rc = quire_reload_if_running(q);
	}
	free(made);
	return rc;
}

static int
list(struct quire *q)
{
	const struct config_account *a;
	size_t i;
	int rc = quire_config(q);

	if (rc != 0)
		return rc;
	for (a = q->config->accounts; a != NULL; a = a->next) {
		printf("%.*s\t%.*s", STR_ARG(a->name), STR_ARG(a->maildir));
		for (i = 0; i < a->addresses.n; i++)
			printf("%s%.*s", i == 0 ? "\t" : " ",
			    STR_ARG(a->addresses.v[i]));
		putchar('\n');
	}
	return 0;
}

static int
remove_account(struct quire *q, const char *name)
{
	char path[300];
	struct err e;
	int fd, rc = quire_config(q);

	if (rc != 0)
		return rc;
	if (config_account(q->config, str_from(name)) == NULL)
		return quire_fail(EX_NOUSER, "no account %s", name);
	snprintf(path, sizeof(path), "accounts/%s.conf", name);
	if (unlinkat(q->dirfd, path, 0) == -1 || fs_sync_dir(q->dirfd) == -1)
		return quire_fail(EX_IOERR, "%s: %s", path, strerror(errno));
	fd = open_auth(q, &e);
	if (fd != -1 && auth_remove(fd, str_from(name), &e) == -1)
		rc = quire_fail(EX_IOERR, "password of %s: %s", name, e.text);
	close_auth(fd);
	printf("account %s removed; its mail is left where it is\n", name);
	if (rc == 0)
		rc = quire_reload_if_running(q);
	/* after which nobody makes it again */
	if (config_forget_marks(q->config, str_from(name), &e) == -1)
		rc = quire_fail(EX_IOERR, "%s", e.text);
	return rc;
}

int
cmd_account(struct quire *q, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "add") == 0)
		return add(q, argc - 1, argv + 1);
	if (strcmp(what, "list") == 0 && argc == 2)
		return list(q);
	if (strcmp(what, "remove") == 0 && argc == 3)
		return remove_account(q, argv[2]);
	return quire_fail(EX_USAGE,
	    "usage: quire account add NAME ADDRESS... | list | remove NAME");
}

/* One line without echo, or from a pipe. */
static bool
read_line(const char *prompt, struct buf *out)
{
	struct termios old, quiet;
	bool tty = tcgetattr(STDIN_FILENO, &old) == 0;
	char c;

	if (tty) {
		fputs(prompt, stderr);
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		buf_putc(out, c);
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	return !out->full && out->n > 0;
}

int
cmd_passwd(struct quire *q, int argc, char **argv)
{
	struct buf one, two;
	struct err e;
	int rc;

	if (argc != 2)
		return quire_fail(EX_USAGE, "usage: quire passwd ACCOUNT");
	if ((rc = quire_config(q)) != 0)
		return rc;
	if (config_account(q->config, str_from(argv[1])) == NULL)
		return quire_fail(EX_NOUSER, "no account %s", argv[1]);
	buf_init(&one, 1024);
	buf_init(&two, 1024);
	if (!read_line("new password: ", &one))
		rc = quire_fail(EX_DATAERR, "no password given");
	else if (isatty(STDIN_FILENO) &&
		 (!read_line("again: ", &two) ||
		     !str_eq(buf_str(&one), buf_str(&two))))
		rc = quire_fail(EX_DATAERR, "the two are not the same");
	else if (account_set_password(q, argv[1], buf_str(&one), &e) == -1)
		rc = quire_fail(EX_DATAERR, "%s", e.text);
	if (one.p != NULL)
		sodium_memzero(one.p, one.n);
	if (two.p != NULL)
		sodium_memzero(two.p, two.n);
	buf_release(&one);
	buf_release(&two);
	return rc;
}
